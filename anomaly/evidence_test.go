package anomaly_test

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"edged"
	"edged/anomaly"
)

// TestTeachTrue: a fault that was labelled alarms when it comes again, however
// late the label was, and one that was not does not.
func TestTeachTrue(t *testing.T) {
	for name, make := range map[string]func(*rand.Rand) func(int) float64{"noise": series["noise"], "day": series["day with spikes"], "machine": series["machine"]} {
		r := random(t)
		for _, late := range []int{0, 1, 5, 30, 64, 200} {
			for _, fault := range []float64{400, -300} {
				next, s := make(r), auto(nil).New()
				i := 0
				run := func(n int) {
					for range n {
						s.Observe(edged.Timestamp(i)*minute, next(i))
						i++
					}
				}
				again := func() anomaly.Verdict {
					i++
					return s.Observe(edged.Timestamp(i-1)*minute, fault)
				}
				run(3000)
				first := again()
				if !first.Alarm || first.Evidence.Empty() {
					t.Fatalf("%s: %v raises no alarm: %+v", name, fault, first)
				}
				run(late)
				untaught := restored(t, auto(nil), s)
				if !anomaly.Teach(s, anomaly.LabelTrue, first.Evidence) {
					t.Fatalf("%s: not taught", name)
				}
				run(120)
				v := again()
				if !v.Alarm || v.Score < 0.5*first.Score {
					t.Errorf("%s, label after %d: the same fault again: %+v, at first %+v", name, late, v, first)
				}
				// Without the label only what piles up, the trend, is beyond what it was.
				if u := untaught.Observe(edged.Timestamp(i-1)*minute, fault); u.Score > 0.25*v.Score {
					t.Errorf("%s, no label: the same fault again: %+v", name, u)
				}
			}
		}
	}
}

// TestTeachExpected: what was expected is usual for one epoch at least and two at
// most, and with a false alarm what is somewhat beyond is, too.
func TestTeachExpected(t *testing.T) {
	const rows = 2000
	spec := auto(func(a *anomaly.Auto) { a.EpochRows, a.Epoch = rows, 0 })
	for _, fault := range []float64{60, -30} {
		s, next := spec.New(), series["noise"](random(t))
		i := 0
		run := func(n int) {
			for range n {
				s.Observe(edged.Timestamp(i)*minute, next(i))
				i++
			}
		}
		judge := func(x float64) anomaly.Verdict { return anomaly.Judge(s, edged.Timestamp(i)*minute, x) }
		run(rows + rows/2)
		first := judge(fault)
		if first.Severity == anomaly.SeverityNone {
			t.Fatalf("%v: %+v", fault, first)
		}
		farther := fault + 0.14*(fault-20)
		other := restored(t, spec, s)
		if !anomaly.Teach(s, anomaly.LabelExpected, first.Evidence) || !anomaly.Teach(other, anomaly.LabelFalse, first.Evidence) {
			t.Fatal("not taught")
		}
		if v := judge(fault); v.Score > 0.01 {
			t.Errorf("%v again: %+v", fault, v)
		}
		if v := judge(farther); v.Severity == anomaly.SeverityNone {
			t.Errorf("%v after %v was expected: %+v", farther, fault, v)
		}
		if v := anomaly.Judge(other, edged.Timestamp(i)*minute, farther); v.Severity != anomaly.SeverityNone {
			t.Errorf("%v after %v was a false alarm: %+v", farther, fault, v)
		}
		run(rows + rows/4)
		if v := judge(fault); v.Severity != anomaly.SeverityNone {
			t.Errorf("%v after an epoch: %+v", fault, v)
		}
		run(rows)
		if v := judge(fault); v.Severity == anomaly.SeverityNone {
			t.Errorf("%v after two epochs: %+v", fault, v)
		}
	}
}

// TestTeachRefuses lists what there is nothing to learn from.
func TestTeachRefuses(t *testing.T) {
	spec := auto(nil)
	s, at := warmed(spec, 1000)
	e := s.Observe(at, 100).Evidence
	nan := e
	for k := range nan.Shown {
		nan.Shown[k] = float32(math.NaN())
	}
	before := s.AppendBinary(nil)
	for name, taught := range map[string]bool{
		"nothing said":  anomaly.Teach(s, anomaly.LabelNone, e),
		"no label":      anomaly.Teach(s, 9, e),
		"no evidence":   anomaly.Teach(s, anomaly.LabelTrue, anomaly.Evidence{}),
		"not a number":  anomaly.Teach(s, anomaly.LabelExpected, nan),
		"new sensor":    anomaly.Teach(spec.New(), anomaly.LabelExpected, e),
		"learns no way": anomaly.Teach((&anomaly.ZScore{Threshold: 1, Warmup: 2}).New(), anomaly.LabelTrue, e),
	} {
		if taught {
			t.Errorf("%s is taught", name)
		}
	}
	if !bytes.Equal(before, s.AppendBinary(nil)) {
		t.Error("the state has changed")
	}
}

// TestTeachWithin: a label finds the detector that spoke, wherever it stands.
func TestTeachWithin(t *testing.T) {
	quiet := &anomaly.Plausible{Low: -1e6, High: 1e6, Of: &anomaly.ZScore{Threshold: 1e9, Warmup: 2}}
	deep := &anomaly.Vote{K: 1, Of: []anomaly.Spec{quiet, &anomaly.Plausible{Low: -1e6, High: 1e6, Of: auto(nil)}}}
	spec := &anomaly.Vote{K: 1, Of: []anomaly.Spec{quiet, quiet, deep}}
	s := state(t, spec)
	at := edged.Timestamp(0)
	run := func(n int) {
		for range n {
			s.Observe(at, float64(at/minute%10))
			at += minute
		}
	}
	run(1000)
	v := s.Observe(at, 100)
	at += minute
	if !v.Alarm || v.Evidence.Of != 2|1<<5 || !anomaly.Teach(s, anomaly.LabelTrue, v.Evidence) {
		t.Fatalf("not taught: %+v", v)
	}
	run(200)
	if v := s.Observe(at, 100); !v.Alarm {
		t.Errorf("the same again: %+v", v)
	}
}

// someEvidence returns evidence that a detector could have given.
func someEvidence(r *rand.Rand) (e anomaly.Evidence) {
	e.Of = uint32(r.IntN(2))
	for k := range anomaly.Views {
		over := float32(r.ExpFloat64()) + 0.1
		switch r.IntN(3) {
		case 0:
			e.Above |= 1 << k
			e.Bound[k] = float32(r.NormFloat64())
			e.Shown[k] = e.Bound[k] + over
		case 1:
			e.Below |= 1 << k
			e.Bound[k] = float32(r.NormFloat64())
			e.Shown[k] = e.Bound[k] - over
		}
	}
	return e
}

// TestEvidenceAdd compares the sum of evidence with a look at each view alone.
func TestEvidenceAdd(t *testing.T) {
	r := random(t)
	for range 300 {
		all := make([]anomaly.Evidence, 1+r.IntN(6))
		var sum anomaly.Evidence
		for i := range all {
			all[i] = someEvidence(r)
			sum.Add(all[i])
		}
		for k := range anomaly.Views {
			side, of := 0, uint32(0)
			var bound, shown float32
			began := false
			for _, e := range all {
				if began = began || !e.Empty(); began && of == 0 {
					of = e.Of + 1
				}
				this := 0
				if e.Above.Has(k) {
					this = 1
				} else if e.Below.Has(k) {
					this = -1
				}
				if of != e.Of+1 || this == 0 || side != 0 && this != side {
					continue
				}
				if side == 0 {
					side, bound, shown = this, e.Bound[k], e.Shown[k]
				}
				if s := float32(this); s*e.Bound[k] < s*bound {
					bound = e.Bound[k]
				}
				if s := float32(this); s*e.Shown[k] > s*shown {
					shown = e.Shown[k]
				}
			}
			if sum.Above.Has(k) != (side > 0) || sum.Below.Has(k) != (side < 0) || sum.Bound[k] != bound || sum.Shown[k] != shown {
				t.Fatalf("view %d: %+v of %+v", k, sum, all)
			}
		}
		again := sum
		if again.Add(sum); again != sum {
			t.Fatalf("%+v twice is %+v", sum, again)
		}
	}
}

// FuzzEvidence restores any bytes: they are refused, or are evidence that is
// encoded the same way and does no harm to a state.
func FuzzEvidence(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 3))
	for range 4 {
		e := someEvidence(r)
		f.Add(e.AppendBinary(nil), uint8(1))
	}
	f.Add([]byte{0, 0, 0, 0, 0, 0, 9}, uint8(2))
	f.Fuzz(func(t *testing.T, data []byte, label uint8) {
		var e anomaly.Evidence
		rest, err := e.Restore(data)
		if err != nil {
			if !errors.Is(err, anomaly.ErrEvidence) || !e.Empty() {
				t.Fatalf("%v, %+v", err, e)
			}
			return
		}
		stored := e.AppendBinary(nil)
		if !bytes.Equal(stored, data[:len(data)-len(rest)]) || len(stored) > 70 {
			t.Fatalf("%x is stored as %x", data, stored)
		}
		spec := auto(func(a *anomaly.Auto) { a.WarmUp = 20 })
		s, at := warmed(spec, 100)
		anomaly.Teach(s, anomaly.Label(label%4), e)
		s = restored(t, spec, s)
		for i := range 100 {
			checkAuto(t, spec, float64(i), s.Observe(at, float64(i)))
			at += minute
		}
	})
}
