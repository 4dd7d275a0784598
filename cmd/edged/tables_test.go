package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"edged/query"
)

const tableDocument = `
tables:
  - {name: assets, file: FILE, key: device, fields: [{name: line, type: text}, {name: limit, type: number}]}
pipelines:
  - name: lines
    source: {topic: in/+}
    key: {field: device}
    event_time: {field: ts, ahead_max: 0s}
    fields: [{name: v, type: number}]
    lookup: [{table: assets, key: key, fields: [line, limit], missing: drop}]
    watermark: {out_of_orderness: 0s}
    window: {size: 1s}
    aggregates: [{name: line, function: last, field: line}, {name: over, function: count, where: v > limit}]
    outputs: [stdout: {}]
`

// A file is read once for each of its versions; one that cannot be used is an
// error, and leaves what was read before to be used.
func TestTableFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "assets.csv")
	write := func(text string, at int64) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Unix(at, 0), time.Unix(at, 0)); err != nil {
			t.Fatal(err)
		}
	}
	s := &setup{doc: &query.Document{Tables: []query.TableSpec{{Name: "assets", File: path, Format: "csv", Key: "device", Fields: []query.FieldSpec{{Name: "line", Type: "text"}}}}}}
	log := slog.New(slog.DiscardHandler)
	if _, _, err := openTables(&roles{speaks: s}, log); exitCode(err) != exitConfig {
		t.Errorf("a missing file: %v", err)
	}
	write("device,line\nd1,l1\n", 1)
	files, tables, err := openTables(&roles{speaks: s}, log)
	if err != nil || len(tables) != 1 || string(tables[0].Content) != "device,line\nd1,l1\n" {
		t.Fatalf("%v, %v", tables, err)
	}
	if _, changed, err := files.read(0); changed || err != nil {
		t.Errorf("the same file: changed %v, %v", changed, err)
	}
	write("device,line\nd1,l2\n", 2)
	if table, changed, err := files.read(0); !changed || err != nil || !strings.Contains(string(table.Content), "l2") {
		t.Errorf("a new file: %q, %v, %v", table.Content, changed, err)
	}
	write("device,column\nd1,l3\n", 3)
	if _, changed, err := files.read(0); changed || err == nil || !strings.Contains(err.Error(), "line") {
		t.Errorf("a wrong file: %v, %v", changed, err)
	}
	if _, changed, err := files.read(0); changed || err != nil {
		t.Errorf("the wrong file again: %v, %v", changed, err)
	}
}

// A replay looks events up in the table of the document.
func TestReplayLooksUp(t *testing.T) {
	table := writeFile(t, "assets.csv", "device,line,limit\nd1,press,10\n")
	config := writeFile(t, "lookup.yaml", strings.Replace(tableDocument, "FILE", table, 1))
	input := `{"device":"d1","ts":1,"v":11}` + "\n" + `{"device":"d1","ts":2,"v":9}` + "\n" + `{"device":"d2","ts":3,"v":99}` + "\n"
	code, stdout, stderr := edgedStdin(t, input, "replay", "-c", config, "-i", "-")
	if code != exitOK || !strings.Contains(stdout, `"line":"press","over":1`) || strings.Count(stdout, "\n") != 1 {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
}

const joinDocument = `
pipelines:
  - name: pairs
    streams:
      - {name: temp, source: {topic: temp/+}, key: {topic_level: 1}, event_time: {field: ts}, fields: [{name: v, type: number}]}
      - {name: hum, source: {topic: hum/+}, key: {topic_level: 1}, event_time: {field: ts}, fields: [{name: v, type: number}]}
    join: {type: interval, kind: left, lower: -1s, upper: 1s}
    outputs: [stdout: {}]
`

// Lines with topics, as mosquitto_sub -v prints them, go where a broker would send
// them; without topics a join cannot be replayed.
func TestReplayWithTopics(t *testing.T) {
	config := writeFile(t, "join.yaml", joinDocument)
	input := "temp/a {\"ts\":1000,\"v\":1}\nhum/a {\"ts\":1500,\"v\":2}\ntemp/a {\"ts\":9000,\"v\":3}\nother/a {\"ts\":1,\"v\":4}\n"
	code, stdout, stderr := edgedStdin(t, input, "replay", "-c", config, "-i", "-", "--format", "mqtt")
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if code != exitOK || len(lines) != 2 || !strings.Contains(lines[0], `"temp_v":1,"hum_v":2`) || !strings.Contains(lines[1], `"temp_v":3,"hum_v":null`) {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
	if !strings.Contains(stderr, "no_pipeline 1") {
		t.Errorf("the fourth line is nobody's: %s", stderr)
	}
	if code, _, stderr := edgedStdin(t, input, "replay", "-c", config, "-i", "-"); code != exitUsage || !strings.Contains(stderr, "--format mqtt") {
		t.Errorf("without topics: exit code %d, %s", code, stderr)
	}
}
