package alarms

import (
	"math/bits"

	"edged"
	"edged/anomaly"
)

// Sample is one value of the key and what a detector says about it. What a timer
// found, anomaly.Timed, is a sample too.
type Sample struct {
	At      edged.Timestamp // event time
	Now     edged.Timestamp // processing time
	Value   float64         // may be NaN
	Verdict anomaly.Verdict

	// Historical says that the sample is of the past: a backlog. It is judged like any
	// other, and what it causes is marked.
	Historical bool

	// Suppressed says that the design suppresses the alarm now, such as while the machine
	// is off: the sample is not judged, and an active alarm returns at once.
	Suppressed bool
}

// change returns what a change that the sample causes says of it.
func (s *Sample) change() Change {
	return Change{At: s.At, Now: s.Now, Value: s.Value, Historical: s.Historical}
}

// Alarm is what is remembered of the alarm of one rule and key. It belongs to one
// goroutine. Get one from Spec.New.
type Alarm struct {
	spec *Spec

	// Durable state. It is mostly zero, or noTime, while the alarm is quiet.

	newest     edged.Timestamp   // event time of the newest sample
	since      edged.Timestamp   // since when the condition is not what the alarm is: a delay runs
	shelf      edged.Timestamp   // processing time at which the shelf ends
	service    edged.Timestamp   // processing time at which maintenance ends
	history    uint64            // which of the last values were abnormal, the newest being bit 0
	last       *occurrence       // the alarm, or the one before while it is remembered
	raises     []edged.Timestamp // event times of what the budget counts, ascending
	ordinal    uint32            // how many there were
	suppressed uint32            // how many came and went untold
	held       bool              // the alarm is due and kept back
	byDesign   bool              // the newest sample was suppressed by design
}

// Observe takes one sample and appends what it causes. Samples that are older than the
// newest one change nothing, see Spec.SetBackMin. Of a value that is not finite, and
// of which the verdict says no more, nothing is concluded.
func (a *Alarm) Observe(dst []Change, s Sample) []Change {
	dst = a.Tick(dst, s.Now)
	s.At = max(s.At, firstTime)
	if s.At < a.newest && !a.setBack(&s) {
		return dst
	}
	a.newest = s.At
	switch {
	case a.service != noTime:
	case s.Suppressed || a.spec.Maintenance.Covers(s.At):
		dst = a.suppress(dst, &s)
	default:
		a.byDesign = false
		dst = a.judge(dst, &s)
	}
	a.forget()
	return dst
}

// setBack reports whether the clock of the device was set back, and then moves all that
// delays are counted from along with it. They would stand still until the old time is
// reached, and if that was absurd, for ever.
func (a *Alarm) setBack(s *Sample) bool {
	if a.spec.SetBackMin == 0 || s.Historical || a.newest.Sub(s.At) < a.spec.SetBackMin {
		return false
	}
	move := func(t *edged.Timestamp) {
		if *t != noTime {
			*t = max(firstTime, s.At.Add(-a.newest.Sub(*t)))
		}
	}
	move(&a.since)
	for i := range a.raises {
		move(&a.raises[i])
	}
	if o := a.last; o != nil {
		move(&o.raised)
		move(&o.told)
		move(&o.rested)
	}
	return true
}

// suppress takes the condition for gone, whatever the value is.
func (a *Alarm) suppress(dst []Change, s *Sample) []Change {
	a.byDesign = true
	a.unlearn()
	if a.active() {
		return a.end(dst, s.change(), EndingSuppressed, s.At)
	}
	return dst
}

// judge decides by the verdict whether the condition is there, and lets the alarm
// follow when a delay is over.
func (a *Alarm) judge(dst []Change, s *Sample) []Change {
	abnormal := a.abnormal(&s.Verdict)
	if !abnormal && s.Verdict.Reason.Cause == anomaly.CauseNotFinite {
		return dst // a dying sensor must not clear an alarm
	}
	a.history <<= 1
	if abnormal {
		a.history |= 1
	}
	a.history &= 1<<a.spec.of() - 1
	present := bits.OnesCount64(a.history) >= a.spec.least()
	active := a.active()
	if active && abnormal {
		dst = a.follow(dst, s)
	}
	if present == active {
		a.settle()
		return dst
	}
	if a.since == noTime {
		a.since = s.At
	}
	waited := s.At.Sub(a.since)
	switch {
	case active && waited >= a.spec.OffDelay && s.At.Sub(a.last.raised) >= a.spec.DurationMin:
		dst = a.end(dst, s.change(), EndingReturned, a.since)
	case !active && abnormal && waited >= a.spec.OnDelay:
		dst = a.raise(dst, s)
	}
	return dst
}

// abnormal reports whether a verdict speaks for the condition.
func (a *Alarm) abnormal(v *anomaly.Verdict) bool {
	if !v.Warm || v.Severity < a.spec.SeverityMin {
		return false
	}
	return v.Alarm || a.active() && v.Severity > anomaly.SeverityNone
}

// follow takes an abnormal value of an active alarm.
func (a *Alarm) follow(dst []Change, s *Sample) []Change {
	o := a.last
	rose := o.take(s)
	due := a.spec.UpdateInterval > 0 && s.At.Sub(o.told) >= a.spec.UpdateInterval
	if !rose && !due || a.shelf != noTime {
		return dst
	}
	o.told = s.At
	c := s.change()
	c.Event = EventUpdated
	return a.tell(dst, c, o)
}

// raise raises a new alarm, or lets the one that waits recur, unless something keeps it
// back for now.
func (a *Alarm) raise(dst []Change, s *Sample) []Change {
	if !a.mayRaise(s) {
		a.held = true
		return dst
	}
	start := a.since
	a.since, a.held = noTime, false
	c := s.change()
	if c.Event = EventRecurred; !a.waits() {
		c.Event = EventRaised
		a.ordinal = increment(a.ordinal)
		a.last = &occurrence{start: start, ordinal: a.ordinal}
	}
	o := a.last
	o.state, o.ending, o.ended = Unacknowledged, EndingNone, 0
	o.raised, o.told, o.rested = s.At, s.At, noTime
	o.take(s)
	if a.shelf != noTime {
		return dst
	}
	o.open = true
	a.spend(s.At)
	return a.tell(dst, c, o)
}

// mayRaise reports whether neither cool-down nor budget keeps an alarm back.
func (a *Alarm) mayRaise(s *Sample) bool {
	v := &s.Verdict
	if o := a.last; o != nil && o.rested != noTime && s.At.Sub(o.rested) < a.spec.CoolDown && v.Severity <= o.verdict.Severity {
		return false
	}
	if a.spec.BudgetMax == 0 || a.shelf != noTime || v.Severity >= anomaly.SeverityCritical {
		return true
	}
	a.replenish(s.At)
	return len(a.raises) < a.spec.BudgetMax
}

// spend notes what the budget counts: of more than fit, the newest.
func (a *Alarm) spend(at edged.Timestamp) {
	if a.spec.BudgetMax == 0 {
		return
	}
	if len(a.raises) == a.spec.BudgetMax {
		a.raises = append(a.raises[:0], a.raises[1:]...)
	}
	a.raises = append(a.raises, at)
}

// replenish forgets what the budget does not count any more.
func (a *Alarm) replenish(at edged.Timestamp) {
	over := 0
	for over < len(a.raises) && at.Sub(a.raises[over]) >= a.spec.BudgetPer {
		over++
	}
	switch {
	case over == 0:
	case over == len(a.raises):
		a.raises = nil
	default:
		a.raises = append(a.raises[:0], a.raises[over:]...)
	}
}

// end takes the condition of the active alarm for gone since ended.
func (a *Alarm) end(dst []Change, c Change, why Ending, ended edged.Timestamp) []Change {
	o := a.last
	o.ending, o.ended, o.rested = why, ended, c.At
	a.settle()
	if o.state = o.state.returned(a.spec); o.state == Normal {
		return a.close(dst, c)
	}
	if a.shelf != noTime {
		return dst
	}
	c.Event = EventReturned
	return a.tell(dst, c, o)
}

// close tells that the alarm is over, if it was told that there is one.
func (a *Alarm) close(dst []Change, c Change) []Change {
	o := a.last
	o.state = Normal
	if !o.open {
		a.suppressed = increment(a.suppressed)
		return dst
	}
	o.open = false
	c.Event = EventCleared
	return a.tell(dst, c, o)
}

// settle notes that the condition is what the alarm says. An alarm that was kept back
// all the time is counted.
func (a *Alarm) settle() {
	if a.held {
		a.suppressed = increment(a.suppressed)
	}
	a.since, a.held = noTime, false
}

// unlearn forgets what the last values were.
func (a *Alarm) unlearn() {
	a.settle()
	a.history = 0
}

// forget forgets what has no consequence any more, so that a quiet alarm is small.
func (a *Alarm) forget() {
	a.replenish(a.newest)
	o := a.last
	if o == nil || o.state != Normal {
		return
	}
	rest := a.newest.Sub(o.rested)
	if rest >= a.spec.CoolDown && rest >= a.spec.Remember {
		a.last = nil
	}
}
