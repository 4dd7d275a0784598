package query

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func indexed(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }

// at returns the place of the value at path, or of the closest value around it.
func (w *where) at(path string) position {
	for {
		if p, ok := w.places[path]; ok {
			return p
		}
		i := strings.LastIndexAny(path, ".[")
		if i < 0 {
			return w.places[""]
		}
		path = path[:i]
	}
}

// within returns the place of the character at offset in the text at path. When
// the text does not stand in the document as it is (it was folded, escaped or
// interpolated), that is the place where it begins.
func (w *where) within(path, text string, offset int) position {
	start := w.at(path)
	before := string([]rune(text)[:min(offset, utf8.RuneCountInString(text))])
	row := strings.Count(before, "\n")
	line := strings.Split(text, "\n")[row]
	column := utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:])
	// The text of a block begins on the line after its | or >.
	for _, n := range []int{start.line + row, start.line + row + 1} {
		if n < 1 || n > len(w.lines) {
			continue
		}
		from := 0
		if n == start.line {
			from = max(start.column-1, 0)
		}
		source := []rune(w.lines[n-1])
		if from > len(source) {
			continue
		}
		if i := strings.Index(string(source[from:]), line); i >= 0 {
			column += from + utf8.RuneCountInString(string(source[from:])[:i])
			return position{n, column + 1}
		}
	}
	return start
}
