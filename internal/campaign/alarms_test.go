package campaign

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"edged"
	"edged/internal/mosquitto"
	"edged/internal/nab"
)

// alarmRate is how fast a series is published while the daemon is killed, in rows a
// second.
const alarmRate = 6000

// TestAlarmsOfAMachine replays a recorded machine as a device while the daemon is killed
// in the middle: its labelled failures are alarms upstream, each once.
func TestAlarmsOfAMachine(t *testing.T) {
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(root, "../shared/data/nab")
	const name = "realKnownCause/machine_temperature_system_failure.csv"
	file := filepath.Join(dir, name+".gz")
	if _, err := os.Stat(file); err != nil {
		t.Skip("the recorded series are not there: ../shared/data/nab")
	}
	all, err := nab.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	raised := alarmsOf(t, file, 3)
	machine := all[slices.IndexFunc(all, func(s *nab.Series) bool { return s.Name == name })]
	found := 0
	for _, w := range machine.Windows {
		from, to := machine.Times[w.From], machine.Times[w.To]
		if slices.ContainsFunc(raised, func(a alarmEvent) bool { return a.Start >= from && a.Start <= to }) {
			found++
		} else {
			t.Logf("no alarm from %d to %d", from, to)
		}
	}
	t.Logf("%d alarms, in %d of %d labelled windows", len(raised), found, len(machine.Windows))
	if found < len(machine.Windows) {
		t.Errorf("alarms in %d of %d labelled windows", found, len(machine.Windows))
	}
}

// TestAlarmsOnce does the same with a series of our own, which has three faults.
func TestAlarmsOnce(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 7))
	var text strings.Builder
	text.WriteString("timestamp,value\n")
	faults := []int{5000, 7000, 9000}
	start := time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC)
	for row := range 10_000 {
		value := 20 + 5*math.Sin(float64(row)/288*2*math.Pi) + 0.3*random.NormFloat64()
		for i, fault := range faults {
			if row >= fault && row < fault+30 {
				value += 25 * float64(1+i) // beyond what the one before has taught
			}
		}
		fmt.Fprintf(&text, "%s,%.3f\n", start.Add(time.Duration(row)*5*time.Minute).Format(time.DateTime), value)
	}
	file := filepath.Join(t.TempDir(), "boiler.csv")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	raised := alarmsOf(t, file, 3)
	for _, fault := range faults {
		at := edged.Timestamp(start.Add(time.Duration(fault) * 5 * time.Minute).UnixMilli())
		if !slices.ContainsFunc(raised, func(a alarmEvent) bool { return a.Start == at }) {
			t.Errorf("no alarm at %d, the fault in row %d", at, fault)
		}
	}
}

// alarmEvent is what is looked at of an alarm event.
type alarmEvent struct {
	ID    string          `json:"id"`
	Alarm string          `json:"alarm"`
	Event string          `json:"event"`
	Start edged.Timestamp `json:"start"`
	Seq   int             `json:"seq"`
}

// alarmsOf publishes a series while the daemon is killed, requires that what arrives
// upstream is, each event once, what a replay of the file says, and returns what was
// raised.
func alarmsOf(t *testing.T, file string, kills int) (raised []alarmEvent) {
	t.Helper()
	s := newScene(t, "internal/campaign/testdata/machine.yaml", mosquitto.Start(t), nil, stress...)
	s.start()
	series, err := OpenSeries([]string{file})
	s.must(err)
	defer series.Close()
	load := s.load(series, alarmRate)
	for range kills {
		s.crash(load)
	}
	total, err := load.Wait()
	s.must(err)
	replayed := slices.DeleteFunc(s.replay([]string{file}), func(line []byte) bool {
		return !bytes.Contains(line, []byte(`"alarm":`)) // the readings are lines, too
	})
	s.await("all alarm events arrive", drained, func() bool { return s.results.Applied("alarms") >= len(replayed) })
	s.must(s.daemon.Terminate(shutdown))
	s.flush()
	live, repeats := applied(t, s.results.Deliveries("alarms"))
	t.Logf("%d rows, %d kills, %d alarm events, %d delivered again", total.Acked, kills, len(live), repeats)
	if len(live) != len(replayed) {
		t.Errorf("%d alarm events arrived, a replay says %d", len(live), len(replayed))
	}
	open := map[string]bool{}
	for i := range min(len(live), len(replayed)) {
		if !bytes.Equal(live[i], replayed[i]) {
			t.Fatalf("alarm event %d differs:\nlive     %s\nreplayed %s", i, live[i], replayed[i])
		}
		var a alarmEvent
		s.must(json.Unmarshal(live[i], &a))
		if a.Event != "raised" {
			continue
		}
		if open[a.Alarm] {
			t.Errorf("alarm %s is raised twice", a.Alarm)
		}
		open[a.Alarm] = true
		raised = append(raised, a)
	}
	return raised
}

// applied returns the payloads by their seq, each once, and how many were repeats. A
// repeat that differs is a contradiction.
func applied(t *testing.T, deliveries []Delivery) (payloads [][]byte, repeats int) {
	t.Helper()
	seen := map[int][]byte{}
	for _, d := range deliveries {
		var a alarmEvent
		if err := json.Unmarshal(d.Payload, &a); err != nil {
			t.Fatal(err)
		}
		if before, known := seen[a.Seq]; known {
			if repeats++; !bytes.Equal(before, d.Payload) {
				t.Errorf("event %d came as\n%s\nand as\n%s", a.Seq, before, d.Payload)
			}
			continue
		}
		if a.Seq != len(payloads)+1 {
			t.Errorf("event %d came after %d", a.Seq, len(payloads))
		}
		seen[a.Seq] = d.Payload
		payloads = append(payloads, d.Payload)
	}
	return payloads, repeats
}
