package timecheck

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"edged/internal/oracle"
)

// Engine runs the steps of a script through the pipelines of a document and
// returns the lines that it prints. Both are in the form of the driver.
type Engine interface {
	Run(document string, steps []string) (lines []string, err error)
}

// Runner runs a case and returns what was said, in the oracle's words.
type Runner func(Case) ([]oracle.Line, error)

// Through returns a runner that hands document and steps to an engine.
func Through(e Engine) Runner {
	return func(c Case) ([]oracle.Line, error) {
		lines, err := e.Run(Document(c.Config), Script(c.Steps))
		if err != nil {
			return nil, err
		}
		return Parse(lines, c.Config.Columns)
	}
}

// Difference is a case on which engine and oracle do not agree.
type Difference struct {
	Case
	Want, Got []oracle.Line
	Err       error // of the engine; Got is then empty
}

// Check runs a case both ways. It returns nil when they agree.
func Check(run Runner, c Case) *Difference {
	d := &Difference{Case: c, Want: oracle.Run(c.Config, c.Steps)}
	d.Got, d.Err = run(c)
	d.Want, d.Got = settle(d.Want), settle(d.Got)
	if d.Err == nil && slices.Equal(d.Want, d.Got) {
		return nil
	}
	return d
}

// settle sorts what has no order of its own: the keys within a step, and events that
// were refused or late among the panes of one.
func settle(lines []oracle.Line) []oracle.Line {
	rank := func(l oracle.Line) int {
		switch l.Kind {
		case oracle.RefusedLine:
			return 0
		case oracle.LateLine:
			return 1
		}
		return 2
	}
	slices.SortStableFunc(lines, func(a, b oracle.Line) int {
		return cmp.Or(cmp.Compare(a.Step, b.Step), cmp.Compare(a.Key, b.Key), cmp.Compare(rank(a), rank(b)))
	})
	return lines
}

// Shrink takes steps and events of bundles away for as long as a case still
// differs, and returns the last difference.
func Shrink(run Runner, d *Difference) *Difference {
	try := func(c Case) bool {
		smaller := Check(run, c)
		// A refused document is another fault than a wrong result.
		if smaller == nil || (smaller.Err == nil) != (d.Err == nil) {
			return false
		}
		d = smaller
		return true
	}
	for changed := true; changed; {
		changed = false
		for width := max(1, len(d.Steps)/2); width > 0; width /= 2 {
			for at := 0; at+width <= len(d.Steps); {
				c := d.Case
				c.Steps = slices.Delete(slices.Clone(c.Steps), at, at+width)
				if try(c) {
					changed = true
				} else {
					at++
				}
			}
		}
		for at := range d.Steps {
			for n := len(d.Steps[at].Readings); n > 1; n-- {
				c := d.Case
				c.Steps = slices.Clone(c.Steps)
				c.Steps[at].Readings = slices.Delete(slices.Clone(c.Steps[at].Readings), n-1, n)
				changed = try(c) || changed
			}
		}
		for n := len(d.Config.Columns); n > 0 && len(d.Config.Columns) > 1; n-- {
			c := d.Case
			c.Config.Columns = slices.Delete(slices.Clone(c.Config.Columns), n-1, n)
			changed = try(c) || changed
		}
	}
	return d
}

// String prints the case and what the two make of it, line by line: "=" both
// say, "-" only the oracle says, "+" only the engine says.
func (d *Difference) String() string {
	var b strings.Builder
	b.WriteString(d.Case.String())
	if d.Err != nil {
		fmt.Fprintf(&b, "# the engine: %v\n", d.Err)
		return b.String()
	}
	b.WriteString("# lines: = both, - oracle only, + engine only\n")
	want, got := d.Want, d.Got
	for len(want)+len(got) > 0 {
		switch {
		case len(want) > 0 && len(got) > 0 && want[0] == got[0]:
			fmt.Fprintf(&b, "= %s\n", show(want[0]))
			want, got = want[1:], got[1:]
		case len(got) == 0 || len(want) > 0 && !slices.Contains(got, want[0]):
			fmt.Fprintf(&b, "- %s\n", show(want[0]))
			want = want[1:]
		default:
			fmt.Fprintf(&b, "+ %s\n", show(got[0]))
			got = got[1:]
		}
	}
	return b.String()
}

// show writes a line for people.
func show(l oracle.Line) string {
	at := fmt.Sprintf("step %d key %q %s", l.Step, l.Key, l.Kind)
	switch l.Kind {
	case oracle.LateLine:
		return fmt.Sprintf("%s ts %d windows %s dropped %t historical %t", at, l.Start, l.Windows, l.Dropped, l.Historical)
	case oracle.RetractLine:
		return fmt.Sprintf("%s [%d,%d) index %d historical %t: %s", at, l.Start, l.End, l.Index, l.Historical, l.Values)
	case oracle.RowLine:
		return fmt.Sprintf("%s [%d,%d): %s", at, l.Start, l.End, l.Values)
	case oracle.RefusedLine:
		return fmt.Sprintf("%s ts %d", at, l.Start)
	}
	return fmt.Sprintf("%s [%d,%d) %s index %d last %t watermark %d cause %s historical %t: %s",
		at, l.Start, l.End, l.Pane, l.Index, l.Last, l.Watermark, l.Cause, l.Historical, l.Values)
}
