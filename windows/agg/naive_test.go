package agg_test

import (
	"cmp"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"testing"

	"edged"
	"edged/windows/agg"
)

// variant is a function with parameters over a kind of field, as tests use it.
type variant struct {
	name string
	kind edged.Kind
	p    agg.Params
}

func (v variant) String() string { return fmt.Sprintf("%s of %v %+v", v.name, v.kind, v.p) }

// variants lists every function over every kind it accepts, some with several
// parameters.
func variants() []variant {
	var all []variant
	for _, d := range agg.Describe() {
		for _, kind := range d.Kinds {
			p := agg.Params{}
			switch d.Name {
			case "percentile":
				for _, q := range []float64{0.001, 0.25, 0.95, 1} {
					all = append(all, variant{d.Name, kind, agg.Params{Quantile: q, RelativeError: 0.02}})
				}
				continue
			case "coverage":
				p.Interval = 2
			case "time_weighted_avg", "integral":
				all = append(all, variant{d.Name, kind, agg.Params{Interpolation: agg.Linear}})
			case "collect":
				all = append(all, variant{d.Name, kind, agg.Params{Max: 4}})
			case "top_k":
				p.K = 2
			case "slope", "rate":
				p.Per = 10
			}
			all = append(all, variant{d.Name, kind, p})
		}
	}
	return all
}

func (v variant) layout(t testing.TB) *agg.Layout {
	t.Helper()
	slot := 0
	if v.kind == edged.Null {
		slot = agg.Events
	}
	return laidOut(t, agg.Column{Function: found(t, v.name, v.kind, v.p), Slot: slot})
}

// naive computes what a function returns from all inputs in the order of arrival.
func naive(v variant, inputs []input, span agg.Span) edged.Value {
	var in []input
	for _, i := range inputs {
		if v.kind == edged.Null || i.v.Kind == v.kind || v.name == "count" && i.v.Kind != edged.Null ||
			(v.name == "distinct" || v.name == "coverage") && i.v.Kind != edged.Null {
			in = append(in, i)
		}
	}
	byTime := slices.Clone(in)
	slices.SortStableFunc(byTime, func(a, b input) int { return cmp.Compare(a.t, b.t) })
	n := edged.NumberValue
	switch v.name {
	case "count":
		return n(float64(len(in)))
	case "distinct":
		seen := map[edged.Value]bool{}
		for _, i := range in {
			seen[i.v] = true
		}
		return n(float64(len(seen)))
	case "coverage":
		return n(100 * weigh(inSpan(byTime, span), span, float64(v.p.Interval), func(input, input) float64 { return 1 }) / float64(span.End-span.Start))
	}
	if len(in) == 0 {
		return edged.Value{}
	}
	switch v.name {
	case "first":
		return byTime[0].v
	case "last":
		return byTime[len(byTime)-1].v
	case "mode":
		return ranking(in)[0].v
	case "top_k":
		var list []string
		for _, c := range ranking(in)[:min(v.p.K, len(ranking(in)))] {
			list = append(list, fmt.Sprintf(`{"value":%s,"count":%d}`, c.v.AppendJSON(nil), c.n))
		}
		return edged.JSONValue("[" + strings.Join(list, ",") + "]")
	case "collect":
		var list []string
		for i, c := range byTime {
			if v.p.Max == 0 || i < v.p.Max {
				list = append(list, string(c.v.AppendJSON(nil)))
			}
		}
		return edged.JSONValue("[" + strings.Join(list, ",") + "]")
	case "time_weighted_avg", "integral", "increase", "rate", "duration":
		return naiveSeries(v, inSpan(byTime, span), span)
	}
	return naiveNumbers(v, byTime)
}

func inSpan(in []input, span agg.Span) []input {
	return slices.DeleteFunc(slices.Clone(in), func(i input) bool { return i.t >= span.End })
}

// weigh sums up, millisecond by millisecond, what the value at that time is worth.
// A sample counts for at most most milliseconds.
func weigh(in []input, span agg.Span, most float64, worth func(a, b input) float64) (sum float64) {
	for i, a := range in {
		b := input{t: span.End}
		if i+1 < len(in) {
			b = in[i+1]
		}
		for t := a.t; t < b.t && float64(t-a.t) < most; t++ {
			sum += worth(a, b)
		}
	}
	return sum
}

func naiveSeries(v variant, in []input, span agg.Span) edged.Value {
	if len(in) == 0 {
		return edged.Value{}
	}
	first, last := in[0], in[len(in)-1]
	per := float64(cmp.Or(v.p.Per, 1000))
	rise := 0.0
	for i := 1; i < len(in); i++ {
		if a, b := in[i-1].v.Float(), in[i].v.Float(); b < a {
			rise += math.Max(b, 0)
		} else {
			rise += b - a
		}
	}
	length := float64(span.End - first.t)
	area := weigh(in, span, math.Inf(1), func(a, _ input) float64 {
		if a.v.Kind == edged.Bool {
			if a.v.Bool() {
				return 1
			}
			return 0
		}
		return a.v.Float()
	})
	if v.p.Interpolation == agg.Linear {
		length = float64(last.t - first.t)
		area = 0
		for i := 1; i < len(in); i++ {
			area += (in[i-1].v.Float() + in[i].v.Float()) / 2 * float64(in[i].t-in[i-1].t)
		}
	}
	switch {
	case v.name == "increase":
		return edged.NumberValue(rise)
	case v.name == "rate":
		return edged.NumberValue(rise / float64(last.t-first.t) * per) // null if that is 0
	case v.name == "duration":
		return edged.NumberValue(area)
	case v.name == "integral":
		return edged.NumberValue(area / per)
	case length == 0:
		return last.v
	}
	return edged.NumberValue(area / length)
}

func naiveNumbers(v variant, byTime []input) edged.Value {
	var sorted []float64
	sum := new(big.Rat)
	for _, i := range byTime {
		sorted = append(sorted, i.v.Float())
		sum.Add(sum, new(big.Rat).SetFloat64(i.v.Float()))
	}
	slices.Sort(sorted)
	n := big.NewRat(int64(len(sorted)), 1)
	mean := new(big.Rat).Quo(sum, n)
	squares := new(big.Rat)
	for _, f := range sorted {
		d := new(big.Rat).Sub(new(big.Rat).SetFloat64(f), mean)
		squares.Add(squares, d.Mul(d, d))
	}
	number := func(r *big.Rat) edged.Value { f, _ := r.Float64(); return edged.NumberValue(f) }
	switch v.name {
	case "sum":
		return number(sum)
	case "avg":
		return number(mean)
	case "min":
		return edged.NumberValue(sorted[0])
	case "max":
		return edged.NumberValue(sorted[len(sorted)-1])
	case "range":
		return edged.NumberValue(sorted[len(sorted)-1] - sorted[0])
	case "delta":
		return edged.NumberValue(byTime[len(byTime)-1].v.Float() - byTime[0].v.Float())
	case "median", "percentile":
		q := cmp.Or(v.p.Quantile, 0.5)
		return edged.NumberValue(sorted[int(q*float64(len(sorted)-1))])
	case "slope":
		return naiveSlope(v, byTime, mean)
	}
	if strings.HasSuffix(v.name, "_sample") {
		if len(sorted) == 1 {
			return edged.Value{}
		}
		n.Sub(n, big.NewRat(1, 1))
	}
	variance, _ := squares.Quo(squares, n).Float64()
	if strings.HasPrefix(v.name, "stddev") {
		variance = math.Sqrt(variance)
	}
	return edged.NumberValue(variance)
}

func naiveSlope(v variant, in []input, meanY *big.Rat) edged.Value {
	meanX := new(big.Rat)
	for _, i := range in {
		meanX.Add(meanX, big.NewRat(int64(i.t), 1))
	}
	meanX.Quo(meanX, big.NewRat(int64(len(in)), 1))
	xx, xy := new(big.Rat), new(big.Rat)
	for _, i := range in {
		dx := new(big.Rat).Sub(big.NewRat(int64(i.t), 1), meanX)
		dy := new(big.Rat).Sub(new(big.Rat).SetFloat64(i.v.Float()), meanY)
		xx.Add(xx, new(big.Rat).Mul(dx, dx))
		xy.Add(xy, dy.Mul(dx, dy))
	}
	if xx.Sign() == 0 {
		return edged.Value{}
	}
	f, _ := xy.Mul(xy.Quo(xy, xx), big.NewRat(cmp.Or(v.p.Per, 1000), 1)).Float64()
	return edged.NumberValue(f)
}

type counted struct {
	v edged.Value
	n int
}

func ranking(in []input) []counted {
	times := map[edged.Value]int{}
	for _, i := range in {
		times[i.v]++
	}
	var all []counted
	for v, n := range times {
		all = append(all, counted{v, n})
	}
	slices.SortFunc(all, func(a, b counted) int {
		truth := func(v edged.Value) string { return string(v.AppendJSON(nil)) } // "false" < "true"
		return cmp.Or(cmp.Compare(b.n, a.n), cmp.Compare(a.v.Float(), b.v.Float()), cmp.Compare(a.v.Text(), b.v.Text()), cmp.Compare(truth(a.v), truth(b.v)))
	})
	return all
}

// near reports whether a result is what the naive computation says, as exactly as
// the function promises.
func near(v variant, got, want edged.Value) bool {
	if got.Kind != want.Kind || got.Kind != edged.Number {
		return got == want
	}
	g, w := got.Float(), want.Float()
	switch v.name {
	case "count", "min", "max", "range", "first", "last", "delta", "distinct", "mode":
		return g == w
	case "median", "percentile":
		return math.Abs(g-w) <= math.Abs(w)*cmp.Or(v.p.RelativeError, 0.01)*(1+1e-6)
	}
	return math.Abs(g-w) <= 1e-9*(1+math.Abs(w))
}
