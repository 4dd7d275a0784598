package agg

import "edged"

// meanOverTime is the average weighted by time. Step: every number counts for as
// long as it holds, the last one until the end of the span. Linear: the mean of the
// line through the numbers, from the first to the last. Numbers that hold for no
// time have the last of them as their average. For its cell see [series].
type meanOverTime struct{ series }

// Name implements [Function].
func (meanOverTime) Name() string { return "time_weighted_avg" }

// Result implements [Growing].
func (f meanOverTime) Result(cell []byte, span Span) edged.Value {
	sum := f.walk(cell, span.End)
	if sum.folded == 0 {
		return edged.Value{}
	}
	duration := float64(sum.last.t.Sub(sum.first.t))
	if f.measure == (area{}) {
		duration += sum.until(span.End)
	}
	if duration == 0 {
		return edged.NumberValue(sum.last.v)
	}
	return edged.NumberValue(f.underUntil(&sum, span.End) / duration)
}
