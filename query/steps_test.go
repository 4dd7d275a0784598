package query

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"edged"
)

// message writes a payload of device a.
func message(t int, rest string) string { return fmt.Sprintf(`{"d":"a","t":%d%s}`, t, rest) }

// values sends readings of one device: time, value, time, value ...
func (w *world) values(timesAndValues ...int) {
	for i := 0; i < len(timesAndValues); i += 2 {
		w.send("in/x", message(timesAndValues[i], fmt.Sprintf(`,"v":%d`, timesAndValues[i+1])))
	}
}

const count = "aggregates: [{name: n, function: count}]"

// Two streams may say the same at the same time.
func TestJoinOfEqualPayloads(t *testing.T) {
	w := openWorld(t, "pipelines:"+joinHead+"    join: {lower: 0s}\n", nil)
	w.send("in/left", message(1, `,"v":1`))
	w.send("in/right", message(1, `,"v":1`))
	w.send("in/right", message(1, `,"v":1`))
	w.want("rows", "p {key:a,event_time:1,l_v:1,l_s:null,l_w:2,r_v:1,r_b:null watermark")
	if w.counts[1] != 1 {
		t.Errorf("%d duplicates, want 1", w.counts[1])
	}
}

// What is constant is computed for matches, too.
func TestConstantsOfJoins(t *testing.T) {
	w := openWorld(t, "pipelines:"+joinHead+`    join: {lower: 0s}
    compute: [{name: k, expression: "7"}]
    window: {size: 10ms}
    aggregates: [{name: n, function: count, where: "true"}, {name: k, function: sum, field: k}, {name: none, function: count, where: "l_v > 5"}]
`, nil)
	w.send("in/left", message(1, `,"v":1`))
	w.send("in/right", message(1, `,"v":1`))
	w.end()
	w.want("pane", "p {key:a,start:0,end:10,n:1,k:7,none:0,pane:on_time,index:0,final:true,watermark:9223372036854775807 end")
}

// A key that stands for all devices does not make readings of two of them one.
func TestOneKeyForAll(t *testing.T) {
	w := openWorld(t, strings.Replace(one(slow, "window: {size: 10ms}", count), "key: {field: d}", "key: {value: all}", 1), nil)
	for _, topic := range []string{"in/1", "in/2", "in/2"} {
		w.send(topic, message(1, `,"v":1`))
	}
	w.end()
	w.want("pane", "p {key:all,start:0,end:10,n:2,pane:on_time,index:0,final:true,watermark:9223372036854775807 end")
}

// Silence of one source is not the silence of the key.
func TestSourceIsNotTheKey(t *testing.T) {
	for _, window := range []string{"{type: count, count: 9, partial: true}", "{type: state, change_of: b}"} {
		w := openWorld(t, one("watermark: {out_of_orderness: 0ms, idle_timeout: 50ms, per: s}", "window: "+window, count), nil)
		w.send("in/x", message(1, `,"s":"x"`))
		w.send("in/x", message(2, `,"s":"y"`))
		w.idle("x")
		w.tick(49)
		for range 3 {
			w.all(func(_ int, task *Task, out *edged.Output) { task.Tick(out, w.seq, w.now) })
		}
		w.want("a source is idle")
		w.tick(50)
		if got := w.said(); len(got) != 1 || !strings.HasSuffix(got[0], "idle") {
			t.Errorf("%s: the key is idle: %q", window, got)
		}
	}
}

// A source that is silent leaves before the next event is judged, whether a tick
// came or not.
func TestSourcesExpireBeforeEvents(t *testing.T) {
	for _, ticks := range []bool{false, true} {
		w := openWorld(t, one("watermark: {out_of_orderness: 0ms, idle_timeout: 50ms, per: s}", "window: {size: 10ms}", count), nil)
		w.now = 1000
		w.send("in/x", message(1, `,"s":"x"`))
		w.now = 1040
		w.send("in/x", message(25, `,"s":"y"`))
		w.now = 1060
		if ticks {
			w.all(func(_ int, task *Task, out *edged.Output) { task.Tick(out, w.seq, w.now) })
		}
		w.send("in/x", message(5, `,"s":"y","v":1`))
		w.want("x is silent",
			"p {key:a,start:0,end:10,n:1,pane:on_time,index:0,final:true,watermark:25 idle",
			"p.late {key:a,event_time:5,window_end:10,values:{v:1,s:y,b:null,m:null},pane:dropped_late watermark")
	}
}

// What is held back belongs to the window that silence closes.
func TestSilenceReleasesBeforeItCloses(t *testing.T) {
	w := openWorld(t, one(slow, "changes: [{function: swinging_door, field: v, by: 1}]", "window: {type: state, change_of: s}", count), nil)
	w.values(1, 1, 2, 1, 3, 1, 12, 1)
	w.tick(100)
	w.want("one window", "p {key:a,start:1,end:13,n:2,pane:on_time,index:0,final:true,watermark:13 idle")
	if w.tasks[0]["a"].Open() != 0 {
		t.Errorf("%d open", w.tasks[0]["a"].Open())
	}
}

const gather = `
  - name: q
    source: {pipeline: p}
    key: {value: all}
    watermark: {out_of_orderness: 0ms, idle_timeout: 100ms}
    window: {size: 10ms%s}
    aggregates: [{name: n, function: sum, field: n}, {name: who, function: count}]
    outputs: [stdout: {}]
    late_output: [stdout: {}]
%s`

// A member that says several things at once is not late for its second.
func TestSeveralPanesAtOnce(t *testing.T) {
	text := "pipelines:\n" + pipelineOf("p", "watermark: {out_of_orderness: 20ms, idle_timeout: 100ms}", "window: {size: 10ms}", count) + fmt.Sprintf(gather, "", "")
	w := openWorld(t, text, nil)
	w.values(1, 1, 11, 1, 21, 1, 55, 1)
	var second []string
	for _, row := range w.said() {
		if strings.HasPrefix(row, "q") {
			second = append(second, row)
		}
	}
	if len(second) != 3 || !strings.HasPrefix(second[2], "q {key:all,start:20,end:30,n:1") || w.counts[0] != 0 {
		t.Errorf("%d late, got %q", w.counts[0], second)
	}
}

// When a filter does not keep what a member says again, what it said before is
// gone; a member takes nothing back behind its own back, for the retraction does
// not move time.
func TestFilteredContributions(t *testing.T) {
	text := "pipelines:\n" + pipelineOf("p", "watermark: {out_of_orderness: 0ms, idle_timeout: 0s}", "window: {size: 10ms, allowed_lateness: 50ms}", count) +
		fmt.Sprintf(gather, ", allowed_lateness: 50ms", "    filter: n < 2\n")
	w := openWorld(t, text, nil)
	w.values(1, 1, 10, 1, 2, 2)
	var second []string
	for _, row := range w.said() {
		if strings.HasPrefix(row, "q") {
			second = append(second, row)
		}
	}
	want := []string{
		"q {key:all,start:0,end:10,n:1,who:1,pane:on_time,index:0,final:false,watermark:10 watermark",
		"q {key:all,start:0,end:10,n:null,who:0,pane:late,index:1,final:false,watermark:10 watermark",
	}
	if !slices.Equal(second, want) {
		t.Errorf("got %q\nwant %q", second, want)
	}
}

// A tick makes many members say something about the same time. What comes too
// late of it has an id for each.
func TestLateContributionsHaveIDs(t *testing.T) {
	text := "pipelines:\n" + pipelineOf("p", "watermark: {out_of_orderness: 0ms, idle_timeout: 50ms}", "window: {size: 10ms}", count) + fmt.Sprintf(gather, "", "")
	w := openWorld(t, text, nil)
	for _, d := range []string{"b", "c"} {
		w.send("in/x", `{"d":"`+d+`","t":1}`)
	}
	w.now = 40
	w.send("in/x", `{"d":"a","t":1}`)
	w.send("in/x", `{"d":"a","t":31}`)
	w.send("in/x", `{"d":"a","t":61}`)
	w.tick(50)
	uniqueIDs(t, "late contributions", w.rows)
	if w.counts[0] != 2 {
		t.Errorf("%d late, want 2", w.counts[0])
	}
}

// The backlog's windows do not disturb the live ones, and what even they do not
// take is late and not counted as taken.
func TestBacklog(t *testing.T) {
	w := openWorld(t, one(slow, "backlog: {horizon: 100ms, older_than: 1h}", "window: {size: 10ms}", "aggregates: [{name: n, function: count}, {name: v, function: sum, field: v}]"), nil)
	w.values(200, 1, 101, 2, 102, 4, 50, 9, 125, 8)
	w.want("too old, and a backlog that goes on",
		"p.late {key:a,event_time:50,window_end:60,values:{v:9,s:null,b:null,m:null},pane:dropped_late watermark",
		"p {key:a,start:100,end:110,n:2,v:6,pane:on_time,index:0,final:true,historical:true,watermark:120 watermark")
	w.values(101, 2, 103, 1)
	w.want("a repetition, and one too late for the backlog", "p.late {key:a,event_time:103,window_end:110,values:{v:1,s:null,b:null,m:null},pane:dropped_late watermark")
	if w.counts != [7]int{2, 1, 0, 0, 0, 0, 3} {
		t.Errorf("counts %v", w.counts)
	}
	if n := w.tasks[0]["a"].Open(); n != 2 {
		t.Errorf("%d open, want the live window and that of the backlog", n)
	}
	w.tick(100)
	w.want("silence",
		"p {key:a,start:120,end:130,n:1,v:8,pane:on_time,index:0,final:true,historical:true,watermark:130 idle",
		"p {key:a,start:200,end:210,n:1,v:1,pane:on_time,index:0,final:true,watermark:210 idle")
}

func TestOlderThan(t *testing.T) {
	w := openWorld(t, one(slow, "backlog: {horizon: 1h, older_than: 100ms}", "window: {size: 10ms}", count), nil)
	w.now = 1000
	w.values(850, 1, 889, 1, 895, 1, 899, 1, 915, 1)
	w.want("windows that ended more than 100 ms before",
		"p {key:a,start:850,end:860,n:1,pane:on_time,index:0,final:true,historical:true,watermark:884 watermark",
		"p {key:a,start:880,end:890,n:1,pane:on_time,index:0,final:true,historical:true,watermark:890 watermark",
		"p {key:a,start:890,end:900,n:2,pane:on_time,index:0,final:true,watermark:910 watermark")
}

func TestFuture(t *testing.T) {
	ahead := func(policy string) *world {
		text := strings.Replace(one(slow, "window: {size: 10ms}", count), "ahead_max: 0s", "ahead_max: 50ms, ahead: "+policy, 1)
		w := openWorld(t, text, nil)
		w.values(100000, 1) // our clock is not known
		w.tasks[0] = map[string]*Task{}
		w.now = 1000
		w.values(1050, 1, 1051, 1, 5000, 1)
		return w
	}
	w := ahead("accept")
	if got := w.tasks[0]["a"]; got.Watermark() != 1045 || w.counts[5] != 2 || got.Open() != 2 {
		t.Errorf("accept: watermark %d, %d ahead, %d open", got.Watermark(), w.counts[5], got.Open())
	}
	w = ahead("clamp")
	if got := w.tasks[0]["a"]; got.Watermark() != 1045 || got.Open() != 1 {
		t.Errorf("clamp: watermark %d, %d open", got.Watermark(), got.Open())
	}
	w = ahead("dead_letter")
	if got := w.tasks[0]["a"]; got.Watermark() != 1045 || !slices.Equal(w.dead, []string{CauseFuture, CauseFuture}) {
		t.Errorf("dead_letter: watermark %d, %q", got.Watermark(), w.dead)
	}
}

func TestLookup(t *testing.T) {
	run := func(missing, format, content string) *world {
		text := "tables: [{name: limits, file: x, format: " + format + ", key: name, fields: [{name: high, type: number}, {name: on, type: bool}]}]\n" +
			one(slow, "lookup: [{table: limits, key: s, fields: [high, on], missing: "+missing+"}]", "compute: [{name: over, expression: v - high}]", "emit: [over, on]")
		w := openWorld(t, text, map[string]string{"limits": content})
		for i, s := range []string{`"x"`, `"y"`, `null`, `""`} {
			w.send("in/x", message(i+1, `,"v":9,"s":`+s))
		}
		return w
	}
	row := func(t int, rest string) string { return fmt.Sprintf("p {key:a,event_time:%d,%s watermark", t, rest) }
	const csv = "\xef\xbb\xbfhigh,name,on\n4,x,true\n,\"\",false\n"
	run("null", "csv", csv).want("null", row(1, "over:5,on:true"), row(2, "over:null,on:null"), row(3, "over:null,on:null"), row(4, "over:null,on:false"))
	run("drop", "ndjson", `{"name":"x","high":4.5,"on":null}`+"\n\n").want("drop", row(1, "over:4.5,on:null"))
	w := run("dead_letter", "csv", csv)
	w.want("dead_letter", row(1, "over:5,on:true"), row(4, "over:null,on:false"))
	if !slices.Equal(w.dead, []string{CauseLookup, CauseLookup}) {
		t.Errorf("dead letters %q", w.dead)
	}
	if err := w.plans[0].SetTable("limits", []byte("name\n")); err == nil || !strings.Contains(err.Error(), `line 1: there is no column "high"`) {
		t.Errorf("a column is missing: %v", err)
	}
	w.send("in/x", message(9, `,"v":9,"s":"x"`))
	w.want("a table that cannot be used changes nothing", row(9, "over:5,on:true"))
}

func TestTableErrors(t *testing.T) {
	table := TableSpec{Name: "limits", File: "limits.csv", Format: "csv", Key: "name", Fields: []FieldSpec{{Name: "high", Type: "number"}, {Name: "on", Type: "bool"}}}
	lines := table
	lines.Format = "ndjson"
	for _, c := range []struct {
		table         TableSpec
		content, want string
	}{
		{table, "", "it is empty"},
		{table, "name,high\n", `line 1: there is no column "on"`},
		{table, "high,on\n", `line 1: there is no column "name"`},
		{table, "name,high,on\nx,5,true\ny,NaN,true\n", `line 3: high is "NaN", not a number`},
		{table, "name,high,on\nx,5,maybe\n", `line 2: on is "maybe", not a bool`},
		{table, "name,high,on\nx,5\n", "wrong number of fields"},
		{lines, "{}\n", "line 1: name is missing, or not a text"},
		{lines, "{\"name\":\"x\"}\n{\"name\":\"x\",\"high\":\"5\"}", "line 2: high is not a number"},
		{lines, "[]", "line 1: json"},
		{table, strings.Repeat("x", TableBytesMax+1), "more than"},
	} {
		if _, err := c.table.Rows([]byte(c.content)); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "table limits") {
			t.Errorf("%.40q: %v, want %s", c.content, err, c.want)
		}
	}
}

func TestChanges(t *testing.T) {
	w := openWorld(t, one(slow,
		"changes: [{name: before, function: lag, field: v, steps: 2}, {name: new, function: had_changed, field: s}, {name: d, function: delta_previous, field: w}]",
		"compute: [{name: up, expression: d > 0 and new}, {name: w, expression: v * 2}, {name: half, expression: d / 2}]",
		"emit: [w, before, new, d, up, half]"), nil)
	row := func(i int, rest string) string { return fmt.Sprintf("p {key:a,event_time:%d,%s end", i, rest) }
	for i, rest := range []string{`,"v":1,"s":"x"`, `,"v":4,"s":"x"`, `,"s":"y"`, `,"v":5,"s":"y"`} {
		w.send("in/x", message(i+1, rest))
	}
	w.end()
	w.want("rows",
		row(1, "w:2,before:null,new:true,d:null,up:null,half:null"), row(2, "w:8,before:null,new:false,d:6,up:false,half:3"),
		row(3, "w:null,before:1,new:true,d:null,up:null,half:null"), row(4, "w:10,before:4,new:false,d:2,up:false,half:1"))
}

// Watermarks by other rules reach the windows as by the default one.
func TestWatermarksOfTasks(t *testing.T) {
	mark := func(rule string) edged.Timestamp {
		w := openWorld(t, one("watermark: {"+rule+"}", "window: {size: 10ms}", count), nil)
		for i := range 100 {
			w.send("in/x", message(1000+10*i-i%3, fmt.Sprintf(`,"s":"%c","m":%d`, 'x'+i%2, 500+i)))
		}
		w.advance(777)
		return w.tasks[0]["a"].Watermark()
	}
	for rule, want := range map[string]edged.Timestamp{
		"out_of_orderness: 7ms":           1983,
		"type: ascending":                 1991,
		"type: punctuated, field: m":      599,
		"type: manual":                    777,
		"out_of_orderness: 0s, per: s":    1978,
		"type: quantile, delay_max: 64ms": -1,
	} {
		if rule == "type: quantile, delay_max: 64ms" {
			rule += ", out_of_orderness: 5ms"
			want = 1985
		}
		if got := mark(rule); got != want {
			t.Errorf("%s: watermark %d, want %d", rule, got, want)
		}
	}
}

// A held event that was stored by nobody does not end the program.
func TestRestoreOfHeldEventWithoutValues(t *testing.T) {
	plan := func(fields string) *Plan {
		text := one(slow, "changes: [{name: d, function: delta_previous, field: v}, {function: swinging_door, field: v, by: 1}]", "compute: [{name: c, expression: d + 1}]", "emit: [c"+fields+"]")
		return openWorld(t, strings.Replace(text, "    late_output: [stdout: {}]\n", "", 1), nil).plans[0]
	}
	short, long := plan(""), plan(", s, b")
	task, out := short.NewTask("a"), edged.Output{}
	for i := range edged.Timestamp(3) {
		task.Observe(&out, &edged.Event{Key: "a", EventTime: 10 * i, Values: make([]edged.Value, short.Room())}, 0)
	}
	for i := range edged.Timestamp(3) {
		values := make([]edged.Value, short.Room())
		slot, _ := short.Slot(0, "v")
		values[slot] = edged.NumberValue(1)
		task.Observe(&out, &edged.Event{Key: "a", EventTime: 40 + 10*i, Values: values}, 0)
	}
	task.Tick(&out, 9, 1)
	task.Advance(&out, 69, 9, 1) // nothing waits but what is held
	data := state(t, task)
	binary.LittleEndian.PutUint64(data, long.fold.fingerprint)
	other := long.NewTask("a")
	if err := other.Restore(data); err != nil {
		t.Fatal(err)
	}
	if other.Open() != 1 {
		t.Fatalf("%d open, want the one that is held", other.Open())
	}
	other.End(&out, 10, other.Active())
}

// Columns may have names that mean something else in expressions.
func TestColumnsThatAreFunctions(t *testing.T) {
	text := "pipelines:\n" + pipelineOf("p", slow, "window: {size: 10ms}", "aggregates: [{name: max, function: max, field: v}, {name: n, function: count}]") +
		fmt.Sprintf(gather, "", "    filter: max > 5\n")
	w := openWorld(t, text, nil)
	w.values(1, 3, 12, 9)
	w.end()
	if got := w.said(); len(got) != 3 || !strings.HasPrefix(got[2], "q {key:all,start:10,end:20,n:1") {
		t.Errorf("got %q", got)
	}
}

func TestConditionsOfEndlessPipelines(t *testing.T) {
	for window, want := range map[string]string{
		"window: {type: session, gap: 5s}":                                         "1h",
		"window: {type: count, count: 5}":                                          "1h",
		"window: {type: hopping, size: 5s, period: 1s}":                            "exactly once",
		"window: {type: state, change_of: s}":                                      "exactly once",
		"backlog: {horizon: 2h}\n    window: {size: 9s}":                           "exactly once",
		"backlog: {horizon: 2h}\n    dedup: {horizon: 1m}\n    window: {size: 9s}": "shorter",
	} {
		text := strings.ReplaceAll(one(slow, window, count), "[stdout: {}]", "[{mqtt: {topic: x}}]")
		p := openWorld(t, text, nil).plans[0]
		if got := p.Conditions(); len(got) != 1 || !strings.Contains(got[0], want) {
			t.Errorf("%s: %q", window, got)
		}
		if d := p.Describe(); !strings.Contains(d, "guarantee") {
			t.Error(d)
		}
	}
	rows := openWorld(t, strings.ReplaceAll(one(slow), "[stdout: {}]", "[{mqtt: {topic: x}}]"), nil).plans[0]
	if got := rows.Conditions(); len(got) != 1 || !strings.Contains(got[0], "1h") {
		t.Errorf("rows: %q", got)
	}
}

// Time waits for what is held back.
func TestWindowsWaitForWhatIsHeld(t *testing.T) {
	w := openWorld(t, one(slow, "changes: [{function: swinging_door, field: v, by: 1}]", "window: {size: 10ms}", count), nil)
	w.values(1, 1, 2, 1, 3, 1, 18, 90)
	w.want("3 may be a corner")
	w.tick(100)
	w.want("it is",
		"p {key:a,start:0,end:10,n:2,pane:on_time,index:0,final:true,watermark:19 idle",
		"p {key:a,start:10,end:20,n:1,pane:on_time,index:0,final:true,watermark:20 idle")
	if w.counts != [7]int{0, 0, 0, 0, 1, 0, 0} {
		t.Errorf("counts %v, want one that was suppressed", w.counts)
	}
}

func TestOrder(t *testing.T) {
	w := openWorld(t, one(slow, "order: event_time", "order_max: 2", "emit: [v]"), nil)
	w.values(13, 1, 11, 2, 12, 3)
	w.want("one too many", "p.late {key:a,event_time:13,window_end:14,values:{v:1,s:null,b:null,m:null},pane:dropped_late watermark")
	if w.counts[2] != 1 || len(w.missed) != 1 || !w.missed[0].Limit || w.tasks[0]["a"].Open() != 2 {
		t.Errorf("counts %v, missed %v, %d open", w.counts, w.missed, w.tasks[0]["a"].Open())
	}
	w.values(7, 4)
	w.want("behind the watermark", "p.late {key:a,event_time:7,window_end:8,values:{v:4,s:null,b:null,m:null},pane:dropped_late watermark")
	w.tick(100)
	w.want("silence", "p {key:a,event_time:11,v:2 idle", "p {key:a,event_time:12,v:3 idle")
	w.values(12, 5, 14, 6)
	w.end()
	w.want("time has come to 14", "p.late {key:a,event_time:12,window_end:13,values:{v:5,s:null,b:null,m:null},pane:dropped_late watermark", "p {key:a,event_time:14,v:6 end")
}
