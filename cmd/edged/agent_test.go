package main

import (
	"bytes"
	"strings"
	"syscall"
	"testing"
	"time"

	"edged"
	"edged/fleet/agent"
	"edged/fleet/audit"
	"edged/fleet/protocol"
	"edged/persistence"
)

// TestManagedGateway goes through the life of a gateway that is managed over TLS with
// the access rules that are shipped.
func TestManagedGateway(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	d := y.desk()
	y.certify("gw-1")
	dir := t.TempDir()
	config := y.config("gw-1", dir)
	p := y.launch(config)
	first := d.online("gw-1", 0)
	if first.Session != 1 || first.Boot != 1 || first.Revision != 1 {
		t.Errorf("first state %+v", first)
	}

	t.Run("commands are done once", func(t *testing.T) { once(t, d, p) })
	t.Run("reads", func(t *testing.T) { reads(t, d, y) })
	t.Run("denials", func(t *testing.T) { denials(t, d, y) })
	t.Run("restart", func(t *testing.T) {
		c := d.order("gw-1", "anna", "engine.restart", "")
		data := d.seal(c, "anna")
		d.await("gw-1", c, data, func(a protocol.Answer) bool { return a.Status == protocol.StatusStarted })
		if code := p.end(); code != exitRestart {
			t.Fatalf("code %d after engine.restart", code)
		}
		if s := d.state("gw-1"); s.Online || s.Cause != protocol.CauseShutdown {
			t.Errorf("after the farewell: %+v", s)
		}
		p = y.launch(config)
		d.online("gw-1", 1)
		if a := d.await("gw-1", c, data, final); a.Status != protocol.StatusDone || a.Boot != 2 {
			t.Errorf("the next process answers %+v", a)
		}
		old := d.order("gw-1", "anna", "engine.restart", "")
		old.Nonce = first.Nonce
		if a := d.await("gw-1", old, d.seal(old, "anna"), final); a.Code != protocol.CodeNonce {
			t.Errorf("with the nonce of the session before: %+v", a)
		}
	})
	t.Run("certificates", func(t *testing.T) {
		before := d.state("gw-1")
		y.certify("gw-1")
		if all := resultOf[[]loadedCertificate](t, d.done("gw-1", "cert.reload", "", "dave")); len(all) != 1 || all[0].Expires == 0 {
			t.Errorf("%+v", all)
		}
		d.online("gw-1", before.Session)
	})
	t.Run("audit", func(t *testing.T) { auditTrail(t, d, y) })
	y.must(p.cmd.Process.Signal(syscall.SIGTERM))
	if code := p.end(); code != 0 {
		t.Errorf("code %d after SIGTERM", code)
	}
	if s := d.state("gw-1"); s.Online || s.Cause != protocol.CauseShutdown {
		t.Errorf("after SIGTERM: %+v", s)
	}
	verifyDisk(t, dir)
	report, err := persistence.Inspect(dir)
	if err != nil || report.ProblemCount != 0 || report.Fleet.Boots != 2 {
		t.Errorf("%+v, %v", report, err)
	}
}

// once sends a command twice.
func once(t *testing.T, d *operatorDesk, p *process) {
	c := d.order("gw-1", "olga", "log.level", `{"level":"debug","for_ms":600000}`)
	data := d.seal(c, "olga")
	a := d.await("gw-1", c, data, final)
	if r := resultOf[logLevelResult](t, a); r.Level != "DEBUG" || r.Before != "INFO" || r.Reverts != 600_000 {
		t.Errorf("%+v", r)
	}
	d.publish(commandTopic("gw-1", c.ID), data, false)
	d.y.until("the answer is repeated", func() bool {
		_, ok := d.answered(c.ID, func(a protocol.Answer) bool { return a.Repeated && a.Final })
		return ok
	})
	if n := strings.Count(p.log.String(), "log level changed"); n != 1 {
		t.Errorf("the level was changed %d times", n)
	}
}

// reads asks for everything that can be read.
func reads(t *testing.T, d *operatorDesk, y *yard) {
	taken := publish(t, y.broker.URL(), newFleet(t, 3, 400, edged.Timestamp(time.Now().UnixMilli())))
	y.until("events are processed", func() bool {
		r := resultOf[metricsResult](t, d.done("gw-1", "metrics.snapshot", `{"prefix":"edged_messages"}`, "vera"))
		return r.Samples["edged_messages_received_total"] >= float64(len(taken))
	})
	if info := resultOf[protocol.Info](t, d.done("gw-1", "info.get", "", "vera")); info.Labels["site"] != "berlin" || info.Ops["log.level"] != 1 || info.Expires == 0 || len(info.Outputs) == 0 {
		t.Errorf("info %+v", info)
	}
	if r := resultOf[agent.Pong](t, d.done("gw-1", "ping", "", "vera")); r.Boot != 1 || r.Instance == "" {
		t.Errorf("ping %+v", r)
	}
	if r := resultOf[healthResult](t, d.done("gw-1", "health.check", "", "vera")); !r.OK || len(r.Checks) < 4 {
		t.Errorf("health %+v", r)
	}
	config := resultOf[configResult](t, d.done("gw-1", "config.get", "", "vera"))
	if !strings.Contains(config.YAML, "device-windows") || config.Hash != d.reported["gw-1"].Effective || config.Hash != hashOf(config.YAML) {
		t.Errorf("config %s", config.Hash)
	}
	list := resultOf[[]pipelineResult](t, d.done("gw-1", "pipeline.list", "", "vera"))
	if len(list) != 1 || list[0].Name != "device-windows" || len(list[0].Outputs) != 1 {
		t.Errorf("pipelines %+v", list)
	}
	if st := resultOf[pipelineStatus](t, d.done("gw-1", "pipeline.status", `{"pipeline":"device-windows"}`, "vera")); len(st.Outputs) == 0 || !strings.Contains(st.Description, "tumbling") {
		t.Errorf("status %+v", st)
	}
	if src := resultOf[sourceResult](t, d.done("gw-1", "source.status", "", "vera")); !src.Connected || src.Received < int64(len(taken)) {
		t.Errorf("source %+v", src)
	}
	if box := resultOf[outboxResult](t, d.done("gw-1", "outbox.status", "", "vera")); len(box.Outputs) == 0 || box.BytesMax == 0 {
		t.Errorf("outbox %+v", box)
	}
	if tail := resultOf[logTailResult](t, d.done("gw-1", "log.tail", `{"bytes":2000}`, "vera")); len(tail.Lines) == 0 {
		t.Errorf("log tail %+v", tail)
	}
	for _, op := range []string{"window.dump", "dlq.list", "sink.status"} {
		args := map[string]string{"window.dump": `{"pipeline":"device-windows"}`, "dlq.list": `{"limit":5}`}[op]
		d.done("gw-1", op, args, "vera")
	}
	if a := d.do("gw-1", "key.inspect", `{"pipeline":"device-windows","key":"nobody"}`, "vera"); a.Code != protocol.CodeArgs {
		t.Errorf("a key that is not there: %+v", a)
	}
	d.y.until("there are heartbeats", func() bool { d.mu.Lock(); defer d.mu.Unlock(); return d.beats > 1 })
}

// denials sends what must not be done.
func denials(t *testing.T, d *operatorDesk, y *yard) {
	send := func(want protocol.Code, c protocol.Command, data []byte) {
		t.Helper()
		a := d.await("gw-1", c, data, func(a protocol.Answer) bool { return a.Code != protocol.OK })
		if a.Code != want {
			t.Errorf("%s: %s, want %s: %s", c.Op, a.Code, want, a.Message)
		}
	}
	c := d.order("gw-1", "vera", "log.level", `{"level":"debug"}`)
	send(protocol.CodeRole, c, d.seal(c, "vera"))
	c = d.order("gw-1", "olga", "ping", "")
	send(protocol.CodeKey, withIssuer(c, "mallory"), d.seal(withIssuer(c, "mallory"), "mallory"))
	c = d.order("gw-1", "olga", "ping", "")
	send(protocol.CodeSignature, c, forge(d.seal(c, "olga")))
	c = d.order("gw-1", "anna", "dlq.purge", "")
	send(protocol.CodeHolders, c, d.seal(c, "anna"))
	c = d.order("gw-1", "anna", "binary.update", "")
	send(protocol.CodeUnknownOp, c, d.seal(c, "anna"))
	c = d.order("gw-1", "olga", "log.level", `{"level":"loud"}`)
	send(protocol.CodeArgs, c, d.seal(c, "olga"))
	c = d.order("gw-1", "olga", "log.level", `{"level":"debug","x":1}`)
	send(protocol.CodeArgs, c, d.seal(c, "olga"))
	c = d.order("gw-1", "olga", "log.level", `{"level":"debug"}`)
	c.DryRun = true
	send(protocol.CodeArgs, c, d.seal(c, "olga"))
	again := d.order("gw-1", "olga", "ping", "")
	again.Seq = 1 // used long ago, under another id
	send(protocol.CodeReplay, again, d.seal(again, "olga"))
	other := d.order("gw-1", "olga", "ping", "")
	other.Aud.Gateway = "gw-2"
	d.publish(commandTopic("gw-1", other.ID), d.seal(other, "olga"), false)
	kept := d.order("gw-1", "olga", "ping", "")
	data := d.seal(kept, "olga")
	d.publish(commandTopic("gw-1", kept.ID), data, true)
	d.await("gw-1", kept, data, final) // delivered live it is an ordinary command
	before := d.state("gw-1").Session
	d.done("gw-1", "cert.reload", "", "dave") // subscribes again, and gets what was retained
	d.online("gw-1", before)
	d.event("E_RETAINED in the audit log", func(e protocol.Event) bool {
		return e.Class == protocol.ClassAudit && strings.Contains(string(e.Data), `"E_RETAINED"`) && strings.Contains(string(e.Data), string(kept.ID))
	})
	d.event("E_AUD in the audit log", func(e protocol.Event) bool {
		return e.Class == protocol.ClassAudit && strings.Contains(string(e.Data), `"E_AUD"`)
	})
	d.publish(commandTopic("gw-1", kept.ID), nil, true)
	if r := resultOf[purgeResult](t, d.done("gw-1", "dlq.purge", "", "anna", "alan")); r.Purged != 0 {
		t.Errorf("%+v", r)
	}
}

// forge changes the signature of an envelope.
func forge(data []byte) []byte {
	at := bytes.Index(data, []byte(`"sig":"`)) + len(`"sig":"`) + 8
	forged := bytes.Clone(data)
	if forged[at] = 'A'; data[at] == 'A' {
		forged[at] = 'B'
	}
	return forged
}

func withIssuer(c protocol.Command, holder string) protocol.Command {
	c.Issuer = holderKey(holder).Public().ID()
	return c
}

// auditTrail exports the log and checks it against the head that is published.
func auditTrail(t *testing.T, d *operatorDesk, y *yard) {
	page := resultOf[agent.AuditPage](t, d.done("gw-1", "audit.export", `{"after":0,"bytes":90000}`, "vera"))
	before, err := audit.ParseHead(page.Before)
	y.must(err)
	head, err := audit.Verify(before, []byte(page.Lines))
	if err != nil || head.String() != page.Head || before.N != 0 {
		t.Errorf("exported from %v to %v (%s): %v", before, head, page.Head, err)
	}
	y.until("the head of the log is published", func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		published, err := audit.ParseHead(d.reported["gw-1"].Audit)
		return err == nil && published.N >= head.N
	})
	d.mu.Lock()
	defer d.mu.Unlock()
	var n protocol.Numbering
	for _, e := range d.events {
		if missing, fresh := n.Observe(e.Number); missing > 0 && fresh {
			t.Errorf("%d events are missing before %d", missing, e.Number)
		}
	}
}

// verifyDisk checks the chain of the audit log that a process has left, and that no
// command was started or ended twice. It returns the entries.
func verifyDisk(t testing.TB, dir string) (entries []audit.Entry) {
	t.Helper()
	s, err := persistence.Open(persistence.Config{Dir: dir, Logger: discardLogger()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var head audit.Head
	for {
		_, lines, err := s.Audit(head.N, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if len(lines) == 0 {
			break
		}
		for _, line := range lines {
			var e audit.Entry
			if head, e, err = head.Next(line); err != nil {
				t.Fatal(err)
			}
			entries = append(entries, e)
		}
	}
	started, ended := map[string]int{}, map[string]int{}
	for _, e := range entries {
		switch e.Decision {
		case "started":
			started[e.ID]++
		case "done", "failed", "interrupted", "rejected":
			ended[e.ID]++
		}
	}
	for id, n := range started {
		if n > 1 {
			t.Errorf("command %s was started %d times", id, n)
		}
	}
	for id, n := range ended {
		if n > 1 {
			t.Errorf("command %s has ended %d times", id, n)
		}
	}
	return entries
}
