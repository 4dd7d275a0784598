package actors

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"edged"
)

// holdLife is one life of an engine whose pipelines are held, drained and resumed, whose
// tables change and whose dead letters are retried, until its messages are through or it
// dies.
type holdLife struct {
	t      *testing.T
	r      *rand.Rand
	mem    *MemoryStore
	cut    *cut
	pipes  []*chainPipeline
	since  map[string]edged.Seq
	swaps  *[]swapped
	engine *Engine
	links  []Link
	tables []Table // as they were loaded last
	tally  *holdTally
}

// swapped says that a pipeline was swapped for another one of the same kind after a record.
type swapped struct {
	at   edged.Seq
	name string
}

// holdTally counts what was done, over all lives.
type holdTally struct{ held, drained, resumed, retried, deaths, tables, swapped, refused int }

func (l *holdLife) run(messages []edged.Message, mortal bool, rows map[string]map[string]bool) (died bool) {
	l.t.Helper()
	links, outs := chainLinks(l.pipes)
	store := &cuttingStore{failingStore: failingStore{MemoryStore: l.mem, after: l.r.IntN(2) == 0}, cut: l.cut}
	store.left.Store(1 << 40)
	if mortal && l.r.IntN(4) > 0 {
		store.left.Store(int64(1 + l.r.IntN(30)))
	}
	src := &pacedSource{pace: 500 * time.Microsecond}
	src.batches = toyBatches(l.r, messages)
	ctx, stop := context.WithCancel(l.t.Context())
	defer stop()
	through := make(chan struct{})
	src.onAck = func(n int) {
		if n == len(messages) {
			close(through)
		}
	}
	if len(messages) == 0 {
		close(through)
	}
	l.tables = journaledTables(l.mem.journal)
	cfg := tinyConfig(l.r)
	cfg.PassivateAfter = time.Duration(1+l.r.IntN(20)) * time.Millisecond
	if l.r.IntN(3) == 0 {
		cfg.HeldBytesMax = 2000 // they go on by themselves
	}
	e, err := New(cfg, Ports{Store: store, Source: src, Pipelines: asPipelines(l.pipes), Links: links, Tables: l.tables, Since: maps.Clone(l.since)})
	if err != nil {
		l.t.Fatal(err)
	}
	l.engine, l.links = e, links
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	<-e.Ready()
	l.operate(ctx, through)
	stop()
	err = <-ended
	if err != nil && !errors.Is(err, errPower) {
		l.t.Fatal(err)
	}
	for name, out := range outs {
		if rows[name] == nil {
			rows[name] = map[string]bool{}
		}
		for _, row := range out.got() {
			rows[name][row] = true
		}
	}
	return err != nil
}

// journaledTables returns the one table that there is, if any, as a journal has it last.
func journaledTables(journal []edged.Record) (all []Table) {
	for i := range journal {
		if rec := &journal[i]; rec.Kind == edged.TableRecord || rec.Kind == edged.KeptRecord {
			all = []Table{{rec.Topic, rec.Payload}}
		}
	}
	return all
}

// operate does one thing after the other until the messages are through, and lets all
// pipelines go on then.
func (l *holdLife) operate(ctx context.Context, through <-chan struct{}) {
	l.t.Helper()
	pause := time.NewTicker(500 * time.Microsecond)
	defer pause.Stop()
	for {
		select {
		case <-through:
			for _, p := range l.pipes {
				l.resume(ctx, p.name)
			}
			l.flows(ctx)
			return
		case <-l.engine.failed:
			return
		case <-pause.C:
		}
		name := l.pipes[l.r.IntN(len(l.pipes))].name
		var err error
		switch l.r.IntN(9) {
		case 0:
			err = l.engine.Pause(ctx, name)
			l.tally.held++
		case 1:
			_, err = l.engine.Drain(ctx, name)
			l.tally.drained++
		case 2, 3:
			l.resume(ctx, name)
		case 4:
			l.tables = []Table{{"t", fmt.Appendf(nil, "k%d k%d", l.r.IntN(12), l.r.IntN(12))}}
			err = l.engine.LoadTable(ctx, l.tables[0])
			l.tally.tables++
		case 5:
			err = l.retry(ctx)
		case 6:
			err = l.swap(ctx, name)
		}
		l.check(err)
	}
}

func (l *holdLife) check(err error) {
	l.t.Helper()
	if err != nil && !errors.Is(err, errPower) && !errors.Is(err, errStopped) {
		l.t.Error(err)
	}
}

func (l *holdLife) resume(ctx context.Context, name string) {
	l.t.Helper()
	err := l.engine.Resume(ctx, name, false)
	l.tally.resumed++
	l.check(err)
}

// flows waits until all pipelines get what comes.
func (l *holdLife) flows(ctx context.Context) {
	l.t.Helper()
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for slices.ContainsFunc(l.engine.Stats().Pipelines(), func(p *PipelineStats) bool { return p.Hold().Standing != Flowing }) {
		select {
		case <-poll.C:
		case <-l.engine.failed:
			return
		case <-ctx.Done():
			return
		}
	}
}

// swap puts another one of the same kind in the place of a pipeline. That is refused while
// it is held.
func (l *holdLife) swap(ctx context.Context, name string) error {
	running := slices.Clone(l.engine.pipelines) // only swaps change it
	at := slices.IndexFunc(running, func(p Pipeline) bool { return p.Name() == name })
	held := l.engine.Stats().Pipelines()[at].Hold().Standing != Flowing
	running[at] = running[at].Clone()
	_, err := l.engine.Swap(ctx, Swap{Pipelines: running, Links: l.links, Tables: l.tables, Settle: func(at edged.Seq) (map[string]edged.Seq, error) {
		l.since[name] = at
		*l.swaps = append(*l.swaps, swapped{at, name})
		return maps.Clone(l.since), nil
	}})
	switch {
	case errors.Is(err, ErrHeld) && held:
		l.tally.refused++
		return nil
	case err == nil && held: // it went on in the meantime
		return nil
	case err == nil:
		l.tally.swapped++
	}
	return err
}

// retry retries what there is.
func (l *holdLife) retry(ctx context.Context) error {
	var all []Retry
	for _, d := range l.mem.DeadLetters() {
		if d.Topic != "" && len(all) < 5 {
			all = append(all, Retry{Letter: d.Number, Of: d.Seq, Pipeline: d.Pipeline, Topic: d.Topic, Payload: d.Payload})
		}
	}
	done, err := l.engine.Retry(ctx, all)
	if err == nil && done.Taken+done.Held+done.Gone != len(all) {
		l.t.Errorf("of %d retries: %+v", len(all), done)
	}
	l.tally.retried += done.Taken
	return err
}

// cuttingStore cuts its journal as a real one does: recovery begins where the sweep before
// the last one started, and what is before that is gone, unless it is to be kept.
type cuttingStore struct {
	failingStore
	cut *cut
}

type cut struct {
	mu                 sync.Mutex
	floor, start, keep edged.Seq
}

func (s *cuttingStore) Commit(c *edged.Commit) error {
	if err := s.failingStore.Commit(c); err != nil {
		return err // if it was stored all the same: less is cut than could be
	}
	s.cut.mu.Lock()
	defer s.cut.mu.Unlock()
	if s.cut.keep = c.Keep; c.Sweep != nil {
		s.cut.floor, s.cut.start = max(s.cut.floor, s.cut.start), c.Sweep.Start
	}
	return nil
}

func (s *cuttingStore) Position() edged.Position {
	p := s.MemoryStore.Position()
	s.cut.mu.Lock()
	defer s.cut.mu.Unlock()
	p.Floor = s.cut.floor
	return p
}

func (s *cuttingStore) Replay(after edged.Seq, fn func(*edged.Record) error) error {
	s.cut.mu.Lock()
	floor, keep := s.cut.floor, s.cut.keep
	s.cut.mu.Unlock()
	if after < floor && (keep == 0 || after < keep) {
		return fmt.Errorf("record %d is gone: the journal is cut at %d, and kept from %d", after+1, floor, keep)
	}
	return s.MemoryStore.Replay(after, fn)
}

// What a pipeline that is held, drained and resumed says, in lives that end anywhere, is
// what the plain fold says over the journal; and in the journal everything that is for it
// comes exactly once, in its order.
func TestHoldIsAFold(t *testing.T) {
	r := newRand(t)
	var tally holdTally
	cuts := 0
	enough := func() bool {
		return cuts >= 500 && tally.held >= 10 && tally.drained >= 10 && tally.retried >= 10 && tally.deaths >= 3 && tally.tables >= 5 && tally.swapped >= 3 && tally.refused >= 1
	}
	for round := 0; round < 15 || round < 75 && !enough(); round++ {
		pipes := chain(r, r.IntN(3) > 0)
		links, _ := chainLinks(pipes)
		mem := NewMemoryStore(links...)
		mem.keep = true
		messages := chainMessages(r, 300+r.IntN(700))
		rows, where, since := map[string]map[string]bool{}, &cut{}, map[string]edged.Seq{}
		var swaps []swapped
		for lives := 0; ; lives++ {
			done := 0
			for i := range mem.journal {
				if mem.journal[i].Kind == edged.MessageRecord {
					done++
				}
			}
			l := &holdLife{t: t, r: r, mem: mem, cut: where, since: since, swaps: &swaps, pipes: pipes, tally: &tally}
			if !l.run(messages[done:], lives < 15, rows) {
				break
			}
			tally.deaths++
		}
		o := newChainOracle(pipes)
		from := edged.Seq(0)
		for _, s := range swaps {
			o.take(mem.journal[from:s.at], false)
			o.swapSame(s.name)
			from = s.at
		}
		o.take(mem.journal[from:], false)
		for _, p := range pipes {
			for row := range rows[p.name] {
				if !slices.Contains(o.rows[p.name], row) {
					t.Fatalf("%s says %q, which the fold does not", p.name, row)
				}
			}
			if int(mem.position.Streams[p.name]) != len(o.rows[p.name]) {
				t.Fatalf("%s has said %d rows, the fold %d", p.name, mem.position.Streams[p.name], len(o.rows[p.name]))
			}
			gets(t, p, mem.journal)
		}
		for stream, n := range mem.position.Streams {
			mem.outputs[stream]["out"] = n // a life that died may have left rows to be sent
		}
		mem.position.Floor = where.floor
		sameStates(t, "after holds", recoveredSince(t, mem, contract{pipes: pipes, since: since}), o)
		cuts += int(where.floor)
	}
	t.Logf("%+v, %d records cut", tally, cuts)
	if !enough() {
		t.Error("too little happened for this test to fail")
	}
}

// swapSame puts another one of the same kind in the place of a pipeline.
func (o *chainOracle) swapSame(name string) {
	at := slices.IndexFunc(o.pipes, func(p *chainPipeline) bool { return p.name == name })
	o.pipes[at] = o.pipes[at].Clone().(*chainPipeline)
	for _, k := range o.of(o.pipes[at]) {
		k.begin(o.pipes[at])
	}
}

// gets checks that a pipeline gets all that is for it, in its order, and once: either from
// the record itself, or later from one that says so.
func gets(t *testing.T, p *chainPipeline, journal []edged.Record) {
	t.Helper()
	type input struct {
		of   edged.Seq
		text string
	}
	var want, got []input
	held := false
	for i := range journal {
		rec := &journal[i]
		direct := func(text []byte) {
			want = append(want, input{rec.Seq, string(text)})
			if !held {
				got = append(got, input{rec.Seq, string(text)})
			}
		}
		switch {
		case rec.Kind == edged.HoldRecord && rec.For == p.name:
			standing, _ := standingOf(rec)
			held = standing != Flowing
		case rec.Kind == edged.AgainRecord && rec.For == p.name && held:
			got = append(got, input{rec.Of, string(rec.Payload)})
		case p.upstream == "" && (rec.Kind == edged.MessageRecord || rec.Kind == edged.AgainRecord && rec.For == ""):
			direct(rec.Payload)
		}
		for d := (derivedReader{rest: rec.Derived}); p.upstream != ""; {
			name, body, ok := d.next()
			if !ok {
				break
			}
			if string(name) == p.upstream {
				direct(body)
			}
		}
	}
	if held {
		t.Fatalf("%s is held at the end", p.name)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%s got %d inputs, want %d:\n%v\n%v", p.name, len(got), len(want), got, want)
	}
}
