package changes

import (
	"encoding/binary"

	"edged"
	"edged/elements"
)

// lag remembers the last N values as a ring.
//
// As bytes: their number, and each from the oldest on.
type lag struct {
	holdsNothing
	config *Config
	last   []edged.Value
	oldest int // place of the oldest once there are N
}

func (d *lag) step(ev *edged.Event, on way) int {
	now := elements.CopyValue(valueOf(ev, d.config.Slot))
	if len(d.last) < d.config.N {
		find(ev, d.config.Into, edged.Value{})
		d.last = append(d.last, now)
		return on.pass(ev)
	}
	find(ev, d.config.Into, d.last[d.oldest])
	d.last[d.oldest] = now
	d.oldest = (d.oldest + 1) % len(d.last)
	return on.pass(ev)
}

func (d *lag) bytes() int {
	n := 48 + 32*cap(d.last)
	for _, v := range d.last {
		n += len(v.Text())
	}
	return n
}

func (d *lag) appendBinary(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(d.last)))
	for i := range d.last {
		dst = elements.AppendValue(dst, d.last[(d.oldest+i)%len(d.last)])
	}
	return dst
}

func (d *lag) restore(r *reader) {
	n := r.Uvarint()
	if r.Bad || n > uint64(d.config.N) {
		r.Fail()
		return
	}
	for range n {
		d.last = append(d.last, r.value())
	}
}
