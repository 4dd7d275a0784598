package oracle

import "slices"

// lane is a line of event time of a key, the live one or that of a backlog: its
// windows, and the events that wait to be put in order.
type lane struct {
	*base
	windows operator
	waiting []*event
}

func newLane(c *Config, key string) *lane {
	b := &base{Config: c, key: key, w: minTime, believed: minTime}
	l := &lane{base: b}
	switch {
	case c.Join != nil:
		l.windows = newJoin(b)
	case c.Window.Type == CountType:
		l.windows = &counted{base: b}
	case c.Window.Type == SlidingType:
		l.windows = &sliding{base: b, fired: map[int64]int{}}
	case c.Window.Type == StateType:
		l.windows = &stated{base: b}
	case c.Window.Type == SessionType && c.Window.MaxDuration > 0:
		l.windows = &capped{base: b}
	default:
		l.windows = &panes{base: b}
	}
	return l
}

// take takes an event as of the watermark.
func (l *lane) take(e *event) {
	switch {
	case !l.Ordered:
		l.windows.add(e)
	case e.Time < l.w:
		l.late(e, []bounds{{e.Time, add(e.Time, 1)}}, true)
	default:
		l.waiting = append(l.waiting, e)
	}
}

// advance releases what has waited for the new time, then moves time.
func (l *lane) advance(to int64, cause string) {
	if to <= l.w {
		return
	}
	l.cause = cause
	slices.SortStableFunc(l.waiting, byTime)
	said := len(l.out)
	for len(l.waiting) > 0 && (l.waiting[0].Time < to || to == maxTime) {
		l.waiting[0].now = l.now
		l.windows.add(l.waiting[0])
		l.waiting = l.waiting[1:]
	}
	for i := range l.out[said:] {
		if l.out[said+i].Kind == PaneLine {
			l.out[said+i].Watermark = to
		}
	}
	from := l.w
	l.w = to
	l.windows.advance(from, cause)
}

// silence returns how far silence moves time for the windows: not beyond the last one
// that may have an event whose time is believed, and not to the end of all time.
// Some windows take it for their end even if time stands still.
func (l *lane) silence() (end int64, ok bool) {
	end, ok = l.windows.pending()
	if last := lastEnd(l.Window, l.believed); l.Join == nil && ok && end > last {
		end, ok = last, last > l.w || l.Window.Type == CountType || l.Window.Type == StateType
	}
	return end, ok && end < maxTime
}

// lastEnd returns the end of the last window that an event at t can be in.
func lastEnd(w Windowing, t int64) int64 {
	switch {
	case t == minTime:
		return t
	case w.Type == SessionType:
		return add(t, w.Gap)
	case w.Type == SlidingType:
		return add(t, w.LookAhead, 1)
	case w.Type == CountType || w.Type == StateType:
		return add(t, 1)
	}
	end := t
	for _, at := range assign(w, t) {
		end = max(end, at.end)
	}
	return end
}

// close closes what is open because of silence. Events that wait may open windows
// in their turn.
func (l *lane) close() {
	for range 3 {
		end, ok := l.silence()
		for _, e := range l.waiting {
			if after := add(e.Time, 1); e.Time <= l.believed && after < maxTime && (!ok || after > end) {
				end, ok = after, true
			}
		}
		if ok && end <= l.w {
			l.windows.advance(l.w, "idle")
		} else if ok {
			l.advance(end, "idle")
		}
		if j, joins := l.windows.(interface{ gathering(func(*lane)) }); joins && ok {
			j.gathering(func(behind *lane) { behind.advance(end, "idle") }) // what is silent has no more rows
		}
	}
}
