package changes

import (
	"encoding/binary"
	"math"

	"edged"
	"edged/elements"
)

// reader takes stored bytes apart and remembers whether they were malformed.
type reader struct {
	data []byte
	bad  bool
}

func (r *reader) fail() { r.bad, r.data = true, nil }

func (r *reader) value() edged.Value {
	v, rest, err := elements.ReadValue(r.data)
	if err != nil {
		r.fail()
		return v
	}
	r.data = rest
	return v
}

// flag reads a byte that is 0 or 1.
func (r *reader) flag() bool {
	if len(r.data) == 0 || r.data[0] > 1 {
		r.fail()
		return false
	}
	set := r.data[0] == 1
	r.data = r.data[1:]
	return set
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.data)
	r.skip(n)
	return v
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.data)
	r.skip(n)
	return v
}

func (r *reader) skip(n int) {
	if n <= 0 {
		r.fail()
		return
	}
	r.data = r.data[n:]
}

// float reads 8 bytes, little endian. Infinity is a legal bound, NaN is none.
func (r *reader) float() float64 {
	if len(r.data) < 8 {
		r.fail()
		return 0
	}
	f := math.Float64frombits(binary.LittleEndian.Uint64(r.data))
	r.data = r.data[8:]
	if math.IsNaN(f) {
		r.fail()
	}
	return f
}

func appendFloat(dst []byte, f float64) []byte {
	return binary.LittleEndian.AppendUint64(dst, math.Float64bits(f))
}
