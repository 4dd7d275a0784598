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

// run folds the inputs through the named function and returns the result.
func run(t testing.TB, name string, inputs []input) edged.Value {
	t.Helper()
	l := layout(t, 0, name)
	state := fold(l, inputs)
	var result [1]edged.Value
	l.Results(result[:], state)
	return result[0]
}

func layout(t testing.TB, slot int, names ...string) *agg.Layout {
	t.Helper()
	var columns []agg.Column
	for _, name := range names {
		f, err := agg.Find(name)
		if err != nil {
			t.Fatal(err)
		}
		columns = append(columns, agg.Column{Function: f, Slot: slot})
	}
	l, err := agg.NewLayout(columns)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func fold(l *agg.Layout, inputs []input) []uint64 {
	state := slices.Repeat([]uint64{0xdead}, l.Words()) // Init must not rely on zeros
	l.Init(state)
	for _, in := range inputs {
		l.Add(state, []edged.Value{in.v}, in.t)
	}
	return state
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
	state := make([]uint64, l.Words())
	l.Init(state)
	l.Add(state, []edged.Value{{}}, 1)
	l.Add(state, nil, 2)
	if state[0] != 2 {
		t.Errorf("counted %d events, want 2", state[0])
	}
}

// A slot that the event does not have reads as null.
func TestSlotBeyondValuesIsNull(t *testing.T) {
	l := layout(t, 3, "count", "sum")
	state := make([]uint64, l.Words())
	l.Init(state)
	l.Add(state, []edged.Value{edged.NumberValue(1)}, 1)
	if state[0] != 0 {
		t.Errorf("counted %d values, want none", state[0])
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
	l.Merge(a, fold(l, []input{num(1, 3), num(1e100, 4), num(2, 5)}))
	l.Merge(a, fold(l, []input{num(-2e100, 6)}))
	var result [2]edged.Value
	l.Results(result[:], a)
	if result[0].Float() != 4 || result[1].Float() != 4.0/6 {
		t.Errorf("sum %v and mean %v, want 4 and 4/6", result[0].Float(), result[1].Float())
	}
}

// Cutting a stream anywhere and merging the parts gives what the whole gives,
// in whatever way the merges are nested.
func TestMergeIsAssociative(t *testing.T) {
	r := random(t)
	l := layout(t, 0, agg.Names()...)
	for range 2000 {
		inputs := someInputs(r)
		i := r.IntN(len(inputs) + 1)
		j := i + r.IntN(len(inputs)+1-i)
		whole := fold(l, inputs)
		left, middle, right := fold(l, inputs[:i]), fold(l, inputs[i:j]), fold(l, inputs[j:])
		a := slices.Clone(left)
		l.Merge(a, middle)
		l.Merge(a, right)
		b := slices.Clone(middle)
		l.Merge(b, right)
		l.Merge(left, b)
		expectNear(t, l, inputs, a, whole)
		expectNear(t, l, inputs, left, whole)
	}
}

func someInputs(r *rand.Rand) []input {
	inputs := make([]input, r.IntN(12))
	for i := range inputs {
		inputs[i] = num(r.NormFloat64()*1000, edged.Timestamp(r.IntN(6)-3))
		if r.IntN(5) == 0 {
			inputs[i].v = edged.Value{}
		}
	}
	return inputs
}

func expectNear(t *testing.T, l *agg.Layout, inputs []input, got, want []uint64) {
	t.Helper()
	g, w := make([]edged.Value, l.Columns()), make([]edged.Value, l.Columns())
	l.Results(g, got)
	l.Results(w, want)
	for i := range g {
		if g[i].Kind != w[i].Kind || math.Abs(g[i].Float()-w[i].Float()) > 1e-9 {
			t.Fatalf("%s of %v: merged %s, whole %s", agg.Names()[i], inputs, g[i].AppendJSON(nil), w[i].AppendJSON(nil))
		}
	}
}

func TestEqualInputsGiveEqualBits(t *testing.T) {
	r := random(t)
	l := layout(t, 0, agg.Names()...)
	for range 200 {
		inputs := someInputs(r)
		if a, b := fold(l, inputs), fold(l, inputs); !slices.Equal(a, b) {
			t.Fatalf("%x and %x", a, b)
		}
	}
}

func TestFindAndLayoutRefuse(t *testing.T) {
	if _, err := agg.Find("median"); !errors.Is(err, agg.ErrUnknown) {
		t.Errorf("error is %v", err)
	}
	for _, columns := range [][]agg.Column{
		{{Function: nil}},
		{{Function: agg.Sum{}, Slot: agg.Events}},
		{{Function: agg.Count{}, Slot: -2}},
		slices.Repeat([]agg.Column{{Function: agg.Sum{}}}, agg.WordsMax),
	} {
		if _, err := agg.NewLayout(columns); !errors.Is(err, agg.ErrLayout) {
			t.Errorf("error is %v", err)
		}
	}
}

func TestStoredStateIsSmall(t *testing.T) {
	l := layout(t, 0, agg.Names()...)
	const start = 1_700_000_000_000
	state := fold(l, []input{num(21.37, start+10), num(21.4, start+9000)})
	if n := len(l.AppendBinary(nil, state, start)); n > 80 {
		t.Errorf("7 aggregates take %d bytes, want at most 80", n)
	}
}

func FuzzRestore(f *testing.F) {
	l := layout(f, 0, agg.Names()...)
	f.Add([]byte(nil), int64(0))
	f.Add(l.AppendBinary(nil, fold(l, nil), 7), int64(7))
	f.Add(l.AppendBinary(nil, fold(l, []input{num(1.5, 3), num(-2, 9)}), 0), int64(math.MinInt64))
	f.Fuzz(func(t *testing.T, data []byte, origin int64) {
		state := make([]uint64, l.Words())
		rest, err := l.Restore(state, data, edged.Timestamp(origin))
		if err != nil {
			if !errors.Is(err, agg.ErrState) {
				t.Fatal(err)
			}
			return
		}
		again := make([]uint64, l.Words())
		stored := l.AppendBinary(nil, state, edged.Timestamp(origin))
		if len(stored) > len(data)-len(rest) {
			t.Fatalf("%d bytes read, %d written", len(data)-len(rest), len(stored))
		}
		if tail, err := l.Restore(again, stored, edged.Timestamp(origin)); err != nil || len(tail) > 0 || !slices.Equal(state, again) {
			t.Fatalf("restored %x, then %x (%d bytes left, %v)", state, again, len(tail), err)
		}
		l.Add(state, []edged.Value{edged.NumberValue(1)}, 5)
		l.Merge(state, again)
		l.Results(make([]edged.Value, l.Columns()), state)
	})
}

func BenchmarkAdd(b *testing.B) {
	l := layout(b, 0, agg.Names()...)
	state := fold(l, nil)
	values := []edged.Value{edged.NumberValue(21.37)}
	for b.Loop() {
		l.Add(state, values, 12345)
	}
}
