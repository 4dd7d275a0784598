package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"edged/fleet/protocol"
)

// fleetPage returns docs/fleet.md, or the part of it below a heading.
func fleetPage(t *testing.T, heading string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "fleet.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, part, found := strings.Cut(string(text), heading+"\n")
	if !found {
		t.Fatalf("docs/fleet.md has no %q", heading)
	}
	if heading != "" {
		part, _, _ = strings.Cut(part, "\n#")
	}
	return part
}

// rows returns the rows of tables, by the text of their first cell.
func rows(part string) map[string][]string {
	all := map[string][]string{}
	for line := range strings.Lines(part) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if strings.HasPrefix(line, "| ") {
			all[strings.Trim(cells[0], "`")] = cells[1:]
		}
	}
	return all
}

// protocolWords visits the string literals of package protocol, with the names of
// constants that have them.
func protocolWords(t *testing.T, visit func(name, word string)) {
	t.Helper()
	files, err := filepath.Glob("../../fleet/protocol/*.go")
	if err != nil || len(files) == 0 {
		t.Fatal("no protocol", err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			name, values := "", []ast.Expr(nil)
			switch n := n.(type) {
			case *ast.ValueSpec:
				name, values = n.Names[0].Name, n.Values
			case *ast.KeyValueExpr:
				values = []ast.Expr{n.Key}
			}
			for _, v := range values {
				if lit, ok := v.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					if word, err := strconv.Unquote(lit.Value); err == nil {
						visit(name, word)
					}
				}
			}
			return true
		})
	}
}

// TestFleetPageCodes: all codes, each with its meaning, and no others.
func TestFleetPageCodes(t *testing.T) {
	table := rows(fleetPage(t, "### Codes"))
	delete(table, "code")
	delete(table, "---")
	protocolWords(t, func(_, word string) {
		if hint := protocol.Code(word).Hint(); hint != "" {
			if row := table[word]; len(row) != 1 || row[0] != hint {
				t.Errorf("%s: the page has %q, the program %q", word, row, hint)
			}
			delete(table, word)
		}
	})
	for word := range table {
		if word != string(protocol.OK) {
			t.Errorf("there is no code %s", word)
		}
	}
}

// TestFleetPageOperations: all operations in their classes, and no others.
func TestFleetPageOperations(t *testing.T) {
	_, block, _ := strings.Cut(fleetPage(t, "### Operations"), "```\n")
	block, _, _ = strings.Cut(block, "```")
	found, class := map[string]string{}, ""
	for line := range strings.Lines(block) {
		line, _, _ = strings.Cut(line, "  a nonce") // what the class needs
		words := strings.Fields(line)
		if !strings.HasPrefix(line, " ") {
			class, words = words[0], words[1:]
		}
		for _, op := range words {
			if c, known := protocol.ClassOf(op); !known || c.String() != class {
				t.Errorf("%s is not of class %s: %v, %v", op, class, c, known)
			}
			found[op] = class
		}
	}
	protocolWords(t, func(_, word string) {
		if class, known := protocol.ClassOf(word); known && found[word] == "" {
			t.Errorf("%s of class %s is missing", word, class)
		}
	})
}

// TestFleetPageTopics: all topics with who publishes them, how, and whether they are
// retained; and no others.
func TestFleetPageTopics(t *testing.T) {
	table := rows(fleetPage(t, "### Topics"))
	delete(table, "topic")
	delete(table, "---")
	for kind := protocol.KindState; kind <= protocol.KindTrust; kind++ {
		topic, form := protocol.Topic{}, ""
		for _, try := range []protocol.Topic{{Gateway: "GW"}, {Gateway: "GW", ID: protocol.NewID(1, [10]byte{})}, {Gateway: "GW", Name: "NAME"}, {Group: "GROUP", ID: protocol.NewID(1, [10]byte{})}, {}} {
			try.Kind, try.Fleet = kind, "FLEET"
			if text, err := try.Format(protocol.DefaultPrefix); err == nil {
				topic, form = try, strings.TrimPrefix(text, protocol.DefaultPrefix+"/FLEET/")
			}
		}
		name := "STREAM"
		if kind == protocol.KindEvent {
			name = "CLASS"
		}
		form = strings.NewReplacer("NAME", name, string(protocol.NewID(1, [10]byte{})), "ID").Replace(form)
		from, retained := "gateway", "no"
		switch {
		case kind == protocol.KindAck:
			from = "upstream"
		case kind.ToGateway():
			from = "operator"
		}
		switch {
		case kind.Retained():
			retained = "yes"
		case topic.ID != "" && kind.ToGateway():
			retained = "never"
		}
		want := []string{from, fmt.Sprint(kind.QoS()), retained}
		if row := table[form]; len(row) != 4 || !slices.Equal(row[:3], want) {
			t.Errorf("%s: the page has %q, want %q", form, row, want)
		}
		delete(table, form)
	}
	for form := range table {
		t.Errorf("there is no topic %s", form)
	}
}

// shapeOf writes the members of a message as the page does.
func shapeOf(m reflect.Type) string {
	var all []string
	for i := range m.NumField() {
		name, _, _ := strings.Cut(m.Field(i).Tag.Get("json"), ",")
		inner := m.Field(i).Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		switch {
		case inner.Kind() == reflect.Struct:
			name += "{" + shapeOf(inner) + "}"
		case inner.Kind() == reflect.Slice && inner.Elem().Kind() == reflect.Struct:
			name += "[{" + shapeOf(inner.Elem()) + "}]"
		}
		all = append(all, name)
	}
	return strings.Join(all, " ")
}

// TestFleetPageMessages: each message with exactly its members, in their order, and each
// member that has a few words with exactly these.
func TestFleetPageMessages(t *testing.T) {
	part := fleetPage(t, "### Messages")
	_, block, _ := strings.Cut(part, "```\n")
	block, _, _ = strings.Cut(block, "```")
	block = strings.Join(strings.Fields(strings.ReplaceAll(block, "|", "")), " ") + " "
	for _, m := range []protocol.Message{protocol.State{}, protocol.Info{}, protocol.Heartbeat{}, protocol.Event{}, protocol.Desired{},
		protocol.Reported{}, protocol.Command{}, protocol.Answer{}, protocol.Beacon{}} {
		want := reflect.TypeOf(m).Name() + " " + shapeOf(reflect.TypeOf(m)) + " "
		before := len(block)
		if block = strings.Replace(block, want, "", 1); len(block) == before {
			t.Errorf("the page does not have %s", want)
		}
	}
	if block = strings.TrimSpace(block); block != "" && !t.Failed() {
		t.Errorf("the page has more: %s", block)
	}
	words := map[string][]string{}
	protocolWords(t, func(name, word string) {
		for _, group := range []string{"Phase", "Class", "Severity", "Cause", "Confirm", "Status", "State"} {
			if strings.HasPrefix(name, group) {
				if group == "Status" && word != strings.ToUpper(word) {
					group = "Answer"
				}
				words[group] = append(words[group], word)
				return
			}
		}
	})
	list := func(group string) string { return strings.Join(words[group], " ") }
	table := rows(part)
	for name, want := range map[string]string{
		"Reported.status": list("Status"), "Reported.phase": list("Phase"), "Event.class, Event.sev": list("Class") + "; " + list("Severity"),
		"State.cause": list("Cause"), "apply.confirm, apply.state": list("Confirm") + "; " + list("State"),
	} {
		if row := table[name]; len(row) != 1 || row[0] != want {
			t.Errorf("%s: the page has %q, the program %q", name, row, want)
		}
	}
	said := " " + strings.NewReplacer(",", " ", ":", " ").Replace(strings.Join(table["Answer.status, with n"], " ")) + " "
	for _, status := range words["Answer"] {
		if !strings.Contains(said, " "+status+" ") {
			t.Errorf("Answer.status: the page does not have %s", status)
		}
	}
	for phase := range rows(fleetPage(t, "## Configurations")) {
		if phase != "phase" && phase != "---" && !slices.Contains(words["Phase"], phase) {
			t.Errorf("there is no phase %s", phase)
		}
	}
}

// TestFleetPageCommands: every command of edged fleet, and each flag that a table lists.
func TestFleetPageCommands(t *testing.T) {
	page := fleetPage(t, "")
	visitCommands(newFleetCmd(), func(c *cobra.Command) {
		if c.Name() != "help" && !strings.Contains(page, "edged "+c.CommandPath()) {
			t.Errorf("%s is not mentioned", c.CommandPath())
		}
	})
	flags := newFleetRolloutCmd(&fleetFlags{}).Flags()
	for name, row := range rows(fleetPage(t, "## Rollouts")) {
		flag, found := strings.CutPrefix(name, "--")
		if !found {
			continue
		}
		f := flags.Lookup(flag)
		if f == nil {
			t.Errorf("edged fleet rollout has no --%s", flag)
			continue
		}
		if known := strings.NewReplacer("10m0s", "10m", "24h0m0s", "24h", "false", "off").Replace(f.DefValue); known != "" && known != "[]" && row[len(row)-1] != known {
			t.Errorf("--%s: the page has the default %s, the program %s", flag, row[len(row)-1], known)
		}
	}
}

func visitCommands(c *cobra.Command, visit func(*cobra.Command)) {
	visit(c)
	for _, sub := range c.Commands() {
		visitCommands(sub, visit)
	}
}
