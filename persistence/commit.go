package persistence

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/vmihailenco/msgpack/v5"
	"go.etcd.io/bbolt"

	"edged"
)

// Commit makes an epoch durable, in one transaction: when it returns nil, all of
// it is on stable storage. After an error nobody knows what is, and the store
// refuses further commits: the process must stop and recover. Commit is called
// from one goroutine, and panics when c does not continue what was committed
// before. It keeps nothing of c.
func (s *Store) Commit(c *edged.Commit) error {
	s.check(c)
	return s.update("commit", func(tx *bbolt.Tx, next *state) error {
		s.packer.reset()
		next.Commits++
		next.Time = max(next.Time, c.Time)
		if err := s.appendJournal(tx, next, c); err != nil {
			return err
		}
		if err := s.appendOutbox(tx, next, c); err != nil {
			return err
		}
		if err := s.appendDeadLetters(tx, next, c); err != nil {
			return err
		}
		return s.putSnapshots(tx, c)
	})
}

func (s *Store) check(c *edged.Commit) {
	s.mu.RLock()
	defer s.mu.RUnlock() // A panic may be caught above us.
	s.state.check(c)
}

// appendJournal appends the records, and drops what a finished sweep released.
func (s *Store) appendJournal(tx *bbolt.Tx, next *state, c *edged.Commit) error {
	j, floor := &next.Journal, next.floor()
	s.packer.begin(recordFrame, j)
	for i := range c.Records {
		s.packer.record(&c.Records[i])
	}
	if err := s.append(tx, j, s.journal); err != nil {
		return err
	}
	if c.Sweep != nil {
		// One generation of snapshots may turn out damaged: the journal still
		// reaches back to the start of the sweep before.
		next.Release = max(next.Release, next.Sweep.Start)
		next.Sweep = sweep{Generation: c.Sweep.Generation, Start: c.Sweep.Start}
	}
	next.Keep = c.Keep
	if err := j.drop(tx, uint64(next.droppable())); err != nil || next.floor() == floor {
		return err
	}
	return dropSkips(tx, uint64(next.floor())+1)
}

// appendOutbox appends the rows, stream by stream, moves the cursors and drops
// what all outputs have confirmed.
func (s *Store) appendOutbox(tx *bbolt.Tx, next *state, c *edged.Commit) error {
	for i := 0; i < len(c.Rows); i++ {
		name := c.Rows[i].Stream
		if slices.ContainsFunc(c.Rows[:i], func(r edged.Row) bool { return r.Stream == name }) {
			continue
		}
		st := next.openStream(name)
		s.packer.begin(rowFrame, &st.Rows)
		for j := i; j < len(c.Rows); j++ {
			if c.Rows[j].Stream == name {
				s.packer.row(&c.Rows[j])
			}
		}
		if err := s.append(tx, &st.Rows, s.journal); err != nil {
			return err
		}
	}
	for _, cur := range c.Cursors {
		next.openStream(cur.Stream).move(cur.Output, cur.Seq)
	}
	for i := range next.Streams {
		if err := next.Streams[i].settle(tx, s.logger); err != nil {
			return err
		}
	}
	return nil
}

// appendDeadLetters notes which letters were retried, appends and counts new ones, and
// drops the oldest when there are too many.
func (s *Store) appendDeadLetters(tx *bbolt.Tx, next *state, c *edged.Commit) error {
	d := &next.Dead
	if err := putRetried(tx, d, c.Retried); err != nil {
		return err
	}
	s.packer.begin(deadLetterFrame, d)
	for i := range c.DeadLetters {
		letter := &c.DeadLetters[i]
		blob, err := encodeDeadLetter(letter)
		if err != nil {
			return fmt.Errorf("encode dead letter of record %d: %w", letter.Seq, err)
		}
		s.packer.blob(blob)
		next.count(letter.Cause)
		if letter.Skip {
			if err := putSkip(tx, letter); err != nil {
				return err
			}
		}
	}
	if err := s.append(tx, d, s.dead); err != nil {
		return err
	}
	for d.kept() > uint64(s.cfg.DeadLettersMax) && len(d.segments) > 1 {
		if err := d.drop(tx, d.segments[1].first-1); err != nil {
			return err
		}
		if err := dropRetried(tx, d.First); err != nil {
			return err
		}
	}
	return nil
}

// append appends what was packed to its log and counts the bytes.
func (s *Store) append(tx *bbolt.Tx, l *log, lim limits) error {
	if err := l.append(tx, &s.packer, lim); err != nil {
		return err
	}
	for _, f := range s.packer.frames {
		s.written.Add(uint64(len(f.value)))
	}
	return nil
}

// putSnapshots writes the snapshots, sorted by key: neighbours share pages, and
// a page is written once however many of its keys change.
func (s *Store) putSnapshots(tx *bbolt.Tx, c *edged.Commit) error {
	if len(c.Snapshots) == 0 {
		return nil
	}
	order := make([]*edged.Snapshot, len(c.Snapshots))
	for i := range c.Snapshots {
		order[i] = &c.Snapshots[i]
	}
	slices.SortStableFunc(order, func(a, b *edged.Snapshot) int {
		return cmp.Or(cmp.Compare(a.Pipeline, b.Pipeline), cmp.Compare(a.Key, b.Key))
	})
	own := slotOf(c.Generation)
	var slots [2]*bbolt.Bucket
	for i := range slots {
		slots[i] = tx.Bucket(slotBuckets[i])
		slots[i].FillPercent = snapshotFill
	}
	for _, sn := range order {
		key := snapshotKey(sn.Pipeline, sn.Key)
		value, err := encodeSnapshot(sn, c.Generation, checksum(key))
		if err != nil {
			return err
		}
		for i, slot := range slots {
			if i != own && !sn.Twin {
				continue
			}
			if err := slot.Put(key, value); err != nil {
				return fmt.Errorf("snapshot %q: put: %w", key, err)
			}
			s.written.Add(uint64(len(value)))
		}
	}
	return nil
}

// snapshotFill leaves room on the pages of snapshots: they change size.
const snapshotFill = 0.8

// encodeSnapshot returns the envelope of a snapshot.
func encodeSnapshot(sn *edged.Snapshot, generation uint64, seed uint32) ([]byte, error) {
	head, err := msgpack.Marshal(&snapshotHead{
		Generation: generation, Seq: sn.Seq, Active: sn.Active, Rung: sn.Rung, Beats: sn.Beats, Open: int64(sn.Open), Twin: sn.Twin,
	})
	if err != nil {
		return nil, fmt.Errorf("snapshot of %q in %q: encode: %w", sn.Key, sn.Pipeline, err)
	}
	value := make([]byte, 0, envelopeHead+binary.MaxVarintLen32+len(head)+len(sn.State))
	return appendEnvelope(value, head, sn.State, seed), nil
}
