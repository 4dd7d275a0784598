package oracle

// stated are windows that conditions of events open and close, or the change of
// a value. Events come in order.
type stated struct {
	*base
	run  []*event // the events of the open window
	last bounds   // of the window that was said last
	same int      // how many before it had the same bounds
	said bool
}

// add implements operator.
func (s *stated) add(e *event) {
	s.expire(e.Time, s.cause)
	if field := s.Window.ChangeOf; field != "" {
		if len(s.run) > 0 && s.run[0].Fields[field] != e.Fields[field] {
			s.close(e.Time, s.cause)
		}
		s.run = append(s.run, e)
		return
	}
	if len(s.run) == 0 && !e.truth(s.Window.Open) {
		return
	}
	s.run = append(s.run, e)
	if e.truth(s.Window.Close) {
		s.close(add(e.Time, 1), s.cause)
	}
}

// expire closes a window that has lasted as long as it may, as of time t.
func (s *stated) expire(t int64, cause string) {
	if len(s.run) > 0 && s.Window.MaxDuration > 0 {
		if end := add(s.run[0].Time, s.Window.MaxDuration); t >= end {
			s.close(end, cause)
		}
	}
}

// advance implements operator.
func (s *stated) advance(_ int64, cause string) {
	if (cause == "end" || cause == "idle") && len(s.run) > 0 {
		s.close(add(s.run[len(s.run)-1].Time, 1), cause)
	}
	s.expire(s.w, cause)
}

func (s *stated) close(end int64, cause string) {
	at := bounds{s.run[0].Time, end}
	if s.said && s.last == at {
		s.same++
	} else {
		s.last, s.same, s.said = at, 0, true
	}
	s.pane(at, "on_time", s.same, true, cause, s.run)
	s.run = nil
}

// tick implements operator.
func (s *stated) tick() {}

// pending implements operator.
func (s *stated) pending() (end int64, ok bool) {
	if n := len(s.run); n > 0 {
		return add(s.run[n-1].Time, 1), true
	}
	return 0, false
}
