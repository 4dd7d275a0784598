package windows_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"edged"
	"edged/windows"
)

// FuzzOperatorRestore restores any bytes with any spec of the matrix, and if they
// are taken plays on.
func FuzzOperatorRestore(f *testing.F) {
	specs := matrixSpecs(f)
	r := rand.New(rand.NewPCG(1, 1))
	for i, spec := range specs {
		p := &player{t: f, spec: spec, o: operator(spec)}
		for _, step := range randomScript(r, 12) {
			p.step(step)
		}
		f.Add(uint16(i), p.o.AppendBinary(nil), []byte{0, 9, 1, 20, 2, 5, 0, 3, 3, 0})
	}
	f.Fuzz(func(t *testing.T, which uint16, data, steps []byte) {
		spec := specs[int(which)%len(specs)]
		p := &player{t: t, spec: spec, o: operator(spec)}
		before := p.o.AppendBinary(nil)
		if _, err := p.o.Restore(data); err != nil {
			if !errors.Is(err, windows.ErrState) || !bytes.Equal(p.o.AppendBinary(nil), before) {
				t.Fatalf("%v, or the state is not as before", err)
			}
			return
		}
		q := &player{t: t, spec: spec, o: operator(spec)}
		if rest, err := q.o.Restore(p.o.AppendBinary(nil)); err != nil || len(rest) > 0 {
			t.Fatalf("restore what was restored: %d bytes left, %v", len(rest), err)
		}
		for _, step := range scriptOf(steps, p.o.Watermark(), !spec.Empty) {
			if step != "r" {
				if a, b := p.step(step), q.step(step); !slices.Equal(a, b) {
					t.Fatalf("after %s\n%q\n%q", step, a, b)
				}
				continue
			}
			q.restore()
		}
		if !bytes.Equal(p.o.AppendBinary(nil), q.o.AppendBinary(nil)) {
			t.Fatal("states part after a restore")
		}
		ended := p.o.Watermark() == edged.MaxTimestamp
		p.step(fmt.Sprint("w", int64(edged.MaxTimestamp)))
		if n := p.o.Open(); n != 0 && !ended {
			t.Fatalf("%d windows are open at the end of time", n)
		}
	})
}

// FuzzOperator plays any script and compares with the model.
func FuzzOperator(f *testing.F) {
	specs := matrixSpecs(f)
	for i := range specs {
		f.Add(uint16(i), []byte{0, 13, 1, 25, 0, 14, 2, 9, 3, 0, 0, 30, 2, 40, 1, 60})
	}
	f.Fuzz(func(t *testing.T, which uint16, steps []byte) {
		spec := specs[int(which)%len(specs)]
		agree(t, spec, scriptOf(steps, 0, !spec.Empty))
	})
}

// scriptOf makes steps of pairs of bytes. Times are about w, or at the ends of time
// if they may be far: the model counts every empty window on the way.
func scriptOf(data []byte, w edged.Timestamp, far bool) (script []string) {
	for ; len(data) > 1 && len(script) < 100; data = data[2:] {
		at := w.Add(int64(data[1]) - 20)
		switch {
		case !far:
		case data[0]>>3 == 1:
			at = edged.MaxTimestamp.Add(-int64(data[1]))
		case data[0]>>3 == 2:
			at = edged.MinTimestamp.Add(int64(data[1]))
		}
		script = append(script, fmt.Sprintf("%c%d", "ewpe"[data[0]&3], at))
		if data[0]&4 != 0 {
			script = append(script, "r")
		}
	}
	return script
}
