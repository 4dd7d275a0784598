package anomaly

import (
	"errors"
	"fmt"
	"math"
)

// The ends of what detectors work with. A value beyond valueMax counts as
// valueMax, so that squares and sums of squares stay finite; a score never
// exceeds scoreCap.
const (
	valueMax  = 1e100
	squareMax = 1e220
	scoreCap  = 1e12
	countMax  = 1 << 30
)

// finite reports whether x is a number that can be judged.
func finite(x float64) bool { return x-x == 0 }

// clip returns x within the range that detectors work with.
func clip(x float64) float64 { return max(-valueMax, min(valueMax, x)) }

// deviation returns the larger of s and the smallest deviation that a division
// may see around m: the given floor, or a billionth of the value.
func deviation(s, m, floor float64) float64 {
	return max(s, floor, 1e-9*(1+math.Abs(m)))
}

// judge returns the verdict for a score: an alarm from the threshold on, minor
// there, major from twice and critical from four times the threshold on.
func judge(score, threshold float64, warm bool) Verdict {
	if !(score > 0) {
		score = 0
	}
	score = min(score, scoreCap)
	v := Verdict{Score: score, Warm: warm, Alarm: warm && score >= threshold}
	if warm {
		v.Severity = Grade(score, threshold, 2*threshold, 4*threshold)
	}
	return v
}

// around sets the expected range to m-d .. m+d.
func (v *Verdict) around(m, d float64) {
	v.Low, v.High, v.HasRange = clip(m-d), clip(m+d), true
}

// because sets the reason, if there is something unusual to explain.
func (v *Verdict) because(cause Cause, signed float64) {
	if v.Score > 0 {
		v.Reason.Cause, v.Reason.Excess, v.Reason.Below = cause, clip(signed), signed < 0
	}
}

// refuse returns the verdict for a value that is not finite.
func refuse(warm bool) Verdict {
	return Verdict{Warm: warm, Reason: Reason{Cause: CauseNotFinite}}
}

// moments are the mean and the sum of squared distances from it, updated by
// Welford's recurrence.
type moments struct {
	n        int
	mean, m2 float64
}

func (m *moments) add(x float64) {
	m.n = min(m.n+1, countMax)
	d := x - m.mean
	m.mean = clip(m.mean + d/float64(m.n))
	m.m2 = min(squareMax, max(0, m.m2+d*(x-m.mean)))
}

// sd returns the deviation of the sample.
func (m *moments) sd() float64 {
	if m.n < 2 {
		return 0
	}
	return math.Sqrt(m.m2 / float64(m.n-1))
}

func (m *moments) code(c *coder) {
	c.count(&m.n, countMax)
	c.value(&m.mean)
	c.float(&m.m2, 0, squareMax)
}

// fading are a mean and a variance that forget: each value weighs alpha, and
// while there are few values each weighs the same.
type fading struct {
	n         int
	mean, vrn float64
}

func (f *fading) add(x, alpha float64) {
	f.n = min(f.n+1, countMax)
	a := max(alpha, 1/float64(f.n))
	d := x - f.mean
	f.mean = clip(f.mean + a*d)
	f.vrn = min(squareMax, (1-a)*(f.vrn+a*d*d))
}

func (f *fading) sd() float64 { return math.Sqrt(f.vrn) }

func (f *fading) code(c *coder) {
	c.count(&f.n, countMax)
	c.value(&f.mean)
	c.float(&f.vrn, 0, squareMax)
}

// faults collects what is wrong with a configuration.
type faults struct {
	name string
	all  []error
}

// within notes a fault unless lo <= x <= hi.
func (f *faults) within(what string, x, lo, hi float64) {
	if !(x >= lo && x <= hi) {
		f.all = append(f.all, fmt.Errorf("%s: %s is %v; it must be %v to %v", f.name, what, x, lo, hi))
	}
}

// that notes a fault unless ok.
func (f *faults) that(ok bool, format string, args ...any) {
	if !ok {
		f.all = append(f.all, fmt.Errorf(f.name+": "+format, args...))
	}
}

func (f *faults) err() error { return errors.Join(f.all...) }
