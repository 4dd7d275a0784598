package persistence

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/vmihailenco/msgpack/v5"
	"go.etcd.io/bbolt"

	"edged"
)

// slotOf returns the slot that snapshots of a generation are written to.
func slotOf(generation uint64) int { return int(generation % 2) }

// snapshotKey is what both slots keep the snapshot of a key under.
func snapshotKey(pipeline, key string) []byte {
	b := make([]byte, 0, len(pipeline)+1+len(key))
	return append(append(append(b, pipeline...), 0), key...)
}

// slot is what one of the two slots holds for a key.
type slot struct {
	err        error // why it cannot be used; it may have been the newer one
	present    bool  // whether there is an intact snapshot
	generation uint64
	snap       edged.Snapshot // its State is part of the value, which lives as long as the transaction
}

// openSlot reads the value of a slot. key is the database key, value is nil when
// the slot is empty.
func openSlot(key, value []byte) slot {
	if value == nil {
		return slot{}
	}
	pipeline, name, ok := bytes.Cut(key, []byte{0})
	if !ok {
		return slot{err: fmt.Errorf("%w: key %q names no pipeline", ErrCorrupt, key)}
	}
	head, body, err := openEnvelope(value, checksum(key))
	if err != nil {
		return slot{err: err}
	}
	var h snapshotHead
	if err := msgpack.Unmarshal(head, &h); err != nil {
		return slot{err: fmt.Errorf("%w: head of snapshot: %w", ErrCorrupt, err)}
	}
	return slot{present: true, generation: h.Generation, snap: edged.Snapshot{
		Pipeline: string(pipeline), Key: string(name),
		Seq: h.Seq, Active: h.Active, Rung: h.Rung, Beats: h.Beats, Open: int(h.Open), Twin: h.Twin, State: body,
	}}
}

// newer says whether a holds a later state than b.
func (a slot) newer(b slot) bool {
	if a.snap.Seq != b.snap.Seq {
		return a.snap.Seq > b.snap.Seq
	}
	return a.generation > b.generation
}

// choice is what the two slots of a key come to.
type choice struct {
	snap     edged.Snapshot
	found    bool
	repaired bool  // a slot is damaged, and the state can be had without it
	err      error // the state cannot be had
}

// choose applies the rule of the two generations. Replay gives all records > floor. A damaged slot may have held the newer state.
//
//   - Both intact: the newer one.
//   - One damaged, one intact: the intact one, if replay leads from it to the
//     present: it was written to both slots, or the journal still holds all
//     records after it.
//   - One damaged, one empty: a key has one slot only between its first snapshot
//     and the next sweep, so the journal still holds all its records.
//   - Both damaged: nothing, unless the journal is complete.
func choose(a, b slot, floor edged.Seq) choice {
	if b.present && (!a.present || b.newer(a)) {
		a, b = b, a
	}
	switch {
	case !a.present && a.err == nil && b.err == nil:
		return choice{}
	case !a.present && (floor == 0 || a.err == nil || b.err == nil):
		return choice{repaired: true}
	case !a.present:
		return choice{err: fmt.Errorf("both generations are damaged: %w; %w", a.err, b.err)}
	case b.err == nil:
		a.snap.Twin = a.snap.Twin && b.present && b.snap.Twin && a.snap.Seq == b.snap.Seq
		return choice{snap: a.snap, found: true}
	case a.snap.Twin || a.snap.Seq >= floor:
		a.snap.Twin = false
		return choice{snap: a.snap, found: true, repaired: true}
	}
	return choice{err: fmt.Errorf("one generation is damaged, and the journal begins after record %d, too late for the other one of record %d: %w", floor, a.snap.Seq, b.err)}
}

// Snapshot returns the newest usable snapshot of a key. Twin of the result says
// that both generations hold this very state, intact. When the newest one is
// damaged the other generation serves, if replay leads from it to the present;
// that is logged and counted. Otherwise the error wraps [ErrCorrupt] and the key
// cannot be brought back. Snapshot may be called while Commit runs.
func (s *Store) Snapshot(pipeline, key string) (snap edged.Snapshot, found bool, err error) {
	name := snapshotKey(pipeline, key)
	var slots [2]slot
	err = s.view("snapshots", func(tx *bbolt.Tx) error {
		for i := range slots {
			slots[i] = openSlot(name, tx.Bucket(slotBuckets[i]).Get(name))
			slots[i].snap.State = bytes.Clone(slots[i].snap.State)
		}
		return nil
	})
	if err != nil {
		return edged.Snapshot{}, false, fmt.Errorf("snapshot of %q in %q: %w", key, pipeline, err)
	}
	c := s.choose(name, slots)
	return c.snap, c.found, c.err
}

// choose applies the rule, and logs and counts damage.
func (s *Store) choose(name []byte, slots [2]slot) choice {
	s.mu.RLock()
	floor := s.state.floor()
	s.mu.RUnlock()
	pipeline, key, _ := bytes.Cut(name, []byte{0})
	c := choose(slots[0], slots[1], floor)
	if c.repaired {
		s.repairs.Add(1)
		s.logger.Warn("damaged snapshot is replaced by replay", "pipeline", string(pipeline), "key", string(key), "seq", c.snap.Seq)
	}
	if c.err != nil {
		s.damaged.Add(1)
		c.err = fmt.Errorf("snapshot of %q in %q: %w", key, pipeline, c.err)
	}
	return c
}

// Snapshots calls fn with the newest usable snapshot of every key, ordered by
// pipeline and key, without the State. It holds no transaction while fn runs.
// Keys that cannot be brought back are logged, counted and left out: Snapshot
// returns their error.
func (s *Store) Snapshots(fn func(edged.Snapshot) error) error {
	var from []byte
	for {
		names, slots, err := s.slotsFrom(from)
		if err != nil {
			return fmt.Errorf("snapshots from %q: %w", from, err)
		}
		if len(names) == 0 {
			return nil
		}
		for i, name := range names {
			c := s.choose(name, slots[i])
			if c.err != nil {
				s.logger.Error("snapshot is lost", "err", c.err)
			}
			if !c.found {
				continue
			}
			if err := fn(c.snap); err != nil {
				return err
			}
		}
		from = append(names[len(names)-1], 0)
	}
}

// snapshotBatch is the number of keys that are read in one transaction.
const snapshotBatch = 256

// slotsFrom returns the slots of the keys from a database key on, a batch of
// them, without their states.
func (s *Store) slotsFrom(from []byte) (names [][]byte, slots [][2]slot, err error) {
	err = s.view("snapshots", func(tx *bbolt.Tx) error {
		eachPair(tx, from, func(name []byte, pair [2]slot) bool {
			pair[0].snap.State, pair[1].snap.State = nil, nil
			names, slots = append(names, slices.Clone(name)), append(slots, pair)
			return len(names) < snapshotBatch
		})
		return nil
	})
	return names, slots, err
}

// eachPair calls fn with both slots of every key from a database key on, until
// fn returns false.
func eachPair(tx *bbolt.Tx, from []byte, fn func(name []byte, pair [2]slot) bool) {
	a, b := tx.Bucket(slotBuckets[0]).Cursor(), tx.Bucket(slotBuckets[1]).Cursor()
	ka, va := a.Seek(from)
	kb, vb := b.Seek(from)
	for ka != nil || kb != nil {
		inA, inB := before(ka, kb), before(kb, ka)
		name := ka
		if !inA {
			name = kb
		}
		var pair [2]slot
		if inA {
			pair[0] = openSlot(ka, va)
		}
		if inB {
			pair[1] = openSlot(kb, vb)
		}
		if !fn(name, pair) {
			return
		}
		if inA {
			ka, va = a.Next()
		}
		if inB {
			kb, vb = b.Next()
		}
	}
}

// before says whether k is the next key of a merge in which other is the
// other side's: it is there, and not greater.
func before(k, other []byte) bool {
	return k != nil && (other == nil || bytes.Compare(k, other) <= 0)
}
