package persistence

import (
	"encoding/binary"
	"fmt"

	"go.etcd.io/bbolt"
)

// scan reads the frames of a log in order, a batch per transaction: a reader
// that keeps a transaction open keeps bbolt from reusing pages, and blocks the
// writer when the file must be mapped anew.
type scan struct {
	store *Store
	log   string
	kind  frameKind
	next  uint64 // number of the next item that the caller wants
	last  uint64 // the log is known to reach at least here; nobody asks beyond it
	begun bool   // whether a frame was seen: then the next one must follow it
}

// batch returns the frames from the next item on, up to about maxBytes, at
// least one if there is one. It copies them out of the database, so that they
// may be kept. There is no frame behind the last item.
func (s *scan) batch(maxBytes int) ([]frame, error) {
	if s.next > s.last {
		return nil, nil
	}
	var copied []located
	err := s.store.view(s.log, func(tx *bbolt.Tx) error {
		var err error
		copied, err = copyFrames(tx.Bucket([]byte(s.log)), s.next, maxBytes)
		return err
	})
	if err != nil {
		return nil, err
	}
	seed := checksum([]byte(s.log))
	frames := make([]frame, 0, len(copied))
	for _, c := range copied {
		f, err := s.check(c, seed)
		if err != nil {
			return nil, fmt.Errorf("%s: segment %x, frame %x: %w", s.log, c.segment, c.key, err)
		}
		frames = append(frames, f)
	}
	if len(frames) == 0 {
		return nil, fmt.Errorf("%s: %w: ends before item %d, want items up to %d", s.log, ErrCorrupt, s.next, s.last)
	}
	return frames, nil
}

// check opens a frame and makes sure that it is the one that comes next.
func (s *scan) check(c located, seed uint32) (frame, error) {
	f, err := openFrame(c.value, s.kind, seed)
	if err != nil {
		return f, err
	}
	if len(c.key) != 8 || binary.BigEndian.Uint64(c.key) != f.first {
		return f, fmt.Errorf("%w: frame of item %d is in a wrong place", ErrCorrupt, f.first)
	}
	// Only the first frame may begin before the wanted item.
	if f.first > s.next || s.begun && f.first < s.next || f.last() < s.next {
		return f, fmt.Errorf("%w: want item %d, found %d to %d", ErrCorrupt, s.next, f.first, f.last())
	}
	s.begun, s.next = true, f.last()+1
	return f, nil
}

// located is a copy of a frame and of the keys it was found under.
type located struct {
	segment, key, value []byte
}

// copyFrames copies frames from the one that holds item n on.
func copyFrames(top *bbolt.Bucket, n uint64, maxBytes int) ([]located, error) {
	if top == nil {
		return nil, nil
	}
	var out []located
	size := 0
	want := binary.BigEndian.AppendUint64(nil, n)
	segments := top.Cursor()
	for seg, _ := seekBefore(segments, want); seg != nil; seg, _ = segments.Next() {
		bucket := top.Bucket(seg)
		if bucket == nil {
			return nil, fmt.Errorf("%w: %x is not a segment", ErrCorrupt, seg)
		}
		c := bucket.Cursor()
		for k, v := seekBefore(c, want); k != nil; k, v = c.Next() {
			if size >= maxBytes && len(out) > 0 {
				return out, nil
			}
			own := append(append(append([]byte(nil), seg...), k...), v...)
			at := len(seg) + len(k)
			out = append(out, located{segment: own[:len(seg)], key: own[len(seg):at:at], value: own[at:]})
			size += len(v)
		}
	}
	return out, nil
}

// seekBefore moves to the last key that starts with want or is smaller, or to
// the first key when all are greater.
func seekBefore(c *bbolt.Cursor, want []byte) (key, value []byte) {
	k, v := c.Seek(want)
	if k != nil && len(k) >= len(want) && string(k[:len(want)]) == string(want) {
		return k, v
	}
	if k == nil {
		return c.Last()
	}
	if k, v = c.Prev(); k != nil {
		return k, v
	}
	return c.First()
}
