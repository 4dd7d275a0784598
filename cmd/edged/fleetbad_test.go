package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"edged"
	"edged/fleet/protocol"
	"edged/internal/sim"
	"edged/mqtt"
)

// takenBackWithin is how soon a bad version must be gone from the gateway that tried it,
// counted from the rollout's beginning.
const takenBackWithin = 120 * time.Second

// badRollout is a version that must be stopped at the first wave, and what it does.
type badRollout struct {
	name   string
	config func(number uint64) string
	state  string
	health time.Duration
	hurts  func(c *badCampaign, victim string) // once the victim has it; nil: it is bad by itself

	status string
	code   protocol.Code
	says   string
	still  bool // nothing that the demo's pipeline takes is published meanwhile
}

// badCampaign is a campaign with bad versions.
type badCampaign struct {
	*campaign
	devices  *mqtt.Control
	fleet    *sim.Fleet
	payloads []string
	version  uint64
	hash     string // of the configuration that all gateways run between rollouts
}

// slackVersion is a good version, by its number.
func slackVersion(number uint64) string {
	return strings.Replace(unhurried(demoConfig), "out_of_orderness: 1s", fmt.Sprintf("out_of_orderness: %dms", 1000+number), 1)
}

// dearVersion computes 200 fields of each event, each with hundreds of operations, and
// takes their maxima.
func dearVersion(number uint64) string {
	var compute, aggregates strings.Builder
	for i := range 200 {
		fmt.Fprintf(&compute, "      - {name: dear%d, expression: \"%s\"}\n", i, strings.Repeat("temp*temp-", 240)+"temp")
		fmt.Fprintf(&aggregates, "      - {name: most%d, function: max, field: dear%d}\n", i, i)
	}
	config := strings.Replace(slackVersion(number), "    watermark:", "    compute:\n"+compute.String()+"    watermark:", 1)
	return strings.Replace(config, "    output_key:", aggregates.String()+"    output_key:", 1)
}

// wideVersion has other windows, whose states are not those of the version before.
func wideVersion(number uint64) string {
	return strings.Replace(slackVersion(number), "${EDGED_WINDOW:3s}", "10m", 1)
}

var badRollouts = []badRollout{
	{
		name: "it refuses what comes", state: protocol.StateKeep, health: 20 * time.Second, status: protocol.StatusRolledBack,
		code: protocol.CodeHealth, says: "are allowed", still: true,
		config: func(n uint64) string {
			return slackVersion(n) + sidePipeline(troubleOf(n), "{name: nope, type: number, required: true}")
		},
		hurts: func(c *badCampaign, victim string) { c.trouble(victim, protocol.PhaseShadow) },
	},
	{
		name: "it cannot read the states", state: protocol.StateKeep, config: wideVersion, health: time.Second, status: protocol.StatusRejected,
		code: protocol.CodePrecond, says: "its stored state means something else", still: true,
	},
	{
		name: "it spoils the states, and refuses what comes once it is heard", state: protocol.StateMigrate, health: 2 * time.Second,
		status: protocol.StatusRolledBack, code: protocol.CodeHealth, says: "are allowed",
		config: func(n uint64) string {
			return wideVersion(n) + sidePipeline(troubleOf(n), "{name: nope, type: number, required: true}")
		},
		hurts: func(c *badCampaign, victim string) {
			c.phase(victim, protocol.PhaseShadow)
			c.more(50)
			c.phase(victim, protocol.PhaseHealthGate)
			c.more(100) // for what the version before would have said in the meantime
			c.trouble(victim, protocol.PhaseHealthGate)
		},
	},
	{
		name: "its process dies, and the next one at its start", state: protocol.StateKeep, config: slackVersion, health: 20 * time.Second,
		status: protocol.StatusRolledBack, code: protocol.CodeHealth, says: "the process ended 2 times", still: true,
		hurts: (*badCampaign).crash,
	},
	{
		name: "the management link is gone once it is heard", state: protocol.StateMigrate, config: wideVersion, health: 2 * time.Second,
		status: protocol.StatusRolledBack, code: protocol.CodeHealth, says: "management link",
		hurts: (*badCampaign).cutOff,
	},
	{
		name: "it is slow", state: protocol.StateMigrate, config: dearVersion, health: time.Minute, status: protocol.StatusRolledBack,
		code: protocol.CodeHealth, says: "does not keep up",
		hurts: func(c *badCampaign, victim string) {
			c.phase(victim, protocol.PhaseShadow)
			for sent := 0; sent < 15_000 && !slices.Contains(c.desk.report(victim).Failed, c.version); sent += 500 {
				c.more(500) // devices do not wait
			}
		},
	},
}

// publisher connects somebody who publishes as devices do.
func (y *yard) publisher() *mqtt.Control {
	y.t.Helper()
	c, err := mqtt.NewControl(mqtt.ControlConfig{Config: mqtt.Config{URL: y.broker.URL(), ClientID: "test-devices", ReconnectMin: 20 * time.Millisecond, ReconnectMax: 200 * time.Millisecond}})
	y.must(err)
	publishing := start(y.t.Context(), func(ctx context.Context) error { return c.Run(ctx, mqtt.ControlHooks{}) })
	y.t.Cleanup(func() { publishing.end() })
	y.until("devices are connected", func() bool { return c.Stats().Connected })
	return c
}

// device publishes one event for a pipeline beside the demo's.
func (y *yard) device(by *mqtt.Control, name, pipeline string) {
	y.t.Helper()
	text := fmt.Sprintf(`{"device":%q,"ts":%d,"temp":20}`, name, time.Now().UnixMilli())
	y.must(by.Publish(y.t.Context(), mqtt.Note{Topic: "sensors/" + name + "/" + pipeline, Payload: []byte(text), QoS: 1}))
}

func (c *badCampaign) more(n int) {
	c.payloads = append(c.payloads, publish(c.t.(*testing.T), c.broker.URL(), &half{Fleet: c.fleet, left: n})...)
}

// taken rolls a good version out.
func (c *badCampaign) taken(args []string) {
	c.t.Helper()
	if code := startController(c.t.(*testing.T), args).wait(); code != 0 {
		c.t.Fatalf("the rollout ends with code %d", code)
	}
}

// phase waits until a gateway is in a phase of the newest version's trial.
func (c *badCampaign) phase(gateway, phase string) {
	c.t.Helper()
	said := fmt.Sprintf("version=%d status=APPLYING phase=%s", c.version, phase)
	c.until(gateway+" is in phase "+phase, func() bool { return strings.Contains(c.processes[gateway].log.String(), said) })
}

// trouble sends what the newest version does not fit, in a phase of its trial.
func (c *badCampaign) trouble(victim, phase string) {
	c.t.Helper()
	c.phase(victim, phase)
	for range 5 {
		c.device(c.devices, "dev", troubleOf(c.version))
	}
}

// crash kills the process that tries the version, and the next one when it begins.
func (c *badCampaign) crash(victim string) {
	c.t.Helper()
	c.phase(victim, protocol.PhaseShadow)
	c.processes[victim].kill()
	next := c.launch(c.configs[victim])
	b := &logBlade{texts: []string{"recover"}}
	b.lay(nil, next)
	next.end()
	if _, fell := b.lift(); !fell {
		c.t.Errorf("the process was not killed at its start:\n%s", next.log)
	}
	c.processes[victim] = c.launch(c.configs[victim])
}

// cutOff takes the broker away after the switch, until the gateway has helped itself.
func (c *badCampaign) cutOff(victim string) {
	c.t.Helper()
	c.phase(victim, protocol.PhaseShadow)
	c.more(50)
	c.phase(victim, protocol.PhaseHealthGate)
	c.broker.Stop()
	said := fmt.Sprintf("version=%d phase=rollback", c.version)
	c.until("it is taken back", func() bool { return strings.Contains(c.processes[victim].log.String(), said) })
	c.broker.Restart()
}

// windows returns the open windows of a gateway.
func (c *badCampaign) windows(gateway string) string {
	c.t.Helper()
	c.desk.done(gateway, "checkpoint.now", "", "olga")
	all := resultOf[dumpResult](c.t, c.desk.done(gateway, "window.dump", `{"pipeline":"device-windows","limit":200}`, "olga"))
	if len(all.Keys) == 0 || all.More {
		c.t.Errorf("%s: %d keys with open windows, and more: %t", gateway, len(all.Keys), all.More)
	}
	for i := range all.Keys {
		k := &all.Keys[i]
		all.Keys[i] = keyResult{Key: k.Key, Open: k.Open, Watermark: k.Watermark, Windows: k.Windows}
	}
	text, err := json.Marshal(all.Keys)
	c.must(err)
	return string(text)
}

// stopped rolls a bad version out, and checks that it is taken back where it was tried and
// has come nowhere else. It returns how long that took.
func (c *badCampaign) stopped(t *testing.T, bad *badRollout) time.Duration {
	c.version++
	config := bad.config(c.version)
	before := map[string]string{}
	for _, name := range c.gateways {
		if bad.still {
			c.until(name+" has all that was published", func() bool {
				s := resultOf[sourceResult](c.t, c.desk.done(name, "source.status", "", "vera"))
				return s.Received >= int64(len(c.payloads)) && s.Unacked == 0 && s.Waiting == 0
			})
			before[name] = c.windows(name)
		}
	}
	began := time.Now()
	controller := startController(t, append(c.rollout("bad.yaml", config, bad.health), "--success", "100", "--state", bad.state))
	victim := ""
	c.until("one has it", func() bool {
		if i := slices.IndexFunc(c.gateways, func(name string) bool { return c.desk.report(name).Seen == c.version }); i >= 0 {
			victim = c.gateways[i]
		}
		return victim != ""
	})
	if bad.hurts != nil {
		bad.hurts(c, victim)
	}
	var r protocol.Reported
	if !await(takenBackWithin-time.Since(began), func() bool {
		r = c.desk.report(victim)
		return slices.Contains(r.Failed, c.version)
	}) {
		t.Fatalf("it is not gone after %v: %+v", takenBackWithin, r)
	}
	t.Logf("given up after %v", time.Since(began).Round(100*time.Millisecond))
	if !await(takenBackWithin-time.Since(began), func() bool { return settledAt(c.t, c.dirs[victim]) }) {
		t.Errorf("it still runs after %v", takenBackWithin)
	}
	took := time.Since(began)
	if code := controller.wait(); code != exitCheck {
		t.Errorf("the controller ends with code %d", code)
	}
	if r.Status != bad.status || r.Effective != c.hash || r.Error == nil || r.Error.Code != bad.code || !strings.Contains(r.Error.Message, bad.says) {
		t.Errorf("%+v, %+v", r, r.Error)
	}
	for _, name := range c.gateways {
		if r := c.desk.report(name); r.Effective != c.hash || name != victim && r.Seen == c.version {
			t.Errorf("%s, which is not %s: %+v", name, victim, r)
		}
		if bad.still {
			if after := c.windows(name); after != before[name] {
				t.Errorf("%s has other windows than before:\n%s\n%s", name, after, before[name])
			}
		}
	}
	return took
}

// TestBadRollouts rolls versions out to real gateways that are bad in different ways. Each must
// be stopped at the first wave and be taken back by the gateway itself within 120 s, and leave
// each window as it would be without.
func TestBadRollouts(t *testing.T) {
	t.Parallel()
	c := &badCampaign{campaign: newCampaign(t, *campaignGateways)}
	c.devices = c.publisher()
	up := startUpstream(t, c.broker.URL(), "agg/#")
	c.fleet = newFleet(t, 13, 20_000, edged.Timestamp(time.Now().Add(-time.Hour).UnixMilli()))
	c.version = 1
	c.taken(c.rollout("good.yaml", slackVersion(1), trialShort))
	c.hash = hashOf(slackVersion(1))
	c.more(300)
	for i := range badRollouts {
		bad := &badRollouts[i]
		t.Run(bad.name, func(t *testing.T) {
			t.Logf("gone after %v, from 1 of %d gateways", c.stopped(t, bad).Round(100*time.Millisecond), len(c.gateways))
		})
	}
	c.more(100)
	c.version++
	c.taken(c.rollout("last.yaml", strings.Replace(demoConfig, "idle_timeout: 5s", "idle_timeout: 1s", 1), trialShort))
	c.compareAll(t, up, c.payloads)
}
