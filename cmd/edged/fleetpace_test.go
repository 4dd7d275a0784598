package main

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// refreshOf returns the refresh that a gateway has.
func (p *plant) refreshOf(name string) uint64 {
	m := p.gates[name]
	m.mu.Lock()
	defer m.mu.Unlock()
	_, refresh := m.guard.Desired()
	return refresh
}

// TestFleetRefresh: what this home has sent is signed again, for those that have it; what
// it sends later promises to be.
func TestFleetRefresh(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	p.gateways(4)
	dave := []string{"--key", p.secret("dave")}
	file := p.write("good.json", goodConfig)
	p.run(0, append(dave, "apply", "--selector", "site=berlin", "--yes", file, "--health", "1s")...) // gw-01, gw-03
	p.gates["gw-03"].disconnect()
	p.eventually("gw-03 is gone", func() bool { return strings.Contains(p.run(0, "list"), "shut down") })
	other := *p
	other.home = t.TempDir()
	other.run(0, "keyring", "pin", p.file("ring.json"))
	other.run(0, append(dave, "apply", "gw-02", p.write("other.json", `{"other":1}`), "--version", "9", "--health", "1s")...)
	out := p.run(0, append(dave, "refresh")...)
	if !strings.Contains(out, "rollout e1v1: refresh 1 for 1 gateway") || !strings.Contains(out, "not refreshed: gw-02: what it has was not sent from here") {
		t.Errorf("refresh: %s", out)
	}
	out = p.run(0, append(dave, "refresh", "--json", "--selector", "site=berlin")...)
	if !strings.Contains(out, `"event":"refreshed","gateways":["gw-01"],"refresh":2,"rollout":"e1v1"`) || strings.Contains(out, "gw-02") {
		t.Errorf("refresh as JSON: %s", out)
	}
	p.eventually("gw-01 has it", func() bool { return p.refreshOf("gw-01") == 2 })
	if out = p.run(exitCheck, "refresh", "--key", p.secret("olga")); !strings.Contains(out, "our key may not configure it") {
		t.Errorf("an operator: %s", out)
	}
	// One that was away gets the document as it was, and the next refresh.
	p.gates["gw-03"].connect()
	p.eventually("gw-03 is back", func() bool { return strings.Count(p.run(0, "list"), "online") >= 4 })
	c := p.controller(append(dave, "refresh", "--every", "1s")...)
	c.until(`"refresh":4`, 1)
	c.kill()
	p.eventually("both have it", func() bool { return p.refreshOf("gw-01") >= 4 && p.refreshOf("gw-03") >= 4 })
	for _, name := range []string{"gw-01", "gw-03"} {
		if v := p.gates[name].versions(); fmt.Sprint(v) != "[1]" {
			t.Errorf("%s got versions %v", name, v)
		}
	}
	// What is sent now promises it from the beginning, until that is taken back.
	p.run(0, append(dave, "apply", "gw-01", file, "--health", "1s")...)
	if n := p.refreshOf("gw-01"); n != 1 {
		t.Errorf("a later document has refresh %d", n)
	}
	p.run(0, "refresh", "--off")
	p.run(0, append(dave, "apply", "gw-01", file, "--health", "1s")...)
	if n := p.refreshOf("gw-01"); n != 0 {
		t.Errorf("after --off it has refresh %d", n)
	}
}

// TestFleetRolloutRate: a rate holds over the death of the controller.
func TestFleetRolloutRate(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	p.gateways(5)
	taken := p.follow()
	file := p.write("good.json", goodConfig)
	args := p.rolloutArgs(file, "--waves", "100%", "--rate", "2/min")
	if out := p.run(0, append(args, "--preview")...); !strings.Contains(out, "at most 2/min") {
		t.Errorf("preview: %s", out)
	}
	c := p.controller(args...)
	c.until(`"status":"done"`, 2)
	c.kill()
	c = p.controller("rollout", "resume", "e1v1", "--key", p.secret("dave"))
	c.until(`"event":"rollout"`, 1)
	p.run(0, "rollout", "abort", "e1v1")
	c.until(`"event":"stopped"`, 1)
	if s := p.snapshot("e1v1"); len(taken.list()) != 2 || s.Progress().Waiting != 3 {
		t.Errorf("%v took it: %s", taken.list(), describeRollout(&s))
	}
}

// TestFleetRolloutWindow: outside its windows a rollout sends nothing, and says until
// when, also to those who look from elsewhere; inside it goes on.
func TestFleetRolloutWindow(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	p.gateways(2)
	taken := p.follow()
	file := p.write("good.json", goodConfig)
	later := time.Now().UTC().Add(3 * time.Hour)
	closed := later.Format("15:04") + "-" + later.Add(time.Hour).Format("15:04") + " UTC"
	c := p.controller(p.rolloutArgs(file, "--window", closed)...)
	c.until(`"event":"closed"`, 1)
	c.kill()
	if out := p.run(0, "rollout", "status", "e1v1"); !strings.Contains(out, "only "+closed+", waits until "+later.Local().Format("Mon 2006-01-02 15:04 MST")) {
		t.Errorf("status: %s", out)
	}
	c = p.controller("rollout", "resume", "e1v1", "--key", p.secret("dave"))
	c.until(`"event":"closed"`, 1)
	if n := len(taken.list()); n != 0 {
		t.Errorf("%d took it outside", n)
	}
	p.run(0, "rollout", "abort", "e1v1")
	c.wait()
	out := p.run(0, p.rolloutArgs(file, "--window", closed, "--window", "Sat-Fri 00:00-24:00 Asia/Tokyo")...)
	if !strings.Contains(out, "2 of 2 gateways run it") {
		t.Errorf("inside: %s", out)
	}
}
