package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"edged"
	"edged/internal/mosquitto"
)

// TestHangup: a file that cannot be taken changes nothing and says why; one that can is
// taken as a whole, subscriptions and outputs included.
func TestHangup(t *testing.T) {
	b := mosquitto.Start(t)
	up := startUpstream(t, b.URL(), "new/+")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	settings := func(level string) string {
		return fmt.Sprintf("settings:\n  data_dir: %s\n  mqtt: {url: %s}\n  http: {listen: %q}\n  log: {level: %s}\n", t.TempDir(), b.URL(), address, level)
	}
	usual := settings("info")
	demo := strings.Replace(string(demoDocument), "sensors/+/data", "old/+/data", 1)
	config := writeFile(t, "edged.yaml", usual+demo)
	p := (&yard{t: t}).launch(config)
	says := func(text string) {
		t.Helper()
		eventually(t, "the log says "+text, func() bool { return strings.Contains(p.log.String(), text) }, p.log.String)
	}
	hangup := func(text string) {
		t.Helper()
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	says("recovered")
	hangup(usual + strings.Replace(demo, "size:", "sise:", 1))
	says("pipelines[0].window.sise: unknown key")
	hangup(usual + strings.Replace(demo, "${EDGED_WINDOW:3s}", "9s", 1))
	says("give the changed pipeline a new name")
	if got := scrape(t, address); !strings.Contains(got, "edged_configs_refused_total 2\n") || !strings.Contains(got, "edged_configs_taken_total 0\n") {
		t.Errorf("two files were refused: %s", got)
	}
	next := strings.NewReplacer("old/+/data", "sensors/+/data", "agg/{key}", "new/{key}").Replace(demo)
	hangup(strings.Replace(usual, "level: info", "level: debug", 1) + next)
	says("configuration taken")
	says("settings=log")
	publish(t, b.URL(), newFleet(t, 3, 2000, edged.Timestamp(time.Now().Add(-time.Hour).UnixMilli())))
	eventually(t, "results come under the new topic", func() bool { return len(up.results()) > 0 }, p.log.String)
	if got := scrape(t, address); !strings.Contains(got, "edged_configs_taken_total 1\n") {
		t.Errorf("a file was taken: %s", got)
	}
}

// scrape reads the metrics of a daemon.
func scrape(t *testing.T, address string) string {
	t.Helper()
	resp, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
