package anomaly

import "math"

// span is a closed range of what a view has shown. It is empty if lo > hi.
type span struct{ lo, hi float32 }

// nothing is the empty span: any value widens it to that value.
var nothing = span{math.MaxFloat32, -math.MaxFloat32}

func (s span) empty() bool { return s.lo > s.hi }

// widen makes the span contain x. Records are rare: the branches are foreseen by
// the processor, where min and max would be computed.
func (s *span) widen(x float32) {
	if x < s.lo {
		s.lo = x
	}
	if x > s.hi {
		s.hi = x
	}
}

// nearest returns what of the span is nearest to x; of an empty one, x.
func (s span) nearest(x float64) float64 {
	if s.empty() {
		return x
	}
	return max(float64(s.lo), min(x, float64(s.hi)))
}

// record is what is remembered of one view: the range of the current epoch, and
// of it and the previous one together, which a new value is compared to.
type record struct{ now, known span }

// learn widens the range by x.
func (r *record) learn(x float32) {
	r.now.widen(x)
	r.known.widen(x)
}

// roll ends an epoch: what was before it is forgotten, and x, which has been
// learned, is the first of the next one.
func (r *record) roll(x float32) { r.now, r.known = span{x, x}, r.now }

// recordScoreMax bounds the score: five times the known range is unusual enough.
const recordScoreMax = 5

// relativeFloor is the part of a magnitude below which differences mean nothing.
// Values are kept in float32, which resolves about a sixteenth of it.
const relativeFloor = 1e-6

// excess returns by how much x is outside the known range, as a share of that
// range: the score of a record. The range is taken as no smaller than a millionth
// of the bounds' and of the given magnitude, so that rounding on a constant series
// is no record.
func excess(known span, x float32, magnitude float64) float64 {
	if x >= known.lo && x <= known.hi || known.empty() {
		return 0
	}
	lo, hi := float64(known.lo), float64(known.hi)
	over := max(float64(x)-hi, lo-float64(x))
	width := hi - lo + relativeFloor*(math.Abs(hi)+math.Abs(lo)+magnitude) + 1e-30
	return min(recordScoreMax, over/width)
}
