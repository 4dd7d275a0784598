package trust

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"

	"edged/fleet/strict"
)

// Limits of an [Envelope].
const (
	SignaturesMax = 8
	typeBytesMax  = 100
	envelopeDepth = 3
)

// ErrEnvelope says that bytes are no envelope.
var ErrEnvelope = errors.New("trust: not a DSSE envelope")

// The types of payloads that this system signs.
const (
	TypeCommand = "application/vnd.edged.cmd.v1+json"
	TypeDesired = "application/vnd.edged.desired.v1+json"
	TypeKeyring = "application/vnd.edged.trust.v1+json"
	TypeTime    = "application/vnd.edged.time.v1+json"
)

// The types of what a gateway says and signs with a key of its own.
const (
	TypeAnswer   = "application/vnd.edged.rsp.v1+json"
	TypeReported = "application/vnd.edged.reported.v1+json"
	TypeState    = "application/vnd.edged.state.v1+json"
	TypeInfo     = "application/vnd.edged.info.v1+json"
)

// Signature is what one key says of a payload.
type Signature struct {
	KeyID KeyID
	Bytes []byte
}

// Envelope is a payload with signatures, which nobody has looked at yet.
type Envelope struct {
	Type       string
	Payload    []byte
	Signatures []Signature
}

// PAE returns the bytes that are signed: the pre-authentication encoding of DSSE.
// Lengths before both parts keep one pair from looking like another.
func PAE(payloadType string, payload []byte) []byte {
	b := fmt.Appendf(nil, "DSSEv1 %d %s %d ", len(payloadType), payloadType, len(payload))
	return append(b, payload...)
}

// Seal signs a payload with keys, at most [SignaturesMax].
func Seal(payloadType string, payload []byte, keys ...SecretKey) Envelope {
	e := Envelope{Type: payloadType, Payload: payload}
	for _, key := range keys {
		e.Sign(key)
	}
	return e
}

// Sign adds the signature of a key.
func (e *Envelope) Sign(key SecretKey) {
	e.Signatures = append(e.Signatures, Signature{KeyID: key.Public().ID(), Bytes: key.sign(PAE(e.Type, e.Payload))})
}

// signedBy reports whether the key has signed.
func (e *Envelope) signedBy(key PublicKey) bool {
	id, message := key.ID(), []byte(nil)
	for _, s := range e.Signatures {
		if s.KeyID != id {
			continue
		}
		if message == nil {
			message = PAE(e.Type, e.Payload)
		}
		if ed25519.Verify(key[:], message, s.Bytes) {
			return true
		}
	}
	return false
}

// document is an envelope as JSON.
type document struct {
	Type       string      `json:"payloadType"`
	Payload    string      `json:"payload"`
	Signatures []signature `json:"signatures"`
}

type signature struct {
	KeyID KeyID  `json:"keyid"`
	Sig   string `json:"sig"`
}

// Encode returns the envelope as JSON.
func (e *Envelope) Encode() []byte {
	d := document{Type: e.Type, Payload: base64.StdEncoding.EncodeToString(e.Payload)}
	for _, s := range e.Signatures {
		d.Signatures = append(d.Signatures, signature{KeyID: s.KeyID, Sig: base64.StdEncoding.EncodeToString(s.Bytes)})
	}
	data, err := strict.Encode(d)
	if err != nil {
		panic(fmt.Sprintf("trust: an envelope is texts, and these always encode: %v", err))
	}
	return data
}

// Open takes an envelope of at most so many bytes apart. Its signatures are not
// verified: see [Ring.Verify]. An error wraps [ErrEnvelope].
func Open(data []byte, bytesMax int) (Envelope, error) {
	var d document
	if err := strict.Decode(data, &d, strict.Limits{Bytes: bytesMax, Depth: envelopeDepth}); err != nil {
		return Envelope{}, fmt.Errorf("%w: %w", ErrEnvelope, err)
	}
	if n := len(d.Type); n == 0 || n > typeBytesMax {
		return Envelope{}, fmt.Errorf("%w: payloadType has %d bytes, want 1 to %d", ErrEnvelope, n, typeBytesMax)
	}
	if n := len(d.Signatures); n == 0 || n > SignaturesMax {
		return Envelope{}, fmt.Errorf("%w: %d signatures, want 1 to %d", ErrEnvelope, n, SignaturesMax)
	}
	payload, err := unbase64(d.Payload)
	if err != nil {
		return Envelope{}, fmt.Errorf("%w: payload: %w", ErrEnvelope, err)
	}
	e := Envelope{Type: d.Type, Payload: payload}
	for i, s := range d.Signatures {
		sig, err := unbase64(s.Sig)
		if err != nil || len(sig) != ed25519.SignatureSize {
			return Envelope{}, fmt.Errorf("%w: signatures[%d].sig is not %d bytes in base64", ErrEnvelope, i, ed25519.SignatureSize)
		}
		if err := s.KeyID.Check(); err != nil {
			return Envelope{}, fmt.Errorf("%w: signatures[%d].keyid: %w", ErrEnvelope, i, err)
		}
		e.Signatures = append(e.Signatures, Signature{KeyID: s.KeyID, Bytes: sig})
	}
	return e, nil
}
