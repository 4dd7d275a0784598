package windows_test

import (
	"errors"
	"slices"
	"testing"

	"edged"
	"edged/windows"
)

func TestSessions(t *testing.T) {
	gap := &windows.Session{Gap: 5}
	each := windows.Trigger{Early: section(events(1))}
	plays{
		{"touching sessions are one", windows.Spec{Session: gap},
			"e0 e5 e11 w30", []string{
				"on_time 0 [0,10) 2 3 [1,2] last end W30",
				"on_time 0 [11,16) 1 3 [3] last end W30"}},
		{"a late event bridges two", windows.Spec{Session: gap, AllowedLateness: 20},
			"e0 e8 w14 e4 w20", []string{
				"on_time 0 [0,5) 1 1 [1] end W14",
				"on_time 0 [8,13) 1 2 [2] end W14",
				"retract 0 [0,5)",
				"retract 0 [8,13)",
				"late 0 [0,13) 3 7 [1,4,2] watermark W14"}},
		{"by value if asked for", windows.Spec{Session: gap, AllowedLateness: 20, Accumulation: windows.Retracting},
			"e0 e8 w14 r e4 r e5", []string{
				"on_time 0 [0,5) 1 1 [1] end W14",
				"on_time 0 [8,13) 1 2 [2] end W14",
				"retract 0 [0,5) 1 1 [1]",
				"retract 0 [8,13) 1 2 [2]",
				"late 0 [0,13) 3 8 [1,5,2] watermark W14",
				"retract 0 [0,13) 3 8 [1,5,2]",
				"late 1 [0,13) 4 15 [1,5,7,2] watermark W14"}},
		{"not at all when discarding", windows.Spec{Session: gap, AllowedLateness: 20, Accumulation: windows.Discarding},
			"e0 e8 w14 e4", []string{
				"on_time 0 [0,5) 1 1 [1] end W14",
				"on_time 0 [8,13) 1 2 [2] end W14",
				"late 0 [0,13) 1 4 [4] watermark W14"}},
		{"a longer session waits for its new end", windows.Spec{Session: gap, AllowedLateness: 20},
			"e0 w6 e4 r w8 r w9", []string{
				"on_time 0 [0,5) 1 1 [1] end W6",
				"retract 0 [0,5)",
				"on_time 0 [0,9) 2 4 [1,3] end W9"}},
		{"only the last pane of a window is taken back", windows.Spec{Session: gap, Trigger: each},
			"e0 e0 e3", []string{
				"early 0 [0,5) 1 1 [1] watermark W-9223372036854775808",
				"early 1 [0,5) 2 3 [1,2] watermark W-9223372036854775808",
				"retract 1 [0,5)",
				"early 0 [0,8) 3 6 [1,2,3] watermark W-9223372036854775808"}},
		{"an event may be late for a session of its own", windows.Spec{Session: gap},
			"e9 w10 e3", []string{
				"missed [3,8)", "late 3..8"}},
		{"the end of time", windows.Spec{Session: gap},
			"e9223372036854775807 e9223372036854775804 w9223372036854775807",
			[]string{"on_time 0 [9223372036854775804,9223372036854775807) 2 3 [2,1] last end W9223372036854775807"}},
	}.run(t)
}

// What must be taken back is bounded, also when sessions fire and merge while the
// one that they become part of has no reason to fire.
func TestRetractionsAreBounded(t *testing.T) {
	spec := valid(t, windows.Spec{Session: &windows.Session{Gap: 5}, OpenMax: 3, Layout: plain(t),
		Trigger: windows.Trigger{Early: &windows.Section{When: events(2), Once: true}}})
	s, out := operator(spec), edged.Output{}
	add := func(at edged.Timestamp) {
		s.Add(&out, &edged.Event{EventTime: at, Values: []edged.Value{edged.NumberValue(1)}}, windows.Moment{})
	}
	add(0) // it never fires early: nothing makes two events at once
	most := 0
	for i := range edged.Timestamp(1500) {
		at := 7 * i
		add(at + 7)
		add(at + 7)
		add(at + 3)
		most = max(most, s.Bytes())
		if i%50 == 0 {
			s = again(t, spec, s)
		}
	}
	if s.Open() != 1 || most > 100_000 {
		t.Errorf("%d sessions in %d bytes", s.Open(), most)
	}
	s.Advance(&out, edged.MaxTimestamp, windows.Moment{})
	retracted := slices.DeleteFunc(out.Results, func(r edged.Result) bool { return r.Kind != edged.RetractResult })
	if out.Overflow == 0 || len(retracted) < windows.OpenMaxDefault || len(retracted) > windows.OpenMaxDefault+1 {
		t.Errorf("overflow %d, retracted %d", out.Overflow, len(retracted))
	}
}

// A stored retraction that belongs to no session is refused, and one whose session
// goes without a word goes with it.
func TestStoredRetractionsBelongToSessions(t *testing.T) {
	spec := valid(t, windows.Spec{Session: &windows.Session{Gap: 5}, AllowedLateness: 20, Layout: plain(t)})
	p := &player{t: t, spec: spec, o: operator(spec)}
	for _, step := range []string{"e0", "w6", "e4"} { // [0,5) has fired and is part of [0,9)
		p.step(step)
	}
	stored := p.o.AppendBinary(nil)
	foreign := slices.Clone(stored)
	foreign[len(foreign)-2] += 9 // the length of the one that is taken back
	if _, err := operator(spec).Restore(foreign); !errors.Is(err, windows.ErrState) {
		t.Errorf("error is %v", err)
	}
	stored[0] = 2 * 10 // the watermark: behind the end of a session that has not fired
	s := operator(spec)
	if _, err := s.Restore(stored); err != nil {
		t.Fatal(err)
	}
	var out edged.Output
	s.Advance(&out, 40, windows.Moment{})
	if s.Open() != 0 || len(out.Results) != 0 || s.Bytes() != 0 {
		t.Errorf("%d open, %d bytes, said %v", s.Open(), s.Bytes(), out.Results)
	}
	again(t, spec, s)
}

// Whatever is restored, sessions are apart from each other.
func TestStoredSessionsAreApart(t *testing.T) {
	spec := valid(t, windows.Spec{Session: &windows.Session{Gap: 5}, Layout: plain(t)})
	p := &player{t: t, spec: spec, o: operator(spec)}
	for _, step := range []string{"w-50", "e0", "e8", "e20"} {
		p.step(step)
	}
	stored, restored := p.o.AppendBinary(nil), 0
	for i := range stored {
		for b := range 256 {
			data := slices.Clone(stored)
			data[i] = byte(b)
			s := operator(spec)
			if _, err := s.Restore(data); err != nil {
				continue
			}
			restored++
			var out edged.Output
			s.Advance(&out, edged.MaxTimestamp, windows.Moment{})
			for j := 1; j < len(out.Results); j++ {
				if before, r := out.Results[j-1], out.Results[j]; r.Start <= before.End {
					t.Fatalf("byte %d = %d: [%d,%d) and [%d,%d)", i, b, before.Start, before.End, r.Start, r.End)
				}
			}
		}
	}
	if restored < 1000 {
		t.Errorf("only %d were restored", restored)
	}
}

func BenchmarkSessionUpdate(b *testing.B) {
	spec := valid(b, windows.Spec{Session: &windows.Session{Gap: 10}, Layout: plain(b)})
	s, out := spec.New(), edged.Output{}
	ev := edged.Event{Key: "k", Values: []edged.Value{edged.NumberValue(21.37)}}
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		if n++; n%100 == 0 {
			ev.EventTime += 100 // a silence every hundred events
			out.Reset()
		}
		ev.EventTime++
		s.Add(&out, &ev, windows.Moment{Key: "k"})
		s.Advance(&out, ev.EventTime-5, windows.Moment{Key: "k"})
	}
}
