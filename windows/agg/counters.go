package agg

import (
	"bytes"
	"cmp"
	"math"
	"slices"
	"sort"

	"edged"
)

// Bounds of the counters that mode and top_k keep.
const (
	countersDefault = 64
	countersMost    = 120
)

// counters counts how often each value occurs, by Space-Saving (Metwally, Agrawal
// and El Abbadi, ICDT 2005): while there are at most max different values it is
// exact. A further value takes over the counter of the rarest one, of several the
// first in the order of the cell, and counts on from there; so a count is never too
// low, and too high by at most n/max after n values. Merged after Agarwal and
// others (PODS 2012), which keeps that bound.
//
// The cell, integers being little-endian:
//
//	0   uint32  number of counters
//	4   counters of 24 bytes: uint64 key, uint32 count, uint32 how much of it may be
//	    too much, uint32 place of the text, uint32 its length
//	    texts, one after the other
//
// in the order of keys, then of texts. The key of a number is its bits, that of a
// truth value 0 or 1, that of a text its hash. Counts that are full stay full.
type counters struct {
	kind edged.Kind
	max  int
}

const (
	countersHead = 4
	counterBytes = 24
)

// The places in a counter.
const (
	counterCount = 8
	counterOver  = 12
	counterText  = 16
	counterLen   = 20
)

// tally is one counter with its value.
type tally struct {
	key   uint64
	count uint32
	over  uint32
	text  []byte // of the cell
}

func countersIn(cell []byte) int {
	if len(cell) == 0 {
		return 0
	}
	return int(le.Uint32(cell))
}

func tallyAt(cell []byte, i int) tally {
	c := cell[countersHead+counterBytes*i:]
	at, n := le.Uint32(c[counterText:]), le.Uint32(c[counterLen:])
	texts := cell[countersHead+counterBytes*countersIn(cell):]
	return tally{key: le.Uint64(c), count: le.Uint32(c[counterCount:]), over: le.Uint32(c[counterOver:]), text: texts[at : at+n]}
}

// key returns what a value is found by, and false if it is not of our kind.
func (f counters) key(v edged.Value) (uint64, bool) {
	switch v.Kind {
	case edged.Number:
		return math.Float64bits(v.Float() + 0), v.Kind == f.kind // -0 becomes 0
	case edged.Bool:
		return uint64(truth(v.Bool())), v.Kind == f.kind
	case edged.Text:
		return hash(v), v.Kind == f.kind
	}
	return 0, false
}

// Add implements [Growing].
func (f counters) Add(cell []byte, v edged.Value, _ edged.Timestamp) []byte {
	if v.Kind == edged.Text {
		v = edged.TextValue(clip(v.Text(), TextMax))
	}
	key, ok := f.key(v)
	if !ok {
		return cell
	}
	text := v.Text()
	at, found := find(cell, key, text)
	if found {
		count := cell[countersHead+counterBytes*at+counterCount:]
		le.PutUint32(count, addSaturating(le.Uint32(count), 1))
		return cell
	}
	over := uint32(0)
	if n := countersIn(cell); n >= f.max {
		rarest := rarest(cell)
		over = tallyAt(cell, rarest).count
		cell = removeCounter(cell, rarest)
		if rarest < at {
			at--
		}
	}
	return insertCounter(cell, at, key, addSaturating(over, 1), over, text)
}

// find returns the place of a value's counter and whether it is there.
func find(cell []byte, key uint64, text string) (int, bool) {
	n := countersIn(cell)
	at := sort.Search(n, func(i int) bool { return le.Uint64(cell[countersHead+counterBytes*i:]) >= key })
	for ; at < n; at++ { // more than one round only for texts whose hashes are the same
		t := tallyAt(cell, at)
		switch {
		case t.key != key:
			return at, false
		case string(t.text) == text:
			return at, true
		case string(t.text) > text:
			return at, false
		}
	}
	return at, false
}

// rarest returns the place of the first counter with the smallest count.
func rarest(cell []byte) int {
	best, least := 0, uint32(math.MaxUint32)
	for i := range countersIn(cell) {
		if n := le.Uint32(cell[countersHead+counterBytes*i+counterCount:]); n < least {
			best, least = i, n
		}
	}
	return best
}

func insertCounter(cell []byte, at int, key uint64, count, over uint32, text string) []byte {
	if len(cell) == 0 {
		cell = gap(cell, 0, countersHead)
	}
	n := countersIn(cell)
	place := 0
	if at > 0 {
		before := cell[countersHead+counterBytes*(at-1):]
		place = int(le.Uint32(before[counterText:]) + le.Uint32(before[counterLen:]))
	}
	if len(text) > 0 {
		texts := countersHead + counterBytes*n
		cell = gap(cell, texts+place, len(text))
		copy(cell[texts+place:], text)
	}
	cell = gap(cell, countersHead+counterBytes*at, counterBytes)
	le.PutUint32(cell, uint32(n+1))
	c := cell[countersHead+counterBytes*at:]
	le.PutUint64(c, key)
	le.PutUint32(c[counterCount:], count)
	le.PutUint32(c[counterOver:], over)
	le.PutUint32(c[counterText:], uint32(place))
	le.PutUint32(c[counterLen:], uint32(len(text)))
	moveTexts(cell, at+1, uint32(len(text)))
	return cell
}

func removeCounter(cell []byte, at int) []byte {
	n := countersIn(cell)
	c := cell[countersHead+counterBytes*at:]
	place, size := int(le.Uint32(c[counterText:])), int(le.Uint32(c[counterLen:]))
	moveTexts(cell, at+1, -uint32(size))
	cell = cut(cell, countersHead+counterBytes*n+place, size)
	cell = cut(cell, countersHead+counterBytes*at, counterBytes)
	le.PutUint32(cell, uint32(n-1))
	return cell
}

// moveTexts changes the places of the texts from a counter on.
func moveTexts(cell []byte, from int, by uint32) {
	for i := from; by != 0 && i < countersIn(cell); i++ {
		place := cell[countersHead+counterBytes*i+counterText:]
		le.PutUint32(place, le.Uint32(place)+by)
	}
}

// Merge implements [Growing]. A value that one side has no counter for may have
// occurred there as often as the rarest counted, if that side is full.
func (f counters) Merge(dst, src []byte) []byte {
	if len(src) == 0 {
		return dst
	}
	mine, theirs := f.unseen(dst), f.unseen(src)
	var all []tally
	i, j := 0, 0
	for i < countersIn(dst) || j < countersIn(src) {
		order := 0
		switch {
		case i == countersIn(dst):
			order = 1
		case j == countersIn(src):
			order = -1
		default:
			a, b := tallyAt(dst, i), tallyAt(src, j)
			order = cmp.Or(cmp.Compare(a.key, b.key), bytes.Compare(a.text, b.text))
		}
		var t tally
		if order <= 0 {
			t = tallyAt(dst, i)
			i++
		} else {
			t.count, t.over = mine, mine
		}
		other := tally{count: theirs, over: theirs}
		if order >= 0 {
			other = tallyAt(src, j)
			t.key, t.text = other.key, other.text
			j++
		}
		t.count, t.over = addSaturating(t.count, other.count), addSaturating(t.over, other.over)
		all = append(all, t)
	}
	return rebuild(f.frequent(all))
}

// unseen returns how often a value without a counter may have occurred.
func (f counters) unseen(cell []byte) uint32 {
	if countersIn(cell) < f.max {
		return 0
	}
	return tallyAt(cell, rarest(cell)).count
}

// frequent returns the max most frequent of all, which are in the order of the
// cell, in that order.
func (f counters) frequent(all []tally) []tally {
	for len(all) > f.max {
		least := 0
		for i := range all {
			if all[i].count < all[least].count {
				least = i
			}
		}
		all = slices.Delete(all, least, least+1)
	}
	return all
}

// rebuild makes a cell of counters.
func rebuild(all []tally) []byte {
	var cell []byte
	for i, t := range all {
		cell = insertCounter(cell, i, t.key, t.count, t.over, string(t.text))
	}
	return cell
}

// ranking returns the counters, the most frequent first, and of equally frequent
// ones that with the smaller value.
func (f counters) ranking(cell []byte) []tally {
	all := make([]tally, countersIn(cell))
	for i := range all {
		all[i] = tallyAt(cell, i)
	}
	slices.SortFunc(all, func(a, b tally) int {
		return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(f.value(a).Float(), f.value(b).Float()),
			bytes.Compare(a.text, b.text), cmp.Compare(a.key, b.key))
	})
	return all
}

func (f counters) value(t tally) edged.Value {
	switch f.kind {
	case edged.Text:
		return edged.TextValue(string(t.text))
	case edged.Bool:
		return edged.BoolValue(t.key != 0)
	}
	return edged.NumberValue(math.Float64frombits(t.key))
}

// Check implements [Growing].
func (f counters) Check(cell []byte) bool {
	if len(cell) == 0 {
		return true
	}
	if len(cell) < countersHead || le.Uint32(cell) == 0 || le.Uint32(cell) > uint32(f.max) {
		return false
	}
	n := countersIn(cell)
	texts := len(cell) - countersHead - counterBytes*n
	if texts < 0 {
		return false
	}
	place := uint32(0)
	for i := range n {
		c := cell[countersHead+counterBytes*i:]
		size := le.Uint32(c[counterLen:])
		if le.Uint32(c[counterText:]) != place || size > TextMax || place+size > uint32(texts) {
			return false
		}
		place += size
		if t := tallyAt(cell, i); !f.sound(t) || i > 0 && !before(tallyAt(cell, i-1), t) {
			return false
		}
	}
	return place == uint32(texts)
}

// sound reports whether a counter can have come from values.
func (f counters) sound(t tally) bool {
	key, ok := f.key(f.value(t))
	return ok && key == t.key && t.count > 0 && t.count >= t.over && (f.kind == edged.Text || len(t.text) == 0)
}

func before(a, b tally) bool {
	return a.key < b.key || a.key == b.key && bytes.Compare(a.text, b.text) < 0
}
