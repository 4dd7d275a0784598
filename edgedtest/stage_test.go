package edgedtest_test

import (
	"strings"
	"testing"
)

const threeStages = `
pipelines:
- name: site
  source: {pipeline: line}
  key: {value: all}
  watermark: {out_of_orderness: 0s}
  window: {size: 10ms}
  aggregates: [{name: n, function: sum, field: n}]
- name: device
  watermark: {out_of_orderness: 0s}
  window: {size: 10ms}
  aggregates: [{name: n, function: count}]
- name: line
  source: {pipeline: device}
  key: {value: l1}
  watermark: {out_of_orderness: 0s}
  window: {size: 10ms}
  aggregates: [{name: n, function: sum, field: n}]
`

// TestStages checks that the end of the input reaches a stage after everything
// that it makes the stages before it say, and that a document may have its
// pipelines in any order.
func TestStages(t *testing.T) {
	d := open(t, threeStages)
	got := lines(t, d, `{"bundle":[{"key":"b","ts":1},{"key":"a","ts":2},{"key":"a","ts":3}]}`, `{"checkpoint_restore":true}`, `{"end":true}`)
	var said []string
	for _, line := range got {
		_, line, _ = strings.Cut(line, `"pipeline":`)
		name, rest, _ := strings.Cut(line, `,"start"`)
		_, values, _ := strings.Cut(rest, `"values":`)
		said = append(said, name+" "+values)
	}
	wantLines(t, said,
		`"device","key":"a" {"n":2}}`, `"device","key":"b" {"n":1}}`, `"line","key":"l1" {"n":3}}`, `"site","key":"all" {"n":3}}`)
}

// TestStagesOfNames checks that a pipeline brings those that it needs along.
func TestStagesOfNames(t *testing.T) {
	got := lines(t, open(t, threeStages, "line"), `{"event":{"ts":1}}`, `{"end":true}`)
	if len(got) != 2 || !strings.Contains(got[1], `"pipeline":"line"`) {
		t.Errorf("got %v", got)
	}
}

// TestIdleKey checks that a key with one source is its source.
func TestIdleKey(t *testing.T) {
	d := open(t, countDocument)
	got := lines(t, d, `{"bundle":[{"key":"a","ts":1},{"key":"b","ts":1}]}`, `{"idle":"c"}`, `{"idle":"b"}`, `{"active":"b"}`)
	if len(got) != 1 || !strings.Contains(got[0], `"key":"b"`) || !strings.Contains(got[0], `"cause":"idle"`) {
		t.Errorf("got %v", got)
	}
}

func TestTables(t *testing.T) {
	d := open(t, `
tables: [{name: lines, file: lines.csv, format: csv, key: device, fields: [{name: line, type: text}]}]
pipelines:
- name: p
  lookup: [{table: lines, key: key, fields: [line], missing: dead_letter}]
  watermark: {out_of_orderness: 0s}
  window: {size: 10ms}
  aggregates: [{name: line, function: last, field: line}]
`)
	if err := d.Table("lines", []byte("x,y\n")); err == nil {
		t.Error("a table without its columns was taken")
	}
	if err := d.Table("lines", []byte("device,line\na,north\n")); err != nil {
		t.Fatal(err)
	}
	got := lines(t, d, `{"event":{"key":"a","ts":1}}`, `{"checkpoint_restore":true}`, `{"event":{"key":"b","ts":1}}`, `{"event":{"key":"a","ts":2}}`, `{"end":true}`)
	if len(got) != 2 || !strings.Contains(got[0], `"dead_letter":{"ts":1,"cause":"no_row"`) || !strings.Contains(got[1], `"values":{"line":"north"}`) {
		t.Errorf("got %v", got)
	}
}
