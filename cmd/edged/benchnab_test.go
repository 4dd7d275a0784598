package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"edged/anomaly"
	"edged/internal/nab"
)

// TestBenchNAB runs the shipped default over the benchmark and holds it to what the
// documentation says of it.
func TestBenchNAB(t *testing.T) {
	dir := filepath.Join("..", "..", nabData)
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("the data of the benchmark is not at %s: %v", nabData, err)
	}
	all, err := nab.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	spec, err := anomaly.Find("auto", anomaly.Params{})
	if err != nil {
		t.Fatal(err)
	}
	r := runNAB(spec, all)
	for i, least := range []float64{70, 63, 74} {
		if p := nab.Profiles()[i]; r.total.Score(p) < least {
			t.Errorf("%s: %.2f, less than %g", p.Name, r.total.Score(p), least)
		}
	}
	if r.memory > 2560 || r.encoded > 2048 {
		t.Errorf("a state takes %d bytes, %d encoded", r.memory, r.encoded)
	}
	t.Logf("%.2f %.2f %.2f", r.total.Score(nab.Profiles()[0]), r.total.Score(nab.Profiles()[1]), r.total.Score(nab.Profiles()[2]))
}

// TestBenchNABReport runs the command over a small folder. All but the time repeats.
func TestBenchNABReport(t *testing.T) {
	dir := t.TempDir()
	var quiet, loud strings.Builder
	quiet.WriteString("timestamp,value\n")
	loud.WriteString("timestamp,value\n")
	start := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for i := range 1000 {
		at := start.Add(time.Duration(i) * 5 * time.Minute).Format(time.DateTime)
		x := []string{"1", "2", "3", "2"}[i%4]
		quiet.WriteString(at + "," + x + "\n")
		if i == 700 {
			x = "50"
		}
		loud.WriteString(at + "," + x + "\n")
	}
	for file, text := range map[string]string{
		nab.Labels:       `{"calm/quiet.csv":[],"calm/still.csv":[],"wild/loud.csv":[["2026-03-03 10:20:00.000000","2026-03-03 11:00:00.000000"]]}`,
		"calm/quiet.csv": quiet.String(), "calm/still.csv": quiet.String(), "wild/loud.csv": loud.String(),
	} {
		name := filepath.Join(dir, filepath.FromSlash(file))
		if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func() string {
		code, out, stderr := edgedCmd(t, "bench", "nab", "--data", dir)
		if code != exitOK || stderr != "" {
			t.Fatalf("code %d: %s", code, stderr)
		}
		return regexp.MustCompile(`\d+ ns`).ReplaceAllString(out, "N ns")
	}
	out := run()
	if again := run(); again != out {
		t.Errorf("another run gives\n%s\nafter\n%s", again, out)
	}
	if strings.Count(out, "calm") != 1 {
		t.Errorf("a category has not one line:\n%s", out)
	}
	for _, want := range []string{"3 series, 3000 rows, 1 windows", `calm +0 +0 +0 +- +- +-\n`, `wild +1 +1 +\d+ +[\d.]+ +[\d.]+ +[\d.]+\n`, "N ns a point"} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("%s is not in\n%s", want, out)
		}
	}
}
