package anomaly

import "math"

// margin is how much farther than what was seen a false alarm makes usual, as a
// share of the range. An alarm then needs the threshold beyond that.
const margin = 0.1

// Teach applies a label to the views of the evidence. What is true is taken back
// out of their ranges, and the cool-down ends, so that the same again alarms again. What is
// expected or false widens the ranges, from now on for one to two epochs like all
// that is learned.
func (m *mvr) Teach(l Label, e Evidence) bool {
	if !m.warm() || l == LabelNone || l > LabelFalse {
		return false
	}
	taught := false
	for k := range Views {
		if !e.sound(k) {
			continue
		}
		taught = true
		switch r := &m.records[k]; l {
		case LabelTrue:
			r.forget(&e, k)
		case LabelExpected:
			r.learn(e.Shown[k])
		case LabelFalse:
			r.learn(e.Shown[k])
			r.learn(r.farther(&e, k))
		}
	}
	if taught && l == LabelTrue {
		m.cooling = cooling{}
		m.settle()
	}
	return taught
}

// forget takes back what the evidence has widened. A bound that is farther than
// the evidence goes is of something else, and stays.
func (r *record) forget(e *Evidence, k View) {
	for _, s := range [...]*span{&r.now, &r.known} {
		bound, shown := e.Bound[k], e.Shown[k]
		switch {
		case s.empty():
		case e.Above.Has(k) && s.hi > bound && s.hi <= shown:
			s.hi, s.lo = bound, min(s.lo, bound)
		case e.Below.Has(k) && s.lo < bound && s.lo >= shown:
			s.lo, s.hi = bound, max(s.hi, bound)
		}
	}
}

// farther returns what lies the margin beyond the evidence.
func (r *record) farther(e *Evidence, k View) float32 {
	more := margin * (float64(r.known.hi) - float64(r.known.lo))
	if e.Below.Has(k) {
		more = -more
	}
	return float32(max(-math.MaxFloat32, min(float64(e.Shown[k])+more, math.MaxFloat32)))
}

// settle brings what the windows and means hold of a fault back to what is usual.
// The next values would show it again: the ceiling for as long as its window is,
// the jump when it looks back, the trend while it decays.
func (m *mvr) settle() {
	w := &m.views
	usual := span{m.records[ViewFloor].known.lo, m.records[ViewCeiling].known.hi}
	var last [ringSize]float32
	held := int(w.ring.held)
	for k := range held {
		last[k] = narrowed(usual.nearest(float64(w.ring.ago(k))))
	}
	w.ring = ring{}
	for k := held - 1; k >= 0; k-- {
		w.slide(last[k])
	}
	fast := w.slow + m.records[ViewTrend].known.nearest(w.fast-w.slow)
	w.fast = max(-magnitudeMax, min(fast, magnitudeMax))
	for i, z := range w.nlms.inputs {
		x := usual.nearest(w.scaler.mean + float64(z)*w.scaler.deviation())
		w.nlms.inputs[i] = float32(w.scaler.standardise(x))
	}
}
