package changes

import "edged"

// hadChanged remembers the value of the event before.
type hadChanged struct {
	holdsNothing
	config *Config
	before memory
}

func (d *hadChanged) step(ev *edged.Event, on way) int {
	now := valueOf(ev, d.config.Slot)
	changed := !d.before.known || now != d.before.value
	if changed {
		d.before.keep(now)
	}
	find(ev, d.config.Into, edged.BoolValue(changed))
	return on.pass(ev)
}

func (d *hadChanged) bytes() int                     { return 56 + len(d.before.value.Text()) }
func (d *hadChanged) appendBinary(dst []byte) []byte { return d.before.appendBinary(dst) }
func (d *hadChanged) restore(r *reader)              { d.before.restore(r) }

// deltaPrevious remembers the last number.
type deltaPrevious struct {
	holdsNothing
	config *Config
	before memory
}

func (d *deltaPrevious) step(ev *edged.Event, on way) int {
	now, delta := valueOf(ev, d.config.Slot), edged.Value{}
	if now.Kind == edged.Number {
		if d.before.known {
			delta = edged.NumberValue(now.Float() - d.before.value.Float())
		}
		d.before.keep(now)
	}
	find(ev, d.config.Into, delta)
	return on.pass(ev)
}

func (d *deltaPrevious) bytes() int                     { return 56 }
func (d *deltaPrevious) appendBinary(dst []byte) []byte { return d.before.appendBinary(dst) }

func (d *deltaPrevious) restore(r *reader) {
	d.before.restore(r)
	if d.before.known && d.before.value.Kind != edged.Number {
		r.Fail()
	}
}
