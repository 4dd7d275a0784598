package nab_test

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"edged"
	"edged/internal/nab"
)

// TestJudge checks outcomes that were computed by hand: a series of 100 rows, so
// that 15 are probation, with windows 40..49 and 80..80.
func TestJudge(t *testing.T) {
	s := &nab.Series{Times: make([]edged.Timestamp, 100), Windows: []nab.Window{{From: 40, To: 49}, {From: 80, To: 80}}}
	for _, c := range []struct {
		name string
		rows []int
		want nab.Outcome
	}{
		{"nothing", nil, nab.Outcome{Windows: 2, Missed: 2}},
		{"probation", []int{0, 14}, nab.Outcome{Windows: 2, Missed: 2}},
		{"before any window", []int{15, 39}, nab.Outcome{Windows: 2, Missed: 2, False: 2, Wasted: 2}},
		{"first row", []int{40, 80}, nab.Outcome{Windows: 2, Found: 2, Earned: 2}},
		// p = -(49-44+1)/10 = -0.6: 2/(1+e^-3)-1 = 0.905148; S(-1) = 0.986614.
		{"middle, once", []int{44, 45, 49}, nab.Outcome{Windows: 2, Found: 1, Missed: 1, Earned: 0.905148 / 0.986614}},
		// p = -1/10: 0.244919.
		{"last row", []int{49}, nab.Outcome{Windows: 2, Found: 1, Missed: 1, Earned: 0.244919 / 0.986614}},
		// p = 1/9: 2/(1+e^(5/9))-1 = -0.270847.
		{"just after", []int{50}, nab.Outcome{Windows: 2, Missed: 2, False: 1, Wasted: 0.270847}},
		// p = (76-49)/9 = 3 exactly: the sigmoid; from 77 on the full weight.
		{"far after", []int{76, 77}, nab.Outcome{Windows: 2, Missed: 2, False: 2, Wasted: 0.9999994 + 1}},
		{"after a window of one row", []int{81}, nab.Outcome{Windows: 2, Missed: 2, False: 1, Wasted: 1}},
	} {
		detected := make([]bool, 100)
		for _, i := range c.rows {
			detected[i] = true
		}
		got := nab.Judge(s, detected)
		if math.Abs(got.Earned-c.want.Earned) > 1e-6 || math.Abs(got.Wasted-c.want.Wasted) > 1e-6 {
			t.Errorf("%s: earned %.7f, wasted %.7f; want %.7f, %.7f", c.name, got.Earned, got.Wasted, c.want.Earned, c.want.Wasted)
		}
		got.Earned, got.Wasted = c.want.Earned, c.want.Wasted
		if got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestProbation(t *testing.T) {
	for n, want := range map[int]int{0: 0, 6: 0, 7: 1, 100: 15, 4032: 604, 4999: 749, 5000: 750, 22695: 750} {
		if got := nab.Probation(n); got != want {
			t.Errorf("of %d rows %d are probation, want %d", n, got, want)
		}
	}
}

// TestProbationHidesWindow: a window that cannot be found is neither found nor
// missed, but the best possible score still counts it.
func TestProbationHidesWindow(t *testing.T) {
	s := &nab.Series{Times: make([]edged.Timestamp, 100), Windows: []nab.Window{{From: 5, To: 10}, {From: 12, To: 16}}}
	detected := make([]bool, 100)
	detected[6], detected[12], detected[16] = true, true, true
	got := nab.Judge(s, detected)
	if got.Windows != 2 || got.Found != 1 || got.Missed != 0 || got.False != 0 {
		t.Errorf("%+v", got)
	}
}

func TestScore(t *testing.T) {
	o := nab.Outcome{Windows: 4, Found: 3, Missed: 1, Earned: 2.5, False: 10, Wasted: 8}
	for i, want := range []float64{ // (2.5 - 1 - 0.88 + 4)/8, (2.5 - 1 - 1.76 + 4)/8, (2.5 - 2 - 0.88 + 8)/12
		57.75, 46.75, 63.5,
	} {
		if got := o.Score(nab.Profiles()[i]); math.Abs(got-want) > 1e-9 {
			t.Errorf("%s: %g, want %g", nab.Profiles()[i].Name, got, want)
		}
	}
	if empty := (&nab.Outcome{}).Score(nab.Profiles()[0]); !math.IsNaN(empty) {
		t.Errorf("without windows: %g", empty)
	}
}

// TestLoadRefuses names what is wrong with a folder of data.
func TestLoadRefuses(t *testing.T) {
	const rows = "timestamp,value\n2014-01-01 00:00:00,1\n2014-01-01 00:05:00,2\n"
	for name, c := range map[string]struct{ labels, rows, says string }{
		"right":         {`{"a/b.csv":[["2014-01-01 00:00:00.000000","2014-01-01 00:05:00.000000"]]}`, rows, ""},
		"no labels":     {"", rows, "labels"},
		"labels":        {"{", rows, "JSON"},
		"no series":     {`{"a/c.csv":[]}`, rows, "c.csv"},
		"window":        {`{"a/b.csv":[["2014-01-01 00:01:00","2014-01-01 00:05:00"]]}`, rows, "no row has the time"},
		"window's time": {`{"a/b.csv":[["yesterday","2014-01-01 00:05:00"]]}`, rows, "yesterday"},
		"backwards":     {`{"a/b.csv":[["2014-01-01 00:05:00","2014-01-01 00:00:00"]]}`, rows, "no row has the time"},
		"overlap": {`{"a/b.csv":[["2014-01-01 00:00:00","2014-01-01 00:05:00"],["2014-01-01 00:05:00","2014-01-01 00:05:00"]]}`, rows,
			"no row has the time"},
		"time":  {`{"a/b.csv":[]}`, rows + "soon,1\n", "line 4"},
		"value": {`{"a/b.csv":[]}`, rows + "2014-01-01 00:00:00\n", "line 4"},
	} {
		dir := t.TempDir()
		if err := os.MkdirAll(filepath.Join(dir, "a"), 0o700); err != nil {
			t.Fatal(err)
		}
		for file, text := range map[string]string{nab.Labels: c.labels, "a/b.csv": c.rows} {
			if text == "" {
				continue
			}
			if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(file)), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		all, err := nab.Load(dir)
		if c.says == "" {
			if err != nil || len(all) != 1 || all[0].Category() != "a" || all[0].Windows[0] != (nab.Window{From: 0, To: 1}) {
				t.Errorf("%s: %v, %v", name, all, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want ...%s...", name, err, c.says)
		}
	}
}
