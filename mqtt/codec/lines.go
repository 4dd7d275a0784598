package codec

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"edged"
)

// Lines makes payloads of newline-delimited JSON: every line is one payload. The
// zero value is ready. The caller reads the lines; this type does no I/O.
type Lines struct{ number int }

// Append appends the payload of the next line to dst, and nothing for a blank
// line. A line that is not a JSON object is an *edged.PoisonError that names the
// line's number; the next line can be read after it.
func (l *Lines) Append(dst, line []byte) ([]byte, error) {
	l.number++
	line = bytes.TrimSpace(line)
	if len(line) == 0 {
		return dst, nil
	}
	if err := checkObject(line); err != nil {
		return dst, atLine(l.number, err)
	}
	return append(dst, line...), nil
}

// Number returns the number of the line that was read last, from 1.
func (l *Lines) Number() int { return l.number }

// checkObject reports whether text is one JSON object.
func checkObject(text []byte) *edged.PoisonError {
	if !utf8.Valid(text) {
		return poison(CauseSyntax, "is not valid UTF-8")
	}
	d := Decoder{scan: scanner{text: text}}
	if d.scan.peek() != '{' {
		d.scan.unexpected("an object")
	} else if d.object(nil, 1) {
		d.scan.end()
	}
	return d.scan.fault
}

func atLine(number int, err *edged.PoisonError) error {
	return &edged.PoisonError{Cause: err.Cause, Detail: fmt.Sprintf("line %d: %s", number, err.Detail)}
}
