package anomaly

import (
	"math"
	"slices"
)

// Peers compares a value with those of its group at the same time: the distance
// from their median in robust deviations (see MAD). It needs no history, so it is
// not a Spec: give a Group the values of all members, then judge each.
type Peers struct {
	Threshold float64 // robust deviations
	Floor     float64 // smallest deviation, in units of the value
	Least     int     // fewest members that make a judgement, at least 3
}

// Validate returns what is wrong with the configuration.
func (p *Peers) Validate() error {
	f := faults{name: "peers"}
	common(&f, p.Threshold, p.Floor, 2)
	f.within("least", float64(p.Least), 3, 1e6)
	return f.err()
}

// New returns a group without values.
func (p *Peers) New() *Group { return &Group{spec: p} }

// Group is the members of a group at one time. It keeps its memory from one time
// to the next.
type Group struct {
	spec           *Peers
	sorted         []float64
	median, spread float64
}

// Set takes the values of all members, in any order, and copies them. Values that
// are not finite are left out.
func (g *Group) Set(values []float64) {
	g.sorted = g.sorted[:0]
	for _, x := range values {
		if finite(x) {
			g.sorted = append(g.sorted, clip(x))
		}
	}
	g.median, g.spread = 0, 0
	if len(g.sorted) > 0 {
		slices.Sort(g.sorted)
		g.median, g.spread = robust(g.sorted)
	}
}

// Judge says how far x, the value of one member, is from the group.
func (g *Group) Judge(x float64) Verdict {
	warm := len(g.sorted) >= g.spec.Least
	if !finite(x) {
		return refuse(warm)
	}
	if !warm {
		return Verdict{}
	}
	sd := deviation(g.spread, g.median, g.spec.Floor)
	z := (clip(x) - g.median) / sd
	v := judge(math.Abs(z), g.spec.Threshold, true)
	v.around(g.median, g.spec.Threshold*sd)
	v.because(CausePeers, z)
	v.Reason.Count = int32(min(len(g.sorted), countMax))
	if v.Reason.Cause == CauseNone {
		v.Reason = Reason{}
	}
	return v
}
