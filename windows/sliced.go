package windows

import (
	"edged/stored"
	"encoding/binary"
	"fmt"
	"math"
	"sort"

	"edged"
)

// sliced is the state of [Hopping] windows that overlap. An event is folded into
// one slice of time instead of into every window, and the slices of a window are
// merged when it fires: the paired windows of Krishnamurthy, Wu and Franklin,
// "On-the-fly sharing for streamed aggregation", SIGMOD 2006. It fires what
// [Operator] would, as long as merging is what folding in turn would have given.
//
// Invariant: no slice and no firing is of expired windows only.
type sliced struct {
	grid      grid
	spec      *Spec
	watermark edged.Timestamp
	slices    shelf    // in order; the head is the slice's number
	fired     []firedN // in order; only with an allowed lateness

	// Derived: due is the lowest watermark that has anything to fire or to drop.
	due edged.Timestamp
	sum merger
}

// firedN says how often a window has fired, which is at least once.
type firedN struct {
	window int64
	times  uint32
}

func newSliced(spec *Spec) State { return makeSliced(spec) }

func makeSliced(spec *Spec) *sliced {
	g := newGrid(spec.Assigner.(Hopping))
	return &sliced{
		grid: g, spec: spec, watermark: edged.MinTimestamp, due: edged.MaxTimestamp,
		slices: newShelf(spec.Layout, 1), sum: newMerger(spec.Layout, g),
	}
}

// Add implements [State].
func (o *sliced) Add(out *edged.Output, ev *edged.Event, by Moment) {
	t := ev.EventTime
	n := o.grid.slice(t)
	first, last := o.grid.windowsOf(n)
	behind := behind(t, o.watermark)
	if behind {
		// Only then may a window have ended or a slice have been merged.
		o.sum.forget()
		for first <= last && o.expired(first) {
			miss(out, ev, o.grid.window(first), false)
			first++
		}
		if first > last {
			out.Late++
			refuse(out, ev, o.grid.window(last).End, o.watermark)
			return
		}
	}
	at, ok := o.find(n)
	if !ok {
		if o.slices.len() >= o.spec.openMax() {
			o.overflow(out, ev, first, last)
			return
		}
		o.slices.insert(at).head[0] = uint64(n)
		o.due = min(o.due, o.dropAt(n), o.nextEnd(first))
	}
	it := o.slices.at(at)
	o.spec.Layout.Add(it.state, it.cells, ev.Values, t)
	if behind {
		for k := first; k <= last && o.grid.window(k).End <= o.watermark; k++ {
			o.fire(out, k, edged.Late, by)
		}
	}
}

// overflow reports an event for which there is no slice.
func (o *sliced) overflow(out *edged.Output, ev *edged.Event, first, last int64) {
	for k := first; k <= last; k++ {
		out.Overflow++
		miss(out, ev, o.grid.window(k), true)
	}
	refuse(out, ev, o.grid.window(last).End, o.watermark)
}

func (o *sliced) expired(k int64) bool { return o.watermark >= o.spec.expiry(o.grid.window(k)) }

// dropAt returns the watermark at which the slice is dropped.
func (o *sliced) dropAt(n int64) edged.Timestamp {
	_, last := o.grid.windowsOf(n)
	return o.spec.expiry(o.grid.window(last))
}

// nextEnd returns the end of the first window from the k-th on that has not ended.
func (o *sliced) nextEnd(k int64) edged.Timestamp {
	if end := o.grid.window(k).End; end > o.watermark {
		return end
	}
	return o.grid.window(o.grid.ended(o.watermark) + 1).End
}

// find returns the place of a slice and whether it is there. Events are mostly of
// the latest slice, so that is looked at first.
func (o *sliced) find(n int64) (int, bool) {
	count := o.slices.len()
	if count == 0 {
		return 0, false
	}
	if latest := o.slices.number(count - 1); latest <= n {
		return count - b2i(latest == n), latest == n
	}
	i := o.slices.search(n)
	return i, o.slices.number(i) == n
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Advance implements [State].
func (o *sliced) Advance(out *edged.Output, to edged.Timestamp, by Moment) {
	if to <= o.watermark {
		return
	}
	from := o.watermark
	o.watermark = to
	if to < o.due {
		return
	}
	k, end := o.grid.ended(from)+1, o.grid.ended(to)
	i := o.slices.search(o.grid.first(k))
	for i < o.slices.len() {
		first, last := o.grid.windowsOf(o.slices.number(i))
		if k = max(k, first); k > end {
			break
		}
		if k > last {
			i++
			continue
		}
		o.fire(out, k, edged.OnTime, by)
		k++
	}
	o.expire()
}

// fire reports the k-th window, which has events.
func (o *sliced) fire(out *edged.Output, k int64, timing edged.Timing, by Moment) {
	it := o.sum.window(&o.slices, k)
	w := o.grid.window(k)
	f := firing{window: w, timing: timing, watermark: o.watermark, last: o.watermark >= o.spec.expiry(w)}
	if !f.last { // the last firing is the only one: there are no early ones
		f.index = o.count(k)
	}
	o.spec.report(out, it.state, it.cells, f, by)
}

// count counts a firing of the k-th window, and returns how many there were before.
func (o *sliced) count(k int64) uint32 {
	i := sort.Search(len(o.fired), func(i int) bool { return o.fired[i].window >= k })
	if i == len(o.fired) || o.fired[i].window != k {
		o.fired = append(o.fired, firedN{})
		copy(o.fired[i+1:], o.fired[i:])
		o.fired[i] = firedN{window: k}
	}
	o.due = min(o.due, o.spec.expiry(o.grid.window(k)))
	before := o.fired[i].times
	o.fired[i].times = min(before, math.MaxUint32-1) + 1
	return before
}

// expire drops what is of expired windows only, and recomputes due.
func (o *sliced) expire() {
	gone := 0
	for gone < o.slices.len() && o.dropAt(o.slices.number(gone)) <= o.watermark {
		gone++
	}
	if gone > 0 {
		o.slices.drop(0, gone)
	}
	gone = 0
	for gone < len(o.fired) && o.expired(o.fired[gone].window) {
		gone++
	}
	o.fired = append(o.fired[:0], o.fired[gone:]...)
	o.due = edged.MaxTimestamp
	if o.slices.len() == 0 {
		o.fired = o.fired[:0] // only stored bytes that are not ours have firings without events
		o.sum.forget()
		return
	}
	o.due = o.dropAt(o.slices.number(0))
	if len(o.fired) > 0 {
		o.due = min(o.due, o.spec.expiry(o.grid.window(o.fired[0].window)))
	}
	next := o.grid.ended(o.watermark) + 1
	if i := o.slices.search(o.grid.first(next)); i < o.slices.len() {
		first, _ := o.grid.windowsOf(o.slices.number(i))
		o.due = min(o.due, o.grid.window(max(next, first)).End)
	}
}

// Tick implements [State]: nothing waits for processing time.
func (o *sliced) Tick(*edged.Output, Moment) {}

// Watermark implements [State].
func (o *sliced) Watermark() edged.Timestamp { return o.watermark }

// Open implements [State]: the number of slices, which are what is kept.
func (o *sliced) Open() int { return o.slices.len() }

// Pending implements [State].
func (o *sliced) Pending() (edged.Timestamp, bool) {
	if o.slices.len() == 0 {
		return o.watermark, false
	}
	_, last := o.grid.windowsOf(o.slices.number(o.slices.len() - 1))
	end := max(o.watermark, o.grid.window(last).End)
	return end, end > o.watermark
}

// Bytes implements [State]. While windows fire, as much again as the slices take is
// needed to merge them.
func (o *sliced) Bytes() int { return 2*o.slices.bytes() + 16*len(o.fired) }

// AppendBinary implements [State]. All integers are varints: the watermark; the
// number of slices, and for each its number, the first signed and the others less
// the one before, and the aggregates; the number of windows that have fired, and
// for each its number alike, and how often.
func (o *sliced) AppendBinary(dst []byte) []byte {
	dst = binary.AppendVarint(dst, int64(o.watermark))
	dst = binary.AppendUvarint(dst, uint64(o.slices.len()))
	before := int64(0)
	for i := range o.slices.len() {
		n := o.slices.number(i)
		dst = appendNumber(dst, i, n, before)
		dst = o.slices.appendItem(dst, i, o.grid.start(n))
		before = n
	}
	dst = binary.AppendUvarint(dst, uint64(len(o.fired)))
	before = 0
	for i, f := range o.fired {
		dst = binary.AppendUvarint(appendNumber(dst, i, f.window, before), uint64(f.times))
		before = f.window
	}
	return dst
}

// appendNumber appends the i-th of ascending numbers.
func appendNumber(dst []byte, i int, n, before int64) []byte {
	if i == 0 {
		return binary.AppendVarint(dst, n)
	}
	return binary.AppendUvarint(dst, uint64(n)-uint64(before))
}

// Restore implements [State]. What has expired under a shorter lateness than there
// was is dropped.
func (o *sliced) Restore(data []byte) ([]byte, error) {
	d := decoder{stored.Reader{Data: data}}
	r := makeSliced(o.spec)
	r.watermark = edged.Timestamp(d.Varint())
	lowest, highest := r.grid.slice(edged.MinTimestamp), r.grid.slice(edged.MaxTimestamp)
	before := int64(0)
	slices := d.Uvarint()
	for i := 0; uint64(i) < slices; i++ {
		n := d.number(i, before)
		if d.Bad || n < lowest || n > highest {
			return nil, fmt.Errorf("restore slice %d of %d: %w", i, slices, ErrState)
		}
		r.slices.insert(i).head[0] = uint64(n)
		if r.slices.restoreItem(&d, i, r.grid.start(n)); d.Bad {
			return nil, fmt.Errorf("restore the columns of slice %d of %d: %w", i, slices, ErrState)
		}
		before = n
	}
	first, _ := r.grid.windowsOf(lowest)
	_, last := r.grid.windowsOf(highest)
	fired := d.Uvarint()
	for i := 0; uint64(i) < fired; i++ {
		k := d.number(i, before)
		times := d.Uvarint()
		if d.Bad || k < first || k > last || times == 0 || times > math.MaxUint32 {
			return nil, fmt.Errorf("restore the firings of window %d of %d: %w", i, fired, ErrState)
		}
		r.fired = append(r.fired, firedN{k, uint32(times)})
		before = k
	}
	if d.Bad {
		return nil, fmt.Errorf("restore the slices of windows: %w", ErrState)
	}
	r.expire()
	*o = *r
	return d.Data, nil
}

// number reads the i-th of ascending numbers.
func (d *decoder) number(i int, before int64) int64 {
	if i == 0 {
		return d.Varint()
	}
	n := int64(uint64(before) + d.Uvarint())
	d.Bad = d.Bad || n <= before
	return n
}
