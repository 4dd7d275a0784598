package agg

import (
	"math"

	"edged"
)

// Min is the smallest of the numbers. Of the two zeros, -0 is the smaller.
type Min struct{}

// Name implements [Function].
func (Min) Name() string { return "min" }

// Words implements [Fixed].
func (Min) Words() []Word { return []Word{Float} }

// Init implements [Fixed].
func (Min) Init(state []uint64) { state[0] = none }

// Add implements [Fixed].
func (Min) Add(state []uint64, v edged.Value, _ edged.Timestamp) {
	if v.Kind != edged.Number {
		return
	}
	f := v.Float()
	if best, ok := load(state[0]); ok {
		f = min(best, f)
	}
	state[0] = math.Float64bits(f)
}

// Merge implements [Fixed].
func (Min) Merge(dst, src []uint64) { Min{}.Add(dst, optional(src[0]), 0) }

// Result implements [Fixed].
func (Min) Result(state []uint64) edged.Value { return optional(state[0]) }
