package anomaly

import (
	"math"
	"unsafe"

	"edged"
)

// EWMAChart watches a smoothed value: w += Lambda (x-w) against
// Threshold sqrt(Lambda/(2-Lambda)) s around a slow mean m, where m and the
// deviation s forget with weight Memory. It finds small lasting shifts that no
// single value shows. A state takes 40 bytes. Source: Roberts 1959.
type EWMAChart struct {
	Lambda    float64 // weight of a value in w, 0 to 1
	Memory    float64 // weight of a value in m and s, 0 to Lambda
	Threshold float64 // deviations of w
	Floor     float64 // smallest deviation of values, in their unit
	Warmup    int     // values before the first alarm
}

// Validate returns what is wrong with the configuration.
func (e *EWMAChart) Validate() error {
	f := faults{name: "ewma"}
	f.within("lambda", e.Lambda, 1e-6, 1)
	f.within("memory", e.Memory, 1e-9, e.Lambda)
	common(&f, e.Threshold, e.Floor, e.Warmup)
	return f.err()
}

// New returns the state of a new series.
func (e *EWMAChart) New() State { return &ewmaState{spec: e} }

type ewmaState struct {
	spec   *EWMAChart
	slow   fading
	smooth float64
}

func (s *ewmaState) Observe(_ edged.Timestamp, x float64) Verdict {
	warm := s.slow.n >= s.spec.Warmup
	if !finite(x) {
		return refuse(warm)
	}
	x = clip(x)
	if s.slow.n == 0 {
		s.smooth = x
		s.slow.add(x, s.spec.Memory)
		return Verdict{}
	}
	l := s.spec.Lambda
	s.smooth = clip(s.smooth + l*(x-s.smooth))
	sd := math.Sqrt(l/(2-l)) * deviation(s.slow.sd(), s.slow.mean, s.spec.Floor)
	z := (s.smooth - s.slow.mean) / sd
	v := judge(math.Abs(z), s.spec.Threshold, warm)
	v.around(s.slow.mean, s.spec.Threshold*sd)
	v.because(CauseDeviation, z)
	s.slow.add(x, s.spec.Memory)
	return v
}

// Judge leaves the state as it is: the smoothed value does not move either.
func (s *ewmaState) Judge(t edged.Timestamp, x float64) Verdict {
	next := *s
	return next.Observe(t, x)
}

func (s *ewmaState) Bytes() int                     { return int(unsafe.Sizeof(*s)) }
func (s *ewmaState) AppendBinary(dst []byte) []byte { return appendState(dst, s) }
func (s *ewmaState) Restore(data []byte) ([]byte, error) {
	return restoreState(s, s.spec.New().(*ewmaState), data)
}

func (s *ewmaState) code(c *coder) {
	c.tag('e')
	s.slow.code(c)
	c.value(&s.smooth)
}
