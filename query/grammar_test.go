package query

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"edged"
)

// one writes a document of one pipeline over the messages of randomActs.
func one(lines ...string) string { return "pipelines:\n" + pipelineOf("p", lines...) }

func pipelineOf(name string, lines ...string) string {
	text := `  - name: ` + name + `
    source: {topic: in/+}
    key: {field: d}
    event_time: {field: t, ahead_max: 0s}
    fields: [{name: v, type: number}, {name: s, type: text}, {name: b, type: bool}, {name: m, type: number}]
    outputs: [stdout: {}]
    late_output: [stdout: {}]
`
	for _, line := range lines {
		text += "    " + line + "\n"
	}
	return text
}

const (
	sums     = "aggregates: [{name: n, function: count}, {name: v, function: sum, field: v, where: v < 9}, {name: l, function: last, field: s}]"
	slow     = "watermark: {out_of_orderness: 5ms, idle_timeout: 100ms}"
	joinHead = `
  - name: p
    streams:
      - {name: l, source: {topic: in/left}, key: {field: d}, event_time: {field: t}, fields: [{name: v, type: number}, {name: s, type: text}], compute: [{name: w, expression: v + 1}]}
      - {name: r, source: {topic: in/right}, key: {field: d}, event_time: {field: t}, fields: [{name: v, type: number}, {name: b, type: bool}], filter: v != 3}
    watermark: {out_of_orderness: 5ms, idle_timeout: 100ms}
    outputs: [stdout: {}]
    late_output: [stdout: {}]
`
)

// grammar is documents that together use everything that a pipeline can say.
var grammar = map[string]string{
	"tumbling":  one(slow, "window: {size: 10ms, offset: 3ms, allowed_lateness: 20ms}", sums),
	"empty":     one(slow, "window: {size: 10ms, empty: true}", sums),
	"final":     one(slow, "window: {size: 10ms, allowed_lateness: 20ms, trigger: {final_only: true}}", sums),
	"hopping":   one(slow, "window: {type: hopping, size: 20ms, period: 5ms, allowed_lateness: 10ms}", sums),
	"holes":     one(slow, "window: {type: hopping, size: 5ms, period: 8ms}", sums),
	"cumulate":  one(slow, "window: {type: cumulate, size: 20ms, step: 5ms, allowed_lateness: 9ms, accumulation: retracting, trigger: {early: {any: [{events: 3}, {delay: 4ms}], repeat: false}, late: {sequence: [{events: 1}, {events: 2}]}}}", sums),
	"calendar":  one(slow, "window: {type: calendar, unit: shift, zone: Europe/Berlin, shifts: ['06:00', '14:00'], trigger: {early: {every: 10ms, until: {events: 9}}}}", sums),
	"session":   one(slow, "window: {type: session, gap: 4ms, allowed_lateness: 20ms, accumulation: retracting}", sums),
	"merging":   one(slow, "window: {type: session, gap: 4ms, allowed_lateness: 20ms, trigger: {early: {all: [{events: 2}, {delay: 1ms}]}}}", sums),
	"capped":    one(slow, "window: {type: session, gap: 4ms, max_duration: 9ms}", sums),
	"count":     one(slow, "window: {type: count, count: 5, count_step: 3, partial: true}", sums),
	"counted":   one(slow, "order: event_time", "window: {type: count, count: 2, count_step: 3}", sums),
	"sliding":   one(slow, "window: {type: sliding, size: 10ms, look_ahead: 3ms, when: b or v > 6, allowed_lateness: 9ms, trigger: {early: {events: 1}}, elements_max: 20}", sums),
	"open":      one(slow, "window: {type: state, open: v > 6, close: b, max_duration: 15ms}", sums),
	"run":       one(slow, "window: {type: state, change_of: s}", sums),
	"global":    one(slow, "window: {type: global, accumulation: discarding, trigger: {early: {events: 4}}}", sums),
	"backlog":   one(slow, "backlog: {horizon: 1h, older_than: 50ms}", "window: {size: 10ms}", sums),
	"backruns":  one(slow, "backlog: {horizon: 1h}", "changes: [{function: dead_band, field: v, by: 1}]", "window: {type: state, change_of: s}", sums),
	"dedup":     one(slow, "dedup: {by: fields, fields: [s, v], max_entries: 5}", "filter: v > 1", "window: {size: 10ms}", sums),
	"rows":      one(slow, "compute: [{name: w, expression: v * 2}]", "emit: [w, s]"),
	"ordered":   one(slow, "order: event_time", "order_max: 4"),
	"changes":   one(slow, "changes: [{name: before, function: lag, field: v, steps: 2}, {name: new, function: had_changed, field: s}, {name: d, function: delta_previous, field: v}]", "compute: [{name: w, expression: v * 2}, {name: up, expression: d > 0}, {name: x, expression: w + before}]"),
	"door":      one(slow, "changes: [{function: swinging_door, field: v, by: 2, max_interval: 40ms}]", "window: {size: 10ms}", sums),
	"doors":     one(slow, "changes: [{name: d, function: delta_previous, field: v}, {function: swinging_door, field: v, by: 1}, {function: swinging_door, field: v, by: 3}]", "compute: [{name: half, expression: d / 2}]", "window: {type: sliding, size: 9ms, when: half > 0}", "aggregates: [{name: n, function: count, where: half < 2}, {name: twa, function: time_weighted_avg, field: half}]"),
	"per":       one("watermark: {out_of_orderness: 2ms, idle_timeout: 100ms, per: s, sources_max: 2}", "window: {size: 10ms}", sums),
	"percount":  one("watermark: {out_of_orderness: 2ms, idle_timeout: 100ms, per: s}", "window: {type: count, count: 4, partial: true}", sums),
	"perrun":    one("watermark: {out_of_orderness: 2ms, idle_timeout: 30ms, per: s}", "window: {type: state, change_of: b}", sums),
	"mark":      one("watermark: {type: punctuated, field: m, idle_timeout: 100ms}", "window: {size: 10ms}", sums),
	"ascending": one("watermark: {type: ascending, idle_timeout: 100ms}", "window: {size: 10ms}", sums),
	"quantile":  one("watermark: {type: quantile, quantile: 0.9, delay_max: 30ms, out_of_orderness: 1ms, idle_timeout: 100ms}", "window: {size: 10ms}", sums),
	"manual":    one("watermark: {type: manual}", "window: {size: 10ms, allowed_lateness: 5ms}", sums),
	"interval":  "pipelines:" + joinHead + "    join: {kind: full, lower: -5ms, upper: 8ms, events_max: 9}\n    compute: [{name: d, expression: l_w - r_v}, {name: k, expression: '1'}]\n    window: {size: 10ms, allowed_lateness: 5ms}\n    aggregates: [{name: n, function: count, where: 'true'}, {name: d, function: sum, field: d}, {name: k, function: sum, field: k}]\n",
	"matches":   "pipelines:" + joinHead + "    join: {kind: left, upper: 8ms}\n    filter: l_v > 1\n",
	"as_of":     "pipelines:" + joinHead + "    join: {type: as_of, kind: left, tolerance: 9ms}\n    window: {type: state, change_of: l_s}\n    aggregates: [{name: n, function: count}, {name: v, function: sum, field: r_v}]\n",
	"both":      "pipelines:" + joinHead + "    join: {type: window, kind: full}\n    window: {type: hopping, size: 9ms, period: 6ms}\n",
	"looked":    "tables: [{name: limits, file: x, key: name, fields: [{name: high, type: number}, {name: area, type: text}]}]\n" + one(slow, "lookup: [{table: limits, key: s, fields: [high, area]}]", "filter: v < high", "window: {size: 10ms}", "aggregates: [{name: n, function: count}, {name: a, function: last, field: area}]"),
	"ahead":     guarded(one(slow, "window: {type: session, gap: 4ms, allowed_lateness: 20ms, trigger: {early: {delay: 3ms}}}", sums)),
	"aheads":    guarded(one(slow, "order: event_time", "order_max: 4", "backlog: {horizon: 1h}", "window: {type: state, change_of: s}", sums)),
	"clamped":   strings.ReplaceAll(guarded(one(slow, "dedup: {by: fields, fields: [s, v]}", "window: {size: 10ms}", sums)), "ahead_max: 5ms", "ahead_max: 5ms, ahead: clamp"),
	"groups":    guarded("pipelines:\n" + pipelineOf("p", slow, "window: {type: count, count: 2, partial: true}", sums) + fmt.Sprintf(gather, "", "")),
	"stages": "pipelines:\n" + pipelineOf("p", slow, "window: {type: session, gap: 4ms, allowed_lateness: 20ms, accumulation: retracting}", sums) + `
  - name: q
    source: {pipeline: p}
    key: {value: all}
    filter: n > 1
    group: {members: [a, z], contributions_max: 30}
    watermark: {out_of_orderness: 3ms, idle_timeout: 100ms}
    window: {size: 20ms, allowed_lateness: 20ms, trigger: {early: {events: 2}}}
    aggregates: [{name: n, function: sum, field: n}, {name: m, function: merge, field: v}, {name: who, function: last, field: key}]
    outputs: [stdout: {}]
    late_output: [stdout: {}]
`,
}

// guarded lets the events of a document be ahead of the gateway's clock a little only.
func guarded(text string) string { return strings.ReplaceAll(text, "ahead_max: 0s", "ahead_max: 5ms") }

var grammarTables = map[string]string{"limits": "name,high,area\nx,5,north\ny,9,\n"}

// pairs of documents over the same messages go on with the same bytes, whether
// they are stored and restored before every step, and whether keys that have
// nothing open get ticks. No two rows of a stream have the same id.
func TestGrammar(t *testing.T) {
	r := taskRandom(t)
	rounds := 3
	if testing.Short() {
		rounds = 1
	}
	for _, name := range slices.Sorted(maps.Keys(grammar)) {
		results := 0
		for range rounds {
			acts := randomActs(r, 150)
			steady, moved, lazy := openWorld(t, grammar[name], grammarTables), openWorld(t, grammar[name], grammarTables), openWorld(t, grammar[name], grammarTables)
			moved.restores, lazy.lazy = true, true
			for i, a := range acts {
				for _, w := range []*world{steady, moved, lazy} {
					w.do(a)
				}
				agree(t, name, acts[:i+1], steady, moved, true)
				agree(t, name, acts[:i+1], steady, lazy, false)
			}
			for _, w := range []*world{steady, moved, lazy} {
				w.end()
			}
			agree(t, name, acts, steady, moved, true)
			agree(t, name, acts, steady, lazy, false)
			uniqueIDs(t, name, steady.rows)
			results += len(steady.rows)
			for i := range steady.plans {
				for _, task := range steady.tasks[i] {
					if task.Due() != edged.MaxTimestamp || task.Bytes() <= 0 {
						t.Errorf("%s: after the end a task is due at %d, has %d bytes", name, task.Due(), task.Bytes())
					}
				}
			}
		}
		if results == 0 {
			t.Errorf("%s: no results: the test tests nothing", name)
		}
	}
}

// agree compares two worlds.
func agree(t *testing.T, name string, acts []act, a, b *world, states bool) {
	t.Helper()
	if !slices.Equal(a.rows, b.rows) || a.counts != b.counts || !slices.Equal(a.missed, b.missed) || !slices.Equal(a.dead, b.dead) {
		for i := range max(len(a.rows), len(b.rows)) {
			if i >= len(a.rows) || i >= len(b.rows) || a.rows[i] != b.rows[i] {
				t.Errorf("row %d: %q against %q", i, a.rows[i:], b.rows[i:])
				break
			}
		}
		t.Fatalf("%s: after %d steps, the last %+v: %v and %v, restored %t, lazy %t", name, len(acts), acts[len(acts)-1], a.counts, b.counts, b.restores, b.lazy)
	}
	if !states {
		return
	}
	for i := range a.plans {
		for key, task := range a.tasks[i] {
			if !bytes.Equal(state(t, task), state(t, b.tasks[i][key])) {
				t.Fatalf("%s: after %d steps the states of %s differ", name, len(acts), key)
			}
		}
	}
}

func uniqueIDs(t *testing.T, name string, rows []string) {
	t.Helper()
	seen := map[string]string{}
	for _, row := range rows {
		_, id, _ := strings.Cut(row, `"id":"`)
		stream, _, _ := strings.Cut(row, " ")
		id = stream + id[:22]
		if before, known := seen[id]; known {
			t.Fatalf("%s: one id for\n%s\n%s", name, before, row)
		}
		seen[id] = row
	}
}

// FuzzRestoreGrammar: no bytes make a task of any kind panic, then or later, and
// what was restored is stored again as it was.
func FuzzRestoreGrammar(f *testing.F) {
	names := slices.Sorted(maps.Keys(grammar))
	r := rand.New(rand.NewPCG(5, 6))
	var acts []act
	for i, name := range names {
		w := openWorld(f, grammar[name], grammarTables)
		for j, a := range randomActs(r, 60) {
			w.do(a)
			for k := range w.tasks {
				for _, key := range slices.Sorted(maps.Keys(w.tasks[k])) {
					if j%15 == 14 {
						f.Add(byte(i), byte(k), state(f, w.tasks[k][key])[9:])
					}
				}
			}
			acts = append(acts, a)
		}
	}
	acts = acts[:120]
	worlds := map[string]*world{}
	for _, name := range names {
		worlds[name] = openWorld(f, grammar[name], grammarTables)
	}
	f.Fuzz(func(t *testing.T, document, pipeline byte, data []byte) {
		name := names[int(document)%len(names)]
		w := world{t: t, plans: worlds[name].plans}
		for range w.plans {
			w.tasks, w.quiet = append(w.tasks, map[string]*Task{}), append(w.quiet, map[string]bool{})
		}
		i := int(pipeline) % len(w.plans)
		head := append(binary.LittleEndian.AppendUint64(nil, w.plans[i].fold.fingerprint), taskFormat)
		for _, key := range []string{"a", "b", "all"} {
			task := w.plans[i].NewTask(key)
			if err := task.Restore(append(slices.Clone(head), data...)); err != nil {
				if !errors.Is(err, ErrState) {
					t.Fatal(err)
				}
				return
			}
			stored := state(t, task)
			again := w.plans[i].NewTask(key)
			if err := again.Restore(stored); err != nil || !bytes.Equal(state(t, again), stored) {
				t.Fatalf("%s: restoring what was restored changes it: %v", name, err)
			}
			w.tasks[i][key] = task
		}
		for _, a := range acts {
			w.do(a)
		}
		w.end()
	})
}

// FuzzDerive: no bytes make a pipeline that gathers results panic, and those of a
// pipeline's results come back.
func FuzzDerive(f *testing.F) {
	w := openWorld(f, grammar["stages"], nil)
	p, q := w.plans[0], w.plans[1]
	for _, r := range []edged.Result{
		{Key: "a", Start: -3, End: 9, Values: []edged.Value{edged.NumberValue(2), {}, edged.TextValue("x")}, Partial: []byte{1, 2}},
		{Kind: edged.RetractResult, Key: "", Start: edged.MinTimestamp, End: edged.MaxTimestamp, Watermark: edged.MaxTimestamp, Index: 7},
	} {
		f.Add(p.AppendDerived(nil, &r))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var ev edged.Event
		err := q.Derive(&ev, data)
		poison, _ := errors.AsType[*edged.PoisonError](err)
		if err != nil && !errors.Is(err, ErrDerived) && !errors.Is(err, ErrFiltered) && poison == nil {
			t.Fatal(err)
		}
		if err != nil {
			return
		}
		if len(ev.Values) != q.Room() || ev.From == nil || ev.Key != "all" {
			t.Fatalf("%+v", ev)
		}
		var out edged.Output
		task := q.NewTask("all")
		task.Observe(&out, &ev, 0)
		task.Observe(&out, &ev, 500)
		task.End(&out, 9, task.Active())
		for i := range out.Results {
			if row := q.AppendRow(nil, &out.Results[i], "g", 1); !json.Valid(row) {
				t.Fatalf("%s", row)
			}
		}
	})
}

// FuzzTable: no content of a file makes a reference table panic.
func FuzzTable(f *testing.F) {
	f.Add("name,high,area\nx,5,north\n", false)
	f.Add("\xef\xbb\xbfname,high,area\n\"a\n\",,\n", false)
	f.Add(`{"name":"x","high":5}`+"\n\n"+`{"name":"y","area":null}`, true)
	f.Fuzz(func(t *testing.T, content string, lines bool) {
		table := TableSpec{Name: "limits", File: "x", Format: "csv", Key: "name", Fields: []FieldSpec{{Name: "high", Type: "number"}, {Name: "area", Type: "text"}, {Name: "on", Type: "bool"}}}
		if lines {
			table.Format = "ndjson"
		}
		rows, err := table.Rows([]byte(content))
		if err != nil && (!errors.Is(err, ErrTable) || rows != nil) {
			t.Fatalf("%v, %d rows", err, len(rows))
		}
		for key, row := range rows {
			if len(row) != 3 || row[0].Kind > edged.Number || row[1].Kind != edged.Null && row[1].Kind != edged.Text {
				t.Fatalf("%q: %v", key, row)
			}
		}
	})
}
