package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"edged/fleet/protocol"
	"edged/fleet/trust"
	"edged/mqtt"
)

// forger owns the broker, and a gateway that was stolen: whatever is sent to a victim, he
// answers in its name, as well as he can.
type forger struct {
	y       *yard
	control *mqtt.Control
	victims []string
	stolen  *trust.Signer // gw-1's
}

func (f *forger) say(t protocol.Topic, s protocol.Statement) {
	t.Fleet = "plant7"
	topic, err := t.Format(protocol.DefaultPrefix)
	f.y.must(err)
	plain, err := protocol.Encode(s)
	f.y.must(err)
	signed, err := protocol.Sign(s, f.stolen)
	f.y.must(err)
	for _, payload := range [][]byte{signed, plain} {
		f.y.must(f.control.Send(mqtt.Note{Topic: topic, Payload: payload, QoS: t.Kind.QoS(), Retain: t.Kind.Retained()}, nil))
	}
}

// pretend says that a gateway is online, and knows everybody's key.
func (f *forger) pretend(gateway string) {
	marks := map[trust.KeyID]uint64{}
	for _, key := range f.y.ring.Keys {
		marks[key.Public.ID()] = 1
	}
	f.say(protocol.Topic{Kind: protocol.KindState, Gateway: gateway}, protocol.State{
		V: 1, Online: true, Instance: "forged", Session: 1, Revision: 1, Boot: 1, Nonce: strings.Repeat("a", 32)})
	f.say(protocol.Topic{Kind: protocol.KindInfo, Gateway: gateway}, protocol.Info{
		V: 1, Fleet: "plant7", Gateway: gateway, Instance: "forged", Session: 1, OS: "linux", Arch: "arm", Labels: map[string]string{"site": "berlin"},
		Ops: map[string]int{"ping": 1}})
	f.say(protocol.Topic{Kind: protocol.KindReported, Gateway: gateway}, protocol.Reported{
		V: 1, Instance: "forged", Session: 1, Epoch: 1, Keyring: 1, Watermark: marks})
}

// receive answers what is sent to a victim.
func (f *forger) receive(_ context.Context, n mqtt.Note) error {
	topic, err := protocol.ParseTopic(protocol.DefaultPrefix, n.Topic)
	if err != nil || len(n.Payload) == 0 || topic.Gateway == "gw-1" {
		return nil
	}
	e, err := trust.Open(n.Payload, protocol.DesiredBytesMax)
	if err != nil {
		return nil
	}
	switch topic.Kind {
	case protocol.KindCommand:
		f.say(protocol.Topic{Kind: protocol.KindAnswer, Gateway: topic.Gateway, ID: topic.ID}, protocol.Answer{
			V: 1, ID: topic.ID, Gateway: topic.Gateway, Instance: "forged", N: 3, Final: true, Status: protocol.StatusDone, Code: protocol.OK, Session: 1, Boot: 1})
	case protocol.KindDesired:
		d, err := protocol.Decode[protocol.Desired](e.Payload)
		f.y.must(err)
		f.say(protocol.Topic{Kind: protocol.KindReported, Gateway: topic.Gateway}, protocol.Reported{
			V: 1, Instance: "forged", Session: 1, Epoch: 1, Keyring: 1, Seen: d.Version, Applied: d.Version, Effective: configHash(d.Config),
			Status: protocol.StatusApplied, Phase: protocol.PhaseCommitted})
	}
	return nil
}

// signing writes the configuration of a gateway that signs.
func (y *yard) signing(gateway string) string {
	y.t.Helper()
	y.write(gateway+".secret", holderKey(gateway).Line()+"\n")
	config := y.config(gateway, y.t.TempDir())
	text := strings.Replace(read(y.t, config), "    labels:", "    signing_key_file: "+y.file(gateway+".secret")+"\n    labels:", 1)
	y.must(os.WriteFile(config, []byte(text), 0o600))
	return config
}

// signedFleet is a fleet whose gateways gw-1 and gw-2 sign, by the keyring, and gw-3 does
// not.
type signedFleet struct {
	*yard
	home string
}

func newSignedFleet(t *testing.T) *signedFleet {
	y := &signedFleet{newYard(t, "user eve", "topic readwrite edged/v1/plant7/#"), t.TempDir()}
	for _, name := range []string{"olga", "eve", "gw-1", "gw-2"} {
		y.certify(name)
	}
	for holder, key := range map[string]trust.SecretKey{"root": y.root, "olga": holderKey("olga"), "dave": holderKey("dave")} {
		y.write(holder+".secret", key.Line()+"\n")
	}
	ring, err := json.Marshal(y.ring)
	y.must(err)
	y.write("ring.json", string(ring))
	for _, name := range []string{"gw-1", "gw-2"} {
		y.fleet(0, "keyring", "add", y.file("ring.json"), "--public", holderKey(name).Public().String(), "--gateway", name)
	}
	y.fleet(exitUsage, "keyring", "add", y.file("ring.json"), "--public", holderKey("gw-3").Public().String(), "--gateway", "gw-3", "--role", "admin")
	if out := y.fleet(0, "keyring", "sign", y.file("ring.json"), "--key", y.file("root.secret")); !strings.Contains(out, "gw-2       signs as this gateway") {
		t.Errorf("keyring: %s", out)
	}
	y.fleet(0, "keyring", "pin", y.file("ring.json"))
	y.fleet(0, "keyring", "publish", y.file("ring.json"))
	y.fleet(0, "keyring", "next", y.file("ring-2.json"))
	if out := y.fleet(0, "keyring", "revoke", y.file("ring-2.json"), "gw-2"); strings.Contains(out, "gw-2") || !strings.Contains(out, "gw-1       signs") {
		t.Errorf("revoked: %s", out)
	}
	y.fleet(exitUsage, "keyring", "revoke", y.file("ring-2.json"), "gw-2") // it is gone
	return y
}

// fleet runs edged fleet and expects an exit code.
func (y *signedFleet) fleet(code int, args ...string) string {
	y.t.Helper()
	got, stdout, stderr := edgedCmd(y.t.(*testing.T), append([]string{"fleet", "--fleet", "plant7", "--broker", y.url, "--home", y.home, "--settle", "300ms",
		"--ca", y.file("ca.pem"), "--cert", y.file("olga.pem"), "--cert-key", y.file("olga.key")}, args...)...)
	if got != code {
		y.t.Fatalf("edged fleet %s: code %d, want %d\n%s%s", strings.Join(args, " "), got, code, stdout, stderr)
	}
	return stdout + stderr
}

// listed is what edged fleet list says of a gateway.
type listed struct {
	Name       string `json:"gw"`
	Presence   string
	Word       string
	Unverified uint64
	Keyring    uint64
}

func (y *signedFleet) list() map[string]listed {
	all := map[string]listed{}
	for line := range strings.Lines(y.fleet(0, "list", "--json")) {
		var r listed
		if json.Unmarshal([]byte(line), &r) == nil && r.Name != "" {
			all[r.Name] = r
		}
	}
	return all
}

// TestFleetForged: whoever owns the broker, and a gateway, makes no rollout succeed and no
// command look done at another gateway that signs. At one that does not, he does: the
// forgery is good.
func TestFleetForged(t *testing.T) {
	t.Parallel()
	y := newSignedFleet(t)
	y.launch(y.signing("gw-1"))
	victim := y.launch(y.signing("gw-2"))
	y.until("the real ones are seen as signed, with the keyring", func() bool {
		all := y.list()
		for _, name := range []string{"gw-1", "gw-2"} {
			if r := all[name]; r.Word != wordSigned || r.Presence != "online" || r.Keyring != 1 {
				return false
			}
		}
		return true
	})
	// It knows olga's key afterwards, so that she commands it without waiting for it.
	y.fleet(0, "cmd", "gw-2", "ping", "--key", y.file("olga.secret"))
	y.until("it has said so", func() bool {
		return strings.Contains(y.fleet(0, "show", "gw-2"), string(holderKey("olga").Public().ID())+" up to 1")
	})
	victim.kill()
	y.until("it is away", func() bool { return y.list()["gw-2"].Presence == "offline" })
	f := &forger{y: y.yard, victims: []string{"gw-2", "gw-3"}, stolen: holderKey("gw-1").Signer()}
	f.control, _ = y.client("eve", mqtt.ControlHooks{Receive: func(ctx context.Context, n mqtt.Note) error { return f.receive(ctx, n) }},
		"edged/v1/plant7/+/cmd/+", "edged/v1/plant7/+/desired")
	if out := y.ping(exitCheck, "gw-2"); !strings.Contains(out, "gw-2  no answer") || !strings.Contains(out, "not signed by the gateway") {
		t.Errorf("a forged answer counts, or none came: %s", out)
	}
	for _, victim := range f.victims {
		f.pretend(victim)
	}
	y.until("the forgeries have come", func() bool { return y.list()["gw-3"].Presence == "online" && y.list()["gw-2"].Unverified > 2 })
	all := y.list()
	if r := all["gw-2"]; r.Presence != "unknown" || r.Word != wordUnverified {
		t.Errorf("the forged one: %+v", r)
	}
	if r := all["gw-3"]; r.Word != wordUnsigned || r.Presence != "online" {
		t.Errorf("the one without a key: %+v", r)
	}
	if out := y.fleet(0, "show", "gw-2"); !strings.Contains(out, "unverified: the keyring has a key of it") {
		t.Errorf("show: %s", out)
	}
	if out := y.ping(0, "gw-1"); !strings.Contains(out, "gw-1  done  {") || strings.Contains(out, "unsigned") {
		t.Errorf("the real one: %s", out)
	}
	if out := y.ping(0, "gw-3"); !strings.Contains(out, "gw-3  done  (unsigned)") {
		t.Errorf("without a key: %s", out)
	}
	y.write("next.yaml", strings.Replace(string(demoDocument), "idle_timeout: 5s", "idle_timeout: 6s", 1))
	for _, c := range []struct {
		gateway, end string
		code         int
	}{
		{"gw-1", "done: 1 of 1 gateways run it", 0},
		{"gw-2", "are not signed with its key", exitCheck},
		{"gw-3", "done: 1 of 1 gateways run it", 0},
	} {
		out := y.fleet(c.code, "apply", c.gateway, y.file("next.yaml"), "--health", "1s", "--deadline", "30s", "--confirm", "none", "--answer", "5s", "--offline", "5s",
			"--key", y.file("dave.secret"))
		if !strings.Contains(out, c.end) {
			t.Errorf("apply %s: %s", c.gateway, out)
		}
	}
}

// ping sends olga's ping.
func (y *signedFleet) ping(code int, gateway string) string {
	y.t.Helper()
	return y.fleet(code, "cmd", gateway, "ping", "--key", y.file("olga.secret"), "--give-up", "3s")
}

// TestSigningKey: a key that others can read, or that is none, is not used, and the message says where
// and what to do.
func TestSigningKey(t *testing.T) {
	y := &yard{t: t, dir: t.TempDir()}
	for name, mode := range map[string]os.FileMode{"open": 0o644, "group": 0o640, "alone": 0o600} {
		y.write(name, holderKey("gw-1").Line())
		y.must(os.Chmod(y.file(name), mode))
	}
	y.write("public", holderKey("gw-1").Public().String())
	y.write("root.json", `{"threshold":1,"keys":["`+holderKey("root").Public().String()+`"]}`)
	for name, says := range map[string]string{"open": "chmod 600", "group": "chmod 600", "public": "edged fleet keys new", "none": "no such file", "alone": ""} {
		config := writeFile(t, "edged.yaml", fmt.Sprintf("settings: {data_dir: %s, fleet: {name: plant7, trust_file: %s, signing_key_file: %s}}\n%s",
			t.TempDir(), y.file("root.json"), y.file(name), demoDocument))
		code, stdout, stderr := edgedCmd(t, "validate", config)
		if says == "" {
			if code != 0 {
				t.Errorf("%s: %d, %s%s", name, code, stdout, stderr)
			}
			continue
		}
		if out := stdout + stderr; code != exitConfig || !strings.Contains(out, says) || !strings.Contains(out, "settings.fleet.signing_key_file") || !strings.Contains(out, y.file(name)) {
			t.Errorf("%s: %d, %s", name, code, out)
		}
	}
}

// TestSigningKeyInEnvironment: the key itself can come from there, and from nowhere else.
func TestSigningKeyInEnvironment(t *testing.T) {
	y := &yard{t: t, dir: t.TempDir()}
	y.write("root.json", `{"threshold":1,"keys":["`+holderKey("root").Public().String()+`"]}`)
	y.write("gw-1.secret", holderKey("gw-1").Line())
	line := holderKey("gw-1").Line()
	for _, c := range []struct{ env, more, says string }{
		{line, "", ""}, {"edged-secret:none", "", "settings.fleet.signing_key"}, {line, ", signing_key_file: " + y.file("gw-1.secret"), "choose one"},
		{"", ", signing_key: " + line, "EDGED_FLEET_SIGNING_KEY"},
	} {
		t.Setenv("EDGED_FLEET_SIGNING_KEY", c.env)
		config := writeFile(t, "edged.yaml", fmt.Sprintf("settings: {data_dir: %s, fleet: {name: plant7, trust_file: %s%s}}\n%s",
			t.TempDir(), y.file("root.json"), c.more, demoDocument))
		code, stdout, stderr := edgedCmd(t, "validate", config)
		out := stdout + stderr
		if (code == 0) != (c.says == "") || !strings.Contains(out, c.says) || strings.Contains(out, line) {
			t.Errorf("%+v: %d, %s", c, code, out)
		}
	}
}
