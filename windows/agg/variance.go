package agg

import (
	"math"

	"edged"
)

// spread is the variance of the numbers or its root. It keeps the count, the mean
// and the sum of squared distances from the mean, updated after Welford
// (Technometrics 4(3), 1962) and merged after Chan, Golub and LeVeque (1979):
// adding the squares themselves would lose everything when the mean is large.
// Its state takes 24 bytes.
//
// A sum of squares that leaves the range of a float64 makes the result null.
type spread struct {
	sample bool // divide by n-1, not by n: the numbers are a sample
	root   bool // the standard deviation
}

// Name implements [Function].
func (f spread) Name() string {
	name := "variance"
	if f.root {
		name = "stddev"
	}
	if f.sample {
		return name + "_sample"
	}
	return name + "_pop"
}

// Words implements [Fixed].
func (spread) Words() []Word { return []Word{Counter, Float, Float} }

// Init implements [Fixed].
func (spread) Init(state []uint64) { clear(state) }

// Add implements [Fixed].
func (spread) Add(state []uint64, v edged.Value, _ edged.Timestamp) {
	if v.Kind != edged.Number {
		return
	}
	n, mean, squares := state[0]+1, math.Float64frombits(state[1]), math.Float64frombits(state[2])
	d := v.Float() - mean
	mean += d / float64(n)
	// The conversion keeps processors that can from fusing the product into the
	// sum: results are the same bits everywhere.
	setMoments(state, n, mean, squares+float64(d*(v.Float()-mean)))
}

// Merge implements [Fixed].
func (spread) Merge(dst, src []uint64) {
	switch {
	case src[0] == 0:
		return
	case dst[0] == 0:
		copy(dst, src)
		return
	}
	n := dst[0] + src[0]
	mean, squares := math.Float64frombits(dst[1]), math.Float64frombits(dst[2])
	d := math.Float64frombits(src[1]) - mean
	share := float64(src[0]) / float64(n)
	squares += math.Float64frombits(src[2])
	squares += float64(d * d * float64(float64(dst[0])*share))
	setMoments(dst, n, mean+float64(d*share), squares)
}

// setMoments stores moments. What has overflown becomes one bit pattern that
// stays, so that equal inputs give equal states.
func setMoments(state []uint64, n uint64, mean, squares float64) {
	if !finite(mean) || !finite(squares) {
		mean, squares = 0, math.Inf(1)
	}
	state[0], state[1], state[2] = n, math.Float64bits(mean), math.Float64bits(squares)
}

// Result implements [Fixed].
func (f spread) Result(state []uint64) edged.Value {
	n := float64(state[0])
	if f.sample {
		n--
	}
	if n <= 0 {
		return edged.Value{}
	}
	variance := max(0, math.Float64frombits(state[2])/n) // stored states may say anything
	if f.root {
		variance = math.Sqrt(variance)
	}
	return edged.NumberValue(variance)
}
