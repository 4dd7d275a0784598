package windows

import (
	"slices"

	"edged"
)

// Operator is the window state of one key. The zero value is not usable; see
// [NewOperator]. It is not safe for concurrent use.
//
// Invariant: open is ordered by [Window.compare] and holds no window twice.
// Invariant: the state of open[i] is states[i*words : (i+1)*words].
// Invariant: every window in open expires after watermark.
type Operator struct {
	spec *Spec

	// Durable state.
	watermark edged.Timestamp
	open      []pane
	states    []uint64

	// due is the lowest watermark that has anything to fire or to drop. Derived.
	due edged.Timestamp
}

// pane is one window and how often it has fired.
type pane struct {
	Window
	fired uint32
}

// Moment says what makes time advance: the circumstances that panes report.
type Moment struct {
	Key     string
	Trigger edged.Seq
	Cause   edged.Cause
}

// NewOperator returns the state of a key without events. The spec must be valid.
func NewOperator(spec *Spec) Operator {
	return Operator{spec: spec, watermark: edged.MinTimestamp, due: edged.MaxTimestamp}
}

// Watermark returns how far the operator's time has come.
func (o *Operator) Watermark() edged.Timestamp { return o.watermark }

// Open returns the number of windows whose state is kept: those that have not
// ended and those that still take late events.
func (o *Operator) Open() int { return len(o.open) }

// Pending returns the end of the latest window that has not ended, and false
// when every open window has.
func (o *Operator) Pending() (edged.Timestamp, bool) {
	last := o.watermark
	for i := range o.open {
		last = max(last, o.open[i].End)
	}
	return last, last > o.watermark
}

// Add folds the event into its windows as of the current watermark, and appends
// the panes that it makes fire. An event that no window takes is appended as an
// edged.LateResult and counted in out.Late, or in out.Overflow if one would
// have taken it but for the limit.
func (o *Operator) Add(out *edged.Output, ev *edged.Event) {
	taken, refused := false, false
	var missed Window
	for i := 0; ; i++ {
		w, ok := o.spec.Assigner.Assign(ev.EventTime, i)
		if !ok {
			break
		}
		missed = w
		if o.watermark >= o.spec.expiry(w) {
			continue
		}
		at, ok := o.find(w)
		if !ok && len(o.open) >= o.spec.openMax() {
			refused = true
			continue
		}
		if !ok {
			o.insert(at, w)
		}
		taken = true
		o.update(out, ev, at)
	}
	switch {
	case refused:
		out.Overflow++
	case !taken:
		out.Late++
	}
	if !taken {
		o.reject(out, ev, missed)
	}
}

// Advance moves the watermark, fires what is then complete and drops what has
// expired. A watermark that is not ahead of the current one changes nothing.
func (o *Operator) Advance(out *edged.Output, to edged.Timestamp, by Moment) {
	if to <= o.watermark {
		return
	}
	from := o.watermark
	o.watermark = to
	if to < o.due {
		return
	}
	for i := range o.open {
		if timing, ok := o.spec.Trigger.OnWatermark(o.open[i].Window, from, to); ok {
			o.fire(out, i, timing, by)
		}
	}
	o.expire()
}

// find returns the place of w in open and whether it is there. Events are
// mostly of the latest window, so that is looked at first.
func (o *Operator) find(w Window) (int, bool) {
	n := len(o.open)
	if n == 0 {
		return 0, false
	}
	switch c := o.open[n-1].compare(w); {
	case c == 0:
		return n - 1, true
	case c < 0:
		return n, false
	}
	return slices.BinarySearchFunc(o.open, w, func(p pane, w Window) int { return p.compare(w) })
}

// insert opens the window w at the place i. Room is made for one window at a
// time: a key has few, and there are very many keys.
func (o *Operator) insert(i int, w Window) {
	n, words := len(o.open), o.spec.Layout.Words()
	if n == cap(o.open) {
		o.open = append(make([]pane, 0, n+1+n/4), o.open...)
		o.states = append(make([]uint64, 0, cap(o.open)*words), o.states...)
	}
	o.open = slices.Insert(o.open, i, pane{Window: w})
	o.states = o.states[:(n+1)*words]
	copy(o.states[(i+1)*words:], o.states[i*words:n*words])
	o.spec.Layout.Init(o.state(i))
	o.due = min(o.due, o.next(w))
}

// update folds the event into open[i] and fires it if the trigger says so.
func (o *Operator) update(out *edged.Output, ev *edged.Event, i int) {
	o.spec.Layout.Add(o.state(i), ev.Values, ev.EventTime)
	if timing, ok := o.spec.Trigger.OnEvent(o.open[i].Window, o.watermark); ok {
		o.fire(out, i, timing, Moment{Key: ev.Key, Trigger: ev.Seq, Cause: edged.ByWatermark})
	}
}

// fire appends a pane of open[i].
func (o *Operator) fire(out *edged.Output, i int, timing edged.Timing, by Moment) {
	p := &o.open[i]
	values := out.Columns(o.spec.Layout.Columns())
	o.spec.Layout.Results(values, o.state(i))
	out.Results = append(out.Results, edged.Result{
		Kind: edged.PaneResult, Timing: timing, Cause: by.Cause, Index: p.fired,
		Trigger: by.Trigger, Key: by.Key,
		Start: p.Start, End: p.End, Watermark: o.watermark, Values: values,
	})
	p.fired++
}

// reject appends the event itself, which no window took. missed is the last
// window that it belongs to.
func (o *Operator) reject(out *edged.Output, ev *edged.Event, missed Window) {
	values := out.Columns(len(ev.Values))
	copy(values, ev.Values)
	out.Results = append(out.Results, edged.Result{
		Kind: edged.LateResult, Timing: edged.Late,
		Trigger: ev.Seq, Key: ev.Key,
		Start: ev.EventTime, End: missed.End, Watermark: o.watermark, Values: values,
	})
}

// state returns the words of open[i].
func (o *Operator) state(i int) []uint64 {
	words := o.spec.Layout.Words()
	return o.states[i*words : (i+1)*words]
}

// next returns the watermark at which something happens to w: it ends, or,
// having ended, it expires.
func (o *Operator) next(w Window) edged.Timestamp {
	if o.watermark < w.End {
		return w.End
	}
	return o.spec.expiry(w)
}

// expire drops the windows that have expired and recomputes due.
func (o *Operator) expire() {
	kept, words := 0, o.spec.Layout.Words()
	o.due = edged.MaxTimestamp
	for i, p := range o.open {
		if o.watermark >= o.spec.expiry(p.Window) {
			continue
		}
		o.due = min(o.due, o.next(p.Window))
		if kept < i {
			o.open[kept] = p
			copy(o.states[kept*words:(kept+1)*words], o.state(i))
		}
		kept++
	}
	o.open, o.states = o.open[:kept], o.states[:kept*words]
}
