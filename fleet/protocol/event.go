package protocol

import (
	"encoding/json"
	"slices"

	"edged/fleet/strict"
)

// The classes of events, which are also the last level of their topic.
const (
	ClassLifecycle = "lifecycle" // started, recovered, draining, configuration switched
	ClassAlarm     = "alarm"     // something needs a person
	ClassAudit     = "audit"     // data is a line of the audit log
)

// The severities of an alarm. The same code and subject with [SeverityClear] ends it.
const (
	SeverityInfo     = "info"
	SeverityMinor    = "minor"
	SeverityMajor    = "major"
	SeverityCritical = "critical"
	SeverityClear    = "clear"
)

var severities = []string{SeverityInfo, SeverityMinor, SeverityMajor, SeverityCritical, SeverityClear}

// Event is something that happened, sent on evt/CLASS. All classes together are
// numbered from 1 without holes, per instance.
type Event struct {
	V        int             `json:"v"`
	Number   uint64          `json:"evt_seq"`
	Instance string          `json:"instance"`
	Class    string          `json:"class"`
	Code     string          `json:"code"` // as in outbox.quota
	Severity string          `json:"sev"`
	Subject  string          `json:"subject,omitempty"` // as in stream/kwh
	Boot     uint64          `json:"boot"`
	Mono     int64           `json:"mono_ms"`
	Time     int64           `json:"ts_ms"`      // what the clock said
	Trusted  bool            `json:"ts_trusted"` // and whether it is believed
	Message  string          `json:"msg,omitempty"`
	Data     json.RawMessage `json:"data,omitempty"`
}

// Check returns what is wrong with the message.
func (e Event) Check() error {
	var f faults
	f.version(e.V)
	f.number("evt_seq", e.Number)
	f.unless(subject.MatchString(e.Instance), "instance", "%.80q is none", e.Instance)
	f.unless(e.Class == ClassLifecycle || e.Class == ClassAlarm || e.Class == ClassAudit, "class", "%.80q is none", e.Class)
	f.unless(opName.MatchString(e.Code) && len(e.Code) <= textBytesMax, "code", "%.80q: want words of a-z _ with dots between", e.Code)
	f.unless(slices.Contains(severities, e.Severity), "sev", "%.80q is none of %v", e.Severity, severities)
	f.text("subject", e.Subject, textBytesMax)
	f.number("boot", e.Boot)
	f.text("msg", e.Message, MessageBytesMax)
	f.unless(len(e.Data) == 0 || object(e.Data), "data", "want an object")
	return f.joined()
}

func (Event) limits() strict.Limits { return report() }

// Numbering follows numbers without holes, as those of events. The zero value has
// seen none.
type Numbering struct{ Highest uint64 }

// Observe takes a number into account. It returns how many are missing before it,
// and whether it is new: what is not, is a repeat or comes late.
func (n *Numbering) Observe(number uint64) (missing uint64, fresh bool) {
	if number <= n.Highest {
		return 0, false
	}
	missing = number - n.Highest - 1
	n.Highest = number
	return missing, true
}
