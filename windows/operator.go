package windows

import "edged"

// Operator is the windows of one key that an [Assigner] cuts, or that a [Session]
// merges. The zero value is not usable; see [NewOperator]. It implements [State].
//
// Invariant: open holds whole panes, ordered by [Window.compare], no window twice.
// Sessions are apart: each ends before the next one starts.
// Invariant: every window in open expires after watermark.
// Invariant: every retraction in gone is inside a session in open.
type Operator struct {
	shape *shape

	// Durable state.
	watermark edged.Timestamp
	open      []uint64 // the panes, one after the other
	annex     *annex   // nil: nothing that only some keys have

	// Derived: due is the lowest watermark, and tick the earliest processing time,
	// that may have anything to fire or to drop.
	due, tick edged.Timestamp
}

// annex is what only the keys of some pipelines have. It is apart because there
// are very many keys.
type annex struct {
	cells [][]byte     // of the panes, if the layout has any
	gone  []retraction // of windows that are part of others now

	// begun is the end of the window of the key's first event, from which on windows
	// without events fire. MaxTimestamp: there was none.
	begun edged.Timestamp
}

// NewOperator returns the state of a key without events. The spec must be valid,
// with an Assigner or a Session.
func NewOperator(spec *Spec) Operator { return newOperator(spec.panes()) }

func newOperator(f *shape) Operator {
	o := Operator{shape: f, watermark: edged.MinTimestamp, due: edged.MaxTimestamp, tick: edged.MaxTimestamp}
	if f.cells > 0 || f.spec.Session != nil || f.spec.Empty {
		o.annex = &annex{begun: edged.MaxTimestamp}
	}
	if f.spec.Empty {
		o.due = edged.MinTimestamp // nobody opens the windows that have no events
	}
	return o
}

// Watermark implements [State].
func (o *Operator) Watermark() edged.Timestamp { return o.watermark }

// Open implements [State].
func (o *Operator) Open() int { return len(o.open) / o.shape.words }

// Pending implements [State].
func (o *Operator) Pending() (edged.Timestamp, bool) {
	last := o.watermark
	for i := range o.Open() {
		last = max(last, o.pane(i).window().End)
	}
	return last, last > o.watermark
}

// Bytes implements [State]. It counts what the state takes, not the room kept for
// more, so that it depends on the state only.
func (o *Operator) Bytes() int {
	n := 8 * len(o.open)
	if a := o.annex; a != nil {
		n += o.shape.layout.Bytes(a.cells)
		for i := range a.gone {
			n += retractionBytes + 8*len(a.gone[i].state) + o.shape.layout.Bytes(a.gone[i].cells)
		}
	}
	return n
}

// Add implements [State]. An event that no window takes is appended as an
// edged.LateResult, unless there is no window that it would be in.
func (o *Operator) Add(out *edged.Output, ev *edged.Event, by Moment) {
	if o.shape.spec.Session != nil {
		o.addToSession(out, ev, by)
		return
	}
	taken, refused := false, false
	var last Window
	i := 0
	for ; ; i++ {
		w, ok := o.shape.spec.Assigner.Assign(ev.EventTime, i)
		if !ok {
			break
		}
		if o.watermark >= o.shape.spec.expiry(w) {
			last = w
			o.missed(out, ev, w, false)
			continue
		}
		p, ok := o.latest(w)
		if !ok {
			p, ok = o.obtain(w)
		}
		if !ok {
			last, refused = w, true
			o.missed(out, ev, w, true)
			continue
		}
		taken = true
		if o.shape.spec.Empty && o.annex.begun == edged.MaxTimestamp {
			o.annex.begun = w.End
		}
		o.update(out, ev, p, by)
	}
	switch {
	case taken:
	case i == 0:
		out.Unassigned++
	default:
		o.reject(out, ev, last, refused)
	}
}

// Advance implements [State].
func (o *Operator) Advance(out *edged.Output, to edged.Timestamp, by Moment) {
	if to <= o.watermark {
		return
	}
	from := o.watermark
	o.watermark = to
	if to < o.due {
		return
	}
	if o.shape.spec.Empty && to != edged.MaxTimestamp {
		o.openEmpty(out, max(from, o.annex.begun))
	}
	for i := range o.Open() {
		o.settle(out, o.pane(i), from, by)
	}
	o.expire()
	if o.shape.counts() && len(o.open) > 0 {
		o.tick = edged.MinTimestamp // other sections may have their say now
	}
}

// settle fires a pane if the watermark's way from there to where it is now has
// completed the window.
func (o *Operator) settle(out *edged.Output, p pane, from edged.Timestamp, by Moment) {
	spec, w := o.shape.spec, p.window()
	expired := o.watermark >= spec.expiry(w)
	switch {
	case spec.Trigger.FinalOnly:
		if expired {
			o.fire(out, p, edged.OnTime, by)
		}
	case from < w.End && w.End <= o.watermark:
		if spec.Empty || spec.Accumulation != Discarding || o.shape.fresh(p) {
			o.fire(out, p, edged.OnTime, by)
		}
	case expired && o.shape.counts() && o.shape.fresh(p):
		o.fire(out, p, edged.Late, by)
	}
}

// missed reports that the window w did not take the event.
func (o *Operator) missed(out *edged.Output, ev *edged.Event, w Window, limit bool) {
	miss(out, ev, w, limit)
	if limit {
		out.Overflow++
	}
}

// reject appends the event itself, which no window took. last is the last window
// that it belongs to.
func (o *Operator) reject(out *edged.Output, ev *edged.Event, last Window, refused bool) {
	if !refused {
		out.Late++
	}
	refuse(out, ev, last.End, o.watermark)
}

// next returns the watermark at which something happens to w: it ends, or,
// having ended, it expires.
func (o *Operator) next(w Window) edged.Timestamp {
	if o.watermark < w.End && !o.shape.spec.Trigger.FinalOnly {
		return w.End
	}
	return o.shape.spec.expiry(w)
}

// expire drops the windows that have expired and recomputes due.
func (o *Operator) expire() {
	o.due = edged.MaxTimestamp
	f, kept := o.shape, 0
	for i := range o.Open() {
		p := o.pane(i)
		w := p.window()
		if o.watermark >= f.spec.expiry(w) {
			continue
		}
		o.due = min(o.due, o.next(w))
		if kept < i {
			to := o.pane(kept)
			copy(to.words, p.words)
			copy(to.cells, p.cells)
		}
		kept++
	}
	if dropped := o.Open() - kept; dropped > 0 {
		o.remove(kept, kept+dropped)
		o.disown()
	}
	if f.spec.Empty {
		o.due = min(o.due, o.nextEmpty())
	}
}
