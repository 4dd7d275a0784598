package joins

import (
	"errors"
	"fmt"

	"edged"
)

// Window joins every left event with every right event of the same window.
// Windows are [Start, Start+Size) and start at the multiples of Period plus Offset,
// all in milliseconds. It implements [Spec].
type Window struct {
	Kind   Kind
	Size   int64 // 1 to SpanMax
	Period int64 // 0 to SpanMax; 0 means Size: windows do not overlap
	Offset int64 // counts modulo Period

	// EventsMax is how many events of one key are kept; 0 means [EventsMaxDefault].
	EventsMax int
}

// WindowsMax is the most windows that one event may belong to.
const WindowsMax = 1024

// Validate implements [Spec].
func (c *Window) Validate() error {
	var f faults
	f.limits(c.Kind, c.EventsMax)
	switch {
	case c.Size < 1 || c.Size > SpanMax:
		f.add("size is %d ms; it must be 1 to %d", c.Size, int64(SpanMax))
	case c.Period < 0 || c.Period > SpanMax:
		f.add("period is %d ms; it must be 1 to %d, and 0 means the size", c.Period, int64(SpanMax))
	case (c.Size-1)/c.period() >= WindowsMax:
		f.add("size %d ms is more than %d periods of %d ms", c.Size, WindowsMax, c.Period)
	}
	return errors.Join(f...)
}

// New implements [Spec].
func (c *Window) New() State {
	return &window{spec: c, store: store{watermark: edged.MinTimestamp}, due: edged.MaxTimestamp}
}

// period returns the period with its default.
func (c *Window) period() int64 {
	if c.Period == 0 {
		return c.Size
	}
	return c.Period
}

// since returns how long before t the last window up to t starts: 0 to period-1.
func (c *Window) since(t edged.Timestamp) int64 {
	p := c.period()
	since := (int64(t)%p - c.Offset%p) % p
	if since < 0 {
		since += p
	}
	return since
}

// count returns the number of windows that t belongs to.
func (c *Window) count(t edged.Timestamp) int {
	since := c.since(t)
	if since >= c.Size {
		return 0
	}
	return int((c.Size-1-since)/c.period()) + 1
}

// bounds is one window.
type bounds struct{ start, end edged.Timestamp }

// after reports whether b comes after c in the order of starts, then ends. Ends
// decide where starts saturate.
func (b bounds) after(c bounds) bool {
	return b.start > c.start || b.start == c.start && b.end > c.end
}

// at returns the i-th of the count windows that t belongs to, in order.
func (c *Window) at(t edged.Timestamp, i, count int) bounds {
	before := c.since(t) + int64(count-1-i)*c.period()
	return bounds{start: t.Add(-before), end: t.Add(c.Size - before)}
}

// window is the state of a window join.
//
// Invariant: every event kept belongs to a window that ends after the watermark.
type window struct {
	spec *Window
	store

	// due is the lowest watermark at which a window that has events ends. Derived.
	due edged.Timestamp
}

// Add implements [State].
func (s *window) Add(out *Matches, ev *edged.Event) {
	n := s.spec.count(ev.EventTime)
	if n == 0 {
		out.Unassigned++
		return
	}
	open := n
	for i := range n {
		b := s.spec.at(ev.EventTime, i, n)
		if s.watermark < b.end {
			open = i
			break
		}
		out.miss(ev, b.start, b.end, false)
	}
	last := s.spec.at(ev.EventTime, n-1, n)
	switch {
	case open == n:
		out.stray(ev, last.end, false)
	case s.full(s.spec.EventsMax) || !s.fits(ev, open, n):
		for i := open; i < n; i++ {
			b := s.spec.at(ev.EventTime, i, n)
			out.miss(ev, b.start, b.end, true)
		}
		out.stray(ev, last.end, true)
	default:
		s.sides[sideOf(ev)].Add(ev)
		s.due = min(s.due, s.spec.at(ev.EventTime, open, n).end)
	}
}

// fits reports whether no window of the event from the open-th on would have more
// rows with it than a window may give.
func (s *window) fits(ev *edged.Event, open, n int) bool {
	side := sideOf(ev)
	if pairs(s.sides[side].Len()+1, s.sides[sides-1-side].Len()) <= PairsMax {
		return true
	}
	for i := open; i < n; i++ {
		b := s.spec.at(ev.EventTime, i, n)
		from, to := s.within(side, b)
		first, behind := s.within(sides-1-side, b)
		if pairs(to-from+1, behind-first) > PairsMax {
			return false
		}
	}
	return true
}

// pairs multiplies without overflow, also where an int is short.
func pairs(left, right int) int64 { return int64(left) * int64(right) }

// within returns the places of the events of a side that lie in a window: from
// the first to the one before the last. A window that time cuts short has the last
// millisecond, too.
func (s *window) within(side int, b bounds) (from, to int) {
	events := &s.sides[side]
	if b.end.Sub(b.start) < s.spec.Size && b.end == edged.MaxTimestamp {
		return events.Search(b.start), events.Len()
	}
	return events.Search(b.start), events.Search(b.end)
}

// Advance implements [State].
func (s *window) Advance(out *Matches, w edged.Timestamp) {
	if w <= s.watermark {
		return
	}
	from := s.watermark
	s.watermark = w
	if w < s.due {
		return
	}
	s.fire(out, from)
	for side := range s.sides {
		s.evict(side)
	}
	s.schedule()
}

// fire gives the rows of all windows that have ended since the watermark was from,
// in order. Windows are found by the events in them: no others are of interest.
func (s *window) fire(out *Matches, from edged.Timestamp) {
	left, right := &s.sides[leftSide], &s.sides[rightSide]
	var fired bounds
	any := false
	for l, r := 0, 0; l < left.Len() || r < right.Len(); {
		t := edged.MaxTimestamp
		if l < left.Len() {
			t = left.At(l).Time
		}
		if r < right.Len() {
			t = min(t, right.At(r).Time)
		}
		l, r = left.After(t), right.After(t)
		n := s.spec.count(t)
		for i := range n {
			b := s.spec.at(t, i, n)
			if b.end > s.watermark {
				break
			}
			if b.end > from && (!any || b.after(fired)) {
				s.join(out, b)
				fired, any = b, true
			}
		}
	}
}

// join gives the rows of a window.
func (s *window) join(out *Matches, b bounds) {
	left, right := &s.sides[leftSide], &s.sides[rightSide]
	l, lefts := s.within(leftSide, b)
	first, rights := s.within(rightSide, b)
	place := func(m *Match) { m.Start, m.End = b.start, b.end }
	if first == rights && s.spec.Kind.pads(leftSide) {
		for ; l < lefts; l++ {
			place(out.pad(leftSide, left.At(l)))
		}
	}
	if l == lefts && s.spec.Kind.pads(rightSide) {
		for r := first; r < rights; r++ {
			place(out.pad(rightSide, right.At(r)))
		}
	}
	for ; l < lefts; l++ {
		for r := first; r < rights; r++ {
			place(out.pair(left.At(l), right.At(r)))
		}
	}
}

// evict forgets the events of a side whose last window has ended.
func (s *window) evict(side int) {
	gone := 0
	for gone < s.sides[side].Len() {
		t := s.sides[side].At(gone).Time
		if n := s.spec.count(t); n > 0 && s.watermark < s.spec.at(t, n-1, n).end {
			break
		}
		gone++
	}
	s.sides[side].DropFront(gone)
}

// schedule computes due: the first window to end is one of an earliest event.
func (s *window) schedule() {
	s.due = edged.MaxTimestamp
	for side := range s.sides {
		if s.sides[side].Len() == 0 {
			continue
		}
		t := s.sides[side].At(0).Time
		n := s.spec.count(t)
		for i := range n {
			if b := s.spec.at(t, i, n); b.end > s.watermark {
				s.due = min(s.due, b.end)
				break
			}
		}
	}
}

// Watermark implements [State]: the start of the first window that has not ended,
// because its rows may be of any time in it.
func (s *window) Watermark() edged.Timestamp {
	w := s.watermark
	if n := s.spec.count(w); n > 0 && w != edged.MaxTimestamp {
		return s.spec.at(w, 0, n).start
	}
	return w
}

// Pending implements [State].
func (s *window) Pending() (edged.Timestamp, bool) {
	end := s.watermark
	for side := range s.sides {
		if k := s.sides[side].Len(); k > 0 {
			t := s.sides[side].At(k - 1).Time
			if n := s.spec.count(t); n > 0 {
				end = max(end, s.spec.at(t, n-1, n).end)
			}
		}
	}
	return end, end > s.watermark
}

// Restore implements [State].
func (s *window) Restore(data []byte) ([]byte, error) {
	rest, err := s.store.Restore(data)
	if err != nil {
		return nil, fmt.Errorf("window join: %w", err)
	}
	for side := range s.sides {
		s.evict(side)
	}
	s.schedule()
	return rest, nil
}
