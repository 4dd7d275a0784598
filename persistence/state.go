package persistence

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/vmihailenco/msgpack/v5"
	"go.etcd.io/bbolt"

	"edged"
)

// The buckets and keys of the database. The outbox of a stream is a bucket of
// its own, so that a commit touches one page less.
var (
	metaBucket  = []byte("meta")
	skipsBucket = []byte("skips")
	slotBuckets = [2][]byte{[]byte("snapshots/0"), []byte("snapshots/1")}

	identityKey = []byte("identity")
	stateKey    = []byte("state")
)

const (
	journalName     = "journal"
	deadLettersName = "deadletters"
	outboxPrefix    = "outbox/"
)

// state is where the store stands. Every commit writes it as one value, so that
// it is never at odds with what it counts.
type state struct {
	Time    edged.Timestamp `msgpack:"time"`
	Sweep   sweep           `msgpack:"sweep"`
	Release edged.Seq       `msgpack:"release"`        // the journal up to here may be dropped
	Keep    edged.Seq       `msgpack:"keep,omitempty"` // but not the records behind this one; 0: none
	Commits uint64          `msgpack:"commits"`
	Journal log             `msgpack:"journal"`
	Dead    log             `msgpack:"dead"`
	Causes  []cause         `msgpack:"causes"`  // sorted by name
	Streams []stream        `msgpack:"streams"` // sorted by name
}

// sweep is the last complete sweep.
type sweep struct {
	Generation uint64    `msgpack:"gen"`
	Start      edged.Seq `msgpack:"start"`
}

// cause counts the dead letters of one cause, since the store was made.
type cause struct {
	Name  string `msgpack:"name"`
	Count uint64 `msgpack:"count"`
}

// clone returns a copy that can be changed while readers use the original.
// Lists of segments are shared: they grow behind what the original sees.
func (s *state) clone() state {
	c := *s
	c.Causes = slices.Clone(s.Causes)
	c.Streams = slices.Clone(s.Streams)
	for i := range c.Streams {
		c.Streams[i].Cursors = slices.Clone(c.Streams[i].Cursors)
	}
	return c
}

// stream returns the stream of the name, or nil.
func (s *state) stream(name string) *stream {
	i := sort.Search(len(s.Streams), func(i int) bool { return s.Streams[i].Name >= name })
	if i < len(s.Streams) && s.Streams[i].Name == name {
		return &s.Streams[i]
	}
	return nil
}

// openStream returns the stream of the name, and adds it when it is new.
func (s *state) openStream(name string) *stream {
	if st := s.stream(name); st != nil {
		return st
	}
	i := sort.Search(len(s.Streams), func(i int) bool { return s.Streams[i].Name >= name })
	s.Streams = slices.Insert(s.Streams, i, stream{Name: name, Rows: log{name: outboxPrefix + name}})
	return &s.Streams[i]
}

// count counts a dead letter.
func (s *state) count(name string) {
	i := sort.Search(len(s.Causes), func(i int) bool { return s.Causes[i].Name >= name })
	if i == len(s.Causes) || s.Causes[i].Name != name {
		if len(s.Causes) >= CausesMax-1 && name != otherCause {
			s.count(otherCause)
			return
		}
		s.Causes = slices.Insert(s.Causes, i, cause{Name: name})
	}
	s.Causes[i].Count++
}

// otherCause counts the dead letters whose causes are one too many.
const otherCause = "other"

// save writes the state.
func (s *state) save(tx *bbolt.Tx) error {
	head, err := msgpack.Marshal(s)
	if err != nil {
		return fmt.Errorf("encode state: %w", err)
	}
	return tx.Bucket(metaBucket).Put(stateKey, appendEnvelope(nil, head, nil, checksum(stateKey)))
}

// load reads the state and checks the logs against it.
func (s *state) load(tx *bbolt.Tx) error {
	meta := tx.Bucket(metaBucket)
	if meta == nil {
		return fmt.Errorf("state: %w: bucket %q is missing", ErrCorrupt, metaBucket)
	}
	head, _, err := openEnvelope(meta.Get(stateKey), checksum(stateKey))
	if err != nil {
		return fmt.Errorf("state: %w", err)
	}
	if err := msgpack.Unmarshal(head, s); err != nil {
		return fmt.Errorf("state: %w: %w", ErrCorrupt, err)
	}
	s.Journal.name, s.Dead.name = journalName, deadLettersName
	logs := []*log{&s.Journal, &s.Dead}
	for i := range s.Streams {
		s.Streams[i].Rows.name = outboxPrefix + s.Streams[i].Name
		logs = append(logs, &s.Streams[i].Rows)
	}
	for _, l := range logs {
		if err := l.load(tx); err != nil {
			return err
		}
	}
	return nil
}

// floor returns the record behind which replay begins. Whole segments are dropped,
// so the journal may hold more. But where the sweep before the last one started,
// everything that later records refer to is journaled again, and before it is not.
func (s *state) floor() edged.Seq { return max(edged.Seq(s.Journal.floor()), s.Release) }

// droppable returns the record up to which nobody wants the journal any more.
func (s *state) droppable() edged.Seq {
	if s.Keep > 0 {
		return min(s.Release, s.Keep)
	}
	return s.Release
}

// position is what recovery wants to know.
func (s *state) position() edged.Position {
	p := edged.Position{
		Seq:     edged.Seq(s.Journal.Last),
		Time:    s.Time,
		Sweep:   edged.Sweep{Generation: s.Sweep.Generation, Start: s.Sweep.Start},
		Floor:   s.floor(),
		Streams: make(map[string]uint64, len(s.Streams)),
	}
	for i := range s.Streams {
		st := &s.Streams[i]
		p.Streams[st.Name] = st.Rows.Last
		for _, c := range st.Cursors {
			p.Cursors = append(p.Cursors, edged.Cursor{Stream: st.Name, Output: c.Output, Seq: c.Seq})
		}
	}
	return p
}

// check panics when a commit does not continue what is stored: writing it would
// make a hole that no reader could explain.
func (s *state) check(c *edged.Commit) {
	seq := edged.Seq(s.Journal.Last)
	for i := range c.Records {
		if seq++; c.Records[i].Seq != seq {
			panic(fmt.Sprintf("persistence: commit has record %d where %d comes next", c.Records[i].Seq, seq))
		}
		if k := c.Records[i].Kind; k < edged.MessageRecord || k > edged.KeptRecord {
			panic(fmt.Sprintf("persistence: commit has record %d of unknown kind %d", seq, k))
		}
	}
	s.checkOutbox(c)
	for i := range c.Snapshots {
		sn := &c.Snapshots[i]
		if len(sn.Pipeline)+len(sn.Key) > KeyBytesMax || strings.ContainsRune(sn.Pipeline, 0) {
			panic(fmt.Sprintf("persistence: commit has a snapshot of pipeline %.40q, key %.40q: want at most %d bytes together, and no zero byte in the pipeline", sn.Pipeline, sn.Key, KeyBytesMax))
		}
	}
}

// checkOutbox is the part of check for rows and cursors.
func (s *state) checkOutbox(c *edged.Commit) {
	last := make(map[string]uint64, len(s.Streams))
	for i := range s.Streams {
		last[s.Streams[i].Name] = s.Streams[i].Rows.Last
	}
	for i := range c.Rows {
		r := &c.Rows[i]
		if next := last[r.Stream] + 1; r.Seq != next || r.Stream == "" {
			panic(fmt.Sprintf("persistence: commit has row %d of stream %q where %d comes next", r.Seq, r.Stream, next))
		}
		last[r.Stream] = r.Seq
	}
	for _, cur := range c.Cursors {
		if cur.Seq > last[cur.Stream] || cur.Stream == "" {
			panic(fmt.Sprintf("persistence: output %q confirms row %d of stream %q, whose last row is %d", cur.Output, cur.Seq, cur.Stream, last[cur.Stream]))
		}
	}
}
