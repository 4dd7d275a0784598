package agg

import (
	"math"

	"edged"
)

// Sum adds the numbers. The sum is compensated after Neumaier: the rounding
// error of every addition is kept apart and added at the end, so that a long
// window of readings loses nothing that a float64 can show.
type Sum struct{}

// Name implements [Function].
func (Sum) Name() string { return "sum" }

// Words implements [Fixed].
func (Sum) Words() []Word { return []Word{Float, Float} }

// Init implements [Fixed].
func (Sum) Init(state []uint64) { state[0], state[1] = none, 0 }

// Add implements [Fixed].
func (Sum) Add(state []uint64, v edged.Value, _ edged.Timestamp) {
	if v.Kind == edged.Number {
		accumulate(state, v.Float())
	}
}

// Merge implements [Fixed].
func (Sum) Merge(dst, src []uint64) {
	if sum, ok := load(src[0]); ok {
		accumulate(dst, sum)
		accumulate(dst, math.Float64frombits(src[1]))
	}
}

// Result implements [Fixed].
func (Sum) Result(state []uint64) edged.Value {
	return edged.NumberValue(total(state)) // null if there is no sum, or none that is finite
}

// accumulate adds f to the sum in state[0] and the error to that in state[1].
// A sum beyond the range of a float64 becomes +Inf, whatever its sign, and
// stays so: one bit pattern for "overflowed" keeps states comparable.
func accumulate(state []uint64, f float64) {
	sum, ok := load(state[0])
	if !ok {
		state[0] = math.Float64bits(f)
		return
	}
	next := sum + f
	if math.IsInf(next, 0) {
		state[0], state[1] = math.Float64bits(math.Inf(1)), 0
		return
	}
	lost := math.Float64frombits(state[1])
	if math.Abs(sum) >= math.Abs(f) {
		lost += (sum - next) + f
	} else {
		lost += (f - next) + sum
	}
	state[0], state[1] = math.Float64bits(next), math.Float64bits(lost)
}

// total returns the compensated sum, and NaN if nothing was added.
func total(state []uint64) float64 {
	return math.Float64frombits(state[0]) + math.Float64frombits(state[1])
}
