package agg_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"edged"
	"edged/windows/agg"
)

// testSpan contains all times of mixed inputs.
var testSpan = agg.Span{Start: -40, End: 60}

// mixed returns inputs of all kinds, mostly of one, out of order and with ties.
func mixed(r *rand.Rand, kind edged.Kind, most int) []input {
	inputs := make([]input, r.IntN(most+1))
	for i := range inputs {
		k := kind
		if r.IntN(6) == 0 || kind == edged.Null {
			k = edged.Kind(r.IntN(4))
		}
		inputs[i] = input{someValue(r, k), edged.Timestamp(r.IntN(80) - 40)}
	}
	return inputs
}

func someValue(r *rand.Rand, k edged.Kind) edged.Value {
	switch k {
	case edged.Number:
		return edged.NumberValue([]float64{0, 1, -1, 2.5, -3, float64(r.IntN(20)), r.NormFloat64() * 1000}[r.IntN(7)])
	case edged.Text:
		return edged.TextValue([]string{"", "a", "b", "run", "stop", "a b", "é"}[r.IntN(7)])
	case edged.Bool:
		return edged.BoolValue(r.IntN(2) == 0)
	}
	return edged.Value{}
}

func TestAgainstNaive(t *testing.T) {
	r := random(t)
	for _, v := range variants() {
		l := v.layout(t)
		for range 300 {
			inputs := mixed(r, v.kind, 40)
			got, want := fold(l, inputs).results(testSpan)[0], naive(v, inputs, testSpan)
			if !near(v, got, want) {
				t.Fatalf("%v: got %s, want %s; inputs %v", v, got.AppendJSON(nil), want.AppendJSON(nil), inputs)
			}
		}
	}
}

// rounded are the functions whose merges round differently.
var rounded = []string{"sum", "avg", "variance_pop", "variance_sample", "stddev_pop", "stddev_sample", "slope"}

// Cutting a stream anywhere and merging the parts gives what the whole gives, in
// whatever way the merges are nested: with the same bits, unless sums round.
func TestMergeOfPartsIsTheWhole(t *testing.T) {
	r := random(t)
	for _, v := range variants() {
		l := v.layout(t)
		for range 200 {
			inputs := mixed(r, v.kind, 60)
			i := r.IntN(len(inputs) + 1)
			j := i + r.IntN(len(inputs)+1-i)
			whole := fold(l, inputs)
			left, middle, right := fold(l, inputs[:i]), fold(l, inputs[i:j]), fold(l, inputs[j:])
			source := right.clone()
			a, b := left.clone(), middle.clone()
			a.merge(middle)
			a.merge(right)
			b.merge(right)
			left.merge(b)
			for _, merged := range []state{a, left} {
				if !slices.Contains(rounded, v.name) && !merged.equal(whole) {
					t.Fatalf("%v: merged %v, whole %v, cut at %d and %d of %v", v, merged, whole, i, j, inputs)
				}
				if got, want := merged.results(testSpan)[0], naive(v, inputs, testSpan); !near(v, got, want) {
					t.Fatalf("%v: got %s, want %s; cut at %d and %d of %v", v, got.AppendJSON(nil), want.AppendJSON(nil), i, j, inputs)
				}
			}
			if !right.equal(source) {
				t.Fatalf("%v: merging has changed the source", v)
			}
		}
	}
}

// A column merged out of one layout into another gets what Merge gives.
func TestMergeColumn(t *testing.T) {
	r := random(t)
	for _, v := range variants() {
		one := v.layout(t)
		f := found(t, v.name, v.kind, v.p)
		slot := 0
		if v.kind == edged.Null {
			slot = agg.Events
		}
		many := laidOut(t, agg.Column{Function: agg.Count{}, Slot: agg.Events},
			agg.Column{Function: found(t, "distinct", edged.Number, agg.Params{})}, agg.Column{Function: f, Slot: slot})
		if err := one.Mergeable(0, many, 2); err != nil {
			t.Fatal(err)
		}
		a, b := mixed(r, v.kind, 30), mixed(r, v.kind, 30)
		want, got, from := fold(one, a), fold(one, a), fold(many, b)
		want.merge(fold(one, b))
		one.MergeColumn(got.words, got.cells, 0, many, from.words, from.cells, 2)
		if !got.equal(want) {
			t.Errorf("%v: got %v, want %v", v, got, want)
		}
		for _, c := range [][2]int{{0, 3}, {1, 2}, {-1, 2}, {0, -1}} {
			if err := one.Mergeable(c[0], many, c[1]); !errors.Is(err, agg.ErrLayout) {
				t.Errorf("columns %v: error is %v", c, err)
			}
			one.MergeColumn(got.words, got.cells, c[0], many, from.words, from.cells, c[1])
		}
		if v.name != "distinct" {
			one.MergeColumn(got.words, got.cells, 0, many, from.words, from.cells, 1)
		}
		if !got.equal(want) {
			t.Errorf("%v: a column that is not mergeable was merged", v)
		}
	}
}

// A state that is stored and read back goes on as if nothing had happened, and
// states do not share memory.
func TestRestoreContinues(t *testing.T) {
	r := random(t)
	for _, v := range variants() {
		l := v.layout(t)
		for range 100 {
			inputs := mixed(r, v.kind, 40)
			cut := r.IntN(len(inputs) + 1)
			a := fold(l, inputs[:cut])
			stored := append(a.stored(7), "tail"...)
			b := empty(l)
			rest, err := l.Restore(b.words, b.cells, stored, 7)
			if err != nil || string(rest) != "tail" {
				t.Fatalf("%v: %v, %q left", v, err, rest)
			}
			clear(stored)
			c := a.clone()
			a.add(inputs[cut:]...)
			b.add(inputs[cut:]...)
			c.add(inputs[cut:]...)
			if !a.equal(b) || !a.equal(c) || !slices.Equal(a.stored(3), b.stored(3)) {
				t.Fatalf("%v: %v and restored %v and copied %v", v, a, b, c)
			}
			if l.Bytes(a.cells) != l.Bytes(b.cells) {
				t.Fatalf("%v: %d and %d bytes", v, l.Bytes(a.cells), l.Bytes(b.cells))
			}
			l.Reset(a.words, a.cells)
			if !a.equal(empty(l)) {
				t.Fatalf("%v: reset to %v", v, a)
			}
		}
	}
}

// Whether a result depends on the order of arrival is part of what functions
// promise: those below depend on the set of values and their times only.
func TestOrderOfArrivalDoesNotMatter(t *testing.T) {
	r := random(t)
	for _, v := range variants() {
		switch v.name {
		case "count", "min", "max", "range", "median", "percentile", "distinct", "mode", "top_k":
		default:
			continue
		}
		l := v.layout(t)
		for range 50 {
			inputs := mixed(r, v.kind, 40)
			a := fold(l, inputs)
			r.Shuffle(len(inputs), func(i, j int) { inputs[i], inputs[j] = inputs[j], inputs[i] })
			if b := fold(l, inputs); !a.equal(b) {
				t.Fatalf("%v: %v and %v", v, a, b)
			}
		}
	}
}

func TestFilter(t *testing.T) {
	l := laidOut(t, agg.Column{Function: agg.Sum{}, Slot: 0, Where: agg.If(1)}, agg.Column{Function: agg.Sum{}, Slot: 0},
		agg.Column{Function: agg.Sum{}, Slot: 0, Where: agg.If(-1)}, agg.Column{Function: agg.Count{}, Slot: agg.Events, Where: agg.If(5)})
	s := empty(l)
	one := edged.NumberValue(1)
	for _, where := range []edged.Value{edged.BoolValue(true), edged.BoolValue(false), {}, one} {
		l.Add(s.words, s.cells, []edged.Value{one, where}, 0)
	}
	for i, want := range []float64{1, 4, 4, 0} {
		if got := s.results(testSpan)[i].Float(); got != want {
			t.Errorf("column %d is %v, want %v", i, got, want)
		}
	}
}

// Numbers at the ends of the range make results null, and never anything else
// that JSON cannot say.
func TestExtremes(t *testing.T) {
	r := random(t)
	extremes := []float64{math.MaxFloat64, -math.MaxFloat64, 5e-324, -5e-324, 0, math.Copysign(0, -1), 1, 0x1p-1022, 1e300}
	times := []edged.Timestamp{math.MinInt64, math.MinInt64 + 1, -1, 0, 1, math.MaxInt64 - 1, math.MaxInt64}
	spans := []agg.Span{{}, {Start: math.MinInt64, End: math.MaxInt64}, {Start: 5, End: 1}, {Start: math.MinInt64 + 1, End: math.MaxInt64 - 1}}
	for _, v := range variants() {
		l := v.layout(t)
		for range 300 {
			s, from := empty(l), empty(l)
			for range r.IntN(12) {
				x := input{edged.NumberValue(extremes[r.IntN(len(extremes))]), times[r.IntN(len(times))]}
				s.add(x)
				from.add(x, x)
			}
			s.merge(from)
			for _, span := range spans {
				if got := s.results(span)[0]; got.Kind == edged.Number && math.IsNaN(got.Float()) {
					t.Fatalf("%v is NaN", v)
				}
			}
			again := empty(l)
			if _, err := l.Restore(again.words, again.cells, s.stored(0), 0); err != nil || !again.equal(s) {
				t.Fatalf("%v: %v restored as %v: %v", v, s, again, err)
			}
		}
	}
}

func TestParameters(t *testing.T) {
	for _, test := range []struct {
		name string
		kind edged.Kind
		p    agg.Params
		want string
	}{
		{"sum", edged.Text, agg.Params{}, "sum: invalid aggregate parameters: it has a field of type text; it can work on: number"},
		{"sum", edged.Null, agg.Params{}, "sum: invalid aggregate parameters: it has no field; it can work on: number"},
		{"duration", edged.Number, agg.Params{}, "duration: invalid aggregate parameters: it has a field of type number; it can work on: bool"},
		{"count", edged.JSON, agg.Params{}, "count: invalid aggregate parameters: it has a field of type json; it can work on: none at all, number, text, bool"},
		{"sum", edged.Number, agg.Params{K: 3}, "sum: invalid aggregate parameters: it has no parameter k; leave it out"},
		{"percentile", edged.Number, agg.Params{}, "percentile: invalid aggregate parameters: it needs quantile, 1e-09 to 1"},
		{"percentile", edged.Number, agg.Params{Quantile: 1.5}, "percentile: invalid aggregate parameters: quantile is 1.5; it must be 1e-09 to 1"},
		{"percentile", edged.Number, agg.Params{Quantile: math.NaN()}, "percentile: invalid aggregate parameters: quantile is NaN; it must be 1e-09 to 1"},
		{"distinct", edged.Text, agg.Params{Precision: 15}, "distinct: invalid aggregate parameters: precision is 15; it must be 4 to 14"},
		{"coverage", edged.Null, agg.Params{}, "coverage: invalid aggregate parameters: it needs interval, 1 to 1.099511627776e+12"},
		{"rate", edged.Number, agg.Params{Per: -1}, "rate: invalid aggregate parameters: per is -1; it must be 1 to 1.099511627776e+12"},
		{"integral", edged.Number, agg.Params{Interpolation: "cubic"}, `integral: invalid aggregate parameters: interpolation is "cubic"; use step or linear`},
		{"duration", edged.Bool, agg.Params{Interpolation: "linear"}, "duration: invalid aggregate parameters: it has no interpolation; leave it out"},
		{"top_k", edged.Text, agg.Params{K: 101, Max: 121}, "top_k: invalid aggregate parameters: k is 101; it must be 1 to 100\ntop_k: invalid aggregate parameters: max is 121; it must be 1 to 120"},
	} {
		_, err := agg.Find(test.name, test.kind, test.p)
		if !errors.Is(err, agg.ErrParams) || err.Error() != test.want {
			t.Errorf("%s %+v:\n got %v\nwant %s", test.name, test.p, err, test.want)
		}
	}
	if _, err := agg.Find("sum", edged.Number, agg.Params{Interpolation: agg.Step}); err != nil {
		t.Error(err) // documents give the default to all
	}
}

// What descriptions say is true: the results have the kind they name.
func TestDescriptions(t *testing.T) {
	r := random(t)
	for _, v := range variants() {
		for _, d := range agg.Describe() {
			if d.Name != v.name {
				continue
			}
			if d.Doc == "" {
				t.Errorf("%s is not described", d.Name)
			}
			inputs := mixed(r, v.kind, 40)
			got := fold(v.layout(t), append(inputs, input{someValue(r, v.kind), 3}, input{someValue(r, v.kind), 4})).results(testSpan)[0]
			if v.kind != edged.Null && got.Kind != d.ResultOf(v.kind) {
				t.Errorf("%v gives %v, described as %v", v, got.Kind, d.ResultOf(v.kind))
			}
		}
	}
}

// A caller that moves panes about in memory leaves cells behind that belong to
// other panes by now. Init must not write to them.
func TestInitGivesUpCells(t *testing.T) {
	l := layout(t, 0, "distinct")
	a := fold(l, []input{num(1, 1), num(2, 2), num(3, 3)})
	before, moved := a.clone(), state{l, nil, [][]byte{a.cells[0]}}
	l.Init(moved.words, moved.cells)
	moved.add(num(4, 4))
	if !a.equal(before) {
		t.Error("two states share a cell")
	}
}

// A cell that is larger than its column allows belongs to another column.
func TestRestoreRefusesForeignCells(t *testing.T) {
	r := random(t)
	var numbers, flags []input
	for i := range 200 {
		numbers = append(numbers, num(math.Exp(r.NormFloat64()*9), edged.Timestamp(i)))
		flags = append(flags, input{edged.BoolValue(i%2 == 0), edged.Timestamp(i)})
	}
	for _, v := range variants() {
		inputs := numbers
		if v.kind == edged.Bool {
			inputs = flags
		}
		large := v
		switch v.name {
		case "median", "percentile", "time_weighted_avg", "integral", "increase", "rate", "duration", "coverage":
			v.p.Max = 16
		case "mode", "top_k", "collect":
			v.p.K, v.p.Max = min(v.p.K, 1), 1
		case "distinct":
			v.p.Precision, large.p.Precision = 4, 5
		default:
			continue
		}
		if v.kind == edged.Text {
			continue
		}
		small := v.layout(t)
		if s := empty(small); s.restore(fold(large.layout(t), inputs).stored(0)) == nil && len(s.cells[0]) > 100 {
			t.Errorf("%v took the state of %v", v, large)
		}
	}
}
