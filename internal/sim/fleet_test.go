package sim_test

import (
	"encoding/json"
	"flag"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"edged"
	"edged/internal/sim"
)

var seed = flag.Uint64("seed", uint64(time.Now().UnixNano()), "seed of the random tests")

const start edged.Timestamp = 1_700_000_000_000

// full has every fault at once.
func full(seed uint64) sim.Config {
	return sim.Config{
		Seed: seed, Devices: 50, Rate: 100, Start: start, Events: 20_000,
		Disorder: 2 * time.Second, LateShare: 0.02, LateBy: time.Minute,
		DuplicateShare: 0.05, BacklogShare: 0.2, ClockFaults: 0.3,
	}
}

func newFleet(t testing.TB, cfg sim.Config) *sim.Fleet {
	t.Helper()
	f, err := sim.NewFleet(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestFleetIsTheSameEverywhere pins bytes: a change here makes every recorded
// seed of every other test mean something else.
func TestFleetIsTheSameEverywhere(t *testing.T) {
	f := newFleet(t, full(1))
	sum := fnv.New64a()
	var first []string
	for s := range f.All() {
		payload := f.AppendPayload(nil, &s)
		sum.Write(payload)
		if len(first) < 2 {
			first = append(first, string(payload))
		}
	}
	const wantFirst, wantSum = `{"device":"d000000","ts":1699999998089,"temp":18.57,"hum":3.7}` + " " +
		`{"device":"d000001","ts":1699999998089,"temp":27.60,"hum":3.8}`, uint64(0xadaeac74f567c9fc)
	if got := strings.Join(first, " "); got != wantFirst {
		t.Errorf("first payloads:\n got %s\nwant %s", got, wantFirst)
	}
	if got := sum.Sum64(); got != wantSum {
		t.Errorf("sum of all payloads is %#x, want %#x", got, wantSum)
	}
}

// TestFleetKeepsItsWord checks what Config promises, for random configurations.
func TestFleetKeepsItsWord(t *testing.T) {
	t.Logf("seed %d", *seed)
	random := rand.New(rand.NewPCG(*seed, 1))
	for range 20 {
		cfg := sim.Config{
			Seed: random.Uint64(), Devices: 1 + random.IntN(300), Rate: 1 + 1000*random.Float64(), Start: start,
			Events:   1 + random.IntN(30_000),
			Disorder: time.Duration(random.IntN(5000)) * time.Millisecond, LateBy: time.Hour,
			LateShare: 0.1 * random.Float64(), DuplicateShare: random.Float64(), BacklogShare: 0.9 * random.Float64(),
		}
		checkFleet(t, cfg)
	}
}

func checkFleet(t *testing.T, cfg sim.Config) {
	t.Helper()
	f := newFleet(t, cfg)
	var distinct, repeated, late, backlog int
	seqs := make([]uint64, cfg.Devices)
	newest := make([]edged.Timestamp, cfg.Devices)
	seen := map[string]bool{}
	for s := range f.All() {
		payload := string(f.AppendPayload(nil, &s))
		if seen[payload] != s.Duplicate {
			t.Fatalf("%+v: payload %s seen before: %v, marked as duplicate: %v", cfg, payload, seen[payload], s.Duplicate)
		}
		seen[payload] = true
		if s.Duplicate {
			repeated++
			continue
		}
		distinct++
		if seqs[s.Device]++; s.Seq != seqs[s.Device] {
			t.Fatalf("device %d: reading %d follows %d", s.Device, s.Seq, seqs[s.Device]-1)
		}
		if s.Backlog {
			backlog++
		}
		if s.Late {
			late++
			continue
		}
		if behind := newest[s.Device].Sub(s.EventTime); behind > cfg.Disorder.Milliseconds() {
			t.Fatalf("%+v: %+v lies %d ms behind its device", cfg, s, behind)
		}
		newest[s.Device] = max(newest[s.Device], s.EventTime)
	}
	if distinct != cfg.Events {
		t.Fatalf("%d distinct readings, want %d", distinct, cfg.Events)
	}
	near(t, "duplicates", repeated, cfg.DuplicateShare, cfg.Events, 1)
	near(t, "late", late, cfg.LateShare, cfg.Events, 1)
	// At the end at most one history per device is still unsent.
	near(t, "backlog", backlog, cfg.BacklogShare, cfg.Events, sim.DefaultBacklogDepth*float64(cfg.Devices)/3+200)
}

// near checks a count against six standard deviations of a binomial, plus slack.
func near(t *testing.T, what string, got int, share float64, n int, slack float64) {
	t.Helper()
	want := share * float64(n)
	if limit := 6*math.Sqrt(want*(1-share)) + 6*math.Sqrt(want)*min(1, slack-1) + slack; math.Abs(float64(got)-want) > limit+1 {
		t.Errorf("%d %s of %d, want %.0f±%.0f", got, what, n, want, limit)
	}
}

func TestFleetLateReadings(t *testing.T) {
	cfg := sim.Config{Seed: *seed, Devices: 10, Rate: 10, Start: start, Events: 5000, Disorder: 2 * time.Second, LateShare: 0.5, LateBy: time.Hour}
	turn := int64(0)
	for s := range newFleet(t, cfg).All() {
		behind := start.Add(turn * 100).Sub(s.EventTime)
		turn++
		if s.Late {
			behind -= 3_600_000
		}
		if behind < 0 || behind > 2000 {
			t.Fatalf("%+v is %d ms off", s, behind)
		}
	}
}

// TestFleetBacklog checks that a burst is the whole history of a silence.
func TestFleetBacklog(t *testing.T) {
	cfg := sim.Config{Seed: *seed, Devices: 5, Step: time.Second, Start: start, Events: 5000, BacklogShare: 0.3, BacklogDepth: 4}
	last := map[int]edged.Timestamp{}
	run := 0
	device := -1
	for s := range newFleet(t, cfg).All() {
		// Nothing is lost in a silence: each device still reads once a second.
		if before, ok := last[s.Device]; ok && s.EventTime != before.Add(1000) {
			t.Fatalf("%+v follows %d", s, before)
		}
		last[s.Device] = s.EventTime
		if !s.Backlog {
			if run%4 != 0 {
				t.Fatalf("a burst of %d ends before %+v", run, s)
			}
			run = 0
			continue
		}
		if run%4 != 0 && s.Device != device {
			t.Fatalf("%+v interrupts the burst of device %d", s, device)
		}
		device = s.Device
		run++
	}
}

func TestFleetClockFaults(t *testing.T) {
	cfg := sim.Config{Seed: 3, Devices: 300, Rate: 300, Start: start, Events: 600_000, ClockFaults: 0.5}
	f := newFleet(t, cfg)
	wrong := map[int]bool{}
	var in1970 int
	turn := int64(0)
	for s := range f.All() {
		truth := start.Add(turn / 300 * 1000) // devices take turns, one second each
		turn++
		if d := s.EventTime.Sub(truth); d < -1000 || d > 1000 {
			wrong[s.Device] = true
		}
		if s.EventTime < 86_400_000 {
			in1970++
		}
		if s.EventTime < 0 {
			t.Fatalf("%+v is before 1970", s)
		}
	}
	if n := len(wrong); n < 110 || n > 190 {
		t.Errorf("%d of 300 devices have a wrong clock, want about 150", n)
	}
	// About 50 devices restart 4 times in their 2,000 readings.
	if in1970 < 2000 || in1970 > 6500 {
		t.Errorf("%d readings in 1970, want about 4000", in1970)
	}
}

func TestFleetPayload(t *testing.T) {
	for _, pad := range []int{0, 80, 200, 1000} {
		cfg := full(*seed)
		cfg.Sequence, cfg.PayloadPad, cfg.Events = true, pad, 2000
		f := newFleet(t, cfg)
		for s := range f.All() {
			payload := f.AppendPayload([]byte("kept"), &s)[4:]
			var got struct {
				Device    string
				TS        edged.Timestamp
				Temp, Hum float64
				N         uint64
			}
			if err := json.Unmarshal(payload, &got); err != nil {
				t.Fatalf("%s: %v", payload, err)
			}
			if got.Device != f.Device(s.Device) || got.TS != s.EventTime || got.Temp != s.Temp || got.Hum != s.Hum || got.N != s.Seq {
				t.Fatalf("%s does not say %+v", payload, s)
			}
			if math.Round(got.Temp*100) != float64(s.Centi) || math.Round(got.Hum*10) != float64(s.Deci) {
				t.Fatalf("%s: not %d hundredths and %d tenths", payload, s.Centi, s.Deci)
			}
			if len(payload) < pad {
				t.Fatalf("%s has %d bytes, want %d", payload, len(payload), pad)
			}
		}
	}
}

func TestFleetTopic(t *testing.T) {
	cfg := full(1)
	cfg.TopicPattern = "plant/{device}/x"
	f := newFleet(t, cfg)
	if got := f.Topic(7); got != "plant/d000007/x" {
		t.Errorf("topic %q", got)
	}
	if got := f.Device(1_234_567); got != "d1234567" {
		t.Errorf("device %q", got)
	}
}

func TestConfigReportsAllFaults(t *testing.T) {
	_, err := sim.NewFleet(sim.Config{
		Devices: -1, Events: -1, Disorder: -1, LateBy: -1, LateShare: 2, DuplicateShare: math.NaN(),
		BacklogShare: 0.95, BacklogDepth: 1, ClockFaults: -1, PayloadPad: -1, TopicPattern: "a/#", Step: -1,
	})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, word := range []string{"devices", "events", "step", "rate", "disorder", "late-by", "late readings", "duplicates", "backlog is", "backlog depth", "clock faults", "pad", "wildcard"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("nothing about %q in:\n%v", word, err)
		}
	}
}

func BenchmarkFleet(b *testing.B) {
	for name, cfg := range map[string]sim.Config{
		"plain": {Devices: 1000, Rate: 1000, Start: start},
		"full":  {Devices: 100_000, Rate: 1000, Start: start, Disorder: time.Second, LateShare: 0.01, LateBy: time.Minute, DuplicateShare: 0.01, BacklogShare: 0.1, ClockFaults: 0.1},
	} {
		b.Run(name, func(b *testing.B) {
			f := newFleet(b, cfg)
			var s sim.Sample
			var payload []byte
			b.ReportAllocs()
			for b.Loop() {
				f.Next(&s)
				payload = f.AppendPayload(payload[:0], &s)
			}
		})
	}
}
