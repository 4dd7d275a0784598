package alarms_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"edged"
	"edged/alarms"
)

// pair plays the same steps to an alarm and to the oracle.
type pair struct {
	spec   *alarms.Spec
	alarm  alarms.Alarm
	oracle oracle
	told   int // of the oracle's changes
	last   alarms.Change
	script []step
}

func newPair(spec *alarms.Spec) *pair {
	return &pair{spec: spec, alarm: spec.New(), oracle: oracle{spec: spec}}
}

// play plays a step and says how the two differ.
func (p *pair) play(s step) error {
	p.script = append(p.script, s)
	var got []alarms.Change
	fine := true
	switch s.what {
	case "sample":
		got = p.alarm.Observe(nil, s.sample)
		p.oracle.sample(s.sample)
	case "tick":
		got = p.alarm.Tick(nil, s.now)
		p.oracle.tick(s.now)
	case "command":
		before := p.alarm.AppendBinary(nil)
		changes, err := p.alarm.Command(nil, s.command, s.now)
		got, fine = changes, p.oracle.command(s.command, s.now)
		switch {
		case (err == nil) != fine:
			return fmt.Errorf("the error is %v, the oracle takes it: %v", err, fine)
		case err != nil && !errors.Is(err, alarms.ErrUnknown) && !errors.Is(err, alarms.ErrCommand):
			return err
		case err != nil && !bytes.Equal(before, p.alarm.AppendBinary(nil)):
			return fmt.Errorf("an error changed the state: %w", err)
		}
	}
	want := p.oracle.out[p.told:]
	p.told = len(p.oracle.out)
	for i := range max(len(got), len(want)) {
		if i < len(got) && i < len(want) && got[i] == want[i] {
			if got[i].Ordinal > 0 {
				p.last = got[i]
			}
			continue
		}
		if g, w := show(got, i), show(want, i); g != w { // a NaN is not equal to itself
			return fmt.Errorf("change %d\n got %s\nwant %s", i, g, w)
		}
		if got[i].Ordinal > 0 {
			p.last = got[i]
		}
	}
	if g, w := p.alarm.Condition(), p.oracle.condition(); g != w {
		return fmt.Errorf("state %s, want %s", g, w)
	}
	return nil
}

func show(all []alarms.Change, i int) string {
	if i >= len(all) {
		return "nothing"
	}
	c := all[i]
	return fmt.Sprintf("%s %s %+v", c.Event, c.State, c)
}

// restore goes on with a copy of the state.
func (p *pair) restore() error {
	data := p.alarm.AppendBinary([]byte("x"))[1:]
	fresh := p.spec.New()
	rest, err := fresh.Restore(append(data[:len(data):len(data)], "rest"...))
	if err != nil || string(rest) != "rest" {
		return fmt.Errorf("restored with rest %q: %w", rest, err)
	}
	if again := fresh.AppendBinary(nil); !bytes.Equal(again, data) {
		return fmt.Errorf("restored as %x, was %x", again, data)
	}
	p.alarm = fresh
	return nil
}

// fail reports a difference with the script that shows it.
func (p *pair) fail(t *testing.T, seed any, err error) {
	t.Helper()
	lines := ""
	for _, s := range p.script[max(0, len(p.script)-40):] {
		lines += s.String() + "\n"
	}
	t.Fatalf("-seed %v: %v\nspec %+v\n%s", seed, err, *p.spec, lines)
}

// Random scripts over random configurations, with restores in between, do what the
// oracle does; and what they do is balanced.
func TestOracle(t *testing.T) {
	events := map[string]int{}
	for seed := *seedFlag; seed < *seedFlag+uint64(*casesFlag); seed++ {
		r := rand.New(rand.NewPCG(seed, 1))
		p := newPair(randomSpec(r))
		if err := p.spec.Validate(); err != nil {
			t.Fatal(err)
		}
		g := &scripter{r: r, now: 1000}
		for range 20 + r.IntN(150) {
			if err := p.play(g.step(p.alarm.Status(), p.last)); err != nil {
				p.fail(t, seed, err)
			}
			if r.IntN(8) == 0 {
				if err := p.restore(); err != nil {
					p.fail(t, seed, err)
				}
			}
		}
		for _, c := range p.oracle.out {
			events[c.Event.String()+" "+c.State.String()]++
		}
		if err := balanced(p.oracle.out, p.alarm.Status()); err != nil {
			p.fail(t, seed, err)
		}
	}
	// What never happens is not tested.
	for e := alarms.EventRaised; e <= alarms.EventLabelled; e++ {
		found := 0
		for name, n := range events {
			if strings.HasPrefix(name, e.String()+" ") {
				found += n
			}
		}
		if found < *casesFlag/20 {
			t.Errorf("%s happened %d times only", e, found)
		}
	}
	t.Log(events)
}

// balanced checks what a reader upstream relies on: each alarm is opened once, then
// closed once, its identity is stable and new, and nothing is told of one that is over
// but its label.
func balanced(all []alarms.Change, status alarms.Change) error {
	open := uint32(0) // ordinal
	newest := uint32(0)
	start := map[uint32]edged.Timestamp{}
	for i, c := range all {
		if c.Ordinal == 0 {
			continue
		}
		if was, known := start[c.Ordinal]; known && was != c.Start {
			return fmt.Errorf("change %d: alarm %d starts at %d and at %d", i, c.Ordinal, was, c.Start)
		}
		start[c.Ordinal] = c.Start
		switch c.Event {
		case alarms.EventRaised:
			if open != 0 || c.Ordinal <= newest {
				return fmt.Errorf("change %d raises %d while %d is open, after %d", i, c.Ordinal, open, newest)
			}
			open, newest = c.Ordinal, c.Ordinal
		case alarms.EventUnshelved, alarms.EventShelved, alarms.EventAcknowledged, alarms.EventLabelled, alarms.EventInService:
			if c.Event == alarms.EventUnshelved {
				if open != 0 && open != c.Ordinal {
					return fmt.Errorf("change %d unshelves %d while %d is open", i, c.Ordinal, open)
				}
				open, newest = c.Ordinal, max(newest, c.Ordinal)
			}
		default:
			if open != c.Ordinal {
				return fmt.Errorf("change %d, %s, is about %d while %d is open", i, c.Event, c.Ordinal, open)
			}
			if c.Event == alarms.EventCleared {
				open = 0
			}
		}
	}
	if open != 0 && open != status.Ordinal {
		return fmt.Errorf("%d is open at the end, and the alarm is %d", open, status.Ordinal)
	}
	return nil
}
