package windows

import (
	"fmt"

	"edged"
)

// PerEventMax is the largest number of windows that one event may belong to.
const PerEventMax = 10_000

// Hopping cuts time into windows of one size that start every period. They
// overlap when the period is shorter than the size, and leave holes, whose events
// belong to no window, when it is longer.
type Hopping struct {
	// Size is the length of every window in milliseconds, 1 to [SizeMax].
	Size int64

	// Period is the distance from one start to the next in milliseconds, 1 to
	// [SizeMax]. Size / Period is at most [PerEventMax].
	Period int64

	// Offset shifts all windows, in milliseconds: they start at the multiples of
	// Period plus Offset. It may be negative and counts modulo Period.
	Offset int64
}

// Assign implements [Assigner]. The windows of t are those with start <= t < start+Size.
func (a Hopping) Assign(t edged.Timestamp, i int) (Window, bool) {
	past := since(t, a.Period, a.Offset)
	if i < 0 || past >= a.Size || int64(i) > (a.Size-1-past)/a.Period {
		return Window{}, false
	}
	past += ((a.Size-1-past)/a.Period - int64(i)) * a.Period
	return Window{Start: t.Add(-past), End: t.Add(a.Size - past)}, true
}

// Next returns the first window that ends after end, and false if time does.
func (a Hopping) Next(end edged.Timestamp) (Window, bool) {
	if end == edged.MaxTimestamp {
		return Window{}, false
	}
	// The ends lie on the same grid as the starts, Size later.
	left := a.Period - since(end, a.Period, a.Offset%a.Period+a.Size%a.Period)
	w := Window{Start: end.Add(left - a.Size), End: end.Add(left)}
	return w, w.Start < w.End // the next one may be beyond the end of time
}

// Validate implements [Assigner].
func (a Hopping) Validate() error {
	switch {
	case a.Size < 1 || a.Size > SizeMax:
		return fmt.Errorf("%w: size is %d ms; it must be 1 to %d", ErrSpec, a.Size, int64(SizeMax))
	case a.Period < 1 || a.Period > SizeMax:
		return fmt.Errorf("%w: period is %d ms; it must be 1 to %d", ErrSpec, a.Period, int64(SizeMax))
	case (a.Size-1)/a.Period >= PerEventMax:
		return fmt.Errorf("%w: size %d ms and period %d ms put an event into %d windows; the limit is %d, use a longer period",
			ErrSpec, a.Size, a.Period, (a.Size-1)/a.Period+1, PerEventMax)
	}
	return nil
}

// slicable reports whether the windows overlap, so that keeping slices of them
// costs less than keeping them. Periods of less than 4 ms would let the numbers of
// slices overflow at the ends of time.
func (a Hopping) slicable() bool { return a.Period < a.Size && a.Period >= 4 }

// Next returns the first window that ends after end, and false if time does.
func (a Tumbling) Next(end edged.Timestamp) (Window, bool) {
	if end == edged.MaxTimestamp {
		return Window{}, false
	}
	return a.Assign(end, 0)
}

// since returns how long before t the grid has its last point: the multiples of
// step plus offset. It is 0 to step-1, also where that point is outside of time.
func since(t edged.Timestamp, step, offset int64) int64 {
	s := int64(t) % step
	if offset != 0 { // divisions are what this costs
		s = (s - offset%step) % step
	}
	if s < 0 {
		s += step
	}
	return s
}
