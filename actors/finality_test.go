package actors

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"edged"
)

// hookedStore calls before every commit.
type hookedStore struct {
	*MemoryStore
	before func(c *edged.Commit)
}

func (s *hookedStore) Commit(c *edged.Commit) error {
	s.before(c)
	return s.MemoryStore.Commit(c)
}

func keptStore() *MemoryStore {
	mem := NewMemoryStore(toyLink(nil)...)
	mem.keep = true
	return mem
}

func message(payload string, ack uint64) edged.Message {
	return edged.Message{Topic: "in/a", Payload: []byte(payload), Ack: ack}
}

// A checkpoint over several epochs is of one moment, even when keys fall due to a
// tick in between: no pane comes out twice after the restart.
func TestCheckpointIsOfOneMoment(t *testing.T) {
	const n = 5000
	mem := keptStore()
	store := &hookedStore{MemoryStore: mem, before: func(*edged.Commit) { <-time.After(30 * time.Millisecond) }}
	var messages []edged.Message
	for i := range n {
		messages = append(messages, message(fmt.Sprintf("k%05d 1", i), uint64(i+1)))
	}
	ctx, stop := context.WithCancel(t.Context())
	src := &toySource{batches: []edged.Batch{{Messages: messages}}, onAck: func(acked int) {
		if acked == n {
			stop()
		}
	}}
	pipelines := []Pipeline{toyPipeline{idle: 60}}
	out, rest := &toyOutput{}, &toyOutput{}
	e, err := New(Config{TickInterval: time.Millisecond, EpochEventsMax: 2 * n}, Ports{Store: store, Source: src, Pipelines: pipelines, Links: toyLink(out)})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if p := mem.Position(); p.Sweep.Start != p.Seq {
		t.Fatalf("the end is not clean: %+v", p)
	}
	e, err = run(t, Config{}, Ports{Store: mem, Source: &toySource{bounded: true}, Pipelines: pipelines, Links: toyLink(rest), Bounded: true})
	if err != nil || !e.Recovery().Clean {
		t.Fatalf("%v, recovery %+v", err, e.Recovery())
	}
	panes := map[string]int{}
	for _, row := range append(out.got(), rest.got()...) {
		fields := strings.Fields(row)
		panes[fields[1]+fields[2]]++
	}
	for pane, times := range panes {
		if times != 1 {
			t.Fatalf("%s came out %d times", pane, times)
		}
	}
	if len(panes) != n {
		t.Errorf("%d panes, want %d", len(panes), n)
	}
}

// brittlePipeline has states that cannot be stored (keys with a q) or whose
// restoring panics.
type brittlePipeline struct {
	toyPipeline
	panics bool
}

type brittleTask struct {
	*toyTask
	panics bool
}

const brittleHead = "BRITTLE1"

func (p brittlePipeline) Clone() Pipeline { return p }

func (p brittlePipeline) NewTask(key string) Task {
	return brittleTask{&toyTask{key: key}, p.panics}
}

func (t brittleTask) AppendBinary(dst []byte) ([]byte, error) {
	if strings.Contains(t.key, "q") {
		return nil, errors.New("cannot be encoded")
	}
	return t.toyTask.AppendBinary(append(dst, brittleHead...))
}

func (t brittleTask) Restore(state []byte) error {
	if t.panics {
		panic("cannot be restored")
	}
	rest, ok := strings.CutPrefix(string(state), brittleHead)
	if !ok {
		return ErrIncompatible
	}
	return t.toyTask.Restore([]byte(rest))
}

// A key that is quarantined says nothing about the others, also at the next start.
func TestQuarantinedKeyDoesNotStopTheStart(t *testing.T) {
	mem := keptStore()
	pipelines := []Pipeline{brittlePipeline{}}
	for i := range 2 {
		ctx, stop := context.WithCancel(t.Context())
		src := &toySource{batches: []edged.Batch{{Messages: []edged.Message{message("aq 1", 1), message("b 1", 2)}}}, onAck: func(int) { stop() }}
		e, err := New(Config{}, Ports{Store: mem, Source: src, Pipelines: pipelines, Links: toyLink(&toyOutput{})})
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Run(ctx); err != nil {
			t.Fatalf("start %d: %v", i, err)
		}
	}
	dead := mem.DeadLetters()
	if len(dead) != 1 || dead[0].Cause != "quarantined" || !strings.Contains(dead[0].Detail, "cannot be encoded") {
		t.Errorf("dead letters %+v", dead)
	}
}

// A panic while a state is restored quarantines the key; it does not come again
// and again.
func TestPanicInRestore(t *testing.T) {
	mem := keptStore()
	mem.snapshots["toy\x00k1"] = edged.Snapshot{Pipeline: "toy", Key: "k1", Twin: true, State: []byte("x")}
	src := &toySource{batches: []edged.Batch{{Messages: []edged.Message{message("k1 1", 1)}}}, bounded: true}
	e, err := run(t, Config{}, Ports{Store: mem, Source: src, Pipelines: []Pipeline{brittlePipeline{panics: true}}, Links: toyLink(&toyOutput{}), Bounded: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(src.ackedIDs()) != 1 || len(mem.DeadLetters()) != 1 || e.Stats().Panics.Load() != 1 {
		t.Errorf("acked %v, dead letters %+v, %d panics", src.ackedIDs(), mem.DeadLetters(), e.Stats().Panics.Load())
	}
}

// An event that is passed over was a sign of life when it came. Replay must see it
// so, or the tick closes a window that it did not close then, with nobody looking.
func TestSkippedEventIsASignOfLife(t *testing.T) {
	mem := keptStore()
	mem.journal = []edged.Record{
		{Seq: 1, Kind: edged.MessageRecord, Time: 1000, Topic: "in/a", Payload: []byte("k1 1")},
		{Seq: 2, Kind: edged.MessageRecord, Time: 1005, Topic: "in/a", Payload: []byte("k2 7")},
		{Seq: 3, Kind: edged.MessageRecord, Time: 1050, Topic: "in/a", Payload: []byte("k1 666")},
		{Seq: 4, Kind: edged.TickRecord, Time: 1110}, // due for k2 only
		{Seq: 5, Kind: edged.MessageRecord, Time: 1120, Topic: "in/a", Payload: []byte("k1 2")},
	}
	mem.position.Seq, mem.position.Time = 5, 1120
	mem.position.Streams["toy"], mem.first["toy"] = 1, 1
	mem.rows["toy"] = []edged.Row{{Stream: "toy", Seq: 1, Payload: []byte("1 k2 #0 sum=7 by idle")}}
	mem.dead = []edged.DeadLetter{{Seq: 3, Pipeline: "toy", Key: "k1", Skip: true, Cause: "panic"}}
	out := &toyOutput{}
	if _, err := run(t, Config{}, Ports{Store: mem, Source: &toySource{bounded: true}, Pipelines: []Pipeline{toyPipeline{idle: 100}}, Links: toyLink(out), Bounded: true}); err != nil {
		t.Fatal(err)
	}
	diff(t, out.got(), []string{"1 k2 #0 sum=7 by idle", "2 k1 #0 sum=3 by end"})
}

// Records from before a pipeline are nothing to it.
func TestSince(t *testing.T) {
	mem := keptStore()
	for i := range 4 {
		mem.journal = append(mem.journal, edged.Record{Seq: edged.Seq(i + 1), Kind: edged.MessageRecord, Time: 1000, Topic: "in/a", Payload: fmt.Appendf(nil, "k1 %d", i+1)})
	}
	mem.position.Seq, mem.position.Time = 4, 1000
	out := &toyOutput{}
	ports := Ports{Store: mem, Source: &toySource{bounded: true}, Pipelines: []Pipeline{toyPipeline{}}, Links: toyLink(out), Bounded: true, Since: map[string]edged.Seq{"toy": 2}}
	if _, err := run(t, Config{}, ports); err != nil {
		t.Fatal(err)
	}
	diff(t, out.got(), []string{"1 k1 #0 sum=7 by end"})
}

// failingOutput fails when it is told to.
type failingOutput struct{ fail chan struct{} }

func (o failingOutput) Run(ctx context.Context, _ func(), _ func(error), _ func([]uint64)) error {
	select {
	case <-o.fail:
		return errors.New("the file is gone")
	case <-ctx.Done():
		return nil
	}
}

func (failingOutput) Send([]edged.Row) error { return nil }

// feedSource delivers what a test sends it.
type feedSource struct {
	toySource
	feed chan edged.Batch
}

func (s *feedSource) Run(ctx context.Context, deliver func(context.Context, edged.Batch) error) error {
	for {
		select {
		case b := <-s.feed:
			if deliver(ctx, b) != nil {
				return nil
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// When the engine fails while a key waits to be rebuilt, the key's events are not
// committed as if it were broken.
func TestFailureQuarantinesNobody(t *testing.T) {
	for range 20 {
		mem := keptStore()
		out := failingOutput{make(chan struct{})}
		src := &feedSource{feed: make(chan edged.Batch, 1)}
		var e *Engine
		var commits atomic.Int64
		store := &hookedStore{MemoryStore: mem, before: func(*edged.Commit) {
			if commits.Add(1) != 1 {
				return
			}
			src.feed <- edged.Batch{Messages: []edged.Message{message("k1 666", 2), message("k1 5", 3)}}
			eventually(t, "the panic", func() bool { return e.Stats().Panics.Load() > 0 })
			<-time.After(3 * time.Millisecond) // until the key waits
			close(out.fail)
			eventually(t, "the failure", e.hasFailed)
		}}
		e, err := New(Config{CommitInterval: time.Millisecond}, Ports{Store: store, Source: src, Pipelines: []Pipeline{toyPipeline{}}, Links: toyLink(out)})
		if err != nil {
			t.Fatal(err)
		}
		src.feed <- edged.Batch{Messages: []edged.Message{message("k1 1", 1)}}
		if err := e.Run(t.Context()); err == nil {
			t.Fatal("the engine did not fail")
		}
		for _, d := range mem.DeadLetters() {
			if d.Cause == "quarantined" {
				t.Fatalf("a good event is a dead letter: %+v", d)
			}
		}
	}
}
