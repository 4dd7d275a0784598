package agg

import (
	"math"

	"edged"
)

// First is the number with the earliest event time. Of several at that time it is
// the one that arrived first. Its state takes 16 bytes.
type First struct {
	Truth bool // look at truth values instead of numbers
}

// Name implements [Function].
func (First) Name() string { return "first" }

// Words implements [Fixed].
func (First) Words() []Word { return []Word{Time, Float} }

// Init implements [Fixed].
func (First) Init(state []uint64) { state[0], state[1] = 0, none }

// Add implements [Fixed].
func (f First) Add(state []uint64, v edged.Value, t edged.Timestamp) {
	x, ok := numeric(v, f.Truth)
	if !ok {
		return
	}
	if _, ok := load(state[1]); !ok || t < edged.Timestamp(state[0]) {
		state[0], state[1] = uint64(t), math.Float64bits(x)
	}
}

// Merge implements [Fixed].
func (First) Merge(dst, src []uint64) {
	First{}.Add(dst, optional(src[1]), edged.Timestamp(src[0]))
}

// Result implements [Fixed].
func (f First) Result(state []uint64) edged.Value { return denumeric(state[1], f.Truth) }

// numeric returns what a function of numbers, or one of truth values, has to look
// at, and false when that is nothing.
func numeric(v edged.Value, asTruth bool) (float64, bool) {
	if asTruth {
		return truth(v.Bool()), v.Kind == edged.Bool
	}
	return v.Float(), v.Kind == edged.Number
}

// denumeric returns the value that numeric has made a number of.
func denumeric(word uint64, asTruth bool) edged.Value {
	f, ok := load(word)
	if asTruth && ok {
		return edged.BoolValue(f != 0)
	}
	return optional(word)
}
