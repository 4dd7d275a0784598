package protocol

import (
	"encoding/json"

	"edged/fleet/strict"
	"edged/fleet/trust"
)

// The words of an [Apply].
const (
	ConfirmNone     = "none"     // the health gate decides alone
	ConfirmSession  = "session"  // and the management link must be back
	ConfirmOperator = "operator" // and somebody must send config.confirm

	StateKeep    = "keep"    // what the plan calls state-reset is refused
	StateMigrate = "migrate" // what can be kept is kept
	StateReset   = "reset"
)

// Apply says how a desired configuration is to be put into effect.
type Apply struct {
	Health   int64  `json:"health_ms"`   // how long the gate watches
	Deadline int64  `json:"deadline_ms"` // until it must be confirmed, or is rolled back
	Confirm  string `json:"confirm"`
	State    string `json:"state"`
}

// Reference is a configuration that is to be fetched.
type Reference struct {
	URL    string `json:"url"`
	SHA256 string `json:"sha256"` // sha256:HEX64 of what is there
	Size   int64  `json:"size"`
}

// Desired is the whole configuration that a gateway is to run. It is signed, and
// retained on desired. A rollback is a higher version with the old content.
type Desired struct {
	V       int             `json:"v"`
	Aud     trust.Audience  `json:"aud"`
	Issuer  trust.KeyID     `json:"iss"`
	Keyring uint64          `json:"keyring"` // the lowest version of the keyring that it may be judged by
	Epoch   uint64          `json:"epoch"`   // of the keyring; versions count anew in each
	Version uint64          `json:"version"`
	Refresh uint64          `json:"refresh,omitempty"` // rises when the same version is signed again, to show that it still holds
	Config  json.RawMessage `json:"config,omitempty"`  // an object
	Ref     *Reference      `json:"ref,omitempty"`
	Apply   Apply           `json:"apply"`
}

// Check returns what is wrong with the document.
func (d Desired) Check() error {
	var f faults
	f.version(d.V)
	f.err("", d.Aud.Check())
	f.err("iss", d.Issuer.Check())
	f.number("keyring", d.Keyring)
	f.number("epoch", d.Epoch)
	f.number("version", d.Version)
	f.unless(d.Refresh <= trust.NumberMax, "refresh", "%d is more than 2^53-1", d.Refresh)
	f.unless(d.Ref == nil && object(d.Config) || d.Ref != nil && len(d.Config) == 0, "config, ref", "want either an object config, or ref")
	if d.Ref != nil {
		f.unless(sha256.MatchString(d.Ref.SHA256), "ref.sha256", "want sha256: and 64 hexadecimal digits")
		f.unless(d.Ref.Size > 0, "ref.size", "%d bytes", d.Ref.Size)
		f.unless(len(d.Ref.URL) > 0 && len(d.Ref.URL) <= 1024, "ref.url", "%d bytes, want 1 to 1024", len(d.Ref.URL))
	}
	a := d.Apply
	f.unless(a.Health > 0 && a.Health <= DurationMax, "apply.health_ms", "%d is not from 1 to %d", a.Health, DurationMax)
	f.unless(a.Deadline >= a.Health && a.Deadline <= DurationMax, "apply.deadline_ms", "%d is not from health_ms to %d", a.Deadline, DurationMax)
	f.unless(a.Confirm == ConfirmNone || a.Confirm == ConfirmSession || a.Confirm == ConfirmOperator, "apply.confirm", "%.80q is none", a.Confirm)
	f.unless(a.State == StateKeep || a.State == StateMigrate || a.State == StateReset, "apply.state", "%.80q is none", a.State)
	return f.joined()
}

func (Desired) limits() strict.Limits { return strict.Limits{Bytes: DesiredBytesMax} }

// Beacon says how late it is at least. It is signed by a key with the role clock,
// and retained on _time.
type Beacon struct {
	V      int         `json:"v"`
	Fleet  string      `json:"fleet"`
	Issuer trust.KeyID `json:"iss"`
	Epoch  uint64      `json:"epoch"`
	Number uint64      `json:"n"`       // rises
	Time   int64       `json:"time_ms"` // since the Unix epoch
}

// Check returns what is wrong with the document.
func (b Beacon) Check() error {
	var f faults
	f.version(b.V)
	f.err("fleet", trust.CheckName(b.Fleet))
	f.err("iss", b.Issuer.Check())
	f.number("epoch", b.Epoch)
	f.number("n", b.Number)
	f.unless(b.Time > 0 && b.Time <= trust.NumberMax, "time_ms", "%d is not from 1 to 2^53-1", b.Time)
	return f.joined()
}

func (Beacon) limits() strict.Limits { return strict.Limits{Bytes: CommandBytesMax} }
