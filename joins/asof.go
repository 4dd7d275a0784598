package joins

import (
	"errors"

	"edged"
)

// AsOf joins each left event at t with the newest right event from t-Tolerance to
// t, both inclusive: with what the other sensor said last. Of right events of the
// same time the one that came last counts. It implements [Spec].
type AsOf struct {
	Kind      Kind  // Inner or Left
	Tolerance int64 // milliseconds, 0 to SpanMax; SpanMax means any age

	// EventsMax is how many events of one key are kept; 0 means [EventsMaxDefault].
	EventsMax int
}

// Validate implements [Spec].
func (c *AsOf) Validate() error {
	var f faults
	f.limits(c.Kind, c.EventsMax)
	if c.Kind == Right || c.Kind == Full {
		f.add("an as-of join cannot be %s; every right event may serve many left ones, so it must be inner or left", c.Kind)
	}
	if c.Tolerance < 0 || c.Tolerance > SpanMax {
		f.add("tolerance is %d ms; it must be 0 to %d", c.Tolerance, int64(SpanMax))
	}
	return errors.Join(f...)
}

// New implements [Spec].
func (c *AsOf) New() State {
	return &asOf{spec: c, store: store{watermark: edged.MinTimestamp}}
}

// reaches reports whether a right event at u is not too old for a left one at t.
func (c *AsOf) reaches(u, t edged.Timestamp) bool {
	return c.Tolerance == SpanMax || t.Sub(u) <= c.Tolerance
}

// asOf is the state of an as-of join.
//
// Invariant: all left events kept are at or after the watermark, and so are all
// right ones but the first, at most.
type asOf struct {
	spec *AsOf
	store
}

// Add implements [State]. The event waits: an earlier one may still come.
func (s *asOf) Add(out *Matches, ev *edged.Event) {
	last := ev.EventTime
	if s.ended(last) {
		out.refuse(ev, last.Add(1), false)
		return
	}
	if s.full(s.spec.EventsMax) {
		out.refuse(ev, last.Add(1), true)
		return
	}
	s.sides[sideOf(ev)].Add(ev)
}

// Advance implements [State].
func (s *asOf) Advance(out *Matches, w edged.Timestamp) {
	if w <= s.watermark {
		return
	}
	s.watermark = w
	left, right := &s.sides[leftSide], &s.sides[rightSide]
	ready := 0
	for ready < left.Len() && s.ended(left.At(ready).Time) {
		s.give(out, ready)
		ready++
	}
	left.DropFront(ready)
	right.DropFront(s.obsolete())
}

// give gives the row of the i-th left event.
func (s *asOf) give(out *Matches, i int) {
	left, rights := s.sides[leftSide].At(i), &s.sides[rightSide]
	newest := rights.After(left.Time) - 1
	if newest >= 0 && s.spec.reaches(rights.At(newest).Time, left.Time) {
		out.pair(left, rights.At(newest))
	} else if s.spec.Kind.pads(leftSide) {
		out.pad(leftSide, left)
	}
}

// obsolete returns how many right events no left one to come can want: those
// before the newest that the watermark has passed, and that one, too, if it is too
// old already.
func (s *asOf) obsolete() int {
	rights := &s.sides[rightSide]
	if s.watermark == edged.MaxTimestamp {
		return rights.Len()
	}
	passed := rights.Search(s.watermark)
	if passed > 0 && s.spec.reaches(rights.At(passed-1).Time, s.watermark) {
		return passed - 1
	}
	return passed
}

// Watermark implements [State]. A row has the time of its left event.
func (s *asOf) Watermark() edged.Timestamp { return s.watermark }

// Pending implements [State].
func (s *asOf) Pending() (edged.Timestamp, bool) {
	left := &s.sides[leftSide]
	if left.Len() == 0 {
		return s.watermark, false
	}
	end := left.At(left.Len() - 1).Time.Add(1)
	return max(end, s.watermark), end > s.watermark
}
