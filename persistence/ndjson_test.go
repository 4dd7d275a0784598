package persistence_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"edged"
	"edged/persistence"
)

// running opens a file output and runs it until the test ends or stop is called.
func running(t *testing.T, path string, confirmed func([]uint64)) (n *persistence.NDJSON, stop func()) {
	t.Helper()
	n, err := persistence.OpenNDJSON(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	up, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		if err := n.Run(ctx, func() { close(up) }, func(err error) { t.Error(err) }, confirmed); err != nil {
			t.Error(err)
		}
	}()
	<-up
	return n, func() {
		cancel()
		<-ended
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}
}

func lines(rows []edged.Row) []byte {
	var b []byte
	for _, r := range rows {
		b = append(append(b, r.Payload...), '\n')
	}
	return b
}

func TestFileOutputWritesEachRowOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.ndjson")
	var got []uint64
	n, stop := running(t, path, func(seqs []uint64) { got = append(got, seqs...) })
	all := rows("m", 0, 10)
	for _, part := range [][]edged.Row{all[:4], all[:4], all[2:7], nil, all[6:]} {
		if err := n.Send(part); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	if err := n.Send(all); err == nil {
		t.Error("a closed output took rows")
	}
	n, stop = running(t, path, func([]uint64) {})
	defer stop()
	if n.Last() != 10 {
		t.Errorf("file is at row %d, want 10", n.Last())
	}
	if err := n.Send(rows("m", 8, 4)); err != nil {
		t.Fatal(err)
	}
	if want := lines(rows("m", 0, 12)); !bytes.Equal(readFile(t, path), want) {
		t.Errorf("file is\n%swant\n%s", readFile(t, path), want)
	}
	if want := []uint64{1, 2, 3, 4, 1, 2, 3, 4, 3, 4, 5, 6, 7, 7, 8, 9, 10}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("confirmed %v, want %v", got, want)
	}
}

// TestTornFile cuts a file at every byte and lets the output write the rest:
// every row must be there once.
func TestTornFile(t *testing.T) {
	all := rows("m", 0, 5)
	whole := lines(all)
	path := filepath.Join(t.TempDir(), "out.ndjson")
	for cut := range len(whole) + 1 {
		for _, junk := range []string{"", "\x00\x00\x00", "\x00\x00\n", "{\"seq\":99"} {
			if junk != "" && cut > 0 && whole[cut-1] != '\n' {
				continue // One crash leaves one kind of damage.
			}
			write(t, path, append(bytes.Clone(whole[:cut]), junk...))
			if cut == 0 && junk == "\x00\x00\n" {
				continue // No intact line at all: refused, see below.
			}
			n, stop := running(t, path, func([]uint64) {})
			if want := bytes.Count(whole[:cut], []byte("\n")); n.Last() != uint64(want) {
				t.Errorf("cut at %d, junk %q: file is at row %d, want %d", cut, junk, n.Last(), want)
			}
			if err := n.Send(all); err != nil {
				t.Fatal(err)
			}
			stop()
			if got := readFile(t, path); !bytes.Equal(got, whole) {
				t.Errorf("cut at %d, junk %q: file is\n%s", cut, junk, got)
			}
		}
	}
}

func TestLinesThatAreCutOffAreKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.ndjson")
	whole := lines(rows("m", 0, 5))
	damaged := bytes.Replace(whole, []byte(`{"seq":3`), []byte(`{"seq"x3`), 1)
	write(t, path, damaged)
	n, stop := running(t, path, func([]uint64) {})
	defer stop()
	at := bytes.Index(damaged, []byte(`{"seq"x3`))
	if got := readFile(t, fmt.Sprintf("%s.cut-%d", path, at)); n.Last() != 2 || !bytes.Equal(got, damaged[at:]) {
		t.Errorf("file is at row %d, kept %q", n.Last(), got)
	}
}

func TestForeignFileIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notes.txt")
	for _, text := range []string{"buy milk\n", "buy milk", "{\"a\":1}\n", "\n"} {
		write(t, path, []byte(text))
		if _, err := persistence.OpenNDJSON(path); !errors.Is(err, persistence.ErrCorrupt) {
			t.Errorf("open of %q gave %v, want ErrCorrupt", text, err)
		}
		if got := readFile(t, path); string(got) != text {
			t.Errorf("foreign file was changed to %q", got)
		}
	}
}

func TestLinesLongerThanTheWindow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.ndjson")
	var all []edged.Row
	for seq := range uint64(4) {
		payload := fmt.Appendf(nil, `{"pad":"%s","seq":%d}`, strings.Repeat("x", 1_500_000), seq+1)
		all = append(all, edged.Row{Stream: "m", Seq: seq + 1, Payload: payload})
	}
	for _, cut := range []int{0, 1, 1_499_999, 1_500_100} {
		whole := lines(all)
		write(t, path, whole[:len(whole)-cut])
		n, stop := running(t, path, func([]uint64) {})
		if err := n.Send(all); err != nil {
			t.Fatal(err)
		}
		stop()
		if !bytes.Equal(readFile(t, path), whole) {
			t.Errorf("cut by %d: file is not whole again", cut)
		}
	}
}

func TestOutputThatDoesNotRunTakesNothing(t *testing.T) {
	n, err := persistence.OpenNDJSON(filepath.Join(t.TempDir(), "out.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if err := n.Send(rows("m", 0, 1)); !errors.Is(err, persistence.ErrNotRunning) {
		t.Errorf("send gave %v, want ErrNotRunning", err)
	}
}

func TestFailingFileEndsRun(t *testing.T) {
	n, err := persistence.OpenNDJSON("/dev/full")
	if err != nil {
		t.Skip("no device that is always full: ", err)
	}
	defer n.Close()
	up, ended, downs := make(chan struct{}), make(chan error), 0
	go func() {
		ended <- n.Run(t.Context(), func() { close(up) }, func(error) { downs++ }, func([]uint64) { t.Error("confirmed") })
	}()
	<-up
	for range 2 {
		if err := n.Send(rows("m", 0, 1)); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("send gave %v, want ENOSPC", err)
		}
	}
	if err := <-ended; !errors.Is(err, syscall.ENOSPC) || downs != 1 {
		t.Errorf("run gave %v and called down %d times, want ENOSPC and 1", err, downs)
	}
}
