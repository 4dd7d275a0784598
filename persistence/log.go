package persistence

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"sort"

	"go.etcd.io/bbolt"
)

// log is an append-only sequence of items numbered 1, 2, 3 ... in a top-level
// bucket. The bucket holds one bucket per segment, a segment holds frames.
// Space is freed by dropping whole segments from the front, because deleting
// keys one by one at the front of a bucket costs the square of their number.
//
// Invariant: the segments are contiguous, and the last one, which takes the
// next frames, is never dropped.
type log struct {
	// durable state, part of the store's state
	First  uint64 `msgpack:"first"`  // first item that is kept; 0 when nothing was ever appended
	Last   uint64 `msgpack:"last"`   // last item
	Weight uint64 `msgpack:"weight"` // of all items ever appended

	// derived state
	name     string
	segments []segment
}

// segment is known by its first item and the weight of all items before it.
type segment struct {
	first uint64
	base  uint64
}

const (
	segmentKeyBytes = 8 + 8 + 4

	// segmentItemsMax closes a segment of items that weigh next to nothing.
	segmentItemsMax = 1 << 16

	// segmentDropsMax limits how many segments of a log one commit drops. What
	// is left waits for the next commit: a gateway that comes back after days
	// must not stop for seconds.
	segmentDropsMax = 1
)

// key returns the name of the segment's bucket, which carries its own checksum.
func (s segment) key(seed uint32) []byte {
	key := make([]byte, 0, segmentKeyBytes)
	key = binary.BigEndian.AppendUint64(key, s.first)
	key = binary.BigEndian.AppendUint64(key, s.base)
	return binary.BigEndian.AppendUint32(key, crc32.Update(seed, castagnoli, key))
}

// parseSegment checks the name of a segment's bucket.
func parseSegment(key []byte, seed uint32) (segment, error) {
	if len(key) != segmentKeyBytes {
		return segment{}, fmt.Errorf("%w: name %x of a segment has %d bytes, want %d", ErrCorrupt, key, len(key), segmentKeyBytes)
	}
	if binary.BigEndian.Uint32(key[16:]) != crc32.Update(seed, castagnoli, key[:16]) {
		return segment{}, fmt.Errorf("%w: checksum in the name %x of a segment does not match", ErrCorrupt, key)
	}
	return segment{first: binary.BigEndian.Uint64(key), base: binary.BigEndian.Uint64(key[8:])}, nil
}

// limits says when a segment is closed.
type limits struct {
	weight uint64
	items  uint64
}

// floor returns the number before the first kept item: all items > floor are
// kept.
func (l *log) floor() uint64 {
	if l.First == 0 {
		return 0
	}
	return l.First - 1
}

// kept returns the number of items that are kept, and weighed their weight.
func (l *log) kept() uint64 { return l.Last - l.floor() }

func (l *log) weighed() uint64 {
	if len(l.segments) == 0 {
		return 0
	}
	return l.Weight - l.segments[0].base
}

// load lists the segments and checks them against the log's state. It reads
// names only, no items.
func (l *log) load(tx *bbolt.Tx) error {
	top := tx.Bucket([]byte(l.name))
	if top == nil {
		if l.kept() > 0 {
			return fmt.Errorf("%s: %w: bucket is missing", l.name, ErrCorrupt)
		}
		return nil
	}
	seed := checksum([]byte(l.name))
	l.segments = nil
	err := top.ForEach(func(k, v []byte) error {
		if v != nil {
			return fmt.Errorf("%w: %x is not a segment", ErrCorrupt, k)
		}
		seg, err := parseSegment(k, seed)
		l.segments = append(l.segments, seg)
		return err
	})
	if err != nil {
		return fmt.Errorf("%s: %w", l.name, err)
	}
	if len(l.segments) == 0 && l.kept() > 0 || len(l.segments) > 0 && l.segments[0].first != l.First {
		return fmt.Errorf("%s: %w: want %d items from %d, found segments %v", l.name, ErrCorrupt, l.kept(), l.First, l.segments)
	}
	return nil
}

// append puts frames at the end and closes segments as they fill up.
func (l *log) append(tx *bbolt.Tx, p *packer, lim limits) error {
	p.seal()
	if len(p.frames) == 0 {
		return nil
	}
	top, err := tx.CreateBucketIfNotExists([]byte(l.name))
	if err != nil {
		return fmt.Errorf("%s: open bucket: %w", l.name, err)
	}
	var bucket *bbolt.Bucket
	for _, f := range p.frames {
		if l.full(f, lim) {
			l.segments = append(l.segments, segment{first: f.first, base: f.base})
			bucket = nil
		}
		if bucket == nil {
			if bucket, err = l.tail(top, p.seed); err != nil {
				return err
			}
		}
		if err := bucket.Put(binary.BigEndian.AppendUint64(nil, f.first), f.value); err != nil {
			return fmt.Errorf("%s: put frame %d: %w", l.name, f.first, err)
		}
	}
	l.First, l.Last, l.Weight = l.segments[0].first, p.next-1, p.base
	return nil
}

// full says whether frame f must start a new segment.
func (l *log) full(f packed, lim limits) bool {
	if len(l.segments) == 0 {
		return true
	}
	last := l.segments[len(l.segments)-1]
	return f.base-last.base >= lim.weight || f.first-last.first >= lim.items
}

// tail opens the bucket of the last segment, or makes it.
func (l *log) tail(top *bbolt.Bucket, seed uint32) (*bbolt.Bucket, error) {
	b, err := top.CreateBucketIfNotExists(l.segments[len(l.segments)-1].key(seed))
	if err != nil {
		return nil, fmt.Errorf("%s: open segment: %w", l.name, err)
	}
	b.FillPercent = 1 // Frames only ever come at the end.
	return b, nil
}

// drop removes segments that hold no item > upTo, a few at a time.
func (l *log) drop(tx *bbolt.Tx, upTo uint64) error {
	for range segmentDropsMax {
		if len(l.segments) < 2 || l.segments[1].first-1 > upTo {
			return nil
		}
		key := l.segments[0].key(checksum([]byte(l.name)))
		if err := tx.Bucket([]byte(l.name)).DeleteBucket(key); err != nil {
			return fmt.Errorf("%s: drop segment %d: %w", l.name, l.segments[0].first, err)
		}
		l.segments = l.segments[1:]
		l.First = l.segments[0].first
	}
	return nil
}

// segmentOf returns the segment that holds item n, or the oldest one when n is
// older. There must be one.
func (l *log) segmentOf(n uint64) segment {
	i := sort.Search(len(l.segments), func(i int) bool { return l.segments[i].first > n })
	return l.segments[max(i-1, 0)]
}
