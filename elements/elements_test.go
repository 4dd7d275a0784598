package elements_test

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"edged"
	"edged/elements"
)

var seed = flag.Uint64("seed", 1, "seed of the random tests")

// random returns a generator whose seed a failing test prints.
func random(t testing.TB) *rand.Rand {
	t.Helper()
	t.Logf("seed %d", *seed)
	return rand.New(rand.NewPCG(*seed, 0))
}

// anyValue returns a value of any kind, the awkward ones included.
func anyValue(r *rand.Rand) edged.Value {
	numbers := []float64{0, math.Copysign(0, -1), 1, -1, 1 << 53, -1 << 53, 1<<53 + 2, 0.1, -1e300, math.MaxFloat64, math.SmallestNonzeroFloat64, 21.5}
	switch r.IntN(6) {
	case 0:
		return edged.Value{}
	case 1:
		return edged.BoolValue(r.IntN(2) == 0)
	case 2:
		return edged.TextValue([]string{"", "a", "running", "\x00\xff"}[r.IntN(4)])
	case 3:
		return edged.JSONValue([]string{"[]", `{"a":[1,2]}`}[r.IntN(2)])
	case 4:
		return edged.NumberValue(r.NormFloat64())
	}
	return edged.NumberValue(numbers[r.IntN(len(numbers))])
}

func anyTime(r *rand.Rand) edged.Timestamp {
	switch r.IntN(12) {
	case 0:
		return edged.MinTimestamp + edged.Timestamp(r.IntN(2))
	case 1:
		return edged.MaxTimestamp - edged.Timestamp(r.IntN(2))
	case 2:
		return edged.Timestamp(r.Uint64())
	}
	return edged.Timestamp(r.IntN(20) - 10)
}

func anyEvent(r *rand.Rand, seq edged.Seq) *edged.Event {
	ev := &edged.Event{Seq: seq, EventTime: anyTime(r), Stream: uint8(r.IntN(3))}
	for range r.IntN(4) {
		ev.Values = append(ev.Values, anyValue(r))
	}
	return ev
}

// show is everything that can be seen of a buffer.
func show(b *elements.Buffer) string {
	text := ""
	for i := range b.Len() {
		text += fmt.Sprintf("%+v\n", *b.At(i))
	}
	return text
}

// model is a buffer as one would write it without thinking.
type model struct{ all []elements.Element }

func (m *model) add(ev *edged.Event) int {
	e := elements.Element{Seq: ev.Seq, Time: ev.EventTime, Stream: ev.Stream, Values: append([]edged.Value{}, ev.Values...)}
	m.all = append(m.all, e)
	slices.SortStableFunc(m.all, func(a, b elements.Element) int {
		switch {
		case a.Time < b.Time:
			return -1
		case a.Time > b.Time:
			return 1
		}
		return 0
	})
	return slices.IndexFunc(m.all, func(x elements.Element) bool { return x.Seq == ev.Seq })
}

func (m *model) search(t edged.Timestamp) int {
	for i, e := range m.all {
		if e.Time >= t {
			return i
		}
	}
	return len(m.all)
}

func (m *model) show() string {
	text := ""
	for _, e := range m.all {
		text += fmt.Sprintf("%+v\n", e)
	}
	return text
}

// A buffer does what the model does, also when it is restored between any two steps.
func TestBufferAgainstModel(t *testing.T) {
	r := random(t)
	for round := range 30 {
		var b elements.Buffer
		var m model
		for step := range edged.Seq(150) {
			switch op := r.IntN(20); {
			case op < 11+round%5:
				ev := anyEvent(r, step)
				if got, want := b.Add(ev), m.add(ev); got != want {
					t.Fatalf("added at %d, want %d", got, want)
				}
				clear(ev.Values) // the buffer has its own
			case op < 16:
				n := r.IntN(5) - 1
				b.DropFront(n)
				m.all = m.all[min(max(n, 0), len(m.all)):]
			case op < 18 && b.Len() > 0:
				i := r.IntN(b.Len())
				b.Remove(i)
				m.all = slices.Delete(slices.Clone(m.all), i, i+1)
			case op < 19 && b.Len() > 0:
				i := r.IntN(b.Len())
				b.At(i).Mark, m.all[i].Mark = uint32(step), uint32(step)
			case step%70 == 69:
				b.Clear()
				m.all = nil
			}
			at := anyTime(r)
			if got, want := b.Search(at), m.search(at); got != want {
				t.Fatalf("search %d is %d, want %d in\n%s", at, got, want, m.show())
			}
			if got, want := show(&b), m.show(); got != want {
				t.Fatalf("step %d\n got %s\nwant %s", step, got, want)
			}
			if r.IntN(3) == 0 {
				b = restored(t, &b)
			}
		}
	}
}

// restored returns one of the buffer and what becomes of its bytes: both must be
// as good, so the test goes on with either.
func restored(t *testing.T, b *elements.Buffer) elements.Buffer {
	t.Helper()
	stored := b.AppendBinary([]byte("head"))[4:]
	var again elements.Buffer
	rest, err := again.Restore(append(slices.Clip(stored), "tail"...))
	if err != nil || string(rest) != "tail" || show(&again) != show(b) {
		t.Fatalf("restored with %q left, %v:\n got %s\nwant %s", rest, err, show(&again), show(b))
	}
	if !slices.Equal(again.AppendBinary(nil), stored) {
		t.Fatal("the restored buffer has other bytes")
	}
	if len(stored)%3 == 0 {
		return again
	}
	return *b
}

func TestEventComesBack(t *testing.T) {
	var b elements.Buffer
	ev := edged.Event{Seq: 7, EventTime: -3, Stream: 1, Values: []edged.Value{edged.TextValue("on"), edged.NumberValue(2)}}
	b.Add(&ev)
	got := edged.Event{Key: "k"}
	b.Event(0, &got)
	ev.Key = "k"
	if fmt.Sprint(got) != fmt.Sprint(ev) {
		t.Errorf("got %v, want %v", got, ev)
	}
}

// What is reported grows with what is kept and falls when it goes.
func TestBytes(t *testing.T) {
	var b elements.Buffer
	if b.Bytes() != 0 {
		t.Errorf("an empty buffer takes %d bytes", b.Bytes())
	}
	ev := edged.Event{Values: []edged.Value{edged.NumberValue(1), edged.TextValue("0123456789")}}
	for range 1000 {
		ev.EventTime++
		b.Add(&ev)
	}
	full, least := b.Bytes(), 1000*(48+2*32+10)
	if full < least || full > least*3/2 {
		t.Errorf("1000 elements take %d bytes, want %d and little more", full, least)
	}
	b.DropFront(995)
	if few := b.Bytes(); few > full/50 {
		t.Errorf("5 elements take %d bytes", few)
	}
	b.Clear()
	if left := b.Bytes(); left > 2000 {
		t.Errorf("an emptied buffer takes %d bytes", left)
	}
}

// The bytes are pinned: states on disk must stay readable.
func TestStoredForm(t *testing.T) {
	var b elements.Buffer
	b.Add(&edged.Event{Seq: 10, EventTime: 1000, Values: []edged.Value{edged.NumberValue(21), edged.BoolValue(true)}})
	b.Add(&edged.Event{Seq: 11, EventTime: 1005, Values: []edged.Value{edged.NumberValue(-2.5), edged.TextValue("hi")}})
	const want = "02 d00f14 01000002 022a 05 05 02 00 01 00000000000004c0 03026869"
	if got := fmt.Sprintf("%x", b.AppendBinary(nil)); got != removeSpaces(want) {
		t.Errorf("got %s, want %s", got, want)
	}
}

func removeSpaces(s string) string {
	return string(slices.DeleteFunc([]byte(s), func(c byte) bool { return c == ' ' }))
}

func TestValuesComeBack(t *testing.T) {
	r := random(t)
	for range 2000 {
		v := anyValue(r)
		stored := elements.AppendValue(nil, v)
		got, rest, err := elements.ReadValue(append(stored, 'x'))
		if err != nil || string(rest) != "x" || got != v || math.Signbit(got.Float()) != math.Signbit(v.Float()) {
			t.Fatalf("%v came back as %v with %q left, %v", v, got, rest, err)
		}
	}
	odd := edged.Value{Kind: 200}
	if got, _, err := elements.ReadValue(elements.AppendValue(nil, odd)); err != nil || got.Kind != edged.Null {
		t.Errorf("a value of no known kind came back as %v, %v", got, err)
	}
}

func TestMalformedIsRefused(t *testing.T) {
	for _, text := range []string{
		"", "\x01", "\x02\x00\x00\x00", // nothing, too few bytes
		"\x01\x00\x00\x02",                                                             // no such shape
		"\x01\x00\x00\x01\x80\x02\x00\x00",                                             // stream 256
		"\x01\x00\x00\x01\x00\x00\x01\x07",                                             // no such kind
		"\x01\x00\x00\x01\x00\x00\x01\x06\x01x",                                        // x is no JSON
		"\x01\x00\x00\x01\x00\x00\x01\x03\x05text",                                     // text too short
		"\x01\x00\x00\x01\x00\x00\x01\x01\x00\x00\x00\x00\x00\x00\xf0\x7f",             // infinity
		"\x01\x00\x00\x01\x00\x00\x01\x02\xff\xff\xff\xff\xff\xff\xff\x7f",             // a whole number too large
		"\x02\x02\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00\x00",             // time goes back
		"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00\x00\x00",                         // too many
		"\x01\x00\x00\x01\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00\x00\x00", // too many values
	} {
		var b elements.Buffer
		b.Add(&edged.Event{Seq: 3})
		if _, err := b.Restore([]byte(text)); !errors.Is(err, elements.ErrState) || b.Len() != 1 || b.At(0).Seq != 3 {
			t.Errorf("%q: error %v, %d elements", text, err, b.Len())
		}
	}
}

func FuzzRestore(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 0))
	var b elements.Buffer
	f.Add(b.AppendBinary(nil))
	for i := range edged.Seq(20) {
		b.Add(anyEvent(r, i))
		f.Add(b.AppendBinary(nil))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var b, again elements.Buffer
		if _, err := b.Restore(data); err != nil {
			if !errors.Is(err, elements.ErrState) {
				t.Fatal(err)
			}
			return
		}
		if b.Bytes() > 64*len(data) {
			t.Fatalf("%d bytes became %d", len(data), b.Bytes())
		}
		stored := b.AppendBinary(nil)
		if rest, err := again.Restore(stored); err != nil || len(rest) > 0 || !slices.Equal(again.AppendBinary(nil), stored) {
			t.Fatalf("restore what was restored: %d bytes left, %v", len(rest), err)
		}
		for i := 1; i < b.Len(); i++ {
			if b.At(i-1).Time > b.At(i).Time {
				t.Fatal("out of order")
			}
		}
		b.Add(&edged.Event{Values: []edged.Value{edged.TextValue("x")}})
		b.DropFront(b.Len() / 2)
		b.Clear()
	})
}

func FuzzReadValue(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 0))
	for range 20 {
		f.Add(elements.AppendValue(nil, anyValue(r)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, _, err := elements.ReadValue(data)
		if err != nil {
			return
		}
		if again, rest, err := elements.ReadValue(elements.AppendValue(nil, v)); err != nil || len(rest) > 0 || again != v {
			t.Fatalf("%v came back as %v, %v", v, again, err)
		}
	})
}

func TestWarmBufferDoesNotAllocate(t *testing.T) {
	for _, kept := range []int{0, 1, 5, 100} {
		var b elements.Buffer
		ev := edged.Event{Values: []edged.Value{edged.NumberValue(1), edged.BoolValue(true)}}
		step := func() {
			ev.EventTime++
			b.Add(&ev)
			b.DropFront(b.Len() - kept)
		}
		for range 300 {
			step()
		}
		if n := testing.AllocsPerRun(1000, step); n != 0 {
			t.Errorf("%v allocations per event with %d kept", n, kept)
		}
	}
}

// A device's events in order, of which the newest 100 are kept.
func BenchmarkAddDrop(b *testing.B) {
	b.ReportAllocs()
	var buffer elements.Buffer
	ev := edged.Event{Values: []edged.Value{edged.NumberValue(21.37), edged.NumberValue(7)}}
	for b.Loop() {
		ev.EventTime++
		buffer.Add(&ev)
		buffer.DropFront(buffer.Len() - 100)
	}
}

// What storing 100 elements costs, and how many bytes each takes.
func BenchmarkAppendBinary(b *testing.B) {
	b.ReportAllocs()
	var buffer elements.Buffer
	ev := edged.Event{Values: []edged.Value{edged.NumberValue(21.37), edged.NumberValue(7)}}
	for range 100 {
		ev.EventTime += 1000
		ev.Seq += 37
		buffer.Add(&ev)
	}
	var stored []byte
	for b.Loop() {
		stored = buffer.AppendBinary(stored[:0])
	}
	b.ReportMetric(float64(len(stored))/100, "bytes/element")
	b.ReportMetric(float64(buffer.Bytes())/100, "memory/element")
}
