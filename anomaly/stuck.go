package anomaly

import (
	"unsafe"

	"edged"
)

// Stuck finds a value that moves by no more than Quantum for at least Window.
// The score is how long it has not moved, in units of Window; from 1 on it is an
// alarm. Only values show that: silence is not stuck, and a hole of a window or
// more begins a new run, so Window must be longer than the values are apart. A run
// also begins anew at the last pair that fits into the quantum, so that a slow creep is
// found at most one window later than by looking at every interval. A value older
// than the last is passed over, unless by more than a window: then the clock has
// been ahead. It learns nothing. A state takes 56 bytes.
type Stuck struct {
	Quantum float64 // in units of the value; 0: exact equality
	Window  int64   // milliseconds
}

// Validate returns what is wrong with the configuration.
func (k *Stuck) Validate() error {
	f := faults{name: "stuck"}
	f.within("quantum", k.Quantum, 0, 1e99)
	f.within("window", float64(k.Window), 1, 1<<40)
	return f.err()
}

// New returns the state of a new series.
func (k *Stuck) New() State { return &stuckState{spec: k} }

type stuckState struct {
	spec   *Stuck
	since  edged.Timestamp // when the run started
	last   sample
	lo, hi float64 // of the run
	any    bool
}

func (s *stuckState) Observe(t edged.Timestamp, x float64) Verdict {
	if !finite(x) {
		return refuse(true)
	}
	x = clip(x)
	gap := t.Sub(s.last.t)
	if s.any && gap < 0 && gap >= -s.spec.Window {
		return s.verdict()
	}
	joined := s.any && gap >= 0 && gap < s.spec.Window
	switch lo, hi := min(s.lo, x), max(s.hi, x); {
	case joined && hi-lo <= s.spec.Quantum:
		s.lo, s.hi = lo, hi
	case joined && max(x, s.last.x)-min(x, s.last.x) <= s.spec.Quantum:
		s.lo, s.hi, s.since = min(x, s.last.x), max(x, s.last.x), s.last.t
	default:
		s.lo, s.hi, s.since = x, x, t
	}
	s.any, s.last = true, sample{t, x}
	return s.verdict()
}

// verdict judges the run as it is.
func (s *stuckState) verdict() Verdict {
	span := s.last.t.Sub(s.since)
	v := judge(float64(span)/float64(s.spec.Window), 1, true)
	if v.Alarm {
		v.Reason = Reason{Cause: CauseStuck, Excess: s.spec.Quantum, Span: span}
	}
	return v
}

func (s *stuckState) Bytes() int                     { return int(unsafe.Sizeof(*s)) }
func (s *stuckState) AppendBinary(dst []byte) []byte { return appendState(dst, s) }
func (s *stuckState) Restore(data []byte) ([]byte, error) {
	return restoreState(s, s.spec.New().(*stuckState), data)
}

func (s *stuckState) code(c *coder) {
	c.tag('s')
	c.time(&s.since)
	c.time(&s.last.t)
	c.value(&s.last.x)
	c.value(&s.lo)
	c.value(&s.hi)
	c.flag(&s.any)
	c.bad = c.bad || s.lo > s.hi || s.since > s.last.t
}
