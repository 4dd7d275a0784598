package protocol

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"

	"edged/fleet/trust"
)

// ErrUnverified says that a message is not signed by the gateway that it claims to come
// from, although that signs what it says.
var ErrUnverified = errors.New("protocol: not signed by the gateway")

// Statement is a message that a gateway may sign with a key of its own: [Answer],
// [Reported], [State] or [Info].
type Statement interface {
	Message

	// statement says for what it is signed.
	statement() (payloadType string)
}

func (Answer) statement() string   { return trust.TypeAnswer }
func (Reported) statement() string { return trust.TypeReported }
func (State) statement() string    { return trust.TypeState }
func (Info) statement() string     { return trust.TypeInfo }

// The signature of a statement is its last member, always of the same length: what is
// signed is the message without it, byte for byte. Who does not know the member skips it.
const (
	signatureBegin = `,"sig":{"keyid":"`
	signatureMid   = `","sig":"`
	signatureEnd   = `"}}`
	keyIDChars     = 32
)

var (
	signatureChars = base64.StdEncoding.EncodedLen(ed25519.SignatureSize)
	signatureBytes = len(signatureBegin) + keyIDChars + len(signatureMid) + signatureChars + len(signatureEnd)
)

// Sign checks a statement, signs it and returns what is to be published. An error wraps
// [ErrMessage].
func Sign(s Statement, by *trust.Signer) ([]byte, error) {
	body, err := Encode(s)
	if err != nil {
		return nil, err
	}
	sig := by.Sign(s.statement(), body)
	data := append(body[:len(body)-1:len(body)-1], signatureBegin...)
	data = append(append(data, sig.KeyID...), signatureMid...)
	return append(base64.StdEncoding.AppendEncode(data, sig.Bytes), signatureEnd...), nil
}

// unsign takes what [Sign] returns apart. Nobody has looked at the signature yet.
func unsign(data []byte) (body []byte, sig trust.Signature, signed bool) {
	at := len(data) - signatureBytes
	if at < 1 {
		return nil, sig, false
	}
	tail, begins := bytes.CutPrefix(data[at:], []byte(signatureBegin))
	tail, ends := bytes.CutSuffix(tail, []byte(signatureEnd))
	if !begins || !ends || string(tail[keyIDChars:keyIDChars+len(signatureMid)]) != signatureMid {
		return nil, sig, false
	}
	text := string(tail[keyIDChars+len(signatureMid):])
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != ed25519.SignatureSize {
		return nil, sig, false
	}
	return append(bytes.Clone(data[:at]), '}'), trust.Signature{KeyID: trust.KeyID(tail[:keyIDChars]), Bytes: raw}, true
}

// Believe decodes what came as a statement of a gateway, and says whether it is signed by
// it. If the keyring has a key of the gateway, what is not signed with it is an error that
// wraps [ErrUnverified]; without one, or without a keyring, everything is taken as it is.
func Believe[S Statement](ring *trust.Ring, gateway string, data []byte) (s S, signed bool, err error) {
	if ring == nil || len(ring.GatewayKeys(gateway)) == 0 {
		s, err = Decode[S](data)
		return s, false, err
	}
	body, sig, ok := unsign(data)
	if !ok {
		return s, false, fmt.Errorf("%w: %s says a %T without a signature, and has a key in keyring %d", ErrUnverified, gateway, s, ring.Version())
	}
	e := trust.Envelope{Type: s.statement(), Payload: body, Signatures: []trust.Signature{sig}}
	if err := ring.VerifyGateway(gateway, &e); err != nil {
		return s, false, fmt.Errorf("%w: %T: %w", ErrUnverified, s, err)
	}
	s, err = Decode[S](body)
	return s, err == nil, err
}
