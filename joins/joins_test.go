package joins_test

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"edged"
	"edged/joins"
)

var seed = flag.Uint64("seed", 1, "seed of the random tests")

// random returns a generator whose seed a failing test prints.
func random(t testing.TB) *rand.Rand {
	t.Helper()
	t.Logf("seed %d", *seed)
	return rand.New(rand.NewPCG(*seed, 0))
}

// event makes an event whose only value is its seq, so that rows tell their origin.
func event(r *reading) *edged.Event {
	ev := &edged.Event{Seq: r.seq, EventTime: r.t, Values: []edged.Value{edged.TextValue(name(r))}}
	if r.right {
		ev.Stream = 1
	}
	return ev
}

func label(values []edged.Value) string {
	if values == nil {
		return "-"
	}
	return values[0].Text()
}

// lines renders matches as the oracle does.
func lines(m *joins.Matches) (out []string) {
	for _, r := range m.Rows {
		out = append(out, fmt.Sprintf("%s %s [%d,%d)", label(r.Left), label(r.Right), r.Start, r.End))
	}
	for _, s := range m.Late {
		out = append(out, fmt.Sprintf("late %s until %d limit %v", label(s.Values), s.End, s.Limit))
	}
	for range m.Unassigned {
		out = append(out, "unassigned")
	}
	return out
}

func anyKind(r *rand.Rand) joins.Kind { return joins.Kind(r.IntN(4)) }

// anySpec returns a join of any type with short and sometimes enormous distances.
func anySpec(r *rand.Rand) joins.Spec {
	most := 1000
	if r.IntN(4) == 0 {
		most = 1 + r.IntN(6)
	}
	huge := r.IntN(8) == 0
	switch r.IntN(3) {
	case 0:
		c := &joins.Interval{Kind: anyKind(r), Lower: r.Int64N(21) - 10, EventsMax: most}
		c.Upper = c.Lower + r.Int64N(12)
		if huge {
			c.Lower, c.Upper = -joins.SpanMax, joins.SpanMax
		}
		return c
	case 1:
		c := &joins.AsOf{Kind: joins.Kind(r.IntN(2)), Tolerance: r.Int64N(15), EventsMax: most}
		if huge {
			c.Tolerance = joins.SpanMax - 1
		}
		return c
	}
	c := &joins.Window{Kind: anyKind(r), Size: 1 + r.Int64N(20), Offset: r.Int64N(100) - 50, EventsMax: most}
	if r.IntN(2) == 0 {
		c.Period = 1 + r.Int64N(30)
	}
	if huge {
		c.Size, c.Period = joins.SpanMax, joins.SpanMax/3
	}
	return c
}

func anyTime(r *rand.Rand, near edged.Timestamp) edged.Timestamp {
	switch r.IntN(60) {
	case 0:
		return edged.MinTimestamp.Add(r.Int64N(5))
	case 1:
		return edged.MaxTimestamp.Add(-r.Int64N(5))
	case 2:
		return edged.Timestamp(r.Uint64())
	}
	return near.Add(r.Int64N(30) - 12)
}

// Every join gives exactly what the oracle says, in its order, when restored
// before any step, too; no row comes behind the promised watermark; and what is
// pending is done with when the watermark is there.
func TestAgainstOracle(t *testing.T) {
	r := random(t)
	for range 3000 {
		spec := anySpec(r)
		if err := spec.Validate(); err != nil {
			t.Fatal(err)
		}
		o, s := newOracle(spec), spec.New()
		near := edged.Timestamp(0)
		var out joins.Matches
		for seq := range edged.Seq(40) {
			s = restored(t, spec, s)
			promised := s.Watermark()
			o.out = o.out[:0]
			out.Reset()
			if step := r.IntN(10); step < 3 {
				near = near.Add(r.Int64N(12))
				w := near
				if r.IntN(40) == 0 {
					w = anyTime(r, near)
				}
				o.advance(w)
				s.Advance(&out, w)
			} else if at, ok := s.Pending(); ok && step == 3 && seq > 30 {
				o.advance(at)
				s.Advance(&out, at)
				if _, ok := s.Pending(); ok {
					t.Fatalf("%+v: something is pending at %d", spec, at)
				}
			} else {
				ev := &reading{seq: seq, right: r.IntN(2) == 0, t: anyTime(r, near)}
				o.add(ev)
				s.Add(&out, event(ev))
			}
			if got, want := lines(&out), o.out; !slices.Equal(got, want) {
				t.Fatalf("%T %+v, step %d at %d\n got %q\nwant %q", spec, spec, seq, o.w, got, want)
			}
			if s.Open() != o.kept() {
				t.Fatalf("%T %+v: %d events are kept, want %d", spec, spec, s.Open(), o.kept())
			}
			checkRows(t, spec, &out, promised)
		}
	}
}

// checkRows checks what is the same for all joins.
func checkRows(t *testing.T, spec joins.Spec, out *joins.Matches, promised edged.Timestamp) {
	t.Helper()
	for _, row := range out.Rows {
		if row.Time < promised || row.Time < row.Start || row.Time >= row.End && row.End != edged.MaxTimestamp {
			t.Fatalf("%T %+v: a row of %d in [%d,%d), promised was %d", spec, spec, row.Time, row.Start, row.End, promised)
		}
	}
	limited := 0
	for _, s := range out.Late {
		if s.Limit {
			limited++
		}
	}
	if limited != out.Overflow || len(out.Missed) < len(out.Late) {
		t.Fatalf("%T %+v: %d of %+v are limited, missed %v", spec, spec, out.Overflow, out.Late, out.Missed)
	}
}

// restored returns the state after its bytes were written and read.
func restored(t *testing.T, spec joins.Spec, s joins.State) joins.State {
	t.Helper()
	stored := s.AppendBinary(nil)
	again := spec.New()
	if rest, err := again.Restore(append(slices.Clip(stored), "tail"...)); err != nil || string(rest) != "tail" {
		t.Fatalf("restore: %q left, %v", rest, err)
	}
	if !slices.Equal(again.AppendBinary(nil), stored) || again.Open() != s.Open() || again.Watermark() != s.Watermark() {
		t.Fatalf("%+v: the restored state differs", spec)
	}
	return again
}

// Rows depend neither on the steps in which the watermark advances nor, while no
// event is behind it, on the order in which they come.
func TestStepsAndOrderDoNotMatter(t *testing.T) {
	r := random(t)
	for range 500 {
		spec := anySpec(r)
		var events []*reading
		for seq := range edged.Seq(20) {
			events = append(events, &reading{seq: seq, right: r.IntN(2) == 0, t: edged.Timestamp(r.IntN(40) - 20)})
		}
		const end = 100
		if limit := spec.New(); len(events) > eventsMax(spec) {
			_ = limit
			continue
		}
		play := func(order []int, step edged.Timestamp) (advanced, all []string) {
			s := spec.New()
			var out joins.Matches
			for _, i := range order {
				s.Add(&out, event(events[i]))
			}
			n := len(lines(&out))
			for w := edged.Timestamp(-60); w < end; w += step {
				s.Advance(&out, w)
			}
			s.Advance(&out, end)
			all = lines(&out)
			return all[n:], all
		}
		order := r.Perm(len(events))
		fine, all := play(order, 1)
		if coarse, _ := play(order, 200); !slices.Equal(fine, coarse) {
			t.Fatalf("%T %+v\nin one step %q\n in many     %q", spec, spec, coarse, fine)
		}
		if distinctTimes(events) {
			_, other := play(r.Perm(len(events)), 7)
			slices.Sort(all)
			slices.Sort(other)
			if !slices.Equal(all, other) {
				t.Fatalf("%T %+v\none order %q\n another   %q", spec, spec, all, other)
			}
		}
	}
}

func eventsMax(spec joins.Spec) int {
	switch c := spec.(type) {
	case *joins.Interval:
		return c.EventsMax
	case *joins.AsOf:
		return c.EventsMax
	case *joins.Window:
		return c.EventsMax
	}
	return 0
}

func distinctTimes(events []*reading) bool {
	seen := map[edged.Timestamp]bool{}
	for _, e := range events {
		seen[e.t] = true
	}
	return len(seen) == len(events)
}

func TestValidate(t *testing.T) {
	for _, test := range []struct {
		spec   joins.Spec
		faults int
	}{
		{&joins.Interval{}, 0},
		{&joins.Interval{Kind: 4, Lower: 1, EventsMax: -1}, 3},
		{&joins.Interval{Lower: -joins.SpanMax - 1, Upper: joins.SpanMax}, 1},
		{&joins.AsOf{Kind: joins.Full, Tolerance: -1}, 2},
		{&joins.Window{}, 1},
		{&joins.Window{Size: 10, Period: -1}, 1},
		{&joins.Window{Size: joins.WindowsMax, Period: 1}, 0},
		{&joins.Window{Size: joins.WindowsMax + 1, Period: 1, EventsMax: joins.EventsMaxMost + 1}, 2},
	} {
		err, n := test.spec.Validate(), 0
		if err != nil {
			n = strings.Count(err.Error(), "\n") + 1
		}
		if n != test.faults || err != nil && !errors.Is(err, joins.ErrConfig) {
			t.Errorf("%+v: %d faults, want %d: %v", test.spec, n, test.faults, err)
		}
	}
}

// A window may give only so many rows: the event that would exceed them is refused
// with all its windows.
func TestPairsAreBounded(t *testing.T) {
	s := (&joins.Window{Size: 20, Period: 10}).New()
	var out joins.Matches
	for i := range edged.Seq(512) {
		s.Add(&out, event(&reading{seq: i, right: i%2 == 0, t: 5}))
	}
	if len(out.Late) != 0 {
		t.Fatalf("%d events are refused", len(out.Late))
	}
	s.Add(&out, event(&reading{seq: 600, t: 5}))
	s.Add(&out, event(&reading{seq: 601, t: 25})) // shares no window with them
	want := []edged.Miss{{Trigger: 600, Time: 5, Start: -10, End: 10, Limit: true}, {Trigger: 600, Time: 5, Start: 0, End: 20, Limit: true}}
	if len(out.Late) != 1 || out.Overflow != 1 || !slices.Equal(out.Missed, want) {
		t.Fatalf("late %v, missed %v", out.Late, out.Missed)
	}
	s.Advance(&out, 10)
	if len(out.Rows) != joins.PairsMax {
		t.Fatalf("%d rows", len(out.Rows))
	}
}

func FuzzRestore(f *testing.F) {
	specs := []joins.Spec{
		&joins.Interval{Kind: joins.Full, Lower: -5, Upper: 10},
		&joins.AsOf{Kind: joins.Left, Tolerance: 10},
		&joins.Window{Kind: joins.Full, Size: 20, Period: 10},
		&joins.Window{Kind: joins.Full, Size: 5, Period: 10},
	}
	r := rand.New(rand.NewPCG(1, 0))
	for i, spec := range specs {
		s := spec.New()
		var out joins.Matches
		for seq := range edged.Seq(12) {
			f.Add(i, s.AppendBinary(nil))
			s.Add(&out, event(&reading{seq: seq, right: r.IntN(2) == 0, t: anyTime(r, edged.Timestamp(seq))}))
			if seq%4 == 3 {
				s.Advance(&out, edged.Timestamp(seq))
			}
		}
	}
	f.Fuzz(func(t *testing.T, which int, data []byte) {
		spec := specs[uint(which)%uint(len(specs))]
		s := spec.New()
		if _, err := s.Restore(data); err != nil {
			if !errors.Is(err, joins.ErrState) || s.Open() != 0 {
				t.Fatal(err)
			}
			return
		}
		s = restored(t, spec, s)
		var out joins.Matches
		w := s.Watermark()
		for i, at := range []edged.Timestamp{w.Add(-1), w, w.Add(11), 0} {
			s.Add(&out, event(&reading{seq: edged.Seq(i), right: i%2 == 0, t: at}))
		}
		if at, ok := s.Pending(); ok {
			s.Advance(&out, at)
		}
		s.Advance(&out, edged.MaxTimestamp)
		if s.Open() != 0 && w != edged.MaxTimestamp {
			t.Fatalf("%d events are kept at the end of time", s.Open())
		}
	})
}

func benchmark(b *testing.B, spec joins.Spec) {
	b.ReportAllocs()
	s := spec.New()
	var out joins.Matches
	ev := edged.Event{Values: []edged.Value{edged.NumberValue(1), edged.NumberValue(2)}}
	rows := 0
	for b.Loop() {
		out.Reset()
		ev.EventTime += 50
		ev.Stream ^= 1
		s.Add(&out, &ev)
		s.Advance(&out, ev.EventTime-1000)
		rows += len(out.Rows)
	}
	b.ReportMetric(float64(rows)/float64(b.N), "rows/op")
}

// Two streams of 10 events a second each, with a watermark a second behind.
func BenchmarkInterval(b *testing.B) {
	benchmark(b, &joins.Interval{Kind: joins.Full, Lower: -50, Upper: 50})
}
func BenchmarkAsOf(b *testing.B) { benchmark(b, &joins.AsOf{Kind: joins.Left, Tolerance: 1000}) }
func BenchmarkWindow(b *testing.B) {
	benchmark(b, &joins.Window{Kind: joins.Full, Size: 100})
}
