package windows

import (
	"encoding/binary"
	"fmt"

	"edged"
	"edged/stored"
	"edged/windows/agg"
)

// Capped gathers events with short gaps between them into sessions, like [Session],
// but ends a session at a certain length at the latest: the next event starts
// another one. It needs events in order of event time, for a session that is full
// could not be divided again when an early event comes.
type Capped struct {
	// Gap is how long after an event the next one may come to be of the same
	// session, in milliseconds, 1 to [SizeMax].
	Gap int64

	// Max is the longest duration of a session in milliseconds, 1 to [SizeMax].
	Max int64
}

// Validate joins everything that is wrong with the parameters.
func (c Capped) Validate() error {
	switch {
	case c.Gap < 1 || c.Gap > SizeMax:
		return fmt.Errorf("%w: the gap of sessions is %d ms; it must be 1 to %d", ErrSpec, c.Gap, int64(SizeMax))
	case c.Max < 1 || c.Max > SizeMax:
		return fmt.Errorf("%w: the longest session is %d ms; it must be 1 to %d", ErrSpec, c.Max, int64(SizeMax))
	}
	return nil
}

// capped is the state of [Capped] sessions: at most one, because events come in order.
type capped struct {
	spec      *Spec
	watermark edged.Timestamp
	run       run
}

func newCapped(spec *Spec) State {
	return &capped{spec: spec, watermark: edged.MinTimestamp, run: newRun(spec.Layout)}
}

// window returns the session as it is, which is open.
func (o *capped) window() Window {
	first, last := o.run.times()
	return Window{Start: first, End: min(last.Add(o.spec.Capped.Gap), first.Add(o.spec.Capped.Max))}
}

// Add implements [State]. Like sessions without a limit, one takes an event at the
// very end of its gap.
func (o *capped) Add(out *edged.Output, ev *edged.Event, by Moment) {
	t := ev.EventTime
	if behind(t, o.watermark) {
		late(out, ev, moment(t), o.watermark)
		return
	}
	if o.run.open() {
		first, last := o.run.times()
		if t.Sub(last) > o.spec.Capped.Gap || t.Sub(first) >= o.spec.Capped.Max {
			o.close(out, by)
		}
	}
	if !o.run.open() {
		o.run.begin(t)
	}
	o.run.add(ev)
}

func (o *capped) close(out *edged.Output, by Moment) {
	o.run.close(o.spec, out, firing{window: o.window(), watermark: o.watermark}, by)
}

// Advance implements [State].
func (o *capped) Advance(out *edged.Output, to edged.Timestamp, by Moment) {
	o.watermark = max(o.watermark, to)
	if o.run.open() && o.watermark >= o.window().End {
		o.close(out, by)
	}
}

// Tick implements [State]: nothing waits for processing time.
func (o *capped) Tick(*edged.Output, Moment) {}

// Watermark implements [State].
func (o *capped) Watermark() edged.Timestamp { return o.watermark }

// Open implements [State].
func (o *capped) Open() int { return o.run.count() }

// Pending implements [State].
func (o *capped) Pending() (edged.Timestamp, bool) {
	if !o.run.open() {
		return edged.MinTimestamp, false
	}
	return o.window().End, true
}

// Bytes implements [State].
func (o *capped) Bytes() int { return o.run.bytes() }

// AppendBinary implements [State]: the watermark and the session.
func (o *capped) AppendBinary(dst []byte) []byte {
	return o.run.appendBinary(binary.AppendVarint(dst, int64(o.watermark)))
}

// Restore implements [State]. A session that has ended, by a longer limit than
// there is now, fires with the next watermark or event.
func (o *capped) Restore(data []byte) ([]byte, error) {
	d := decoder{stored.Reader{Data: data}}
	r := capped{spec: o.spec, watermark: edged.Timestamp(d.Varint()), run: newRun(o.spec.Layout)}
	if r.run.restore(&d); d.Bad {
		return nil, fmt.Errorf("restore a session: %w", ErrState)
	}
	*o = r
	return d.Data, nil
}

// run is the one window that is open where windows follow each other: a shelf of
// one item or none, whose head is the earliest and the latest event time.
type run struct{ shelf }

func newRun(layout *agg.Layout) run { return run{newShelf(layout, 2)} }

func (r *run) open() bool { return len(r.words) > 0 }
func (r *run) count() int { return min(1, len(r.words)) }

func (r *run) times() (first, last edged.Timestamp) {
	return edged.Timestamp(r.words[0]), edged.Timestamp(r.words[1])
}

// begin opens a window without events at the time.
func (r *run) begin(t edged.Timestamp) {
	head := r.insert(0).head
	head[0], head[1] = uint64(t), uint64(t)
}

// add folds an event into the open window. Should it come out of order, it does
// not change where the window starts.
func (r *run) add(ev *edged.Event) {
	it := r.at(0)
	it.head[1] = uint64(max(edged.Timestamp(it.head[1]), ev.EventTime))
	r.layout.Add(it.state, it.cells, ev.Values, ev.EventTime)
}

// close fires the window, on time and for the last time, and forgets it.
func (r *run) close(spec *Spec, out *edged.Output, f firing, by Moment) {
	it := r.at(0)
	f.timing, f.last = edged.OnTime, true
	spec.report(out, it.state, it.cells, f, by)
	r.drop(0, 1)
}

// appendBinary appends 0, or 1, the first time, the last less the first, and the
// aggregates.
func (r *run) appendBinary(dst []byte) []byte {
	if !r.open() {
		return append(dst, 0)
	}
	first, last := r.times()
	dst = binary.AppendVarint(append(dst, 1), int64(first))
	dst = binary.AppendUvarint(dst, uint64(last)-uint64(first))
	return r.appendItem(dst, 0, first)
}

// restore reads what appendBinary wrote into a run that is not open.
func (r *run) restore(d *decoder) {
	switch d.Uvarint() {
	case 0:
		return
	case 1:
		r.begin(edged.Timestamp(d.Varint()))
	default:
		d.Bad = true
		return
	}
	r.words[1] = r.words[0] + d.Uvarint()
	first, last := r.times()
	d.Bad = d.Bad || last < first
	r.restoreItem(d, 0, first)
}
