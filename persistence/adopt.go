package persistence

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/vmihailenco/msgpack/v5"
	"go.etcd.io/bbolt"

	"edged"
)

// Adopt moves the snapshots of at most so many keys of a pipeline that is not written any
// more to the one that continues its states, and reports whether more are left. A key of
// which that one has a snapshot keeps it. Between two calls a reader finds each key under
// one of the two names: first the one, then the other, then the one again.
func (s *Store) Adopt(pipeline, origin string, most int) (left bool, err error) {
	err = s.move("adopt the states of "+origin, origin, most, &left, func(slots [2]*bbolt.Bucket, name []byte, key string, values [2][]byte) error {
		to := snapshotKey(pipeline, key)
		if slots[0].Get(to) != nil || slots[1].Get(to) != nil {
			return nil
		}
		for i, value := range values {
			if value == nil {
				continue
			}
			// What is damaged stays so: its checksum does not fit the new name either.
			if head, body, err := openEnvelope(value, checksum(name)); err == nil {
				if head, err = begun(head); err != nil {
					return fmt.Errorf("snapshot %q: %w", name, err)
				}
				value = appendEnvelope(nil, head, body, checksum(to))
			}
			if err := slots[i].Put(to, value); err != nil {
				return fmt.Errorf("snapshot %q: put: %w", to, err)
			}
			s.written.Add(uint64(len(value)))
		}
		return nil
	})
	return left, err
}

// begun returns the head of a snapshot for a pipeline that begins with it: what the one
// before has noticed of the key's silence says nothing.
func begun(head []byte) ([]byte, error) {
	var h snapshotHead
	if err := msgpack.Unmarshal(head, &h); err != nil {
		return nil, fmt.Errorf("%w: head: %w", ErrCorrupt, err)
	}
	h.Rung, h.Beats = 0, edged.Unknown
	return msgpack.Marshal(&h)
}

// Forget deletes the snapshots of at most so many keys of a pipeline, and reports whether
// more are left.
func (s *Store) Forget(pipeline string, most int) (left bool, err error) {
	err = s.move("forget the states of "+pipeline, pipeline, most, &left, func([2]*bbolt.Bucket, []byte, string, [2][]byte) error { return nil })
	return left, err
}

// move gives what is stored of some keys of a pipeline to fn, and deletes it.
func (s *Store) move(what, pipeline string, most int, left *bool, fn func(slots [2]*bbolt.Bucket, name []byte, key string, values [2][]byte) error) error {
	names, err := s.namesOf(pipeline, most+1)
	if err != nil || len(names) == 0 {
		return err
	}
	*left = len(names) > most
	return s.update(what, func(tx *bbolt.Tx, _ *state) error {
		slots := [2]*bbolt.Bucket{tx.Bucket(slotBuckets[0]), tx.Bucket(slotBuckets[1])}
		for _, name := range names[:min(len(names), most)] {
			var values [2][]byte
			for i, slot := range slots {
				slot.FillPercent = snapshotFill
				values[i] = bytes.Clone(slot.Get(name)) // puts move what it points to
			}
			if err := fn(slots, name, string(name[len(pipeline)+1:]), values); err != nil {
				return err
			}
			for _, slot := range slots {
				if err := slot.Delete(name); err != nil {
					return fmt.Errorf("snapshot %q: delete: %w", name, err)
				}
			}
		}
		return nil
	})
}

// namesOf returns under which keys snapshots of a pipeline are kept, at most so many.
func (s *Store) namesOf(pipeline string, most int) (names [][]byte, err error) {
	prefix := snapshotKey(pipeline, "")
	err = s.view("snapshots", func(tx *bbolt.Tx) error {
		eachPair(tx, prefix, func(name []byte, _ [2]slot) bool {
			if !bytes.HasPrefix(name, prefix) {
				return false
			}
			names = append(names, slices.Clone(name))
			return len(names) < most
		})
		return nil
	})
	return names, err
}

// SnapshotPipelines returns the names that snapshots are kept under, in order.
func (s *Store) SnapshotPipelines() (names []string, err error) {
	err = s.view("snapshots", func(tx *bbolt.Tx) error {
		for from := []byte{}; ; {
			found := false
			eachPair(tx, from, func(name []byte, _ [2]slot) bool {
				pipeline, _, _ := bytes.Cut(name, []byte{0})
				names = append(names, string(pipeline))
				from, found = append(bytes.Clone(pipeline), 1), true
				return false
			})
			if !found {
				return nil
			}
		}
	})
	return names, err
}
