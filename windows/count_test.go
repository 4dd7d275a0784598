package windows_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"edged"
	"edged/windows"
	"edged/windows/agg"
)

// listing is a layout that shows everything that a window has: its events, the sum
// of their numbers (slot 0), and the list of those in order of time and arrival.
func listing(t testing.TB) *agg.Layout {
	t.Helper()
	collect, err := agg.Find("collect", edged.Number, agg.Params{Max: 1000})
	if err != nil {
		t.Fatal(err)
	}
	l, err := agg.NewLayout([]agg.Column{
		{Function: agg.Count{}, Slot: agg.Events}, {Function: agg.Sum{}, Slot: 0}, {Function: collect, Slot: 0},
	})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// plain is a layout that costs little: count and sum.
func plain(t testing.TB) *agg.Layout {
	t.Helper()
	l, err := agg.NewLayout([]agg.Column{{Function: agg.Count{}, Slot: agg.Events}, {Function: agg.Sum{}, Slot: 0}})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// valid returns the spec once it is.
func valid(t testing.TB, s windows.Spec) *windows.Spec {
	t.Helper()
	if s.Layout == nil {
		s.Layout = listing(t)
	}
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	return &s
}

// move is one step of a script: an event, or a watermark, or the closing of a key
// that has gone silent. Events have a number in slot 0, which is that of the step,
// truth values in slots 1 and 2, and a text in slot 3.
type move struct {
	kind byte // 'e', 'w' or 'i'
	at   edged.Timestamp
	a, b bool
	text string
}

func (m move) String() string {
	s := fmt.Sprintf("%c%d", m.kind, m.at)
	if m.kind == 'e' {
		s += strings.Repeat("+", btoi(m.a)) + strings.Repeat("-", btoi(m.b)) + m.text
	}
	return s
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (m move) event(i int) *edged.Event {
	text := edged.TextValue(m.text)
	if m.text == "" {
		text = edged.Value{}
	}
	return &edged.Event{Key: "k", Seq: edged.Seq(i), EventTime: m.at, Values: []edged.Value{
		edged.NumberValue(float64(i)), edged.BoolValue(m.a), edged.BoolValue(m.b), text,
	}}
}

// apply does step i and returns what comes out of it. 'i' closes as the owner of a
// silent key does: by advancing to what is pending.
func (m move) apply(s windows.State, i int) string {
	var out edged.Output
	by := windows.Moment{Key: "k", Trigger: edged.Seq(i)}
	switch m.kind {
	case 'e':
		s.Add(&out, m.event(i), by)
	case 'w':
		s.Advance(&out, m.at, by)
	case 'i':
		by.Cause = edged.ByIdle
		if end, ok := s.Pending(); ok {
			s.Advance(&out, end, by)
		}
	}
	return told(&out)
}

// told writes an output as the oracles of this package do.
func told(out *edged.Output) string {
	var b strings.Builder
	for _, r := range out.Results {
		if r.Kind == edged.LateResult {
			fmt.Fprintf(&b, "refused %d..%d W%d; ", r.Start, r.End, r.Watermark)
			continue
		}
		fmt.Fprint(&b, pane(r.Timing, r.Index, r.Last, windows.Window{Start: r.Start, End: r.End}, r.Watermark, r.Values[len(r.Values)-1].Text()))
	}
	for _, m := range out.Missed {
		fmt.Fprintf(&b, "missed [%d,%d) %v; ", m.Start, m.End, m.Limit)
	}
	return b.String() + fmt.Sprintf("late %d overflow %d unassigned %d", out.Late, out.Overflow, out.Unassigned)
}

func pane(timing edged.Timing, index uint32, last bool, w windows.Window, watermark edged.Timestamp, list string) string {
	return fmt.Sprintf("%s %d %v [%d,%d) W%d %s; ", timing, index, last, w.Start, w.End, watermark, list)
}

// item is an event as the oracles remember it.
type item struct {
	at edged.Timestamp
	n  int
}

// list writes the numbers of the events in order of time and arrival.
func list(items []item) string {
	items = slices.Clone(items)
	slices.SortStableFunc(items, func(a, b item) int {
		switch {
		case a.at < b.at:
			return -1
		case a.at > b.at:
			return 1
		}
		return 0
	})
	var texts []string
	for _, it := range items {
		texts = append(texts, fmt.Sprint(it.n))
	}
	return "[" + strings.Join(texts, ",") + "]"
}

// oracle does step i of a script in the dumbest way.
type oracle interface{ step(i int, m move) string }

// compare runs a script on a state and on an oracle. From time to time the state is
// stored and restored.
func compare(t *testing.T, spec *windows.Spec, o oracle, script []move, restore func(i int) bool) {
	t.Helper()
	s := spec.New()
	for i, m := range script {
		if restore(i) {
			s = restored(t, spec, s)
		}
		if got, want := m.apply(s, i), o.step(i, m); got != want {
			t.Fatalf("step %d of %v\n got %s\nwant %s", i, script, got, want)
		}
	}
}

// restored returns a copy of the state by way of its bytes, which must give the
// same bytes again.
func restored(t *testing.T, spec *windows.Spec, s windows.State) windows.State {
	t.Helper()
	r := spec.New()
	stored := s.AppendBinary(nil)
	rest, err := r.Restore(append(slices.Clip(stored), "tail"...))
	if err != nil || string(rest) != "tail" {
		t.Fatalf("restore: %q, %v", rest, err)
	}
	if !slices.Equal(r.AppendBinary(nil), stored) || r.Open() != s.Open() || r.Watermark() != s.Watermark() {
		t.Fatalf("the restored state differs: %x, want %x", r.AppendBinary(nil), stored)
	}
	a, aOK := r.Pending()
	if b, bOK := s.Pending(); a != b || aOK != bOK {
		t.Fatalf("pending is %d %v, want %d %v", a, aOK, b, bOK)
	}
	return r
}

// scripts calls do with every script of the length over the moves.
func scripts(length int, moves []move, do func(script []move)) {
	script := make([]move, length)
	var fill func(i int)
	fill = func(i int) {
		if i == length {
			do(script)
			return
		}
		for _, m := range moves {
			script[i] = m
			fill(i + 1)
		}
	}
	fill(0)
}

// drift is a random script whose times go up, out of order by up to spread, with
// watermarks somewhere behind the latest. With order, no event is before one
// before it or before the watermark.
func drift(r *rand.Rand, length int, spread int64, order bool) []move {
	var script []move
	now, w := edged.Timestamp(-50), edged.MinTimestamp
	if r.IntN(10) == 0 {
		now = edged.MaxTimestamp - 300
	} else if r.IntN(10) == 0 {
		now = edged.MinTimestamp
	}
	for range length {
		now = now.Add(r.Int64N(1 + spread))
		m := move{kind: 'e', at: now.Add(-r.Int64N(2 * spread)), a: r.IntN(3) == 0, b: r.IntN(3) == 0, text: []string{"", "x", "y"}[r.IntN(3)]}
		if order {
			m.at = max(now, w)
		}
		switch r.IntN(12) {
		case 0, 1, 2:
			m = move{kind: 'w', at: now.Add(-r.Int64N(spread))}
			if order {
				m.at = now.Add(1)
			}
			w = max(w, m.at)
			now = max(now, w)
		case 3:
			m = move{kind: 'i'}
		}
		script = append(script, m)
	}
	return append(script, move{kind: 'w', at: edged.MaxTimestamp})
}

// counting is the oracle of count windows: it keeps all events and looks at every
// window there can be.
type counting struct {
	windows.Count
	openMax int
	w       edged.Timestamp
	seen    []item // by number; n is -1 for one that was passed over
	begun   map[int][]item
	base    int
}

func (o *counting) step(i int, m move) string {
	var results, missed string
	overflow, unassigned := 0, 0
	switch m.kind {
	case 'e':
		if o.begun == nil {
			o.begun = map[int][]item{}
		}
		n := len(o.seen)
		it := item{m.at, i}
		o.seen = append(o.seen, it)
		members, taken := 0, 0
		for k := o.base; k*int(o.Step) <= n; k++ {
			first := k * int(o.Step)
			if n >= first+int(o.Size) {
				continue
			}
			members++
			if n == first && len(o.begun) < o.openMax {
				o.begun[k] = []item{}
			}
			if _, ok := o.begun[k]; !ok {
				overflow++
				missed += fmt.Sprintf("missed [%d,%d) true; ", m.at, m.at.Add(1))
				continue
			}
			taken++
			if o.begun[k] = append(o.begun[k], it); n == first+int(o.Size)-1 {
				results += o.fire(k)
			}
		}
		if members == 0 {
			unassigned++
		} else if taken == 0 {
			results += fmt.Sprintf("refused %d..%d W%d; ", m.at, m.at.Add(1), o.w)
		}
	default:
		ended := m.kind == 'w' && m.at == edged.MaxTimestamp && o.w < m.at
		if m.kind == 'w' {
			o.w = max(o.w, m.at)
		} else if o.Partial {
			for _, items := range o.begun {
				for _, it := range items {
					o.w = max(o.w, it.at.Add(1))
				}
			}
		}
		if o.Partial && len(o.begun) > 0 && (m.kind == 'i' || ended) {
			for k := range len(o.seen) {
				if _, ok := o.begun[k]; ok {
					results += o.fire(k)
				}
			}
			for o.base = 0; o.base*int(o.Step) < len(o.seen); {
				o.base++
			}
			for len(o.seen) < o.base*int(o.Step) {
				o.seen = append(o.seen, item{n: -1})
			}
		}
	}
	return results + missed + fmt.Sprintf("late 0 overflow %d unassigned %d", overflow, unassigned)
}

func (o *counting) fire(k int) string {
	items := o.begun[k]
	delete(o.begun, k)
	w := windows.Window{Start: items[0].at, End: items[0].at.Add(1)}
	for _, it := range items {
		w.Start, w.End = min(w.Start, it.at), max(w.End, it.at.Add(1))
	}
	return pane(edged.OnTime, uint32(k), true, w, o.w, list(items))
}

func countOracle(c windows.Count, openMax int) *counting {
	if c.Step == 0 {
		c.Step = c.Size
	}
	return &counting{Count: c, openMax: openMax, w: edged.MinTimestamp}
}

func TestCountExhaustively(t *testing.T) {
	moves := []move{{kind: 'e', at: 3}, {kind: 'e', at: 7}, {kind: 'w', at: 5}, {kind: 'i'}, {kind: 'w', at: edged.MaxTimestamp}}
	for size := range int64(3) {
		for step := range int64(5) {
			for _, partial := range []bool{false, true} {
				c := windows.Count{Size: size + 1, Step: step, Partial: partial}
				spec := valid(t, windows.Spec{Count: &c, OpenMax: 2})
				scripts(5, moves, func(script []move) {
					compare(t, spec, countOracle(c, 2), script, func(i int) bool { return i == 3 })
				})
			}
		}
	}
}

func TestCountRandomly(t *testing.T) {
	t.Logf("seed %d", *seed)
	r := rand.New(rand.NewPCG(*seed, 1))
	for range 500 {
		c := windows.Count{Size: 1 + r.Int64N(9), Step: r.Int64N(12), Partial: r.IntN(2) == 0}
		openMax := 1 + r.IntN(6)
		spec := valid(t, windows.Spec{Count: &c, OpenMax: openMax})
		compare(t, spec, countOracle(c, openMax), drift(r, 80, 10, false), func(int) bool { return r.IntN(6) == 0 })
	}
}

func TestCountTellsWhatIsWrong(t *testing.T) {
	for _, c := range []windows.Count{
		{}, {Size: -1}, {Size: windows.SizeMax + 1}, {Size: 1, Step: -1}, {Size: 1, Step: windows.SizeMax + 1}, {Size: windows.PerEventMax + 1, Step: 1},
	} {
		if err := c.Validate(); !errors.Is(err, windows.ErrSpec) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	for _, c := range []windows.Count{{Size: 1}, {Size: windows.PerEventMax, Step: 1}, {Size: windows.SizeMax, Step: windows.SizeMax}} {
		if err := c.Validate(); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// fuzz feeds bytes to the states of a spec: as stored ones, and as steps.
func fuzz(f *testing.F, specs ...*windows.Spec) {
	r := rand.New(rand.NewPCG(1, 1))
	for i, spec := range specs {
		s := spec.New()
		for n, m := range drift(r, 40, 9, i%2 == 0) {
			m.apply(s, n)
			f.Add(byte(i), s.AppendBinary(nil), []byte{byte(n), 3, 250, 40, 9, 9, 77})
		}
	}
	f.Fuzz(func(t *testing.T, which byte, stored, steps []byte) {
		spec := specs[int(which)%len(specs)]
		s := spec.New()
		before := s.AppendBinary(nil)
		if _, err := s.Restore(stored); err != nil {
			if !errors.Is(err, windows.ErrState) || !slices.Equal(before, s.AppendBinary(nil)) {
				t.Fatalf("a failed restore: %v, state %x", err, s.AppendBinary(nil))
			}
		}
		s = restored(t, spec, s)
		at := s.Watermark()
		for i, b := range steps[:min(len(steps), 60)] {
			m := move{kind: "eeewi"[b%5], at: at.Add(int64(b) - 128), a: b&32 != 0, b: b&64 != 0, text: strings.Repeat("x", int(b>>7))}
			if b == 255 {
				m.at = edged.MaxTimestamp
			} else if at == edged.MinTimestamp {
				m.at = edged.Timestamp(b)
			}
			m.apply(s, i)
			at = max(at, min(m.at, edged.MaxTimestamp-1))
			_ = s.Bytes()
		}
		restored(t, spec, s)
		move{kind: 'w', at: edged.MaxTimestamp}.apply(s, 0)
	})
}

func FuzzCount(f *testing.F) {
	fuzz(f, valid(f, windows.Spec{Count: &windows.Count{Size: 3}}),
		valid(f, windows.Spec{Count: &windows.Count{Size: 7, Step: 2, Partial: true}, OpenMax: 3}),
		valid(f, windows.Spec{Count: &windows.Count{Size: 2, Step: 5, Partial: true}}),
		valid(f, windows.Spec{Count: &windows.Count{Size: 2, Step: windows.SizeMax, Partial: true}}))
}

// perEvent measures a state under a steady stream: one event every 10 ms, the
// watermark 50 ms behind.
func perEvent(b *testing.B, spec *windows.Spec) {
	s, out := spec.New(), edged.Output{}
	ev := edged.Event{Key: "k", EventTime: 1_700_000_000_000, Values: []edged.Value{edged.NumberValue(21.37)}}
	by := windows.Moment{Key: "k"}
	b.ReportAllocs()
	for b.Loop() {
		out.Reset()
		ev.EventTime += 10
		s.Add(&out, &ev, by)
		s.Advance(&out, ev.EventTime-50, by)
	}
}

func BenchmarkCount(b *testing.B) {
	perEvent(b, valid(b, windows.Spec{Count: &windows.Count{Size: 100}, Layout: plain(b)}))
}
