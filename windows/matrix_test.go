package windows_test

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"edged"
	"edged/windows"
	"edged/windows/agg"
)

// player plays one script to an operator. A step is "e5", an event at 5, "w10", a
// watermark, "p7", processing time coming to 7, or "r", the state being stored,
// thrown away and restored.
type player struct {
	t    testing.TB
	spec *windows.Spec
	o    windows.State
	m    *naive
	now  edged.Timestamp
	n    int
}

// operator returns the operator of a spec, also where slices would be used.
func operator(spec *windows.Spec) windows.State {
	o := windows.NewOperator(spec)
	return &o
}

// parse returns the letter and the number of a step.
func parse(step string) (byte, edged.Timestamp) {
	at, _ := strconv.ParseInt(step[1:], 10, 64)
	return step[0], edged.Timestamp(at)
}

// step plays one step and returns what the operator says.
func (p *player) step(step string) []string {
	var out edged.Output
	kind, at := parse(step)
	p.n++
	by := windows.Moment{Key: "k", Trigger: edged.Seq(p.n), Now: p.now}
	switch kind {
	case 'e':
		p.o.Add(&out, &edged.Event{Key: "k", Seq: by.Trigger, EventTime: at, Values: []edged.Value{edged.NumberValue(float64(p.n))}}, by)
		if p.m != nil {
			p.m.add(at, p.now, p.n)
		}
	case 'w':
		by.Cause = edged.ByEnd
		p.o.Advance(&out, at, by)
		if p.m != nil {
			p.m.advance(at)
		}
	case 'p':
		p.now, by.Now, by.Cause = at, at, edged.ByTick
		p.o.Tick(&out, by)
		if p.m != nil {
			p.m.tick(at)
		}
	case 'r':
		p.restore()
	}
	for _, r := range out.Results {
		if r.Trigger != by.Trigger || r.Key != "k" {
			p.t.Fatalf("result says record %d, key %q", r.Trigger, r.Key)
		}
	}
	return lines(&out)
}

func (p *player) restore() {
	stored := p.o.AppendBinary(nil)
	again := operator(p.spec)
	if rest, err := again.Restore(append(slices.Clone(stored), "tail"...)); err != nil || string(rest) != "tail" {
		p.t.Fatalf("restore: %q, %v", rest, err)
	}
	if !bytes.Equal(again.AppendBinary(nil), stored) || again.Open() != p.o.Open() || again.Bytes() != p.o.Bytes() || again.Watermark() != p.o.Watermark() {
		p.t.Fatal("the restored state differs")
	}
	p.o = again
}

// agree plays a script to the operator and to the model. pending is checked, too.
func agree(t testing.TB, spec *windows.Spec, script []string) {
	t.Helper()
	p := &player{t: t, spec: spec, o: operator(spec), m: newNaive(spec)}
	for i, step := range script {
		p.m.out = nil
		got, want := p.step(step), p.m.out
		if !sameLines(got, want) {
			t.Fatalf("%s\n%s, at %q:\n got %q\nwant %q", show(spec), strings.Join(script[:i+1], " "), step, got, want)
		}
		end, pending := p.o.Pending()
		last := p.m.w
		for _, o := range p.m.open {
			last = max(last, o.End)
		}
		if end != last || pending != (last > p.m.w) || p.o.Open() != len(p.m.open) || p.o.Watermark() != p.m.w {
			t.Fatalf("%s\n%s: pending %d %v, open %d; want %d, %d", show(spec), strings.Join(script[:i+1], " "), end, pending, p.o.Open(), last, len(p.m.open))
		}
	}
}

// sameLines compares what was said. Misses come in a list of their own, so that
// their place among the results is not compared.
func sameLines(got, want []string) bool {
	results := func(lines []string) (panes, other []string) {
		for _, l := range lines {
			switch strings.Fields(l)[0] {
			case "missed", "no", "skipped", "unassigned":
				other = append(other, l)
			default:
				panes = append(panes, l)
			}
		}
		return panes, other
	}
	a, b := results(got)
	c, d := results(want)
	return slices.Equal(a, c) && slices.Equal(b, d)
}

// show writes a spec for a failure.
func show(s *windows.Spec) string {
	section := func(s *windows.Section) string {
		if s == nil {
			return "-"
		}
		until := ""
		if s.Until != nil {
			until = fmt.Sprintf(" until %+v", *s.Until)
		}
		return fmt.Sprintf("%+v once %v%s", s.When, s.Once, until)
	}
	return fmt.Sprintf("%T%+v %+v lateness %d %s empty %v max %d\n early %s\n late %s\n final %v", s.Assigner, s.Assigner, s.Session,
		s.AllowedLateness, s.Accumulation, s.Empty, s.OpenMax, section(s.Trigger.Early), section(s.Trigger.Late), s.Trigger.FinalOnly)
}

func events(n int64) windows.Condition { return windows.Condition{Events: n} }
func delay(d int64) windows.Condition  { return windows.Condition{Delay: d} }
func each(d int64) windows.Condition   { return windows.Condition{Every: d} }

func section(c windows.Condition) *windows.Section { return &windows.Section{When: c} }

// matrixTriggers are the triggers of the exhaustive test.
func matrixTriggers() []windows.Trigger {
	all := windows.Condition{All: []windows.Condition{events(2), delay(3)}}
	some := windows.Condition{Any: []windows.Condition{events(2), each(4)}}
	turns := windows.Condition{Sequence: []windows.Condition{events(1), delay(2)}}
	two, three := events(2), delay(5)
	return []windows.Trigger{
		{},
		{FinalOnly: true},
		{Early: section(events(1))},
		{Early: section(events(2)), Late: section(events(2))},
		{Early: section(delay(2)), Late: section(each(4))},
		{Early: &windows.Section{When: all, Once: true}, Late: section(some)},
		{Early: &windows.Section{When: turns, Once: true}, Late: section(turns)},
		{Early: &windows.Section{When: events(1), Until: &two}, Late: &windows.Section{When: delay(3), Until: &three}},
		{Late: &windows.Section{When: events(1), Once: true}},
	}
}

// matrixSpecs are the specs of the exhaustive test: everything with everything.
func matrixSpecs(t testing.TB) (specs []*windows.Spec) {
	layout := listing(t)
	types := []windows.Spec{
		{Assigner: windows.Tumbling{Size: 10}},
		{Assigner: windows.Hopping{Size: 10, Period: 5}},
		{Assigner: windows.Hopping{Size: 4, Period: 10}},
		{Session: &windows.Session{Gap: 4}},
	}
	for _, s := range types {
		for _, s.Trigger = range matrixTriggers() {
			for _, s.Accumulation = range []windows.Accumulation{windows.Accumulating, windows.Discarding, windows.Retracting} {
				for _, s.AllowedLateness = range []int64{0, 6} {
					for _, s.Empty = range []bool{false, true} {
						if s.Empty && s.Session == nil && s.AllowedLateness == 0 && s.Trigger.Early == nil {
							continue // little that is new
						}
						copied := s
						copied.Layout = layout
						specs = append(specs, valid(t, copied))
					}
				}
			}
		}
	}
	return specs
}

// full makes the exhaustive test longer by far.
var full = flag.Bool("full", false, "play all scripts of four steps to all specs, not to every sixth")

// Everything with everything, in all scripts of a few steps. The seed chooses the
// specs for which they are four.
func TestAllShortScripts(t *testing.T) {
	t.Logf("seed %d", *seed)
	steps := []string{"e1", "e5", "e8", "w6", "w13", "p2", "p5"}
	n := 0
	for i, spec := range matrixSpecs(t) {
		length := 3
		if *full || uint64(i)%6 == *seed%6 {
			length = 4
		}
		script := make([]string, length)
		var extend func(i int)
		extend = func(i int) {
			if i == length {
				n++
				agree(t, spec, script)
				return
			}
			for _, script[i] = range steps {
				extend(i + 1)
			}
		}
		extend(0)
	}
	t.Logf("%d scripts", n)
}

// A few hundred random specs in long scripts, with restores in between.
func TestRandomScripts(t *testing.T) {
	t.Logf("seed %d", *seed)
	r := rand.New(rand.NewPCG(*seed, 7))
	layout := listing(t)
	for range 1500 {
		spec := randomSpec(t, r, layout)
		agree(t, spec, randomScript(r, 20+r.IntN(60)))
	}
}

func randomSpec(t testing.TB, r *rand.Rand, layout *agg.Layout) *windows.Spec {
	size := 2 + r.Int64N(12)
	s := windows.Spec{
		Layout: layout, AllowedLateness: r.Int64N(2) * r.Int64N(20), OpenMax: r.IntN(2) * (1 + r.IntN(6)),
		Accumulation: windows.Accumulation(r.IntN(3)), Empty: r.IntN(4) == 0,
	}
	switch r.IntN(5) {
	case 0:
		s.Assigner = windows.Hopping{Size: size, Period: 1 + r.Int64N(10), Offset: r.Int64N(9) - 4}
	case 1:
		s.Assigner = windows.Tumbling{Size: size, Offset: r.Int64N(9) - 4}
	case 2:
		s.Assigner = windows.Cumulate{Size: 3 * size, Step: size}
	default:
		s.Session = &windows.Session{Gap: 1 + r.Int64N(6)}
	}
	switch r.IntN(6) {
	case 0:
	case 1:
		s.Trigger.FinalOnly = true
	default:
		s.Trigger.Early, s.Trigger.Late = randomSection(r), randomSection(r)
	}
	return valid(t, s)
}

func randomSection(r *rand.Rand) *windows.Section {
	if r.IntN(4) == 0 {
		return nil
	}
	s := &windows.Section{When: randomCondition(r, 3, true), Once: r.IntN(3) == 0}
	if r.IntN(3) == 0 {
		until := randomCondition(r, 2, false)
		s.Until = &until
	}
	return s
}

func randomCondition(r *rand.Rand, depth int, sequences bool) (c windows.Condition) {
	kids := func() (list []windows.Condition) {
		for range 1 + r.IntN(3) {
			list = append(list, randomCondition(r, depth-1, sequences))
		}
		return list
	}
	choice := r.IntN(6)
	switch {
	case depth > 1 && choice == 0:
		c.Any = kids()
	case depth > 1 && choice == 1:
		c.All = kids()
	case depth > 1 && choice == 2 && sequences:
		c.Sequence = kids()
	case choice%3 == 0:
		c.Events = 1 + r.Int64N(4)
	case choice%3 == 1:
		c.Delay = 1 + r.Int64N(8)
	default:
		c.Every = 1 + r.Int64N(8)
	}
	return c
}

func randomScript(r *rand.Rand, n int) (script []string) {
	w, now := int64(0), int64(0)
	for range n {
		switch r.IntN(10) {
		case 0:
			script = append(script, "r")
		case 1, 2:
			w += r.Int64N(9)
			script = append(script, fmt.Sprint("w", w))
		case 3, 4:
			now += r.Int64N(6)
			script = append(script, fmt.Sprint("p", now))
		default:
			script = append(script, fmt.Sprint("e", w+r.Int64N(30)-15))
		}
	}
	if r.IntN(2) == 0 {
		script = append(script, fmt.Sprint("w", int64(edged.MaxTimestamp)))
	}
	return script
}
