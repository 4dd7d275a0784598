package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"edged"
	"edged/fleet/operator"
	"edged/fleet/protocol"
)

var campaignGateways = flag.Int("fleet.gateways", 4, "gateways of the rollout campaign, each of them a process")

// campaign is a fleet of processes, and an operator with the commands.
type campaign struct {
	*yard
	desk      *operatorDesk
	home      string
	gateways  []string
	configs   map[string]string
	dirs      map[string]string
	processes map[string]*process
}

// unhurried makes windows wait for events: the campaign takes longer than devices are silent.
func unhurried(config string) string {
	return strings.Replace(config, "idle_timeout: 5s", "idle_timeout: 10m", 1)
}

func newCampaign(t *testing.T, gateways int) *campaign {
	t.Helper()
	y := newYard(t)
	c := &campaign{yard: y, desk: y.desk(), home: t.TempDir(), configs: map[string]string{}, dirs: map[string]string{}, processes: map[string]*process{}}
	y.write("dave.secret", holderKey("dave").Line()+"\n")
	home, err := openHome(c.home, "plant7")
	y.must(err)
	y.must(home.pin(y.ring.Root))
	for i := range gateways {
		name := fmt.Sprintf("gw-%02d", i+1)
		y.certify(name)
		c.gateways = append(c.gateways, name)
		c.dirs[name] = t.TempDir()
		c.configs[name] = y.config(name, c.dirs[name])
		text, err := os.ReadFile(c.configs[name])
		y.must(err)
		y.must(os.WriteFile(c.configs[name], []byte(unhurried(string(text))), 0o600))
		c.processes[name] = y.launch(c.configs[name])
	}
	for _, name := range c.gateways {
		c.desk.online(name, 0)
	}
	return c
}

func (c *campaign) args(more ...string) []string {
	return append([]string{"fleet", "--fleet", "plant7", "--broker", c.url, "--home", c.home, "--settle", "300ms", "--ca", c.file("ca.pem"),
		"--cert", c.file("olga.pem"), "--cert-key", c.file("olga.key"), "--key", c.file("dave.secret")}, more...)
}

// rollout are the arguments of one to all gateways, in waves.
func (c *campaign) rollout(name, config string, health time.Duration) []string {
	c.write(name, config)
	return c.args("rollout", c.file(name), "--selector", "*", "--yes", "--waves", "1,25%,100%", "--bake", "300ms",
		"--health", health.String(), "--deadline", (health + time.Minute).String(), "--answer", "2m")
}

// run runs a command and returns what it says.
func (c *campaign) run(code int, args []string) string {
	c.t.Helper()
	got, stdout, stderr := edgedCmd(c.t.(*testing.T), args...)
	if got != code {
		c.t.Fatalf("edged %s: code %d, want %d\n%s%s", strings.Join(args, " "), got, code, stdout, stderr)
	}
	return stdout + stderr
}

// stage returns a rollout as the controller has written it down.
func (c *campaign) stage(id string) operator.Snapshot {
	c.t.Helper()
	home, err := openHome(c.home, "plant7")
	c.must(err)
	r, _, err := home.rollout(id)
	c.must(err)
	return r.Snapshot()
}

// all checks what every gateway reports.
func (c *campaign) all(what string, ok func(protocol.Reported) bool) {
	c.t.Helper()
	c.until("all gateways: "+what, func() bool {
		return !slices.ContainsFunc(c.gateways, func(name string) bool { return !ok(c.desk.report(name)) })
	})
}

// TestRolloutCampaign takes real gateways through rollouts over TLS with the access rules
// that are shipped: a good one whose controller is killed and which a gateway sleeps
// through, bad ones that are stopped at the first wave and taken back, all while events
// flow; afterwards every gateway has the windows that it must have.
func TestRolloutCampaign(t *testing.T) {
	t.Parallel()
	c := newCampaign(t, *campaignGateways)
	up := startUpstream(t, c.broker.URL(), "agg/#")
	fleet := newFleet(t, 11, 2000, edged.Timestamp(time.Now().Add(-time.Hour).UnixMilli()))
	payloads := publish(t, c.broker.URL(), &half{Fleet: fleet, left: 1000})

	sleeper := c.gateways[1]
	before := c.desk.state(sleeper).Session
	c.processes[sleeper].kill()
	controller := startController(t, c.rollout("good.yaml", unhurried(slackConfig), trialShort))
	controller.until(`"done"`, 1) // the first gateway runs it
	controller.kill()
	c.run(0, c.args("rollout", "resume", "e1v1"))
	c.processes[sleeper] = c.launch(c.configs[sleeper])
	c.desk.online(sleeper, before)
	c.all("they run version 1", func(r protocol.Reported) bool { return r.Applied == 1 && r.Status == protocol.StatusApplied })

	t.Run("a bad one", func(t *testing.T) {
		began := time.Now()
		out := c.run(exitCheck, c.rollout("bad.yaml", unhurried(unfitConfig), 2*time.Second))
		s := c.stage("e1v2")
		failed := slices.DeleteFunc(slices.Clone(s.Members), func(m operator.Member) bool { return m.Status != operator.MemberFailed })
		if len(failed) != 1 || s.Phase == operator.PhaseDone || !strings.Contains(out, "E_HEALTH") {
			t.Errorf("%+v: %s", s, out)
		}
		t.Logf("stopped after %v, with %d of %d gateways touched", time.Since(began).Round(time.Millisecond), len(failed), len(c.gateways))
	})
	t.Run("one that kills", func(t *testing.T) { c.deadly(t) })
	c.all("they run version 1 again", func(r protocol.Reported) bool { return r.Applied == 1 && r.Effective == hashOf(unhurried(slackConfig)) })

	payloads = append(payloads, publish(t, c.broker.URL(), fleet)...)
	c.run(0, c.rollout("last.yaml", strings.Replace(slackConfig, "idle_timeout: 5s", "idle_timeout: 1s", 1), trialShort))
	c.compareAll(t, up, payloads)
}

// compareAll waits until all windows have closed at all gateways, and compares them with
// what they must be.
func (c *campaign) compareAll(t *testing.T, up *upstream, payloads []string) {
	t.Helper()
	windows := expected(t, payloads, 3*time.Second)
	results := map[string][]string{}
	eventually(t, "all windows have closed everywhere", func() bool {
		clear(results)
		for _, text := range up.results() {
			p := decode[struct{ Gateway string }](t, text)
			results[p.Gateway] = append(results[p.Gateway], text)
		}
		return !slices.ContainsFunc(c.gateways, func(name string) bool { return len(results[name]) < len(windows) })
	}, func() string {
		text := fmt.Sprintf("%d windows", len(windows))
		for _, name := range c.gateways {
			text += fmt.Sprintf("; %s has %d", name, len(results[name]))
		}
		return text
	})
	for _, name := range c.gateways {
		compare(t, results[name], windows)
	}
}

// deadly rolls out a version while whose trial the gateway dies twice, as one does that
// makes the process crash.
func (c *campaign) deadly(t *testing.T) {
	began := time.Now()
	deadly := strings.Replace(unhurried(slackConfig), "out_of_orderness: 2s", "out_of_orderness: 3s", 1)
	controller := startController(t, append(c.rollout("deadly.yaml", deadly, 20*time.Second), "--success", "100"))
	var victim string
	c.until("one tries it", func() bool {
		i := slices.IndexFunc(c.gateways, func(name string) bool {
			r := c.desk.report(name)
			return r.Seen == 3 && r.Phase == protocol.PhaseShadow
		})
		if i >= 0 {
			victim = c.gateways[i]
		}
		return i >= 0
	})
	for range 2 {
		before := c.desk.state(victim).Session
		c.processes[victim].kill()
		c.processes[victim] = c.launch(c.configs[victim])
		c.desk.online(victim, before)
	}
	if code := controller.wait(); code != exitCheck {
		t.Errorf("code %d", code)
	}
	r := c.desk.report(victim)
	if r.Applied != 1 || r.Status != protocol.StatusRolledBack {
		t.Errorf("%s: %+v", victim, r)
	}
	for _, name := range c.gateways {
		if r := c.desk.report(name); name != victim && r.Seen == 3 {
			t.Errorf("%s has seen it, too: %+v", name, r)
		}
	}
	t.Logf("taken back after %v", time.Since(began).Round(time.Millisecond))
}
