package agg

import "edged"

// duration is for how many milliseconds a truth value is true: each holds until the
// next, the last one until the end of the span. What was before the first is not
// known and does not count. For its cell see [series].
type duration struct{ series }

// Name implements [Function].
func (duration) Name() string { return "duration" }

// Result implements [Growing].
func (f duration) Result(cell []byte, span Span) edged.Value {
	sum := f.walk(cell, span.End)
	if sum.folded == 0 {
		return edged.Value{}
	}
	return edged.NumberValue(f.underUntil(&sum, span.End))
}
