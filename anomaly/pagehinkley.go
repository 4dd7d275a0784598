package anomaly

import (
	"unsafe"

	"edged"
)

// PageHinkley adds up the distances of values from their running mean, less
// Delta, and compares the sum with its minimum; the same mirrored for falls. All
// is in deviations of the values since the last alarm, which starts everything
// anew. A distance counts at most 8 either way. A state takes 48 bytes. Source:
// Page 1954, Hinkley 1971.
type PageHinkley struct {
	Delta     float64 // tolerated drift a value, in deviations
	Threshold float64 // lambda, in deviations
	Floor     float64 // smallest deviation, in units of the value
	Warmup    int     // values after a start before the sums begin
}

// Validate returns what is wrong with the configuration.
func (p *PageHinkley) Validate() error {
	f := faults{name: "page_hinkley"}
	f.within("delta", p.Delta, 0, 100)
	common(&f, p.Threshold, p.Floor, p.Warmup)
	return f.err()
}

// New returns the state of a new series.
func (p *PageHinkley) New() State { return &hinkleyState{spec: p} }

// hinkleyState keeps the sums less their minimum: a sum that falls below its
// minimum makes the difference 0, so max(0, ...) is the whole bookkeeping.
type hinkleyState struct {
	spec     *PageHinkley
	m        moments
	up, down float64
}

func (s *hinkleyState) Observe(_ edged.Timestamp, x float64) Verdict {
	warm := s.m.n >= s.spec.Warmup
	if !finite(x) {
		return refuse(warm)
	}
	x = clip(x)
	s.m.add(x)
	if !warm {
		return Verdict{}
	}
	sd := deviation(s.m.sd(), s.m.mean, s.spec.Floor)
	z := max(-8, min(8, (x-s.m.mean)/sd))
	s.up = min(scoreCap, max(0, s.up+z-s.spec.Delta))
	s.down = min(scoreCap, max(0, s.down-z-s.spec.Delta))
	v := judge(max(s.up, s.down), s.spec.Threshold, true)
	v.around(s.m.mean, s.spec.Delta*sd)
	if s.up >= s.down {
		v.because(CauseDrift, s.up)
	} else {
		v.because(CauseDrift, -s.down)
	}
	if v.Alarm {
		s.m, s.up, s.down = moments{}, 0, 0
	}
	return v
}

// Judge leaves the state as it is: the sums do not grow either.
func (s *hinkleyState) Judge(t edged.Timestamp, x float64) Verdict {
	next := *s
	return next.Observe(t, x)
}

func (s *hinkleyState) Bytes() int                     { return int(unsafe.Sizeof(*s)) }
func (s *hinkleyState) AppendBinary(dst []byte) []byte { return appendState(dst, s) }
func (s *hinkleyState) Restore(data []byte) ([]byte, error) {
	return restoreState(s, s.spec.New().(*hinkleyState), data)
}

func (s *hinkleyState) code(c *coder) {
	c.tag('k')
	s.m.code(c)
	c.float(&s.up, 0, scoreCap)
	c.float(&s.down, 0, scoreCap)
}
