package windows

import (
	"sort"

	"edged"
)

// Operator is the window state of one key. The zero value is not usable; see
// [NewOperator]. It is not safe for concurrent use.
//
// Invariant: open holds whole panes, ordered by [Window.compare], no window twice.
// Invariant: every window in open expires after watermark.
type Operator struct {
	spec *Spec

	// Durable state.
	watermark edged.Timestamp
	open      []uint64 // the panes, one after the other

	// due is the lowest watermark that has anything to fire or to drop. Derived.
	due edged.Timestamp
}

// pane is one window as the words of an operator: where it starts and ends, how
// often it has fired, and the aggregates. All panes of a key lie in one piece of
// memory without pointers, because there are very many keys.
type pane []uint64

// paneHead is the number of words before the aggregates.
const paneHead = 3

func (p pane) window() Window {
	return Window{Start: edged.Timestamp(p[0]), End: edged.Timestamp(p[1])}
}

func (p pane) setWindow(w Window)    { p[0], p[1] = uint64(w.Start), uint64(w.End) }
func (p pane) fired() uint32         { return uint32(p[2]) }
func (p pane) setFired(times uint32) { p[2] = uint64(times) }
func (p pane) state() []uint64       { return p[paneHead:] }

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
func (o *Operator) Open() int { return len(o.open) / o.spec.paneWords() }

// pane returns the i-th open pane.
func (o *Operator) pane(i int) pane {
	words := o.spec.paneWords()
	return o.open[i*words : (i+1)*words]
}

// Pending returns the end of the latest window that has not ended, and false
// when every open window has.
func (o *Operator) Pending() (edged.Timestamp, bool) {
	last := o.watermark
	for i := range o.Open() {
		last = max(last, o.pane(i).window().End)
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
		if !ok && o.Open() >= o.spec.openMax() {
			refused = true
			continue
		}
		if !ok {
			o.insert(at, w)
		}
		taken = true
		o.update(out, ev, o.pane(at))
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
	for i := range o.Open() {
		p := o.pane(i)
		if timing, ok := o.spec.Trigger.OnWatermark(p.window(), from, to); ok {
			o.fire(out, p, timing, by)
		}
	}
	o.expire()
}

// find returns the place of w in open and whether it is there. Events are
// mostly of the latest window, so that is looked at first.
func (o *Operator) find(w Window) (int, bool) {
	n := o.Open()
	if n == 0 {
		return 0, false
	}
	switch c := o.pane(n - 1).window().compare(w); {
	case c == 0:
		return n - 1, true
	case c < 0:
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
	n, words := o.Open(), o.spec.paneWords()
	if len(o.open) == cap(o.open) {
		o.open = append(make([]uint64, 0, max(openHint, n+1+n/4)*words), o.open...)
	}
	o.open = o.open[:(n+1)*words]
	copy(o.open[(i+1)*words:], o.open[i*words:n*words])
	p := o.pane(i)
	p.setWindow(w)
	p.setFired(0)
	o.spec.Layout.Init(p.state())
	o.due = min(o.due, o.next(w))
	return p
}

// update folds the event into a pane and fires it if the trigger says so.
func (o *Operator) update(out *edged.Output, ev *edged.Event, p pane) {
	o.spec.Layout.Add(p.state(), ev.Values, ev.EventTime)
	if timing, ok := o.spec.Trigger.OnEvent(p.window(), o.watermark); ok {
		o.fire(out, p, timing, Moment{Key: ev.Key, Trigger: ev.Seq, Cause: edged.ByWatermark})
	}
}

// fire appends the result of a pane.
func (o *Operator) fire(out *edged.Output, p pane, timing edged.Timing, by Moment) {
	values := out.Columns(o.spec.Layout.Columns())
	o.spec.Layout.Results(values, p.state())
	w := p.window()
	out.Results = append(out.Results, edged.Result{
		Kind: edged.PaneResult, Timing: timing, Cause: by.Cause, Index: p.fired(),
		Trigger: by.Trigger, Key: by.Key,
		Start: w.Start, End: w.End, Watermark: o.watermark, Values: values,
	})
	p.setFired(p.fired() + 1)
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
	o.due = edged.MaxTimestamp
	kept := o.open[:0]
	for i := range o.Open() {
		p := o.pane(i)
		if w := p.window(); o.watermark < o.spec.expiry(w) {
			o.due = min(o.due, o.next(w))
			kept = append(kept, p...)
		}
	}
	o.open = kept
}
