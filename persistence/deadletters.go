package persistence

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"

	"go.etcd.io/bbolt"

	"edged"
)

// DeadLetters calls fn with every dead letter that is kept and was not retried, oldest
// first. It holds no transaction while fn runs and may be called while Commit runs.
func (s *Store) DeadLetters(fn func(edged.DeadLetter) error) error {
	s.mu.RLock()
	floor, last := s.state.Dead.floor(), s.state.Dead.Last
	s.mu.RUnlock()
	retried, err := s.retried()
	if err != nil {
		return err
	}
	kept := func(d edged.DeadLetter) error {
		if _, gone := retried[d.Number]; gone {
			return nil
		}
		return fn(d)
	}
	sc := scan{store: s, log: deadLettersName, kind: deadLetterFrame, next: floor + 1, last: last}
	for sc.next <= last {
		frames, err := sc.batch(scanBytes)
		if err != nil {
			return err
		}
		for _, f := range frames {
			if err := eachDeadLetter(f, kept); err != nil {
				return err
			}
		}
	}
	return nil
}

func eachDeadLetter(f frame, fn func(edged.DeadLetter) error) error {
	u := unpack(f)
	for u.more() {
		blob, err := u.blob()
		if err != nil {
			return fmt.Errorf("%s: %w", deadLettersName, err)
		}
		d, err := decodeDeadLetter(blob)
		if err != nil {
			return fmt.Errorf("%s: letter %d: %w", deadLettersName, u.next-1, err)
		}
		d.Number = u.next - 1
		if err := fn(d); err != nil {
			return err
		}
	}
	return u.done()
}

// A skip is kept under the record's number, the pipeline and, behind a zero byte,
// the key, so that the journal can take a range of them along. Its value is the
// checksum of that. Older ones have no key.

func putSkip(tx *bbolt.Tx, d *edged.DeadLetter) error {
	name := append(binary.BigEndian.AppendUint64(nil, uint64(d.Seq)), d.Pipeline...)
	name = append(append(name, 0), d.Key...)
	if err := tx.Bucket(skipsBucket).Put(name, binary.BigEndian.AppendUint32(nil, checksum(name))); err != nil {
		return fmt.Errorf("skip record %d in %q: %w", d.Seq, d.Pipeline, err)
	}
	return nil
}

// Skips calls fn with every pipeline, key and record that a dead letter told to
// skip, for all records that the journal still holds, in the order of the
// records. The key is "" when the record is to be skipped whatever its key is.
// Skips live as long as their records, whatever becomes of the dead letters. A
// damaged skip does not hide the others: the error comes after them.
func (s *Store) Skips(fn func(pipeline, key string, seq edged.Seq) error) error {
	type skip struct {
		pipeline, key string
		seq           edged.Seq
	}
	var skips []skip
	var damage error
	err := s.view("skips", func(tx *bbolt.Tx) error {
		return tx.Bucket(skipsBucket).ForEach(func(k, v []byte) error {
			if err := checkSkip(k, v); err != nil {
				damage = errors.Join(damage, fmt.Errorf("skips: %w", err))
				return nil
			}
			pipeline, key, _ := strings.Cut(string(k[8:]), "\x00")
			skips = append(skips, skip{pipeline: pipeline, key: key, seq: edged.Seq(binary.BigEndian.Uint64(k))})
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("skips: %w", err)
	}
	for _, sk := range skips {
		if err := fn(sk.pipeline, sk.key, sk.seq); err != nil {
			return err
		}
	}
	return damage
}

func checkSkip(key, value []byte) error {
	if len(key) < 8 || len(value) != 4 || binary.BigEndian.Uint32(value) != crc32.Checksum(key, castagnoli) {
		return fmt.Errorf("%w: checksum of %x does not match", ErrCorrupt, key)
	}
	return nil
}

// dropSkips removes the skips of records before first.
func dropSkips(tx *bbolt.Tx, first uint64) error {
	b := tx.Bucket(skipsBucket)
	var old [][]byte
	c := b.Cursor()
	for k, _ := c.First(); len(k) >= 8 && binary.BigEndian.Uint64(k) < first; k, _ = c.Next() {
		old = append(old, slices.Clone(k))
	}
	for _, k := range old {
		if err := b.Delete(k); err != nil {
			return fmt.Errorf("drop skip %x: %w", k, err)
		}
	}
	return nil
}
