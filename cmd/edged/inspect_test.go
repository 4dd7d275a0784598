package main

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"edged"
	"edged/persistence"
)

// letterStore makes a store with one dead letter and returns its directory.
func letterStore(t *testing.T, payload []byte) string {
	t.Helper()
	dir := t.TempDir()
	s, err := persistence.Open(persistence.Config{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	err = s.Commit(&edged.Commit{
		Records:     []edged.Record{{Seq: 1, Kind: edged.MessageRecord, Topic: "a/b", Payload: payload}},
		DeadLetters: []edged.DeadLetter{{Seq: 1, Topic: "a/b", Cause: "syntax", Detail: "no object", Payload: payload, Size: len(payload)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestInspectLetters: both forms show what a payload was, whatever its bytes are.
func TestInspectLetters(t *testing.T) {
	dir := letterStore(t, []byte("\x1b\xff"+strings.Repeat("x", 78)+"yyy"))
	code, stdout, stderr := edgedCmd(t, "inspect", dir)
	if want := `topic "a/b": syntax: "no object", 83 bytes: "\x1b\xff` + strings.Repeat("x", 78) + `"...`; code != exitOK || !strings.Contains(stdout, want) {
		t.Errorf("code %d: %s%s\nwant %s", code, stdout, stderr, want)
	}
	_, stdout, _ = edgedCmd(t, "inspect", "--json", dir)
	var report struct {
		Letters struct {
			Last []map[string]json.RawMessage `json:"last"`
		} `json:"dead_letters"`
	}
	if err := json.Unmarshal([]byte(stdout), &report); err != nil || len(report.Letters.Last) != 1 {
		t.Fatalf("%v: %s", err, stdout)
	}
	var names []string
	for name := range report.Letters.Last[0] {
		names = append(names, name)
	}
	slices.Sort(names)
	if want := []string{"cause", "detail", "key", "payload", "pipeline", "seq", "size", "skip", "time", "topic"}; !slices.Equal(names, want) {
		t.Errorf("members are %v, want %v", names, want)
	}
	if got := decode[string](t, string(report.Letters.Last[0]["payload"])); got != `"\x1b\xff`+strings.Repeat("x", 78)+`yyy"` {
		t.Errorf("payload is %s", got)
	}
}

// TestDamageAtOpen: the error says what to do next, and inspect does not send
// the operator to inspect.
func TestDamageAtOpen(t *testing.T) {
	dir := letterStore(t, []byte("x"))
	if err := os.Truncate(filepath.Join(dir, "edged.db"), 100); err != nil {
		t.Fatal(err)
	}
	config := writeFile(t, "demo.yaml", string(demoDocument))
	code, _, stderr := edgedCmd(t, "run", "--config", config, "--data-dir", dir, "--http-listen=")
	if code != exitStore || !strings.HasSuffix(stderr, "run 'edged inspect DIR' to see what is damaged; restore a backup\n") {
		t.Errorf("run: code %d: %s", code, stderr)
	}
	code, _, stderr = edgedCmd(t, "inspect", dir)
	if code != exitStore || !strings.HasSuffix(stderr, "restore a backup\n") || strings.Contains(stderr, "edged inspect") {
		t.Errorf("inspect: code %d: %s", code, stderr)
	}
	if err := os.Remove(filepath.Join(dir, "store.json")); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr = edgedCmd(t, "inspect", dir); code != exitStore {
		t.Errorf("a database without store.json: code %d: %s", code, stderr)
	}
}

// TestKnownCauses: what has not occurred is 0, what has keeps its count.
func TestKnownCauses(t *testing.T) {
	counts := []persistence.CauseCount{{Cause: "other", Count: 2}, {Cause: "panic", Count: 3}}
	all := withKnownCauses(counts)
	seen := map[string]uint64{}
	for _, c := range all {
		seen[c.Cause] = c.Count
	}
	if len(seen) != len(all) || len(all) != 16 || seen["other"] != 2 || seen["panic"] != 3 || seen["syntax"] != 0 {
		t.Errorf("counts are %v", all)
	}
}
