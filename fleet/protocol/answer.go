package protocol

import (
	"encoding/json"
	"slices"

	"edged/fleet/strict"
	"edged/fleet/trust"
)

// Limits of an [Answer].
const (
	MessageBytesMax = 512
	ResultBytesMax  = 128 << 10
)

// Status is how far a command has come.
type Status string

// The statuses. Denied is about one delivery and not about the command: whoever can
// reach the broker can bring it about, so it is never final. All behind started are.
const (
	StatusDenied      Status = "denied"
	StatusAccepted    Status = "accepted"
	StatusStarted     Status = "started"
	StatusDone        Status = "done"
	StatusError       Status = "failed"
	StatusInterrupted Status = "interrupted" // the process ended; step says before or behind the start
	StatusRefused     Status = "rejected"
)

var commandStatuses = []Status{StatusDenied, StatusAccepted, StatusStarted, StatusDone, StatusError, StatusInterrupted, StatusRefused}

// Final reports whether nothing comes after it.
func (s Status) Final() bool { return s != StatusDenied && s != StatusAccepted && s != StatusStarted }

// Answer is what a gateway says of a command, on rsp/ID.
type Answer struct {
	V        int             `json:"v"`
	ID       ID              `json:"id"`
	Gateway  string          `json:"gw"`
	Instance string          `json:"instance"`
	N        uint64          `json:"n"`           // 0 denied, 1 accepted, 2 started, 3 final
	Tick     uint64          `json:"t,omitempty"` // numbers progress while started
	Status   Status          `json:"status"`
	Final    bool            `json:"final"`
	Code     Code            `json:"code"`
	Step     string          `json:"step,omitempty"`
	Percent  int             `json:"pct,omitempty"`
	Message  string          `json:"msg,omitempty"`
	Result   json.RawMessage `json:"result,omitempty"`
	Lost     bool            `json:"result_lost,omitempty"` // there was a result, which is not kept any more
	Repeated bool            `json:"repeated,omitempty"`    // the command came again; it did not run again
	Session  uint64          `json:"session"`
	Boot     uint64          `json:"boot"`
	Mono     int64           `json:"mono_ms"`
}

// Check returns what is wrong with the answer.
func (a Answer) Check() error {
	var f faults
	f.version(a.V)
	f.err("id", a.ID.Check())
	f.err("gw", trust.CheckName(a.Gateway))
	f.unless(slices.Contains(commandStatuses, a.Status), "status", "%.80q is none of %v", a.Status, commandStatuses)
	f.unless(a.Final == a.Status.Final(), "final", "%v with status %q", a.Final, a.Status)
	f.unless(a.N <= 3 && (a.N == 0) == (a.Status == StatusDenied) && (a.N == 3) == a.Final, "n", "%d with status %q", a.N, a.Status)
	f.err("code", a.Code.Check())
	f.unless(a.Percent >= 0 && a.Percent <= 100, "pct", "%d is not from 0 to 100", a.Percent)
	f.text("step", a.Step, textBytesMax)
	f.text("msg", a.Message, MessageBytesMax)
	f.unless(len(a.Result) <= ResultBytesMax, "result", "%d bytes are more than %d", len(a.Result), ResultBytesMax)
	return f.joined()
}

func (Answer) limits() strict.Limits { return report() }

// Behind reports whether a says more than b, of the same command. Answers may
// come in any order and repeatedly.
func (a Answer) Behind(b Answer) bool { return a.N > b.N || a.N == b.N && a.Tick > b.Tick }
