package oracle

import "slices"

// panes are windows that events are put into: aligned ones, the global one, and
// sessions.
type panes struct {
	begun bool  // an event was taken
	first int64 // the end of its window: empty ones come after it

	*base
	open []*opened
}

// opened is one window with all that has ever happened to it.
type opened struct {
	bounds
	all   []*event // in the order in which it took them
	fresh []*event // those since its last firing
	fired []string // what it has said under these bounds
	gone  []firing // what became part of it had said this under other bounds

	early, late *progress
}

// firing is a pane that was said.
type firing struct {
	bounds
	index  int
	values string
}

func newWindow(at bounds) *opened {
	return &opened{bounds: at, early: &progress{turns: map[*Cond]int{}}, late: &progress{turns: map[*Cond]int{}}}
}

// add implements operator.
func (p *panes) add(e *event) {
	wanted := assign(p.Window, e.Time)
	if p.Window.Type == SessionType {
		wanted = []bounds{p.session(e)}
	}
	var missed []bounds
	var taken []*opened
	for _, at := range wanted {
		win := p.find(at)
		if p.w >= add(at.end, p.Lateness) || win == nil && p.full(at) {
			missed = append(missed, at)
			continue
		}
		if win == nil {
			win = p.open[p.create(at)]
		}
		win.all, win.fresh = append(win.all, e), append(win.fresh, e)
		taken = append(taken, win)
		if !p.begun {
			p.begun, p.first = true, at.end
		}
	}
	if len(missed) > 0 {
		p.base.late(e, missed, len(taken) == 0)
	}
	for _, win := range taken {
		p.look(win, p.cause)
	}
}

// find returns the open window with the bounds, or nil.
func (p *panes) find(at bounds) *opened {
	for _, win := range p.open {
		if win.bounds == at {
			return win
		}
	}
	return nil
}

// full reports whether there is no room for a new window. A session that others
// become part of is not a new one.
func (p *panes) full(at bounds) bool {
	return p.WindowsMax > 0 && len(p.open) >= p.WindowsMax &&
		(p.Window.Type != SessionType || len(p.touching(at)) == 0)
}

// create opens a window; what it touches becomes part of it if it is a session.
func (p *panes) create(at bounds) (index int) {
	win := newWindow(at)
	if p.Window.Type == SessionType {
		p.merge(win, p.touching(at))
	}
	p.open = append(p.open, win)
	return len(p.open) - 1
}

// touching returns the sessions that touch or overlap the bounds, in order.
func (p *panes) touching(at bounds) []*opened {
	var found []*opened
	for _, win := range p.open {
		if at.start <= win.end && at.end >= win.start {
			found = append(found, win)
		}
	}
	slices.SortFunc(found, func(a, b *opened) int { return a.compare(b.bounds) })
	return found
}

// session returns the bounds of the session of an event with all that it merges.
func (p *panes) session(e *event) bounds {
	at := bounds{e.Time, add(e.Time, p.Window.Gap)}
	merged := at
	for _, win := range p.touching(at) {
		merged.start, merged.end = min(merged.start, win.start), max(merged.end, win.end)
	}
	return merged
}

// merge makes old windows part of a new one.
func (p *panes) merge(win *opened, old []*opened) {
	if len(old) == 0 {
		return
	}
	var early, late []*progress
	for _, o := range old {
		win.all, win.fresh = append(win.all, o.all...), append(win.fresh, o.fresh...)
		win.gone = append(win.gone, o.gone...)
		if n := len(o.fired); n > 0 {
			win.gone = append(win.gone, firing{o.bounds, n - 1, o.fired[n-1]})
		}
		early, late = append(early, o.early), append(late, o.late)
		p.drop(o)
	}
	win.early, win.late = merged(early), merged(late)
}

// drop forgets a window.
func (p *panes) drop(win *opened) {
	p.open = slices.DeleteFunc(p.open, func(o *opened) bool { return o == win })
}

// look fires a window if its section says so.
func (p *panes) look(win *opened, cause string) {
	section, progress, timing := p.Trigger.Early, win.early, "early"
	if p.w >= win.end {
		section, progress, timing = p.Trigger.Late, win.late, "late"
		if section == nil {
			section = &Section{When: Cond{Events: 1}}
		}
	}
	if section == nil || p.Trigger.FinalOnly {
		return
	}
	if progress.look(section, since{win.all, p.now}, since{win.fresh, p.now}) {
		p.fire(win, timing, cause)
	}
}

// tick implements operator.
func (p *panes) tick() {
	for _, win := range p.sorted() {
		p.look(win, "tick")
	}
}

// sorted returns the open windows in order.
func (p *panes) sorted() []*opened {
	return slices.SortedFunc(slices.Values(p.open), func(a, b *opened) int { return a.compare(b.bounds) })
}

// advance implements operator.
func (p *panes) advance(from int64, cause string) {
	if p.Empty && p.Window.Aligned() && p.begun && p.w != maxTime {
		for _, at := range ending(p.Window, max(from, p.first), p.w) {
			if p.find(at) == nil {
				p.create(at)
			}
		}
	}
	for _, win := range p.sorted() {
		expired := p.w >= add(win.end, p.Lateness)
		switch {
		case p.Trigger.FinalOnly:
			if expired && (len(win.all) > 0 || p.Empty) {
				p.fire(win, "on_time", cause)
			}
		case from < win.end && p.w >= win.end:
			nothing := len(win.all) == 0 || p.Accumulation == Discarding && len(win.fresh) == 0
			if !nothing || p.Empty {
				p.fire(win, "on_time", cause)
			}
		case expired && len(win.fresh) > 0:
			p.fire(win, "late", cause)
		}
		if expired {
			p.drop(win)
		}
	}
}

// fire says a pane, and before it what the pane makes wrong.
func (p *panes) fire(win *opened, timing, cause string) {
	contents := win.all
	if p.Accumulation == Discarding {
		contents, win.gone = win.fresh, nil
	}
	takeBack := win.gone
	if n := len(win.fired); n > 0 && p.Accumulation == Retracting {
		takeBack = append(takeBack, firing{win.bounds, n - 1, win.fired[n-1]})
	}
	slices.SortFunc(takeBack, func(a, b firing) int { return a.compare(b.bounds) })
	for _, f := range takeBack {
		line := Line{Kind: RetractLine, Start: f.start, End: f.end, Index: f.index}
		if p.Accumulation == Retracting {
			line.Values = f.values
		}
		p.say(line)
	}
	last := p.w >= add(win.end, p.Lateness)
	p.pane(win.bounds, timing, len(win.fired), last, cause, contents)
	win.fired = append(win.fired, values(p.Columns, contents))
	win.fresh, win.gone = nil, nil
}

// pending implements operator.
func (p *panes) pending() (end int64, ok bool) {
	for _, win := range p.open {
		if win.end > p.w && (!ok || win.end > end) {
			end, ok = win.end, true
		}
	}
	return end, ok
}
