package edgedtest_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"edged/edgedtest"
)

// TestDocumentation runs every example of the pages about windows and alarms: a block
// of yaml, one of steps and one of results.
func TestDocumentation(t *testing.T) {
	for page, least := range map[string]int{"docs/windows.md": 25, "docs/alarms.md": 9} {
		t.Run(page, func(t *testing.T) { runPage(t, page, least) })
	}
}

func runPage(t *testing.T, page string, least int) {
	text, err := os.ReadFile("../" + page)
	if err != nil {
		t.Fatal(err)
	}
	var document, steps string
	examples := 0
	for _, b := range blocks(string(text)) {
		switch b.kind {
		case "yaml":
			document, steps = b.text, ""
		case "steps":
			steps = b.text
		case "results":
			if document == "" || steps == "" {
				t.Fatalf("%s:%d: results without yaml and steps before them", page, b.line)
			}
			examples++
			t.Run(fmt.Sprintf("line %d", b.line), func(t *testing.T) {
				edgedtest.Compare(t, page, []byte(document), []byte(steps), []byte(b.text))
			})
			document, steps = "", ""
		}
	}
	if examples < least || document != "" {
		t.Errorf("%d examples; the last one has no results: %t", examples, document != "")
	}
}

// block is a fenced part of a page.
type block struct {
	kind, text string
	line       int
}

func blocks(page string) (list []block) {
	inside := false
	at := 0
	for line := range strings.Lines(page) {
		at++
		if kind, fence := strings.CutPrefix(strings.TrimSpace(line), "```"); fence {
			if !inside {
				list = append(list, block{kind: kind, line: at})
			}
			inside = !inside
			continue
		}
		if inside {
			list[len(list)-1].text += line
		}
	}
	return list
}
