package windows

import (
	"math"

	"edged"
)

// fire appends the result of a pane, and before it the retractions of what it
// replaces.
func (o *Operator) fire(out *edged.Output, p pane, timing edged.Timing, by Moment) {
	f, w := o.shape, p.window()
	o.retract(out, p, timing, by)
	span := f.spec.span(w, timing, o.watermark)
	state, cells := f.contents(p)
	values := out.Columns(f.layout.Columns())
	f.layout.Results(values, state, cells, span)
	r := edged.Result{
		Kind: edged.PaneResult, Timing: timing, Cause: by.Cause, Index: p.fired(),
		Last:    o.watermark >= f.spec.expiry(w),
		Trigger: by.Trigger, Key: by.Key,
		Start: w.Start, End: w.End, Watermark: o.watermark, Values: values,
	}
	if f.spec.Partials {
		r.Partial = f.spec.partial(out, state, cells, w.Start)
	}
	out.Results = append(out.Results, r)

	p.words[paneFired] = uint64(min(p.fired(), math.MaxUint32-1) + 1)
	if f.counts() {
		p.setTally(paneEvents, tally{})
	}
	switch f.spec.Accumulation {
	case Discarding:
		f.layout.Reset(state, cells)
	case Retracting:
		said, saidCells := f.said(p)
		said[0] = uint64(span.End)
		f.layout.Copy(said[1:], saidCells, state, cells)
	}
}
