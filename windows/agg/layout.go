package agg

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"edged"
)

// Events is the slot of a column without a field: it sees every event and reads
// no value.
const Events = -1

// WordsMax is the largest number of words a layout may have: 64 KiB a window.
const WordsMax = 8192

// CellBytesMax is the size that no cell ever exceeds.
const CellBytesMax = 64 << 10

// Filter says which events a column takes. The zero value takes all.
type Filter struct{ slotPlus1 int }

// If returns the filter that takes the events whose value at slot is true; null
// is not. If(-1) takes all events.
func If(slot int) Filter { return Filter{slot + 1} }

// Column is one column of a result: a function over one slot of the events.
type Column struct {
	Function Function
	Slot     int // index into edged.Event.Values, or [Events]
	Where    Filter
}

// Layout is the states of several columns side by side. It is immutable once
// built and shared by all windows of a pipeline. The state of a window is a
// []uint64 of length Words and a [][]byte of length Cells, nil when that is 0.
type Layout struct {
	columns []column
	words   []Word
	cells   int

	// The columns again by the work they make, for Add, which must not waste any.
	plain []plainColumn
	other []column
}

// column is a Column with its place among the words or the cells. One of fixed
// and growing is set.
type column struct {
	slot    int
	where   int // slot of the filter, plus 1; 0: none
	fixed   Fixed
	at, end int
	growing Growing
	cell    int
}

// plainColumn is a column of a fixed function without a filter.
type plainColumn struct {
	function Fixed
	slot     int
	at, end  int
}

func (c *column) function() Function {
	if c.growing != nil {
		return c.growing
	}
	return c.fixed
}

// NewLayout computes the layout of the columns. The error joins all faults.
func NewLayout(columns []Column) (*Layout, error) {
	l := &Layout{columns: make([]column, 0, len(columns))}
	var faults []error
	fault := func(i int, format string, args ...any) {
		faults = append(faults, fmt.Errorf("column %d: %w: "+format, append([]any{i, ErrLayout}, args...)...))
	}
	for i, from := range columns {
		c := column{slot: from.Slot, where: from.Where.slotPlus1}
		switch f := from.Function.(type) {
		case Growing:
			c.growing, c.cell = f, l.cells
			l.cells++
		case Fixed:
			words := f.Words()
			c.fixed, c.at, c.end = f, len(l.words), len(l.words)+len(words)
			l.words = append(l.words, words...)
		default:
			fault(i, "it has no function")
			continue
		}
		if c.slot < Events || c.slot == Events && !countsEvents(from.Function) {
			fault(i, "slot %d; %s needs a field", c.slot, from.Function.Name())
		}
		if c.where < 0 {
			fault(i, "the slot of its filter is %d; it must not be negative", c.where-1)
		}
		l.columns = append(l.columns, c)
		if c.fixed != nil && c.where == 0 {
			l.plain = append(l.plain, plainColumn{c.fixed, c.slot, c.at, c.end})
		} else {
			l.other = append(l.other, c)
		}
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

// Cells returns how many cells the state of one window has.
func (l *Layout) Cells() int { return l.cells }

// Init makes state that of a window without events. It gives up the memory of the
// cells, which may belong to another window by now.
func (l *Layout) Init(state []uint64, cells [][]byte) {
	clear(cells)
	l.initWords(state)
}

// Reset is Init for a state that is in use and owns its cells: it keeps their memory.
func (l *Layout) Reset(state []uint64, cells [][]byte) {
	for i := range cells {
		cells[i] = cells[i][:0]
	}
	l.initWords(state)
}

func (l *Layout) initWords(state []uint64) {
	for i := range l.columns {
		if c := &l.columns[i]; c.fixed != nil {
			c.fixed.Init(state[c.at:c.end])
		}
	}
}

// Copy makes dst an independent copy of src. It reuses the memory of dstCells,
// which dst must own.
func (l *Layout) Copy(dst []uint64, dstCells [][]byte, src []uint64, srcCells [][]byte) {
	copy(dst, src)
	for i := range srcCells {
		dstCells[i] = append(dstCells[i][:0], srcCells[i]...)
	}
}

// Add folds the values of one event into state. A slot beyond the values reads
// as null.
func (l *Layout) Add(state []uint64, cells [][]byte, values []edged.Value, t edged.Timestamp) {
	for i := range l.plain {
		c := &l.plain[i]
		var v edged.Value
		switch {
		case uint(c.slot) < uint(len(values)):
			v = values[c.slot]
		case c.slot == Events:
			v = edged.BoolValue(true)
		}
		c.function.Add(state[c.at:c.end], v, t)
	}
	if len(l.other) > 0 {
		l.addOther(state, cells, values, t)
	}
}

// addOther is Add for the columns that are not plain.
func (l *Layout) addOther(state []uint64, cells [][]byte, values []edged.Value, t edged.Timestamp) {
	for i := range l.other {
		c := &l.other[i]
		if c.where != 0 && (c.where > len(values) || !values[c.where-1].Bool()) {
			continue
		}
		var v edged.Value
		switch {
		case uint(c.slot) < uint(len(values)):
			v = values[c.slot]
		case c.slot == Events:
			v = edged.BoolValue(true)
		}
		if c.fixed != nil {
			c.fixed.Add(state[c.at:c.end], v, t)
		} else {
			cells[c.cell] = c.growing.Add(cells[c.cell], v, t)
		}
	}
}

// Merge folds the state src, whose events arrived after those of dst, into dst.
func (l *Layout) Merge(dst []uint64, dstCells [][]byte, src []uint64, srcCells [][]byte) {
	for i := range l.columns {
		l.columns[i].merge(dst, dstCells, &l.columns[i], src, srcCells)
	}
}

func (c *column) merge(dst []uint64, dstCells [][]byte, from *column, src []uint64, srcCells [][]byte) {
	if c.fixed != nil {
		c.fixed.Merge(dst[c.at:c.end], src[from.at:from.end])
	} else {
		dstCells[c.cell] = c.growing.Merge(dstCells[c.cell], srcCells[from.cell])
	}
}

// Mergeable says why column fromColumn of the layout from cannot be merged into
// the column of l: they must be the same function with the same parameters.
func (l *Layout) Mergeable(column int, from *Layout, fromColumn int) error {
	if uint(column) >= uint(len(l.columns)) || uint(fromColumn) >= uint(len(from.columns)) {
		return fmt.Errorf("merge column %d of %d into %d of %d: %w: no such column",
			fromColumn, len(from.columns), column, len(l.columns), ErrLayout)
	}
	if f, g := l.columns[column].function(), from.columns[fromColumn].function(); f != g {
		return fmt.Errorf("merge column %d (%s) into %d (%s): %w: use the same function with the same parameters",
			fromColumn, g.Name(), column, f.Name(), ErrLayout)
	}
	return nil
}

// MergeColumn folds one column of src, a state of the layout from, into one column
// of dst. It has no effect unless the columns are Mergeable.
func (l *Layout) MergeColumn(dst []uint64, dstCells [][]byte, column int, from *Layout, src []uint64, srcCells [][]byte, fromColumn int) {
	if uint(column) >= uint(len(l.columns)) || uint(fromColumn) >= uint(len(from.columns)) {
		return
	}
	c, o := &l.columns[column], &from.columns[fromColumn]
	if c.function() == o.function() {
		c.merge(dst, dstCells, o, src, srcCells)
	}
}

// Results writes one value per column to dst, which must have that length.
func (l *Layout) Results(dst []edged.Value, state []uint64, cells [][]byte, span Span) {
	for i := range l.columns {
		c := &l.columns[i]
		if c.fixed != nil {
			dst[i] = c.fixed.Result(state[c.at:c.end])
		} else {
			dst[i] = c.growing.Result(cells[c.cell], span)
		}
	}
}

// Bytes returns about how much memory the cells take. It depends on the state
// only, not on how that came to be.
func (l *Layout) Bytes(cells [][]byte) int {
	const header = 24
	n := header * len(cells)
	for _, cell := range cells {
		n += len(cell)
	}
	return n
}

// Refused returns how many samples came after their place was folded away, over all
// columns that depend on the order of samples.
func (l *Layout) Refused(cells [][]byte) int {
	n := 0
	for i := range l.columns {
		if s, ok := l.columns[i].growing.(interface{ refused([]byte) uint32 }); ok {
			n += int(s.refused(cells[l.columns[i].cell]))
		}
	}
	return n
}

// AppendBinary appends a state to dst: the words, then the cells. Times in words
// are stored as the distance from origin, which should be near them; Restore needs
// the same one. Equal states give equal bytes.
func (l *Layout) AppendBinary(dst []byte, state []uint64, cells [][]byte, origin edged.Timestamp) []byte {
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
	for _, cell := range cells {
		dst = binary.AppendUvarint(dst, uint64(len(cell)))
		dst = append(dst, cell...)
	}
	return dst
}

// Restore reads a state that AppendBinary wrote into state and cells, and returns
// the bytes behind it. data is copied. After an error, which wraps [ErrState], the
// state must be given up or initialised.
func (l *Layout) Restore(state []uint64, cells [][]byte, data []byte, origin edged.Timestamp) ([]byte, error) {
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
			if _, ok := load(state[i]); !ok && state[i] != none {
				n = 0 // we write one NaN only
			}
		}
		if n <= 0 {
			return nil, fmt.Errorf("restore word %d of %d: %w", i, len(l.words), ErrState)
		}
		data = data[n:]
	}
	for i := range l.columns {
		c := &l.columns[i]
		if c.growing == nil {
			continue
		}
		size, n := binary.Uvarint(data)
		if n <= 0 || size > CellBytesMax || size > uint64(len(data)-n) || !c.growing.Check(data[n:n+int(size)]) {
			return nil, fmt.Errorf("restore cell %d of %d (%s): %w", c.cell, l.cells, c.growing.Name(), ErrState)
		}
		cells[c.cell] = slices.Clone(data[n : n+int(size)])
		data = data[n+int(size):]
	}
	return data, nil
}
