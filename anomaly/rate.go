package anomaly

import (
	"math"
	"unsafe"

	"edged"
)

// rateSlots is how many samples of its window a rate remembers at most.
const rateSlots = 16

// RateOfChange compares the speed of a value, abs(x_t - x_s)/(t - s) per second,
// with a limit. s is the oldest sample that is not older than Window, or the one
// before t if all are. Samples nearer together than Window/16 share a slot, so a
// window bounds the state whatever the rate of samples. A value that is not newer
// than the last one is passed over, unless it is older by more than a window: then
// the clock has been ahead, and the window begins anew. The score is the speed. It
// learns nothing. A state takes 288 bytes. Source: the rate-of-change alarm of process control.
type RateOfChange struct {
	Limit  float64 // units of the value per second, above 0
	Window int64   // milliseconds
}

// Validate returns what is wrong with the configuration.
func (r *RateOfChange) Validate() error {
	f := faults{name: "rate_of_change"}
	f.within("limit", r.Limit, 1e-30, 1e30)
	f.within("window", float64(r.Window), 1, 1<<40)
	return f.err()
}

// New returns the state of a new series.
func (r *RateOfChange) New() State { return &rateState{spec: r} }

type rateState struct {
	spec    *RateOfChange
	samples [rateSlots]sample // in ascending order of time
	n       int
	last    sample
}

type sample struct {
	t edged.Timestamp
	x float64
}

func (s *rateState) Observe(t edged.Timestamp, x float64) Verdict {
	if !finite(x) {
		return refuse(true)
	}
	x = clip(x)
	if s.n > 0 && t <= s.last.t {
		if s.last.t.Sub(t) <= s.spec.Window {
			return Verdict{Warm: true}
		}
		*s = rateState{spec: s.spec}
	}
	v := Verdict{Warm: s.n > 0}
	if s.n > 0 {
		s.forget(t)
		from := s.last
		if s.n > 0 {
			from = s.samples[0]
		}
		seconds := float64(t.Sub(from.t)) / 1000
		speed := (x - from.x) / seconds
		v = judge(math.Abs(speed), s.spec.Limit, true)
		v.around(from.x, s.spec.Limit*seconds)
		v.because(CauseRate, speed)
		if v.Score > 0 {
			v.Reason.Span = t.Sub(from.t)
		}
	}
	s.last = sample{t, x}
	if s.n == 0 || s.n < rateSlots && t.Sub(s.samples[s.n-1].t) >= s.spec.Window/rateSlots+1 {
		s.samples[s.n] = s.last
		s.n++
	}
	return v
}

// forget drops the samples that are older than the window.
func (s *rateState) forget(t edged.Timestamp) {
	old := 0
	for old < s.n && t.Sub(s.samples[old].t) > s.spec.Window {
		old++
	}
	copy(s.samples[:], s.samples[old:s.n])
	clear(s.samples[s.n-old : s.n])
	s.n -= old
}

func (s *rateState) Bytes() int                     { return int(unsafe.Sizeof(*s)) }
func (s *rateState) AppendBinary(dst []byte) []byte { return appendState(dst, s) }
func (s *rateState) Restore(data []byte) ([]byte, error) {
	return restoreState(s, s.spec.New().(*rateState), data)
}

func (s *rateState) code(c *coder) {
	c.tag('r')
	c.count(&s.n, rateSlots)
	for i := range s.samples[:s.n] {
		c.time(&s.samples[i].t)
		c.value(&s.samples[i].x)
		c.bad = c.bad || i > 0 && s.samples[i].t <= s.samples[i-1].t
	}
	c.time(&s.last.t)
	c.value(&s.last.x)
	c.bad = c.bad || s.n > 0 && s.last.t < s.samples[s.n-1].t
}
