package oracle_test

import (
	"fmt"
	"strings"
	"testing"

	"edged/internal/oracle"
)

// What each join says to a few readings, worked out by hand.
func TestJoins(t *testing.T) {
	at := func(stream string, at int64) oracle.Step {
		r := oracle.Reading{Stream: stream, Key: "k", Time: at, Fields: map[string]any{"v": float64(at)}}
		return oracle.Step{Kind: oracle.EventStep, Readings: []oracle.Reading{r}}
	}
	to := func(w int64) oracle.Step { return oracle.Step{Kind: oracle.WatermarkStep, Time: w} }
	for _, tt := range []struct {
		name  string
		join  oracle.Join
		steps []oracle.Step
		want  string
	}{
		{"interval", oracle.Join{Type: oracle.IntervalJoin, Lower: -1, Upper: 3, Pads: oracle.Left},
			[]oracle.Step{at("l", 5), at("r", 8), at("r", 3), at("l", 20), to(23), at("r", 18), to(24), at("l", 20), at("r", 23)},
			"5 8; late 18 [18,20); 20 null; late 20 [20,24)"},
		{"window", oracle.Join{Type: oracle.WindowJoin, Pads: oracle.Both, Windows: oracle.Windowing{Type: oracle.TumblingType, Size: 10}},
			[]oracle.Step{at("l", 5), at("r", 8), at("r", 3), at("l", 10), to(10), at("r", 9), to(20)},
			"5 3; 5 8; late 9 [0,10); 10 null"},
		{"as of", oracle.Join{Type: oracle.AsOfJoin, Pads: oracle.Left, Tolerance: 4},
			[]oracle.Step{at("r", 1), at("l", 5), at("l", 6), at("r", 5), to(6), at("l", 5), to(7), at("l", 20), to(21)},
			"5 5; late 5 [5,6); 6 5; 20 null"},
	} {
		var said []string
		for _, l := range oracle.Run(oracle.Config{Join: &tt.join, Watermark: oracle.Watermark{Type: oracle.Manual}}, tt.steps) {
			if l.Kind == oracle.LateLine {
				said = append(said, fmt.Sprintf("late %d %s", l.Start, l.Windows))
				continue
			}
			said = append(said, l.Values)
		}
		if got := strings.Join(said, "; "); got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.name, got, tt.want)
		}
	}
}
