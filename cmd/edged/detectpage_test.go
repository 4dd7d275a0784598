package main

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"edged/anomaly"
	"edged/internal/nab"
)

// detectPage is the page about detectors. What stands in it between the marks
// "<!-- name -->" and "<!-- end -->" is written by the tests below.
var detectPage = filepath.Join("..", "..", "docs", "anomaly.md")

// pageBlock compares a block of the page, or with -rewrite replaces it.
func pageBlock(t *testing.T, name, want string) {
	t.Helper()
	text, err := os.ReadFile(detectPage)
	if err != nil {
		t.Fatal(err)
	}
	begin := "<!-- " + name + " -->\n"
	before, rest, found := strings.Cut(string(text), begin)
	got, after, closed := strings.Cut(rest, "<!-- end -->\n")
	if !found || !closed {
		t.Errorf("the page has no block %s", name)
		return
	}
	if got == want {
		return
	}
	if !*rewrite {
		t.Errorf("the block %s of %s is not what the code says; run go test ./cmd/edged -run DetectPage -rewrite", name, detectPage)
		return
	}
	if err := os.WriteFile(detectPage, []byte(before+begin+want+"<!-- end -->\n"+after), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestDetectPage checks that the page describes every detector as the catalogue
// does, with a picture of what it does to its example.
func TestDetectPage(t *testing.T) {
	all := examples()
	for i, d := range anomaly.Describe() {
		if i >= len(all) || all[i].detector != d.Name {
			t.Fatalf("example %d is not of %s", i, d.Name)
		}
		e := &all[i]
		c, err := chooseDetector(d.Name, e.params, time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		spec, err := anomaly.Find(c.Name, c.Params)
		if err != nil {
			t.Fatal(err)
		}
		pageBlock(t, d.Name, detectSection(&d, e, spec))

		s, err := readSeries(strings.NewReader(e.csv()), "", time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		det := detect(s, spec)
		det.title, det.detector = seriesTitle("example", s.column), d.Name
		if len(det.alarms) == 0 {
			t.Errorf("%s: its example raises no alarm", d.Name)
		}
		var got bytes.Buffer
		if err := drawSVG(&got, det); err != nil {
			t.Fatal(err)
		}
		if got.Len() > 40<<10 {
			t.Errorf("%s: the picture has %d bytes", d.Name, got.Len())
		}
		comparePicture(t, filepath.Join(filepath.Dir(detectPage), "anomaly", d.Name+".svg"), got.Bytes())
	}
}

// comparePicture compares a file with what it must be, or with -rewrite writes it.
func comparePicture(t *testing.T, file string, want []byte) {
	t.Helper()
	if *rewrite {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil { //nolint:gosec // part of the documentation
			t.Fatal(err)
		}
		if err := os.WriteFile(file, want, 0o644); err != nil { //nolint:gosec // see above
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not what is drawn; run go test ./cmd/edged -run DetectPage -rewrite and look at it (%v)", file, err)
	}
}

// detectSection is what the catalogue says of a detector, its picture, and how the
// picture is made.
func detectSection(d *anomaly.Description, e *example, spec anomaly.Spec) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n    %s\n\nSource: %s.", d.Doc, d.Formula, d.Source)
	fmt.Fprintf(&b, " %s\n\n", strings.Join(traits(d, spec), " "))
	if len(d.Params) > 0 {
		b.WriteString("| parameter | unit | from | to | default | |\n|---|---|---|---|---|---|\n")
	}
	for _, q := range d.Params {
		usual := "none"
		if q.Required {
			usual = "required"
		} else if !math.IsNaN(q.Default) {
			usual = quantity(q.Default, q.Unit)
		}
		unit := q.Unit
		if unit == "ms" {
			unit = "time"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s |\n", q.Name, unit, quantity(q.Min, q.Unit), quantity(q.Max, q.Unit), usual, q.Doc)
	}
	if d.OfMax > 0 {
		fmt.Fprintf(&b, "| `of` | detector | %d | %d | | that it works on |\n", d.OfMin, d.OfMax)
	}
	command := "edged detect example.csv --detector " + d.Name
	for _, p := range e.params {
		command += " --param " + p
	}
	fmt.Fprintf(&b, "\n![%s](anomaly/%s.svg)\n\n    %s\n", d.Name, d.Name, command)
	return b.String()
}

// traits says in sentences what else is to know of a detector.
func traits(d *anomaly.Description, spec anomaly.Spec) []string {
	state := spec.New()
	all := []string{fmt.Sprintf("A state of this example takes %d bytes of memory.", state.Bytes())}
	if d.Timed {
		all = append(all, "Time alone can raise it.")
	}
	if d.Zone {
		all = append(all, "It goes by the clock of a time zone.")
	}
	if _, learns := state.(anomaly.Freezer); !learns {
		all = append(all, "It learns nothing, so there is nothing to freeze.")
	}
	return all
}

// quantity writes a number of a unit; milliseconds in the largest unit that divides them.
func quantity(x float64, unit string) string {
	if unit != "ms" || x == 0 {
		return fmt.Sprintf("%v", x)
	}
	for _, u := range []struct {
		size float64
		name string
	}{{24 * 3600e3, "d"}, {3600e3, "h"}, {60e3, "m"}, {1e3, "s"}} {
		if n := x / u.size; n == math.Trunc(n) || math.Abs(n) >= 1e4 && u.name == "d" {
			return fmt.Sprintf("%.0f%s", n, u.name)
		}
	}
	return fmt.Sprintf("%.0fms", x)
}

// TestDetectPageNAB checks what the page says of the benchmark.
func TestDetectPageNAB(t *testing.T) {
	dir := filepath.Join("..", "..", nabData)
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("the data of the benchmark is not at %s: %v", nabData, err)
	}
	series, err := nab.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := runNAB(anomaly.NewAuto(), series).print(&out, "auto"); err != nil {
		t.Fatal(err)
	}
	table, _, _ := strings.Cut(out.String(), "---")
	var b strings.Builder
	for line := range strings.Lines("edged bench nab --data NAB\n\n" + table) {
		if strings.TrimSpace(line) == "" {
			b.WriteString("\n")
		} else {
			b.WriteString("    " + line)
		}
	}
	pageBlock(t, "nab", b.String())
}
