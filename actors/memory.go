package actors

import (
	"fmt"
	"slices"
	"sync"

	"edged"
)

// MemoryStore is a Store that keeps nothing over the end of the process. It
// serves bounded replays, where the input file is the journal, and tests.
type MemoryStore struct {
	mu        sync.Mutex
	journal   []edged.Record
	keep      bool // the journal, for tests that recover
	position  edged.Position
	snapshots map[string]edged.Snapshot
	order     []string
	rows      map[string][]edged.Row
	first     map[string]uint64 // sequence number of rows[0]
	dead      []edged.DeadLetter
	retried   map[uint64]bool // of these, by number
	waiting   int64
	outputs   map[string]map[string]uint64
}

var _ Store = (*MemoryStore)(nil)

// NewMemoryStore returns an empty store. links are the outputs that confirm
// rows: a row is dropped when all outputs of its stream have.
func NewMemoryStore(links ...Link) *MemoryStore {
	m := &MemoryStore{
		position:  edged.Position{Streams: map[string]uint64{}},
		snapshots: map[string]edged.Snapshot{}, rows: map[string][]edged.Row{}, first: map[string]uint64{},
		outputs: map[string]map[string]uint64{}, retried: map[uint64]bool{},
	}
	for _, l := range links {
		if m.outputs[l.Stream] == nil {
			m.outputs[l.Stream] = map[string]uint64{}
		}
		m.outputs[l.Stream][l.Name] = 0
	}
	return m
}

// Position returns where the store stands.
func (m *MemoryStore) Position() edged.Position {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.position
	p.Streams = map[string]uint64{}
	for s, n := range m.position.Streams {
		p.Streams[s] = n
	}
	for s, outs := range m.outputs {
		for o, n := range outs {
			p.Cursors = append(p.Cursors, edged.Cursor{Stream: s, Output: o, Seq: n})
		}
	}
	return p
}

// Commit keeps the rows until they are confirmed, the snapshots, and the dead letters.
func (m *MemoryStore) Commit(c *edged.Commit) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.position.Time = c.Time
	if n := len(c.Records); n > 0 {
		if c.Records[0].Seq != m.position.Seq+1 {
			return fmt.Errorf("record %d after %d", c.Records[0].Seq, m.position.Seq)
		}
		m.position.Seq = c.Records[n-1].Seq
		if m.keep {
			m.journal = append(m.journal, c.Records...)
		} else {
			m.position.Floor = m.position.Seq
		}
	}
	for _, r := range c.Rows {
		if r.Seq != m.position.Streams[r.Stream]+1 {
			return fmt.Errorf("row %d of stream %s after %d", r.Seq, r.Stream, m.position.Streams[r.Stream])
		}
		m.position.Streams[r.Stream] = r.Seq
		if len(m.rows[r.Stream]) == 0 {
			m.first[r.Stream] = r.Seq
		}
		m.rows[r.Stream] = append(m.rows[r.Stream], r)
		m.waiting += int64(len(r.Payload))
	}
	for _, s := range c.Snapshots {
		id := s.Pipeline + "\x00" + s.Key
		if _, ok := m.snapshots[id]; !ok {
			m.order = append(m.order, id)
		}
		m.snapshots[id] = s
	}
	for _, n := range c.Retried {
		if m.retried[n] || n == 0 || n > uint64(len(m.dead)) {
			return fmt.Errorf("dead letter %d of %d is retried twice, or is none", n, len(m.dead))
		}
		m.retried[n] = true
	}
	for _, d := range c.DeadLetters {
		d.Number = uint64(len(m.dead)) + 1
		m.dead = append(m.dead, d)
	}
	if c.Sweep != nil {
		m.position.Sweep = *c.Sweep
	}
	for _, cur := range c.Cursors {
		m.outputs[cur.Stream][cur.Output] = cur.Seq
		m.confirm(cur.Stream)
	}
	return nil
}

// confirm drops the rows that all outputs have.
func (m *MemoryStore) confirm(stream string) {
	low := m.position.Streams[stream]
	for _, seq := range m.outputs[stream] {
		low = min(low, seq)
	}
	rows := m.rows[stream]
	for len(rows) > 0 && rows[0].Seq <= low {
		m.waiting -= int64(len(rows[0].Payload))
		rows[0] = edged.Row{}
		rows = rows[1:]
		m.first[stream]++
	}
	m.rows[stream] = rows
}

// Replay calls fn for the records after the given one, if they were kept.
func (m *MemoryStore) Replay(after edged.Seq, fn func(*edged.Record) error) error {
	m.mu.Lock()
	journal := m.journal
	m.mu.Unlock()
	for i := range journal {
		if journal[i].Seq <= after {
			continue
		}
		rec := journal[i]
		if err := fn(&rec); err != nil {
			return err
		}
	}
	return nil
}

// Snapshot returns the last snapshot of a key.
func (m *MemoryStore) Snapshot(pipeline, key string) (edged.Snapshot, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok := m.snapshots[pipeline+"\x00"+key]
	return s, ok, nil
}

// Snapshots calls fn for the last snapshot of every key.
func (m *MemoryStore) Snapshots(fn func(edged.Snapshot) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range slices.Clone(m.order) {
		snap := m.snapshots[id]
		m.mu.Unlock()
		err := fn(snap)
		m.mu.Lock()
		if err != nil {
			return err
		}
	}
	return nil
}

// Skips calls fn for every record that replay must pass over.
func (m *MemoryStore) Skips(fn func(pipeline, key string, seq edged.Seq) error) error {
	m.mu.Lock()
	dead := m.dead
	m.mu.Unlock()
	for _, d := range dead {
		if d.Skip {
			if err := fn(d.Pipeline, d.Key, d.Seq); err != nil {
				return err
			}
		}
	}
	return nil
}

// DeadLetters returns all dead letters that were not retried.
func (m *MemoryStore) DeadLetters() (all []edged.DeadLetter) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range m.dead {
		if !m.retried[d.Number] {
			all = append(all, d)
		}
	}
	return all
}

// Rows returns rows after the given one.
func (m *MemoryStore) Rows(stream string, after uint64, maxBytes int) ([]edged.Row, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	rows := m.rows[stream]
	if len(rows) == 0 || after+1 < m.first[stream] {
		return nil, nil
	}
	skip := int(after + 1 - m.first[stream])
	if skip >= len(rows) {
		return nil, nil
	}
	bytes, n := 0, 0
	for _, r := range rows[skip:] {
		if n > 0 && bytes+len(r.Payload) > maxBytes {
			break
		}
		bytes += len(r.Payload)
		n++
	}
	return append([]edged.Row(nil), rows[skip:skip+n]...), nil
}

// JournalBytes returns about how much the records behind the given one take.
func (m *MemoryStore) JournalBytes(after edged.Seq) (bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := len(m.journal) - 1; i >= 0 && m.journal[i].Seq > after; i-- {
		bytes += recordCost(&m.journal[i])
	}
	return bytes
}

// OutboxBytes returns the bytes of the rows that wait for an output.
func (m *MemoryStore) OutboxBytes() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.waiting
}
