package actors

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"edged"
)

// However rows come and timers go, a limit is never exceeded by more than its credit, and
// where rows always wait and nobody is late it is used up.
func TestThrottleModel(t *testing.T) {
	r := newRand(t)
	for range 200 {
		start := time.Unix(1000, 0)
		rate := 1 + r.IntN(5000)
		th := throttle{limit: &Limit{Rows: rate, Until: start.Add(time.Hour)}, next: start}
		lazy := r.IntN(2) == 0 // timers are late, and rows do not always wait
		total, wakes := 0, 0
		type sending struct {
			at   time.Time
			rows int // all up to it
		}
		sent := []sending{{at: start}}
		now := start
		for now.Sub(start) < 20*time.Second {
			most := 1000
			if lazy {
				most = r.IntN(20)
			}
			for n := th.room(now, most); n > 0; n = th.room(now, most-n) {
				th.took(now, n)
				total += n
				most -= n
				sent = append(sent, sending{now, total})
				if lazy {
					break
				}
			}
			at := th.wake(now, true)
			if at.Sub(now) < throttleGrain {
				t.Fatalf("wakes after %v", at.Sub(now))
			}
			wakes++
			now = at
			if lazy {
				now = now.Add(time.Duration(r.Int64N(int64(time.Second))))
			}
		}
		for i := range sent {
			for j := i + 1; j < min(len(sent), i+50); j++ {
				span := sent[j].at.Sub(sent[i].at)
				// What went at the first moment is not within.
				if rows, most := sent[j].rows-sent[i].rows, int((span+throttleCredit).Seconds()*float64(rate)*1.001)+2; rows > most {
					t.Fatalf("%d rows within %v, at most %d at %d per second", rows, span, most, rate)
				}
			}
		}
		if want := 20 * rate; !lazy && (total < want-want/1000-rate/10-1 || total > want+want/1000+rate/10+1) {
			t.Errorf("%d rows in 20 s at %d per second", total, rate)
		}
	}
}

func TestThrottleEdges(t *testing.T) {
	now := time.Unix(1000, 0)
	var none throttle
	none.took(now, 5)
	if none.room(now, 7) != 7 || none.over(now) {
		t.Error("no limit limits")
	}
	hold := throttle{limit: &Limit{Until: now.Add(time.Hour)}, next: now}
	if hold.room(now.Add(time.Minute), 7) != 0 || hold.wake(now, true) != now.Add(time.Hour) {
		t.Error("a limit of 0 lets rows go, or wakes for them")
	}
	if hold.over(now.Add(time.Hour-1)) || !hold.over(now.Add(time.Hour)) {
		t.Error("it does not end when it should")
	}
	slow := throttle{limit: &Limit{Rows: 1, Until: now.Add(time.Hour)}, next: now}
	if slow.room(now, 7) != 1 {
		t.Error("the first row waits")
	}
	slow.took(now, 1)
	if slow.room(now.Add(999*time.Millisecond), 7) != 0 || slow.room(now.Add(time.Second), 7) != 1 || slow.room(now.Add(time.Minute), 7) != 1 {
		t.Error("the second one goes early, or a rest is saved up")
	}
	if slow.wake(now, true) != now.Add(time.Second) || slow.wake(now, false) != now.Add(time.Hour) {
		t.Error("it wakes at another time than the second row's, or for none")
	}
	if fast := (throttle{limit: &Limit{Rows: 2e9, Until: now.Add(time.Hour)}, next: now}); fast.room(now.Add(time.Second), 7) != 7 {
		t.Error("an immense limit limits")
	}
}

// timedOutput is a toyOutput that notes when rows came.
type timedOutput struct {
	toyOutput
	times []time.Time
}

func (o *timedOutput) Send(rows []edged.Row) error {
	o.mu.Lock()
	for range rows {
		o.times = append(o.times, time.Now())
	}
	o.mu.Unlock()
	return o.toyOutput.Send(rows)
}

func (o *timedOutput) since(start time.Time) (all []time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, at := range o.times {
		all = append(all, at.Sub(start).Round(time.Millisecond))
	}
	o.times = nil
	return all
}

// throttled runs an engine in a bubble, with a way to make so many rows durable.
func throttled(t *testing.T, cfg Config, links []Link, test func(e *Engine, rows func(n int))) {
	t.Helper()
	src := &feedSource{feed: make(chan edged.Batch)}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	cfg.TickInterval = 10 * time.Second // a day of them takes no time
	e, err := New(cfg, Ports{Store: NewMemoryStore(links...), Source: src, Pipelines: []Pipeline{toyPipeline{}}, Links: links})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	<-e.Ready()
	fed := uint64(0)
	test(e, func(n int) {
		var b edged.Batch
		for range 3 * n { // every third event makes one
			fed++
			b.Messages = append(b.Messages, message("k 1", fed))
		}
		src.feed <- b
		time.Sleep(100 * time.Millisecond) // a commit
		synctest.Wait()
	})
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

// Outputs are limited one by one, in virtual time: at the rate, held, lifted, and for ever
// not longer than asked for. No row is lost, and all come in order.
func TestThrottleOutputs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow, free := &timedOutput{}, &timedOutput{}
		links := []Link{{Stream: "toy", Name: "slow", Output: slow}, {Stream: "toy", Name: "free", Output: free}}
		throttled(t, Config{}, links, func(e *Engine, rows func(int)) {
			start := time.Now()
			limit := &Limit{Rows: 2, Until: start.Add(24 * time.Hour)}
			if n := e.Throttle("toy", "none", limit) + e.Throttle("none", "", limit); n != 0 {
				t.Errorf("%d outputs of wrong names are limited", n)
			}
			if n := e.Throttle("toy", "slow", limit); n != 1 || e.Links()[0].Limit != limit || e.Links()[1].Limit != nil {
				t.Errorf("%d outputs limited: %+v", n, e.Links())
			}
			rows(5)
			if n := len(free.since(start)); n != 5 {
				t.Errorf("%d rows at the output without a limit", n)
			}
			time.Sleep(10 * time.Second)
			at := slow.since(start)
			for i := range at {
				if at[i] < time.Duration(i)*500*time.Millisecond || at[i] > time.Duration(i)*500*time.Millisecond+throttleCredit {
					t.Errorf("rows came at %v", at)
				}
			}
			if len(at) != 5 {
				t.Errorf("%d rows at the limited output", len(at))
			}

			e.Throttle("", "", &Limit{Until: time.Now().Add(24 * time.Hour)})
			rows(500)
			time.Sleep(24*time.Hour - time.Second)
			if n := len(slow.since(start)) + len(free.since(start)); n != 0 {
				t.Errorf("%d rows came while all were held", n)
			}
			time.Sleep(time.Second)
			synctest.Wait()
			if n := len(slow.since(start)); n != 500 || e.Links()[0].Limit != nil || len(free.since(start)) != 500 {
				t.Errorf("%d rows when the limit was over: %+v", n, e.Links())
			}

			e.Throttle("", "slow", &Limit{Until: time.Now().Add(time.Hour)})
			rows(7)
			e.Throttle("", "slow", nil)
			synctest.Wait()
			if n := len(slow.since(start)); n != 7 || e.Links()[0].Limit != nil {
				t.Errorf("%d rows when it was lifted: %+v", n, e.Links())
			}
		})
		for i, row := range slow.got() {
			if want := fmt.Sprintf("%d ", i+1); row[:len(want)] != want {
				t.Fatalf("row %d is %q", i+1, row)
			}
		}
		diff(t, slow.got(), free.got())
		if len(slow.got()) != 512 {
			t.Errorf("%d rows of 512", len(slow.got()))
		}
	})
}

// An output that is held fills the outbox, which pushes back; draining does not wait for
// it, and a swap that replaces it brings one without a limit.
func TestThrottleHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &timedOutput{}
		links := toyLink(out)
		var before time.Time
		throttled(t, Config{OutboxBytesMax: 500, DrainTimeout: time.Hour}, links, func(e *Engine, rows func(int)) {
			e.Throttle("", "", &Limit{Until: time.Now().Add(24 * time.Hour)})
			rows(100)
			if !e.Stats().OutboxBlocked.Load() || len(out.got()) != 0 {
				t.Errorf("blocked %v with %d rows through", e.Stats().OutboxBlocked.Load(), len(out.got()))
			}
			settle := func(edged.Seq) (map[string]edged.Seq, error) { return nil, nil }
			if _, err := e.Swap(t.Context(), Swap{Pipelines: []Pipeline{toyPipeline{}}, Links: links, Settle: settle}); err != nil {
				t.Fatal(err)
			}
			if e.Links()[0].Limit == nil {
				t.Error("a swap that left the output lifted its limit")
			}
			other := Link{Stream: "toy", Name: "other", Output: &timedOutput{}}
			if _, err := e.Swap(t.Context(), Swap{Pipelines: []Pipeline{toyPipeline{}}, Links: append(links, other), Settle: settle}); err != nil {
				t.Fatal(err)
			}
			if all := e.Links(); len(all) != 2 || all[0].Limit == nil || all[1].Limit != nil {
				t.Errorf("after a swap that brought an output: %+v", all)
			}
			before = time.Now()
		})
		if d := time.Since(before); d > time.Minute {
			t.Errorf("draining waited %v for an output that is held", d)
		}
	})
}

// Limits come, change and go while the link breaks all the time: every row arrives.
func TestThrottleMoody(t *testing.T) {
	r := newRand(t)
	messages := toyMessages(r, 3000, 5)
	out := &moodyOutput{t: t, window: 1 + r.IntN(10), r: rand.New(rand.NewPCG(r.Uint64(), 2)), got: map[uint64]string{}}
	links := []Link{{Stream: "toy", Name: "out", Output: out, Window: out.window}}
	mem := NewMemoryStore(links...)
	e, err := New(Config{}, Ports{Store: mem, Source: &toySource{batches: toyBatches(r, messages), bounded: true}, Pipelines: []Pipeline{toyPipeline{}}, Links: links, Bounded: true})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- e.Run(t.Context()) }()
	<-e.Ready()
	tick := time.NewTicker(3 * time.Millisecond)
	defer tick.Stop()
	for limits := 0; ; limits++ {
		select {
		case err := <-ended:
			if err != nil {
				t.Fatal(err)
			}
			diffRows(t, out, toyExpected(messages))
			if limits == 0 {
				t.Error("too little happened for this test to fail")
			}
			return
		case <-tick.C:
		}
		limit := &Limit{Rows: r.IntN(20000), Until: time.Now().Add(time.Duration(r.IntN(int(10 * time.Millisecond))))}
		switch r.IntN(4) {
		case 0:
			limit = nil
		case 1:
			limit.Rows = 0
		}
		e.Throttle("", "", limit)
	}
}

func diffRows(t *testing.T, out *moodyOutput, want []string) {
	t.Helper()
	for i, row := range want {
		if got := out.got[uint64(i+1)]; got != row {
			t.Fatalf("row %d: got %q, want %q", i+1, got, row)
		}
	}
}

// wokenOutput connects only when it is woken, unless it is deaf.
type wokenOutput struct {
	toyOutput
	deaf bool
	wake chan struct{}
}

func (o *wokenOutput) Run(ctx context.Context, up func(), down func(error), confirmed func([]uint64)) error {
	select {
	case <-o.wake:
		return o.toyOutput.Run(ctx, up, down, confirmed)
	case <-ctx.Done():
		return nil
	}
}

func (o *wokenOutput) Wake() {
	if !o.deaf {
		signal(o.wake)
	}
}

// A flush lifts limits, wakes who pauses, tells what is left, and waits for what was
// durable at the call, not for what comes later.
func TestFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		held, woken := &timedOutput{}, &wokenOutput{deaf: true, wake: make(chan struct{}, 1)}
		links := []Link{{Stream: "toy", Name: "held", Output: held}, {Stream: "toy", Name: "woken", Output: woken}}
		throttled(t, Config{}, links, func(e *Engine, rows func(int)) {
			if n, err := e.Flush(t.Context(), nil); n != 0 || err != nil {
				t.Errorf("with nothing to do: %d, %v", n, err)
			}
			e.Throttle("", "", &Limit{Until: time.Now().Add(time.Hour)})
			rows(5)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			var told []uint64
			_, err := e.Flush(ctx, func(left, of uint64) { told = append(told, left, of) })
			if err == nil || err.Error() != "5 of 10 rows are not confirmed by their outputs: context deadline exceeded" {
				t.Errorf("with an output that stays down: %v", err)
			}
			if fmt.Sprint(told) != "[5 10]" || len(held.got()) != 5 || e.Links()[0].Limit != nil {
				t.Errorf("told %v, with %d rows through: %+v", told, len(held.got()), e.Links())
			}

			// What comes while it waits is not its business.
			type flushed struct {
				rows uint64
				err  error
			}
			done := make(chan flushed, 1)
			go func() {
				n, err := e.Flush(t.Context(), nil)
				done <- flushed{n, err}
			}()
			synctest.Wait()
			e.Throttle("", "woken", &Limit{Rows: 1, Until: time.Now().Add(time.Hour)})
			rows(3)
			woken.deaf = false
			woken.Wake()
			if f := <-done; f.rows != 5 || f.err != nil || len(woken.got()) != 5 {
				t.Errorf("%+v, with %d rows through", f, len(woken.got()))
			}
			if n, err := e.Flush(t.Context(), nil); n != 3 || err != nil || len(woken.got()) != 8 {
				t.Errorf("%d rows, %v, with %d through", n, err, len(woken.got()))
			}
		})
	})
}
