package edgedtest_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"edged"
	"edged/edgedtest"
)

var seed = flag.Uint64("seed", 1, "seed of the random tests")

// lines carries out steps and returns what appears.
func lines(t testing.TB, d *edgedtest.Driver, steps ...string) []string {
	t.Helper()
	var all []string
	for _, step := range steps {
		results, err := d.Step([]byte(step))
		if err != nil {
			t.Fatalf("%s: %v", step, err)
		}
		for _, r := range results {
			all = append(all, r.String())
		}
	}
	return all
}

func wantLines(t testing.TB, got []string, want ...string) {
	t.Helper()
	if a, b := strings.Join(got, "\n"), strings.Join(want, "\n"); a != b {
		t.Errorf("got\n%s\nwant\n%s", a, b)
	}
}

func TestWholeLines(t *testing.T) {
	d := open(t, strings.Replace(countDocument, "size: 10ms", "size: 10ms, allowed_lateness: 5ms", 1))
	wantLines(t, lines(t, d,
		`{"event":{"key":"a","ts":1,"value":7}}`,
		`{"event":{"key":"a","ts":12}}`,
		`{"event":{"key":"a","ts":2}}`,
		`{"event":{"key":"a","ts":15}}`,
		`{"event":{"key":"a","ts":3,"value":5}}`,
	),
		`{"step":1,"pipeline":"p","key":"a","start":0,"end":10,"pane":"on_time","index":0,"last":false,"watermark":12,"cause":"watermark","values":{"n":1}}`,
		`{"step":2,"pipeline":"p","key":"a","start":0,"end":10,"pane":"late","index":1,"last":false,"watermark":12,"cause":"watermark","values":{"n":2}}`,
		`{"step":4,"pipeline":"p","key":"a","late":{"ts":3,"windows":[[0,10]],"dropped":true,"values":{"value":5}}}`,
	)
	if c := d.Counts(); c.Late != 1 || c.Events != 5 {
		t.Errorf("got %+v", c)
	}
}

// TestTyped does the same things by methods as by lines.
func TestTyped(t *testing.T) {
	a, b := open(t, countDocument), open(t, countDocument)
	var byMethods []string
	note := func(results []edgedtest.Result, err error) {
		if err != nil {
			t.Fatal(err)
		}
		for i := range results {
			byMethods = append(byMethods, results[i].String())
		}
	}
	note(a.Event(edgedtest.Number("x", 1, 2)))
	note(a.Bundle(edgedtest.Number("y", 1, 2), edgedtest.Number("x", 30, 1)))
	note(a.ProcessingTime(40000))
	note(nil, a.CheckpointRestore())
	note(a.End())
	wantLines(t, byMethods, lines(t, b,
		`{"event":{"key":"x","ts":1,"value":2}}`, `{"bundle":[{"key":"y","ts":1,"value":2},{"key":"x","ts":30,"value":1}]}`,
		`{"processing_time":40000}`, `{"checkpoint_restore":true}`, `{"end":true}`)...)
	if len(byMethods) != 3 || a.Steps() != 5 {
		t.Errorf("got %d results, %d steps", len(byMethods), a.Steps())
	}
	if _, err := a.Event(edgedtest.Number("x", 1, 2)); err == nil {
		t.Error("an event after the end was taken")
	}
	if _, err := a.End(); err == nil {
		t.Error("a second end was taken")
	}
}

// TestTypedEventsAreChecked refuses what a line could not say.
func TestTypedEventsAreChecked(t *testing.T) {
	d := open(t, countDocument)
	for _, fields := range [][]edgedtest.Field{
		{{Name: "value", Value: edged.NumberValue(1)}, {Name: "value", Value: edged.NumberValue(1)}},
		{{Name: "value", Value: edged.JSONValue("[]")}},
		{{Name: "x"}},
	} {
		if _, err := d.Event(edgedtest.Event{Time: 1, Fields: fields}); err == nil {
			t.Errorf("%v was taken", fields)
		}
	}
}

func TestIdentities(t *testing.T) {
	d := open(t, countDocument)
	lines(t, d,
		`{"event":{"ts":1}}`, `{"event":{"ts":1}}`, // two events that look the same
		`{"event":{"ts":2,"id":"1"}}`, `{"event":{"ts":2,"id":"1"}}`, // the same twice
		`{"event":{"ts":2,"id":1}}`, `{"event":{"ts":3,"id":"1"}}`) // two others
	if c := d.Counts(); c.Duplicates != 1 {
		t.Errorf("%d duplicates", c.Duplicates)
	}
	wantLines(t, lines(t, d, `{"end":true}`),
		`{"step":6,"pipeline":"p","key":"","start":0,"end":10,"pane":"on_time","index":0,"last":true,"watermark":9223372036854775807,"cause":"end","values":{"n":5}}`)

	d = open(t, `
pipelines:
- name: p
  fields: [{name: no, type: number}]
  dedup: {by: fields, fields: [no]}
  window: {size: 10ms}
  aggregates: [{name: n, function: count}]
`)
	lines(t, d, `{"event":{"ts":1,"no":1}}`, `{"event":{"ts":1,"no":1}}`, `{"event":{"ts":1}}`, `{"event":{"ts":1}}`, `{"event":{"ts":1,"no":1,"id":"other"}}`)
	if c := d.Counts(); c.Duplicates != 1 {
		t.Errorf("by fields: %d duplicates", c.Duplicates)
	}
}

// TestDecoding checks that filters, computed fields, required fields and types are
// those of the daemon, wherever the document says that members are.
func TestDecoding(t *testing.T) {
	d := open(t, `
pipelines:
- name: p
  source: {topic: plant/+/data}
  key: {field: device}
  event_time: {field: meta.time, unit: rfc3339}
  fields:
  - {name: device, type: text}
  - {name: celsius, type: number, path: readings.temp, required: true}
  filter: celsius > -100
  compute: [{name: fahrenheit, expression: celsius * 1.8 + 32}]
  watermark: {out_of_orderness: 0s}
  window: {size: 10ms}
  aggregates: [{name: who, function: last, field: device}, {name: f, function: sum, field: fahrenheit}]
  outputs: [{stdout: {}}]
`)
	wantLines(t, lines(t, d,
		`{"event":{"key":"d1","ts":1,"celsius":10}}`,
		`{"event":{"device":"d1","ts":2,"celsius":-200}}`,
		`{"event":{"device":"d1","ts":3}}`,
		`{"event":{"device":"d1","ts":4,"celsius":"warm"}}`,
		`{"event":{"device":"d1","ts":10,"celsius":1}}`,
	),
		`{"step":2,"pipeline":"p","key":"d1","dead_letter":{"ts":3,"cause":"missing_field","detail":"celsius: is absent or null, but required"}}`,
		`{"step":3,"pipeline":"p","key":"d1","dead_letter":{"ts":4,"cause":"type","detail":"celsius: is a text, not a number"}}`,
		`{"step":4,"pipeline":"p","key":"d1","start":0,"end":10,"pane":"on_time","index":0,"last":true,"watermark":10,"cause":"watermark","values":{"who":"d1","f":50}}`)
	if c := d.Counts(); c.Filtered != 1 || c.DeadLetters != 2 || c.Events != 2 {
		t.Errorf("got %+v", c)
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, c := range []struct {
		document string
		names    []string
		says     string
	}{
		{"", nil, "has no pipelines"},
		{"x: [", nil, "is not YAML"},
		{countDocument, []string{"pp"}, `there is no pipeline "pp"; did you mean "p"?`},
		{strings.Replace(countDocument, "10ms", "10", 1), nil, "test.yaml:5:"},
		{strings.Replace(countDocument, "count}", "cuont}", 1), nil, "cuont"},
	} {
		if _, err := edgedtest.Open("test.yaml", []byte(c.document), c.names...); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q %v: got %v, want ...%s...", c.document, c.names, err, c.says)
		}
	}
}

const twoPipelines = `
pipelines:
- name: short
  watermark: {out_of_orderness: 0s}
  window: {size: 10ms}
  aggregates: [{name: n, function: count}]
- name: long
  watermark: {out_of_orderness: 0s}
  window: {size: 20ms}
  aggregates: [{name: n, function: count}]
`

func TestSeveralPipelines(t *testing.T) {
	steps := []string{`{"event":{"ts":1}}`, `{"event":{"stream":"long","ts":2}}`, `{"event":{"ts":40}}`}
	all := lines(t, open(t, twoPipelines), steps...)
	if len(all) != 2 || !strings.Contains(all[0], `"pipeline":"short"`) || !strings.HasSuffix(all[1], `{"n":2}}`) {
		t.Errorf("got %v", all)
	}
	wantLines(t, lines(t, open(t, twoPipelines, "long"), steps...), all[1])
}

// TestManualWatermark checks that time is told to all keys, those to come as well,
// in the order of the keys, and never moves back.
func TestManualWatermark(t *testing.T) {
	d := open(t, strings.Replace(countDocument, "out_of_orderness: 0s", "type: manual", 1))
	got := lines(t, d, `{"bundle":[{"key":"b","ts":1},{"key":"a","ts":1},{"key":"a","ts":25}]}`, `{"watermark":10}`, `{"watermark":5}`,
		`{"event":{"key":"c","ts":2}}`, `{"event":{"key":"c","ts":12}}`, `{"watermark":20}`)
	var keys []string
	for _, line := range got {
		keys = append(keys, line[strings.Index(line, `"key":`)+6:][:3])
	}
	if k := strings.Join(keys, " "); k != `"a" "b" "c" "c"` || !strings.Contains(got[2], `"late":{"ts":2`) {
		t.Errorf("got %s", strings.Join(got, "\n"))
	}
}

// TestCheckpointsChangeNothing runs random scripts with and without checkpoints at
// random places, and in bundles instead of single events.
func TestCheckpointsChangeNothing(t *testing.T) {
	t.Logf("-seed %d", *seed)
	r := rand.New(rand.NewPCG(*seed, 0))
	for range 200 {
		document := strings.Replace(countDocument, "size: 10ms", fmt.Sprintf("size: 10ms, allowed_lateness: %dms", r.IntN(20)), 1)
		a, b := open(t, document), open(t, document)
		var one, two []string
		now := 0
		for range 30 {
			switch r.IntN(5) {
			case 0:
				now += r.IntN(20000)
				step := fmt.Sprintf(`{"processing_time":%d}`, now)
				one, two = append(one, lines(t, a, step)...), append(two, lines(t, b, step)...)
			case 1:
				lines(t, b, `{"checkpoint_restore":true}`)
				lines(t, a, `{"bundle":[]}`) // so that steps have equal numbers
			default:
				step := fmt.Sprintf(`{"event":{"key":"k%d","ts":%d,"id":%d}}`, r.IntN(3), r.IntN(60), r.IntN(3))
				one, two = append(one, lines(t, a, step)...), append(two, lines(t, b, step)...)
			}
		}
		one, two = append(one, lines(t, a, `{"end":true}`)...), append(two, lines(t, b, `{"end":true}`)...)
		wantLines(t, two, one...)
		if t.Failed() {
			return
		}
	}
}

func BenchmarkEvent(b *testing.B) {
	d := open(b, countDocument)
	b.ReportAllocs()
	at := edged.Timestamp(0)
	for b.Loop() {
		at++
		if _, err := d.Event(edgedtest.Number("a", at, 1)); err != nil {
			b.Fatal(err)
		}
	}
}
