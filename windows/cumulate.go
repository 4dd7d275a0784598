package windows

import (
	"fmt"

	"edged"
)

// Cumulate cuts time into adjacent spans of one size, and each span into windows
// that all start with it and end one step apart: the total of the day so far,
// every hour.
type Cumulate struct {
	// Size is the length of the longest window in milliseconds, 1 to [SizeMax]. It
	// is a multiple of Step, at most [PerEventMax] times as long.
	Size int64

	// Step is the distance from one end to the next in milliseconds, and the length
	// of the shortest window.
	Step int64

	// Offset shifts all windows, in milliseconds: they start at the multiples of
	// Size plus Offset. It may be negative and counts modulo Size.
	Offset int64
}

// Assign implements [Assigner]. The windows of t are those of its span that end
// after t.
func (a Cumulate) Assign(t edged.Timestamp, i int) (Window, bool) {
	past := since(t, a.Size, a.Offset)
	k := past/a.Step + 1 // the first window with t is the k-th of the span
	if i < 0 || int64(i) > a.Size/a.Step-k {
		return Window{}, false
	}
	if i > 0 && t.Add((k+int64(i)-1)*a.Step-past) == edged.MaxTimestamp {
		return Window{}, false // the one before ends with time itself, and so would this one
	}
	return Window{Start: t.Add(-past), End: t.Add((k+int64(i))*a.Step - past)}, true
}

// Next returns the first window that ends after end, and false if time does.
func (a Cumulate) Next(end edged.Timestamp) (Window, bool) {
	if end == edged.MaxTimestamp {
		return Window{}, false
	}
	return a.Assign(end, 0)
}

// Validate implements [Assigner].
func (a Cumulate) Validate() error {
	switch {
	case a.Size < 1 || a.Size > SizeMax:
		return fmt.Errorf("%w: size is %d ms; it must be 1 to %d", ErrSpec, a.Size, int64(SizeMax))
	case a.Step < 1 || a.Step > a.Size || a.Size%a.Step != 0:
		return fmt.Errorf("%w: step is %d ms; it must divide the size, %d ms", ErrSpec, a.Step, a.Size)
	case a.Size/a.Step > PerEventMax:
		return fmt.Errorf("%w: size %d ms and step %d ms put an event into up to %d windows; the limit is %d, use a longer step",
			ErrSpec, a.Size, a.Step, a.Size/a.Step, PerEventMax)
	}
	return nil
}
