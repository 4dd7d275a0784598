package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const driven = `
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

func TestDrive(t *testing.T) {
	file := writeFile(t, "p.yaml", driven)
	steps := "# a comment\n" + `{"event":{"key":"a","ts":1}}` + "\n\n" + `{"event":{"key":"a","ts":10}}` + "\n" + `{"checkpoint_restore":true}` + "\n" + `{"end":true}`
	want := `{"step":1,"pipeline":"short","key":"a","start":0,"end":10,"pane":"on_time","index":0,"last":true,"watermark":10,"cause":"watermark","values":{"n":1}}
{"step":3,"pipeline":"short","key":"a","start":10,"end":20,"pane":"on_time","index":0,"last":true,"watermark":9223372036854775807,"cause":"end","values":{"n":1}}
{"step":3,"pipeline":"long","key":"a","start":0,"end":20,"pane":"on_time","index":0,"last":true,"watermark":9223372036854775807,"cause":"end","values":{"n":2}}
`
	code, out, stderr := edgedStdin(t, steps, "drive", "--pipeline", file)
	if code != exitOK || out != want || stderr != "" {
		t.Errorf("code %d: %s\n got %s\nwant %s", code, stderr, out, want)
	}
	script := writeFile(t, "steps", steps)
	code, out, stderr = edgedCmd(t, "drive", "-p", file, "--script", script, "--name", "long")
	if code != exitOK || out != strings.SplitAfter(want, "\n")[2] {
		t.Errorf("code %d: %s\n got %s", code, stderr, out)
	}
}

// TestDriveReadsTables checks that reference tables are found beside the document.
func TestDriveReadsTables(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"lines.csv": "device,line\nd1,north\n",
		"p.yaml": `
tables: [{name: lines, file: lines.csv, format: csv, key: device, fields: [{name: line, type: text}]}]
pipelines:
- name: p
  lookup: [{table: lines, key: key, fields: [line]}]
  watermark: {out_of_orderness: 0s}
  window: {size: 10ms}
  aggregates: [{name: line, function: last, field: line}]
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	code, out, stderr := edgedStdin(t, `{"event":{"key":"d1","ts":1}}`+"\n"+`{"end":true}`, "drive", "-p", filepath.Join(dir, "p.yaml"))
	if code != exitOK || !strings.Contains(out, `"values":{"line":"north"}`) {
		t.Errorf("code %d: %s\n%s", code, stderr, out)
	}
	if err := os.Remove(filepath.Join(dir, "lines.csv")); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr = edgedStdin(t, "", "drive", "-p", filepath.Join(dir, "p.yaml")); code != exitConfig || !strings.Contains(stderr, "read table lines") {
		t.Errorf("code %d: %s", code, stderr)
	}
}

func TestDriveFails(t *testing.T) {
	file := writeFile(t, "p.yaml", driven)
	bad := writeFile(t, "bad.yaml", "pipelines: [{name: x, window: {size: 10}, aggregates: [{name: n, function: count}]}]")
	for _, c := range []struct {
		stdin, args string
		code        int
		says        string
	}{
		{"", "drive", exitUsage, "--pipeline FILE is missing"},
		{"", "drive --pipeline /no/such/file", exitConfig, "no such file"},
		{"", "drive --pipeline " + bad, exitConfig, "bad.yaml:1:"},
		{"", "drive --pipeline " + file + " --name nope", exitConfig, `there is no pipeline "nope"`},
		{"", "drive --pipeline " + file + " --script /no/such/file", exitUsage, "--script"},
		{"", "drive extra", exitUsage, "extra"},
		{"{\"event\":{\"ts\":1}}\nx", "drive --pipeline " + file, exitCheck, "standard input:2: the step is not JSON"},
		{`{"watermark":1}`, "drive --pipeline " + file, exitCheck, "standard input:1: watermark: no pipeline"},
	} {
		code, _, stderr := edgedStdin(t, c.stdin, strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(stderr, c.says) {
			t.Errorf("edged %s\n got code %d: %s\nwant code %d: ...%s...", c.args, code, stderr, c.code, c.says)
		}
	}
}
