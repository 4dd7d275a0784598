package persistence_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"edged"
	"edged/persistence"
)

// childEnv makes the test binary a process that commits to the store it names
// and prints the record after each commit, until it is killed.
const childEnv = "EDGED_TEST_STORE"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		if err := commitForEver(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

func commitForEver(dir string) error {
	s, err := persistence.Open(childConfig(dir))
	if err != nil {
		return err
	}
	for {
		p := s.Position()
		c := edged.Commit{Records: messages(p.Seq, 50), Rows: rows("m", p.Streams["m"], 7)}
		if err := s.Commit(&c); err != nil {
			return err
		}
		fmt.Println(s.Position().Seq)
	}
}

func childConfig(dir string) persistence.Config {
	cfg := config(dir)
	cfg.SegmentBytes = 64 << 10
	return cfg
}

func TestKilledProcessLosesNothingItReported(t *testing.T) {
	rnd := persistence.NewRand(t)
	dir := t.TempDir()
	for round := range 5 {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), childEnv+"="+dir)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		var reported edged.Seq
		lines := bufio.NewScanner(out)
		for range 1 + rnd.IntN(100) {
			if !lines.Scan() {
				break
			}
			fmt.Sscan(lines.Text(), &reported)
		}
		if round == 0 {
			if _, err := persistence.Open(config(dir)); !errors.Is(err, persistence.ErrInUse) {
				t.Errorf("open beside a running process gave %v, want ErrInUse", err)
			}
		}
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() {
			fmt.Sscan(lines.Text(), &reported)
		}
		child.Wait() // It was killed.

		s := open(t, childConfig(dir))
		p := s.Position()
		if p.Seq < reported || p.Seq > reported+50 || p.Streams["m"] != uint64(p.Seq)/50*7 {
			t.Errorf("store stands at record %d, row %d after record %d was reported", p.Seq, p.Streams["m"], reported)
		}
		if n := len(replay(t, s, p.Floor)); n != int(p.Seq-p.Floor) {
			t.Errorf("replay gives %d records, want %d", n, p.Seq-p.Floor)
		}
		s.Close()
	}
}

func TestFullStoreKeepsWhatItHas(t *testing.T) {
	cfg := config(t.TempDir())
	cfg.MaxBytes, cfg.SegmentBytes = persistence.FileBytesMin, 1<<20
	s := open(t, cfg)
	var last edged.Position
	var err error
	for range 100 {
		last = s.Position()
		row := edged.Row{Stream: "m", Seq: last.Streams["m"] + 1, Payload: make([]byte, 1<<20)}
		if err = s.Commit(&edged.Commit{Records: messages(last.Seq, 1), Rows: []edged.Row{row}}); err != nil {
			break
		}
	}
	if !errors.Is(err, persistence.ErrFull) {
		t.Fatalf("commits ended with %v, want ErrFull", err)
	}
	if err := s.Commit(&edged.Commit{}); !errors.Is(err, persistence.ErrFailed) {
		t.Errorf("commit after the failure gave %v, want ErrFailed", err)
	}
	s.Close()
	s = open(t, cfg)
	if p := s.Position(); fmt.Sprint(p) != fmt.Sprint(last) || p.Seq == 0 || len(replay(t, s, 0)) != int(p.Seq) {
		t.Errorf("store stands at %v, want %v", p, last)
	}
	// Confirming makes room again.
	row := last.Streams["m"]
	for range 5 {
		commit(t, s, edged.Commit{Cursors: []edged.Cursor{{Stream: "m", Output: "o", Seq: row}}})
	}
	for range 8 {
		row++
		commit(t, s, edged.Commit{Rows: []edged.Row{{Stream: "m", Seq: row, Payload: make([]byte, 1<<20)}}})
	}
}

func TestFilesThatDoNotBelongTogether(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	for _, dir := range []string{a, b} {
		s := open(t, config(dir))
		commit(t, s, edged.Commit{Records: messages(0, 1)})
		s.Close()
	}
	image := readFile(t, filepath.Join(a, "edged.db"))
	db, id := filepath.Join(b, "edged.db"), filepath.Join(b, "store.json")

	t.Run("other database", func(t *testing.T) {
		own := readFile(t, db)
		write(t, db, image)
		refused(t, b, "names store")
		write(t, db, own)
	})
	t.Run("missing database", func(t *testing.T) {
		own := readFile(t, db)
		if err := os.Remove(db); err != nil {
			t.Fatal(err)
		}
		refused(t, b, "missing")
		write(t, db, own)
	})
	t.Run("missing identity is completed", func(t *testing.T) {
		own := readFile(t, id)
		if err := os.Remove(id); err != nil {
			t.Fatal(err)
		}
		s := open(t, config(b))
		if got := readFile(t, id); s.Position().Seq != 1 || string(got) != string(own) {
			t.Errorf("store stands at %d with identity %s, want 1 with %s", s.Position().Seq, got, own)
		}
		s.Close()
	})
	t.Run("empty database without identity", func(t *testing.T) {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "edged.db"), nil)
		refused(t, dir, "edged.db")
	})
	t.Run("later format", func(t *testing.T) {
		write(t, id, []byte(strings.Replace(string(readFile(t, id)), `"format": 1`, `"format": 2`, 1)))
		if _, err := persistence.Open(config(b)); err == nil || !strings.Contains(err.Error(), "format 2") {
			t.Errorf("open gave %v, want it to name the format", err)
		}
	})
}

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func refused(t *testing.T, dir, reason string) {
	t.Helper()
	if _, err := persistence.Open(config(dir)); !errors.Is(err, persistence.ErrCorrupt) || !strings.Contains(err.Error(), reason) {
		t.Errorf("open gave %v, want ErrCorrupt and %q", err, reason)
	}
}
