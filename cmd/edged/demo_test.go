package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"edged/internal/mosquitto"
)

// requireBroker skips where the binary was built without the broker.
func requireBroker(t *testing.T) {
	t.Helper()
	if !readBuild().Broker {
		t.Skip("built without the embedded broker (tag nobroker)")
	}
}

func TestDemo(t *testing.T) {
	requireBroker(t)
	code, stdout, stderr := edgedCmd(t, "demo", "--duration", "2500ms", "--window", "500ms", "--every", "1s", "--json", "--http-listen=")
	if code != exitOK {
		t.Fatalf("code %d: %s%s", code, stdout, stderr)
	}
	s := decode[demoSummary](t, stdout)
	if s.Published == 0 || s.Events == 0 || s.Duplicates == 0 || s.Verdict.Results == 0 || s.Verdict.Upto != s.Rows || s.Waiting != 0 || s.DeadLetters != 0 {
		t.Errorf("summary %s", stdout)
	}
}

// TestDemoContinues runs two demos over the same data and an outside broker.
func TestDemoContinues(t *testing.T) {
	b := mosquitto.Start(t)
	dir := t.TempDir()

	for range 2 {
		code, stdout, stderr := edgedCmd(t, "demo", "--duration", "1500ms", "--window", "300ms", "--every", "500ms", "--mqtt-url", b.URL(), "--data-dir", dir)
		if code != exitOK {
			t.Fatalf("code %d: %s%s", code, stdout, stderr)
		}
		for _, part := range []string{"readings", "== ", " 0 missing", "kept: ", "healthz"} {
			if !strings.Contains(stdout, part) {
				t.Errorf("%q is missing in %s", part, stdout)
			}
		}

	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("--data-dir holds %v (%v)", entries, err)
	}
}

func TestWatcherJudges(t *testing.T) {
	payload := func(seq, id string) []byte {
		return []byte(`{"device":"d","start":0,"end":1,"id":"` + id + `","seq":` + seq + `,"gateway":"demo"}`)
	}
	for _, c := range []struct {
		name      string
		since     uint64
		confirmed uint64
		payloads  [][]byte
		ok        bool
	}{
		{"nothing", 0, 0, nil, true},
		{"all", 0, 2, [][]byte{payload("1", "a"), payload("2", "b")}, true},
		{"repeats", 0, 2, [][]byte{payload("1", "a"), payload("2", "b"), payload("1", "a")}, true},
		{"after earlier ones", 5, 6, [][]byte{payload("6", "a")}, true},
		{"an earlier one once more", 5, 6, [][]byte{payload("3", "z"), payload("6", "a")}, true},
		{"a gap", 0, 3, [][]byte{payload("1", "a"), payload("3", "b")}, false},
		{"a gap after earlier ones", 5, 7, [][]byte{payload("7", "a")}, false},
		{"the last is missing", 0, 3, [][]byte{payload("1", "a"), payload("2", "b")}, false},
		{"a contradiction", 0, 1, [][]byte{payload("1", "a"), payload("1", "b")}, false},
		{"no result", 0, 0, [][]byte{[]byte("nonsense")}, false},
	} {
		w, err := newWatcher("tcp://127.0.0.1:1", "demo", "s", c.since, discardLogger())
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range c.payloads {
			w.take(p, time.Now())
		}
		if err := w.verdict().err(c.confirmed); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
