package oracle

import "slices"

// sliding are windows that look back from events.
type sliding struct {
	*base
	kept     []*event      // every event that was taken
	triggers []int64       // times with a window that is kept, ascending
	fired    map[int64]int // how often the window of a time has fired
}

// own returns the window of an event at t.
func (s *sliding) own(t int64) bounds {
	return bounds{add(t, -s.Window.Size, 1), add(t, s.Window.LookAhead, 1)}
}

// add implements operator.
func (s *sliding) add(e *event) {
	t, own := e.Time, s.own(e.Time)
	triggers := s.Window.When == "" || e.truth(s.Window.When)
	reach := add(t, s.Window.Size, s.Window.LookAhead) // no window that begins here or later has it
	if triggers {
		reach = own.end
	}
	if s.w >= add(reach, s.Lateness) {
		s.late(e, []bounds{own}, true)
		return
	}
	s.kept = append(s.kept, e)
	if triggers && !slices.Contains(s.triggers, t) {
		s.triggers = append(s.triggers, t)
		slices.Sort(s.triggers)
	}
	if triggers && s.w < own.end && s.Trigger.Early != nil {
		s.fire(t, "early", s.cause)
	}
	for _, u := range s.triggers {
		at := s.own(u)
		mine := triggers && u == t
		again := at.start <= t && t < at.end && s.fired[u] > 0
		if s.w >= at.end && (mine || again) {
			s.fire(u, "late", s.cause)
		}
	}
}

// advance implements operator.
func (s *sliding) advance(from int64, cause string) {
	for _, u := range s.triggers {
		if end := s.own(u).end; from < end && s.w >= end {
			s.fire(u, "on_time", cause)
		}
	}
	s.triggers = slices.DeleteFunc(s.triggers, func(u int64) bool {
		return s.w >= add(s.own(u).end, s.Lateness)
	})
}

func (s *sliding) fire(u int64, timing, cause string) {
	at := s.own(u)
	var contents []*event
	for _, e := range s.kept {
		if at.start <= e.Time && e.Time < at.end {
			contents = append(contents, e)
		}
	}
	slices.SortFunc(contents, byTime)
	s.pane(at, timing, s.fired[u], s.w >= add(at.end, s.Lateness), cause, contents)
	s.fired[u]++
}

// tick implements operator.
func (s *sliding) tick() {}

// pending implements operator.
func (s *sliding) pending() (end int64, ok bool) {
	for _, u := range s.triggers {
		if at := s.own(u); at.end > s.w {
			end, ok = at.end, true
		}
	}
	return end, ok
}
