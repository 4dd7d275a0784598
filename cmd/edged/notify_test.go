package main

import (
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"edged/internal/mosquitto"
)

// manager is a service manager that listens.
type manager struct {
	conn  *net.UnixConn
	lines chan string
}

func startManager(t *testing.T) *manager {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	m := &manager{conn: conn, lines: make(chan string, 10_000)}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	go func() {
		defer close(m.lines)
		buf := make([]byte, 4096)
		for {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			for line := range strings.Lines(string(buf[:n])) {
				m.lines <- strings.TrimSuffix(line, "\n")
			}
		}
	}()
	return m
}

// hears waits for a line that begins so, and returns it with those before it.
func (m *manager) hears(t *testing.T, begin string) (line string, before []string) {
	t.Helper()
	limit := time.After(testLimit)
	for {
		select {
		case line := <-m.lines:
			if strings.HasPrefix(line, begin) {
				return line, before
			}
			before = append(before, line)
		case <-limit:
			t.Fatalf("the service manager did not hear %s, only %q", begin, before)
		}
	}
}

// TestNotify runs a daemon under a service manager: word of every phase, and food
// for the watchdog.
func TestNotify(t *testing.T) {
	b := mosquitto.Start(t)
	m := startManager(t)
	t.Setenv("WATCHDOG_USEC", "200000")
	config := writeFile(t, "demo.yaml", string(demoDocument))
	r := startRun(t, "--config", config, "--data-dir", t.TempDir(), "--mqtt-url", b.URL(), "--http-listen=")
	_, before := m.hears(t, "READY=1")
	if !slices.Contains(before, "STATUS=recovering") || slices.Contains(before, "WATCHDOG=1") {
		t.Errorf("before it was ready it said %q", before)
	}
	m.hears(t, "WATCHDOG=1")
	if line, _ := m.hears(t, "STATUS=source: connected"); !strings.Contains(line, "0 wait for outputs") {
		t.Errorf("the status is %s", line)
	}
	if code := r.stop(); code != exitOK {
		t.Fatalf("exit code %d: %s", code, r.err.String())
	}
	m.hears(t, "STOPPING=1")
}

// TestNotifyNobody: a socket that is not there is a warning, and edged runs.
func TestNotifyNobody(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "none"))
	config := writeFile(t, "demo.yaml", string(demoDocument))
	r := startRun(t, "--config", config, "--data-dir", t.TempDir(), "--mqtt-url", "tcp://127.0.0.1:1", "--http-listen=")
	r.says("the service manager cannot be told")
	r.says("recovered")
	if code := r.stop(); code != exitOK {
		t.Errorf("exit code %d: %s", code, r.err.String())
	}
}

func TestWatchdogLimit(t *testing.T) {
	for _, c := range []struct {
		usec, pid string
		want      time.Duration
	}{
		{"", "", 0}, {"x", "", 0}, {"-5", "", 0}, {"30000000", "", 30 * time.Second},
		{"30000000", "42", 30 * time.Second}, {"30000000", "43", 0},
	} {
		env := map[string]string{"WATCHDOG_USEC": c.usec, "WATCHDOG_PID": c.pid}
		if got := watchdogLimit(func(name string) string { return env[name] }, 42); got != c.want {
			t.Errorf("WATCHDOG_USEC=%s WATCHDOG_PID=%s: got %v, want %v", c.usec, c.pid, got, c.want)
		}
	}
}

// TestPulse: what waits must move, and what does not wait may rest.
func TestPulse(t *testing.T) {
	const patience = 30 * time.Second
	begin := time.Unix(1_800_000_000, 0)
	idle, stuck := mark{received: 5}, mark{received: 5, waiting: true}
	moving := func(second int) mark { return mark{received: 5, epochs: int64(second), waiting: true} }
	for _, c := range []struct {
		name string
		at   func(second int) mark
		want bool // after two minutes
	}{
		{"idle", func(int) mark { return idle }, true},
		{"busy", moving, true},
		{"a message that nobody takes", func(int) mark { return stuck }, false},
		{"a commit that never returns", func(second int) mark { return moving(min(second, 60)) }, false},
		{"a long commit", func(second int) mark { return moving(max(second, 100)) }, true},
		{"an outage after work", func(second int) mark {
			if second < 60 {
				return moving(second)
			}
			return idle
		}, true},
	} {
		p := newPulse(begin, c.at(0), patience)
		alive := true
		for second := range 121 {
			alive = p.beats(begin.Add(time.Duration(second)*time.Second), c.at(second))
		}
		if alive != c.want {
			t.Errorf("%s: alive is %v", c.name, alive)
		}
	}
}
