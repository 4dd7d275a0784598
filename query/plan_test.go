package query_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"edged"
	"edged/query"
)

// document writes a document of one pipeline over number x and texts a, b; extra
// lines are added to the pipeline.
func document(extra ...string) string {
	lines := []string{
		"pipelines:",
		"  - name: p",
		"    source: {topic: in/+}",
		"    key: {field: k}",
		"    event_time: {field: t}",
		"    fields: [{name: x, type: number}, {name: y, type: number, path: deep.y}, {name: s, type: text}, {name: b, type: bool}]",
		"    window: {size: 10s}",
		"    outputs: [mqtt: {topic: \"out/{key}\"}]",
	}
	for _, line := range extra {
		lines = append(lines, "    "+line)
	}
	if !strings.Contains(strings.Join(extra, "\n"), "aggregates:") {
		lines = append(lines, "    aggregates: [{name: n, function: count}]")
	}
	return strings.Join(lines, "\n") + "\n"
}

func compile(t testing.TB, text string) *query.Plan {
	t.Helper()
	doc, err := query.Parse("test.yaml", []byte(text), none)
	if err != nil {
		t.Fatalf("%s\n%v", text, err)
	}
	plan, err := query.Compile(&doc.Pipelines[0], query.Env{Tables: doc.Tables})
	if err != nil {
		t.Fatalf("%s\n%v", text, err)
	}
	return plan
}

func TestExamplesCompile(t *testing.T) {
	files, _ := filepath.Glob("../configs/examples/*.yaml")
	if len(files) < 2 {
		t.Fatalf("there are %d examples", len(files))
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if faults := faultsOf(file, text); len(faults) > 0 {
			t.Error(faults)
		}
		doc, err := query.Parse(file, text, none)
		if err != nil {
			t.Fatal(err)
		}
		plans, err := doc.Compile(false)
		if err != nil {
			t.Fatal(err)
		}
		for _, plan := range plans {
			if d := plan.Describe(); !strings.Contains(d, "guarantee") {
				t.Error(d)
			}
		}
	}
}

func TestFilterAndCompute(t *testing.T) {
	tests := []struct{ name, expression, payload, want string }{
		{"number", "x * 1.8 + 32", `"x":10`, "50"},
		{"division is real", "7 / 2", `"x":10`, "3.5"},
		{"precedence", "2 + 3 * 4 ** 2", `"x":1`, "50"},
		{"null in, null out", "x + y", `"x":10`, "null"},
		{"null on an unused branch", "b ? x : y", `"b":true,"x":1`, "null"},
		{"nested path", "x + y", `"x":10,"deep":{"y":1}`, "11"},
		{"text", `upper(s) + "!"`, `"s":"a"`, `"A!"`},
		{"text length", `len(s) * 2`, `"s":"äö"`, "4"},
		{"bool", "b and x > 1", `"b":true,"x":2`, "true"},
		{"in texts", `s in ["a", "b"]`, `"s":"b"`, "true"},
		{"in numbers", `x in [1, 2, 3]`, `"x":2`, "true"},
		{"not in", `not (x in [1, 2, 3])`, `"x":2`, "false"},
		{"not in, one word", `x not in [1, 2, 3]`, `"x":2`, "false"},
		{"pattern", `s matches "^a+$"`, `"s":"aaa"`, "true"},
		{"functions", "max(min(x, 3), 1) + abs(-1) + round(2.5) + mod(7, 4) + pow(2, 3) + sqrt(9) + floor(1.5) + ceil(1.5)", `"x":9`, "24"},
		{"huge whole number", "x + 9007199254740992.0", `"x":0`, "9.007199254740992e+15"},
		{"divided by zero", "1 / x", `"x":0`, "expression"},
		{"zero by zero", "x / x", `"x":0`, "expression"},
		{"too large", "x * x", `"x":1e200`, "expression"},
		{"root of a negative", "sqrt(x)", `"x":-1`, "expression"},
	}
	for _, test := range tests {
		plan := compile(t, document("compute: [{name: r, expression: '"+test.expression+"'}]", "aggregates: [{name: n, function: last, field: r}]"))
		var ev edged.Event
		err := plan.Decode(&ev, "in/1", []byte(`{"k":"a","t":1,`+test.payload+`}`))
		got := ""
		if p, ok := errors.AsType[*edged.PoisonError](err); ok {
			got = p.Cause
		} else if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		} else {
			got = string(ev.Values[plan.Aggregates[0].Slot].AppendJSON(nil))
		}
		if got != test.want {
			t.Errorf("%s: got %s, want %s", test.name, got, test.want)
		}
	}
}

// A document works on machines of 32 and 64 bits, or on neither.
func TestWholeNumbersFitIn32Bits(t *testing.T) {
	compile(t, document("filter: x > 2147483647 and x > 2147483648.0"))
	if faults := faultsOf("f", []byte(document("filter: x > 2147483648"))); len(faults) != 1 || !strings.Contains(faults[0].Hint, "5000000000.0") {
		t.Errorf("got %v", faults)
	}
}

func TestFilter(t *testing.T) {
	plan := compile(t, document("filter: x > 1 or s == 'a'"))
	for payload, want := range map[string]error{
		`"x":2,"s":"b"`:    nil,
		`"x":0,"s":"a"`:    nil,
		`"x":0,"s":"b"`:    query.ErrFiltered,
		`"x":2`:            query.ErrFiltered, // s is null, so the whole is
		`"x":2,"s":null`:   query.ErrFiltered,
		`"x":1e300,"s":""`: nil,
	} {
		var ev edged.Event
		if err := plan.Decode(&ev, "in/1", []byte(`{"k":"a","t":1,`+payload+`}`)); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", payload, err, want)
		}
	}
}

func TestSlots(t *testing.T) {
	for name, test := range map[string]struct {
		extra []string
		want  string
	}{
		"count only":  {nil, "[]"},
		"one":         {[]string{"aggregates: [{name: n, function: sum, field: y}]"}, "[y]"},
		"filter":      {[]string{"filter: s == 'a'"}, "[s]"},
		"computed":    {[]string{"compute: [{name: c, expression: x + 1}, {name: d, expression: c + y}, {name: e, expression: 's'}]", "aggregates: [{name: n, function: sum, field: d}]"}, "[x y c d]"},
		"identity":    {[]string{"dedup: {by: fields, fields: [s]}"}, "[s]"},
		"late output": {[]string{"late_output: [stdout: {}]"}, "[x y s b]"},
	} {
		if got := fmt.Sprint(compile(t, document(test.extra...)).Slots); got != test.want {
			t.Errorf("%s: got %s, want %s", name, got, test.want)
		}
	}
}

func TestKeyFromTopic(t *testing.T) {
	text := strings.Replace(document(), "key: {field: k}", "key: {topic_level: 1}", 1)
	plan := compile(t, strings.Replace(text, "in/+", "in/#", 1))
	for topic, want := range map[string]string{
		"in/a": "a", "in/a/b": "a", "in": "missing_key", "in/": "missing_key", "in//b": "missing_key",
		"in/" + strings.Repeat("k", 257): "key_too_long", "in/\xff": "syntax",
	} {
		var ev edged.Event
		err := plan.Decode(&ev, topic, []byte(`{"t":1}`))
		if p, ok := errors.AsType[*edged.PoisonError](err); ok {
			ev.Key = p.Cause
		}
		if ev.Key != want {
			t.Errorf("%s: got %q, want %q", topic, ev.Key, want)
		}
	}
}

func TestIdentity(t *testing.T) {
	identity := func(plan *query.Plan, payload string) uint64 {
		var ev edged.Event
		if err := plan.Decode(&ev, "in/1", []byte(`{"k":"a","t":1`+payload+`}`)); err != nil {
			t.Fatal(err)
		}
		return ev.Identity
	}
	content := compile(t, document())
	if a, b := identity(content, `,"x":1`), identity(content, `,"x":1`); a == 0 || a != b {
		t.Errorf("equal contents: %d and %d", a, b)
	}
	if a, b := identity(content, `,"x":1`), identity(content, `, "x":1`); a == b {
		t.Errorf("different contents: %d", a)
	}
	fields := compile(t, document("dedup: {by: fields, fields: [x, s]}"))
	if a, b := identity(fields, `,"x":1,"y":1`), identity(fields, `,"x":1.0`); a == 0 || a != b {
		t.Errorf("equal fields: %d and %d", a, b)
	}
	if a, b := identity(fields, `,"x":0`), identity(fields, `,"x":-0`); a != b {
		t.Errorf("zeros: %d and %d", a, b)
	}
	if a, b := identity(fields, `,"x":1,"s":""`), identity(fields, `,"x":1`); a == b {
		t.Errorf("empty and null: %d", a)
	}
	if a := identity(fields, `,"y":1`); a != 0 {
		t.Errorf("all null: %d", a)
	}
	if a := identity(compile(t, document("dedup: {by: none}")), `,"x":1`); a != 0 {
		t.Errorf("none: %d", a)
	}
}

func TestFingerprint(t *testing.T) {
	base := compile(t, document("filter: x > 1", "aggregates: [{name: n, function: sum, field: x}]"))
	same, replayed := map[string]string{
		"output_key":     document("filter: x > 1", "output_key: device", "aggregates: [{name: n, function: sum, field: x}]"),
		"aggregate name": document("filter: x > 1", "aggregates: [{name: m, function: sum, field: x}]"),
		"late output":    document("filter: x > 1", "late_output: [stdout: {}]", "aggregates: [{name: n, function: sum, field: x}]"),
	}, map[string]string{
		"filter":    document("filter: x > 2", "aggregates: [{name: n, function: sum, field: x}]"),
		"watermark": document("filter: x > 1", "watermark: {out_of_orderness: 3s}", "aggregates: [{name: n, function: sum, field: x}]"),
	}
	for name, text := range same {
		p := compile(t, text)
		if p.Fingerprint() != base.Fingerprint() || p.ReplayFingerprint() != base.ReplayFingerprint() {
			t.Errorf("%s: the fingerprints changed", name)
		}
	}
	for name, text := range replayed {
		p := compile(t, text)
		if p.Fingerprint() != base.Fingerprint() || p.ReplayFingerprint() == base.ReplayFingerprint() {
			t.Errorf("%s: only the replay fingerprint should change", name)
		}
	}
	for name, text := range map[string]string{
		"lateness": strings.Replace(document("filter: x > 1", "aggregates: [{name: n, function: sum, field: x}]"), "size: 10s", "size: 10s, allowed_lateness: 1s", 1),
		"size":     strings.Replace(document("filter: x > 1", "aggregates: [{name: n, function: sum, field: x}]"), "10s", "11s", 1),
		"function": document("filter: x > 1", "aggregates: [{name: n, function: avg, field: x}]"),
		"field":    document("filter: x > 1", "aggregates: [{name: n, function: sum, field: y}]"),
		"path":     strings.Replace(document("filter: x > 1", "aggregates: [{name: n, function: sum, field: x}]"), "name: x,", "name: x, path: z,", 1),
		"dedup":    document("filter: x > 1", "dedup: {by: none}", "aggregates: [{name: n, function: sum, field: x}]"),
		"key":      strings.Replace(document("filter: x > 1", "aggregates: [{name: n, function: sum, field: x}]"), "field: k", "field: kk", 1),
		"name":     strings.Replace(document("filter: x > 1", "aggregates: [{name: n, function: sum, field: x}]"), "name: p", "name: pp", 1),
	} {
		if compile(t, text).Fingerprint() == base.Fingerprint() {
			t.Errorf("%s: the fingerprint did not change", name)
		}
	}
	a := compile(t, document("compute: [{name: c, expression: x + 1}]", "aggregates: [{name: n, function: sum, field: c}]"))
	b := compile(t, document("compute: [{name: c, expression: x + 2}]", "aggregates: [{name: n, function: sum, field: c}]"))
	if a.Fingerprint() == b.Fingerprint() {
		t.Error("computed: the fingerprint did not change")
	}
}

// A chain of computed fields, each of which names all before it, must not take
// exponential time.
func TestLongChains(t *testing.T) {
	var list []string
	sum := "x"
	for i := range 60 {
		list = append(list, fmt.Sprintf("{name: c%d, expression: %s}", i, sum))
		sum += fmt.Sprintf(" + c%d", i)
	}
	plan := compile(t, document("compute: ["+strings.Join(list, ", ")+"]", "aggregates: [{name: n, function: sum, field: c59}]"))
	var ev edged.Event
	if err := plan.Decode(&ev, "in/1", []byte(`{"k":"a","t":1,"x":1}`)); err != nil {
		t.Fatal(err)
	}
	if got := ev.Values[plan.Aggregates[0].Slot].Float(); got != 1<<59 {
		t.Errorf("got %v", got)
	}
}

func TestConditions(t *testing.T) {
	exact := compile(t, document()).Conditions()
	if len(exact) != 1 || !strings.HasPrefix(exact[0], "exactly once") {
		t.Errorf("got %q", exact)
	}
	text := strings.Replace(document("dedup: {by: none}"), "in/+}", "in/+, qos: 0}", 1)
	text = strings.Replace(text, `{key}"}`, `{key}", qos: 0}`, 1)
	if got := compile(t, text).Conditions(); len(got) != 3 {
		t.Errorf("got %q", got)
	}
	if got := compile(t, document("dedup: {horizon: 9s}")).Conditions(); len(got) != 1 || !strings.Contains(got[0], "horizon") {
		t.Errorf("got %q", got)
	}
}

func TestOffsetIsReduced(t *testing.T) {
	for text, want := range map[string]int64{"0s": 0, "3s": 3000, "-3s": 7000, "25s": 5000, "-10s": 0} {
		plan := compile(t, strings.Replace(document(), "size: 10s", "size: 10s, offset: "+text, 1))
		if plan.Window.Offset != want {
			t.Errorf("%s: got %d, want %d", text, plan.Window.Offset, want)
		}
	}
}

func TestReadmeContract(t *testing.T) {
	text, err := os.ReadFile("../configs/examples/device-windows.yaml")
	if err != nil {
		t.Fatal(err)
	}
	plan := compile(t, string(text))
	var ev edged.Event
	if err := plan.Decode(&ev, "sensors/x/data", []byte(`{"device":"d000123","ts":1700000000000,"temp":21.37,"hum":48.2}`)); err != nil {
		t.Fatal(err)
	}
	if !plan.Accepts("sensors/x/data") || plan.Accepts("sensors/x/y/data") || ev.Key != "d000123" || ev.EventTime != 1700000000000 || ev.Values[0].Float() != 21.37 {
		t.Errorf("got %+v", ev)
	}
	values := make([]edged.Value, 7)
	for i := range values {
		values[i] = edged.NumberValue(float64(i))
	}
	r := edged.Result{Key: ev.Key, Start: 1700000000000, End: 1700000010000, Values: values, Timing: edged.Late, Index: 2}
	row := plan.AppendRow([]byte("keep"), &r, "gw", 17)
	want := `keep{"device":"d000123","start":1700000000000,"end":1700000010000,"count":0,"sum":1,"avg":2,"min":3,"max":4,"first":5,"last":6,` +
		`"pane":"late","index":2,"final":false,"watermark":0,"id":"` + idOf(t, row[4:]) + `","seq":17,"gateway":"gw"}`
	if string(row) != want {
		t.Errorf("got  %s\nwant %s", row, want)
	}
	if got := plan.Topic(&r, 0); got != "agg/d000123" {
		t.Errorf("topic %s", got)
	}
}

func idOf(t testing.TB, row []byte) string {
	t.Helper()
	var r struct{ ID string }
	if err := json.Unmarshal(row, &r); err != nil || len(r.ID) != 22 {
		t.Fatalf("%s: %v", row, err)
	}
	return r.ID
}

// run decodes a payload and writes what comes of it.
func run(t *testing.T, plan *query.Plan, payload string) {
	_ = plan.Describe()
	var ev edged.Event
	if err := plan.Decode(&ev, "a/b/c", []byte(payload)); err != nil {
		return
	}
	if len(ev.Values) != len(plan.Slots) || ev.Key == "" {
		t.Fatalf("got %+v for %v", ev, plan.Slots)
	}
	r := edged.Result{Kind: edged.LateResult, Key: ev.Key, Start: ev.EventTime, Values: ev.Values}
	if row := plan.AppendRow(nil, &r, "g", 1); !json.Valid(row) {
		t.Fatalf("%s is not JSON", row)
	}
	if topic := plan.Topic(&r, 0); strings.ContainsAny(topic, "+#\x00") {
		t.Fatalf("topic %q", topic)
	}
}
