package windows

import (
	"encoding/binary"
	"fmt"
	"sort"

	"edged"
	"edged/elements"
	"edged/stored"
)

// Sliding looks back from events: the window of an event at t is [t-Size+1,
// t+LookAhead+1), that is (t-Size, t+LookAhead] in whole milliseconds. Events at the
// same time share one.
type Sliding struct {
	// Size is how far the window looks back, in milliseconds, 1 to [SizeMax].
	Size int64

	// LookAhead is how far it looks ahead of the event, in milliseconds, 0 to [SizeMax].
	LookAhead int64

	// When is the slot of a truth value: only events for which it is true have a
	// window, the others are only contents. -1: all have.
	When int
}

// Validate joins everything that is wrong with the parameters.
func (p Sliding) Validate() error {
	switch {
	case p.Size < 1 || p.Size > SizeMax:
		return fmt.Errorf("%w: size is %d ms; it must be 1 to %d", ErrSpec, p.Size, int64(SizeMax))
	case p.LookAhead < 0 || p.LookAhead > SizeMax:
		return fmt.Errorf("%w: the look-ahead is %d ms; it must be 0 to %d", ErrSpec, p.LookAhead, int64(SizeMax))
	}
	return nil
}

// window returns the window of an event at the time.
func (p Sliding) window(t edged.Timestamp) Window {
	return Window{Start: t.Add(1 - p.Size), End: t.Add(p.LookAhead + 1)}
}

// ElementsMaxDefault is the number of events that one key may keep for its sliding
// windows unless the [Spec] says otherwise.
const ElementsMaxDefault = 4096

// elementsMax returns the limit with its default.
func (s *Spec) elementsMax() int {
	if s.ElementsMax == 0 {
		return ElementsMaxDefault
	}
	return s.ElementsMax
}

// sliding is the state of [Sliding] windows: the events themselves, for every
// window has others. The mark of an element says whether it has a window; the one
// that is the first of its time to have one counts how often the window has fired.
//
// Invariant: no window has all of its elements before those that are kept.
type sliding struct {
	spec      *Spec
	watermark edged.Timestamp
	kept      elements.Buffer

	// due is the lowest watermark that has anything to fire or to drop. Derived.
	due edged.Timestamp

	// state and cells are where a pane is computed. They mean nothing between panes.
	state []uint64
	cells [][]byte
}

// triggering marks an element that has a window. The bits below count.
const triggering = 1 << 31

func newSliding(spec *Spec) State {
	return &sliding{spec: spec, watermark: edged.MinTimestamp, due: edged.MaxTimestamp}
}

// gone reports whether no window can contain an event at the time any more.
func (o *sliding) gone(t edged.Timestamp) bool {
	return o.watermark >= t.Add(o.spec.Sliding.Size+o.spec.Sliding.LookAhead).Add(o.spec.AllowedLateness)
}

// Add implements [State]. An event that has a window is late when that has
// expired, and one that has none when no window can contain it any more.
func (o *sliding) Add(out *edged.Output, ev *edged.Event, by Moment) {
	p, t := o.spec.Sliding, ev.EventTime
	own, triggers := p.window(t), p.When < 0 || truth(ev, p.When)
	switch {
	case triggers && o.watermark >= o.spec.expiry(own) || o.gone(t):
		late(out, ev, own, o.watermark)
		return
	case o.kept.Len() >= o.spec.elementsMax():
		out.Overflow++
		miss(out, ev, own, true)
		refuse(out, ev, own.End, o.watermark)
		return
	}
	at := o.kept.Add(ev)
	if triggers {
		o.kept.At(at).Mark = triggering
		if o.watermark < own.End {
			o.due = min(o.due, own.End)
			if o.spec.Trigger.Early != nil {
				o.fire(out, t, edged.Early, by)
			}
		}
	}
	o.due = min(o.due, o.dropAt(t))
	// Windows that have fired fire again, in order: those of events at t-LookAhead
	// to t+Size-1, as far as they have ended.
	o.each(o.kept.Search(t.Add(-p.LookAhead)), func(u edged.Timestamp) bool {
		w := p.window(u)
		if u > t && w.Start > t || o.watermark < w.End {
			return false
		}
		if o.watermark < o.spec.expiry(w) {
			o.fire(out, u, edged.Late, by)
		}
		return true
	})
}

// dropAt returns the watermark at which an element of the time is forgotten.
func (o *sliding) dropAt(t edged.Timestamp) edged.Timestamp {
	return t.Add(o.spec.Sliding.Size + o.spec.Sliding.LookAhead).Add(o.spec.AllowedLateness)
}

// each calls visit with the time of every window from the i-th element on, in
// order, each once, until it returns false.
func (o *sliding) each(i int, visit func(t edged.Timestamp) bool) {
	for i < o.kept.Len() {
		e := o.kept.At(i)
		if e.Mark&triggering == 0 {
			i++
			continue
		}
		t := e.Time
		if !visit(t) {
			return
		}
		i = o.kept.After(t)
	}
}

// fire reports the window of the events at t with what it contains by now.
func (o *sliding) fire(out *edged.Output, t edged.Timestamp, timing edged.Timing, by Moment) {
	p, layout := o.spec.Sliding, o.spec.Layout
	if o.state == nil {
		o.state = make([]uint64, layout.Words())
		o.cells = make([][]byte, layout.Cells())[:layout.Cells():layout.Cells()]
	}
	layout.Reset(o.state, o.cells)
	first := o.kept.Search(t.Add(1 - p.Size))
	for i := first; i < o.kept.Len(); i++ {
		e := o.kept.At(i)
		if e.Time > t.Add(p.LookAhead) {
			break
		}
		layout.Add(o.state, o.cells, e.Values, e.Time)
	}
	counter := o.counter(t)
	w := p.window(t)
	f := firing{window: w, timing: timing, index: *counter &^ triggering, watermark: o.watermark,
		last: timing != edged.Early && o.watermark >= o.spec.expiry(w)}
	*counter = (*counter+1)&^triggering | triggering
	o.spec.report(out, o.state, o.cells, f, by)
}

// counter returns the mark that counts how often the window of the events at t,
// which is there, has fired.
func (o *sliding) counter(t edged.Timestamp) *uint32 {
	i := o.kept.Search(t)
	for o.kept.At(i).Mark&triggering == 0 {
		i++
	}
	return &o.kept.At(i).Mark
}

// Advance implements [State].
func (o *sliding) Advance(out *edged.Output, to edged.Timestamp, by Moment) {
	if to <= o.watermark {
		return
	}
	from := o.watermark
	o.watermark = to
	if to < o.due {
		return
	}
	p := o.spec.Sliding
	o.each(o.search(func(t edged.Timestamp) bool { return p.window(t).End > from }), func(t edged.Timestamp) bool {
		if p.window(t).End > to {
			return false
		}
		o.fire(out, t, edged.OnTime, by)
		return true
	})
	o.drop()
}

// search returns the place of the first element whose time satisfies a condition
// that all later times satisfy, too.
func (o *sliding) search(ok func(t edged.Timestamp) bool) int {
	return sort.Search(o.kept.Len(), func(i int) bool { return ok(o.kept.At(i).Time) })
}

// drop forgets the elements that no window can contain any more and recomputes due.
func (o *sliding) drop() {
	o.kept.DropFront(o.search(func(t edged.Timestamp) bool { return !o.gone(t) }))
	o.due = edged.MaxTimestamp
	if o.kept.Len() > 0 {
		o.due = o.dropAt(o.kept.At(0).Time)
	}
	p := o.spec.Sliding
	o.each(o.search(func(t edged.Timestamp) bool { return p.window(t).End > o.watermark }), func(t edged.Timestamp) bool {
		o.due = min(o.due, p.window(t).End)
		return false
	})
}

// Tick implements [State]: nothing waits for processing time.
func (o *sliding) Tick(*edged.Output, Moment) {}

// Watermark implements [State].
func (o *sliding) Watermark() edged.Timestamp { return o.watermark }

// Open implements [State].
func (o *sliding) Open() int {
	n := 0
	o.each(o.search(func(t edged.Timestamp) bool { return o.watermark < o.spec.expiry(o.spec.Sliding.window(t)) }),
		func(edged.Timestamp) bool { n++; return true })
	return n
}

// Pending implements [State].
func (o *sliding) Pending() (edged.Timestamp, bool) {
	for i := o.kept.Len() - 1; i >= 0; i-- {
		e := o.kept.At(i)
		end := o.spec.Sliding.window(e.Time).End
		if end <= o.watermark {
			break
		}
		if e.Mark&triggering != 0 {
			return end, true
		}
	}
	return o.watermark, false
}

// Bytes implements [State].
func (o *sliding) Bytes() int {
	return o.kept.Bytes() + 8*len(o.state) + o.spec.Layout.Bytes(o.cells)
}

// AppendBinary implements [State]: the watermark and the elements.
func (o *sliding) AppendBinary(dst []byte) []byte {
	return o.kept.AppendBinary(binary.AppendVarint(dst, int64(o.watermark)))
}

// Restore implements [State]. Elements that windows were longer for are dropped.
func (o *sliding) Restore(data []byte) ([]byte, error) {
	d := decoder{stored.Reader{Data: data}}
	r := sliding{spec: o.spec, watermark: edged.Timestamp(d.Varint())}
	if d.Bad {
		return nil, fmt.Errorf("restore the watermark: %w", ErrState)
	}
	rest, err := r.kept.Restore(d.Data)
	if err != nil {
		return nil, fmt.Errorf("restore the events of sliding windows: %w: %w", ErrState, err)
	}
	r.drop()
	*o = r
	return rest, nil
}
