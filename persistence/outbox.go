package persistence

import (
	"fmt"
	"log/slog"
	"slices"

	"go.etcd.io/bbolt"

	"edged"
)

// stream is the outbox of one stream: its rows and how far its outputs are.
type stream struct {
	Name    string   `msgpack:"name"`
	Rows    log      `msgpack:"rows"`
	Cursors []cursor `msgpack:"cursors"` // sorted by output

	// Done is the last row that every output has confirmed, and DoneWeight the
	// payload bytes of all rows up to it.
	Done       uint64 `msgpack:"done"`
	DoneWeight uint64 `msgpack:"done_weight"`
}

// cursor is how far one output has confirmed.
type cursor struct {
	Output string `msgpack:"output"`
	Seq    uint64 `msgpack:"seq"`
}

// move sets the cursor of an output. Cursors never go back.
func (s *stream) move(output string, seq uint64) {
	i, found := slices.BinarySearchFunc(s.Cursors, output, func(c cursor, name string) int {
		switch {
		case c.Output < name:
			return -1
		case c.Output > name:
			return 1
		}
		return 0
	})
	if !found {
		s.Cursors = slices.Insert(s.Cursors, i, cursor{Output: output})
	}
	s.Cursors[i].Seq = max(s.Cursors[i].Seq, seq)
}

// slowest returns the last row that all outputs have confirmed. Without any
// output nobody has confirmed anything.
func (s *stream) slowest() uint64 {
	if len(s.Cursors) == 0 {
		return s.Done
	}
	seq := s.Cursors[0].Seq
	for _, c := range s.Cursors[1:] {
		seq = min(seq, c.Seq)
	}
	return seq
}

// settle accounts for what all outputs have confirmed, and frees it.
func (s *stream) settle(tx *bbolt.Tx, logger *slog.Logger) error {
	if done := s.slowest(); done > s.Done {
		weight, err := s.weightUpTo(tx, done)
		if err != nil {
			// The rows are confirmed: only the count of their bytes suffers.
			logger.Warn("outbox bytes are estimated", "stream", s.Name, "seq", done, "err", err)
		}
		s.Done, s.DoneWeight = done, max(s.DoneWeight, weight)
	}
	return s.Rows.drop(tx, s.Done)
}

// weightUpTo returns the payload bytes of all rows up to and including done. It
// reads one frame. With an error it returns what is known without that frame.
func (s *stream) weightUpTo(tx *bbolt.Tx, done uint64) (uint64, error) {
	if done >= s.Rows.Last {
		return s.Rows.Weight, nil
	}
	estimate := s.Rows.segmentOf(done).base
	copied, err := copyFrames(tx.Bucket([]byte(s.Rows.name)), done, 1)
	if err != nil || len(copied) == 0 {
		return estimate, err
	}
	f, err := openFrame(copied[0].value, rowFrame, checksum([]byte(s.Rows.name)))
	if err != nil {
		return estimate, err
	}
	weight := f.base
	var row edged.Row
	for u := unpack(f); u.more() && u.next <= done; {
		if err := u.row(&row, s.Name); err != nil {
			return estimate, err
		}
		weight += uint64(len(row.Payload))
	}
	return weight, nil
}

// Rows returns rows of the stream with Seq > after, in order and without holes:
// as many as have about maxBytes of payload, but at least one if there is one.
// Rows that all outputs have confirmed may be gone; reading then begins at the
// oldest kept row. The payloads belong to the caller. Rows may be called while
// Commit runs.
func (s *Store) Rows(stream string, after uint64, maxBytes int) ([]edged.Row, error) {
	s.mu.RLock()
	st := s.state.stream(stream)
	if st == nil || st.Rows.Last <= after || st.Rows.kept() == 0 {
		s.mu.RUnlock()
		return nil, nil
	}
	sc := scan{store: s, log: st.Rows.name, kind: rowFrame, next: max(after, st.Rows.floor()) + 1, last: st.Rows.Last}
	s.mu.RUnlock()

	first := sc.next
	var rows []edged.Row
	for size := 0; len(rows) == 0 || size < maxBytes; {
		frames, err := sc.batch(min(max(maxBytes-size, 1), scanBytes))
		if err != nil {
			return nil, err
		}
		if len(frames) == 0 {
			break
		}
		for _, f := range frames {
			if rows, size, err = appendRows(rows, size, f, stream, first, maxBytes); err != nil {
				return nil, fmt.Errorf("%s: %w", sc.log, err)
			}
		}
	}
	return rows, nil
}

// appendRows appends the rows of a frame from number first on, while their
// payloads are within maxBytes.
func appendRows(rows []edged.Row, size int, f frame, stream string, first uint64, maxBytes int) ([]edged.Row, int, error) {
	u := unpack(f)
	for u.more() && (len(rows) == 0 || size < maxBytes) {
		var row edged.Row
		if err := u.row(&row, stream); err != nil {
			return nil, 0, err
		}
		if row.Seq >= first {
			rows = append(rows, row)
			size += len(row.Payload)
		}
	}
	return rows, size, nil
}

// OutboxBytes returns the payload bytes of all rows that some output of their
// stream has not confirmed. It may be called while Commit runs.
func (s *Store) OutboxBytes() int64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var n uint64
	for i := range s.state.Streams {
		n += s.state.Streams[i].Rows.Weight - s.state.Streams[i].DoneWeight
	}
	return int64(n)
}

// SetOutputs declares the outputs of a stream, in a transaction of its own. It
// is called at start, for every stream: the cursors of other outputs are
// dropped, so that an output that was removed does not hold rows for ever. A
// new output begins with the oldest row that the outputs before it have not all
// confirmed: renaming an output neither loses nor repeats a row. With no outputs
// at all the stream keeps its rows and waits for one; see [Store.DropStream].
func (s *Store) SetOutputs(stream string, outputs []string) error {
	if stream == "" {
		panic("persistence: outputs are set for a stream without a name")
	}
	return s.update("set outputs of "+stream, func(tx *bbolt.Tx, next *state) error {
		st := next.openStream(stream)
		owed := st.Done
		st.Cursors = slices.DeleteFunc(st.Cursors, func(c cursor) bool { return !slices.Contains(outputs, c.Output) })
		for _, output := range outputs {
			st.move(output, owed)
		}
		return st.settle(tx, s.logger)
	})
}

// DropStream forgets the rows and the outputs of a stream that exists no more,
// and returns how many rows some output had not confirmed. The stream keeps its
// numbering, should it ever come back.
func (s *Store) DropStream(stream string) (unconfirmed uint64, err error) {
	err = s.update("drop stream "+stream, func(tx *bbolt.Tx, next *state) error {
		st := next.stream(stream)
		if st == nil {
			return nil
		}
		unconfirmed = st.Rows.Last - max(st.Done, st.Rows.floor())
		st.Cursors, st.Done, st.DoneWeight = nil, st.Rows.Last, st.Rows.Weight
		st.Rows.First, st.Rows.segments = st.Rows.Last+1, nil
		name := []byte(st.Rows.name)
		if tx.Bucket(name) == nil {
			return nil
		}
		return tx.DeleteBucket(name)
	})
	if err == nil && unconfirmed > 0 {
		s.logger.Warn("stream dropped with unconfirmed rows", "stream", stream, "rows", unconfirmed)
	}
	return unconfirmed, err
}
