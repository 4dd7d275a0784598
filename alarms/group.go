package alarms

import (
	"slices"
	"strings"

	"edged"
	"edged/anomaly"
)

// MembersTold is how many members an event of the group names at most.
const MembersTold = 32

// GroupChange is what a group passes on: a change of a member, or one of the group
// alarm. That is EventRaised, with State Unacknowledged, or EventCleared; its Start is
// when the first member of the flood was raised, its Severity the highest of a member,
// and its Count how many members are active at the former, and had something kept back
// at the latter.
type GroupChange struct {
	Member string // "": it is of the group itself
	Change Change

	// Kept is how many changes were kept back, and Members which members they were of, in
	// order, at most MembersTold of them. They are set when the keeping back ends: with
	// EventCleared of the group, or the change by which the parent is no longer active.
	// Its Change.Suppressed then has the alarms of members that came and went untold.
	// What of the kept changes still matters is told right behind it.
	Kept    uint32
	Members []string
}

// Group is what is remembered of one group. It belongs to one goroutine.
type Group struct {
	spec *GroupSpec

	// Durable state.

	clock      edged.Timestamp  // the newest event time
	calm       edged.Timestamp  // since when too few members are active for a flood to go on
	start      edged.Timestamp  // of the group alarm
	ordinal    uint32           // of the group alarm: how many there were
	severity   anomaly.Severity // of the group alarm
	flood      bool             // the group alarm is active
	parent     bool             // the parent's alarm is active
	kept       uint32           // changes kept back, now
	suppressed uint32           // alarms of members that came and went untold, now
	members    []member         // by name
}

// member is what is remembered of a member while it is active or kept back. Of a member
// that is not remembered, all has been told.
type member struct {
	name     string
	raised   edged.Timestamp  // when it became active
	severity anomaly.Severity // of its newest change
	active   bool
	kept     bool    // something was kept back
	secret   bool    // news is about an alarm that was never told
	news     *Change // the newest of what was kept back about an alarm that is not over
	closed   *Change // kept back: the end of an alarm that was told
}

// holding reports whether changes of members are kept back.
func (g *Group) holding() bool { return g.flood || g.parent }

// Observe takes a change of a member, whose name is not empty, and appends what is
// passed on. What a person did is always passed on.
func (g *Group) Observe(dst []GroupChange, name string, c Change) []GroupChange {
	dst = g.Advance(dst, c.At, c.Now)
	if name == g.spec.Parent {
		return g.follow(dst, c)
	}
	at, found := g.find(name)
	keep := g.holding()
	if room := len(g.members) < g.spec.MembersMax; !found && (!room || !c.State.Active() && !keep) {
		return append(dst, GroupChange{Member: name, Change: c})
	}
	if !found {
		g.members = slices.Insert(g.members, at, member{name: name, raised: noTime})
	}
	m := &g.members[at]
	if woke := m.see(&c); woke && !keep {
		dst = g.watch(dst, &c)
	}
	if g.holding() && keepable(c.Event) {
		g.keep(m, c)
	} else {
		// Somebody may act on an alarm that was kept back: it is told first.
		dst = append(m.tell(dst), GroupChange{Member: name, Change: c})
	}
	if g.drop(at); g.flood {
		g.soothe()
		dst = g.relax(dst, c.Now)
	}
	return dst
}

// keepable reports whether a flood may keep such an event back: what people and their
// time limits cause is not.
func keepable(e Event) bool {
	switch e {
	case EventRaised, EventUpdated, EventReturned, EventRecurred, EventCleared:
		return true
	}
	return false
}

// follow takes a change of the parent.
func (g *Group) follow(dst []GroupChange, c Change) []GroupChange {
	was := g.parent
	g.parent = c.State.Active()
	told := GroupChange{Member: g.spec.Parent, Change: c}
	if !was || g.holding() {
		return append(dst, told)
	}
	return g.release(dst, told)
}

// find returns where the member is, or should be.
func (g *Group) find(name string) (at int, found bool) {
	return slices.BinarySearchFunc(g.members, name, func(m member, name string) int { return strings.Compare(m.name, name) })
}

// see notes whether the member is active, and reports whether it has become it.
func (m *member) see(c *Change) (woke bool) {
	m.severity = c.Severity
	if active := c.State.Active(); active != m.active {
		if m.active, m.raised = active, noTime; active {
			m.raised = c.At
		}
		return active
	}
	return false
}

// watch raises the group alarm if there is a flood.
func (g *Group) watch(dst []GroupChange, c *Change) []GroupChange {
	least := g.spec.FloodMin
	if least == 0 {
		return dst
	}
	var times []edged.Timestamp
	worst := anomaly.SeverityNone
	for i := range g.members {
		if m := &g.members[i]; m.active {
			times = append(times, m.raised)
			worst = max(worst, m.severity)
		}
	}
	slices.Sort(times)
	for i := 0; i+least <= len(times); i++ {
		if times[i+least-1].Sub(times[i]) < g.spec.FloodSpan {
			g.flood, g.start, g.severity, g.ordinal = true, times[i], worst, increment(g.ordinal)
			own := g.own(c.Now)
			own.Event, own.State, own.Count, own.Historical = EventRaised, Unacknowledged, uint32(len(times)), c.Historical
			return append(dst, GroupChange{Change: own})
		}
	}
	return dst
}

// own returns a change of the group alarm.
func (g *Group) own(now edged.Timestamp) Change {
	return Change{At: g.clock, Now: now, Start: g.start, Ordinal: g.ordinal, Severity: g.severity}
}

// keep keeps a change back. Only what is needed later is stored.
func (g *Group) keep(m *member, c Change) {
	g.kept = increment(g.kept)
	g.suppressed = add(g.suppressed, c.Suppressed)
	g.severity = max(g.severity, c.Severity)
	m.kept, c.Suppressed = true, 0
	switch {
	case c.Event != EventCleared:
		if m.secret = m.secret || c.Event == EventRaised; m.secret {
			c.Event = EventRaised
		}
		m.news = &c
	case m.secret:
		m.news, m.secret = nil, false
		g.suppressed = increment(g.suppressed)
	default:
		m.news, m.closed = nil, &c
	}
}

// tell appends what was kept back of the member and still matters.
func (m *member) tell(dst []GroupChange) []GroupChange {
	for _, c := range []*Change{m.closed, m.news} {
		if c != nil {
			dst = append(dst, GroupChange{Member: m.name, Change: *c})
		}
	}
	m.closed, m.news, m.secret = nil, nil, false
	return dst
}

// drop forgets the member if there is nothing to remember.
func (g *Group) drop(at int) {
	if m := &g.members[at]; !m.active && !m.kept {
		g.members = slices.Delete(g.members, at, at+1)
	}
	if len(g.members) == 0 {
		g.members = nil
	}
}

// Advance tells that event time has come to at, and appends what that ends.
func (g *Group) Advance(dst []GroupChange, at, now edged.Timestamp) []GroupChange {
	g.clock = max(g.clock, at)
	return g.relax(dst, now)
}

// soothe notes since when the flood subsides.
func (g *Group) soothe() {
	active := 0
	for i := range g.members {
		if g.members[i].active {
			active++
		}
	}
	if active >= g.spec.CalmBelow {
		g.calm = noTime
	} else if g.calm == noTime {
		g.calm = max(g.clock, firstTime)
	}
}

// relax clears the group alarm when the flood has subsided for long enough.
func (g *Group) relax(dst []GroupChange, now edged.Timestamp) []GroupChange {
	if !g.flood || g.calm == noTime || g.clock.Sub(g.calm) < g.spec.CalmSpan {
		return dst
	}
	own := g.own(now)
	own.Event, own.State, own.Ending, own.Ended = EventCleared, Normal, EndingReturned, g.calm
	g.flood, g.calm, g.start, g.severity = false, noTime, 0, anomaly.SeverityNone
	if g.parent {
		return append(dst, GroupChange{Change: own})
	}
	return g.release(dst, GroupChange{Change: own})
}

// release ends the keeping back with the change that is the reason, and tells what was
// kept back and still matters.
func (g *Group) release(dst []GroupChange, why GroupChange) []GroupChange {
	why.Kept, why.Change.Suppressed = g.kept, add(why.Change.Suppressed, g.suppressed)
	g.kept, g.suppressed = 0, 0
	members := uint32(0)
	for i := range g.members {
		if m := &g.members[i]; m.kept {
			if members++; len(why.Members) < MembersTold {
				why.Members = append(why.Members, m.name)
			}
		}
	}
	if why.Member == "" {
		why.Change.Count = members
	}
	dst = append(dst, why)
	for i := range g.members {
		dst = g.members[i].tell(dst)
		g.members[i].kept = false
	}
	g.members = slices.DeleteFunc(g.members, func(m member) bool { return !m.active })
	if len(g.members) == 0 {
		g.members = nil
	}
	return dst
}

// Waits reports whether event time alone will end something.
func (g *Group) Waits() bool { return g.calm != noTime }
