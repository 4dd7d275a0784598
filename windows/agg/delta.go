package agg

import "edged"

// delta is the last number by event time less the first. Of one number it is 0.
// Its state takes 32 bytes.
type delta struct{}

// Name implements [Function].
func (delta) Name() string { return "delta" }

// Words implements [Fixed].
func (delta) Words() []Word { return []Word{Time, Float, Time, Float} }

// Init implements [Fixed].
func (delta) Init(state []uint64) {
	First{}.Init(state[:2])
	Last{}.Init(state[2:])
}

// Add implements [Fixed].
func (delta) Add(state []uint64, v edged.Value, t edged.Timestamp) {
	First{}.Add(state[:2], v, t)
	Last{}.Add(state[2:], v, t)
}

// Merge implements [Fixed].
func (delta) Merge(dst, src []uint64) {
	First{}.Merge(dst[:2], src[:2])
	Last{}.Merge(dst[2:], src[2:])
}

// Result implements [Fixed].
func (delta) Result(state []uint64) edged.Value {
	first, _ := load(state[1])
	last, _ := load(state[3])
	return edged.NumberValue(last - first)
}
