package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"edged"
	"edged/fleet/protocol"
	"edged/fleet/trust"
)

// send publishes a desired document of dave's.
func (d *operatorDesk) send(gateway string, version uint64, config, confirm string, health time.Duration) {
	d.y.t.Helper()
	text, err := json.Marshal(map[string]string{"yaml": config})
	d.y.must(err)
	doc := protocol.Desired{
		V: 1, Aud: trust.Audience{Fleet: "plant7", Gateway: gateway}, Issuer: holderKey("dave").Public().ID(), Keyring: 1, Epoch: 1,
		Version: version, Config: text,
		Apply: protocol.Apply{Health: health.Milliseconds(), Deadline: (health + time.Minute).Milliseconds(), Confirm: confirm, State: protocol.StateKeep},
	}
	data, err := protocol.Seal(doc, holderKey("dave"))
	d.y.must(err)
	d.publish("edged/v1/plant7/"+gateway+"/desired", data, true)
}

// report returns what a gateway reported last.
func (d *operatorDesk) report(gateway string) protocol.Reported {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.reported[gateway]
}

// outcome waits until a gateway reports what became of a version.
func (d *operatorDesk) outcome(gateway string, version uint64, phase string) (r protocol.Reported) {
	d.y.t.Helper()
	d.y.until(fmt.Sprintf("version %d is in phase %s", version, phase), func() bool {
		r = d.report(gateway)
		return r.Seen == version && r.Phase == phase
	})
	return r
}

// The configurations that are sent in the tests: the demo's with a wider watermark, and one
// that no reading fits.
var (
	demoConfig  = string(demoDocument)
	slackConfig = strings.Replace(demoConfig, "out_of_orderness: 1s", "out_of_orderness: 2s", 1)
	unfitConfig = strings.Replace(demoConfig, "type: number}", "type: number}\n      - {name: nope, type: number, required: true}", 1)
)

// trialShort is a health gate that is over at once.
const trialShort = 300 * time.Millisecond

// TestConfigurationsAreSent goes through what operators may send: what is good is applied,
// keeps its state, and survives a restart; what is not is refused with the place, or taken
// back, also by a process that was killed while it was tried.
func TestConfigurationsAreSent(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	d := y.desk()
	y.certify("gw-1")
	config := y.config("gw-1", t.TempDir())
	p := y.launch(config)
	d.online("gw-1", 0)
	t.Run("errors while it is tried", func(t *testing.T) {
		d.send("gw-1", 1, unfitConfig, protocol.ConfirmSession, time.Hour)
		if r := d.outcome("gw-1", 1, protocol.PhaseShadow); r.Applied != 0 {
			t.Errorf("on trial: %+v", r)
		}
		publish(t, y.broker.URL(), newFleet(t, 3, 400, edged.Timestamp(time.Now().UnixMilli())))
		d.fails(1, 0, protocol.StatusRolledBack, protocol.PhaseRollback, protocol.CodeHealth, "", "1.0 % are allowed")
		d.event("config.failed", func(e protocol.Event) bool { return e.Code == "config.failed" })
	})
	d.send("gw-1", 2, slackConfig, protocol.ConfirmSession, trialShort)
	d.runs(2, slackConfig)
	t.Run("refused", func(t *testing.T) { d.refuses() })
	t.Run("killed while it is tried", func(t *testing.T) {
		d.send("gw-1", 7, strings.Replace(slackConfig, "out_of_orderness: 2s", "out_of_orderness: 3s", 1), protocol.ConfirmSession, time.Hour)
		d.outcome("gw-1", 7, protocol.PhaseShadow)
		for n := range 2 {
			before := d.state("gw-1").Session
			p.kill()
			p = y.launch(config)
			d.online("gw-1", before)
			if n > 0 {
				break
			}
			if r := d.outcome("gw-1", 7, protocol.PhaseShadow); r.Applied != 2 {
				t.Errorf("after one kill: %+v", r)
			}
		}
		d.fails(7, 2, protocol.StatusRolledBack, protocol.PhaseRollback, protocol.CodeHealth, "", "2 times")
	})
	t.Run("confirmed by a person", func(t *testing.T) {
		d.send("gw-1", 8, demoConfig, protocol.ConfirmOperator, trialShort)
		d.outcome("gw-1", 8, protocol.PhaseConfirm)
		if a := d.do("gw-1", "config.confirm", `{"epoch":1,"version":7}`, "dave"); a.Code != protocol.CodePrecond {
			t.Errorf("another version is confirmed: %+v", a)
		}
		d.done("gw-1", "config.confirm", `{"epoch":1,"version":8}`, "dave")
		d.runs(8, demoConfig)
	})
	other := strings.Replace(demoConfig, "name: device-windows", "name: other", 1) // outputs come and go
	d.send("gw-1", 9, other, protocol.ConfirmSession, trialShort)
	d.runs(9, other)
	before := d.state("gw-1").Session
	p.kill()
	y.launch(config)
	d.online("gw-1", before)
	d.runs(9, other)
}

// runs waits until gw-1 runs a version for good.
func (d *operatorDesk) runs(version uint64, config string) {
	d.y.t.Helper()
	if r := d.outcome("gw-1", version, protocol.PhaseCommitted); r.Status != protocol.StatusApplied || r.Applied != version || r.Effective != hashOf(config) {
		d.y.t.Errorf("version %d: %+v", version, r)
	}
}

// fails waits until gw-1 has given a version up, and checks what it says of it.
func (d *operatorDesk) fails(version, applied uint64, status, phase string, code protocol.Code, path, says string) {
	d.y.t.Helper()
	var r protocol.Reported
	d.y.until(fmt.Sprintf("version %d is %s", version, status), func() bool {
		r = d.report("gw-1")
		return r.Seen == version && r.Status == status
	})
	if r.Phase != phase || r.Applied != applied || r.Error == nil || r.Error.Code != code || r.Error.Path != path || !strings.Contains(r.Error.Message, says) {
		d.y.t.Errorf("version %d: %+v, %+v", version, r, r.Error)
	}
}

// refuses sends what is no good, to a gateway that runs version 2.
func (d *operatorDesk) refuses() {
	for _, c := range []struct {
		version             uint64
		config, phase, path string
		code                protocol.Code
		says                string
	}{
		{3, strings.Replace(demoConfig, "size:", "sise:", 1), protocol.PhaseVerify, "pipelines[0].window.sise", protocol.CodeSchema, "desired-3:11:"},
		{4, "settings: {gateway_id: other}\n" + demoConfig, protocol.PhaseVerify, "settings", protocol.CodeSchema, "cannot be sent"},
		{5, strings.Replace(demoConfig, "${EDGED_WINDOW:3s}", "9s", 1), protocol.PhasePlan, "pipelines", protocol.CodePrecond, "give the changed pipeline a new name"},
		{6, unfitConfig, protocol.PhaseDryRun, "", protocol.CodeHealth, "nope: is absent or null"},
	} {
		d.send("gw-1", c.version, c.config, protocol.ConfirmSession, trialShort)
		status := protocol.StatusRejected
		if c.phase == protocol.PhaseDryRun {
			status = protocol.StatusFailed
		}
		d.fails(c.version, 2, status, c.phase, c.code, c.path, c.says)
	}
}
