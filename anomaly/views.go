package anomaly

import (
	"math"
	"time"

	"edged"
)

const (
	spikeWindow = 61
	levelWindow = 9
	jumpLag     = 12
	fastAlpha   = 0.03
	slowAlpha   = 0.003
	baseAlpha   = 0.001 // of the mean behind the seasonal bins, and of the scaler
	hoursOfWeek = 168
	binCountMax = 40
)

// magnitudeMax is where values are cut, so that differences stay within float32.
const magnitudeMax = 1e37

// views computes the eight views of a series, one value after the other.
type views struct {
	ring   ring
	wide   [spikeWindow]float32 // the last values of ring, ascending
	narrow [levelWindow]float32
	nlms   nlms
	season season
	scaler scaler
	fast   float64 // moving means
	slow   float64
	base   float64
	count  uint32 // values so far, saturating
}

// sight is what the views show at one value, and the value that each of them
// takes for zero where it is a difference to something.
type sight struct {
	shown [Views]float32
	zero  [Views]float64 // the value expected; meaningful for differences
	unit  [Views]float64 // units of the value per unit of the view
	seen  ViewSet        // the views that show something
}

// look takes a value in and shows it. The value has been prepared by narrowed.
func (w *views) look(t edged.Timestamp, x float32, zone *time.Location, s *sight) {
	v := float64(x)
	if w.count < math.MaxUint32 {
		w.count++
	}
	age := 1 / float64(w.count)
	if w.count == 1 {
		w.base = v
	}
	w.slide(x)

	s.shown[ViewFloor], s.shown[ViewCeiling] = w.ring.low, w.ring.high
	s.shown[ViewLevel] = w.narrow[min(int(w.ring.held), levelWindow)/2]
	s.difference(ViewSpike, v, float64(w.wide[min(int(w.ring.held), spikeWindow)/2]))
	s.seen = allViews
	if int(w.ring.held) <= jumpLag {
		s.seen &^= 1 << ViewJump // there is nothing to look back to
	} else {
		s.difference(ViewJump, v, float64(w.ring.ago(jumpLag)))
	}
	s.difference(ViewSeason, v, w.season.expect(t, zone, w.base))
	w.season.learn(v)
	w.base += max(baseAlpha, age) * (v - w.base)
	w.trend(v, age, s)
	w.surprise(v, age, s)
}

// glance shows a value without taking it in. It leaves out what needs the values
// just before.
func (w *views) glance(t edged.Timestamp, x float32, zone *time.Location, s *sight) {
	s.seen = 1<<ViewSeason | 1<<ViewFloor | 1<<ViewCeiling
	s.shown[ViewFloor], s.shown[ViewCeiling] = min(x, w.ring.low), max(x, w.ring.high)
	s.difference(ViewSeason, float64(x), w.season.expect(t, zone, w.base))
}

// slide takes a value into the ring and its sorted copies.
func (w *views) slide(x float32) {
	r := &w.ring
	if held := int(r.held); held < spikeWindow {
		insert(w.wide[:], held, x)
	} else {
		slide(w.wide[:], r.ago(spikeWindow-1), x)
	}
	if held := int(r.held); held < levelWindow {
		insert(w.narrow[:], held, x)
	} else {
		slide(w.narrow[:], r.ago(levelWindow-1), x)
	}
	r.push(x)
}

// trend shows the fast mean less the slow one. A value enters the difference
// with the difference of the weights, which gives the value that would make it 0.
func (w *views) trend(v, age float64, s *sight) {
	fast, slow := max(fastAlpha, age), max(slowAlpha, age)
	w.fast += fast * (v - w.fast)
	w.slow += slow * (v - w.slow)
	shown := w.fast - w.slow
	s.shown[ViewTrend] = float32(shown)
	s.unit[ViewTrend], s.zero[ViewTrend] = 0, v
	if fast > slow {
		s.unit[ViewTrend] = 1 / (fast - slow)
		s.zero[ViewTrend] = v - shown/(fast-slow)
	}
}

// surprise shows what a linear prediction did not see coming, in deviations.
func (w *views) surprise(v, age float64, s *sight) {
	w.scaler.learn(v, max(baseAlpha, age))
	z := w.scaler.standardise(v)
	expected, energy := w.nlms.predict()
	w.nlms.learn(z, expected, energy)
	s.shown[ViewSurprise] = float32(z - expected)
	s.unit[ViewSurprise] = w.scaler.deviation()
	s.zero[ViewSurprise] = w.scaler.mean + s.unit[ViewSurprise]*expected
}

// difference shows v less what is expected.
func (s *sight) difference(k View, v, expected float64) {
	s.shown[k], s.zero[k], s.unit[k] = float32(v-expected), expected, 1
}

// bounds returns the range of the value that the view takes for usual, if it has
// shown known so far.
func (s *sight) bounds(k View, known span) (low, high float64) {
	lo, hi := float64(known.lo), float64(known.hi)
	switch k {
	case ViewFloor, ViewCeiling, ViewLevel:
		return lo, hi
	}
	return s.zero[k] + s.unit[k]*lo, s.zero[k] + s.unit[k]*hi
}

// narrowed returns a finite value as it is kept: float32, cut at magnitudeMax,
// and with one zero only, so that equal values have equal bits.
func narrowed(x float64) float32 {
	if y := float32(max(-magnitudeMax, min(x, magnitudeMax))); y != 0 {
		return y
	}
	return 0 // small numbers have become a zero of either sign
}
