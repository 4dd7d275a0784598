package changes

import (
	"encoding/binary"
	"fmt"

	"edged"
	"edged/elements"
	"edged/stored"
)

// Emit takes an event that passes. The event and its values are lent for the call.
type Emit func(ev *edged.Event)

// detector is what one function remembers of one key.
type detector interface {
	// step looks at an event, writes its finding into it and sends what passes on
	// its way. It returns how many events were suppressed, by it and behind it.
	step(ev *edged.Event, on way) (suppressed int)

	// flush sends on what is held, with ev as its carrier.
	flush(ev *edged.Event, on way) (suppressed int)

	// held returns the time of the event that is held, if one is.
	held() (edged.Timestamp, bool)

	bytes() int
	appendBinary(dst []byte) []byte
	restore(r *reader)
}

// Chain is what a key remembers: one memory for each function of its [Spec]. It is
// not safe for concurrent use.
type Chain struct {
	detectors []detector
}

// way is where an event goes that a function lets pass: to the functions behind it,
// then out.
type way struct {
	rest []detector
	emit Emit
}

// pass sends an event on its way.
func (w way) pass(ev *edged.Event) (suppressed int) {
	if len(w.rest) == 0 {
		w.emit(ev)
		return 0
	}
	return w.rest[0].step(ev, way{rest: w.rest[1:], emit: w.emit})
}

// Step takes the next event of the key through all functions, which write into its
// values, and emits what passes: the event, or an earlier one that was held, or
// both in this order of time, or none. It returns the number of events that are
// known to be suppressed since. The event's values must have room for all slots of
// the spec; afterwards the event is as the functions left it.
//
// emit must neither keep an event nor call the chain.
func (c *Chain) Step(ev *edged.Event, emit Emit) (suppressed int) {
	return way{rest: c.detectors, emit: emit}.pass(ev)
}

// Flush emits the events that are held back for the next one to decide: call it
// when the key falls silent or its input ends. ev carries them: its Key and what
// else is not held is theirs, too. It returns the number of events that are known
// to be suppressed since.
func (c *Chain) Flush(ev *edged.Event, emit Emit) (suppressed int) {
	for i, d := range c.detectors {
		suppressed += d.flush(ev, way{rest: c.detectors[i+1:], emit: emit})
	}
	return suppressed
}

// Held returns the time of the earliest event that is held back, and false when
// none is. The watermark of what follows the chain must not pass it.
func (c *Chain) Held() (at edged.Timestamp, ok bool) {
	for _, d := range c.detectors {
		if t, holds := d.held(); holds && (!ok || t < at) {
			at, ok = t, true
		}
	}
	return at, ok
}

// Bytes returns about how much memory the chain takes.
func (c *Chain) Bytes() int {
	n := 24
	for _, d := range c.detectors {
		n += 16 + d.bytes()
	}
	return n
}

// AppendBinary appends the memory to dst. Equal memories give equal bytes. They are
// the number of functions as a varint, and what each of them stores.
func (c *Chain) AppendBinary(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(c.detectors)))
	for _, d := range c.detectors {
		dst = d.appendBinary(dst)
	}
	return dst
}

// Restore replaces the memory by one that AppendBinary of a chain of the same
// functions wrote and returns the bytes behind it. On an error, which wraps
// [ErrState], the chain is as it was.
func (c *Chain) Restore(data []byte) ([]byte, error) {
	r := reader{stored.Reader{Data: data}}
	if n := r.Uvarint(); r.Bad || n != uint64(len(c.detectors)) {
		return nil, fmt.Errorf("restore %d functions where there are %d: %w", n, len(c.detectors), ErrState)
	}
	restored := make([]detector, len(c.detectors))
	for i, d := range c.detectors {
		restored[i] = fresh(d)
		if restored[i].restore(&r); r.Bad {
			return nil, fmt.Errorf("restore function %d of %d: %w", i, len(restored), ErrState)
		}
	}
	c.detectors = restored
	return r.Data, nil
}

// fresh returns an empty memory of the same function.
func fresh(d detector) detector {
	switch d := d.(type) {
	case *lag:
		return &lag{config: d.config}
	case *hadChanged:
		return &hadChanged{config: d.config}
	case *deltaPrevious:
		return &deltaPrevious{config: d.config}
	case *deadband:
		return &deadband{config: d.config}
	case *swingingDoor:
		return &swingingDoor{config: d.config}
	}
	return d
}

// valueOf returns the value in a slot, and null where there is none.
func valueOf(ev *edged.Event, slot int) edged.Value {
	if slot < 0 || slot >= len(ev.Values) {
		return edged.Value{}
	}
	return ev.Values[slot]
}

// find writes a finding.
func find(ev *edged.Event, slot int, v edged.Value) {
	if slot >= 0 && slot < len(ev.Values) {
		ev.Values[slot] = v
	}
}

// holdsNothing is the part of a detector that decides at once.
type holdsNothing struct{}

func (holdsNothing) flush(*edged.Event, way) int   { return 0 }
func (holdsNothing) held() (edged.Timestamp, bool) { return 0, false }

// memory is one value that may not be there yet. As bytes it is 0, or 1 and the
// value.
type memory struct {
	known bool
	value edged.Value
}

func (m *memory) keep(v edged.Value) { m.known, m.value = true, elements.CopyValue(v) }

func (m *memory) appendBinary(dst []byte) []byte {
	if !m.known {
		return append(dst, 0)
	}
	return elements.AppendValue(append(dst, 1), m.value)
}

func (m *memory) restore(r *reader) {
	if m.known = r.Flag(); m.known {
		m.value = r.value()
	}
}
