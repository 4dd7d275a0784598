package anomaly_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"edged"
	"edged/anomaly"
)

// benchValues are a day's wave with noise.
func benchValues() []float64 {
	r := rand.New(rand.NewPCG(1, 1))
	values := make([]float64, 1<<14)
	for i := range values {
		values[i] = 20 + 5*math.Sin(2*math.Pi*float64(i)/1440) + r.NormFloat64()
	}
	return values
}

func BenchmarkAuto(b *testing.B) {
	values, state := benchValues(), anomaly.NewAuto().New()
	i := 0
	for ; i < 10_000; i++ {
		state.Observe(edged.Timestamp(i)*minute, values[i%len(values)])
	}
	b.ReportAllocs()
	for b.Loop() {
		state.Observe(edged.Timestamp(i)*minute, values[i%len(values)])
		i++
	}
	b.ReportMetric(float64(state.Bytes()), "bytes/series")
}

// BenchmarkAutoSeries is of 10,000 series in turn: their states are 20 MB, more
// than the caches hold.
func BenchmarkAutoSeries(b *testing.B) {
	values, spec := benchValues(), anomaly.NewAuto()
	states := make([]anomaly.State, 10_000)
	for k := range states {
		states[k] = spec.New()
		for i := range 200 {
			states[k].Observe(edged.Timestamp(i)*minute, values[(k+i)%len(values)])
		}
	}
	b.ReportAllocs()
	i, k := 200, 0
	for b.Loop() {
		states[k].Observe(edged.Timestamp(i)*minute, values[(k+i)%len(values)])
		if k++; k == len(states) {
			k, i = 0, i+1
		}
	}
}

func BenchmarkAutoSnapshot(b *testing.B) {
	state, _ := warmed(anomaly.NewAuto(), 1000)
	buffer := state.AppendBinary(nil)
	b.ReportAllocs()
	for b.Loop() {
		buffer = state.AppendBinary(buffer[:0])
		if _, err := state.Restore(buffer); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(buffer)), "bytes/state")
}
