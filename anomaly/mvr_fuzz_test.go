package anomaly_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"testing"

	"edged"
	"edged/anomaly"
)

// checkAuto fails on a verdict that breaks what every verdict promises.
func checkAuto(t *testing.T, spec *anomaly.Auto, x float64, v anomaly.Verdict) {
	t.Helper()
	for _, y := range []float64{v.Score, v.Low, v.High, v.Reason.Excess} {
		if math.IsNaN(y) || math.IsInf(y, 0) {
			t.Fatalf("value %v: %+v", x, v)
		}
	}
	if v.Score < 0 || v.Score > 5 || v.Alarm && v.Score < spec.Minor || v.Alarm && !v.Warm || v.HasRange && v.Low > v.High || v.Reason.Span < 0 {
		t.Fatalf("value %v: %+v", x, v)
	}
	if (v.Severity == anomaly.SeverityNone) != (v.Score < spec.Minor) {
		t.Fatalf("value %v: %+v", x, v)
	}
	if v.Score > 0 && v.Explain(x) == "" {
		t.Fatalf("value %v: no sentence", x)
	}
}

// FuzzAuto plays a script of values and times, each step one byte for the kind
// and one for its size, with restores between.
func FuzzAuto(f *testing.F) {
	f.Add([]byte("\x00\x01"), 1.0)
	f.Add(bytes.Repeat([]byte{0, 3, 1, 2, 2, 0, 3, 0, 4, 9, 5, 1}, 30), 20.5)
	f.Add(bytes.Repeat([]byte{6, 0, 0, 1, 7, 0, 8, 3, 9, 255, 10, 7, 11, 11}, 40), -1e308)
	f.Add(append(bytes.Repeat([]byte{0, 0}, 200), 4, 1, 8, 1, 9, 1, 0, 0), 1e-310)
	f.Add(append(bytes.Repeat([]byte{0, 1, 1, 1}, 100), 6, 0, 7, 0, 4, 200), math.MaxFloat64)
	f.Add(bytes.Repeat([]byte{0, 0, 1, 1, 1, 255, 1, 128, 11, 0}, 50), 4.9e-310)
	f.Add(append(bytes.Repeat([]byte{0, 1, 0, 2, 0, 3}, 30), bytes.Repeat([]byte{1, 9, 12, 7, 13, 1, 11, 0, 4, 8, 13, 3, 2, 1, 13, 2}, 30)...), 1e38)
	f.Fuzz(func(t *testing.T, script []byte, scale float64) {
		spec := auto(func(a *anomaly.Auto) { a.EpochRows, a.Epoch, a.WarmUp, a.CoolDown = 100, 1000, 20, 10 })
		state, at := spec.New(), edged.Timestamp(0)
		var evidence anomaly.Evidence
		for i := 0; i+1 < len(script) && i < 4000; i += 2 {
			size := float64(int8(script[i+1]))
			x := size
			switch script[i] % 14 {
			case 1:
				x = size * scale
			case 2:
				x = scale
			case 3:
				x = size / 1e9
			case 4:
				x = size * 1e306
			case 5:
				at = at.Add(-int64(size) * 10_000)
			case 6:
				x = math.NaN()
			case 7:
				x = math.Inf(int(size))
			case 8:
				at = edged.MaxTimestamp
			case 9:
				at = edged.MinTimestamp
			case 10:
				at = edged.Timestamp(size * 1e9)
			case 11:
				other := spec.New()
				encoded := state.AppendBinary(nil)
				if rest, err := other.Restore(encoded); err != nil || len(rest) != 0 {
					t.Fatalf("step %d: %v", i, err)
				}
				if !bytes.Equal(encoded, other.AppendBinary(nil)) {
					t.Fatalf("step %d: not canonical", i)
				}
				state = other
			case 12:
				checkAuto(t, spec, x, anomaly.Judge(state, at, x))
			case 13:
				anomaly.Teach(state, anomaly.Label(script[i+1]%4), evidence)
				evidence = anomaly.Evidence{}
			}
			v := state.Observe(at, x)
			checkAuto(t, spec, x, v)
			evidence.Add(v.Evidence)
			at = at.Add(100)
		}
	})
}

// FuzzAutoRestore restores any bytes: they are refused, or they are a state that
// is encoded the same way and judges whatever comes.
func FuzzAutoRestore(f *testing.F) {
	spec := auto(func(a *anomaly.Auto) { a.WarmUp = 20 })
	for _, n := range []int{0, 1, 12, 13, 60, 500} {
		state, _ := warmed(spec, n)
		f.Add(state.AppendBinary(nil))
	}
	full, _ := warmed(spec, 500)
	wild := full.AppendBinary(nil)
	for at := 38; at+4 <= len(wild); at += 4 { // where it stays a state, huge numbers
		old := binary.LittleEndian.Uint32(wild[at:])
		binary.LittleEndian.PutUint32(wild[at:], math.Float32bits(9e5))
		if _, err := spec.New().Restore(wild); err != nil {
			binary.LittleEndian.PutUint32(wild[at:], old)
		}
	}
	f.Add(wild)
	nan := bytes.Clone(wild)
	copy(nan[len(nan)-200:], bytes.Repeat([]byte{0xff}, 100))
	f.Add(nan)
	f.Fuzz(func(t *testing.T, data []byte) {
		state := spec.New()
		rest, err := state.Restore(data)
		if err != nil {
			if !errors.Is(err, anomaly.ErrState) || !bytes.Equal(state.AppendBinary(nil), spec.New().AppendBinary(nil)) {
				t.Fatalf("refused with %v, or changed", err)
			}
			return
		}
		if again := state.AppendBinary(nil); !bytes.Equal(again, data[:len(data)-len(rest)]) {
			t.Fatal("not canonical")
		}
		for i := range 200 {
			x := math.Ldexp(float64(i%7)-3, (i*37)%2000-1000)
			checkAuto(t, spec, x, state.Observe(edged.Timestamp(i)*minute, x))
		}
	})
}
