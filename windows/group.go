package windows

import "edged"

// Group is the state of one group of a second stage: what each of its members
// has said last about each of the member's windows. The windows of a group gather the
// contributions by the last millisecond that they speak about. A contribution
// replaces the one before of the same member about the same window, and a
// retraction deletes it.
//
// Panes are computed from the contributions in the order of members, starts and
// ends, so that the order in which members were heard does not show in them.
//
// It is a [State]; the watermark that it is given should be the minimum over the
// members. It is not safe for concurrent use.
//
// Invariant: open is ordered by [Window.compare], no window twice.
// Invariant: every window in open expires after watermark, and has a contribution or has fired.
type Group struct {
	spec   *GroupSpec
	merges bool   // contributions carry partial states
	shape  *shape // for its trigger

	// Durable state.
	watermark edged.Timestamp
	open      []*groupWindow

	// Derived.
	due   edged.Timestamp // the lowest watermark that has anything to fire or to drop
	count int             // of contributions, in all windows
	bytes int             // their size

	scratch groupScratch
}

var _ State = (*Group)(nil)

// groupWindow is one window of a group.
type groupWindow struct {
	Window
	fired uint32
	pace  pace
	roll  roll
	last  []edged.Value // of the latest pane, when panes are retracted
}

// Watermark implements [State].
func (g *Group) Watermark() edged.Timestamp { return g.watermark }

// Open implements [State].
func (g *Group) Open() int { return len(g.open) }

// Contributions returns the number of contributions that are kept, those of
// several windows counted in each.
func (g *Group) Contributions() int { return g.count }

// Pending implements [State].
func (g *Group) Pending() (edged.Timestamp, bool) {
	last := g.watermark
	for _, w := range g.open {
		last = max(last, w.End)
	}
	return last, last > g.watermark
}

// Bytes implements [State].
func (g *Group) Bytes() int {
	const window, contribution = 160, 48
	n := len(g.open)*window + g.count*contribution + g.bytes
	for _, w := range g.open {
		n += 32 * len(w.last)
	}
	return n
}

// Add implements [State]. An event that is no contribution belongs to no window.
func (g *Group) Add(out *edged.Output, ev *edged.Event, by Moment) {
	if ev.From == nil {
		out.Unassigned++
		return
	}
	c, sound := g.contribution(ev)
	taken, refused, any := false, 0, false
	var window Window
	for i := 0; ; i++ {
		w, ok := g.spec.Windows.Assigner.Assign(c.time(), i)
		if !ok {
			break
		}
		window, any = w, true
		switch {
		case g.watermark >= g.spec.Windows.expiry(w):
			miss(out, ev, w, false)
		case !sound || !g.take(out, c, ev.From.Retract, w, by):
			miss(out, ev, w, true)
			refused++
		default:
			taken = true
		}
	}
	out.Overflow += refused
	switch {
	case !any:
		out.Unassigned++
	case !taken:
		if refused == 0 {
			out.Late++
		}
		refuse(out, ev, window.End, g.watermark)
	}
}

// take puts a contribution into a window, or takes it out, and fires the window if
// its trigger says so. It reports false when a limit does not let it in.
func (g *Group) take(out *edged.Output, c contribution, retract bool, window Window, by Moment) bool {
	i, ok := g.find(window)
	if !ok && retract {
		return true // nothing to take back
	}
	if !ok {
		if len(g.open) >= g.spec.Windows.openMax() || !g.room(1, c.size()) {
			return false
		}
		g.open = append(g.open, nil)
		copy(g.open[i+1:], g.open[i:])
		g.open[i] = &groupWindow{Window: window}
		g.due = min(g.due, g.next(window))
	}
	w := g.open[i]
	before := w.roll.size(&c)
	switch {
	case retract && before == 0:
		return true
	case retract:
		w.roll.remove(&c)
		g.count, g.bytes = g.count-1, g.bytes-before
	case before > 0:
		if !g.room(0, c.size()-before) {
			return false
		}
		w.roll.put(c)
		g.bytes += c.size() - before
	default:
		if !g.room(1, c.size()) {
			return false
		}
		w.roll.put(c)
		g.count, g.bytes = g.count+1, g.bytes+c.size()
	}
	if w.roll.n == 0 && w.fired == 0 {
		// As if it had never been there.
		g.open = append(g.open[:i], g.open[i+1:]...)
		return true
	}
	if g.shape.counts() {
		w.pace.note(by.Now)
	}
	g.consider(out, w, by)
	return true
}

// room reports whether so many more contributions and bytes are within the limits.
func (g *Group) room(contributions, bytes int) bool {
	return g.count+contributions <= g.spec.max() && g.bytes+bytes <= groupBytesMax
}

// find returns the place of a window in open and whether it is there. There are
// few, and most contributions are about the latest.
func (g *Group) find(w Window) (int, bool) {
	for i := len(g.open); i > 0; i-- {
		switch c := g.open[i-1].compare(w); {
		case c == 0:
			return i - 1, true
		case c < 0:
			return i, false
		}
	}
	return 0, false
}

// next returns the watermark at which something happens to w.
func (g *Group) next(w Window) edged.Timestamp {
	if g.watermark < w.End && !g.spec.Windows.Trigger.FinalOnly {
		return w.End
	}
	return g.spec.Windows.expiry(w)
}

// Advance implements [State].
func (g *Group) Advance(out *edged.Output, to edged.Timestamp, by Moment) {
	if to <= g.watermark {
		return
	}
	from := g.watermark
	g.watermark = to
	if to < g.due {
		return
	}
	for _, w := range g.open {
		switch ended := from < w.End && w.End <= to; {
		case g.spec.Windows.Trigger.FinalOnly:
			if g.expired(w) {
				g.fire(out, w, edged.OnTime, by)
			}
		case ended:
			g.fire(out, w, edged.OnTime, by)
		case g.expired(w) && w.pace.since.events > 0:
			g.fire(out, w, edged.Late, by)
		}
	}
	g.expire()
}

// Tick implements [State].
func (g *Group) Tick(out *edged.Output, by Moment) {
	if !g.shape.counts() {
		return
	}
	for _, w := range g.open {
		g.consider(out, w, by)
	}
}

// consider fires a window if the section of its phase wants to. Without sections
// everything late fires at once.
func (g *Group) consider(out *edged.Output, w *groupWindow, by Moment) {
	s, timing := g.shape.early, edged.Early
	if g.watermark >= w.End {
		s, timing = g.shape.late, edged.Late
	}
	if timing == edged.Late && g.shape.plain || s != nil && w.pace.satisfied(s, by.Now) {
		g.fire(out, w, timing, by)
	}
}

// expired reports whether the state of a window is of no use any more.
func (g *Group) expired(w *groupWindow) bool {
	return g.watermark >= g.spec.Windows.expiry(w.Window)
}

// expire drops the windows that have expired and recomputes due.
func (g *Group) expire() {
	g.due = edged.MaxTimestamp
	kept := g.open[:0]
	for _, w := range g.open {
		if g.expired(w) {
			g.count -= w.roll.n
			w.roll.each(func(c *contribution) { g.bytes -= c.size() })
			continue
		}
		g.due = min(g.due, g.next(w.Window))
		kept = append(kept, w)
	}
	clear(g.open[len(kept):])
	g.open = kept
}
