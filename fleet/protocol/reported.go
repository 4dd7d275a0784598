package protocol

import (
	"slices"

	"edged/fleet/strict"
	"edged/fleet/trust"
)

// The statuses of a desired configuration.
const (
	StatusApplying   = "APPLYING"
	StatusApplied    = "APPLIED"
	StatusFailed     = "FAILED"
	StatusRolledBack = "ROLLED_BACK"
	StatusRejected   = "REJECTED"
)

// The phases of applying, in their order.
const (
	PhaseVerify     = "verify"
	PhaseFetch      = "fetch"
	PhasePlan       = "plan"
	PhaseDryRun     = "dry_run"
	PhaseCheckpoint = "checkpoint"
	PhaseShadow     = "shadow" // it runs beside the one in effect, and says nothing
	PhaseConfirm    = "confirm"
	PhaseSwitch     = "switch"
	PhaseHealthGate = "health_gate"
	PhaseCommitted  = "committed"
	PhaseRollback   = "rollback"
)

// FailedMax is how many failed versions a [Reported] lists.
const FailedMax = 16

var (
	statuses = []string{StatusApplying, StatusApplied, StatusFailed, StatusRolledBack, StatusRejected}
	phases   = []string{PhaseVerify, PhaseFetch, PhasePlan, PhaseDryRun, PhaseCheckpoint, PhaseShadow, PhaseConfirm,
		PhaseSwitch, PhaseHealthGate, PhaseCommitted, PhaseRollback}
)

// Fault says what is wrong with a configuration, and where in it.
type Fault struct {
	Code    Code   `json:"code"`
	Path    string `json:"path,omitempty"` // as in pipelines[2].window.size
	Message string `json:"msg"`
}

// Reported is what became of the desired configuration, retained on reported.
type Reported struct {
	V         int                    `json:"v"`
	Instance  string                 `json:"instance"`
	Session   uint64                 `json:"session"`
	Revision  uint64                 `json:"rev,omitempty"`     // counts what is reported; 0: by a program that does not count
	Epoch     uint64                 `json:"epoch"`             // of the keyring
	Keyring   uint64                 `json:"keyring"`           // its version
	Seen      uint64                 `json:"desired_seen"`      // the version that was accepted last; 0: none
	Refresh   uint64                 `json:"refresh,omitempty"` // its newest refresh
	Applied   uint64                 `json:"applied"`           // the version in effect; 0: that of its own disk
	Effective string                 `json:"effective_hash,omitempty"`
	Status    string                 `json:"status,omitempty"` // of Seen
	Phase     string                 `json:"phase,omitempty"`
	Error     *Fault                 `json:"error,omitempty"`
	Failed    []uint64               `json:"failed_versions,omitempty"`
	Watermark map[trust.KeyID]uint64 `json:"cmd_watermark,omitempty"` // the highest seq of each key
	Audit     string                 `json:"audit_head,omitempty"`    // see package audit
}

// Check returns what is wrong with the message.
func (r Reported) Check() error {
	var f faults
	f.version(r.V)
	f.unless(subject.MatchString(r.Instance), "instance", "%.80q is none", r.Instance)
	f.number("session", r.Session)
	f.unless(r.Effective == "" || sha256.MatchString(r.Effective), "effective_hash", "want sha256: and 64 hexadecimal digits")
	f.unless(r.Seen == 0 && r.Status == "" || slices.Contains(statuses, r.Status), "status", "%.80q is none of %v", r.Status, statuses)
	f.unless(r.Phase == "" || slices.Contains(phases, r.Phase), "phase", "%.80q is none of %v", r.Phase, phases)
	if r.Error != nil {
		f.err("error.code", r.Error.Code.Check())
		f.text("error.path", r.Error.Path, MessageBytesMax)
		f.text("error.msg", r.Error.Message, MessageBytesMax)
	}
	f.unless(len(r.Failed) <= FailedMax, "failed_versions", "%d are more than %d", len(r.Failed), FailedMax)
	f.unless(len(r.Watermark) <= trust.KeysMax, "cmd_watermark", "%d are more than %d", len(r.Watermark), trust.KeysMax)
	f.text("audit_head", r.Audit, textBytesMax)
	return f.joined()
}

func (Reported) limits() strict.Limits { return report() }
