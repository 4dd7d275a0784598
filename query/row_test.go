package query_test

import (
	"encoding/json"
	"strings"
	"testing"

	"edged"
	"edged/query"
)

func TestIDs(t *testing.T) {
	plan := compile(t, document("late_output: [mqtt: {topic: 'late/{key}'}]"))
	row := func(p *query.Plan, gateway string, seq uint64, change func(r *edged.Result)) string {
		r := edged.Result{Key: "a", Start: 1, End: 2, Trigger: 3, Values: make([]edged.Value, 4)}
		change(&r)
		return idOf(t, p.AppendRow(nil, &r, gateway, seq))
	}
	same := func(*edged.Result) {}
	base := row(plan, "g", 1, same)
	for name, id := range map[string]string{
		"gateway": row(plan, "h", 1, same),
		"seq":     row(plan, "g", 2, same),
		"trigger": row(plan, "g", 1, func(r *edged.Result) { r.Trigger = 9 }),
		"cause":   row(plan, "g", 1, func(r *edged.Result) { r.Cause = edged.ByIdle }),
		"values":  row(plan, "g", 1, func(r *edged.Result) { r.Values[0] = edged.NumberValue(1) }),
	} {
		if id != base {
			t.Errorf("%s: the id changed", name)
		}
	}
	other := compile(t, strings.Replace(document(), "name: p", "name: q", 1))
	seen := map[string]string{base: "base"}
	for name, id := range map[string]string{
		"pipeline": row(other, "g", 1, same),
		"key":      row(plan, "g", 1, func(r *edged.Result) { r.Key = "b" }),
		"start":    row(plan, "g", 1, func(r *edged.Result) { r.Start = 0 }),
		"end":      row(plan, "g", 1, func(r *edged.Result) { r.End = 3 }),
		"index":    row(plan, "g", 1, func(r *edged.Result) { r.Index = 3 }),
		"late":     row(plan, "g", 1, func(r *edged.Result) { r.Kind, r.Index = edged.LateResult, 3 }),
		"late, 2":  row(plan, "g", 1, func(r *edged.Result) { r.Kind, r.Trigger = edged.LateResult, 4 }),
	} {
		if with, ok := seen[id]; ok {
			t.Errorf("%s has the id of %s", name, with)
		}
		seen[id] = name
	}
}

// Ids are stored upstream. They must not change from version to version.
func TestIDIsStable(t *testing.T) {
	plan := compile(t, document())
	r := edged.Result{Key: "a", Start: 1, End: 2, Values: make([]edged.Value, 1)}
	const want = "80fqVW8yMiCTLrJeeCnkRA"
	if got := idOf(t, plan.AppendRow(nil, &r, "g", 1)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestRowIsJSON(t *testing.T) {
	plan := compile(t, document(`output_key: "a \"key\""`, `aggregates: [{name: "ä \\ \n", function: last, field: s}]`, "late_output: [stdout: {}]"))
	for _, kind := range []edged.ResultKind{edged.PaneResult, edged.LateResult} {
		r := edged.Result{Kind: kind, Key: "k\"\n\u2028", Start: edged.MinTimestamp, End: edged.MaxTimestamp,
			Values: []edged.Value{edged.TextValue("\x00\\"), {}, edged.BoolValue(true), edged.NumberValue(1e-7)}}
		row := plan.AppendRow(nil, &r, "g\"", 1<<63)
		var tree map[string]any
		if err := json.Unmarshal(row, &tree); err != nil {
			t.Fatalf("%s: %v", row, err)
		}
		if tree[`a "key"`] != r.Key || tree["gateway"] != "g\"" {
			t.Errorf("%s", row)
		}
		if kind == edged.LateResult {
			if values := tree["values"].(map[string]any); tree["pane"] != "dropped_late" || values["x"] != "\x00\\" || values["y"] != nil || values["s"] != true {
				t.Errorf("%s", row)
			}
		} else if tree["ä \\ \n"] != "\x00\\" || tree["pane"] != "on_time" {
			t.Errorf("%s", row)
		}
	}
}

func TestTopics(t *testing.T) {
	plan := compile(t, document("late_output: [stdout: {}, mqtt: {topic: '{key}/late/{key}'}]"))
	for key, want := range map[string]string{
		"d1":         "out/d1",
		"a/b":        "out/a%2Fb",
		"+":          "out/%2B",
		"#":          "out/%23",
		"$SYS":       "out/%24SYS",
		"%2F":        "out/%252F",
		"a\x00b\x1f": "out/a%00b%1F",
		"ä 😀":        "out/ä 😀",
		"\u0085":     "out/%C2%85",
		"\ufffe":     "out/%EF%BF%BE",
		"\xff":       "out/%FF",
	} {
		if got := plan.Topic(&edged.Result{Key: key}, 0); got != want {
			t.Errorf("%q: got %q, want %q", key, got, want)
		}
	}
	late := &edged.Result{Kind: edged.LateResult, Key: "a/b"}
	if got := plan.Topic(late, 1); got != "a%2Fb/late/a%2Fb" {
		t.Errorf("got %q", got)
	}
	if plan.Topic(late, 0) != "" || plan.Topic(late, 2) != "" || plan.Topic(late, -1) != "" {
		t.Error("an output without topic has one")
	}
}

func TestAppendRowDoesNotAllocate(t *testing.T) {
	plan, r := rowOfSeven(t)
	buf := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() { buf = plan.AppendRow(buf[:0], r, "gateway", 17) }); n != 0 {
		t.Errorf("got %v allocations", n)
	}
}

func rowOfSeven(t testing.TB) (*query.Plan, *edged.Result) {
	plan := compile(t, document("aggregates: [{name: count, function: count}, {name: sum, function: sum, field: x}, {name: avg, function: avg, field: x}, {name: min, function: min, field: x}, {name: max, function: max, field: x}, {name: first, function: first, field: x}, {name: last, function: last, field: x}]"))
	r := &edged.Result{Key: "d000123", Start: 1700000000000, End: 1700000010000}
	for i := range 7 {
		r.Values = append(r.Values, edged.NumberValue(21.37*float64(i)))
	}
	return plan, r
}

func BenchmarkAppendRow(b *testing.B) {
	plan, r := rowOfSeven(b)
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		buf = plan.AppendRow(buf[:0], r, "gateway", 17)
	}
}

func BenchmarkDecode(b *testing.B) {
	for name, extra := range map[string][]string{
		"plain":   {"aggregates: [{name: n, function: sum, field: x}]"},
		"filter":  {"filter: x > 3 and x < 100", "aggregates: [{name: n, function: sum, field: x}]"},
		"compute": {"compute: [{name: f, expression: x * 1.8 + 32}]", "aggregates: [{name: n, function: sum, field: f}]"},
	} {
		b.Run(name, func(b *testing.B) {
			plan := compile(b, document(extra...))
			payload := []byte(`{"k":"d000123","t":1700000000000,"x":21.37,"hum":48.2,"site":"north"}`)
			var ev edged.Event
			b.ReportAllocs()
			for b.Loop() {
				if err := plan.Decode(&ev, "in/1", payload); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
