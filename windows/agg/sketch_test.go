package agg_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"edged"
	"edged/windows/agg"
)

// distributions are shapes of data that sketches must cope with.
func distributions(r *rand.Rand) map[string]func() float64 {
	return map[string]func() float64{
		"uniform":      func() float64 { return r.Float64() * 100 },
		"normal":       func() float64 { return r.NormFloat64()*5 + 20 },
		"exponential":  func() float64 { return r.ExpFloat64() * 1e-6 },
		"lognormal":    func() float64 { return math.Exp(r.NormFloat64() * 2) },
		"both signs":   func() float64 { return r.NormFloat64() * 1000 },
		"all negative": func() float64 { return -math.Exp(r.NormFloat64()) },
		"many zeros":   func() float64 { return float64(r.IntN(3)-1) * r.Float64() },
		"pareto":       func() float64 { return math.Pow(1-r.Float64(), -1) },
		"powers":       func() float64 { return math.Ldexp(1, r.IntN(25)) },
		"huge":         func() float64 { return math.MaxFloat64 * (0.5 + r.Float64()/2) },
		"constant":     func() float64 { return 21.5 },
	}
}

// A percentile is within the relative error of the number of its rank.
func TestPercentileError(t *testing.T) {
	r := random(t)
	for name, draw := range distributions(r) {
		for _, relative := range []float64{0.2, 0.05, 0.01, 0.005} {
			var columns []agg.Column
			quantiles := []float64{0.0001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 1}
			for _, q := range quantiles {
				columns = append(columns, agg.Column{Function: found(t, "percentile", edged.Number, agg.Params{Quantile: q, RelativeError: relative, Max: 4096})})
			}
			s := empty(laidOut(t, columns...))
			var all []float64
			for range 3000 {
				f := draw()
				all = append(all, f)
				s.add(num(f, 0))
			}
			slices.Sort(all)
			for i, got := range s.results(testSpan) {
				want := all[int(quantiles[i]*float64(len(all)-1))]
				if math.Abs(got.Float()-want) > relative*(1+1e-6)*math.Abs(want) {
					t.Errorf("%s: quantile %v is %v, want %v within %v", name, quantiles[i], got.Float(), want, relative)
				}
			}
		}
	}
}

// When there are more bins than allowed, those nearest to 0 lose their precision
// and the others keep it, however the state came about.
func TestPercentileCollapses(t *testing.T) {
	r := random(t)
	l := laidOut(t, agg.Column{Function: found(t, "percentile", edged.Number, agg.Params{Quantile: 0.9, Max: 64})},
		agg.Column{Function: found(t, "percentile", edged.Number, agg.Params{Quantile: 0.05, Max: 64})})
	for range 300 {
		var inputs []input
		var all []float64
		for range 1 + r.IntN(60) {
			f := math.Exp(r.NormFloat64() * 20)
			if r.IntN(2) == 0 {
				f = -f
			}
			inputs, all = append(inputs, num(f, 0)), append(all, f)
		}
		cut := r.IntN(len(inputs) + 1)
		whole, merged := fold(l, inputs), fold(l, inputs[:cut])
		merged.merge(fold(l, inputs[cut:]))
		slices.Reverse(inputs)
		if reversed := fold(l, inputs); !merged.equal(whole) || !reversed.equal(whole) {
			t.Fatalf("%v, merged %v, reversed %v", whole, merged, reversed)
		}
		if n := len(whole.cells[0]); n > 16+2*64*4 {
			t.Fatalf("a cell has %d bytes", n)
		}
		slices.Sort(all)
		top := all[len(all)-1]
		if want := all[int(0.9*float64(len(all)-1))]; want > 0 && want > top/3 { // 64 bins are a ratio of 3.5
			if got := whole.results(testSpan)[0].Float(); math.Abs(got-want) > 0.0100001*want {
				t.Fatalf("got %v, want %v", got, want)
			}
		}
	}
}

// An estimate of how many values there are has the standard error that the authors
// state, and no bias anywhere between few and very many.
func TestDistinctError(t *testing.T) {
	r := random(t)
	for _, precision := range []int{4, 7, 10, 14} {
		l := laidOut(t, agg.Column{Function: found(t, "distinct", edged.Number, agg.Params{Precision: precision})})
		standard := 1.04 / math.Sqrt(float64(int(1)<<precision))
		for _, n := range []int{10, 16, 17, 100, 129, 300, 1000, 3000, 30000} {
			const runs = 30
			bias, squares := 0.0, 0.0
			for range runs {
				s := empty(l)
				base := r.Float64()
				for i := range n {
					s.add(num(base+float64(i), 0), num(base+float64(i/2), 0))
				}
				off := s.results(testSpan)[0].Float()/float64(n) - 1
				if n <= 16 && off != 0 {
					t.Fatalf("precision %d: %d values are not counted exactly", precision, n)
				}
				bias, squares = bias+off/runs, squares+off*off/runs
			}
			// 30 runs tell the error to 13 % and the bias to 0.18 of it: allow three times that.
			if math.Sqrt(squares) > 1.5*standard || math.Abs(bias) > 0.65*standard {
				t.Errorf("precision %d, %d values: error %.4f, bias %.4f; standard error %.4f", precision, n, math.Sqrt(squares), bias, standard)
			}
		}
	}
}

// Counts are never too low, and too high by at most the inputs over the counters,
// also after merging; the heavy values are found.
func TestTopKBound(t *testing.T) {
	r := random(t)
	const counters = 20
	l := laidOut(t, agg.Column{Function: found(t, "top_k", edged.Text, agg.Params{K: 20, Max: counters})},
		agg.Column{Function: found(t, "mode", edged.Text, agg.Params{Max: counters})})
	for range 100 {
		zipf := rand.NewZipf(r, 1.3, 1, 200)
		s, times := empty(l), map[string]int{}
		n := 200 + r.IntN(2000)
		part := empty(l)
		for i := range n {
			v := fmt.Sprint("v", zipf.Uint64())
			times[v]++
			part.add(input{v: edged.TextValue(v)})
			if i%(n/3) == n/3-1 {
				s.merge(part)
				part = empty(l)
			}
		}
		s.merge(part)
		list := s.results(testSpan)[0].Text()
		for v, want := range times {
			_, rest, listed := strings.Cut(list, `"`+v+`","count":`)
			got := 0
			fmt.Sscan(strings.FieldsFunc(rest+"0}", func(r rune) bool { return r == '}' })[0], &got)
			if listed && (got < want || got > want+n/counters) || !listed && want > n/counters {
				t.Fatalf("%s: counted %d, really %d of %d: %s", v, got, want, n, list)
			}
		}
		if mode := s.results(testSpan)[1].Text(); times[mode] < times["v0"]-n/counters {
			t.Fatalf("mode is %s", mode)
		}
		if again := empty(l); again.restore(s.stored(0)) != nil || !again.equal(s) {
			t.Fatal("the state cannot be restored")
		}
	}
}

func (s state) restore(data []byte) error {
	_, err := s.l.Restore(s.words, s.cells, data, 0)
	return err
}

// Folding samples away changes nothing as long as no sample comes from before the
// fold; those that do are left out and counted.
func TestFoldedSeriesIsTheSeries(t *testing.T) {
	r := random(t)
	for _, v := range variants() {
		switch v.name {
		case "time_weighted_avg", "integral", "increase", "rate", "duration", "coverage":
		default:
			continue
		}
		big := v.layout(t)
		v.p.Max = 16
		small := v.layout(t)
		for range 100 {
			var inputs []input
			for i := range r.IntN(150) { // at most 7 are out of place
				inputs = append(inputs, input{someValue(r, v.kind), edged.Timestamp(i + r.IntN(7))})
			}
			span := agg.Span{Start: 0, End: 200}
			a, b, merged := fold(big, inputs), fold(small, inputs), empty(small)
			if n := small.Refused(b.cells); n != 0 || len(b.cells[0]) > 56+16*16 {
				t.Fatalf("%v: %d samples refused, %d bytes", v, n, len(b.cells[0]))
			}
			// Parts that follow each other in time merge as if they were one.
			inOrder := slices.Clone(inputs)
			slices.SortStableFunc(inOrder, func(a, b input) int { return int(a.t - b.t) })
			for part := range slices.Chunk(inOrder, 1+r.IntN(60)) {
				merged.merge(fold(small, part))
			}
			want := a.results(span)[0]
			if got := b.results(span)[0]; got != want {
				t.Fatalf("%v: folded %s, whole %s", v, got.AppendJSON(nil), want.AppendJSON(nil))
			}
			if got := merged.results(span)[0]; !near(v, got, want) {
				t.Fatalf("%v: merged %s, whole %s", v, got.AppendJSON(nil), want.AppendJSON(nil))
			}
			if len(inputs) > 40 {
				b.add(input{someValue(r, v.kind), -5})
				refused := 1
				if v.kind == edged.Null && small.Refused(b.cells) == 0 {
					refused = 0 // a null
				}
				if n := small.Refused(b.cells); n != refused || !near(v, b.results(span)[0], want) {
					t.Fatalf("%v: %d refused, want %d", v, n, refused)
				}
			}
		}
	}
}

// Examples that can be checked by hand.
func TestExamples(t *testing.T) {
	truth := func(b bool, at edged.Timestamp) input { return input{edged.BoolValue(b), at} }
	text := func(s string, at edged.Timestamp) input { return input{edged.TextValue(s), at} }
	minute := agg.Span{Start: 0, End: 60_000}
	n := edged.NumberValue
	for _, test := range []struct {
		name   string
		kind   edged.Kind
		p      agg.Params
		inputs []input
		span   agg.Span
		want   edged.Value
	}{
		// 10 for 20 s, 40 for 10 s, 10 for 30 s.
		{"time_weighted_avg", edged.Number, agg.Params{}, []input{num(10, 0), num(10, 30_000), num(40, 20_000)}, minute, n(15)},
		{"time_weighted_avg", edged.Number, agg.Params{Interpolation: agg.Linear}, []input{num(0, 0), num(10, 10_000), num(10, 30_000)}, minute, n(250.0 / 30)},
		{"time_weighted_avg", edged.Number, agg.Params{}, []input{num(3, 5), num(4, 5)}, agg.Span{Start: 5, End: 5}, edged.Value{}},
		{"time_weighted_avg", edged.Number, agg.Params{Interpolation: agg.Linear}, []input{num(3, 5), num(4, 5)}, minute, n(4)},
		{"time_weighted_avg", edged.Number, agg.Params{}, []input{num(1, 0), num(3, 10)}, agg.Span{Start: math.MinInt64, End: math.MaxInt64}, n(1)}, // no end: 3 holds for no time
		// An early pane: what is behind the watermark does not count yet.
		{"time_weighted_avg", edged.Number, agg.Params{}, []input{num(1, 0), num(9, 50)}, agg.Span{Start: 0, End: 40}, n(1)},
		// 2 kW for half an hour is 1 kWh.
		{"integral", edged.Number, agg.Params{Per: 3_600_000}, []input{num(2, 0)}, agg.Span{Start: 0, End: 1_800_000}, n(1)},
		{"integral", edged.Number, agg.Params{Interpolation: agg.Linear}, []input{num(0, 0), num(2, 2000)}, minute, n(2)},
		// The counter restarts at 3.
		{"increase", edged.Number, agg.Params{}, []input{num(100, 0), num(110, 10), num(3, 20), num(10, 30)}, minute, n(20)},
		{"increase", edged.Number, agg.Params{}, []input{num(7, 0)}, minute, n(0)},
		{"rate", edged.Number, agg.Params{}, []input{num(100, 0), num(160, 60_000)}, agg.Span{Start: 0, End: 120_000}, n(1)},
		{"rate", edged.Number, agg.Params{Per: 60_000}, []input{num(100, 0), num(160, 60_000)}, agg.Span{Start: 0, End: 120_000}, n(60)},
		{"rate", edged.Number, agg.Params{}, []input{num(100, 0)}, minute, edged.Value{}},
		{"duration", edged.Bool, agg.Params{}, []input{truth(false, 0), truth(true, 10_000), truth(false, 15_000), truth(true, 50_000)}, minute, n(15_000)},
		{"duration", edged.Bool, agg.Params{}, nil, minute, edged.Value{}},
		{"coverage", edged.Number, agg.Params{Interval: 10_000}, []input{num(1, 0), num(1, 5_000), num(1, 40_000), num(1, 55_000)}, minute, n(100 * 30.0 / 60)},
		{"coverage", edged.Number, agg.Params{Interval: 10_000}, nil, minute, n(0)},
		{"coverage", edged.Number, agg.Params{Interval: 1}, []input{num(1, 1)}, agg.Span{Start: math.MinInt64, End: 5}, edged.Value{}},
		{"delta", edged.Number, agg.Params{}, []input{num(5, 10), num(9, 30), num(1, 20)}, minute, n(4)},
		{"slope", edged.Number, agg.Params{}, []input{num(1, 1_700_000_000_000), num(3, 1_700_000_001_000), num(5, 1_700_000_002_000)}, minute, n(2)},
		{"slope", edged.Number, agg.Params{}, []input{num(1, 5), num(3, 5)}, minute, edged.Value{}},
		// Welford's own virtue: a small variance on a large mean.
		{"variance_pop", edged.Number, agg.Params{}, []input{num(1e9+4, 0), num(1e9+7, 0), num(1e9+13, 0), num(1e9+16, 0)}, minute, n(22.5)},
		{"variance_sample", edged.Number, agg.Params{}, []input{num(1e9+4, 0), num(1e9+7, 0), num(1e9+13, 0), num(1e9+16, 0)}, minute, n(30)},
		{"stddev_pop", edged.Number, agg.Params{}, []input{num(2, 0), num(4, 0), num(4, 0), num(4, 0), num(5, 0), num(5, 0), num(7, 0), num(9, 0)}, minute, n(2)},
		{"stddev_sample", edged.Number, agg.Params{}, []input{num(2, 0)}, minute, edged.Value{}},
		{"first", edged.Text, agg.Params{}, []input{text("b", 2), text("a", 1), text("c", 1)}, minute, edged.TextValue("a")},
		{"last", edged.Text, agg.Params{}, []input{text("b", 2), text("a", 1), text("c", 2)}, minute, edged.TextValue("c")},
		{"last", edged.Bool, agg.Params{}, []input{truth(true, 2), truth(false, 3)}, minute, edged.BoolValue(false)},
		{"last", edged.Text, agg.Params{}, []input{text(strings.Repeat("é", 300), 2)}, minute, edged.TextValue(strings.Repeat("é", 256))},
		{"last", edged.Text, agg.Params{}, []input{text("x"+strings.Repeat("é", 300), 2)}, minute, edged.TextValue("x" + strings.Repeat("é", 255))},
		{"mode", edged.Bool, agg.Params{}, []input{truth(true, 2), truth(false, 3)}, minute, edged.BoolValue(false)},
		{"mode", edged.Number, agg.Params{}, []input{num(3, 0), num(1, 0), num(3, 0)}, minute, n(3)},
		{"top_k", edged.Text, agg.Params{K: 2}, []input{text("b", 2), text("a", 1), text("c", 1), text("b", 2)}, minute,
			edged.JSONValue(`[{"value":"b","count":2},{"value":"a","count":1}]`)},
		{"collect", edged.Text, agg.Params{Max: 2}, []input{text("b", 2), text("\"", 1), text("c", 1)}, minute, edged.JSONValue(`["\"","c"]`)},
		{"median", edged.Number, agg.Params{}, nil, minute, edged.Value{}},
	} {
		v := variant{test.name, test.kind, test.p}
		got := fold(v.layout(t), test.inputs).results(test.span)[0]
		if got.Kind != test.want.Kind || got.Text() != test.want.Text() || got.Bool() != test.want.Bool() || math.Abs(got.Float()-test.want.Float()) > 1e-9 {
			t.Errorf("%v of %v is %s, want %s", v, test.inputs, got.AppendJSON(nil), test.want.AppendJSON(nil))
		}
	}
}

// The bytes of a state are fixed: stored states must be read by later versions.
func TestHashIsFixed(t *testing.T) {
	l := variant{"distinct", edged.Text, agg.Params{}}.layout(t)
	s := empty(l)
	s.add(input{v: edged.TextValue("pump")}, num(0, 0), num(math.Copysign(0, -1), 0), input{v: edged.BoolValue(true)})
	const want = "18e4ba9964373b3a068f6183dc0670692930ffa46b017c81c3"
	if got := fmt.Sprintf("%x", s.stored(0)); got != want {
		t.Errorf("stored as %s, want %s", got, want)
	}
}
