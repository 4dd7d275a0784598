package anomaly

import (
	"unsafe"

	"edged"
)

// DeadMan raises an alarm when nothing has come for more than Factor expected
// intervals. The interval is given, or learned as a mean of the gaps in which each
// has the weight 0.1 and counts at most Factor times the mean, so that an outage
// does not become usual. The score is the silence in expected intervals. A value
// after a silence that no tick has noticed still reports it.
//
// Any finite value is a sign of life and ends an alarm, whatever its time; one that is
// not newer than the value before it is no gap. So values that a device
// kept while its link was down count with the gaps they were measured with. A
// value from a clock far ahead is reported as a silence, once. A state takes 48
// bytes.
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
	heard   heard   // or, before the first value, since when one is expected
	mean    float64 // of the gaps, milliseconds
	gaps    int
	waiting bool // heard is known
	seen    bool // a value has come
	fired   bool // a tick has noticed the silence
}

// interval returns what is expected, and whether it is known.
func (s *deadState) interval() (float64, bool) {
	if s.spec.Interval > 0 {
		return float64(s.spec.Interval), s.waiting
	}
	return max(1, s.mean), s.gaps >= s.spec.Warmup
}

func (s *deadState) Observe(t edged.Timestamp, x float64) Verdict {
	gap, seen := s.heard.gap(t), s.seen
	v := s.Judge(t, x)
	if finite(x) && seen && gap > 0 {
		s.learn(float64(gap))
	}
	return v
}

// Judge takes the value as a sign of life, and does not learn the interval.
func (s *deadState) Judge(t edged.Timestamp, x float64) Verdict {
	_, warm := s.interval()
	if !finite(x) {
		return refuse(warm)
	}
	var v Verdict
	if !s.waiting {
		s.heard.newest = t
	} else if gap := s.heard.gap(t); gap > 0 && !s.fired {
		v = s.judge(gap)
	}
	s.heard.at(t)
	s.waiting, s.seen, s.fired = true, true, false
	_, v.Warm = s.interval()
	return v
}

// learn takes a gap between two values into the mean.
func (s *deadState) learn(gap float64) {
	if s.spec.Interval > 0 {
		return
	}
	if s.gaps >= s.spec.Warmup {
		gap = min(gap, s.spec.Factor*max(1, s.mean))
	}
	s.gaps = min(s.gaps+1, countMax)
	s.mean += max(0.1, 1/float64(s.gaps)) * (gap - s.mean)
}

// judge judges a silence.
func (s *deadState) judge(silence int64) Verdict {
	interval, known := s.interval()
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

// longest returns the longest silence that does not alarm.
func longest(interval, factor float64) int64 { return int64(min(interval*factor, 1<<60)) }

func (d *DeadMan) silence() (after int64, timed bool) {
	if d.Interval == 0 {
		return 0, true
	}
	return longest(float64(d.Interval), d.Factor) + 1, true
}

// Due is when the silence will have lasted too long.
func (s *deadState) Due() edged.Timestamp {
	interval, known := s.interval()
	if !known || s.fired {
		return edged.MaxTimestamp
	}
	return s.heard.newest.Add(longest(interval, s.spec.Factor)).Add(1)
}

// Tick judges the silence up to now.
func (s *deadState) Tick(now edged.Timestamp) Verdict {
	if !s.waiting {
		return Verdict{}
	}
	v := s.judge(max(0, now.Sub(s.heard.newest)))
	s.fired = s.fired || v.Alarm
	return v
}

// Expect starts the watch before the first value.
func (s *deadState) Expect(since edged.Timestamp) {
	if !s.waiting {
		s.heard, s.waiting = heard{since, since}, true
	}
}

func (s *deadState) Bytes() int                     { return int(unsafe.Sizeof(*s)) }
func (s *deadState) AppendBinary(dst []byte) []byte { return appendState(dst, s) }
func (s *deadState) Restore(data []byte) ([]byte, error) {
	return restoreState(s, s.spec.New().(*deadState), data)
}

func (s *deadState) code(c *coder) {
	c.tag('d')
	s.heard.code(c)
	c.float(&s.mean, 0, 1<<63)
	c.count(&s.gaps, countMax)
	c.flag(&s.waiting)
	c.flag(&s.seen)
	c.flag(&s.fired)
	c.bad = c.bad || s.seen && !s.waiting
}
