package anomaly

import (
	"unsafe"

	"edged"
)

// Expecting is a state that can be told that values are due although none has
// come yet: for devices that are known and have never been seen.
type Expecting interface {
	Timed
	// Expect says that values are due from since on. It does nothing once a
	// value has come.
	Expect(since edged.Timestamp)
}

// DeadMan raises an alarm when nothing has come for more than Factor expected
// intervals. The interval is given, or learned as a mean of the gaps in which each
// has the weight 0.1 and counts at most Factor times the mean, so that an outage
// does not become usual. The score is the silence in expected intervals. A value
// after a silence that no tick has noticed still reports it. Repeated and older
// times are no gaps; values that are not finite are no sign of life. A state takes
// 40 bytes.
type DeadMan struct {
	Interval int64   // expected, milliseconds; 0: learned
	Factor   float64 // k, above 1
	Warmup   int     // gaps before a learned interval counts
}

// Validate returns what is wrong with the configuration.
func (d *DeadMan) Validate() error {
	f := faults{name: "dead_man"}
	f.within("interval", float64(d.Interval), 0, 1<<40)
	f.within("factor", d.Factor, 1, 1e6)
	f.within("warmup", float64(d.Warmup), 1, 1e6)
	return f.err()
}

// New returns the state of a new series.
func (d *DeadMan) New() State { return &deadState{spec: d} }

type deadState struct {
	spec    *DeadMan
	last    edged.Timestamp // newest value, or since when one is expected
	mean    float64         // of the gaps, milliseconds
	gaps    int
	waiting bool // last is known
	seen    bool // a value has come
	fired   bool
}

// interval returns what is expected, and whether it is known.
func (s *deadState) interval() (float64, bool) {
	if s.spec.Interval > 0 {
		return float64(s.spec.Interval), s.waiting
	}
	return max(1, s.mean), s.gaps >= s.spec.Warmup
}

func (s *deadState) Observe(t edged.Timestamp, x float64) Verdict {
	_, warm := s.interval()
	if !finite(x) {
		return refuse(warm)
	}
	if s.waiting && s.seen && t <= s.last {
		return Verdict{Warm: warm}
	}
	var v Verdict
	if s.waiting && t > s.last {
		v = s.judge(t)
		if s.fired {
			v = Verdict{Warm: warm}
		}
		s.learn(float64(t.Sub(s.last)))
	}
	s.last, s.waiting, s.seen, s.fired = t, true, true, false
	_, v.Warm = s.interval()
	return v
}

// learn takes a gap between two values into the mean.
func (s *deadState) learn(gap float64) {
	if !s.seen || s.spec.Interval > 0 {
		return
	}
	if s.gaps >= s.spec.Warmup {
		gap = min(gap, s.spec.Factor*max(1, s.mean))
	}
	s.gaps = min(s.gaps+1, countMax)
	s.mean += max(0.1, 1/float64(s.gaps)) * (gap - s.mean)
}

func (s *deadState) judge(now edged.Timestamp) Verdict {
	interval, known := s.interval()
	silence := max(0, now.Sub(s.last))
	ratio := float64(silence) / interval
	v := judge(ratio, s.spec.Factor, known)
	if v.Alarm && ratio == s.spec.Factor { // not yet beyond it
		v.Alarm, v.Severity = false, SeverityNone
	}
	if v.Alarm {
		v.Reason = Reason{Cause: CauseSilent, Span: silence}
	}
	return v
}

// Due is when the silence will have lasted too long.
func (s *deadState) Due() edged.Timestamp {
	interval, known := s.interval()
	if !known || s.fired {
		return edged.MaxTimestamp
	}
	return s.last.Add(int64(min(interval*s.spec.Factor, 1<<60))).Add(1)
}

// Tick judges the silence up to now.
func (s *deadState) Tick(now edged.Timestamp) Verdict {
	if !s.waiting {
		return Verdict{}
	}
	v := s.judge(now)
	s.fired = s.fired || v.Alarm
	return v
}

// Expect starts the watch before the first value.
func (s *deadState) Expect(since edged.Timestamp) {
	if !s.waiting {
		s.last, s.waiting = since, true
	}
}

func (s *deadState) Bytes() int                     { return int(unsafe.Sizeof(*s)) }
func (s *deadState) AppendBinary(dst []byte) []byte { return appendState(dst, s) }
func (s *deadState) Restore(data []byte) ([]byte, error) {
	return restoreState(s, s.spec.New().(*deadState), data)
}

func (s *deadState) code(c *coder) {
	c.tag('d')
	c.time(&s.last)
	c.float(&s.mean, 0, 1<<63)
	c.count(&s.gaps, countMax)
	c.flag(&s.waiting)
	c.flag(&s.seen)
	c.flag(&s.fired)
	c.bad = c.bad || s.seen && !s.waiting
}
