package anomaly

import (
	"unsafe"

	"edged"
)

// CUSUM adds up what values deviate from a reference: with z = (x-m)/s,
// S+ = max(0, S+ + z - K) and S- = max(0, S- - z - K); the score is the larger.
// m and s are those of the first Warmup values and then stand still. After an
// alarm the sums start at 0, and with Relearn the reference is learned anew, so
// that a lasting shift is reported once. z counts at most 8 either way: one wild
// value is not a drift by itself unless the threshold is below 8. A state takes 48
// bytes. Source: Page 1954.
type CUSUM struct {
	K         float64 // slack: half of the shift to be found, in deviations
	Threshold float64 // h, in deviations
	Floor     float64 // smallest deviation, in units of the value
	Warmup    int     // values that make the reference
	Relearn   bool    // whether an alarm makes a new reference
}

// Validate returns what is wrong with the configuration.
func (u *CUSUM) Validate() error {
	f := faults{name: "cusum"}
	f.within("k", u.K, 0, 100)
	common(&f, u.Threshold, u.Floor, u.Warmup)
	return f.err()
}

// New returns the state of a new series.
func (u *CUSUM) New() State { return &cusumState{spec: u} }

type cusumState struct {
	spec     *CUSUM
	ref      moments
	up, down float64
}

func (s *cusumState) Observe(_ edged.Timestamp, x float64) Verdict {
	warm := s.ref.n >= s.spec.Warmup
	if !finite(x) {
		return refuse(warm)
	}
	x = clip(x)
	if !warm {
		s.ref.add(x)
		return Verdict{}
	}
	sd := deviation(s.ref.sd(), s.ref.mean, s.spec.Floor)
	z := max(-8, min(8, (x-s.ref.mean)/sd))
	s.up = min(scoreCap, max(0, s.up+z-s.spec.K))
	s.down = min(scoreCap, max(0, s.down-z-s.spec.K))
	v := judge(max(s.up, s.down), s.spec.Threshold, true)
	v.around(s.ref.mean, s.spec.K*sd)
	if s.up >= s.down {
		v.because(CauseDrift, s.up)
	} else {
		v.because(CauseDrift, -s.down)
	}
	if v.Alarm {
		s.up, s.down = 0, 0
		if s.spec.Relearn {
			s.ref = moments{}
		}
	}
	return v
}

// Judge leaves the state as it is: the sums do not grow either.
func (s *cusumState) Judge(t edged.Timestamp, x float64) Verdict {
	next := *s
	return next.Observe(t, x)
}

func (s *cusumState) Bytes() int                     { return int(unsafe.Sizeof(*s)) }
func (s *cusumState) AppendBinary(dst []byte) []byte { return appendState(dst, s) }
func (s *cusumState) Restore(data []byte) ([]byte, error) {
	return restoreState(s, s.spec.New().(*cusumState), data)
}

func (s *cusumState) code(c *coder) {
	c.tag('c')
	s.ref.code(c)
	c.float(&s.up, 0, scoreCap)
	c.float(&s.down, 0, scoreCap)
}
