package anomaly_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"edged"
	"edged/anomaly"
)

// restored returns a copy of a state.
func restored(t testing.TB, spec anomaly.Spec, s anomaly.State) anomaly.State {
	t.Helper()
	other := spec.New()
	if _, err := other.Restore(s.AppendBinary(nil)); err != nil {
		t.Fatal(err)
	}
	return other
}

// TestJudge: a value that is judged changes nothing, and is judged as it would be
// if it was learned next; by auto, as far as it needs no values from just before.
func TestJudge(t *testing.T) {
	t.Logf("-seed %d", *seed)
	var learnNothing []string
	for name, spec := range menu(t) {
		s, ok := spec.New().(anomaly.Freezer)
		if !ok {
			learnNothing = append(learnNothing, name)
			continue
		}
		if name == "dead_man" || name == "vote" {
			continue // a sign of life is one in any case; the vote of the menu has a dead man
		}
		r := rand.New(rand.NewPCG(*seed, 20))
		now := edged.Timestamp(1.7e12)
		for i := range 1500 {
			now = now.Add(int64(r.IntN(3)) * 700)
			x := odd(r)
			before := s.AppendBinary(nil)
			v, want := s.Judge(now, x), restored(t, spec, s).Observe(now, x)
			sound(t, name, v)
			if name == "auto" && v.Score <= want.Score && v.Warm == want.Warm {
				v = want
			}
			if v != want {
				t.Fatalf("%s at %d, value %v: judged %+v, observed %+v", name, i, x, v, want)
			}
			if !bytes.Equal(before, s.AppendBinary(nil)) {
				t.Fatalf("%s at %d: judging %v has changed the state", name, i, x)
			}
			s.Observe(now, x)
		}
	}
	slices.Sort(learnNothing)
	if want := []string{"missing", "rate_of_change", "stuck", "threshold"}; !slices.Equal(learnNothing, want) {
		t.Errorf("%v learn nothing, want %v", learnNothing, want)
	}
}

// TestJudgeAuto: what auto judges without learning alarms each time, though it
// does not begin a cool-down.
func TestJudgeAuto(t *testing.T) {
	s, at := warmed(auto(nil), 1000)
	for range 300 {
		if v := anomaly.Judge(s, at, 30); !v.Alarm || v.Score < 1 || v.Reason.View != anomaly.ViewCeiling {
			t.Fatalf("30 after 0..9: %+v", v)
		}
		if v := anomaly.Judge(s, at, 5); v.Score != 0 {
			t.Fatalf("5 after 0..9: %+v", v)
		}
		at += minute
	}
}

// TestFrozenAlarm: a runtime that freezes while an alarm is open labels it true at
// once and judges until nothing is unusual. Neither the fault, however long it
// takes, nor its end is learned, and what comes after is usual.
func TestFrozenAlarm(t *testing.T) {
	r := random(t)
	for _, name := range []string{"noise", "day with spikes", "machine"} {
		for _, fault := range []float64{300, -200} {
			next, s := series[name](r), auto(nil).New()
			i := 0
			time := func() edged.Timestamp { i++; return edged.Timestamp(i) * minute }
			for range 3 * 1440 {
				s.Observe(time(), next(i))
			}
			for round := range 3 {
				v := s.Observe(time(), fault)
				if !v.Alarm || !anomaly.Teach(s, anomaly.LabelTrue, v.Evidence) {
					t.Fatalf("%s, round %d: %+v", name, round, v)
				}
				for range 500 {
					if v := anomaly.Judge(s, time(), fault); v.Severity == anomaly.SeverityNone {
						t.Fatalf("%s, round %d: the fault has become usual: %+v", name, round, v)
					}
				}
				closed := 0
				for ; closed < 50 && anomaly.Judge(s, time(), next(i)).Severity > anomaly.SeverityNone; closed++ {
				}
				worst := 0.0
				for range 200 {
					worst = max(worst, s.Observe(time(), next(i)).Score)
				}
				if closed == 50 || worst > 0.5*v.Score {
					t.Errorf("%s, round %d: closed after %d, then score %v; the fault's was %v", name, round, closed, worst, v.Score)
				}
			}
		}
	}
}

// TestJudgeDeadMan: while frozen, values are signs of life and no gaps.
func TestJudgeDeadMan(t *testing.T) {
	s := (&anomaly.DeadMan{Factor: 3, Warmup: 4}).New().(anomaly.Timed)
	for i := range 11 {
		s.Observe(edged.Timestamp(i*50), 1)
	}
	for at := edged.Timestamp(1000); at < 9000; at += 500 {
		if v := s.Tick(at); !v.Alarm {
			t.Fatalf("tick at %d: %+v", at, v)
		}
		if v := anomaly.Judge(s, at, 1); v.Alarm || s.Due() != at+151 {
			t.Fatalf("value at %d: %+v, due %d", at, v, s.Due())
		}
	}
}

// TestJudgeAllocatesNothing is about warm states.
func TestJudgeAllocatesNothing(t *testing.T) {
	for name, spec := range menu(t) {
		s, now := spec.New(), edged.Timestamp(0)
		for range 300 {
			now = now.Add(1000)
			s.Observe(now, float64(now%7000))
		}
		if n := testing.AllocsPerRun(100, func() { anomaly.Judge(s, now, float64(now%3000)) }); n > 0 {
			t.Errorf("%s: %v allocations a value", name, n)
		}
	}
}
