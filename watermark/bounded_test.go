package watermark_test

import (
	"errors"
	"flag"
	"math"
	"math/rand/v2"
	"testing"

	"edged"
	"edged/watermark"
)

var seed = flag.Uint64("seed", 1, "seed of the random tests")

func TestObserve(t *testing.T) {
	const lowest, highest = edged.MinTimestamp, edged.MaxTimestamp
	for _, test := range []struct {
		name       string
		bound      int64
		w, t, want edged.Timestamp
	}{
		{"first event", 100, lowest, 1000, 900},
		{"newer event", 100, 900, 1001, 901},
		{"older event", 100, 900, 950, 900},
		{"no disorder", 0, 5, 6, 6},
		{"negative times", 100, lowest, -1000, -1100},
		{"start of time", 100, lowest, lowest + 1, lowest},
		{"end of time", 0, lowest, highest, highest},
		{"absurd bound", math.MaxInt64, lowest, -5, lowest},
		{"input has ended", 0, highest, 3, highest},
	} {
		b := watermark.Bounded{OutOfOrderness: test.bound}
		if got := b.Observe(test.w, test.t); got != test.want {
			t.Errorf("%s: watermark %d, want %d", test.name, got, test.want)
		}
	}
}

func TestIdle(t *testing.T) {
	const w, active, end = 50, 1000, 70
	for _, test := range []struct {
		name    string
		timeout int64
		now     edged.Timestamp
		end     edged.Timestamp
		want    edged.Timestamp
	}{
		{"just before the timeout", 30, 1029, end, w},
		{"at the timeout", 30, 1030, end, end},
		{"long after", 30, edged.MaxTimestamp, end, end},
		{"never", 0, edged.MaxTimestamp, end, w},
		{"already past the window", 30, 2000, 40, w},
		{"clock behind the event", 30, edged.MinTimestamp, end, w},
	} {
		b := watermark.Bounded{IdleTimeout: test.timeout}
		if got := b.Idle(w, active, test.now, test.end); got != test.want {
			t.Errorf("%s: watermark %d, want %d", test.name, got, test.want)
		}
	}
}

// Due is the first processing time at which Idle does something.
func TestDueIsWhenIdleActs(t *testing.T) {
	for _, timeout := range []int64{1, 7, 30_000} {
		b := watermark.Bounded{IdleTimeout: timeout}
		for _, active := range []edged.Timestamp{-5, 0, 1_700_000_000_000} {
			due := b.Due(active)
			if before, at := b.Idle(0, active, due-1, 9), b.Idle(0, active, due, 9); before != 0 || at != 9 {
				t.Errorf("timeout %d, active %d: watermark %d before and %d at %d", timeout, active, before, at, due)
			}
		}
	}
	if due := (watermark.Bounded{}).Due(5); due != edged.MaxTimestamp {
		t.Errorf("without a timeout idle is due at %d", due)
	}
}

// Whatever comes, a watermark does not go back and is ahead of the newest event
// less the bound only after an idle close.
func TestWatermarkIsMonotone(t *testing.T) {
	t.Logf("seed %d", *seed)
	r := rand.New(rand.NewPCG(*seed, 0))
	for range 500 {
		b := watermark.Bounded{OutOfOrderness: r.Int64N(100), IdleTimeout: r.Int64N(50)}
		w := edged.MinTimestamp
		newest := edged.MinTimestamp
		closed := edged.MinTimestamp
		for range 50 {
			before := w
			if r.IntN(4) > 0 {
				at := edged.Timestamp(r.Int64() - r.Int64())
				if r.IntN(2) == 0 {
					at = edged.Timestamp(r.Int64N(2000) - 1000)
				}
				newest = max(newest, at)
				w = b.Observe(w, at)
			} else {
				end := edged.Timestamp(r.Int64N(3000) - 1000)
				w = b.Idle(w, 0, edged.Timestamp(r.Int64N(100)), end)
				if w > before {
					closed = end
				}
			}
			if w < before {
				t.Fatalf("%+v: watermark went from %d to %d", b, before, w)
			}
			if want := max(newest.Add(-b.OutOfOrderness), closed); w != want {
				t.Fatalf("%+v: watermark %d, want %d", b, w, want)
			}
		}
	}
}

func TestValidate(t *testing.T) {
	if err := (watermark.Bounded{}).Validate(); err != nil {
		t.Error(err)
	}
	err := watermark.Bounded{OutOfOrderness: -1, IdleTimeout: -1}.Validate()
	if joined, ok := err.(interface{ Unwrap() []error }); !ok || len(joined.Unwrap()) != 2 || !errors.Is(err, watermark.ErrConfig) {
		t.Errorf("error is %v, want two faults", err)
	}
}
