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

// FuzzRestore restores any bytes as the state of any function. What is accepted
// is stored as the same bytes again and works.
func FuzzRestore(f *testing.F) {
	all := variants()
	layouts := make([]*agg.Layout, len(all))
	r := rand.New(rand.NewPCG(1, 2))
	for i, v := range all {
		layouts[i] = v.layout(f)
		f.Add(uint8(i), []byte(nil), []byte(nil), int64(0))
		for _, most := range []int{1, 5, 40} {
			a, b := fold(layouts[i], mixed(r, v.kind, most)), fold(layouts[i], mixed(r, v.kind, most))
			f.Add(uint8(i), a.stored(7), b.stored(7), int64(7))
		}
		f.Add(uint8(i), fold(layouts[i], mixed(r, v.kind, 1500)).stored(0), []byte(nil), int64(math.MinInt64))
	}
	f.Fuzz(func(t *testing.T, which uint8, data, other []byte, origin int64) {
		v := all[int(which)%len(all)]
		l := layouts[int(which)%len(all)]
		o := edged.Timestamp(origin)
		s, from := empty(l), empty(l)
		rest, err := l.Restore(s.words, s.cells, data, o)
		if err != nil {
			if !errors.Is(err, agg.ErrState) {
				t.Fatal(err)
			}
			return
		}
		stored := s.stored(o)
		if len(stored) > len(data)-len(rest) {
			t.Fatalf("%v: %d bytes read, %d written", v, len(data)-len(rest), len(stored))
		}
		again := empty(l)
		if tail, err := l.Restore(again.words, again.cells, stored, o); err != nil || len(tail) > 0 || !s.equal(again) {
			t.Fatalf("%v: restored %v, then %v (%d bytes left, %v)", v, s, again, len(tail), err)
		}
		if _, err := l.Restore(from.words, from.cells, other, o); err != nil {
			from = again.clone()
		}
		use(t, v, s, from)
		use(t, v, from, s)
	})
}

// use does with a state what windows do.
func use(t *testing.T, v variant, s, from state) {
	t.Helper()
	r := rand.New(rand.NewPCG(3, 4))
	source := from.clone()
	for range 3 {
		for _, x := range mixed(r, v.kind, 20) {
			s.add(x)
		}
		s.add(input{someValue(r, v.kind), math.MinInt64}, input{someValue(r, v.kind), math.MaxInt64})
		s.merge(from)
	}
	if !source.equal(from) {
		t.Fatalf("%v: merging has changed the source", v)
	}
	for _, span := range []agg.Span{testSpan, {}, {Start: math.MinInt64, End: math.MaxInt64}} {
		if got := s.results(span)[0]; math.IsNaN(got.Float()) || math.IsInf(got.Float(), 0) {
			t.Fatalf("%v: %v", v, got.Float())
		}
	}
	for _, cell := range s.cells {
		if len(cell) > agg.CellBytesMax {
			t.Fatalf("%v: a cell has %d bytes", v, len(cell))
		}
	}
	stored, again := s.stored(0), empty(s.l)
	if err := again.restore(stored); err != nil || !slices.Equal(stored, again.stored(0)) {
		t.Fatalf("%v: a state that came from restored bytes cannot be restored: %v", v, err)
	}
}
