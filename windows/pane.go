package windows

import (
	"edged"
	"edged/windows/agg"
)

// shape is how the panes of a spec lie in memory: a run of words each, and as many
// cells in a list of their own. All panes of a key lie in one piece of memory
// without pointers, because there are very many keys.
//
//	start  end  fired  [events  first  marks  [all  first]]  aggregates  [span end  aggregates]
//	└──── head ─────┘  └─ only what the trigger needs ────┘              └── if retracting ──┘
type shape struct {
	spec   *Spec
	layout *agg.Layout

	early, late *section // nil: none; in the default trigger both are
	plain       bool     // the trigger is the default one: late events fire at once

	state int // the place of the aggregates
	end   int // and where they end
	last  int // the place of what was last said, 0 if that is not kept
	words int // of a pane
	cells int // of a pane
	own   int // cells that are not those of what was last said
}

// The places of the words of a pane.
const (
	paneStart = iota
	paneEnd
	paneFired  // how often it has fired under these bounds
	paneEvents // since it last fired
	paneFirst  // processing time of the first of them
	paneMarks  // of the trigger's sections
	paneAll    // events of its whole life, if a section has an until
	paneAllFirst

	paneHead = paneEvents // the length without a trigger
)

// newShape works out the shape of a valid spec.
func newShape(s *Spec) *shape {
	f := &shape{spec: s, layout: s.Layout, state: paneHead, cells: s.Layout.Cells(), own: s.Layout.Cells()}
	t := s.Trigger
	f.plain = t == Trigger{}
	if t.Early != nil || t.Late != nil {
		if t.Late == nil {
			t.Late = &Section{When: Condition{Events: 1}}
		}
		var m marker
		f.early, f.late = m.section(t.Early), m.section(t.Late)
		f.state = paneAll
		if f.late.until != nil || f.early != nil && f.early.until != nil {
			f.state = paneAllFirst + 1
		}
	}
	f.end = f.state + f.layout.Words()
	f.words = f.end
	if s.Accumulation == Retracting {
		f.last = f.words
		f.words += 1 + f.layout.Words()
		f.cells *= 2
	}
	return f
}

// counts reports whether panes count what comes between their firings.
func (f *shape) counts() bool { return f.state > paneHead }

// pane is one window as the words and the cells of an operator.
type pane struct {
	words []uint64
	cells [][]byte
}

func (p pane) window() Window {
	return Window{Start: edged.Timestamp(p.words[paneStart]), End: edged.Timestamp(p.words[paneEnd])}
}

func (p pane) setWindow(w Window) {
	p.words[paneStart], p.words[paneEnd] = uint64(w.Start), uint64(w.End)
}

func (p pane) fired() uint32 { return uint32(p.words[paneFired]) }

// tally returns what came since the pane last fired.
func (p pane) tally() tally {
	return tally{p.words[paneEvents], edged.Timestamp(p.words[paneFirst])}
}

// total returns what came in the pane's whole life.
func (p pane) total() tally {
	return tally{p.words[paneAll], edged.Timestamp(p.words[paneAllFirst])}
}

func (p pane) setTally(at int, t tally) {
	p.words[at], p.words[at+1] = t.events, uint64(t.first)
}

// one returns the tally with one event more.
func (t tally) one(now edged.Timestamp) tally { return t.merge(tally{1, now}) }

// merge returns the tally of two windows that have become one.
func (t tally) merge(u tally) tally {
	switch {
	case t.events == 0:
		return u
	case u.events == 0:
		return t
	}
	return tally{t.events + u.events, min(t.first, u.first)}
}

// fresh reports whether events have come since the pane last fired. A pane that
// does not count is only asked where they have.
func (f *shape) fresh(p pane) bool { return !f.counts() || p.words[paneEvents] > 0 }

// contents returns the aggregates of a pane.
func (f *shape) contents(p pane) ([]uint64, [][]byte) {
	return p.words[f.state:f.end], p.cells[:f.own]
}

// said returns the place for the aggregates that a pane has last fired with, the
// end of their span before them.
func (f *shape) said(p pane) ([]uint64, [][]byte) {
	return p.words[f.last:], p.cells[f.own:]
}

// init makes p the pane of a window without events.
func (f *shape) init(p pane, w Window) {
	clear(p.words)
	clear(p.cells)
	p.setWindow(w)
	f.layout.Init(f.contents(p))
}

// add folds an event into a pane.
func (f *shape) add(p pane, ev *edged.Event, now edged.Timestamp) {
	state, cells := f.contents(p)
	f.layout.Add(state, cells, ev.Values, ev.EventTime)
	if f.counts() {
		p.setTally(paneEvents, p.tally().one(now))
		if f.state > paneAll {
			p.setTally(paneAll, p.total().one(now))
		}
	}
}

// merge folds the pane src, a session that has become part of dst, into it.
func (f *shape) merge(dst, src pane) {
	to, toCells := f.contents(dst)
	from, fromCells := f.contents(src)
	f.layout.Merge(to, toCells, from, fromCells)
	if !f.counts() {
		return
	}
	dst.setTally(paneEvents, dst.tally().merge(src.tally()))
	if f.state > paneAll {
		dst.setTally(paneAll, dst.total().merge(src.total()))
	}
	for _, s := range []*section{f.early, f.late} {
		if s != nil {
			dst.words[paneMarks] = s.merge(dst.words[paneMarks], src.words[paneMarks])
		}
	}
}
