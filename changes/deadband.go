package changes

import (
	"encoding/binary"
	"math"

	"edged"
)

// deadband remembers the value of the last event that passed, and when that was.
//
// As bytes: the value as a memory and, if there is one, the time as a varint.
type deadband struct {
	holdsNothing
	config *Config
	passed memory
	at     edged.Timestamp
}

func (d *deadband) step(ev *edged.Event, on way) int {
	now := valueOf(ev, d.config.Slot)
	pass := !d.passed.known || d.differs(now) || d.config.overdue(d.at, ev.EventTime)
	if pass {
		d.passed.keep(now)
		d.at = ev.EventTime
	}
	find(ev, d.config.Into, edged.BoolValue(pass))
	if !pass && !d.config.Keep {
		return 1
	}
	return on.pass(ev)
}

// differs reports whether a value is outside the band around the last that passed.
func (d *deadband) differs(now edged.Value) bool {
	last := d.passed.value
	if now.Kind != edged.Number || last.Kind != edged.Number {
		return now != last
	}
	width := d.config.By
	if d.config.Percent {
		width = width / 100 * math.Abs(last.Float())
	}
	return math.Abs(now.Float()-last.Float()) > width
}

// overdue reports whether an event at t passes because the last that passed, at
// before, is so long ago.
func (c *Config) overdue(before, t edged.Timestamp) bool {
	return c.MaxInterval > 0 && t.Sub(before) >= c.MaxInterval
}

func (d *deadband) bytes() int { return 64 + len(d.passed.value.Text()) }

func (d *deadband) appendBinary(dst []byte) []byte {
	dst = d.passed.appendBinary(dst)
	if d.passed.known {
		dst = binary.AppendVarint(dst, int64(d.at))
	}
	return dst
}

func (d *deadband) restore(r *reader) {
	if d.passed.restore(r); d.passed.known {
		d.at = edged.Timestamp(r.Varint())
	}
}
