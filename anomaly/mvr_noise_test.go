package anomaly_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"edged"
	"edged/anomaly"
)

// TestAutoQuiet counts alarms on stationary series that have no anomaly, after
// the first epoch: of 16,000 rows, and as long as the defaults make it.
func TestAutoQuiet(t *testing.T) {
	quiet(t, "epochs of 16,000 values", 16_000, minute, 1)
	quiet(t, "defaults, a value a minute", 10_080, minute, 2)
	quiet(t, "defaults, a value every 5 minutes", 4_000, 5*minute, 5)
}

// quiet runs noise of all kinds with epochs of that many rows, and allows most
// alarms in 10,000 values.
func quiet(t *testing.T, what string, epoch int, step edged.Timestamp, most float64) {
	t.Helper()
	const rows, seeds = 100_000, 4
	for name, make := range map[string]func(r *rand.Rand) func(i int) float64{
		"Gaussian": func(r *rand.Rand) func(int) float64 {
			return func(int) float64 { return 20 + r.NormFloat64() }
		},
		"Student t3": func(r *rand.Rand) func(int) float64 {
			return func(int) float64 {
				chi := 0.0
				for range 3 {
					x := r.NormFloat64()
					chi += x * x
				}
				return 20 + r.NormFloat64()/math.Sqrt(chi/3)
			}
		},
		"AR(1) 0.9": func(r *rand.Rand) func(int) float64 {
			x := 0.0
			return func(int) float64 { x = 0.9*x + r.NormFloat64(); return x }
		},
		"AR(1) 0.99": func(r *rand.Rand) func(int) float64 {
			x := 0.0
			return func(int) float64 { x = 0.99*x + r.NormFloat64(); return x }
		},
		"daily sine and noise": func(r *rand.Rand) func(int) float64 {
			return func(i int) float64 { return 20 + 5*math.Sin(2*math.Pi*float64(i)/1440) + r.NormFloat64() }
		},
	} {
		alarms, judged := 0, 0
		for s := range uint64(seeds) {
			next := make(rand.New(rand.NewPCG(*seed, s)))
			state := auto(func(a *anomaly.Auto) { a.EpochRows = epoch }).New()
			for i := range rows {
				if v := state.Observe(edged.Timestamp(i)*step, next(i)); i >= epoch {
					judged++
					if v.Alarm {
						alarms++
					}
				}
			}
		}
		per := 1e4 * float64(alarms) / float64(judged)
		t.Logf("seed %d, %s, %s: %d alarms in %d values, %.2f in 10,000", *seed, what, name, alarms, judged, per)
		// Three deviations of the chance in counting are allowed on top.
		if limit := most * float64(judged) / 1e4; float64(alarms) > limit+3*math.Sqrt(limit) {
			t.Errorf("%s, %s: %.2f alarms in 10,000 values", what, name, per)
		}
	}
}
