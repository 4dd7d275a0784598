package anomaly

import (
	"math"
	"unsafe"

	"edged"
)

// HalfSpaceTrees counts how many points of the last whole window fell into the
// same part of space as this one. A point is Shingle successive values, and its
// space is the range of the first window, stretched at random by each tree, which
// halves it Depth times in dimensions chosen by chance. A tree gives the mass
// r 2^Depth of the leaf; the score is the mean over the trees of
// log2(Window/(mass+1)), at least 0: 0 is usual and log2(Window) is a place where
// nothing was. The source adds the masses up and stops early; logarithms keep one
// tree with a coarse cut from hiding what the others see.
// The cuts follow from Seed and are computed rather than stored. A state takes
// 4 bytes for each of Trees x 2^Depth, and 180. Source: Tan, Ting and Liu 2011.
type HalfSpaceTrees struct {
	Trees     int // 1 to 50
	Depth     int // 1 to 10
	Window    int // points, 16 to 10,000
	Shingle   int // values, 1 to 8
	Threshold float64
	Seed      uint64
}

// Validate returns what is wrong with the configuration.
func (h *HalfSpaceTrees) Validate() error {
	f := faults{name: "half_space_trees"}
	f.within("trees", float64(h.Trees), 1, 50)
	f.within("depth", float64(h.Depth), 1, 10)
	f.within("window", float64(h.Window), 16, 10000)
	f.within("shingle", float64(h.Shingle), 1, shingleMax)
	common(&f, h.Threshold, 0, 2)
	f.that(!(h.Threshold > math.Log2(float64(h.Window))), "threshold is %v; no score exceeds log2(window), %v", h.Threshold, math.Log2(float64(h.Window)))
	return f.err()
}

// New returns the state of a new series.
func (h *HalfSpaceTrees) New() State {
	leaves := h.Trees << h.Depth
	return &halfState{spec: h, now: make([]uint16, leaves), before: make([]uint16, leaves)}
}

type halfState struct {
	spec   *HalfSpaceTrees
	recent [shingleMax]float64 // the newest first
	n      int                 // values so far, stops at Shingle
	points int                 // of the open window
	rounds int                 // 0: finding the range, 1: first masses, 2: judging
	lo, hi float64
	now    []uint16 // masses of the leaves in the open window, tree by tree
	before []uint16 // of the last whole one
}

func (s *halfState) Observe(_ edged.Timestamp, x float64) Verdict {
	warm := s.rounds == 2
	if !finite(x) {
		return refuse(warm)
	}
	s.push(x)
	if s.n < s.spec.Shingle {
		return Verdict{}
	}
	if s.rounds == 0 {
		if s.points == 0 {
			s.lo, s.hi = s.recent[0], s.recent[0]
		}
		for _, y := range s.recent[:s.spec.Shingle] {
			s.lo, s.hi = min(s.lo, y), max(s.hi, y)
		}
	}
	var v Verdict
	if s.rounds > 0 {
		v = s.judge(true)
	}
	s.roll()
	if !warm {
		return Verdict{}
	}
	return v
}

// Judge leaves the state as it is: the place of the point is looked at and gets
// no mass.
func (s *halfState) Judge(_ edged.Timestamp, x float64) Verdict {
	switch {
	case !finite(x):
		return refuse(s.rounds == 2)
	case s.rounds < 2:
		return Verdict{}
	}
	next := *s
	next.push(x)
	return next.judge(false)
}

// push makes x the newest value of the point.
func (s *halfState) push(x float64) {
	copy(s.recent[1:s.spec.Shingle], s.recent[:])
	s.recent[0] = clip(x)
	s.n = min(s.n+1, s.spec.Shingle)
}

// judge judges the point by the last window, and adds it to the open one if that
// is to learn.
func (s *halfState) judge(learn bool) Verdict {
	score := 0.0
	for tree := range s.spec.Trees {
		leaf := s.leaf(tree)
		mass := float64(s.before[leaf]) * float64(int(1)<<s.spec.Depth)
		score += math.Log2(float64(s.spec.Window) / (mass + 1))
		if learn {
			s.now[leaf]++
		}
	}
	v := judge(score/float64(s.spec.Trees), s.spec.Threshold, true)
	v.because(CauseIsolated, v.Score)
	if v.Score > 0 {
		v.Reason.Count = int32(s.spec.Window)
	}
	return v
}

// roll ends a window that is full.
func (s *halfState) roll() {
	if s.points++; s.points < s.spec.Window {
		return
	}
	s.points = 0
	s.rounds = min(s.rounds+1, 2)
	s.now, s.before = s.before, s.now
	clear(s.now)
}

// leaf returns where the point is in a tree, as an index of the masses.
func (s *halfState) leaf(tree int) int {
	h := s.spec
	size := deviation(s.hi-s.lo, s.lo, 0)
	var low, high [shingleMax]float64
	for d := range h.Shingle {
		// The space reaches as far from a random centre as covers the range twice.
		at := unit(chance(h.Seed, uint64(tree*shingleMax+d)))
		reach := 2 * max(at, 1-at)
		low[d], high[d] = at-reach, at+reach
	}
	node := 1
	for range h.Depth {
		d := int(chance(h.Seed^0xa5a5, uint64(tree<<h.Depth+node)) % uint64(h.Shingle))
		middle := (low[d] + high[d]) / 2
		node *= 2
		if (s.recent[d]-s.lo)/size < middle {
			high[d] = middle
		} else {
			low[d] = middle
			node++
		}
	}
	return node + (tree-1)<<h.Depth // leaves are the nodes from 2^Depth on
}

func (s *halfState) Bytes() int                     { return int(unsafe.Sizeof(*s)) + 4*len(s.now) }
func (s *halfState) AppendBinary(dst []byte) []byte { return appendState(dst, s) }
func (s *halfState) Restore(data []byte) ([]byte, error) {
	return restoreState(s, s.spec.New().(*halfState), data)
}

func (s *halfState) code(c *coder) {
	c.tag('f')
	c.values(s.recent[:])
	c.count(&s.n, s.spec.Shingle)
	c.count(&s.points, s.spec.Window-1)
	c.count(&s.rounds, 2)
	c.value(&s.lo)
	c.value(&s.hi)
	c.masses(s.now, s.spec.Window)
	c.masses(s.before, s.spec.Window)
	c.bad = c.bad || s.lo > s.hi
}

// masses codes counts of at most most, two bytes each.
func (c *coder) masses(ms []uint16, most int) {
	for i := range ms {
		if !c.reading {
			c.data = append(c.data, byte(ms[i]), byte(ms[i]>>8))
			continue
		}
		if c.bad || len(c.data) < 2 {
			c.bad = true
			return
		}
		ms[i] = uint16(c.data[0]) | uint16(c.data[1])<<8
		c.data = c.data[2:]
		c.bad = c.bad || int(ms[i]) > most
	}
}
