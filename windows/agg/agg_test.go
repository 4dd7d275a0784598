package agg_test

import (
	"errors"
	"flag"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"edged"
	"edged/windows/agg"
)

var seed = flag.Uint64("seed", 1, "seed of the random tests")

// random returns a generator whose seed a failing test prints.
func random(t testing.TB) *rand.Rand {
	t.Helper()
	t.Logf("seed %d", *seed)
	return rand.New(rand.NewPCG(*seed, 0))
}

type input struct {
	v edged.Value
	t edged.Timestamp
}

func num(f float64, t edged.Timestamp) input { return input{edged.NumberValue(f), t} }

// state is what a window keeps.
type state struct {
	l     *agg.Layout
	words []uint64
	cells [][]byte
}

func empty(l *agg.Layout) state {
	s := state{l, slices.Repeat([]uint64{0xdead}, l.Words()), slices.Repeat([][]byte{{0xbe}}, l.Cells())}
	l.Init(s.words, s.cells) // must not rely on zeros
	return s
}

func (s state) add(inputs ...input) {
	for _, in := range inputs {
		s.l.Add(s.words, s.cells, []edged.Value{in.v}, in.t)
	}
}

func (s state) merge(from state) { s.l.Merge(s.words, s.cells, from.words, from.cells) }

func (s state) results(span agg.Span) []edged.Value {
	values := make([]edged.Value, s.l.Columns())
	s.l.Results(values, s.words, s.cells, span)
	return values
}

func (s state) stored(origin edged.Timestamp) []byte {
	return s.l.AppendBinary(nil, s.words, s.cells, origin)
}

func (s state) clone() state {
	c := empty(s.l)
	s.l.Copy(c.words, c.cells, s.words, s.cells)
	return c
}

func (s state) equal(o state) bool {
	return slices.Equal(s.words, o.words) && slices.EqualFunc(s.cells, o.cells, slices.Equal)
}

func fold(l *agg.Layout, inputs []input) state {
	s := empty(l)
	s.add(inputs...)
	return s
}

// run folds the inputs through the named function and returns the result.
func run(t testing.TB, name string, inputs []input) edged.Value {
	t.Helper()
	return fold(layout(t, 0, name), inputs).results(agg.Span{})[0]
}

// simple are the functions of numbers that need no parameters and no cells.
var simple = []string{"count", "sum", "avg", "min", "max", "first", "last"}

func layout(t testing.TB, slot int, names ...string) *agg.Layout {
	t.Helper()
	var columns []agg.Column
	for _, name := range names {
		columns = append(columns, agg.Column{Function: found(t, name, edged.Number, agg.Params{}), Slot: slot})
	}
	return laidOut(t, columns...)
}

func found(t testing.TB, name string, kind edged.Kind, p agg.Params) agg.Function {
	t.Helper()
	f, err := agg.Find(name, kind, p)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func laidOut(t testing.TB, columns ...agg.Column) *agg.Layout {
	t.Helper()
	l, err := agg.NewLayout(columns)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestFunctions(t *testing.T) {
	null := edged.Value{}
	some := []input{num(3, 20), num(-1, 10), {null, 5}, num(4, 30), {edged.TextValue("x"), 99}, {edged.BoolValue(true), 1}}
	ties := []input{num(1, 7), num(2, 7), num(3, 7)}
	negative := []input{num(-5, -10), num(-7, -20), num(-6, -15)}
	zeros := []input{num(0, 1), num(math.Copysign(0, -1), 2)}
	huge := []input{num(math.MaxFloat64, 1), num(math.MaxFloat64, 2), num(-math.MaxFloat64, 3)}
	minusHuge := []input{num(-math.MaxFloat64, 1), num(-math.MaxFloat64, 2)}
	n := edged.NumberValue
	for _, test := range []struct {
		name   string
		inputs []input
		want   edged.Value
	}{
		{"count", nil, n(0)},
		{"count", some, n(5)}, // text and truth values are values
		{"sum", nil, null},
		{"sum", []input{{null, 1}, {edged.TextValue("7"), 2}}, null},
		{"sum", some, n(6)},
		{"sum", []input{num(1e100, 1), num(1, 2), num(-1e100, 3)}, n(1)},
		{"sum", huge, null},
		{"sum", minusHuge, null},
		{"avg", nil, null},
		{"avg", some, n(2)},
		{"avg", huge, null},
		{"min", nil, null},
		{"min", some, n(-1)},
		{"min", negative, n(-7)},
		{"min", zeros, n(math.Copysign(0, -1))},
		{"max", nil, null},
		{"max", some, n(4)},
		{"max", negative, n(-5)},
		{"max", zeros, n(0)},
		{"first", nil, null},
		{"first", some, n(-1)},
		{"first", ties, n(1)},
		{"first", negative, n(-7)},
		{"first", []input{num(1, math.MaxInt64), num(2, math.MinInt64)}, n(2)},
		{"last", nil, null},
		{"last", some, n(4)},
		{"last", ties, n(3)},
		{"last", negative, n(-5)},
		{"last", []input{num(1, math.MinInt64), num(2, math.MinInt64)}, n(2)},
	} {
		if got := run(t, test.name, test.inputs); !same(got, test.want) {
			t.Errorf("%s of %v = %s, want %s", test.name, test.inputs, got.AppendJSON(nil), test.want.AppendJSON(nil))
		}
	}
}

// same compares values; it tells the two zeros apart.
func same(a, b edged.Value) bool {
	return a == b && math.Signbit(a.Float()) == math.Signbit(b.Float())
}

func TestCountOfEventsCountsNulls(t *testing.T) {
	l := layout(t, agg.Events, "count")
	s := empty(l)
	s.add(input{t: 1})
	l.Add(s.words, s.cells, nil, 2)
	if s.words[0] != 2 {
		t.Errorf("counted %d events, want 2", s.words[0])
	}
}

// A slot that the event does not have reads as null.
func TestSlotBeyondValuesIsNull(t *testing.T) {
	l := layout(t, 3, "count", "sum")
	s := fold(l, []input{num(1, 1)})
	if s.words[0] != 0 {
		t.Errorf("counted %d values, want none", s.words[0])
	}
}

// The compensated sum is within one rounding of the exact one where a plain sum
// is far off.
func TestSumIsCompensated(t *testing.T) {
	r := random(t)
	var inputs []input
	exact, plain := new(big.Rat), 0.0
	for range 20000 {
		f := r.NormFloat64() * math.Pow(10, float64(r.IntN(17)))
		inputs = append(inputs, num(f, 0))
		exact.Add(exact, new(big.Rat).SetFloat64(f))
		plain += f
	}
	want, _ := exact.Float64()
	got := run(t, "sum", inputs).Float()
	if ulp := math.Nextafter(math.Abs(want), math.Inf(1)) - math.Abs(want); math.Abs(got-want) > 2*ulp {
		t.Errorf("sum = %v, want %v", got, want)
	}
	if plain == want {
		t.Error("a plain sum is exact, too: the test shows nothing")
	}
}

// What a sum has lost to rounding survives a merge.
func TestMergeKeepsTheCompensation(t *testing.T) {
	l := layout(t, 0, "sum", "avg")
	a := fold(l, []input{num(1e100, 1), num(1, 2)})
	a.merge(fold(l, []input{num(1, 3), num(1e100, 4), num(2, 5)}))
	a.merge(fold(l, []input{num(-2e100, 6)}))
	result := a.results(agg.Span{})
	if result[0].Float() != 4 || result[1].Float() != 4.0/6 {
		t.Errorf("sum %v and mean %v, want 4 and 4/6", result[0].Float(), result[1].Float())
	}
}

func TestFindAndLayoutRefuse(t *testing.T) {
	if _, err := agg.Find("medium", edged.Number, agg.Params{}); !errors.Is(err, agg.ErrUnknown) {
		t.Errorf("error is %v", err)
	}
	for _, columns := range [][]agg.Column{
		{{Function: nil}},
		{{Function: agg.Sum{}, Slot: agg.Events}},
		{{Function: agg.Count{}, Slot: -2}},
		{{Function: agg.Count{}, Where: agg.If(-2)}},
		{{Function: stranger{}}},
		slices.Repeat([]agg.Column{{Function: agg.Sum{}}}, agg.WordsMax),
	} {
		if _, err := agg.NewLayout(columns); !errors.Is(err, agg.ErrLayout) {
			t.Errorf("error is %v", err)
		}
	}
}

// stranger is neither a fixed nor a growing function.
type stranger struct{}

func (stranger) Name() string { return "stranger" }

func TestStoredStateIsSmall(t *testing.T) {
	l := layout(t, 0, simple...)
	const start = 1_700_000_000_000
	s := fold(l, []input{num(21.37, start+10), num(21.4, start+9000)})
	if n := len(s.stored(start)); n > 80 {
		t.Errorf("7 aggregates take %d bytes, want at most 80", n)
	}
}
