package agg

import "edged"

// growth is by how much a counter has risen. One that is lower than before has
// started again from 0.
type growth struct{}

func (growth) between(a, b sample) float64 {
	if b.v < a.v {
		return max(b.v, 0)
	}
	return b.v - a.v
}

// increase is by how much a counter rises within the window, from its first number to
// its last, over all restarts. What it rose between windows belongs to neither.
// For its cell see [series].
type increase struct{ series }

// Name implements [Function].
func (increase) Name() string { return "increase" }

// Result implements [Growing].
func (f increase) Result(cell []byte, span Span) edged.Value {
	sum := f.walk(cell, span.End)
	if sum.folded == 0 {
		return edged.Value{}
	}
	return edged.NumberValue(sum.total())
}
