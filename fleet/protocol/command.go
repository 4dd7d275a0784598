package protocol

import (
	"encoding/json"

	"edged/fleet/strict"
	"edged/fleet/trust"
)

// DurationMax is the longest ttl, timeout or health gate, in milliseconds: a day.
const DurationMax = 24 * 60 * 60 * 1000

// Precondition says which configuration a command is about.
type Precondition struct {
	Version *uint64 `json:"config_version,omitempty"`
	Hash    string  `json:"config_hash,omitempty"`
}

// Holds reports whether the running configuration is that one.
func (p *Precondition) Holds(now Running) bool {
	return p == nil || (p.Version == nil || *p.Version == now.Version) && (p.Hash == "" || p.Hash == now.Hash)
}

// Command is one thing to do, once. It is signed and never retained; answers come
// on rsp/ID of the gateway, and nowhere else.
type Command struct {
	V       int             `json:"v"`
	ID      ID              `json:"id"`
	Op      string          `json:"op"`
	Args    json.RawMessage `json:"args,omitempty"` // an object
	Aud     trust.Audience  `json:"aud"`
	Issuer  trust.KeyID     `json:"iss"`             // whose seq it is; one of those who sign
	Keyring uint64          `json:"keyring"`         // the lowest version of the keyring that it may be judged by
	Epoch   uint64          `json:"epoch"`           // of the keyring
	Seq     uint64          `json:"seq"`             // rises with each command of the issuer
	Nonce   string          `json:"nonce,omitempty"` // of the gateway's session
	TTL     int64           `json:"ttl_ms"`          // from the making of the nonce; without one, from its arrival
	Expires int64           `json:"exp_ms,omitempty"`
	If      *Precondition   `json:"if,omitempty"`
	DryRun  bool            `json:"dry_run,omitempty"`
	Timeout int64           `json:"timeout_ms,omitempty"` // how long it may run; 0: as the gateway likes
}

// Check returns what is wrong with the command.
func (c Command) Check() error {
	var f faults
	f.version(c.V)
	f.err("id", c.ID.Check())
	f.unless(opName.MatchString(c.Op) && len(c.Op) <= valueBytesMax, "op", "%.80q: want words of a-z _ with dots between", c.Op)
	f.unless(len(c.Args) == 0 || object(c.Args), "args", "want an object")
	f.err("", c.Aud.Check())
	f.err("iss", c.Issuer.Check())
	f.number("keyring", c.Keyring)
	f.number("epoch", c.Epoch)
	f.number("seq", c.Seq)
	f.unless(c.Nonce == "" || hex32.MatchString(c.Nonce), "nonce", "want 32 hexadecimal digits")
	f.unless(c.TTL > 0 && c.TTL <= DurationMax, "ttl_ms", "%d is not from 1 to %d", c.TTL, DurationMax)
	f.unless(c.Expires >= 0 && c.Expires <= trust.NumberMax, "exp_ms", "%d is not from 0 to 2^53-1", c.Expires)
	f.unless(c.Timeout >= 0 && c.Timeout <= DurationMax, "timeout_ms", "%d is not from 0 to %d", c.Timeout, DurationMax)
	if c.If != nil {
		f.unless(c.If.Version != nil || c.If.Hash != "", "if", "says nothing")
		f.unless(c.If.Hash == "" || sha256.MatchString(c.If.Hash), "if.config_hash", "want sha256: and 64 hexadecimal digits")
	}
	return f.joined()
}

func (Command) limits() strict.Limits { return strict.Limits{Bytes: CommandBytesMax} }
