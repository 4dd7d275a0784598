package agg

import (
	"encoding/binary"
	"errors"
	"fmt"

	"edged"
)

// Events is the slot of a count of events: it reads no value at all.
const Events = -1

// WordsMax is the largest number of words a layout may have: 64 KiB a window.
const WordsMax = 8192

// Column is one column of a result: a function over one slot of the events.
type Column struct {
	Function Function
	Slot     int // index into edged.Event.Values, or [Events]
}

// Layout is the states of several columns side by side. It is immutable once
// built and shared by all windows of a pipeline.
type Layout struct {
	columns []column
	words   []Word
}

// column is a Column with its place among the words.
type column struct {
	Column
	at, end int
}

// NewLayout computes the layout of the columns. The error joins all faults.
func NewLayout(columns []Column) (*Layout, error) {
	l := &Layout{columns: make([]column, 0, len(columns))}
	var faults []error
	for i, c := range columns {
		if c.Function == nil {
			faults = append(faults, fmt.Errorf("column %d: %w: it has no function", i, ErrLayout))
			continue
		}
		if _, counts := c.Function.(Count); c.Slot < Events || c.Slot == Events && !counts {
			faults = append(faults, fmt.Errorf("column %d: %w: slot %d; only count may go without a field", i, ErrLayout, c.Slot))
		}
		at := len(l.words)
		l.words = append(l.words, c.Function.Words()...)
		l.columns = append(l.columns, column{c, at, len(l.words)})
	}
	if len(l.words) > WordsMax {
		faults = append(faults, fmt.Errorf("%w: %d words per window, the limit is %d; use fewer columns", ErrLayout, len(l.words), WordsMax))
	}
	return l, errors.Join(faults...)
}

// Columns returns the number of columns.
func (l *Layout) Columns() int { return len(l.columns) }

// Words returns how many words the state of one window has.
func (l *Layout) Words() int { return len(l.words) }

// Init makes state that of a window without events.
func (l *Layout) Init(state []uint64) {
	for i := range l.columns {
		c := &l.columns[i]
		c.Function.Init(state[c.at:c.end])
	}
}

// Add folds the values of one event into state. A slot beyond the values reads
// as null.
func (l *Layout) Add(state []uint64, values []edged.Value, t edged.Timestamp) {
	for i := range l.columns {
		c := &l.columns[i]
		var v edged.Value
		switch {
		case uint(c.Slot) < uint(len(values)):
			v = values[c.Slot]
		case c.Slot == Events:
			v = edged.BoolValue(true)
		}
		c.Function.Add(state[c.at:c.end], v, t)
	}
}

// Merge folds the state src, whose events arrived after those of dst, into dst.
func (l *Layout) Merge(dst, src []uint64) {
	for i := range l.columns {
		c := &l.columns[i]
		c.Function.Merge(dst[c.at:c.end], src[c.at:c.end])
	}
}

// Results writes one value per column to dst, which must have that length.
func (l *Layout) Results(dst []edged.Value, state []uint64) {
	for i := range l.columns {
		c := &l.columns[i]
		dst[i] = c.Function.Result(state[c.at:c.end])
	}
}

// AppendBinary appends state to dst. Times are stored as the distance from
// origin, which should be near them; Restore needs the same one.
func (l *Layout) AppendBinary(dst []byte, state []uint64, origin edged.Timestamp) []byte {
	for i, word := range l.words {
		switch word {
		case Counter:
			dst = binary.AppendUvarint(dst, state[i])
		case Time:
			dst = binary.AppendVarint(dst, int64(state[i])-int64(origin))
		default:
			dst = binary.LittleEndian.AppendUint64(dst, state[i])
		}
	}
	return dst
}

// Restore reads a state that AppendBinary wrote and returns the bytes behind it.
func (l *Layout) Restore(state []uint64, data []byte, origin edged.Timestamp) ([]byte, error) {
	for i, word := range l.words {
		n := 8
		switch {
		case word == Counter:
			state[i], n = binary.Uvarint(data)
		case word == Time:
			var d int64
			d, n = binary.Varint(data)
			state[i] = uint64(d + int64(origin)) // both wrap alike
		case len(data) < 8:
			n = 0
		default:
			state[i] = binary.LittleEndian.Uint64(data)
		}
		if n <= 0 {
			return nil, fmt.Errorf("restore word %d of %d: %w", i, len(l.words), ErrState)
		}
		data = data[n:]
	}
	return data, nil
}
