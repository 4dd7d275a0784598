package windows_test

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"edged"
	"edged/windows"
	"edged/windows/agg"
)

// layoutOf lays columns out.
func layoutOf(t testing.TB, columns ...agg.Column) *agg.Layout {
	t.Helper()
	l, err := agg.NewLayout(columns)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// find returns an aggregate function.
func find(t testing.TB, name string, kind edged.Kind) agg.Function {
	t.Helper()
	f, err := agg.Find(name, kind, agg.Params{})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// groupSpec returns a group over tumbling windows of 10 ms: how many contributions
// there are, the sum of slot 0, and the latest text of slot 1.
func groupSpec(t testing.TB, change ...func(*windows.GroupSpec)) *windows.GroupSpec {
	t.Helper()
	s := &windows.GroupSpec{Windows: windows.Spec{
		Assigner: windows.Tumbling{Size: 10},
		Layout: layoutOf(t, agg.Column{Function: agg.Count{}, Slot: agg.Events}, agg.Column{Function: agg.Sum{}, Slot: 0},
			agg.Column{Function: find(t, "last", edged.Text), Slot: 1}),
	}}
	for _, c := range change {
		c(s)
	}
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	return s
}

// said is an event that says something about a window of a member.
func said(member string, start, end edged.Timestamp, values ...edged.Value) *edged.Event {
	return &edged.Event{Key: "line", EventTime: end.Add(-1), Values: values, From: &edged.Contribution{Member: member, Start: start, End: end}}
}

// takenBack is an event that takes a contribution back.
func takenBack(member string, start, end edged.Timestamp) *edged.Event {
	ev := said(member, start, end)
	ev.From.Retract = true
	return ev
}

var number = edged.NumberValue

// groupLines describes what came out, one word for each thing.
func groupLines(out *edged.Output) string {
	var words []string
	for _, r := range out.Results {
		var values []string
		for _, v := range r.Values {
			values = append(values, string(v.AppendJSON(nil)))
		}
		word := fmt.Sprintf("[%d,%d)", r.Start, r.End)
		switch r.Kind {
		case edged.LateResult:
			word = fmt.Sprintf("late(%d)", r.Start)
		case edged.RetractResult:
			word += fmt.Sprintf("-%d=%s", r.Index, strings.Join(values, ","))
		default:
			word += fmt.Sprintf("%v%d=%s", r.Timing, r.Index, strings.Join(values, ","))
			if r.Last {
				word += "!"
			}
		}
		words = append(words, word)
	}
	for _, m := range out.Missed {
		words = append(words, fmt.Sprintf("missed[%d,%d)%v", m.Start, m.End, m.Limit))
	}
	if out.Late+out.Overflow+out.Unassigned > 0 {
		words = append(words, fmt.Sprintf("late=%d overflow=%d unassigned=%d", out.Late, out.Overflow, out.Unassigned))
	}
	return strings.Join(words, " ")
}

func groupLate(ms int64) func(*windows.GroupSpec) {
	return func(s *windows.GroupSpec) { s.Windows.AllowedLateness = ms }
}

func groupRetracting(s *windows.GroupSpec) { s.Windows.Accumulation = windows.Retracting }

func groupTrigger(tr windows.Trigger) func(*windows.GroupSpec) {
	return func(s *windows.GroupSpec) { s.Windows.Trigger = tr }
}

func groupMost(n int) func(*windows.GroupSpec) {
	return func(s *windows.GroupSpec) { s.ContributionsMax = n }
}

// The steps of the table are contributions, watermarks and processing times.
type (
	groupStep  = any
	groupSteps = []groupStep
	tick       int64
)

var textA, textB = edged.TextValue("a"), edged.TextValue("b")

var groupTable = []struct {
	name   string
	change []func(*windows.GroupSpec)
	steps  groupSteps
	want   string
}{
	{"one pane when the slowest has come", nil,
		groupSteps{said("m1", 0, 10, number(1), textA), edged.Timestamp(9), said("m2", 0, 10, number(2), textB), edged.Timestamp(10)},
		`[0,10)on_time0=2,3,"b"!`},
	{"a contribution replaces the one before", nil,
		groupSteps{said("m1", 0, 10, number(1), textA), said("m1", 0, 10, number(5), textA), edged.Timestamp(10)},
		`[0,10)on_time0=1,5,"a"!`},
	{"windows of one member are apart", nil,
		groupSteps{said("m", 0, 5, number(1)), said("m", 5, 10, number(2)), edged.Timestamp(10)},
		`[0,10)on_time0=2,3,null!`},
	{"they go where they end", nil,
		groupSteps{said("m", 5, 15, number(1)), edged.Timestamp(10), edged.Timestamp(20)},
		`[10,20)on_time0=1,1,null!`},
	{"what is taken back is gone", nil,
		groupSteps{said("m1", 0, 10, number(1)), said("m2", 0, 10, number(2)), takenBack("m1", 0, 10), takenBack("m9", 0, 10), edged.Timestamp(10)},
		`[0,10)on_time0=1,2,null!`},
	{"if it was all there is nothing to say", nil,
		groupSteps{said("m1", 0, 10, number(1)), takenBack("m1", 0, 10), edged.Timestamp(10)},
		``},
	{"late, within the lateness", []func(*windows.GroupSpec){groupLate(5)},
		groupSteps{said("m1", 0, 10, number(1)), edged.Timestamp(12), said("m2", 0, 10, number(2)), edged.Timestamp(15), said("m3", 0, 10, number(4))},
		`[0,10)on_time0=1,1,null [0,10)late1=2,3,null late(9) missed[0,10)false late=1 overflow=0 unassigned=0`},
	{"a late retraction", []func(*windows.GroupSpec){groupLate(5)},
		groupSteps{said("m1", 0, 10, number(1)), edged.Timestamp(12), takenBack("m1", 0, 10), takenBack("m1", 0, 10), edged.Timestamp(99)},
		`[0,10)on_time0=1,1,null [0,10)late1=0,null,null`},
	{"retracting", []func(*windows.GroupSpec){groupLate(5), groupRetracting},
		groupSteps{said("m1", 0, 10, number(1), textA), edged.Timestamp(12), said("m1", 0, 10, number(2), textB)},
		`[0,10)on_time0=1,1,"a" [0,10)-0=1,1,"a" [0,10)late1=1,2,"b"`},
	{"final only", []func(*windows.GroupSpec){groupLate(5), groupTrigger(windows.Trigger{FinalOnly: true})},
		groupSteps{said("m1", 0, 10, number(1)), edged.Timestamp(12), said("m1", 0, 10, number(2)), edged.Timestamp(14), edged.Timestamp(15)},
		`[0,10)on_time0=1,2,null!`},
	{"early, every two", []func(*windows.GroupSpec){groupTrigger(windows.Trigger{Early: &windows.Section{When: windows.Condition{Events: 2}}})},
		groupSteps{said("m1", 0, 10, number(1)), said("m1", 0, 10, number(3)), said("m2", 0, 10, number(4)), edged.Timestamp(10)},
		`[0,10)early0=1,3,null [0,10)on_time1=2,7,null!`},
	{"early, after a delay", []func(*windows.GroupSpec){groupTrigger(windows.Trigger{Early: &windows.Section{When: windows.Condition{Delay: 100}}})},
		groupSteps{tick(1000), said("m1", 0, 10, number(1)), tick(1099), tick(1100), tick(1300), edged.Timestamp(10)},
		`[0,10)early0=1,1,null [0,10)on_time1=1,1,null!`},
	{"late ones gathered, the rest at the end", []func(*windows.GroupSpec){groupLate(5), groupTrigger(windows.Trigger{Late: &windows.Section{When: windows.Condition{Events: 2}}})},
		groupSteps{said("m1", 0, 10, number(1)), edged.Timestamp(10), said("m2", 0, 10, number(1)), said("m3", 0, 10, number(1)), said("m4", 0, 10, number(1)), edged.Timestamp(15)},
		`[0,10)on_time0=1,1,null [0,10)late1=3,3,null [0,10)late2=4,4,null!`},
	{"early until three have come", []func(*windows.GroupSpec){groupTrigger(windows.Trigger{Early: &windows.Section{When: windows.Condition{Events: 1}, Until: &windows.Condition{Events: 3}}})},
		groupSteps{said("m1", 0, 10, number(1)), said("m2", 0, 10, number(1)), said("m3", 0, 10, number(1)), said("m4", 0, 10, number(1)), edged.Timestamp(10)},
		`[0,10)early0=1,1,null [0,10)early1=2,2,null [0,10)early2=3,3,null [0,10)on_time3=4,4,null!`},
	{"early until a time at which nothing is new", []func(*windows.GroupSpec){groupTrigger(windows.Trigger{Early: &windows.Section{When: windows.Condition{Events: 1}, Until: &windows.Condition{Delay: 50}}})},
		groupSteps{said("m1", 0, 10, number(1)), tick(50), said("m2", 0, 10, number(1)), edged.Timestamp(10)},
		`[0,10)early0=1,1,null [0,10)on_time1=2,2,null!`},
	{"late once", []func(*windows.GroupSpec){groupLate(5), groupTrigger(windows.Trigger{Late: &windows.Section{When: windows.Condition{Events: 1}, Once: true}})},
		groupSteps{said("m1", 0, 10, number(1)), edged.Timestamp(10), said("m2", 0, 10, number(1)), said("m3", 0, 10, number(1)), edged.Timestamp(20)},
		`[0,10)on_time0=1,1,null [0,10)late1=2,2,null [0,10)late2=3,3,null!`},
	{"both ends at once", []func(*windows.GroupSpec){groupLate(5)},
		groupSteps{said("m1", 0, 10, number(1)), edged.Timestamp(15)},
		`[0,10)on_time0=1,1,null!`},
	{"the limit refuses new ones and takes newer ones", []func(*windows.GroupSpec){groupMost(1)},
		groupSteps{said("m1", 0, 10, number(1)), said("m2", 0, 10, number(2)), said("m1", 0, 10, number(3)), edged.Timestamp(10)},
		`late(9) [0,10)on_time0=1,3,null! missed[0,10)true late=0 overflow=1 unassigned=0`},
	{"hopping, half of it too late", []func(*windows.GroupSpec){func(s *windows.GroupSpec) { s.Windows.Assigner = windows.Hopping{Size: 10, Period: 5} }},
		groupSteps{edged.Timestamp(10), said("m", 5, 10, number(1)), edged.Timestamp(99)},
		`[5,15)on_time0=1,1,null! missed[0,10)false`},
	{"between hopping windows", []func(*windows.GroupSpec){func(s *windows.GroupSpec) { s.Windows.Assigner = windows.Hopping{Size: 5, Period: 10} }},
		groupSteps{said("m", 0, 8, number(1))},
		`late=0 overflow=0 unassigned=1`},
	{"an event of nobody", nil, groupSteps{&edged.Event{EventTime: 5}}, `late=0 overflow=0 unassigned=1`},
}

func TestGroupTable(t *testing.T) {
	for _, test := range groupTable {
		g := groupSpec(t, test.change...).New()
		var out edged.Output
		by := windows.Moment{Key: "line"}
		for _, s := range test.steps {
			switch s := s.(type) {
			case *edged.Event:
				g.Add(&out, s, by)
			case edged.Timestamp:
				g.Advance(&out, s, by)
			case tick:
				by.Now = edged.Timestamp(s)
				g.Tick(&out, by)
			}
		}
		if got := groupLines(&out); got != test.want {
			t.Errorf("%s:\n%s\nwant\n%s", test.name, got, test.want)
		}
	}
}

// groupModel is a group that keeps everything it was told and works out each pane
// from the start.
type groupModel struct {
	size, period, lateness int64
	retracting, finalOnly  bool
	early                  int // an early pane after so many; 0: none
	w                      edged.Timestamp
	told                   map[windows.Window]*modelWindow
	lines                  []string
}

type modelWindow struct {
	latest map[[3]string]float64
	fired  int
	fresh  int
	last   string
}

func (m *groupModel) panes(t int64) []windows.Window {
	var all []windows.Window
	for s := int64(-400); s <= t; s++ {
		if s%m.period == 0 && t < s+m.size {
			all = append(all, windows.Window{Start: edged.Timestamp(s), End: edged.Timestamp(s + m.size)})
		}
	}
	return all
}

func (m *groupModel) fire(w windows.Window, timing string) {
	p := m.told[w]
	sum := 0.0
	for _, v := range p.latest {
		sum += v // whole numbers: the order does not show
	}
	values := fmt.Sprintf("%d,%g,null", len(p.latest), sum)
	if len(p.latest) == 0 {
		values = "0,null,null"
	}
	if m.retracting && p.fired > 0 {
		m.lines = append(m.lines, fmt.Sprintf("[%d,%d)-%d=%s", w.Start, w.End, p.fired-1, p.last))
	}
	line := fmt.Sprintf("[%d,%d)%s%d=%s", w.Start, w.End, timing, p.fired, values)
	if m.w >= w.End+edged.Timestamp(m.lateness) {
		line += "!"
	}
	m.lines = append(m.lines, line)
	p.fired, p.fresh, p.last = p.fired+1, 0, values
}

func (m *groupModel) add(ev *edged.Event) {
	taken, any := false, false
	for _, w := range m.panes(int64(ev.EventTime)) {
		any = true
		if m.w >= w.End+edged.Timestamp(m.lateness) {
			continue
		}
		taken = true
		name := [3]string{ev.From.Member, fmt.Sprint(ev.From.Start), fmt.Sprint(ev.From.End)}
		p := m.told[w]
		if p == nil {
			p = &modelWindow{latest: map[[3]string]float64{}}
		}
		if _, known := p.latest[name]; ev.From.Retract && !known {
			continue
		}
		m.told[w] = p
		if ev.From.Retract {
			delete(p.latest, name)
		} else {
			p.latest[name] = ev.Values[0].Float()
		}
		p.fresh++
		switch {
		case len(p.latest) == 0 && p.fired == 0:
			delete(m.told, w)
		case m.finalOnly:
		case m.w >= w.End:
			m.fire(w, "late")
		case m.early > 0 && p.fresh >= m.early:
			m.fire(w, "early")
		}
	}
	if any && !taken {
		m.lines = append(m.lines, fmt.Sprintf("late(%d)", ev.EventTime))
	}
}

func (m *groupModel) advance(to edged.Timestamp) {
	if to <= m.w {
		return
	}
	from := m.w
	m.w = to
	var open []windows.Window
	for w := range m.told {
		open = append(open, w)
	}
	slices.SortFunc(open, func(a, b windows.Window) int { return cmp.Compare(a.Start, b.Start) })
	for _, w := range open {
		gone := to >= w.End+edged.Timestamp(m.lateness)
		if m.finalOnly && gone || !m.finalOnly && from < w.End && w.End <= to {
			m.fire(w, "on_time")
		}
		if gone {
			delete(m.told, w)
		}
	}
}

func TestGroupAgainstModel(t *testing.T) {
	t.Logf("seed %d", *seed)
	r := rand.New(rand.NewPCG(*seed, 51))
	for c := range 400 {
		m := &groupModel{size: 1 + r.Int64N(12), lateness: r.Int64N(3) * 7, retracting: r.IntN(2) == 0, finalOnly: r.IntN(4) == 0,
			w: edged.MinTimestamp, told: map[windows.Window]*modelWindow{}}
		m.period = 1 + r.Int64N(m.size+2)
		if !m.finalOnly {
			m.early = r.IntN(4)
		}
		spec := groupSpec(t, func(s *windows.GroupSpec) {
			s.Windows.Assigner = windows.Hopping{Size: m.size, Period: m.period}
			s.Windows.AllowedLateness, s.Windows.Trigger.FinalOnly = m.lateness, m.finalOnly
			if m.retracting {
				s.Windows.Accumulation = windows.Retracting
			}
			if m.early > 0 {
				s.Windows.Trigger.Early = &windows.Section{When: windows.Condition{Events: int64(m.early)}}
			}
		})
		g := spec.New()
		var out edged.Output
		now := edged.Timestamp(-20)
		members := []string{"", "a", "b", "ba", "c"}
		for range 150 {
			switch r.IntN(5) {
			case 0:
				now += edged.Timestamp(r.Int64N(4))
				m.advance(now)
				g.Advance(&out, now, windows.Moment{})
			case 1:
				g = restoredGroup(t, spec, g)
			default:
				end := now + edged.Timestamp(r.Int64N(20)-8)
				ev := said(members[r.IntN(len(members))], end-edged.Timestamp(1+r.Int64N(3)), end, number(float64(r.IntN(50))))
				ev.From.Retract = r.IntN(4) == 0
				m.add(ev)
				g.Add(&out, ev, windows.Moment{})
			}
		}
		out.Missed, out.Late, out.Unassigned = nil, 0, 0
		if got, want := groupLines(&out), strings.Join(m.lines, " "); got != want {
			t.Fatalf("case %d %+v\n%s\nwant\n%s", c, m, strings.ReplaceAll(got, " ", "\n"), strings.ReplaceAll(want, " ", "\n"))
		}
		contributions := 0
		for _, p := range m.told {
			contributions += len(p.latest)
		}
		if g.Open() != len(m.told) || g.Contributions() != contributions || out.Overflow != 0 {
			t.Fatalf("case %d: %d windows with %d contributions, want %d with %d", c, g.Open(), g.Contributions(), len(m.told), contributions)
		}
	}
}

// restoredGroup returns the state as it is after it was stored and restored.
func restoredGroup(t *testing.T, spec *windows.GroupSpec, g *windows.Group) *windows.Group {
	t.Helper()
	data := g.AppendBinary(nil)
	back := spec.New()
	rest, err := back.Restore(append(slices.Clone(data), 9))
	if err != nil || !bytes.Equal(rest, []byte{9}) {
		t.Fatalf("restore % x: %v, rest % x", data, err, rest)
	}
	if again := back.AppendBinary(nil); !bytes.Equal(again, data) || back.Bytes() != g.Bytes() || back.Contributions() != g.Contributions() {
		t.Fatalf("restored % x, and it is % x; %d bytes, then %d", data, again, g.Bytes(), back.Bytes())
	}
	return back
}

// However the members are interleaved, the pane is the same to the last bit,
// also for sums that rounding makes depend on their order, and for many members.
func TestGroupDoesNotSeeInterleaving(t *testing.T) {
	t.Logf("seed %d", *seed)
	r := rand.New(rand.NewPCG(*seed, 52))
	spec := groupSpec(t)
	for _, members := range []int{2, 5, 700} {
		byMember := make([][]*edged.Event, members)
		for i := range byMember {
			name := fmt.Sprintf("m%d", r.IntN(members*2))
			name += fmt.Sprint("-", i)
			for range 1 + r.IntN(4) {
				end := edged.Timestamp(1 + r.IntN(30))
				ev := said(name, end-1, end, number(r.NormFloat64()*math.Pow(10, float64(r.IntN(30)-15))), edged.TextValue(name))
				ev.From.Retract = r.IntN(5) == 0
				byMember[i] = append(byMember[i], ev)
			}
		}
		var want string
		var state []byte
		for round := range 8 {
			left := slices.Clone(byMember)
			var out edged.Output
			g := spec.New()
			for len(left) > 0 {
				i := r.IntN(len(left))
				if round == 0 {
					i = 0
				}
				g.Add(&out, left[i][0], windows.Moment{})
				if left[i] = left[i][1:]; len(left[i]) == 0 {
					left = slices.Delete(left, i, i+1)
				}
			}
			bytesNow := g.AppendBinary(nil)
			g.Advance(&out, 100, windows.Moment{})
			if got := groupLines(&out); round == 0 {
				want, state = got, bytesNow
			} else if got != want || !bytes.Equal(bytesNow, state) {
				t.Fatalf("%d members, interleaving %d:\n%s\nwant\n%s", members, round, got, want)
			}
		}
	}
}

// mergingSpec returns a group that merges the averages, and the distinct texts, of
// members, and counts the members; and the layout of the members.
func mergingSpec(t testing.TB) *windows.GroupSpec {
	members := layoutOf(t, agg.Column{Function: agg.Sum{}, Slot: 0}, agg.Column{Function: agg.Avg{}, Slot: 0},
		agg.Column{Function: find(t, "distinct", edged.Text), Slot: 1})
	return groupSpec(t, func(s *windows.GroupSpec) {
		s.Upstream, s.Merge = members, []int{1, -1, 2}
		s.Windows.Layout = layoutOf(t, windows.Merged(agg.Avg{}), agg.Column{Function: agg.Count{}, Slot: agg.Events},
			windows.Merged(find(t, "distinct", edged.Text)))
		s.Windows.Partials = true
	})
}

// partialOf returns a contribution with the partial state over some readings.
func partialOf(spec *windows.GroupSpec, member string, start, end edged.Timestamp, readings ...float64) *edged.Event {
	l := spec.Upstream
	state, cells := make([]uint64, l.Words()), make([][]byte, l.Cells())
	l.Init(state, cells)
	for _, f := range readings {
		l.Add(state, cells, []edged.Value{number(f), edged.TextValue(fmt.Sprint(f))}, start)
	}
	ev := said(member, start, end, number(float64(len(readings))))
	ev.From.Partial = l.AppendBinary(nil, state, cells, start)
	return ev
}

// Averages of averages are right, and so over three stages.
func TestGroupMergesPartials(t *testing.T) {
	spec := mergingSpec(t)
	var out edged.Output
	g := spec.New()
	g.Add(&out, partialOf(spec, "a", 0, 10, 1, 2, 3), windows.Moment{})
	g.Add(&out, partialOf(spec, "b", 0, 10, 99), windows.Moment{})
	g = restoredGroup(t, spec, g)
	g.Add(&out, partialOf(spec, "b", 0, 10, 3, 6), windows.Moment{})
	g.Advance(&out, 10, windows.Moment{})
	if got, want := groupLines(&out), "[0,10)on_time0=3,2,4!"; got != want {
		t.Fatalf("%s, want %s", got, want)
	}
	site := groupSpec(t, func(s *windows.GroupSpec) {
		s.Windows.Layout, s.Upstream, s.Merge = layoutOf(t, windows.Merged(agg.Avg{})), spec.Windows.Layout, []int{0}
	})
	line := out.Results[0]
	ev := said("line-1", line.Start, line.End, line.Values...)
	ev.From.Partial = line.Partial
	top := site.New()
	var end edged.Output
	top.Add(&end, ev, windows.Moment{})
	top.Advance(&end, 10, windows.Moment{})
	if got, want := groupLines(&end), "[0,10)on_time0=3!"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// A partial state that is none is refused, and the contribution reported.
func TestGroupRefusesDamagedPartials(t *testing.T) {
	spec := mergingSpec(t)
	for _, damage := range [][]byte{nil, {1}, append(partialOf(spec, "a", 0, 10, 1).From.Partial, 0)} {
		ev := partialOf(spec, "a", 0, 10, 1)
		ev.From.Partial = damage
		var out edged.Output
		g := spec.New()
		g.Add(&out, ev, windows.Moment{})
		if got, want := groupLines(&out), "late(9) missed[0,10)true late=0 overflow=1 unassigned=0"; got != want || g.Open() != 0 {
			t.Errorf("% x: %s with %d windows, want %s", damage, got, g.Open(), want)
		}
	}
}

func TestGroupValidate(t *testing.T) {
	for name, change := range map[string]func(*windows.GroupSpec){
		"sessions":          func(s *windows.GroupSpec) { s.Windows.Assigner, s.Windows.Session = nil, &windows.Session{Gap: 5} },
		"discarding":        func(s *windows.GroupSpec) { s.Windows.Accumulation = windows.Discarding },
		"empty":             func(s *windows.GroupSpec) { s.Windows.Empty = true },
		"limit":             func(s *windows.GroupSpec) { s.ContributionsMax = windows.ContributionsLimit + 1 },
		"no upstream":       func(s *windows.GroupSpec) { s.Merge = []int{0, -1, -1} },
		"number of columns": func(s *windows.GroupSpec) { s.Upstream, s.Merge = s.Windows.Layout, []int{0} },
		"other function":    func(s *windows.GroupSpec) { s.Upstream, s.Merge = s.Windows.Layout, []int{1, -1, -1} },
		"no such column":    func(s *windows.GroupSpec) { s.Upstream, s.Merge = s.Windows.Layout, []int{7, -2, -1} },
		"no layout":         func(s *windows.GroupSpec) { s.Windows.Layout = nil },
	} {
		s := groupSpec(t)
		change(s)
		if err := s.Validate(); !errors.Is(err, windows.ErrSpec) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Bytes that no group has written are refused, and change nothing.
func TestGroupRefusesForeignBytes(t *testing.T) {
	spec := groupSpec(t)
	g := spec.New()
	var out edged.Output
	g.Add(&out, said("aa", 0, 10, number(1)), windows.Moment{})
	g.Add(&out, said("bb", 0, 10, number(1)), windows.Moment{})
	good := g.AppendBinary(nil)
	for name, data := range map[string][]byte{
		"out of order":    bytes.Replace(good, []byte("aa"), []byte("cc"), 1),
		"the same twice":  bytes.Replace(good, []byte("aa"), []byte("bb"), 1),
		"cut short":       good[:len(good)-1],
		"nothing":         nil,
		"an empty window": {0, 1, 0, 20, 0, 0},
		"no number":       bytes.Replace(good, []byte{0xf0, 0x3f}, []byte{0xf0, 0x7f}, 1),
	} {
		if _, err := g.Restore(data); !errors.Is(err, windows.ErrState) || !bytes.Equal(g.AppendBinary(nil), good) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzGroup(f *testing.F) {
	specs := []*windows.GroupSpec{
		mergingSpec(f),
		groupSpec(f, func(s *windows.GroupSpec) {
			s.ContributionsMax, s.Windows.OpenMax, s.Windows.AllowedLateness = 20, 3, 9
			s.Windows.Assigner, s.Windows.Accumulation = windows.Hopping{Size: 10, Period: 4}, windows.Retracting
			s.Windows.Trigger = windows.Trigger{
				Early: &windows.Section{When: windows.Condition{Sequence: []windows.Condition{{Events: 2}, {Delay: 5}}}, Until: &windows.Condition{Events: 9}},
				Late:  &windows.Section{When: windows.Condition{Any: []windows.Condition{{Events: 3}, {Every: 10}}}, Once: true},
			}
		}),
	}
	for i, s := range specs {
		g := s.New()
		var out edged.Output
		f.Add(byte(i), g.AppendBinary(nil), []byte("a quick brown fox"))
		for j := range edged.Timestamp(4) {
			g.Add(&out, partialOf(specs[0], fmt.Sprint("m", j%3), j*3, j*5+2, float64(j)), windows.Moment{Now: j})
			g.Advance(&out, j*5, windows.Moment{})
			f.Add(byte(i), g.AppendBinary(nil), []byte{0, 9, 80, 3, 200, 255, byte(j)})
		}
	}
	f.Fuzz(func(t *testing.T, which byte, data, steps []byte) {
		spec := specs[int(which)%len(specs)]
		g := spec.New()
		before := g.AppendBinary(nil)
		if _, err := g.Restore(data); err != nil && (!errors.Is(err, windows.ErrState) || !bytes.Equal(g.AppendBinary(nil), before)) {
			t.Fatalf("error %v, state % x", err, g.AppendBinary(nil))
		}
		twin := restoredGroup(t, spec, g)
		var out, twins edged.Output
		now := edged.Timestamp(0)
		for i, b := range steps {
			by := windows.Moment{Trigger: edged.Seq(i), Now: now}
			for _, each := range []struct {
				g   *windows.Group
				out *edged.Output
			}{{g, &out}, {twin, &twins}} {
				switch end := now + edged.Timestamp(b%32); {
				case b < 60:
					each.g.Advance(each.out, now+edged.Timestamp(b%8)-4, by)
				case b < 90:
					each.g.Tick(each.out, by)
				case b < 120:
					each.g.Add(each.out, takenBack(fmt.Sprint("m", b%3), end-5, end), by)
				case b < 130:
					each.g.Add(each.out, partialOf(specs[0], "end", edged.MaxTimestamp-3, edged.MaxTimestamp, 1), by)
				default:
					each.g.Add(each.out, partialOf(specs[0], fmt.Sprint("m", b%3), end-5, end, float64(b)), by)
				}
			}
			now += edged.Timestamp(b % 5)
		}
		if a, b := groupLines(&out), groupLines(&twins); a != b || !bytes.Equal(g.AppendBinary(nil), twin.AppendBinary(nil)) {
			t.Fatalf("the restored state goes another way:\n%s\n%s", a, b)
		}
		restoredGroup(t, spec, g)
	})
}

func BenchmarkGroupContribution(b *testing.B) {
	for _, members := range []int{10, 1000, 50_000} {
		b.Run(fmt.Sprint(members, " members"), func(b *testing.B) {
			b.ReportAllocs()
			g := groupSpec(b).New()
			evs := memberEvents(members)
			var out edged.Output
			i := 0
			for b.Loop() {
				g.Add(&out, evs[i%len(evs)], windows.Moment{})
				i++
			}
		})
	}
}

func BenchmarkGroupPane(b *testing.B) {
	b.Run("1000 members, values", func(b *testing.B) { benchmarkPane(b, groupSpec(b), memberEvents(1000)) })
	b.Run("1000 members, partials", func(b *testing.B) {
		spec := mergingSpec(b)
		var evs []*edged.Event
		for i := range 1000 {
			evs = append(evs, partialOf(spec, fmt.Sprint("device-", i), 0, 10, float64(i), 1))
		}
		benchmarkPane(b, spec, evs)
	})
}

// memberEvents returns a contribution of each of many members, in no order.
func memberEvents(members int) []*edged.Event {
	var evs []*edged.Event
	for i := range members {
		evs = append(evs, said(fmt.Sprint("device-", i), 0, 10, number(float64(i)), edged.TextValue("ok")))
	}
	r := rand.New(rand.NewPCG(1, 1))
	r.Shuffle(len(evs), func(i, j int) { evs[i], evs[j] = evs[j], evs[i] })
	return evs
}

// benchmarkPane measures late panes: each contribution makes the window fire again.
func benchmarkPane(b *testing.B, spec *windows.GroupSpec, evs []*edged.Event) {
	b.ReportAllocs()
	spec.Windows.AllowedLateness = 1000
	if err := spec.Validate(); err != nil {
		b.Fatal(err)
	}
	g := spec.New()
	var out edged.Output
	for _, ev := range evs {
		g.Add(&out, ev, windows.Moment{})
	}
	g.Advance(&out, 10, windows.Moment{})
	i := 0
	for b.Loop() {
		out.Reset()
		g.Add(&out, evs[i%len(evs)], windows.Moment{})
		i++
	}
}
