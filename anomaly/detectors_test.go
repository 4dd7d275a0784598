package anomaly_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"edged"
	"edged/anomaly"
)

// near reports whether two numbers agree but for rounding.
func near(a, b float64) bool { return math.Abs(a-b) <= 1e-7*(1+math.Abs(a)+math.Abs(b)) }

// state makes the state of a spec that must be valid.
func state(t *testing.T, s anomaly.Spec) anomaly.State {
	t.Helper()
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	return s.New()
}

// TestThresholdTable walks through all levels, the hysteresis and both delays.
func TestThresholdTable(t *testing.T) {
	s := state(t, &anomaly.Threshold{LowLow: -20, Low: -10, High: 10, HighHigh: 20, Hysteresis: 2, OnDelay: 2, OffDelay: 1})
	const none, l, ll, h, hh = anomaly.LevelNone, anomaly.LevelLow, anomaly.LevelLowLow, anomaly.LevelHigh, anomaly.LevelHighHigh
	for i, c := range []struct {
		t    edged.Timestamp
		x    float64
		want anomaly.Level
		span int64
	}{
		{0, 10, none, 0}, {1, 11, none, 0}, {2, 9, none, 0}, {3, 11, none, 0}, {4, 11, none, 0}, {5, 11, h, 2},
		{6, 9, h, 3}, {7, 8, h, 4}, {8, 7.9, h, 5}, {9, 8.5, h, 6}, {10, 7, h, 7}, {11, 7, none, 0},
		{12, 25, none, 0}, {14, 25, hh, 2}, {15, 15, hh, 3}, {16, 15, h, 4}, {17, 0, h, 5}, {18, 0, none, 0},
		{20, -30, none, 0}, {22, -30, ll, 2}, {23, -15, ll, 3}, {24, -15, l, 4}, {25, 0, l, 5}, {26, 0, none, 0},
	} {
		v := s.Observe(c.t, c.x)
		if v.Level != c.want || v.Alarm != (c.want != none) || v.Reason.Span != c.span {
			t.Errorf("row %d: %+v, want level %v for %d", i, v, c.want, c.span)
		}
	}
}

// TestPlausibleHidesValues checks that what is refused is not learned behind.
func TestPlausibleHidesValues(t *testing.T) {
	z := &anomaly.ZScore{Threshold: 3, Warmup: 2}
	a, b := state(t, &anomaly.Plausible{Low: 0, High: 10, Of: z}), state(t, z)
	for i := range 100 {
		if v := a.Observe(0, 11); !v.Alarm || v.Reason.Cause != anomaly.CauseImplausible || !near(v.Score, 1.1) {
			t.Fatalf("%+v", v)
		}
		x := float64(i%7) + 1
		if va, vb := a.Observe(0, x), b.Observe(0, x); va != vb {
			t.Fatalf("%+v, alone %+v", va, vb)
		}
	}
}

func TestRateTable(t *testing.T) {
	s := state(t, &anomaly.RateOfChange{Limit: 2, Window: 10_000})
	for i, c := range []struct {
		t     edged.Timestamp
		x     float64
		score float64
	}{
		{0, 0, 0}, {1000, 1, 1}, {1000, 50, 0}, {500, 50, 0}, // neither newer: passed over
		{10_000, 20, 2},  // over all of the window
		{60_000, -30, 1}, // from the newest before the window: 50 in 50 s
		{65_000, -50, 4}, // falling
		{71_000, -50, 0}, // the window holds -50 at 65 s
		{71_001, -49.9, 0.1 / 6.001},
	} {
		v := s.Observe(c.t, c.x)
		if !near(v.Score, c.score) || v.Alarm != (c.score >= 2) {
			t.Errorf("row %d: %+v, want %v", i, v, c.score)
		}
	}
}

func TestStuckTable(t *testing.T) {
	s := state(t, &anomaly.Stuck{Quantum: 1, Window: 100})
	for i, c := range []struct {
		t     edged.Timestamp
		x     float64
		span  int64
		alarm bool
	}{
		{0, 5, 0, false}, {50, 5.5, 50, false}, {99, 4.6, 99, false}, {100, 5, 100, true},
		{98, 7, 100, true},                                                              // from the past: the run goes on
		{150, 5.9, 50, false},                                                           // leaves 4.6..5.5; fits with the 5 at 100
		{160, 9, 0, false}, {155, 1, 0, false}, {259, 9, 99, false}, {359, 9, 0, false}, // after a hole of a window
		{458, 9, 99, false}, {459, 9, 100, true},
		{9e12, 9, 0, false}, {500, 9, 0, false}, {599, 9, 99, false}, {600, 9, 100, true}, // a clock far ahead, once
	} {
		v := s.Observe(c.t, c.x)
		if v.Alarm != c.alarm || v.Score != float64(c.span)/100 {
			t.Errorf("row %d: %+v", i, v)
		}
	}
}

func TestDeadManTable(t *testing.T) {
	s := state(t, &anomaly.DeadMan{Interval: 100, Factor: 3, Warmup: 1}).(anomaly.Expecting)
	if s.Due() != edged.MaxTimestamp {
		t.Error("due before anything is expected")
	}
	s.Expect(1000)
	if s.Due() != 1301 || s.Tick(1300).Alarm || !s.Tick(1301).Alarm || s.Due() != edged.MaxTimestamp {
		t.Error("a device that was never seen raises no alarm in time")
	}
	if v := s.Observe(1400, 1); v.Alarm || s.Due() != 1701 {
		t.Errorf("its first value: %+v, due %d", v, s.Due())
	}
	s.Expect(99)
	if v := s.Observe(1350, 1); v.Alarm || s.Due() != 1701 {
		t.Errorf("an older value: %+v, due %d", v, s.Due())
	}
	if v := s.Observe(2000, 1); !v.Alarm || v.Reason.Span != 600 || v.Score != 6 || v.Severity != anomaly.SeverityMajor {
		t.Errorf("after a silence nobody noticed: %+v", v)
	}

	s = state(t, &anomaly.DeadMan{Factor: 3, Warmup: 4}).(anomaly.Expecting)
	for i := range 5 {
		if s.Due() != edged.MaxTimestamp {
			t.Errorf("due after %d values", i)
		}
		s.Observe(edged.Timestamp(i*50), 1)
	}
	if s.Due() != 200+150+1 {
		t.Errorf("learned: due %d", s.Due())
	}
	s.Observe(1_000_000, 1) // counts as 150: 50 + 0.2 (weight 1/5) x 100 = 70
	if s.Due() != 1_000_000+210+1 {
		t.Errorf("after an outage: due %d", s.Due())
	}
}

func TestMissingTable(t *testing.T) {
	s := state(t, &anomaly.Missing{Interval: 10, Window: 320, Share: 0.25}).(anomaly.Timed)
	now := edged.Timestamp(0)
	for ; now < 640; now += 10 {
		if v := s.Observe(now, 1); v.Alarm || v.Warm != (now >= 320) {
			t.Fatalf("at %d: %+v", now, v)
		}
		s.Observe(now, 1) // once more: no second value
	}
	// 16 parts of 20 ms with two values each: four empty ones are a quarter.
	for i, alarm := range []bool{false, false, false, false, true} {
		due := s.Due()
		if v := s.Tick(due); v.Alarm != alarm || alarm && v.Reason.Excess != 0.25 || due != edged.Timestamp(640+20*i) {
			t.Errorf("tick %d at %d: %+v", i, due, v)
		}
	}
	if v := s.Tick(5000); !v.Alarm || v.Severity != anomaly.SeverityCritical || s.Due() != edged.MaxTimestamp {
		t.Errorf("all missing: %+v, due %d", v, s.Due())
	}
}

// meanSD is the mean and the sample deviation by definition.
func meanSD(xs []float64) (m, sd float64) {
	for _, x := range xs {
		m += x / float64(len(xs))
	}
	for _, x := range xs {
		sd += (x - m) * (x - m)
	}
	return m, math.Sqrt(sd / float64(len(xs)-1))
}

// middleOf is the median by definition.
func middleOf(xs []float64) float64 {
	s := slices.Sorted(slices.Values(xs))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// TestAgainstDefinitions compares z-score and MAD with their definitions over a
// slice of the past, also right after giants have left the window.
func TestAgainstDefinitions(t *testing.T) {
	t.Logf("-seed %d", *seed)
	r := rand.New(rand.NewPCG(*seed, 9))
	const window = 12
	ring, all := state(t, &anomaly.ZScore{Window: window, Threshold: 4, Warmup: 2}), state(t, &anomaly.ZScore{Threshold: 4, Warmup: 2})
	mad := state(t, &anomaly.MAD{Window: window, Threshold: 4, Warmup: 2})
	var past []float64
	for i := range 2000 {
		x := math.Round(10*r.NormFloat64()) + 50
		if i > 1000 && r.IntN(40) == 0 {
			x = 1e9
		}
		last := past[max(0, len(past)-window):]
		va, vr, vm := all.Observe(0, x), ring.Observe(0, x), mad.Observe(0, x)
		if i > 3 {
			m, sd := meanSD(past)
			if want := math.Abs(x-m) / sd; !near(va.Score, want) {
				t.Fatalf("at %d: zscore over all %v, want %v", i, va.Score, want)
			}
			m, sd = meanSD(last)
			if want := math.Abs(x-m) / max(sd, 1e-9*(1+math.Abs(m))); math.Abs(vr.Score-want) > 1e-4*(1+want) {
				t.Fatalf("at %d: zscore over a window %v, want %v", i, vr.Score, want)
			}
			med := middleOf(last)
			far := make([]float64, len(last))
			for j, y := range last {
				far[j] = math.Abs(y - med)
			}
			spread := 1.4826 * middleOf(far)
			if spread == 0 {
				m, _ := meanSD(far)
				spread = 1.2533 * m
			}
			if want := math.Abs(x-med) / max(spread, 1e-9*(1+math.Abs(med))); !near(vm.Score, want) {
				t.Fatalf("at %d: mad %v, want %v of %v", i, vm.Score, want, last)
			}
		}
		past = append(past, x)
	}
}

// TestCUSUMTable: the reference of 1, 3 is mean 2 and deviation sqrt 2.
func TestCUSUMTable(t *testing.T) {
	s := state(t, &anomaly.CUSUM{K: 0.5, Threshold: 2, Warmup: 2})
	s.Observe(0, 1)
	s.Observe(0, 3)
	d := math.Sqrt2
	for i, c := range []struct {
		z, score float64
		alarm    bool
		below    bool
	}{{1, 0.5, false, false}, {1, 1, false, false}, {0, 0.5, false, false}, {2, 2, true, false}, {1, 0.5, false, false},
		{-2, 1.5, false, true}, {-1, 2, true, true}, {100, 7.5, true, false}} {
		v := s.Observe(0, 2+d*c.z+math.Copysign(1e-12, c.z))
		if math.Abs(v.Score-c.score) > 1e-9 || v.Alarm != c.alarm || v.Reason.Below != c.below {
			t.Errorf("row %d: %+v, want %v", i, v, c.score)
		}
	}
}

// TestCharts compares the EWMA chart, Page-Hinkley and Holt-Winters with their
// formulas written down in one go.
func TestCharts(t *testing.T) {
	t.Logf("-seed %d", *seed)
	r := rand.New(rand.NewPCG(*seed, 10))
	ewma := state(t, &anomaly.EWMAChart{Lambda: 0.25, Memory: 0.01, Threshold: 4, Warmup: 10})
	hinkley := state(t, &anomaly.PageHinkley{Delta: 0.1, Threshold: 1e6, Warmup: 10})
	winters := state(t, &anomaly.HoltWinters{Period: 4, Bins: 4, Alpha: 0.2, Beta: 0.1, Gamma: 0.3, Threshold: 4, Warmup: 10})
	var past []float64
	var w, m, vrn, up, upLeast, down, downLeast, level, trend, rest float64
	var season [4]float64
	for i := range 500 {
		x := 20 + r.NormFloat64() + float64(i%4)
		ve, vp, vw := ewma.Observe(0, x), hinkley.Observe(0, x), winters.Observe(edged.Timestamp(i), x)
		past = append(past, x)
		if i == 0 {
			w, m, level = x, x, x
			continue
		}
		w = 0.25*x + 0.75*w
		if want := math.Abs(w-m) / math.Sqrt(0.25/1.75) / max(math.Sqrt(vrn), 1e-9*(1+math.Abs(m))); !near(ve.Score, want) {
			t.Fatalf("at %d: ewma %v, want %v", i, ve.Score, want)
		}
		a := max(0.01, 1/float64(i+1))
		vrn = (1 - a) * (vrn + a*(x-m)*(x-m))
		m += a * (x - m)

		if i >= 10 {
			mean, sd := meanSD(past)
			up += (x-mean)/sd - 0.1
			down -= (x-mean)/sd + 0.1
			upLeast, downLeast = min(upLeast, up), min(downLeast, down)
			if want := max(up-upLeast, down-downLeast); !near(vp.Score, want) {
				t.Fatalf("at %d: page_hinkley %v, want %v", i, vp.Score, want)
			}
		}

		e := x - level - trend - season[i%4]
		if want := math.Abs(e) / max(math.Sqrt(rest), 1e-9*(1+math.Abs(x-e))); !near(vw.Score, min(want, 1e12)) {
			t.Fatalf("at %d: holt_winters %v, want %v", i, vw.Score, want)
		}
		level, trend = level+trend+0.2*e, trend+0.02*e
		season[i%4] += 0.3 * 0.8 * e
		rest += max(0.01, 1/float64(i)) * (e*e - rest)
	}
}

// TestShifts checks that the detectors of change find a shift of the mean, once,
// and on noise alone stay silent.
func TestShifts(t *testing.T) {
	t.Logf("-seed %d", *seed)
	for _, name := range []string{"cusum", "page_hinkley", "adwin"} {
		spec, err := anomaly.Find(name, anomaly.Params{})
		if err != nil {
			t.Fatal(err)
		}
		r := rand.New(rand.NewPCG(*seed, 11))
		s := spec.New()
		before, after := 0, 0
		for i := range 6000 {
			x := r.NormFloat64()
			if i >= 3000 {
				x += 3
			}
			if v := s.Observe(0, x); v.Alarm && i < 3000 {
				before++
			} else if v.Alarm {
				if after++; v.Reason.Below || i > 3100 && after == 1 {
					t.Errorf("%s at %d: %+v", name, i, v)
				}
			}
		}
		if before > 0 || after < 1 || after > 3 {
			t.Errorf("%s: %d alarms before the shift, %d after", name, before, after)
		}
	}
}

// TestForests checks that the forests score a value far away, and a known shape
// in the wrong order, above everything in the noise.
func TestForests(t *testing.T) {
	for _, name := range []string{"half_space_trees", "random_cut_forest"} {
		spec, err := anomaly.Find(name, anomaly.Params{Numbers: numbers{"shingle": 2}})
		if err != nil {
			t.Fatal(err)
		}
		r := rand.New(rand.NewPCG(*seed, 12))
		s, most, alarms := spec.New(), 0.0, 0
		for i := range 3000 {
			v := s.Observe(0, math.Sin(float64(i)/5)+r.NormFloat64()/20)
			most = max(most, v.Score)
			if v.Alarm {
				alarms++
			}
		}
		v := s.Observe(0, 8)
		if !v.Alarm || v.Score <= most || alarms > 3 {
			t.Errorf("%s: %v for a spike, at most %v and %d alarms before", name, v.Score, most, alarms)
		}
	}
}

// TestClockBins checks that the hours are those of the zone, across the change
// to summer time.
func TestClockBins(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip(err)
	}
	s := state(t, &anomaly.ClockBins{Zone: zone, Memory: 100, Threshold: 3, Warmup: 5})
	for at := time.Date(2026, 3, 1, 0, 0, 0, 0, zone); at.Month() < 5; at = at.Add(time.Hour) {
		x := 0.0
		if at.Hour() == 7 {
			x = 100
		}
		if v := s.Observe(edged.Timestamp(at.UnixMilli()), x); v.Alarm {
			t.Fatalf("%v: %+v", at, v)
		}
	}
	if v := s.Observe(edged.Timestamp(time.Date(2026, 5, 1, 8, 0, 0, 0, zone).UnixMilli()), 100); !v.Alarm {
		t.Errorf("the habit of another hour: %+v", v)
	}
}

func TestPeers(t *testing.T) {
	p := &anomaly.Peers{Threshold: 5, Floor: 0.1, Least: 3}
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	g := p.New()
	g.Set([]float64{10, 12, 11, math.NaN(), 30, 9}) // median 11, MAD 1
	if v := g.Judge(30); !v.Alarm || !near(v.Score, 19/1.4826) || v.Reason.Count != 5 || v.Reason.Below {
		t.Errorf("%+v", v)
	}
	if v := g.Judge(9); v.Alarm || !near(v.Score, 2/1.4826) || !v.Reason.Below {
		t.Errorf("%+v", v)
	}
	g.Set([]float64{1, 2})
	if v := g.Judge(30); v.Alarm || v.Warm {
		t.Errorf("two members judge: %+v", v)
	}
}

// TestVote checks the count of voices, and that time gives one too.
func TestVote(t *testing.T) {
	none := math.NaN()
	high := func(limit float64) anomaly.Spec {
		return &anomaly.Threshold{LowLow: none, Low: none, High: limit, HighHigh: none}
	}
	s := state(t, &anomaly.Vote{K: 2, Of: []anomaly.Spec{high(1), high(2), &anomaly.DeadMan{Interval: 10, Factor: 2, Warmup: 1}}}).(anomaly.Timed)
	for i, c := range []struct {
		x     float64
		count float64
	}{{0, 0}, {1.5, 1}, {3, 2}, {1.5, 1}} {
		if v := s.Observe(edged.Timestamp(i), c.x); v.Score != c.count || v.Alarm != (c.count >= 2) {
			t.Errorf("row %d: %+v", i, v)
		}
	}
	if v := s.Tick(s.Due()); !v.Alarm || v.Score != 2 {
		t.Errorf("a silence and a voice: %+v", v)
	}
}

// TestLikelihood: scores of 0 and then steady ones are unlikely at first.
func TestLikelihood(t *testing.T) {
	s := state(t, &anomaly.Likelihood{Of: &anomaly.RateOfChange{Limit: 1, Window: 1}, Short: 2, Long: 100, Threshold: 4, Floor: 1, Warmup: 10})
	for i := range 100 {
		if v := s.Observe(edged.Timestamp(i*1000), 7); v.Alarm || v.Score != 0 || v.Warm != (i >= 13) {
			t.Fatalf("at %d: %+v", i, v)
		}
	}
	// One score of 10 among 100 of 0: mean of two 5, m = 0.1, s = 0.995 below the
	// floor of 1: z = 4.9, whose tail is 4.79e-7.
	if v := s.Observe(100_000, 17); !v.Alarm || math.Abs(v.Score-6.3195) > 0.01 {
		t.Errorf("%+v", v)
	}
}
