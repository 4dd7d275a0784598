package elements

import (
	"sort"

	"edged"
)

// Element is one event as it is remembered.
type Element struct {
	Seq    edged.Seq
	Time   edged.Timestamp
	Values []edged.Value // owned by the buffer; do not change their number
	Mark   uint32        // for the owner of the buffer, who may change it
	Stream uint8
}

// Buffer is a queue of elements in order of (event time, arrival). The zero value
// is empty. It is not safe for concurrent use and must not be copied once used.
//
// Invariant: all[head:] are the elements in ascending order of time. The elements
// before head and behind the end of all are unused: they own room for values that
// the next ones take over, but no values.
type Buffer struct {
	all   []Element
	head  int
	room  int // values that the elements have room for, the unused ones' included
	texts int // bytes of all texts
}

// The room of a buffer. There are very many keys, so the first elements get
// little and every growth adds a quarter; a buffer that was much larger than it is
// gives its memory back.
const (
	roomFirst = 2
	roomKept  = 16
)

// About how much memory an element and a value take without texts.
const (
	elementBytes = 56
	valueBytes   = 32
)

// Len returns the number of elements.
func (b *Buffer) Len() int { return len(b.all) - b.head }

// At returns the i-th element, which is valid until the buffer changes. Only its
// Mark may be changed. It panics unless 0 <= i < Len.
func (b *Buffer) At(i int) *Element { return &b.all[b.head:][i] }

// Search returns the place of the first element whose time is t or later, and Len
// when there is none.
func (b *Buffer) Search(t edged.Timestamp) int {
	live := b.all[b.head:]
	if n := len(live); n == 0 || live[n-1].Time < t {
		return n
	}
	return sort.Search(len(live), func(i int) bool { return live[i].Time >= t })
}

// After returns the place of the first element whose time is later than t, and
// Len when there is none.
func (b *Buffer) After(t edged.Timestamp) int {
	if t == edged.MaxTimestamp {
		return b.Len()
	}
	return b.Search(t + 1)
}

// Add keeps a copy of the event, behind those of the same time, and returns its
// place. Its mark is 0.
func (b *Buffer) Add(ev *edged.Event) (at int) {
	at = b.After(ev.EventTime)
	e := b.insert(at, len(ev.Values))
	e.Seq, e.Time, e.Stream, e.Mark = ev.Seq, ev.EventTime, ev.Stream, 0
	for i, v := range ev.Values {
		e.Values[i] = b.own(v)
	}
	return at
}

// Event puts the i-th element into an event: Seq, EventTime, Stream and Values,
// which are lent until the buffer changes. The other fields stay as they are.
func (b *Buffer) Event(i int, into *edged.Event) {
	e := b.At(i)
	into.Seq, into.EventTime, into.Stream, into.Values = e.Seq, e.Time, e.Stream, e.Values
}

// DropFront forgets the first n elements, or all if there are fewer.
func (b *Buffer) DropFront(n int) {
	n = min(n, b.Len())
	for i := range n {
		b.empty(b.At(i))
	}
	b.head += max(n, 0)
	b.shrink()
}

// Remove forgets the i-th element. It panics unless 0 <= i < Len.
func (b *Buffer) Remove(i int) {
	if i == 0 && b.Len() > 0 {
		b.DropFront(1)
		return
	}
	live := b.all[b.head:]
	gone := live[i]
	b.empty(&gone)
	copy(live[i:], live[i+1:])
	live[len(live)-1] = gone
	b.all = b.all[:len(b.all)-1]
	b.shrink()
}

// Clear forgets all elements.
func (b *Buffer) Clear() { b.DropFront(b.Len()) }

// Bytes returns about how much memory the buffer owns.
func (b *Buffer) Bytes() int {
	return cap(b.all)*elementBytes + b.room*valueBytes + b.texts
}

// own returns v with a text of its own.
func (b *Buffer) own(v edged.Value) edged.Value {
	b.texts += len(v.Text())
	return CopyValue(v)
}

// empty takes an element's values away and leaves it the room for others.
func (b *Buffer) empty(e *Element) {
	for _, v := range e.Values {
		b.texts -= len(v.Text())
	}
	clear(e.Values)
	e.Values = e.Values[:0]
}

// insert makes place i an element with room for that many values. Its fields are
// those of an unused element.
func (b *Buffer) insert(i, values int) *Element {
	b.reserve(values)
	n := len(b.all)
	b.all = b.all[:n+1]
	unused := b.all[n]
	at := b.head + i
	copy(b.all[at+1:], b.all[at:n])
	b.all[at] = unused
	e := &b.all[at]
	if cap(e.Values) < values {
		b.room += values - cap(e.Values)
		e.Values = make([]edged.Value, values)
	}
	e.Values = e.Values[:values:cap(e.Values)]
	return e
}

// reserve makes room for one more element behind the last: by moving the elements
// to the front if an eighth of the memory is unused there, so that a steady flow
// never allocates and moves every element only a few times, and else by growing.
func (b *Buffer) reserve(values int) {
	if len(b.all) < cap(b.all) {
		return
	}
	n := b.Len()
	if b.head > 0 && 8*b.head >= cap(b.all) {
		b.toFront()
		return
	}
	b.resize(max(roomFirst, n+n/4+1), values)
}

// toFront swaps the elements with the unused ones before them, which keep their
// room for values.
func (b *Buffer) toFront() {
	n := b.Len()
	for i := range n {
		b.all[i], b.all[b.head+i] = b.all[b.head+i], b.all[i]
	}
	b.all, b.head = b.all[:n], 0
}

// resize moves the elements to memory for that many. The additional ones get room
// for values in one piece.
func (b *Buffer) resize(size, values int) {
	n := b.Len()
	all := append(make([]Element, 0, size), b.all[b.head:]...)
	b.room = 0
	for i := range all {
		b.room += cap(all[i].Values)
	}
	piece := make([]edged.Value, (size-n)*values)
	b.room += len(piece)
	for i := range size - n {
		all[n:size][i].Values = piece[i*values : i*values : (i+1)*values]
	}
	b.all, b.head = all, 0
}

// shrink gives memory back when the buffer uses less than a quarter of it. The
// values of the elements move, too: they may lie in a piece that many shared.
func (b *Buffer) shrink() {
	n := b.Len()
	if n == 0 {
		b.toFront()
	}
	if cap(b.all) <= roomKept || n >= cap(b.all)/4 {
		return
	}
	all := make([]Element, n, max(roomFirst, n+n/4))
	b.room = 0
	for i := range all {
		all[i] = *b.At(i)
		all[i].Values = append(make([]edged.Value, 0, len(all[i].Values)), all[i].Values...)
		b.room += len(all[i].Values)
	}
	b.all, b.head = all, 0
}
