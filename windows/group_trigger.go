package windows

import "edged"

// pace is what the trigger of a group's window has to know: what has come since
// the last pane and altogether, and where the sections stand. A retraction that
// takes something back counts like a contribution: the contents are others.
type pace struct {
	since, total tally
	marks        uint64
}

// note counts something new.
func (p *pace) note(now edged.Timestamp) {
	p.since, p.total = p.since.one(now), p.total.one(now)
}

// satisfied reports whether a section wants a pane at processing time now, and
// notes that it has had its say.
func (p *pace) satisfied(s *section, now edged.Timestamp) bool {
	if p.marks&s.done != 0 {
		return false
	}
	fires := false
	if at, ok := s.when.due(p.since, p.marks); ok && at <= now {
		p.marks = s.fired(p.since, p.marks, now)
		fires = true
	}
	if s.until != nil {
		if at, ok := s.until.due(p.total, 0); ok && at <= now {
			p.marks |= s.done
			fires = fires || p.since.events > 0
		}
	}
	return fires
}
