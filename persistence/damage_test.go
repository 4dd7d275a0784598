package persistence

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"go.etcd.io/bbolt"

	"edged"
)

func quiet(dir string) Config {
	return Config{Dir: dir, Logger: slog.New(slog.DiscardHandler), SegmentBytes: SegmentBytesMin}
}

// filled makes a store with something of every kind in it and returns its
// directory, closed, and what reading gives.
func filled(t *testing.T) (dir string, want contents) {
	t.Helper()
	dir = t.TempDir()
	s, err := Open(quiet(dir))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		c := edged.Commit{Generation: uint64(i / 10), Time: edged.Timestamp(i)}
		for j := range 10 {
			n := i*10 + j + 1
			c.Records = append(c.Records, edged.Record{Seq: edged.Seq(n), Kind: edged.MessageRecord, Topic: "t", Payload: fmt.Appendf(nil, "payload %d of %0100d", n, n)})
			c.Rows = append(c.Rows, edged.Row{Stream: "m", Seq: uint64(n), Topic: "u", Payload: fmt.Appendf(nil, "row %d of %0100d", n, n)})
		}
		seq := edged.Seq(i*10 + 10)
		for j := range 5 {
			key := fmt.Sprint("key", (i*5+j)%50)
			c.Snapshots = append(c.Snapshots, edged.Snapshot{Pipeline: "p", Key: key, Seq: seq, Open: 1, State: fmt.Appendf(nil, "state of %s at %d %0100d", key, seq, seq)})
		}
		c.DeadLetters = append(c.DeadLetters, edged.DeadLetter{Seq: seq, Pipeline: "p", Cause: "panic", Payload: []byte("poison"), Skip: true})
		c.Cursors = []edged.Cursor{{Stream: "m", Output: "o", Seq: uint64(i * 5)}}
		if i%10 == 9 {
			c.Sweep = &edged.Sweep{Generation: uint64(i / 10), Start: edged.Seq(i/10*100 + 1)}
		}
		if err := s.Commit(&c); err != nil {
			t.Fatal(err)
		}
	}
	want = read(s)
	if want.err != nil || len(want.records) == 0 || len(want.rows) == 0 || len(want.letters) != 40 || len(want.skips) == 0 || len(want.states) != 50 {
		t.Fatalf("the store is not as filled as it should be: %+v", want)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, want
}

// contents is all that can be read from a store.
type contents struct {
	records, rows, letters, skips []string
	states                        map[string]string // by key
	err                           error             // everything that failed
}

func read(s *Store) contents {
	c := contents{states: map[string]string{}}
	note := func(err error) { c.err = errors.Join(c.err, err) }
	note(s.Replay(edged.Seq(s.state.Journal.floor()), func(r *edged.Record) error { c.records = append(c.records, fmt.Sprint(*r)); return nil }))
	rows, err := s.Rows("m", 195, 1<<20)
	note(err)
	for _, r := range rows {
		c.rows = append(c.rows, fmt.Sprint(r))
	}
	note(s.DeadLetters(func(d edged.DeadLetter) error { c.letters = append(c.letters, fmt.Sprint(d)); return nil }))
	note(s.Skips(func(p, key string, seq edged.Seq) error {
		c.skips = append(c.skips, fmt.Sprint(p, key, seq))
		return nil
	}))
	note(s.Snapshots(func(edged.Snapshot) error { return nil }))
	for i := range 50 {
		key := fmt.Sprint("key", i)
		sn, found, err := s.Snapshot("p", key)
		note(err)
		if found {
			c.states[key] = string(sn.State)
		}
	}
	return c
}

// wrong says what differs from want although no error was reported for it. A
// snapshot may be missing or be the older generation: replay makes up for it.
func (c contents) wrong(want contents) string {
	for name, pair := range map[string][2][]string{
		"records": {c.records, want.records}, "rows": {c.rows, want.rows}, "letters": {c.letters, want.letters}, "skips": {c.skips, want.skips},
	} {
		if !slices.Equal(pair[0], pair[1]) && (c.err == nil || !isPart(pair[0], pair[1])) {
			return name
		}
	}
	for key, state := range c.states {
		if state != want.states[key] && !bytes.HasPrefix([]byte(state), fmt.Appendf(nil, "state of %s at ", key)) {
			return key
		}
	}
	return ""
}

// isPart says whether got is want without some of its elements.
func isPart(got, want []string) bool {
	for _, w := range want {
		if len(got) > 0 && got[0] == w {
			got = got[1:]
		}
	}
	return len(got) == 0
}

// region is a value in the file: where it is, and where free pages still have
// older copies of it.
type region struct {
	kind string
	offs []int64
	len  int64
}

// regions finds all live values, and the names of segments.
func regions(t *testing.T, dir string) []region {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(dir, databaseFile), 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	image, err := os.ReadFile(filepath.Join(dir, databaseFile))
	if err != nil {
		t.Fatal(err)
	}
	image = image[:fileBytesUsed(t, dir)]
	var out []region
	add := func(kind string, b []byte) {
		r := region{kind: kind, len: int64(len(b))}
		for at := 0; ; {
			i := bytes.Index(image[at:], b)
			if i < 0 {
				break
			}
			r.offs = append(r.offs, int64(at+i))
			at += i + 1
		}
		out = append(out, r)
	}
	err = db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			return b.ForEach(func(k, v []byte) error {
				if v != nil {
					add(string(name), v)
					return nil
				}
				add(string(name)+" segment", k)
				return b.Bucket(k).ForEach(func(_, v []byte) error { add(string(name), v); return nil })
			})
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestFlippedBits flips one bit after the other, in values of every kind. Each
// must be noticed by an inspection, and none may come out as data.
func TestFlippedBits(t *testing.T) {
	rnd := NewRand(t)
	dir, want := filled(t)
	byKind := map[string][]region{}
	for _, r := range regions(t, dir) {
		byKind[r.kind] = append(byKind[r.kind], r)
	}
	f, err := os.OpenFile(filepath.Join(dir, databaseFile), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for kind, rs := range byKind {
		noticed, loud := 0, 0
		const flips = 20
		for range flips {
			r := rs[rnd.IntN(len(rs))]
			at, bit := rnd.Int64N(r.len), byte(1)<<rnd.IntN(8)
			flip(t, f, r, at, bit)
			if rep, err := Inspect(dir); err != nil || rep.ProblemCount > 0 {
				noticed++
			}
			if s, err := Open(quiet(dir)); err != nil {
				loud++
				if !errors.Is(err, ErrCorrupt) && !bytes.Contains([]byte(err.Error()), []byte("format")) {
					t.Errorf("%s: open gave %v, want ErrCorrupt", kind, err)
				}
			} else {
				got := read(s)
				if w := got.wrong(want); w != "" {
					t.Errorf("%s: bit %#x at %d: %s are silently wrong", kind, bit, at, w)
				}
				if got.err != nil || s.Stats().SnapshotRepairs > 0 {
					loud++
				}
				s.Close()
			}
			flip(t, f, r, at, bit)
		}
		t.Logf("%-20s %d regions: %d of %d flips found by inspection, %d by reading", kind, len(rs), noticed, flips, loud)
		if noticed < flips {
			t.Errorf("%s: inspection found %d of %d flips", kind, noticed, flips)
		}
	}
	if s, err := Open(quiet(dir)); err != nil || read(s).err != nil || read(s).wrong(want) != "" {
		t.Errorf("the store did not survive the test: %v", err)
	} else {
		s.Close()
	}
}

// TestOneFlipIsOneProblem: damage to one frame says nothing about the others,
// wherever in its log and its segment the frame is.
func TestOneFlipIsOneProblem(t *testing.T) {
	dir, _ := filled(t)
	f, err := os.OpenFile(filepath.Join(dir, databaseFile), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	frames := 0
	for _, r := range regions(t, dir) {
		if r.kind != journalName && r.kind != outboxPrefix+"m" && r.kind != deadLettersName {
			continue
		}
		frames++
		flip(t, f, r, r.len-frameTail-1, 1) // the last byte of the last item
		if rep, err := Inspect(dir); err != nil || rep.ProblemCount != 1 {
			t.Errorf("%s: %v: %d problems: %v", r.kind, err, rep.ProblemCount, rep.Problems)
		}
		flip(t, f, r, r.len-frameTail-1, 1)
	}
	if frames < 20 {
		t.Errorf("only %d frames", frames)
	}
}

func flip(t *testing.T, f *os.File, r region, at int64, bit byte) {
	t.Helper()
	var b [1]byte
	for _, off := range r.offs {
		if _, err := f.ReadAt(b[:], off+at); err != nil {
			t.Fatal(err)
		}
		b[0] ^= bit
		if _, err := f.WriteAt(b[:], off+at); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRuinedFiles opens stores whose files were cut, emptied, mixed up or
// overwritten. None may become a new store, and none may end the process.
func TestRuinedFiles(t *testing.T) {
	dir, want := filled(t)
	image, err := os.ReadFile(filepath.Join(dir, databaseFile))
	if err != nil {
		t.Fatal(err)
	}
	used := fileBytesUsed(t, dir)
	zero := func(from, to int) func() []byte {
		return func() []byte { b := slices.Clone(image); clear(b[from:to]); return b }
	}
	cut := func(n int) func() []byte { return func() []byte { return image[:n] } }
	for _, c := range []struct {
		name string
		make func() []byte
		ok   bool // opens, and everything is there
	}{
		{"untouched", zero(0, 0), true},
		{"empty", cut(0), false},
		{"100 bytes", cut(100), false},
		{"one page", cut(4096), false},
		{"half", cut(used / 2), false},
		{"last page cut off", cut(used - 4096), false},
		{"last byte cut off", cut(used - 1), false},
		{"cut to what is used", cut(used), true},
		{"both metas zeroed", zero(0, 8192), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := os.WriteFile(filepath.Join(dir, databaseFile), c.make(), 0o600); err != nil {
				t.Fatal(err)
			}
			_, inspected := Inspect(dir)
			s, err := Open(quiet(dir))
			if !c.ok {
				if !errors.Is(err, ErrCorrupt) || !errors.Is(inspected, ErrCorrupt) {
					t.Errorf("open gave %v, inspect %v, want ErrCorrupt", err, inspected)
				}
				return
			}
			if err != nil || inspected != nil {
				t.Fatal(err, inspected)
			}
			defer s.Close()
			if got := read(s); got.err != nil || got.wrong(want) != "" {
				t.Errorf("%v: %s", got.err, got.wrong(want))
			}
		})
	}
}

// TestRuinedPages zeroes and scrambles each page in turn. Reading must give an
// error or the truth, and never end the process.
func TestRuinedPages(t *testing.T) {
	dir, want := filled(t)
	used := fileBytesUsed(t, dir)
	path := filepath.Join(dir, databaseFile)
	image, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	rnd := NewRand(t)
	harmless := 0
	for page := 2; page < used/4096; page++ {
		ruined := slices.Clone(image[:used])
		area := ruined[page*4096 : page*4096+4096]
		if clear(area); page%2 == 0 {
			for i := range area {
				area[i] = byte(rnd.Uint32())
			}
		}
		if err := os.WriteFile(path, ruined, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(quiet(dir))
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Errorf("page %d: open gave %v, want ErrCorrupt", page, err)
			}
			continue
		}
		got := read(s)
		if w := got.wrong(want); w != "" {
			t.Errorf("page %d: %s are silently wrong: %v", page, w, got.err)
		}
		if got.err == nil {
			harmless++
		}
		s.Close()
	}
	t.Logf("%d of %d pages were free or not read", harmless, used/4096-2)
	if harmless > used/4096/2 {
		t.Error("most pages do not matter: this test tests nothing")
	}
}

// fileBytesUsed returns how much of the file the database uses.
func fileBytesUsed(t *testing.T, dir string) int {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, databaseFile))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	return int(fileBytesWanted(f))
}

// TestMissingFrames removes one frame after the other: what is left is intact,
// only not all of it.
func TestMissingFrames(t *testing.T) {
	dir, want := filled(t)
	path := filepath.Join(dir, databaseFile)
	image, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	image = image[:fileBytesUsed(t, dir)]
	for _, name := range []string{journalName, outboxPrefix + "m", deadLettersName} {
		for n := 0; ; n++ {
			if err := os.WriteFile(path, image, 0o600); err != nil {
				t.Fatal(err)
			}
			if !removeFrame(t, path, name, n) {
				break
			}
			s, err := Open(quiet(dir))
			if err != nil {
				t.Fatal(err)
			}
			got := read(s)
			// Rows before the first one that read asks for may be missing.
			if got.wrong(want) != "" || got.err == nil && name == journalName {
				t.Errorf("%s without frame %d: reading gave %v, wrong %q", name, n, got.err, got.wrong(want))
			}
			s.Close()
			if r, err := Inspect(dir); err != nil || r.ProblemCount == 0 {
				t.Errorf("%s without frame %d: inspection gave %v and no problem", name, n, err)
			}
		}
	}
}

// TestEmptiedLog removes all frames of the journal and leaves its segments.
func TestEmptiedLog(t *testing.T) {
	dir, _ := filled(t)
	for removeFrame(t, filepath.Join(dir, databaseFile), journalName, 0) {
	}
	s, err := Open(quiet(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Replay(s.Position().Floor, func(*edged.Record) error { return nil }); !errors.Is(err, ErrCorrupt) {
		t.Errorf("replay gave %v, want ErrCorrupt", err)
	}
}

// removeFrame deletes the n-th frame of a log, if there is one.
func removeFrame(t *testing.T, path, log string, n int) (found bool) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		top := tx.Bucket([]byte(log))
		return top.ForEachBucket(func(seg []byte) error {
			c := top.Bucket(seg).Cursor()
			for k, _ := c.First(); k != nil && !found; k, _ = c.Next() {
				if n--; n < 0 {
					found = true
					return c.Delete()
				}
			}
			return nil
		})
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	return found
}
