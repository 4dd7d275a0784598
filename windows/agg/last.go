package agg

import (
	"math"

	"edged"
)

// Last is the number with the latest event time. Of several at that time it is the
// one that arrived last. Its state takes 16 bytes.
type Last struct {
	Truth bool // look at truth values instead of numbers
}

// Name implements [Function].
func (Last) Name() string { return "last" }

// Words implements [Fixed].
func (Last) Words() []Word { return []Word{Time, Float} }

// Init implements [Fixed].
func (Last) Init(state []uint64) { state[0], state[1] = 0, none }

// Add implements [Fixed].
func (f Last) Add(state []uint64, v edged.Value, t edged.Timestamp) {
	x, ok := numeric(v, f.Truth)
	if !ok {
		return
	}
	if _, ok := load(state[1]); !ok || t >= edged.Timestamp(state[0]) {
		state[0], state[1] = uint64(t), math.Float64bits(x)
	}
}

// Merge implements [Fixed].
func (Last) Merge(dst, src []uint64) {
	Last{}.Add(dst, optional(src[1]), edged.Timestamp(src[0]))
}

// Result implements [Fixed].
func (f Last) Result(state []uint64) edged.Value { return denumeric(state[1], f.Truth) }
