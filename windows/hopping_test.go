package windows_test

import (
	"errors"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"edged"
	"edged/windows"
)

// successor is an assigner that can tell its windows without events.
type successor interface {
	windows.Assigner
	Next(end edged.Timestamp) (windows.Window, bool)
}

// assigned returns all windows of t.
func assigned(a windows.Assigner, t edged.Timestamp) []windows.Window {
	var all []windows.Window
	for i := 0; ; i++ {
		w, ok := a.Assign(t, i)
		if !ok {
			return all
		}
		all = append(all, w)
	}
}

// clip is an integer without bounds as a timestamp.
func clip(n *big.Int) edged.Timestamp {
	switch {
	case n.IsInt64():
		return edged.Timestamp(n.Int64())
	case n.Sign() < 0:
		return edged.MinTimestamp
	}
	return edged.MaxTimestamp
}

// somewhere is a time near 0, near the ends of time, or anywhere.
func somewhere(r *rand.Rand) int64 {
	switch r.IntN(4) {
	case 0:
		return r.Int64N(100) - 50
	case 1:
		return int64(edged.MinTimestamp) + r.Int64N(100)
	case 2:
		return int64(edged.MaxTimestamp) - r.Int64N(100)
	}
	return int64(r.Uint64())
}

// The windows of hopping and cumulating assigners, and those that end next, are
// those that counting on with integers without bounds finds.
func TestHoppingAgainstBigIntegers(t *testing.T) {
	t.Logf("seed %d", *seed)
	r := rand.New(rand.NewPCG(*seed, 4))
	for range 5000 {
		a := windows.Hopping{Period: 1 + r.Int64N(1<<r.IntN(60)), Offset: somewhere(r)}
		a.Size = min(1+r.Int64N(a.Period*int64(1+r.IntN(8))), windows.SizeMax)
		if a.Period > windows.SizeMax/8 {
			a.Size = 1 + r.Int64N(windows.SizeMax)
		}
		at := somewhere(r)
		// From a start well before at on, all windows that may contain it.
		var want []windows.Window
		start := floorBig(new(big.Int).Sub(big.NewInt(at), big.NewInt(a.Size)), a.Period, a.Offset)
		var next *windows.Window
		for start.Cmp(big.NewInt(at)) <= 0 || next == nil {
			end := new(big.Int).Add(start, big.NewInt(a.Size))
			w := windows.Window{Start: clip(start), End: clip(end)}
			if start.Cmp(big.NewInt(at)) <= 0 && end.Cmp(big.NewInt(at)) > 0 {
				want = append(want, w)
			}
			if end.Cmp(big.NewInt(at)) > 0 && next == nil {
				next = &w
			}
			start = new(big.Int).Add(start, big.NewInt(a.Period))
		}
		if got := assigned(a, edged.Timestamp(at)); !slices.Equal(got, want) {
			t.Fatalf("%+v: windows of %d are %v, want %v", a, at, got, want)
		}
		got, ok := a.Next(edged.Timestamp(at))
		if exists := next.Start < next.End && at != int64(edged.MaxTimestamp); ok != exists || ok && got != *next {
			t.Fatalf("%+v: after %d ends %v, want %v", a, at, got, *next)
		}
	}
}

// floorBig returns the last multiple of step plus offset that is not after n.
func floorBig(n *big.Int, step, offset int64) *big.Int {
	since := new(big.Int).Sub(n, big.NewInt(offset))
	since.Mod(since, big.NewInt(step))
	return new(big.Int).Sub(n, since)
}

func TestCumulateAgainstBigIntegers(t *testing.T) {
	t.Logf("seed %d", *seed)
	r := rand.New(rand.NewPCG(*seed, 5))
	for range 5000 {
		a := windows.Cumulate{Step: 1 + r.Int64N(1<<r.IntN(57)), Offset: somewhere(r)}
		a.Size = a.Step * (1 + r.Int64N(8))
		at := somewhere(r)
		var want []windows.Window
		start := floorBig(big.NewInt(at), a.Size, a.Offset)
		for length := a.Step; length <= a.Size; length += a.Step {
			if end := new(big.Int).Add(start, big.NewInt(length)); end.Cmp(big.NewInt(at)) > 0 {
				want = append(want, windows.Window{Start: clip(start), End: clip(end)})
			}
		}
		want = slices.Compact(want) // those that end with time are one
		if got := assigned(a, edged.Timestamp(at)); !slices.Equal(got, want) {
			t.Fatalf("%+v: windows of %d are %v, want %v", a, at, got, want)
		}
		if got, ok := a.Next(edged.Timestamp(at)); at != int64(edged.MaxTimestamp) && (!ok || got != want[0]) {
			t.Fatalf("%+v: after %d ends %v, want %v", a, at, got, want[0])
		}
	}
}

// From one end to the next, every window comes once, in the order of ends.
func TestNextEndsWithTime(t *testing.T) {
	for _, a := range []successor{
		windows.Tumbling{Size: 1 << 57}, windows.Hopping{Size: 1 << 58, Period: 1 << 57, Offset: 9},
		windows.Hopping{Size: 1 << 56, Period: 1 << 57}, windows.Cumulate{Size: 1 << 58, Step: 1 << 57, Offset: -3},
	} {
		end, n := edged.MinTimestamp, 0
		for {
			w, ok := a.Next(end)
			if !ok {
				break
			}
			if w.End <= end || w.Start >= w.End {
				t.Fatalf("%+v: after %d comes %v", a, end, w)
			}
			end, n = w.End, n+1
		}
		if n < 100 || n > 260 || end < edged.MaxTimestamp-1<<57 {
			t.Errorf("%+v: %d windows, the last ends at %d", a, n, end)
		}
	}
}

func TestAssignersTellWhatIsWrong(t *testing.T) {
	for _, a := range []windows.Assigner{
		windows.Hopping{}, windows.Hopping{Size: -1, Period: 1}, windows.Hopping{Size: 1}, windows.Hopping{Size: 1, Period: -1},
		windows.Hopping{Size: windows.SizeMax + 1, Period: windows.SizeMax}, windows.Hopping{Size: 1, Period: windows.SizeMax + 1},
		windows.Hopping{Size: windows.PerEventMax + 1, Period: 1},
		windows.Cumulate{}, windows.Cumulate{Size: 10}, windows.Cumulate{Size: 10, Step: 3}, windows.Cumulate{Size: 10, Step: 20},
		windows.Cumulate{Size: windows.SizeMax + 1, Step: windows.SizeMax + 1}, windows.Cumulate{Size: 10, Step: -5},
		windows.Cumulate{Size: windows.PerEventMax + 1, Step: 1},
	} {
		if err := a.Validate(); !errors.Is(err, windows.ErrSpec) {
			t.Errorf("%#v: %v", a, err)
		}
	}
	for _, a := range []windows.Assigner{
		windows.Hopping{Size: windows.PerEventMax, Period: 1}, windows.Hopping{Size: windows.SizeMax, Period: windows.SizeMax},
		windows.Cumulate{Size: windows.PerEventMax, Step: 1}, windows.Cumulate{Size: windows.SizeMax, Step: windows.SizeMax}, windows.Global{},
	} {
		if err := a.Validate(); err != nil {
			t.Errorf("%#v: %v", a, err)
		}
	}
}

// The examples of Flink's windowing table-valued functions (documentation of
// version 1.20, "Windowing TVF"): bids from 08:05 to 08:17 o'clock, prices 4, 2,
// 5, 3, 1, 6; here minutes are milliseconds.
func TestTheWindowsOfTheFlinkExamples(t *testing.T) {
	bids := []move{{at: 5}, {at: 7}, {at: 9}, {at: 11}, {at: 13}, {at: 17}}
	for _, test := range []struct {
		assigner windows.Assigner
		want     []string
	}{
		{windows.Hopping{Size: 10, Period: 5}, []string{"[0,10) [0,1,2]", "[5,15) [0,1,2,3,4]", "[10,20) [3,4,5]", "[15,25) [5]"}},
		{windows.Cumulate{Size: 10, Step: 2}, []string{
			"[0,6) [0]", "[0,8) [0,1]", "[0,10) [0,1,2]", "[10,12) [3]", "[10,14) [3,4]", "[10,16) [3,4]", "[10,18) [3,4,5]", "[10,20) [3,4,5]",
		}},
	} {
		s := valid(t, windows.Spec{Assigner: test.assigner}).New()
		for i, m := range bids {
			m.kind = 'e'
			m.apply(s, i)
		}
		got := move{kind: 'w', at: 100}.apply(s, 6)
		want := ""
		for _, w := range test.want {
			before, after, _ := strings.Cut(w, " ")
			want += "on_time 0 true " + before + " W100 " + after + "; "
		}
		if want += "late 0 overflow 0 unassigned 0"; got != want {
			t.Errorf("%+v\n got %s\nwant %s", test.assigner, got, want)
		}
	}
}

// Between two windows there may be a hole, whose events are counted and nothing else.
func TestHolesBetweenWindows(t *testing.T) {
	s := valid(t, windows.Spec{Assigner: windows.Hopping{Size: 2, Period: 5}}).New()
	for i, want := range []string{
		"late 0 overflow 0 unassigned 0", "late 0 overflow 0 unassigned 0", "late 0 overflow 0 unassigned 1", "late 0 overflow 0 unassigned 1",
	} {
		if got := (move{kind: 'e', at: edged.Timestamp(i)}).apply(s, i); got != want {
			t.Errorf("event at %d: %s, want %s", i, got, want)
		}
	}
}

func TestTheGlobalWindowEndsWithTime(t *testing.T) {
	s := valid(t, windows.Spec{Assigner: windows.Global{}}).New()
	for i, at := range []edged.Timestamp{5, edged.MinTimestamp, edged.MaxTimestamp} {
		move{kind: 'e', at: at}.apply(s, i)
	}
	if got, want := (move{kind: 'w', at: edged.MaxTimestamp - 1}).apply(s, 3), "late 0 overflow 0 unassigned 0"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	const want = "on_time 0 true [-9223372036854775808,9223372036854775807) W9223372036854775807 [1,0,2]; late 0 overflow 0 unassigned 0"
	if got := (move{kind: 'w', at: edged.MaxTimestamp}).apply(s, 4); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func BenchmarkAssignHopping(b *testing.B) {
	a, t := windows.Hopping{Size: 100_000, Period: 1000, Offset: 7}, edged.Timestamp(1_700_000_000_000)
	b.ReportAllocs()
	for b.Loop() {
		t++
		a.Assign(t, 50)
	}
}
