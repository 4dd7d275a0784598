package trust

import (
	"fmt"
	"slices"
)

// Role is what a key is for.
type Role string

// The roles; each of the first four may do what the one before may.
const (
	Viewer   Role = "viewer"
	Operator Role = "operator"
	Deployer Role = "deployer"
	Admin    Role = "admin"
	Clock    Role = "clock" // signs time beacons and nothing else
)

// Class says how much harm a command can do.
type Class uint8

// The classes, each more than the one before.
const (
	Read        Class = iota // changes nothing
	Operate                  // can be undone by the opposite
	Configure                // changes what the gateway computes
	Dangerous                // ends or replaces what runs; must quote a nonce of the session
	Destructive              // loses data; the same, and two holders must sign
)

var classes = [...]string{"read", "operate", "configure", "dangerous", "destructive"}

// String returns the class as a word.
func (c Class) String() string {
	if int(c) < len(classes) {
		return classes[c]
	}
	return fmt.Sprintf("class %d", uint8(c))
}

// MarshalText returns the class as a word.
func (c Class) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads a class from its word.
func (c *Class) UnmarshalText(text []byte) error {
	i := slices.Index(classes[:], string(text))
	if i < 0 {
		return fmt.Errorf("%q is no class of commands: want one of %v", text, classes)
	}
	*c = Class(i)
	return nil
}

// NeedsNonce reports whether such a command must quote a nonce of the session.
func (c Class) NeedsNonce() bool { return c >= Dangerous }

// Holders returns how many persons must sign such a command.
func (c Class) Holders() int {
	if c >= Destructive {
		return 2
	}
	return 1
}

// reach is the highest class of command that a role may sign.
var reach = map[Role]Class{Viewer: Read, Operator: Operate, Deployer: Configure, Admin: Destructive}

// MayCommand reports whether a key with the role may sign commands of a class.
func (r Role) MayCommand(c Class) bool {
	most, may := reach[r]
	return may && c <= most
}

// MayIssue reports whether a key with the role may sign documents of a type other
// than commands. Keyrings are signed by root keys, which have no role.
func (r Role) MayIssue(payloadType string) bool {
	switch payloadType {
	case TypeDesired:
		return r == Deployer || r == Admin
	case TypeTime:
		return r == Clock
	}
	return false
}

// known reports whether there is such a role.
func (r Role) known() bool {
	_, commands := reach[r]
	return commands || r == Clock
}
