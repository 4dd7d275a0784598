package agg

import (
	"math"
	"sort"
)

// scale maps positive numbers to bins whose bounds are a factor of at most gamma
// apart, gamma = (1+e)/(1-e), so that the middle of a bin is within the relative
// error e of everything in it.
//
// The bin of x is its logarithm, rounded down. We take the logarithm to base 2 from
// the bits of x: the exponent, and between powers of two a cubic that the authors
// of DDSketch have found to need 1 % more bins than the true logarithm. There
// is no library function in it, so bins are the same on every processor.
type scale struct {
	perOctave float64 // bins from one power of two to the next
}

// The coefficients of the cubic: (cubicA*s + cubicB)*s + cubicC)*s approximates
// log2(1+s) for 0 <= s < 1, and its slope against the true logarithm never falls
// below that at 0.
const (
	cubicA = 6.0 / 35
	cubicB = -3.0 / 5
	cubicC = 10.0 / 7
)

// tiny is the smallest number with full precision. What is nearer to 0 counts as 0.
const tiny = 0x1p-1022

// newScale returns the scale for a relative error between 0 and 1.
func newScale(relative float64) scale {
	// ln gamma = 2 atanh(e), summed here for the same bits everywhere.
	lnGamma, power := 0.0, relative
	for k := 1.0; k < 200; k += 2 {
		lnGamma += float64(2 * power / k)
		power *= relative * relative
	}
	return scale{perOctave: 1 / (cubicC * lnGamma)}
}

// bin returns the bin of x, which must be at least tiny.
func (s scale) bin(x float64) int32 {
	bits := math.Float64bits(x)
	exponent := float64(int(bits>>52) - 1023)
	return int32(math.Floor((exponent + cubic(bits)) * s.perOctave))
}

// cubic approximates log2 of the mantissa, 1 to 2. The conversions keep the
// compiler from fusing products into sums, which would round differently on
// processors that can.
func cubic(bits uint64) float64 {
	m := math.Float64frombits(bits&(1<<52-1)|1023<<52) - 1
	p := float64(cubicA*m) + cubicB
	p = float64(p*m) + cubicC
	return float64(p * m)
}

// value returns the number that stands for a bin: the one whose relative distance
// from both bounds is the same.
func (s scale) value(bin int32) float64 {
	low, from := s.bound(bin)
	high, to := s.bound(bin + 1)
	high = math.Ldexp(high, to-from)
	return min(math.MaxFloat64, math.Ldexp(low*(2/(1+low/high)), from))
}

// bound returns the lower bound of a bin, as a mantissa, 1 to 2, and an exponent. It
// searches the mantissa bit by bit: the cubic rises.
func (s scale) bound(bin int32) (float64, int) {
	log := float64(bin) / s.perOctave
	exponent := math.Floor(log)
	part := log - exponent
	mantissa := sort.Search(1<<30, func(i int) bool { return cubic(uint64(i)<<22) >= part })
	return 1 + float64(mantissa)/(1<<30), int(exponent)
}
