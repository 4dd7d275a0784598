package stored

import (
	"encoding/binary"
	"math"
)

// Reader takes stored bytes apart, front to back, and remembers whether they were
// malformed. Whoever uses it looks once, at the end.
type Reader struct {
	Data []byte // what has not been read
	Bad  bool   // something was malformed; Data is empty then
}

// Fail says that the bytes are malformed.
func (r *Reader) Fail() { r.Bad, r.Data = true, nil }

// Varint reads a signed number as binary.AppendVarint writes it.
func (r *Reader) Varint() int64 {
	v, n := binary.Varint(r.Data)
	if n <= 0 {
		r.Fail()
		return 0
	}
	r.Data = r.Data[n:]
	return v
}

// Uvarint reads a number as binary.AppendUvarint writes it.
func (r *Reader) Uvarint() uint64 {
	v, n := binary.Uvarint(r.Data)
	if n <= 0 {
		r.Fail()
		return 0
	}
	r.Data = r.Data[n:]
	return v
}

// Take reads n bytes. They are not copied.
func (r *Reader) Take(n uint64) []byte {
	if n > uint64(len(r.Data)) {
		r.Fail()
		return nil
	}
	part := r.Data[:n:n]
	r.Data = r.Data[n:]
	return part
}

// Byte reads one byte.
func (r *Reader) Byte() byte {
	if b := r.Take(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

// Flag reads a byte that must be 0 or 1.
func (r *Reader) Flag() bool {
	b := r.Byte()
	if b > 1 {
		r.Fail()
	}
	return b == 1
}

// Float reads the 8 bytes of a number, little endian. Any bits are a number: NaN
// and the infinities are for the caller to judge.
func (r *Reader) Float() float64 {
	if b := r.Take(8); len(b) == 8 {
		return math.Float64frombits(binary.LittleEndian.Uint64(b))
	}
	return 0
}

// Sized reads a length and as many bytes, which are not copied.
func (r *Reader) Sized() []byte { return r.Take(r.Uvarint()) }

// Text reads a length and as many bytes as a string.
func (r *Reader) Text() string { return string(r.Sized()) }
