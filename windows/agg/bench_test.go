package agg_test

import (
	"fmt"
	"testing"

	"edged"
	"edged/windows/agg"
)

// BenchmarkAdd is the cost of an event for the functions whose state is words.
func BenchmarkAdd(b *testing.B) {
	for _, names := range [][]string{{"count", "sum"}, {"count", "sum", "avg", "min", "max"}, simple} {
		b.Run(fmt.Sprintf("%d columns", len(names)), func(b *testing.B) {
			s := empty(layout(b, 0, names...))
			values := []edged.Value{edged.NumberValue(21.37)}
			b.ReportAllocs()
			for b.Loop() {
				s.l.Add(s.words, s.cells, values, 12345)
			}
		})
	}
}

// BenchmarkFunction is the cost of an event for each function, in a warm state.
func BenchmarkFunction(b *testing.B) {
	for _, v := range variants() {
		if v.p.Quantile > 0 && v.p.Quantile != 0.95 {
			continue
		}
		b.Run(fmt.Sprintf("%s/%v%s", v.name, v.kind, v.p.Interpolation), func(b *testing.B) {
			s := empty(v.layout(b))
			values := make([][]edged.Value, 256)
			for i := range values {
				switch v.kind {
				case edged.Text:
					values[i] = []edged.Value{edged.TextValue(fmt.Sprint("state ", i*i%11))}
				case edged.Bool:
					values[i] = []edged.Value{edged.BoolValue(i%3 == 0)}
				default:
					values[i] = []edged.Value{edged.NumberValue(20 + float64(i*i%101)/8)}
				}
			}
			for i := range 2000 {
				s.l.Add(s.words, s.cells, values[i%256], edged.Timestamp(i))
			}
			i := 2000
			b.ReportAllocs()
			for b.Loop() {
				s.l.Add(s.words, s.cells, values[i%256], edged.Timestamp(i))
				i++
			}
			b.ReportMetric(float64(8*s.l.Words()+s.l.Bytes(s.cells)), "state-B")
		})
	}
}

// BenchmarkResult is the cost of the results of one pane.
func BenchmarkResult(b *testing.B) {
	for _, v := range []variant{
		{"percentile", edged.Number, agg.Params{Quantile: 0.95}}, {"distinct", edged.Number, agg.Params{}},
		{"top_k", edged.Number, agg.Params{}}, {"time_weighted_avg", edged.Number, agg.Params{}},
	} {
		b.Run(v.name, func(b *testing.B) {
			s := empty(v.layout(b))
			for i := range 1000 {
				s.add(num(float64(i%500), edged.Timestamp(i)))
			}
			var result [1]edged.Value
			b.ReportAllocs()
			for b.Loop() {
				s.l.Results(result[:], s.words, s.cells, agg.Span{Start: 0, End: 1000})
			}
		})
	}
}

// BenchmarkMerge is the cost of merging one small state into another.
func BenchmarkMerge(b *testing.B) {
	for _, v := range []variant{
		{"sum", edged.Number, agg.Params{}}, {"percentile", edged.Number, agg.Params{Quantile: 0.95}}, {"distinct", edged.Number, agg.Params{}},
	} {
		b.Run(v.name, func(b *testing.B) {
			s, from := empty(v.layout(b)), empty(v.layout(b))
			for i := range 50 {
				from.add(num(float64(i), edged.Timestamp(i)))
			}
			b.ReportAllocs()
			for b.Loop() {
				s.merge(from)
			}
		})
	}
}
