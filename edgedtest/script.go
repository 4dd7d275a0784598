package edgedtest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
)

// lineBytesMax bounds a line of steps. A bundle is one line.
const lineBytesMax = 16 << 20

// TB is the part of testing.TB that [RunScript] needs.
type TB interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// RunScript runs a golden script: the pipelines of NAME.yaml are told the steps of
// NAME.in, and what appears must be what NAME.out says, line by line. name is the
// path without the ending, or the path of any of the three files.
//
// In NAME.in and NAME.out, lines that are empty or begin with # are comments and
// no steps. A line of NAME.out is a result as [Result.AppendJSON] writes it, but
// may leave members out: what it does not mention is not compared. What it does
// mention must be equal, values altogether; of an alarm only those that it mentions.
//
// If the first line of NAME.out is "# alarms only", other results are not compared.
//
// The script is run a second time with a checkpoint and restore after every step,
// which must make no difference at all.
func RunScript(t TB, name string) {
	t.Helper()
	base := strings.TrimSuffix(name, filepath.Ext(name))
	var texts [3][]byte
	for i, ending := range []string{".yaml", ".in", ".out"} {
		text, err := os.ReadFile(base + ending)
		if err != nil {
			t.Fatalf("read the script: %v", err)
		}
		texts[i] = text
	}
	Compare(t, base, texts[0], texts[1], texts[2])
}

// alarmsOnly begins expectations in which all results but alarms are left out.
const alarmsOnly = "# alarms only\n"

// Compare is [RunScript] with the three texts at hand; name stands in errors.
func Compare(t TB, name string, document, steps, expected []byte) {
	t.Helper()
	got, err := run(name, document, steps, false)
	if err != nil {
		t.Fatalf("%v", err)
	}
	again, err := run(name, document, steps, true)
	if err != nil {
		t.Fatalf("with a checkpoint after every step: %v", err)
	}
	if a, b := strings.Join(got, "\n"), strings.Join(again, "\n"); a != b {
		t.Errorf("%s: with a checkpoint after every step the results are\n%s\nand without\n%s", name, b, a)
	}
	want := contentLines(expected)
	if bytes.HasPrefix(expected, []byte(alarmsOnly)) {
		got = slices.DeleteFunc(got, func(line string) bool { return !strings.Contains(line, `"alarm":{`) })
	}
	for i := range max(len(want), len(got)) {
		switch {
		case i >= len(got):
			t.Errorf("%s.out:%d: missing\n  want %s", name, want[i].number, want[i].text)
		case i >= len(want):
			t.Errorf("%s.out: one more result\n  got  %s", name, got[i])
		default:
			differs, err := difference(want[i].text, got[i])
			if err != nil {
				t.Fatalf("%s.out:%d: %v", name, want[i].number, err)
			}
			if differs != "" {
				t.Errorf("%s.out:%d: %s\n  want %s\n  got  %s", name, want[i].number, differs, want[i].text, got[i])
			}
		}
	}
}

// run returns the lines of results of a script.
func run(name string, document, steps []byte, checkpoints bool) ([]string, error) {
	d, err := Open(name+".yaml", document)
	if err != nil {
		return nil, err
	}
	var lines []string
	err = d.Run(bytes.NewReader(steps), func(results []Result) error {
		for i := range results {
			lines = append(lines, results[i].String())
		}
		if !checkpoints {
			return nil
		}
		err := d.CheckpointRestore()
		d.steps-- // so that it does not count
		return err
	})
	if err != nil {
		err = fmt.Errorf("%s.in:%w", name, err)
	}
	return lines, err
}

// Run carries out the steps of in, one a line, and calls emit with the results of
// each. Lines that are empty or begin with # are passed over. The error names the
// line; the steps before it have been carried out.
func (d *Driver) Run(in io.Reader, emit func([]Result) error) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 0, 64<<10), lineBytesMax)
	at := 0
	for lines.Scan() {
		at++
		text := bytes.TrimSpace(lines.Bytes())
		if isComment(text) {
			continue
		}
		results, err := d.Step(text)
		if err != nil {
			return &StepError{at, err}
		}
		if err := emit(results); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return &StepError{at + 1, fmt.Errorf("read the line: %w; a line has at most %d bytes", err, lineBytesMax)}
	}
	return nil
}

// StepError is a line that is no step.
type StepError struct {
	Line int // from 1
	Err  error
}

// Error implements error.
func (e *StepError) Error() string { return fmt.Sprintf("%d: %v", e.Line, e.Err) }

// Unwrap returns what is wrong with the line.
func (e *StepError) Unwrap() error { return e.Err }

func isComment(line []byte) bool { return len(line) == 0 || line[0] == '#' }

// numbered is a line and its number from 1.
type numbered struct {
	number int
	text   string
}

func contentLines(text []byte) []numbered {
	var list []numbered
	at := 0
	for line := range bytes.Lines(text) {
		at++
		if line = bytes.TrimSpace(line); !isComment(line) {
			list = append(list, numbered{at, string(line)})
		}
	}
	return list
}

// difference says in what a result is not what was expected, and "" when it is.
func difference(want, got string) (string, error) {
	expected, err := parseObject([]byte(want))
	if err != nil {
		return "", err
	}
	actual, err := parseObject([]byte(got))
	if err != nil {
		return "", fmt.Errorf("the result %s: %w", got, err)
	}
	a := actual.plain()
	for name, value := range expected.plain() {
		found, ok := a[name]
		if part, nested := value.(map[string]any); nested && (name == "late" || name == "retract" || name == "row" || name == "alarm" || name == "dead_letter") {
			whole, _ := found.(map[string]any)
			if whole == nil && name == "alarm" {
				return name + " differs", nil
			}
			for inner, value := range part {
				if list, ok := value.(map[string]any); ok && name == "alarm" {
					value, whole[inner] = mentioned(list, whole[inner])
				}
				if !reflect.DeepEqual(value, whole[inner]) {
					return name + "." + inner + " differs", nil
				}
			}
			continue
		}
		if !ok || !reflect.DeepEqual(value, found) {
			return name + " differs", nil
		}
	}
	return "", nil
}

// mentioned leaves out of what was found what is not expected.
func mentioned(want map[string]any, found any) (any, any) {
	whole, _ := found.(map[string]any)
	part := map[string]any{}
	for name := range want {
		if value, there := whole[name]; there {
			part[name] = value
		}
	}
	return want, part
}

// plain returns the object as maps, lists and float64 numbers: what is equal as a
// value is then equal in Go.
func (o object) plain() map[string]any {
	m := make(map[string]any, len(o))
	for _, p := range o {
		m[p.name] = plain(p.value)
	}
	return m
}

func plain(value any) any {
	switch v := value.(type) {
	case object:
		return v.plain()
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = plain(v[i])
		}
		return list
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i
		}
		f, _ := v.Float64()
		if i := int64(f); f > -1e15 && f < 1e15 && float64(i) == f {
			return i
		}
		return f
	}
	return value
}
