package edgedtest_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"edged/edgedtest"
)

// pending are the scripts whose operators are not there yet. It is empty in a
// release, and a script on it that runs is an error.
var pending = map[string]string{}

// TestScripts runs the worked examples of the field.
func TestScripts(t *testing.T) {
	names, err := filepath.Glob("testdata/scripts/*.yaml")
	if err != nil || len(names) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, name := range names {
		short := strings.TrimSuffix(filepath.Base(name), ".yaml")
		t.Run(short, func(t *testing.T) {
			if why, ok := pending[short]; ok {
				trial := &recorder{}
				trial.run(name)
				if !trial.failed {
					t.Errorf("the script passes; strike it from pending (%s)", why)
				}
				t.Skip(why)
			}
			edgedtest.RunScript(t, name)
		})
	}
	for name := range pending {
		if _, err := os.Stat("testdata/scripts/" + name + ".yaml"); err != nil {
			t.Errorf("pending: %v", err)
		}
	}
}

// TestScriptsSurviveRestores checks that it makes no difference to any script when all
// state is stored and restored after every step.
func TestScriptsSurviveRestores(t *testing.T) {
	names, _ := filepath.Glob("testdata/scripts/*.yaml")
	for _, name := range names {
		want, got := played(t, name, false), played(t, name, true)
		if !slices.Equal(want, got) {
			t.Errorf("%s\n restored %q\notherwise %q", name, got, want)
		}
	}
}

// played returns the results of a script, each with the line that caused it.
func played(t *testing.T, name string, restore bool) (lines []string) {
	t.Helper()
	document, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	steps, err := os.ReadFile(strings.TrimSuffix(name, ".yaml") + ".in")
	if err != nil {
		t.Fatal(err)
	}
	d := open(t, string(document))
	for line := range strings.Lines(string(steps)) {
		if text := strings.TrimSpace(line); text == "" || text[0] == '#' {
			continue
		}
		results, err := d.Step([]byte(line))
		if err == nil && restore {
			err = d.CheckpointRestore()
		}
		if err != nil {
			t.Fatalf("%s: %s: %v", name, line, err)
		}
		for _, r := range results {
			r.Step = 0 // a restore is a step, too
			lines = append(lines, line+r.String())
		}
	}
	return lines
}

// TestScriptsNameTheirSource checks that each script says where its example and
// its expectations come from.
func TestScriptsNameTheirSource(t *testing.T) {
	names, _ := filepath.Glob("testdata/scripts/*.in")
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(text, []byte("# ")) {
			t.Errorf("%s does not begin with a comment that names its source", name)
		}
	}
}

// recorder is a test that notes failures.
type recorder struct {
	failed   bool
	messages []string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.failed = true
	r.messages = append(r.messages, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	panic(r)
}

func (r *recorder) run(name string) {
	r.during(func() { edgedtest.RunScript(r, name) })
}

// during calls fn, which may end by Fatalf.
func (r *recorder) during(fn func()) {
	defer func() {
		if p := recover(); p != nil && p != any(r) {
			panic(p)
		}
	}()
	fn()
}

const countDocument = `
pipelines:
- name: p
  watermark: {out_of_orderness: 0s}
  window: {size: 10ms}
  aggregates: [{name: n, function: count}]
`

// TestCompareSeesDifferences checks that a golden script cannot pass by accident.
func TestCompareSeesDifferences(t *testing.T) {
	steps := `{"event":{"key":"a","ts":1}}` + "\n" + `{"event":{"key":"a","ts":20}}` + "\n"
	good := `{"step":1,"key":"a","start":0,"end":10,"pane":"on_time","values":{"n":1}}`
	for _, c := range []struct{ name, expected, says string }{
		{"right", good, ""},
		{"a comment", "# one\n\n" + good + "\n", ""},
		{"a fraction", strings.Replace(good, `"n":1`, `"n":1.0`, 1), ""},
		{"another value", strings.Replace(good, `"n":1`, `"n":2`, 1), "values differs"},
		{"a value less", strings.Replace(good, `"n":1`, ``, 1), "values differs"},
		{"another step", strings.Replace(good, `"step":1`, `"step":0`, 1), "step differs"},
		{"a member that no result has", strings.Replace(good, `"key"`, `"kee"`, 1), "kee differs"},
		{"nothing", "", "one more result"},
		{"twice", good + "\n" + good, "missing"},
		{"a retraction", `{"step":1,"retract":{"start":0}}`, "retract.start differs"},
		{"no JSON", "x", "is not JSON"},
	} {
		r := &recorder{}
		r.during(func() {
			edgedtest.Compare(r, "x", []byte(countDocument), []byte(steps), []byte(c.expected))
		})
		got := strings.Join(r.messages, "\n")
		if r.failed != (c.says != "") || !strings.Contains(got, c.says) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.says)
		}
	}
}
