package alarms

import (
	"errors"
	"fmt"

	"edged"
	"edged/anomaly"
)

// What is wrong, wrapped by the errors of this package.
var (
	ErrSpec    = errors.New("alarms: not a sound configuration") // Validate
	ErrCommand = errors.New("alarms: not a command")             // Command: it makes no sense, at any time
	ErrUnknown = errors.New("alarms: no such alarm")             // Command: the alarm it names is not there
	ErrState   = errors.New("alarms: not a state of this alarm") // Restore
	ErrID      = errors.New("alarms: not the id of an alarm")    // ParseID
)

// Bounds of a Spec.
const (
	SpanMax         = int64(1) << 40         // any span, milliseconds: 34 years
	OfMax           = 64                     // Spec.Of
	BudgetMaxMax    = 64                     // Spec.BudgetMax
	ShelfMaxDefault = 24 * 60 * 60 * 1000    // Spec.ShelfMax if it is 0, milliseconds
	noTime          = edged.MinTimestamp     // of a time that is not known, or a span that does not run
	firstTime       = edged.MinTimestamp + 1 // the earliest that is known
)

// Spec is one alarm as configured. All keys share it; it must not change once an
// Alarm uses it. Spans are milliseconds of event time unless said otherwise. The zero
// Spec is sound: it raises with the first abnormal value and clears with the first
// normal one.
//
// A value is abnormal if its verdict alarms, is warm and has at least SeverityMin.
// While the alarm is active, a warm verdict of at least SeverityMin (and not none) is
// enough, because some detectors alarm only at the first of several such values.
type Spec struct {
	// OnDelay and OffDelay are how long the condition must last before the alarm is
	// raised, and be gone before it returns. Values decide: the last one of the span
	// must be there.
	OnDelay, OffDelay int64

	// The condition is that at least Least of the last Of values are abnormal, Of being
	// at most OfMax. Both 0 is 1 of 1.
	Least, Of int

	// DurationMin is how long an alarm stays active at least, from when it was raised.
	DurationMin int64

	// CoolDown is how long after the end of its condition only a higher severity raises
	// an alarm again, or lets it recur. What still lasts then is raised then.
	CoolDown int64

	// Latch keeps the alarm when its condition is gone, until it is reset by a person.
	// Acknowledging does not end it.
	Latch bool

	// Acknowledge keeps the alarm when its condition is gone, until it is acknowledged,
	// before or after. Latch is the stronger one.
	Acknowledge bool

	// SeverityMin is the least severity that counts as abnormal; None is any.
	SeverityMin anomaly.Severity

	// UpdateInterval is the shortest span between two updates while the alarm is active
	// and values are abnormal. 0: only a rise of severity is told, which always is.
	UpdateInterval int64

	// No more than BudgetMax alarms are raised, or recur, in BudgetPer, critical ones
	// aside, which count but are always told. What still lasts when there is room again
	// is raised then; what does not is counted as suppressed. 0: no budget.
	BudgetMax int
	BudgetPer int64

	// SetBackMin is by how much a sample, not a historical one, must be older than the
	// newest one to show that the device's clock was set back: delays then go on from its
	// time. Any other older sample changes nothing. 0: no sample shows that.
	SetBackMin int64

	// Remember is how long after its end an alarm can still be labelled. It costs some
	// 250 bytes of memory for as long.
	Remember int64

	// ShelfMax is the longest time of processing time for which a person may shelve the
	// alarm; 0 is ShelfMaxDefault.
	ShelfMax int64

	// Maintenance is when samples are not judged; nil: never.
	Maintenance *Schedule
}

// Validate joins all that is wrong with the configuration, in the user's words. The
// errors wrap ErrSpec.
func (s *Spec) Validate() error {
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("%w: "+format, append([]any{ErrSpec}, args...)...))
	}
	for _, span := range []struct {
		name string
		ms   int64
	}{
		{"on_delay", s.OnDelay}, {"off_delay", s.OffDelay}, {"duration_min", s.DurationMin}, {"cool_down", s.CoolDown},
		{"update_interval", s.UpdateInterval}, {"budget_per", s.BudgetPer}, {"set_back_min", s.SetBackMin},
		{"remember", s.Remember}, {"shelf_max", s.ShelfMax},
	} {
		if span.ms < 0 || span.ms > SpanMax {
			fault("%s is %d ms; it must be 0 to %d", span.name, span.ms, SpanMax)
		}
	}
	switch both := s.Least == 0 && s.Of == 0; {
	case both:
	case s.Of < 1 || s.Of > OfMax:
		fault("of is %d values; it must be 1 to %d", s.Of, OfMax)
	case s.Least < 1 || s.Least > s.Of:
		fault("least is %d of %d values; it must be 1 to %d", s.Least, s.Of, s.Of)
	}
	if s.BudgetMax < 0 || s.BudgetMax > BudgetMaxMax {
		fault("budget_max is %d; it must be 0 to %d", s.BudgetMax, BudgetMaxMax)
	}
	if (s.BudgetMax > 0) != (s.BudgetPer > 0) {
		fault("budget_max is %d and budget_per %d ms; give both or neither", s.BudgetMax, s.BudgetPer)
	}
	if s.SeverityMin > anomaly.SeverityCritical {
		fault("severity_min is %d; it must be one of none, minor, major, critical", s.SeverityMin)
	}
	if s.Maintenance != nil {
		if err := s.Maintenance.Validate(); err != nil {
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}

// New returns the alarm of a key that has not been seen yet. Call it only on a spec
// that is valid.
func (s *Spec) New() Alarm {
	return Alarm{spec: s, newest: noTime, since: noTime, shelf: noTime, service: noTime}
}

// least and of are n and m of n of m.
func (s *Spec) least() int { return max(1, s.Least) }
func (s *Spec) of() int    { return max(1, s.Of) }

// shelfMax is the longest shelf, milliseconds.
func (s *Spec) shelfMax() int64 {
	if s.ShelfMax == 0 {
		return ShelfMaxDefault
	}
	return s.ShelfMax
}
