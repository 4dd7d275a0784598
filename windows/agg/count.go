package agg

import "edged"

// Count counts the values that are not null; with slot [Events], the events.
type Count struct{}

// Name implements [Function].
func (Count) Name() string { return "count" }

// Words implements [Fixed].
func (Count) Words() []Word { return []Word{Counter} }

// Init implements [Fixed].
func (Count) Init(state []uint64) { state[0] = 0 }

// Add implements [Fixed].
func (Count) Add(state []uint64, v edged.Value, _ edged.Timestamp) {
	if v.Kind != edged.Null {
		state[0]++
	}
}

// Merge implements [Fixed].
func (Count) Merge(dst, src []uint64) { dst[0] += src[0] }

// Result implements [Fixed].
func (Count) Result(state []uint64) edged.Value {
	return edged.NumberValue(float64(state[0]))
}
