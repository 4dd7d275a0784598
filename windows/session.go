package windows

import (
	"fmt"
	"sort"

	"edged"
)

// Session gathers the events that are close to each other: every event reaches
// from its time to Gap after it, and windows that touch or overlap are one. Late
// events bridge sessions that have fired, as long as their state is kept.
type Session struct {
	// Gap is the silence that ends a session, in milliseconds, 1 to [SizeMax].
	Gap int64
}

// Validate says what is wrong with the session.
func (s *Session) Validate() error {
	if s.Gap < 1 || s.Gap > SizeMax {
		return fmt.Errorf("%w: the gap is %d ms; it must be 1 to %d", ErrSpec, s.Gap, int64(SizeMax))
	}
	return nil
}

// addToSession folds an event into its session, which may become longer by that
// or merge with others.
func (o *Operator) addToSession(out *edged.Output, ev *edged.Event, by Moment) {
	spec := o.shape.spec
	w := Window{Start: ev.EventTime, End: ev.EventTime.Add(spec.Session.Gap)}
	from, to := o.touching(w)
	if from < to {
		w.Start = min(w.Start, o.pane(from).window().Start)
		w.End = max(w.End, o.pane(to-1).window().End)
	}
	if o.watermark >= spec.expiry(w) {
		o.missed(out, ev, w, false)
		o.reject(out, ev, w, false)
		return
	}
	switch {
	case from < to:
		o.join(out, w, from, to)
	case o.Open() >= spec.openMax():
		o.missed(out, ev, w, true)
		o.reject(out, ev, w, true)
		return
	default:
		o.insert(from, w)
	}
	o.update(out, ev, o.pane(from), by)
}

// touching returns the places of the sessions that touch or overlap w. Events
// are mostly of the latest session, so that is looked at first.
func (o *Operator) touching(w Window) (from, to int) {
	n := o.Open()
	if n == 0 {
		return 0, 0
	}
	switch last := o.pane(n - 1).window(); {
	case last.End < w.Start:
		return n, n
	case last.Start <= w.Start: // those before it end before it starts
		return n - 1, n
	}
	from = sort.Search(n, func(i int) bool { return o.pane(i).window().End >= w.Start })
	for to = from; to < n && o.pane(to).window().Start <= w.End; to++ {
	}
	return from, to
}

// join makes the sessions from one place up to another into one with the bounds
// w, at the first place. It is another window, which has never fired, unless the
// bounds were those before.
func (o *Operator) join(out *edged.Output, w Window, from, to int) {
	first := o.pane(from)
	if first.window() == w { // so there is no other: they are apart
		return
	}
	for i := from; i < to; i++ {
		o.disclaim(out, o.pane(i))
		if i > from {
			o.shape.merge(first, o.pane(i))
		}
	}
	if to > from+1 {
		o.remove(from+1, to)
		first = o.pane(from)
	}
	first.setWindow(w)
	first.words[paneFired] = 0
	if o.shape.last > 0 {
		_, cells := o.shape.said(first)
		clear(cells) // the words mean nothing until it fires
	}
	o.due = min(o.due, o.next(w))
}
