package actors

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"slices"
	"sync"

	"edged"
)

// A shadow sees the input that the others see, and has states, snapshots and a recovery
// like them; only its results go nowhere.
//
// One that continues the states of a pipeline that runs on (its origin) must not see what
// that one does from then on. So its keys fork: the first time that either has something
// for a key, the shadow's actor begins with what is stored of the origin's, which is
// still as it was at the swap, and its own state is stored with the same commit.

// beside returns all pipelines that run, the shadows last.
func beside(pipelines []Pipeline, shadows []Shadow) []Pipeline {
	all := slices.Clone(pipelines)
	for _, s := range shadows {
		all = append(all, s.Pipeline)
	}
	return all
}

// relate tells the routers how they stand to each other.
func (s *sequencer) relate() {
	for _, r := range s.routers {
		r.origin, r.forks = nil, nil
		r.muted = slices.ContainsFunc(s.e.shadows, func(sh Shadow) bool { return sh.Pipeline == r.pipeline })
	}
	for _, r := range s.routers {
		from := s.routerOf(r.pipeline.Origin())
		// What takes its input from elsewhere is reached in another wave, and means
		// something else in any case.
		if from != nil && from != r && from.stage == r.stage {
			r.origin, from.forks = from, append(from.forks, r)
		}
	}
}

// routerOf returns the router of a pipeline that runs, nil if there is none.
func (s *sequencer) routerOf(name string) *router {
	if i := slices.IndexFunc(s.routers, func(r *router) bool { return r.pipeline.Name() == name }); i >= 0 {
		return s.routers[i]
	}
	return nil
}

// add appends an entry to a key's turn.
func (s *sequencer) add(ep *epoch, ref *keyRef, en entry) {
	ep.add(ref, en)
	if ep.replay {
		return // each record of the journal was committed with the forks that it caused
	}
	if ref.router.origin != nil {
		fork(ep, ref)
	}
	for _, r := range ref.router.forks {
		fork(ep, s.refOf(r, ref.key, true))
	}
}

// fork gives a key a stored state of its own, unless it has one.
func fork(ep *epoch, ref *keyRef) {
	if !ref.forked {
		ref.forked = true
		snapshot(ep, ref, true)
	}
}

// storedState reads the stored state of a key. What was the origin's may be moved to the
// pipeline that continues it at any time, so the end of the way is where it began.
func storedState(store Store, p Pipeline, key string) (snap edged.Snapshot, found bool, err error) {
	snap, found, err = store.Snapshot(p.Name(), key)
	if p.Origin() == "" || found || err != nil {
		return snap, found, err
	}
	if snap, found, err = store.Snapshot(p.Origin(), key); found || err != nil {
		return snap, found, err
	}
	return store.Snapshot(p.Name(), key)
}

// Limits of a comparison.
const (
	// comparedMax is how many results of both sides may wait for their counterpart. The
	// oldest is taken for one that has none.
	comparedMax = 8192

	// DifferencesMax is how many differences are kept as examples.
	DifferencesMax = 8
)

// Comparison is how the results of a shadow stand to those of the pipeline that is heard,
// since it began to run in this process.
type Comparison struct {
	Shadow string
	Of     string // "" for none

	Same    int64 // in both, with the same row
	Differ  int64 // in both, with another row
	OnlyOf  int64 // results that the shadow has not, and too much has come since
	OnlyNew int64 // results that only the shadow has
	Waiting int64 // without a counterpart until now

	Examples []Difference
}

// Difference is a result that the two sides do not agree on. A row is nil where there is
// none.
type Difference struct {
	Key        string
	Start, End edged.Timestamp
	Of, Shadow []byte
}

// comparisons are those of all shadows. The committer writes, anybody reads.
type comparisons struct {
	mu   sync.Mutex
	all  []*comparing
	seed maphash.Seed
	text []byte
}

// comparing is a comparison under way.
type comparing struct {
	Comparison
	waiting map[uint64]waitingResult
	order   []uint64 // of their arrival
}

// waitingResult is a result without a counterpart.
type waitingResult struct {
	difference Difference
	shadow     bool
}

// begin begins comparisons for shadows; those that go on keep what they have.
func (c *comparisons) begin(shadows []Shadow) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seed = maphash.MakeSeed()
	before := c.all
	c.all = nil
	for _, s := range shadows {
		name := s.Pipeline.Name()
		if i := slices.IndexFunc(before, func(b *comparing) bool { return b.Shadow == name && b.Of == s.Of }); i >= 0 {
			before[i].waiting, before[i].order = map[uint64]waitingResult{}, nil
			c.all = append(c.all, before[i])
			continue
		}
		c.all = append(c.all, &comparing{Comparison: Comparison{Shadow: name, Of: s.Of}, waiting: map[uint64]waitingResult{}})
	}
}

// Comparisons returns how the shadows compare.
func (e *Engine) Comparisons() []Comparison {
	c := &e.comparisons
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []Comparison
	for _, one := range c.all {
		copied := one.Comparison
		copied.Waiting = int64(len(one.waiting))
		copied.Examples = slices.Clone(one.Examples)
		all = append(all, copied)
	}
	return all
}

// take compares the results of an epoch.
func (c *comparisons) take(results []caused) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, one := range c.all {
		for _, r := range results {
			switch r.turn.ref.router.pipeline.Name() {
			case one.Shadow:
				one.add(c, r, true)
			case one.Of:
				one.add(c, r, false)
			}
		}
	}
}

// add takes a result of one of the two sides.
func (c *comparing) add(all *comparisons, r caused, shadow bool) {
	p := r.turn.ref.router.pipeline
	if stream, _ := p.Route(r.result); stream == "" {
		return
	}
	row := p.AppendRow(nil, r.result, 0)
	d := Difference{Key: r.result.Key, Start: r.result.Start, End: r.result.End}
	id := all.identify(r.result)
	was, there := c.waiting[id]
	switch {
	case c.Of == "":
		c.OnlyNew++
		d.Shadow = row
		c.example(d)
	case !there || was.shadow == shadow:
		if shadow {
			d.Shadow = row
		} else {
			d.Of = row
		}
		c.wait(id, waitingResult{d, shadow})
	case bytes.Equal(row, was.row()):
		delete(c.waiting, id)
		c.Same++
	default:
		delete(c.waiting, id)
		c.Differ++
		if d = was.difference; shadow {
			d.Shadow = row
		} else {
			d.Of = row
		}
		c.example(d)
	}
}

// row returns that of the side that waits.
func (w *waitingResult) row() []byte {
	if w.shadow {
		return w.difference.Shadow
	}
	return w.difference.Of
}

// wait keeps a result until its counterpart comes.
func (c *comparing) wait(id uint64, w waitingResult) {
	if _, twice := c.waiting[id]; !twice {
		c.order = append(c.order, id)
	}
	c.waiting[id] = w
	for len(c.waiting) > comparedMax || len(c.order) > 2*comparedMax {
		oldest, there := c.waiting[c.order[0]]
		delete(c.waiting, c.order[0])
		c.order = c.order[1:]
		switch {
		case !there:
			continue
		case oldest.shadow:
			c.OnlyNew++
		default:
			c.OnlyOf++
		}
		c.example(oldest.difference)
	}
}

func (c *comparing) example(d Difference) {
	if len(c.Examples) < DifferencesMax {
		c.Examples = append(c.Examples, d)
	}
}

// identify names a result the same on both sides.
func (c *comparisons) identify(r *edged.Result) uint64 {
	c.text = append(c.text[:0], byte(r.Kind))
	for _, n := range [...]uint64{uint64(r.Start), uint64(r.End), uint64(r.Index)} {
		c.text = binary.LittleEndian.AppendUint64(c.text, n)
	}
	c.text = append(c.text, r.Key...)
	return maphash.Bytes(c.seed, c.text)
}
