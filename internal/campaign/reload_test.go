package campaign

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"edged/internal/mosquitto"
	"edged/internal/oracle"
)

const (
	// reloadPipes is how many pipelines run; one of them changes at a time.
	reloadPipes = 10

	// reloadKills is after how many reloads the daemon is killed.
	reloadKills = 2

	// reloadSpan is in which span after a SIGHUP it is killed: a reload takes about half
	// of that.
	reloadSpan = 60 * time.Millisecond
)

// reloadDocument is ten pipelines over the same input. What changes is how long keys may
// be silent, which is another pipeline with the same windows; a further one comes and goes.
func reloadDocument(idle [reloadPipes]int, extra bool) []byte {
	var b strings.Builder
	b.WriteString("pipelines:\n")
	pipe := func(name, topic string, idle int) {
		fmt.Fprintf(&b, `  - name: %s
    source: {topic: sensors/+/data, qos: 1, format: json}
    key: {field: device}
    event_time: {field: ts, unit: ms}
    fields: [{name: temp, type: number}]
    watermark: {out_of_orderness: 2s, idle_timeout: %dms}
    window: {type: tumbling, size: 2s}
    aggregates:
      - {name: count, function: count}
      - {name: sum, function: sum, field: temp}
      - {name: avg, function: avg, field: temp}
      - {name: min, function: min, field: temp}
      - {name: max, function: max, field: temp}
      - {name: first, function: first, field: temp}
      - {name: last, function: last, field: temp}
    output_key: device
    outputs: [{mqtt: {topic: "%s", qos: 1}}]
`, name, idle, topic)
	}
	for i := range reloadPipes {
		pipe(fmt.Sprintf("p%d", i), fmt.Sprintf("pipe/%d/{key}", i), idle[i])
	}
	if extra {
		pipe("extra", "activity/{key}", 3000)
	}
	return []byte(b.String())
}

// TestReload changes one pipeline after the other while events flow, and kills the daemon
// in between: all of them lose nothing, and those that changed keep their windows.
func TestReload(t *testing.T) {
	config := filepath.Join(t.TempDir(), "edged.yaml")
	var idle [reloadPipes]int
	for i := range idle {
		idle[i] = int(idleTimeout / time.Millisecond)
	}
	write := func(extra bool) {
		if err := os.WriteFile(config, reloadDocument(idle, extra), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(false)
	s := newScene(t, config, mosquitto.Start(t), nil, stress...)
	s.start()
	load := s.load(s.fleet(0), crashRate)
	var pauses []time.Duration
	reloads := max(4, *cyclesFlag/2)
	for n := range reloads {
		idle[s.random.IntN(reloadPipes)] += 1 + s.random.IntN(5)
		write(n%3 == 1)
		taken := len(s.daemon.Grep("configuration taken"))
		if s.random.IntN(8) > 0 { // otherwise it finds the file at its next start
			s.must(s.daemon.Hangup())
		}
		if n%reloadKills == reloadKills-1 {
			s.pass(time.Duration(s.random.Int64N(int64(reloadSpan))))
			s.must(s.daemon.Kill())
			s.start()
			continue
		}
		s.must(s.daemon.Hangup())
		s.await("the configuration is taken", drained, func() bool { return len(s.daemon.Grep("configuration taken")) > taken })
		pauses = append(pauses, s.pause())
		s.pass(time.Duration(s.random.Int64N(int64(upMax))))
	}
	total, err := load.Finish()
	s.must(err)
	t.Logf("%d reloads, killed in %d of them, while %d events were published; input stood still for %v; %d times the old configuration recovered first", reloads, reloads-len(pauses), total.Acked, pauses, len(s.daemon.Grep("recovered with the one before")))
	windows := oracle.Tumbling(load.Ledger.Events(false), 2000, 0)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	s.await("all results arrive", drained, func() bool { return len(s.distinct()) >= reloadPipes*len(windows) })
	s.must(s.daemon.Terminate(shutdown))
	s.flush()
	of := map[string][]Delivery{}
	for _, d := range s.results.Deliveries("pipe") {
		number, _, _ := strings.Cut(strings.TrimPrefix(d.Topic, "pipe/"), "/")
		of[number] = append(of[number], d)
	}
	for i := range reloadPipes {
		v := Judge(windows, of[fmt.Sprint(i)])
		if err := v.Err(); err != nil {
			t.Errorf("pipeline p%d, seed %d: %v: %v", i, s.seed, v, err)
		}
	}
}

// distinct returns the different results of the pipelines.
func (s *scene) distinct() map[string]bool {
	seen := map[string]bool{}
	for _, d := range s.results.Deliveries("pipe") {
		seen[d.Topic+string(d.Payload)] = true
	}
	return seen
}

// pause returns for how long the input stood still in the last reload.
func (s *scene) pause() time.Duration {
	s.Helper()
	lines := s.daemon.Grep("configuration taken")
	m := regexp.MustCompile(`paused=(\S+)`).FindStringSubmatch(lines[len(lines)-1])
	if m == nil {
		s.Fatalf("no pause in %q", lines[len(lines)-1])
	}
	pause, err := time.ParseDuration(m[1])
	s.must(err)
	return pause
}
