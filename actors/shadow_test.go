package actors

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"edged"
)

// A shadow of the same version says the same, one that fires at other times does not, and
// nothing of either is sent.
func TestShadowsAreCompared(t *testing.T) {
	p := &chainPipeline{name: "device", groups: 1, size: 2}
	twin, other, fresh := *p, *p, *p
	twin.name, other.name, fresh.name, other.size = "device~1", "device~2", "new~3", 3
	links, outs := chainLinks([]*chainPipeline{p})
	mem := NewMemoryStore(links...)
	src := &feedSource{feed: make(chan edged.Batch, 1)}
	acked := make(chan struct{}, 10)
	src.onAck = func(int) { acked <- struct{}{} }
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	e, err := New(Config{CommitInterval: time.Millisecond, TickInterval: time.Hour}, Ports{
		Store: mem, Source: src, Pipelines: []Pipeline{p.Clone()}, Links: links,
		Shadows: []Shadow{{Pipeline: twin.Clone(), Of: "device"}, {Pipeline: other.Clone(), Of: "device"}, {Pipeline: fresh.Clone()}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	for n := range 6 {
		src.feed <- edged.Batch{Messages: []edged.Message{message(fmt.Sprintf("k1 %d", 20+n), uint64(n+1))}}
		<-acked
	}
	src.feed <- edged.Batch{Messages: []edged.Message{message("k1 nonsense", 7)}}
	<-acked
	all := e.Comparisons()
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if c := all[0]; c.Same != 3 || c.Differ+c.OnlyOf+c.OnlyNew+c.Waiting != 0 {
		t.Errorf("the same version: %+v", c)
	}
	if c := all[1]; c.Same != 0 || c.Differ != 2 || c.Waiting != 1 || len(c.Examples) != 2 || bytes.Equal(c.Examples[0].Of, c.Examples[0].Shadow) {
		t.Errorf("another version: %+v", c)
	}
	if c := all[2]; c.OnlyNew != 3 || c.Same+c.Differ+c.OnlyOf+c.Waiting != 0 {
		t.Errorf("a new pipeline: %+v", c)
	}
	if got := outs["device"].got(); len(got) != 3 || mem.position.Streams["new"] != 0 {
		t.Errorf("sent: %q, %v", got, mem.position.Streams)
	}
	for _, st := range e.Stats().Pipelines() {
		if st.Events.Load() != 6 || st.Refused.Load() != 1 {
			t.Errorf("%s: %d events, %d refused", st.Name, st.Events.Load(), st.Refused.Load())
		}
	}
	if n := e.Stats().DeadLetters.Load(); n != 1 || len(mem.DeadLetters()) != 1 {
		t.Errorf("%d dead letters of one message", n)
	}
}

// A shadow that is dropped gets nothing more, one that comes after it does, and what speaks
// notices neither.
func TestShadowsAreDropped(t *testing.T) {
	p := &chainPipeline{name: "device", groups: 1, size: 2}
	speaks, old, next := p.Clone(), *p, *p
	old.name, next.name = "device~1", "device~2"
	links, outs := chainLinks([]*chainPipeline{p})
	src := &feedSource{feed: make(chan edged.Batch, 1)}
	acked := make(chan struct{}, 10)
	src.onAck = func(int) { acked <- struct{}{} }
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	e, err := New(Config{CommitInterval: time.Millisecond, TickInterval: time.Millisecond}, Ports{
		Store: NewMemoryStore(links...), Source: src, Pipelines: []Pipeline{speaks}, Links: links, Shadows: []Shadow{{Pipeline: old.Clone(), Of: "device"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	sent := 0
	events := func(want ...int64) {
		t.Helper()
		for range 2 {
			sent++
			src.feed <- edged.Batch{Messages: []edged.Message{message(fmt.Sprintf("k1 %d", 20+sent), uint64(sent))}}
			<-acked
		}
		for i, st := range e.Stats().Pipelines() {
			if st.Events.Load() != want[i] {
				t.Errorf("%s: %d events of %d, want %d", st.Name, st.Events.Load(), sent, want[i])
			}
		}
	}
	events(2, 2)
	e.DropShadows()
	events(4, 2)
	if _, err := e.Swap(ctx, Swap{
		Pipelines: []Pipeline{speaks}, Shadows: []Shadow{{Pipeline: next.Clone(), Of: "device"}}, Links: links,
		Settle: func(edged.Seq) (map[string]edged.Seq, error) { return nil, nil },
	}); err != nil {
		t.Fatal(err)
	}
	events(6, 2)
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if got := outs["device"].got(); len(got) != 3 {
		t.Errorf("sent: %q", got)
	}
}

// Results without a counterpart are not kept for ever.
func TestComparisonIsBounded(t *testing.T) {
	var c comparisons
	p := &chainPipeline{name: "device~1"}
	c.begin([]Shadow{{Pipeline: p, Of: "device"}})
	r := &router{pipeline: p}
	for n := range 3 * comparedMax {
		result := &edged.Result{Key: fmt.Sprint("k", n), Values: []edged.Value{edged.NumberValue(1)}}
		c.take([]caused{{turn: &turn{ref: &keyRef{router: r}}, result: result}})
	}
	one := c.all[0]
	if len(one.waiting) != comparedMax || one.OnlyNew != 2*comparedMax || len(one.order) > 2*comparedMax || len(one.Examples) != DifferencesMax {
		t.Errorf("%d wait, %d without counterpart, %d in order, %d examples", len(one.waiting), one.OnlyNew, len(one.order), len(one.Examples))
	}
}
