package actors

import (
	"sync/atomic"

	"edged"
)

// entryKind tells what an entry asks of a task.
type entryKind uint8

const (
	eventEntry   entryKind = iota
	derivedEntry           // an event made of another pipeline's result
	expectEntry            // the key is to have events
	retireEntry            // the key is not to have any more
	drainEntry             // what is open is to be closed
	tickEntry
	endEntry
)

// entry is one step of one key. The entries of an epoch stand in the order in
// which they were sequenced; those of one key are chained by next.
type entry struct {
	event edged.Event // of a tick or end only Seq is set
	time  edged.Timestamp
	kind  entryKind
	next  int32 // the key's next entry, or none
}

const none = -1

// turn is what one key has to do in one epoch, and what came of it. The
// sequencer fills it, the key's actor owns it until finish, then the committer.
type turn struct {
	ref         *keyRef
	epoch       *epoch
	first, last int32

	active       edged.Timestamp // of the key, when the epoch closed
	rung         uint16          // the same
	beats        bool            // the same
	noted        bool            // what these were
	wantSnapshot bool
	twin         bool // the snapshot goes to both generations
	passivate    bool // the actor will be stopped when the epoch is committed

	// What the actor did.
	out      *edged.Output // nil when there is nothing in it
	marks    []int32       // for each result the entry that caused it
	snapshot []byte
	open     int
	dead     []edged.DeadLetter

	// What went wrong. cursor is the entry being processed.
	cursor  int32
	poison  []int32
	reasons []string
	retries int
	broken  string // why the key is quarantined, or ""
}

// poisoned returns the place of the entry among the poisonous ones, or none. What
// was derived from one record for one key is poisonous together: recovery can
// name the record and the key, but not the entry.
func (t *turn) poisoned(at int32) int {
	en := &t.epoch.entries[at]
	for i, p := range t.poison {
		bad := &t.epoch.entries[p]
		if p == at || en.kind == derivedEntry && bad.kind == derivedEntry && en.event.Seq == bad.event.Seq {
			return i
		}
	}
	return none
}

// note keeps what the sequencer knows of the key.
func (t *turn) note() {
	if t.noted {
		return
	}
	t.noted = true
	t.active, t.rung, t.beats = t.ref.active, t.ref.rung, t.ref.beat.list != nil
}

// finish hands the turn over to the committer.
func (t *turn) finish() { t.epoch.finish() }

// epoch is a group of messages that becomes durable as one. It is reused:
// nothing may point into it after its commit.
type epoch struct {
	number  uint64
	time    edged.Timestamp
	replay  bool // recovering: nothing is committed or sent
	records []edged.Record
	acks    []uint64
	bytes   int
	again   int  // of its records, those of pipelines that are resuming
	derived int  // bytes of Derived in its records
	ticks   bool // there is a TickRecord among them
	ends    bool // the record is the end of a bounded input

	entries []entry
	turns   []turn
	values  []edged.Value
	dead    []edged.DeadLetter

	keep        edged.Seq // the records behind it are kept; 0: none
	retried     []uint64
	generation  uint64
	sweep       *edged.Sweep // completed by this epoch
	cursors     []edged.Cursor
	passivating []*keyRef
	swept       int64 // bytes of snapshots, for the sweep's pacing

	work      *busy
	pending   atomic.Int32
	processed chan struct{}
}

func newEpoch(work *busy) *epoch { return &epoch{work: work, processed: make(chan struct{}, 1)} }

// reset empties the epoch and keeps its memory.
func (ep *epoch) reset(number uint64, replay bool) {
	clear(ep.records)
	clear(ep.entries)
	clear(ep.turns)
	clear(ep.values)
	ep.records, ep.entries, ep.turns = ep.records[:0], ep.entries[:0], ep.turns[:0]
	ep.values, ep.acks, ep.dead = ep.values[:0], ep.acks[:0], nil
	ep.number, ep.replay, ep.bytes = number, replay, 0
	ep.again, ep.derived, ep.ticks, ep.ends = 0, 0, false, false
	ep.keep, ep.retried = 0, nil
	ep.sweep, ep.cursors, ep.passivating, ep.swept = nil, nil, nil, 0
}

// idle reports whether the epoch has nothing to commit.
func (ep *epoch) idle() bool {
	return len(ep.records) == 0 && len(ep.turns) == 0 && len(ep.acks) == 0 && len(ep.cursors) == 0 && ep.sweep == nil
}

// room returns an empty slice with space for n values that lives as long as the epoch.
func (ep *epoch) room(n int) []edged.Value {
	at := len(ep.values)
	if cap(ep.values)-at < n {
		// Entries keep the old array alive; only its tail is left unused.
		ep.values = make([]edged.Value, 0, max(2*cap(ep.values), n, 64))
		at = 0
	}
	ep.values = ep.values[:at+n]
	return ep.values[at : at : at+n]
}

// turnOf returns the key's turn in this epoch, making one if needed.
func (ep *epoch) turnOf(ref *keyRef) *turn {
	if ref.epoch != ep.number {
		ref.epoch = ep.number
		ref.turn = int32(len(ep.turns))
		ep.turns = append(ep.turns, turn{ref: ref, epoch: ep, first: none, last: none, cursor: none})
	}
	return &ep.turns[ref.turn]
}

// add appends an entry to the key's turn.
func (ep *epoch) add(ref *keyRef, en entry) {
	en.next = none
	at := int32(len(ep.entries))
	ep.entries = append(ep.entries, en)
	t := ep.turnOf(ref)
	if t.first == none {
		t.first = at
	} else {
		ep.entries[t.last].next = at
	}
	t.last = at
}

// finish counts one turn (or the dispatch itself) as done.
func (ep *epoch) finish() {
	if ep.pending.Add(-1) == 0 {
		if !ep.replay {
			ep.work.end()
		}
		ep.processed <- struct{}{}
	}
}
