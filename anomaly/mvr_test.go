package anomaly_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"edged"
	"edged/anomaly"
	"edged/windows/zones"
)

const minute edged.Timestamp = 60_000

// series returns a value for each minute, by the kind of series.
var series = map[string]func(r *rand.Rand) func(i int) float64{
	"noise": func(r *rand.Rand) func(int) float64 {
		return func(int) float64 { return 20 + r.NormFloat64() }
	},
	"walk": func(r *rand.Rand) func(int) float64 {
		x := 0.0
		return func(int) float64 { x += r.NormFloat64(); return x }
	},
	"day with spikes": func(r *rand.Rand) func(int) float64 {
		return func(i int) float64 {
			x := 50 + 10*math.Sin(2*math.Pi*float64(i)/1440) + r.NormFloat64()
			if r.IntN(500) == 0 {
				x += 40 * r.Float64()
			}
			return x
		}
	},
	"steps and plateaus": func(r *rand.Rand) func(int) float64 {
		level := 5.0
		return func(i int) float64 {
			if r.IntN(400) == 0 {
				level = float64(r.IntN(20))
			}
			return level + float64(r.IntN(2))/4
		}
	},
	"machine": func(r *rand.Rand) func(int) float64 {
		x := 80.0
		return func(i int) float64 {
			x += 0.02*(80-x) + 0.8*r.NormFloat64()
			if i%2300 > 2200 {
				x -= 0.9
			}
			return x
		}
	},
}

func auto(change func(*anomaly.Auto)) *anomaly.Auto {
	a := anomaly.NewAuto()
	if change != nil {
		change(a)
	}
	if err := a.Validate(); err != nil {
		panic(err)
	}
	return a
}

func random(t testing.TB) *rand.Rand {
	t.Logf("seed %d", *seed)
	return rand.New(rand.NewPCG(*seed, 4))
}

// TestAutoAgainstNaive compares every score and alarm with the naive detector's.
func TestAutoAgainstNaive(t *testing.T) {
	zone, err := zones.Load("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for name, make := range series {
		t.Run(name, func(t *testing.T) {
			r := random(t)
			spec := auto(func(a *anomaly.Auto) {
				a.Zone, a.EpochRows, a.Epoch, a.CoolDown = zone, 500, 12*60*int64(minute), 30
			})
			state, dumb := spec.New(), naive{spec: *spec}
			next, at := make(r), edged.Timestamp(1_711_800_000_000) // the day before clocks change
			scores, alarms := 0, 0
			for i := range 3000 {
				if at += minute; r.IntN(300) == 0 {
					at += edged.Timestamp(r.IntN(200)) * minute
				}
				x := float64(float32(next(i)))
				v := state.Observe(at, x)
				score, view, alarm := dumb.observe(at, x)
				if math.Abs(v.Score-score) > 2e-4*(1+score) {
					t.Fatalf("row %d, value %v: score %v (%v), want %v (%v)", i, x, v.Score, v.Reason.View, score, view)
				}
				near := math.Abs(score-spec.Minor) < 1e-3 || math.Abs(score-dumb.peak) < 1e-3 && !alarm
				if v.Alarm != alarm && !near {
					t.Fatalf("row %d: alarm %v, want %v, score %v", i, v.Alarm, alarm, score)
				}
				if score > 0.01 {
					scores++
				}
				if alarm {
					alarms++
				}
			}
			t.Logf("%d scores, %d alarms", scores, alarms)
			if scores < 3 {
				t.Error("the series says nothing")
			}
		})
	}
}

// TestAutoRestored compares, after a restore at random rows, everything that
// follows bit by bit.
func TestAutoRestored(t *testing.T) {
	for name, make := range series {
		t.Run(name, func(t *testing.T) {
			r := random(t)
			spec := auto(func(a *anomaly.Auto) { a.EpochRows, a.Epoch = 400, 0 })
			state := spec.New()
			next := make(r)
			most := 0
			for i := range 2500 {
				at, x := edged.Timestamp(i)*minute, next(i)
				if i%7 == 0 {
					x = 0 * -x // both zeros
				}
				if i < 90 || r.IntN(40) == 0 {
					before := state.AppendBinary([]byte("head"))
					most = max(most, len(before)-4)
					copied := auto(func(a *anomaly.Auto) { *a = *spec }).New()
					rest, err := copied.Restore(append(before[4:], "tail"...))
					if err != nil || string(rest) != "tail" {
						t.Fatalf("row %d: rest %q, %v", i, rest, err)
					}
					if !bytes.Equal(copied.AppendBinary(nil), before[4:]) {
						t.Fatalf("row %d: the copy is encoded otherwise", i)
					}
					old := state
					state = copied
					if a, b := old.Observe(at, x), state.Observe(at, x); a != b {
						t.Fatalf("row %d: %+v, restored %+v", i, a, b)
					}
					if !bytes.Equal(old.AppendBinary(nil), state.AppendBinary(nil)) {
						t.Fatalf("row %d: states differ", i)
					}
					continue
				}
				state.Observe(at, x)
			}
			// The straight run must be where the one with restores is.
			if most > 2048 || state.Bytes() > 2560 {
				t.Errorf("%d bytes encoded, %d in memory", most, state.Bytes())
			}
			t.Logf("%d bytes encoded, %d in memory", most, state.Bytes())
		})
	}
}

// TestAutoRestoredRun runs a series once straight and once through a restore
// before every row.
func TestAutoRestoredRun(t *testing.T) {
	r := random(t)
	spec := auto(func(a *anomaly.Auto) { a.EpochRows, a.Epoch = 300, 0 })
	straight, broken := spec.New(), spec.New()
	next := series["day with spikes"](r)
	for i := range 1500 {
		at, x := edged.Timestamp(i)*minute, next(i)
		other := spec.New()
		if _, err := other.Restore(broken.AppendBinary(nil)); err != nil {
			t.Fatal(err)
		}
		broken = other
		if a, b := straight.Observe(at, x), broken.Observe(at, x); a != b {
			t.Fatalf("row %d: %+v, want %+v", i, b, a)
		}
	}
}

func TestAutoRefusesBytes(t *testing.T) {
	spec := auto(nil)
	state := spec.New()
	for i := range 200 {
		state.Observe(edged.Timestamp(i)*minute, float64(i%10))
	}
	good := state.AppendBinary(nil)
	for n := range good {
		if _, err := state.Restore(good[:n]); !errors.Is(err, anomaly.ErrState) {
			t.Fatalf("the first %d bytes: %v", n, err)
		}
	}
	for name, at := range map[string]int{"tag": 0, "version": 1, "peak": 26 + 7, "fast": 38 + 7, "weight": 78 + 3, "counts": 142 + 4*168} {
		bad := bytes.Clone(good)
		bad[at], bad[at-min(at, 1)] = 0xff, 0xff
		if _, err := state.Restore(bad); !errors.Is(err, anomaly.ErrState) {
			t.Errorf("%s: %v", name, err)
		}
	}
	heavy := bytes.Clone(good)
	binary.LittleEndian.PutUint32(heavy[78:], math.Float32bits(2e6))
	if _, err := state.Restore(heavy); !errors.Is(err, anomaly.ErrState) {
		t.Errorf("a weight of two million: %v", err)
	}
	for _, last := range []float32{float32(math.NaN()), float32(math.Copysign(0, -1)), 1e38} {
		bad := bytes.Clone(good)
		for at := len(bad) - 8*4; at < len(bad); at += 8 {
			binary.LittleEndian.PutUint32(bad[at:], math.Float32bits(last))
		}
		if _, err := state.Restore(bad); !errors.Is(err, anomaly.ErrState) {
			t.Errorf("a last value of %v: %v", last, err)
		}
	}
	if !bytes.Equal(state.AppendBinary(nil), good) {
		t.Error("a refused restore has changed the state")
	}
}

// warmed returns a state that has seen n values of a saw-tooth 0..9.
func warmed(spec *anomaly.Auto, n int) (anomaly.State, edged.Timestamp) {
	state, at := spec.New(), edged.Timestamp(0)
	for i := range n {
		at = edged.Timestamp(i) * minute
		state.Observe(at, float64(i%10))
	}
	return state, at + minute
}

func TestAutoWarmUp(t *testing.T) {
	state := auto(nil).New()
	for i := range 179 {
		x := float64(i % 10)
		if i == 149 {
			x = 100 // learned in silence
		}
		v := state.Observe(edged.Timestamp(i)*minute, x)
		if v.Warm != (i >= 150) || v.HasRange != v.Warm || !v.Warm && (v.Score != 0 || v.Alarm) {
			t.Fatalf("row %d: %+v", i, v)
		}
	}
	if v := state.Observe(179*minute, 50); v.Score > 0.07 {
		t.Errorf("what the warm-up has seen alarms: %+v", v)
	}
}

// TestAutoCoolDown checks that within the cool-down only what is worse speaks.
func TestAutoCoolDown(t *testing.T) {
	state, at := warmed(auto(nil), 1000)
	say := func(x float64) anomaly.Verdict {
		v := state.Observe(at, x)
		at += minute
		return v
	}
	first := say(12)
	if !first.Alarm || first.Severity < anomaly.SeverityMajor {
		t.Fatalf("12 after 0..9: %+v", first)
	}
	if v := say(13); v.Alarm || v.Score < 0.07 {
		t.Errorf("13 after 12, less of a record than 12 was: %+v", v)
	}
	if v := say(60); !v.Alarm || v.Score <= first.Score {
		t.Errorf("60 is worse than 12 was: %+v", v)
	}
	for i := range 99 {
		if v := say(float64(i % 10)); v.Alarm {
			t.Fatalf("%d rows after the peak: %+v", i+1, v)
		}
	}
	held := state.AppendBinary(nil)
	if v := say(70); v.Alarm || v.Score < 0.07 {
		t.Errorf("100 rows after the peak: %+v", v)
	}
	if _, err := state.Restore(held); err != nil {
		t.Fatal(err)
	}
	say(5)
	if v := say(70); !v.Alarm {
		t.Errorf("101 rows after the peak: %+v", v)
	}
}

// TestAutoEpochs checks that a range lives for one to two epochs, and that both
// the time and the rows must be over.
func TestAutoEpochs(t *testing.T) {
	for _, c := range []struct {
		rows      int
		step      edged.Timestamp
		forgotten bool
	}{
		{3999, 15 * minute, false}, // not enough rows, whatever the time: 41 days
		{4001, 1000, false},        // enough rows in an hour
		{4100, 15 * minute, false}, // one epoch is over: remembered as the previous
		{8200, 15 * minute, true},  // two
	} {
		spec := auto(nil)
		state := spec.New()
		for i := range 160 {
			state.Observe(edged.Timestamp(i), float64(i%10))
		}
		state.Observe(160, 100)
		for i := range c.rows - 161 {
			state.Observe(200+edged.Timestamp(i)*c.step, float64(i%10))
		}
		if v := state.Observe(200+edged.Timestamp(c.rows)*c.step, 90); (v.Score > 1) != c.forgotten {
			t.Errorf("%+v: %+v", c, v)
		}
	}
}

// TestAutoClock checks that one wrong clock does not stop epochs for ever.
func TestAutoClock(t *testing.T) {
	for _, wrong := range []edged.Timestamp{edged.MaxTimestamp, edged.MinTimestamp, 4e12} {
		spec := auto(func(a *anomaly.Auto) { a.EpochRows = 1000 })
		state := spec.New()
		state.Observe(wrong, 5) // begins the epoch
		for i := range 160 {
			state.Observe(edged.Timestamp(i), float64(i%10))
		}
		state.Observe(160, 100)
		for i := range 12_000 {
			v := state.Observe(edged.Timestamp(i)*15*minute, float64(i%10))
			if v.Reason.Span < 0 {
				t.Fatalf("span %d", v.Reason.Span)
			}
		}
		if v := state.Observe(12_000*15*minute, 90); v.Score < 1 {
			t.Errorf("first time %d: 99 is still remembered: %+v", wrong, v)
		}
	}
}

func TestAutoExplains(t *testing.T) {
	state := auto(nil).New()
	day := func(i int) float64 { return 20 + 2*math.Sin(2*math.Pi*float64(i)/288) + 0.3*math.Sin(float64(i)) }
	at := func(i int) edged.Timestamp { return 1_700_000_000_000 + edged.Timestamp(i)*5*minute }
	const rows = 20 * 288
	for i := range rows {
		state.Observe(at(i), day(i))
	}
	v := state.Observe(at(rows), 15)
	want := "jump 256 % below anything in 20 days; expected 18.52..19.9, got 15"
	if got := v.Explain(15); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if v.Severity != anomaly.SeverityCritical || !v.Reason.Below || v.Low > v.High {
		t.Errorf("%+v", v)
	}
	if v := state.Observe(at(rows+1), day(rows+1)); v.Score == 0 && v.Explain(1) != "" {
		t.Errorf("nothing unusual: %q", v.Explain(1))
	}
}

// TestAutoRange checks what the expected range promises: a value below the
// threshold is in it, and one to which a difference objects is not.
func TestAutoRange(t *testing.T) {
	for name, make := range series {
		r := random(t)
		state, next := auto(nil).New(), make(r)
		for i := range 5000 {
			x := float64(float32(next(i)))
			v := state.Observe(edged.Timestamp(i)*5*minute, x)
			if !v.Warm {
				continue
			}
			switch in := x >= v.Low && x <= v.High; {
			case !v.HasRange || v.Low > v.High:
				t.Fatalf("%s, row %d: %+v", name, i, v)
			case v.Severity == anomaly.SeverityNone && !in:
				t.Fatalf("%s, row %d: %v is out of %v..%v with score %v", name, i, x, v.Low, v.High, v.Score)
			case v.Severity > anomaly.SeverityNone && in && v.Reason.View != anomaly.ViewFloor && v.Reason.View != anomaly.ViewCeiling && v.Reason.View != anomaly.ViewLevel:
				t.Fatalf("%s, row %d: %v is in %v..%v with score %v by %v", name, i, x, v.Low, v.High, v.Score, v.Reason.View)
			}
		}
	}
}

// TestAutoConstant checks that rounding on a series that stands still, also after
// it has moved, is no record.
func TestAutoConstant(t *testing.T) {
	for _, x := range []float64{20.1, 1e-9, -1e9, 0, 1e300, -1e300, 4e-40} {
		state := auto(nil).New()
		for i := range 20_000 {
			y := x
			if i < 200 {
				y = x * (1 + float64(i%3)/8)
			}
			v := state.Observe(edged.Timestamp(i)*5*minute, y)
			if v.Alarm && i > 400 {
				t.Fatalf("%v, row %d: %s (%v)", x, i, v.Explain(y), v.Score)
			}
		}
		if v := state.Observe(20_000*5*minute, x*1.5+1e-3); !v.Alarm && math.Abs(x) < 1e37 {
			t.Errorf("%v: a step after rest does not alarm: %+v", x, v)
		}
	}
}

// TestAutoFlicker checks that the last digit of a float32 is no record.
func TestAutoFlicker(t *testing.T) {
	for _, x := range []float32{1e6, 20.1, -3e-9} {
		state := auto(nil).New()
		for i := range 9000 {
			y := x
			if i > 8500 && i%17 == 0 {
				y = math.Nextafter32(x, 2*x)
			}
			if v := state.Observe(edged.Timestamp(i)*5*minute, float64(y)); v.Alarm {
				t.Fatalf("%v, row %d: %s (%v)", x, i, v.Explain(float64(y)), v.Score)
			}
		}
	}
}

func TestAutoHours(t *testing.T) {
	berlin, err := zones.Load("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	// Each hour of the week of the place has its own value, for fourteen weeks over
	// the change of clocks: nothing is unusual. In UTC, the change is.
	run := func(zone *time.Location) (late int) {
		state := auto(func(a *anomaly.Auto) { a.Zone, a.EpochRows = zone, 600 }).New()
		for i := range 14 * 7 * 96 {
			at := 1_706_400_000_000 + edged.Timestamp(i)*15*minute // from 28 January 2024
			local := time.UnixMilli(int64(at)).In(berlin)
			x := float64((local.Hour()*7 + int(local.Weekday())*3) % 24)
			if v := state.Observe(at, x); v.Reason.View == anomaly.ViewSeason && v.Score > 0.03 && i > 60*96 {
				late++
			}
		}
		return late
	}
	if here, elsewhere := run(berlin), run(time.UTC); here != 0 || elsewhere == 0 {
		t.Errorf("seasonal records after the clocks changed: %d in the zone, %d in UTC; want none and some", here, elsewhere)
	}
}

func TestAutoValidate(t *testing.T) {
	if err := anomaly.NewAuto().Validate(); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*anomaly.Auto){
		"warm-up":    func(a *anomaly.Auto) { a.WarmUp = 3 },
		"cool-down":  func(a *anomaly.Auto) { a.CoolDown = -1 },
		"epoch":      func(a *anomaly.Auto) { a.Epoch = -1 },
		"epoch rows": func(a *anomaly.Auto) { a.EpochRows = 0 },
		"NaN":        func(a *anomaly.Auto) { a.Major = math.NaN() },
		"order":      func(a *anomaly.Auto) { a.Major = 0.01 },
		"zero":       func(a *anomaly.Auto) { a.Minor = 0 },
		"unreached":  func(a *anomaly.Auto) { a.Critical = 6 },
	} {
		a := anomaly.NewAuto()
		change(a)
		if a.Validate() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
