package alarms_test

import (
	"math"
	"slices"

	"edged"
	"edged/alarms"
	"edged/anomaly"
)

// oracle computes what an alarm must do in the dumbest way: it keeps all samples and
// all alarms for ever, and looks through them each time.
type oracle struct {
	spec    *alarms.Spec
	judged  []judgement // since the last time that all was forgotten
	turned  int         // how many of them there were when the alarm last became active or not
	alarms  []*past
	newest  edged.Timestamp
	seen    bool
	refused bool // since the condition was last what the alarm is, a raise was
	lost    uint32
	design  bool
	shelf   *edged.Timestamp
	service *edged.Timestamp
	out     []alarms.Change
}

// judgement is a sample that said something.
type judgement struct {
	at       edged.Timestamp
	abnormal bool
}

// past is an alarm, present or not.
type past struct {
	start   edged.Timestamp
	ordinal uint32
	raised  edged.Timestamp
	told    edged.Timestamp
	rested  edged.Timestamp
	spent   []edged.Timestamp // when the budget counted it
	taken   []alarms.Sample
	state   alarms.Condition
	ending  alarms.Ending
	ended   edged.Timestamp
	label   anomaly.Label
	public  bool
	gone    bool // reset
}

func (o *oracle) last() *past {
	if n := len(o.alarms); n > 0 && !o.alarms[n-1].gone {
		return o.alarms[n-1]
	}
	return nil
}

func (o *oracle) present() *past {
	if p := o.last(); p != nil && p.state != alarms.Normal {
		return p
	}
	return nil
}

func (o *oracle) active() bool { p := o.present(); return p != nil && p.state.Active() }

func (o *oracle) condition() alarms.Condition {
	switch p := o.present(); {
	case o.service != nil:
		return alarms.OutOfService
	case o.shelf != nil:
		return alarms.Shelved
	case p != nil:
		return p.state
	case o.design:
		return alarms.SuppressedByDesign
	}
	return alarms.Normal
}

// worst returns the sample of the highest severity, then score, then age.
func (p *past) worst() alarms.Sample {
	best := p.taken[0]
	for _, s := range p.taken {
		if s.Verdict.Severity > best.Verdict.Severity ||
			s.Verdict.Severity == best.Verdict.Severity && s.Verdict.Score > best.Verdict.Score {
			best = s
		}
	}
	return best
}

func (p *past) describe(c *alarms.Change) {
	w := p.worst()
	c.Start, c.Ordinal, c.Ending, c.Ended, c.Label = p.start, p.ordinal, p.ending, p.ended, p.label
	c.Count, c.Peak, c.PeakAt, c.Verdict, c.Severity = uint32(len(p.taken)), w.Value, w.At, w.Verdict, w.Verdict.Severity
}

func (o *oracle) tell(c alarms.Change, e alarms.Event, p *past) {
	c.Event = e
	c.State, c.Suppressed, o.lost = o.condition(), o.lost, 0
	if p != nil {
		p.describe(&c)
	}
	o.out = append(o.out, c)
}

func (o *oracle) time() edged.Timestamp {
	if !o.seen {
		return edged.MinTimestamp
	}
	return o.newest
}

func (o *oracle) tick(now edged.Timestamp) {
	if o.service != nil && *o.service <= now {
		o.inService(alarms.Change{At: o.time(), Now: now})
	}
	if o.shelf != nil && *o.shelf <= now {
		o.unshelve(alarms.Change{At: o.time(), Now: now})
	}
}

// value fills in the newest abnormal value.
func value(c alarms.Change, p *past) alarms.Change {
	if p != nil {
		c.Value = p.taken[len(p.taken)-1].Value
	}
	return c
}

func (o *oracle) inService(c alarms.Change) {
	if o.service != nil {
		o.service = nil
		o.tell(value(c, o.present()), alarms.EventInService, o.present())
	}
}

func (o *oracle) unshelve(c alarms.Change) {
	if o.shelf == nil {
		return
	}
	o.shelf = nil
	if p := o.present(); p != nil {
		p.public, p.told = true, o.newest
	}
	o.tell(value(c, o.present()), alarms.EventUnshelved, o.present())
}

// forget forgets the judgements.
func (o *oracle) forget() {
	o.settle()
	o.judged, o.turned = nil, 0
}

func (o *oracle) settle() {
	if o.refused {
		o.lost++
	}
	o.refused = false
}

// presentAfter reports whether the condition is there after the first n judgements.
func (o *oracle) presentAfter(n int) bool {
	of, least := max(1, o.spec.Of), max(1, o.spec.Least)
	count := 0
	for _, j := range o.judged[max(0, n-of):n] {
		if j.abnormal {
			count++
		}
	}
	return count >= least
}

func (o *oracle) sample(s alarms.Sample) {
	o.tick(s.Now)
	s.At = max(s.At, edged.MinTimestamp+1)
	if o.seen && s.At < o.newest {
		if o.spec.SetBackMin == 0 || s.Historical || o.newest.Sub(s.At) < o.spec.SetBackMin {
			return
		}
		o.setBack(s.At)
	}
	o.newest, o.seen = s.At, true
	c := alarms.Change{At: s.At, Now: s.Now, Value: s.Value, Historical: s.Historical}
	switch {
	case o.service != nil:
	case s.Suppressed:
		o.design = true
		o.forget()
		if o.active() {
			o.end(c, alarms.EndingSuppressed, s.At)
		}
	default:
		o.design = false
		o.judge(c, s)
	}
}

func (o *oracle) setBack(at edged.Timestamp) {
	shift := func(t edged.Timestamp) edged.Timestamp {
		return max(edged.MinTimestamp+1, at.Add(-o.newest.Sub(t)))
	}
	for i := range o.judged {
		o.judged[i].at = shift(o.judged[i].at)
	}
	for _, p := range o.alarms {
		// At the beginning of time there is no room to move: what is over stays over.
		rest := o.newest.Sub(p.rested)
		p.gone = p.gone || p.state == alarms.Normal && rest >= max(o.spec.CoolDown, o.spec.Remember)
		p.spent = slices.DeleteFunc(p.spent, func(t edged.Timestamp) bool { return o.newest.Sub(t) >= o.spec.BudgetPer })
		p.raised, p.told, p.rested = shift(p.raised), shift(p.told), shift(p.rested)
		for i := range p.spent {
			p.spent[i] = shift(p.spent[i])
		}
	}
}

func (o *oracle) judge(c alarms.Change, s alarms.Sample) {
	v := s.Verdict
	bad := v.Warm && v.Severity >= o.spec.SeverityMin && (v.Alarm || o.active() && v.Severity > 0)
	if !bad && v.Reason.Cause == anomaly.CauseNotFinite {
		return
	}
	o.judged = append(o.judged, judgement{s.At, bad})
	n := len(o.judged)
	active, present := o.active(), o.presentAfter(n)
	if active && bad {
		p := o.last()
		before := p.worst().Verdict.Severity
		p.taken = append(p.taken, s)
		due := o.spec.UpdateInterval > 0 && s.At.Sub(p.told) >= o.spec.UpdateInterval
		if (due || v.Severity > before) && o.shelf == nil {
			p.told = s.At
			o.tell(c, alarms.EventUpdated, p)
		}
	}
	if present == active {
		o.settle()
		return
	}
	first := n
	for first > o.turned && o.presentAfter(first) != active {
		first--
	}
	since := o.judged[first].at
	if first == n {
		since = s.At
	}
	waited := s.At.Sub(since)
	switch {
	case active && waited >= o.spec.OffDelay && s.At.Sub(o.last().raised) >= o.spec.DurationMin:
		o.end(c, alarms.EndingReturned, since)
	case !active && bad && waited >= o.spec.OnDelay:
		o.raise(c, s, since)
	}
}

func (o *oracle) raise(c alarms.Change, s alarms.Sample, since edged.Timestamp) {
	p := o.last()
	if p != nil && s.At.Sub(p.rested) < o.spec.CoolDown && s.Verdict.Severity <= p.worst().Verdict.Severity {
		o.refused = true
		return
	}
	spent := 0
	for _, p := range o.alarms {
		for _, t := range p.spent {
			if s.At.Sub(t) < o.spec.BudgetPer {
				spent++
			}
		}
	}
	if o.spec.BudgetMax > 0 && o.shelf == nil && spent >= o.spec.BudgetMax && s.Verdict.Severity < anomaly.SeverityCritical {
		o.refused = true
		return
	}
	event := alarms.EventRecurred
	if o.present() == nil {
		event = alarms.EventRaised
		p = &past{start: since, ordinal: uint32(len(o.alarms) + 1)}
		o.alarms = append(o.alarms, p)
	}
	p.state, p.ending, p.ended, p.raised, p.told = alarms.Unacknowledged, 0, 0, s.At, s.At
	p.taken = append(p.taken, s)
	o.refused, o.turned = false, len(o.judged)
	if o.shelf == nil {
		p.public, p.spent = true, append(p.spent, s.At)
		o.tell(c, event, p)
	}
}

func (o *oracle) end(c alarms.Change, why alarms.Ending, ended edged.Timestamp) {
	o.settle()
	o.turned = len(o.judged)
	p := o.last()
	p.ending, p.ended, p.rested = why, ended, c.At
	acked := p.state == alarms.Acknowledged
	switch {
	case o.spec.Latch && acked:
		p.state = alarms.LatchedAcknowledged
	case o.spec.Latch:
		p.state = alarms.LatchedUnacknowledged
	case o.spec.Acknowledge && !acked:
		p.state = alarms.ReturnedUnacknowledged
	default:
		o.over(c, p)
		return
	}
	if o.shelf == nil {
		o.tell(c, alarms.EventReturned, p)
	}
}

func (o *oracle) over(c alarms.Change, p *past) {
	if p.state = alarms.Normal; p.public {
		o.tell(c, alarms.EventCleared, p)
	} else {
		o.lost++
	}
}

// command reports whether the command is one.
func (o *oracle) command(k alarms.Command, now edged.Timestamp) bool {
	named := o.last()
	switch k.Kind {
	case alarms.KindAcknowledge, alarms.KindLabel:
		if named == nil || named.start != k.Start || named.ordinal != k.Ordinal {
			return false
		}
		over := named.state == alarms.Normal
		rest := o.newest.Sub(named.rested)
		if over && (k.Kind == alarms.KindAcknowledge || rest >= max(o.spec.Remember, o.spec.CoolDown)) {
			return false
		}
		if k.Kind == alarms.KindLabel && k.Label == anomaly.LabelNone {
			return false
		}
	case alarms.KindShelve:
		if k.For > o.spec.ShelfMax {
			return false
		}
	}
	o.tick(now)
	until := now.Add(k.For)
	c := alarms.Change{At: o.time(), Now: now, By: k.By, Note: k.Note}
	switch k.Kind {
	case alarms.KindAcknowledge:
		o.acknowledge(value(c, named), named)
	case alarms.KindLabel:
		if named.label != k.Label {
			named.label = k.Label
			o.tell(value(c, named), alarms.EventLabelled, named)
		}
	case alarms.KindShelve:
		o.shelf = &until
		c.Until = until
		o.tell(value(c, o.present()), alarms.EventShelved, o.present())
	case alarms.KindUnshelve:
		o.unshelve(c)
	case alarms.KindInService:
		o.inService(c)
	case alarms.KindOutOfService:
		o.forget()
		o.design, o.service = false, &until
		o.finish(c, alarms.EndingOutOfService)
		c.Until = until
		o.tell(c, alarms.EventOutOfService, nil)
	case alarms.KindReset:
		o.forget()
		o.design = false
		o.finish(c, alarms.EndingReset)
		for _, p := range o.alarms {
			p.gone, p.spent = true, nil
		}
		o.seen, o.newest = false, edged.Timestamp(math.MinInt64)
	}
	return true
}

func (o *oracle) acknowledge(c alarms.Change, p *past) {
	switch p.state {
	case alarms.Unacknowledged:
		p.state = alarms.Acknowledged
		o.tell(c, alarms.EventAcknowledged, p)
	case alarms.LatchedUnacknowledged:
		p.state = alarms.LatchedAcknowledged
		o.tell(c, alarms.EventAcknowledged, p)
	case alarms.ReturnedUnacknowledged:
		p.state = alarms.Normal
		o.tell(c, alarms.EventAcknowledged, p)
		o.over(c, p)
	}
}

func (o *oracle) finish(c alarms.Change, why alarms.Ending) {
	p := o.present()
	if p == nil {
		return
	}
	if p.state.Active() {
		p.ended, p.rested = c.At, c.At
	}
	p.ending = why
	o.over(value(c, p), p)
}
