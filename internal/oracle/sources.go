package oracle

// sources are where the events of a key come from: the values of a field, or the
// streams of a join. Each has a watermark of its own; the key's is the least of
// those that count.
type sources struct {
	rule  Watermark
	joins bool
	all   map[string]*source
}

// source is one of them. It counts unless it is idle, or is back and has not
// caught up.
type source struct {
	w      int64
	active int64
	counts bool
}

func newSources(c *Config) *sources {
	return &sources{rule: c.Watermark, joins: c.Join != nil, all: map[string]*source{}}
}

// observe returns the watermark of the key after an event, when it was w.
func (s *sources) observe(e *event, w int64) int64 {
	if s.joins && len(s.all) == 0 {
		s.find(Left).active, s.find(Right).active = e.now, e.now
	}
	from := s.find(s.of(e))
	from.active = e.now
	if !e.ahead {
		from.w = max(from.w, after(s.rule, e))
	}
	from.counts = from.counts || from.w >= w
	return s.least()
}

// of names the source of an event.
func (s *sources) of(e *event) string {
	if s.joins {
		return e.Stream
	}
	name, _ := e.Fields[s.rule.Per].(string)
	return name
}

// find returns a source. One that was not known is waited for from now on.
func (s *sources) find(name string) *source {
	if s.all[name] == nil {
		s.all[name] = &source{w: minTime, counts: true}
	}
	return s.all[name]
}

// after returns what an event says about time.
func after(rule Watermark, e *event) int64 {
	var w int64 = minTime
	switch rule.Type {
	case Ascending:
		w = add(e.Time, 1)
	case Punctuated:
		if mark, ok := e.Fields[rule.Field].(float64); ok {
			w = int64(mark)
		}
	case Manual:
	default:
		w = add(e.Time, -rule.OutOfOrderness)
	}
	return min(w, maxTime-1) // the end of time is for the end of input
}

// least returns the least watermark of those that count, and minTime when none
// does: time then stands still, for it never moves back.
func (s *sources) least() int64 {
	w, found := int64(minTime), false
	for _, from := range s.all {
		if from.counts && (!found || from.w < w) {
			w, found = from.w, true
		}
	}
	return w
}

// leave makes a source idle.
func (s *sources) leave(name string) int64 {
	if from := s.all[name]; from != nil {
		from.counts = false
	}
	return s.least()
}

// enter notes a sign of life of a source, when the key's watermark is w.
func (s *sources) enter(name string, now, w int64) {
	from := s.find(name)
	from.active = now
	from.counts = from.counts || from.w >= w
}

// expire makes idle the sources that have said nothing for long enough. The
// only source of a key is the key itself, and that is another matter.
func (s *sources) expire(now int64) int64 {
	for _, from := range s.all {
		if (s.rule.Per != "" || s.joins) && s.rule.IdleTimeout > 0 && now >= add(from.active, s.rule.IdleTimeout) {
			from.counts = false
		}
	}
	return s.least()
}
