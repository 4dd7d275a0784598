package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"edged"
	"edged/fleet/agent"
	"edged/fleet/audit"
	"edged/fleet/protocol"
)

// box is one of several machines with the name gw-1. Each has a client id of its own at both
// brokers, so that they do not throw each other out.
type box struct {
	d      *operatorDesk
	config string
	dir    string
	p      *process
	name   string // of its instance
}

func newBox(d *operatorDesk, client string) *box {
	b := &box{d: d, dir: d.y.t.TempDir()}
	b.config = d.y.config("gw-1", b.dir)
	text := strings.Replace(read(d.y.t, b.config), "    labels:", "    client_id: "+client+"\n    labels:", 1)
	text = strings.Replace(text, "mqtt: {url:", "mqtt: {client_id: data-"+client+", url:", 1)
	d.y.must(os.WriteFile(b.config, []byte(text), 0o600))
	return b
}

// start starts the process and waits until it has said which instance it is.
func (b *box) start() {
	b.d.y.t.Helper()
	before := b.d.statesNow()
	b.p = b.d.y.launch(b.config)
	b.d.y.until("the box is online", func() bool {
		for name, s := range b.d.statesNow() {
			if s.Online && s.Session > before[name].Session && (b.name == "" || b.name == name) {
				b.name = name
				return true
			}
		}
		return false
	})
}

func (d *operatorDesk) statesNow() map[string]protocol.State {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := map[string]protocol.State{}
	for name, s := range d.instances {
		all[name] = s
	}
	return all
}

func (b *box) state() protocol.State { return b.d.statesNow()[b.name] }

// blocked waits until the box says that it is blocked, or not.
func (b *box) blocked(want bool) {
	b.d.y.t.Helper()
	b.d.y.until(fmt.Sprintf("%s is blocked: %t", b.name, want), func() bool { s := b.state(); return s.Online && s.Blocked == want })
}

// from returns an accepted answer of the box.
func (b *box) from(ok func(protocol.Answer) bool) func(protocol.Answer) bool {
	return func(a protocol.Answer) bool { return a.Instance == b.name && ok(a) }
}

// adopt adopts the box, by two holders.
func (b *box) adopt() agent.Adopted {
	b.d.y.t.Helper()
	c := b.d.order("gw-1", "anna", "identity.adopt", "")
	c.Nonce, c.Aud.Instance = b.state().Nonce, b.name
	a := b.d.await("gw-1", c, b.d.seal(c, "anna", "alan"), final)
	if a.Status != protocol.StatusDone || a.Instance != b.name {
		b.d.y.t.Fatalf("adopt: %+v", a)
	}
	return resultOf[agent.Adopted](b.d.y.t, a)
}

// adoptByProgram adopts the box with edged fleet, which must find its nonce: the broker keeps
// the state of the other one for a while.
func (b *box) adoptByProgram() {
	y := b.d.y
	y.t.Helper()
	ring, err := json.Marshal(y.ring)
	y.must(err)
	y.write("ring.json", string(ring))
	for _, holder := range []string{"anna", "alan"} {
		y.write(holder+".secret", holderKey(holder).Line())
	}
	home := y.t.TempDir()
	fleet := func(code int, args ...string) string {
		got, stdout, stderr := edgedCmd(y.t.(*testing.T), append([]string{"fleet", "--fleet", "plant7", "--broker", y.url, "--home", home, "--settle", "300ms",
			"--ca", y.file("ca.pem"), "--cert", y.file("olga.pem"), "--cert-key", y.file("olga.key")}, args...)...)
		if got != code {
			y.t.Fatalf("edged fleet %v: code %d\n%s%s", args, got, stdout, stderr)
		}
		return stdout + stderr
	}
	fleet(0, "keyring", "pin", y.file("ring.json"))
	if out := fleet(0, "list"); !strings.Contains(out, "keyring 1 is in force") {
		y.t.Errorf("list: %s", out)
	}
	adopt := []string{"cmd", "gw-1", "identity.adopt", "--key", y.file("anna.secret"), "--key", y.file("alan.secret")}
	fleet(exitUsage, adopt...)
	if out := fleet(0, append(adopt, "--instance", b.name)...); !strings.Contains(out, `{"instance":"`+b.name+`","adoption":2}`) {
		y.t.Errorf("adopt: %s", out)
	}
}

// TestManagedAdoption: two processes have one name. Neither does what changes something until
// one is adopted; the other stays blocked, also in its next process. Data keeps flowing.
func TestManagedAdoption(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	d := y.desk()
	y.certify("gw-1")
	one, two := newBox(d, "box-1"), newBox(d, "box-2")
	one.start()
	d.online("gw-1", 0)
	d.done("gw-1", "log.level", `{"level":"info"}`, "olga")
	two.start()
	one.blocked(true)
	two.blocked(true)
	for _, b := range []*box{one, two} {
		d.event("identity.blocked of "+b.name, func(e protocol.Event) bool {
			return e.Code == "identity.blocked" && e.Instance == b.name && strings.Contains(e.Message, "identity.adopt --instance "+b.name)
		})
	}

	for _, b := range []*box{one, two} { // reading is possible, and both know olga's key now
		c := d.order("gw-1", "olga", "ping", "")
		c.Nonce = b.state().Nonce
		d.await("gw-1", c, d.seal(c, "olga"), b.from(func(a protocol.Answer) bool { return a.Status == protocol.StatusDone }))
	}
	change := d.order("gw-1", "olga", "log.level", `{"level":"debug"}`)
	change.Nonce = "" // it is for whatever instance is managed, in whatever session
	data := d.seal(change, "olga")
	for _, b := range []*box{one, two} {
		a := d.await("gw-1", change, data, b.from(denied))
		if a.Code != protocol.CodeDuplicate {
			t.Errorf("%s: %+v", b.name, a)
		}
	}
	refuseDocument(d, one, two)
	flows(t, d, two)

	if got := two.adopt(); got.Instance != two.name || got.Adoption != 1 {
		t.Errorf("%+v", got)
	}
	two.blocked(false)
	y.until("the document that was refused is applied by the adopted one", func() bool {
		r := d.report("gw-1")
		return r.Instance == two.name && r.Applied == 1 && r.Status == protocol.StatusApplied
	})
	if a := d.await("gw-1", change, data, two.from(final)); a.Status != protocol.StatusDone {
		t.Errorf("the command from before: %+v", a)
	}
	one.blocked(true)

	for _, b := range []*box{one, two} {
		b.p.kill()
		b.start()
	}
	one.blocked(true)
	two.blocked(false)
	session := one.state().Session
	one.adoptByProgram()
	two.blocked(true)
	y.until("it has connected anew", func() bool { return one.state().Session > session && !one.state().Blocked })
	one.p.kill()
	y.until("its will has the number", func() bool {
		s := one.state()
		return !s.Online && s.Cause == protocol.CauseWill && s.Adoption == 2
	})
	two.p.kill()
	if !holds(verifyDisk(t, two.dir), "blocked") || !holds(verifyDisk(t, one.dir), "adopted") {
		t.Error("the audit logs do not have it")
	}
}

// refuseDocument publishes a document, which all boxes refuse.
func refuseDocument(d *operatorDesk, boxes ...*box) {
	d.y.t.Helper()
	d.send("gw-1", 1, strings.Replace(string(demoDocument), "idle_timeout: 5s", "idle_timeout: 6s", 1), protocol.ConfirmNone, time.Second)
	for _, b := range boxes {
		d.event("the document is refused by "+b.name, func(e protocol.Event) bool {
			return e.Instance == b.name && e.Class == protocol.ClassAudit && strings.Contains(string(e.Data), `"desired"`) && strings.Contains(string(e.Data), `"E_DUPLICATE"`)
		})
	}
}

// holds reports whether the log has a decision about the identity.
func holds(entries []audit.Entry, decision string) bool {
	for _, e := range entries {
		if e.Kind == "identity" && e.Decision == decision {
			return true
		}
	}
	return false
}

// flows sends events, and waits until a box that is blocked has processed them.
func flows(t *testing.T, d *operatorDesk, b *box) {
	t.Helper()
	received := func() float64 {
		c := d.order("gw-1", "vera", "metrics.snapshot", `{"prefix":"edged_messages"}`)
		c.Nonce = b.state().Nonce
		a := d.await("gw-1", c, d.seal(c, "vera"), b.from(final))
		return resultOf[metricsResult](t, a).Samples["edged_messages_received_total"]
	}
	before := received()
	taken := publish(t, d.y.broker.URL(), newFleet(t, 2, 200, edged.Timestamp(time.Now().UnixMilli())))
	d.y.until("events are processed while blocked", func() bool { return received() >= before+float64(len(taken)) })
}

// TestManagedReplacedDisk: a new disk in a box that is dead needs nobody; and when the old one
// comes back after all, both are blocked.
func TestManagedReplacedDisk(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	d := y.desk()
	y.certify("gw-1")
	old, fresh := newBox(d, "box-1"), newBox(d, "box-2")
	old.start()
	d.online("gw-1", 0)
	old.p.kill()
	y.until("the broker says so", func() bool { return !old.state().Online })
	fresh.start()
	d.online("gw-1", 0)
	d.done("gw-1", "log.level", `{"level":"debug"}`, "olga")
	if s := fresh.state(); s.Blocked || fresh.name == old.name {
		t.Errorf("%+v", s)
	}
	d.event("who was there before", func(e protocol.Event) bool { return e.Code == "identity.replaced" && e.Subject == old.name })
	old.start()
	old.blocked(true)
	fresh.blocked(true)
}
