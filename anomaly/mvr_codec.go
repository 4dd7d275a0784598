package anomaly

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"edged"
	"edged/stored"
)

// The encoding of a state of Auto, little-endian:
//
//	u8 'M' | u8 version | u32 count | u32 rows | i64 started | i64 before |
//	f64 peak | u32 cooled | f64 fast, slow, base, mean, variance |
//	f32 x 8 weights | f32 x 8 inputs | f32 x 168 means | u8 x 168 counts |
//	8 x (f32 lo, hi, known lo, known hi) | f32 x min(count, 64) values, the oldest first
//
// What follows from these, the sorted copies and the extremes, is computed again.
const (
	mvrTag     = 'M'
	mvrVersion = 1
	mvrFixed   = 2 + 4 + 4 + 8 + 8 + 8 + 4 + 5*8 + 2*4*nlmsOrder + 5*hoursOfWeek + 16*int(Views)
)

// AppendBinary appends the canonical encoding.
func (m *mvr) AppendBinary(dst []byte) []byte {
	w := &m.views
	le := binary.LittleEndian
	dst = append(dst, mvrTag, mvrVersion)
	dst = le.AppendUint32(dst, w.count)
	dst = le.AppendUint32(dst, m.rows)
	dst = le.AppendUint64(dst, uint64(m.started))
	dst = le.AppendUint64(dst, uint64(m.before))
	dst = le.AppendUint64(dst, math.Float64bits(m.cooling.peak))
	dst = le.AppendUint32(dst, m.cooling.cooled)
	for _, x := range [...]float64{w.fast, w.slow, w.base, w.scaler.mean, w.scaler.variance} {
		dst = le.AppendUint64(dst, math.Float64bits(x))
	}
	dst = appendFloats(dst, w.nlms.weights[:]...)
	dst = appendFloats(dst, w.nlms.inputs[:]...)
	dst = appendFloats(dst, w.season.means[:]...)
	dst = append(dst, w.season.counts[:]...)
	for _, r := range m.records {
		dst = appendFloats(dst, r.now.lo, r.now.hi, r.known.lo, r.known.hi)
	}
	for k := int(w.ring.held) - 1; k >= 0; k-- {
		dst = appendFloats(dst, w.ring.ago(k))
	}
	return dst
}

// Restore replaces the state by an encoded one.
func (m *mvr) Restore(data []byte) (rest []byte, err error) {
	if len(data) < mvrFixed || data[0] != mvrTag || data[1] != mvrVersion {
		return nil, fmt.Errorf("%w: no state of auto, version %d", ErrState, mvrVersion)
	}
	r := reader{stored.Reader{Data: data[2:]}}
	n := m.spec.New().(*mvr)
	w := &n.views
	w.count, n.rows = r.u32(), r.u32()
	n.started, n.before = edged.Timestamp(r.u64()), edged.Timestamp(r.u64())
	n.cooling.peak, n.cooling.cooled = r.f64(0, recordScoreMax), r.u32()
	w.fast, w.slow = r.f64(-magnitudeMax, magnitudeMax), r.f64(-magnitudeMax, magnitudeMax)
	w.base, w.scaler.mean = r.f64(-magnitudeMax, magnitudeMax), r.f64(-magnitudeMax, magnitudeMax)
	w.scaler.variance = r.f64(0, 4*magnitudeMax*magnitudeMax)
	r.floats(w.nlms.weights[:], weightLimit)
	r.floats(w.nlms.inputs[:], nlmsClip)
	r.floats(w.season.means[:], magnitudeMax)
	copy(w.season.counts[:], r.Take(hoursOfWeek))
	for k := range n.records {
		n.records[k] = record{r.span(), r.span()}
	}
	last := make([]float32, min(w.count, ringSize))
	r.floats(last, magnitudeMax)
	for _, x := range last {
		if math.Float32bits(x) == 1<<31 { // there is one zero only
			r.Fail()
		}
	}
	if r.Bad || slices.Max(w.season.counts[:]) > binCountMax || n.cooling.peak == 0 && n.cooling.cooled != 0 {
		return nil, fmt.Errorf("%w: a number out of its bounds", ErrState)
	}
	for _, x := range last {
		w.slide(x) // only now: sorting needs numbers
	}
	*m = *n
	return r.Data, nil
}

func appendFloats(dst []byte, xs ...float32) []byte {
	for _, x := range xs {
		dst = binary.LittleEndian.AppendUint32(dst, math.Float32bits(x))
	}
	return dst
}

// reader takes numbers apart that have bounds. Like the one it is made of, it stays
// bad after the first that is missing or out of them.
type reader struct{ stored.Reader }

func (r *reader) u32() uint32 {
	if b := r.Take(4); len(b) == 4 {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (r *reader) u64() uint64 {
	if b := r.Take(8); len(b) == 8 {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// f64 reads a number within low..high, and f32 one within +-limit. NaN is in no
// bounds.
func (r *reader) f64(low, high float64) float64 {
	x := r.Float()
	if !(x >= low && x <= high) {
		r.Fail()
	}
	return x
}

func (r *reader) f32(limit float32) float32 {
	x := math.Float32frombits(r.u32())
	if !(x >= -limit && x <= limit) {
		r.Fail()
	}
	return x
}

func (r *reader) floats(to []float32, limit float32) {
	for i := range to {
		to[i] = r.f32(limit)
	}
}

// span reads a range: empty in the one way it is written, or ordered.
func (r *reader) span() span {
	s := span{r.f32(math.MaxFloat32), r.f32(math.MaxFloat32)}
	if s != nothing && s.empty() {
		r.Fail()
	}
	return s
}
