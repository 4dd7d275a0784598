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

// OpenMaxDefault is the number of windows that one key may have open unless
// the [Spec] says otherwise.
const OpenMaxDefault = 1024

// Spec is what the operators of all keys share. It must not change once an
// operator uses it.
type Spec struct {
	// Assigner cuts event time into windows.
	Assigner Assigner

	// Trigger decides when they fire.
	Trigger Trigger

	// AllowedLateness is how long after its end a window still takes events, in
	// milliseconds of event time, 0 to [SizeMax]. 0 forgets a window when it has
	// fired. Every late event fires the whole window again, so a long lateness costs state
	// and uplink.
	AllowedLateness int64

	// OpenMax is the largest number of windows of one key whose state is kept.
	// An event that would open one more is refused and reported. 0 means
	// [OpenMaxDefault].
	OpenMax int

	// Layout computes the columns of a pane.
	Layout *agg.Layout
}

// Validate joins everything that is wrong with the spec.
func (s *Spec) Validate() error {
	var faults []error
	if s.Assigner == nil {
		faults = append(faults, fmt.Errorf("%w: it has no assigner", ErrSpec))
	} else if err := s.Assigner.Validate(); err != nil {
		faults = append(faults, err)
	}
	if s.Trigger == nil {
		faults = append(faults, fmt.Errorf("%w: it has no trigger", ErrSpec))
	}
	if s.AllowedLateness < 0 || s.AllowedLateness > SizeMax {
		faults = append(faults, fmt.Errorf("%w: allowed lateness is %d ms; it must be 0 to %d", ErrSpec, s.AllowedLateness, int64(SizeMax)))
	}
	if s.OpenMax < 0 {
		faults = append(faults, fmt.Errorf("%w: at most %d open windows; it must not be negative, and 0 means %d", ErrSpec, s.OpenMax, OpenMaxDefault))
	}
	if s.Layout == nil {
		faults = append(faults, fmt.Errorf("%w: it has no layout", ErrSpec))
	}
	return errors.Join(faults...)
}

// expiry returns the watermark at which the state of w is dropped.
func (s *Spec) expiry(w Window) edged.Timestamp { return w.End.Add(s.AllowedLateness) }

// paneWords returns the number of words that a pane takes.
func (s *Spec) paneWords() int { return paneHead + s.Layout.Words() }

// openMax returns the limit with its default.
func (s *Spec) openMax() int {
	if s.OpenMax == 0 {
		return OpenMaxDefault
	}
	return s.OpenMax
}
