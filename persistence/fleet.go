package persistence

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"
)

// The buckets of what a gateway's management keeps, and the keys of the first.
var (
	fleetBucket = []byte("fleet")
	auditBucket = []byte("audit")

	guardKey    = []byte("guard")
	desiredKey  = []byte("desired")
	instanceKey = []byte("instance")
	countersKey = []byte("counters")
)

const (
	// DefaultAuditLinesMax is how many lines of the audit log are kept.
	DefaultAuditLinesMax = 20_000

	// AuditLineBytesMax is how long a line may be, its line feed included.
	AuditLineBytesMax = 8 << 10

	// FleetBytesMax is how large the guard's state and the desired document may be.
	FleetBytesMax = 4 << 20

	// auditDropsMax is how many of the oldest lines one commit drops: more than it
	// adds, so that a lowered limit is reached soon.
	auditDropsMax = 64
)

// FleetState is what the management of a gateway has stored. The store does not
// look into any of it.
type FleetState struct {
	Guard    []byte // nil: none yet
	Desired  []byte // nil: none yet
	Instance string // "": not named yet
	Counters FleetCounters
}

// FleetCounters count since the store was made. They never fall.
type FleetCounters struct {
	Boot    uint64 // starts of the process
	Session uint64 // connects of the management link
	Event   uint64 // events that were numbered
}

// FleetChange is one decision of the management. What is nil, empty or zero stays
// as it was.
type FleetChange struct {
	Guard    []byte
	Desired  []byte
	Instance string
	Counters FleetCounters

	// Audit are the next lines of the audit log, the first of which has the number
	// AuditFirst.
	Audit      [][]byte
	AuditFirst uint64
}

// Fleet reads what the management has stored.
func (s *Store) Fleet() (st FleetState, err error) {
	err = s.view("fleet", func(tx *bbolt.Tx) error {
		st, err = readFleet(tx)
		return err
	})
	return st, err
}

func readFleet(tx *bbolt.Tx) (st FleetState, err error) {
	b := tx.Bucket(fleetBucket)
	if b == nil {
		return st, nil
	}
	if st.Guard, err = fleetValue(b, guardKey); err != nil {
		return st, err
	}
	if st.Desired, err = fleetValue(b, desiredKey); err != nil {
		return st, err
	}
	instance, err := fleetValue(b, instanceKey)
	if err != nil {
		return st, err
	}
	st.Instance = string(instance)
	counters, err := fleetValue(b, countersKey)
	if err != nil || counters == nil {
		return st, err
	}
	if len(counters) != 24 {
		return st, fmt.Errorf("fleet: %w: counters of %d bytes", ErrCorrupt, len(counters))
	}
	st.Counters = FleetCounters{
		Boot: binary.BigEndian.Uint64(counters), Session: binary.BigEndian.Uint64(counters[8:]), Event: binary.BigEndian.Uint64(counters[16:]),
	}
	return st, nil
}

// fleetValue returns a copy of a value, nil if there is none.
func fleetValue(b *bbolt.Bucket, key []byte) ([]byte, error) {
	value := b.Get(key)
	if value == nil {
		return nil, nil
	}
	_, body, err := openEnvelope(value, fleetSeed(fleetBucket, key))
	if err != nil {
		return nil, fmt.Errorf("fleet: %s: %w", key, err)
	}
	return append([]byte{}, body...), nil
}

// fleetSeed is the checksum of where a value is kept.
func fleetSeed(bucket, key []byte) uint32 {
	return checksum(append(append(bytes.Clone(bucket), 0), key...))
}

// CommitFleet makes a decision of the management durable, in one transaction. As
// with [Store.Commit], nobody knows what is stored after an error, and the process
// must stop. It may be called while others commit.
func (s *Store) CommitFleet(c FleetChange) error {
	if err := c.check(); err != nil {
		return fmt.Errorf("fleet: %w", err)
	}
	return s.update("fleet", func(tx *bbolt.Tx, _ *state) error {
		b, err := tx.CreateBucketIfNotExists(fleetBucket)
		if err != nil {
			return fmt.Errorf("open bucket: %w", err)
		}
		if err := c.put(b); err != nil {
			return err
		}
		return s.appendAudit(tx, &c)
	})
}

func (c *FleetChange) check() error {
	if len(c.Guard) > FleetBytesMax || len(c.Desired) > FleetBytesMax {
		return fmt.Errorf("%d bytes of state and %d of desired document: at most %d each", len(c.Guard), len(c.Desired), FleetBytesMax)
	}
	for _, line := range c.Audit {
		if len(line) == 0 || len(line) > AuditLineBytesMax {
			return fmt.Errorf("audit line of %d bytes: want 1 to %d", len(line), AuditLineBytesMax)
		}
	}
	if len(c.Audit) > 0 && c.AuditFirst == 0 {
		return errors.New("audit lines without a number")
	}
	return nil
}

// put writes the values that change.
func (c *FleetChange) put(b *bbolt.Bucket) error {
	put := func(key, body []byte) error {
		if len(body) == 0 {
			return nil
		}
		return b.Put(key, appendEnvelope(nil, nil, body, fleetSeed(fleetBucket, key)))
	}
	if err := errors.Join(put(guardKey, c.Guard), put(desiredKey, c.Desired), put(instanceKey, []byte(c.Instance))); err != nil {
		return err
	}
	if c.Counters == (FleetCounters{}) {
		return nil
	}
	old, err := readFleet(b.Tx())
	if err != nil {
		return err
	}
	n := old.Counters
	n.Boot, n.Session, n.Event = max(n.Boot, c.Counters.Boot), max(n.Session, c.Counters.Session), max(n.Event, c.Counters.Event)
	body := binary.BigEndian.AppendUint64(nil, n.Boot)
	body = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(body, n.Session), n.Event)
	return put(countersKey, body)
}

// appendAudit appends lines, and drops the oldest when there are too many.
func (s *Store) appendAudit(tx *bbolt.Tx, c *FleetChange) error {
	if len(c.Audit) == 0 {
		return nil
	}
	b, err := tx.CreateBucketIfNotExists(auditBucket)
	if err != nil {
		return fmt.Errorf("audit: open bucket: %w", err)
	}
	b.FillPercent = 1 // lines only ever come at the end
	if last, _ := b.Cursor().Last(); last != nil && binary.BigEndian.Uint64(last)+1 != c.AuditFirst {
		return fmt.Errorf("audit: line %d where %d comes next", c.AuditFirst, binary.BigEndian.Uint64(last)+1)
	}
	for i, line := range c.Audit {
		key := binary.BigEndian.AppendUint64(nil, c.AuditFirst+uint64(i))
		if err := b.Put(key, appendEnvelope(nil, nil, line, fleetSeed(auditBucket, key))); err != nil {
			return fmt.Errorf("audit: line %d: %w", c.AuditFirst+uint64(i), err)
		}
	}
	return s.dropAudit(b, c.AuditFirst+uint64(len(c.Audit))-1)
}

func (s *Store) dropAudit(b *bbolt.Bucket, last uint64) error {
	keep := uint64(s.cfg.AuditLinesMax)
	if last <= keep {
		return nil
	}
	var old [][]byte
	cursor := b.Cursor()
	for k, _ := cursor.First(); k != nil && len(old) < auditDropsMax && binary.BigEndian.Uint64(k) <= last-keep; k, _ = cursor.Next() {
		old = append(old, bytes.Clone(k))
	}
	for _, k := range old {
		if err := b.Delete(k); err != nil {
			return fmt.Errorf("audit: drop line %x: %w", k, err)
		}
	}
	return nil
}

// AuditBounds returns the numbers of the first and the last line that are kept; 0
// if there is none.
func (s *Store) AuditBounds() (first, last uint64, err error) {
	err = s.view("audit", func(tx *bbolt.Tx) error {
		b := tx.Bucket(auditBucket)
		if b == nil {
			return nil
		}
		if k, _ := b.Cursor().First(); len(k) == 8 {
			first = binary.BigEndian.Uint64(k)
		}
		if k, _ := b.Cursor().Last(); len(k) == 8 {
			last = binary.BigEndian.Uint64(k)
		}
		return nil
	})
	return first, last, err
}

// Audit returns lines of the audit log behind the number after, in order: as many
// as fit into bytesMax, but at least one if there is one. first is the number of
// the first of them; it is greater than after+1 if older lines were dropped.
func (s *Store) Audit(after uint64, bytesMax int) (first uint64, lines [][]byte, err error) {
	err = s.view("audit", func(tx *bbolt.Tx) error {
		b := tx.Bucket(auditBucket)
		if b == nil {
			return nil
		}
		size, cursor := 0, b.Cursor()
		for k, v := cursor.Seek(binary.BigEndian.AppendUint64(nil, after+1)); k != nil; k, v = cursor.Next() {
			line, err := auditLine(k, v)
			if err != nil {
				return err
			}
			if size += len(line); size > bytesMax && len(lines) > 0 {
				return nil
			}
			if n := binary.BigEndian.Uint64(k); len(lines) == 0 {
				first = n
			} else if n != first+uint64(len(lines)) {
				return fmt.Errorf("audit: %w: line %d follows line %d", ErrCorrupt, n, first+uint64(len(lines))-1)
			}
			lines = append(lines, line)
		}
		return nil
	})
	return first, lines, err
}

// auditLine returns a copy of a line.
func auditLine(key, value []byte) ([]byte, error) {
	if len(key) != 8 {
		return nil, fmt.Errorf("audit: %w: key %x", ErrCorrupt, key)
	}
	_, body, err := openEnvelope(value, fleetSeed(auditBucket, key))
	if err != nil {
		return nil, fmt.Errorf("audit: line %d: %w", binary.BigEndian.Uint64(key), err)
	}
	return bytes.Clone(body), nil
}

// inspectFleet checks every value of the management.
func inspectFleet(tx *bbolt.Tx, r *Report) error {
	st, err := readFleet(tx)
	r.problem(err)
	if st.Instance == "" && err == nil {
		return nil
	}
	r.Fleet = &FleetReport{Instance: st.Instance, Boots: st.Counters.Boot, Sessions: st.Counters.Session}
	b := tx.Bucket(auditBucket)
	if b == nil {
		return nil
	}
	return b.ForEach(func(k, v []byte) error {
		if _, err := auditLine(k, v); err != nil {
			r.problem(err)
			return nil
		}
		n := binary.BigEndian.Uint64(k)
		if due := r.Fleet.AuditLast + 1; due > 1 && n != due {
			r.problem(fmt.Errorf("audit: %w: line %d where %d was due", ErrCorrupt, n, due))
		}
		if r.Fleet.AuditFirst == 0 {
			r.Fleet.AuditFirst = n
		}
		r.Fleet.AuditLast = n
		return nil
	})
}

// PurgeDeadLetters drops all dead letters and returns how many. Their counters
// stay, and so do the skips: purging changes no result.
func (s *Store) PurgeDeadLetters() (dropped uint64, err error) {
	err = s.update("purge dead letters", func(tx *bbolt.Tx, next *state) error {
		d := &next.Dead
		if dropped = d.kept(); dropped == 0 {
			return nil
		}
		top := tx.Bucket([]byte(d.name))
		for _, seg := range d.segments {
			if err := top.DeleteBucket(seg.key(checksum([]byte(d.name)))); err != nil {
				return fmt.Errorf("%s: drop segment %d: %w", d.name, seg.first, err)
			}
		}
		d.segments, d.First = nil, d.Last+1
		return dropRetried(tx, d.First)
	})
	return dropped, err
}
