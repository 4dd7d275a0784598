package actors

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
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
	if t.broken != "" {
		k.broken = t.broken
	}
	if k.task == nil && k.broken == "" && !k.load(t) {
		return // the engine has failed: the turn must not look finished
	}
	if k.broken != "" {
		k.refuse(t)
	} else {
		k.fold(t)
	}
	t.finish()
}

// load brings the state back: from the newest snapshot, and after a failure
// from the journal since. It reports false when the engine ended meanwhile.
func (k *keyActor) load(t *turn) bool {
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
		if quarantined(snap.State) {
			err = errors.New(string(snap.State[len(quarantineMark):]))
		} else {
			err = k.task.Restore(snap.State)
		}
	}
	if err == nil && t.retries > 0 {
		err = k.rebuild(t, snap.Active)
	}
	if errors.Is(err, errStopped) {
		k.task = nil
		return false
	}
	if err != nil {
		k.task, k.broken = nil, err.Error()
		k.keys.stats.Quarantined.Add(1)
	}
	return true
}

// rebuild replays the journal between the snapshot and the turn's epoch. A
// snapshot older than the journal is of a key that had no event in between.
//
// A tick concerns the key only if the sequencer found it silent for long enough
// then; active is what it went by.
func (k *keyActor) rebuild(t *turn, active edged.Timestamp) error {
	before := edged.Seq(0)
	if t.first != none {
		before = t.epoch.records[0].Seq
	}
	r := t.ref.router
	p, name, idle := r.pipeline.Clone(), r.pipeline.Name(), r.idle
	var out edged.Output
	ev := edged.Event{Values: make([]edged.Value, 0, p.Slots())}
	return k.keys.store.Replay(max(k.applied, k.keys.store.Position().Floor), func(rec *edged.Record) error {
		if before != 0 && rec.Seq >= before || rec.Seq <= r.since {
			return nil
		}
		out.Reset()
		switch {
		case rec.Kind == edged.TickRecord:
			if idle > 0 && rec.Time.Sub(active) >= idle && !k.keys.skips.has(skip{name, t.ref.key, rec.Seq}) {
				k.task.Tick(&out, rec.Seq, rec.Time)
			}
		case p.Accepts(rec.Topic):
			ev = edged.Event{Values: ev.Values[:0]}
			keep, poison := p.Decode(&ev, rec.Topic, rec.Payload)
			if poison != nil || !keep || ev.Key != t.ref.key {
				break
			}
			active = rec.Time
			if !k.keys.skips.has(skip{name, "", rec.Seq}) {
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

func quarantined(state []byte) bool { return bytes.HasPrefix(state, []byte(quarantineMark)) }

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
// over a message, or the state would differ after a restart. A tick is the
// affair of many keys; for this one it will panic again, and be passed over again.
func (k *keyActor) deadLetter(t *turn, en *entry, cause, detail string) edged.DeadLetter {
	d := edged.DeadLetter{
		Seq: en.event.Seq, Time: en.time, Pipeline: t.ref.router.pipeline.Name(), Key: t.ref.key,
		Cause: cause, Detail: detail, Skip: en.kind == eventEntry,
	}
	first := t.epoch.records[0].Seq
	if rec := t.epoch.records[en.event.Seq-first]; rec.Kind == edged.MessageRecord {
		d.Topic, d.Size = rec.Topic, len(rec.Payload)
		d.Payload = sample(rec.Payload, k.keys.sampleMax)
	}
	if d.Skip {
		k.keys.skips.add(skip{d.Pipeline, "", d.Seq})
	} else {
		k.keys.skips.add(skip{d.Pipeline, d.Key, d.Seq})
	}
	return d
}

func sample(payload []byte, most int) []byte { return payload[:min(len(payload), most)] }

// skips is the set of records that replay passes over.
type skips struct {
	mu  sync.RWMutex
	set map[skip]struct{}
}

// skip is a message that a pipeline passes over, or with a key a tick that the
// key does.
type skip struct {
	pipeline, key string
	seq           edged.Seq
}

func (s *skips) add(one skip) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.set == nil {
		s.set = map[skip]struct{}{}
	}
	s.set[one] = struct{}{}
}

func (s *skips) has(one skip) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	_, ok := s.set[one]
	return ok
}

// prune forgets what the journal does not hold any more.
func (s *skips) prune(floor edged.Seq) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.set, func(one skip, _ struct{}) bool { return one.seq <= floor })
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
