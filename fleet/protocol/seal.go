package protocol

import (
	"fmt"

	"edged/fleet/trust"
)

// Document is a message that is signed for gateways: [Command], [Desired] or
// [Beacon].
type Document interface {
	Message

	// envelope says for what it is signed, and how large it may be then.
	envelope() (payloadType string, bytesMax int)
}

func (Command) envelope() (string, int) { return trust.TypeCommand, CommandBytesMax }
func (Desired) envelope() (string, int) { return trust.TypeDesired, DesiredBytesMax }
func (Beacon) envelope() (string, int)  { return trust.TypeTime, CommandBytesMax }

// Seal checks a document, signs it and returns what is to be published. Its issuer
// must be one of the keys. Send the same bytes again as long as there is no answer;
// sealing the same command again is no new command either. An error wraps
// [ErrMessage].
func Seal(d Document, keys ...trust.SecretKey) ([]byte, error) {
	payload, err := Encode(d)
	if err != nil {
		return nil, err
	}
	payloadType, bytesMax := d.envelope()
	e := trust.Seal(payloadType, payload, keys...)
	data := e.Encode()
	if len(keys) == 0 || len(keys) > trust.SignaturesMax || len(data) > bytesMax {
		return nil, fmt.Errorf("%w: %T: an envelope of %d bytes with %d signatures; want at most %d, and 1 to %d",
			ErrMessage, d, len(data), len(keys), bytesMax, trust.SignaturesMax)
	}
	return data, nil
}
