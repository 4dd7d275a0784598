package elements

import (
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
	r := reader{data: data}
	v = r.value()
	if r.bad {
		return edged.Value{}, nil, ErrState
	}
	return v, r.data, nil
}

// reader takes stored bytes apart and remembers whether they were malformed.
type reader struct {
	data []byte
	bad  bool
}

func (r *reader) value() edged.Value {
	switch r.byte() {
	case tagNull:
		return edged.Value{}
	case tagNumber:
		return r.number()
	case tagWhole:
		i := r.varint()
		r.bad = r.bad || i < -wholeMax || i > wholeMax
		return edged.NumberValue(float64(i))
	case tagText:
		return edged.TextValue(r.text())
	case tagFalse:
		return edged.BoolValue(false)
	case tagTrue:
		return edged.BoolValue(true)
	case tagJSON:
		text := r.text()
		r.bad = r.bad || !json.Valid([]byte(text))
		return edged.JSONValue(text)
	}
	r.bad = true
	return edged.Value{}
}

// number reads 8 bytes. States have no NaN and no infinity.
func (r *reader) number() edged.Value {
	if len(r.data) < 8 {
		r.bad = true
		return edged.Value{}
	}
	v := edged.NumberValue(math.Float64frombits(binary.LittleEndian.Uint64(r.data)))
	r.bad = r.bad || v.Kind != edged.Number
	r.data = r.data[8:]
	return v
}

func (r *reader) text() string {
	n := r.uvarint()
	if n > uint64(len(r.data)) {
		r.bad = true
		return ""
	}
	s := string(r.data[:n])
	r.data = r.data[n:]
	return s
}

func (r *reader) byte() byte {
	if len(r.data) == 0 {
		r.bad = true
		return 0
	}
	b := r.data[0]
	r.data = r.data[1:]
	return b
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.data)
	r.skip(n)
	return v
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.data)
	r.skip(n)
	return v
}

func (r *reader) skip(n int) {
	if n <= 0 {
		r.bad, r.data = true, nil
		return
	}
	r.data = r.data[n:]
}
