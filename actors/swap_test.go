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
	at    edged.Seq
	pipes []*chainPipeline
	since map[string]edged.Seq
}

// changed returns the pipelines after a change: some are other versions of the same,
// one may be new, and one may be gone. same says which go on untouched.
func (c *contract) changed(r *rand.Rand) (next contract, same map[string]bool) {
	same = map[string]bool{}
	next.since = maps.Clone(c.since)
	for _, p := range c.pipes {
		switch {
		case p.name == "other" && r.IntN(4) == 0:
		case r.IntN(2) == 0:
			same[p.name] = true
			next.pipes = append(next.pipes, p)
		default:
			other := *p
			other.size = 1 + r.IntN(4)
			next.pipes = append(next.pipes, &other)
		}
	}
	if !slices.ContainsFunc(c.pipes, func(p *chainPipeline) bool { return p.name == "extra" }) && r.IntN(2) == 0 {
		next.pipes = append(next.pipes, &chainPipeline{name: "extra", upstream: "device", groups: 3, size: 2, silences: []int64{3}})
	}
	r.Shuffle(len(next.pipes), func(i, j int) { next.pipes[i], next.pipes[j] = next.pipes[j], next.pipes[i] })
	return next, same
}

// swap is chainOracle's: what a swap means to somebody who runs records one by one.
func (o *chainOracle) swap(pipes []*chainPipeline) {
	before := o.pipes
	o.pipes = nil
	for _, p := range pipes {
		fresh := p.Clone().(*chainPipeline)
		if i := slices.IndexFunc(before, func(q *chainPipeline) bool { return q.name == p.name }); i >= 0 {
			maps.Copy(fresh.tables, before[i].tables)
		}
		for id, k := range o.keys {
			if strings.HasPrefix(id, p.name+"\x00") {
				k.task.p = fresh
			}
		}
		o.pipes = append(o.pipes, fresh)
	}
	maps.DeleteFunc(o.keys, func(id string, _ *oracleKey) bool {
		name, _, _ := strings.Cut(id, "\x00")
		return !slices.ContainsFunc(pipes, func(p *chainPipeline) bool { return p.name == name })
	})
}

// Pipelines that are swapped under load, in lives that end anywhere, say what the plain
// fold says that is swapped after the same records.
func TestSwapIsAFold(t *testing.T) {
	r := newRand(t)
	swaps, deaths := 0, 0
	for range 12 {
		start := contract{pipes: chain(r, r.IntN(3) > 0), since: map[string]edged.Seq{}}
		all, _ := chainLinks(append(slices.Clone(start.pipes), &chainPipeline{name: "extra"}))
		mem := NewMemoryStore(all...)
		mem.keep = true
		messages := chainMessages(r, 200+r.IntN(600))
		history := []contract{start}
		rows := map[string]map[string]bool{}
		for lives := 0; ; lives++ {
			mem.mu.Lock()
			done := 0
			for i := range mem.journal {
				if mem.journal[i].Kind == edged.MessageRecord {
					done++
				}
			}
			mem.mu.Unlock()
			if done == len(messages) {
				break
			}
			died := swapLife(t, r, mem, messages[done:], &history, rows, lives < 15)
			if died {
				deaths++
			}
		}
		swaps += len(history) - 1
		o := newChainOracle(start.pipes)
		from := edged.Seq(0)
		for _, c := range history[1:] {
			o.take(mem.journal[from:c.at], false)
			o.swap(c.pipes)
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
		states := recoveredSince(t, mem, last.pipes, last.since)
		maps.DeleteFunc(states, func(id, _ string) bool {
			name, _, _ := strings.Cut(id, "\x00")
			return !slices.ContainsFunc(last.pipes, func(p *chainPipeline) bool { return p.name == name })
		})
		sameStates(t, "after swaps", states, o)
	}
	t.Logf("%d swaps, %d deaths", swaps, deaths)
	if swaps < 10 || deaths < 3 {
		t.Error("too little happened for this test to fail")
	}
}

// swapLife runs an engine until its messages are through or it dies, and swaps its
// pipelines in between.
func swapLife(t *testing.T, r *rand.Rand, mem *MemoryStore, messages []edged.Message, history *[]contract, rows map[string]map[string]bool, mortal bool) (died bool) {
	t.Helper()
	now := (*history)[len(*history)-1]
	running := map[string]Pipeline{}
	links, outs := chainLinks(now.pipes)
	var pipelines []Pipeline
	for _, p := range now.pipes {
		running[p.name] = p.Clone()
		pipelines = append(pipelines, running[p.name])
	}
	store := &failingStore{MemoryStore: mem, after: r.IntN(2) == 0}
	store.left.Store(1 << 40)
	if mortal && r.IntN(4) > 0 {
		store.left.Store(int64(1 + r.IntN(25)))
	}
	src := &pacedSource{pace: 300 * time.Microsecond}
	src.batches = toyBatches(r, messages)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	src.onAck = func(n int) {
		if n == len(messages) {
			stop()
		}
	}
	cfg := tinyConfig(r)
	e, err := New(cfg, Ports{Store: store, Source: src, Pipelines: pipelines, Links: links, Since: now.since})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	<-e.Ready()
	all := append(swaps(ctx, t, r, e, now, running, history), outs)
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

// swaps swaps the pipelines of an engine some times, and returns the outputs it gave it.
func swaps(ctx context.Context, t *testing.T, r *rand.Rand, e *Engine, now contract, running map[string]Pipeline, history *[]contract) (all []map[string]*toyOutput) {
	t.Helper()
	pause := time.NewTicker(2 * time.Millisecond)
	defer pause.Stop()
	for range r.IntN(5) {
		<-pause.C
		next, same := now.changed(r)
		swap := Swap{}
		fresh, freshOuts := chainLinks(next.pipes)
		swap.Links = fresh
		all = append(all, freshOuts)
		for _, p := range next.pipes {
			if !same[p.name] {
				running[p.name] = p.Clone()
			}
			swap.Pipelines = append(swap.Pipelines, running[p.name])
		}
		swap.Settle = func(at edged.Seq) (map[string]edged.Seq, error) {
			if r.IntN(6) == 0 {
				return nil, errNotNow
			}
			next.at = at
			for _, p := range next.pipes {
				if !same[p.name] {
					next.since[p.name] = at
				}
			}
			*history = append(*history, next)
			return next.since, nil
		}
		switch _, err := e.Swap(ctx, swap); {
		case err == nil:
			now = next
		case errors.Is(err, errNotNow):
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
