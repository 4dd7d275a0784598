package changes_test

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"edged"
	"edged/changes"
)

var seed = flag.Uint64("seed", 1, "seed of the random tests")

// random returns a generator whose seed a failing test prints.
func random(t testing.TB) *rand.Rand {
	t.Helper()
	t.Logf("seed %d", *seed)
	return rand.New(rand.NewPCG(*seed, 0))
}

// The slots of the tests' events.
const (
	field = iota
	finding
	second
	slots
)

func null() edged.Value         { return edged.Value{} }
func num(f float64) edged.Value { return edged.NumberValue(f) }
func text(s string) edged.Value { return edged.TextValue(s) }
func show(v edged.Value) string { return string(v.AppendJSON(nil)) }
func one(c changes.Config) changes.Spec {
	c.Slot, c.Into = field, finding
	return changes.Spec{c}
}

// run feeds values, a second apart, and returns "value>finding" of what passes.
func run(t *testing.T, spec changes.Spec, values ...edged.Value) string {
	t.Helper()
	if err := spec.Validate(); err != nil {
		t.Fatal(err)
	}
	var passed []string
	emit := func(ev *edged.Event) {
		passed = append(passed, show(ev.Values[field])+">"+show(ev.Values[finding]))
	}
	c := spec.New()
	ev := edged.Event{}
	for i, v := range values {
		ev = edged.Event{EventTime: edged.Timestamp(1000 * i), Values: []edged.Value{v, null(), null()}}
		c.Step(&ev, emit)
	}
	c.Flush(&ev, emit)
	return strings.Join(passed, " ")
}

func TestFunctions(t *testing.T) {
	ramp := []edged.Value{num(0), num(1), num(2), num(3), num(2), num(1), num(0)}
	for _, test := range []struct {
		name   string
		config changes.Config
		values []edged.Value
		want   string
	}{
		{"lag 1", changes.Config{Function: changes.Lag, N: 1}, []edged.Value{num(1), null(), text("x"), num(2)}, `1>null null>1 "x">null 2>"x"`},
		{"lag 3", changes.Config{Function: changes.Lag, N: 3}, ramp, "0>null 1>null 2>null 3>0 2>1 1>2 0>3"},
		{"had changed", changes.Config{Function: changes.HadChanged}, []edged.Value{num(1), num(1), null(), null(), text("1"), num(1), edged.BoolValue(true)}, `1>true 1>false null>true null>false "1">true 1>true true>true`},
		{"had changed, null first", changes.Config{Function: changes.HadChanged}, []edged.Value{null(), null()}, "null>true null>false"},
		{"delta", changes.Config{Function: changes.DeltaPrevious}, []edged.Value{num(5), num(7), null(), text("x"), num(4)}, `5>null 7>2 null>null "x">null 4>-3`},
		{"delta too large", changes.Config{Function: changes.DeltaPrevious}, []edged.Value{num(-math.MaxFloat64), num(math.MaxFloat64)}, "-1.7976931348623157e+308>null 1.7976931348623157e+308>null"},
		// A change as large as the width does not pass, as in OPC UA Part 4, 7.22.2.
		{"dead-band", changes.Config{Function: changes.Deadband, By: 1}, []edged.Value{num(10), num(11), num(11.5), num(10.5), num(10.4)}, "10>true 11.5>true 10.4>true"},
		{"dead-band in percent", changes.Config{Function: changes.Deadband, By: 10, Percent: true}, []edged.Value{num(100), num(110), num(111), num(99), num(-1), num(0), num(0.1)}, "100>true 111>true 99>true -1>true 0>true 0.1>true"},
		{"dead-band of no width", changes.Config{Function: changes.Deadband}, []edged.Value{num(1), num(1), num(2)}, "1>true 2>true"},
		{"dead-band of other kinds", changes.Config{Function: changes.Deadband, By: 5}, []edged.Value{null(), null(), num(1), num(2), text("a"), text("a"), text("b"), num(2)}, `null>true 1>true "a">true "b">true 2>true`},
		{"dead-band with a longest interval", changes.Config{Function: changes.Deadband, By: 5, MaxInterval: 3000}, ramp, "0>true 3>true 0>true"},
		{"dead-band that only tells", changes.Config{Function: changes.Deadband, By: 1, Keep: true}, ramp, "0>true 1>false 2>true 3>false 2>false 1>false 0>true"},
		{"door: corners of a ramp", changes.Config{Function: changes.SwingingDoor, By: 0.1}, ramp, "0>true 3>true 0>true"},
		{"door: a constant", changes.Config{Function: changes.SwingingDoor, By: 0.1}, slices.Repeat([]edged.Value{num(4)}, 9), "4>true 4>true"},
		{"door: a step", changes.Config{Function: changes.SwingingDoor, By: 0.5}, []edged.Value{num(0), num(0), num(0), num(9), num(9), num(9)}, "0>true 0>true 9>true 9>true"},
		{"door: no deviation", changes.Config{Function: changes.SwingingDoor}, ramp, "0>true 3>true 0>true"},
		{"door: longest interval", changes.Config{Function: changes.SwingingDoor, By: 1, MaxInterval: 2000}, slices.Repeat([]edged.Value{num(4)}, 6), "4>true 4>true 4>true 4>true"},
		{"door: a gap ends the line", changes.Config{Function: changes.SwingingDoor, By: 1}, []edged.Value{num(0), num(0), num(0), null(), num(0), num(0)}, "0>true 0>true null>true 0>true 0>true"},
	} {
		if got := run(t, one(test.config), test.values...); got != test.want {
			t.Errorf("%s:\n got %s\nwant %s", test.name, got, test.want)
		}
	}
}

// Functions of a chain see what those before them wrote and let pass.
func TestChain(t *testing.T) {
	spec := changes.Spec{
		{Function: changes.Deadband, Slot: field, Into: changes.Nowhere, By: 1},
		{Function: changes.DeltaPrevious, Slot: field, Into: second},
		{Function: changes.Lag, Slot: second, Into: finding, N: 1},
	}
	if got, want := run(t, spec, num(0), num(1), num(2), num(3), num(9), num(0)), "0>null 2>null 9>2 0>7"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestValidate(t *testing.T) {
	for _, test := range []struct {
		config changes.Config
		faults int
	}{
		{changes.Config{Function: "median"}, 1},
		{changes.Config{Function: changes.Lag, Into: 1}, 1},
		{changes.Config{Function: changes.Lag, Into: 1, N: changes.LagMax + 1}, 1},
		{changes.Config{Function: changes.HadChanged, Slot: -1, Into: -2, N: 1, By: 1, MaxInterval: 1, Keep: true}, 6},
		{changes.Config{Function: changes.Deadband, Into: 1, By: math.NaN(), MaxInterval: -1}, 2},
		{changes.Config{Function: changes.SwingingDoor, Into: 1, By: math.Inf(1), Percent: true}, 2},
		{changes.Config{Function: changes.Deadband}, 1}, // writes over its own field
		{changes.Config{Function: changes.Deadband, Into: 1, Percent: true, Keep: true}, 0},
	} {
		err := changes.Spec{test.config}.Validate()
		n := 0
		if err != nil {
			n = strings.Count(err.Error(), "\n") + 1
		}
		if n != test.faults || err != nil && !errors.Is(err, changes.ErrConfig) {
			t.Errorf("%+v: %d faults, want %d: %v", test.config, n, test.faults, err)
		}
	}
	if err := make(changes.Spec, changes.ChainMax+1).Validate(); !errors.Is(err, changes.ErrConfig) {
		t.Errorf("a chain too long: %v", err)
	}
}

// signal returns samples of something that a sensor may say: in order, times may
// repeat, gaps may be long.
func signal(r *rand.Rand, n int) []edged.Event {
	shape, t, v := r.IntN(5), edged.Timestamp(r.IntN(1000)-500), 0.0
	var all []edged.Event
	for i := range n {
		t += edged.Timestamp(r.IntN(4) * r.IntN(100))
		switch shape {
		case 0: // a walk
			v += r.NormFloat64()
		case 1: // steps
			if r.IntN(8) == 0 {
				v = float64(r.IntN(20))
			}
		case 2: // a wave with noise
			v = 10*math.Sin(float64(t)/700) + r.Float64()
		case 3: // spikes of any size
			v = r.NormFloat64() * math.Pow(10, float64(r.IntN(12)-6))
		case 4: // small whole numbers: many ties
			v = float64(r.IntN(3))
		}
		all = append(all, edged.Event{Seq: edged.Seq(i), EventTime: t, Values: []edged.Value{num(v), null(), null()}})
	}
	return all
}

// pass takes samples through a chain and returns what passes.
func pass(t *testing.T, spec changes.Spec, samples []edged.Event) (passed []edged.Event) {
	t.Helper()
	suppressed := 0
	emit := func(ev *edged.Event) {
		e := *ev
		e.Values = slices.Clone(ev.Values)
		passed = append(passed, e)
	}
	c := spec.New()
	var last edged.Event
	for _, s := range samples {
		last = s
		last.Values = slices.Clone(s.Values)
		before := len(passed)
		suppressed += c.Step(&last, emit)
		for _, e := range passed[before:] {
			if e.EventTime > s.EventTime {
				t.Fatalf("%d passes with the one at %d", e.EventTime, s.EventTime)
			}
		}
		if at, ok := c.Held(); ok && len(passed) > 0 && at < passed[len(passed)-1].EventTime {
			t.Fatalf("held is %d, after %d has passed", at, passed[len(passed)-1].EventTime)
		}
	}
	suppressed += c.Flush(&last, emit)
	if _, ok := c.Held(); ok || len(passed)+suppressed != len(samples) {
		t.Fatalf("%d passed and %d were suppressed of %d; held %v", len(passed), suppressed, len(samples), ok)
	}
	for i := 1; i < len(passed); i++ {
		if passed[i-1].Seq >= passed[i].Seq {
			t.Fatal("events are out of order")
		}
	}
	return passed
}

// distance returns how far the lines between what passed are from a sample.
func distance(passed []edged.Event, s edged.Event) float64 {
	v, best := s.Values[field].Float(), math.Inf(1)
	for i, p := range passed {
		if p.EventTime == s.EventTime {
			best = min(best, math.Abs(p.Values[field].Float()-v))
		}
		if i > 0 && passed[i-1].EventTime < s.EventTime && s.EventTime < p.EventTime {
			a, b := passed[i-1].Values[field].Float(), p.Values[field].Float()
			part := float64(s.EventTime-passed[i-1].EventTime) / float64(p.EventTime-passed[i-1].EventTime)
			best = min(best, math.Abs(a+part*(b-a)-v))
		}
	}
	return best
}

// What a swinging door lets pass gives back the rest within the deviation, and is
// not everything.
func TestDoorKeepsItsWord(t *testing.T) {
	r := random(t)
	all, kept := 0, 0
	for range 500 {
		config := changes.Config{Function: changes.SwingingDoor, By: r.Float64() * float64(r.IntN(3))}
		if r.IntN(3) == 0 {
			config.MaxInterval = 1 + r.Int64N(1000)
		}
		samples := signal(r, 100)
		passed := pass(t, one(config), samples)
		all, kept = all+len(samples), kept+len(passed)
		for _, s := range samples {
			if d := distance(passed, s); d > config.By*(1+1e-9)+roundOff(samples) {
				t.Fatalf("%+v: the sample %v at %d is off by %v", config, s.Values[field], s.EventTime, d)
			}
		}
		checkInterval(t, config, samples, passed)
	}
	if kept*4 > all*3 {
		t.Errorf("%d of %d pass; that is no compression", kept, all)
	}
}

// roundOff is what floating point may add between numbers so large.
func roundOff(samples []edged.Event) float64 {
	largest := 0.0
	for _, s := range samples {
		largest = max(largest, math.Abs(s.Values[field].Float()))
	}
	return largest * 1e-12
}

// checkInterval checks that no event is suppressed that comes as late as that after
// the last one that passed.
func checkInterval(t *testing.T, c changes.Config, samples, passed []edged.Event) {
	t.Helper()
	if c.MaxInterval == 0 {
		return
	}
	next := 0
	last := edged.Timestamp(0)
	for _, s := range samples {
		if next < len(passed) && passed[next].Seq == s.Seq {
			next, last = next+1, s.EventTime
		} else if next > 0 && s.EventTime.Sub(last) >= c.MaxInterval {
			t.Fatalf("%+v: the event at %d is suppressed, %d ms after one that passed", c, s.EventTime, s.EventTime.Sub(last))
		}
	}
}

// What a dead-band lets pass, held until the next, gives back the rest.
func TestDeadbandKeepsItsWord(t *testing.T) {
	r := random(t)
	for range 500 {
		config := changes.Config{Function: changes.Deadband, By: r.Float64() * 3}
		if r.IntN(3) == 0 {
			config.MaxInterval = 1 + r.Int64N(1000)
		}
		samples := signal(r, 100)
		passed := pass(t, one(config), samples)
		checkInterval(t, config, samples, passed)
		next, held := 0, 0.0
		for _, s := range samples {
			if next < len(passed) && passed[next].Seq == s.Seq {
				next, held = next+1, s.Values[field].Float()
			}
			if d := math.Abs(s.Values[field].Float() - held); d > config.By {
				t.Fatalf("%+v: the sample at %d is off by %v", config, s.EventTime, d)
			}
		}
	}
}

// anySpec returns a chain with all functions, some of them twice.
func anySpec(r *rand.Rand) changes.Spec {
	var spec changes.Spec
	for range 1 + r.IntN(4) {
		c := changes.Config{Function: changes.Functions()[r.IntN(5)], Slot: field, Into: 1 + r.IntN(2)}
		switch c.Function {
		case changes.Lag:
			c.N = 1 + r.IntN(4)
		case changes.Deadband:
			c.By, c.Keep, c.Percent = r.Float64(), r.IntN(2) == 0, r.IntN(2) == 0
		case changes.SwingingDoor:
			c.By, c.MaxInterval = r.Float64(), r.Int64N(300)
		}
		spec = append(spec, c)
	}
	return spec
}

func anyValue(r *rand.Rand) edged.Value {
	switch r.IntN(12) {
	case 0:
		return null()
	case 1:
		return text([]string{"", "on", "off"}[r.IntN(3)])
	case 2:
		return edged.BoolValue(r.IntN(2) == 0)
	case 3:
		return num([]float64{math.MaxFloat64, -math.MaxFloat64, math.Copysign(0, -1), 5e-324}[r.IntN(4)])
	}
	return num(float64(r.IntN(6)))
}

// A chain restored after any event continues like the one it was taken from, also
// with awkward times and values.
func TestRestoreAnywhere(t *testing.T) {
	r := random(t)
	for range 300 {
		spec := anySpec(r)
		if err := spec.Validate(); err != nil {
			t.Fatal(err)
		}
		a := spec.New()
		for i := range edged.Seq(40) {
			stored := a.AppendBinary(nil)
			b := spec.New()
			if rest, err := b.Restore(append(slices.Clip(stored), "tail"...)); err != nil || string(rest) != "tail" {
				t.Fatalf("restore: %q, %v", rest, err)
			}
			if !slices.Equal(b.AppendBinary(nil), stored) {
				t.Fatal("the restored state differs")
			}
			ev := edged.Event{Key: "k", Seq: i, EventTime: edged.Timestamp(i * 100), Values: []edged.Value{anyValue(r), null(), null()}}
			if r.IntN(20) == 0 {
				ev.EventTime = []edged.Timestamp{edged.MinTimestamp, edged.MaxTimestamp, 0}[r.IntN(3)]
			}
			if x, y := stepped(a, ev), stepped(b, ev); x != y {
				t.Fatalf("after a restore\n got %s\nwant %s", y, x)
			}
			if !slices.Equal(a.AppendBinary(nil), b.AppendBinary(nil)) {
				t.Fatal("states part after a restore")
			}
			if r.IntN(2) == 0 {
				a = b
			}
		}
	}
}

// stepped is everything that a step does to the world.
func stepped(c *changes.Chain, ev edged.Event) string {
	var out strings.Builder
	ev.Values = slices.Clone(ev.Values)
	n := c.Step(&ev, func(e *edged.Event) { fmt.Fprintf(&out, "%+v; ", *e) })
	at, ok := c.Held()
	fmt.Fprintf(&out, "%d suppressed, held %d %v, left %+v", n, at, ok, ev)
	return out.String()
}

func all() changes.Spec {
	return changes.Spec{
		{Function: changes.Lag, Slot: field, Into: finding, N: 2},
		{Function: changes.HadChanged, Slot: field, Into: finding},
		{Function: changes.DeltaPrevious, Slot: field, Into: finding},
		{Function: changes.Deadband, Slot: field, Into: finding, By: 0.1, MaxInterval: 500},
		{Function: changes.SwingingDoor, Slot: field, Into: finding, By: 0.1},
		{Function: changes.SwingingDoor, Slot: field, Into: second, By: 0.2},
	}
}

func FuzzRestore(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 0))
	c := all().New()
	f.Add(c.AppendBinary(nil))
	for i := range edged.Seq(30) {
		ev := edged.Event{Seq: i, EventTime: edged.Timestamp(i * 100), Values: []edged.Value{anyValue(r), null(), null()}}
		c.Step(&ev, func(*edged.Event) {})
		f.Add(c.AppendBinary(nil))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c := all().New()
		if _, err := c.Restore(data); err != nil {
			if !errors.Is(err, changes.ErrState) {
				t.Fatal(err)
			}
			if !slices.Equal(c.AppendBinary(nil), all().New().AppendBinary(nil)) {
				t.Fatal("a failed restore left something behind")
			}
			return
		}
		stored := c.AppendBinary(nil)
		again := all().New()
		if rest, err := again.Restore(stored); err != nil || len(rest) > 0 || !slices.Equal(again.AppendBinary(nil), stored) {
			t.Fatalf("restore what was restored: %d bytes left, %v", len(rest), err)
		}
		for _, v := range []edged.Value{num(1), num(1), null(), num(-math.MaxFloat64), text("x"), num(2), num(3)} {
			ev := edged.Event{Values: []edged.Value{v, null(), null()}}
			c.Step(&ev, func(*edged.Event) {})
		}
		ev := edged.Event{Values: []edged.Value{null()}} // fewer than configured
		c.Step(&ev, func(*edged.Event) {})
		c.Flush(&ev, func(*edged.Event) {})
		if _, ok := c.Held(); ok || c.Bytes() <= 0 {
			t.Fatal("something is held after a flush")
		}
	})
}

func FuzzStep(f *testing.F) {
	f.Add([]byte{1, 2, 3, 200, 0, 0, 7}, 0.5)
	f.Fuzz(func(t *testing.T, data []byte, by float64) {
		spec := one(changes.Config{Function: changes.SwingingDoor, By: by})
		if spec.Validate() != nil || len(data) > 200 {
			return
		}
		var samples []edged.Event
		at := edged.Timestamp(0)
		for i, b := range data {
			at += edged.Timestamp(b >> 5)
			samples = append(samples, edged.Event{Seq: edged.Seq(i), EventTime: at, Values: []edged.Value{num(float64(b & 31)), null(), null()}})
		}
		passed := pass(t, spec, samples)
		for _, s := range samples {
			if d := distance(passed, s); d > by*(1+1e-9)+1e-9 {
				t.Fatalf("the sample at %d is off by %v", s.EventTime, d)
			}
		}
	})
}

func benchmark(b *testing.B, config changes.Config) {
	b.ReportAllocs()
	samples := signal(rand.New(rand.NewPCG(1, 0)), 1024)
	c := one(config).New()
	var ev edged.Event
	values := make([]edged.Value, slots)
	i, at := 0, edged.Timestamp(0)
	emit := func(*edged.Event) {}
	for b.Loop() {
		at += 100
		values[field] = samples[i%len(samples)].Values[field]
		ev.EventTime, ev.Values = at, values
		c.Step(&ev, emit)
		i++
	}
}

func BenchmarkLag(b *testing.B) { benchmark(b, changes.Config{Function: changes.Lag, N: 8}) }
func BenchmarkHadChanged(b *testing.B) {
	benchmark(b, changes.Config{Function: changes.HadChanged})
}
func BenchmarkDeltaPrevious(b *testing.B) {
	benchmark(b, changes.Config{Function: changes.DeltaPrevious})
}
func BenchmarkDeadband(b *testing.B) {
	benchmark(b, changes.Config{Function: changes.Deadband, By: 1})
}
func BenchmarkSwingingDoor(b *testing.B) {
	benchmark(b, changes.Config{Function: changes.SwingingDoor, By: 1})
}
