package alarms

import (
	"math"

	"edged"
	"edged/anomaly"
)

// occurrence is one alarm from its raising on, and while it is remembered.
type occurrence struct {
	start   edged.Timestamp // when the condition began
	raised  edged.Timestamp // when it was raised, or last recurred
	told    edged.Timestamp // when it was last raised or updated
	ended   edged.Timestamp // see Change.Ended
	rested  edged.Timestamp // from when on cool-down and remembering run; noTime while active
	peakAt  edged.Timestamp
	peak    float64
	value   float64 // the newest abnormal one
	verdict anomaly.Verdict
	ordinal uint32
	count   uint32
	state   Condition // Normal: it is over
	ending  Ending
	label   anomaly.Label
	open    bool // it was told that there is one
}

// take takes an abnormal value, and reports whether the severity rose.
func (o *occurrence) take(s *Sample) (rose bool) {
	v := &s.Verdict
	first := o.count == 0
	o.count = increment(o.count)
	o.value = s.Value
	rose = v.Severity > o.verdict.Severity
	if first || rose || v.Severity == o.verdict.Severity && v.Score > o.verdict.Score {
		all := o.verdict.Evidence
		o.peak, o.peakAt, o.verdict = s.Value, s.At, *v
		o.verdict.Evidence = all
	}
	o.verdict.Evidence.Add(v.Evidence)
	return rose
}

// describe fills in what a change says about its alarm, but for the Value.
func (o *occurrence) describe(c *Change) {
	c.Start, c.Ordinal, c.Ending, c.Ended, c.Label = o.start, o.ordinal, o.ending, o.ended, o.label
	c.Count, c.Peak, c.PeakAt = o.count, o.peak, o.peakAt
	c.Verdict, c.Severity = o.verdict, o.verdict.Severity
}

// increment counts, and stops at the end.
func increment(n uint32) uint32 { return add(n, 1) }

// add adds, and stops at the end.
func add(n, more uint32) uint32 { return n + min(more, math.MaxUint32-n) }
