package windows_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"edged"
	"edged/windows"
)

// stating is the oracle of state windows. It remembers all windows that have fired.
type stating struct {
	windows.StateWindow
	w     edged.Timestamp
	items []item
	text  string
	fired []windows.Window
}

func (o *stating) close(end edged.Timestamp) string {
	w := windows.Window{Start: o.items[0].at, End: end}
	index := uint32(0)
	for _, before := range o.fired {
		index += uint32(btoi(before == w))
	}
	o.fired = append(o.fired, w)
	text := pane(edged.OnTime, index, true, w, o.w, list(o.items))
	o.items = nil
	return text
}

func (o *stating) step(i int, m move) string {
	b, late, unassigned := "", 0, 0
	last := func() edged.Timestamp { return o.items[len(o.items)-1].at }
	limit := func() edged.Timestamp { return o.items[0].at.Add(o.MaxDuration) }
	switch m.kind {
	case 'e':
		if m.at < o.w || o.w == edged.MaxTimestamp {
			late++
			b = fmt.Sprintf("refused %d..%d W%d; missed [%d,%d) false; ", m.at, m.at.Add(1), o.w, m.at, m.at.Add(1))
			break
		}
		if len(o.items) > 0 && o.MaxDuration > 0 && m.at.Sub(o.items[0].at) >= o.MaxDuration {
			b += o.close(limit())
		}
		if len(o.items) > 0 && o.Change >= 0 && m.text != o.text {
			b += o.close(m.at)
		}
		if len(o.items) == 0 && o.Change < 0 && !m.a {
			unassigned++
			break
		}
		o.items, o.text = append(o.items, item{m.at, i}), m.text
		if o.Change < 0 && m.b {
			b += o.close(m.at.Add(1))
		}
	case 'w':
		ended := m.at == edged.MaxTimestamp && o.w < m.at
		o.w = max(o.w, m.at)
		if len(o.items) > 0 && ended {
			b += o.close(last().Add(1))
		} else if len(o.items) > 0 && o.MaxDuration > 0 && o.w >= limit() {
			b += o.close(limit())
		}
	case 'i':
		if len(o.items) > 0 {
			o.w = max(o.w, last().Add(1))
			b += o.close(last().Add(1))
		}
	}
	return b + fmt.Sprintf("late %d overflow 0 unassigned %d", late, unassigned)
}

// The two kinds of state windows: by conditions on slots 1 and 2, and by changes of
// the text in slot 3.
var (
	byConditions = windows.StateWindow{Open: 1, Close: 2, Change: -1}
	byChange     = windows.StateWindow{Open: -1, Close: -1, Change: 3}
)

func TestStateWindowsExhaustively(t *testing.T) {
	moves := []move{
		{kind: 'e', at: 1, a: true, text: "x"}, {kind: 'e', at: 1, b: true}, {kind: 'e', at: 4, a: true, b: true}, {kind: 'e', at: 5, text: "x"},
		{kind: 'w', at: 2}, {kind: 'w', at: 6}, {kind: 'i'},
	}
	inOrder := func(script []move) bool {
		latest := edged.MinTimestamp
		for _, m := range script {
			if m.kind == 'e' && m.at < latest {
				return false
			}
			latest = max(latest, m.at*edged.Timestamp(btoi(m.kind == 'e')))
		}
		return true
	}
	for _, p := range []windows.StateWindow{byConditions, byChange} {
		for _, p.MaxDuration = range []int64{0, 3} {
			spec := valid(t, windows.Spec{StateWindow: &p})
			scripts(5, moves, func(script []move) {
				if inOrder(script) {
					compare(t, spec, &stating{StateWindow: p, w: edged.MinTimestamp}, script, func(i int) bool { return i >= 3 })
				}
			})
		}
	}
}

func TestStateWindowsRandomly(t *testing.T) {
	t.Logf("seed %d", *seed)
	r := rand.New(rand.NewPCG(*seed, 9))
	for range 600 {
		p := []windows.StateWindow{byConditions, byChange}[r.IntN(2)]
		p.MaxDuration = r.Int64N(2) * r.Int64N(40)
		spec := valid(t, windows.Spec{StateWindow: &p})
		compare(t, spec, &stating{StateWindow: p, w: edged.MinTimestamp}, drift(r, 80, 1+r.Int64N(6), true), func(int) bool { return r.IntN(8) == 0 })
	}
}

// An event only lends its texts; what a window remembers is its own.
func TestStateWindowsOwnTheirValue(t *testing.T) {
	spec := valid(t, windows.Spec{StateWindow: &byChange})
	s, out := spec.New(), edged.Output{}
	for i, v := range []edged.Value{edged.JSONValue("[1]"), edged.JSONValue("[1]"), edged.TextValue("[1]"), edged.NumberValue(0), edged.BoolValue(false), {}, {}} {
		s.Add(&out, &edged.Event{EventTime: edged.Timestamp(i), Values: []edged.Value{{}, {}, {}, v}}, windows.Moment{})
		s = restored(t, spec, s)
	}
	if len(out.Results) != 4 {
		t.Errorf("%d windows have ended by the change of a value, want 4: %v", len(out.Results), out.Results)
	}
}

func TestStateWindowsTellWhatIsWrong(t *testing.T) {
	for _, p := range []windows.StateWindow{
		{Open: -1, Close: -1, Change: -1}, {Open: 1, Close: -1, Change: -1}, {Open: -1, Close: 1, Change: -1}, {Open: 1, Close: 2, Change: 3},
		{Open: -1, Close: 2, Change: 3}, {Open: 1, Close: 2, Change: -1, MaxDuration: -1}, {Open: 1, Close: 2, Change: -1, MaxDuration: windows.SizeMax + 1},
	} {
		if err := p.Validate(); !errors.Is(err, windows.ErrSpec) {
			t.Errorf("%+v: %v", p, err)
		}
	}
}

func FuzzStateWindows(f *testing.F) {
	short, long := byConditions, byChange
	short.MaxDuration, long.MaxDuration = 30, windows.SizeMax
	fuzz(f, valid(f, windows.Spec{StateWindow: &byConditions}), valid(f, windows.Spec{StateWindow: &byChange}),
		valid(f, windows.Spec{StateWindow: &short}), valid(f, windows.Spec{StateWindow: &long}))
}

func BenchmarkStateWindows(b *testing.B) { // one long run of null
	perEvent(b, valid(b, windows.Spec{StateWindow: &byChange, Layout: plain(b)}))
}
