package alarms_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"edged"
	"edged/alarms"
	"edged/anomaly"
)

// play gives an alarm values of times that follow each other, and returns what was told
// as "time event" words. A value is written as . for normal, m, M or C for its severity,
// ? for not finite, - for no value at this time.
func playValues(a *alarms.Alarm, from edged.Timestamp, values string) string {
	var told []string
	for i, v := range values {
		s := alarms.Sample{At: from.Add(int64(i)), Now: 0, Value: float64(i), Verdict: normal()}
		switch v {
		case 'm', 'M', 'C':
			s.Verdict = abnormal(anomaly.Severity(1 + strings.IndexRune("mMC", v)))
		case '?':
			s.Verdict = anomaly.Verdict{Warm: true, Reason: anomaly.Reason{Cause: anomaly.CauseNotFinite}}
		case '-':
			continue
		}
		for _, c := range a.Observe(nil, s) {
			told = append(told, fmt.Sprintf("%d %s", c.At, c.Event))
			if c.Suppressed > 0 {
				told[len(told)-1] += fmt.Sprintf(" +%d", c.Suppressed)
			}
		}
	}
	return strings.Join(told, ", ")
}

func TestBehaviour(t *testing.T) {
	for _, c := range []struct {
		name   string
		spec   alarms.Spec
		values string
		want   string
	}{
		{"plain", alarms.Spec{}, ".mm..m.", "1 raised, 3 cleared, 5 raised, 6 cleared"},
		{"on-delay", alarms.Spec{OnDelay: 2}, ".mm.mmm.", "6 raised, 7 cleared"},
		{"on-delay over a hole", alarms.Spec{OnDelay: 3}, ".m---m.", "5 raised, 6 cleared"},
		{"off-delay", alarms.Spec{OffDelay: 2}, "m..m...", "0 raised, 6 cleared"},
		{"2 of 3", alarms.Spec{Least: 2, Of: 3}, ".m..m.m....", "6 raised, 7 cleared"},
		{"2 of 3 is not told by a normal value", alarms.Spec{Least: 2, Of: 3, OnDelay: 1}, "mm.m.m", "3 raised, 4 cleared"},
		{"shortest duration", alarms.Spec{DurationMin: 4}, "m......", "0 raised, 4 cleared"},
		{"cool-down", alarms.Spec{CoolDown: 4}, "m.m.m.m.m.", "0 raised, 1 cleared, 6 raised +2, 7 cleared"},
		{"cool-down of what lasts", alarms.Spec{CoolDown: 4}, "m.mmmmm.", "0 raised, 1 cleared, 5 raised, 7 cleared"},
		{"cool-down and a higher severity", alarms.Spec{CoolDown: 9}, "m.mM.M.", "0 raised, 1 cleared, 3 raised, 4 cleared"},
		{"severity", alarms.Spec{SeverityMin: anomaly.SeverityMajor}, "mMm.", "1 raised, 2 cleared"},
		{"updates", alarms.Spec{UpdateInterval: 3}, "mmmmmmMmmm.", "0 raised, 3 updated, 6 updated, 9 updated, 10 cleared"},
		{"a rise only", alarms.Spec{}, "mmMmMCm.", "0 raised, 2 updated, 5 updated, 7 cleared"},
		{"budget", alarms.Spec{BudgetMax: 2, BudgetPer: 10}, "m.m.m.m.C.m.m.m.", "0 raised, 1 cleared, 2 raised, 3 cleared, 8 raised +2, 9 cleared, 12 raised +1, 13 cleared"},
		{"budget of what lasts", alarms.Spec{BudgetMax: 1, BudgetPer: 5}, "m.mmmm", "0 raised, 1 cleared, 5 raised"},
		{"not finite", alarms.Spec{}, "?m??.?", "1 raised, 4 cleared"},
		{"chatter", alarms.Spec{OnDelay: 2, OffDelay: 5}, strings.Repeat("mm.", 5) + strings.Repeat("mmm.", 20) + ".....", "17 raised, 99 cleared"},
		{"latch", alarms.Spec{Latch: true}, "m.m", "0 raised, 1 returned, 2 recurred"},
	} {
		if err := c.spec.Validate(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		a := c.spec.New()
		if got := playValues(&a, 0, c.values); got != c.want {
			t.Errorf("%s: %s\n  told %s\n  want %s", c.name, c.values, got, c.want)
		}
	}
}

// A chattering value makes few events of a thousand.
func TestChatter(t *testing.T) {
	spec := &alarms.Spec{CoolDown: 100, OffDelay: 2, BudgetMax: 3, BudgetPer: 1000}
	a := spec.New()
	told := playValues(&a, 0, strings.Repeat("mM...", 2000))
	if n := strings.Count(told, "raised"); n > 3*10 || n < 10 {
		t.Errorf("%d alarms", n)
	}
}

// What is told of an alarm: where it began, the worst of it, and where it ended.
func TestChange(t *testing.T) {
	spec := &alarms.Spec{OnDelay: 2, OffDelay: 2}
	a := spec.New()
	var all []alarms.Change
	var sum anomaly.Evidence
	for i, severity := range []anomaly.Severity{0, 1, 1, 2, 3, 2, 0, 0, 0} {
		v := normal()
		if severity > 0 {
			v = abnormal(severity)
			v.Evidence = anomaly.Evidence{Above: 1 << (i % 3), Bound: [anomaly.Views]float32{1, 1, 1}}
			v.Evidence.Shown[i%3] = float32(i)
			if i >= 3 {
				sum.Add(v.Evidence)
			}
		}
		all = a.Observe(all, alarms.Sample{At: edged.Timestamp(10 * i), Now: 7, Value: float64(100 + i), Verdict: v, Historical: i == 3})
	}
	all = append(all, a.Status())
	got := make([]string, len(all))
	for i, c := range all {
		got[i] = fmt.Sprintf("%s %s %d-%d at %d ended %d %s value %v peak %v at %d of %d, past %v, %s", c.Event, c.State, c.Start, c.Ordinal,
			c.At, c.Ended, c.Ending, c.Value, c.Peak, c.PeakAt, c.Count, c.Historical, c.Severity)
	}
	want := []string{
		"raised unacknowledged 10-1 at 20 ended 0 none value 102 peak 102 at 20 of 1, past false, minor",
		"updated unacknowledged 10-1 at 30 ended 0 none value 103 peak 103 at 30 of 2, past true, major",
		"updated unacknowledged 10-1 at 40 ended 0 none value 104 peak 104 at 40 of 3, past false, critical",
		"cleared normal 10-1 at 70 ended 60 returned value 107 peak 104 at 40 of 4, past false, critical",
		"none normal 0-0 at 80 ended 0 none value 0 peak 0 at 0 of 0, past false, none",
	}
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Errorf("change %d:\n got %v\nwant %v", i, got[min(i, len(got)-1)], want[min(i, len(want)-1)])
		}
	}
	if e := all[3].Verdict.Evidence; e.Above != 0b111 || e.Shown[0] != 3 {
		t.Errorf("the evidence is %+v; from the raise on it would be at least %+v", e, sum)
	}
}

// Maintenance by schedule is of event time; a detector must not learn in either kind.
func TestMaintenance(t *testing.T) {
	spec := &alarms.Spec{Maintenance: &alarms.Schedule{Location: time.UTC,
		Windows: []alarms.Window{{Days: [7]bool{true, true, true, true, true, true, true}, From: 60, To: 120}}}}
	if err := spec.Validate(); err != nil {
		t.Fatal(err)
	}
	a := spec.New()
	hour := edged.Timestamp(3_600_000)
	told := playValues(&a, hour-2, "mmmmm")
	if want := "3599998 raised, 3600000 cleared"; told != want || a.Condition() != alarms.SuppressedByDesign {
		t.Errorf("told %s; %s", told, a.Condition())
	}
	if told, want := playValues(&a, 2*hour-2, "mmmm"), "7200000 raised"; told != want {
		t.Errorf("told %s", told)
	}
	if a.Frozen(hour-1, 0) || !a.Frozen(hour, 0) || !a.Frozen(2*hour-1, 0) || a.Frozen(2*hour, 0) || a.Waits() {
		t.Error("not frozen as scheduled")
	}
	if _, err := a.Command(nil, alarms.Command{Kind: alarms.KindOutOfService, For: 10}, 100); err != nil {
		t.Fatal(err)
	}
	if !a.Waits() || !a.Frozen(0, 109) || a.Frozen(0, 110) || len(a.Tick(nil, 109)) > 0 || len(a.Tick(nil, 110)) != 1 || a.Waits() {
		t.Error("not frozen as commanded")
	}
}

// A shelf does not tell what comes and goes, but what has come and what has gone.
func TestShelf(t *testing.T) {
	for _, c := range []struct{ name, before, within, after string }{
		{"comes and goes", "..", "m.m.", "unshelved normal 0 +2"},
		{"has come", "..", "m.mm", "unshelved unacknowledged 2 +1"},
		{"stays", "mm", "mmmm", "unshelved unacknowledged 1"},
		{"goes and comes", "mm", "m.mm", "unshelved unacknowledged 2"},
	} {
		a := (&alarms.Spec{}).New()
		playValues(&a, 0, c.before)
		command := func(k alarms.Kind) alarms.Change {
			changes, err := a.Command(nil, alarms.Command{Kind: k, For: 100, By: "eve"}, 0)
			if err != nil || len(changes) != 1 {
				t.Fatalf("%s: %s tells %+v: %v", c.name, k, changes, err)
			}
			return changes[0]
		}
		if got := command(alarms.KindShelve); got.State != alarms.Shelved || got.Until != 100 || got.By != "eve" {
			t.Errorf("%s: %+v", c.name, got)
		}
		told := playValues(&a, 10, c.within)
		if strings.Contains(told, "raised") {
			t.Errorf("%s: told %s", c.name, told)
		}
		got := command(alarms.KindUnshelve)
		text := fmt.Sprintf("%s %s %d", got.Event, got.State, got.Ordinal)
		if got.Suppressed > 0 {
			text += fmt.Sprintf(" +%d", got.Suppressed)
		}
		if text != c.after {
			t.Errorf("%s: %s, want %s", c.name, text, c.after)
		}
	}
}

// A label is for the newest alarm, while it is remembered, and comes with its evidence.
func TestLabel(t *testing.T) {
	spec := &alarms.Spec{Remember: 10}
	a := spec.New()
	playValues(&a, 5, "m.")
	command := alarms.Command{Kind: alarms.KindLabel, Start: 5, Ordinal: 1, Label: anomaly.LabelExpected, By: "eve", Note: "cleaning"}
	changes, err := a.Command(nil, command, 0)
	if err != nil || len(changes) != 1 || changes[0].Label != anomaly.LabelExpected || changes[0].State != alarms.Normal ||
		changes[0].Peak != 0 || changes[0].Note != "cleaning" || changes[0].Verdict.Severity != anomaly.SeverityMinor {
		t.Fatalf("%+v, %v", changes, err)
	}
	if changes, err := a.Command(nil, command, 0); err != nil || len(changes) > 0 {
		t.Errorf("again: %+v, %v", changes, err)
	}
	playValues(&a, 16, ".")
	if _, err := a.Command(nil, command, 0); !errors.Is(err, alarms.ErrUnknown) {
		t.Errorf("when it is forgotten: %v", err)
	}
}

func TestCommandRefuses(t *testing.T) {
	spec := &alarms.Spec{ShelfMax: 100}
	for want, c := range map[string]alarms.Command{
		"no kind 0":                     {},
		"no kind 99":                    {Kind: 99},
		"shelve for 0 ms":               {Kind: alarms.KindShelve},
		"shelve for 101 ms; it must be": {Kind: alarms.KindShelve, For: 101},
		"out_of_service for -1 ms":      {Kind: alarms.KindOutOfService, For: -1},
		"label none; it must be":        {Kind: alarms.KindLabel},
		"by has 65 bytes; it may":       {Kind: alarms.KindUnshelve, By: strings.Repeat("x", 65)},
		"note has 257 bytes; it may":    {Kind: alarms.KindUnshelve, Note: strings.Repeat("x", 257)},
		"it must be UTF-8":              {Kind: alarms.KindUnshelve, Note: "\xff"},
		"the present one is 3-1, unacknowledged; name that": {Kind: alarms.KindAcknowledge, Start: 3, Ordinal: 2},
	} {
		a := spec.New()
		playValues(&a, 3, "m")
		kept := []alarms.Change{{Note: "kept"}}
		dst, err := a.Command(kept, c, 10)
		if err == nil || !strings.Contains(err.Error(), want) || len(dst) != 1 {
			t.Errorf("%+v: %v, want %q", c, err, want)
		}
		if !errors.Is(err, alarms.ErrCommand) && !errors.Is(err, alarms.ErrUnknown) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestSpecRefuses(t *testing.T) {
	for want, spec := range map[string]alarms.Spec{
		"on_delay is -1 ms":              {OnDelay: -1},
		"remember is 1099511627777 ms":   {Remember: alarms.SpanMax + 1},
		"of is 65 values":                {Least: 1, Of: 65},
		"of is 0 values":                 {Least: 1},
		"least is 0 of 3":                {Of: 3},
		"least is 4 of 3":                {Least: 4, Of: 3},
		"budget_max is 65":               {BudgetMax: 65, BudgetPer: 1},
		"budget_max is 1 and budget_per": {BudgetMax: 1},
		"severity_min is 4":              {SeverityMin: 4},
	} {
		if err := spec.Validate(); !errors.Is(err, alarms.ErrSpec) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	many := alarms.Spec{OnDelay: -1, OffDelay: -1, Of: -1}
	if err := many.Validate(); strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("not all faults: %v", err)
	}
}

// The words are read as they are written.
func TestWords(t *testing.T) {
	for k := alarms.KindAcknowledge; k <= alarms.KindLabel; k++ {
		if got, ok := alarms.ParseKind(k.String()); got != k || !ok {
			t.Errorf("%s: %s", k, got)
		}
	}
	for _, l := range []anomaly.Label{anomaly.LabelTrue, anomaly.LabelFalse, anomaly.LabelExpected} {
		if got, ok := alarms.ParseLabel(l.String()); got != l || !ok {
			t.Errorf("%s: %s", l, got)
		}
	}
	for _, s := range []string{"", "none", "?", "TRUE"} {
		_, kind := alarms.ParseKind(s)
		if _, label := alarms.ParseLabel(s); kind || label {
			t.Errorf("%q is a word", s)
		}
	}
	for _, s := range []fmt.Stringer{alarms.OutOfService + 1, alarms.EventLabelled + 1, alarms.EndingReset + 1, alarms.KindLabel + 1} {
		if s.String() != "?" {
			t.Errorf("%T %s", s, s)
		}
	}
	for _, s := range []fmt.Stringer{alarms.OutOfService, alarms.EventLabelled, alarms.EndingReset, alarms.KindLabel} {
		if s.String() == "?" {
			t.Errorf("%T has no word", s)
		}
	}
}

// Values that are no numbers, and times at both ends, do no harm.
func TestEnds(t *testing.T) {
	spec := &alarms.Spec{OnDelay: 5, CoolDown: 5, UpdateInterval: 1, SetBackMin: 1, BudgetMax: 1, BudgetPer: 5}
	a := spec.New()
	for i := range 200 {
		v := abnormal(anomaly.SeverityMinor)
		v.Score = math.NaN()
		at := [...]edged.Timestamp{math.MinInt64, math.MaxInt64, 0, -1, 1}[(i*i+i/7)%5]
		a.Observe(nil, alarms.Sample{At: at, Now: at, Value: math.NaN(), Verdict: v})
		b := spec.New()
		if _, err := b.Restore(a.AppendBinary(nil)); err != nil {
			t.Fatal(err)
		}
	}
}
