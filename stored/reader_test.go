package stored_test

import (
	"encoding/binary"
	"math"
	"testing"

	"edged/stored"
)

// What was appended is read back, and nothing is left.
func TestReader(t *testing.T) {
	data := binary.AppendVarint(nil, math.MinInt64)
	data = binary.AppendUvarint(data, math.MaxUint64)
	data = append(data, 7, 1, 0)
	data = binary.LittleEndian.AppendUint64(data, math.Float64bits(-2.5))
	data = append(binary.AppendUvarint(data, 3), "abc"...)
	data = append(data, 0)
	r := stored.Reader{Data: data}
	if v := r.Varint(); v != math.MinInt64 {
		t.Errorf("varint %d", v)
	}
	if v := r.Uvarint(); v != math.MaxUint64 {
		t.Errorf("uvarint %d", v)
	}
	if b, yes, no := r.Byte(), r.Flag(), r.Flag(); b != 7 || !yes || no {
		t.Errorf("byte %d, flags %v %v", b, yes, no)
	}
	if f, s, empty := r.Float(), r.Text(), r.Text(); f != -2.5 || s != "abc" || empty != "" {
		t.Errorf("float %v, texts %q %q", f, s, empty)
	}
	if r.Bad || len(r.Data) != 0 {
		t.Errorf("bad %v, %d bytes left", r.Bad, len(r.Data))
	}
}

// Each reading of what is not there, or not right, is bad and zero, and so is what
// comes after it.
func TestReaderFails(t *testing.T) {
	long := []byte{255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}
	for name, test := range map[string]struct {
		data []byte
		read func(r *stored.Reader) bool // reports whether it is zero
	}{
		"no varint":       {nil, func(r *stored.Reader) bool { return r.Varint() == 0 }},
		"long varint":     {long, func(r *stored.Reader) bool { return r.Varint() == 0 }},
		"no uvarint":      {nil, func(r *stored.Reader) bool { return r.Uvarint() == 0 }},
		"long uvarint":    {long, func(r *stored.Reader) bool { return r.Uvarint() == 0 }},
		"no byte":         {nil, func(r *stored.Reader) bool { return r.Byte() == 0 }},
		"no flag":         {[]byte{2, 1}, func(r *stored.Reader) bool { return !r.Flag() }},
		"short float":     {long[:7], func(r *stored.Reader) bool { return r.Float() == 0 }},
		"short text":      {[]byte{3, 'a', 'b'}, func(r *stored.Reader) bool { return r.Text() == "" }},
		"very short text": {append(binary.AppendUvarint(nil, math.MaxUint64), 'a'), func(r *stored.Reader) bool { return r.Text() == "" }},
	} {
		r := stored.Reader{Data: test.data}
		if !test.read(&r) || !r.Bad || r.Data != nil || r.Uvarint() != 0 || !r.Bad {
			t.Errorf("%s: bad %v, %d bytes left", name, r.Bad, len(r.Data))
		}
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte{1, 2, 3}, []byte{0, 1, 2, 3, 4, 5})
	f.Fuzz(func(t *testing.T, data, what []byte) {
		r := stored.Reader{Data: data}
		for _, w := range what {
			before := len(r.Data)
			switch w % 6 {
			case 0:
				r.Varint()
			case 1:
				r.Uvarint()
			case 2:
				r.Flag()
			case 3:
				r.Float()
			case 4:
				_ = r.Text()
			default:
				r.Take(uint64(w))
			}
			if len(r.Data) > before || r.Bad && r.Data != nil {
				t.Fatalf("%d bytes left of %d, bad %v", len(r.Data), before, r.Bad)
			}
		}
	})
}
