package windows_test

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"edged"
	"edged/windows"
)

// naive is what the operator must do, written without any thought of cost: every
// window keeps every event it ever took, and everything is computed anew.
type naive struct {
	begun bool            // an event was taken
	first edged.Timestamp // the end of its window

	spec *windows.Spec
	w    edged.Timestamp
	open []*naiveWindow
	out  []string
}

type naiveEvent struct {
	t, now edged.Timestamp
	n      int
}

type naiveWindow struct {
	windows.Window
	all   []naiveEvent
	fresh []naiveEvent
	said  []string // one per firing under these bounds
	gone  []naivePane
	over  [2]bool // the early and the late section
	turns map[*windows.Condition]int
}

type naivePane struct {
	windows.Window
	index int
	said  string
}

func newNaive(spec *windows.Spec) *naive { return &naive{spec: spec, w: edged.MinTimestamp} }

func (m *naive) say(format string, args ...any) { m.out = append(m.out, fmt.Sprintf(format, args...)) }

func (m *naive) expired(w windows.Window) bool { return m.w >= w.End.Add(m.spec.AllowedLateness) }

func (m *naive) limit() int {
	if m.spec.OpenMax > 0 {
		return m.spec.OpenMax
	}
	return windows.OpenMaxDefault
}

func (m *naive) find(w windows.Window) *naiveWindow {
	for _, o := range m.open {
		if o.Window == w {
			return o
		}
	}
	return nil
}

// windowsOf lists the windows of an event; a session is the one that it leads to.
func (m *naive) windowsOf(t edged.Timestamp) (list []windows.Window) {
	if m.spec.Session == nil {
		for i := 0; ; i++ {
			w, ok := m.spec.Assigner.Assign(t, i)
			if !ok {
				return list
			}
			list = append(list, w)
		}
	}
	w := windows.Window{Start: t, End: t.Add(m.spec.Session.Gap)}
	for _, o := range m.touched(w) {
		w.Start, w.End = min(w.Start, o.Start), max(w.End, o.End)
	}
	return []windows.Window{w}
}

func (m *naive) touched(w windows.Window) (list []*naiveWindow) {
	for _, o := range m.sorted() {
		if w.Start <= o.End && w.End >= o.Start {
			list = append(list, o)
		}
	}
	return list
}

func (m *naive) sorted() []*naiveWindow {
	return slices.SortedFunc(slices.Values(m.open), func(a, b *naiveWindow) int { return compareWindows(a.Window, b.Window) })
}

func compareWindows(a, b windows.Window) int {
	switch {
	case a == b:
		return 0
	case a.Start < b.Start || a.Start == b.Start && a.End < b.End:
		return -1
	}
	return 1
}

func (m *naive) add(t, now edged.Timestamp, n int) {
	list := m.windowsOf(t)
	took, refused := false, false
	for _, w := range list {
		o := m.find(w)
		switch {
		case m.expired(w):
			m.say("missed [%d,%d)", w.Start, w.End)
			continue
		case o == nil && len(m.open) >= m.limit() && (m.spec.Session == nil || len(m.touched(w)) == 0):
			m.say("no room [%d,%d)", w.Start, w.End)
			refused = true
			continue
		case o == nil:
			o = m.create(w)
		}
		took = true
		if !m.begun {
			m.begun, m.first = true, w.End
		}
		o.all, o.fresh = append(o.all, naiveEvent{t, now, n}), append(o.fresh, naiveEvent{t, now, n})
		m.look(o, now, edged.ByWatermark)
	}
	switch {
	case took:
	case len(list) == 0:
		m.say("unassigned")
	case refused:
		m.say("refused %d..%d", t, list[len(list)-1].End)
	default:
		m.say("late %d..%d", t, list[len(list)-1].End)
	}
}

// create opens a window. A session takes over what it touches.
func (m *naive) create(w windows.Window) *naiveWindow {
	o := &naiveWindow{Window: w, turns: map[*windows.Condition]int{}}
	if m.spec.Session != nil {
		old := m.touched(w)
		o.over = [2]bool{len(old) > 0, len(old) > 0}
		for _, p := range old {
			o.all, o.fresh = append(o.all, p.all...), append(o.fresh, p.fresh...)
			o.gone = append(o.gone, p.gone...)
			if n := len(p.said); n > 0 && m.spec.Accumulation != windows.Discarding {
				o.gone = append(o.gone, naivePane{p.Window, n - 1, p.said[n-1]})
			}
			for i := range o.over {
				o.over[i] = o.over[i] && p.over[i]
			}
			for c, turn := range p.turns {
				o.turns[c] = max(o.turns[c], turn)
			}
			m.open = slices.DeleteFunc(m.open, func(q *naiveWindow) bool { return q == p })
		}
	}
	m.open = append(m.open, o)
	return o
}

func (m *naive) advance(to edged.Timestamp) {
	if to <= m.w {
		return
	}
	from := m.w
	m.w = to
	if next, ok := m.spec.Assigner.(interface {
		Next(edged.Timestamp) (windows.Window, bool)
	}); ok && m.spec.Empty && m.begun && to != math.MaxInt64 {
		from := max(from, m.first)
		n := 0
		for w, ok := next.Next(from); ok && w.End <= to; w, ok = next.Next(w.End) {
			if m.find(w) != nil {
				continue
			}
			if n < m.limit() && (len(m.open) < m.limit() || m.expired(w)) {
				m.create(w)
				n++
			} else {
				m.say("skipped")
			}
		}
	}
	for _, o := range m.sorted() {
		spec, expired := m.spec, m.expired(o.Window)
		switch {
		case spec.Trigger.FinalOnly:
			if expired {
				m.fire(o, edged.OnTime, edged.ByEnd)
			}
		case from < o.End && to >= o.End:
			if spec.Empty || len(o.fresh) > 0 || spec.Accumulation != windows.Discarding {
				m.fire(o, edged.OnTime, edged.ByEnd)
			}
		case expired && len(o.fresh) > 0:
			m.fire(o, edged.Late, edged.ByEnd)
		}
		if expired {
			m.open = slices.DeleteFunc(m.open, func(q *naiveWindow) bool { return q == o })
		}
	}
}

func (m *naive) tick(now edged.Timestamp) {
	for _, o := range m.sorted() {
		m.look(o, now, edged.ByTick)
	}
}

func (m *naive) look(o *naiveWindow, now edged.Timestamp, cause edged.Cause) {
	trigger, phase, timing := m.spec.Trigger, 0, edged.Early
	section := trigger.Early
	if m.w >= o.End {
		section, phase, timing = trigger.Late, 1, edged.Late
		if section == nil {
			section = &windows.Section{When: windows.Condition{Events: 1}}
		}
	}
	if section == nil || trigger.FinalOnly || o.over[phase] {
		return
	}
	fires := false
	if len(o.fresh) > 0 && o.holds(&section.When, o.fresh, now) {
		fires = true
		var moves []*windows.Condition
		eachSequence(&section.When, func(c *windows.Condition) {
			if o.holds(c, o.fresh, now) {
				moves = append(moves, c)
			}
		})
		for _, c := range moves {
			o.turns[c] = (o.turns[c] + 1) % len(c.Sequence)
		}
		o.over[phase] = section.Once && o.turns[&section.When] == 0
	}
	if section.Until != nil && o.holds(section.Until, o.all, now) {
		o.over[phase] = true
		fires = fires || len(o.fresh) > 0
	}
	if fires {
		m.fire(o, timing, cause)
	}
}

func (o *naiveWindow) holds(c *windows.Condition, of []naiveEvent, now edged.Timestamp) bool {
	if len(of) == 0 {
		return false
	}
	first := of[0].now
	for _, e := range of {
		first = min(first, e.now)
	}
	switch {
	case c.Events > 0:
		return int64(len(of)) >= c.Events
	case c.Delay > 0:
		return now >= first.Add(c.Delay)
	case c.Every > 0:
		return now >= first.FloorTo(c.Every, 0).Add(c.Every)
	case len(c.Sequence) > 0:
		return o.holds(&c.Sequence[o.turns[c]], of, now)
	}
	n, kids := 0, c.Any
	if len(kids) == 0 {
		kids = c.All
	}
	for i := range kids {
		if o.holds(&kids[i], of, now) {
			n++
		}
	}
	return n == len(kids) || n > 0 && len(c.Any) > 0
}

func eachSequence(c *windows.Condition, f func(*windows.Condition)) {
	if len(c.Sequence) > 0 {
		f(c)
	}
	for _, kids := range [][]windows.Condition{c.Any, c.All, c.Sequence} {
		for i := range kids {
			eachSequence(&kids[i], f)
		}
	}
}

func (m *naive) fire(o *naiveWindow, timing edged.Timing, cause edged.Cause) {
	contents := o.all
	if m.spec.Accumulation == windows.Discarding {
		contents = o.fresh
	}
	gone := slices.Clone(o.gone)
	if n := len(o.said); n > 0 && m.spec.Accumulation == windows.Retracting {
		gone = append(gone, naivePane{o.Window, n - 1, o.said[n-1]})
	}
	slices.SortFunc(gone, func(a, b naivePane) int { return compareWindows(a.Window, b.Window) })
	for _, p := range gone {
		said := ""
		if m.spec.Accumulation == windows.Retracting {
			said = " " + p.said
		}
		m.say("retract %d [%d,%d)%s", p.index, p.Start, p.End, said)
	}
	said := naiveValues(contents)
	last := ""
	if m.expired(o.Window) {
		last = " last"
	}
	m.say("%s %d [%d,%d) %s%s %s W%d", timing, len(o.said), o.Start, o.End, said, last, cause, m.w)
	o.said = append(o.said, said)
	o.fresh, o.gone = nil, nil
}

// naiveValues writes count, sum and list of the events.
func naiveValues(events []naiveEvent) string {
	events = slices.Clone(events)
	slices.SortStableFunc(events, func(a, b naiveEvent) int {
		if a.t != b.t {
			return compareWindows(windows.Window{Start: a.t}, windows.Window{Start: b.t})
		}
		return a.n - b.n
	})
	sum, list := 0, []string{}
	for _, e := range events {
		sum += e.n
		list = append(list, fmt.Sprint(e.n))
	}
	total := fmt.Sprint(sum)
	if len(events) == 0 {
		return "0 null null"
	}
	return fmt.Sprintf("%d %s [%s]", len(events), total, strings.Join(list, ","))
}

// lines writes an output the way the model does.
func lines(out *edged.Output) (list []string) {
	for _, m := range out.Missed {
		what := "missed"
		if m.Limit {
			what = "no room"
		}
		list = append(list, fmt.Sprintf("%s [%d,%d)", what, m.Start, m.End))
	}
	skipped := out.Overflow
	for _, m := range out.Missed {
		if m.Limit {
			skipped--
		}
	}
	for range skipped {
		list = append(list, "skipped")
	}
	for range out.Unassigned {
		list = append(list, "unassigned")
	}
	for _, r := range out.Results {
		var values []string
		for _, v := range r.Values {
			values = append(values, string(v.AppendJSON(nil)))
		}
		said := strings.Join(values, " ")
		switch r.Kind {
		case edged.LateResult:
			what := "refused"
			if out.Late > 0 {
				what = "late"
			}
			list = append(list, fmt.Sprintf("%s %d..%d", what, r.Start, r.End))
		case edged.RetractResult:
			list = append(list, strings.TrimSpace(fmt.Sprintf("retract %d [%d,%d) %s", r.Index, r.Start, r.End, said)))
		default:
			last := ""
			if r.Last {
				last = " last"
			}
			list = append(list, fmt.Sprintf("%s %d [%d,%d) %s%s %s W%d", r.Timing, r.Index, r.Start, r.End, said, last, r.Cause, r.Watermark))
		}
	}
	return list
}
