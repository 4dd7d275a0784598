package agg

import (
	"encoding/binary"
	"math"
	"unicode/utf8"

	"edged"
)

// TextMax is how many bytes of a text a cell keeps at most. What is longer is cut
// where a character ends.
const TextMax = 512

// le is the byte order of cells.
var le = binary.LittleEndian

// gap returns cell with n zero bytes more at the place at.
func gap(cell []byte, at, n int) []byte {
	size := len(cell)
	cell = append(cell, make([]byte, n)...) // compiled to growing in place
	copy(cell[at+n:], cell[at:size])
	clear(cell[at : at+n])
	return cell
}

// cut returns cell without the n bytes at the place at.
func cut(cell []byte, at, n int) []byte {
	return append(cell[:at], cell[at+n:]...)
}

// clip returns the first most bytes of s, or a little less: whole characters.
func clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}

// addSaturating returns a+b, or the largest number if that is beyond it: a counter
// that is full stays full.
func addSaturating(a, b uint32) uint32 {
	if sum := a + b; sum >= a {
		return sum
	}
	return math.MaxUint32
}

// timeAt reads a timestamp of a cell.
func timeAt(cell []byte, at int) edged.Timestamp {
	return edged.Timestamp(le.Uint64(cell[at:]))
}

// floatAt reads a number of a cell.
func floatAt(cell []byte, at int) float64 {
	return math.Float64frombits(le.Uint64(cell[at:]))
}

// finite reports whether f is a number as values have them.
func finite(f float64) bool { return f-f == 0 }

// truth returns a truth value as a number.
func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
