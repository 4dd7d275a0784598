package windows

import (
	"math/bits"

	"edged"
)

// section is a Section made ready: its conditions know where in a pane's marks
// their positions are.
type section struct {
	when  node
	until *node
	once  bool
	done  uint64 // the mark that says that the section has ended
}

// node is one condition. What it remembers, whose turn it is in a sequence, is a
// few bits of the pane's marks.
type node struct {
	op   operation
	n    int64 // events, or milliseconds
	kids []node
	at   int // the lowest bit of the position
	bits int // and how many there are
}

// operation tells what a node is.
type operation uint8

const (
	opEvents operation = iota
	opDelay
	opEvery
	opAny
	opAll
	opSequence
)

// marker deals out the bits of a pane's marks. A tree of n plain conditions needs
// at most n-1 bits for its sequences, so that two sections and the two marks of
// their ends fit one word.
type marker struct{ used int }

// section makes s ready.
func (m *marker) section(s *Section) *section {
	if s == nil {
		return nil
	}
	r := &section{once: s.Once, done: 1 << m.used}
	m.used++
	r.when = m.node(&s.When)
	if s.Until != nil {
		until := m.node(s.Until)
		r.until = &until
	}
	return r
}

func (m *marker) node(c *Condition) node {
	switch {
	case c.Events > 0:
		return node{op: opEvents, n: c.Events}
	case c.Delay > 0:
		return node{op: opDelay, n: c.Delay}
	case c.Every > 0:
		return node{op: opEvery, n: c.Every}
	}
	name, conditions := c.kids()
	n := node{op: opAny}
	switch name {
	case "all":
		n.op = opAll
	case "sequence":
		n.op, n.at, n.bits = opSequence, m.used, bits.Len(uint(len(conditions)-1))
		m.used += n.bits
	}
	for i := range conditions {
		n.kids = append(n.kids, m.node(&conditions[i]))
	}
	return n
}

// turn returns the position of a sequence.
func (n *node) turn(marks uint64) int { return int(marks >> n.at & (1<<n.bits - 1)) }

// setTurn returns the marks with the sequence at the position i.
func (n *node) setTurn(marks uint64, i int) uint64 {
	return marks&^((1<<n.bits-1)<<n.at) | uint64(i)<<n.at
}

// tally is what conditions are judged by: how many events there were, and the
// processing time of the first.
type tally struct {
	events uint64
	first  edged.Timestamp
}

// due returns the processing time from which on the condition is satisfied if no
// further event comes, MinTimestamp if it is whatever the time, and false if it
// takes another event.
func (n *node) due(t tally, marks uint64) (edged.Timestamp, bool) {
	if t.events == 0 {
		return 0, false
	}
	switch n.op {
	case opEvents:
		return edged.MinTimestamp, t.events >= uint64(n.n)
	case opDelay:
		return t.first.Add(n.n), true
	case opEvery:
		return t.first.FloorTo(n.n, 0).Add(n.n), true
	case opSequence:
		return n.kids[n.turn(marks)].due(t, marks)
	case opAll:
		latest := edged.MinTimestamp
		for i := range n.kids {
			at, ok := n.kids[i].due(t, marks)
			if !ok {
				return 0, false
			}
			latest = max(latest, at)
		}
		return latest, true
	}
	soonest, any := edged.MaxTimestamp, false
	for i := range n.kids {
		if at, ok := n.kids[i].due(t, marks); ok {
			soonest, any = min(soonest, at), true
		}
	}
	return soonest, any
}

// next returns the marks after a firing at now. was are the marks before it: each
// sequence moves on for which the condition of its turn was satisfied.
func (n *node) next(t tally, was, marks uint64, now edged.Timestamp) uint64 {
	if n.op == opSequence {
		turn := n.turn(was)
		if at, ok := n.kids[turn].due(t, was); ok && at <= now {
			marks = n.setTurn(marks, (turn+1)%len(n.kids))
		}
	}
	for i := range n.kids {
		marks = n.kids[i].next(t, was, marks, now)
	}
	return marks
}

// merge returns the marks of two windows that have become one: the sequences are
// where the further one of each was.
func (n *node) merge(a, b uint64) uint64 {
	if n.op == opSequence {
		a = n.setTurn(a, max(n.turn(a), n.turn(b)))
	}
	for i := range n.kids {
		a = n.kids[i].merge(a, b)
	}
	return a
}

// sound reports whether no position is behind the end of its sequence. Restored
// marks may be anything.
func (n *node) sound(marks uint64) bool {
	if n.op == opSequence && n.turn(marks) >= len(n.kids) {
		return false
	}
	for i := range n.kids {
		if !n.kids[i].sound(marks) {
			return false
		}
	}
	return true
}

// fired returns the marks after the section has fired at now.
func (s *section) fired(t tally, marks uint64, now edged.Timestamp) uint64 {
	marks = s.when.next(t, marks, marks, now)
	if s.once && (s.when.op != opSequence || s.when.turn(marks) == 0) {
		marks |= s.done
	}
	return marks
}

// merge returns the marks of two windows that have become one. Only what has
// ended in both has ended.
func (s *section) merge(a, b uint64) uint64 {
	ended := a & b & s.done
	return s.when.merge(a, b)&^s.done | ended
}

// mask returns all marks that the condition uses.
func (n *node) mask() uint64 {
	var m uint64
	if n.op == opSequence {
		m = (1<<n.bits - 1) << n.at
	}
	for i := range n.kids {
		m |= n.kids[i].mask()
	}
	return m
}
