package actors

import (
	"context"
	"errors"
	"fmt"
	"time"

	"edged"
)

// RecoveryStats tells what recovery did.
type RecoveryStats struct {
	Clean    bool // the last run ended with all states stored
	Records  int
	Keys     int // known to the clock or changed since their snapshots
	Duration time.Duration
}

// Recovery returns what recovery did. It may be called when Ready is closed.
func (e *Engine) Recovery() RecoveryStats { return e.recovery }

// recover brings the engine to where the store is: keys that wait for time are
// made known, and the journal is routed again, with nothing committed or sent.
func (e *Engine) recover(ctx context.Context) error {
	start := time.Now()
	pos := e.store.Position()
	s := &sequencer{e: e, cfg: e.cfg, next: pos.Floor + 1, floor: pos.Floor, number: 1, lastWrite: start}
	e.seq = s
	s.sweep.generation, s.marked = pos.Sweep.Generation, pos.Sweep.Start
	for i, p := range e.pipelines {
		s.routers = append(s.routers, newRouter(i, p, e.bounded, e.since[p.Name()]))
	}
	s.stage(e.stages)
	s.relate()
	for _, g := range e.gateways {
		s.persisted = append(s.persisted, g.state.acked.Load())
	}
	if err := e.store.Skips(func(pipeline, key string, seq edged.Seq) error {
		e.keys.skips.add(skip{pipeline: pipeline, key: key, seq: seq})
		return nil
	}); err != nil {
		return fmt.Errorf("recover: read skipped records: %w", err)
	}
	if err := s.knownKeys(); err != nil {
		return err
	}
	clean := pos.Sweep.Start == pos.Seq
	s.open = s.take()
	s.open.replay = true
	if err := s.replay(ctx, pos, clean); err != nil {
		return err
	}
	if s.next != pos.Seq+1 {
		return fmt.Errorf("recover: the journal ends at record %d, the store says %d", s.next-1, pos.Seq)
	}
	s.clock = newClock(pos.Time, time.Now())
	s.open.replay = false
	s.startTables(e.given, pos.Sweep.Start)
	s.rehold()
	e.recovery = RecoveryStats{Clean: clean, Duration: time.Since(start)}
	if !clean {
		e.recovery.Records = int(pos.Seq - pos.Floor)
	}
	for _, r := range s.routers {
		e.recovery.Keys += len(r.refs)
	}
	return nil
}

// stage sorts the routers by the stages of their pipelines.
func (s *sequencer) stage(stages []int) {
	s.stages = make([][]*router, 1)
	for i, r := range s.routers {
		r.stage = stages[i]
		for len(s.stages) <= r.stage {
			s.stages = append(s.stages, nil)
		}
		s.stages[r.stage] = append(s.stages[r.stage], r)
		for _, other := range s.routers {
			r.flows = r.flows || other.upstream == r.pipeline.Name()
		}
	}
}

// knownKeys makes the keys known that time or a sweep must reach although they
// may never get another event. It refuses a store whose state another version
// of a pipeline wrote.
func (s *sequencer) knownKeys() error {
	// What belongs to pipelines that are not configured now is kept.
	owners := map[string][]*router{}
	for _, r := range s.routers {
		for _, name := range []string{r.pipeline.Name(), r.pipeline.Origin()} {
			if name != "" {
				owners[name] = append(owners[name], r)
			}
		}
	}
	checked := map[*router]bool{}
	waiting, beating := map[*router][]*keyRef{}, map[*router][]*keyRef{}
	know := func(r *router, snap edged.Snapshot) error {
		if !checked[r] {
			known, err := s.compatible(r.pipeline, snap.Pipeline, snap.Key)
			if err != nil {
				return err
			}
			checked[r] = known
		}
		if snap.Pipeline != r.pipeline.Name() { // its origin's
			if _, own, err := s.e.store.Snapshot(r.pipeline.Name(), snap.Key); own || err != nil {
				return nil // an error comes when the key is needed
			}
			snap.Twin = true // nothing of it is this pipeline's to store
		}
		rung, beats := r.recall(&snap)
		waits := rung < r.all() || r.bounded && snap.Open > 0
		if snap.Open == 0 && snap.Twin && !beats && !waits {
			return nil
		}
		ref := r.lookup(snap.Key)
		r.remember(ref, &snap)
		if !snap.Twin {
			ref.changed = 1
		}
		if waits {
			waiting[r] = append(waiting[r], ref)
		}
		if beats {
			beating[r] = append(beating[r], ref)
		}
		return nil
	}
	err := s.e.store.Snapshots(func(snap edged.Snapshot) error {
		for _, r := range owners[snap.Pipeline] {
			if err := know(r, snap); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("recover: read snapshots: %w", err)
	}
	for _, r := range s.routers {
		r.await(waiting[r], beating[r])
	}
	return nil
}

// remember notes what a snapshot says of a key.
func (r *router) remember(ref *keyRef, snap *edged.Snapshot) {
	ref.stored, ref.active, ref.open = snap.Seq, snap.Active, snap.Open > 0
	ref.rung, _ = r.recall(snap)
	ref.forked = snap.Pipeline == r.pipeline.Name()
}

// refOf returns the ref of a key. What a new one does not learn from what comes now, it
// recalls from the key's snapshot: in recovery for each key the journal goes on behind that.
func (s *sequencer) refOf(r *router, key string, recalls bool) *keyRef {
	known := r.refs[key] != nil
	ref := r.lookup(key)
	if known || !recalls {
		return ref
	}
	if snap, found, err := storedState(s.e.store, r.pipeline, key); found && err == nil { // otherwise its actor will say so
		r.remember(ref, &snap)
	}
	return ref
}

// compatible tries the state of one key that is stored under a name. All states of a
// name are of one version, because this is checked at every start.
func (s *sequencer) compatible(p Pipeline, name, key string) (known bool, err error) {
	snap, found, err := s.e.store.Snapshot(name, key)
	if err != nil || !found || quarantined(snap.State) {
		return false, nil // the key is quarantined when it is needed, or is already
	}
	if err := p.NewTask(key).Restore(snap.State); errors.Is(err, ErrIncompatible) {
		return false, fmt.Errorf("pipeline %s: the stored state was written by a different version of it (%w): give the changed pipeline a new name, or start with a new data directory", name, err)
	}
	return true, nil
}

// ErrIncompatible is wrapped by the error of Task.Restore when the state belongs
// to another version of the pipeline.
var ErrIncompatible = errors.New("state of another pipeline version")

// replay routes the journal again. After a clean end every state is stored, and
// the journal only tells which messages the transport may repeat.
func (s *sequencer) replay(ctx context.Context, pos edged.Position, clean bool) error {
	err := s.e.store.Replay(pos.Floor, func(rec *edged.Record) error {
		if rec.PacketID != 0 {
			s.redelivery.record(rec.PacketID, digest(rec.Topic, rec.Payload))
		}
		if rec.Seq > pos.Sweep.Start {
			// However short its lives are, an engine sweeps in the end.
			s.sweep.journal += recordCost(rec)
		}
		if err := checkDerived(rec); err != nil {
			return err
		}
		if clean {
			switch rec.Kind {
			case edged.TableRecord, edged.KeptRecord:
				s.setTable(nil, rec)
			case edged.HoldRecord:
				s.setHold(nil, rec)
			case edged.AgainRecord:
				s.noteAgain(rec)
			}
			s.next = rec.Seq + 1
			return nil
		}
		s.clock.now = rec.Time
		s.route(rec)
		if s.hasRoom() {
			return nil
		}
		s.close()
		return s.awaitInFlight(ctx, 1)
	})
	if err != nil {
		return fmt.Errorf("recover: %w", err)
	}
	if !s.open.idle() {
		s.close()
	}
	return s.awaitInFlight(ctx, 0)
}

// awaitInFlight waits until at most n epochs are in flight.
func (s *sequencer) awaitInFlight(ctx context.Context, n int) error {
	for s.inFlight > n {
		select {
		case ep := <-s.e.committed:
			s.finished(ep)
		case <-s.e.failed:
			return s.e.failure
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
