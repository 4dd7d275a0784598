package nab_test

import (
	"bufio"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"edged/internal/nab"
)

// corpus loads the benchmark, which is not part of the module.
func corpus(t testing.TB) []*nab.Series {
	t.Helper()
	dir := filepath.Join("..", "..", "..", "shared", "data", "nab")
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("the data of the benchmark is not at ../shared/data/nab beside the module: %v", err)
	}
	all, err := nab.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestLoad(t *testing.T) {
	all := corpus(t)
	rows, windows := 0, 0
	for _, s := range all {
		rows += len(s.Values)
		windows += len(s.Windows)
		for i, w := range s.Windows {
			if w.From > w.To || w.To >= len(s.Times) || i > 0 && w.From <= s.Windows[i-1].To {
				t.Errorf("%s: window %d is %+v", s.Name, i, w)
			}
		}
	}
	if len(all) != 58 || rows != 365558 || windows != 116 {
		t.Errorf("%d series, %d rows, %d windows", len(all), rows, windows)
	}
}

// published is what one detector detected, and its score in one profile.
type published struct {
	detector, profile string
	score             float64
	rows              map[string][]int
}

// readPublished reads testdata/published.txt.
func readPublished(t *testing.T) []published {
	t.Helper()
	file, err := os.Open(filepath.Join("testdata", "published.txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var all []published
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		switch {
		case words[0] == "#":
		case lines.Text()[0] != ' ':
			score, err := strconv.ParseFloat(words[2], 64)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, published{words[0], strings.ReplaceAll(words[1], "_", " "), score, map[string][]int{}})
		default:
			row, p := 0, &all[len(all)-1]
			for _, w := range words[1:] {
				step, err := strconv.Atoi(w)
				if err != nil {
					t.Fatal(err)
				}
				row += step
				p.rows[words[0]] = append(p.rows[words[0]], row)
			}
		}
	}
	return all
}

// TestPublished gives the detections of published detectors to the scorer, and
// expects their published scores.
func TestPublished(t *testing.T) {
	all := corpus(t)
	profiles := map[string]nab.Profile{}
	for _, p := range nab.Profiles() {
		profiles[p.Name] = p
	}
	rows := readPublished(t)
	if len(rows) == 0 {
		t.Fatal("no published rows")
	}
	for _, p := range rows {
		var sum nab.Outcome
		for _, s := range all {
			detected := make([]bool, len(s.Times))
			for _, i := range p.rows[s.Name] {
				detected[i] = true
			}
			sum.Add(nab.Judge(s, detected))
		}
		if got := sum.Score(profiles[p.profile]); math.Abs(got-p.score) > 1e-4 {
			t.Errorf("%s, %s: %.5f, published %.5f", p.detector, p.profile, got, p.score)
		}
	}
}

// TestEnds: who detects nothing gets 0, who detects the first row of every window
// and nothing else gets 100, in every profile.
func TestEnds(t *testing.T) {
	var nothing, perfect nab.Outcome
	for _, s := range corpus(t) {
		nothing.Add(nab.Judge(s, nil))
		detected := make([]bool, len(s.Times))
		for _, w := range s.Windows {
			detected[w.From] = true
		}
		perfect.Add(nab.Judge(s, detected))
	}
	for _, p := range nab.Profiles() {
		if got := nothing.Score(p); got != 0 {
			t.Errorf("%s: nothing gets %g", p.Name, got)
		}
		if got := perfect.Score(p); math.Abs(got-100) > 1e-9 {
			t.Errorf("%s: perfect gets %g", p.Name, got)
		}
	}
}
