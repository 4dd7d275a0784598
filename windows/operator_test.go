package windows_test

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"edged"
	"edged/windows"
	"edged/windows/agg"
)

var seed = flag.Uint64("seed", 1, "seed of the random tests")

// spec returns tumbling windows of 10 ms that count and sum slot 0.
func spec(t testing.TB, change ...func(*windows.Spec)) *windows.Spec {
	t.Helper()
	layout, err := agg.NewLayout([]agg.Column{
		{Function: agg.Count{}, Slot: agg.Events},
		{Function: agg.Sum{}, Slot: 0},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := &windows.Spec{Assigner: windows.Tumbling{Size: 10}, Layout: layout}
	for _, c := range change {
		c(s)
	}
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	return s
}

func lateness(ms int64) func(*windows.Spec) {
	return func(s *windows.Spec) { s.AllowedLateness = ms }
}

// play runs a script like "e12 w15 e3": events, by their time, with value 1,
// and watermarks. It returns one line per result and one for each count.
func play(s *windows.Spec, script string) string {
	var out edged.Output
	o := windows.NewOperator(s)
	for i, step := range strings.Fields(script) {
		var at int64
		fmt.Sscan(step[1:], &at)
		if step[0] == 'w' {
			o.Advance(&out, edged.Timestamp(at), windows.Moment{Key: "k", Trigger: edged.Seq(i)})
			continue
		}
		o.Add(&out, &edged.Event{Key: "k", Seq: edged.Seq(i), EventTime: edged.Timestamp(at), Values: []edged.Value{edged.NumberValue(1)}}, windows.Moment{Key: "k", Trigger: edged.Seq(i)})
	}
	return describe(&out)
}

func describe(out *edged.Output) string {
	var lines []string
	for _, r := range out.Results {
		if r.Kind == edged.LateResult {
			lines = append(lines, fmt.Sprintf("rejected %d of ..%d", r.Start, r.End))
			continue
		}
		lines = append(lines, fmt.Sprintf("%s %d [%d,%d) count %v", r.Timing, r.Index, r.Start, r.End, r.Values[0].Float()))
	}
	if out.Late > 0 {
		lines = append(lines, fmt.Sprintf("late %d", out.Late))
	}
	if out.Overflow > 0 {
		lines = append(lines, fmt.Sprintf("overflow %d", out.Overflow))
	}
	return strings.Join(lines, "; ")
}

func TestEdges(t *testing.T) {
	for _, test := range []struct {
		name     string
		lateness int64
		script   string
		want     string
	}{
		{"nothing fires before the end", 0, "e0 e9 w9", ""},
		{"the end itself completes", 0, "e0 e9 w10", "on_time 0 [0,10) count 2"},
		{"an event at the end is the next window's", 0, "e9 e10 w10 w20", "on_time 0 [0,10) count 1; on_time 0 [10,20) count 1"},
		{"behind the watermark but in time", 0, "e5 w9 e0 w10", "on_time 0 [0,10) count 2"},
		{"too late", 0, "e5 w10 e5", "on_time 0 [0,10) count 1; rejected 5 of ..10; late 1"},
		{"late but allowed", 3, "e5 w10 e5 e6", "on_time 0 [0,10) count 1; late 1 [0,10) count 2; late 2 [0,10) count 3"},
		{"last moment of lateness", 3, "e5 w12 e5", "on_time 0 [0,10) count 1; late 1 [0,10) count 2"},
		{"lateness is over", 3, "e5 w13 e5", "on_time 0 [0,10) count 1; rejected 5 of ..10; late 1"},
		{"late without an on-time pane", 3, "w10 e5", "late 0 [0,10) count 1"},
		{"several at once, by start", 0, "e25 e5 e15 w30", "on_time 0 [0,10) count 1; on_time 0 [10,20) count 1; on_time 0 [20,30) count 1"},
		{"empty windows do not fire", 0, "e5 e45 w100", "on_time 0 [0,10) count 1; on_time 0 [40,50) count 1"},
		{"negative times", 0, "e-1 e-10 e0 w0", "on_time 0 [-10,0) count 2"},
		{"a watermark going back is ignored", 0, "e5 w10 w3 e5", "on_time 0 [0,10) count 1; rejected 5 of ..10; late 1"},
		{"end of time", 0, "e9223372036854775806 w9223372036854775807", "on_time 0 [9223372036854775800,9223372036854775807) count 1"},
		{"end of time with lateness", 5, "e9223372036854775806 w9223372036854775807 e3", "on_time 0 [9223372036854775800,9223372036854775807) count 1; rejected 3 of ..10; late 1"},
		{"start of time", 0, "e-9223372036854775808 w-9223372036854775800", "on_time 0 [-9223372036854775808,-9223372036854775800) count 1"},
		{"the last millisecond is in no window", 0, "w9223372036854775807 e9223372036854775807", "rejected 9223372036854775807 of ..9223372036854775807; late 1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := play(spec(t, lateness(test.lateness)), test.script); got != test.want {
				t.Errorf("%s\n got %s\nwant %s", test.script, got, test.want)
			}
		})
	}
}

func TestOpenMaxRefusesAndReports(t *testing.T) {
	s := spec(t, func(s *windows.Spec) { s.OpenMax = 2 })
	const script = "e5 e15 e25 e6 w10 e25"
	const want = "rejected 25 of ..30; on_time 0 [0,10) count 2; overflow 1"
	if got := play(s, script); got != want {
		t.Errorf("%s\n got %s\nwant %s", script, got, want)
	}
}

func TestResultsSayWhatMadeThemFire(t *testing.T) {
	o, out := windows.NewOperator(spec(t)), edged.Output{}
	o.Add(&out, &edged.Event{Key: "k", Seq: 4, EventTime: 5, Values: []edged.Value{edged.NumberValue(2.5)}}, windows.Moment{Key: "k", Trigger: 4})
	o.Advance(&out, 12, windows.Moment{Key: "k", Trigger: 9, Cause: edged.ByIdle})
	o.Add(&out, &edged.Event{Key: "k", Seq: 10, EventTime: 6, Values: []edged.Value{edged.TextValue("x"), edged.NumberValue(1)}}, windows.Moment{Key: "k", Trigger: 10})
	want := []edged.Result{
		{Kind: edged.PaneResult, Cause: edged.ByIdle, Last: true, Trigger: 9, Key: "k", Start: 0, End: 10, Watermark: 12,
			Values: []edged.Value{edged.NumberValue(1), edged.NumberValue(2.5)}},
		{Kind: edged.LateResult, Timing: edged.Late, Trigger: 10, Key: "k", Start: 6, End: 10, Watermark: 12,
			Values: []edged.Value{edged.TextValue("x"), edged.NumberValue(1)}},
	}
	if got := fmt.Sprint(out.Results); got != fmt.Sprint(want) {
		t.Errorf("\n got %s\nwant %v", got, want)
	}
}

// Tumbling windows partition time: checked against integers without bounds.
func TestTumblingAgainstBigIntegers(t *testing.T) {
	t.Logf("seed %d", *seed)
	r := rand.New(rand.NewPCG(*seed, 0))
	for range 20000 {
		a := windows.Tumbling{Size: 1 + r.Int64N(1<<r.IntN(60)), Offset: anyInt(r)}
		at := anyInt(r)
		got, _ := a.Assign(edged.Timestamp(at), 0)
		since := new(big.Int).Sub(big.NewInt(at), big.NewInt(a.Offset))
		since.Mod(since, big.NewInt(a.Size))
		start := new(big.Int).Sub(big.NewInt(at), since)
		end := new(big.Int).Add(start, big.NewInt(a.Size))
		if want := (windows.Window{Start: saturate(start), End: saturate(end)}); got != want {
			t.Fatalf("%+v: window of %d is %v, want %v", a, at, got, want)
		}
	}
}

func anyInt(r *rand.Rand) int64 {
	switch r.IntN(4) {
	case 0:
		return r.Int64N(100) - 50
	case 1:
		return math.MinInt64 + r.Int64N(100)
	case 2:
		return math.MaxInt64 - r.Int64N(100)
	}
	return int64(r.Uint64())
}

func saturate(n *big.Int) edged.Timestamp {
	switch {
	case n.IsInt64():
		return edged.Timestamp(n.Int64())
	case n.Sign() < 0:
		return edged.MinTimestamp
	}
	return edged.MaxTimestamp
}

// pairs is an assigner of somebody else's, to prove that the operator leaves the
// number and the overlap of windows to it: size 10, every 5 ms.
type pairs struct{}

func (pairs) Validate() error { return nil }

func (pairs) Assign(t edged.Timestamp, i int) (windows.Window, bool) {
	start := t.FloorTo(5, 0).Add(int64(5*i - 5))
	return windows.Window{Start: start, End: start.Add(10)}, i < 2
}

func TestAssignerIsASeam(t *testing.T) {
	s := spec(t, func(s *windows.Spec) { s.Assigner = pairs{} })
	const script = "e7 e3 w10 e8 w15 e8"
	const want = "on_time 0 [-5,5) count 1; on_time 0 [0,10) count 2; on_time 0 [5,15) count 2; rejected 8 of ..15; late 1"
	if got := play(s, script); got != want {
		t.Errorf("%s\n got %s\nwant %s", script, got, want)
	}
}

func TestValidateJoinsAllFaults(t *testing.T) {
	bad := windows.Spec{Assigner: windows.Tumbling{}, AllowedLateness: -1, OpenMax: -1, ElementsMax: -1}
	err := bad.Validate()
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || len(joined.Unwrap()) != 5 || !errors.Is(err, windows.ErrSpec) {
		t.Errorf("error is %v, want five faults", err)
	}
	if err := (windows.Tumbling{Size: windows.SizeMax + 1}).Validate(); !errors.Is(err, windows.ErrSpec) {
		t.Errorf("error is %v", err)
	}
}

// An operator restored after any step continues like the one it was taken from.
func TestRestoreAtEveryStep(t *testing.T) {
	t.Logf("seed %d", *seed)
	r := rand.New(rand.NewPCG(*seed, 0))
	for range 300 {
		s := spec(t, lateness(r.Int64N(30)), func(s *windows.Spec) { s.OpenMax = 1 + r.IntN(6) })
		a := windows.NewOperator(s)
		var outA, outB edged.Output
		for range 60 {
			b := windows.NewOperator(s)
			stored := a.AppendBinary(nil)
			if rest, err := b.Restore(append(slices.Clip(stored), "tail"...)); err != nil || string(rest) != "tail" {
				t.Fatalf("restore: %q, %v", rest, err)
			}
			if !slices.Equal(b.AppendBinary(nil), stored) || a.Open() != b.Open() {
				t.Fatal("the restored state differs")
			}
			step := randomStep(r, a.Watermark())
			step(&a, &outA)
			step(&b, &outB)
			if x, y := describe(&outA), describe(&outB); x != y {
				t.Fatalf("after a restore\n got %s\nwant %s", y, x)
			}
			if !slices.Equal(a.AppendBinary(nil), b.AppendBinary(nil)) {
				t.Fatal("states part after a restore")
			}
		}
	}
}

func randomStep(r *rand.Rand, w edged.Timestamp) func(*windows.Operator, *edged.Output) {
	near := max(w, -100) + edged.Timestamp(r.Int64N(80)-40)
	if r.IntN(3) == 0 {
		return func(o *windows.Operator, out *edged.Output) { o.Advance(out, near, windows.Moment{Key: "k"}) }
	}
	values := []edged.Value{edged.NumberValue(r.Float64())}
	return func(o *windows.Operator, out *edged.Output) {
		o.Add(out, &edged.Event{Key: "k", EventTime: near, Values: values}, windows.Moment{Key: "k"})
	}
}

func TestPendingIsTheLatestUnfinishedEnd(t *testing.T) {
	o, out := windows.NewOperator(spec(t, lateness(100))), edged.Output{}
	if _, ok := o.Pending(); ok {
		t.Error("an empty operator has a pending window")
	}
	for _, at := range []edged.Timestamp{25, 5} {
		o.Add(&out, &edged.Event{EventTime: at}, windows.Moment{})
	}
	if end, ok := o.Pending(); !ok || end != 30 {
		t.Errorf("pending until %d (%v), want 30", end, ok)
	}
	o.Advance(&out, 30, windows.Moment{})
	if end, ok := o.Pending(); ok || o.Open() != 2 {
		t.Errorf("pending until %d (%v) with %d open, want none pending of 2", end, ok, o.Open())
	}
}

// Once its memory is there, an operator does not allocate: neither for events
// of an open window nor for opening, firing and dropping windows.
func TestWarmOperatorDoesNotAllocate(t *testing.T) {
	o, out := windows.NewOperator(spec(t)), edged.Output{}
	ev := edged.Event{Key: "k", Values: []edged.Value{edged.NumberValue(1)}}
	step := func() {
		out.Reset()
		ev.EventTime += 3
		o.Add(&out, &ev, windows.Moment{Key: "k"})
		o.Advance(&out, ev.EventTime-5, windows.Moment{Key: "k"})
	}
	for range 100 {
		step()
	}
	if n := testing.AllocsPerRun(1000, step); n != 0 {
		t.Errorf("%v allocations per event", n)
	}
}

func BenchmarkTumblingUpdate(b *testing.B) {
	o, out := windows.NewOperator(spec(b)), edged.Output{}
	ev := edged.Event{Key: "k", EventTime: 5, Values: []edged.Value{edged.NumberValue(21.37)}}
	b.ReportAllocs()
	for b.Loop() {
		o.Add(&out, &ev, windows.Moment{Key: "k"})
		o.Advance(&out, ev.EventTime-5, windows.Moment{Key: "k"})
	}
}
