package alarms_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"edged"
	"edged/alarms"
	"edged/anomaly"
)

// stage is an alarm in a state, without delays.
type stage struct {
	alarm alarms.Alarm
	last  alarms.Change
}

const letters = "ABCDEFGHI"

// setUp returns an alarm in the state of the letter, if the spec has such a state.
func setUp(spec *alarms.Spec, letter byte) (*stage, bool) {
	s := &stage{alarm: spec.New()}
	for _, what := range strings.Fields(map[byte]string{
		'A': "", 'B': "abnormal", 'C': "abnormal acknowledge", 'D': "abnormal normal", 'E': "abnormal normal",
		'F': "abnormal normal acknowledge", 'G': "shelve", 'H': "suppressed", 'I': "out_of_service",
	}[letter]) {
		if _, err := s.do(what); err != nil {
			return s, false
		}
	}
	return s, letters[s.alarm.Condition()] == letter
}

// do lets something happen and returns the words for what was told.
func (s *stage) do(what string) (told string, err error) {
	var changes []alarms.Change
	sample := alarms.Sample{At: 10, Now: 10, Value: 3, Verdict: normal()}
	switch what {
	case "abnormal":
		sample.Verdict = abnormal(anomaly.SeverityMinor)
		fallthrough
	case "normal":
		changes = s.alarm.Observe(nil, sample)
	case "suppressed":
		sample.Suppressed = true
		changes = s.alarm.Observe(nil, sample)
	default:
		kind, ok := alarms.ParseKind(what)
		if !ok {
			return "", errors.New("no such kind: " + what)
		}
		changes, err = s.alarm.Command(nil, alarms.Command{Kind: kind, Start: s.last.Start, Ordinal: s.last.Ordinal, For: 5}, 10)
	}
	var events []string
	for _, c := range changes {
		if events = append(events, c.Event.String()); c.Ordinal > 0 {
			s.last = c
		}
	}
	return strings.Join(events, " "), err
}

// toldOf is what is told when what happens takes the alarm from a state to another one.
func toldOf(from byte, what string, to byte) string {
	open := strings.IndexByte("BCDEF", from) >= 0
	switch {
	case what == "out_of_service" && open:
		return "cleared out_of_service"
	case what == "shelve":
		return "shelved" // also within maintenance
	case what == "out_of_service":
		return "out_of_service"
	case from == to:
		return ""
	case what == "abnormal" && open:
		return "recurred"
	case what == "abnormal":
		return "raised"
	case what == "acknowledge" && to == 'A':
		return "acknowledged cleared"
	case what == "acknowledge":
		return "acknowledged"
	case what == "unshelve":
		return "unshelved"
	case what == "in_service":
		return "in_service"
	case open && strings.IndexByte("DEF", to) >= 0:
		return "returned"
	case open:
		return "cleared"
	}
	return ""
}

// Every cell of the table in the package comment is true.
func TestTransitions(t *testing.T) {
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	var columns []string
	cells := 0
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(strings.TrimPrefix(line, "//"))
		if len(fields) > 0 && fields[0] == "state" {
			columns = fields[1:]
		}
		if columns == nil || len(fields) != len(columns)+1 || len(fields[0]) != 1 {
			continue
		}
		for i, cell := range fields[1:] {
			cells++
			checkCell(t, fields[0][0], columns[i], cell)
		}
	}
	if cells != 9*9 {
		t.Errorf("%d cells were checked", cells)
	}
}

// checkCell checks a cell for all specs in which the state can be had.
func checkCell(t *testing.T, from byte, what, cell string) {
	t.Helper()
	had := false
	for i, spec := range []*alarms.Spec{{}, {Acknowledge: true}, {Latch: true}, {Latch: true, Acknowledge: true}} {
		s, ok := setUp(spec, from)
		if !ok {
			continue
		}
		had = true
		want := cell
		if all := strings.Split(cell, "/"); len(all) == 3 {
			want = all[min(i, 2)]
		}
		before := string(s.alarm.AppendBinary(nil))
		told, err := s.do(what)
		if want == "!" {
			if !errors.Is(err, alarms.ErrUnknown) || told != "" || string(s.alarm.AppendBinary(nil)) != before {
				t.Errorf("spec %d: %s in %c: error %v, told %q", i, what, from, err, told)
			}
			continue
		}
		to := letters[s.alarm.Condition()]
		if err != nil || string(to) != want {
			t.Errorf("spec %d: %s in %c leads to %c, not %s; error %v", i, what, from, to, want, err)
		}
		if expected := toldOf(from, what, to); told != expected {
			t.Errorf("spec %d: %s in %c, to %c, tells %q, not %q", i, what, from, to, told, expected)
		}
	}
	if !had {
		t.Errorf("no spec has state %c", from)
	}
}

// All scripts of a few steps do what the oracle does.
func TestExhaustively(t *testing.T) {
	for _, spec := range []*alarms.Spec{
		{ShelfMax: 9},
		{ShelfMax: 9, Acknowledge: true, CoolDown: 2},
		{ShelfMax: 9, Latch: true, OffDelay: 1},
		{ShelfMax: 9, OnDelay: 1, Least: 2, Of: 3},
		{ShelfMax: 9, BudgetMax: 1, BudgetPer: 3, Remember: 2, UpdateInterval: 1},
		{ShelfMax: 9, DurationMin: 2, CoolDown: 3, SetBackMin: 2},
	} {
		script := make([]int, *depthFlag)
		for next := true; next; {
			p := newPair(spec)
			for i, what := range script {
				if err := p.play(smallStep(p, i, what)); err != nil {
					p.fail(t, "-", err)
				}
			}
			next = false
			for i := range script {
				if script[i]++; script[i] < smallSteps {
					next = true
					break
				}
				script[i] = 0
			}
		}
	}
}

const smallSteps = 10

// smallStep is the i-th step of a script.
func smallStep(p *pair, i, what int) step {
	now := edged.Timestamp(100 + i)
	sample := alarms.Sample{At: now, Now: now, Value: float64(i), Verdict: normal()}
	command := alarms.Command{For: 2, Start: p.last.Start, Ordinal: p.last.Ordinal}
	switch what {
	case 0:
	case 1:
		sample.Verdict = abnormal(anomaly.SeverityMinor)
	case 2:
		sample.Verdict = abnormal(anomaly.SeverityCritical)
	case 3:
		sample.Verdict, sample.Suppressed = abnormal(anomaly.SeverityMinor), true
	case 4:
		sample.At -= 2
		sample.Verdict = abnormal(anomaly.SeverityMajor)
	default:
		command.Kind = [...]alarms.Kind{alarms.KindAcknowledge, alarms.KindShelve, alarms.KindUnshelve,
			alarms.KindOutOfService, alarms.KindReset}[what-5]
		return step{what: "command", now: now, command: command}
	}
	return step{what: "sample", sample: sample}
}
