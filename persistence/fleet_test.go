package persistence_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"edged"
	"edged/persistence"
)

func commitFleet(t *testing.T, s *persistence.Store, c persistence.FleetChange) {
	t.Helper()
	if err := s.CommitFleet(c); err != nil {
		t.Fatal(err)
	}
}

func auditLines(from, n int) (lines [][]byte) {
	for i := range n {
		lines = append(lines, fmt.Appendf(nil, "line %d\n", from+i))
	}
	return lines
}

// TestFleetComesBack: what was decided is there after a restart, beside everything
// else that the store keeps.
func TestFleetComesBack(t *testing.T) {
	cfg := config(t.TempDir())
	s := open(t, cfg)
	if st, err := s.Fleet(); err != nil || st.Guard != nil || st.Instance != "" {
		t.Fatalf("a new store: %+v, %v", st, err)
	}
	commitFleet(t, s, persistence.FleetChange{Guard: []byte("g1"), Instance: "i1", Counters: persistence.FleetCounters{Boot: 1, Session: 5}})
	commit(t, s, edged.Commit{Records: messages(0, 2)})
	commitFleet(t, s, persistence.FleetChange{Guard: []byte("g2"), Desired: []byte("d"), Audit: auditLines(1, 3), AuditFirst: 1})
	commitFleet(t, s, persistence.FleetChange{Counters: persistence.FleetCounters{Boot: 1, Session: 4, Event: 9}})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, cfg)
	st, err := s.Fleet()
	want := persistence.FleetCounters{Boot: 1, Session: 5, Event: 9} // none has fallen
	if err != nil || string(st.Guard) != "g2" || string(st.Desired) != "d" || st.Instance != "i1" || st.Counters != want {
		t.Errorf("%+v, %v", st, err)
	}
	first, lines, err := s.Audit(1, 1000)
	if err != nil || first != 2 || string(bytes.Join(lines, nil)) != "line 2\nline 3\n" {
		t.Errorf("audit from %d: %q, %v", first, lines, err)
	}
	if got := replay(t, s, 0); len(got) != 2 {
		t.Errorf("%d records beside it", len(got))
	}
	s.Close()
	if r, err := persistence.Inspect(cfg.Dir); err != nil || r.ProblemCount != 0 || *r.Fleet != (persistence.FleetReport{Instance: "i1", Boots: 1, Sessions: 5, AuditFirst: 1, AuditLast: 3}) {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestAuditIsBounded(t *testing.T) {
	cfg := config(t.TempDir())
	cfg.AuditLinesMax = 10
	s := open(t, cfg)
	for i := range 40 {
		commitFleet(t, s, persistence.FleetChange{Audit: auditLines(1+3*i, 3), AuditFirst: uint64(1 + 3*i)})
	}
	if first, last, err := s.AuditBounds(); err != nil || first != 111 || last != 120 {
		t.Errorf("lines %d to %d, %v", first, last, err)
	}
	first, lines, err := s.Audit(0, 20) // two lines fit
	if err != nil || first != 111 || len(lines) != 2 {
		t.Errorf("from %d: %q, %v", first, lines, err)
	}
	for name, c := range map[string]persistence.FleetChange{
		"too long":  {Audit: [][]byte{make([]byte, persistence.AuditLineBytesMax+1)}, AuditFirst: 121},
		"no number": {Audit: auditLines(121, 1)}, "large state": {Guard: make([]byte, persistence.FleetBytesMax+1)},
	} {
		if err := s.CommitFleet(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	commitFleet(t, s, persistence.FleetChange{Audit: auditLines(121, 1), AuditFirst: 121})
	if err := s.CommitFleet(persistence.FleetChange{Audit: auditLines(121, 1), AuditFirst: 121}); err == nil || !strings.Contains(err.Error(), "122 comes next") {
		t.Errorf("a number twice: %v", err)
	}
}

// TestFleetDamageIsFound flips one bit in each value.
func TestFleetDamageIsFound(t *testing.T) {
	for _, mark := range []string{"the guard", "the desired", "the line"} {
		cfg := config(t.TempDir())
		s := open(t, cfg)
		commitFleet(t, s, persistence.FleetChange{Guard: []byte("the guard"), Desired: []byte("the desired"), Instance: "i", Audit: [][]byte{[]byte("the line\n")}, AuditFirst: 1})
		s.Close()
		path := filepath.Join(cfg.Dir, "edged.db")
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for at := 0; ; at++ {
			i := bytes.Index(b[at:], []byte(mark))
			if i < 0 {
				break
			}
			at += i
			b[at] ^= 1
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		s = open(t, cfg)
		_, err = s.Fleet()
		_, _, auditErr := s.Audit(0, 1000)
		if !errors.Is(errors.Join(err, auditErr), persistence.ErrCorrupt) {
			t.Errorf("%s: %v, %v", mark, err, auditErr)
		}
		s.Close()
		if r, err := persistence.Inspect(cfg.Dir); err != nil || r.ProblemCount == 0 {
			t.Errorf("%s: inspect finds nothing: %v", mark, err)
		}
	}
}

func TestPurgeDeadLetters(t *testing.T) {
	cfg := config(t.TempDir())
	s := open(t, cfg)
	letters := func(n int) (all []edged.DeadLetter) {
		for range n {
			all = append(all, edged.DeadLetter{Cause: "syntax"})
		}
		return all
	}
	count := func() (n int) {
		if err := s.DeadLetters(func(edged.DeadLetter) error { n++; return nil }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	commit(t, s, edged.Commit{DeadLetters: letters(100)})
	for _, want := range []uint64{100, 0} {
		if n, err := s.PurgeDeadLetters(); err != nil || n != want || count() != 0 {
			t.Errorf("purged %d, %v, %d left", n, err, count())
		}
	}
	commit(t, s, edged.Commit{DeadLetters: letters(3)})
	s.Close()
	s = open(t, cfg)
	if st := s.Stats(); count() != 3 || st.DeadLetters.Dropped != 100 || st.Causes[0].Count != 103 {
		t.Errorf("%d letters after that, %+v", count(), st)
	}
	s.Close()
	if r, err := persistence.Inspect(cfg.Dir); err != nil || r.ProblemCount != 0 {
		t.Errorf("%+v, %v", r, err)
	}
}
