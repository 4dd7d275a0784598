package windows

import (
	"edged"
	"edged/windows/agg"
)

// grid numbers the windows and the slices of [Hopping] windows that overlap. The
// edges of the slices are the starts and the ends of the windows, so that a period
// has one slice, or two if the size is no multiple of it:
//
//	period     0         1         2         3
//	slice      0    1    2    3    4    5    6    7
//	           ├────┼────┼────┼────┼────┼────┼────┼──
//	window 0   └─────────────────────────┘
//	window 1             └─────────────────────────┘
//
// Numbers are exact, also of windows that reach beyond the ends of time.
type grid struct {
	size, period, offset int64 // the offset is 0 to period-1
	rest                 int64 // of the size, beyond whole periods
	perPeriod            int64 // slices
	perWindow            int64 // slices
	perBlock             int64 // windows, see merger
}

func newGrid(a Hopping) grid {
	g := grid{size: a.Size, period: a.Period, offset: floorMod(a.Offset, a.Period), rest: a.Size % a.Period}
	whole := a.Size / a.Period
	g.perPeriod, g.perWindow, g.perBlock = 1, whole, whole
	if g.rest > 0 {
		g.perPeriod, g.perWindow, g.perBlock = 2, 2*whole+1, whole
	}
	return g
}

// slice returns the number of the slice of t.
func (g *grid) slice(t edged.Timestamp) int64 {
	q := floorDiv(int64(t), g.period)
	in := int64(t) - q*g.period - g.offset
	if in < 0 {
		q, in = q-1, in+g.period
	}
	if g.rest == 0 {
		return q
	}
	return 2*q + int64(b2i(in >= g.rest))
}

// windowsOf returns the first and the last window with the slice.
func (g *grid) windowsOf(n int64) (first, last int64) {
	if g.perPeriod == 1 {
		return n - g.perWindow + 1, n
	}
	return -((g.perWindow - 1 - n) >> 1), n >> 1
}

// first returns the first slice of the k-th window.
func (g *grid) first(k int64) int64 { return k * g.perPeriod }

// window returns the bounds of the k-th window, saturating.
func (g *grid) window(k int64) Window {
	return Window{Start: g.at(k, g.offset), End: g.at(k, g.offset+g.size)}
}

// start returns where the slice begins, saturating.
func (g *grid) start(n int64) edged.Timestamp {
	if g.perPeriod == 1 {
		return g.at(n, g.offset)
	}
	return g.at(n>>1, g.offset+n&1*g.rest)
}

// at returns k periods and an offset that is not negative, saturating. The product
// alone may be out of range by as much as the size, but never twice as large as time.
func (g *grid) at(k, offset int64) edged.Timestamp {
	half := k / 2 * g.period
	return edged.Timestamp(offset).Add(half).Add(half).Add(k % 2 * g.period)
}

// ended returns the last window that has ended at the watermark.
func (g *grid) ended(w edged.Timestamp) int64 {
	switch start := w.Sub(edged.Timestamp(g.size)); {
	case w == edged.MaxTimestamp: // all end with time
		_, last := g.windowsOf(g.slice(w))
		return last
	case start == int64(edged.MinTimestamp):
		first, _ := g.windowsOf(g.slice(edged.MinTimestamp))
		for g.window(first).End <= w {
			first++
		}
		return first - 1
	default:
		_, last := g.windowsOf(g.slice(edged.Timestamp(start)))
		return last
	}
}

// merger computes the states of windows from slices, in about three merges per
// slice for a whole sequence of windows: it divides time into blocks of as many
// whole periods as a window has, so that a window is the end of one block and what
// follows, and keeps the merged ends of the one and the merged beginning of the
// other (van Herk, 1992; Gil and Werman, 1993).
//
// What is merged with what depends only on where slices lie. So a result has the
// same bits whether the merger was used before or not, and none of it is part of
// the state of a key.
type merger struct {
	grid  grid
	ends  shelf // of the block: the last slices merged, fewer and fewer of them, first number first
	block int64 // that ends are of
	from  int64 // the slice that ends reach back to
	head  shelf // one item: the merged beginning of a block
	begun int64 // that block
	until int64 // the slice that head reaches to, exclusively
	ready bool  // ends are
	start bool  // head is
	whole shelf // one item: where both are merged
}

func newMerger(layout *agg.Layout, g grid) merger {
	return merger{grid: g, ends: newShelf(layout, 1), head: newShelf(layout, 1), whole: newShelf(layout, 1)}
}

// forget makes the merger look at all slices again.
func (m *merger) forget() { m.ready, m.start = false, false }

// window returns the state of the k-th window, which has events. It is valid until
// the next call.
func (m *merger) window(slices *shelf, k int64) item {
	block := floorDiv(k, m.grid.perBlock)
	first := m.grid.first(k)
	end := first + m.grid.perWindow
	if k == block*m.grid.perBlock {
		m.beginning(slices, block, end)
		return m.head.at(0)
	}
	m.endings(slices, block, first)
	m.beginning(slices, block+1, end)
	last := m.ends.len() - 1
	switch {
	case last < 0:
		return m.head.at(0)
	case m.head.len() == 0:
		return m.ends.at(last)
	}
	if m.whole.len() == 0 {
		m.whole.insert(0)
	}
	it, tail, head := m.whole.at(0), m.ends.at(last), m.head.at(0)
	m.whole.layout.Copy(it.state, it.cells, tail.state, tail.cells)
	m.whole.layout.Merge(it.state, it.cells, head.state, head.cells)
	return it
}

// endings makes the last of ends the merged slices of the block from the slice
// first on, and leaves none if there are none.
func (m *merger) endings(slices *shelf, block, first int64) {
	if !m.ready || m.block != block || first < m.from {
		m.ends.drop(0, m.ends.len())
		m.ready, m.block, m.from = true, block, first
		for i := slices.search(m.grid.first((block+1)*m.grid.perBlock)) - 1; i >= 0 && slices.number(i) >= first; i-- {
			n := m.ends.len()
			m.ends.copy(n, slices.at(i))
			if n > 0 {
				it, after := m.ends.at(n), m.ends.at(n-1)
				m.ends.layout.Merge(it.state, it.cells, after.state, after.cells)
			}
		}
	}
	n := m.ends.len()
	for n > 0 && m.ends.number(n-1) < first {
		n--
	}
	m.ends.drop(n, m.ends.len())
	m.from = first
}

// beginning makes head the merged slices of the block up to the slice end, and
// leaves it without an item if there are none.
func (m *merger) beginning(slices *shelf, block, end int64) {
	if !m.start || m.begun != block || end < m.until {
		m.head.drop(0, m.head.len())
		m.start, m.begun, m.until = true, block, m.grid.first(block*m.grid.perBlock)
	}
	for i := slices.search(m.until); i < slices.len() && slices.number(i) < end; i++ {
		it := slices.at(i)
		if m.head.len() == 0 {
			m.head.copy(0, it)
			continue
		}
		to := m.head.at(0)
		m.head.layout.Merge(to.state, to.cells, it.state, it.cells)
	}
	m.until = end
}

// search returns the place of the first item whose number is n or more.
func (s *shelf) search(n int64) int {
	i, j := 0, s.len()
	for i < j {
		if mid := int(uint(i+j) >> 1); s.number(mid) < n {
			i = mid + 1
		} else {
			j = mid
		}
	}
	return i
}

// copy inserts a copy of an item of another shelf, with as much of its head as
// there is room for.
func (s *shelf) copy(i int, from item) {
	it := s.insert(i)
	copy(it.head, from.head)
	s.layout.Copy(it.state, it.cells, from.state, from.cells)
}
