package windows

import (
	"errors"
	"fmt"

	"edged"
	"edged/windows/agg"
)

// Errors of this package.
var (
	// ErrSpec says that windows cannot be computed as specified.
	ErrSpec = errors.New("invalid window")

	// ErrState says that stored bytes are not the state of an operator.
	ErrState = errors.New("malformed window state")
)

// Spec is what the windows of all keys share. It must not change once it was
// validated.
//
// Exactly one of Assigner, Session, Count, Sliding, StateWindow and Capped is set:
// the type of the windows.
type Spec struct {
	// Assigner cuts event time into windows, regardless of the events.
	Assigner Assigner

	// Session merges the windows of events that are close.
	Session *Session

	// Count cuts the events by their number.
	Count *Count

	// Sliding gives every event a window of its own.
	Sliding *Sliding

	// StateWindow cuts time where the values of the events say so.
	StateWindow *StateWindow

	// Capped is Session with a longest duration, over ordered events.
	Capped *Capped

	// Trigger decides when windows fire besides on time.
	Trigger Trigger

	// Accumulation says how the panes of a window relate to each other.
	Accumulation Accumulation

	// Empty fires a pane on time even when there is nothing new in it, and also for
	// the aligned windows that have no events, at most OpenMax at a time.
	Empty bool

	// Partials makes panes carry the state of their aggregates, for the next stage
	// to merge: agg.Layout.AppendBinary with the window's start as origin.
	Partials bool

	// AllowedLateness is how long after its end a window still takes events, in
	// milliseconds of event time, 0 to [SizeMax]. 0 forgets a window when it has
	// fired. Unless the trigger says otherwise every late event fires the whole
	// window again, so a long lateness costs state and uplink.
	AllowedLateness int64

	// OpenMax is the largest number of windows of one key whose state is kept.
	// An event that would open one more is refused and reported. 0 means
	// [OpenMaxDefault].
	OpenMax int

	// ElementsMax is the largest number of events of one key that windows keep one
	// by one. 0 means [ElementsMaxDefault].
	ElementsMax int

	// Layout computes the columns of a pane.
	Layout *agg.Layout

	shape *shape // what Validate has made ready
}

// Validate joins everything that is wrong with the spec. It also makes ready what
// the states of all keys share, so it must not run while they do.
func (s *Spec) Validate() error {
	faults := []error{s.validateType(), s.Trigger.Validate()}
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("%w: "+format, append([]any{ErrSpec}, args...)...))
	}
	if s.Accumulation > Retracting {
		fault("unknown accumulation %d", s.Accumulation)
	}
	if s.AllowedLateness < 0 || s.AllowedLateness > SizeMax {
		fault("allowed lateness is %d ms; it must be 0 to %d", s.AllowedLateness, int64(SizeMax))
	}
	if s.OpenMax < 0 {
		fault("at most %d open windows; it must not be negative, and 0 means %d", s.OpenMax, OpenMaxDefault)
	}
	if s.ElementsMax < 0 {
		fault("at most %d events are kept; it must not be negative, and 0 means %d", s.ElementsMax, ElementsMaxDefault)
	}
	if s.Layout == nil {
		fault("it has no layout")
	}
	err := errors.Join(faults...)
	if err == nil {
		s.shape = newShape(s)
	}
	return err
}

// validateType checks that there is one type, and that it can do what is asked.
func (s *Spec) validateType() error {
	var faults []error
	var one validator
	types := 0
	is := func(set bool, v validator) {
		if set {
			types++
			one = v
		}
	}
	is(s.Assigner != nil, s.Assigner)
	is(s.Session != nil, s.Session)
	is(s.Count != nil, s.Count)
	is(s.Sliding != nil, s.Sliding)
	is(s.StateWindow != nil, s.StateWindow)
	is(s.Capped != nil, s.Capped)
	if types != 1 {
		return fmt.Errorf("%w: it has %d types; set exactly one of assigner, session, count, sliding, state window and capped session", ErrSpec, types)
	}
	if err := one.Validate(); err != nil {
		faults = append(faults, err)
	}
	refuse := func(given bool, what, why string) {
		if given {
			faults = append(faults, fmt.Errorf("%w: %s has no meaning for these windows: %s; leave it out", ErrSpec, what, why))
		}
	}
	switch {
	case s.Assigner != nil:
		_, ok := s.Assigner.(successor)
		refuse(s.Empty && !ok, "empty", "none of them ends without events")
	case s.Sliding != nil:
		refuse(!s.Trigger.each(), "the trigger", "they fire on time, and early at most for every event")
		refuse(s.Accumulation != Accumulating, "accumulation", "every firing holds all of the window")
		refuse(s.Empty, "empty", "every window has an event")
	case s.Session == nil: // count, state and capped windows close in order, once
		refuse(s.AllowedLateness != 0, "allowed lateness", "they close in the order of events")
		refuse(s.Trigger != Trigger{}, "the trigger", "they fire once, when they close")
		refuse(s.Accumulation != Accumulating, "accumulation", "they fire once")
		refuse(s.Empty, "empty", "every window has an event")
	}
	return errors.Join(faults...)
}

// validator is what the types of windows have in common.
type validator interface{ Validate() error }

// New returns the state of a key without events. The spec must be valid.
func (s *Spec) New() State {
	switch {
	case s.Count != nil:
		return newCounted(s)
	case s.Sliding != nil:
		return newSliding(s)
	case s.StateWindow != nil:
		return newStateWindows(s)
	case s.Capped != nil:
		return newCapped(s)
	}
	if h, ok := s.Assigner.(Hopping); ok && h.slicable() && s.simple() {
		return newSliced(s)
	}
	o := NewOperator(s)
	return &o
}

// simple reports whether panes are all of their window, on time and again for
// every late event.
func (s *Spec) simple() bool {
	return s.Trigger == Trigger{} && s.Accumulation == Accumulating && !s.Empty
}

// panes returns the shape of the spec's panes. The one that Validate has made
// does not count for a copy.
func (s *Spec) panes() *shape {
	if s.shape != nil && s.shape.spec == s {
		return s.shape
	}
	return newShape(s)
}

// expiry returns the watermark at which the state of w is dropped.
func (s *Spec) expiry(w Window) edged.Timestamp { return w.End.Add(s.AllowedLateness) }

// span returns the time that a pane of w speaks of. An early one does not speak
// of the future; a session ends where its last event says.
func (s *Spec) span(w Window, timing edged.Timing, watermark edged.Timestamp) agg.Span {
	if timing == edged.Early && s.Assigner != nil {
		w.End = min(w.End, max(watermark, w.Start))
	}
	return agg.Span{Start: w.Start, End: w.End}
}

// partial returns the state of a pane's aggregates for the next stage.
func (s *Spec) partial(out *edged.Output, state []uint64, cells [][]byte, origin edged.Timestamp) []byte {
	var room [256]byte
	return out.Bytes(s.Layout.AppendBinary(room[:0], state, cells, origin))
}
