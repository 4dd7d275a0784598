package windows

import (
	"edged/stored"
	"encoding/binary"
	"fmt"
	"math"

	"edged"
)

// The state of a group as bytes, all integers being varints:
//
//	watermark       signed
//	windows         count
//	window          start   signed, less the start of the window before
//	                length  End - Start
//	                fired   number of panes
//	                trigger if it counts: contributions since the last pane, processing time of the first;
//	                        contributions altogether, the same; marks of the sections
//	                last    if panes are retracted and one has fired: length, its columns; see appendBody
//	                contributions  count
//	contribution    member  length, bytes
//	                start   signed, less the start of the window
//	                length  End - Start
//	                body    length, bytes; see appendBody

// AppendBinary implements [State].
func (g *Group) AppendBinary(dst []byte) []byte {
	dst = binary.AppendVarint(dst, int64(g.watermark))
	dst = binary.AppendUvarint(dst, uint64(len(g.open)))
	var before edged.Timestamp
	var body []byte
	for _, w := range g.open {
		dst = appendWindow(dst, w.Window, before)
		dst = binary.AppendUvarint(dst, uint64(w.fired))
		if g.shape.counts() {
			dst = appendTally(dst, w.pace.since, w.Start)
			dst = appendTally(dst, w.pace.total, w.Start)
			dst = binary.AppendUvarint(dst, w.pace.marks)
		}
		if g.keepsLast(w) {
			body = appendBody(body[:0], w.last)
			dst = binary.AppendUvarint(dst, uint64(len(body)))
			dst = append(dst, body...)
		}
		dst = binary.AppendUvarint(dst, uint64(w.roll.n))
		w.roll.each(func(c *contribution) {
			dst = binary.AppendUvarint(dst, uint64(len(c.member)))
			dst = append(dst, c.member...)
			dst = binary.AppendVarint(dst, int64(c.start)-int64(w.Start))
			dst = binary.AppendUvarint(dst, uint64(c.end)-uint64(c.start))
			dst = binary.AppendUvarint(dst, uint64(len(c.body)))
			dst = append(dst, c.body...)
		})
		before = w.Start
	}
	return dst
}

// keepsLast reports whether the values of the latest pane belong to a window's state.
func (g *Group) keepsLast(w *groupWindow) bool {
	return g.spec.Windows.Accumulation == Retracting && w.fired > 0
}

// Restore implements [State].
func (g *Group) Restore(data []byte) ([]byte, error) {
	d := decoder{stored.Reader{Data: data}}
	r := g.spec.New()
	r.watermark = edged.Timestamp(d.Varint())
	n := d.Uvarint()
	if d.Bad || n > uint64(len(d.Data)) { // a window takes more than one byte
		return nil, fmt.Errorf("restore a group: %w", ErrState)
	}
	for i := range n {
		if r.restoreWindow(&d); d.Bad {
			return nil, fmt.Errorf("restore window %d of %d of a group: %w", i+1, n, ErrState)
		}
	}
	r.due = edged.MinTimestamp // look again
	*g = *r
	return d.Data, nil
}

// restoreWindow reads one window and appends it. d is bad afterwards unless the
// windows are in order.
func (g *Group) restoreWindow(d *decoder) {
	var before Window
	if n := len(g.open); n > 0 {
		before = g.open[n-1].Window
	}
	w := &groupWindow{Window: d.window(before.Start)}
	fired := d.Uvarint()
	w.fired = uint32(fired)
	if g.shape.counts() {
		w.pace.since, w.pace.total = d.tally(w.Start), d.tally(w.Start)
		w.pace.marks = d.Uvarint()
	}
	if d.Bad || fired > math.MaxUint32 || !g.shape.sound(w.pace.marks) || len(g.open) > 0 && before.compare(w.Window) >= 0 {
		d.Bad = true
		return
	}
	if g.keepsLast(w) {
		body := textReader{text: restoreText(d)}
		w.last = body.values(nil)
		d.Bad = d.Bad || body.bad || body.text != "" || len(w.last) != g.spec.Windows.Layout.Columns()
	}
	n := d.Uvarint()
	if d.Bad || n > uint64(len(d.Data)) || n == 0 && fired == 0 {
		d.Bad = true
		return
	}
	var last contribution
	for i := range n {
		c := contribution{member: restoreText(d)}
		c.start = edged.Timestamp(d.Varint() + int64(w.Start)) // both wrap alike
		c.end = edged.Timestamp(uint64(c.start) + d.Uvarint())
		c.body = restoreText(d)
		if d.Bad || i > 0 && last.compare(&c) >= 0 || !g.sound(&c) {
			d.Bad = true
			return
		}
		w.roll.put(c)
		g.count, g.bytes = g.count+1, g.bytes+c.size()
		last = c
	}
	g.open = append(g.open, w)
}

// sound reports whether the body of a contribution can be read.
func (g *Group) sound(c *contribution) bool {
	body := textReader{text: c.body}
	body.values(nil)
	if body.bad || !g.merges {
		return !body.bad && body.text == ""
	}
	return g.readPartial([]byte(body.text), c.start)
}

// restoreText reads a length and so many bytes.
func restoreText(d *decoder) string {
	n := d.Uvarint()
	if n > uint64(len(d.Data)) {
		d.Bad, d.Data = true, nil
		return ""
	}
	s := string(d.Data[:n])
	d.Data = d.Data[n:]
	return s
}
