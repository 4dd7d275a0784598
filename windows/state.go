package windows

import (
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
//	            words   see agg.Layout; times are relative to the start

// AppendBinary appends the state to dst. Equal states give equal bytes.
func (o *Operator) AppendBinary(dst []byte) []byte {
	dst = binary.AppendVarint(dst, int64(o.watermark))
	dst = binary.AppendUvarint(dst, uint64(o.Open()))
	var before edged.Timestamp
	for i := range o.Open() {
		p := o.pane(i)
		w := p.window()
		dst = binary.AppendVarint(dst, int64(w.Start)-int64(before))
		dst = binary.AppendUvarint(dst, uint64(w.End)-uint64(w.Start))
		dst = binary.AppendUvarint(dst, uint64(p.fired()))
		dst = o.spec.Layout.AppendBinary(dst, p.state(), w.Start)
		before = w.Start
	}
	return dst
}

// Restore replaces the state by one that AppendBinary of an operator with the
// same layout wrote, and returns the bytes behind it. If the allowed lateness
// was longer then, the windows that have expired by now are dropped: they have
// fired. On an error, which wraps [ErrState], the operator is as it was.
func (o *Operator) Restore(data []byte) ([]byte, error) {
	d := decoder{data: data}
	r := NewOperator(o.spec)
	r.watermark = edged.Timestamp(d.varint())
	n := d.uvarint()
	if n > uint64(len(d.data)) { // a window takes more than one byte
		return nil, fmt.Errorf("restore %d windows from %d bytes: %w", n, len(d.data), ErrState)
	}
	for range n {
		r.restoreWindow(&d)
		if d.bad {
			return nil, fmt.Errorf("restore window %d of %d: %w", r.Open(), n, ErrState)
		}
	}
	if d.bad {
		return nil, fmt.Errorf("restore the watermark: %w", ErrState)
	}
	r.expire()
	*o = r
	return d.data, nil
}

// restoreWindow reads one window and appends it. d is bad afterwards unless the
// windows are in order.
func (o *Operator) restoreWindow(d *decoder) {
	var before Window
	n := o.Open()
	if n > 0 {
		before = o.pane(n - 1).window()
	}
	w := Window{Start: edged.Timestamp(d.varint() + int64(before.Start))}
	w.End = edged.Timestamp(uint64(w.Start) + d.uvarint())
	fired := d.uvarint()
	if d.bad || w.End < w.Start || fired > math.MaxUint32 ||
		n > 0 && before.compare(w) >= 0 {
		d.bad = true
		return
	}
	p := o.insert(n, w)
	p.setFired(uint32(fired))
	rest, err := o.spec.Layout.Restore(p.state(), d.data, w.Start)
	d.data, d.bad = rest, err != nil
}

// decoder reads varints and remembers whether one was malformed.
type decoder struct {
	data []byte
	bad  bool
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.data)
	d.skip(n)
	return v
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.data)
	d.skip(n)
	return v
}

func (d *decoder) skip(n int) {
	if n <= 0 {
		d.bad, d.data = true, nil
		return
	}
	d.data = d.data[n:]
}
