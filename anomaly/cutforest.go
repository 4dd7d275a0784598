package anomaly

import (
	"unsafe"

	"edged"
)

// RandomCutForest asks how soon random cuts separate a point from those of the
// last Window: the collusive displacement, the largest ratio on the way down a tree
// of what a cut takes away to what it leaves with the point, mean over the trees.
// A dimension is chosen in proportion to the extent of what is left, the place of
// the cut evenly within it. A point is Shingle successive values. The trees are
// drawn anew for each point over all of the window, only where the point leads, in
// place of being stored: the state is the values, 8 bytes each, 2 bytes of scratch
// and 100, and a value costs some Trees x Window x Shingle steps. The score is at
// most Window. Source: Guha, Mishra, Roy and Schrijvers 2016.
type RandomCutForest struct {
	Trees     int // 1 to 100
	Window    int // points, 16 to 512
	Shingle   int // values, 1 to 8
	Threshold float64
	Seed      uint64
}

// Validate returns what is wrong with the configuration.
func (r *RandomCutForest) Validate() error {
	f := faults{name: "random_cut_forest"}
	f.within("trees", float64(r.Trees), 1, 100)
	f.within("window", float64(r.Window), 16, 512)
	f.within("shingle", float64(r.Shingle), 1, shingleMax)
	common(&f, r.Threshold, 0, 2)
	f.that(r.Threshold <= float64(r.Window), "threshold is %v; no score exceeds the window, %d", r.Threshold, r.Window)
	return f.err()
}

// New returns the state of a new series.
func (r *RandomCutForest) New() State {
	return &forestState{spec: r, ring: make([]float64, r.Window+r.Shingle), left: make([]uint16, r.Window)}
}

type forestState struct {
	spec *RandomCutForest
	ring []float64
	at   int      // the slot of the next value
	n    int      // values so far, stops at len(ring)
	turn uint64   // numbers the drawings
	left []uint16 // scratch: the slots of points that are still with the new one
}

func (s *forestState) Observe(_ edged.Timestamp, x float64) Verdict {
	warm := s.n >= len(s.ring)-1
	if !finite(x) {
		return refuse(warm)
	}
	s.ring[s.at] = clip(x)
	var v Verdict
	if warm {
		s.turn++
		v = s.judge()
	}
	s.at = (s.at + 1) % len(s.ring)
	s.n = min(s.n+1, len(s.ring))
	return v
}

// Judge leaves the state as it is.
func (s *forestState) Judge(t edged.Timestamp, x float64) Verdict {
	next := *s
	old := s.ring[s.at]
	v := next.Observe(t, x)
	s.ring[s.at] = old
	return v
}

// judge judges the point whose newest value is at s.at.
func (s *forestState) judge() Verdict {
	score := 0.0
	for tree := range s.spec.Trees {
		score += s.descend(s.at, chance(s.spec.Seed^s.turn, uint64(tree)))
	}
	v := judge(score/float64(s.spec.Trees), s.spec.Threshold, true)
	v.because(CauseIsolated, v.Score)
	if v.Score > 0 {
		v.Reason.Count = int32(s.spec.Window)
	}
	return v
}

// value returns dimension d of the point whose newest value is in a slot.
func (s *forestState) value(slot, d int) float64 {
	if slot -= d; slot < 0 {
		slot += len(s.ring)
	}
	return s.ring[slot]
}

// descend cuts the window until the point at slot me is alone, or nothing can be
// told apart any more, and returns its displacement.
func (s *forestState) descend(me int, seed uint64) float64 {
	left := s.left
	for i := range left {
		left[i] = uint16((me + len(s.ring) - 1 - i) % len(s.ring))
	}
	best := 0.0
	for step := uint64(0); len(left) > 0; step++ {
		d, cut, ok := s.draw(left, me, unit(chance(seed, step)))
		if !ok {
			break
		}
		above := s.value(me, d) > cut
		kept := 0
		for _, slot := range left {
			if (s.value(int(slot), d) > cut) == above {
				left[kept] = slot
				kept++
			}
		}
		best = max(best, float64(len(left)-kept)/float64(kept+1))
		left = left[:kept]
	}
	return best
}

// draw places a cut: u runs over the extents of all dimensions laid end to end.
func (s *forestState) draw(left []uint16, me int, u float64) (d int, cut float64, ok bool) {
	var low, extent [shingleMax]float64
	sum := 0.0
	for d := range s.spec.Shingle {
		lo := s.value(me, d)
		hi := lo
		for _, slot := range left {
			y := s.value(int(slot), d)
			lo, hi = min(lo, y), max(hi, y)
		}
		low[d], extent[d] = lo, hi-lo
		sum += extent[d]
	}
	u *= sum
	for d := range s.spec.Shingle {
		if u < extent[d] {
			// Rounding must not put the cut on the upper end: it would cut nothing.
			cut = low[d] + u
			return d, cut, cut < low[d]+extent[d]
		}
		u -= extent[d]
	}
	return 0, 0, false
}

func (s *forestState) Bytes() int {
	return int(unsafe.Sizeof(*s)) + 8*len(s.ring) + 2*len(s.left)
}
func (s *forestState) AppendBinary(dst []byte) []byte { return appendState(dst, s) }
func (s *forestState) Restore(data []byte) ([]byte, error) {
	return restoreState(s, s.spec.New().(*forestState), data)
}

func (s *forestState) code(c *coder) {
	c.tag('g')
	c.count(&s.at, len(s.ring)-1)
	c.count(&s.n, len(s.ring))
	c.values(s.ring)
	s.turn = c.word(s.turn)
	c.bad = c.bad || s.n < len(s.ring) && s.at != s.n
}
