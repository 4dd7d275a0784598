package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"edged"
	"edged/fleet"
	"edged/internal/sim"
	"edged/mqtt"
)

var rewrite = flag.Bool("rewrite", false, "write golden files anew")

// asProcess makes the test binary behave as edged itself.
const asProcess = "EDGED_TEST_AS_PROCESS"

func TestMain(m *testing.M) {
	if os.Getenv(asProcess) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// testLimit bounds every wait.
const testLimit = 15 * time.Second

// syncBuffer is a buffer that goroutines of the command may write.
type syncBuffer struct {
	mu   sync.Mutex
	b    bytes.Buffer
	hear func(text string)
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hear != nil {
		s.hear(string(p))
	}
	return s.b.Write(p)
}

// listen lets a function hear what is written from now on, before anybody can read it; nil
// ends that.
func (s *syncBuffer) listen(hear func(text string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hear = hear
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// edgedCmd runs a command line in this process.
func edgedCmd(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return edgedStdin(t, "", args...)
}

func edgedStdin(t *testing.T, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err syncBuffer
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	defer cancel()
	code = execute(ctx, args, strings.NewReader(stdin), &out, &err)
	if ctx.Err() != nil {
		t.Fatalf("edged %v did not end: %s %s", args, err.String(), out.String())
	}
	return code, out.String(), err.String()
}

// running is an edged run in this process.
type running struct {
	t      *testing.T
	cancel context.CancelFunc
	code   chan int
	out    syncBuffer
	err    syncBuffer
}

func startRun(t *testing.T, args ...string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{t: t, cancel: cancel, code: make(chan int, 1)}
	go func() {
		r.code <- execute(ctx, append([]string{"run"}, args...), strings.NewReader(""), &r.out, &r.err)
	}()
	t.Cleanup(func() { r.stop() })
	return r
}

// stop drains and returns the exit code. It may be called again.
func (r *running) stop() int {
	r.cancel()
	select {
	case code := <-r.code:
		r.code <- code
		return code
	case <-time.After(testLimit):
		r.t.Fatalf("edged run does not end: %s", r.err.String())
		return -1
	}
}

// says waits until the log holds a text.
func (r *running) says(text string) {
	r.t.Helper()
	eventually(r.t, "the log says "+text, func() bool { return strings.Contains(r.err.String(), text) || len(r.code) > 0 }, r.err.String)
	if !strings.Contains(r.err.String(), text) {
		r.t.Fatalf("it ended and never said %s: %s", text, r.err.String())
	}
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, ok func() bool, detail func() string) {
	t.Helper()
	if !await(testLimit, ok) {
		t.Fatalf("waited %v in vain until %s: %s", testLimit, what, detail())
	}
}

// writeFile writes a file of the test and returns its path.
func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// document returns the pipeline of the demo with other outputs, and more settings.
func document(settings, outputs string) string {
	text := string(demoDocument)
	text = text[:strings.Index(text, "    outputs:")]
	return settings + text + outputs
}

// upstream collects results as a receiver would.
type upstream struct {
	mu       sync.Mutex
	payloads []string // applied ones
	receiver *fleet.Receiver
	source   *mqtt.Source
}

func startUpstream(t *testing.T, url, filter string) *upstream {
	t.Helper()
	source, err := mqtt.NewSource(mqtt.Config{URL: url, ClientID: "upstream", Logger: slog.New(slog.DiscardHandler)},
		[]mqtt.Subscription{{Filter: filter, QoS: 1}})
	if err != nil {
		t.Fatal(err)
	}
	u := &upstream{source: source, receiver: fleet.NewReceiver(fleet.Config{})}
	receiving := start(context.Background(), func(ctx context.Context) error {
		return source.Run(ctx, func(_ context.Context, b edged.Batch) error {
			for i := range b.Messages {
				u.take(t, b.Messages[i].Payload)
				source.Ack([]uint64{b.Messages[i].Ack})
			}
			return nil
		})
	})
	t.Cleanup(func() { receiving.end() })
	eventually(t, "the upstream is connected", source.Connected, func() string { return source.Stats().LastError })
	return u
}

func (u *upstream) take(t *testing.T, payload []byte) {
	u.mu.Lock()
	defer u.mu.Unlock()
	receipt, err := u.receiver.Take("results", payload)
	if err != nil {
		t.Errorf("result %s: %v", payload, err)
	} else if receipt.Verdict == fleet.Applied {
		u.payloads = append(u.payloads, string(payload))
	}
}

func (u *upstream) results() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return append([]string(nil), u.payloads...)
}

// publish drives samples into a broker and returns the payloads that it took.
func publish(t *testing.T, url string, src sim.Source) []string {
	t.Helper()
	pub, err := mqtt.NewPublisher(mqtt.Config{URL: url, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	var taken []string
	_, err = sim.Drive(t.Context(), pub, src, sim.DriverConfig{Acked: func(s *sim.Sample) {
		taken = append(taken, string(src.AppendPayload(nil, s)))
	}})
	if err != nil {
		t.Fatal(err)
	}
	return taken
}

// newFleet makes a fleet whose disorder is within the demo's watermark.
func newFleet(t *testing.T, seed uint64, events int, start edged.Timestamp) *sim.Fleet {
	t.Helper()
	f, err := sim.NewFleet(sim.Config{
		Seed: seed, Devices: 20, Events: events, Start: start, Step: 500 * time.Millisecond,
		Disorder: 900 * time.Millisecond, DuplicateShare: 0.05,
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func ndjson(t *testing.T, src sim.Source) string {
	t.Helper()
	var b bytes.Buffer
	if _, err := sim.WriteNDJSON(t.Context(), &b, src); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func decode[T any](t *testing.T, text string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("decode %s: %v", text, err)
	}
	return v
}

func discardLogger() *slog.Logger { return slog.New(slog.DiscardHandler) }

// half yields some of a fleet's samples, and a later half the ones that follow.
type half struct {
	*sim.Fleet
	left int
}

func (h *half) Next(s *sim.Sample) bool {
	if h.left == 0 {
		return false
	}
	h.left--
	return h.Fleet.Next(s)
}
