package agg

import "edged"

// integral is the area under the numbers over time: of a power in kW with a unit of
// one hour, the energy in kWh. Numbers hold until the next, the last one until the
// end of the span; or they are joined by lines, and nothing follows the last.
// For its cell see [series].
type integral struct {
	series
	per int64 // the unit of time in milliseconds
}

// Name implements [Function].
func (integral) Name() string { return "integral" }

// Result implements [Growing].
func (f integral) Result(cell []byte, span Span) edged.Value {
	sum := f.walk(cell, span.End)
	if sum.folded == 0 {
		return edged.Value{}
	}
	return edged.NumberValue(f.underUntil(&sum, span.End) / float64(f.per))
}
