package anomaly

import (
	"math"
	"unsafe"

	"edged"
)

// Likelihood judges not the scores of another detector but how unusual their
// recent level is: with the mean of the last Short scores and the mean m and
// deviation s of the scores over about Long values, the score is
// -log10 Q((mean - m)/s), Q the tail of the normal distribution: 4 is one in 10,000.
// It makes scores of noisy detectors comparable. The long memory fades out where
// the source has a sharp window, so that the state stays small: 8 bytes for each
// of Short, 88, and the state of Of. Source: Lavin and Ahmad 2015.
type Likelihood struct {
	Of        Spec
	Short     int     // values, 1 to 256
	Long      int     // values, above Short
	Threshold float64 // powers of ten, at most 300
	Floor     float64 // smallest deviation of scores
	Warmup    int     // scores before the first alarm
}

// Validate returns what is wrong with the configuration.
func (l *Likelihood) Validate() error {
	f := faults{name: "likelihood"}
	f.within("short", float64(l.Short), 1, 256)
	f.within("long", float64(l.Long), float64(l.Short)+1, 1e6)
	common(&f, l.Threshold, l.Floor, l.Warmup)
	f.that(l.Threshold <= 300, "threshold is %v; it must be at most 300", l.Threshold)
	f.spec(l.Of)
	return f.err()
}

// spec notes the faults of a detector inside another.
func (f *faults) spec(s Spec) {
	if s == nil {
		f.that(false, "it has no detector to work on; give one in of")
	} else if err := s.Validate(); err != nil {
		f.that(false, "%w", err)
	}
}

// New returns the state of a new series.
func (l *Likelihood) New() State {
	return &likelyState{spec: l, of: l.Of.New(), ring: make([]float64, l.Short)}
}

type likelyState struct {
	spec *Likelihood
	of   State
	long fading
	ring []float64
	n    int // scores so far, stops at Short + Warmup
	at   int
}

func (s *likelyState) Observe(t edged.Timestamp, x float64) Verdict {
	inner := s.of.Observe(t, x)
	v := s.judge(&inner)
	if inner.Warm && !inner.refused() {
		s.long.add(inner.Score, 1/float64(s.spec.Long))
		s.ring[s.at] = inner.Score
		s.at = (s.at + 1) % len(s.ring)
		s.n = min(s.n+1, len(s.ring)+s.spec.Warmup)
	}
	return v
}

// Judge lets the detector behind judge, and leaves its own memory of scores as it is.
func (s *likelyState) Judge(t edged.Timestamp, x float64) Verdict {
	inner := Judge(s.of, t, x)
	return s.judge(&inner)
}

// Teach teaches the detector behind.
func (s *likelyState) Teach(l Label, e Evidence) bool { return Teach(s.of, l, e) }

// judge judges the score of the detector behind.
func (s *likelyState) judge(inner *Verdict) Verdict {
	if inner.refused() {
		return *inner
	}
	v := Verdict{Warm: inner.Warm && s.n >= len(s.ring)+s.spec.Warmup}
	if inner.Warm {
		v = s.unlikely(inner.Score, v.Warm)
	}
	v.Low, v.High, v.HasRange, v.Evidence = inner.Low, inner.High, inner.HasRange, inner.Evidence
	return v
}

// refused reports whether a detector has not taken the value at all.
func (v *Verdict) refused() bool {
	return v.Reason.Cause == CauseNotFinite || v.Reason.Cause == CauseImplausible
}

// unlikely judges a score together with the ones before it.
func (s *likelyState) unlikely(score float64, warm bool) Verdict {
	long := s.long
	long.add(score, 1/float64(s.spec.Long))
	if s.n < len(s.ring) {
		return Verdict{}
	}
	mean := 0.0
	for i, y := range s.ring {
		if i == s.at { // the oldest makes room
			y = score
		}
		mean += y / float64(len(s.ring))
	}
	z := (mean - long.mean) / deviation(long.sd(), long.mean, s.spec.Floor)
	power := tail(z)
	if z <= 0 {
		power = 0
	}
	v := judge(power, s.spec.Threshold, warm)
	v.because(CauseUnlikely, power)
	return v
}

// tail returns -log10 of the upper tail of the normal distribution, at most 300.
func tail(z float64) float64 {
	if q := 0.5 * math.Erfc(z/math.Sqrt2); q > 1e-300 {
		return -math.Log10(q)
	}
	return 300
}

// Expect passes on that values are due.
func (s *likelyState) Expect(since edged.Timestamp) { expect(s.of, since) }

func (l *Likelihood) silence() (after int64, timed bool) { return Silence(l.Of) }

// Due is that of the detector behind, or never.
func (s *likelyState) Due() edged.Timestamp { return dueOf(s.of) }

// Tick asks the detector behind.
func (s *likelyState) Tick(now edged.Timestamp) Verdict { return tickOf(s.of, now) }

func (s *likelyState) Bytes() int {
	return int(unsafe.Sizeof(*s)) + 8*len(s.ring) + s.of.Bytes()
}
func (s *likelyState) AppendBinary(dst []byte) []byte { return appendState(dst, s) }
func (s *likelyState) Restore(data []byte) ([]byte, error) {
	return restoreState(s, s.spec.New().(*likelyState), data)
}

func (s *likelyState) code(c *coder) {
	c.tag('l')
	s.long.code(c)
	c.values(s.ring)
	c.count(&s.n, len(s.ring)+s.spec.Warmup)
	c.count(&s.at, len(s.ring)-1)
	c.inner(s.of)
}
