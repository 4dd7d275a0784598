package actors

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"

	"edged"
)

// keyActor owns the state of one key. It learns which key from its first turn,
// so that all keys share one set of properties.
type keyActor struct {
	keys    *keys
	task    Task
	applied edged.Seq // the state holds all records up to here
	broken  string    // quarantined: why the state cannot be had

	// As last reported.
	stats *PipelineStats
	open  int
	bytes int
}

// keys is what all key actors share.
type keys struct {
	store      Store
	stats      *Stats
	dispatcher *dispatcher
	skips      *skips
	sampleMax  int
	looksBack  atomic.Bool // records refer to those before: there are reference tables, or holds
	outputs    sync.Pool   // of *edged.Output
	await      func(epoch uint64) error
}

// Receive is the actor's behaviour.
func (k *keyActor) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *turn:
		k.take(m)
	case *actor.Stopping, *actor.Restarting:
		k.report(0, 0)
	}
}

// report tells how large the state is now.
func (k *keyActor) report(open, bytes int) {
	if k.stats != nil {
		add(&k.keys.stats.OpenWindows, open-k.open)
		add(&k.stats.StateBytes, bytes-k.bytes)
	}
	k.open, k.bytes = open, bytes
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
	k.stats = k.keys.stats.Pipelines()[t.ref.router.index]
	k.task, k.applied = p.NewTask(t.ref.key), 0
	var err error
	if t.retries > 0 {
		k.keys.dispatcher.blocking(func() { err = k.keys.await(t.epoch.number - 1) })
	}
	var snap edged.Snapshot
	var found bool
	if err == nil {
		snap, found, err = storedState(k.keys.store, p, t.ref.key)
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
		err = k.rebuild(t, &snap, found)
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
		case eventEntry, derivedEntry:
			k.task.Observe(out, &en.event, en.time)
		case expectEntry, retireEntry:
			k.task.Expect(out, en.kind == retireEntry, en.event.Seq, en.time)
		case tickEntry:
			k.task.Tick(out, en.event.Seq, en.time)
		case drainEntry:
			k.task.Drain(out, en.event.Seq, en.time)
		case endEntry:
			k.task.End(out, en.event.Seq, en.time)
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
	k.report(t.open, k.task.Bytes())
	if says(out) {
		t.out = out
		return
	}
	out.Reset()
	k.keys.outputs.Put(out)
}

// says reports whether there is anything in an output.
func says(out *edged.Output) bool {
	return len(out.Results)+len(out.Missed) > 0 ||
		out.Late|out.Duplicates|out.Overflow|out.Unassigned|out.Suppressed|out.Ahead|out.Historical != 0
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
		if en := &t.epoch.entries[at]; en.kind <= derivedEntry && !t.epoch.replay {
			t.dead = append(t.dead, k.deadLetter(t, en, "quarantined", k.broken))
		}
	}
}

// deadLetter describes an entry that will not be in the state. Replay passes
// over an event, or the state would differ after a restart. A tick is the
// affair of many keys; for this one it will panic again, and be passed over again.
func (k *keyActor) deadLetter(t *turn, en *entry, cause, detail string) edged.DeadLetter {
	d := edged.DeadLetter{
		Seq: en.event.Seq, Time: en.time, Pipeline: t.ref.router.pipeline.Name(), Key: t.ref.key,
		Cause: cause, Detail: detail, Skip: en.kind == eventEntry || en.kind == derivedEntry,
	}
	if en.kind == eventEntry {
		rec := t.epoch.records[en.event.Seq-t.epoch.records[0].Seq]
		d.Topic, d.Size = rec.Topic, len(rec.Payload)
		d.Payload = sample(rec.Payload, k.keys.sampleMax)
	}
	k.keys.skips.add(skip{pipeline: d.Pipeline, key: d.Key, seq: d.Seq, tick: !d.Skip})
	return d
}

func sample(payload []byte, most int) []byte { return payload[:min(len(payload), most)] }

// skips is the set of records that replay passes over.
type skips struct {
	mu  sync.RWMutex
	set map[skip]struct{}
}

// skip is what a record means for a key, or its tick, that is passed over. Without
// a key it is for all of them.
type skip struct {
	pipeline, key string
	seq           edged.Seq
	tick          bool
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
	if len(s.set) == 0 {
		return false
	}
	if _, ok := s.set[one]; ok {
		return true
	}
	one.key = ""
	_, ok := s.set[one]
	return ok && !one.tick
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
