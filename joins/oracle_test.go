package joins_test

import (
	"cmp"
	"fmt"
	"math/big"
	"slices"

	"edged"
	"edged/joins"
)

// reading is an event as the oracle knows it.
type reading struct {
	seq   edged.Seq
	right bool
	t     edged.Timestamp
	met   bool // it has had a partner
	gone  bool // it has left the state
}

// oracle says what a join must do from the list of all events that it took. It
// computes with integers without bounds and looks at everything each time.
type oracle struct {
	spec joins.Spec
	w    edged.Timestamp
	all  []*reading
	out  []string
}

func newOracle(spec joins.Spec) *oracle { return &oracle{spec: spec, w: edged.MinTimestamp} }

// plus adds without bounds and saturates the result.
func plus(t edged.Timestamp, ds ...int64) edged.Timestamp {
	sum := big.NewInt(int64(t))
	for _, d := range ds {
		sum.Add(sum, big.NewInt(d))
	}
	switch {
	case sum.Cmp(big.NewInt(int64(edged.MaxTimestamp))) > 0:
		return edged.MaxTimestamp
	case sum.Cmp(big.NewInt(int64(edged.MinTimestamp))) < 0:
		return edged.MinTimestamp
	}
	return edged.Timestamp(sum.Int64())
}

func minus(t, u edged.Timestamp) *big.Int {
	return new(big.Int).Sub(big.NewInt(int64(t)), big.NewInt(int64(u)))
}

func name(r *reading) string {
	if r == nil {
		return "-"
	}
	return fmt.Sprintf("%d@%d", r.seq, r.t)
}

// row notes a row; a missing side is nil.
func (o *oracle) row(l, r *reading, start, end edged.Timestamp) {
	o.out = append(o.out, fmt.Sprintf("%s %s [%d,%d)", name(l), name(r), start, end))
}

func (o *oracle) plain(l, r *reading) {
	t := edged.MinTimestamp
	for _, x := range []*reading{l, r} {
		if x != nil {
			t = max(t, x.t)
		}
	}
	o.row(l, r, t, plus(t, 1))
}

func (o *oracle) late(r *reading, end edged.Timestamp, limit bool) {
	o.out = append(o.out, fmt.Sprintf("late %s until %d limit %v", name(r), end, limit))
}

func (o *oracle) kept() (n int) {
	for _, r := range o.all {
		if !r.gone {
			n++
		}
	}
	return n
}

func byTime(a, b *reading) int {
	return cmp.Or(cmp.Compare(a.t, b.t), cmp.Compare(a.seq, b.seq))
}

// over reports whether nothing can happen any more after last.
func (o *oracle) over(last edged.Timestamp) bool { return o.w > last || o.w == edged.MaxTimestamp }

func pads(k joins.Kind, right bool) bool {
	return k == joins.Full || k == joins.Left && !right || k == joins.Right && right
}

func (o *oracle) add(r *reading) {
	switch c := o.spec.(type) {
	case *joins.Interval:
		last := o.intervalLast(c, r)
		if o.over(last) || o.kept() >= c.EventsMax {
			o.late(r, plus(last, 1), !o.over(last))
			return
		}
		o.meet(c, r)
	case *joins.AsOf:
		if o.over(r.t) || o.kept() >= c.EventsMax {
			o.late(r, plus(r.t, 1), !o.over(r.t))
			return
		}
	case *joins.Window:
		all := windowsOf(c, r.t)
		if len(all) == 0 {
			o.out = append(o.out, "unassigned")
			return
		}
		last := all[len(all)-1]
		if o.w >= last[1] || o.kept() >= c.EventsMax {
			o.late(r, last[1], o.w < last[1])
			return
		}
	}
	o.all = append(o.all, r)
}

func (o *oracle) intervalLast(c *joins.Interval, r *reading) edged.Timestamp {
	if r.right {
		return plus(r.t, -c.Lower)
	}
	return plus(r.t, c.Upper)
}

// meet gives the pairs of a new event.
func (o *oracle) meet(c *joins.Interval, r *reading) {
	slices.SortStableFunc(o.all, byTime)
	for _, p := range o.all {
		if p.right == r.right || p.gone {
			continue
		}
		l, rr := r, p
		if r.right {
			l, rr = p, r
		}
		d := minus(rr.t, l.t)
		if d.Cmp(big.NewInt(c.Lower)) >= 0 && d.Cmp(big.NewInt(c.Upper)) <= 0 {
			l.met, rr.met = true, true
			o.plain(l, rr)
		}
	}
}

func (o *oracle) advance(w edged.Timestamp) {
	if w <= o.w {
		return
	}
	from := o.w
	o.w = w
	switch c := o.spec.(type) {
	case *joins.Interval:
		o.advanceInterval(c)
	case *joins.AsOf:
		o.advanceAsOf(c)
	case *joins.Window:
		o.advanceWindow(c, from)
	}
}

func (o *oracle) advanceInterval(c *joins.Interval) {
	var alone []*reading
	for _, r := range o.all {
		if !r.gone && o.over(o.intervalLast(c, r)) {
			r.gone = true
			if !r.met && pads(c.Kind, r.right) {
				alone = append(alone, r)
			}
		}
	}
	side := map[bool]int{false: 0, true: 1}
	slices.SortFunc(alone, func(a, b *reading) int {
		return cmp.Or(cmp.Compare(o.intervalLast(c, a), o.intervalLast(c, b)), cmp.Compare(side[a.right], side[b.right]), byTime(a, b))
	})
	for _, r := range alone {
		if r.right {
			o.plain(nil, r)
		} else {
			o.plain(r, nil)
		}
	}
}

func (o *oracle) advanceAsOf(c *joins.AsOf) {
	slices.SortStableFunc(o.all, byTime)
	for _, l := range o.all {
		if l.right || l.gone || !o.over(l.t) {
			continue
		}
		l.gone = true
		var newest *reading
		for _, r := range o.all {
			if r.right && r.t <= l.t && minus(l.t, r.t).Cmp(big.NewInt(c.Tolerance)) <= 0 {
				newest = r
			}
		}
		if newest != nil || c.Kind == joins.Left {
			o.out = append(o.out, fmt.Sprintf("%s %s [%d,%d)", name(l), name(newest), l.t, plus(l.t, 1)))
		}
	}
	// Of right events only the limit asks which are kept: the newest before the
	// watermark, if it is young enough, and those from it on.
	var newest *reading
	for _, r := range o.all {
		if !r.right || r.t >= o.w && o.w != edged.MaxTimestamp {
			continue
		}
		r.gone = true
		newest = r
	}
	if newest != nil && o.w != edged.MaxTimestamp && minus(o.w, newest.t).Cmp(big.NewInt(c.Tolerance)) <= 0 {
		newest.gone = false
	}
}

// windowsOf returns the windows of t in order of their true starts, saturated.
func windowsOf(c *joins.Window, t edged.Timestamp) (all [][2]edged.Timestamp) {
	period := c.Period
	if period == 0 {
		period = c.Size
	}
	start := new(big.Int).Sub(big.NewInt(int64(t)), big.NewInt(c.Offset))
	start.Div(start, big.NewInt(period)) // floors, as period is positive
	start.Mul(start, big.NewInt(period)).Add(start, big.NewInt(c.Offset))
	for {
		since := new(big.Int).Sub(big.NewInt(int64(t)), start)
		if since.Cmp(big.NewInt(c.Size)) >= 0 {
			break
		}
		all = append(all, [2]edged.Timestamp{plus(t, -since.Int64()), plus(t, -since.Int64(), c.Size)})
		start.Sub(start, big.NewInt(period))
	}
	slices.Reverse(all)
	return all
}

func (o *oracle) advanceWindow(c *joins.Window, from edged.Timestamp) {
	var ended [][2]edged.Timestamp
	for _, r := range o.all {
		for _, b := range windowsOf(c, r.t) {
			if b[1] > from && b[1] <= o.w {
				ended = append(ended, b)
			}
		}
	}
	slices.SortFunc(ended, func(a, b [2]edged.Timestamp) int {
		return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1]))
	})
	slices.SortStableFunc(o.all, byTime)
	for _, b := range slices.Compact(ended) {
		var side [2][]*reading
		for _, r := range o.all {
			if slices.Contains(windowsOf(c, r.t), b) {
				if i := 0; r.right {
					side[1] = append(side[1], r)
				} else {
					side[i] = append(side[i], r)
				}
			}
		}
		for _, l := range side[0] {
			for _, r := range side[1] {
				o.row(l, r, b[0], b[1])
			}
			if len(side[1]) == 0 && pads(c.Kind, false) {
				o.row(l, nil, b[0], b[1])
			}
		}
		for _, r := range side[1] {
			if len(side[0]) == 0 && pads(c.Kind, true) {
				o.row(nil, r, b[0], b[1])
			}
		}
	}
	for _, r := range o.all {
		all := windowsOf(c, r.t)
		r.gone = o.w >= all[len(all)-1][1]
	}
	o.all = slices.DeleteFunc(o.all, func(r *reading) bool { return r.gone })
}
