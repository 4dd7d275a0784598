package fleet

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/valyala/fastjson"
)

// Limits of an [Envelope].
const (
	IDBytesMax      = 64
	GatewayBytesMax = 256
)

// ErrEnvelope says that a payload is not a result: no JSON object, or id, seq or
// gateway are missing or unusable.
var ErrEnvelope = errors.New("fleet: not a result")

// Envelope is what every result says about itself.
type Envelope struct {
	Gateway string // who sent it
	Seq     uint64 // its number in the gateway's stream, from 1
	ID      string // equal for equal results, whenever and however often they are computed
}

// parseEnvelope reads the envelope. Its strings are copies. With a repeated
// member the first counts.
func parseEnvelope(parser *fastjson.Parser, payload []byte) (Envelope, error) {
	object, err := parser.ParseBytes(payload)
	if err != nil {
		return Envelope{}, fmt.Errorf("%w: %w", ErrEnvelope, err)
	}
	if object.Type() != fastjson.TypeObject {
		return Envelope{}, fmt.Errorf("%w: a JSON %s, not an object", ErrEnvelope, object.Type())
	}
	var e Envelope
	if e.Gateway, err = member(object, "gateway", GatewayBytesMax); err != nil {
		return Envelope{}, err
	}
	if e.ID, err = member(object, "id", IDBytesMax); err != nil {
		return Envelope{}, err
	}
	if e.Seq = object.GetUint64("seq"); e.Seq == 0 {
		return Envelope{}, fmt.Errorf("%w: member \"seq\" is not a whole number from 1 on", ErrEnvelope)
	}
	return e, nil
}

// member returns a text of 1 to limit bytes.
func member(object *fastjson.Value, name string, limit int) (string, error) {
	text := object.GetStringBytes(name)
	switch {
	case len(text) == 0:
		return "", fmt.Errorf("%w: member %q is missing or no text", ErrEnvelope, name)
	case len(text) > limit:
		return "", fmt.Errorf("%w: member %q has %d bytes, the limit is %d", ErrEnvelope, name, len(text), limit)
	case !utf8.Valid(text):
		return "", fmt.Errorf("%w: member %q is not UTF-8", ErrEnvelope, name)
	}
	return string(text), nil
}
