package windows_test

import (
	"testing"

	"edged"
	"edged/windows"
	"edged/windows/agg"
)

func TestEmptyWindows(t *testing.T) {
	ten := windows.Tumbling{Size: 10}
	plays{
		{"between two that are not", windows.Spec{Assigner: ten, Empty: true},
			"e5 w6 e35 w40", []string{
				"on_time 0 [0,10) 1 1 [1] last end W40",
				"on_time 0 [10,20) 0 null null last end W40",
				"on_time 0 [20,30) 0 null null last end W40",
				"on_time 0 [30,40) 1 3 [3] last end W40"}},
		{"none before the first event, none after the end", windows.Spec{Assigner: ten, Empty: true},
			"w25 w35 w9223372036854775807", nil},
		{"from the first event on", windows.Spec{Assigner: ten, Empty: true},
			"e5 w21", []string{
				"on_time 0 [0,10) 1 1 [1] last end W21",
				"on_time 0 [10,20) 0 null null last end W21"}},
		{"a late event fires it again", windows.Spec{Assigner: ten, Empty: true, AllowedLateness: 10},
			"e5 w12 w22 r e13", []string{
				"on_time 0 [0,10) 1 1 [1] end W12",
				"on_time 0 [10,20) 0 null null end W22",
				"late 1 [10,20) 1 5 [5] watermark W22"}},
		{"no more than the limit", windows.Spec{Assigner: ten, Empty: true, OpenMax: 2},
			"e-5 w0 w45", []string{
				"on_time 0 [-10,0) 1 1 [1] last end W0",
				"skipped", "skipped",
				"on_time 0 [0,10) 0 null null last end W45",
				"on_time 0 [10,20) 0 null null last end W45"}},
		{"overlapping", windows.Spec{Assigner: windows.Hopping{Size: 10, Period: 5}, Empty: true},
			"w0 e7 w15", []string{
				"on_time 0 [0,10) 1 2 [2] last end W15",
				"on_time 0 [5,15) 1 2 [2] last end W15"}},
		{"final panes, too", windows.Spec{Assigner: ten, Empty: true, AllowedLateness: 3, Trigger: windows.Trigger{FinalOnly: true}},
			"e-5 w1 w11 r w13", []string{
				"on_time 0 [-10,0) 1 1 [1] last end W11",
				"on_time 0 [0,10) 0 null null last end W13"}},
	}.run(t)
}

// A clock that jumps by all of time costs a bounded effort.
func TestEmptyWindowsOfALongJump(t *testing.T) {
	spec := valid(t, windows.Spec{Assigner: windows.Tumbling{Size: 1}, Empty: true, Layout: plain(t)})
	s, out := spec.New(), edged.Output{}
	s.Add(&out, &edged.Event{EventTime: -1 << 62, Values: []edged.Value{edged.NumberValue(1)}}, windows.Moment{})
	s.Advance(&out, 1<<62, windows.Moment{})
	if len(out.Results) != windows.OpenMaxDefault+1 || out.Overflow != 1<<14 || s.Open() != 0 {
		t.Errorf("%d panes, overflow %d, %d open", len(out.Results), out.Overflow, s.Open())
	}
}

func TestEmptyNeedsAnAssignerThatKnowsItsWindows(t *testing.T) {
	bad := windows.Spec{Assigner: pairs{}, Empty: true, Layout: plain(t)}
	if err := bad.Validate(); err == nil {
		t.Error("an assigner without Next may have empty windows")
	}
}

// Partials are the state of the pane, which restores to what the pane says.
func TestPartials(t *testing.T) {
	layout := listing(t)
	spec := valid(t, windows.Spec{Assigner: windows.Tumbling{Size: 10}, Partials: true, Layout: layout})
	s, out := spec.New(), edged.Output{}
	for i := range 3 {
		s.Add(&out, &edged.Event{EventTime: 12, Values: []edged.Value{edged.NumberValue(float64(i))}}, windows.Moment{})
	}
	s.Advance(&out, 20, windows.Moment{})
	r := out.Results[0]
	state, cells := make([]uint64, layout.Words()), make([][]byte, layout.Cells())
	layout.Init(state, cells)
	if rest, err := layout.Restore(state, cells, r.Partial, r.Start); err != nil || len(rest) > 0 {
		t.Fatal(rest, err)
	}
	values := make([]edged.Value, layout.Columns())
	layout.Results(values, state, cells, agg.Span{Start: r.Start, End: r.End})
	for i := range values {
		if values[i] != r.Values[i] {
			t.Errorf("column %d is %v, want %v", i, values[i], r.Values[i])
		}
	}
}
