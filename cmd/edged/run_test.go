package main

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"edged/internal/mosquitto"
	"edged/internal/oracle"
	"edged/internal/sim"
	"edged/persistence"
)

// pane is a result of the demo's pipeline, with what is checked of it.
type pane struct {
	Device string
	Start  int64
	End    int64
	Count  int64
	Sum    float64
	Min    float64
	Max    float64
	First  float64
	Last   float64
}

// expected computes the windows of payloads as if they had come at once.
func expected(t *testing.T, payloads []string, size time.Duration) map[string]oracle.Window {
	t.Helper()
	seen := map[string]bool{}
	var events []oracle.Event
	for _, p := range payloads {
		e := decode[struct {
			Device string
			TS     int64
			Temp   float64
		}](t, p)
		events = append(events, oracle.Event{Key: e.Device, Time: e.TS, Value: e.Temp, Duplicate: seen[p]})
		seen[p] = true
	}
	windows := map[string]oracle.Window{}
	for _, w := range oracle.Tumbling(events, size.Milliseconds(), 0) {
		windows[fmt.Sprint(w.Key, w.Start)] = w
	}
	return windows
}

// compare checks results against windows, one by one.
func compare(t *testing.T, results []string, windows map[string]oracle.Window) {
	t.Helper()
	if len(results) != len(windows) {
		t.Errorf("%d results for %d windows", len(results), len(windows))
	}
	for _, text := range results {
		p := decode[pane](t, text)
		w, ok := windows[fmt.Sprint(p.Device, p.Start)]
		same := ok && p.End == w.End && p.Count == w.Count && math.Abs(p.Sum-w.Sum) < 1e-6 &&
			p.Min == w.Min && p.Max == w.Max && p.First == w.First && p.Last == w.Last
		if !same {
			t.Errorf("result %s\nbut the window is %+v", text, w)
		}
	}
}

// withoutNumber removes what depends on when a result was computed: its number, and
// the watermark, which is another one when silence closed the window than when the
// end of a file did.
func withoutNumber(t *testing.T, results []string) []string {
	t.Helper()
	var all []string
	for _, r := range results {
		for _, member := range []string{`"watermark":`, `"seq":`} {
			head, tail, ok := strings.Cut(r, member)
			_, tail, ok2 := strings.Cut(tail, ",")
			if !ok || !ok2 {
				t.Fatalf("no %s in %s", member, r)
			}
			r = head + tail
		}
		all = append(all, r)
	}
	slices.Sort(all)
	return all
}

// TestRun publishes a fleet, stops edged in the middle, publishes more, and
// compares all results with a recomputation and with edged replay.
func TestRun(t *testing.T) {
	b := mosquitto.Start(t)
	up := startUpstream(t, b.URL(), "agg/+")
	config := writeFile(t, "demo.yaml", strings.Replace(string(demoDocument), "idle_timeout: 5s", "idle_timeout: 1s", 1))
	args := []string{"--config", config, "--data-dir", t.TempDir(), "--mqtt-url", b.URL(), "--http-listen=", "--gateway-id", "gw"}
	const seed, events = 11, 6000
	fleet := newFleet(t, seed, events, 1_700_000_000_000)
	first, second := &half{Fleet: fleet, left: events / 2}, &half{Fleet: fleet, left: math.MaxInt}

	r := startRun(t, args...)
	r.says("recovered")
	payloads := publish(t, b.URL(), first)
	r.says("max_queued_messages")
	if code := r.stop(); code != exitOK {
		t.Fatalf("exit code %d: %s", code, r.err.String())
	}
	if log := r.err.String(); !strings.Contains(log, "stopped; kept on disk") || !strings.Contains(log, "open_windows=") || !strings.Contains(log, "max_queued_messages") {
		t.Errorf("the log lacks what was kept, or advice: %s", log)
	}
	payloads = append(payloads, publish(t, b.URL(), second)...) // edged is away

	r = startRun(t, args...)
	r.says("recovered")
	windows := expected(t, payloads, 3*time.Second)
	eventually(t, fmt.Sprintf("%d windows have closed", len(windows)), func() bool { return len(up.results()) >= len(windows) },
		func() string { return fmt.Sprintf("%d results; %s", len(up.results()), r.err.String()) })
	if code := r.stop(); code != exitOK {
		t.Fatalf("exit code %d: %s", code, r.err.String())
	}
	compare(t, up.results(), windows)
	if err := up.receiver.Check(); err != nil {
		t.Error(err)
	}

	input := strings.Join(payloads, "\n")
	code, stdout, stderr := edgedStdin(t, input, "replay", "-c", config, "--gateway-id", "gw", "-i", "-")
	if code != exitOK {
		t.Fatalf("replay: exit code %d: %s", code, stderr)
	}
	live, replayed := withoutNumber(t, up.results()), withoutNumber(t, strings.Split(strings.TrimSpace(stdout), "\n"))
	if !slices.Equal(live, replayed) {
		t.Errorf("%d live results are not those %d of a replay; seed %d", len(live), len(replayed), seed)
	}
}

// TestOutputs writes one pipeline to a file, to standard output and upstream, and
// late events to a file.
func TestOutputs(t *testing.T) {
	b := mosquitto.Start(t)
	up := startUpstream(t, b.URL(), "agg/+")
	dir := t.TempDir()
	results, late := filepath.Join(dir, "results.ndjson"), filepath.Join(dir, "late.ndjson")
	config := writeFile(t, "outputs.yaml", document("", `    outputs: [{mqtt: {topic: "agg/{key}"}}, {stdout: {}}, {file: {path: `+results+`}}]
    late_output: [{file: {path: `+late+`}}]
`))
	r := startRun(t, "--config", config, "--data-dir", filepath.Join(dir, "data"), "--mqtt-url", b.URL(), "--http-listen=")
	r.says("recovered")
	publish(t, b.URL(), newFleet(t, 3, 2000, 1_700_000_000_000))
	publish(t, b.URL(), newFleet(t, 4, 30, 1_600_000_000_000)) // all too late
	eventually(t, "late events are there", func() bool { return lines(t, late) >= 30 }, r.err.String)
	if code := r.stop(); code != exitOK {
		t.Fatalf("exit code %d: %s", code, r.err.String())
	}
	eventually(t, "the upstream has them all", func() bool { return len(up.results()) >= lines(t, results) }, r.err.String)
	want := strings.Join(up.results(), "\n") + "\n"
	text, err := os.ReadFile(results)
	if err != nil || len(up.results()) == 0 {
		t.Fatalf("%d results, %v", len(up.results()), err)
	}
	if string(text) != want || r.out.String() != want {
		t.Errorf("%d results upstream, %d in the file, %d on stdout", len(up.results()), lines(t, results), strings.Count(r.out.String(), "\n"))
	}
	if text, _ := os.ReadFile(late); lines(t, late) != 30 || bytes.Count(text, []byte(`"pane":"dropped_late"`)) != 30 {
		t.Errorf("late events: %s", text)
	}
}

func lines(t *testing.T, path string) int {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return bytes.Count(text, []byte{'\n'})
}

// TestSignals sends real signals to a real process.
func TestSignals(t *testing.T) {
	b := mosquitto.Start(t)
	dir := t.TempDir()
	config := writeFile(t, "demo.yaml", string(demoDocument))
	env := append(os.Environ(), asProcess+"=1", "EDGED_MQTT_URL="+b.URL(), "EDGED_DATA_DIR="+dir, "EDGED_HTTP_LISTEN=")
	cmd := exec.Command(os.Args[0], "run", "--config", config)
	log := &syncBuffer{}
	cmd.Env, cmd.Stderr = env, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	eventually(t, "it has recovered", func() bool { return strings.Contains(log.String(), "recovered") }, log.String)

	code, _, stderr := edgedCmd(t, "inspect", dir)
	if code != exitInUse || !strings.Contains(stderr, "in use") || !strings.Contains(stderr, "copy") {
		t.Errorf("inspect of a store in use: code %d: %s", code, stderr)
	}
	code, _, stderr = edgedCmd(t, "run", "--config", config, "--mqtt-url", b.URL(), "--data-dir", dir, "--http-listen=")
	if code != exitInUse {
		t.Errorf("a second edged on the same directory: code %d: %s", code, stderr)
	}
	publish(t, b.URL(), newFleet(t, 5, 1000, 1_700_000_000_000))
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("it ended with %v: %s", err, log.String())
	}
	code, stdout, stderr := edgedCmd(t, "inspect", "--json", dir)
	report := decode[persistence.Report](t, stdout)
	if code != exitOK || report.ProblemCount != 0 || report.Seq == 0 {
		t.Errorf("inspect: code %d: %s: %+v", code, stderr, report)
	}
	if code, stdout, _ = edgedCmd(t, "inspect", dir); code != exitOK || !strings.Contains(stdout, "every checksum is right") {
		t.Errorf("inspect prints: code %d: %s", code, stdout)
	}
}

// TestInspectDamage flips a byte in the middle of a store.
func TestInspectDamage(t *testing.T) {
	b := mosquitto.Start(t)
	dir := t.TempDir()
	config := writeFile(t, "demo.yaml", string(demoDocument))
	up := startUpstream(t, b.URL(), "agg/+")
	r := startRun(t, "--config", config, "--data-dir", dir, "--mqtt-url", b.URL(), "--http-listen=")
	r.says("recovered")
	payloads := publish(t, b.URL(), newFleet(t, 6, 500, 1_700_000_000_000))
	eventually(t, "every device has a result, so its readings are committed", func() bool { return len(up.results()) >= 60 }, r.err.String)
	if code := r.stop(); code != exitOK {
		t.Fatal(r.err.String())
	}
	path := filepath.Join(dir, "edged.db")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := -1
	var payload []byte
	for n := min(len(payloads), 100); n > 0 && at < 0; n-- { // the last may be with the broker still
		payload = []byte(payloads[n-1])
		at = bytes.Index(text, payload)
	}
	if at < 0 {
		t.Fatal("the journal does not hold the payloads")
	}
	text[at+10] ^= 1
	// bbolt copies pages: the damage must hit the live copy, so hit them all.
	for i := at + 11; ; {
		j := bytes.Index(text[i:], payload)
		if j < 0 {
			break
		}
		i += j
		text[i+10] ^= 1
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := edgedCmd(t, "inspect", dir)
	if code != exitCheck || !strings.Contains(stdout, "PROBLEM") {
		t.Errorf("inspect: code %d: %s%s", code, stdout, stderr)
	}
	r = startRun(t, "--config", config, "--data-dir", dir, "--mqtt-url", b.URL(), "--http-listen=")
	eventually(t, "it ends", func() bool { return len(r.code) > 0 }, r.err.String)
	if code := r.stop(); code != exitStore {
		t.Errorf("run on a damaged journal: code %d: %s", code, r.err.String())
	}
}

// TestRowsOfAnAbsentStream: they are kept, and told of, until discarded.
func TestRowsOfAnAbsentStream(t *testing.T) {
	b := mosquitto.Start(t)
	dir := t.TempDir()
	with := writeFile(t, "with.yaml", string(demoDocument))
	without := writeFile(t, "without.yaml", strings.Replace(string(demoDocument), "name: device-windows", "name: other", 1))
	args := []string{"--data-dir", dir, "--mqtt-url", b.URL(), "--http-listen="}
	r := startRun(t, append(args, "--config", with, "--upstream-url", "tcp://127.0.0.1:1")...)
	r.says("recovered")
	publish(t, b.URL(), newFleet(t, 7, 1000, 1_700_000_000_000))
	r.stop()
	if !strings.Contains(r.err.String(), "rows wait in the outbox") {
		t.Fatalf("no row waits: %s", r.err.String())
	}
	waiting := func() uint64 {
		code, stdout, stderr := edgedCmd(t, "inspect", "--json", dir)
		if code != exitOK {
			t.Fatalf("inspect: %s", stderr)
		}
		for _, s := range decode[persistence.Report](t, stdout).Streams {
			if s.Name == "device-windows" {
				return s.PendingRows
			}
		}
		t.Fatalf("no such stream: %s", stdout)
		return 0
	}
	before := waiting()
	r = startRun(t, append(args, "--config", without)...)
	r.says("not configured any more")
	r.stop()
	if after := waiting(); after != before || before == 0 {
		t.Errorf("%d rows waited, now %d", before, after)
	}
	r = startRun(t, append(args, "--config", without, "--discard-stream", "device-windows")...)
	r.says("stream discarded")
	r.stop()
	if after := waiting(); after != 0 {
		t.Errorf("%d rows wait after the stream was discarded", after)
	}
}

// TestOversize: a message above the limit becomes a dead letter, its neighbours
// are processed, and nothing is sent again for ever.
func TestOversize(t *testing.T) {
	b := mosquitto.Start(t)
	dir := t.TempDir()
	config := writeFile(t, "demo.yaml", string(demoDocument))
	r := startRun(t, "--config", config, "--data-dir", dir, "--mqtt-url", b.URL(), "--http-listen=", "--mqtt-packet-bytes-max", "2KiB")
	r.says("recovered")
	big, err := sim.NewFleet(sim.Config{Seed: 8, Devices: 3, Events: 5, Rate: 10, Start: 1_700_000_000_000, PayloadPad: 5000})
	if err != nil {
		t.Fatal(err)
	}
	publish(t, b.URL(), newFleet(t, 8, 10, 1_700_000_000_000))
	publish(t, b.URL(), big)
	publish(t, b.URL(), newFleet(t, 9, 10, 1_700_000_000_000))
	r.stop()
	_, stdout, _ := edgedCmd(t, "inspect", "--json", dir)
	letters := decode[persistence.Report](t, stdout).DeadLetters
	if len(letters.Causes) != 1 || letters.Causes[0] != (persistence.CauseCount{Cause: "oversize", Count: 5}) {
		t.Errorf("dead letters %+v; log %s", letters, r.err.String())
	}
}
