package alarms

import "edged"

// Condition returns the state of the alarm.
func (a *Alarm) Condition() Condition {
	switch {
	case a.service != noTime:
		return OutOfService
	case a.shelf != noTime:
		return Shelved
	case a.last != nil && a.last.state != Normal:
		return a.last.state
	case a.byDesign:
		return SuppressedByDesign
	}
	return Normal
}

// Status returns what there is to say about the alarm at any time, as a Change with
// EventNone. Ordinal is 0 if there is no alarm, or it is over.
func (a *Alarm) Status() Change {
	c := Change{At: a.newest, State: a.Condition(), Suppressed: a.suppressed}
	switch {
	case a.service != noTime:
		c.Until = a.service
	case a.shelf != noTime:
		c.Until = a.shelf
	}
	if o := a.present(); o != nil {
		o.describe(&c)
		c.Value = o.value
	}
	return c
}

// Frozen reports whether a sample of event time at is not to be judged at processing
// time now, because of maintenance by command or by schedule. Detectors must not
// learn from it.
func (a *Alarm) Frozen(at, now edged.Timestamp) bool {
	return a.service > now || a.spec.Maintenance.Covers(at)
}

// Waits reports whether something will happen by processing time alone: a Tick will be
// needed.
func (a *Alarm) Waits() bool { return a.shelf != noTime || a.service != noTime }

// present returns the alarm, or nil if there is none or it is over.
func (a *Alarm) present() *occurrence {
	if a.last != nil && a.last.state != Normal {
		return a.last
	}
	return nil
}

// active reports whether the condition of the alarm is taken to be there.
func (a *Alarm) active() bool { return a.last != nil && a.last.state.Active() }

// waits reports whether the alarm waits for a person.
func (a *Alarm) waits() bool { return a.last != nil && a.last.state.Waiting() }

// tell appends a change about o, or about no alarm if that is nil, with what is known.
func (a *Alarm) tell(dst []Change, c Change, o *occurrence) []Change {
	c.State, c.Suppressed, a.suppressed = a.Condition(), a.suppressed, 0
	if o != nil {
		o.describe(&c)
	}
	return append(dst, c)
}
