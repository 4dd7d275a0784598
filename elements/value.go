package elements

import (
	"edged/stored"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"strings"

	"edged"
)

// ErrState says that stored bytes are not what this package wrote.
var ErrState = errors.New("malformed elements")

// A value as bytes is a tag and what it needs:
//
//	null, false, true   nothing
//	number              8 bytes, little endian
//	whole number        a signed varint: most readings and counters are short
//	text, JSON          a length and as many bytes
const (
	tagNull = iota
	tagNumber
	tagWhole
	tagText
	tagFalse
	tagTrue
	tagJSON
)

// wholeMax bounds the numbers stored as whole ones: up to it, every integer is a
// float64 of its own.
const wholeMax = 1 << 53

// CopyValue returns v with a text of its own: events lend theirs, which may be part
// of something much larger.
func CopyValue(v edged.Value) edged.Value {
	switch text := v.Text(); {
	case text == "":
		return v
	case v.Kind == edged.JSON:
		return edged.JSONValue(strings.Clone(text))
	default:
		return edged.TextValue(strings.Clone(text))
	}
}

// AppendValue appends the stored form of v, 1 byte at least. Equal values give
// equal bytes.
func AppendValue(dst []byte, v edged.Value) []byte {
	switch v.Kind {
	case edged.Number:
		return appendNumber(dst, v.Float())
	case edged.Text:
		return appendText(append(dst, tagText), v.Text())
	case edged.JSON:
		return appendText(append(dst, tagJSON), v.Text())
	case edged.Bool:
		if v.Bool() {
			return append(dst, tagTrue)
		}
		return append(dst, tagFalse)
	}
	return append(dst, tagNull)
}

func appendNumber(dst []byte, f float64) []byte {
	negativeZero := f == 0 && math.Signbit(f)
	if f >= -wholeMax && f <= wholeMax && f == math.Trunc(f) && !negativeZero {
		return binary.AppendVarint(append(dst, tagWhole), int64(f))
	}
	return binary.LittleEndian.AppendUint64(append(dst, tagNumber), math.Float64bits(f))
}

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// ReadValue reads what [AppendValue] wrote and returns the bytes behind it. Its
// errors wrap [ErrState].
func ReadValue(data []byte) (v edged.Value, rest []byte, err error) {
	r := reader{stored.Reader{Data: data}}
	v = r.value()
	if r.Bad {
		return edged.Value{}, nil, ErrState
	}
	return v, r.Data, nil
}

// reader reads values and elements.
type reader struct{ stored.Reader }

func (r *reader) value() edged.Value {
	switch r.Byte() {
	case tagNull:
		return edged.Value{}
	case tagNumber:
		return r.number()
	case tagWhole:
		i := r.Varint()
		r.Bad = r.Bad || i < -wholeMax || i > wholeMax
		return edged.NumberValue(float64(i))
	case tagText:
		return edged.TextValue(r.Text())
	case tagFalse:
		return edged.BoolValue(false)
	case tagTrue:
		return edged.BoolValue(true)
	case tagJSON:
		text := r.Text()
		r.Bad = r.Bad || !json.Valid([]byte(text))
		return edged.JSONValue(text)
	}
	r.Bad = true
	return edged.Value{}
}

// number reads 8 bytes. States have no NaN and no infinity.
func (r *reader) number() edged.Value {
	v := edged.NumberValue(r.Float())
	r.Bad = r.Bad || v.Kind != edged.Number
	return v
}
