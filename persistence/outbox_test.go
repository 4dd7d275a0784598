package persistence_test

import (
	"fmt"
	"sync"
	"testing"

	"edged"
	"edged/persistence"
)

func cursors(s *persistence.Store) string {
	out := ""
	for _, c := range s.Position().Cursors {
		out += fmt.Sprintf("%s:%d ", c.Output, c.Seq)
	}
	return out
}

func TestOutputsComeAndGo(t *testing.T) {
	cfg := config(t.TempDir())
	cfg.SegmentBytes = persistence.SegmentBytesMin
	s := open(t, cfg)
	set := func(want string, outputs ...string) {
		t.Helper()
		if err := s.SetOutputs("m", outputs); err != nil {
			t.Fatal(err)
		}
		if got := cursors(s); got != want {
			t.Errorf("cursors are %q after outputs were set to %q, want %q", got, outputs, want)
		}
	}
	set("a:0 b:0 ", "a", "b")
	commit(t, s, edged.Commit{Rows: rows("m", 0, 1000)})
	commit(t, s, edged.Commit{Cursors: []edged.Cursor{{Stream: "m", Output: "a", Seq: 700}, {Stream: "m", Output: "b", Seq: 300}}})
	commit(t, s, edged.Commit{Cursors: []edged.Cursor{{Stream: "m", Output: "a", Seq: 600}}})
	set("a:700 b:300 ", "b", "a")            // cursors never go back
	set("a:700 b:300 c:300 ", "a", "b", "c") // a new one gets all that is owed
	set("d:300 ", "d")                       // as does one that replaces all others
	set("")
	commit(t, s, edged.Commit{Rows: rows("m", 1000, 1000)})
	if got := s.Stats().Outbox; got.Dropped > 300 || got.Items < 1700 {
		t.Errorf("a stream without outputs has dropped rows: %+v", got)
	}
	set("e:300 ", "e")
	commit(t, s, edged.Commit{Cursors: []edged.Cursor{{Stream: "m", Output: "e", Seq: 2000}}})
	if n := s.OutboxBytes(); n != 0 {
		t.Errorf("outbox holds %d bytes after all was confirmed", n)
	}
}

func TestDroppedStreamKeepsItsNumbers(t *testing.T) {
	dir := t.TempDir()
	s := open(t, config(dir))
	commit(t, s, edged.Commit{Rows: rows("m", 0, 10), Cursors: []edged.Cursor{{Stream: "m", Output: "a", Seq: 4}}})
	if n, err := s.DropStream("m"); n != 6 || err != nil {
		t.Errorf("drop gave %d, %v, want 6 unconfirmed rows", n, err)
	}
	if n, err := s.DropStream("none"); n != 0 || err != nil {
		t.Errorf("drop of a stream that never was gave %d, %v", n, err)
	}
	if got, err := s.Rows("m", 0, 1000); len(got) != 0 || err != nil || s.OutboxBytes() != 0 {
		t.Errorf("dropped stream has %d rows, %v, %d bytes", len(got), err, s.OutboxBytes())
	}
	s.Close()
	s = open(t, config(dir))
	commit(t, s, edged.Commit{Rows: rows("m", 10, 2)})
	if got, err := s.Rows("m", 0, 1000); len(got) != 2 || err != nil || got[0].Seq != 11 {
		t.Errorf("stream that came back has %d rows, %v", len(got), err)
	}
	s.Close()
	if r, err := persistence.Inspect(dir); err != nil || r.ProblemCount > 0 || r.Streams[0].PendingRows != 2 {
		t.Errorf("inspection: %v, %+v", err, r)
	}
}

// TestReadersRunBesideCommits is for the race detector.
func TestReadersRunBesideCommits(t *testing.T) {
	cfg := config(t.TempDir())
	cfg.SegmentBytes = persistence.SegmentBytesMin
	s := open(t, cfg)
	if err := s.SetOutputs("m", []string{"o"}); err != nil {
		t.Fatal(err)
	}
	confirmed := make(chan uint64, 1000)
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(confirmed)
		for after := uint64(0); after < 2000; {
			got, err := s.Rows("m", after, 500)
			if err != nil {
				t.Error(err)
				return
			}
			for _, r := range got {
				if after++; r.Seq != after {
					t.Errorf("row %d where %d comes next", r.Seq, after)
					return
				}
			}
			if len(got) > 0 {
				confirmed <- after
			}
			s.OutboxBytes()
			s.Stats()
			if _, found, err := s.Snapshot("p", "k"); err != nil || !found && after > 0 {
				t.Errorf("snapshot: %v %v", found, err)
			}
		}
	})
	for i := range uint64(200) {
		c := edged.Commit{Generation: i, Records: messages(edged.Seq(i*10), 10), Rows: rows("m", i*10, 10)}
		c.Snapshots = []edged.Snapshot{{Pipeline: "p", Key: "k", Seq: edged.Seq(i * 10), State: make([]byte, i)}}
		select {
		case seq, ok := <-confirmed:
			if ok {
				c.Cursors = []edged.Cursor{{Stream: "m", Output: "o", Seq: seq}}
			}
		default:
		}
		commit(t, s, c)
	}
	for range confirmed {
	}
	wg.Wait()
}

func TestCausesAreBounded(t *testing.T) {
	s := open(t, config(t.TempDir()))
	c := edged.Commit{}
	for i := range 1000 {
		c.DeadLetters = append(c.DeadLetters, edged.DeadLetter{Cause: fmt.Sprintf("cause %03d", i)})
	}
	commit(t, s, c)
	total, other := uint64(0), uint64(0)
	causes := s.Stats().Causes
	for _, cc := range causes {
		if total += cc.Count; cc.Cause == "other" {
			other = cc.Count
		}
	}
	if len(causes) != persistence.CausesMax || total != 1000 || other != 1000-persistence.CausesMax+1 {
		t.Errorf("%d causes with %d letters, %d of other causes", len(causes), total, other)
	}
}
