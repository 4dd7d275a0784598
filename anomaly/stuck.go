package anomaly

import (
	"unsafe"

	"edged"
)

// Stuck finds a value that moves by no more than Quantum for at least Window.
// The score is how long it has not moved, in units of Window; from 1 on it is an
// alarm. Time alone can raise it. A run of values starts anew at the last pair
// that fits into the quantum, so that a slow creep is found at most one window
// later than by looking at every interval. A state takes 56 bytes.
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
	fired  bool // time has raised the alarm already
}

func (s *stuckState) Observe(t edged.Timestamp, x float64) Verdict {
	if !finite(x) {
		return refuse(true)
	}
	x = clip(x)
	if s.any && t < s.last.t {
		return Verdict{Warm: true} // from the past; the run is about the newest
	}
	switch lo, hi := min(s.lo, x), max(s.hi, x); {
	case s.any && hi-lo <= s.spec.Quantum:
		s.lo, s.hi = lo, hi
	case s.any && max(x, s.last.x)-min(x, s.last.x) <= s.spec.Quantum:
		s.lo, s.hi, s.since, s.fired = min(x, s.last.x), max(x, s.last.x), s.last.t, false
	default:
		s.lo, s.hi, s.since, s.fired = x, x, t, false
	}
	s.any, s.last = true, sample{t, x}
	v := s.judge(t)
	s.fired = s.fired || v.Alarm
	return v
}

func (s *stuckState) judge(now edged.Timestamp) Verdict {
	span := max(0, now.Sub(s.since))
	v := judge(float64(span)/float64(s.spec.Window), 1, true)
	if v.Alarm {
		v.Reason = Reason{Cause: CauseStuck, Excess: s.spec.Quantum, Span: span}
	}
	return v
}

// Due is when the run will have lasted for the window.
func (s *stuckState) Due() edged.Timestamp {
	if !s.any || s.fired {
		return edged.MaxTimestamp
	}
	return s.since.Add(s.spec.Window)
}

// Tick judges the run as if the last value still held.
func (s *stuckState) Tick(now edged.Timestamp) Verdict {
	if !s.any {
		return Verdict{}
	}
	v := s.judge(max(now, s.last.t))
	s.fired = s.fired || v.Alarm
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
	c.flag(&s.fired)
	c.bad = c.bad || s.lo > s.hi || s.since > s.last.t
}
