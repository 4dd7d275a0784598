package actors

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"edged"
)

// spoiltStore has a journal that cannot be read any more.
type spoiltStore struct {
	*MemoryStore
	spoilt atomic.Bool
}

var errSpoilt = errors.New("the disk says no")

func (s *spoiltStore) Replay(after edged.Seq, fn func(*edged.Record) error) error {
	if s.spoilt.Load() {
		return errSpoilt
	}
	return s.MemoryStore.Replay(after, fn)
}

// heldEngine runs one pipeline over what it is fed.
type heldEngine struct {
	*Engine
	t     *testing.T
	p     *chainPipeline
	store *spoiltStore
	feed  chan edged.Batch
	fed   int
}

func newHeldEngine(t *testing.T, cfg Config) *heldEngine {
	t.Helper()
	h := &heldEngine{t: t, p: &chainPipeline{name: "device", groups: 1, size: 3}, feed: make(chan edged.Batch)}
	links, _ := chainLinks([]*chainPipeline{h.p})
	h.store = &spoiltStore{MemoryStore: NewMemoryStore(links...)}
	h.store.keep = true
	cfg.CommitInterval, cfg.TickInterval = time.Millisecond, time.Millisecond
	e, err := New(cfg, Ports{Store: h.store, Source: &feedSource{feed: h.feed}, Pipelines: []Pipeline{h.p.Clone()}, Links: links})
	if err != nil {
		t.Fatal(err)
	}
	h.Engine = e
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	<-e.Ready()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return h
}

// batch returns the next messages.
func (h *heldEngine) batch(n int) (b edged.Batch) {
	for range n {
		h.fed++
		b.Messages = append(b.Messages, edged.Message{Topic: "in/x", Payload: fmt.Appendf(nil, "k%d %d", h.fed%7, h.fed%500), Ack: uint64(h.fed)})
	}
	return b
}

// publish feeds messages and waits until they are journaled.
func (h *heldEngine) publish(n int) {
	h.t.Helper()
	h.feed <- h.batch(n)
	h.until("all is journaled", func(HoldStatus) bool { return h.Stats().Received.Load() == int64(h.fed) })
}

func (h *heldEngine) until(what string, ok func(HoldStatus) bool) {
	h.t.Helper()
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	end := time.After(20 * time.Second)
	for !ok(h.Stats().Pipelines()[0].Hold()) {
		select {
		case <-poll.C:
		case <-end:
			h.t.Fatalf("in vain until %s: %+v", what, h.Stats().Pipelines()[0].Hold())
		}
	}
}

func (h *heldEngine) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// flows waits until the pipeline durably gets what comes.
func (h *heldEngine) flows() {
	h.t.Helper()
	h.until("it flows", func(s HoldStatus) bool { return s.Standing == Flowing && s.UpTo <= h.store.Position().Seq })
}

// A pipeline for which too much is kept goes on by itself, and gets all of it.
func TestHoldIsBounded(t *testing.T) {
	h := newHeldEngine(t, Config{HeldBytesMax: 20_000})
	h.must(h.Pause(t.Context(), "device"))
	h.publish(100)
	h.until("it is known what is kept", func(s HoldStatus) bool { return s.Kept > 0 })
	if n := h.Stats().HoldsEnded.Load(); n != 0 {
		t.Errorf("%d holds have ended below the bound", n)
	}
	h.publish(1500)
	h.flows()
	if n := h.Stats().HoldsEnded.Load(); n != 1 {
		t.Errorf("%d holds have ended", n)
	}
	gets(t, h.p, h.store.journalNow())
}

// journalNow returns a copy of the journal.
func (m *MemoryStore) journalNow() []edged.Record {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]edged.Record(nil), m.journal...)
}

// A pipeline whose part of the journal cannot be read is held again and says why. It goes on
// without that part when it is told to, or when too much is kept.
func TestHoldSpoilt(t *testing.T) {
	for name, max := range map[string]int64{"told": 1 << 20, "bounded": 20_000} {
		t.Run(name, func(t *testing.T) {
			h := newHeldEngine(t, Config{HeldBytesMax: max})
			h.must(h.Pause(t.Context(), "device"))
			h.publish(100)
			h.store.spoilt.Store(true)
			h.must(h.Resume(t.Context(), "device", false))
			h.until("it is held again", func(s HoldStatus) bool { return s.Standing == Held && s.Fault != "" })
			if name == "told" {
				h.must(h.Resume(t.Context(), "device", true))
			} else {
				h.publish(1500)
			}
			h.flows()
			if s := h.Stats().Pipelines()[0].Hold(); s.Fault != "" {
				t.Errorf("it flows: %+v", s)
			}
			before := h.Stats().Pipelines()[0].Events.Load()
			h.publish(50)
			h.until("it gets what comes", func(HoldStatus) bool { return h.Stats().Pipelines()[0].Events.Load() > before })
		})
	}
}

// A pipeline comes to the end of what it has missed although more comes than can be taken.
func TestResumeUnderLoad(t *testing.T) {
	h := newHeldEngine(t, Config{EpochEventsMax: 200, IntakeEventsMax: 400})
	h.must(h.Pause(t.Context(), "device"))
	for range 20 {
		h.publish(200)
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case h.feed <- h.batch(100):
			case <-stop:
				return
			}
		}
	}()
	h.must(h.Resume(t.Context(), "device", false))
	h.flows()
	close(stop)
	<-stopped
	gets(t, h.p, h.store.journalNow())
}

// A pipeline stays held over any number of checkpoints, although each of them lets the
// journal be cut where the one before began, and nothing comes in between.
func TestHoldOutlivesCheckpoints(t *testing.T) {
	p := &chainPipeline{name: "device", groups: 1, size: 3}
	links, _ := chainLinks([]*chainPipeline{p})
	mem := NewMemoryStore(links...)
	mem.keep = true
	store := &cuttingStore{failingStore: failingStore{MemoryStore: mem}, cut: &cut{}}
	store.left.Store(1 << 40)
	life := func(do func(e *Engine)) {
		t.Helper()
		ctx, stop := context.WithCancel(t.Context())
		e, err := New(Config{CommitInterval: time.Millisecond}, Ports{Store: store, Source: &toySource{}, Pipelines: []Pipeline{p.Clone()}, Links: links, Tables: journaledTables(mem.journal)})
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- e.Run(ctx) }()
		<-e.Ready()
		do(e)
		stop()
		if err := <-ended; err != nil && !errors.Is(err, errPower) {
			t.Fatal(err)
		}
	}
	life(func(e *Engine) {
		if err := errors.Join(e.LoadTable(t.Context(), Table{"t", []byte("k1")}), e.Pause(t.Context(), "device")); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if _, err := e.Checkpoint(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
		}
		store.left.Store(1) // no clean end
	})
	store.left.Store(1 << 40)
	if store.cut.floor == 0 {
		t.Error("the journal was not cut")
	}
	life(func(e *Engine) {
		if s := e.Stats().Pipelines()[0].Hold().Standing; s != Held {
			t.Errorf("it is %v", s)
		}
		if !e.seq.holds("t", []byte("k1")) {
			t.Error("the table is not in the journal any more")
		}
	})
}
