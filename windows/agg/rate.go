package agg

import "edged"

// rate is the increase of a counter per unit of time, between its first number and
// its last: nothing is extrapolated to the bounds of the window. It is null unless
// there are numbers at two times. For its cell see [series].
type rate struct {
	series
	per int64 // the unit of time in milliseconds
}

// Name implements [Function].
func (rate) Name() string { return "rate" }

// Result implements [Growing].
func (f rate) Result(cell []byte, span Span) edged.Value {
	sum := f.walk(cell, span.End)
	duration := sum.last.t.Sub(sum.first.t)
	if sum.folded == 0 || duration == 0 {
		return edged.Value{}
	}
	return edged.NumberValue(sum.total() / float64(duration) * float64(f.per))
}
