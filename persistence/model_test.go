package persistence_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"testing"

	"edged"
	"edged/persistence"
)

// model is what a store must hold, in the dumbest form: everything that was
// ever committed.
type model struct {
	rnd *rand.Rand
	max int // dead letters

	time    edged.Timestamp
	arrival edged.Timestamp
	records []edged.Record
	rows    map[string][]edged.Row
	cursors map[string]map[string]uint64
	letters []edged.DeadLetter
	retried map[uint64]bool             // of these, by number
	keep    edged.Seq                   // the journal behind it is kept; 0: as sweeps say
	keepFor int                         // commits
	states  map[string][]edged.Snapshot // by key, as committed
	sweep   edged.Sweep
	release edged.Seq // start of the sweep before
	done    map[string]bool
	gen     uint64
	kept    int // times that a check found more kept than recovery needs
}

func newModel(rnd *rand.Rand, deadMax int) *model {
	return &model{
		rnd: rnd, max: deadMax, gen: 1,
		rows: map[string][]edged.Row{}, states: map[string][]edged.Snapshot{},
		cursors: map[string]map[string]uint64{"a": {"x": 0, "y": 0}, "b": {"x": 0}},
		done:    map[string]bool{}, retried: map[uint64]bool{},
	}
}

// next makes a random commit and remembers it.
func (m *model) next() *edged.Commit {
	c := &edged.Commit{Generation: m.gen, Time: m.time}
	for range m.rnd.IntN(40) {
		r := edged.Record{Seq: edged.Seq(len(m.records) + 1), Kind: edged.MessageRecord, Time: m.time}
		if m.time += edged.Timestamp(m.rnd.IntN(50)); m.rnd.IntN(3) == 0 {
			m.arrival = edged.Timestamp(m.rnd.IntN(2)) * edged.Timestamp(m.rnd.Int64()-m.rnd.Int64())
		}
		switch m.rnd.IntN(8) {
		case 0:
			r.Kind = edged.TickRecord
		case 1:
			r.Kind, r.Topic, r.Payload = edged.TableRecord, fmt.Sprint("table", m.rnd.IntN(2)), m.bytes(300)
			if m.rnd.IntN(2) == 0 {
				r.Kind = edged.KeptRecord
			}
		case 2:
			r.Kind, r.For, r.Of, r.Payload = edged.HoldRecord, fmt.Sprint("p", m.rnd.IntN(3)), m.seq(), m.bytes(3)
		case 3:
			r.Kind, r.Arrival, r.Topic, r.Payload = edged.AgainRecord, m.arrival, m.topic(), m.bytes(300)
			if r.Of = edged.Seq(m.rnd.Uint64() >> 1); m.rnd.IntN(2) == 0 {
				r.For = m.topic()
			}
		default:
			r.Arrival, r.Topic, r.PacketID, r.Payload = m.arrival, m.topic(), uint16(m.rnd.Uint32()), m.bytes(300)
		}
		if m.rnd.IntN(4) == 0 {
			r.Derived = m.bytes(200)
		}
		m.records = append(m.records, r)
		c.Records = append(c.Records, r)
	}
	m.addRows(c)
	m.addCursors(c)
	m.addSnapshots(c)
	switch {
	case m.keepFor > 0:
		if m.keepFor--; m.keepFor == 0 {
			m.keep = 0
		}
	case m.rnd.IntN(8) == 0 && m.seq() > m.release:
		m.keep = m.release + 1 + edged.Seq(m.rnd.Uint64N(uint64(min(m.seq()-m.release, 100)))) // soon behind the floor
		m.keepFor = 20 + m.rnd.IntN(30)
	}
	c.Keep = m.keep
	for n := range uint64(len(m.letters)) {
		if m.rnd.IntN(3*m.max) == 0 && !m.retried[n+1] {
			m.retried[n+1] = true
			c.Retried = append(c.Retried, n+1)
		}
	}
	for range m.rnd.IntN(3) {
		d := edged.DeadLetter{
			Seq: m.seq(), Time: m.time, Pipeline: "p", Key: fmt.Sprint("k\x00", m.rnd.IntN(3)), Topic: "t", Cause: fmt.Sprint("cause", m.rnd.IntN(3)),
			Detail: "d", Payload: m.bytes(50), Size: 1000, Skip: m.rnd.IntN(4) == 0 && len(m.records) > 0,
		}
		c.DeadLetters = append(c.DeadLetters, d)
		d.Number = uint64(len(m.letters) + 1)
		m.letters = append(m.letters, d)
	}
	return c
}

// topic makes topics that share some of their ends, or nothing.
func (m *model) topic() string {
	return []string{"", "t/", "site/line-"}[m.rnd.IntN(3)] + fmt.Sprint(m.rnd.IntN(30)) + []string{"", "0", "/data"}[m.rnd.IntN(3)]
}

func (m *model) seq() edged.Seq { return edged.Seq(len(m.records)) }

func (m *model) bytes(n int) []byte {
	b := make([]byte, m.rnd.IntN(n))
	if m.rnd.IntN(100) == 0 {
		b = make([]byte, 10_000)
	}
	for i := range b {
		b[i] = byte(m.rnd.Uint32())
	}
	return b
}

func (m *model) addRows(c *edged.Commit) {
	for range m.rnd.IntN(20) {
		name := []string{"a", "b"}[m.rnd.IntN(2)]
		r := edged.Row{Stream: name, Seq: uint64(len(m.rows[name]) + 1), Topic: m.topic(), Payload: m.bytes(200)}
		m.rows[name] = append(m.rows[name], r)
		c.Rows = append(c.Rows, r)
	}
}

func (m *model) addCursors(c *edged.Commit) {
	for _, stream := range []string{"a", "b"} {
		for _, output := range []string{"x", "y"} {
			at, ok := m.cursors[stream][output]
			// Rows of this very commit are not confirmed yet.
			if free := len(m.rows[stream]) - int(at); ok && free > 0 && m.rnd.IntN(2) == 0 {
				at += uint64(m.rnd.IntN(free))
				m.cursors[stream][output] = at
				c.Cursors = append(c.Cursors, edged.Cursor{Stream: stream, Output: output, Seq: at})
			}
		}
	}
}

// addSnapshots walks over all keys, a few per commit, as a sweep does.
func (m *model) addSnapshots(c *edged.Commit) {
	const keys = 12
	for range m.rnd.IntN(4) {
		key := fmt.Sprint("key", m.rnd.IntN(keys))
		old := m.states[key]
		sn := edged.Snapshot{Pipeline: "p", Key: key, Seq: m.seq(), Active: m.time, Open: m.rnd.IntN(3), State: m.bytes(100)}
		if n := len(old); n > 0 && m.rnd.IntN(3) == 0 {
			sn.State, sn.Twin = old[n-1].State, true
		}
		m.states[key] = append(old, sn)
		c.Snapshots = append(c.Snapshots, sn)
		m.done[key] = true
	}
	if len(m.done) == keys {
		m.done = map[string]bool{}
		m.release = m.sweep.Start
		m.sweep = edged.Sweep{Generation: m.gen, Start: m.seq() / 2}
		if m.sweep.Start < m.release {
			m.sweep.Start = m.release
		}
		c.Sweep = &m.sweep
		m.gen++
	}
}

// check compares everything that the store gives with the model.
func (m *model) check(t *testing.T, s *persistence.Store) {
	t.Helper()
	p := s.Position()
	if p.Seq != m.seq() || p.Sweep != m.sweep || p.Floor != m.release {
		t.Fatalf("position is %+v, want seq %d, sweep %v, floor %d", p, m.seq(), m.sweep, m.release)
	}
	if got := replay(t, s, p.Floor); !slices.EqualFunc(got, m.records[p.Floor:], sameRecord) {
		t.Fatalf("replay after %d gives %d records, want %d", p.Floor, len(got), len(m.records[p.Floor:]))
	}
	if m.keep > 0 && m.keep < p.Floor {
		if got := replay(t, s, m.keep); !slices.EqualFunc(got, m.records[m.keep:], sameRecord) {
			t.Fatalf("replay after %d, from where on the journal is kept, gives %d records, want %d", m.keep, len(got), len(m.records[m.keep:]))
		}
		m.kept++
	}
	m.checkOutbox(t, s)
	m.checkLetters(t, s, p.Floor)
	var keys []string
	if err := s.Snapshots(func(sn edged.Snapshot) error { keys = append(keys, sn.Key); return nil }); err != nil {
		t.Fatal(err)
	}
	want := make([]string, 0, len(m.states))
	for key := range m.states {
		want = append(want, key)
	}
	if sort.Strings(want); !slices.Equal(keys, want) {
		t.Fatalf("snapshots of keys %v, want %v", keys, want)
	}
	for _, key := range want {
		last := m.states[key][len(m.states[key])-1]
		sn, found, err := s.Snapshot("p", key)
		if err != nil || !found || sn.Seq != last.Seq || !bytes.Equal(sn.State, last.State) && !m.sameSeq(key) ||
			sn.Active != last.Active && !m.sameSeq(key) {
			t.Fatalf("snapshot of %s: %v %v %v, want %v", key, sn, found, err, last)
		}
	}
}

// sameSeq says whether a key has two snapshots of one record: which of them is
// newer is not defined.
func (m *model) sameSeq(key string) bool {
	st := m.states[key]
	return len(st) > 1 && st[len(st)-1].Seq == st[len(st)-2].Seq
}

func (m *model) checkOutbox(t *testing.T, s *persistence.Store) {
	t.Helper()
	pending := int64(0)
	for stream, all := range m.rows {
		slowest := uint64(len(all))
		for _, at := range m.cursors[stream] {
			slowest = min(slowest, at)
		}
		for _, r := range all[slowest:] {
			pending += int64(len(r.Payload))
		}
		for _, maxBytes := range []int{0, 1, 777, 1 << 20} {
			after := slowest + m.rnd.Uint64N(uint64(len(all))-slowest+1)
			got, err := s.Rows(stream, after, maxBytes)
			if err != nil {
				t.Fatal(err)
			}
			want := all[after:]
			size, n := 0, 0
			for n < len(want) && (n == 0 || size < maxBytes) {
				size += len(want[n].Payload)
				n++
			}
			if fmt.Sprint(got) != fmt.Sprint(want[:n]) {
				t.Fatalf("rows of %s after %d, %d bytes: got %d rows, want %d", stream, after, maxBytes, len(got), n)
			}
		}
	}
	if got := s.OutboxBytes(); got != pending {
		t.Fatalf("outbox holds %d bytes, want %d", got, pending)
	}
}

func (m *model) checkLetters(t *testing.T, s *persistence.Store, floor edged.Seq) {
	t.Helper()
	var got []edged.DeadLetter
	if err := s.DeadLetters(func(d edged.DeadLetter) error { got = append(got, d); return nil }); err != nil {
		t.Fatal(err)
	}
	kept := int(s.Stats().DeadLetters.Items)
	want := slices.DeleteFunc(slices.Clone(m.letters[len(m.letters)-kept:]), func(d edged.DeadLetter) bool { return m.retried[d.Number] })
	if kept > m.max || kept < min(len(m.letters), m.max*3/4) || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("%d dead letters, want %d of the last %d of %d, at most %d", len(got), len(want), kept, len(m.letters), m.max)
	}
	var counted uint64
	for _, c := range s.Stats().Causes {
		counted += c.Count
	}
	if counted != uint64(len(m.letters)) {
		t.Fatalf("counted %d dead letters, want %d", counted, len(m.letters))
	}
	skips := map[string]bool{}
	for _, d := range m.letters {
		if d.Skip && d.Seq > floor {
			skips[fmt.Sprint(d.Pipeline, d.Key, d.Seq)] = true
		}
	}
	n := 0
	err := s.Skips(func(pipeline, key string, seq edged.Seq) error {
		if n++; !skips[fmt.Sprint(pipeline, key, seq)] {
			t.Fatalf("unexpected skip of %d in %s for %s", seq, pipeline, key)
		}
		return nil
	})
	if err != nil || n != len(skips) {
		t.Fatalf("%d skips, %v, want %d", n, err, len(skips))
	}
}

// openModel opens a store as the model wants it.
func (m *model) open(t *testing.T, dir string) *persistence.Store {
	t.Helper()
	cfg := config(dir)
	cfg.SegmentBytes, cfg.DeadLettersMax = persistence.SegmentBytesMin, m.max
	s := open(t, cfg)
	for stream, outputs := range map[string][]string{"a": {"x", "y"}, "b": {"x"}} {
		if err := s.SetOutputs(stream, outputs); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestStoreAgreesWithModel(t *testing.T) {
	rnd := persistence.NewRand(t)
	kept, retried := 0, 0
	for range 4 {
		dir := t.TempDir()
		m := newModel(rnd, 8+rnd.IntN(40))
		s := m.open(t, dir)
		for i := range 120 {
			commit(t, s, *m.next())
			if rnd.IntN(10) == 0 {
				s.Close()
				s = m.open(t, dir)
			}
			if i%8 == 0 {
				m.check(t, s)
			}
		}
		m.check(t, s)
		if st := s.Stats(); st.Journal.Dropped == 0 || st.Outbox.Dropped == 0 || st.DeadLetters.Dropped == 0 {
			t.Errorf("nothing was ever dropped: %+v", st)
		}
		kept, retried = kept+m.kept, retried+len(m.retried)
		s.Close()
		r, err := persistence.Inspect(dir)
		if err != nil || r.ProblemCount > 0 || r.Keys != len(m.states) || r.Seq != m.seq() {
			t.Errorf("inspection: %v, %+v", err, r)
		}
	}
	if kept == 0 || retried == 0 {
		t.Errorf("too little happened for this test to fail: the journal was kept %d times, %d letters were retried", kept, retried)
	}
}

// TestPowerCutDuringCommit builds the files that a power cut in the middle of a
// commit may leave: any part of the data pages is written, the meta page only
// when all of them are.
func TestPowerCutDuringCommit(t *testing.T) {
	rnd := persistence.NewRand(t)
	dir := t.TempDir()
	m := newModel(rnd, 50)
	s := m.open(t, dir)
	path := filepath.Join(dir, "edged.db")
	for range 30 {
		commit(t, s, *m.next())
	}
	for range 10 {
		seq := m.seq()
		before := readFile(t, path)
		commit(t, s, *m.next())
		after := readFile(t, path)
		cut, all := slices.Clone(before), true
		cut = append(cut, make([]byte, len(after)-len(before))...)
		for at := 8192; at < len(after); at += 512 {
			if !bytes.Equal(after[at:at+512], cut[at:at+512]) {
				if rnd.IntN(3) == 0 {
					all = false
					continue
				}
				copy(cut[at:], after[at:at+512])
			}
		}
		if got := openImage(t, dir, cut).Position().Seq; got != seq {
			t.Fatalf("store stands at %d after a cut, want %d (all data written: %v)", got, seq, all)
		}
		m.check(t, openImage(t, dir, after)) // a kill between two commits
	}
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// openImage opens a copy of the store in dir whose database is the given image,
// after it has passed an inspection.
func openImage(t *testing.T, dir string, image []byte) *persistence.Store {
	t.Helper()
	other := copyStore(t, dir, image)
	if r, err := persistence.Inspect(other); err != nil || r.ProblemCount > 0 {
		t.Fatalf("inspection: %v, %+v", err, r)
	}
	cfg := config(other)
	cfg.SegmentBytes, cfg.DeadLettersMax = persistence.SegmentBytesMin, 50
	return open(t, cfg)
}

// copyStore returns a new directory with the identity of dir and a database.
func copyStore(t testing.TB, dir string, image []byte) string {
	t.Helper()
	other := t.TempDir()
	for name, text := range map[string][]byte{"edged.db": image, "store.json": readFile(t, filepath.Join(dir, "store.json"))} {
		if err := os.WriteFile(filepath.Join(other, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return other
}
