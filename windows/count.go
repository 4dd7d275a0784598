package windows

import (
	"edged/stored"
	"encoding/binary"
	"fmt"

	"edged"
)

// Count cuts the events of a key into windows by their number: the k-th window has
// Size events from event k*Step on, both counted from 0, in the order of arrival. It
// fires when it is full, whatever the watermark, and lasts from its earliest event
// to the millisecond after its latest. No event is late for it.
type Count struct {
	// Size is the number of events of a window, 1 to [SizeMax].
	Size int64

	// Step is the number of events from the start of one window to that of the
	// next, 1 to [SizeMax]; 0 means Size. Windows overlap when it is smaller than
	// Size, which puts an event into at most [PerEventMax]; when it is larger, the
	// events between two windows belong to none.
	Step int64

	// Partial makes windows that are not full fire when the key has gone silent or
	// the input has ended. The next event starts a new window then.
	Partial bool
}

// Validate joins everything that is wrong with the parameters.
func (c Count) Validate() error {
	switch {
	case c.Size < 1 || c.Size > SizeMax:
		return fmt.Errorf("%w: a window of %d events; it must be 1 to %d", ErrSpec, c.Size, int64(SizeMax))
	case c.Step < 0 || c.Step > SizeMax:
		return fmt.Errorf("%w: windows start every %d events; it must be 1 to %d, and 0 means the size", ErrSpec, c.Step, int64(SizeMax))
	case (c.Size-1)/c.step() >= PerEventMax:
		return fmt.Errorf("%w: windows of %d events every %d put an event into %d windows; the limit is %d, use a larger step",
			ErrSpec, c.Size, c.Step, (c.Size-1)/c.step()+1, PerEventMax)
	}
	return nil
}

func (c Count) step() int64 {
	if c.Step == 0 {
		return c.Size
	}
	return c.Step
}

// counted is the state of [Count] windows.
//
// Invariant: every open window has begun, is not full, and is not before base.
type counted struct {
	spec      *Spec
	watermark edged.Timestamp
	seen      int64 // events so far, and those that were passed over when windows were cut short
	base      int64 // number of the first window since then
	open      shelf // in order of number; the head is number, earliest and latest time
}

func newCounted(spec *Spec) State {
	return &counted{spec: spec, watermark: edged.MinTimestamp, open: newShelf(spec.Layout, 3)}
}

// seenMax ends the numbering of events before it could overflow: those beyond it
// belong to no window.
const seenMax = 1 << 62

// Add implements [State].
func (o *counted) Add(out *edged.Output, ev *edged.Event, by Moment) {
	n, size, step := o.seen, o.spec.Count.Size, o.spec.Count.step()
	last := n / step
	first := max(o.base, floorDiv(n-size, step)+1)
	if n <= seenMax {
		o.seen++
	}
	if n > seenMax || last < first {
		out.Unassigned++
		return
	}
	// All open windows take the event, and the first may be full by that, which makes
	// room. The others that should take it were refused when they were to be opened.
	refused := last - first + 1 - int64(o.open.len())
	for i := range o.open.len() {
		o.update(o.open.at(i), ev)
	}
	o.full(out, n, by)
	if n%step == 0 && o.open.len() < o.spec.openMax() {
		refused--
		it := o.open.insert(o.open.len())
		it.head[0], it.head[1], it.head[2] = uint64(last), uint64(ev.EventTime), uint64(ev.EventTime)
		o.update(it, ev)
		o.full(out, n, by)
	}
	for range refused {
		out.Overflow++
		miss(out, ev, moment(ev.EventTime), true)
	}
	if refused == last-first+1 {
		refuse(out, ev, moment(ev.EventTime).End, o.watermark)
	}
}

// update folds an event into an open window.
func (o *counted) update(it item, ev *edged.Event) {
	it.head[1] = uint64(min(edged.Timestamp(it.head[1]), ev.EventTime))
	it.head[2] = uint64(max(edged.Timestamp(it.head[2]), ev.EventTime))
	o.spec.Layout.Add(it.state, it.cells, ev.Values, ev.EventTime)
}

// full fires the first open window if event n was its last.
func (o *counted) full(out *edged.Output, n int64, by Moment) {
	if o.open.len() > 0 && n-o.open.number(0)*o.spec.Count.step() == o.spec.Count.Size-1 {
		o.fire(out, 0, by)
		o.open.drop(0, 1)
	}
}

// fire reports the i-th open window.
func (o *counted) fire(out *edged.Output, i int, by Moment) {
	it := o.open.at(i)
	w := Window{Start: edged.Timestamp(it.head[1]), End: edged.Timestamp(it.head[2]).Add(1)}
	f := firing{window: w, timing: edged.OnTime, index: uint32(it.head[0]), last: true, watermark: o.watermark}
	o.spec.report(out, it.state, it.cells, f, by)
}

// Advance implements [State]. The watermark only matters when it says that the
// input has ended. Closing for silence works at any watermark.
func (o *counted) Advance(out *edged.Output, to edged.Timestamp, by Moment) {
	ended := to > o.watermark && to == edged.MaxTimestamp
	o.watermark = max(o.watermark, to)
	if !o.spec.Count.Partial || o.open.len() == 0 || !ended && !by.Cause.Closes() {
		return
	}
	for i := range o.open.len() {
		o.fire(out, i, by)
	}
	o.open.drop(0, o.open.len())
	step := o.spec.Count.step()
	o.base = (o.seen-1)/step + 1
	o.seen = o.base * step
}

// Tick implements [State]: nothing waits for processing time.
func (o *counted) Tick(*edged.Output, Moment) {}

// Watermark implements [State].
func (o *counted) Watermark() edged.Timestamp { return o.watermark }

// Open implements [State].
func (o *counted) Open() int { return o.open.len() }

// Pending implements [State]. Windows wait for time only if silence completes them;
// it does so also if the watermark is there already.
func (o *counted) Pending() (edged.Timestamp, bool) {
	last := edged.MinTimestamp
	for i := range o.open.len() {
		last = max(last, edged.Timestamp(o.open.at(i).head[2]).Add(1))
	}
	return last, o.spec.Count.Partial && o.open.len() > 0
}

// Bytes implements [State].
func (o *counted) Bytes() int { return o.open.bytes() }

// AppendBinary implements [State]. All integers are varints: the watermark, seen,
// base, the number of windows, and for each window its
// number less that of the one before, the earliest time, the latest less that, and
// the aggregates.
func (o *counted) AppendBinary(dst []byte) []byte {
	dst = binary.AppendVarint(dst, int64(o.watermark))
	dst = binary.AppendUvarint(dst, uint64(o.seen))
	dst = binary.AppendUvarint(dst, uint64(o.base))
	dst = binary.AppendUvarint(dst, uint64(o.open.len()))
	before := o.base
	for i := range o.open.len() {
		h := o.open.at(i).head
		dst = binary.AppendUvarint(dst, h[0]-uint64(before))
		dst = binary.AppendVarint(dst, int64(h[1]))
		dst = binary.AppendUvarint(dst, h[2]-h[1])
		dst = o.open.appendItem(dst, i, edged.Timestamp(h[1]))
		before = int64(h[0])
	}
	return dst
}

// Restore implements [State].
func (o *counted) Restore(data []byte) ([]byte, error) {
	d := decoder{stored.Reader{Data: data}}
	r := counted{spec: o.spec, watermark: edged.Timestamp(d.Varint()), open: newShelf(o.spec.Layout, 3)}
	seen, base, n := d.Uvarint(), d.Uvarint(), d.Uvarint()
	step, size := uint64(o.spec.Count.step()), uint64(o.spec.Count.Size)
	if d.Bad || seen > seenMax+1+step || base > (seen+step-1)/step || n > uint64(len(d.Data)) {
		return nil, fmt.Errorf("restore the count of a window's events: %w", ErrState)
	}
	r.seen, r.base = int64(seen), int64(base)
	before := base
	for i := range int(n) {
		number, first := before+d.Uvarint(), d.Varint()
		last := int64(uint64(first) + d.Uvarint())
		// It has begun and is not full, and so must be the ones before it.
		if d.Bad || number < before || i > 0 && number == before || seen == 0 || number > (seen-1)/step ||
			seen-number*step >= size || last < first {
			return nil, fmt.Errorf("restore window %d of %d: %w", i, n, ErrState)
		}
		it := r.open.insert(i)
		it.head[0], it.head[1], it.head[2] = number, uint64(first), uint64(last)
		if r.open.restoreItem(&d, i, edged.Timestamp(first)); d.Bad {
			return nil, fmt.Errorf("restore the columns of window %d of %d: %w", i, n, ErrState)
		}
		before = number
	}
	*o = r
	return d.Data, nil
}
