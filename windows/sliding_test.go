package windows_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"edged"
	"edged/windows"
)

// looking is the oracle of sliding windows: it keeps all events for ever.
type looking struct {
	windows.Sliding
	lateness    int64
	elementsMax int
	early       bool
	w           edged.Timestamp
	items       []item
	triggers    map[edged.Timestamp]uint32 // times that have a window, and its firings
}

func (o *looking) window(t edged.Timestamp) windows.Window {
	return windows.Window{Start: t.Add(1 - o.Size), End: t.Add(o.LookAhead).Add(1)}
}

func (o *looking) fire(t edged.Timestamp, timing edged.Timing) string {
	var in []item
	for _, it := range o.items {
		// In whole milliseconds, without the bounds, which saturate.
		if behind := t.Sub(it.at); behind < o.Size && it.at.Sub(t) <= o.LookAhead {
			in = append(in, it)
		}
	}
	index := o.triggers[t]
	o.triggers[t]++
	w := o.window(t)
	last := timing != edged.Early && o.w >= w.End.Add(o.lateness)
	return pane(timing, index, last, w, o.w, list(in))
}

// times returns the times that have a window, in order.
func (o *looking) times() []edged.Timestamp {
	var times []edged.Timestamp
	for t := range o.triggers {
		times = append(times, t)
	}
	slices.Sort(times)
	return times
}

func (o *looking) step(i int, m move) string {
	var b string
	late, overflow := 0, 0
	switch m.kind {
	case 'e':
		own := o.window(m.at)
		triggers := o.When < 0 || m.a
		until, kept := m.at.Add(o.Size).Add(o.LookAhead).Add(o.lateness), 0
		if triggers {
			until = own.End.Add(o.lateness)
		}
		for _, it := range o.items {
			kept += btoi(o.w < it.at.Add(o.Size).Add(o.LookAhead).Add(o.lateness))
		}
		if o.w >= until || kept >= o.elementsMax {
			limit := o.w < until
			late, overflow = btoi(!limit), btoi(limit)
			b = fmt.Sprintf("refused %d..%d W%d; missed [%d,%d) %v; ", m.at, own.End, o.w, own.Start, own.End, limit)
			break
		}
		o.items = append(o.items, item{m.at, i})
		if triggers {
			o.triggers[m.at] += 0
			if o.early && o.w < own.End {
				b += o.fire(m.at, edged.Early)
			}
		}
		for _, t := range o.times() {
			contains := t.Sub(m.at) < o.Size && m.at.Sub(t) <= o.LookAhead
			if end := o.window(t).End; contains && end <= o.w && o.w < end.Add(o.lateness) {
				b += o.fire(t, edged.Late)
			}
		}
	default:
		from, to := o.w, m.at
		if m.kind == 'i' {
			to = o.w
			for t := range o.triggers {
				to = max(to, o.window(t).End)
			}
		}
		o.w = max(o.w, to)
		for _, t := range o.times() {
			if end := o.window(t).End; from < end && end <= o.w {
				b += o.fire(t, edged.OnTime)
			}
		}
	}
	return b + fmt.Sprintf("late %d overflow %d unassigned 0", late, overflow)
}

// slidingCase returns a spec and its oracle.
func slidingCase(t testing.TB, p windows.Sliding, lateness int64, elementsMax int, early bool) (*windows.Spec, *looking) {
	s := windows.Spec{Sliding: &p, AllowedLateness: lateness, ElementsMax: elementsMax}
	if early {
		s.Trigger.Early = &windows.Section{When: windows.Condition{Events: 1}}
	}
	return valid(t, s), &looking{
		Sliding: p, lateness: lateness, elementsMax: elementsMax, early: early, w: edged.MinTimestamp, triggers: map[edged.Timestamp]uint32{},
	}
}

func TestSlidingExhaustively(t *testing.T) {
	moves := []move{{kind: 'e', at: 1, a: true}, {kind: 'e', at: 2}, {kind: 'e', at: 4, a: true}, {kind: 'w', at: 3}, {kind: 'w', at: 5}}
	for _, p := range []windows.Sliding{{Size: 2, When: -1}, {Size: 3, LookAhead: 1, When: 1}, {Size: 1, LookAhead: 2, When: -1}} {
		for _, lateness := range []int64{0, 2} {
			for _, early := range []bool{false, true} {
				scripts(5, moves, func(script []move) {
					spec, o := slidingCase(t, p, lateness, 3, early)
					compare(t, spec, o, script, func(i int) bool { return i == 3 })
				})
			}
		}
	}
}

func TestSlidingRandomly(t *testing.T) {
	t.Logf("seed %d", *seed)
	r := rand.New(rand.NewPCG(*seed, 8))
	for range 600 {
		p := windows.Sliding{Size: 1 + r.Int64N(40), LookAhead: r.Int64N(2) * r.Int64N(30), When: 2*r.IntN(2) - 1}
		spec, o := slidingCase(t, p, r.Int64N(2)*r.Int64N(30), 5+r.IntN(60), r.IntN(3) == 0)
		compare(t, spec, o, drift(r, 80, 1+r.Int64N(12), false), func(int) bool { return r.IntN(8) == 0 })
	}
}

// A look back of 10 with events at 10, 15 and 25, worked out by hand: the window is
// (t-10, t], so the event at 15 is not in the one of 25.
func TestSlidingExample(t *testing.T) {
	s := valid(t, windows.Spec{Sliding: &windows.Sliding{Size: 10, When: -1}, AllowedLateness: 5}).New()
	for i, step := range []struct {
		m    move
		want string
	}{
		{move{kind: 'e', at: 10}, ""},
		{move{kind: 'e', at: 15}, ""},
		{move{kind: 'w', at: 16}, "on_time 0 true [1,11) W16 [0]; on_time 0 false [6,16) W16 [0,1]; "},
		{move{kind: 'e', at: 14}, "late 0 false [5,15) W16 [0,3]; late 1 false [6,16) W16 [0,3,1]; "},
		{move{kind: 'e', at: 25}, ""},
		{move{kind: 'w', at: 26}, "on_time 0 false [16,26) W26 [4]; "},
		{move{kind: 'e', at: 20}, "refused 20..21 W26; missed [11,21) false; "},
	} {
		want := step.want + fmt.Sprintf("late %d overflow 0 unassigned 0", btoi(i == 6))
		if got := step.m.apply(s, i); got != want {
			t.Errorf("step %d\n got %s\nwant %s", i, got, want)
		}
	}
}

func TestSlidingTellsWhatIsWrong(t *testing.T) {
	for _, p := range []windows.Sliding{{}, {Size: -1}, {Size: windows.SizeMax + 1}, {Size: 1, LookAhead: -1}, {Size: 1, LookAhead: windows.SizeMax + 1}} {
		if err := p.Validate(); !errors.Is(err, windows.ErrSpec) {
			t.Errorf("%+v: %v", p, err)
		}
	}
}

func FuzzSliding(f *testing.F) {
	early := windows.Trigger{Early: &windows.Section{When: windows.Condition{Events: 1}}}
	fuzz(f, valid(f, windows.Spec{Sliding: &windows.Sliding{Size: 20, When: -1}, ElementsMax: 9}),
		valid(f, windows.Spec{Sliding: &windows.Sliding{Size: 7, LookAhead: 9, When: 1}, AllowedLateness: 11, Trigger: early}),
		valid(f, windows.Spec{Sliding: &windows.Sliding{Size: windows.SizeMax, LookAhead: windows.SizeMax, When: 2}, AllowedLateness: windows.SizeMax}))
}

// Each event makes a window fire, which has as many elements as the name says.
func BenchmarkSliding(b *testing.B) {
	for _, n := range []int64{10, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			perEvent(b, valid(b, windows.Spec{Sliding: &windows.Sliding{Size: 10 * n, When: -1}, Layout: plain(b)}))
		})
	}
	b.Run("rarely", func(b *testing.B) { // slot 1 is absent: no event fires
		perEvent(b, valid(b, windows.Spec{Sliding: &windows.Sliding{Size: 1000, When: 1}, Layout: plain(b)}))
	})
}
