package windows

import (
	"fmt"

	"edged"
)

// Window is a half-open interval of event time, [Start, End).
type Window struct {
	Start edged.Timestamp
	End   edged.Timestamp
}

// compare orders windows by start, then by end.
func (w Window) compare(v Window) int {
	switch {
	case w.Start < v.Start || w.Start == v.Start && w.End < v.End:
		return -1
	case w == v:
		return 0
	}
	return 1
}

// Assigner says which windows an event time belongs to.
type Assigner interface {
	// Assign returns the i-th window of t in the order of starts, from 0, and
	// false when t has no more than i windows. Every window of t ends after t,
	// unless it ends with time itself.
	Assign(t edged.Timestamp, i int) (Window, bool)

	// Validate joins everything that is wrong with the assigner.
	Validate() error
}

// SizeMax is the longest window: 2^60 milliseconds, more than any calendar
// needs and short enough that no intermediate result of an assigner overflows.
const SizeMax = 1 << 60

// Tumbling cuts time into adjacent windows of one size.
type Tumbling struct {
	// Size is the length of every window in milliseconds, 1 to [SizeMax].
	Size int64

	// Offset shifts all windows, in milliseconds: they start at the multiples of
	// Size plus Offset. It may be negative and counts modulo Size.
	Offset int64
}

// Assign implements [Assigner]. There is exactly one window for every t.
func (a Tumbling) Assign(t edged.Timestamp, i int) (Window, bool) {
	if i > 0 {
		return Window{}, false
	}
	past := since(t, a.Size, a.Offset)
	return Window{Start: t.Add(-past), End: t.Add(a.Size - past)}, true
}

// Validate implements [Assigner].
func (a Tumbling) Validate() error {
	if a.Size < 1 || a.Size > SizeMax {
		return fmt.Errorf("%w: size is %d ms; it must be 1 to %d", ErrSpec, a.Size, int64(SizeMax))
	}
	return nil
}
