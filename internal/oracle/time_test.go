package oracle_test

import (
	"testing"
	"time"

	"edged/internal/oracle"
)

// readings makes events of one key, each a step, with a field "src".
func readings(all ...oracle.Reading) (steps []oracle.Step) {
	for _, r := range all {
		steps = append(steps, oracle.Step{Kind: oracle.EventStep, Readings: []oracle.Reading{r}})
	}
	return steps
}

func of(source string, t int64) oracle.Reading {
	return oracle.Reading{Key: "k", Time: t, Fields: map[string]any{"src": source, "v": 1.0}}
}

var counting = []oracle.Column{{Name: "n", Function: "count"}}

// The day on which clocks are put forward has 23 hours, the one on which they are
// put back 25, and a start that does not exist is the first instant after the gap.
func TestCalendar(t *testing.T) {
	at := func(text string) int64 {
		when, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return when.UnixMilli()
	}
	const hour = 3_600_000
	for _, tt := range []struct {
		window           oracle.Windowing
		time, start, end string
	}{
		{oracle.Windowing{Unit: "day", Zone: "Europe/Berlin"}, "2024-03-31T10:00:00Z", "2024-03-30T23:00:00Z", "2024-03-31T22:00:00Z"},
		{oracle.Windowing{Unit: "day", Zone: "Europe/Berlin"}, "2024-10-27T10:00:00Z", "2024-10-26T22:00:00Z", "2024-10-27T23:00:00Z"},
		{oracle.Windowing{Unit: "day", Zone: "Europe/Berlin", At: 2*hour + hour/2}, "2024-03-31T10:00:00Z", "2024-03-31T01:00:00Z", "2024-04-01T00:30:00Z"},
		{oracle.Windowing{Unit: "day", Zone: "Europe/Berlin", At: 2*hour + hour/2}, "2024-10-27T10:00:00Z", "2024-10-27T00:30:00Z", "2024-10-28T01:30:00Z"},
		{oracle.Windowing{Unit: "day", Zone: "Pacific/Apia"}, "2011-12-30T09:00:00Z", "2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z"},
		{oracle.Windowing{Unit: "day", Zone: "Pacific/Apia"}, "2011-12-30T10:00:00Z", "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z"},
		{oracle.Windowing{Unit: "week", Zone: "UTC", WeekStart: time.Monday}, "2024-05-19T23:59:59Z", "2024-05-13T00:00:00Z", "2024-05-20T00:00:00Z"},
		{oracle.Windowing{Unit: "month", Zone: "Asia/Kathmandu"}, "2024-02-29T18:15:00Z", "2024-02-29T18:15:00Z", "2024-03-31T18:15:00Z"},
		{oracle.Windowing{Unit: "shift", Zone: "America/New_York", Shifts: []int64{6 * hour, 14 * hour, 22 * hour}}, "2024-03-10T05:00:00Z", "2024-03-10T03:00:00Z", "2024-03-10T10:00:00Z"},
	} {
		tt.window.Type = oracle.CalendarType
		c := oracle.Config{Window: tt.window, Columns: counting}
		steps := append(readings(of("", at(tt.time))), oracle.Step{Kind: oracle.EndStep})
		lines := oracle.Run(c, steps)
		if len(lines) != 1 || lines[0].Start != at(tt.start) || lines[0].End != at(tt.end) {
			t.Errorf("%+v at %s: %+v, want %s to %s", tt.window, tt.time, lines, tt.start, tt.end)
		}
	}
}

// Each way in which time passes.
func TestWatermarks(t *testing.T) {
	window := oracle.Windowing{Type: oracle.TumblingType, Size: 10}
	tick := func(to int64) oracle.Step { return oracle.Step{Kind: oracle.ProcessingTimeStep, Time: to} }
	idle := func(s string) oracle.Step { return oracle.Step{Kind: oracle.IdleStep, Source: s} }
	active := func(s string) oracle.Step { return oracle.Step{Kind: oracle.ActiveStep, Source: s} }
	marked := of("", 3)
	marked.Fields["m"] = 10.0
	for _, tt := range []struct {
		name  string
		rule  oracle.Watermark
		steps []oracle.Step
		want  string
	}{
		{"bounded", oracle.Watermark{OutOfOrderness: 4}, readings(of("", 1), of("", 13), of("", 9), of("", 14)), "[0,10) on_time!#0 2"},
		{"ascending", oracle.Watermark{Type: oracle.Ascending}, readings(of("", 9)), "[0,10) on_time!#0 1"},
		{"punctuated", oracle.Watermark{Type: oracle.Punctuated, Field: "m"}, readings(of("", 30), of("", 4), marked), "[0,10) on_time!#0 2"},
		{"never the end of time", oracle.Watermark{Type: oracle.Ascending}, readings(of("", 1<<63-1), of("", 1<<63-2)), ""},
		{"silence", oracle.Watermark{IdleTimeout: 5}, append(readings(of("", 1)), tick(4), tick(5), tick(50)), "[0,10) on_time!#0 1"},
		{"the slowest source", oracle.Watermark{Per: "src"}, readings(of("a", 1), of("b", 2), of("a", 30), of("b", 10)), "[0,10) on_time!#0 2"},
		{"a source leaves", oracle.Watermark{Per: "src"}, append(readings(of("a", 1), of("b", 2), of("a", 30)), idle("b")), "[0,10) on_time!#0 2"},
		{"a source is silent", oracle.Watermark{Per: "src", IdleTimeout: 5},
			append(append(readings(of("a", 1), of("b", 2)), tick(3)), append(readings(of("a", 30)), tick(6))...), "[0,10) on_time!#0 2"},
		{"a source is back, behind", oracle.Watermark{Per: "src"},
			append(append(readings(of("a", 1), of("b", 2), of("a", 30)), idle("b"), active("b")), readings(of("b", 25), of("a", 40))...),
			"[0,10) on_time!#0 2; 25 late [20,30) true; [30,40) on_time!#0 1"},
		{"a source is back, and has caught up", oracle.Watermark{Per: "src"},
			append(append(readings(of("a", 1), of("b", 2), of("a", 30)), idle("b")), readings(of("b", 31), of("a", 50))...),
			"[0,10) on_time!#0 2"},
		{"all sources are gone", oracle.Watermark{Per: "src"}, append(readings(of("a", 1)), idle("a")), ""},
		{"a source is announced", oracle.Watermark{Per: "src"},
			append(append(readings(of("a", 1)), active("b")), readings(of("a", 30), of("b", 10))...), "[0,10) on_time!#0 1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := oracle.Config{Window: window, Watermark: tt.rule, Columns: counting}
			if got := say(oracle.Run(c, tt.steps)); got != tt.want {
				t.Errorf("\n got %s\nwant %s", got, tt.want)
			}
		})
	}
}

// Columns over values that are there, are not, and do not count.
func TestColumns(t *testing.T) {
	var columns []oracle.Column
	for _, f := range []string{"count", "sum", "avg", "min", "max", "range", "first", "last", "delta", "distinct", "collect"} {
		columns = append(columns, oracle.Column{Name: f, Function: f, Field: "v"})
	}
	columns = append(columns, oracle.Column{Name: "b", Function: "sum", Field: "v", Where: "b"}, oracle.Column{Name: "all", Function: "count"})
	at := func(t int64, v any, b bool) oracle.Reading {
		return oracle.Reading{Key: "k", Time: t, Fields: map[string]any{"v": v, "b": b}}
	}
	c := oracle.Config{Window: oracle.Windowing{Type: oracle.TumblingType, Size: 10}, Columns: columns, Dedup: true}
	twice := at(5, 8.0, true)
	twice.ID = "x"
	steps := append(readings(at(5, 2.0, true), at(1, 6.0, false), at(7, nil, true), twice, twice, at(12, nil, false)), oracle.Step{Kind: oracle.EndStep})
	want := "[0,10) on_time!#0 3 16 5.333333333333333 2 8 6 6 8 2 3 [6,2,8] 10 4; " +
		"[10,20) on_time!#0 0 null null null null null null null null 0 null null 1"
	c.Watermark.OutOfOrderness = 10
	if got := say(oracle.Run(c, steps)); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}
