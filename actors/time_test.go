package actors

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"edged"
)

// timeWorld is a chain in virtual time, most of which is silence: a few keys, long pauses,
// and in between everything that changes what a key waits for.
type timeWorld struct {
	t       *testing.T
	r       *rand.Rand
	mem     *MemoryStore
	cut     *cut
	history []contract
	rows    map[string]map[string]bool // by stream
	tally   *timeTally
}

type timeTally struct{ swaps, refused, deaths, ends, drains, tables, checkpoints, ticks, panics, cut int }

// timeLife is one engine of it.
type timeLife struct {
	*timeWorld
	store   *cuttingStore
	source  *feedSource
	engine  *Engine
	now     contract
	running map[string]Pipeline
	outs    []map[string]*toyOutput
	table   Table
}

// pass lets virtual time pass.
func (w *timeWorld) pass(d time.Duration) { <-time.After(d) }

// live runs an engine until it is stopped or dies.
func (w *timeWorld) live(last bool) {
	w.t.Helper()
	l := &timeLife{timeWorld: w, now: w.history[len(w.history)-1], running: map[string]Pipeline{}}
	l.store = &cuttingStore{failingStore: failingStore{MemoryStore: w.mem, after: w.r.IntN(2) == 0}, cut: w.cut}
	l.store.left.Store(1 << 40)
	l.source = &feedSource{feed: make(chan edged.Batch)}
	links, outs := chainLinks(l.now.pipes)
	l.outs = append(l.outs, outs)
	ports := Ports{Store: l.store, Source: l.source, Links: links, Tables: journaledTables(w.mem.journal), Since: l.now.since}
	if len(ports.Tables) > 0 {
		l.table = ports.Tables[0]
	}
	ports.Pipelines, ports.Shadows = l.now.made(l.running)
	e, err := New(Config{
		TickInterval: time.Millisecond, CommitInterval: time.Duration(1+w.r.IntN(1500)) * time.Microsecond, EpochEventsMax: 1 + w.r.IntN(20),
		SweepBytes: int64(1 + w.r.IntN(1000)), ActiveKeysMax: 1 + w.r.IntN(6), PassivateAfter: time.Duration(1+w.r.IntN(8)) * time.Millisecond,
	}, ports)
	if err != nil {
		w.t.Fatal(err)
	}
	l.engine = e
	ctx, stop := context.WithCancel(w.t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	for range 10 + w.r.IntN(60) {
		if e.hasFailed() {
			break
		}
		w.pass(time.Duration(w.r.IntN(1+w.r.IntN(16))) * time.Millisecond)
		l.step(ctx)
	}
	if !last && w.r.IntN(3) > 0 {
		l.store.left.Store(int64(1 + w.r.IntN(3)))
		for range 3 {
			l.feed(ctx)
			w.pass(3 * time.Millisecond)
		}
	}
	if last {
		caughtUp(e) // recovery alone says nothing then
	}
	stop()
	switch err = <-ended; {
	case errors.Is(err, errPower):
		w.tally.deaths++
	case err != nil:
		w.t.Fatal(err)
	default:
		w.tally.ends++
	}
	w.tally.panics += int(e.Stats().Panics.Load())
	for _, outs := range l.outs {
		for name, out := range outs {
			if w.rows[name] == nil {
				w.rows[name] = map[string]bool{}
			}
			for _, row := range out.got() {
				w.rows[name][row] = true
			}
		}
	}
}

// step does one thing.
func (l *timeLife) step(ctx context.Context) {
	l.t.Helper()
	all := l.engine.Stats().Pipelines()
	name := all[l.r.IntN(len(all))].Name
	var err error
	switch l.r.IntN(12) {
	case 0:
		err = l.swap(ctx)
	case 1:
		_, err = l.engine.Checkpoint(ctx, nil)
		l.tally.checkpoints++
	case 2:
		l.table = Table{"t", fmt.Appendf(nil, "k%d k%d", l.r.IntN(4), l.r.IntN(4))}
		err = l.engine.LoadTable(ctx, l.table)
		l.tally.tables++
	case 3:
		if _, err = l.engine.Drain(ctx, name); err == nil {
			l.tally.drains++
			l.pass(time.Duration(l.r.IntN(8)) * time.Millisecond)
			err = l.engine.Resume(ctx, name, false)
		}
	default:
		l.feed(ctx)
	}
	if err != nil && !errors.Is(err, errPower) && !errors.Is(err, errStopped) && !errors.Is(err, ErrNoPipeline) && ctx.Err() == nil {
		l.t.Fatal(err)
	}
}

// feed brings some messages. Of those that die with an engine nobody brings more.
func (l *timeLife) feed(ctx context.Context) {
	b := edged.Batch{}
	for range 1 + l.r.IntN(4) {
		value := l.r.IntN(1000)
		if l.r.IntN(4) == 0 {
			value = 13 // panics
		}
		b.Messages = append(b.Messages, edged.Message{Topic: "in/x", Payload: fmt.Appendf(nil, "k%d %d", l.r.IntN(4), value)})
	}
	select {
	case l.source.feed <- b:
	case <-l.engine.failed:
	case <-ctx.Done():
	}
}

// swap changes the contract, as TestSwapIsAFold does, and what the pipelines wait for.
func (l *timeLife) swap(ctx context.Context) error {
	next, same := l.now.changed(l.r)
	for _, p := range next.all() {
		if !same[p.name] && l.r.IntN(3) == 0 {
			p.retime(l.r)
		}
	}
	running := maps.Clone(l.running)
	swap, outs := next.swap(l.mem, &l.now, running, same)
	l.outs = append(l.outs, outs)
	if l.table.Name != "" {
		swap.Tables = []Table{l.table}
	}
	swap.Settle = func(at edged.Seq) (map[string]edged.Seq, error) {
		since := next.settled(at, same)
		l.history = append(l.history, next)
		return since, nil
	}
	_, err := l.engine.Swap(ctx, swap)
	switch {
	case err == nil:
		l.now, l.running = next, running
		l.tally.swaps++
	case errors.Is(err, ErrHeld): // one catches up
		l.tally.refused++
		return nil
	}
	return err
}

// retime gives a pipeline other silences and another pulse.
func (p *chainPipeline) retime(r *rand.Rand) {
	p.silences, p.every, p.span = nil, int64(r.IntN(3)*(1+r.IntN(4))), int64(r.IntN(10))
	for n := 1 + r.IntN(6); len(p.silences) < r.IntN(4); n++ {
		n += r.IntN(10)
		p.silences = append(p.silences, int64(n))
	}
	p.expects = p.upstream == "" && r.IntN(2) == 0
}

// Keys get the ticks of the plain fold, whatever comes between: lives that end anywhere,
// versions that wait for something else, shadows, tables, checkpoints, and panics.
func TestTimeIsAFold(t *testing.T) {
	r := newRand(t)
	var tally timeTally
	for range 40 {
		synctest.Test(t, func(t *testing.T) {
			start := contract{pipes: chain(r, true), since: map[string]edged.Seq{}}
			links, _ := chainLinks(append(slices.Clone(start.pipes), &chainPipeline{name: "extra"}))
			w := &timeWorld{t: t, r: r, mem: NewMemoryStore(links...), cut: &cut{}, history: []contract{start}, rows: map[string]map[string]bool{}, tally: &tally}
			w.mem.keep = true
			for range 2 + r.IntN(8) {
				w.live(false)
			}
			w.live(true)
			for i := range w.mem.journal {
				if w.mem.journal[i].Kind == edged.TickRecord {
					tally.ticks++
				}
			}
			w.mem.position.Floor, tally.cut = w.cut.floor, tally.cut+int(w.cut.floor)
			judge(t, w.mem, w.history, w.rows)
			w.pass(time.Minute) // in which the actor system forgets its dead letters
		})
	}
	t.Logf("%+v", tally)
	if tally.swaps < 30 || tally.deaths < 10 || tally.ends < 10 || tally.drains < 10 || tally.tables < 10 || tally.checkpoints < 10 || tally.ticks < 500 || tally.panics < 50 || tally.cut < 500 {
		t.Error("too little happened for this test to fail")
	}
}
