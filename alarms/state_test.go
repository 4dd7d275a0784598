package alarms_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"reflect"
	"testing"

	"edged"
	"edged/alarms"
	"edged/anomaly"
)

// today is a time of our days: its length counts in what is stored.
const today edged.Timestamp = 1_790_000_000_000

// A quiet alarm is small, whatever it has been through.
func TestQuietIsSmall(t *testing.T) {
	spec := &alarms.Spec{OnDelay: 10, OffDelay: 10, Least: 3, Of: 5, CoolDown: 100, Remember: 1000, BudgetMax: 3, BudgetPer: 1000}
	a := spec.New()
	if n := len(a.AppendBinary(nil)); n != 2 {
		t.Errorf("a new one has %d bytes", n)
	}
	fresh := a.Bytes()
	at := today
	for i := range 200 {
		v := normal()
		if i%50 < 25 {
			v = abnormal(anomaly.SeverityMajor)
		}
		at = at.Add(10)
		a.Observe(nil, alarms.Sample{At: at, Now: at, Verdict: v})
	}
	if n := len(a.AppendBinary(nil)); n < 50 || n > 200 || a.Bytes() > fresh+512 {
		t.Errorf("one that is remembered has %d bytes, %d in memory", n, a.Bytes())
	}
	a.Observe(nil, alarms.Sample{At: at.Add(1000), Now: at.Add(1000), Verdict: normal()})
	data := a.AppendBinary(nil)
	if len(data) > 16 || a.Bytes() != fresh || fresh > 128 {
		t.Errorf("a quiet one has %d bytes, %d in memory", len(data), a.Bytes())
	}
	// Of all that happened, only the time and the number of alarms are left.
	if b := spec.New(); b.AppendBinary(nil)[0] == data[0] {
		t.Errorf("it has no time: %x", data)
	}
}

// Quiet values cost no memory.
func TestQuietAllocatesNothing(t *testing.T) {
	spec := &alarms.Spec{OnDelay: 10, Least: 2, Of: 3, BudgetMax: 3, BudgetPer: 1000}
	a := spec.New()
	at := today
	if n := testing.AllocsPerRun(100, func() {
		at++
		a.Observe(nil, alarms.Sample{At: at, Now: at, Verdict: normal()})
	}); n > 0 {
		t.Errorf("%v allocations a value", n)
	}
}

// fill sets every field of a value to something that is not zero.
func fill(v reflect.Value, r *rand.Rand) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), r)
		}
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Uint8:
		v.SetUint(1 + r.Uint64N(3))
	case reflect.Uint32:
		v.SetUint(1 + r.Uint64N(1<<32-1))
	case reflect.Int32:
		v.SetInt(1 + int64(r.Int32()>>1))
	case reflect.Int64:
		v.SetInt(1 + r.Int64()>>1)
	case reflect.Float64:
		v.SetFloat(1 + r.Float64())
	case reflect.String:
		v.SetString("text")
	default:
		panic(v.Kind().String())
	}
}

// evidence returns some that its package takes for sound.
func evidence(r *rand.Rand) (e anomaly.Evidence) {
	e.Of = r.Uint32()
	for v := range anomaly.Views {
		switch r.IntN(3) {
		case 0:
			e.Above |= 1 << v
			e.Bound[v], e.Shown[v] = 1, 2+r.Float32()
		case 1:
			e.Below |= 1 << v
			e.Bound[v], e.Shown[v] = 1, -r.Float32()
		}
	}
	return e
}

// Every field of a verdict and of a change is stored, also one that is new: a group
// keeps a whole change, and gives it back after a restore.
func TestChangesAreStored(t *testing.T) {
	spec := &alarms.GroupSpec{Parent: "power", MembersMax: 4}
	for seed := *seedFlag; seed < *seedFlag+100; seed++ {
		r := rand.New(rand.NewPCG(seed, 4))
		var c alarms.Change
		verdict := reflect.TypeFor[anomaly.Verdict]()
		for i := range reflect.TypeFor[alarms.Change]().NumField() {
			if f := reflect.ValueOf(&c).Elem().Field(i); f.Type() != verdict {
				fill(f, r)
			}
		}
		for i := range verdict.NumField() {
			if f := reflect.ValueOf(&c.Verdict).Elem().Field(i); f.Type() != reflect.TypeFor[anomaly.Evidence]() {
				fill(f, r)
			}
		}
		c.Verdict.Evidence = evidence(r)
		if c.Verdict.Evidence.Empty() {
			c.Verdict.Evidence = anomaly.Evidence{}
		}
		c.Event = alarms.EventRaised
		c.State = alarms.Unacknowledged
		g := spec.New()
		g.Observe(nil, "power", alarms.Change{Event: alarms.EventRaised, State: alarms.Unacknowledged})
		if told := g.Observe(nil, "m", c); len(told) != 0 {
			t.Fatalf("-seed %d: %+v", seed, told)
		}
		restored := spec.New()
		if rest, err := restored.Restore(g.AppendBinary(nil)); err != nil || len(rest) != 0 {
			t.Fatalf("-seed %d: %v", seed, err)
		}
		told := restored.Observe(nil, "power", alarms.Change{Event: alarms.EventCleared})
		want := c
		want.Suppressed = 0 // that is in the sum
		if len(told) != 2 || told[0].Change.Suppressed != c.Suppressed || told[1].Change != want {
			t.Fatalf("-seed %d:\n got %+v\nwant %+v", seed, told, want)
		}
	}
}

// specs are what the fuzzers restore into.
func specs() []*alarms.Spec {
	return []*alarms.Spec{
		{ShelfMax: 20}, {ShelfMax: 20, Latch: true, Least: 2, Of: 3, Remember: 5, BudgetMax: 2, BudgetPer: 9},
		{ShelfMax: 20, Acknowledge: true, CoolDown: 5, OffDelay: 3},
	}
}

// states returns stored states of a spec, some of each kind.
func states(spec *alarms.Spec, seeds uint64) (all [][]byte) {
	for seed := range seeds {
		all = append(all, stateOf(spec, seed))
	}
	return all
}

// stateOf returns the stored state after a random script.
func stateOf(spec *alarms.Spec, seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 5))
	p, g := newPair(spec), &scripter{r: r, now: 1000, mood: 4}
	for range 5 + r.IntN(60) {
		if err := p.play(g.step(p.alarm.Status(), p.last)); err != nil {
			panic(err)
		}
	}
	return p.alarm.AppendBinary(nil)
}

// Whatever is restored is a state: it is written as it was read, and goes on.
func FuzzRestore(f *testing.F) {
	for i, spec := range specs() {
		for _, data := range states(spec, 12) {
			f.Add(uint8(i), data, uint64(1))
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, data []byte, seed uint64) {
		spec := specs()[int(which)%len(specs())]
		a := spec.New()
		a.Observe(nil, alarms.Sample{At: 1, Now: 1, Verdict: abnormal(anomaly.SeverityMajor)})
		before := a.AppendBinary(nil)
		rest, err := a.Restore(data)
		if err != nil {
			if !errors.Is(err, alarms.ErrState) || !bytes.Equal(before, a.AppendBinary(nil)) {
				t.Fatal(err)
			}
			return
		}
		once := a.AppendBinary(nil)
		b := spec.New()
		if _, err := b.Restore(once); err != nil || !bytes.Equal(once, b.AppendBinary(nil)) || len(rest) > len(data) {
			t.Fatalf("%x becomes %x, and then %x: %v", data, once, b.AppendBinary(nil), err)
		}
		g := &scripter{r: rand.New(rand.NewPCG(seed, 6)), now: a.Status().Now, mood: 4}
		var last alarms.Change
		for range 40 {
			var changes []alarms.Change
			switch s := g.step(a.Status(), last); s.what {
			case "sample":
				changes = a.Observe(nil, s.sample)
			case "tick":
				changes = a.Tick(nil, s.now)
			default:
				changes, _ = a.Command(nil, s.command, s.now)
			}
			if len(changes) > 0 {
				last = changes[len(changes)-1]
			}
			c := spec.New()
			if _, err := c.Restore(a.AppendBinary(nil)); err != nil {
				t.Fatalf("what it wrote later: %v", err)
			}
		}
	})
}

// Whatever is restored is a group: it is written as it was read, and goes on.
func FuzzRestoreGroup(f *testing.F) {
	groups := []*alarms.GroupSpec{
		{FloodMin: 2, FloodSpan: 50, CalmBelow: 1, CalmSpan: 5, MembersMax: 4},
		{Parent: "m0", MembersMax: 3},
		{FloodMin: 2, FloodSpan: 50, CalmBelow: 2, MembersMax: 5, Parent: "m1"},
	}
	play := func(g *alarms.Group, seed uint64, check func()) {
		r := rand.New(rand.NewPCG(seed, 7))
		for i := range 40 {
			c := raised(edged.Timestamp(i))
			if c.Event = alarms.Event(1 + r.IntN(6)); c.Event == alarms.EventCleared || c.Event == alarms.EventReturned {
				c.State = alarms.Normal
			}
			g.Observe(nil, "m"+string(rune('0'+r.IntN(5))), c)
			check()
		}
	}
	for i, spec := range groups {
		for seed := range uint64(10) {
			g := spec.New()
			play(&g, seed, func() {
				if seed%3 == 0 {
					f.Add(uint8(i), g.AppendBinary(nil), seed)
				}
			})
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, data []byte, seed uint64) {
		spec := groups[int(which)%len(groups)]
		g := spec.New()
		g.Observe(nil, "m3", raised(3))
		before := g.AppendBinary(nil)
		if _, err := g.Restore(data); err != nil {
			if !errors.Is(err, alarms.ErrState) || !bytes.Equal(before, g.AppendBinary(nil)) {
				t.Fatal(err)
			}
			return
		}
		same := func() {
			once, h := g.AppendBinary(nil), spec.New()
			if _, err := h.Restore(once); err != nil || !bytes.Equal(once, h.AppendBinary(nil)) {
				t.Fatalf("%x becomes %x: %v", once, h.AppendBinary(nil), err)
			}
		}
		same()
		play(&g, seed, same)
	})
}

// A state with wrong bytes is refused, or is another state.
func TestRestoreRefusesNoise(t *testing.T) {
	refused, taken := 0, 0
	for seed := *seedFlag; seed < *seedFlag+uint64(*casesFlag); seed++ {
		r := rand.New(rand.NewPCG(seed, 8))
		spec := specs()[seed%3]
		data := stateOf(spec, seed)
		for range 1 + r.IntN(2) {
			data[r.IntN(min(len(data), 40))] = byte(r.IntN(1 << (1 + r.IntN(8))))
		}
		a := spec.New()
		if _, err := a.Restore(data); err != nil {
			refused++
			if fresh := spec.New(); !bytes.Equal(a.AppendBinary(nil), fresh.AppendBinary(nil)) {
				t.Fatalf("-seed %d: it is refused and taken", seed)
			}
			continue
		}
		taken++
		once, b := a.AppendBinary(nil), spec.New()
		if _, err := b.Restore(once); err != nil || !bytes.Equal(once, b.AppendBinary(nil)) {
			t.Fatalf("-seed %d: %x becomes %x: %v", seed, data, once, err)
		}
	}
	if min(refused, taken) < *casesFlag/10 {
		t.Errorf("%d refused, %d taken", refused, taken)
	}
}

// A state that is cut short is refused.
func TestRestoreRefusesParts(t *testing.T) {
	for i, spec := range specs() {
		for _, data := range states(spec, 20) {
			for n := range len(data) {
				a := spec.New()
				if _, err := a.Restore(data[:n]); !errors.Is(err, alarms.ErrState) {
					t.Fatalf("spec %d: %d of %d bytes: %v", i, n, len(data), err)
				}
				if fresh := spec.New(); !bytes.Equal(a.AppendBinary(nil), fresh.AppendBinary(nil)) {
					t.Fatalf("spec %d: %d of %d bytes are refused and taken", i, n, len(data))
				}
			}
		}
	}
}

// Parts that say nothing, or that nobody knows, are refused: equal states have equal bytes.
func TestRestoreRefusesTwins(t *testing.T) {
	for name, data := range map[string][]byte{
		"an unknown part":         {0x80, 0x08, 0},
		"a history of nothing":    {0x03, 0, 2, 0},
		"suppressed are none":     {0x09, 0, 2, 0},
		"no raises":               {0x81, 0x01, 0, 2, 0},
		"a delay without a time":  {0x04, 0, 2},
		"kept back without delay": {0x21, 0, 2},
		"an alarm without number": {0x11, 0, 2, 0, 0, 0, 0},
	} {
		spec := specs()[1]
		a := spec.New()
		if _, err := a.Restore(data); !errors.Is(err, alarms.ErrState) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
