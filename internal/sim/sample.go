package sim

import (
	"strconv"
	"strings"

	"edged"
)

// Sample is one publish of one reading.
type Sample struct {
	Device    int    // index from 0; see Topic and AppendPayload for its name
	Seq       uint64 // the device's count of readings, from 1; equal for a repeat
	EventTime edged.Timestamp

	Temp  float64 // in a trace: the value
	Hum   float64 // percent; 0 in a trace
	Centi int64   // Temp in hundredths, exactly; 0 in a trace
	Deci  int64   // Hum in tenths, exactly; 0 in a trace

	Duplicate bool // repeats an earlier sample byte for byte
	Late      bool // held back by Config.LateBy
	Backlog   bool // part of a burst after silence
}

// Source yields samples in publishing order and knows their wire form. [Fleet]
// and [Trace] are sources.
type Source interface {
	// Next fills s and reports whether there was another sample.
	Next(s *Sample) bool

	// Err tells why Next returned false; nil means the regular end.
	Err() error

	// Topic is where the device publishes.
	Topic(device int) string

	// AppendPayload appends the JSON payload of s. It depends on s only.
	AppendPayload(dst []byte, s *Sample) []byte
}

const devicePlace = "{device}"

// topicOf puts a device's name into a pattern. Characters that mean something
// in MQTT topics become '_', so that a name never adds a level.
func topicOf(pattern, device string) string {
	clean := strings.Map(func(r rune) rune {
		if r == '/' || r == '+' || r == '#' || r < 0x20 {
			return '_'
		}
		return r
	}, device)
	return strings.ReplaceAll(pattern, devicePlace, clean)
}

// appendDevice appends the name of device i: d000123.
func appendDevice(dst []byte, i int) []byte {
	dst = append(dst, 'd')
	for limit := 100_000; limit > 1 && i < limit; limit /= 10 {
		dst = append(dst, '0')
	}
	return strconv.AppendInt(dst, int64(i), 10)
}

// appendFixed appends n units of 10^-digits as a JSON number, as in 21.37.
func appendFixed(dst []byte, n int64, digits int) []byte {
	if n < 0 {
		dst = append(dst, '-')
		n = -n
	}
	unit := int64(1)
	for range digits {
		unit *= 10
	}
	dst = strconv.AppendInt(dst, n/unit, 10)
	dst = append(dst, '.')
	for rest, unit := n%unit, unit/10; unit > 0; unit /= 10 {
		dst = append(dst, byte('0'+rest/unit%10))
	}
	return dst
}

const padHead, padTail = `,"pad":"`, `"`

// appendPad lengthens an object, still open and size bytes long, so that it
// will have at least the given length when it is closed.
func appendPad(dst []byte, size, length int) []byte {
	missing := length - size - len("}")
	if missing <= 0 {
		return dst
	}
	dst = append(dst, padHead...)
	for range missing - len(padHead) - len(padTail) {
		dst = append(dst, 'x')
	}
	return append(dst, padTail...)
}
