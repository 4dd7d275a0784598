package agg

import (
	"math"

	"edged"
)

// First is the number with the earliest event time. Of several at that time it is
// the one that arrived first.
type First struct{}

// Words implements [Function].
func (First) Words() []Word { return []Word{Time, Float} }

// Init implements [Function].
func (First) Init(state []uint64) { state[0], state[1] = 0, none }

// Add implements [Function].
func (First) Add(state []uint64, v edged.Value, t edged.Timestamp) {
	if v.Kind != edged.Number {
		return
	}
	if _, ok := load(state[1]); !ok || t < edged.Timestamp(state[0]) {
		state[0], state[1] = uint64(t), math.Float64bits(v.Float())
	}
}

// Merge implements [Function].
func (First) Merge(dst, src []uint64) {
	First{}.Add(dst, optional(src[1]), edged.Timestamp(src[0]))
}

// Result implements [Function].
func (First) Result(state []uint64) edged.Value { return optional(state[1]) }
