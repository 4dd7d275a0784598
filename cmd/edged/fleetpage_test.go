package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"edged/fleet/protocol"
)

// TestFleetPage: docs/fleet.md has every code with its meaning, every operation in its
// class, every topic and member of a message, and every command.
func TestFleetPage(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "fleet.md"))
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	codes, ops := 0, 0
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
			switch n := n.(type) {
			case *ast.BasicLit:
				word, err := strconv.Unquote(n.Value)
				if err != nil || n.Kind != token.STRING {
					return true
				}
				if hint := protocol.Code(word).Hint(); hint != "" {
					codes++
					if !strings.Contains(page, "| "+word+" | "+hint+" |") {
						t.Errorf("no row for %s: %s", word, hint)
					}
				}
				if class, ok := protocol.ClassOf(word); ok {
					ops++
					if !strings.Contains(operationsOf(page, class.String()), " "+word) {
						t.Errorf("%s is not among the operations of class %s", word, class)
					}
				}
			case *ast.Field:
				if n.Tag != nil {
					_, rest, _ := strings.Cut(n.Tag.Value, `json:"`)
					if name := rest[:strings.IndexAny(rest, `",`)]; !strings.Contains(page, name) {
						t.Errorf("%s: no member %s", file, name)
					}
				}
			}
			return true
		})
	}
	if codes < 29 || ops < 40 {
		t.Errorf("only %d codes and %d operations were found", codes, ops)
	}
	for _, c := range newFleetCmd().Commands() {
		visitCommands(c, func(c *cobra.Command) {
			if c.Name() != "help" && !strings.Contains(page, strings.TrimPrefix(c.CommandPath(), "fleet ")) {
				t.Errorf("%s is not mentioned", c.CommandPath())
			}
		})
	}
}

// operationsOf returns the lines of a class in the block of operations.
func operationsOf(page, class string) string {
	_, rest, _ := strings.Cut(page, "\n"+class+" ")
	lines := strings.SplitAfter(rest, "\n")
	text := " " + lines[0]
	for _, line := range lines[1:] {
		if !strings.HasPrefix(line, "             ") {
			break
		}
		text += line
	}
	return text
}

func visitCommands(c *cobra.Command, visit func(*cobra.Command)) {
	visit(c)
	for _, sub := range c.Commands() {
		visitCommands(sub, visit)
	}
}
