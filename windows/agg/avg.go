package agg

import "edged"

// Avg is the arithmetic mean of the numbers. It keeps a count and what [Sum]
// keeps, because means do not merge and sums do.
type Avg struct{}

// Name implements [Function].
func (Avg) Name() string { return "avg" }

// Words implements [Fixed].
func (Avg) Words() []Word { return append([]Word{Counter}, Sum{}.Words()...) }

// Init implements [Fixed].
func (Avg) Init(state []uint64) {
	state[0] = 0
	Sum{}.Init(state[1:])
}

// Add implements [Fixed].
func (Avg) Add(state []uint64, v edged.Value, _ edged.Timestamp) {
	if v.Kind == edged.Number {
		state[0]++
		accumulate(state[1:], v.Float())
	}
}

// Merge implements [Fixed].
func (Avg) Merge(dst, src []uint64) {
	dst[0] += src[0]
	Sum{}.Merge(dst[1:], src[1:])
}

// Result implements [Fixed].
func (Avg) Result(state []uint64) edged.Value {
	return edged.NumberValue(total(state[1:]) / float64(state[0])) // no sum: NaN, thus null
}
