package agg

import (
	"math"

	"edged"
)

// slope is the slope of the line through the points (event time, number) that
// least squares find: by how much the numbers rise per unit of time. Times are
// relative to that of the first number to arrive, and moments to the means, so
// that nothing is lost to the size of timestamps. It is null unless there are two
// numbers at different times. Its state takes 48 bytes.
//
// Merging shifts the origin of one side: Chan, Golub and LeVeque for two variables.
type slope struct {
	per int64 // the unit of time in milliseconds
}

// Name implements [Function].
func (slope) Name() string { return "slope" }

// The words of a slope.
const (
	slopeOrigin = iota
	slopeN
	slopeX  // mean of the times after the origin, in milliseconds
	slopeY  // mean of the numbers
	slopeXX // sum of squared distances of the times from their mean
	slopeXY // sum of products of the distances
)

// Words implements [Fixed].
func (slope) Words() []Word { return []Word{Time, Counter, Float, Float, Float, Float} }

// Init implements [Fixed].
func (slope) Init(state []uint64) { clear(state) }

// Add implements [Fixed].
func (slope) Add(state []uint64, v edged.Value, t edged.Timestamp) {
	if v.Kind != edged.Number {
		return
	}
	if state[slopeN] == 0 {
		state[slopeOrigin] = uint64(t)
	}
	x := float64(t.Sub(edged.Timestamp(state[slopeOrigin])))
	join(state, 1, x, v.Float(), 0, 0)
}

// Merge implements [Fixed].
func (slope) Merge(dst, src []uint64) {
	switch {
	case src[slopeN] == 0:
		return
	case dst[slopeN] == 0:
		copy(dst, src)
		return
	}
	shift := float64(edged.Timestamp(src[slopeOrigin]).Sub(edged.Timestamp(dst[slopeOrigin])))
	f := func(i int) float64 { return math.Float64frombits(src[i]) }
	join(dst, src[slopeN], f(slopeX)+shift, f(slopeY), f(slopeXX), f(slopeXY))
}

// join merges n points with the given means and moments into state.
func join(state []uint64, n uint64, x, y, xx, xy float64) {
	before := float64(state[slopeN])
	state[slopeN] += n
	mx, my := math.Float64frombits(state[slopeX]), math.Float64frombits(state[slopeY])
	dx, dy := x-mx, y-my
	share := float64(n) / float64(state[slopeN])
	weight := before * share
	xx += math.Float64frombits(state[slopeXX])
	xx += float64(float64(dx*dx) * weight)
	xy += math.Float64frombits(state[slopeXY])
	xy += float64(float64(dx*dy) * weight)
	mx += float64(dx * share)
	my += float64(dy * share)
	if !finite(mx) || !finite(my) || !finite(xx) || !finite(xy) {
		mx, my, xx, xy = 0, 0, math.Inf(1), 0 // one pattern for "overflown"; it stays
	}
	for i, f := range [...]float64{mx, my, xx, xy} {
		state[slopeX+i] = math.Float64bits(f)
	}
}

// Result implements [Fixed].
func (f slope) Result(state []uint64) edged.Value {
	xx := math.Float64frombits(state[slopeXX])
	if state[slopeN] < 2 || !(xx > 0) || !finite(xx) {
		return edged.Value{}
	}
	return edged.NumberValue(math.Float64frombits(state[slopeXY]) / xx * float64(f.per))
}
