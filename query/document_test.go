package query_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"edged/query"
)

var seed = flag.Uint64("seed", 1, "seed of the random tests")

func TestInterpolation(t *testing.T) {
	env := map[string]string{"A": "a", "EMPTY": "", "N": "17", "D": "20s", "TRICK": "x}, qos: 0, {"}
	lookup := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	for text, want := range map[string]string{
		`${A}`:             "a",
		`x${A}y${A:z}`:     "xaya",
		`"${NONE:a:b}"`:    "a:b",
		`"${EMPTY:x}y"`:    "y",
		`$${A}`:            "${A}",
		`$$${A}`:           "$${A}",
		`"$ {A} $A {A}"`:   "$ {A} $A {A}",
		`'${A}'`:           "a",
		`"${TRICK}"`:       "x}, qos: 0, {", // a value cannot add keys
		`"${N}"`:           "17",            // quoted: a text
		`${NONE:sensors/}`: "sensors/",
	} {
		doc, err := query.Parse("f", []byte("pipelines:\n- filter: "+text+"\n"), lookup)
		if got := doc.Pipelines; len(got) != 1 || got[0].Inputs[0].Filter != want {
			t.Errorf("%s: got %+v, %v; want %q", text, got, err, want)
		}
	}
	doc, _ := query.Parse("f", []byte("pipelines:\n- window: {size: \"${D}\"}\n  key:\n    topic_level: ${N}\n"), lookup)
	if p := doc.Pipelines[0]; p.Window.Size != 20000 || p.Inputs[0].Key.TopicLevel != 17 {
		t.Errorf("got %+v", p)
	}
}

func TestPositionsInsideExpressions(t *testing.T) {
	for text, want := range map[string][2]int{
		"    filter: x > yy":                 {9, 17},
		"    filter: \"x > yy\"":             {9, 18},
		"    filter: 'x > yy'":               {9, 18},
		"    filter: |\n      x >\n      yy": {11, 7},
		"    filter: \"\\x78 > yy\"":         {9, 13}, // escaped: where it begins
		"    filter: ${NONE:x > yy}":         {9, 24},
	} {
		faults := faultsOf("f", []byte(document()[:strings.Index(document(), "    aggregates")]+text+"\n    aggregates: [{name: n, function: count}]\n"))
		if len(faults) != 1 || faults[0].Line != want[0] || faults[0].Column != want[1] {
			t.Errorf("%s: got %v, want %v", text, faults, want)
		}
	}
}

func TestLimits(t *testing.T) {
	for name, text := range map[string]string{
		"size":      "# " + strings.Repeat("x", query.DocumentBytesMax),
		"pipelines": "pipelines:\n" + strings.Repeat("- {}\n", query.PipelinesMax+1),
		"bomb":      "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n",
		"depth":     strings.Repeat("[", 9999) + strings.Repeat("]", 9999),
		"fields":    document("compute: [" + strings.Repeat("{name: c, expression: x}, ", query.FieldsMax) + "]"),
		"expr":      document("filter: x > 1" + strings.Repeat(" and x > 1", query.ExpressionBytesMax/10)),
		"nodes":     document("filter: x" + strings.Repeat("+x", 1000) + " > 1"),
		"nested":    document("filter: " + strings.Repeat("(", 1500) + "b" + strings.Repeat(")", 1500)),
	} {
		before := time.Now()
		faults := faultsOf("f", []byte(text))
		if name != "nested" && len(faults) == 0 {
			t.Errorf("%s: no error", name)
		}
		if d := time.Since(before); d > 5*time.Second {
			t.Errorf("%s: took %s", name, d)
		}
	}
	for _, text := range []string{"", "\n", "# nothing\n", "---\n", "null\n", "pipelines: []\n", "settings:\n"} {
		if doc, err := query.Parse("f", []byte(text), none); err != nil || len(doc.Pipelines) != 0 {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"10s": 10 * time.Second, "500ms": 500 * time.Millisecond, "1d": 24 * time.Hour, "1d12h": 36 * time.Hour,
		"1h30m": 90 * time.Minute, "1.5s": 1500 * time.Millisecond, "0s": 0, "0": 0, "-2m": -2 * time.Minute, "0d": 0,
		"250us": 250 * time.Microsecond, "3660d": query.DurationMax,
	} {
		if got, err := query.ParseDuration(text); err != nil || got != want {
			t.Errorf("%s: got %s, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "10", "1.5", "s", "-", "--1s", "1s-1s", "1d-1s", "+1s", "1x", "1.5d", "10 s", "1e3", "inf", "NaN", "3660d1ns",
		"99999999999999h", "65536d", "12h1d", "d", "0x1p3"} {
		if got, err := query.ParseDuration(text); err == nil {
			t.Errorf("%q: got %s", text, got)
		}
	}
	for _, d := range []time.Duration{0, 1, time.Millisecond, time.Minute, 90 * time.Minute, 24 * time.Hour, 36 * time.Hour, -time.Second, time.Hour + time.Second} {
		if got, err := query.ParseDuration(query.FormatDuration(d)); err != nil || got != d {
			t.Errorf("%s becomes %q, %s, %v", d, query.FormatDuration(d), got, err)
		}
	}
}

// FuzzParse: no document panics, every fault stands within the document, and what
// compiles decodes and describes itself.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/errors/*.yaml", "../configs/examples/*.yaml"} {
		files, _ := filepath.Glob(pattern)
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(string(text), `{"device":"a","ts":1}`)
		}
	}
	f.Add(document("compute: [{name: r, expression: x * 2}]", "filter: x > 1"), `{"k":"a","t":1,"x":3}`)
	f.Fuzz(func(t *testing.T, text, payload string) {
		doc, err := query.Parse("f", []byte(text), none)
		faults, _ := errors.AsType[query.Errors](err)
		lines := 2 // YAML knows more line breaks than \n
		for _, r := range text {
			if strings.ContainsRune("\n\r\u0085\u2028\u2029", r) {
				lines++
			}
		}
		for _, fault := range faults {
			if fault.Line > lines || fault.Line > 0 && fault.Column < 1 || fault.Message == "" {
				t.Fatalf("%+v", fault)
			}
		}
		if err != nil {
			return
		}
		for i := range doc.Pipelines {
			plan, err := query.Compile(&doc.Pipelines[i], query.Env{})
			if err == nil {
				run(t, plan, payload)
			}
		}
	})
}
