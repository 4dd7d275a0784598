package campaign

import (
	"bufio"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"edged/internal/mosquitto"
	"edged/internal/oracle"
)

const (
	// anonMax bounds the daemon's own memory under overload.
	anonMax = 64 << 20

	// blockedCPUMax bounds the share of one CPU that a daemon uses which has
	// nothing to do but to wait for its upstream.
	blockedCPUMax = 0.03

	overloadEvents = 80_000
)

// TestOverload publishes as fast as the broker takes it, to a daemon that commits
// every 32 events and whose upstream is away until its outbox is full.
func TestOverload(t *testing.T) {
	s := newScene(t, "configs/examples/device-windows.yaml", mosquitto.Start(t), mosquitto.Start(t, mosquitto.Persistent()),
		"EDGED_ENGINE_EPOCH_EVENTS_MAX=32", "EDGED_OUTBOX_BYTES_MAX=1MiB", "EDGED_WINDOW=500ms")
	s.start()
	s.upstream.Stop()
	peak := WatchPeak(s.daemon.PID())
	load := s.load(s.fleet(overloadEvents), 0)
	total, err := load.Wait()
	s.must(err)
	t.Logf("published %.0f events/s; the daemon had taken %.0f of %d by then", total.Rate, s.metric("edged_messages_received_total"), total.Acked)
	s.await("the outbox is full", drained, func() bool { return s.metric("edged_outbox_blocked") == 1 })
	s.blocked(total.Acked)

	s.upstream.Restart()
	expected := oracle.Tumbling(load.Ledger.Events(false), 500, 0)
	s.await("everything arrives", drained, func() bool { return s.results.Applied("agg") >= len(expected) })
	anon, err := peak.End()
	s.must(err)
	hwm, err := memory(s.daemon.PID(), "VmHWM")
	s.must(err)
	t.Logf("peak of RssAnon %.1f MiB, VmHWM %.1f MiB", float64(anon)/(1<<20), float64(hwm)/(1<<20))
	if anon > anonMax && !*raceFlag {
		t.Errorf("the daemon held %d bytes of its own; the limit is %d", anon, anonMax)
	}
	s.settle(load, expectation{"agg", expected})
}

// blocked checks that a blocked daemon waits quietly, for longer than the idle
// timeout: no device is silent because we are.
func (s *scene) blocked(published int) {
	s.Helper()
	const interval = idleTimeout + time.Second
	before, err := CPU(s.daemon.PID())
	s.must(err)
	rows := s.metric("edged_rows_total")
	s.pass(interval)
	after, err := CPU(s.daemon.PID())
	s.must(err)
	share := (after - before).Seconds() / interval.Seconds()
	received := s.metric("edged_messages_received_total")
	s.Logf("blocked: %.1f %% of a CPU, %.0f messages received, %.0f rows", 100*share, received, rows)
	if share > blockedCPUMax && !*raceFlag {
		s.Errorf("a blocked daemon uses %.1f %% of a CPU; the limit is %.1f %%", 100*share, 100*blockedCPUMax)
	}
	if int(received) >= published {
		s.Errorf("the daemon took all %d messages although its outbox is full", published)
	}
	if now := s.metric("edged_rows_total"); now != rows {
		s.Errorf("%.0f rows were made while blocked", now-rows)
	}
}

// metric reads one value of /metrics; name may carry labels as they are printed.
// A metric that is not there is 0.
func (s *scene) metric(name string) float64 {
	s.Helper()
	resp, err := http.Get("http://" + s.http + "/metrics")
	s.must(err)
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if text, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			value, err := strconv.ParseFloat(text, 64)
			s.must(err)
			return value
		}
	}
	s.must(lines.Err())
	return 0
}
