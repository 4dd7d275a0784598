package campaign

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"edged/fleet"
)

// Span identifies a window, whatever its type.
type Span struct {
	Key   string
	Start int64
	End   int64
}

// String names the window.
func (s Span) String() string { return fmt.Sprintf("window %s [%d,%d)", s.Key, s.Start, s.End) }

func (s Span) compare(o Span) int {
	return cmp.Or(cmp.Compare(s.Key, o.Key), cmp.Compare(s.Start, o.Start), cmp.Compare(s.End, o.End))
}

// Pane is a row about a window, or one that takes such a row back. Pointers tell
// null and absent from 0.
type Pane struct {
	Key     *string  `json:"key"`
	Start   *int64   `json:"start"`
	End     *int64   `json:"end"`
	Line    string   `json:"line"`
	Members int64    `json:"members"`
	Count   int64    `json:"count"`
	Sum     *float64 `json:"sum"`
	Avg     *float64 `json:"avg"`
	P90     *float64 `json:"p90"`
	Pane    string   `json:"pane"`
	Index   int64    `json:"index"`
	Final   bool     `json:"final"`
}

// faults are what a check found, the first few of them in words.
type faults struct {
	count int
	first []string
}

func (f *faults) add(format string, args ...any) {
	if f.count++; f.count <= faultsKept {
		f.first = append(f.first, fmt.Sprintf(format, args...))
	}
}

// err returns nil when nothing was found.
func (f *faults) err() error {
	if f.count == 0 {
		return nil
	}
	return fmt.Errorf("%d faults\n  %s", f.count, strings.Join(f.first, "\n  "))
}

// Board is what an upstream knows at the end that keeps the last pane of every
// window and forgets what is taken back. A board is also a checker: the panes of a
// window are numbered without holes, nothing follows the final one, what is taken
// back was there, and is not said again.
type Board struct {
	Panes       map[Span]Pane
	Deliveries  int // repeats included
	Revisions   int // panes that replaced another one
	Retractions int

	gone   map[Span]bool
	faults faults
	stream error
}

// NewBoard reads a stream. Deliveries are in the order of arrival.
func NewBoard(deliveries []Delivery) *Board {
	b := &Board{Panes: map[Span]Pane{}, gone: map[Span]bool{}, Deliveries: len(deliveries)}
	receiver := fleet.NewReceiver(fleet.Config{})
	for _, d := range deliveries {
		receipt, err := receiver.Take(d.Stream(), d.Payload)
		if err != nil {
			b.faults.add("malformed: %v: %s", err, d.Payload)
			continue
		}
		if receipt.Verdict != fleet.Repeat {
			b.take(d.Payload)
		}
	}
	b.stream = receiver.Check()
	return b
}

func (b *Board) take(payload []byte) {
	var p Pane
	if err := json.Unmarshal(payload, &p); err != nil || p.Key == nil || p.Start == nil || p.End == nil {
		b.faults.add("malformed: %s", payload)
		return
	}
	at := Span{*p.Key, *p.Start, *p.End}
	before, known := b.Panes[at]
	next := int64(0)
	if known {
		next = before.Index + 1
	}
	switch {
	case p.Pane == "retracted":
		b.Retractions++
		if !known || before.Index != p.Index {
			b.faults.add("%v: pane %d is taken back, but the board has (%v) %d", at, p.Index, known, before.Index)
		}
		delete(b.Panes, at)
		b.gone[at] = true
		return
	case b.gone[at]:
		b.faults.add("%v came back after it was taken back", at)
	case p.Index != next:
		b.faults.add("%v has pane %d where %d should come: numbers lost or double", at, p.Index, next)
	case known && before.Final:
		b.faults.add("%v has pane %d after the final one", at, p.Index)
	}
	if known {
		b.Revisions++
	}
	b.Panes[at] = p
}

// String sums the board up in a line.
func (b *Board) String() string {
	return fmt.Sprintf("%d windows, %d revisions, %d taken back, %d deliveries", len(b.Panes), b.Revisions, b.Retractions, b.Deliveries)
}

// Expect compares the board with what should be on it: the same windows, with the
// same content. A board on which nothing should be proves nothing.
func (b *Board) Expect(want map[Span]Content) error {
	f := faults{count: b.faults.count, first: slices.Clone(b.faults.first)}
	if len(want) == 0 {
		f.add("no window was expected: the campaign proves nothing")
	}
	spans := make([]Span, 0, len(want)+len(b.Panes))
	for at := range want {
		spans = append(spans, at)
	}
	for at := range b.Panes {
		if _, expected := want[at]; !expected {
			spans = append(spans, at)
		}
	}
	slices.SortFunc(spans, Span.compare)
	lost, stray, wrong := 0, 0, 0
	for _, at := range spans {
		p, got := b.Panes[at]
		w, expected := want[at]
		switch {
		case !got:
			lost++
			f.add("%v is lost; it has %d events", at, w.Count)
		case !expected:
			stray++
			f.add("%v is not expected; it has %d events", at, p.Count)
		default:
			if diff := w.differences(&p); len(diff) > 0 {
				wrong++
				f.add("%v, pane %d, is wrong: %s", at, p.Index, strings.Join(diff, ", "))
			}
		}
	}
	err := errors.Join(f.err(), b.stream)
	if err == nil {
		return nil
	}
	return fmt.Errorf("windows lost %d, stray %d, wrong %d: %w", lost, stray, wrong, err)
}
