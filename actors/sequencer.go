package actors

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"edged"
)

const (
	epochsInFlight = 2           // one being committed, one being processed
	keyMailboxMax  = 4           // turns of one key; more than the epochs in flight
	cursorInterval = time.Second // how long confirmations wait for a commit to share
	passivateMax   = 1024        // keys passivated in one epoch
)

// sequencer gives every message its place: it numbers it, decodes it, finds its
// key and puts it into the open epoch. It alone decides when an epoch closes,
// which keys are snapshotted, which are passivated, and when time moves. It is
// one goroutine; nothing here is shared.
type sequencer struct {
	e   *Engine
	cfg Config

	routers    []*router
	stages     [][]*router // by stage; the first takes messages
	redelivery redelivery
	clock      clock
	next       edged.Seq
	floor      edged.Seq // where the journal began when this run did
	sweep      sweep
	event      edged.Event     // the one being decoded
	events     int             // routed and not yet counted
	newest     edged.Timestamp // event time of the last of them
	window     flowWindow
	woken      []*keyRef // by the tick being routed

	waving  *epoch   // between its waves
	wave    int      // the stage whose turns are being processed
	flowing []caused // kept memory of gather

	tables   map[string][]byte // the content of each, as journaled last
	waits    *Table            // for an epoch of its own to begin with
	turning  []turning         // the same
	retrying []retrying        // waits for room
	joins    bool              // the input stands still until those that are resuming go on
	reads    bool              // the journal, for one that is resuming: there may be more
	swap     *swapping         // under way; nil: none
	storing  *storing          // the checkpoint under way; nil: none
	restate  bool              // tables and holds must be journaled again before any other record

	open     *epoch
	free     []*epoch
	number   uint64
	inFlight int
	opened   time.Time // when the open epoch got its first message

	live      int // keys with an actor
	leaving   int // of these being passivated
	unacked   int
	more      bool // the source had more at hand
	blocked   bool // the outbox is full
	persisted []uint64

	// How far the end of the run is.
	over      bool      // no input and no tick comes any more: states are final
	ended     bool      // windows of a bounded input are closed
	settled   bool      // all states are stored
	marked    edged.Seq // the start of the last complete sweep
	resting   int       // routers whose states are
	remaining []*keyRef // of the next router
	lastWrite time.Time
}

// run sequences until the input is closed and everything is committed.
func (s *sequencer) run(ctx context.Context) error {
	ticker := time.NewTicker(s.cfg.TickInterval)
	defer ticker.Stop()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		s.begin()
		if s.swapStep() && s.open.idle() {
			continue
		}
		if s.join() {
			continue
		}
		done := s.fill()
		wait := s.untilClose(done)
		if wait <= 0 {
			s.close()
			continue
		}
		if done && s.inFlight == 0 {
			if s.last() {
				return nil
			}
			continue
		}
		if s.reads && s.hasRoom() {
			wait = time.Microsecond // there is more to read, once everybody else was heard
		}
		timer.Reset(wait)
		select {
		case <-s.e.intake.ready:
		case ep := <-s.e.committed:
			s.finished(ep)
		case <-s.waveDone():
			s.nextWave()
		case t := <-ticker.C:
			s.tick(t)
		case t := <-s.tableInput():
			s.waits = &t
		case ask := <-s.e.asks:
			ask(s)
		case <-timer.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// fill moves batches from the intake into the open epoch while it has room.
func (s *sequencer) fill() (done bool) {
	if s.blocked && s.e.draining.Load() {
		s.over = true // what is not sequenced stays with the broker
	}
	s.retry()
	s.catchUp(againShare * s.cfg.EpochEventsMax / 4)
	for !s.over && s.hasRoom() {
		b, ok, closed := s.e.intake.take()
		if !ok {
			s.over = closed
			s.catchUp(s.cfg.EpochEventsMax)
			break
		}
		s.batch(&b)
	}
	return s.over
}

func (s *sequencer) hasRoom() bool {
	return !s.blocked && !s.frozen() && !s.joins && s.waits == nil && len(s.turning) == 0 &&
		len(s.open.records) < s.cfg.EpochEventsMax && s.open.bytes < s.cfg.EpochBytesMax
}

// untilClose returns how long the open epoch may still wait; 0 means close now.
func (s *sequencer) untilClose(done bool) time.Duration {
	const long = time.Hour
	hurries := s.hurries()
	if s.inFlight >= epochsInFlight || s.waving != nil || s.open.idle() && !hurries {
		return long
	}
	if done || hurries || !s.hasRoom() || s.inFlight == 0 && s.window.full(s.unacked) {
		return 0
	}
	return s.cfg.CommitInterval - time.Since(s.opened)
}

// batch sequences the messages of a batch.
func (s *sequencer) batch(b *edged.Batch) {
	s.e.busy.begin()
	defer s.e.busy.end()
	if b.Fresh {
		s.redelivery.reset()
	}
	s.more = b.More
	if len(b.Messages) > 0 && s.open.idle() {
		s.opened = time.Now()
	}
	st := &s.e.stats
	stamp := b.Arrival
	if stamp == 0 {
		stamp = arrival(s.e.wall)
	}
	if stamp == 0 {
		st.Undated.Add(int64(len(b.Messages)))
	}
	for i := range b.Messages {
		m := &b.Messages[i]
		if m.Ack != 0 {
			s.open.acks = append(s.open.acks, m.Ack)
			s.unacked++
		}
		if s.redelivery.repeats(m) {
			// It is committed, or will be no later than this epoch: its
			// acknowledgement waits for that.
			st.Redelivered.Add(1)
			continue
		}
		s.record(&edged.Record{Kind: edged.MessageRecord, Time: s.clock.now, Arrival: stamp, Topic: m.Topic, Payload: m.Payload, PacketID: m.PacketID})
	}
	st.Received.Add(int64(len(b.Messages)))
	if s.events > 0 {
		st.LastEventTime.Store(int64(s.newest))
	}
	s.count()
}

// count makes the events public that were routed since.
func (s *sequencer) count() {
	for i, st := range s.e.stats.Pipelines() {
		add(&st.Events, s.routers[i].events)
		s.routers[i].events = 0
	}
	if s.events > 0 {
		s.e.stats.Events.Add(int64(s.events))
		s.events = 0
	}
}

// record journals and routes a new record. The journal will be cut where the
// newest sweep started, so what comes first there is what messages refer to.
func (s *sequencer) record(rec *edged.Record) {
	s.restated()
	s.enter(rec)
}

// enter gives a record its number and routes it.
func (s *sequencer) enter(rec *edged.Record) {
	rec.Seq = s.next
	s.route(rec)
	s.sweep.journal += recordCost(rec)
}

// recordCost is about what a record takes in the journal.
func recordCost(rec *edged.Record) int64 {
	return int64(len(rec.Payload) + len(rec.Topic) + len(rec.For) + len(rec.Derived) + 16)
}

// route puts a record and what it means for the keys into the open epoch. It is
// the one way into the state, for live input and for recovery. Live, it stops at
// the first stage: the others follow in waves. In recovery what they are to have
// is in the record already.
func (s *sequencer) route(rec *edged.Record) {
	ep := s.open
	ep.records = append(ep.records, *rec)
	ep.bytes += len(rec.Payload) + len(rec.Topic)
	s.next = rec.Seq + 1
	switch rec.Kind {
	case edged.TickRecord:
		ep.ticks = true
		if !ep.ends {
			s.wake(ep, rec, 0)
		}
	case edged.TableRecord, edged.KeptRecord:
		s.setTable(ep, rec)
	case edged.HoldRecord:
		s.setHold(ep, rec)
	case edged.AgainRecord:
		s.again(ep, rec)
	default:
		s.message(ep, rec)
	}
	if !ep.replay {
		return
	}
	for stage := 1; stage < len(s.stages); stage++ {
		s.offerDerived(ep, rec, stage)
		if rec.Kind == edged.TickRecord {
			s.wake(ep, rec, stage)
		}
	}
}

// message offers a message to the pipelines that take it.
func (s *sequencer) message(ep *epoch, rec *edged.Record) {
	taken := false
	for _, r := range s.stages[0] {
		if r.pipeline.Accepts(rec.Topic) {
			taken = true
			if !r.hold.held() {
				s.offer(ep, r, rec)
			}
		}
	}
	if !taken {
		s.reject(ep, rec, "", "no_pipeline", "no pipeline subscribes to this topic")
	}
}

// offer decodes a record for one pipeline and adds the event to its key's turn.
func (s *sequencer) offer(ep *epoch, r *router, rec *edged.Record) {
	if s.passes(r, rec) {
		return
	}
	ev := &s.event
	*ev = edged.Event{Arrival: rec.Arrival, Values: ep.room(r.pipeline.Slots())}
	keep, poison := r.pipeline.Decode(ev, rec.Topic, rec.Payload)
	if s.admit(ep, r, rec, keep, poison, eventEntry) {
		s.newest = ev.EventTime
	}
}

// passes reports whether a record is not for a pipeline.
func (s *sequencer) passes(r *router, rec *edged.Record) bool {
	return rec.Seq <= r.since || r.muted && s.e.dropping.Load()
}

// offerResult does the same with a result of the upstream pipeline.
func (s *sequencer) offerResult(ep *epoch, r *router, rec *edged.Record, body []byte) {
	if s.passes(r, rec) {
		return
	}
	ev := &s.event
	*ev = edged.Event{Arrival: rec.Arrival, Values: ep.room(r.pipeline.Slots())}
	keep, poison := r.pipeline.Derive(ev, body)
	s.admit(ep, r, rec, keep, poison, derivedEntry)
}

// admit adds the decoded event to its key's turn, and reports whether it did so
// for the first time and for a pipeline that is heard.
func (s *sequencer) admit(ep *epoch, r *router, rec *edged.Record, keep bool, poison *edged.PoisonError, kind entryKind) bool {
	ev := &s.event
	switch {
	case poison != nil:
		s.refuse(ep, r, rec, poison)
		return false
	case !keep:
		if !ep.replay && !r.muted {
			s.e.stats.Filtered.Add(1)
		}
		return false
	}
	ev.Seq = rec.Seq
	ref := s.refOf(r, ev.Key, ep.replay && r.ticks())
	r.touch(ref, rec.Seq, rec.Time)
	// What is passed over was a sign of life all the same: ticks must find the key
	// where they found it then.
	if ep.replay && s.e.keys.skips.has(skip{pipeline: r.pipeline.Name(), key: ev.Key, seq: rec.Seq}) {
		return false
	}
	s.add(ep, ref, entry{event: *ev, time: rec.Time, kind: kind})
	if ep.replay {
		return false
	}
	r.events++
	if r.muted {
		return false
	}
	s.events++
	return true
}

// refuse counts what a pipeline cannot take, and makes a dead letter of it if it is heard.
func (s *sequencer) refuse(ep *epoch, r *router, rec *edged.Record, poison *edged.PoisonError) {
	if ep.replay {
		return
	}
	st := s.e.stats.Pipelines()[r.index]
	st.Refused.Add(1)
	if r.muted {
		st.Fault.Store(&poison.Detail)
		return
	}
	s.reject(ep, rec, r.pipeline.Name(), poison.Cause, poison.Detail)
}

// reject makes a dead letter of a record. It stays in the journal, and replay
// rejects it again in the same way.
func (s *sequencer) reject(ep *epoch, rec *edged.Record, pipeline, cause, detail string) {
	if ep.replay {
		return
	}
	ep.dead = append(ep.dead, edged.DeadLetter{
		Seq: rec.Seq, Time: rec.Time, Pipeline: pipeline, Topic: rec.Topic, Cause: cause, Detail: detail,
		Payload: sample(rec.Payload, s.cfg.SampleBytesMax), Size: len(rec.Payload),
	})
}

// wake gives the keys of a stage that a tick is for their entries.
func (s *sequencer) wake(ep *epoch, rec *edged.Record, stage int) {
	for _, r := range s.stages[stage] {
		if r.hold.held() || rec.Seq <= r.since {
			continue
		}
		s.woken = r.wake(rec.Time, s.woken[:0])
		for _, ref := range s.woken {
			s.add(ep, ref, entry{event: edged.Event{Seq: rec.Seq}, time: rec.Time, kind: tickEntry})
		}
	}
	clear(s.woken)
}

// tick moves processing time, and journals that it did when a key waits for it.
func (s *sequencer) tick(t time.Time) {
	e := s.e
	behind := s.more || s.frozen() || s.joins || s.blocked || s.inFlight >= epochsInFlight || e.intake.level() > 0 || s.window.full(s.unacked)
	before := s.clock.now
	s.clock.tick(t, !behind && e.source.Connected(), 2*s.cfg.TickInterval)
	s.checkOutbox()
	s.boundHolds()
	if s.swap != nil {
		s.swap.calm(s.next)
	}
	if s.frozen() || s.joins {
		return
	}
	if !e.bounded && !s.over && s.awaited(before) {
		s.record(&edged.Record{Kind: edged.TickRecord, Time: s.clock.now})
	}
	if t.Sub(s.lastWrite) >= cursorInterval {
		s.open.cursors = append(s.open.cursors, e.movedCursors(s.persisted)...)
		s.lastWrite = t
	}
	if !s.over {
		s.passivateIdle()
	}
	e.stats.Keys.Store(int64(s.live))
}

// awaited reports whether a key waits for processing time to be where it is now.
// Keys of later stages get their ticks in waves: until then they look as if they
// still waited.
func (s *sequencer) awaited(before edged.Timestamp) bool {
	under := s.open.ticks || s.waving != nil && s.waving.ticks
	for _, r := range s.routers {
		if r.hold.held() {
			continue
		}
		if r.pulses(before, s.clock.now) || r.due(s.clock.now) != nil && (r.stage == 0 || !under) {
			return true
		}
	}
	return false
}

// last adds what remains to be done when the input is over, one epoch at a time,
// and reports that nothing remains: a bounded input closes all windows, and every
// run ends with all states stored, so that the next one has nothing to replay.
func (s *sequencer) last() bool {
	if s.e.bounded && !s.e.draining.Load() {
		if s.ended {
			return true
		}
		s.ended = true
		s.end()
		return false
	}
	return !s.checkpoint()
}

// checkpoint puts snapshots of changed keys into the open epoch, in both
// generations. The epoch with the last of them marks the sweep complete up to
// the end of the journal.
func (s *sequencer) checkpoint() (more bool) {
	if s.settled || s.marked == s.next-1 {
		return false // nothing has happened since all states were stored
	}
	for s.resting < len(s.routers) {
		if s.remaining == nil {
			s.remaining = s.routers[s.resting].changedKeys()
		}
		for len(s.remaining) > 0 {
			if len(s.open.turns) >= sweepTurnMax {
				return true
			}
			snapshot(s.open, s.remaining[0], true)
			s.remaining = s.remaining[1:]
		}
		s.remaining = nil
		s.resting++
	}
	s.settled = true
	s.sweep.cancel()
	s.sweep.generation++
	s.open.sweep = &edged.Sweep{Generation: s.sweep.generation, Start: s.next - 1}
	s.restates()
	return true
}

// end closes all windows of a bounded input.
func (s *sequencer) end() {
	s.open.ends = true
	s.route(&edged.Record{Seq: s.next, Kind: edged.TickRecord, Time: s.clock.now})
	s.endStage(s.open, 0)
}

// endStage closes the windows of one stage, in the order of the keys' names.
func (s *sequencer) endStage(ep *epoch, stage int) {
	rec := &ep.records[len(ep.records)-1]
	for _, r := range s.stages[stage] {
		refs := s.woken[:0]
		for _, l := range slices.Concat(r.stored, r.timed) {
			for ref := l.front; ref != nil; ref = ref.timed.next {
				refs = append(refs, ref)
			}
		}
		slices.SortFunc(refs, func(a, b *keyRef) int { return cmp.Compare(a.key, b.key) })
		for _, ref := range refs {
			s.add(ep, ref, entry{event: edged.Event{Seq: rec.Seq}, time: rec.Time, kind: endEntry})
		}
		s.woken = refs
	}
}

// close ends the open epoch, hands its turns to the actors and opens the next.
func (s *sequencer) close() {
	ep := s.open
	ep.time, ep.keep = s.clock.now, s.keep()
	if !ep.replay {
		s.window.observe(s.unacked)
		s.plan(ep)
	}
	for i := range ep.turns {
		// The next epoch may already have something for the keys of a pipeline that is held
		// before a wave of this one sends their turns off; waves themselves have nothing.
		if t := &ep.turns[i]; t.ref.router.hold.held() {
			t.note()
		}
	}
	s.inFlight++
	s.number++
	s.open = s.take()
	if s.flows(ep) {
		s.startWaves(ep)
		return
	}
	s.e.dispatch(ep, allStages, s.spawn)
	s.e.closed <- ep
}

// flows reports whether the epoch is processed in waves.
func (s *sequencer) flows(ep *epoch) bool {
	return len(s.stages) > 1 && !ep.replay && len(ep.records) > 0
}

// plan adds to an epoch what it can carry along: snapshots and cursors.
func (s *sequencer) plan(ep *epoch) {
	if s.live > s.cfg.ActiveKeysMax && !s.over {
		s.passivateIdle()
	}
	if forced := s.sweeps(); (forced || s.hurries() && !s.sweep.running || s.sweep.due(s.cfg.SweepBytes)) && !s.settled && !s.frozen() {
		s.restated() // what is due since the last sweep: that one's start may be the end of the journal still
		s.sweep.begin(s.next - 1)
		if s.sweep.twin = forced; forced {
			s.swap.passes++
		}
		s.storeAll()
		s.restates()
		if !s.flows(ep) {
			s.sweep.collect(s.routers)
		}
	}
	s.hasten(ep)
	ep.generation = s.sweep.generation
	if s.sweep.step(ep) {
		ep.sweep = &edged.Sweep{Generation: s.sweep.generation, Start: s.sweep.start}
	}
	ep.cursors = append(ep.cursors, s.e.movedCursors(s.persisted)...)
	s.lastWrite = time.Now()
}

// take returns an empty epoch.
func (s *sequencer) take() *epoch {
	var ep *epoch
	if n := len(s.free); n > 0 {
		ep, s.free = s.free[n-1], s.free[:n-1]
	} else {
		ep = newEpoch(&s.e.busy)
	}
	ep.reset(s.number, s.open != nil && s.open.replay)
	return ep
}

// spawn makes sure that the key has an actor.
func (s *sequencer) spawn(ref *keyRef) *actor.PID {
	if ref.pid == nil {
		ref.pid = s.e.system.Root.Spawn(s.e.keyProps)
		s.live++
		ref.router.live.push(ref)
	}
	return ref.pid
}

// checkOutbox stops the intake while too many rows wait.
func (s *sequencer) checkOutbox() {
	s.blocked = s.e.store.OutboxBytes() > s.cfg.OutboxBytesMax
	s.e.stats.OutboxBlocked.Store(s.blocked)
}

// finished takes back an epoch that is committed.
func (s *sequencer) finished(ep *epoch) {
	s.inFlight--
	if !ep.replay {
		s.checkOutbox()
	}
	s.unacked -= len(ep.acks)
	s.sweep.written += ep.swept
	s.sweep.journal += int64(ep.derived)
	if ep.sweep != nil {
		s.sweep.cost, s.marked = s.sweep.written, ep.sweep.Start
		s.e.keys.skips.prune(s.e.store.Position().Floor)
		s.stored(ep.sweep)
	}
	for i := range ep.turns {
		t := &ep.turns[i]
		t.ref.open = t.open > 0
	}
	for _, ref := range ep.passivating {
		s.passivated(ref, ep.number)
	}
	s.free = append(s.free, ep)
}

// passivateIdle picks the keys whose actors are not worth their memory.
func (s *sequencer) passivateIdle() {
	old := s.clock.now.Add(-s.cfg.PassivateAfter.Milliseconds())
	picked := 0
	for _, r := range s.routers {
		if r.stage > 0 && s.waving != nil {
			continue // its keys have their turns in that epoch first
		}
		for ref := r.live.front; ref != nil && picked < passivateMax; ref = ref.live.next {
			if s.live-s.leaving <= s.cfg.ActiveKeysMax && ref.active > old {
				break
			}
			if !ref.passivating {
				picked++
				s.passivate(ref)
			}
		}
	}
}

// passivate asks for the state to be stored in both generations; when that is
// durable and nothing new has come, the actor is stopped.
func (s *sequencer) passivate(ref *keyRef) {
	ref.passivating = true
	s.leaving++
	snapshot(s.open, ref, true)
	s.open.passivating = append(s.open.passivating, ref)
}

// passivated stops the actor unless the key has got work since.
func (s *sequencer) passivated(ref *keyRef, number uint64) {
	ref.passivating = false
	s.leaving--
	if ref.epoch != number || ref.changed != 0 || ref.pid == nil {
		return
	}
	s.e.system.Root.Stop(ref.pid)
	ref.pid = nil
	s.live--
	s.e.stats.Passivated.Add(1)
	ref.router.live.remove(ref)
	ref.router.rest(ref)
}
