package actors

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"edged"
)

// A pipeline can be held: from a record of the journal on it gets nothing, no ticks
// either, and what is for it waits in the journal, which is kept for that. When it is
// resumed it gets what it has missed, in the order in which it came, each as a record of
// its own that is for this pipeline only (edged.AgainRecord). So whatever it makes of
// that is numbered, handed to the pipelines behind it, and recovered like everything
// else. In the end the input stands still for a moment, and then it is no longer held.
//
// All of this is in the journal, and is part of the fold: a [HoldRecord] says how a
// pipeline stands. Where the journal will be cut, those that are held are journaled
// again, like tables.

// Standing is how a pipeline stands to the journal.
type Standing uint8

// The standings.
const (
	Flowing  Standing = iota // it gets every record when it is sequenced
	Held                     // it gets nothing
	Resuming                 // it gets what it has missed, and nothing else
	Waiting                  // held while it is a shadow that has spoken; it resumes when it speaks again
)

// String returns the word for it.
func (s Standing) String() string {
	switch s {
	case Held:
		return "held"
	case Resuming:
		return "resuming"
	case Waiting:
		return "waiting"
	}
	return "flowing"
}

// drainedMark is what a [edged.HoldRecord] has behind the standing if open windows are
// closed by it.
const drainedMark = 1

// hold is how far a pipeline is held.
type hold struct {
	standing Standing
	upTo     edged.Seq // it has had what is for it up to this record

	// While it is resuming.
	read  edged.Seq      // the journal is read up to this record
	ahead []edged.Record // of that, what is not yet sequenced
}

// held reports whether the pipeline gets no record as it comes.
func (h *hold) held() bool { return h.standing != Flowing }

// Errors of holds.
var (
	ErrNoPipeline = errors.New("no such pipeline runs")
	ErrHeld       = errors.New("a pipeline is held")
)

// turning is a change of a pipeline's standing that somebody has asked for.
type turning struct {
	pipeline string
	standing Standing // Flowing: whatever it has missed
	drain    bool
	stored   openKeys // to be drained as well
	result   chan turned
}

// turned is how that has ended.
type turned struct {
	epoch uint64 // that has the record which says so; 0 when it stood like that already
	keys  int    // that were drained
	err   error
}

// Pause holds a pipeline, and returns when that is durable. One that is held already stays so.
func (e *Engine) Pause(ctx context.Context, pipeline string) error {
	_, err := e.turn(ctx, turning{pipeline: pipeline, standing: Held})
	return err
}

// Drain closes the windows of a pipeline that are open, as far as that can be done, and
// holds it. It returns how many keys it was for. What comes for these windows later is late.
func (e *Engine) Drain(ctx context.Context, pipeline string) (keys int, err error) {
	pinned, err := e.pin(ctx, func(p Pipeline) bool { return p.Name() == pipeline })
	if err != nil {
		return 0, err
	}
	defer e.unpin(pinned)
	if len(pinned) == 0 {
		return 0, fmt.Errorf("%s: %w", pipeline, ErrNoPipeline)
	}
	stored, err := openIn(ctx, e.store, pinned)
	if err != nil {
		return 0, fmt.Errorf("drain %s: %w", pipeline, err)
	}
	t, err := e.turn(ctx, turning{pipeline: pipeline, standing: Held, drain: true, stored: stored[pipeline]})
	return t.keys, err
}

// Resume gives a pipeline what it has missed, and lets it go on. It returns when that has
// begun; how far it is, is in [PipelineStats]. With discard it forgets what it has missed.
func (e *Engine) Resume(ctx context.Context, pipeline string, discard bool) error {
	want := turning{pipeline: pipeline, standing: Resuming}
	if discard {
		want.standing = Flowing
	}
	_, err := e.turn(ctx, want)
	return err
}

// turn has the sequencer change a standing, and waits until that is durable.
func (e *Engine) turn(ctx context.Context, want turning) (turned, error) {
	want.result = make(chan turned, 1)
	if err := e.ask(ctx, func(s *sequencer) { s.turning = append(s.turning, want) }); err != nil {
		return turned{}, err
	}
	t, err := answer(e, want.result)
	if err == nil {
		err = t.err
	}
	if err == nil && t.epoch > 0 {
		err = e.done.await(t.epoch)
	}
	return t, err
}

// turns carries out what was asked for first. Nothing that came before is on its way, see begin.
func (s *sequencer) turns() {
	want := s.turning[0]
	s.turning = s.turning[1:]
	t := turned{err: errStopped}
	if !s.over {
		t = s.changes(&want)
	}
	if want.result != nil {
		want.result <- t
	}
}

// changes journals a standing, if it is another one than before.
func (s *sequencer) changes(want *turning) (t turned) {
	r := s.routerOf(want.pipeline)
	switch {
	case r == nil || r.muted:
		t.err = fmt.Errorf("%s: %w", want.pipeline, ErrNoPipeline)
		return t
	case want.standing == Resuming && !r.hold.held(), want.standing == r.hold.standing && !want.drain:
		return t
	}
	rec := s.stands(r, want.standing)
	if want.drain {
		rec.Payload = append(rec.Payload, drainedMark)
		for key, active := range want.stored {
			if r.refs[key] == nil {
				r.lookup(key).active = active
			}
		}
		t.keys = len(r.refs)
	}
	t.epoch = s.open.number
	s.record(rec)
	return t
}

// stands returns the record that says how a pipeline stands from now on. One that is held
// and stays so has had what it has had; one that is held anew, what came before the record.
func (s *sequencer) stands(r *router, as Standing) *edged.Record {
	rec := &edged.Record{Kind: edged.HoldRecord, Time: s.clock.now, For: r.pipeline.Name(), Payload: []byte{byte(as)}}
	if r.hold.held() && as != Flowing {
		rec.Of = r.hold.upTo
	}
	return rec
}

// standingOf decodes a record.
func standingOf(rec *edged.Record) (s Standing, drained bool) {
	if len(rec.Payload) > 0 {
		s = Standing(rec.Payload[0])
	}
	return s, len(rec.Payload) > 1 && rec.Payload[1] == drainedMark
}

// setHold gives a pipeline the standing of a record, and drains its keys if that is
// asked for, unless the epoch is nil: they are drained then.
func (s *sequencer) setHold(ep *epoch, rec *edged.Record) {
	r := s.routerOf(rec.For)
	if r == nil || rec.Seq <= r.since {
		return
	}
	s.e.keys.looksBack.Store(true)
	standing, drained := standingOf(rec)
	upTo := rec.Of
	if upTo == 0 {
		upTo = rec.Seq
	}
	if r.hold.standing != standing || r.hold.upTo != upTo {
		r.hold = hold{standing: standing, upTo: upTo}
	}
	s.showHold(r)
	if !drained || ep == nil {
		return
	}
	s.woken = s.woken[:0]
	for _, ref := range r.refs {
		s.woken = append(s.woken, ref)
	}
	slices.SortFunc(s.woken, func(a, b *keyRef) int { return cmp.Compare(a.key, b.key) })
	for _, ref := range s.woken {
		ref.changed = 2
		s.add(ep, ref, entry{event: edged.Event{Seq: rec.Seq}, time: rec.Time, kind: drainEntry})
	}
	clear(s.woken)
}

// showHold lets everybody see how a pipeline stands.
func (s *sequencer) showHold(r *router) {
	st := s.e.stats.Pipelines()[r.index]
	st.standing.Store(uint32(r.hold.standing))
	st.upTo.Store(uint64(r.hold.upTo))
	if !r.hold.held() {
		st.kept.Store(0)
		st.spoilt.Store(nil)
	}
}

// again routes what was missed, or is retried.
func (s *sequencer) again(ep *epoch, rec *edged.Record) {
	s.noteAgain(rec)
	r := s.routerOf(rec.For)
	switch {
	case rec.For == "":
		s.message(ep, rec)
	case r == nil:
	case rec.Topic == "":
		s.offerResult(ep, r, rec, rec.Payload)
	default:
		s.offer(ep, r, rec)
	}
}

// noteAgain notes how far a pipeline that is resuming has come.
func (s *sequencer) noteAgain(rec *edged.Record) {
	if r := s.routerOf(rec.For); r != nil && r.hold.standing == Resuming && rec.Seq > r.since && rec.Of > r.hold.upTo {
		r.hold.upTo = rec.Of
		s.showHold(r)
	}
}

// keep returns the record behind which the journal must be kept; 0: none.
func (s *sequencer) keep() (seq edged.Seq) {
	for _, r := range s.routers {
		if r.hold.held() && (seq == 0 || r.hold.upTo < seq) {
			seq = r.hold.upTo
		}
	}
	return seq
}

// rehold lets shadows wait that have spoken, and those that speak again resume. Nothing is
// on its way.
func (s *sequencer) rehold() {
	for _, r := range s.routers {
		waits := slices.ContainsFunc(s.e.shadows, func(sh Shadow) bool { return sh.Pipeline == r.pipeline && sh.Waits })
		switch {
		case waits && r.hold.standing == Flowing:
			s.record(s.stands(r, Waiting))
		case !waits && r.hold.standing == Waiting:
			s.record(s.stands(r, Resuming))
		}
	}
}

// boundHolds lets pipelines go on for which too much is kept: the disk would be full in the
// end.
func (s *sequencer) boundHolds() {
	for _, r := range s.routers {
		if !r.hold.held() {
			continue
		}
		kept := s.e.store.JournalBytes(r.hold.upTo)
		st := s.e.stats.Pipelines()[r.index]
		st.kept.Store(kept)
		if r.hold.standing != Held || kept <= s.cfg.HeldBytesMax {
			continue
		}
		to := Resuming
		if st.spoilt.Load() != nil {
			to = Flowing // what it has missed cannot be had
		}
		s.e.stats.HoldsEnded.Add(1)
		s.cfg.Logger.Warn("a pipeline is held no longer, because too much of the journal is kept for it", "pipeline", r.pipeline.Name(), "bytes", kept, "bytes_max", s.cfg.HeldBytesMax, "it_is", to)
		s.turning = append(s.turning, turning{pipeline: r.pipeline.Name(), standing: to})
	}
}
