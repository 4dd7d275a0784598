package agg

import "edged"

// textAt is the text with the earliest event time, or with the latest. Ties go to
// the one that arrived first, or last. Its cell is a time and the text: 8 bytes and
// at most [TextMax] more.
type textAt struct{ latest bool }

// Name implements [Function].
func (f textAt) Name() string {
	if f.latest {
		return "last"
	}
	return "first"
}

// Add implements [Growing].
func (f textAt) Add(cell []byte, v edged.Value, t edged.Timestamp) []byte {
	if v.Kind != edged.Text || !f.better(cell, t) {
		return cell
	}
	cell = le.AppendUint64(cell[:0], uint64(t))
	return append(cell, clip(v.Text(), TextMax)...)
}

// better reports whether a text at t takes the place of the one in the cell.
func (f textAt) better(cell []byte, t edged.Timestamp) bool {
	if len(cell) == 0 {
		return true
	}
	if f.latest {
		return t >= timeAt(cell, 0)
	}
	return t < timeAt(cell, 0)
}

// Merge implements [Growing].
func (f textAt) Merge(dst, src []byte) []byte {
	if len(src) == 0 || !f.better(dst, timeAt(src, 0)) {
		return dst
	}
	return append(dst[:0], src...)
}

// Result implements [Growing].
func (f textAt) Result(cell []byte, _ Span) edged.Value {
	if len(cell) == 0 {
		return edged.Value{}
	}
	return edged.TextValue(string(cell[8:]))
}

// Check implements [Growing].
func (f textAt) Check(cell []byte) bool {
	return len(cell) == 0 || len(cell) >= 8 && len(cell) <= 8+TextMax
}
