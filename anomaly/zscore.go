package anomaly

import (
	"math"
	"unsafe"

	"edged"
)

// ZScore says how many deviations a value lies from the mean: |x-m|/s.
//
// With Window 0, m and s are those of all values so far (Welford 1962); otherwise
// those of the last Window values before this one. A state takes 48 bytes, and 8
// for each value of the window. Source: Shewhart's control chart (1931).
type ZScore struct {
	Window    int     // values; 0: all, otherwise 2 to 4096
	Threshold float64 // deviations, above 0
	Floor     float64 // the smallest deviation that counts, in units of the value
	Warmup    int     // values before the first alarm, at least 2
}

// Validate returns what is wrong with the configuration.
func (z *ZScore) Validate() error {
	f := faults{name: "zscore"}
	if z.Window != 0 {
		f.within("window", float64(z.Window), 2, 4096)
	}
	common(&f, z.Threshold, z.Floor, z.Warmup)
	f.that(z.Window == 0 || z.Warmup <= z.Window, "warmup is %d; it must not exceed the window, %d", z.Warmup, z.Window)
	return f.err()
}

// common checks the parameters that most detectors have.
func common(f *faults, threshold, floor float64, warmup int) {
	f.within("threshold", threshold, 1e-9, 1e9)
	f.within("floor", floor, 0, 1e99)
	f.within("warmup", float64(warmup), 2, 1e6)
}

// New returns the state of a new series.
func (z *ZScore) New() State { return &zState{spec: z, ring: make([]float64, z.Window)} }

type zState struct {
	spec *ZScore
	m    moments
	ring []float64
	at   int // the slot of the next value
}

func (s *zState) Observe(t edged.Timestamp, x float64) Verdict {
	v := s.Judge(t, x)
	if finite(x) {
		s.learn(clip(x))
	}
	return v
}

// Judge leaves the state as it is.
func (s *zState) Judge(_ edged.Timestamp, x float64) Verdict {
	warm := s.m.n >= s.spec.Warmup
	if !finite(x) {
		return refuse(warm)
	}
	x = clip(x)
	sd := deviation(s.m.sd(), s.m.mean, s.spec.Floor)
	var v Verdict
	if s.m.n > 0 {
		z := (x - s.m.mean) / sd
		v = judge(math.Abs(z), s.spec.Threshold, warm)
		v.around(s.m.mean, s.spec.Threshold*sd)
		v.because(CauseDeviation, z)
	}
	return v
}

// learn adds x and takes the oldest value of a full ring out.
func (s *zState) learn(x float64) {
	if len(s.ring) == 0 || s.m.n < len(s.ring) {
		s.m.add(x)
		if len(s.ring) == 0 {
			return
		}
		s.put(x)
		return
	}
	old, mean, before := s.ring[s.at], s.m.mean, s.m.m2
	s.put(x)
	s.m.mean = clip(mean + (x-old)/float64(s.m.n))
	s.m.m2 = min(squareMax, max(0, before+(x-old)*(x-s.m.mean+old-mean)))
	// Rounding piles up, and when a giant leaves nothing but rounding is left.
	if s.at == 0 || s.m.m2 < 1e-6*before {
		s.m = moments{}
		for _, y := range s.ring {
			s.m.add(y)
		}
	}
}

func (s *zState) put(x float64) {
	s.ring[s.at] = x
	if s.at++; s.at == len(s.ring) {
		s.at = 0
	}
}

func (s *zState) Bytes() int                     { return int(unsafe.Sizeof(*s)) + 8*len(s.ring) }
func (s *zState) AppendBinary(dst []byte) []byte { return appendState(dst, s) }
func (s *zState) Restore(data []byte) ([]byte, error) {
	return restoreState(s, s.spec.New().(*zState), data)
}

func (s *zState) code(c *coder) {
	c.tag('z')
	s.m.code(c)
	if size := len(s.ring); size > 0 {
		c.count(&s.at, size-1)
		c.values(s.ring)
		// The ring fills from its start, and moments count what is in it.
		c.bad = c.bad || s.m.n > size || s.m.n < size && s.at != s.m.n
	}
}
