package agg

import (
	"math"

	"edged"
)

// Last is the number with the latest event time. Of several at that time it is
// the one that arrived last.
type Last struct{}

// Words implements [Function].
func (Last) Words() []Word { return []Word{Time, Float} }

// Init implements [Function].
func (Last) Init(state []uint64) { state[0], state[1] = 0, none }

// Add implements [Function].
func (Last) Add(state []uint64, v edged.Value, t edged.Timestamp) {
	if v.Kind != edged.Number {
		return
	}
	if _, ok := load(state[1]); !ok || t >= edged.Timestamp(state[0]) {
		state[0], state[1] = uint64(t), math.Float64bits(v.Float())
	}
}

// Merge implements [Function].
func (Last) Merge(dst, src []uint64) {
	Last{}.Add(dst, optional(src[1]), edged.Timestamp(src[0]))
}

// Result implements [Function].
func (Last) Result(state []uint64) edged.Value { return optional(state[1]) }
