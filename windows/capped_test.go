package windows_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"edged"
	"edged/windows"
)

// capping is the oracle of sessions with a longest duration.
type capping struct {
	windows.Capped
	w     edged.Timestamp
	items []item
}

func (o *capping) end() edged.Timestamp {
	return min(o.items[len(o.items)-1].at.Add(o.Gap), o.items[0].at.Add(o.Max))
}

func (o *capping) close() string {
	text := pane(edged.OnTime, 0, true, windows.Window{Start: o.items[0].at, End: o.end()}, o.w, list(o.items))
	o.items = nil
	return text
}

func (o *capping) step(i int, m move) string {
	b, late := "", 0
	switch m.kind {
	case 'e':
		if m.at < o.w || o.w == edged.MaxTimestamp {
			late++
			b = fmt.Sprintf("refused %d..%d W%d; missed [%d,%d) false; ", m.at, m.at.Add(1), o.w, m.at, m.at.Add(1))
			break
		}
		if n := len(o.items); n > 0 && (m.at.Sub(o.items[n-1].at) > o.Gap || m.at.Sub(o.items[0].at) >= o.Max) {
			b = o.close()
		}
		o.items = append(o.items, item{m.at, i})
	default:
		if m.kind == 'w' {
			o.w = max(o.w, m.at)
		} else if len(o.items) > 0 {
			o.w = max(o.w, o.end())
		}
		if len(o.items) > 0 && o.w >= o.end() {
			b = o.close()
		}
	}
	return b + fmt.Sprintf("late %d overflow 0 unassigned 0", late)
}

func TestCappedSessionsExhaustively(t *testing.T) {
	moves := []move{{kind: 'e', at: 1}, {kind: 'e', at: 2}, {kind: 'e', at: 4}, {kind: 'e', at: 5}, {kind: 'w', at: 3}, {kind: 'w', at: 6}, {kind: 'i'}}
	for gap := range int64(3) {
		for longest := range int64(4) {
			p := windows.Capped{Gap: gap + 1, Max: longest + 1}
			spec := valid(t, windows.Spec{Capped: &p})
			scripts(4, moves, func(script []move) {
				latest := edged.MinTimestamp
				for _, m := range script {
					if m.kind == 'e' {
						if m.at < latest {
							return
						}
						latest = m.at
					}
				}
				compare(t, spec, &capping{Capped: p, w: edged.MinTimestamp}, script, func(i int) bool { return i >= 2 })
			})
		}
	}
}

func TestCappedSessionsRandomly(t *testing.T) {
	t.Logf("seed %d", *seed)
	r := rand.New(rand.NewPCG(*seed, 10))
	for range 600 {
		p := windows.Capped{Gap: 1 + r.Int64N(10), Max: 1 + r.Int64N(60)}
		spec := valid(t, windows.Spec{Capped: &p})
		compare(t, spec, &capping{Capped: p, w: edged.MinTimestamp}, drift(r, 80, 1+r.Int64N(8), true), func(int) bool { return r.IntN(8) == 0 })
	}
}

func TestCappedSessionsTellWhatIsWrong(t *testing.T) {
	for _, p := range []windows.Capped{{}, {Gap: 1}, {Max: 1}, {Gap: -1, Max: 1}, {Gap: windows.SizeMax + 1, Max: 1}, {Gap: 1, Max: windows.SizeMax + 1}} {
		if err := p.Validate(); !errors.Is(err, windows.ErrSpec) {
			t.Errorf("%+v: %v", p, err)
		}
	}
}

func FuzzCappedSessions(f *testing.F) {
	fuzz(f, valid(f, windows.Spec{Capped: &windows.Capped{Gap: 9, Max: 50}}), valid(f, windows.Spec{Capped: &windows.Capped{Gap: windows.SizeMax, Max: windows.SizeMax}}))
}

func BenchmarkCappedSessions(b *testing.B) { // sessions of 100 events
	perEvent(b, valid(b, windows.Spec{Capped: &windows.Capped{Gap: 100, Max: 1000}, Layout: plain(b)}))
}
