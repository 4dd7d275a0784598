package agg

import (
	"math"

	"edged"
)

// Bounds of the elements that collect keeps.
const (
	collectDefault = 100
	collectMost    = 1000
)

// collect is the list of the values in the order of their event times, and at one
// time in that of their arrival. Of more than max values it keeps the earliest, so
// that the list does not depend on how states were merged; a count beside it tells
// how many there were. Texts are cut at [TextMax] bytes, or earlier when max of them
// would not fit into a cell.
//
// The cell, integers being little-endian:
//
//	0  uint32  number of elements     4  uint32  place of the last one
//	8  elements: int64 event time, uint16 length, and the value: 8 bytes for a
//	   number, 1 for a truth value, or a text
type collect struct {
	kind edged.Kind
	max  int
}

const (
	collectHead = 8
	elementHead = 10
)

// Name implements [Function].
func (collect) Name() string { return "collect" }

// textMax is how long a text may be for all of them to fit.
func (f collect) textMax() int {
	return min(TextMax, (CellBytesMax-collectHead)/f.max-elementHead)
}

// Add implements [Growing].
func (f collect) Add(cell []byte, v edged.Value, t edged.Timestamp) []byte {
	if v.Kind != f.kind {
		return cell
	}
	var room [8]byte
	switch v.Kind {
	case edged.Number:
		le.PutUint64(room[:], math.Float64bits(v.Float()))
		return insertElement(f, cell, t, room[:])
	case edged.Bool:
		room[0] = byte(truth(v.Bool()))
		return insertElement(f, cell, t, room[:1])
	}
	return insertElement(f, cell, t, clip(v.Text(), f.textMax()))
}

// insertElement puts a value behind those that are not later.
func insertElement[T string | []byte](f collect, cell []byte, t edged.Timestamp, value T) []byte {
	if len(cell) == 0 {
		cell = gap(cell, 0, collectHead)
	}
	n, last, at := int(le.Uint32(cell)), int(le.Uint32(cell[4:])), len(cell)
	size := elementHead + len(value)
	full := n == f.max
	if n > 0 && t < timeAt(cell, last) {
		for at = collectHead; timeAt(cell, at) <= t; {
			at = nextElement(cell, at)
		}
		last += size
	} else if last = at; full {
		return cell
	}
	cell = gap(cell, at, size)
	le.PutUint64(cell[at:], uint64(t))
	le.PutUint16(cell[at+8:], uint16(len(value)))
	copy(cell[at+elementHead:], value)
	if full {
		cell = cell[:last]
		last = collectHead
		for next := nextElement(cell, last); next < len(cell); next = nextElement(cell, next) {
			last = next
		}
	} else {
		n++
	}
	le.PutUint32(cell, uint32(n))
	le.PutUint32(cell[4:], uint32(last))
	return cell
}

// nextElement returns the place behind the element at that place.
func nextElement(cell []byte, at int) int {
	return at + elementHead + int(le.Uint16(cell[at+8:]))
}

// Merge implements [Growing].
func (f collect) Merge(dst, src []byte) []byte {
	for at := collectHead; at < len(src); at = nextElement(src, at) {
		dst = insertElement(f, dst, timeAt(src, at), src[at+elementHead:nextElement(src, at)])
	}
	return dst
}

// Result implements [Growing].
func (f collect) Result(cell []byte, _ Span) edged.Value {
	if len(cell) == 0 {
		return edged.Value{}
	}
	text := []byte{'['}
	for at := collectHead; at < len(cell); at = nextElement(cell, at) {
		if at > collectHead {
			text = append(text, ',')
		}
		text = f.value(cell[at+elementHead : nextElement(cell, at)]).AppendJSON(text)
	}
	return edged.JSONValue(string(append(text, ']')))
}

func (f collect) value(raw []byte) edged.Value {
	switch f.kind {
	case edged.Number:
		return edged.NumberValue(floatAt(raw, 0))
	case edged.Bool:
		return edged.BoolValue(raw[0] != 0)
	}
	return edged.TextValue(string(raw))
}

// Check implements [Growing].
func (f collect) Check(cell []byte) bool {
	if len(cell) == 0 {
		return true
	}
	if len(cell) <= collectHead || le.Uint32(cell) > uint32(f.max) {
		return false
	}
	n, last, at := int(le.Uint32(cell)), 0, collectHead
	for ; n > 0; n-- {
		if len(cell)-at < elementHead || len(cell) < nextElement(cell, at) {
			return false
		}
		if last > 0 && timeAt(cell, last) > timeAt(cell, at) || !f.sound(cell[at+elementHead:nextElement(cell, at)]) {
			return false
		}
		last, at = at, nextElement(cell, at)
	}
	return at == len(cell) && last == int(le.Uint32(cell[4:]))
}

// sound reports whether the bytes are a value of our kind.
func (f collect) sound(raw []byte) bool {
	switch f.kind {
	case edged.Number:
		return len(raw) == 8 && finite(floatAt(raw, 0))
	case edged.Bool:
		return len(raw) == 1 && raw[0] <= 1
	}
	return len(raw) <= f.textMax()
}
