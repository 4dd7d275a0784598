package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// example is a series that shows what a detector is for. The page about detectors
// has a picture of it, so it repeats exactly: its chance comes from a fixed seed,
// and its values have two decimals.
type example struct {
	detector string
	params   []string // as --param takes them
	series   string   // what is measured, with its unit
	step     time.Duration
	rows     int
	value    func(r *rand.Rand, i int) float64 // NaN: nothing came
}

// csv writes the series.
func (e *example) csv() string {
	var b strings.Builder
	fmt.Fprintf(&b, "time,%s\n", e.series)
	r := rand.New(rand.NewPCG(1, 15))
	start := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC) // a Monday
	for i := range e.rows {
		if x := e.value(r, i); !math.IsNaN(x) {
			fmt.Fprintf(&b, "%s,%s\n", start.Add(time.Duration(i)*e.step).Format(time.DateTime), strconv.FormatFloat(x, 'f', 2, 64))
		}
	}
	return b.String()
}

// wave is a sine of that period.
func wave(i, period int) float64 { return math.Sin(2 * math.Pi * float64(i) / float64(period)) }

// within reports whether a row is one of n from a row on.
func within(i, from, n int) bool { return i >= from && i < from+n }

// examples has one for every detector of the catalogue, in its order.
func examples() []example {
	return append(append(ruleExamples(), statisticExamples()...), shapeExamples()...)
}

func ruleExamples() []example {
	nothing := math.NaN()
	level := 60.0
	return []example{
		{"auto", nil, "flow l/min", 10 * time.Minute, 1008, func(r *rand.Rand, i int) float64 {
			x := 60 + 15*wave(i, 144) + 1.5*r.NormFloat64()
			switch {
			case within(i, 860, 3):
				x += 30 // leaves all that was
			case within(i, 530, 24):
				x = 60 + 1.5*r.NormFloat64() // a usual value at an unusual hour
			}
			return x
		}},
		{"threshold", []string{"high=80", "high_high=90", "hysteresis=3", "on_delay=5m"}, "temperature °C", time.Minute, 480, func(r *rand.Rand, i int) float64 {
			x := 70 + 8*wave(i, 200) + 1.2*r.NormFloat64()
			if within(i, 260, 120) {
				x += 14
			}
			if i == 150 {
				x = 88 // too short for the delay
			}
			return x
		}},
		{"range", []string{"low=-40", "high=85", "of=zscore:window=100,threshold=5"}, "temperature °C", time.Minute, 480, func(r *rand.Rand, i int) float64 {
			x := 22 + 0.5*r.NormFloat64()
			switch {
			case within(i, 200, 2):
				x = -127 // what a broken wire reads
			case within(i, 350, 8):
				x += 4
			}
			return x
		}},
		{"rate_of_change", []string{"limit=0.02", "window=10m"}, "level %", time.Minute, 480, func(r *rand.Rand, i int) float64 {
			level -= 0.05
			if within(i, 300, 20) {
				level -= 1.6 // the tank leaks
			}
			return level + 0.1*r.NormFloat64()
		}},
		{"stuck", []string{"window=1h", "quantum=0.05"}, "humidity %", 2 * time.Minute, 480, func(r *rand.Rand, i int) float64 {
			if within(i, 250, 90) {
				return 47.3
			}
			return 45 + 4*wave(i, 300) + 0.4*r.NormFloat64()
		}},
		{"dead_man", nil, "battery V", 5 * time.Minute, 480, func(r *rand.Rand, i int) float64 {
			if within(i, 220, 60) {
				return nothing
			}
			return 3.9 - 0.0008*float64(i) + 0.01*r.NormFloat64()
		}},
		{"missing", []string{"interval=1m", "window=1h", "share=0.25"}, "signal dBm", time.Minute, 600, func(r *rand.Rand, i int) float64 {
			x := -85 + 2*r.NormFloat64()
			if within(i, 300, 120) && r.IntN(2) == 0 || r.IntN(30) == 0 {
				return nothing
			}
			return x
		}},
	}
}

func statisticExamples() []example {
	slow := 0.0
	return []example{
		{"zscore", nil, "pressure bar", time.Minute, 600, func(r *rand.Rand, i int) float64 {
			x := 6 + 0.1*r.NormFloat64()
			if within(i, 420, 2) {
				x += 0.7
			}
			return x
		}},
		{"ewma", nil, "weight g", time.Minute, 600, func(r *rand.Rand, i int) float64 {
			x := 500 + 2*r.NormFloat64()
			if within(i, 400, 50) {
				x += 5 // within what single values show, nearly
			}
			return x
		}},
		{"mad", nil, "vibration mm/s", time.Minute, 600, func(r *rand.Rand, i int) float64 {
			x := 2 + 0.15*r.NormFloat64()
			switch {
			case within(i, 150, 2):
				x += 8 // would hide what follows from a z-score
			case within(i, 230, 4):
				x += 1.8
			}
			return x
		}},
		{"holt_winters", []string{"period=1d", "bins=24", "gamma=0.4"}, "load kW", time.Hour, 600, func(r *rand.Rand, i int) float64 {
			x := 100 + 0.1*float64(i) + 30*wave(i, 24) + 2*r.NormFloat64()
			if within(i, 505, 8) {
				x = 100 + 0.1*float64(i) // a day without its peak
			}
			return x
		}},
		{"clock_bins", []string{"warmup=3", "floor=5"}, "visitors per hour", time.Hour, 28 * 24, func(r *rand.Rand, i int) float64 {
			hour, day := i%24, i/24%7
			x := 5 + 2*r.NormFloat64()
			if open := day < 5 || i/24 == 26; open && hour >= 8 && hour < 18 {
				x += 60 // on one Saturday, too
			}
			return max(0, x)
		}},
		{"cusum", nil, "thickness µm", time.Minute, 600, func(r *rand.Rand, i int) float64 {
			return 120 + 1.5*r.NormFloat64() + 0.02*float64(max(0, i-350))
		}},
		{"page_hinkley", nil, "latency ms", time.Minute, 600, func(r *rand.Rand, i int) float64 {
			x := 40 + 4*r.NormFloat64()
			if i >= 380 {
				x += 6
			}
			return x
		}},
		{"adwin", nil, "yield %", time.Minute, 600, func(r *rand.Rand, i int) float64 {
			slow = 0.9*slow + 0.2*r.NormFloat64()
			x := 93 + slow + 0.5*r.NormFloat64()
			if i >= 400 {
				x -= 2
			}
			return x
		}},
	}
}

func shapeExamples() []example {
	beat := func(r *rand.Rand, i int) float64 {
		x := 50 + 20*wave(i, 40) + r.NormFloat64()
		if within(i, 1120, 8) {
			x = 50 + 16*float64(i%2*2-1) // values that are passed all the time, but not one after the other
		}
		return x
	}
	return []example{
		{"half_space_trees", []string{"window=400", "shingle=2"}, "position mm", time.Second, 1400, beat},
		{"random_cut_forest", []string{"threshold=50"}, "power W", time.Minute, 600, func(r *rand.Rand, i int) float64 {
			x := 20 + 60*float64(i/30%2) + 1.5*r.NormFloat64()
			if within(i, 440, 3) {
				x = 50 // neither on nor off
			}
			return x
		}},
		{"likelihood", []string{"of=zscore:window=200", "threshold=4"}, "current A", time.Minute, 800, func(r *rand.Rand, i int) float64 {
			x := 12 + 0.4*r.NormFloat64()
			if within(i, 600, 40) {
				x = 12 + 2.2*r.NormFloat64() // more often far away, but never very far
			}
			return x
		}},
		{"vote", []string{"k=2", "of=zscore:window=100", "of=mad"}, "torque Nm", time.Minute, 600, func(r *rand.Rand, i int) float64 {
			x := 80 + 2*r.NormFloat64()
			switch {
			case within(i, 250, 1):
				x += 9 // one of two
			case within(i, 450, 3):
				x += 16
			}
			return x
		}},
	}
}
