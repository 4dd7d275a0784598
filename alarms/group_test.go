package alarms_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"edged"
	"edged/alarms"
	"edged/anomaly"
)

// groupOracle says what a group with room for all holds back, in the dumbest way.
type groupOracle struct {
	spec   *alarms.GroupSpec
	clock  edged.Timestamp
	since  map[string]edged.Timestamp // when the active members became active
	flood  bool
	parent bool
	calm   *edged.Timestamp
	start  edged.Timestamp
	count  uint32 // group alarms
	kept   uint32
	names  map[string]bool // of what is kept
	grades map[string]anomaly.Severity
	worst  anomaly.Severity // of the flood
}

func (o *groupOracle) holding() bool { return o.flood || o.parent }

// ended takes the reason for which nothing is held back any more.
func (o *groupOracle) ended() string {
	names := slices.Sorted(maps.Keys(o.names))
	text := fmt.Sprintf("kept %d of %v", o.kept, names[:min(len(names), alarms.MembersTold)])
	o.kept, o.names = 0, map[string]bool{}
	return text
}

// relax returns what the group alarm's end is, if it ends.
func (o *groupOracle) relax() (own []string) {
	if !o.flood || o.calm == nil || o.clock.Sub(*o.calm) < o.spec.CalmSpan {
		return nil
	}
	o.flood = false
	text := fmt.Sprintf("cleared %d %d at %d ended %d, %s ", o.start, o.count, o.clock, *o.calm, o.worst)
	o.calm = nil
	if o.parent {
		return []string{text + "kept 0 of []"}
	}
	return []string{text + o.ended()}
}

// observe returns the changes of the group alarm, and whether the change is passed on.
func (o *groupOracle) observe(name string, c alarms.Change) (own []string, passed bool) {
	o.clock = max(o.clock, c.At)
	own = o.relax()
	if name == o.spec.Parent {
		was := o.parent
		if o.parent = c.State.Active(); was && !o.holding() {
			return append(own, "parent "+o.ended()), true
		}
		return own, true
	}
	o.grades[name] = c.Severity
	_, was := o.since[name]
	if active := c.State.Active(); !active {
		delete(o.since, name)
	} else if !was {
		o.since[name] = c.At
		if text := o.flooded(); text != "" && !o.holding() {
			o.flood = true
			own = append(own, text)
		}
	}
	switch c.Event {
	case alarms.EventRaised, alarms.EventUpdated, alarms.EventReturned, alarms.EventRecurred, alarms.EventCleared:
		if passed = !o.holding(); !passed {
			o.kept++
			o.worst = max(o.worst, c.Severity)
			o.names[name] = true
		}
	default:
		passed = true
	}
	if o.flood && len(o.since) >= o.spec.CalmBelow {
		o.calm = nil
	} else if o.flood && o.calm == nil {
		t := o.clock
		o.calm = &t
	}
	return append(own, o.relax()...), passed
}

// flooded returns the group alarm if there is a flood now.
func (o *groupOracle) flooded() string {
	if o.holding() || o.spec.FloodMin == 0 {
		return ""
	}
	for _, first := range slices.Sorted(maps.Values(o.since)) {
		n := 0
		for _, t := range o.since {
			if t >= first && t.Sub(first) < o.spec.FloodSpan {
				n++
			}
		}
		if n >= o.spec.FloodMin {
			o.start, o.worst = first, 0
			for name := range o.since {
				o.worst = max(o.worst, o.grades[name])
			}
			o.count++
			return fmt.Sprintf("raised %d %d at %d of %d, %s", first, o.count, o.clock, len(o.since), o.worst)
		}
	}
	return ""
}

// reader is somebody upstream: which alarm of each member is open, and its state.
type reader map[string]alarms.Change

func (r reader) read(name string, c alarms.Change) {
	switch {
	case c.Ordinal == 0 || r[name].Ordinal != c.Ordinal && !opens(c.Event): // of one that is over, or was never told
	case c.Event == alarms.EventCleared:
		delete(r, name)
	case c.Event == alarms.EventAcknowledged && c.State == alarms.Normal: // cleared comes behind it
	default:
		r[name] = c
	}
}

// opens reports whether a reader who does not know the alarm learns that there is one.
func opens(e alarms.Event) bool { return e == alarms.EventRaised || e == alarms.EventUnshelved }

// view is what the reader knows, but for which event told it.
func (r reader) view() string {
	text := ""
	for _, name := range slices.Sorted(maps.Keys(r)) {
		c := r[name]
		text += fmt.Sprintf("%s: %d-%d %s count %d label %s\n", name, c.Start, c.Ordinal, c.State, c.Count, c.Label)
	}
	return text
}

// plant is members with alarms, their group, and who reads.
type plant struct {
	t       *testing.T
	seed    uint64
	spec    *alarms.GroupSpec
	group   alarms.Group
	oracle  groupOracle
	truth   reader
	outside reader
	ids     map[string]bool // alarms that were opened
	known   map[string]bool // of them, those outside
	in, out uint64          // sums of Suppressed
	events  map[string]int
}

func (p *plant) take(name string, c alarms.Change) {
	if p.truth.read(name, c); c.Ordinal > 0 && opens(c.Event) {
		p.ids[fmt.Sprint(name, c.Ordinal)] = true
	}
	p.in += uint64(c.Suppressed)
	own, passed := p.oracle.observe(name, c)
	p.check(p.group.Observe(nil, name, c), own, name, c, passed)
}

// check compares what the group tells with what the oracle says.
func (p *plant) check(got []alarms.GroupChange, own []string, name string, c alarms.Change, passed bool) {
	p.t.Helper()
	found := false
	for _, g := range got {
		p.out += uint64(g.Change.Suppressed)
		text := ""
		switch {
		case g.Member == "" && g.Change.Event == alarms.EventRaised:
			text = fmt.Sprintf("raised %d %d at %d of %d, %s", g.Change.Start, g.Change.Ordinal, g.Change.At, g.Change.Count, g.Change.Severity)
		case g.Member == "":
			text = fmt.Sprintf("cleared %d %d at %d ended %d, %s kept %d of %v", g.Change.Start, g.Change.Ordinal, g.Change.At, g.Change.Ended, g.Change.Severity, g.Kept, g.Members)
		case g.Kept > 0 || g.Member == p.spec.Parent && len(own) > 0 && strings.HasPrefix(own[0], "parent"):
			text = fmt.Sprintf("parent kept %d of %v", g.Kept, g.Members)
		}
		if text != "" {
			p.events[strings.Fields(text)[0]]++
			if len(own) == 0 || own[0] != text {
				p.t.Fatalf("-seed %d: the group tells %q, want %q\nspec %+v", p.seed, text, own, *p.spec)
			}
			own = own[1:]
		}
		if g.Member != "" {
			p.outside.read(g.Member, g.Change)
			if g.Change.Ordinal > 0 && opens(g.Change.Event) {
				p.known[fmt.Sprint(g.Member, g.Change.Ordinal)] = true
			}
		}
		told := g.Change
		if told.Suppressed = c.Suppressed; g.Member == name && fmt.Sprint(told) == fmt.Sprint(c) {
			found = true
		}
	}
	if len(own) > 0 || passed && !found {
		p.t.Fatalf("-seed %d: of %s %s it tells %+v; want %q, and the change passed: %v\nspec %+v", p.seed, name, c.Event, got, own, passed, *p.spec)
	}
	if !p.oracle.holding() && p.truth.view() != p.outside.view() {
		p.t.Fatalf("-seed %d: after %s %s, outside they know\n%s and it is\n%s", p.seed, name, c.Event, p.outside.view(), p.truth.view())
	}
}

func (p *plant) advance(at edged.Timestamp) {
	p.oracle.clock = max(p.oracle.clock, at)
	p.check(p.group.Advance(nil, at, 0), p.oracle.relax(), "", alarms.Change{}, false)
}

func (p *plant) restore() {
	data := p.group.AppendBinary(nil)
	fresh := p.spec.New()
	rest, err := fresh.Restore(append(data[:len(data):len(data)], 7))
	if err != nil || len(rest) != 1 || !bytes.Equal(data, fresh.AppendBinary(nil)) || fresh.Waits() != p.group.Waits() {
		p.t.Fatalf("-seed %d: restored with %d left: %v", p.seed, len(rest), err)
	}
	p.group = fresh
}

func randomGroup(r *rand.Rand) *alarms.GroupSpec {
	s := &alarms.GroupSpec{MembersMax: 20}
	if r.IntN(5) > 0 {
		s.FloodMin, s.FloodSpan, s.CalmSpan = 2+r.IntN(3), 1+r.Int64N(20), r.Int64N(12)
		s.CalmBelow = 1 + r.IntN(s.FloodMin)
	}
	if s.FloodMin == 0 || r.IntN(2) == 0 {
		s.Parent = "m0"
	}
	return s
}

// Groups hold back what the oracle says, tell the rest, and in the end nothing is lost.
func TestGroup(t *testing.T) {
	events := map[string]int{}
	for seed := *seedFlag; seed < *seedFlag+uint64(*casesFlag/3); seed++ {
		r := rand.New(rand.NewPCG(seed, 3))
		p := &plant{t: t, seed: seed, spec: randomGroup(r), truth: reader{}, outside: reader{}, ids: map[string]bool{}, known: map[string]bool{}, events: events}
		if err := p.spec.Validate(); err != nil {
			t.Fatal(err)
		}
		p.group = p.spec.New()
		p.oracle = groupOracle{spec: p.spec, clock: edged.MinTimestamp, since: map[string]edged.Timestamp{}, names: map[string]bool{}, grades: map[string]anomaly.Severity{}}
		members := make([]*pair, 2+r.IntN(6))
		for i := range members {
			members[i] = newPair(randomSpec(r))
		}
		g := &scripter{r: r, now: 1000, mood: 4}
		for range 20 + r.IntN(300) {
			at := r.IntN(len(members))
			m := members[at]
			s := g.step(m.alarm.Status(), m.last)
			s.sample.At = min(max(s.sample.At, -1000), 10_000) // the ends of time are for TestOracle
			told := m.told
			if err := m.play(s); err != nil {
				m.fail(t, seed, err)
			}
			for _, c := range m.oracle.out[told:] {
				p.take(fmt.Sprint("m", at), c)
			}
			if r.IntN(20) == 0 {
				p.restore()
			}
			if r.IntN(20) == 0 {
				p.advance(p.oracle.clock.Add(r.Int64N(5)))
			}
		}
		p.end(members)
	}
	if min(events["raised"], events["cleared"], events["parent"]) < *casesFlag/50 {
		t.Errorf("too little happened: %v", events)
	}
	t.Log(events)
}

// end clears all alarms; then all is told or counted.
func (p *plant) end(members []*pair) {
	p.t.Helper()
	for i, m := range members {
		for _, kind := range []alarms.Kind{alarms.KindUnshelve, alarms.KindInService, alarms.KindReset} {
			changes, err := m.alarm.Command(nil, alarms.Command{Kind: kind}, 1000)
			if err != nil {
				p.t.Fatal(err)
			}
			for _, c := range changes {
				p.take(fmt.Sprint("m", i), c)
			}
		}
	}
	p.advance(p.oracle.clock.Add(1000))
	untold := uint64(0)
	for id := range p.ids {
		if !p.known[id] {
			untold++
		}
	}
	if p.out != p.in+untold || len(p.outside) != 0 || p.group.Waits() {
		p.t.Fatalf("-seed %d: suppressed %d, of %d and %d untold; open outside %v", p.seed, p.out, p.in, untold, p.outside)
	}
	if idle := p.spec.New(); p.group.Bytes() != idle.Bytes() {
		p.t.Fatalf("-seed %d: an idle group has %d bytes", p.seed, p.group.Bytes())
	}
}

func raised(at edged.Timestamp) alarms.Change {
	return alarms.Change{Event: alarms.EventRaised, State: alarms.Unacknowledged, Ordinal: 1, Start: at, At: at}
}

// A group with more members than it may remember passes on what is beyond.
func TestGroupIsBounded(t *testing.T) {
	spec := &alarms.GroupSpec{FloodMin: 3, FloodSpan: 10, CalmBelow: 1, CalmSpan: 5, MembersMax: 4}
	if err := spec.Validate(); err != nil {
		t.Fatal(err)
	}
	g := spec.New()
	var told []string
	for i := range 10 {
		for _, c := range g.Observe(nil, fmt.Sprint("m", i), raised(edged.Timestamp(i))) {
			told = append(told, c.Member+" "+c.Change.Event.String())
		}
	}
	want := "m0 raised, m1 raised,  raised, m4 raised, m5 raised, m6 raised, m7 raised, m8 raised, m9 raised"
	if got := strings.Join(told, ", "); got != want {
		t.Errorf("told %s", got)
	}
}

func TestGroupRefuses(t *testing.T) {
	sound := alarms.GroupSpec{FloodMin: 3, FloodSpan: 10, CalmBelow: 1, CalmSpan: 5, MembersMax: 4}
	for name, spoil := range map[string]func(s *alarms.GroupSpec){
		"flood_min is 1":      func(s *alarms.GroupSpec) { s.FloodMin = 1 },
		"flood_span is 0":     func(s *alarms.GroupSpec) { s.FloodSpan = 0 },
		"calm_below is 4":     func(s *alarms.GroupSpec) { s.CalmBelow = 4 },
		"calm_below is 0":     func(s *alarms.GroupSpec) { s.CalmBelow = 0 },
		"calm_span is -1":     func(s *alarms.GroupSpec) { s.CalmSpan = -1 },
		"members_max is 2":    func(s *alarms.GroupSpec) { s.MembersMax = 2 },
		"members_max is 4097": func(s *alarms.GroupSpec) { s.MembersMax = alarms.MembersMaxMax + 1 },
		"neither flood_min":   func(s *alarms.GroupSpec) { s.FloodMin = 0 },
	} {
		s := sound
		spoil(&s)
		if err := s.Validate(); !errors.Is(err, alarms.ErrSpec) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
