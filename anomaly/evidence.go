package anomaly

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"edged/stored"
)

// ErrEvidence is returned (wrapped) by Evidence.Restore for bytes that are none.
var ErrEvidence = errors.New("anomaly: no evidence of an alarm")

// Label is what a person says about an alarm.
type Label uint8

// Labels.
const (
	LabelNone     Label = iota // nothing yet
	LabelTrue                  // a fault: the same again is to alarm again
	LabelExpected              // not a fault: the same again is usual
	LabelFalse                 // a mistake: the same again is usual, and so is what is a little farther
)

// String returns the label as a lower-case word.
func (l Label) String() string { return word(int(l), "none", "true", "expected", "false") }

// Teachable is a state that learns from what people say about its alarms.
type Teachable interface {
	State
	// Teach applies a label to an alarm by the evidence that its verdicts carried.
	// It reports whether there was anything to learn: not from evidence that is
	// empty, or of another detector, and not in a state that has not learned yet.
	Teach(l Label, e Evidence) bool
}

// Teach applies a label, and reports whether the state could learn from it.
func Teach(s State, l Label, e Evidence) bool {
	t, ok := s.(Teachable)
	return ok && t.Teach(l, e)
}

// ViewSet is a set of views: bit v is view v.
type ViewSet uint8

// allViews has every view.
const allViews ViewSet = 1<<Views - 1

// Has reports whether the view is in the set.
func (s ViewSet) Has(v View) bool { return s>>v&1 != 0 }

// Evidence is what a label on an alarm is applied to: the views that left their
// ranges, the bounds they passed, and how far. A verdict carries that of one
// value; an alarm keeps the sum over its values, which takes no more room. What
// is said of a view that is in neither set is zero.
type Evidence struct {
	Above ViewSet        // views that showed something above their range
	Below ViewSet        // or below; no view is in both
	Of    uint32         // which detector of a Vote it is from: its index, in 5 bits for each vote it is in, the outermost lowest
	Bound [Views]float32 // by view: the bound before, in units of the view
	Shown [Views]float32 // by view: the farthest that was shown beyond it
}

// Empty reports whether the evidence says nothing.
func (e *Evidence) Empty() bool { return e.Above|e.Below == 0 }

// note adds a view that shows x, which is outside of what is known.
func (e *Evidence) note(v View, known span, x float32) {
	e.Shown[v] = x
	if x < known.lo {
		e.Below |= 1 << v
		e.Bound[v] = known.lo
		return
	}
	e.Above |= 1 << v
	e.Bound[v] = known.hi
}

// Add adds the evidence of a later value of the same alarm. A view keeps the side
// that it left first, for an excursion comes back the other way.
func (e *Evidence) Add(later Evidence) {
	if e.Empty() {
		*e = later
		return
	}
	if e.Of != later.Of {
		return
	}
	for v := range Views {
		switch taken := e.Above.Has(v) || e.Below.Has(v); {
		case !taken && (later.Above.Has(v) || later.Below.Has(v)):
			e.Above |= later.Above & (1 << v)
			e.Below |= later.Below & (1 << v)
			e.Bound[v], e.Shown[v] = later.Bound[v], later.Shown[v]
		case e.Above.Has(v) && later.Above.Has(v):
			e.Bound[v], e.Shown[v] = min(e.Bound[v], later.Bound[v]), max(e.Shown[v], later.Shown[v])
		case e.Below.Has(v) && later.Below.Has(v):
			e.Bound[v], e.Shown[v] = max(e.Bound[v], later.Bound[v]), min(e.Shown[v], later.Shown[v])
		}
	}
}

// sound reports whether what is said of a view can be: finite, and beyond the bound.
func (e *Evidence) sound(v View) bool {
	over := e.Shown[v] - e.Bound[v]
	if e.Below.Has(v) {
		over = -over
	}
	return over > 0 && e.Above.Has(v) != e.Below.Has(v) && finite(float64(e.Shown[v])) && finite(float64(e.Bound[v]))
}

// AppendBinary appends the encoding, at most 70 bytes:
//
//	u8 above | u8 below | u32 of | for each view in either set: f32 bound, f32 shown
//
// little-endian, the views in their order. Equal evidence, equal bytes.
func (e *Evidence) AppendBinary(dst []byte) []byte {
	dst = append(dst, byte(e.Above), byte(e.Below))
	dst = binary.LittleEndian.AppendUint32(dst, e.Of)
	for v := range Views {
		if (e.Above | e.Below).Has(v) {
			dst = appendFloats(dst, e.Bound[v], e.Shown[v])
		}
	}
	return dst
}

// Restore replaces the evidence by that at the start of data and returns the bytes
// behind it. Any bytes are allowed: on an error, which wraps ErrEvidence, the
// evidence is as it was.
func (e *Evidence) Restore(data []byte) (rest []byte, err error) {
	r := reader{Reader: stored.Reader{Data: data}}
	n := Evidence{Above: ViewSet(r.Byte()), Below: ViewSet(r.Byte()), Of: r.u32()}
	for v := range Views {
		if !(n.Above | n.Below).Has(v) {
			continue
		}
		n.Bound[v], n.Shown[v] = r.f32(math.MaxFloat32), r.f32(math.MaxFloat32)
		if !n.sound(v) {
			r.Fail()
		}
	}
	if r.Bad {
		return nil, fmt.Errorf("restore evidence: %w", ErrEvidence)
	}
	*e = n
	return r.Data, nil
}
