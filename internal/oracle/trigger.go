package oracle

// since is what a condition is asked about: some events of a window, in the
// order in which the window took them.
type since struct {
	events []*event
	now    int64
}

// first returns the processing time of the earliest arrival.
func (s since) first() int64 {
	first := s.events[0].now
	for _, e := range s.events {
		first = min(first, e.now)
	}
	return first
}

// progress is how far a window has come in a section: whether it is over, and
// which child of each sequence has its turn.
type progress struct {
	over  bool
	turns map[*Cond]int
}

// satisfied reports whether a condition holds.
func (p *progress) satisfied(c *Cond, s since) bool {
	if len(s.events) == 0 {
		return false
	}
	holds := func(kids []Cond) (n int) {
		for i := range kids {
			if p.satisfied(&kids[i], s) {
				n++
			}
		}
		return n
	}
	switch {
	case c.Events > 0:
		return len(s.events) >= c.Events
	case c.Delay > 0:
		return s.now >= add(s.first(), c.Delay)
	case c.Every > 0:
		return s.now >= plus(floor(s.first(), c.Every, 0), c.Every)
	case len(c.Any) > 0:
		return holds(c.Any) > 0
	case len(c.All) > 0:
		return holds(c.All) == len(c.All)
	}
	return p.satisfied(&c.Sequence[p.turns[c]], s)
}

// look decides whether a section fires now: all are the events of the window,
// fresh those since its last firing.
func (p *progress) look(section *Section, all, fresh since) (fires bool) {
	if p.over || len(fresh.events) == 0 {
		p.over = p.over || section.Until != nil && p.satisfied(section.Until, all)
		return false
	}
	fires = p.satisfied(&section.When, fresh)
	if fires {
		p.turn(section, fresh)
	}
	if section.Until != nil && p.satisfied(section.Until, all) {
		p.over, fires = true, true
	}
	return fires
}

// turn notes that a section has fired. Each sequence moves on in which the
// condition whose turn it was holds. A section that fires once is over, but a
// sequence at its top is gone through before.
func (p *progress) turn(section *Section, fresh since) {
	var moving []*Cond
	walk(&section.When, func(c *Cond) {
		if len(c.Sequence) > 0 && p.satisfied(c, fresh) {
			moving = append(moving, c)
		}
	})
	for _, c := range moving {
		p.turns[c] = (p.turns[c] + 1) % len(c.Sequence)
	}
	p.over = section.Once && (len(section.When.Sequence) == 0 || p.turns[&section.When] == 0)
}

// walk calls f with a condition and all that it is made of.
func walk(c *Cond, f func(*Cond)) {
	f(c)
	for _, kids := range [][]Cond{c.Any, c.All, c.Sequence} {
		for i := range kids {
			walk(&kids[i], f)
		}
	}
}

// merged returns the progress of a window that some others have become.
func merged(parts []*progress) *progress {
	m := &progress{over: true, turns: map[*Cond]int{}}
	for _, p := range parts {
		m.over = m.over && p.over
		for c, turn := range p.turns {
			m.turns[c] = max(m.turns[c], turn)
		}
	}
	return m
}
