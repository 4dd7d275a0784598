package actors

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"edged"
)

// A router wakes exactly the keys that a look at all of them finds.
func TestRouterWakes(t *testing.T) {
	r := newRand(t)
	for range 200 {
		p := &chainPipeline{name: "p", every: int64(r.IntN(3) * 5), span: int64(r.IntN(30) - 3)}
		for range r.IntN(4) {
			p.silences = append(p.silences, int64(10*len(p.silences)+r.IntN(10)))
		}
		if r.IntN(10) == 0 {
			p.silences = nil
			for n := range int64(400) { // as many as some rules need
				p.silences = append(p.silences, n+1)
			}
		}
		router := newRouter(0, p, false, 0)
		type key struct {
			active edged.Timestamp
			rung   uint16
			beats  bool
		}
		keys := map[string]*key{}
		now := edged.Timestamp(r.IntN(1000)) - 500
		for range 60 {
			before := now
			now = now.Add(int64(r.IntN(9 + r.IntN(2)*20)))
			if r.IntN(2) == 0 {
				name := fmt.Sprint("k", r.IntN(20))
				router.touch(router.lookup(name), 1, now)
				keys[name] = &key{now, 0, p.every > 0}
				continue
			}
			var want []string
			beats := false
			for name, k := range keys {
				rung := k.rung
				for int(rung) < len(p.silences) && now.Sub(k.active) >= p.silences[rung] {
					rung++
				}
				silent := rung > k.rung
				if silent || k.beats {
					want = append(want, name)
				}
				beats = beats || k.beats
				k.rung = rung
				k.beats = k.beats && now.Sub(k.active) < p.every+max(p.span, 0)
			}
			passed := p.every > 0 && before.FloorTo(max(p.every, 1), 0) != now.FloorTo(max(p.every, 1), 0)
			if got := router.pulses(before, now); got != (passed && beats) {
				t.Fatalf("%+v: from %d to %d a pulse is %v", p, before, now, got)
			}
			var got []string
			for _, ref := range router.wake(now, nil) {
				got = append(got, ref.key)
			}
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Fatalf("%+v: at %d woke %q, want %q", p, now, got, want)
			}
		}
	}
}

// Time is journaled while a key wants it, about once per multiple, and no longer.
func TestPulseEnds(t *testing.T) {
	mem := keptStore()
	src := &feedSource{feed: make(chan edged.Batch, 1)}
	p := &chainPipeline{name: "p", size: 1000, every: 4, span: 40}
	e, err := New(Config{TickInterval: time.Millisecond, CommitInterval: time.Millisecond}, Ports{Store: mem, Source: src, Pipelines: asPipelines([]*chainPipeline{p})})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	ticks := func() (times []edged.Timestamp) {
		mem.mu.Lock()
		defer mem.mu.Unlock()
		for i := range mem.journal {
			if mem.journal[i].Kind == edged.TickRecord {
				times = append(times, mem.journal[i].Time)
			}
		}
		return times
	}
	for range 2 {
		had := len(ticks())
		src.feed <- edged.Batch{Messages: []edged.Message{message("k1 1", 1)}}
		eventually(t, "the ticks", func() bool { return len(ticks()) > had+3 })
		var last int
		eventually(t, "the end of the ticks", func() bool {
			<-time.After(30 * time.Millisecond)
			was := last
			last = len(ticks())
			return was == last
		})
		all := ticks()[had:]
		if n := len(all); n > 12 {
			t.Errorf("%d ticks in 44 ms of processing time", n)
		}
		for i := 1; i < len(all); i++ {
			if all[i].FloorTo(4, 0) == all[i-1].FloorTo(4, 0) {
				t.Errorf("two ticks for one multiple: %d", all)
			}
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}
