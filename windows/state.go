package windows

import (
	"edged/stored"
	"encoding/binary"
	"fmt"
	"math"

	"edged"
)

// The state of an operator as bytes, all integers being varints:
//
//	watermark   signed
//	windows     count
//	window      start   signed, less the start of the window before
//	            length  End - Start
//	            fired   number of panes
//	            trigger only if it counts:
//	                    events since the last pane, processing time of the first
//	                    marks of the sections
//	                    only with an until: all events, processing time of the first
//	            state   see agg.Layout; times are relative to the start
//	            said    only if retracting, and fired: end of the span less the start,
//	                    state
//	retractions only of sessions: count
//	retraction  start, length, as of windows
//	            index
//	            said    only if retracting
//
// Processing times are relative to the start, and 0 without events.

// AppendBinary implements [State].
func (o *Operator) AppendBinary(dst []byte) []byte {
	f := o.shape
	dst = binary.AppendVarint(dst, int64(o.watermark))
	dst = binary.AppendUvarint(dst, uint64(o.Open()))
	var before edged.Timestamp
	for i := range o.Open() {
		p := o.pane(i)
		w := p.window()
		dst = appendWindow(dst, w, before)
		dst = binary.AppendUvarint(dst, uint64(p.fired()))
		if f.counts() {
			dst = appendTally(dst, p.tally(), w.Start)
			dst = binary.AppendUvarint(dst, p.words[paneMarks])
			if f.state > paneAll {
				dst = appendTally(dst, p.total(), w.Start)
			}
		}
		state, cells := f.contents(p)
		dst = f.layout.AppendBinary(dst, state, cells, w.Start)
		if f.last > 0 && p.fired() > 0 {
			state, cells := f.said(p)
			dst = binary.AppendVarint(dst, int64(state[0])-int64(w.Start))
			dst = f.layout.AppendBinary(dst, state[1:], cells, w.Start)
		}
		before = w.Start
	}
	if f.spec.Empty {
		dst = binary.AppendVarint(dst, int64(o.annex.begun))
	}
	if f.spec.Session == nil {
		return dst
	}
	dst = binary.AppendUvarint(dst, uint64(len(o.annex.gone)))
	before = 0
	for i := range o.annex.gone {
		r := &o.annex.gone[i]
		dst = appendWindow(dst, r.window, before)
		dst = binary.AppendUvarint(dst, uint64(r.index))
		if f.last > 0 {
			dst = binary.AppendVarint(dst, int64(r.end)-int64(r.window.Start))
			dst = f.layout.AppendBinary(dst, r.state, r.cells, r.window.Start)
		}
		before = r.window.Start
	}
	return dst
}

func appendWindow(dst []byte, w Window, before edged.Timestamp) []byte {
	dst = binary.AppendVarint(dst, int64(w.Start)-int64(before))
	return binary.AppendUvarint(dst, uint64(w.End)-uint64(w.Start))
}

func appendTally(dst []byte, t tally, origin edged.Timestamp) []byte {
	dst = binary.AppendUvarint(dst, t.events)
	if t.events > 0 {
		dst = binary.AppendVarint(dst, int64(t.first)-int64(origin))
	}
	return dst
}

// Restore implements [State]. If the allowed lateness was longer then, the windows
// that have expired by now are gone; those that may have something new to say fire
// it and go with the next advance.
func (o *Operator) Restore(data []byte) ([]byte, error) {
	d := decoder{stored.Reader{Data: data}}
	r := newOperator(o.shape)
	r.watermark = edged.Timestamp(d.Varint())
	if err := r.restoreEach(&d, "window", r.restoreWindow); err != nil {
		return nil, err
	}
	if o.shape.spec.Empty {
		r.annex.begun = edged.Timestamp(d.Varint())
	}
	if o.shape.spec.Session != nil {
		if err := r.restoreEach(&d, "retraction", r.restoreRetraction); err != nil {
			return nil, err
		}
	}
	if !o.shape.counts() && !o.shape.spec.Trigger.FinalOnly {
		r.expire() // they have fired with their last event
	}
	r.due, r.tick = edged.MinTimestamp, edged.MinTimestamp // look again
	*o = r
	return d.Data, nil
}

// restoreEach reads a count, and so many of something.
func (o *Operator) restoreEach(d *decoder, what string, one func(*decoder)) error {
	n := d.Uvarint()
	if d.Bad || n > uint64(len(d.Data)) { // each takes more than one byte
		return fmt.Errorf("restore %d %ss from %d bytes: %w", n, what, len(d.Data), ErrState)
	}
	for i := range n {
		if one(d); d.Bad {
			return fmt.Errorf("restore %s %d of %d: %w", what, i, n, ErrState)
		}
	}
	return nil
}

// restoreWindow reads one window and appends it. d is bad afterwards unless the
// windows are in order.
func (o *Operator) restoreWindow(d *decoder) {
	f, n := o.shape, o.Open()
	var before Window
	if n > 0 {
		before = o.pane(n - 1).window()
	}
	w := d.window(before.Start)
	fired := d.Uvarint()
	apart := f.spec.Session == nil || before.End < w.Start
	if d.Bad || fired > math.MaxUint32 || n > 0 && (before.compare(w) >= 0 || !apart) {
		d.Bad = true
		return
	}
	p := o.insert(n, w)
	p.words[paneFired] = fired
	if f.counts() {
		p.setTally(paneEvents, d.tally(w.Start))
		p.words[paneMarks] = d.Uvarint()
		if f.state > paneAll {
			p.setTally(paneAll, d.tally(w.Start))
		}
		d.Bad = d.Bad || !f.sound(p.words[paneMarks])
	}
	state, cells := f.contents(p)
	d.contents(f, state, cells, w.Start)
	if f.last > 0 && fired > 0 {
		said, cells := f.said(p)
		said[0] = uint64(int64(w.Start) + d.Varint())
		d.contents(f, said[1:], cells, w.Start)
	}
}

// restoreRetraction reads one retraction and appends it. d is bad afterwards
// unless they are in order, and inside of open windows.
func (o *Operator) restoreRetraction(d *decoder) {
	f := o.shape
	var before Window
	if n := len(o.annex.gone); n > 0 {
		before = o.annex.gone[n-1].window
	}
	r := retraction{window: d.window(before.Start)}
	index := d.Uvarint()
	r.index = uint32(index)
	if d.Bad || index > math.MaxUint32 || len(o.annex.gone) > 0 && before.compare(r.window) >= 0 || !o.owned(r.window) {
		d.Bad = true
		return
	}
	if f.last > 0 {
		r.end = edged.Timestamp(int64(r.window.Start) + d.Varint())
		r.state = make([]uint64, f.layout.Words())
		if n := f.layout.Cells(); n > 0 {
			r.cells = make([][]byte, n)
		}
		d.contents(f, r.state, r.cells, r.window.Start)
	}
	o.annex.gone = append(o.annex.gone, r)
}

// sound reports whether marks can be those of a pane.
func (f *shape) sound(marks uint64) bool {
	var known uint64
	for _, s := range []*section{f.early, f.late} {
		if s == nil {
			continue
		}
		if !s.when.sound(marks) {
			return false
		}
		known |= s.done | s.when.mask()
	}
	return marks&^known == 0
}

// decoder reads what the states of this package have in common.
type decoder struct{ stored.Reader }

// window reads bounds. The start is stored less before.
func (d *decoder) window(before edged.Timestamp) Window {
	start := edged.Timestamp(d.Varint() + int64(before))
	w := Window{Start: start, End: edged.Timestamp(uint64(start) + d.Uvarint())}
	d.Bad = d.Bad || w.End < w.Start
	return w
}

// tally reads a tally. Nobody lives to count as far as half of what fits.
func (d *decoder) tally(origin edged.Timestamp) tally {
	t := tally{events: d.Uvarint()}
	if t.events > 0 {
		t.first = edged.Timestamp(d.Varint() + int64(origin))
	}
	d.Bad = d.Bad || t.events > math.MaxUint64/4
	return t
}

// contents reads the state of aggregates.
func (d *decoder) contents(f *shape, state []uint64, cells [][]byte, origin edged.Timestamp) {
	if d.Bad {
		return
	}
	rest, err := f.layout.Restore(state, cells, d.Data, origin)
	d.Data, d.Bad = rest, err != nil
}
