package main

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"edged/internal/mosquitto"
)

// get returns the status and body of a page of a running edged.
func get(t *testing.T, base, path string) (int, string) {
	t.Helper()
	resp, err := http.Get(base + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func baseURL(t *testing.T, r *running) string {
	t.Helper()
	r.says("serving metrics and health")
	return regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(r.err.String())
}

func TestHealth(t *testing.T) {
	b := mosquitto.Start(t)
	config := writeFile(t, "demo.yaml", string(demoDocument))
	r := startRun(t, "--config", config, "--data-dir", t.TempDir(), "--mqtt-url", b.URL(), "--http-listen", "127.0.0.1:0")
	base := baseURL(t, r)
	ready := func(want int) {
		t.Helper()
		body := ""
		eventually(t, "ready is right", func() (ok bool) {
			var code int
			code, body = get(t, base, "/readyz")
			return code == want
		}, func() string { return body })
		var answer struct {
			Status string
			Checks []check
		}
		if err := json.Unmarshal([]byte(body), &answer); err != nil || len(answer.Checks) != 3 || (answer.Status == "ok") != (want == http.StatusOK) {
			t.Errorf("readyz says %s (%v)", body, err)
		}
	}
	ready(http.StatusOK)
	b.Stop()
	ready(http.StatusServiceUnavailable)
	if code, body := get(t, base, "/healthz"); code != http.StatusOK || !strings.Contains(body, `"store"`) {
		t.Errorf("healthz without a broker: %d %s", code, body)
	}
	b.Restart()
	ready(http.StatusOK)
	if code, _ := get(t, base, "/debug/pprof/"); code != http.StatusNotFound {
		t.Errorf("an address that nobody asked for answers %d", code)
	}
}

// TestMetrics checks that names and labels stay bounded, whatever comes in.
func TestMetrics(t *testing.T) {
	b := mosquitto.Start(t)
	config := writeFile(t, "demo.yaml", document("", "    outputs: [{mqtt: {topic: \"agg/{key}\"}}, {stdout: {}}]\n    late_output: [{stdout: {}}]\n"))
	r := startRun(t, "--config", config, "--data-dir", t.TempDir(), "--mqtt-url", b.URL(), "--http-listen", "127.0.0.1:0")
	base := baseURL(t, r)
	r.says("recovered")
	publish(t, b.URL(), newFleet(t, 31, 500, 1_700_000_000_000))
	wantEvents := ""
	eventually(t, "events are counted", func() bool {
		_, wantEvents = get(t, base, "/metrics")
		return !strings.Contains(wantEvents, "\nedged_events_total 0\n") && strings.Contains(wantEvents, "edged_rows_total")
	}, func() string { return wantEvents })
	_, text := get(t, base, "/metrics")
	allowed := []string{"stream", "output", "cause", "le", "pipeline"}
	label := regexp.MustCompile(`([a-z_]+)="([^"]*)"`)
	values := map[string]bool{}
	seen := map[string]bool{}
	for _, line := range strings.Split(text, "\n") {
		if !strings.HasPrefix(line, "edged_") {
			continue
		}
		name := line[:strings.IndexAny(line, "{ ")]
		seen[name] = true
		for _, m := range label.FindAllStringSubmatch(line, -1) {
			if !slices.Contains(allowed, m[1]) {
				t.Errorf("label %s: %s", m[1], line)
			}
			values[m[2]] = true
		}
	}
	for v := range values {
		if strings.HasPrefix(v, "d0") || strings.HasPrefix(v, "sensors/") || strings.HasPrefix(v, "agg/") {
			t.Errorf("a key or a topic is the label %q", v)
		}
	}
	for _, name := range []string{"edged_events_total", "edged_commit_seconds_bucket", "edged_output_rows_waiting", "edged_ready", "edged_source_connected", "edged_journal_records", "edged_outbox_bytes"} {
		if !seen[name] {
			t.Errorf("%s is missing", name)
		}
	}
	for _, cause := range []string{"syntax", "too_deep", "expression", "oversize", "no_pipeline", "panic", "quarantined"} {
		if !strings.Contains(text, `edged_dead_letters_total{cause="`+cause+`"} 0`) {
			t.Errorf("there is no count of dead letters by %s: %s", cause, text)
		}
	}
	if !strings.Contains(text, "go_goroutines") || !strings.Contains(text, "process_resident_memory_bytes") {
		t.Error("the Go or the process collector is missing")
	}
	if len(values) > 40 {
		t.Errorf("%d values of labels", len(values))
	}
}
