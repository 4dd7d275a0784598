package persistence

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"

	"go.etcd.io/bbolt"
)

// A dead letter that was retried is in the log still, but it is no letter any more:
// the bucket has its number. The value is the checksum of that.
var retriedBucket = []byte("retried")

// putRetried notes that letters were retried. Nothing needs to be noted of one that is
// not kept any more. One that is noted already is a fault of the caller, who retries it
// twice.
func putRetried(tx *bbolt.Tx, d *log, numbers []uint64) error {
	if len(numbers) == 0 {
		return nil
	}
	b, err := tx.CreateBucketIfNotExists(retriedBucket)
	if err != nil {
		return fmt.Errorf("%s: open bucket: %w", retriedBucket, err)
	}
	for _, n := range numbers {
		name := binary.BigEndian.AppendUint64(nil, n)
		switch {
		case n <= d.floor():
			continue
		case n > d.Last || b.Get(name) != nil:
			return fmt.Errorf("retry dead letter %d of %d: there is no such letter, or it was retried already", n, d.Last)
		}
		if err := b.Put(name, binary.BigEndian.AppendUint32(nil, checksum(name))); err != nil {
			return fmt.Errorf("retry dead letter %d: %w", n, err)
		}
	}
	return nil
}

// dropRetried removes what is noted of letters before first.
func dropRetried(tx *bbolt.Tx, first uint64) error {
	b := tx.Bucket(retriedBucket)
	if b == nil {
		return nil
	}
	var old [][]byte
	c := b.Cursor()
	for k, _ := c.First(); len(k) == 8 && binary.BigEndian.Uint64(k) < first; k, _ = c.Next() {
		old = append(old, slices.Clone(k))
	}
	for _, k := range old {
		if err := b.Delete(k); err != nil {
			return fmt.Errorf("drop what is noted of dead letter %x: %w", k, err)
		}
	}
	return nil
}

// retried reads the numbers of the letters that were retried. Damage is an error:
// a letter that seems not to be retried would be retried twice.
func (s *Store) retried() (numbers map[uint64]struct{}, err error) {
	err = s.view("retried", func(tx *bbolt.Tx) error {
		numbers, err = readRetried(tx)
		return err
	})
	return numbers, err
}

func readRetried(tx *bbolt.Tx) (map[uint64]struct{}, error) {
	numbers := map[uint64]struct{}{}
	b := tx.Bucket(retriedBucket)
	if b == nil {
		return numbers, nil
	}
	err := b.ForEach(func(k, v []byte) error {
		if len(k) != 8 || len(v) != 4 || binary.BigEndian.Uint32(v) != crc32.Checksum(k, castagnoli) {
			return fmt.Errorf("%s: %w: checksum of %x does not match", retriedBucket, ErrCorrupt, k)
		}
		numbers[binary.BigEndian.Uint64(k)] = struct{}{}
		return nil
	})
	return numbers, err
}
