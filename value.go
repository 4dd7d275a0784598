package edged

import (
	"math"
	"strconv"
)

// Kind is the type of a [Value].
type Kind uint8

// The kinds of values. Null is the zero value: a field that is absent or null.
const (
	Null Kind = iota
	Number
	Text
	Bool
	JSON // a list or an object, as JSON; only results have it
)

// String names the kind as pipeline documents do.
func (k Kind) String() string {
	switch k {
	case Number:
		return "number"
	case Text:
		return "text"
	case Bool:
		return "bool"
	case JSON:
		return "json"
	}
	return "null"
}

// Value is one field of an event or one column of a result. A Number is always
// finite: decoders reject NaN and infinities.
type Value struct {
	Kind Kind
	num  float64
	text string
}

// NumberValue returns f as a value, and Null when f is not finite.
func NumberValue(f float64) Value {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return Value{}
	}
	return Value{Kind: Number, num: f}
}

// TextValue returns s as a value. The string is kept, not copied.
func TextValue(s string) Value { return Value{Kind: Text, text: s} }

// BoolValue returns b as a value.
func BoolValue(b bool) Value {
	if b {
		return Value{Kind: Bool, num: 1}
	}
	return Value{Kind: Bool}
}

// JSONValue returns a value that is written as it stands. text must be valid JSON.
func JSONValue(text string) Value { return Value{Kind: JSON, text: text} }

// Float returns the number, and 0 for every other kind.
func (v Value) Float() float64 {
	if v.Kind == Number {
		return v.num
	}
	return 0
}

// Text returns the text or the JSON, and "" for every other kind.
func (v Value) Text() string { return v.text }

// Bool returns the truth value, and false for every other kind.
func (v Value) Bool() bool { return v.Kind == Bool && v.num != 0 }

// AppendJSON appends the value as JSON. Numbers take the shortest form that
// reads back as the same float64.
func (v Value) AppendJSON(dst []byte) []byte {
	switch v.Kind {
	case Number:
		return AppendJSONNumber(dst, v.num)
	case Text:
		return AppendJSONString(dst, v.text)
	case Bool:
		return strconv.AppendBool(dst, v.num != 0)
	case JSON:
		return append(dst, v.text...)
	}
	return append(dst, "null"...)
}

// AppendJSONNumber appends f in the shortest form that reads back as f. Integers
// of up to 15 digits are written without exponent. f must be finite.
func AppendJSONNumber(dst []byte, f float64) []byte {
	if i := int64(f); f > -1e15 && f < 1e15 && float64(i) == f && (i != 0 || !math.Signbit(f)) {
		return strconv.AppendInt(dst, i, 10)
	}
	return strconv.AppendFloat(dst, f, 'g', -1, 64)
}

const hexDigits = "0123456789abcdef"

// AppendJSONString appends s as a JSON string. Invalid UTF-8 becomes U+FFFD.
func AppendJSONString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == '\n':
			dst = append(dst, '\\', 'n')
		case r < 0x20 || r == 0x7f:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[r>>4], hexDigits[r&15])
		default:
			dst = append(dst, string(r)...)
		}
	}
	return append(dst, '"')
}
