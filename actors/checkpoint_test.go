package actors

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"edged"
)

// slots keeps both generations of snapshots, as a store on disk does.
type slots struct {
	*MemoryStore
	mu   sync.Mutex
	seqs map[string][2]edged.Seq // by key: the record up to which each generation is folded
}

func (s *slots) Commit(c *edged.Commit) error {
	err := s.MemoryStore.Commit(c)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, snap := range c.Snapshots {
		at := s.seqs[snap.Key]
		at[c.Generation%2] = snap.Seq
		if snap.Twin {
			at = [2]edged.Seq{snap.Seq, snap.Seq}
		}
		s.seqs[snap.Key] = at
	}
	return err
}

// holds checks that both generations of each key hold what all records up to seq mean.
func (s *slots) holds(t *testing.T, seq edged.Seq) {
	t.Helper()
	touched := map[string]edged.Seq{}
	err := s.Replay(0, func(rec *edged.Record) error {
		if key, _, _ := strings.Cut(string(rec.Payload), " "); rec.Kind == edged.MessageRecord && rec.Seq <= seq {
			touched[key] = rec.Seq
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, last := range touched {
		if at := s.seqs[key]; min(at[0], at[1]) < last {
			t.Fatalf("record %d of %s is in no two generations: %v", last, key, at)
		}
	}
}

// A checkpoint where nothing comes stores everything, tells how far it is, and leaves
// nothing to be replayed.
func TestCheckpointOfTheSilent(t *testing.T) {
	const n = 3000
	mem := keptStore()
	store := &slots{MemoryStore: mem, seqs: map[string][2]edged.Seq{}}
	src := &feedSource{feed: make(chan edged.Batch, 1)}
	acked := make(chan struct{})
	src.onAck = func(total int) {
		if total == n {
			close(acked)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out := &toyOutput{}
	e, err := New(Config{TickInterval: time.Hour, CommitInterval: time.Second}, Ports{Store: store, Source: src, Pipelines: []Pipeline{toyPipeline{}}, Links: toyLink(out)})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	var b edged.Batch
	for i := range n {
		b.Messages = append(b.Messages, message(fmt.Sprintf("k%05d 1", i), uint64(i+1)))
	}
	src.feed <- b
	<-acked
	last, total := 0, 0
	c, err := e.Checkpoint(ctx, func(keys, of int) {
		if keys < last || keys > of {
			t.Errorf("%d of %d keys after %d", keys, of, last)
		}
		last, total = keys, of
	})
	if err != nil || c.Seq != n || c.Keys != n || c.Bytes == 0 || total != n {
		t.Errorf("%+v, %v; told of %d keys", c, err, total)
	}
	store.holds(t, c.Seq)
	if c, err = e.Checkpoint(ctx, nil); err != nil || c.Keys != 0 || c.Seq != n {
		t.Errorf("with nothing changed: %+v, %v", c, err)
	}
	if p := mem.Position(); p.Sweep.Start != p.Seq {
		t.Errorf("a restart would replay: %+v", p)
	}
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if _, err := e.Checkpoint(t.Context(), nil); err == nil {
		t.Error("a checkpoint is taken after the end")
	}
}

// Checkpoints under load, beside sweeps, passivation and swaps, are whole when they say
// so, and input goes on meanwhile.
func TestCheckpointUnderLoad(t *testing.T) {
	r := newRand(t)
	const n = 4000
	mem := keptStore()
	store := &slots{MemoryStore: mem, seqs: map[string][2]edged.Seq{}}
	src := &pacedSource{pace: 200 * time.Microsecond}
	src.batches = toyBatches(r, toyMessages(r, n, 300))
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	src.onAck = func(total int) {
		if total == n {
			stop()
		}
	}
	cfg := tinyConfig(r)
	cfg.PassivateAfter = 3 * time.Millisecond
	out := &toyOutput{}
	pipes := []Pipeline{toyPipeline{}}
	e, err := New(cfg, Ports{Store: store, Source: src, Pipelines: pipes, Links: toyLink(out)})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	<-e.Ready()
	swapped := make(chan struct{})
	go func() {
		defer close(swapped)
		for ctx.Err() == nil {
			// It may be refused at the end; the checkpoints are what counts.
			_, _ = e.Swap(ctx, Swap{Pipelines: pipes, Links: toyLink(out), Settle: func(edged.Seq) (map[string]edged.Seq, error) { return nil, nil }})
		}
	}()
	whole := 0
	for ctx.Err() == nil {
		c, err := e.Checkpoint(ctx, nil)
		if err == nil {
			store.holds(t, c.Seq)
			whole++
		} else if ctx.Err() == nil && !errors.Is(err, errStopped) {
			t.Fatal(err)
		}
	}
	<-swapped
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if t.Logf("%d checkpoints over %d epochs", whole, e.Stats().Epochs.Load()); whole == 0 {
		t.Error("too little happened for this test to fail")
	}
}

// A second checkpoint at a time is refused; one that nobody waits for any more goes on.
func TestCheckpointTwice(t *testing.T) {
	begun, gate := make(chan struct{}, 1), make(chan struct{})
	store := &hookedStore{MemoryStore: keptStore(), before: func(*edged.Commit) {
		signal(begun)
		<-gate
	}}
	src := &feedSource{feed: make(chan edged.Batch, 1)}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	e, err := New(Config{TickInterval: time.Hour}, Ports{Store: store, Source: src, Pipelines: []Pipeline{toyPipeline{}}, Links: toyLink(&toyOutput{})})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	<-e.Ready()
	impatient, leave := context.WithCancelCause(ctx)
	left := make(chan error, 1)
	go func() {
		_, err := e.Checkpoint(impatient, nil)
		left <- err
	}()
	<-begun // the first one is being committed
	if _, err := e.Checkpoint(ctx, nil); !errors.Is(err, ErrCheckpoint) {
		t.Errorf("the second of two checkpoints: %v", err)
	}
	enough := errors.New("enough")
	leave(enough)
	if err := <-left; !errors.Is(err, enough) {
		t.Errorf("left alone: %v", err)
	}
	close(gate)
	eventually(t, "another checkpoint", func() bool {
		_, err := e.Checkpoint(ctx, nil)
		return err == nil
	})
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}
