package actors

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"edged"
)

// Swap is what is to run from now on instead of what runs.
type Swap struct {
	// Pipelines are all that are to run. One that runs already, the same value, goes on
	// untouched. One of the same name goes on from its stored states, which it must be
	// able to restore; a new one begins with what comes.
	Pipelines []Pipeline

	// Shadows are all that are to run beside them, see [Shadow]. A pipeline that runs, the
	// same value, may become a shadow, and a shadow a pipeline: it goes on untouched.
	Shadows []Shadow

	// Links are all outputs. One of the same stream and name as before is left as it is.
	Links []Link

	// Tables are the reference tables as they are now.
	Tables []Table

	// Settle is called between the last record of the old and the first of the new: all
	// states are stored up to record at. It makes durable what a restart needs to know,
	// and returns Ports.Since. On an error nothing has changed.
	Settle func(at edged.Seq) (since map[string]edged.Seq, err error)
}

// What a swap waits for.
const (
	// swapPassesMax is how often all changed keys are stored while input goes on, so
	// that few are left when it must stand still.
	swapPassesMax = 2

	// swapKeysMax is how many changed keys may be left without one more pass.
	swapKeysMax = sweepTurnMax
)

// ErrSwapping says that a swap is asked for while another one is under way.
var ErrSwapping = errors.New("the pipelines are being swapped already")

// swapping is a swap under way.
type swapping struct {
	Swap
	all    []Pipeline // and shadows
	stores bool       // all states must be stored: some of them begin there, or are left
	pinned []*router  // with whose states others begin that time matters to
	open   map[string]openKeys
	passes int       // sweeps begun for it
	seen   edged.Seq // the next record at the last tick
	quiet  bool      // no record came from one tick to the next
	frozen bool      // no input is taken
	stood  time.Time // since when
	result chan swapResult
}

// swapResult is how a swap has ended.
type swapResult struct {
	pause time.Duration
	err   error
}

// Swap replaces the pipelines and outputs at one record of the journal. The input stands
// still while what changed last is stored; nothing is lost, and no result is said twice.
// It returns when the new ones run, and for how long the input stood still; or with an
// error and the old ones running.
func (e *Engine) Swap(ctx context.Context, swap Swap) (pause time.Duration, err error) {
	s := &swapping{Swap: swap, all: beside(swap.Pipelines, swap.Shadows), result: make(chan swapResult, 1)}
	if _, err := stagesOf(s.all); err != nil {
		return 0, err
	}
	if s.pinned, err = e.pin(ctx, s.begunWith); err != nil {
		return 0, err
	}
	defer e.unpin(s.pinned)
	if s.open, err = openIn(ctx, e.store, s.pinned); err != nil {
		return 0, fmt.Errorf("swap the pipelines: %w", err)
	}
	if err := e.ask(ctx, func(q *sequencer) { q.begins(s) }); err != nil {
		return 0, err
	}
	r, err := answer(e, s.result)
	if err != nil {
		return 0, err
	}
	return r.pause, r.err
}

// begunWith reports whether one that time matters to may begin with the states of a
// pipeline that runs.
func (w *swapping) begunWith(p Pipeline) bool {
	return slices.ContainsFunc(w.all, func(q Pipeline) bool {
		every, _ := q.Pulse()
		return q != p && (q.Name() == p.Name() || q.Origin() == p.Name()) && (every > 0 || len(q.Silences()) > 0)
	})
}

// begins takes a swap up, unless there is one, or was one since it was prepared.
func (s *sequencer) begins(swap *swapping) {
	if s.swap != nil || slices.ContainsFunc(s.routers, func(r *router) bool { return swap.begunWith(r.pipeline) && !slices.Contains(swap.pinned, r) }) {
		swap.result <- swapResult{err: ErrSwapping}
		return
	}
	if err := s.holdsBack(swap); err != nil {
		swap.result <- swapResult{err: err}
		return
	}
	s.swap = swap
	swap.stores = slices.ContainsFunc(swap.all, func(p Pipeline) bool { return !slices.Contains(s.e.pipelines, p) }) ||
		slices.ContainsFunc(s.e.pipelines, func(p Pipeline) bool { return !swap.continues(p) })
}

// holdsBack returns why pipelines that are held do not let a swap happen: what they have
// missed is for them, and not for what would be in their place or begin with their states.
func (s *sequencer) holdsBack(w *swapping) error {
	for _, r := range s.routers {
		name := r.pipeline.Name()
		if !r.hold.held() || r.hold.standing == Waiting || slices.Contains(w.Pipelines, r.pipeline) &&
			!slices.ContainsFunc(w.all, func(p Pipeline) bool { return p.Origin() == name }) {
			continue
		}
		return fmt.Errorf("pipeline %s is %s (%w): let it go on before it is replaced, removed or tried in another version", name, r.hold.standing, ErrHeld)
	}
	return nil
}

// continues reports whether a pipeline that runs goes on, or another one with its states.
func (w *swapping) continues(p Pipeline) bool {
	return slices.ContainsFunc(w.all, func(q Pipeline) bool { return q == p || q.Origin() == p.Name() })
}

// frozen reports whether the input stands still because of a swap.
func (s *sequencer) frozen() bool { return s.swap != nil && s.swap.frozen }

// swapStep brings a swap forward, and reports whether there is more to do at once.
func (s *sequencer) swapStep() (again bool) {
	w := s.swap
	switch {
	case w == nil:
		return false
	case s.over:
		w.result <- swapResult{err: errStopped}
		s.swap = nil
		return false
	case !w.frozen && !s.prepare(w), !s.open.idle() || s.inFlight > 0 || s.waving != nil:
		return false
	}
	if w.stores && s.checkpoint() {
		return true
	}
	err := s.exchange(w)
	s.swap, s.settled, s.resting, s.remaining = nil, false, 0, nil
	if err == nil {
		s.reload(w.Tables)
	}
	w.result <- swapResult{time.Since(w.stood), err}
	return true
}

// prepare waits until little is left to be stored, and then stops the input and reports
// that. In the meantime sweeps store what has changed, see plan; where nothing comes,
// nobody minds.
func (s *sequencer) prepare(w *swapping) (frozen bool) {
	if w.stores && !w.quiet && (s.sweep.running || w.passes < swapPassesMax && s.unstored(swapKeysMax)) {
		return false
	}
	w.frozen, w.stood = true, time.Now()
	s.settled, s.resting, s.remaining = false, 0, nil
	return true
}

// sweeps reports whether a swap wants a sweep now that stores both generations.
func (s *sequencer) sweeps() bool {
	return s.swap != nil && s.swap.stores && !s.swap.frozen && !s.sweep.running && s.swap.passes < swapPassesMax
}

// calm notes at a tick whether anything has come since the one before.
func (w *swapping) calm(next edged.Seq) {
	w.quiet, w.seen = next == w.seen, next
}

// exchange puts the new in the place of the old. Nothing is in flight.
func (s *sequencer) exchange(w *swapping) error {
	e, old := s.e, s.routers
	s.sweep.sorted()
	if err := s.holdsBack(w); err != nil {
		return err
	}
	for _, p := range w.all {
		if err := s.restorable(p); err != nil {
			return err
		}
	}
	stages, err := stagesOf(w.all)
	if err != nil {
		return err // Swap has looked
	}
	since, err := w.Settle(s.next - 1)
	if err != nil {
		return fmt.Errorf("swap the pipelines after record %d: %w", s.next-1, err)
	}
	e.since, e.pipelines, e.shadows, e.stages = since, w.all, w.Shadows, stages
	e.stats.keep(w.all)
	e.comparisons.begin(w.Shadows)
	e.dropping.Store(false)
	named := func(name string) int {
		return slices.IndexFunc(old, func(r *router) bool { return r.pipeline.Name() == name })
	}
	s.routers = nil
	for i, p := range w.all {
		at := named(p.Name())
		if at >= 0 && old[at].pipeline == p {
			r := old[at]
			r.index, r.flows = i, false
			s.routers = append(s.routers, r)
			continue
		}
		if at < 0 {
			at = named(p.Origin())
		}
		r := newRouter(i, p, e.bounded, since[p.Name()])
		for name, content := range s.tables {
			p.SetTable(name, content)
		}
		if at >= 0 {
			r.inherit(old[at], w.open[old[at].pipeline.Name()])
		}
		s.routers = append(s.routers, r)
	}
	for _, r := range old {
		if !slices.Contains(s.routers, r) {
			s.retire(r)
		}
	}
	s.stage(stages)
	s.relate()
	s.relink(w.Links)
	s.rehold()
	return nil
}

// restorable checks that a pipeline which does not run yet can go on from what is stored
// of one that does.
func (s *sequencer) restorable(p Pipeline) error {
	if slices.Contains(s.e.pipelines, p) {
		return nil
	}
	for _, name := range []string{p.Name(), p.Origin()} {
		from := s.routerOf(name)
		if from == nil {
			continue
		}
		for key := range from.refs {
			if known, err := s.compatible(p, name, key); known || err != nil {
				return err
			}
		}
	}
	return nil
}

// inherit takes over from an older version which keys' states time may change. All are
// stored. How far that version was with a key says nothing: this one's silences and pulse
// may be others, and it tells the key anew. A recovery comes to the same, see recall.
func (r *router) inherit(old *router, stored openKeys) {
	if !r.ticks() {
		return
	}
	rung, beats := r.anew(true)
	var known, beating []*keyRef
	know := func(key string, active edged.Timestamp) {
		ref := r.lookup(key)
		ref.active, ref.rung, ref.open = active, rung, true
		known = append(known, ref)
	}
	for key, ref := range old.refs {
		if ref.open {
			know(key, ref.active)
		}
	}
	for key, active := range stored {
		if old.refs[key] == nil {
			know(key, active)
		}
	}
	if beats {
		beating = known
	}
	if rung == r.all() {
		known = nil
	}
	r.await(known, beating)
}

// retire stops the actors of a router that is not there any more.
func (s *sequencer) retire(r *router) {
	for _, ref := range r.refs {
		ref.gone = true
		if ref.pid != nil {
			s.e.system.Root.Stop(ref.pid)
			ref.pid = nil
			s.live--
		}
	}
}

// relink keeps the gateways of links that are still there, ends the others and starts
// new ones.
func (s *sequencer) relink(links []Link) {
	e := s.e
	pos := e.store.Position()
	e.linkMu.Lock()
	defer e.linkMu.Unlock()
	var gateways []*gatewayRef
	var persisted []uint64
	for i := range links {
		l := &links[i]
		defaulted(&l.Window, 1000)
		at := slices.IndexFunc(e.gateways, func(g *gatewayRef) bool { return g.state.stream == l.Stream && g.state.name == l.Name })
		if at >= 0 {
			gateways, persisted = append(gateways, e.gateways[at]), append(persisted, s.persisted[at])
			continue
		}
		g := e.newGateway(l, pos)
		e.runGateway(g)
		gateways, persisted = append(gateways, g), append(persisted, g.state.acked.Load())
		if _, known := e.streams[l.Stream]; !known {
			e.streams[l.Stream] = pos.Streams[l.Stream]
		}
	}
	for _, g := range e.gateways {
		if !slices.Contains(gateways, g) {
			g.end()
			e.system.Root.Stop(g.pid)
		}
	}
	e.gateways, s.persisted = gateways, persisted
}

// reload journals the tables that differ from what is known, and those of which a new
// pipeline has not told its keys.
func (s *sequencer) reload(tables []Table) {
	s.keepTables(tables)
	for _, t := range tables {
		s.load(t)
	}
}

// unstored reports whether more than so many keys' states are not stored in both
// generations. It stops counting there.
func (s *sequencer) unstored(most int) bool {
	for _, r := range s.routers {
		for _, ref := range r.refs {
			if ref.changed > 0 {
				most--
			}
			if most < 0 {
				return true
			}
		}
	}
	return false
}
