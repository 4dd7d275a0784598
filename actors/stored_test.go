package actors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"edged"
	"edged/persistence"
)

// dyingStore is a real store that dies at its n-th commit, before or after it took
// effect, and remembers what became durable.
type dyingStore struct {
	*persistence.Store
	left    int
	after   bool
	journal []edged.Record
	dropped int // times that the journal was cut
}

func (s *dyingStore) Commit(c *edged.Commit) error {
	s.left--
	if s.left < 0 || s.left == 0 && !s.after {
		return errPower
	}
	floor := s.Position().Floor
	if err := s.Store.Commit(c); err != nil {
		return err
	}
	if s.Position().Floor != floor {
		s.dropped++
	}
	s.journal = append(s.journal, c.Records...)
	if s.left == 0 {
		return errPower
	}
	return nil
}

func openStore(t *testing.T, dir string, pipes []*chainPipeline) *persistence.Store {
	t.Helper()
	s, err := persistence.Open(persistence.Config{Dir: dir, SegmentBytes: persistence.SegmentBytesMin, NoSync: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pipes {
		if err := s.SetOutputs(p.name, []string{"out"}); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// life runs an engine on a store until the messages are through, or it dies.
type life struct {
	left   []edged.Message
	tables []Table
	rows   map[string]bool
}

func (l *life) run(t *testing.T, r *rand.Rand, store Store, pipes []*chainPipeline) {
	t.Helper()
	links, outs := chainLinks(pipes)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	src := &pacedSource{pace: time.Millisecond}
	src.batches = toyBatches(r, l.left)
	enough := 1 + r.IntN(len(l.left))
	src.onAck = func(n int) {
		if n >= enough {
			stop()
		}
	}
	cfg := tinyConfig(r)
	cfg.SweepBytes = int64(500 + r.IntN(2000))
	e, err := New(cfg, Ports{Store: store, Source: src, Pipelines: asPipelines(pipes), Links: links, Tables: l.tables})
	if err != nil {
		t.Fatal(err)
	}
	loaded := make(chan struct{})
	content := fmt.Sprintf("k%d k%d new%d ", r.IntN(12), r.IntN(12), r.IntN(5))
	go func() {
		defer close(loaded)
		for i := range 3 {
			if e.LoadTable(ctx, Table{Name: "b", Content: []byte(content + fmt.Sprint("k", i/2))}) != nil {
				return
			}
		}
	}()
	if err := e.Run(ctx); err != nil && !errors.Is(err, errPower) {
		t.Fatal(err)
	}
	stop()
	<-loaded
	for name, out := range outs {
		for _, row := range out.got() {
			l.rows[name+" "+row] = true
		}
	}
}

// On a real store whose journal is cut again and again, with tables that change
// and lives that end anywhere, all stages come to what the plain fold says.
func TestChainOnDisk(t *testing.T) {
	r := newRand(t)
	dropped := 0
	for range 6 {
		pipes := chain(r, r.IntN(2) == 0)
		dir := t.TempDir()
		l := &life{left: chainMessages(r, 600), rows: map[string]bool{}}
		var journal []edged.Record
		var position edged.Position
		for lives := 0; len(l.left) > 0; lives++ {
			l.tables = []Table{{"a", []byte(fmt.Sprint("a", r.IntN(2)))}, {"b", []byte("0")}}
			s := &dyingStore{Store: openStore(t, dir, pipes), left: 1 << 30, after: r.IntN(2) == 0}
			if r.IntN(3) > 0 && lives < 20 {
				s.left = 1 + r.IntN(40)
			}
			l.run(t, r, s, pipes)
			journal, dropped = append(journal, s.journal...), dropped+s.dropped
			position = s.Position()
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			done := 0 // what is durable counts; the broker would repeat the rest
			for i := range s.journal {
				if s.journal[i].Kind == edged.MessageRecord {
					done++
				}
			}
			l.left = l.left[done:]
		}
		for i := range journal {
			if journal[i].Seq != edged.Seq(i+1) {
				t.Fatalf("record %d stands at %d", journal[i].Seq, i)
			}
		}
		o := newChainOracle(pipes)
		o.take(journal, false)
		for _, p := range pipes {
			want := map[string]bool{}
			for _, row := range o.rows[p.name] {
				want[p.name+" "+row] = true
			}
			if position.Streams[p.name] != uint64(len(want)) {
				t.Fatalf("%s: %d rows, want %d", p.name, position.Streams[p.name], len(want))
			}
			for row := range l.rows {
				if row[:len(p.name)] == p.name && !want[row] {
					t.Fatalf("unexpected row %q", row)
				}
			}
		}
		s := openStore(t, dir, pipes)
		sameStates(t, "on disk", statesOf(t, s, pipes, lastTables(journal)), o)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("the journal was cut %d times", dropped)
	if dropped == 0 {
		t.Error("the journal was never cut: this test tests little")
	}
}

// lastTables returns the tables as a journal leaves them.
func lastTables(journal []edged.Record) []Table {
	var tables []Table
	for i := len(journal) - 1; i >= 0; i-- {
		rec := &journal[i]
		if rec.Kind == edged.TableRecord && !slices.ContainsFunc(tables, func(t Table) bool { return t.Name == rec.Topic }) {
			tables = append(tables, Table{rec.Topic, rec.Payload})
		}
	}
	return tables
}

// statesOf recovers from a store, and reads all states after that.
func statesOf(t *testing.T, s *persistence.Store, pipes []*chainPipeline, tables []Table) map[string]string {
	t.Helper()
	links, _ := chainLinks(pipes)
	e, err := New(Config{TickInterval: time.Hour}, Ports{Store: s, Source: &toySource{}, Pipelines: asPipelines(pipes), Links: links, Tables: tables})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	go func() {
		<-e.Ready()
		stop()
	}()
	if err := e.Run(ctx); err != nil {
		t.Fatal(err)
	}
	states := map[string]string{}
	err = s.Snapshots(func(snap edged.Snapshot) error {
		full, found, err := s.Snapshot(snap.Pipeline, snap.Key)
		if !found {
			err = errors.Join(err, fmt.Errorf("no state of %s", snap.Key))
		}
		states[snap.Pipeline+"\x00"+snap.Key] = string(full.State)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return states
}
