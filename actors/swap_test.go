package actors

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"edged"
)

// contract is what a restart is told: the pipelines as they were swapped last.
type contract struct {
	at      edged.Seq
	pipes   []*chainPipeline
	shadows []*chainPipeline
	waits   map[string]bool // of the shadows
	since   map[string]edged.Seq
	same    map[string]bool // goes on as it was before
	version int
}

func (c *contract) all() []*chainPipeline { return append(slices.Clone(c.pipes), c.shadows...) }

// made returns what an engine is given for it. running are the pipelines that run, by their
// names; others are made.
func (c *contract) made(running map[string]Pipeline) (pipelines []Pipeline, shadows []Shadow) {
	for _, p := range c.all() {
		if running[p.name] == nil {
			running[p.name] = p.Clone()
		}
		if slices.Contains(c.pipes, p) {
			pipelines = append(pipelines, running[p.name])
		} else {
			shadows = append(shadows, Shadow{running[p.name], p.stream(), c.waits[p.name]})
		}
	}
	return pipelines, shadows
}

// swap returns the swap from one contract to it, and the outputs that it brings. running is
// what will run.
func (c *contract) swap(mem *MemoryStore, now *contract, running map[string]Pipeline, same map[string]bool) (swap Swap, outs map[string]*toyOutput) {
	maps.DeleteFunc(running, func(name string, _ Pipeline) bool { return !same[name] })
	swap.Pipelines, swap.Shadows = c.made(running)
	swap.Links, outs = chainLinks(c.pipes)
	for _, p := range c.all() {
		if p.origin != "" && !now.has(p.origin) && !c.has(p.origin) {
			mem.adopt(p.name, p.origin)
		}
	}
	return swap, outs
}

// settled notes after which record the contract holds, and returns Ports.Since.
func (c *contract) settled(at edged.Seq, same map[string]bool) map[string]edged.Seq {
	c.at, c.same = at, same
	for _, p := range c.all() {
		if !same[p.name] {
			c.since[p.name] = at
		}
	}
	return c.since
}

// has reports whether a pipeline or shadow has the name.
func (c *contract) has(name string) bool {
	return slices.ContainsFunc(c.all(), func(p *chainPipeline) bool { return p.name == name })
}

// tried returns the contract with shadows of some pipelines and of all behind them.
func (c *contract) tried(r *rand.Rand) (next contract, same map[string]bool) {
	next, same = *c, map[string]bool{}
	next.since = maps.Clone(c.since)
	next.version++
	names := map[string]string{} // of the shadows, by what they are of
	for _, p := range c.pipes {
		same[p.name] = true
		if r.IntN(2) == 0 {
			names[p.name] = fmt.Sprintf("%s~%d", p.stream(), next.version)
		}
	}
	for range c.pipes { // until all behind them are there
		for _, p := range c.pipes {
			if names[p.upstream] != "" {
				names[p.name] = fmt.Sprintf("%s~%d", p.stream(), next.version)
			}
		}
	}
	for _, p := range c.pipes {
		if names[p.name] == "" {
			continue
		}
		other := *p
		other.name, other.origin = names[p.name], p.name
		if up := names[p.upstream]; up != "" {
			other.upstream = up
		}
		if r.IntN(3) > 0 {
			other.size = 1 + r.IntN(4)
		}
		if r.IntN(5) == 0 {
			other.origin = ""
		}
		next.shadows = append(next.shadows, &other)
	}
	return next, same
}

// decided returns the contract with other roles, or without the shadows.
func (c *contract) decided(r *rand.Rand) (next contract, same map[string]bool) {
	next, same = *c, map[string]bool{}
	next.since, next.shadows, next.waits = maps.Clone(c.since), nil, map[string]bool{}
	for _, p := range c.all() {
		same[p.name] = true
	}
	if r.IntN(3) == 0 {
		return next, same
	}
	next.pipes = nil
	for _, p := range c.pipes {
		at := slices.IndexFunc(c.shadows, func(s *chainPipeline) bool { return s.stream() == p.stream() })
		if at < 0 {
			next.pipes = append(next.pipes, p)
			continue
		}
		next.pipes, next.shadows = append(next.pipes, c.shadows[at]), append(next.shadows, p)
		next.waits[p.name] = r.IntN(4) > 0
	}
	if r.IntN(4) == 0 {
		next.shadows, next.waits = nil, nil
	}
	return next, same
}

// changed returns the pipelines after a change: some are other versions of the same,
// one may be new, and one may be gone. same says which go on untouched.
func (c *contract) changed(r *rand.Rand) (next contract, same map[string]bool) {
	switch {
	case len(c.shadows) > 0:
		return c.decided(r)
	case r.IntN(2) == 0:
		return c.tried(r)
	}
	next.version = c.version
	same = map[string]bool{}
	next.since = maps.Clone(c.since)
	for _, p := range c.pipes {
		switch {
		case p.stream() == "other" && r.IntN(4) == 0:
		case r.IntN(2) == 0:
			same[p.name] = true
			next.pipes = append(next.pipes, p)
		default:
			other := *p
			other.size = 1 + r.IntN(4)
			next.pipes = append(next.pipes, &other)
		}
	}
	if c.has("device") && !slices.ContainsFunc(c.pipes, func(p *chainPipeline) bool { return p.stream() == "extra" }) && r.IntN(2) == 0 {
		next.pipes = append(next.pipes, &chainPipeline{name: "extra", upstream: "device", groups: 3, size: 2, silences: []int64{3}})
	}
	r.Shuffle(len(next.pipes), func(i, j int) { next.pipes[i], next.pipes[j] = next.pipes[j], next.pipes[i] })
	return next, same
}

// swap is chainOracle's: what a swap means to somebody who runs records one by one.
func (o *chainOracle) swap(c *contract) {
	before := o.pipes
	o.pipes, o.muted = nil, map[string]bool{}
	for _, p := range c.shadows {
		o.muted[p.name] = true
	}
	for _, p := range c.all() {
		fresh := p.Clone().(*chainPipeline)
		if c.same[p.name] {
			for _, q := range before {
				if q.name == p.name {
					o.pipes = append(o.pipes, q)
				}
			}
			continue
		}
		named := func(name string) int {
			return slices.IndexFunc(before, func(q *chainPipeline) bool { return q.name == name })
		}
		if named(p.name) < 0 && named(p.origin) >= 0 {
			for id, k := range maps.Clone(o.keys) {
				if key, ok := strings.CutPrefix(id, p.origin+"\x00"); ok {
					copied, task := *k, *k.task
					copied.task = &task
					o.keys[p.name+"\x00"+key] = &copied
				}
			}
		}
		for id, k := range o.keys {
			if strings.HasPrefix(id, p.name+"\x00") {
				k.begin(fresh)
			}
		}
		o.pipes = append(o.pipes, fresh)
	}
	maps.DeleteFunc(o.keys, func(id string, _ *oracleKey) bool {
		name, _, _ := strings.Cut(id, "\x00")
		return !c.has(name)
	})
}

// begin has a pipeline begin with the state of a key. It tells the key anew of the time if
// that could change the state.
func (k *oracleKey) begin(p *chainPipeline) {
	k.rung, k.beats = uint16(len(p.silences)), k.task.Open() > 0
	if k.beats {
		k.rung = 0
	}
	k.task.p = p
}

// Pipelines that are swapped under load, in lives that end anywhere, say what the plain
// fold says that is swapped after the same records.
func TestSwapIsAFold(t *testing.T) {
	r := newRand(t)
	swaps, deaths, waited := 0, 0, 0
	enough := func() bool { return swaps >= 10 && deaths >= 1 && waited >= 1 }
	for round := 0; round < 12 || round < 60 && !enough(); round++ {
		start := contract{pipes: chain(r, r.IntN(3) > 0), since: map[string]edged.Seq{}}
		all, _ := chainLinks(append(slices.Clone(start.pipes), &chainPipeline{name: "extra"}))
		mem := NewMemoryStore(all...)
		mem.keep = true
		messages := chainMessages(r, 200+r.IntN(600))
		history := []contract{start}
		rows := map[string]map[string]bool{}
		died := false
		for lives := 0; ; lives++ {
			done := 0
			for i := range mem.journal {
				if mem.journal[i].Kind == edged.MessageRecord {
					done++
				}
			}
			if done == len(messages) && !died {
				break
			}
			died = swapLife(t, r, mem, messages[done:], &history, rows, lives < 15)
			if died {
				deaths++
			}
		}
		swaps += len(history) - 1
		waited += wait(t, mem.journal, history)
		judge(t, mem, history, rows)
	}
	t.Logf("%d swaps, %d deaths, %d messages waited for", swaps, deaths, waited)
	if !enough() {
		t.Error("too little happened for this test to fail")
	}
}

// judge compares what was said and what is stored with the fold over the journal.
func judge(t *testing.T, mem *MemoryStore, history []contract, rows map[string]map[string]bool) {
	t.Helper()
	o := newChainOracle(history[0].pipes)
	from := edged.Seq(0)
	for _, c := range history[1:] {
		o.take(mem.journal[from:c.at], false)
		o.swap(&c)
		from = c.at
	}
	o.take(mem.journal[from:], false)
	for name, got := range rows {
		for row := range got {
			if !slices.Contains(o.rows[name], row) {
				t.Fatalf("%s says %q, which the fold does not", name, row)
			}
		}
		if int(mem.position.Streams[name]) != len(o.rows[name]) {
			t.Fatalf("%s has said %d rows, the fold %d", name, mem.position.Streams[name], len(o.rows[name]))
		}
	}
	for stream, n := range mem.position.Streams {
		mem.outputs[stream]["out"] = n // a life that died may have left rows to be sent
	}
	last := history[len(history)-1]
	states := recoveredSince(t, mem, last)
	for _, p := range last.all() { // what was never touched is its origin's still
		for id, state := range maps.Clone(states) {
			if key, ok := strings.CutPrefix(id, p.origin+"\x00"); ok && p.origin != "" && states[p.name+"\x00"+key] == "" {
				states[p.name+"\x00"+key] = state
			}
		}
	}
	maps.DeleteFunc(states, func(id, _ string) bool {
		name, _, _ := strings.Cut(id, "\x00")
		return !last.has(name)
	})
	sameStates(t, "in the end", states, o)
}

// wait checks that what has spoken and may again gets nothing in the meantime, and that
// what speaks has had everything in the end. It returns how many messages waited for one.
func wait(t *testing.T, journal []edged.Record, history []contract) (waited int) {
	t.Helper()
	held := map[string]bool{}
	for i, c := range history {
		end := len(journal)
		if i+1 < len(history) {
			end = int(history[i+1].at)
		}
		for _, rec := range journal[c.at:end] {
			switch rec.Kind {
			case edged.HoldRecord:
				standing, _ := standingOf(&rec)
				held[rec.For] = standing != Flowing
			case edged.MessageRecord:
				for name := range c.waits {
					if c.waits[name] {
						waited++
						if !held[name] {
							t.Fatalf("record %d goes to %s, which waits since record %d", rec.Seq, name, c.at)
						}
					}
				}
			}
		}
	}
	for _, p := range history[len(history)-1].pipes {
		if held[p.name] {
			t.Fatalf("%s speaks, and is held", p.name)
		}
	}
	return waited
}

// swapLife runs an engine until its messages are through or it dies, and swaps its
// pipelines in between.
func swapLife(t *testing.T, r *rand.Rand, mem *MemoryStore, messages []edged.Message, history *[]contract, rows map[string]map[string]bool, mortal bool) (died bool) {
	t.Helper()
	now := (*history)[len(*history)-1]
	running := map[string]Pipeline{}
	links, outs := chainLinks(now.pipes)
	pipelines, shadows := now.made(running)
	store := &failingStore{MemoryStore: mem, after: r.IntN(2) == 0}
	store.left.Store(1 << 40)
	if mortal && r.IntN(4) > 0 {
		store.left.Store(int64(1 + r.IntN(25)))
	}
	src := &pacedSource{pace: 300 * time.Microsecond}
	src.batches = toyBatches(r, messages)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	through := make(chan struct{})
	if len(messages) == 0 {
		close(through)
	}
	src.onAck = func(n int) {
		if n == len(messages) {
			close(through)
		}
	}
	cfg := tinyConfig(r)
	e, err := New(cfg, Ports{Store: store, Source: src, Pipelines: pipelines, Shadows: shadows, Links: links, Since: now.since})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	<-e.Ready()
	all := append(swaps(ctx, t, r, e, mem, now, running, history), outs)
	select {
	case <-through:
		caughtUp(e)
	case <-e.failed:
	}
	stop()
	err = <-ended
	if err != nil && !errors.Is(err, errPower) {
		t.Fatal(err)
	}
	for _, outs := range all {
		for name, out := range outs {
			if rows[name] == nil {
				rows[name] = map[string]bool{}
			}
			for _, row := range out.got() {
				rows[name][row] = true
			}
		}
	}
	return err != nil
}

// caughtUp waits until no pipeline catches up with what it has missed.
func caughtUp(e *Engine) {
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for slices.ContainsFunc(e.Stats().Pipelines(), func(p *PipelineStats) bool { return p.Hold().Standing == Resuming }) {
		select {
		case <-poll.C:
		case <-e.failed:
			return
		}
	}
}

// swaps swaps the pipelines of an engine some times, and returns the outputs it gave it.
func swaps(ctx context.Context, t *testing.T, r *rand.Rand, e *Engine, mem *MemoryStore, now contract, running map[string]Pipeline, history *[]contract) (all []map[string]*toyOutput) {
	t.Helper()
	pause := time.NewTicker(2 * time.Millisecond)
	defer pause.Stop()
	for range r.IntN(8) {
		<-pause.C
		next, same := now.changed(r)
		swap, outs := next.swap(mem, &now, running, same)
		all = append(all, outs)
		swap.Settle = func(at edged.Seq) (map[string]edged.Seq, error) {
			if r.IntN(6) == 0 {
				return nil, errNotNow
			}
			since := next.settled(at, same)
			*history = append(*history, next)
			return since, nil
		}
		switch _, err := e.Swap(ctx, swap); {
		case err == nil:
			now = next
		case errors.Is(err, errNotNow), errors.Is(err, ErrHeld): // one catches up
			running = map[string]Pipeline{}
			for i, p := range e.pipelines {
				running[p.Name()] = e.pipelines[i]
			}
		default:
			if !errors.Is(err, errPower) && !errors.Is(err, errStopped) && ctx.Err() == nil {
				t.Fatalf("swap: %v", err)
			}
		}
	}
	return all
}

var errNotNow = errors.New("not now")

// A swap to a version that cannot read what is stored is refused; the old ones go on.
func TestSwapRefused(t *testing.T) {
	p := &chainPipeline{name: "device", groups: 1, size: 100}
	links, _ := chainLinks([]*chainPipeline{p})
	mem := NewMemoryStore(links...)
	mem.keep = true
	src := &feedSource{feed: make(chan edged.Batch, 1)}
	acked := make(chan struct{}, 10)
	src.onAck = func(int) { acked <- struct{}{} }
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	e, err := New(Config{CommitInterval: time.Millisecond, TickInterval: time.Millisecond}, Ports{Store: mem, Source: src, Pipelines: []Pipeline{p.Clone()}, Links: links})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	src.feed <- edged.Batch{Messages: []edged.Message{message("k1 1", 1)}}
	<-acked
	settle := func(edged.Seq) (map[string]edged.Seq, error) { return nil, nil }
	_, err = e.Swap(ctx, Swap{Pipelines: []Pipeline{strangePipeline{p.Clone().(*chainPipeline)}}, Links: links, Settle: settle})
	if !errors.Is(err, ErrIncompatible) {
		t.Errorf("a version that cannot read the state: %v", err)
	}
	if _, err := e.Swap(ctx, Swap{Pipelines: []Pipeline{p.Clone(), p.Clone()}, Links: links, Settle: settle}); err == nil {
		t.Error("two pipelines of one name are taken")
	}
	src.feed <- edged.Batch{Messages: []edged.Message{message("k1 2", 2)}}
	<-acked
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if _, err := e.Swap(t.Context(), Swap{Settle: settle}); err == nil {
		t.Error("a swap is taken after the end")
	}
}

// A swap while one is under way is refused; one that comes later is not, and needs no
// tick.
func TestSwapTwice(t *testing.T) {
	p := &chainPipeline{name: "device", groups: 1, size: 100}
	links, _ := chainLinks([]*chainPipeline{p})
	store := &gatedStore{MemoryStore: NewMemoryStore(links...), gate: make(chan struct{})}
	src := &feedSource{feed: make(chan edged.Batch, 1)}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	e, err := New(Config{CommitInterval: time.Millisecond, TickInterval: time.Hour}, Ports{Store: store, Source: src, Pipelines: []Pipeline{p.Clone()}, Links: links})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	<-e.Ready()
	swap := func() error {
		_, err := e.Swap(ctx, Swap{Pipelines: []Pipeline{p.Clone()}, Links: links, Settle: func(edged.Seq) (map[string]edged.Seq, error) { return nil, nil }})
		return err
	}
	src.feed <- edged.Batch{Messages: []edged.Message{message("k1 1", 1)}}
	store.gate <- struct{}{} // the commit of the message
	results := make(chan error, 2)
	for range cap(results) {
		go func() { results <- swap() }()
	}
	if err := <-results; !errors.Is(err, ErrSwapping) {
		t.Errorf("the second of two swaps: %v", err)
	}
	close(store.gate) // the commits of the first
	if err := <-results; err != nil {
		t.Errorf("the first of two swaps: %v", err)
	}
	if err := swap(); err != nil {
		t.Errorf("a third swap: %v", err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

// gatedStore commits when it may.
type gatedStore struct {
	*MemoryStore
	gate chan struct{}
}

func (s *gatedStore) Commit(c *edged.Commit) error {
	<-s.gate
	return s.MemoryStore.Commit(c)
}

// strangePipeline cannot read what chainPipeline stores.
type strangePipeline struct{ *chainPipeline }

func (p strangePipeline) NewTask(key string) Task { return strangeTask{p.chainPipeline.NewTask(key)} }

type strangeTask struct{ Task }

func (strangeTask) Restore([]byte) error { return fmt.Errorf("other: %w", ErrIncompatible) }

// adopt moves what is stored of an origin to the pipeline that continues it.
func (m *MemoryStore) adopt(name, origin string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range slices.Clone(m.order) {
		key, ok := strings.CutPrefix(id, origin+"\x00")
		if !ok {
			continue
		}
		s := m.snapshots[id]
		delete(m.snapshots, id)
		m.order = slices.DeleteFunc(m.order, func(other string) bool { return other == id })
		if s.Pipeline, s.Rung, s.Beats = name, 0, edged.Unknown; m.snapshots[name+"\x00"+key].State == nil {
			m.put(s)
		}
	}
}
