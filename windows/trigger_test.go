package windows_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"edged"
	"edged/windows"
	"edged/windows/agg"
)

// tell plays a script and returns all that was said, one line each.
func tell(t testing.TB, spec *windows.Spec, script string) []string {
	t.Helper()
	p := &player{t: t, spec: spec, o: operator(spec)}
	var all []string
	for _, step := range strings.Fields(script) {
		all = append(all, p.step(step)...)
	}
	return all
}

// plays is a table of scripts. Values are count, sum of the numbers of the steps,
// and the list of these.
type plays []struct {
	name   string
	spec   windows.Spec
	script string
	want   []string
}

func (table plays) run(t *testing.T) {
	t.Helper()
	for _, test := range table {
		t.Run(test.name, func(t *testing.T) {
			spec := valid(t, test.spec)
			if got := tell(t, spec, test.script); !slices.Equal(got, test.want) {
				t.Errorf("%s\n%s\n got\n\t%s\nwant\n\t%s", show(spec), test.script, strings.Join(got, "\n\t"), strings.Join(test.want, "\n\t"))
			}
			agree(t, spec, strings.Fields(test.script))
		})
	}
}

func TestTriggers(t *testing.T) {
	ten := windows.Tumbling{Size: 10}
	two := events(2)
	plays{
		{"early by number", windows.Spec{Assigner: ten, Trigger: windows.Trigger{Early: section(events(2))}},
			"e1 e2 e3 w10", []string{
				"early 0 [0,10) 2 3 [1,2] watermark W-9223372036854775808",
				"on_time 1 [0,10) 3 6 [1,2,3] last end W10"}},
		{"early by delay waits for the tick", windows.Spec{Assigner: ten, Trigger: windows.Trigger{Early: section(delay(5))}},
			"p3 e1 p7 p8 p20 w10", []string{
				"early 0 [0,10) 1 2 [2] tick W-9223372036854775808",
				"on_time 1 [0,10) 1 2 [2] last end W10"}},
		{"every is on the clock, not after the event", windows.Spec{Assigner: ten, Trigger: windows.Trigger{Early: section(each(5))}},
			"p4 e1 p5 p10 e2 p14 p15", []string{
				"early 0 [0,10) 1 2 [2] tick W-9223372036854775808",
				"early 1 [0,10) 2 7 [2,5] tick W-9223372036854775808"}},
		{"a multiple itself counts to the next", windows.Spec{Assigner: ten, Trigger: windows.Trigger{Early: section(each(5))}},
			"p5 e1 p9 p10", []string{"early 0 [0,10) 1 2 [2] tick W-9223372036854775808"}},
		{"once", windows.Spec{Assigner: ten, Trigger: windows.Trigger{Early: &windows.Section{When: events(1), Once: true}}},
			"e1 e2 w10", []string{
				"early 0 [0,10) 1 1 [1] watermark W-9223372036854775808",
				"on_time 1 [0,10) 2 3 [1,2] last end W10"}},
		{"until", windows.Spec{Assigner: ten, Trigger: windows.Trigger{Early: &windows.Section{When: events(5), Until: &two}}},
			"e1 e2 e3 e4 e5 e6 e7 w10", []string{
				"early 0 [0,10) 2 3 [1,2] watermark W-9223372036854775808",
				"on_time 1 [0,10) 7 28 [1,2,3,4,5,6,7] last end W10"}},
		{"what has not fired fires at the end of lateness", windows.Spec{Assigner: ten, AllowedLateness: 5, Trigger: windows.Trigger{Late: section(events(3))}},
			"e1 w10 e2 e3 w15", []string{
				"on_time 0 [0,10) 1 1 [1] end W10",
				"late 1 [0,10) 3 8 [1,3,4] last end W15"}},
		{"end and expiry at once", windows.Spec{Assigner: ten, AllowedLateness: 5},
			"e1 w15", []string{"on_time 0 [0,10) 1 1 [1] last end W15"}},
		{"final only", windows.Spec{Assigner: ten, AllowedLateness: 5, Trigger: windows.Trigger{FinalOnly: true}},
			"e1 w10 e2 w15", []string{"on_time 0 [0,10) 2 4 [1,3] last end W15"}},
		{"the sequence goes on where it was after a restore", windows.Spec{Assigner: ten,
			Trigger: windows.Trigger{Early: section(windows.Condition{Sequence: []windows.Condition{events(1), events(3)}})}},
			"e1 r e2 e3 r e4 e5 r", []string{
				"early 0 [0,10) 1 1 [1] watermark W-9223372036854775808",
				"early 1 [0,10) 4 14 [1,3,4,6] watermark W-9223372036854775808",
				"early 2 [0,10) 5 21 [1,3,4,6,7] watermark W-9223372036854775808"}},
		{"discarding with nothing new keeps silent", windows.Spec{Assigner: ten, Accumulation: windows.Discarding, Trigger: windows.Trigger{Early: section(events(1))}},
			"e1 w10", []string{"early 0 [0,10) 1 1 [1] watermark W-9223372036854775808"}},
		{"and says so if empty panes are wanted", windows.Spec{Assigner: ten, Accumulation: windows.Discarding, Empty: true, Trigger: windows.Trigger{Early: section(events(1))}},
			"e1 w10", []string{
				"early 0 [0,10) 1 1 [1] watermark W-9223372036854775808",
				"on_time 1 [0,10) 0 null null last end W10"}},
	}.run(t)
}

// The example of the article "The world beyond batch: Streaming 102" (Akidau,
// 2016), section "How: accumulation": one window gets 3, then 8 and 1, and a pane
// fires after each. Steps have their own numbers here, so the scores are minutes.
func TestAccumulationOfStreaming102(t *testing.T) {
	for _, test := range []struct {
		mode windows.Accumulation
		want []float64 // the values of the panes, retractions negated
	}{
		{windows.Discarding, []float64{3, 9}},
		{windows.Accumulating, []float64{3, 12}},
		{windows.Retracting, []float64{3, -3, 12}},
	} {
		layout, err := agg.NewLayout([]agg.Column{{Function: agg.Sum{}, Slot: 0}})
		if err != nil {
			t.Fatal(err)
		}
		spec := valid(t, windows.Spec{Assigner: windows.Tumbling{Size: 120_000}, Accumulation: test.mode, Layout: layout,
			Trigger: windows.Trigger{Early: section(each(60_000))}})
		s := spec.New()
		var out edged.Output
		for _, score := range []struct {
			value   float64
			at, now edged.Timestamp
		}{{3, 399_000, 440_000}, {8, 446_000, 520_000}, {1, 466_000, 530_000}} {
			by := windows.Moment{Key: "k", Now: score.now}
			s.Tick(&out, by)
			s.Add(&out, &edged.Event{EventTime: score.at, Values: []edged.Value{edged.NumberValue(score.value)}}, by)
		}
		s.Tick(&out, windows.Moment{Now: 540_000})
		var got []float64
		for _, r := range out.Results {
			sign := 1.0
			if r.Kind == edged.RetractResult {
				sign = -1
			}
			got = append(got, sign*r.Values[0].Float())
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: panes are %v, want %v", test.mode, got, test.want)
		}
	}
}

// An early pane speaks of the time up to the watermark, and the retraction of it
// says what it said.
func TestEarlyPanesDoNotSpeakOfTheFuture(t *testing.T) {
	f, err := agg.Find("time_weighted_avg", edged.Number, agg.Params{})
	if err != nil {
		t.Fatal(err)
	}
	layout, err := agg.NewLayout([]agg.Column{{Function: f, Slot: 0}})
	if err != nil {
		t.Fatal(err)
	}
	spec := valid(t, windows.Spec{Assigner: windows.Tumbling{Size: 100}, Accumulation: windows.Retracting, Layout: layout,
		Trigger: windows.Trigger{Early: section(delay(1))}})
	// Value 1 from 0 on, value 3 from 20 on; the pane at 40 sees (20*1+20*3)/40.
	s, out := operator(spec), edged.Output{}
	add := func(at edged.Timestamp, v float64) {
		s.Add(&out, &edged.Event{EventTime: at, Values: []edged.Value{edged.NumberValue(v)}}, windows.Moment{})
	}
	add(0, 1)
	add(20, 3)
	s.Advance(&out, 40, windows.Moment{})
	s.Tick(&out, windows.Moment{Now: 1})
	s = again(t, spec, s)
	s.Advance(&out, 100, windows.Moment{})
	want := []float64{2, 2, 2.6}
	for i, r := range out.Results {
		if i >= len(want) || r.Values[0].Float() != want[i] {
			t.Errorf("result %d of %d is %v, want %v", i, len(out.Results), r.Values[0].Float(), want)
		}
	}
}

func again(t testing.TB, spec *windows.Spec, s windows.State) windows.State {
	t.Helper()
	o := operator(spec)
	if _, err := o.Restore(s.AppendBinary(nil)); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestTriggerFaults(t *testing.T) {
	nested := events(1)
	for range windows.DepthMax {
		nested = windows.Condition{Any: []windows.Condition{nested}}
	}
	turns := windows.Condition{Sequence: []windows.Condition{events(1), events(2)}}
	for _, test := range []struct {
		trigger windows.Trigger
		want    string
	}{
		{windows.Trigger{Early: section(windows.Condition{})}, "early: it says 0 things"},
		{windows.Trigger{Late: section(windows.Condition{Events: 1, Delay: 2})}, "late: it says 2 things"},
		{windows.Trigger{Early: section(events(-1))}, "-1 is out of range"},
		{windows.Trigger{Early: section(windows.Condition{Any: []windows.Condition{events(1), {}}})}, "early any[1]: it says 0"},
		{windows.Trigger{Early: section(nested)}, "more than 8 levels"},
		{windows.Trigger{Early: section(windows.Condition{All: slices.Repeat([]windows.Condition{events(1)}, 33)})}, "more than 32 conditions"},
		{windows.Trigger{Early: &windows.Section{When: events(1), Until: &turns}}, "early until: it has a sequence"},
		{windows.Trigger{FinalOnly: true, Early: section(events(1))}, "final pane only"},
	} {
		err := test.trigger.Validate()
		if !errors.Is(err, windows.ErrSpec) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("error is %v, want %q", err, test.want)
		}
	}
	most := windows.Condition{All: slices.Repeat([]windows.Condition{events(1)}, 32)}
	if err := (&windows.Trigger{Early: section(most)}).Validate(); err != nil {
		t.Error(err)
	}
}

func TestPulseAndSpan(t *testing.T) {
	until := delay(90)
	for _, test := range []struct {
		trigger     windows.Trigger
		pulse, span int64
	}{
		{windows.Trigger{}, 0, 0},
		{windows.Trigger{Early: section(events(3))}, 0, 0},
		{windows.Trigger{Early: section(windows.Condition{Any: []windows.Condition{events(3), each(7)}}), Late: section(delay(5))}, 5, 7},
		{windows.Trigger{Early: &windows.Section{When: delay(20), Until: &until}}, 20, 90},
	} {
		if p, s := test.trigger.Pulse(), test.trigger.Span(); p != test.pulse || s != test.span {
			t.Errorf("pulse %d, span %d; want %d, %d", p, s, test.pulse, test.span)
		}
	}
}

// As many sequences as there may be, in both sections, keep apart from each other:
// what one does is what it does alone.
func TestSequencesShareAWord(t *testing.T) {
	deep := func() windows.Condition {
		var any []windows.Condition
		for range 16 {
			any = append(any, windows.Condition{Sequence: []windows.Condition{events(3), events(1)}})
		}
		return windows.Condition{Any: any}
	}
	spec := valid(t, windows.Spec{Assigner: windows.Tumbling{Size: 10}, AllowedLateness: 100, Trigger: windows.Trigger{Early: section(deep()), Late: section(deep())}})
	agree(t, spec, strings.Fields("e1 e1 e1 e1 r e1 e1 e1 e1 w10 e1 e1 e1 r e1 e1 e1 e1 e1 w200"))
}
