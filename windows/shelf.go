package windows

import (
	"edged"
	"edged/windows/agg"
)

// shelf is a row of aggregate states, each with a few words of its owner's before
// it. All words lie in one piece of memory without pointers, because there are very
// many keys. The zero value is not usable; see newShelf.
type shelf struct {
	layout *agg.Layout
	head   int // words of the owner
	words  []uint64
	cells  [][]byte
}

// item is one place of a shelf. It is valid until something is put in or taken out.
type item struct {
	head  []uint64
	state []uint64
	cells [][]byte
}

func newShelf(layout *agg.Layout, head int) shelf { return shelf{layout: layout, head: head} }

// stride is the number of words of an item.
func (s *shelf) stride() int { return s.head + s.layout.Words() }

func (s *shelf) len() int {
	if len(s.words) == 0 {
		return 0
	}
	return len(s.words) / s.stride()
}

func (s *shelf) at(i int) item {
	n, c := s.stride(), s.layout.Cells()
	words := s.words[i*n : (i+1)*n : (i+1)*n]
	it := item{head: words[:s.head:s.head], state: words[s.head:]}
	if c > 0 {
		it.cells = s.cells[i*c : (i+1)*c : (i+1)*c]
	}
	return it
}

// number is the first word of an item, which mostly says which one it is.
func (s *shelf) number(i int) int64 { return int64(s.words[i*s.stride()]) }

// insert makes place i an item without events, whose head is the owner's to fill.
// Room is made for a quarter more at a time.
func (s *shelf) insert(i int) item {
	n, stride, c := s.len(), s.stride(), s.layout.Cells()
	room := n + 1 + n/4
	if len(s.words) == cap(s.words) {
		s.words = append(make([]uint64, 0, room*stride), s.words...)
	}
	s.words = s.words[:(n+1)*stride]
	copy(s.words[(i+1)*stride:], s.words[i*stride:n*stride])
	if c > 0 {
		if len(s.cells) == cap(s.cells) {
			s.cells = append(make([][]byte, 0, room*c), s.cells...)
		}
		s.cells = s.cells[:(n+1)*c]
		copy(s.cells[(i+1)*c:], s.cells[i*c:n*c])
	}
	it := s.at(i)
	s.layout.Init(it.state, it.cells)
	return it
}

// drop takes the items from place i up to place j out.
func (s *shelf) drop(i, j int) {
	stride, c := s.stride(), s.layout.Cells()
	s.words = append(s.words[:i*stride], s.words[j*stride:]...)
	if c > 0 {
		kept := append(s.cells[:i*c], s.cells[j*c:]...)
		clear(s.cells[len(kept):]) // their memory belongs to the items that moved, or to nobody
		s.cells = kept
	}
}

// bytes returns about how much memory the items take, without the room for more.
func (s *shelf) bytes() int { return 8*len(s.words) + s.layout.Bytes(s.cells) }

// appendItem appends the state of an item, without its head.
func (s *shelf) appendItem(dst []byte, i int, origin edged.Timestamp) []byte {
	it := s.at(i)
	return s.layout.AppendBinary(dst, it.state, it.cells, origin)
}

// restoreItem reads the state of an item that is there, without its head. d is bad
// afterwards unless it is one.
func (s *shelf) restoreItem(d *decoder, i int, origin edged.Timestamp) {
	if d.Bad {
		return
	}
	it := s.at(i)
	rest, err := s.layout.Restore(it.state, it.cells, d.Data, origin)
	d.Data, d.Bad = rest, err != nil
}
