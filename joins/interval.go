package joins

import (
	"errors"

	"edged"
	"edged/elements"
)

// Interval joins a left event at t with the right events from t+Lower to t+Upper,
// both inclusive, in milliseconds. It implements [Spec].
type Interval struct {
	Kind  Kind
	Lower int64 // -SpanMax to Upper
	Upper int64 // Lower to SpanMax

	// EventsMax is how many events of one key are kept; 0 means [EventsMaxDefault].
	EventsMax int
}

// Validate implements [Spec].
func (c *Interval) Validate() error {
	var f faults
	f.limits(c.Kind, c.EventsMax)
	if c.Lower > c.Upper {
		f.add("lower %d ms is above upper %d ms; no right event lies between", c.Lower, c.Upper)
	}
	if min(c.Lower, c.Upper) < -SpanMax || max(c.Lower, c.Upper) > SpanMax {
		f.add("bounds are %d and %d ms; both must be within %d", c.Lower, c.Upper, int64(SpanMax))
	}
	return errors.Join(f...)
}

// New implements [Spec].
func (c *Interval) New() State {
	return &interval{spec: c, store: store{watermark: edged.MinTimestamp}}
}

// partners returns the first and the last time that a partner of an event of the
// side at t may have. Both saturate, so that the range may be too wide at the ends
// of time.
func (c *Interval) partners(side int, t edged.Timestamp) (first, last edged.Timestamp) {
	if side == leftSide {
		return t.Add(c.Lower), t.Add(c.Upper)
	}
	return t.Add(-c.Upper), t.Add(-c.Lower)
}

// match reports whether the two belong together. The distance saturates far
// beyond any bound, so this is exact everywhere.
func (c *Interval) match(left, right *elements.Element) bool {
	d := right.Time.Sub(left.Time)
	return c.Lower <= d && d <= c.Upper
}

// interval is the state of an interval join.
//
// Invariant: no event is kept whose partners have all passed the watermark.
type interval struct {
	spec *Interval
	store
}

// Add implements [State].
func (s *interval) Add(out *Matches, ev *edged.Event) {
	side := sideOf(ev)
	first, last := s.spec.partners(side, ev.EventTime)
	if late := s.ended(last); late || s.full(s.spec.EventsMax) {
		out.refuse(ev, last.Add(1), !late)
		return
	}
	own := s.sides[side].At(s.sides[side].Add(ev))
	others := &s.sides[sides-1-side]
	for i := others.Search(first); i < others.After(last); i++ {
		left, right := own, others.At(i)
		if side == rightSide {
			left, right = right, left
		}
		if s.spec.match(left, right) {
			out.pair(left, right)
			s.mark(left, right)
		}
	}
}

// mark notes on those that would be padded that they have a partner.
func (s *interval) mark(left, right *elements.Element) {
	if s.spec.Kind.pads(leftSide) {
		left.Mark = matched
	}
	if s.spec.Kind.pads(rightSide) {
		right.Mark = matched
	}
}

// Advance implements [State]. Padded rows come in the order in which their last
// chance passes, left ones first: then it does not matter in which steps the
// watermark advances.
func (s *interval) Advance(out *Matches, w edged.Timestamp) {
	if w <= s.watermark {
		return
	}
	s.watermark = w
	var gone [sides]int
	for {
		leftLast, left := s.passed(leftSide, gone[leftSide])
		rightLast, right := s.passed(rightSide, gone[rightSide])
		switch {
		case left && (!right || leftLast <= rightLast):
			s.pad(out, leftSide, gone[leftSide])
			gone[leftSide]++
		case right:
			s.pad(out, rightSide, gone[rightSide])
			gone[rightSide]++
		default:
			s.sides[leftSide].DropFront(gone[leftSide])
			s.sides[rightSide].DropFront(gone[rightSide])
			return
		}
	}
}

// passed returns when the last partner of the i-th event of the side may come, and
// whether that time has passed.
func (s *interval) passed(side, i int) (last edged.Timestamp, ok bool) {
	if i >= s.sides[side].Len() {
		return 0, false
	}
	_, last = s.spec.partners(side, s.sides[side].At(i).Time)
	return last, s.ended(last)
}

// pad gives the row of an event that is left alone.
func (s *interval) pad(out *Matches, side, i int) {
	if e := s.sides[side].At(i); s.spec.Kind.pads(side) && e.Mark != matched {
		out.pad(side, e)
	}
}

// Watermark implements [State]. A row is no earlier than the event that makes it,
// and that one can come as long as its own range has not passed.
func (s *interval) Watermark() edged.Timestamp {
	return s.held(max(0, s.spec.Upper, -s.spec.Lower))
}

// Pending implements [State].
func (s *interval) Pending() (edged.Timestamp, bool) {
	end := s.watermark
	for side := range s.sides {
		if !s.spec.Kind.pads(side) {
			continue
		}
		for i := s.sides[side].Len() - 1; i >= 0; i-- {
			if e := s.sides[side].At(i); e.Mark != matched {
				_, last := s.spec.partners(side, e.Time)
				end = max(end, last.Add(1))
				break
			}
		}
	}
	return end, end > s.watermark
}
