package mqtt

import (
	"errors"
	"fmt"
)

// Errors that callers may test for.
var (
	// ErrDown says that the publisher has no connection. The rows were not sent.
	ErrDown = errors.New("mqtt publisher is not connected")

	// ErrWindow says that the rows would exceed [Window] unconfirmed ones. None
	// was sent.
	ErrWindow = errors.New("mqtt publisher window is full")

	// ErrUnsendable marks a row that no broker would take: a bad topic or too many
	// bytes. No row of the call was sent; sending it again cannot help.
	ErrUnsendable = errors.New("row cannot be sent over mqtt")

	// ErrRefused marks a CONNECT or SUBSCRIBE that the broker declined.
	ErrRefused = errors.New("refused by the broker")

	// ErrProtocol marks bytes that are not MQTT 3.1.1 as we negotiated it.
	ErrProtocol = errors.New("mqtt protocol violation")
)

// refusal explains a CONNACK code.
func refusal(code byte) error {
	why := fmt.Sprintf("code %d", code)
	switch code {
	case 1:
		why = "it does not speak MQTT 3.1.1; enable that version on the listener"
	case 2:
		why = "it does not accept the client id; use a shorter one of letters and digits, or allow it in the broker's settings"
	case 3:
		why = "it is not available now; this is retried"
	case 4:
		why = "username or password are malformed or wrong; check both"
	case 5:
		why = "not authorised; check username, password and the broker's access rules for this client id"
	}
	return fmt.Errorf("connect %w: %s", ErrRefused, why)
}
