package windows

import (
	"slices"
	"sort"

	"edged"
	"edged/windows/agg"
)

// retraction is a pane that some window has fired last, before it became part of
// another window. It is taken back when that one fires.
type retraction struct {
	window Window
	index  uint32

	// What it said, and up to where it reached, if panes are retracted by value.
	end   edged.Timestamp
	state []uint64
	cells [][]byte
}

// retractionBytes is about the memory of a retraction without its contents.
const retractionBytes = 80

// disclaim notes that the bounds of a pane are about to change: what it has fired
// must be taken back. Discarding panes stand for what they hold, whatever the
// bounds were.
func (o *Operator) disclaim(out *edged.Output, p pane) {
	f := o.shape
	if p.fired() == 0 || f.spec.Accumulation == Discarding {
		return
	}
	if len(o.annex.gone) >= max(f.spec.openMax(), OpenMaxDefault) {
		out.Overflow++
		return
	}
	r := retraction{window: p.window(), index: p.fired() - 1}
	if f.last > 0 {
		said, cells := f.said(p)
		r.end, r.state = edged.Timestamp(said[0]), slices.Clone(said[1:])
		for _, cell := range cells {
			r.cells = append(r.cells, slices.Clone(cell))
		}
	}
	at, _ := slices.BinarySearchFunc(o.annex.gone, r.window, func(g retraction, w Window) int { return g.window.compare(w) })
	o.annex.gone = slices.Insert(o.annex.gone, at, r)
}

// claimed returns the places of the retractions that belong to the window w.
func (o *Operator) claimed(w Window) (from, to int) {
	from = sort.Search(len(o.annex.gone), func(i int) bool { return o.annex.gone[i].window.Start >= w.Start })
	for to = from; to < len(o.annex.gone) && o.annex.gone[to].window.End <= w.End; to++ {
	}
	return from, to
}

// retract appends what the next pane of a window takes back: the panes of windows
// that are part of it now, or its own last one if panes are retracted by value.
func (o *Operator) retract(out *edged.Output, p pane, timing edged.Timing, by Moment) {
	f, w := o.shape, p.window()
	if o.annex != nil && len(o.annex.gone) > 0 {
		from, to := o.claimed(w)
		for i := from; i < to; i++ {
			o.takeBack(out, &o.annex.gone[i], timing, by)
		}
		o.annex.gone = slices.Delete(o.annex.gone, from, to)
		if len(o.annex.gone) == 0 {
			o.annex.gone = nil // it is rare
		}
	}
	if f.last > 0 && p.fired() > 0 {
		said, cells := f.said(p)
		o.takeBack(out, &retraction{w, p.fired() - 1, edged.Timestamp(said[0]), said[1:], cells}, timing, by)
	}
}

// takeBack appends one retraction.
func (o *Operator) takeBack(out *edged.Output, r *retraction, timing edged.Timing, by Moment) {
	var values []edged.Value
	if o.shape.last > 0 {
		values = out.Columns(o.shape.layout.Columns())
		o.shape.layout.Results(values, r.state, r.cells, agg.Span{Start: r.window.Start, End: r.end})
	}
	out.Results = append(out.Results, edged.Result{
		Kind: edged.RetractResult, Timing: timing, Cause: by.Cause, Index: r.index,
		Trigger: by.Trigger, Key: by.Key,
		Start: r.window.Start, End: r.window.End, Watermark: o.watermark, Values: values,
	})
}

// disown drops the retractions whose window is not open any more. Windows fire
// before they expire, and take back what is theirs; restored bytes may say otherwise.
func (o *Operator) disown() {
	if o.annex == nil || len(o.annex.gone) == 0 {
		return
	}
	o.annex.gone = slices.DeleteFunc(o.annex.gone, func(r retraction) bool { return !o.owned(r.window) })
	if len(o.annex.gone) == 0 {
		o.annex.gone = nil
	}
}

// owned reports whether w is a part of an open window, and not all of it.
func (o *Operator) owned(w Window) bool {
	n := o.Open()
	i := sort.Search(n, func(i int) bool { return o.pane(i).window().End >= w.End })
	if i == n {
		return false
	}
	by := o.pane(i).window()
	return by.Start <= w.Start && by != w
}
