package alarms

import (
	"edged"
	"edged/anomaly"
)

// Event is what happened to an alarm.
type Event uint8

// Events. For each alarm that is told there is one that opens it, EventRaised or an
// EventUnshelved, and one EventCleared that closes it.
const (
	EventNone         Event = iota // nothing; see Alarm.Status
	EventRaised                    // a new alarm
	EventUpdated                   // it goes on: its severity rose, or Spec.UpdateInterval is over
	EventReturned                  // its condition is gone, but it waits for a person
	EventRecurred                  // its condition is back while it waited: the same alarm, unacknowledged
	EventCleared                   // it is over; Ending says why
	EventAcknowledged              // somebody has seen it
	EventShelved                   // put away until Until, with the alarm if there is one
	EventUnshelved                 // back from the shelf; opens the alarm if there is one
	EventOutOfService              // maintenance until Until; the alarm, if there was one, has been cleared
	EventInService                 // maintenance is over
	EventLabelled                  // somebody says whether the alarm was right
	events
)

// String returns the event in lower case, as it is written upstream.
func (e Event) String() string {
	return word(int(e), "none", "raised", "updated", "returned", "recurred", "cleared", "acknowledged", "shelved",
		"unshelved", "out_of_service", "in_service", "labelled")
}

// Ending is why the condition of an alarm is over, or is taken for it.
type Ending uint8

// Endings.
const (
	EndingNone         Ending = iota // it is not over
	EndingReturned                   // the values are normal again
	EndingSuppressed                 // suppressed by design
	EndingOutOfService               // taken out of service
	EndingReset                      // reset by a person
	endings
)

// String returns the ending in lower case, as it is written upstream.
func (e Ending) String() string {
	return word(int(e), "none", "returned", "suppressed", "out_of_service", "reset")
}

// ParseLabel returns the label that is written so; LabelNone is none.
func ParseLabel(s string) (anomaly.Label, bool) {
	for _, l := range []anomaly.Label{anomaly.LabelTrue, anomaly.LabelExpected, anomaly.LabelFalse} {
		if s == l.String() {
			return l, true
		}
	}
	return anomaly.LabelNone, false
}

// Change is one event about one alarm: what goes upstream. Start and Ordinal
// identify the alarm, see ID; an Ordinal of 0 says that the event is not about an
// alarm, but about the rule and the key, and then Start, Ended, Value, Peak, PeakAt,
// Count, Verdict, Ending and Label are zero.
type Change struct {
	Event      Event
	State      Condition        // after the event
	Ending     Ending           // why the condition is over; EndingNone: it is not
	Label      anomaly.Label    // what a person said of the alarm
	Severity   anomaly.Severity // the highest so far, that of Verdict
	Historical bool             // the sample that caused the event is of the past, see Sample
	Ordinal    uint32           // 1 for the first alarm of this rule and key, 2 for the next
	Count      uint32           // abnormal values since it was raised, the raising one included
	Suppressed uint32           // alarms that came and went untold since the last event: see Spec.CoolDown, budget, shelf

	Start  edged.Timestamp // event time at which the condition began, before the on-delay
	At     edged.Timestamp // event time of the event; for commands and expiry, of the newest sample (MinTimestamp: none)
	Now    edged.Timestamp // processing time of the event
	Ended  edged.Timestamp // event time at which the condition was over, before the off-delay; 0 without an Ending
	PeakAt edged.Timestamp // event time of Peak
	Until  edged.Timestamp // processing time at which a shelf or maintenance ends; else 0

	Value   float64         // of the sample that caused the event, else of the newest abnormal one; may be NaN
	Peak    float64         // the worst value since the alarm was raised: of the highest severity, then score
	Verdict anomaly.Verdict // about Peak: Verdict.Explain(Peak) is the sentence. Its Evidence is that of the whole alarm

	By   string // who gave the command, if it was one
	Note string // what he noted
}
