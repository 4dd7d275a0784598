package equality_test

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"edged"
	"edged/actors"
	"edged/internal/equality"
)

// tape is a store in memory that has a whole journal and any snapshots: as old as
// one likes, of some keys, or none.
type tape struct {
	mu        sync.Mutex // readers run beside commits
	pos       edged.Position
	journal   []edged.Record
	snapshots map[[2]string]edged.Snapshot
	rows      map[string][]edged.Row
}

var _ actors.Store = (*tape)(nil)

func (s *tape) Position() edged.Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	pos := s.pos
	pos.Streams = maps.Clone(s.pos.Streams)
	pos.Cursors = slices.Clone(s.pos.Cursors)
	return pos
}

func (s *tape) Commit(c *edged.Commit) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.journal = append(s.journal, c.Records...)
	s.pos.Seq, s.pos.Time = edged.Seq(len(s.journal)), c.Time
	for _, snap := range c.Snapshots {
		s.snapshots[[2]string{snap.Pipeline, snap.Key}] = snap
	}
	for _, r := range c.Rows {
		if s.pos.Streams[r.Stream]++; s.pos.Streams[r.Stream] != r.Seq {
			return fmt.Errorf("row %d of %s after %d", r.Seq, r.Stream, s.pos.Streams[r.Stream]-1)
		}
		s.rows[r.Stream] = append(s.rows[r.Stream], r)
	}
	return nil
}

func (s *tape) Replay(after edged.Seq, fn func(*edged.Record) error) error {
	s.mu.Lock()
	journal := s.journal[min(int(after), len(s.journal)):]
	s.mu.Unlock()
	for _, rec := range journal {
		if err := fn(&rec); err != nil {
			return err
		}
	}
	return nil
}

func (s *tape) Snapshot(pipeline, key string) (edged.Snapshot, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	snap, ok := s.snapshots[[2]string{pipeline, key}]
	return snap, ok, nil
}

func (s *tape) Snapshots(fn func(edged.Snapshot) error) error {
	s.mu.Lock()
	all := maps.Clone(s.snapshots)
	s.mu.Unlock()
	for _, snap := range all { // in no order: recovery must not mind
		if err := fn(snap); err != nil {
			return err
		}
	}
	return nil
}

func (s *tape) Skips(func(pipeline, key string, seq edged.Seq) error) error { return nil }

func (s *tape) Rows(stream string, after uint64, _ int) ([]edged.Row, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rows := s.rows[stream]
	for i := range rows {
		if rows[i].Seq > after {
			return rows[i:], nil
		}
	}
	return nil, nil
}

func (s *tape) OutboxBytes() int64 { return 0 }

func (*tape) JournalBytes(edged.Seq) int64 { return 0 }

// cut returns the tape of a run as it was after a record, with snapshots drawn from
// all that were ever taken before, and the rows that were made by then.
func (w *world) cut(at edged.Seq, age int) (*tape, int) {
	w.t.Helper()
	s := &tape{snapshots: map[[2]string]edged.Snapshot{}, rows: map[string][]edged.Row{}}
	s.journal = slices.Clone(w.journal[:at])
	s.pos = edged.Position{Seq: at, Streams: map[string]uint64{}}
	if at > 0 {
		s.pos.Time = s.journal[at-1].Time
	}
	for id, all := range w.history {
		known := slices.DeleteFunc(slices.Clone(all), func(snap edged.Snapshot) bool { return snap.Seq > at })
		if i := w.r.IntN(len(known)+1) - age; i >= 0 && i < len(known) {
			s.snapshots[id] = known[i]
		}
	}
	messages := 0
	for i := range s.journal {
		if s.journal[i].Kind == edged.MessageRecord {
			messages++
		}
	}
	pipelines, streams, err := w.c.Pipelines()
	if err != nil {
		w.t.Fatal(err)
	}
	fold := equality.NewFold(pipelines)
	fold.Take(s.journal, false)
	for _, name := range streams {
		n := uint64(len(fold.Rows(name)))
		s.pos.Streams[name] = n
		s.pos.Cursors = append(s.pos.Cursors, edged.Cursor{Stream: name, Output: "out", Seq: n})
	}
	return s, messages
}

// TestSnapshotsOfAnyAge: whatever snapshots an engine finds, those of the newest
// generation, older ones, a mixture, or none, it goes on from the journal as if
// nothing had happened.
func TestSnapshotsOfAnyAge(t *testing.T) {
	r := newRand(t)
	used, kept := 0, 0
	for _, c := range cases(t) {
		ticks := c.Name == "ticks"
		w := newWorld(t, r, c, c.Inputs(r, 200))
		if ticks {
			w.broker.pace = 500 * time.Microsecond
		}
		store := w.open(t.TempDir())
		cfg := w.config(ticks)
		cfg.EpochEventsMax, cfg.SweepBytes, cfg.ActiveKeysMax = 1+r.IntN(8), 300, 3
		w.live(store, cfg, -1, 0)
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		w.judge("before the cuts")
		for range 3 * *long {
			at := w.bounds[r.IntN(len(w.bounds))]
			s, messages := w.cut(at, r.IntN(3))
			used, kept = used+len(s.snapshots), kept+1
			w.goOn(s, messages, ticks)
		}
	}
	t.Logf("%d cuts, with %d snapshots", kept, used)
	if used == 0 {
		t.Error("too little happened for this test to fail")
	}
}

// goOn runs an engine from a tape through the messages that are left, and compares
// it with the fold.
func (w *world) goOn(s *tape, messages int, ticks bool) {
	w.t.Helper()
	next := newWorld(w.t, w.r, w.c, w.broker.inputs)
	next.broker.acked, next.broker.delivered = messages, messages
	next.broker.bounded = !ticks
	next.broker.pace = w.broker.pace
	next.journal = slices.Clone(s.journal)
	if messages == len(next.broker.messages) && ticks {
		return // nothing is left
	}
	for name, n := range s.pos.Streams {
		next.streams[name] = &upstream{rows: make([]edged.Row, n)}
	}
	from := maps.Clone(s.pos.Streams)
	next.live(s, next.config(ticks), -1, 10*time.Millisecond)
	pipelines, streams, err := w.c.Pipelines()
	if err != nil {
		w.t.Fatal(err)
	}
	fold := equality.NewFold(pipelines)
	fold.Take(next.journal, next.broker.bounded)
	next.intact()
	for _, name := range streams {
		copy(next.streams[name].rows[:from[name]], fold.Rows(name))
		same(w.t, fmt.Sprintf("%s: cut after record %d: stream %s (from row %d)", w.c.Name, len(s.journal), name, from[name]), next.streams[name], fold.Rows(name))
	}
	if ticks {
		for id, want := range fold.States() {
			if snap, found, _ := s.Snapshot(id[0], id[1]); !found || string(snap.State) != want {
				w.t.Fatalf("%s: state of %q (found %t)\n got %x\nwant %x", w.c.Name, id, found, snap.State, want)
			}
		}
	}
}
