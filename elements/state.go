package elements

import (
	"edged/stored"
	"encoding/binary"
	"fmt"
	"math"

	"edged"
)

// A buffer as bytes, all integers being varints:
//
//	elements  count
//	element   time    signed for the first, then the distance to the one before
//	          seq     signed, less the one before
//	          shape   0: as the one before; 1: what follows is different
//	          stream, mark, number of values   only if the shape is 1
//	          values  see [AppendValue]

// elementBytesMin is what an element takes at least: time, seq and shape.
const elementBytesMin = 3

// shape is what is mostly the same for the elements of a buffer.
type shape struct {
	stream uint64
	mark   uint64
	values uint64
}

func (e *Element) shape() shape {
	return shape{stream: uint64(e.Stream), mark: uint64(e.Mark), values: uint64(len(e.Values))}
}

// AppendBinary appends the elements to dst. Equal elements give equal bytes.
func (b *Buffer) AppendBinary(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(b.Len()))
	var before Element
	for i := range b.Len() {
		e := b.At(i)
		if i == 0 {
			dst = binary.AppendVarint(dst, int64(e.Time))
		} else {
			dst = binary.AppendUvarint(dst, uint64(e.Time)-uint64(before.Time))
		}
		dst = binary.AppendVarint(dst, int64(e.Seq-before.Seq))
		if s := e.shape(); s == before.shape() {
			dst = append(dst, 0)
		} else {
			dst = append(dst, 1)
			dst = binary.AppendUvarint(dst, s.stream)
			dst = binary.AppendUvarint(dst, s.mark)
			dst = binary.AppendUvarint(dst, s.values)
		}
		for _, v := range e.Values {
			dst = AppendValue(dst, v)
		}
		before = *e
	}
	return dst
}

// Restore replaces the elements by those that AppendBinary wrote and returns the
// bytes behind them. On an error, which wraps [ErrState], the buffer is as it was.
func (b *Buffer) Restore(data []byte) ([]byte, error) {
	r := reader{stored.Reader{Data: data}}
	n := r.Uvarint()
	if r.Bad || n > uint64(len(r.Data))/elementBytesMin {
		return nil, fmt.Errorf("restore %d elements from %d bytes: %w", n, len(r.Data), ErrState)
	}
	var restored Buffer
	if n > 0 {
		restored.all = make([]Element, 0, n)
	}
	before := Element{}
	for i := range n {
		e := r.element(before, i == 0)
		if r.Bad {
			return nil, fmt.Errorf("restore element %d of %d: %w", i, n, ErrState)
		}
		restored.room += cap(e.Values)
		for _, v := range e.Values {
			restored.texts += len(v.Text())
		}
		restored.all = append(restored.all, e)
		before = e
	}
	*b = restored
	return r.Data, nil
}

// element reads one element. r is bad afterwards unless it is in order.
func (r *reader) element(before Element, first bool) Element {
	e := Element{Stream: before.Stream, Mark: before.Mark}
	if first {
		e.Time = edged.Timestamp(r.Varint())
	} else {
		e.Time = edged.Timestamp(uint64(before.Time) + r.Uvarint())
		r.Bad = r.Bad || e.Time < before.Time
	}
	e.Seq = before.Seq + edged.Seq(r.Varint())
	s := before.shape()
	if changed := r.Byte(); changed > 1 {
		r.Bad = true
	} else if changed == 1 {
		s = shape{stream: r.Uvarint(), mark: r.Uvarint(), values: r.Uvarint()}
	}
	if r.Bad || s.stream > math.MaxUint8 || s.mark > math.MaxUint32 || s.values > uint64(len(r.Data)) {
		r.Bad = true
		return e
	}
	e.Stream, e.Mark = uint8(s.stream), uint32(s.mark)
	if s.values > 0 {
		e.Values = make([]edged.Value, s.values)
	}
	for i := range e.Values {
		e.Values[i] = r.value()
	}
	return e
}
