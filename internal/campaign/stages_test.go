package campaign

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"edged/internal/mosquitto"
	"edged/internal/oracle"
)

const (
	lines      = 7
	sessionGap = 300 // ms
)

// line spreads the devices over the lines.
func line(device string) string {
	n := 0
	fmt.Sscanf(strings.TrimLeft(device, "d0"), "%d", &n)
	return fmt.Sprintf("line-%d", n%lines)
}

// streams are those of testdata/stages.yaml.
var streams = []string{"device", "line", "site", "session", "activity"}

// stages is what the streams of testdata/stages.yaml must hold, and say.
type stages struct {
	events []oracle.Event
	boards map[string]*Board
}

// judge compares all stages. Each is judged by what the upstream knows of the one
// before it.
func (s *stages) judge() map[string]error {
	devices := DeviceWindows(s.events, 1000, line)
	perLine := Gather(s.boards["device"], devices, 1000, func(p *Pane) string { return p.Line })
	site := Gather(s.boards["line"], nil, 2000, func(*Pane) string { return "all" })
	return map[string]error{
		"device":   s.boards["device"].Expect(devices),
		"line":     s.boards["line"].Expect(perLine),
		"site":     s.boards["site"].Expect(site),
		"session":  s.boards["session"].Expect(Sessions(s.events, sessionGap)),
		"activity": s.boards["activity"].Expect(Gather(s.boards["session"], nil, 2000, func(*Pane) string { return "all" })),
	}
}

// right reports whether nothing is wrong.
func (s *stages) right() bool {
	for _, err := range s.judge() {
		if err != nil {
			return false
		}
	}
	return true
}

// readBoards reads what has arrived so far.
func (s *scene) readBoards(load *Load) *stages {
	all := &stages{events: load.Ledger.Events(false), boards: map[string]*Board{}}
	for _, name := range streams {
		all.boards[name] = NewBoard(s.results.Deliveries(name))
	}
	return all
}

// TestCrashStages kills a daemon in which pipelines gather the results of others,
// sessions are taken back, and ticks make windows fire.
func TestCrashStages(t *testing.T) {
	table := filepath.Join(t.TempDir(), "devices.csv")
	var text strings.Builder
	text.WriteString("device,line\n")
	for i := range 50 {
		name := fmt.Sprintf("d%06d", i)
		fmt.Fprintf(&text, "%s,%s\n", name, line(name))
	}
	if err := os.WriteFile(table, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	env := append([]string{"EDGED_DEVICES=" + table, "EDGED_ENGINE_TICK_INTERVAL=50ms"}, stress...)
	s := newScene(t, "internal/campaign/testdata/stages.yaml", mosquitto.Start(t), nil, env...)
	s.start()
	load := s.load(s.fleet(0), stagesRate)
	kills := (*cyclesFlag + 1) / 2
	for range kills {
		s.crash(load)
	}
	total, err := load.Finish()
	s.must(err)
	t.Logf("%d kills, before %d of which something was lost, while %d events were published", kills, s.losses, total.Acked)
	s.settleStages(load)
	if dead := s.deadLetters(); len(dead) > 0 {
		t.Errorf("dead letters by cause are %v, there should be none", dead)
	}
}

// stagesRate is lower than that of other campaigns: every event makes results in
// several streams.
const stagesRate = 2000

// settleStages waits until every stage has closed its last window, or it is clear
// that one never will, ends the daemon, and judges everything that has arrived.
func (s *scene) settleStages(load *Load) {
	s.Helper()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	const quiet = 5 * idleTimeout // nothing can come any more
	count, since := -1, time.Now()
	for time.Since(since) < quiet {
		<-tick.C
		sum := 0
		for _, name := range streams {
			sum += s.results.Applied(name)
		}
		if sum != count {
			count, since = sum, time.Now()
			continue
		}
		if time.Since(since) < idleTimeout/2 {
			continue
		}
		if s.readBoards(load).right() {
			break
		}
	}
	s.must(s.daemon.Terminate(shutdown))
	s.flush()
	all := s.readBoards(load)
	verdicts := all.judge()
	for _, name := range streams {
		b := all.boards[name]
		s.Logf("%s: %v", name, b)
		if err := verdicts[name]; err != nil {
			s.Errorf("stream %s, seed %d, longest pause of the load %v: %v", name, s.seed, load.Ledger.Pause(), err)
		}
		if name == "device" && b.Revisions == 0 || name == "session" && b.Retractions == 0 {
			s.Errorf("stream %s: nothing was put right or taken back: the campaign proves too little: %v", name, b)
		}
	}
}
