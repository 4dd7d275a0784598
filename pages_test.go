package edged_test

import (
	"fmt"
	"go/ast"
	"go/token"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
)

// pages returns the files of documentation and their text.
func pages(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := walk(func(name string) error {
		if path.Ext(name) != ".md" {
			return nil
		}
		text, err := os.ReadFile(name)
		all[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

var (
	machinePath = regexp.MustCompile(`(^|[^\w.])/(work|root|home|Users|mnt)/`)
	link        = regexp.MustCompile(`\]\(([^)#\s]+)(#[^)]*)?\)`)
	testName    = regexp.MustCompile(`\b(Test|Fuzz|Benchmark)[A-Z]\w*`)
	makeTarget  = regexp.MustCompile("`make ([a-z]+)")
	ruleName    = regexp.MustCompile(`(?m)^([a-z]+):`)
	metricName  = regexp.MustCompile(`\bedged_[a-z_]+`)
	settingName = regexp.MustCompile("`((?:mqtt|upstream|http|engine|journal|outbox|dead_letters|log)\\.[a-z_]+)`")
)

// pendingMark excuses a line of documentation that names what is being written.
// A release has none.
const pendingMark = "<!-- pending -->"

// facts are the names that pages may use.
type facts struct {
	tests, targets, metrics map[string]bool
	operations              map[string]bool // some look like settings
	settings                string          // the page that lists them
}

// TestPages checks that the documentation names no place of somebody's machine,
// and only files, tests, make targets, metrics and settings that exist.
func TestPages(t *testing.T) {
	known := facts{tests: map[string]bool{}, targets: map[string]bool{}, metrics: map[string]bool{}, operations: map[string]bool{}}
	for _, s := range sources(t) {
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				known.tests[n.Name.Name] = known.tests[n.Name.Name] || s.test
			case *ast.BasicLit:
				if n.Kind == token.STRING && strings.HasPrefix(s.path, "cmd/edged/") {
					known.metrics[strings.Trim(n.Value, `"`)] = true
				}
				if n.Kind == token.STRING && s.path == "fleet/protocol/operation.go" {
					known.operations[strings.Trim(n.Value, `"`)] = true
				}
			}
			return true
		})
	}
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range ruleName.FindAllStringSubmatch(string(makefile), -1) {
		known.targets[m[1]] = true
	}
	all := pages(t)
	known.settings = all["docs/configuration.md"]
	for name, text := range all {
		at := 0
		for line := range strings.Lines(text) {
			at++
			for _, fault := range known.faults(path.Dir(name), line) {
				t.Errorf("%s:%d: %s", name, at, fault)
			}
		}
	}
}

// faults returns what is wrong with one line of a page in the folder.
func (k *facts) faults(folder, line string) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	if m := machinePath.FindString(line); m != "" {
		fault("%q is a path of one machine", m)
	}
	if strings.Contains(line, pendingMark) {
		return faults
	}
	for _, m := range link.FindAllStringSubmatch(line, -1) {
		if _, err := os.Stat(path.Join(folder, m[1])); err != nil && !strings.Contains(m[1], "://") {
			fault("the link to %s leads nowhere", m[1])
		}
	}
	for _, m := range makeTarget.FindAllStringSubmatch(line, -1) {
		if !k.targets[m[1]] {
			fault("there is no make %s", m[1])
		}
	}
	for _, name := range testName.FindAllString(line, -1) {
		if !k.tests[name] {
			fault("there is no %s", name)
		}
	}
	for _, name := range metricName.FindAllString(line, -1) {
		if !k.metrics[name] {
			fault("there is no metric %s", name)
		}
	}
	for _, m := range settingName.FindAllStringSubmatch(line, -1) {
		if !k.operations[m[1]] && !strings.Contains(k.settings, "`"+m[1]+"`") {
			fault("there is no setting or operation %s", m[1])
		}
	}
	return faults
}
