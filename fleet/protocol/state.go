package protocol

import (
	"edged/fleet/strict"
	"edged/fleet/trust"
)

// The causes of being offline.
const (
	CauseWill     = "will"     // the broker says so: the link broke
	CauseShutdown = "shutdown" // the gateway says so, and then disconnects
)

// State is the presence of a gateway, retained on state, and with Online false and
// [CauseWill] its last will.
type State struct {
	V        int    `json:"v"`
	Online   bool   `json:"online"`
	Instance string `json:"instance"`          // of the gateway's data
	Session  uint64 `json:"session"`           // counts CONNECTs; stored before it is used
	Revision uint64 `json:"rev,omitempty"`     // counts what is said in a session while online
	Boot     uint64 `json:"boot,omitempty"`    // counts starts of the process
	Nonce    string `json:"nonce,omitempty"`   // for dangerous commands; 32 hexadecimal digits
	Mono     int64  `json:"mono_ms,omitempty"` // when the nonce was made, on the gateway's monotonic clock
	Cause    string `json:"cause,omitempty"`   // why it is offline

	// Of instances with one name, the one with the highest adoption may be told to change
	// something, see identity.adopt. Blocked says that this one is not.
	Adoption uint64 `json:"adoption,omitempty"`
	Blocked  bool   `json:"blocked,omitempty"`
}

// Check returns what is wrong with the message.
func (s State) Check() error {
	var f faults
	f.version(s.V)
	f.unless(subject.MatchString(s.Instance), "instance", "%.80q is none", s.Instance)
	f.number("session", s.Session)
	f.unless(s.Adoption <= trust.NumberMax, "adoption", "%d is more than 2^53-1", s.Adoption)
	if s.Online {
		f.number("rev", s.Revision)
		f.number("boot", s.Boot)
		f.unless(hex32.MatchString(s.Nonce), "nonce", "want 32 hexadecimal digits while online")
		f.unless(s.Cause == "", "cause", "only while offline")
		f.unless(s.Mono >= 0, "mono_ms", "%d is negative", s.Mono)
	} else {
		f.unless(s.Cause == CauseWill || s.Cause == CauseShutdown, "cause", "%.80q is neither %q nor %q", s.Cause, CauseWill, CauseShutdown)
		f.unless(s.Nonce == "" && s.Revision == 0, "nonce, rev", "only while online")
	}
	return f.joined()
}

func (State) limits() strict.Limits { return report() }

// Will returns the last will of the session: what the broker is to say if the link
// breaks.
func (s State) Will() State {
	return State{V: Version, Instance: s.Instance, Session: s.Session, Boot: s.Boot, Cause: CauseWill, Adoption: s.Adoption, Blocked: s.Blocked}
}

// Change says what a [State] means for who has seen others before.
type Change uint8

// The changes.
const (
	Newer    Change = iota // it is the state now
	Known                  // the state is that already
	Older                  // late: of an earlier session, or from before in this one
	Foreign                // of another instance: wiped, replaced or cloned; see Adopt
	Conflict               // the same instance said something else at the same point: cloned
)

// String returns the change as a word.
func (c Change) String() string {
	return [...]string{"newer", "known", "older", "foreign", "conflict"}[c]
}

// Presence is what is known of a gateway's presence. States may come in any order:
// a will that the broker sends late, or a retained one of last week, changes
// nothing. The zero value has seen none.
type Presence struct{ Now State }

// Observe takes a state into account and says what it is. [Foreign] and [Conflict]
// change nothing; they are for a person to look at.
func (p *Presence) Observe(s State) Change {
	now := p.Now
	switch {
	case now.Session == 0:
		p.Now = s
		return Newer
	case s.Instance != now.Instance:
		return Foreign
	case s.Session < now.Session:
		return Older
	case s.Session == now.Session:
		return p.within(s)
	}
	p.Now = s
	return Newer
}

// within observes a state of the same session. Being offline ends a session; the
// will may come behind the goodbye.
func (p *Presence) within(s State) Change {
	now := p.Now
	switch {
	case s == now:
		return Known
	case !now.Online && s.Online:
		return Older
	case !now.Online:
		return Known
	case s.Online && s.Revision < now.Revision:
		return Older
	case s.Online && s.Revision == now.Revision:
		return Conflict
	}
	p.Now = s
	return Newer
}

// Adopt takes a foreign state for the gateway's from now on.
func (p *Presence) Adopt(s State) { p.Now = s }
