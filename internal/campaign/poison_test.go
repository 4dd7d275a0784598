package campaign

import (
	"encoding/json"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"edged/internal/mosquitto"
	"edged/internal/oracle"
	"edged/internal/sim"
	"edged/persistence"
)

// poison is a payload that is no event, and the cause under which it must be
// counted.
type poison struct {
	cause   string
	payload string
	large   bool // published twice only
}

// poisons use the name of a good device and a plausible time, so that whatever
// leaked into state would be seen.
func poisons() []poison {
	member := func(name, value string) string {
		members := map[string]string{"device": `"d000001"`, "ts": "1700000001000", "temp": "20.5"}
		members[name] = value
		text := fmt.Sprintf(`{"device":%s,"ts":%s,"temp":%s}`, members["device"], members["ts"], members["temp"])
		return strings.ReplaceAll(text, `"`+name+`":,`, "") // "" leaves the member out
	}
	good := member("", "")
	nested := strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000)
	return []poison{
		{cause: "syntax", payload: ""},
		{cause: "syntax", payload: "no JSON at all"},
		{cause: "syntax", payload: good[:len(good)-1]},
		{cause: "syntax", payload: good + good},
		{cause: "syntax", payload: "[" + good + "]"},
		{cause: "syntax", payload: member("temp", "NaN")},
		{cause: "syntax", payload: member("temp", "Infinity")},
		{cause: "syntax", payload: member("temp", "01")},
		{cause: "syntax", payload: member("temp", `1,"temp":2`)},
		{cause: "syntax", payload: member("device", "\"d\xff\"")},
		{cause: "syntax", payload: "\x00\x01\x02\xfe"},
		{cause: "type", payload: member("temp", `"20.5"`)},
		{cause: "type", payload: member("temp", "true")},
		{cause: "type", payload: member("temp", "[20.5]")},
		{cause: "type", payload: member("temp", "1e999")},
		{cause: "type", payload: member("temp", strings.Repeat("9", 400))},
		{cause: "type", payload: member("device", "1.5")},
		{cause: "type", payload: member("device", `{"id":1}`)},
		{cause: "missing_key", payload: member("device", "")},
		{cause: "missing_key", payload: member("device", "null")},
		{cause: "missing_key", payload: member("device", `""`)},
		{cause: "key_too_long", payload: member("device", `"`+strings.Repeat("k", 257)+`"`)},
		{cause: "missing_time", payload: member("ts", "")},
		{cause: "missing_time", payload: member("ts", "null")},
		{cause: "bad_time", payload: member("ts", `"2023-11-14T22:13:21Z"`)},
		{cause: "bad_time", payload: member("ts", "1e300")},
		{cause: "bad_time", payload: member("ts", strings.Repeat("9", 30))},
		{cause: "bad_time", payload: member("ts", "-1e18")},
		{cause: "too_deep", payload: member("temp", `20.5,"more":`+nested)},
		{cause: "syntax", payload: nested}, // no object, seen at its first byte
		{cause: "syntax", payload: strings.Repeat("x", 1<<20), large: true},
		{cause: "oversize", payload: member("temp", `20.5,"pad":"`+strings.Repeat("x", 2<<20)+`"`), large: true},
	}
}

// poisoned mixes poison into a fleet. Its devices after the fleet's are the kinds
// of poison.
type poisoned struct {
	*sim.Fleet
	devices int
	kinds   []poison
	every   int // samples, is one poison
	turn    int
	counts  map[string]uint64
}

// Next yields a sample of the fleet or a poison.
func (p *poisoned) Next(s *sim.Sample) bool {
	p.turn++
	kind := (p.turn / p.every) % len(p.kinds)
	round := p.turn / p.every / len(p.kinds)
	if p.turn%p.every != 0 || p.kinds[kind].large && round >= 2 {
		return p.Fleet.Next(s)
	}
	*s = sim.Sample{Device: p.devices + kind}
	p.counts[p.kinds[kind].cause]++
	return true
}

// Device returns "" for poison: it must not count.
func (p *poisoned) Device(i int) string {
	if i >= p.devices {
		return ""
	}
	return p.Fleet.Device(i)
}

// Topic returns where a sample is published.
func (p *poisoned) Topic(i int) string { return p.Fleet.Topic(i % p.devices) }

// AppendPayload appends a reading or a poison.
func (p *poisoned) AppendPayload(dst []byte, s *sim.Sample) []byte {
	if s.Device >= p.devices {
		return append(dst, p.kinds[s.Device-p.devices].payload...)
	}
	return p.Fleet.AppendPayload(dst, s)
}

// TestPoison mixes a fifth of poison into good events, with kills in mid-run.
func TestPoison(t *testing.T) {
	s := newScene(t, "configs/examples/device-windows.yaml", mosquitto.Start(t), nil)
	s.start()
	source := &poisoned{Fleet: s.fleet(12_000), devices: 50, kinds: poisons(), every: 5, counts: map[string]uint64{}}
	load := s.load(source, 4*crashRate)
	for range 3 {
		s.crash(load)
	}
	_, err := load.Wait()
	s.must(err)
	s.settle(load, expectation{"agg", oracle.Tumbling(load.Ledger.Events(false), 2000, 0)})

	got := s.deadLetters()
	t.Logf("dead letters: %v", got)
	if !maps.Equal(got, source.counts) {
		t.Errorf("seed %d: dead letters by cause are %v, should be %v", s.seed, got, source.counts)
	}
}

// TestOversizeSurvivesKill kills the daemon when it has skipped a message that is
// too large, but has not committed yet: the message must not be forgotten, nor
// counted twice.
func TestOversizeSurvivesKill(t *testing.T) {
	s := newScene(t, "configs/examples/device-windows.yaml", mosquitto.Start(t), nil, "EDGED_ENGINE_COMMIT_INTERVAL=1m")
	s.start()
	kinds := slices.DeleteFunc(poisons(), func(p poison) bool { return p.cause != "oversize" })
	source := &poisoned{Fleet: s.fleet(1), devices: 50, kinds: kinds, every: 1, counts: map[string]uint64{}}
	load := s.load(source, 0)
	_, err := load.Wait()
	s.must(err)
	s.await("the daemon has seen it", soon, func() bool { return s.metric("edged_source_oversize_total") == 1 })
	s.must(s.daemon.Kill())
	s.start()
	s.await("the broker sends it again", soon, func() bool { return s.metric("edged_messages_received_total") > 0 })
	s.must(s.daemon.Terminate(shutdown))
	if got := s.deadLetters(); !maps.Equal(got, source.counts) {
		t.Errorf("dead letters by cause are %v, should be %v", got, source.counts)
	}
}

// deadLetters returns how many there are by cause.
func (s *scene) deadLetters() map[string]uint64 {
	s.Helper()
	counts := map[string]uint64{}
	for _, c := range s.inspect().DeadLetters.Causes {
		counts[c.Cause] = uint64(c.Count)
	}
	return counts
}

// inspect runs edged inspect on the data of a daemon that has ended.
func (s *scene) inspect() *persistence.Report {
	s.Helper()
	path, err := binary()
	s.must(err)
	out, err := exec.Command(path, "inspect", s.dir, "--json").Output()
	s.must(err)
	report := &persistence.Report{}
	if err := json.Unmarshal(out, report); err != nil {
		s.Fatalf("inspect: %v in %.300s", err, out)
	}
	if report.ProblemCount > 0 {
		s.Errorf("inspect found %d problems, the first is %s", report.ProblemCount, report.Problems[0])
	}
	return report
}
