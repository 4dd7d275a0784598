package windows

import (
	"slices"
	"sort"
)

// pane returns the i-th open pane.
func (o *Operator) pane(i int) pane {
	f := o.shape
	p := pane{words: o.open[i*f.words : (i+1)*f.words]}
	if f.cells > 0 {
		p.cells = o.annex.cells[i*f.cells : (i+1)*f.cells]
	}
	return p
}

// latest returns the last pane if it is that of w: events are mostly of the latest
// window. It neither searches nor divides.
func (o *Operator) latest(w Window) (pane, bool) {
	at := len(o.open) - o.shape.words
	if at < 0 || o.open[at+paneStart] != uint64(w.Start) || o.open[at+paneEnd] != uint64(w.End) {
		return pane{}, false
	}
	p := pane{words: o.open[at:]}
	if n := o.shape.cells; n > 0 {
		cells := o.annex.cells
		p.cells = cells[len(cells)-n:]
	}
	return p, true
}

// obtain returns the pane of w, which it opens unless there are too many.
func (o *Operator) obtain(w Window) (pane, bool) {
	at, ok := o.find(w)
	switch {
	case ok:
		return o.pane(at), true
	case o.Open() >= o.shape.spec.openMax():
		return pane{}, false
	}
	return o.insert(at, w), true
}

// find returns the place of w in open and whether it is there.
func (o *Operator) find(w Window) (int, bool) {
	n := o.Open()
	if n == 0 || o.pane(n-1).window().compare(w) < 0 {
		return n, false
	}
	return sort.Find(n, func(i int) int { return w.compare(o.pane(i).window()) })
}

// openHint is the number of windows for which a key has room from its first one
// on: while stragglers of one window are waited for, the next one is open.
const openHint = 2

// insert opens the window w at the place i. Beyond the hint, room is made for a
// quarter more at a time: a key has few windows, and there are very many keys.
func (o *Operator) insert(i int, w Window) pane {
	n, f := o.Open(), o.shape
	if len(o.open) == cap(o.open) {
		o.open = append(make([]uint64, 0, max(openHint, n+1+n/4)*f.words), o.open...)
	}
	o.open = o.open[:(n+1)*f.words]
	copy(o.open[(i+1)*f.words:], o.open[i*f.words:n*f.words])
	if f.cells > 0 {
		a := o.annex
		a.cells = append(a.cells, make([][]byte, f.cells)...)
		copy(a.cells[(i+1)*f.cells:], a.cells[i*f.cells:n*f.cells])
	}
	p := o.pane(i)
	f.init(p, w)
	o.due = min(o.due, o.next(w))
	return p
}

// remove forgets the panes from the place i up to j.
func (o *Operator) remove(i, j int) {
	f := o.shape
	o.open = slices.Delete(o.open, i*f.words, j*f.words)
	if f.cells > 0 {
		o.annex.cells = slices.Delete(o.annex.cells, i*f.cells, j*f.cells)
	}
}
