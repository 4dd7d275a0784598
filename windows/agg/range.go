package agg

import "edged"

// extent is the largest number less the smallest. Its state takes 16 bytes.
type extent struct{}

// Name implements [Function].
func (extent) Name() string { return "range" }

// Words implements [Fixed].
func (extent) Words() []Word { return []Word{Float, Float} }

// Init implements [Fixed].
func (extent) Init(state []uint64) { state[0], state[1] = none, none }

// Add implements [Fixed].
func (extent) Add(state []uint64, v edged.Value, t edged.Timestamp) {
	Min{}.Add(state[:1], v, t)
	Max{}.Add(state[1:], v, t)
}

// Merge implements [Fixed].
func (extent) Merge(dst, src []uint64) {
	Min{}.Merge(dst[:1], src[:1])
	Max{}.Merge(dst[1:], src[1:])
}

// Result implements [Fixed].
func (extent) Result(state []uint64) edged.Value {
	low, _ := load(state[0])
	high, _ := load(state[1])
	return edged.NumberValue(high - low)
}
