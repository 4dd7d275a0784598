package changes

import (
	"encoding/binary"
	"math"

	"edged"
	"edged/elements"
	"edged/stored"
)

// reader reads what the memories of functions have in common.
type reader struct{ stored.Reader }

func (r *reader) value() edged.Value {
	v, rest, err := elements.ReadValue(r.Data)
	if err != nil {
		r.Fail()
		return v
	}
	r.Data = rest
	return v
}

// float reads a bound. Infinity is a legal one, NaN is none.
func (r *reader) float() float64 {
	f := r.Float()
	if math.IsNaN(f) {
		r.Fail()
	}
	return f
}

func appendFloat(dst []byte, f float64) []byte {
	return binary.LittleEndian.AppendUint64(dst, math.Float64bits(f))
}
