package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"edged"
	"edged/fleet/protocol"
	"edged/fleet/trust"
	"edged/internal/sim"
)

// send publishes a desired document of dave's.
func (d *operatorDesk) send(gateway string, version uint64, config, confirm string, health time.Duration) {
	d.y.t.Helper()
	d.publish("edged/v1/plant7/"+gateway+"/desired", d.document(gateway, version, config, confirm, health), true)
}

// document returns a desired document of dave's.
func (d *operatorDesk) document(gateway string, version uint64, config, confirm string, health time.Duration) []byte {
	d.y.t.Helper()
	text, err := json.Marshal(map[string]string{"yaml": config})
	d.y.must(err)
	doc := protocol.Desired{
		V: 1, Aud: trust.Audience{Fleet: "plant7", Gateway: gateway}, Issuer: holderKey("dave").Public().ID(), Keyring: 1, Epoch: 1,
		Version: version, Config: text,
		Apply: protocol.Apply{Health: health.Milliseconds(), Deadline: (health + time.Minute).Milliseconds(), Confirm: confirm, State: cmp.Or(d.states, protocol.StateKeep)},
	}
	data, err := protocol.Seal(doc, holderKey("dave"))
	d.y.must(err)
	return data
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

// shadowTrial is a gateway whose configurations are tried while events flow.
type shadowTrial struct {
	*yard
	desk     *operatorDesk
	config   string
	process  *process
	fleet    *sim.Fleet
	payloads []string
}

// newShadowTrial starts a gateway whose windows wait for events, and publishes the first
// 500 of so many.
func newShadowTrial(t *testing.T, dir string, events int) (*shadowTrial, *upstream) {
	t.Helper()
	y := newYard(t)
	s := &shadowTrial{yard: y, desk: y.desk()}
	y.certify("gw-1")
	s.config = y.config("gw-1", dir)
	text, err := os.ReadFile(s.config)
	y.must(err)
	y.must(os.WriteFile(s.config, []byte(unhurried(string(text))), 0o600))
	s.process = y.launch(s.config)
	s.desk.online("gw-1", 0)
	up := startUpstream(t, y.broker.URL(), "agg/#")
	s.fleet = newFleet(t, 7, events, edged.Timestamp(time.Now().Add(-time.Hour).UnixMilli()))
	s.more(500)
	return s, up
}

// more publishes some events.
func (s *shadowTrial) more(n int) {
	s.payloads = append(s.payloads, publish(s.t.(*testing.T), s.broker.URL(), &half{Fleet: s.fleet, left: n})...)
}

// again kills the process and starts the next one.
func (s *shadowTrial) again() {
	before := s.desk.state("gw-1").Session
	s.process.kill()
	s.process = s.launch(s.config)
	s.desk.online("gw-1", before)
}

// sends gives a document to an operation.
func (s *shadowTrial) sends(op string, version uint64, config, confirm string) protocol.Answer {
	return s.desk.do("gw-1", op, fmt.Sprintf(`{"document":%s}`, s.desk.document("gw-1", version, config, confirm, trialShort)), "dave")
}

// TestShadow: a version runs beside the one that is heard, is compared with it, and is
// promoted or dropped; a version is taken back; a pipeline begins anew; what comes is in its
// windows once whatever happens.
func TestShadow(t *testing.T) {
	t.Parallel()
	s, up := newShadowTrial(t, t.TempDir(), 2500)
	y, d := s.yard, s.desk
	s.drops()

	if a := s.sends("shadow.start", 2, unhurried(slackConfig), protocol.ConfirmOperator); a.Status != protocol.StatusDone {
		t.Fatalf("%+v", a)
	}
	d.outcome("gw-1", 2, protocol.PhaseConfirm)
	s.more(500)
	d.done("gw-1", "shadow.promote", `{"epoch":1,"version":2}`, "dave")
	d.runs(2, unhurried(slackConfig))
	s.more(500)
	d.done("gw-1", "config.rollback", "", "dave")
	y.until("the version before runs again", func() bool {
		r := d.report("gw-1")
		return r.Applied == 0 && r.Status == protocol.StatusApplied
	})
	s.more(500)
	if a := s.sends("config.apply", 1, unhurried(demoConfig), protocol.ConfirmNone); a.Code != protocol.CodeStale {
		t.Errorf("an old document: %+v", a)
	}
	last := strings.Replace(demoConfig, "idle_timeout: 5s", "idle_timeout: 1s", 1)
	if a := s.sends("config.apply", 3, last, protocol.ConfirmNone); a.Status != protocol.StatusDone {
		t.Errorf("%+v", a)
	}
	d.runs(3, last)
	windows := expected(t, s.payloads, 3*time.Second)
	eventually(t, "all windows have closed", func() bool { return len(up.results()) >= len(windows) }, func() string {
		return fmt.Sprintf("%d windows; %d results", len(windows), len(up.results()))
	})
	compare(t, up.results(), windows)
	s.migrates(up)

	d.done("gw-1", "state.reset", `{"pipeline":"device-windows"}`, "anna", "alan")
	if all := resultOf[dumpResult](t, d.done("gw-1", "window.dump", `{"pipeline":"device-windows"}`, "olga")); len(all.Keys) > 0 {
		t.Errorf("windows after a reset: %+v", all)
	}
	s.again()
}

// migrates sends a version whose windows are others: it is refused, unless it may begin
// anew; then its windows are whole from there on.
func (s *shadowTrial) migrates(up *upstream) {
	d, t := s.desk, s.t.(*testing.T)
	wide := strings.Replace(strings.Replace(demoConfig, "idle_timeout: 5s", "idle_timeout: 1s", 1), "${EDGED_WINDOW:3s}", "9s", 1)
	d.send("gw-1", 4, wide, protocol.ConfirmSession, trialShort)
	d.fails(4, 3, protocol.StatusRejected, protocol.PhasePlan, protocol.CodePrecond, "pipelines", "means something else")
	d.states = protocol.StateMigrate
	d.send("gw-1", 5, wide, protocol.ConfirmSession, trialShort)
	d.runs(5, wide)
	s.again()
	before := len(up.results())
	windows := expected(t, publish(t, s.broker.URL(), newFleet(t, 8, 600, edged.Timestamp(time.Now().Add(-time.Minute).UnixMilli()))), 9*time.Second)
	eventually(t, "all windows have closed", func() bool { return len(up.results()) >= before+len(windows) }, func() string {
		return fmt.Sprintf("%d windows; %d results", len(windows), len(up.results())-before)
	})
	compare(t, up.results()[before:], windows)
}

// drops tries a version that gives other results, looks at how they compare, over a kill,
// and drops it.
func (s *shadowTrial) drops() {
	d, t := s.desk, s.t.(*testing.T)
	if a := d.do("gw-1", "shadow.drop", "", "dave"); a.Code != protocol.CodePrecond {
		t.Errorf("nothing to drop: %+v", a)
	}
	warm := strings.Replace(unhurried(demoConfig), "watermark:", "filter: temp > 20\n    watermark:", 1)
	if a := s.sends("shadow.start", 1, warm, protocol.ConfirmNone); a.Code != protocol.CodeArgs {
		t.Errorf("a shadow that waits for nobody: %+v", a)
	}
	if a := s.sends("shadow.start", 1, warm, protocol.ConfirmOperator); a.Status != protocol.StatusDone {
		t.Fatalf("%+v", a)
	}
	d.outcome("gw-1", 1, protocol.PhaseConfirm)
	s.more(500)
	var r shadowResult
	s.until("results are compared", func() bool {
		r = resultOf[shadowResult](t, d.done("gw-1", "shadow.status", "", "olga"))
		return len(r.Pipelines) == 1 && r.Pipelines[0].Different > 0
	})
	if q := r.Pipelines[0]; r.Speaks != 0 || r.Listens != 1 || q.Events == 0 || q.Refused > 0 || q.Same == 0 || len(q.Examples) == 0 {
		t.Errorf("%+v", r)
	}
	if a := d.do("gw-1", "state.reset", `{"pipeline":"device-windows"}`, "anna", "alan"); a.Code != protocol.CodeBusy {
		t.Errorf("reset during a trial: %+v", a)
	}
	s.again()
	d.outcome("gw-1", 1, protocol.PhaseConfirm)
	d.done("gw-1", "shadow.drop", "", "dave")
	d.fails(1, 0, protocol.StatusRolledBack, protocol.PhaseRollback, protocol.CodeCancelled, "", "took it back")
}

// TestCutOff: a version whose pipelines begin anew, and after whose switch the management
// link is gone, takes itself back while nobody can say anything. Afterwards each window is
// what it would have been without it.
func TestCutOff(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, up := newShadowTrial(t, dir, 1500)
	y, d := s.yard, s.desk

	d.states = protocol.StateMigrate
	wide := strings.Replace(unhurried(demoConfig), "${EDGED_WINDOW:3s}", "10m", 1)
	began := time.Now()
	d.send("gw-1", 1, wide, protocol.ConfirmSession, 2*time.Second)
	d.outcome("gw-1", 1, protocol.PhaseShadow)
	s.more(500)
	d.outcome("gw-1", 1, protocol.PhaseHealthGate)
	before := d.state("gw-1").Session
	y.broker.Stop()
	eventually(t, "it is taken back", func() bool {
		state, err := desiredStore(dir).Load()
		y.must(err)
		return state.Trial == nil && state.Last.Status == protocol.StatusRolledBack
	}, func() string { return "" })
	t.Logf("taken back after %v", time.Since(began).Round(time.Millisecond))
	y.broker.Restart()
	d.online("gw-1", before)
	d.fails(1, 0, protocol.StatusRolledBack, protocol.PhaseRollback, protocol.CodeHealth, "", "management link")
	y.until("the source is connected", func() bool {
		return resultOf[sourceResult](t, d.done("gw-1", "source.status", "", "olga")).Connected
	})
	y.until("the output is", func() bool {
		return resultOf[outboxResult](t, d.done("gw-1", "outbox.status", "", "olga")).Outputs[0].Up
	})
	s.more(500)

	d.states = protocol.StateKeep
	last := strings.Replace(demoConfig, "idle_timeout: 5s", "idle_timeout: 1s", 1)
	d.send("gw-1", 2, last, protocol.ConfirmSession, trialShort)
	d.runs(2, last)
	windows := expected(t, s.payloads, 3*time.Second)
	eventually(t, "all windows have closed", func() bool { return len(up.results()) >= len(windows) }, func() string {
		return fmt.Sprintf("%d windows; %d results", len(windows), len(up.results()))
	})
	compare(t, up.results(), windows)
}
