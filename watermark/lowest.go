package watermark

import "edged"

// lowest finds the smallest of many times that change one at a time. It is a
// tree whose leaves are the times, from the middle of the slice on, and whose inner
// nodes i are the smaller of 2i and 2i+1. A change climbs only as far as it is
// felt: hardly at all when a smaller time is near, and the height of the tree when
// it was the smallest of all.
type lowest []edged.Timestamp

// leaves makes the tree one of n leaves that are set to [edged.MaxTimestamp].
func (l *lowest) leaves(n int) {
	if cap(*l) < 2*n {
		// A quarter more, since sources make themselves known one by one.
		*l = make(lowest, 2*n, 2*(n+n/4))
	}
	*l = (*l)[:2*n]
	for i := range *l {
		(*l)[i] = edged.MaxTimestamp
	}
}

// put sets a leaf without telling the nodes above; build tells all of them.
func (l lowest) put(i int, t edged.Timestamp) { l[len(l)/2+i] = t }

// build computes all inner nodes.
func (l lowest) build() {
	for i := len(l)/2 - 1; i > 0; i-- {
		l[i] = min(l[2*i], l[2*i+1])
	}
}

// set changes a leaf.
func (l lowest) set(i int, t edged.Timestamp) {
	i += len(l) / 2
	l[i] = t
	for i > 1 {
		t = min(l[i], l[i^1])
		i /= 2
		if l[i] == t {
			return
		}
		l[i] = t
	}
}

// least returns the smallest leaf, and [edged.MaxTimestamp] if there is none.
func (l lowest) least() edged.Timestamp {
	if len(l) < 2 {
		return edged.MaxTimestamp
	}
	return l[1]
}

// at returns the place of a leaf with the value least. There must be a leaf.
func (l lowest) at() int {
	i := 1
	for i < len(l)/2 {
		i *= 2
		if l[i] != l[i/2] {
			i++
		}
	}
	return i - len(l)/2
}
