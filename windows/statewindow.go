package windows

import (
	"encoding/binary"
	"fmt"
	"strings"

	"edged"
	"edged/elements"
	"edged/stored"
)

// StateWindow cuts the events of a key where what they tell changes. It needs them
// in order of event time. Either Open and Close are given, or Change.
type StateWindow struct {
	// Open and Close are slots of truth values. A window begins with the first event
	// for which Open is true while none is open, takes all that follow, and ends with
	// the first for which Close is true, which belongs to it and may be the first
	// itself. It lasts until the millisecond after that. Events while no window is
	// open belong to none. -1: not given.
	Open, Close int

	// Change is the slot of a value. A window is a run of events with equal values,
	// null being a value like others, and lasts until the first event with another
	// one, which belongs to the next window. -1: not given.
	Change int

	// MaxDuration ends a window that many milliseconds after its first event if it
	// has not ended by then, at most [SizeMax]. 0: no limit.
	MaxDuration int64
}

// Validate joins everything that is wrong with the parameters.
func (p StateWindow) Validate() error {
	switch {
	case p.Change >= 0 && (p.Open >= 0 || p.Close >= 0):
		return fmt.Errorf("%w: windows of a state that open and close by conditions and also by change; use one of them", ErrSpec)
	case p.Change < 0 && (p.Open < 0 || p.Close < 0):
		return fmt.Errorf("%w: windows of a state need conditions that open and close them, or a value whose change does", ErrSpec)
	case p.MaxDuration < 0 || p.MaxDuration > SizeMax:
		return fmt.Errorf("%w: the longest duration is %d ms; it must be 1 to %d, or 0 for no limit", ErrSpec, p.MaxDuration, int64(SizeMax))
	}
	return nil
}

// end returns when a window that started at the time ends at the latest.
func (p StateWindow) end(start edged.Timestamp) edged.Timestamp {
	if p.MaxDuration == 0 {
		return edged.MaxTimestamp
	}
	return start.Add(p.MaxDuration)
}

// stateWindows is the state of [StateWindow].
type stateWindows struct {
	spec      *Spec
	watermark edged.Timestamp
	run       run
	value     edged.Value // that the open window is about, with Change

	// emitted is the last window that has fired and again how often before, as long
	// as another one may have the same bounds. times is 0 when there is none.
	emitted Window
	times   uint32
}

func newStateWindows(spec *Spec) State {
	return &stateWindows{spec: spec, watermark: edged.MinTimestamp, run: newRun(spec.Layout)}
}

// Add implements [State].
func (o *stateWindows) Add(out *edged.Output, ev *edged.Event, by Moment) {
	p, t := o.spec.StateWindow, ev.EventTime
	if behind(t, o.watermark) {
		late(out, ev, moment(t), o.watermark)
		return
	}
	var value edged.Value
	if uint(p.Change) < uint(len(ev.Values)) {
		value = ev.Values[p.Change]
	}
	if o.run.open() {
		first, _ := o.run.times()
		if p.MaxDuration > 0 && t.Sub(first) >= p.MaxDuration {
			o.close(out, p.end(first), by)
		} else if p.Change >= 0 && value != o.value {
			o.close(out, max(first, t), by)
		}
	}
	if !o.run.open() {
		if p.Change < 0 && !truth(ev, p.Open) {
			out.Unassigned++
			return
		}
		o.run.begin(t)
		o.value = own(value)
	}
	o.run.add(ev)
	o.forget()
	if p.Change < 0 && truth(ev, p.Close) {
		_, last := o.run.times()
		o.close(out, last.Add(1), by)
	}
}

// own returns v with a text of its own: events only lend theirs.
func own(v edged.Value) edged.Value {
	switch v.Kind {
	case edged.Text:
		return edged.TextValue(strings.Clone(v.Text()))
	case edged.JSON:
		return edged.JSONValue(strings.Clone(v.Text()))
	}
	return v
}

// close fires the open window, which ends at the time.
func (o *stateWindows) close(out *edged.Output, end edged.Timestamp, by Moment) {
	first, _ := o.run.times()
	if w := (Window{Start: first, End: end}); w != o.emitted {
		o.emitted, o.times = w, 0
	}
	o.run.close(o.spec, out, firing{window: o.emitted, index: o.times, watermark: o.watermark}, by)
	o.times++
	o.value = edged.Value{}
	o.forget()
}

// Advance implements [State]. A window that is open when the key has gone silent, is
// drained, or the input has ended lasts until the millisecond after its last event.
// Closing for silence works at any watermark.
func (o *stateWindows) Advance(out *edged.Output, to edged.Timestamp, by Moment) {
	ended := to > o.watermark && to == edged.MaxTimestamp || by.Cause.Closes()
	o.watermark = max(o.watermark, to)
	if o.run.open() {
		first, last := o.run.times()
		if ended {
			o.close(out, last.Add(1), by)
		} else if end := o.spec.StateWindow.end(first); o.watermark >= end {
			o.close(out, end, by)
		}
	}
	o.forget()
}

// forget drops the emitted window when no other can have its bounds any more: none
// that is open or is yet to open starts where it did.
func (o *stateWindows) forget() {
	again := o.emitted.Start >= o.watermark
	if o.run.open() {
		first, _ := o.run.times()
		again = first == o.emitted.Start
	}
	if o.times == 0 || !again {
		o.emitted, o.times = Window{}, 0
	}
}

// Tick implements [State]: nothing waits for processing time.
func (o *stateWindows) Tick(*edged.Output, Moment) {}

// Watermark implements [State].
func (o *stateWindows) Watermark() edged.Timestamp { return o.watermark }

// Open implements [State].
func (o *stateWindows) Open() int { return o.run.count() }

// Pending implements [State]. Silence closes an open window also if the watermark
// is there already.
func (o *stateWindows) Pending() (edged.Timestamp, bool) {
	if !o.run.open() {
		return edged.MinTimestamp, false
	}
	_, last := o.run.times()
	return last.Add(1), true
}

// Bytes implements [State].
func (o *stateWindows) Bytes() int { return o.run.bytes() + len(o.value.Text()) }

// AppendBinary implements [State]: the watermark, the open window with its value,
// and the emitted one. Without one, times is 0 and nothing follows.
func (o *stateWindows) AppendBinary(dst []byte) []byte {
	dst = binary.AppendVarint(dst, int64(o.watermark))
	dst = o.run.appendBinary(dst)
	if o.run.open() && o.spec.StateWindow.Change >= 0 {
		dst = elements.AppendValue(dst, o.value)
	}
	dst = binary.AppendUvarint(dst, uint64(o.times))
	if o.times > 0 {
		dst = binary.AppendVarint(dst, int64(o.emitted.Start))
		dst = binary.AppendUvarint(dst, uint64(o.emitted.End)-uint64(o.emitted.Start))
	}
	return dst
}

// Restore implements [State].
func (o *stateWindows) Restore(data []byte) ([]byte, error) {
	d := decoder{stored.Reader{Data: data}}
	r := stateWindows{spec: o.spec, watermark: edged.Timestamp(d.Varint()), run: newRun(o.spec.Layout)}
	r.run.restore(&d)
	if r.run.open() && o.spec.StateWindow.Change >= 0 && !d.Bad {
		value, rest, err := elements.ReadValue(d.Data)
		r.value, d.Data, d.Bad = value, rest, err != nil
	}
	times := d.Uvarint()
	if r.times = uint32(times); times > 0 {
		r.emitted.Start = edged.Timestamp(d.Varint())
		r.emitted.End = edged.Timestamp(uint64(r.emitted.Start) + d.Uvarint())
	}
	if d.Bad || times > 1<<31 || r.emitted.End < r.emitted.Start {
		return nil, fmt.Errorf("restore the window of a state: %w", ErrState)
	}
	r.forget()
	*o = r
	return d.Data, nil
}
