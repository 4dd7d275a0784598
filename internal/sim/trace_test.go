package sim_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"edged/internal/sim"
)

// write puts text into a file, gzipped when the name ends in .gz.
func write(t *testing.T, name, text string) string {
	t.Helper()
	data := []byte(text)
	if strings.HasSuffix(name, ".gz") {
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		data = packed.Bytes()
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// replay returns all payloads of a trace, a line each.
func replay(t *testing.T, cfg sim.TraceConfig) (string, error) {
	t.Helper()
	trace, err := sim.OpenTrace(cfg)
	if err != nil {
		return "", err
	}
	defer trace.Close()
	var s sim.Sample
	var out strings.Builder
	for trace.Next(&s) {
		out.Write(append(trace.AppendPayload(nil, &s), '\n'))
	}
	return out.String(), trace.Err()
}

const (
	hall = "timestamp,value\n2014-07-01 00:00:00,10\n2014-07-01 00:00:02,12.5\n"
	yard = "at,note,load\n1404172801,x,-1\n1404172803000,y,1e3\n2014-07-01T02:00:05+02:00,z,7\n2014-07-01T00:00:06.25,z,8\n"
)

func TestTrace(t *testing.T) {
	a, b := write(t, "hall.csv.gz", hall), write(t, "yard.csv", yard)
	merged := `{"device":"hall","ts":1404172800000,"temp":10,"n":1}
{"device":"yard","ts":1404172801000,"temp":-1,"n":1}
{"device":"hall","ts":1404172802000,"temp":12.5,"n":2}
{"device":"yard","ts":1404172803000,"temp":1000,"n":2}
{"device":"yard","ts":1404172805000,"temp":7,"n":3}
{"device":"yard","ts":1404172806250,"temp":8,"n":4}
`
	lines := strings.SplitAfter(merged, "\n")
	for name, test := range map[string]struct {
		cfg  sim.TraceConfig
		want string
	}{
		"one file":     {sim.TraceConfig{Files: []string{a}}, lines[0] + lines[2]},
		"columns":      {sim.TraceConfig{Files: []string{b}, TimeColumn: "at", ValueColumn: "load"}, lines[1] + lines[3] + lines[4] + lines[5]},
		"value's name": {sim.TraceConfig{Files: []string{a}, ValueName: "v"}, strings.ReplaceAll(lines[0]+lines[2], "temp", "v")},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := replay(t, test.cfg)
			if err != nil || got != test.want {
				t.Errorf("error %v, got\n%swant\n%s", err, got, test.want)
			}
		})
	}
}

func TestTraceOfSeveralFiles(t *testing.T) {
	files := []string{
		write(t, "b.csv", "t,v\n3,1\n1,2\n5,3\n"),
		write(t, "a.csv", "t,v\n2,1\n4,2\n"),
		write(t, "empty.csv", "t,v\n"),
	}
	order := func(sequential bool) string {
		got, err := replay(t, sim.TraceConfig{Files: files, Sequential: sequential})
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		for line := range strings.Lines(got) {
			out.WriteString(line[11:12] + line[19:20] + " ")
		}
		return out.String()
	}
	// A file's own order is kept: its third second comes before its first.
	if got := order(false); got != "a2 b3 b1 a4 b5 " {
		t.Errorf("merged: %s", got)
	}
	if got := order(true); got != "b3 b1 b5 a2 a4 " {
		t.Errorf("one after the other: %s", got)
	}
}

func TestTraceSkipsRowsWithoutValue(t *testing.T) {
	trace, err := sim.OpenTrace(sim.TraceConfig{Files: []string{write(t, "x.csv", "t,v\n1,\n2,NaN\n3,1e999\n4,5\n")}})
	if err != nil {
		t.Fatal(err)
	}
	defer trace.Close()
	var s sim.Sample
	if !trace.Next(&s) || s.Seq != 4 || s.Temp != 5 {
		t.Errorf("got %+v, want row 4", s)
	}
	if trace.Next(&s) || trace.Err() != nil || trace.Skipped() != 3 {
		t.Errorf("at the end: error %v, %d skipped, want 3", trace.Err(), trace.Skipped())
	}
}

func TestTraceErrorsSayWhere(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		cfg  sim.TraceConfig
		want string
	}{
		"time":     {"t,v\n1,1\nyesterday,1\n", sim.TraceConfig{}, `x.csv:3: time "yesterday"`},
		"value":    {"t,v\n1,warm\n", sim.TraceConfig{}, `x.csv:2: value "warm"`},
		"fields":   {"t,v\n1,2,3\n", sim.TraceConfig{}, `x.csv: record on line 2`},
		"column":   {"t,v\n1,2\n", sim.TraceConfig{ValueColumn: "w"}, `x.csv: there is no column "w"; the header has t, v`},
		"narrow":   {"t\n1\n", sim.TraceConfig{}, `x.csv: there is no column ""`},
		"empty":    {"", sim.TraceConfig{}, `x.csv: read the header`},
		"wildcard": {"t,v\n", sim.TraceConfig{TopicPattern: "a/+"}, "wildcard"},
		"gzip":     {"\x1f\x8bxx", sim.TraceConfig{}, "x.csv: unpack"},
	} {
		t.Run(name, func(t *testing.T) {
			test.cfg.Files = []string{write(t, "x.csv", test.text)}
			if _, err := replay(t, test.cfg); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %s", err, test.want)
			}
		})
	}
	if _, err := sim.OpenTrace(sim.TraceConfig{}); err == nil {
		t.Error("no files: accepted")
	}
	if _, err := sim.OpenTrace(sim.TraceConfig{Files: []string{"no/such/file"}}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no such file: %v", err)
	}
}
