package actors

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"edged"
)

// moodyOutput is a link that breaks, confirms late and out of order, and
// forgets what it had not confirmed when it broke.
type moodyOutput struct {
	t      *testing.T
	window int

	mu        sync.Mutex
	r         *rand.Rand
	up        bool
	pending   []uint64
	got       map[uint64]string
	sent      int
	first     uint64 // the lowest number that may be sent next: nothing is skipped
	never     uint64 // this row cannot be sent
	refused   int
	confirmed func([]uint64)
	ups       func()
	downs     func(error)
}

func (o *moodyOutput) Run(ctx context.Context, up func(), down func(error), confirmed func([]uint64)) error {
	o.mu.Lock()
	o.ups, o.downs, o.confirmed = up, down, confirmed
	o.mu.Unlock()
	tick := time.NewTicker(200 * time.Microsecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			o.whim()
		}
	}
}

// whim does something that a link may do.
func (o *moodyOutput) whim() {
	o.mu.Lock()
	var call func()
	switch n := o.r.IntN(20); {
	case !o.up:
		o.up = true
		call = o.ups
	case n == 0:
		o.up, o.pending = false, nil
		call = func() { o.downs(errors.New("pulled")) }
	case len(o.pending) > 0:
		some := o.pending[:1+o.r.IntN(len(o.pending))]
		o.pending = slices.Clone(o.pending[len(some):])
		o.r.Shuffle(len(some), func(i, j int) { some[i], some[j] = some[j], some[i] })
		call = func() { o.confirmed(some) }
	}
	o.mu.Unlock()
	if call != nil {
		call()
	}
}

func (o *moodyOutput) Send(rows []edged.Row) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.up {
		return errors.New("down")
	}
	for _, r := range rows {
		if r.Seq == o.never {
			o.refused++
			return fmt.Errorf("row %d: %w", r.Seq, ErrUnsendable)
		}
	}
	for _, r := range rows {
		o.got[r.Seq] = string(r.Payload)
		o.pending = append(o.pending, r.Seq)
		o.sent++
	}
	if len(o.pending) > o.window {
		o.t.Errorf("%d unconfirmed rows, the window is %d", len(o.pending), o.window)
	}
	return nil
}

// Over a link that breaks all the time every row arrives, and the store is told
// so in the end.
func TestGatewayDeliversAll(t *testing.T) {
	r := newRand(t)
	for _, never := range []uint64{0, 7} {
		messages := toyMessages(r, 3000, 5)
		out := &moodyOutput{t: t, window: 1 + r.IntN(10), r: rand.New(rand.NewPCG(r.Uint64(), 2)), got: map[uint64]string{}, never: never}
		links := []Link{{Stream: "toy", Name: "out", Output: out, Window: out.window}}
		mem := NewMemoryStore(links...)
		e, err := run(t, Config{}, Ports{Store: mem, Source: &toySource{batches: toyBatches(r, messages), bounded: true}, Pipelines: []Pipeline{toyPipeline{}}, Links: links, Bounded: true})
		if err != nil {
			t.Fatal(err)
		}
		want := toyExpected(messages)
		for i, row := range want {
			if seq := uint64(i + 1); seq != never && out.got[seq] != row {
				t.Fatalf("row %d: got %q, want %q", seq, out.got[seq], row)
			}
		}
		status := e.Links()[0]
		if status.Confirmed != uint64(len(want)) || mem.OutboxBytes() != 0 {
			t.Errorf("confirmed %d of %d, %d bytes left in the outbox", status.Confirmed, len(want), mem.OutboxBytes())
		}
		if never != 0 && (status.Unsendable != 1 || out.refused == 0) {
			t.Errorf("unsendable %d, refused %d", status.Unsendable, out.refused)
		}
		if status.Downs > 0 && status.Resent == 0 && out.sent > len(want) {
			t.Errorf("%d sent for %d rows over %d breaks, but no row counted as sent again", out.sent, len(want), status.Downs)
		}
	}
}

// While too much waits in the outbox nothing is taken from the source; draining
// still ends, and what was acknowledged is durable.
func TestOutboxLimitPushesBack(t *testing.T) {
	r := newRand(t)
	messages := toyMessages(r, 5000, 5)
	dead := &deadOutput{}
	links := toyLink(dead)
	mem := NewMemoryStore(links...)
	src := &toySource{batches: toyBatches(r, messages)}
	cfg := Config{OutboxBytesMax: 500, EpochEventsMax: 50, IntakeEventsMax: 100, TickInterval: time.Millisecond, CommitInterval: time.Millisecond, DrainTimeout: time.Millisecond}
	e, err := New(cfg, Ports{Store: mem, Source: src, Pipelines: []Pipeline{toyPipeline{}}, Links: links})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	eventually(t, "the outbox to be full", func() bool { return e.Stats().OutboxBlocked.Load() })
	eventually(t, "the intake to fill", func() bool { return e.IntakeLevel() > 50 })
	if n := int(src.delivered.Load()); n > 2000 {
		t.Errorf("%d messages taken from the source while the outbox was full", n)
	}
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if acked, durable := len(src.ackedIDs()), int(mem.Position().Seq); acked != durable {
		t.Errorf("%d acknowledged, %d durable", acked, durable)
	}
}

// deadOutput never has a link.
type deadOutput struct{}

func (deadOutput) Run(ctx context.Context, _ func(), _ func(error), _ func([]uint64)) error {
	<-ctx.Done()
	return nil
}

func (deadOutput) Send([]edged.Row) error { return errors.New("there is no link") }

func TestFlowWindow(t *testing.T) {
	var w flowWindow
	for range 4 {
		if w.full(20) {
			t.Fatal("full before the broker stopped there often enough")
		}
		w.observe(20)
	}
	if !w.full(20) || w.full(19) {
		t.Errorf("full(20) %v, full(19) %v after stopping at 20 again and again", w.full(20), w.full(19))
	}
	for i := range 20 {
		w.observe(10 + i%7)
	}
	if w.full(16) {
		t.Error("a varying number is taken for a window")
	}
	w = flowWindow{}
	for range 10 {
		w.observe(1)
	}
	if w.full(1) {
		t.Error("a trickle is taken for a window of one: every message would cost a commit")
	}
}

func TestClockStandsStill(t *testing.T) {
	start := time.Unix(1000, 0)
	c := newClock(5000, start)
	c.tick(start.Add(time.Second), true, time.Minute)
	c.tick(start.Add(5*time.Second), false, time.Minute) // we were behind
	c.tick(start.Add(6*time.Second), true, time.Minute)
	if c.now != 7000 {
		t.Errorf("at %d, want 7000", c.now)
	}
	c.tick(start.Add(time.Hour), true, time.Minute) // the process was stopped
	if c.now != 67000 {
		t.Errorf("at %d, want 67000", c.now)
	}
	c.tick(start, true, time.Minute)
	if c.now != 67000 {
		t.Errorf("went to %d with a clock that went back", c.now)
	}
}

func TestRedelivery(t *testing.T) {
	var r redelivery
	m := edged.Message{Topic: "a", Payload: []byte("x"), PacketID: 300}
	if r.repeats(&m) {
		t.Error("the first is a repeat")
	}
	if r.repeats(&m) {
		t.Error("the same without Dup is a new message")
	}
	m.Dup = true
	if !r.repeats(&m) {
		t.Error("a redelivery is not recognised")
	}
	other := edged.Message{Topic: "a", Payload: []byte("y"), PacketID: 300, Dup: true}
	if r.repeats(&other) {
		t.Error("other content under a reused id is a repeat")
	}
	if r.repeats(&m) {
		t.Error("the id belongs to the other message now")
	}
	r.reset()
	if r.repeats(&m) {
		t.Error("remembered over a new session")
	}
	none := edged.Message{Topic: "a", Payload: []byte("x"), Dup: true}
	if r.repeats(&none) || r.repeats(&none) {
		t.Error("a message without id is a repeat")
	}
}
