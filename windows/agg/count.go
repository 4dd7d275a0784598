package agg

import "edged"

// Count counts the values that are not null; with slot [Events], the events.
type Count struct{}

// Words implements [Function].
func (Count) Words() []Word { return []Word{Counter} }

// Init implements [Function].
func (Count) Init(state []uint64) { state[0] = 0 }

// Add implements [Function].
func (Count) Add(state []uint64, v edged.Value, _ edged.Timestamp) {
	if v.Kind != edged.Null {
		state[0]++
	}
}

// Merge implements [Function].
func (Count) Merge(dst, src []uint64) { dst[0] += src[0] }

// Result implements [Function].
func (Count) Result(state []uint64) edged.Value {
	return edged.NumberValue(float64(state[0]))
}
