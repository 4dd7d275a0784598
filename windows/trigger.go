package windows

import (
	"errors"
	"fmt"
)

// Trigger says when a window fires beyond its one pane on time: early, while the
// watermark has not reached its end, and late, from then until it expires. The
// zero Trigger fires on time, and again for every late event.
//
// The model of early, on-time and late panes is that of Akidau et al., "The
// Dataflow Model", VLDB 2015.
type Trigger struct {
	// Early fires panes before the end. nil: none.
	Early *Section

	// Late fires panes after the end. nil: one for every late event.
	Late *Section

	// FinalOnly fires one pane when the window expires and none before, for thin
	// uplinks. It excludes Early and Late.
	FinalOnly bool
}

// Section is the part of a trigger for one phase of a window's life.
type Section struct {
	// When says when a pane fires, counted from the pane before it.
	When Condition

	// Once ends the section after its first pane; a sequence ends when it has been
	// gone through.
	Once bool

	// Until ends the section when it is satisfied, counted over the whole life of
	// the window; what is new then fires. It has no sequences. nil: never.
	Until *Condition
}

// Condition is what a pane waits for. Exactly one field is set. Nothing is
// satisfied without an event.
type Condition struct {
	// Events is satisfied by so many events.
	Events int64

	// Delay is satisfied so many milliseconds of processing time after the first event.
	Delay int64

	// Every is satisfied at the first multiple of so many milliseconds of processing
	// time after the first event.
	Every int64

	// Any is satisfied when one of the conditions is.
	Any []Condition

	// All is satisfied when each of the conditions is.
	All []Condition

	// Sequence waits for its conditions in turn, one for each pane, and starts over
	// after the last. Every sequence of a section moves on with each pane for which
	// the condition whose turn it was is satisfied, wherever it is nested.
	Sequence []Condition
}

// The limits of a condition. They keep what a pane has to remember within a word.
const (
	// DepthMax is the number of levels that conditions may be nested.
	DepthMax = 8

	// LeavesMax is the number of plain conditions that one may be made of.
	LeavesMax = 32
)

// Validate joins everything that is wrong with the trigger.
func (t *Trigger) Validate() error {
	var faults []error
	if t.FinalOnly && (t.Early != nil || t.Late != nil) {
		faults = append(faults, fmt.Errorf("%w: the trigger fires the final pane only, but has early or late panes; leave either out", ErrSpec))
	}
	for _, s := range t.sections() {
		if s.section != nil {
			faults = append(faults, s.section.validate(s.name))
		}
	}
	return errors.Join(faults...)
}

// Pulse returns the shortest delay or interval of the trigger in milliseconds:
// ticks that are further apart make panes late by more than that. 0: the trigger
// needs no processing time.
func (t *Trigger) Pulse() int64 {
	shortest := int64(0)
	t.times(func(d int64) {
		if shortest == 0 || d < shortest {
			shortest = d
		}
	})
	return shortest
}

// Span returns the longest delay or interval of the trigger in milliseconds. When
// a key has had no event for Span and Pulse together, ticks change nothing.
func (t *Trigger) Span() int64 {
	longest := int64(0)
	t.times(func(d int64) { longest = max(longest, d) })
	return longest
}

// named is a section and what it is called.
type named struct {
	name    string
	section *Section
}

func (t *Trigger) sections() [2]named { return [2]named{{"early", t.Early}, {"late", t.Late}} }

// times calls f with every delay and interval.
func (t *Trigger) times(f func(ms int64)) {
	for _, s := range t.sections() {
		if s.section == nil {
			continue
		}
		s.section.When.times(f)
		if s.section.Until != nil {
			s.section.Until.times(f)
		}
	}
}

func (c *Condition) times(f func(ms int64)) {
	for _, d := range []int64{c.Delay, c.Every} {
		if d > 0 {
			f(d)
		}
	}
	_, kids := c.kids()
	for i := range kids {
		kids[i].times(f)
	}
}

// kids returns the conditions that c is made of and how they are joined, nil for
// a plain one.
func (c *Condition) kids() (string, []Condition) {
	switch {
	case len(c.Any) > 0:
		return "any", c.Any
	case len(c.All) > 0:
		return "all", c.All
	case len(c.Sequence) > 0:
		return "sequence", c.Sequence
	}
	return "", nil
}

func (s *Section) validate(name string) error {
	leaves := 0
	faults := []error{s.When.validate(name, 1, true, &leaves)}
	if s.Until != nil {
		leaves = 0
		faults = append(faults, s.Until.validate(name+" until", 1, false, &leaves))
	}
	return errors.Join(faults...)
}

// validate checks a condition, which path leads to, and counts its leaves.
func (c *Condition) validate(path string, depth int, sequences bool, leaves *int) error {
	fault := func(format string, args ...any) error {
		return fmt.Errorf("%w: trigger, %s: %s", ErrSpec, path, fmt.Sprintf(format, args...))
	}
	if depth > DepthMax {
		return fault("it is nested more than %d levels deep; make it simpler", DepthMax)
	}
	set := 0
	for _, n := range []int64{c.Events, c.Delay, c.Every} {
		if n < 0 || n > SizeMax {
			return fault("%d is out of range; it must be 1 to %d", n, int64(SizeMax))
		}
		if n > 0 {
			set++
		}
	}
	for _, kids := range [][]Condition{c.Any, c.All, c.Sequence} {
		if len(kids) > 0 {
			set++
		}
	}
	switch {
	case set != 1:
		return fault("it says %d things; use exactly one of events, delay, every, any, all and sequence", set)
	case len(c.Sequence) > 0 && !sequences:
		return fault("it has a sequence, but nothing moves it on; use any or all")
	}
	name, kids := c.kids()
	if kids == nil {
		if *leaves++; *leaves == LeavesMax+1 {
			return fault("there are more than %d conditions; use fewer", LeavesMax)
		}
		return nil
	}
	var faults []error
	for i := range kids {
		faults = append(faults, kids[i].validate(fmt.Sprintf("%s %s[%d]", path, name, i), depth+1, sequences, leaves))
	}
	return errors.Join(faults...)
}

// each reports whether the trigger adds at most a pane for every event to the
// panes of the default one.
func (t *Trigger) each() bool {
	if t.Early == nil {
		return *t == Trigger{}
	}
	one := t.Early.When.Events == 1 && len(t.Early.When.Any)+len(t.Early.When.All)+len(t.Early.When.Sequence) == 0
	return one && !t.Early.Once && t.Early.Until == nil && t.Late == nil && !t.FinalOnly
}
