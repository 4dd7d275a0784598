package protocol

import (
	"errors"
	"fmt"
	"regexp"

	"edged/fleet/strict"
	"edged/fleet/trust"
)

// Version is the schema version of all messages, their member v.
const Version = 1

// The sizes of messages in bytes. Those of commands and desired documents are for
// the envelope; what is signed is smaller.
const (
	CommandBytesMax = 64 << 10
	DesiredBytesMax = 1 << 20
	ReportBytesMax  = 256 << 10 // what gateways say of themselves
)

// ErrMessage says that bytes are not the message that was expected.
var ErrMessage = errors.New("protocol: not a valid message")

// Message is one of the messages of this package.
type Message interface {
	// Check returns what is wrong with the message.
	Check() error

	// limits says how much is read of it, and whether members may be unknown.
	limits() strict.Limits
}

// Decode reads a message and checks it. An error wraps [ErrMessage].
func Decode[M Message](data []byte) (M, error) {
	var m, none M
	if err := strict.Decode(data, &m, m.limits()); err != nil {
		return none, fmt.Errorf("%w: %T: %w", ErrMessage, m, err)
	}
	if err := m.Check(); err != nil {
		return none, fmt.Errorf("%w: %T: %w", ErrMessage, m, err)
	}
	return m, nil
}

// Encode checks a message and writes it. An error wraps [ErrMessage].
func Encode(m Message) ([]byte, error) {
	if err := m.Check(); err != nil {
		return nil, fmt.Errorf("%w: %T: %w", ErrMessage, m, err)
	}
	data, err := strict.Encode(m)
	if err == nil && len(data) > m.limits().Bytes {
		err = fmt.Errorf("%d bytes are more than %d", len(data), m.limits().Bytes)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %T: %w", ErrMessage, m, err)
	}
	return data, nil
}

// faults collects what is wrong with a message.
type faults []error

// unless notes a fault of a member if it does not hold.
func (f *faults) unless(holds bool, member, format string, args ...any) {
	if !holds {
		*f = append(*f, fmt.Errorf("%s: "+format, append([]any{member}, args...)...))
	}
}

// err notes an error of a member, if it is one.
func (f *faults) err(member string, err error) {
	if err != nil {
		*f = append(*f, fmt.Errorf("%s: %w", member, err))
	}
}

func (f *faults) version(v int) {
	f.unless(v == Version, "v", "is %d, this program speaks %d", v, Version)
}

// number checks a counter that starts with 1.
func (f *faults) number(member string, n uint64) {
	f.unless(n >= 1 && n <= trust.NumberMax, member, "%d is not from 1 to 2^53-1", n)
}

// text checks the length of a text that people read.
func (f *faults) text(member, text string, bytesMax int) {
	f.unless(len(text) <= bytesMax, member, "%d bytes are more than %d", len(text), bytesMax)
}

func (f *faults) joined() error { return errors.Join(*f...) }

var (
	hex32  = regexp.MustCompile(`^[0-9a-f]{32}$`)
	hex64  = regexp.MustCompile(`^[0-9a-f]{64}$`)
	opName = regexp.MustCompile(`^[a-z][a-z_]*(\.[a-z][a-z_]*){0,3}$`)
	sha256 = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
)

// object reports whether raw JSON, which is known to be valid, is an object.
func object(raw []byte) bool { return len(raw) > 0 && raw[0] == '{' }

// report are the limits of what gateways say: newer ones may say more.
func report() strict.Limits { return strict.Limits{Bytes: ReportBytesMax, Unknown: true} }
