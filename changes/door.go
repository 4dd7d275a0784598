package changes

import (
	"encoding/binary"
	"math"

	"edged"
	"edged/elements"
)

// swingingDoor remembers where the line began, at the last event that passed, the
// event that may become its end, and between which slopes the line must stay to
// come within the deviation of all that lie under it.
//
//	           upper ╱      The doors turn on the beginning, a deviation above and
//	               ╱ ·  ╱   below it; each sample may only close them further.
//	┌───────────╱─·──╱      The line from the beginning to the next sample must lie
//	●beginning  ·  ╱ lower  between them. If it does not, the sample held is its end.
//	└───────────╱
//
// Invariant: an event is held only if a line has begun. It is at the end of a line
// that lies between the slopes.
type swingingDoor struct {
	config *Config

	begun        bool
	at           edged.Timestamp // of the beginning
	value        float64         // of the beginning
	lower, upper float64         // slopes per millisecond; 0 while nothing is held
	end          elements.Buffer // the event held
}

// step implements detector.
func (d *swingingDoor) step(ev *edged.Event, on way) (suppressed int) {
	find(ev, d.config.Into, edged.BoolValue(true))
	now := valueOf(ev, d.config.Slot)
	if now.Kind != edged.Number {
		suppressed = d.flush(ev, on)
		d.begun = false
		d.at, d.value = 0, 0
		return suppressed + on.pass(ev)
	}
	t, v := max(ev.EventTime, d.newest()), now.Float()
	if !d.fits(t, v) {
		suppressed = d.flush(ev, on)
	}
	switch {
	case !d.fits(t, v): // it cannot be reached by any line: a new one begins
		d.begin(t, v)
		return suppressed + on.pass(ev)
	case t == d.at: // the beginning stands for it
		return suppressed + 1
	}
	suppressed += d.end.Len()
	if d.config.overdue(d.at, t) {
		d.end.Clear()
		d.begin(t, v)
		return suppressed + on.pass(ev)
	}
	d.narrow(t, v)
	d.end.Clear()
	d.end.Add(ev)
	return suppressed
}

// newest returns the time that the next event is not expected to be before.
func (d *swingingDoor) newest() edged.Timestamp {
	newest := edged.MinTimestamp
	if d.begun {
		newest = d.at
	}
	if t, ok := d.held(); ok {
		newest = max(newest, t)
	}
	return newest
}

// begin starts a line.
func (d *swingingDoor) begin(t edged.Timestamp, v float64) {
	d.begun, d.at, d.value = true, t, v
	d.lower, d.upper = 0, 0
}

// fits reports whether a line from the beginning to the sample is within the
// deviation of all samples in between.
func (d *swingingDoor) fits(t edged.Timestamp, v float64) bool {
	if !d.begun {
		return false
	}
	since := t.Sub(d.at)
	switch {
	case since <= 0:
		return math.Abs(v-d.value) <= d.config.By
	case since == math.MaxInt64: // it may be more: nobody can compute a slope
		return false
	}
	slope := (v - d.value) / float64(since)
	if math.IsInf(slope, 0) {
		return false
	}
	return d.end.Len() == 0 || d.lower <= slope && slope <= d.upper
}

// narrow closes the doors as far as a sample that the line passes demands.
func (d *swingingDoor) narrow(t edged.Timestamp, v float64) {
	since := float64(t.Sub(d.at))
	lower, upper := (v-d.config.By-d.value)/since, (v+d.config.By-d.value)/since
	if d.end.Len() > 0 {
		lower, upper = max(lower, d.lower), min(upper, d.upper)
	}
	d.lower, d.upper = lower, upper
}

// flush implements detector: the line ends at the event held, and the next one
// begins there. ev is put back as it was.
func (d *swingingDoor) flush(ev *edged.Event, on way) (suppressed int) {
	if d.end.Len() == 0 {
		return 0
	}
	now := *ev
	d.end.Event(0, ev)
	d.begin(max(ev.EventTime, d.at), valueOf(ev, d.config.Slot).Float())
	suppressed = on.pass(ev)
	*ev = now
	d.end.Clear()
	return suppressed
}

// held implements detector.
func (d *swingingDoor) held() (edged.Timestamp, bool) {
	if d.end.Len() == 0 {
		return 0, false
	}
	return d.end.At(0).Time, true
}

func (d *swingingDoor) bytes() int { return 112 + d.end.Bytes() }

// appendBinary implements detector: 0 while no line has begun, else 1, its time as
// a varint, its value, and the event held as elements. If there is one, the slopes
// follow as 8 bytes each.
func (d *swingingDoor) appendBinary(dst []byte) []byte {
	if !d.begun {
		return append(dst, 0)
	}
	dst = binary.AppendVarint(append(dst, 1), int64(d.at))
	dst = elements.AppendValue(dst, edged.NumberValue(d.value))
	dst = d.end.AppendBinary(dst)
	if d.end.Len() > 0 {
		dst = appendFloat(dst, d.lower)
		dst = appendFloat(dst, d.upper)
	}
	return dst
}

// restore implements detector.
func (d *swingingDoor) restore(r *reader) {
	if d.begun = r.Flag(); !d.begun {
		return
	}
	d.at = edged.Timestamp(r.Varint())
	v := r.value()
	d.value = v.Float()
	rest, err := d.end.Restore(r.Data)
	if err != nil || r.Bad || v.Kind != edged.Number || d.end.Len() > 1 {
		r.Fail()
		return
	}
	if r.Data = rest; d.end.Len() > 0 {
		d.lower, d.upper = r.float(), r.float()
	}
}
