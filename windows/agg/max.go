package agg

import (
	"math"

	"edged"
)

// Max is the largest of the numbers. Of the two zeros, +0 is the larger.
type Max struct{}

// Name implements [Function].
func (Max) Name() string { return "max" }

// Words implements [Fixed].
func (Max) Words() []Word { return []Word{Float} }

// Init implements [Fixed].
func (Max) Init(state []uint64) { state[0] = none }

// Add implements [Fixed].
func (Max) Add(state []uint64, v edged.Value, _ edged.Timestamp) {
	if v.Kind != edged.Number {
		return
	}
	f := v.Float()
	if best, ok := load(state[0]); ok {
		f = max(best, f)
	}
	state[0] = math.Float64bits(f)
}

// Merge implements [Fixed].
func (Max) Merge(dst, src []uint64) { Max{}.Add(dst, optional(src[0]), 0) }

// Result implements [Fixed].
func (Max) Result(state []uint64) edged.Value { return optional(state[0]) }
