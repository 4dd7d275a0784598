package oracle_test

import (
	"fmt"
	"strings"
	"testing"

	"edged/internal/oracle"
)

// The tables below are computed by hand. A script is a list of words:
//
//	12=5     an event at 12 with the value 5; a trailing + or - makes the fields "a" or "b" true
//	w20      the watermark comes to 20
//	p7       processing time comes to 7
//	end      the input ends
//
// What is expected is the lines, without the steps: bounds, pane#index, values;
// a ! behind the pane says that it is the last one.
func script(t *testing.T, text string) []oracle.Step {
	t.Helper()
	var steps []oracle.Step
	for _, word := range strings.Fields(text) {
		var at int64
		var v float64
		s := oracle.Step{Kind: oracle.EventStep}
		switch {
		case word == "end":
			s.Kind = oracle.EndStep
		case word[0] == 'w' || word[0] == 'p':
			s.Kind = map[byte]string{'w': oracle.WatermarkStep, 'p': oracle.ProcessingTimeStep}[word[0]]
			if _, err := fmt.Sscanf(word[1:], "%d", &s.Time); err != nil {
				t.Fatalf("%q: %v", word, err)
			}
		default:
			if _, err := fmt.Sscanf(word, "%d=%g", &at, &v); err != nil {
				t.Fatalf("%q: %v", word, err)
			}
			s.Readings = []oracle.Reading{{Key: "k", Time: at, Fields: map[string]any{
				"v": v, "a": strings.Contains(word, "+"), "b": strings.HasSuffix(word, "-"),
			}}}
		}
		steps = append(steps, s)
	}
	return steps
}

func say(lines []oracle.Line) string {
	var all []string
	for _, l := range lines {
		last := map[bool]string{true: "!"}[l.Last]
		switch l.Kind {
		case oracle.PaneLine:
			all = append(all, fmt.Sprintf("[%d,%d) %s%s#%d %s", l.Start, l.End, l.Pane, last, l.Index, l.Values))
		case oracle.RetractLine:
			all = append(all, strings.TrimSpace(fmt.Sprintf("[%d,%d) back#%d %s", l.Start, l.End, l.Index, l.Values)))
		case oracle.LateLine:
			all = append(all, fmt.Sprintf("%d late %s %t", l.Start, l.Windows, l.Dropped))
		}
	}
	return strings.Join(all, "; ")
}

var (
	tumbling = oracle.Windowing{Type: oracle.TumblingType, Size: 10}
	session  = oracle.Windowing{Type: oracle.SessionType, Gap: 5}
)

func after(n int) *oracle.Section { return &oracle.Section{When: oracle.Cond{Events: n}} }

// examples are the tables.
var examples = []struct {
	name   string
	config oracle.Config
	script string
	want   string
}{

	{"on time", oracle.Config{Window: tumbling}, "1=2 9=3 w9 12=1 w10 w20",
		"[0,10) on_time!#0 5; [10,20) on_time!#0 1"},
	{"behind the watermark is not late", oracle.Config{Window: tumbling}, "w9 3=1 w10", "[0,10) on_time!#0 1"},
	{"late", oracle.Config{Window: tumbling}, "w10 9=1 end", "9 late [0,10) true"},
	{"below zero", oracle.Config{Window: tumbling}, "-1=1 end", "[-10,0) on_time!#0 1"},
	{"lateness", oracle.Config{Window: tumbling, Lateness: 5}, "1=2 w10 2=3 w14 3=4 w15 4=5",
		"[0,10) on_time#0 2; [0,10) late#1 5; [0,10) late#2 9; 4 late [0,10) true"},
	{"late only", oracle.Config{Window: tumbling, Lateness: 5}, "w12 3=4 w15", "[0,10) late#0 4"},
	{"early", oracle.Config{Window: tumbling, Trigger: oracle.Trigger{Early: after(2)}}, "1=1 2=2 3=4 4=8 5=16 w10",
		"[0,10) early#0 3; [0,10) early#1 15; [0,10) on_time!#2 31"},
	{"discarding", oracle.Config{Window: tumbling, Accumulation: oracle.Discarding, Trigger: oracle.Trigger{Early: after(2)}},
		"1=1 2=2 3=4 w10 11=1 12=2 w20", "[0,10) early#0 3; [0,10) on_time!#1 4; [10,20) early#0 3"},
	{"retracting", oracle.Config{Window: tumbling, Accumulation: oracle.Retracting, Trigger: oracle.Trigger{Early: after(2)}},
		"1=1 2=2 w10", "[0,10) early#0 3; [0,10) back#0 3; [0,10) on_time!#1 3"},
	{"once", oracle.Config{Window: tumbling, Trigger: oracle.Trigger{Early: &oracle.Section{When: oracle.Cond{Events: 1}, Once: true}}},
		"1=1 2=2 w10", "[0,10) early#0 1; [0,10) on_time!#1 3"},
	{"until", oracle.Config{Window: tumbling, Trigger: oracle.Trigger{Early: &oracle.Section{When: oracle.Cond{Events: 2}, Until: &oracle.Cond{Events: 3}}}},
		"1=1 2=2 3=4 4=8 5=16 w10", "[0,10) early#0 3; [0,10) early#1 7; [0,10) on_time!#2 31"},
	{"delay", oracle.Config{Window: tumbling, Trigger: oracle.Trigger{Early: &oracle.Section{When: oracle.Cond{Delay: 5}}}},
		"p3 1=1 p7 2=2 p8 p20 3=4 p24 p25", "[0,10) early#0 3; [0,10) early#1 7"},
	{"every", oracle.Config{Window: tumbling, Trigger: oracle.Trigger{Early: &oracle.Section{When: oracle.Cond{Every: 5}}}},
		"p5 1=1 p9 p10 p15 2=2 p21", "[0,10) early#0 1; [0,10) early#1 3"},
	{"sequence", oracle.Config{Window: tumbling, Trigger: oracle.Trigger{Early: &oracle.Section{When: oracle.Cond{Sequence: []oracle.Cond{{Events: 1}, {Events: 2}}}}}},
		"1=1 2=2 3=4 4=8 5=16", "[0,10) early#0 1; [0,10) early#1 7; [0,10) early#2 15"},
	{"all", oracle.Config{Window: tumbling, Trigger: oracle.Trigger{Early: &oracle.Section{When: oracle.Cond{All: []oracle.Cond{{Events: 2}, {Delay: 3}}}}}},
		"1=1 p3 2=2", "[0,10) early#0 3"},
	{"late section, and what is left at expiry", oracle.Config{Window: tumbling, Lateness: 5, Trigger: oracle.Trigger{Late: after(2)}},
		"1=1 w10 2=2 3=4 4=8 w15", "[0,10) on_time#0 1; [0,10) late#1 7; [0,10) late!#2 15"},
	{"final only", oracle.Config{Window: tumbling, Lateness: 5, Trigger: oracle.Trigger{FinalOnly: true}},
		"1=1 w12 2=2 w15", "[0,10) on_time!#0 3"},
	{"empty", oracle.Config{Window: tumbling, Empty: true, Lateness: 5}, "w5 1=1 w30 19=1 w32 29=7",
		"[0,10) on_time!#0 1; [10,20) on_time!#0 null; [20,30) on_time#0 null; 19 late [10,20) true; [20,30) late#1 7"},
	{"hopping", oracle.Config{Window: oracle.Windowing{Type: oracle.HoppingType, Size: 10, Period: 5}}, "7=1 w10 4=2 6=4 end",
		"[0,10) on_time!#0 1; 4 late [-5,5) [0,10) true; 6 late [0,10) false; [5,15) on_time!#0 5"},
	{"hopping with holes", oracle.Config{Window: oracle.Windowing{Type: oracle.HoppingType, Size: 2, Period: 5}}, "6=1 7=2 end",
		"[5,7) on_time!#0 1"},
	{"cumulate", oracle.Config{Window: oracle.Windowing{Type: oracle.CumulateType, Size: 9, Step: 3}}, "1=1 4=2 w6 end",
		"[0,3) on_time!#0 1; [0,6) on_time!#0 3; [0,9) on_time!#0 3"},
	{"global", oracle.Config{Window: oracle.Windowing{Type: oracle.GlobalType}, Trigger: oracle.Trigger{Early: after(2)}}, "1=1 w5 1=2 end",
		"[-9223372036854775808,9223372036854775807) early#0 3; [-9223372036854775808,9223372036854775807) on_time!#1 3"},
	{"sessions", oracle.Config{Window: session}, "1=1 6=2 12=4 w11 w17", "[1,11) on_time!#0 3; [12,17) on_time!#0 4"},
	{"a bridge", oracle.Config{Window: session, Lateness: 50}, "1=1 9=2 w14 5=4",
		"[1,6) on_time#0 1; [9,14) on_time#0 2; [1,6) back#0; [9,14) back#0; [1,14) late#0 7"},
	{"a bridge, with values", oracle.Config{Window: session, Lateness: 50, Accumulation: oracle.Retracting}, "1=1 9=2 w14 5=4 6=8",
		"[1,6) on_time#0 1; [9,14) on_time#0 2; [1,6) back#0 1; [9,14) back#0 2; [1,14) late#0 7; [1,14) back#0 7; [1,14) late#1 15"},
	{"a bridge, discarding", oracle.Config{Window: session, Lateness: 50, Accumulation: oracle.Discarding}, "1=1 9=2 w14 5=4",
		"[1,6) on_time#0 1; [9,14) on_time#0 2; [1,14) late#0 4"},
	{"grown again", oracle.Config{Window: session, Lateness: 50}, "1=1 w6 4=2 w8 w9",
		"[1,6) on_time#0 1; [1,6) back#0; [1,9) on_time#0 3"},
	{"session of limited duration", oracle.Config{Window: oracle.Windowing{Type: oracle.SessionType, Gap: 5, MaxDuration: 8}, Ordered: true},
		"1=1 5=2 9=4 end", "[1,9) on_time!#0 3; [9,14) on_time!#0 4"},
	{"count", oracle.Config{Window: oracle.Windowing{Type: oracle.CountType, Count: 2, CountStep: 1, Partial: true}}, "5=1 3=2 9=4 end",
		"[3,6) on_time!#0 3; [3,10) on_time!#1 6; [9,10) on_time!#2 4"},
	{"in order", oracle.Config{Window: oracle.Windowing{Type: oracle.CountType, Count: 2}, Ordered: true}, "5=1 3=2 w4 3=3 4=4 w6",
		"3 late [3,4) true; [3,5) on_time!#0 6"},
	{"sliding", oracle.Config{Window: oracle.Windowing{Type: oracle.SlidingType, Size: 5}, Lateness: 10}, "1=1 5=2 6=4 w7 4=8",
		"[-3,2) on_time#0 1; [1,6) on_time#0 3; [2,7) on_time#0 6; [0,5) late#0 9; [1,6) late#1 11; [2,7) late#1 14"},
	{"state", oracle.Config{Window: oracle.Windowing{Type: oracle.StateType, Open: "a", Close: "b"}, Ordered: true}, "1=1 2=2+ 3=4 4=8- 5=16 6=1+- 7=2+ end",
		"[2,5) on_time!#0 14; [6,7) on_time!#0 1; [7,8) on_time!#0 2"},
	{"change", oracle.Config{Window: oracle.Windowing{Type: oracle.StateType, ChangeOf: "v"}, Ordered: true}, "1=1 2=1 4=2 9=1 end",
		"[1,4) on_time!#0 2; [4,9) on_time!#0 2; [9,10) on_time!#0 1"},
	{"state of limited duration", oracle.Config{Window: oracle.Windowing{Type: oracle.StateType, ChangeOf: "v", MaxDuration: 4}, Ordered: true}, "1=1 2=1 5=1 w9",
		"[1,5) on_time!#0 2; [5,9) on_time!#0 1"},
	{"a limit", oracle.Config{Window: tumbling, WindowsMax: 1}, "1=1 11=2 2=4 w10 12=8 end",
		"11 late [10,20) true; [0,10) on_time!#0 5; [10,20) on_time!#0 8"},
}

func TestRun(t *testing.T) {
	for _, tt := range examples {
		t.Run(tt.name, func(t *testing.T) {
			tt.config.Columns = []oracle.Column{{Name: "total", Function: "sum", Field: "v"}}
			tt.config.Watermark.Type = oracle.Manual
			if got := say(oracle.Run(tt.config, script(t, tt.script))); got != tt.want {
				t.Errorf("%s\n got %s\nwant %s", tt.script, got, tt.want)
			}
		})
	}
}
