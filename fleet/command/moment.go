package command

import "edged/fleet/protocol"

// Monotonic is a time in milliseconds since the process started. It never goes
// back, stands still for nobody, and says nothing about the time of day.
type Monotonic int64

// The life of a nonce in milliseconds. A gateway makes a new one at each CONNECT
// and after NonceLife; the one before stays good, so that a command has at least
// NonceLife to arrive. None is good after NonceLifeMax.
const (
	NonceLife    = 10 * 60 * 1000
	NonceLifeMax = 2 * NonceLife
)

// Nonce is 128 bits of chance, in 32 hexadecimal digits, and when it was made.
type Nonce struct {
	Value string
	Made  Monotonic
}

// Nonces are those that a command may quote.
type Nonces struct{ Present, Previous Nonce }

// Connect returns the nonces of a new session: those of older ones end with it.
func (n Nonces) Connect(value string, now Monotonic) Nonces {
	return Nonces{Present: Nonce{Value: value, Made: now}}
}

// Rotate returns the nonces after a new one was made in the same session.
func (n Nonces) Rotate(value string, now Monotonic) Nonces {
	return Nonces{Present: Nonce{Value: value, Made: now}, Previous: n.Present}
}

// find returns a nonce that may be quoted now.
func (n Nonces) find(value string, now Monotonic) (Nonce, bool) {
	for _, nonce := range []Nonce{n.Present, n.Previous} {
		if value != "" && nonce.Value == value && now-nonce.Made <= NonceLifeMax {
			return nonce, true
		}
	}
	return Nonce{}, false
}

// Moment is what the world looks like when something is decided. No wall clock is
// in it.
type Moment struct {
	Now     Monotonic
	Boot    uint64 // counts starts of the process
	Session uint64 // counts CONNECTs
	Nonces  Nonces
	Running protocol.Running // the configuration in effect
}

// Delivery is a message as the broker delivered it.
type Delivery struct {
	Topic    protocol.Topic
	Retained bool // the broker had kept it, for a subscription that came later
	Data     []byte
}
