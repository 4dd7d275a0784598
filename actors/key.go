package actors

import (
	"errors"
	"fmt"
	"sync"

	"github.com/asynkron/protoactor-go/actor"

	"edged"
)

// keyActor owns the state of one key. It learns which key from its first turn,
// so that all keys share one set of properties.
type keyActor struct {
	keys    *keys
	task    Task
	applied edged.Seq // the state holds all records up to here
	open    int       // as last reported
	broken  string    // quarantined: why the state cannot be had
}

// keys is what all key actors share.
type keys struct {
	store      Store
	stats      *Stats
	dispatcher *dispatcher
	skips      *skips
	sampleMax  int
	outputs    sync.Pool // of *edged.Output
	await      func(epoch uint64) error
}

// Receive is the actor's behaviour.
func (k *keyActor) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *turn:
		k.take(m)
	case *actor.Stopping, *actor.Restarting:
		k.keys.stats.OpenWindows.Add(int64(-k.open))
		k.open = 0
	}
}

// take does one turn. It may panic anywhere: the supervisor then marks the
// entry and a new actor takes the same turn again.
func (k *keyActor) take(t *turn) {
	if k.task == nil && k.broken == "" {
		k.load(t)
	}
	if t.broken != "" {
		k.broken = t.broken
	}
	if k.broken != "" {
		k.refuse(t)
	} else {
		k.fold(t)
	}
	t.finish()
}

// load brings the state back: from the newest snapshot, and after a failure
// from the journal since.
func (k *keyActor) load(t *turn) {
	p := t.ref.router.pipeline
	k.task, k.applied = p.NewTask(t.ref.key), 0
	var err error
	if t.retries > 0 {
		k.keys.dispatcher.blocking(func() { err = k.keys.await(t.epoch.number - 1) })
	}
	var snap edged.Snapshot
	var found bool
	if err == nil {
		snap, found, err = k.keys.store.Snapshot(p.Name(), t.ref.key)
	}
	if err == nil && found {
		k.applied = snap.Seq
		err = k.task.Restore(snap.State)
	}
	if err == nil && t.retries > 0 {
		err = k.rebuild(t)
	}
	if err != nil {
		k.task, k.broken = nil, err.Error()
		k.keys.stats.Quarantined.Add(1)
	}
}

// rebuild replays the journal between the snapshot and the turn's epoch. A
// snapshot older than the journal is of a key that had no event in between.
func (k *keyActor) rebuild(t *turn) error {
	before := edged.Seq(0)
	if t.first != none {
		before = t.epoch.records[0].Seq
	}
	p := t.ref.router.pipeline.Clone()
	var out edged.Output
	ev := edged.Event{Values: make([]edged.Value, 0, p.Slots())}
	return k.keys.store.Replay(max(k.applied, k.keys.store.Position().Floor), func(rec *edged.Record) error {
		if before != 0 && rec.Seq >= before || k.keys.skips.has(p.Name(), rec.Seq) {
			return nil
		}
		out.Reset()
		switch {
		case rec.Kind == edged.TickRecord:
			k.task.Tick(&out, rec.Seq, rec.Time)
		case p.Accepts(rec.Topic):
			ev = edged.Event{Values: ev.Values[:0]}
			if keep, poison := p.Decode(&ev, rec.Topic, rec.Payload); poison == nil && keep && ev.Key == t.ref.key {
				ev.Seq = rec.Seq
				k.task.Observe(&out, &ev, rec.Time)
			}
		}
		k.applied = rec.Seq
		return nil
	})
}

// stateHint is room for the state of an ordinary key, so that it is not grown
// step by step.
const stateHint = 256

// fold runs the entries of the turn through the task and notes what came out.
func (k *keyActor) fold(t *turn) {
	out := k.keys.outputs.Get().(*edged.Output)
	t.marks, t.dead = t.marks[:0], t.dead[:0]
	for at := t.first; at != none; at = t.epoch.entries[at].next {
		en := &t.epoch.entries[at]
		if en.event.Seq <= k.applied {
			continue // recovering: the snapshot holds it
		}
		if i := t.poisoned(at); i != none {
			t.dead = append(t.dead, k.deadLetter(t, en, "panic", t.reasons[i]))
			continue
		}
		t.cursor = at
		switch en.kind {
		case eventEntry:
			k.task.Observe(out, &en.event, en.time)
		case tickEntry:
			k.task.Tick(out, en.event.Seq, en.time)
		case endEntry:
			k.task.End(out, en.event.Seq)
		}
		for len(t.marks) < len(out.Results) {
			t.marks = append(t.marks, at)
		}
	}
	t.cursor = none
	t.open = k.task.Open()
	if t.wantSnapshot {
		state, err := k.task.AppendBinary(make([]byte, 0, stateHint))
		if err != nil {
			panic(fmt.Errorf("snapshot of key %q: %w", t.ref.key, err))
		}
		t.snapshot = state
	}
	k.keys.stats.OpenWindows.Add(int64(t.open - k.open))
	k.open = t.open
	if len(out.Results) > 0 || out.Late > 0 || out.Duplicates > 0 || out.Overflow > 0 {
		t.out = out
		return
	}
	out.Reset()
	k.keys.outputs.Put(out)
}

// quarantineMark begins the stored state of a quarantined key. No task restores
// it, so the key stays quarantined over restarts instead of coming back wrong.
const quarantineMark = "\xff\xffquarantined: "

// refuse turns the events of a quarantined key into dead letters.
func (k *keyActor) refuse(t *turn) {
	t.dead = t.dead[:0]
	if t.wantSnapshot {
		t.snapshot = append([]byte(quarantineMark), k.broken...)
	}
	for at := t.first; at != none; at = t.epoch.entries[at].next {
		if en := &t.epoch.entries[at]; en.kind == eventEntry && !t.epoch.replay {
			t.dead = append(t.dead, k.deadLetter(t, en, "quarantined", k.broken))
		}
	}
}

// deadLetter describes an entry that will not be in the state. Replay passes
// over it, or the state would differ after a restart.
func (k *keyActor) deadLetter(t *turn, en *entry, cause, detail string) edged.DeadLetter {
	d := edged.DeadLetter{
		Seq: en.event.Seq, Time: en.time, Pipeline: t.ref.router.pipeline.Name(), Key: t.ref.key,
		Cause: cause, Detail: detail, Skip: true,
	}
	first := t.epoch.records[0].Seq
	if rec := t.epoch.records[en.event.Seq-first]; rec.Kind == edged.MessageRecord {
		d.Topic, d.Size = rec.Topic, len(rec.Payload)
		d.Payload = sample(rec.Payload, k.keys.sampleMax)
	}
	k.keys.skips.add(d.Pipeline, d.Seq)
	return d
}

func sample(payload []byte, most int) []byte { return payload[:min(len(payload), most)] }

// skips is the set of records that replay passes over.
type skips struct {
	mu  sync.RWMutex
	set map[skip]struct{}
}

type skip struct {
	pipeline string
	seq      edged.Seq
}

func (s *skips) add(pipeline string, seq edged.Seq) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.set == nil {
		s.set = map[skip]struct{}{}
	}
	s.set[skip{pipeline, seq}] = struct{}{}
}

func (s *skips) has(pipeline string, seq edged.Seq) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	_, ok := s.set[skip{pipeline, seq}]
	return ok
}

// supervisor decides what happens after a panic in a key actor: the entry being
// processed is marked as poison and the actor restarted. Its mailbox has kept
// the turn, so the new actor rebuilds the state and takes the turn again without
// that entry. A panic outside an entry quarantines the key.
type supervisor struct {
	keys *keys
	fail func(error)
	warn func(msg string, args ...any)
}

var _ actor.SupervisorStrategy = (*supervisor)(nil)

// HandleFailure runs in the goroutine of the failed actor, between its panic
// and its restart.
func (s *supervisor) HandleFailure(_ *actor.ActorSystem, sup actor.Supervisor, child *actor.PID, _ *actor.RestartStatistics, reason, message any) {
	t, ok := message.(*turn)
	if !ok {
		s.fail(fmt.Errorf("actor %s panicked outside a turn: %v", child.Id, reason))
		return
	}
	s.keys.stats.Panics.Add(1)
	t.retries++
	if t.cursor == none {
		t.broken = fmt.Sprintf("panic outside an event: %v", reason)
		s.keys.stats.Quarantined.Add(1)
	} else {
		t.poison = append(t.poison, t.cursor)
		t.reasons = append(t.reasons, fmt.Sprint(reason))
	}
	t.cursor = none
	s.warn("key restarted after a panic", "pipeline", t.ref.router.pipeline.Name(), "key", t.ref.key, "reason", fmt.Sprint(reason))
	sup.RestartChildren(child)
}

// errStopped says that the engine ended while somebody waited for it.
var errStopped = errors.New("engine stopped")
