package windows_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"edged"
	"edged/windows"
)

// twin is the operator that folds every event into each of its windows, as the
// oracle of the one with slices.
type twin struct{ windows.State }

func (o twin) step(i int, m move) string { return m.apply(o.State, i) }

func unsliced(spec *windows.Spec) twin {
	o := windows.NewOperator(spec)
	return twin{&o}
}

// hopping returns a spec whose panes overlap.
func hopping(t testing.TB, a windows.Hopping, lateness int64) *windows.Spec {
	return valid(t, windows.Spec{Assigner: a, AllowedLateness: lateness, OpenMax: 1 << 20})
}

func TestSlicesExhaustively(t *testing.T) {
	moves := []move{{kind: 'e', at: 1}, {kind: 'e', at: 6}, {kind: 'e', at: 11}, {kind: 'w', at: 8}, {kind: 'w', at: 13}, {kind: 'i'}}
	for _, a := range []windows.Hopping{{Size: 8, Period: 4}, {Size: 10, Period: 4, Offset: 1}, {Size: 5, Period: 4}} {
		for _, lateness := range []int64{0, 6} {
			spec := hopping(t, a, lateness)
			scripts(5, moves, func(script []move) {
				compare(t, spec, unsliced(spec), script, func(i int) bool { return i == 3 })
			})
		}
	}
}

func TestSlicesRandomly(t *testing.T) {
	t.Logf("seed %d", *seed)
	r := rand.New(rand.NewPCG(*seed, 2))
	for range 800 {
		period := 4 + r.Int64N(9)
		a := windows.Hopping{Size: period + 1 + r.Int64N(12*period), Period: period, Offset: r.Int64N(60) - 30}
		lateness := r.Int64N(3) * r.Int64N(40)
		spec := hopping(t, a, lateness)
		compare(t, spec, unsliced(spec), drift(r, 120, 1+r.Int64N(20), false), func(int) bool { return r.IntN(8) == 0 })
	}
}

// What windows have merged before does not change the bits of what they merge
// next, though additions are rounded.
func TestSlicesMergeTheSameAfterARestore(t *testing.T) {
	t.Logf("seed %d", *seed)
	r := rand.New(rand.NewPCG(*seed, 3))
	for range 100 {
		spec := valid(t, windows.Spec{Assigner: windows.Hopping{Size: 100 + r.Int64N(10), Period: 10}, AllowedLateness: r.Int64N(2) * 60, Layout: plain(t)})
		a := spec.New()
		for i := range 300 {
			b := restored(t, spec, a)
			var x, y edged.Output
			ev := edged.Event{EventTime: edged.Timestamp(i*5 - r.IntN(60)), Values: []edged.Value{edged.NumberValue(r.NormFloat64() * 1e9)}}
			w := edged.Timestamp(i*5 - r.IntN(40))
			for s, out := range map[windows.State]*edged.Output{a: &x, b: &y} {
				s.Add(out, &ev, windows.Moment{})
				s.Advance(out, w, windows.Moment{})
			}
			if fmt.Sprint(x.Results) != fmt.Sprint(y.Results) { // floats in full
				t.Fatalf("step %d\n got %v\nwant %v", i, y.Results, x.Results)
			}
		}
	}
}

func TestSlicesAreLimited(t *testing.T) {
	spec := valid(t, windows.Spec{Assigner: windows.Hopping{Size: 8, Period: 4}, OpenMax: 2})
	s := spec.New()
	for i, want := range []string{
		"late 0 overflow 0 unassigned 0", "late 0 overflow 0 unassigned 0",
		"refused 9..16 W-9223372036854775808; missed [4,12) true; missed [8,16) true; late 0 overflow 2 unassigned 0",
		"late 0 overflow 0 unassigned 0",
		"on_time 0 true [-4,4) W8 [0]; on_time 0 true [0,8) W8 [0,1,3]; late 0 overflow 0 unassigned 0",
		"late 0 overflow 0 unassigned 0",
	} {
		m := []move{{kind: 'e', at: 1}, {kind: 'e', at: 6}, {kind: 'e', at: 9}, {kind: 'e', at: 7}, {kind: 'w', at: 8}, {kind: 'e', at: 9}}[i]
		if got := m.apply(s, i); got != want {
			t.Errorf("step %d\n got %s\nwant %s", i, got, want)
		}
	}
}

func TestWarmSlicesDoNotAllocate(t *testing.T) {
	spec := valid(t, windows.Spec{Assigner: windows.Hopping{Size: 100, Period: 10}, Layout: plain(t)})
	s, out := spec.New(), edged.Output{}
	ev := edged.Event{Key: "k", Values: []edged.Value{edged.NumberValue(1)}}
	step := func() {
		out.Reset()
		ev.EventTime += 3
		s.Add(&out, &ev, windows.Moment{})
		s.Advance(&out, ev.EventTime-5, windows.Moment{})
	}
	for range 1000 {
		step()
	}
	if n := testing.AllocsPerRun(1000, step); n != 0 {
		t.Errorf("%v allocations per event", n)
	}
}

func FuzzSlices(f *testing.F) {
	f.Add(byte(1), []byte{0, 0, 1, 10, 2}, []byte{253, 253, 253}) // a firing without events
	fuzz(f, valid(f, windows.Spec{Assigner: windows.Hopping{Size: 40, Period: 10}}),
		valid(f, windows.Spec{Assigner: windows.Hopping{Size: 45, Period: 4, Offset: 3}, AllowedLateness: 20, OpenMax: 9}),
		valid(f, windows.Spec{Assigner: windows.Hopping{Size: 5, Period: 4, Offset: -1}, AllowedLateness: windows.SizeMax}),
		valid(f, windows.Spec{Assigner: windows.Hopping{Size: windows.SizeMax, Period: windows.SizeMax / 2, Offset: -9}}))
}

// One event every 10 ms; tumbling windows of 100 s, and windows as long every
// second, so that a slice has 100 events, or every 100 ms, so that it has 10.
func BenchmarkTumblingStream(b *testing.B) {
	perEvent(b, valid(b, windows.Spec{Assigner: windows.Tumbling{Size: 100_000}, Layout: plain(b)}))
}

func BenchmarkHopping100(b *testing.B) {
	perEvent(b, valid(b, windows.Spec{Assigner: windows.Hopping{Size: 100_000, Period: 1000}, Layout: plain(b)}))
}

func BenchmarkHopping100Sparse(b *testing.B) {
	perEvent(b, valid(b, windows.Spec{Assigner: windows.Hopping{Size: 10_000, Period: 100}, Layout: plain(b)}))
}

func BenchmarkHopping100WithoutSlices(b *testing.B) {
	spec := valid(b, windows.Spec{Assigner: windows.Hopping{Size: 10_000, Period: 100}, Layout: plain(b)})
	s, out := unsliced(spec), edged.Output{}
	ev := edged.Event{Key: "k", EventTime: 1_700_000_000_000, Values: []edged.Value{edged.NumberValue(21.37)}}
	b.ReportAllocs()
	for b.Loop() {
		out.Reset()
		ev.EventTime += 10
		s.Add(&out, &ev, windows.Moment{})
		s.Advance(&out, ev.EventTime-50, windows.Moment{})
	}
}
