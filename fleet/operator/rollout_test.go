package operator_test

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"edged/fleet/operator"
	"edged/fleet/protocol"
)

var (
	seed = flag.Uint64("seed", uint64(time.Now().UnixNano()), "seed of the random tests")
	runs = flag.Int("runs", 300, "how many rollouts TestRolloutOracle simulates")
)

const second = int64(1000)

// at returns a time so many seconds after the tests begin.
func at(seconds int64) int64 { return 1_790_000_000_000 + seconds*second }

// plan returns the snapshot that rollouts of the tests begin with.
func plan(waves string, change func(*operator.Policy)) operator.Snapshot {
	w, err := operator.ParseWaves(waves)
	if err != nil {
		panic(err)
	}
	p := operator.Policy{Waves: w, Bake: 60 * second, Success: 99, Answer: 300 * second, Offline: 3600 * second}
	if change != nil {
		change(&p)
	}
	return operator.Snapshot{ID: "e1v7", Fleet: "plant7", Policy: p, Document: operator.Document{
		Version: 7, Epoch: 1, Keyring: 1, Hash: "sha256:x", Apply: protocol.Apply{Health: 1, Deadline: 1},
	}}
}

func begin(t testing.TB, s operator.Snapshot, gateways []string) *operator.Rollout {
	t.Helper()
	r, err := operator.Begin(s, gateways)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func fleet(n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("gw-%03d", i))
	}
	return all
}

// What gateways may say in the tables.
var (
	online  = operator.Facts{Online: true, Epoch: 1, Seen: 6, Applied: 6, Status: protocol.StatusApplied}
	offline = operator.Facts{Epoch: 1, Seen: 6, Applied: 6, Status: protocol.StatusApplied}
	taken   = operator.Facts{Online: true, Epoch: 1, Seen: 7, Applied: 6, Status: protocol.StatusApplying}
	applied = operator.Facts{Online: true, Epoch: 1, Seen: 7, Applied: 7, Status: protocol.StatusApplied}
	rolled  = operator.Facts{Online: true, Epoch: 1, Seen: 7, Applied: 6, Status: protocol.StatusRolledBack, Failed: []uint64{7},
		Fault: &protocol.Fault{Code: protocol.CodeHealth, Path: "pipelines[0]", Message: "silent"}}
	// It has taken version 7, and is not through with taking version 6 back.
	late   = operator.Facts{Online: true, Epoch: 1, Seen: 7, Applied: 5, Status: protocol.StatusRolledBack, Failed: []uint64{6}}
	newer  = operator.Facts{Online: true, Epoch: 1, Seen: 8, Applied: 8, Status: protocol.StatusApplied}
	other  = operator.Facts{Online: true, Epoch: 1, Seen: 7, Applied: 7, Hash: "sha256:y", Status: protocol.StatusApplied}
	same   = operator.Facts{Online: true, Epoch: 1, Seen: 7, Applied: 7, Hash: "sha256:x", Status: protocol.StatusApplied}
	raised = operator.Facts{Online: true, Epoch: 2}
	away   = operator.Facts{Epoch: 1, Seen: 7, Applied: 7, Status: protocol.StatusApplied} // it runs it, and is offline
)

// TestRolloutTable: what becomes of one gateway, and of the rollout, by what the
// gateway says at which second.
func TestRolloutTable(t *testing.T) {
	type said struct {
		at int64
		f  operator.Facts
	}
	for name, c := range map[string]struct {
		waves  string
		said   []said
		until  int64
		status string
		code   protocol.Code
		phase  string
	}{
		"it applies it":                      {"1", []said{{0, online}, {2, taken}, {5, applied}}, 70, operator.MemberDone, "", operator.PhaseDone},
		"it is watched for the bake":         {"1", []said{{0, online}, {2, taken}, {5, applied}}, 64, operator.MemberDone, "", operator.PhaseRunning},
		"it had it before":                   {"1", []said{{0, applied}}, 70, operator.MemberDone, "", operator.PhaseDone},
		"it rolls back":                      {"1", []said{{0, online}, {2, taken}, {5, rolled}}, 6, operator.MemberFailed, protocol.CodeHealth, operator.PhaseStopped},
		"it rolls back during the bake":      {"1", []said{{0, online}, {5, applied}, {60, rolled}}, 61, operator.MemberFailed, protocol.CodeHealth, operator.PhaseStopped},
		"it takes the one before back":       {"1", []said{{0, online}, {2, late}}, 60, operator.MemberTaken, "", operator.PhaseRunning},
		"it has taken that back":             {"1", []said{{0, online}, {2, late}, {4, taken}, {5, applied}}, 70, operator.MemberDone, "", operator.PhaseDone},
		"it takes it and hangs":              {"1", []said{{0, online}, {2, taken}}, 301, operator.MemberFailed, protocol.CodeTimeout, operator.PhaseStopped},
		"it hangs, and there is time":        {"1", []said{{0, online}, {2, taken}}, 299, operator.MemberTaken, "", operator.PhaseRunning},
		"it is online and takes nothing":     {"1", []said{{0, online}}, 301, operator.MemberFailed, protocol.CodeTimeout, operator.PhaseStopped},
		"it vanishes before it has taken it": {"1", []said{{0, online}, {1, offline}}, 301, operator.MemberFailed, protocol.CodeTimeout, operator.PhaseStopped},
		"it is offline for an hour":          {"1", []said{{0, offline}}, 3601, operator.MemberFailed, protocol.CodeTimeout, operator.PhaseStopped},
		"it is offline for less":             {"1", []said{{0, offline}}, 3599, operator.MemberReleased, "", operator.PhaseRunning},
		"it comes after half an hour":        {"1", []said{{0, offline}, {1800, online}, {1801, applied}}, 1900, operator.MemberDone, "", operator.PhaseDone},
		"it applies it and goes away":        {"1", []said{{0, online}, {5, applied}, {6, away}}, 366, operator.MemberFailed, protocol.CodeTimeout, operator.PhaseStopped},
		"it goes away and comes back":        {"1", []said{{0, online}, {5, applied}, {6, away}, {200, applied}}, 210, operator.MemberDone, "", operator.PhaseDone},
		"somebody else was faster":           {"1", []said{{0, newer}}, 1, operator.MemberFailed, protocol.CodeStale, operator.PhaseStopped},
		"somebody else comes later":          {"1", []said{{0, online}, {5, applied}, {10, newer}}, 70, operator.MemberDone, "", operator.PhaseDone},
		"another content under the number":   {"1", []said{{0, other}}, 1, operator.MemberFailed, protocol.CodeReplay, operator.PhaseStopped},
		"the same content":                   {"1", []said{{0, same}}, 70, operator.MemberDone, "", operator.PhaseDone},
		"the epoch was raised":               {"1", []said{{0, raised}}, 1, operator.MemberFailed, protocol.CodeEpoch, operator.PhaseStopped},
	} {
		r := begin(t, plan(c.waves, nil), fleet(1))
		next := 0
		for now := int64(0); now <= c.until; now++ {
			for ; next < len(c.said) && c.said[next].at == now; next++ {
				r.Observe("gw-000", c.said[next].f, at(now))
			}
			r.Step(at(now))
		}
		if s := r.Snapshot(); s.Members[0].Status != c.status || s.Members[0].Code != c.code || s.Phase != c.phase {
			t.Errorf("%s: %+v, phase %s %s; want %s %s, phase %s", name, s.Members[0], s.Phase, s.Reason, c.status, c.code, c.phase)
		}
	}
}

// TestRolloutLate: one that failed by time alone is done when it says so later.
func TestRolloutLate(t *testing.T) {
	s := plan("100%", func(p *operator.Policy) { p.Success = 1 })
	r := begin(t, s, fleet(2))
	r.Observe("gw-000", applied, at(0))
	r.Observe("gw-001", online, at(0))
	r.Step(at(0))
	r.Step(at(301))
	if m := r.Snapshot().Members[1]; m.Status != operator.MemberFailed {
		t.Fatalf("%+v", m)
	}
	if e := r.Step(at(900)); !slices.Contains(e.Publish, "gw-001") {
		t.Errorf("it is not told again: %+v", e)
	}
	r.Observe("gw-001", applied, at(901))
	if m := r.Snapshot().Members[1]; m.Status != operator.MemberDone || m.Code != "" {
		t.Errorf("%+v", m)
	}
}

// TestRolloutAbortFailures: a number, and a share of those released.
func TestRolloutAbortFailures(t *testing.T) {
	for abort, most := range map[string]int{"2": 2, "10%": 1, "30%": 3} {
		a, err := operator.ParseAmount(abort)
		if err != nil {
			t.Fatal(err)
		}
		r := begin(t, plan("100%", func(p *operator.Policy) { p.Success, p.Failures = 1, &a }), fleet(10))
		r.Step(at(0))
		for i, name := range fleet(10) {
			r.Observe(name, rolled, at(1))
			r.Step(at(1))
			if stopped := r.Snapshot().Phase == operator.PhaseStopped; stopped != (i+1 >= most) {
				t.Errorf("abort %s: stopped %v after %d failures", abort, stopped, i+1)
			}
		}
	}
}

// TestRolloutClockSetBack: the bake takes longer, never shorter.
func TestRolloutClockSetBack(t *testing.T) {
	r := begin(t, plan("1,100%", nil), fleet(2))
	r.Observe("gw-000", applied, at(1000))
	r.Observe("gw-001", online, at(1000))
	r.Step(at(1000))
	r.Step(at(1001))
	for now := int64(10); now < 69; now++ {
		r.Step(at(now))
		if r.Snapshot().Waves != 1 {
			t.Fatalf("the next wave at %d", now)
		}
	}
	r.Step(at(71))
	if r.Snapshot().Waves != 2 {
		t.Error("no next wave")
	}
}

// device is a gateway of the simulation.
type device struct {
	online   bool
	kept     uint64 // the version that the broker keeps for it
	seen     uint64
	applied  uint64
	status   string
	busy     int // steps until it is through
	bad      bool
	received map[uint64]int
}

func (d *device) facts() operator.Facts {
	f := operator.Facts{Online: d.online, Epoch: 1, Seen: d.seen, Applied: d.applied, Status: d.status}
	if f.Status == protocol.StatusRolledBack {
		f.Failed = []uint64{f.Seen}
	}
	return f
}

// TestRolloutOracle simulates fleets whose gateways come and go, with a controller that
// loses its life at every step with some probability, also between the snapshot and
// what should follow from it, and whose sending fails. An oracle that knows only what
// was published judges it.
func TestRolloutOracle(t *testing.T) {
	t.Logf("seed %d", *seed)
	for run := range *runs {
		chance := rand.New(rand.NewPCG(*seed, uint64(run)))
		if err := simulate(chance); err != nil {
			t.Fatalf("seed %d, run %d: %v", *seed, run, err)
		}
	}
}

// choosePace gives some rollouts a rate, and some maintenance windows.
func choosePace(chance *rand.Rand, p *operator.Policy) {
	if chance.IntN(3) == 0 {
		p.Rate = &operator.Rate{Minute: 1 + chance.IntN(6), Growth: chance.IntN(3)}
	}
	if chance.IntN(3) == 0 { // the simulation begins on a Monday, at 14:13 in UTC
		p.Windows = []string{"Mon 14:10-14:20 UTC", "Mon-Fri 16:30-16:50 Europe/Berlin", "Mon 15:55-24:00 UTC"}[chance.IntN(2):]
	}
}

func simulate(chance *rand.Rand) error {
	names := fleet(1 + chance.IntN(40))
	policy := plan([]string{"1,100%", "1,5%,25%,100%", "3,6,9,100%", "100%"}[chance.IntN(4)], func(p *operator.Policy) {
		p.Success = []int{1, 50, 90, 100}[chance.IntN(4)]
		p.Bake = int64(chance.IntN(3)) * 30 * second
		choosePace(chance, p)
	})
	r, err := operator.Begin(policy, names)
	if err != nil {
		return err
	}
	badness := []float64{0, 0, 0.05, 1}[chance.IntN(4)]
	devices := map[string]*device{}
	for _, name := range names {
		devices[name] = &device{online: chance.Float64() < 0.8, bad: chance.Float64() < badness, received: map[uint64]int{}}
	}
	disk, err := r.Encode()
	if err != nil {
		return err
	}
	judge := &oracle{ends: r.Snapshot().Ends, members: names, policy: policy.Policy, devices: devices, done: map[string]int64{}}
	phase := operator.PhaseRunning
	for now := at(0); now < at(4*3600); now += 5 * second {
		for _, name := range names {
			devices[name].live(chance)
			r.Observe(name, devices[name].facts(), now)
			judge.look(name, now)
		}
		e := r.Step(now)
		if chance.IntN(50) == 0 { // it dies before the snapshot: nothing has happened
			if r, err = operator.Restore(disk); err != nil {
				return err
			}
			continue
		}
		if e.Changed {
			if disk, err = r.Encode(); err != nil {
				return err
			}
		}
		dies := chance.IntN(50) == 0
		for _, name := range e.Publish {
			if dies && chance.IntN(2) == 0 {
				break
			}
			if chance.IntN(20) == 0 {
				r.Unsent(name)
				continue
			}
			if err := judge.publish(name, now); err != nil {
				return err
			}
		}
		for _, name := range e.Withdraw {
			devices[name].kept = 0
		}
		if dies {
			if r, err = operator.Restore(disk); err != nil {
				return err
			}
		}
		if phase = r.Snapshot().Phase; phase == operator.PhaseDone {
			break
		}
	}
	return judge.end(r.Snapshot())
}

// live lets time pass for a gateway.
func (d *device) live(chance *rand.Rand) {
	if chance.IntN(100) == 0 {
		d.online = !d.online
	}
	if !d.online {
		return
	}
	if d.kept > d.seen {
		d.seen, d.status, d.busy = d.kept, protocol.StatusApplying, chance.IntN(6)
		d.received[d.kept]++
		return
	}
	if d.status != protocol.StatusApplying {
		return
	}
	if d.busy--; d.busy < 0 {
		d.status = protocol.StatusRolledBack
		if !d.bad {
			d.status, d.applied = protocol.StatusApplied, d.seen
		}
	}
}

// oracle judges by what was published and what gateways are.
type oracle struct {
	ends    []int
	members []string
	policy  operator.Policy
	devices map[string]*device
	done    map[string]int64 // since when a gateway runs it
	first   int64            // when the present wave was published first
	wave    int
}

func (o *oracle) look(name string, now int64) {
	if d := o.devices[name]; d.applied == 7 && o.done[name] == 0 {
		o.done[name] = now + 1
	}
}

// publish checks that a gateway may get the document now.
func (o *oracle) publish(name string, now int64) error {
	i := slices.Index(o.members, name)
	wave, _ := slices.BinarySearch(o.ends, i+1)
	if wave > o.wave+1 {
		return fmt.Errorf("at %d: wave %d behind wave %d", now, wave, o.wave)
	}
	if wave == o.wave+1 {
		before := o.members[:o.ends[wave-1]]
		if wave > 1 {
			before = before[o.ends[wave-2]:]
		}
		done, failed, last := 0, 0, int64(0)
		for _, other := range before {
			d := o.devices[other]
			if at := o.done[other]; at != 0 {
				done++
				last = max(last, at-1)
			} else if d.seen == 7 && d.status != protocol.StatusApplying {
				failed++
			}
		}
		if done == 0 || done*100 < o.policy.Success*(done+failed) {
			return fmt.Errorf("at %d: wave %d with %d done and %d failed before it", now, wave, done, failed)
		}
		if now < o.first+o.policy.Bake {
			return fmt.Errorf("at %d: wave %d before the bake of %d ms since %d", now, wave, o.policy.Bake, o.first)
		}
		o.wave, o.first = wave, now
	}
	o.devices[name].kept = 7
	return nil
}

// end checks the whole.
func (o *oracle) end(s operator.Snapshot) error {
	for _, name := range o.members {
		if n := o.devices[name].received[7]; n > 1 {
			return fmt.Errorf("%s got it %d times", name, n)
		}
	}
	if err := o.pace(s); err != nil || s.Phase != operator.PhaseDone {
		return err
	}
	for _, m := range s.Members {
		if m.Status == operator.MemberWaiting || o.devices[m.Gateway].kept != 7 && o.devices[m.Gateway].seen != 7 {
			return fmt.Errorf("%s was skipped: %+v", m.Gateway, m)
		}
	}
	return nil
}

// pace checks when members were released, against the rate and the windows.
func (o *oracle) pace(s operator.Snapshot) error {
	for i, m := range s.Members {
		if m.Released == 0 {
			continue
		}
		open := len(o.policy.Windows) == 0
		for _, text := range o.policy.Windows {
			open = open || inText(text, m.Released)
		}
		if !open {
			return fmt.Errorf("%s was released at %d, outside %q", m.Gateway, m.Released, o.policy.Windows)
		}
		if o.policy.Rate == nil {
			continue
		}
		wave, _ := slices.BinarySearch(s.Ends, i+1)
		most := o.policy.Rate.Minute
		for range wave {
			most *= max(1, o.policy.Rate.Growth)
		}
		within := 0
		for _, other := range s.Members[:i+1] {
			if other.Released > m.Released-60*second {
				within++
			}
		}
		if within > most {
			return fmt.Errorf("%d were released within a minute, the last of them %s of wave %d; rate %v", within, m.Gateway, wave+1, o.policy.Rate)
		}
	}
	return nil
}

// TestRolloutPaused: nothing new is released while paused, over a crash, too.
func TestRolloutPaused(t *testing.T) {
	r := begin(t, plan("1,100%", nil), fleet(3))
	r.Observe("gw-000", applied, at(0))
	r.Step(at(0))
	r.Pause(true, at(1))
	if e := r.Step(at(1)); !e.Changed {
		t.Error("a pause is not stored")
	}
	data, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if r, err = operator.Restore(data); err != nil {
		t.Fatal(err)
	}
	r.Observe("gw-000", applied, at(2))
	for now := range int64(500) {
		if e := r.Step(at(now)); slices.Contains(e.Publish, "gw-001") || r.Snapshot().Waves != 1 {
			t.Fatalf("released while paused: %+v", e)
		}
	}
	r.Pause(false, at(500))
	r.Step(at(501))
	if r.Snapshot().Waves != 2 {
		t.Error("not resumed")
	}
}

// TestRolloutRestore: what is damaged is refused.
func TestRolloutRestore(t *testing.T) {
	r := begin(t, plan("1,100%", nil), fleet(3))
	r.Observe("gw-000", applied, at(0))
	r.Step(at(0))
	good, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := operator.Restore(good); err != nil {
		t.Error(err)
	} else if data, _ := again.Encode(); string(data) != string(good) {
		t.Errorf("restored as\n%s\nwas\n%s", data, good)
	}
	for from, to := range map[string]string{
		`"v":1`: `"v":2`, `"waves":1,`: `"waves":2,`, `"ends":[1,3]`: `"ends":[1,2]`, `gw-001`: `gw-000`, `"phase":"running"`: `"phase":"jumping"`,
		`"success_pct":99`: `"success_pct":0`, `"version":7`: `"version":0`, `"status":"waiting"`: `"status":"lost"`, `}`: ``,
	} {
		if _, err := operator.Restore([]byte(strings.Replace(string(good), from, to, 1))); !errors.Is(err, operator.ErrSnapshot) {
			t.Errorf("%s instead of %s: %v", to, from, err)
		}
	}
}

// TestRolloutDay runs a rollout in virtual time with a controller that has a ticker,
// and gateways with goroutines of their own, for more than a day.
func TestRolloutDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := plan("1,50%,100%", func(p *operator.Policy) {
			p.Bake, p.Answer, p.Offline = operator.DefaultBake, operator.DefaultAnswer, operator.DefaultOffline
		})
		names := fleet(8)
		r := begin(t, s, names)
		said := make(chan string, 100)
		facts := map[string]operator.Facts{}
		begun := time.Now()
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for _, name := range names {
			r.Observe(name, map[bool]operator.Facts{true: offline, false: online}[name == "gw-007"], time.Now().UnixMilli())
		}
		for time.Since(begun) < 25*time.Hour {
			select {
			case name := <-said:
				facts[name] = applied
				r.Observe(name, applied, time.Now().UnixMilli())
			case <-ticker.C:
				for _, name := range r.Step(time.Now().UnixMilli()).Publish {
					if name != "gw-007" && facts[name].Seen == 0 {
						go func() { time.Sleep(90 * time.Second); said <- name }()
					}
				}
				if took := time.Since(begun); r.Snapshot().Phase == operator.PhaseDone && took < 34*time.Minute {
					t.Fatalf("done after %v, with three bakes of ten minutes", took)
				}
			}
		}
		if p := r.Progress(); p.Done != 7 || p.Failed != 1 || r.Snapshot().Phase != operator.PhaseDone {
			t.Errorf("after a day: %+v", p)
		}
	})
}

// TestRolloutNewLife: a controller that has just begun decides nothing by what it does
// not know: no time is over, and no wave, before it was told of everybody.
func TestRolloutNewLife(t *testing.T) {
	r := begin(t, plan("2,100%", nil), fleet(4))
	for _, name := range fleet(4) {
		r.Observe(name, online, at(0))
	}
	r.Step(at(0))
	r.Observe("gw-000", applied, at(5))
	r.Observe("gw-001", applied, at(5))
	r.Step(at(6))
	live := func() *operator.Rollout {
		data, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := operator.Restore(data)
		if err != nil {
			t.Fatal(err)
		}
		return again
	}
	second := live()
	second.Observe("gw-000", applied, at(7200))
	if second.Step(at(7200)); second.Snapshot().Waves != 1 {
		t.Error("a wave is over before the second gateway was heard")
	}
	second.Observe("gw-001", applied, at(7201))
	if second.Step(at(7201)); second.Snapshot().Waves != 2 {
		t.Error("it does not go on")
	}
	r = second
	third := live()
	if third.Step(at(90_000)); third.Snapshot().Phase != operator.PhaseRunning || third.Progress().Failed != 0 {
		t.Errorf("time was over before anybody was heard: %+v", third.Progress())
	}
	for _, name := range fleet(4) {
		third.Observe(name, applied, at(90_001))
	}
	third.Step(at(90_001))
	if third.Step(at(90_100)); third.Snapshot().Phase != operator.PhaseDone {
		t.Errorf("phase %s, %+v", third.Snapshot().Phase, third.Progress())
	}
}

// TestRolloutNewLifeOffline: a member that was offline when the last life ended may have
// answered since; the wave is not over before that is known.
func TestRolloutNewLifeOffline(t *testing.T) {
	r := begin(t, plan("2,100%", nil), fleet(3))
	r.Observe("gw-000", applied, at(0))
	r.Observe("gw-001", offline, at(0))
	r.Step(at(0))
	data, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if r, err = operator.Restore(data); err != nil {
		t.Fatal(err)
	}
	r.Observe("gw-000", applied, at(100))
	for now := int64(100); now < 300; now++ {
		if r.Step(at(now)); r.Snapshot().Waves != 1 {
			t.Fatal("the wave is over before gw-001 was heard")
		}
	}
	r.Observe("gw-001", rolled, at(301))
	if r.Step(at(301)); r.Snapshot().Phase != operator.PhaseStopped {
		t.Error("it goes on")
	}
}

// TestRolloutWithdraws: when it stops, what was not taken is taken off the broker, in
// this life and in the next; what was taken is left alone.
func TestRolloutWithdraws(t *testing.T) {
	r := begin(t, plan("100%", nil), fleet(4))
	for name, f := range map[string]operator.Facts{"gw-000": online, "gw-001": offline, "gw-002": taken, "gw-003": applied} {
		r.Observe(name, f, at(0))
	}
	r.Step(at(0))
	r.Stop("enough", at(1))
	e := r.Step(at(1))
	if fmt.Sprint(e.Withdraw) != "[gw-000 gw-001]" || !e.Changed || len(e.Publish) > 0 {
		t.Errorf("%+v", e)
	}
	r.Unsent("gw-001")
	if e = r.Step(at(2)); fmt.Sprint(e.Withdraw) != "[gw-001]" {
		t.Errorf("what was not sent: %+v", e)
	}
	data, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if r, err = operator.Restore(data); err != nil {
		t.Fatal(err)
	}
	if e = r.Step(at(3)); fmt.Sprint(e.Withdraw) != "[gw-000 gw-001]" || e.Changed {
		t.Errorf("in the next life: %+v", e)
	}
	// One had it in its hands already.
	r.Observe("gw-000", applied, at(4))
	if m := r.Snapshot().Members[0]; m.Status != operator.MemberDone {
		t.Errorf("%+v", m)
	}
}

// TestRolloutRepeats: what is said again changes nothing; what could not be sent is
// sent again, and so is what a gateway that came back does not find.
func TestRolloutRepeats(t *testing.T) {
	r := begin(t, plan("100%", nil), fleet(1))
	r.Observe("gw-000", online, at(0))
	if e := r.Step(at(0)); len(e.Publish) != 1 {
		t.Errorf("%+v", e)
	}
	r.Unsent("gw-000")
	if e := r.Step(at(1)); len(e.Publish) != 1 || e.Changed {
		t.Errorf("not sent again, or written down again: %+v", e)
	}
	var again []int64
	for now := int64(2); now < 250; now++ {
		r.Observe("gw-000", online, at(now))
		e := r.Step(at(now))
		if e.Changed || len(e.Events) > 0 {
			t.Fatalf("at %d: %+v", now, e)
		}
		if len(e.Publish) > 0 {
			again = append(again, now)
		}
	}
	if fmt.Sprint(again) != "[61 181]" {
		t.Errorf("published again at %v", again)
	}
	r.Observe("gw-000", applied, at(251))
	before := r.Snapshot().Members[0]
	r.Step(at(251))
	r.Observe("gw-000", applied, at(260))
	if e := r.Step(at(260)); e.Changed || len(e.Events) > 0 || r.Snapshot().Members[0] != before {
		t.Errorf("said again: %+v", e)
	}
}

// TestRolloutOfThoseThatAnswered: members that were never online do not count as
// successes.
func TestRolloutOfThoseThatAnswered(t *testing.T) {
	r := begin(t, plan("10,100%", func(p *operator.Policy) { p.Success = 50 }), fleet(20))
	for i, name := range fleet(20) {
		r.Observe(name, []operator.Facts{applied, rolled, rolled, offline}[min(i, 3)], at(0))
	}
	for now := int64(0); now < 100; now++ {
		r.Step(at(now))
	}
	if s := r.Snapshot(); s.Phase != operator.PhaseStopped || s.Waves != 1 || !strings.Contains(s.Reason, "2 of the 3 gateways of wave 1 that answered") {
		t.Errorf("%s: %s", s.Phase, s.Reason)
	}
}

// TestRolloutGone: one that ran it and went away has failed, until it is back.
func TestRolloutGone(t *testing.T) {
	r := begin(t, plan("100%", func(p *operator.Policy) { p.Success = 1 }), fleet(2))
	r.Observe("gw-000", applied, at(0))
	r.Observe("gw-001", applied, at(0))
	r.Step(at(0))
	r.Step(at(1))
	r.Observe("gw-001", away, at(2))
	r.Step(at(400))
	r.Observe("gw-001", away, at(401))
	if m := r.Snapshot().Members[1]; m.Status != operator.MemberFailed || !m.Gone {
		t.Errorf("%+v", m)
	}
	r.Observe("gw-001", applied, at(500))
	if m := r.Snapshot().Members[1]; m.Status != operator.MemberDone || m.Gone {
		t.Errorf("%+v", m)
	}
}
