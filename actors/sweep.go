package actors

import (
	"cmp"
	"slices"

	"edged"
)

// sweepTurnMax is how many keys one epoch snapshots at most: it bounds the time
// of a commit.
const sweepTurnMax = 1024

// sweep snapshots every changed key once, in key order (neighbours share pages),
// some in each epoch. When it is complete, the journal before the previous
// sweep's start is not needed any more: every key has two newer generations.
type sweep struct {
	generation uint64
	start      edged.Seq
	running    bool
	waiting    bool // for the waves of the epoch that it began with
	twin       bool // both generations are written
	sorting    chan []*keyRef
	left       []*keyRef

	journal int64 // journal bytes since the last start
	written int64 // snapshot bytes of the running sweep
	cost    int64 // snapshot bytes of the last complete sweep
	taken   int   // keys of the running sweep that are through
}

// due reports whether enough journal has gathered. A sweep that wrote much makes
// the next one wait longer, so that snapshots cost at most a quarter of the journal.
func (s *sweep) due(bytes int64) bool {
	return !s.running && s.journal >= max(bytes, 4*s.cost)
}

// begin starts a sweep over all keys that changed up to start. They can be
// collected when all that the records up to start mean for keys is known.
func (s *sweep) begin(start edged.Seq) {
	s.running, s.waiting, s.twin, s.start, s.journal, s.written, s.taken = true, true, false, start, 0, 0, 0
	s.generation++
}

// collect gathers the keys of the sweep. Sorting a hundred thousand keys takes
// longer than an epoch should, so it is done aside.
func (s *sweep) collect(routers []*router) {
	var refs []*keyRef
	for _, r := range routers {
		refs = r.appendChanged(refs)
	}
	s.waiting = false
	s.sorting = make(chan []*keyRef, 1)
	go func(result chan<- []*keyRef) {
		slices.SortFunc(refs, func(a, b *keyRef) int {
			return cmp.Or(cmp.Compare(a.router.index, b.router.index), cmp.Compare(a.key, b.key))
		})
		result <- refs
	}(s.sorting)
}

// cancel forgets a sweep that is running.
func (s *sweep) cancel() {
	s.sorted()
	s.running, s.waiting, s.left = false, false, nil
}

// sorted waits for the keys of the sweep to be sorted. Until then routers must not change.
func (s *sweep) sorted() {
	if s.sorting != nil {
		s.left = <-s.sorting
		s.sorting = nil
	}
}

// step adds snapshots to the epoch and reports whether the sweep is complete
// with it.
func (s *sweep) step(ep *epoch) (complete bool) {
	if !s.running || s.waiting {
		return false
	}
	if s.sorting != nil {
		select {
		case s.left = <-s.sorting:
			s.sorting = nil
		default:
			return false
		}
	}
	for n := 0; n < sweepTurnMax && len(s.left) > 0; s.left = s.left[1:] {
		ref := s.left[0]
		if ref.gone || ref.changed == 0 {
			continue // passivated meanwhile: both generations hold it
		}
		snapshot(ep, ref, s.twin || ref.changed == 1)
		n++
		s.taken++
	}
	if len(s.left) > 0 {
		return false
	}
	s.running, s.left = false, nil
	return true
}

// snapshot asks for the key's state at the end of the epoch. A state that did
// not change since the last generation goes into both.
func snapshot(ep *epoch, ref *keyRef, twin bool) {
	t := ep.turnOf(ref)
	t.wantSnapshot = true
	t.twin = t.twin || twin
	if t.twin {
		ref.changed = 0
	} else {
		ref.changed = 1
	}
}
