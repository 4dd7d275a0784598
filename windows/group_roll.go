package windows

import (
	"sort"
	"strings"

	"edged"
)

// contribution is what one member has said last about one of its windows.
type contribution struct {
	member     string
	start, end edged.Timestamp
	body       string // see appendBody
}

// time returns the event time of a contribution: the last millisecond that it
// speaks about.
func (c *contribution) time() edged.Timestamp { return c.end.Add(-1) }

// size returns the length of what varies, and a little for the rest, so that it
// is never 0.
func (c *contribution) size() int { return len(c.member) + len(c.body) + 16 }

// compare orders by member, then by the bounds of the member's window.
func (c *contribution) compare(d *contribution) int {
	if by := strings.Compare(c.member, d.member); by != 0 {
		return by
	}
	return Window{c.start, c.end}.compare(Window{d.start, d.end})
}

// leafMax is the number of contributions in one leaf of a roll.
const leafMax = 128

// roll is the contributions of a window in order, no two by the same member about
// the same window. They lie in leaves, so that a new one moves few of the others
// in memory. The zero value is empty. How they are cut into leaves is history
// and means nothing.
//
// Invariant: no leaf is empty, and n is the sum of their lengths.
type roll struct {
	leaves [][]contribution
	n      int
}

// find returns where c is or belongs, and whether it is there.
func (r *roll) find(c *contribution) (leaf, i int, ok bool) {
	if len(r.leaves) == 0 {
		return 0, 0, false
	}
	// The last leaf that does not start after c.
	leaf = max(0, sort.Search(len(r.leaves), func(i int) bool { return r.leaves[i][0].compare(c) > 0 })-1)
	i, ok = sort.Find(len(r.leaves[leaf]), func(i int) int { return c.compare(&r.leaves[leaf][i]) })
	return leaf, i, ok
}

// size returns the size of the contribution that c would replace, and 0 if there
// is none.
func (r *roll) size(c *contribution) int {
	if leaf, i, ok := r.find(c); ok {
		return r.leaves[leaf][i].size()
	}
	return 0
}

// put inserts c or replaces what is in its place.
func (r *roll) put(c contribution) {
	leaf, i, ok := r.find(&c)
	if ok {
		r.leaves[leaf][i] = c
		return
	}
	r.n++
	if len(r.leaves) == 0 {
		r.leaves = append(r.leaves, []contribution{c})
		return
	}
	if l := r.leaves[leaf]; len(l) == leafMax {
		// Members in order fill leaf after leaf; others find room in halves.
		half := leafMax / 2
		if leaf == len(r.leaves)-1 && i == leafMax {
			half = leafMax
		}
		r.leaves = append(r.leaves, nil)
		copy(r.leaves[leaf+2:], r.leaves[leaf+1:])
		r.leaves[leaf+1] = append(make([]contribution, 0, leafMax), l[half:]...)
		clear(l[half:])
		r.leaves[leaf] = l[:half]
		if i >= half {
			leaf, i = leaf+1, i-half
		}
	}
	l := append(r.leaves[leaf], contribution{})
	copy(l[i+1:], l[i:])
	l[i] = c
	r.leaves[leaf] = l
}

// remove takes out what is in the place of c, which must be there.
func (r *roll) remove(c *contribution) {
	leaf, i, _ := r.find(c)
	l := r.leaves[leaf]
	copy(l[i:], l[i+1:])
	l[len(l)-1] = contribution{} // for its texts
	r.leaves[leaf] = l[:len(l)-1]
	r.n--
	if len(l) == 1 {
		r.leaves = append(r.leaves[:leaf], r.leaves[leaf+1:]...)
	}
}

// each calls f with every contribution, in order.
func (r *roll) each(f func(c *contribution)) {
	for _, l := range r.leaves {
		for i := range l {
			f(&l[i])
		}
	}
}
