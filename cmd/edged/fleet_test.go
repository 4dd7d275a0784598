package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"edged/fleet/protocol"
	"edged/fleet/trust"
	"edged/internal/mosquitto"
	"edged/mqtt"
)

// plant is a fleet for tests: a broker, keys, a home, and model gateways.
type plant struct {
	t      testing.TB
	broker *mosquitto.Broker
	dir    string // keys and files
	home   string
	root   trust.Root
	gates  map[string]*model
}

// run runs edged fleet with what all commands need, and expects an exit code.
func (p *plant) run(code int, args ...string) string {
	p.t.Helper()
	got, stdout, stderr := edgedCmd(p.t.(*testing.T), p.args(args...)...)
	if got != code {
		p.t.Fatalf("edged fleet %s: code %d, want %d\n%s%s", strings.Join(args, " "), got, code, stdout, stderr)
	}
	return stdout + stderr
}

func (p *plant) args(args ...string) []string {
	return append([]string{"fleet", "--fleet", "plant7", "--broker", p.broker.URL(), "--home", p.home, "--settle", "300ms"}, args...)
}

func (p *plant) file(name string) string { return filepath.Join(p.dir, name) }

func (p *plant) write(name, text string) string {
	p.t.Helper()
	if err := os.WriteFile(p.file(name), []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
	return p.file(name)
}

func (p *plant) secret(name string) string { return p.file(name + ".secret") }

// newPlant makes keys and the first keyring by the commands, with two of three root
// keys, and publishes it.
func newPlant(t *testing.T) *plant {
	t.Helper()
	p := &plant{t: t, broker: mosquitto.Start(t, mosquitto.Persistent()), dir: t.TempDir(), home: t.TempDir(), gates: map[string]*model{}}
	p.run(0, "keys", "new", "anna", "bert", "carl", "--dir", p.dir)
	p.run(0, "keys", "new", "vera", "olga", "dave", "alan", "adam", "clock", "--dir", p.dir)
	ring := p.file("ring.json")
	p.run(0, "keyring", "new", ring, "--threshold", "2", "--root", p.file("anna.public"), "--root", p.file("bert.public"), "--root", p.file("carl.public"))
	for _, k := range [][2]string{{"vera", "viewer"}, {"olga", "operator"}, {"dave", "deployer"}, {"alan", "admin"}, {"adam", "admin"}, {"clock", "clock"}} {
		p.run(0, "keyring", "add", ring, "--public", p.file(k[0]+".public"), "--holder", k[0], "--role", k[1])
	}
	p.run(0, "keyring", "sign", ring, "--key", p.secret("anna"))
	p.run(0, "keyring", "pin", ring)
	p.run(exitConfig, "keyring", "publish", ring) // one of two is not enough
	out := p.run(0, "keyring", "sign", ring, "--key", p.secret("carl"))
	if !strings.Contains(out, "2 of 3 keys must sign, 2 have") {
		t.Errorf("after two signatures: %s", out)
	}
	p.run(0, "keyring", "publish", ring)
	key, err := trust.ParsePublicKey(p.read("anna.public"))
	if err != nil {
		t.Fatal(err)
	}
	proposal, err := readProposal(ring)
	if err != nil {
		t.Fatal(err)
	}
	if p.root = proposal.Keyring.Root; p.root.Keys[0] != key {
		t.Fatal("the first root key is not anna's")
	}
	return p
}

func (p *plant) read(name string) []byte {
	p.t.Helper()
	text, err := os.ReadFile(p.file(name))
	if err != nil {
		p.t.Fatal(err)
	}
	return text
}

// gateways connects so many model gateways, named gw-01 and on, every second in
// berlin, and waits until they have the keyring.
func (p *plant) gateways(n int) {
	p.t.Helper()
	for i := 1; i <= n; i++ {
		site := []string{"paris", "berlin"}[i%2]
		p.gateway(fmt.Sprintf("gw-%02d", i), map[string]string{"site": site})
	}
	p.eventually("all have the keyring", func() bool {
		for _, m := range p.gates {
			if m.keyring() == 0 {
				return false
			}
		}
		return true
	})
}

func (p *plant) gateway(name string, labels map[string]string) *model {
	p.t.Helper()
	m := newModel(p.t, p.broker.URL(), "plant7", name, labels, p.root)
	p.gates[name] = m
	return m
}

func (p *plant) eventually(what string, ok func() bool) {
	p.t.Helper()
	eventually(p.t.(*testing.T), what, ok, func() string { return "" })
}

func TestFleetKeysAndKeyring(t *testing.T) {
	p := newPlant(t)
	for _, name := range []string{"anna.secret", "olga.secret"} {
		info, err := os.Stat(p.file(name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	p.run(exitUsage, "keys", "new", "anna", "--dir", p.dir) // never replaced
	p.run(0, "keys", "new", "pia", "--dir", p.dir, "--pem")
	if out := p.run(0, "keys", "show", p.file("pia.secret"), p.file("pia.public")); strings.Count(out, "edged-public:") != 2 {
		t.Errorf("keys show: %s", out)
	}
	if err := os.Chmod(p.secret("olga"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out := p.run(exitUsage, "cmd", "gw-01", "ping", "--key", p.secret("olga")); !strings.Contains(out, "can be read by others") {
		t.Errorf("an open key: %s", out)
	}
	ring := p.file("ring.json")
	for name, args := range map[string][]string{
		"a signed one is not edited":       {"keyring", "revoke", ring, "olga"},
		"nobody signs twice":               {"keyring", "sign", ring, "--key", p.secret("anna")},
		"only root keys sign":              {"keyring", "sign", ring, "--key", p.secret("dave")},
		"no such holder":                   {"keyring", "revoke", p.next("draft.json"), "nobody"},
		"a root key is for keyrings only":  {"keyring", "add", p.next("draft2.json"), "--public", p.file("bert.public"), "--holder", "bert", "--role", "admin"},
		"no such role":                     {"keyring", "add", p.next("draft3.json"), "--public", p.file("pia.public"), "--holder", "pia", "--role", "king"},
		"a threshold above the keys":       {"keyring", "rotate", p.next("draft4.json"), "--threshold", "3", "--root", p.file("bert.public")},
		"a file that is there is not lost": {"keyring", "next", ring},
	} {
		if code, out, errs := edgedCmd(t, p.args(args...)...); code != exitUsage {
			t.Errorf("%s: code %d\n%s%s", name, code, out, errs)
		}
	}
}

// next writes a draft of the next keyring.
func (p *plant) next(name string, more ...string) string {
	p.t.Helper()
	p.run(0, append([]string{"keyring", "next", p.file(name)}, more...)...)
	return p.file(name)
}

func TestFleetExitCodes(t *testing.T) {
	home := []string{"--home", t.TempDir(), "--fleet", "plant7", "--broker", "tcp://127.0.0.1:1", "--connect", "200ms"}
	broker := mosquitto.Start(t)
	config := writeFile(t, "x.json", "{}")
	key := filepath.Join(t.TempDir(), "k.secret")
	if code, _, out := edgedCmd(t, "fleet", "keys", "new", "k", "--dir", filepath.Dir(key)); code != 0 {
		t.Fatal(out)
	}
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"", exitOK, ""},
		{"frobnicate", exitUsage, "frobnicate"},
		{"keys frobnicate", exitUsage, "frobnicate"},
		{"keyring show a b", exitUsage, "at most 1"},
		{"list", exitConnect, "reach the broker tcp://127.0.0.1:1"},
		{"list --fleet a/b", exitUsage, "--fleet"},
		{"list --broker http://x", exitUsage, "unknown scheme"},
		{"list --broker=", exitUsage, "--broker"},
		{"list --selector a=", exitUsage, "--selector"},
		{"list --prefix a/#", exitUsage, "prefix"},
		{"list extra", exitUsage, "extra"},
		{"show", exitUsage, "the name of a gateway"},
		{"show a/b", exitUsage, "gateway"},
		{"cmd gw-1", exitUsage, "give a gateway"},
		{"cmd gw-1 fly", exitUsage, "there is no command"},
		{"cmd gw-1 ping x", exitUsage, "NAME=VALUE"},
		{"cmd gw-1 ping --key /no/such/file", exitConnect, ""},
		{"cmd gw-1 ping --broker " + broker.URL(), exitUsage, "--key"},
		{"cmd gw-1 ping --key " + key + " --broker " + broker.URL(), exitConfig, "no root keys are known"},
		{"apply gw-1 /no/such/file", exitUsage, "no such file"},
		{"apply gw-1", exitUsage, "a file"},
		{"rollout " + config, exitUsage, "--selector"},
		{"rollout " + config + " --selector * --waves x", exitUsage, "--waves"},
		{"rollout " + config + " --selector * --abort-failures 0", exitUsage, "--abort-failures"},
		{"rollout " + config + " --selector * --success 0", exitUsage, "success"},
		{"rollout " + config + " --selector * --rate 5", exitUsage, "--rate"},
		{"rollout " + config + " --selector * --rate 5/min --rate-growth -1", exitUsage, "growth"},
		{"rollout " + config + " --selector * --window Mon", exitUsage, "--window"},
		{"refresh --every 4h", exitUsage, "--every 4h0m0s is not from"},
		{"refresh --off", exitOK, ""},
		{"rollout " + config + " --selector * --answer 10s", exitUsage, "not longer than --health"},
		{"rollout " + config + " --selector x --key " + key + " --broker " + broker.URL(), exitConfig, "no root keys"},
		{"rollout status e1v1", exitUsage, "there is no such rollout as e1v1"},
		{"rollout pause ../x", exitUsage, "id of a rollout"},
		{"keyring show", exitConfig, "keyring pin"},
		{"keyring show /no/such/file", exitUsage, "no such file"},
		{"keyring show " + config, exitConfig, "not a keyring"},
		{"sign " + config, exitUsage, "--key"},
		{"sign " + config + " --key " + key, exitConfig, "no signed command"},
		{"send " + config, exitConfig, "no signed command"},
		{"audit gw-1 --head x", exitUsage, "--head"},
		{"keys new a/b", exitUsage, "name of a key"},
		{"keys show " + config, exitUsage, "not a usable key"},
	} {
		args := append(append([]string{"fleet"}, home...), strings.Fields(c.args)...)
		if code, _, stderr := edgedCmd(t, args...); code != c.code || !strings.Contains(stderr, c.says) {
			t.Errorf("edged fleet %s\n got code %d: %s\nwant code %d: ...%s...", c.args, code, stderr, c.code, c.says)
		}
	}
}

// TestFleetHostileTexts: what whoever reaches the broker writes does not reach the
// terminal as it is.
func TestFleetHostileTexts(t *testing.T) {
	p := newPlant(t)
	p.gateways(1)
	gw := p.gates["gw-01"]
	gw.mu.Lock()
	gw.tell(protocol.Topic{Kind: protocol.KindInfo}, func() protocol.Info {
		i := gw.info()
		i.Version = "v1\x1b[2J\nall is well"
		return i
	}())
	gw.mu.Unlock()
	_ = gw.control.Send(mqtt.Note{Topic: "edged/v1/plant7/gw-01/reported", Payload: []byte("{"), QoS: 1}, nil)
	for _, args := range [][]string{{"list"}, {"show", "gw-01"}, {"watch", "--for", "300ms"}} {
		if out := p.run(0, args...); strings.ContainsAny(out, "\x1b") || strings.Contains(out, "\nall is well") {
			t.Errorf("%v: %q", args, out)
		}
	}
}

func TestFleetListAndShow(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	p.gateways(4)
	p.gates["gw-04"].disconnect()
	p.eventually("gw-04 is gone", func() bool { return strings.Contains(p.run(0, "list"), "shut down") })
	out := p.run(0, "list")
	for _, want := range []string{"gw-01", "online", "v0.6.0", "own 44136fa3", "4 gateways, 3 online"} {
		if !strings.Contains(out, want) {
			t.Errorf("list does not say %q:\n%s", want, out)
		}
	}
	if out = p.run(0, "list", "--selector", "site=berlin", "--json"); strings.Count(out, `"gw":`) != 2 || !strings.Contains(out, `"presence":"online"`) {
		t.Errorf("list of berlin as JSON: %s", out)
	}
	if out = p.run(0, "show", "gw-01"); !strings.Contains(out, "site=berlin") || !strings.Contains(out, "epoch 1") {
		t.Errorf("show: %s", out)
	}
	p.run(exitCheck, "show", "gw-99")
	out = p.run(0, "watch", "--for", "500ms")
	if !strings.Contains(out, "gw-02  online  config own 44136fa3") {
		t.Errorf("watch: %s", out)
	}
}

func TestFleetCommand(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	p.gateways(3)
	gw := p.gates["gw-01"]
	if out := p.run(0, "cmd", "gw-01", "ping", "--key", p.secret("vera")); !strings.Contains(out, "gw-01  done") {
		t.Errorf("ping: %s", out)
	}
	// A viewer may not; the gateway says so, finally, and nothing is run.
	out := p.run(exitCheck, "cmd", "gw-01", "pipeline.pause", "pipeline=energy", "--key", p.secret("vera"))
	if !strings.Contains(out, "rejected  E_ROLE") || gw.ran("pipeline.pause") != 0 {
		t.Errorf("a viewer pauses: %s", out)
	}
	// A dangerous one quotes the nonce by itself; its time counts from the making of that.
	p.run(0, "cmd", "gw-01", "engine.restart", "--ttl", "1ms", "--key", p.secret("alan"))
	if gw.ran("engine.restart") != 1 {
		t.Errorf("restarted %d times", gw.ran("engine.restart"))
	}
	// A selector is previewed, and asks when nobody is there to answer.
	out = p.run(0, "cmd", "--selector", "site=berlin", "--preview", "pipeline.pause", "--key", p.secret("olga"))
	if !strings.Contains(out, "gw-01") || !strings.Contains(out, "gw-03") || strings.Contains(out, "gw-02") {
		t.Errorf("preview: %s", out)
	}
	p.run(exitUsage, "cmd", "--selector", "site=berlin", "pipeline.pause", "--key", p.secret("olga"))
	p.run(0, "cmd", "--selector", "site=berlin", "--yes", "pipeline.pause", "--key", p.secret("olga"))
	if a, b, c := gw.ran("pipeline.pause"), p.gates["gw-02"].ran("pipeline.pause"), p.gates["gw-03"].ran("pipeline.pause"); a != 1 || b != 0 || c != 1 {
		t.Errorf("paused %d %d %d times", a, b, c)
	}
	p.run(exitUsage, "cmd", "gw-01", "pipeline.explode", "--key", p.secret("olga"))
	for _, m := range p.gates {
		m.sound()
	}
}

// TestFleetCommandOfTwo: a destructive command needs two persons.
func TestFleetCommandOfTwo(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	p.gateways(1)
	file := p.file("reset.json")
	out := p.run(exitUsage, "cmd", "gw-01", "state.reset", "pipeline=energy", "--key", p.secret("alan"))
	if !strings.Contains(out, "2 holders must sign") {
		t.Errorf("alone: %s", out)
	}
	p.run(0, "cmd", "gw-01", "state.reset", "pipeline=energy", "--key", p.secret("alan"), "--out", file)
	out = p.run(exitCheck, "send", file, "--give-up", "1500ms")
	if !strings.Contains(out, "denied: E_HOLDERS") || p.gates["gw-01"].ran("state.reset") != 0 {
		t.Errorf("with one signature: %s", out)
	}
	p.run(exitUsage, "sign", file, "--key", p.secret("alan"))
	if out = p.run(0, "sign", file, "--key", p.secret("adam")); !strings.Contains(out, `state.reset`) || !strings.Contains(out, "2 signatures") {
		t.Errorf("sign: %s", out)
	}
	// The denial of before was not final.
	p.run(0, "send", file)
	p.run(0, "send", file)
	if n := p.gates["gw-01"].ran("state.reset"); n != 1 {
		t.Errorf("reset %d times", n)
	}
}

// TestFleetCommandForTwo: what is written for another person to sign lives as long as its
// nonce; two keys of one person do not do; it can be looked at before it is signed.
func TestFleetCommandForTwo(t *testing.T) {
	p := newPlant(t)
	p.gateways(1)
	file := p.file("reset.json")
	p.run(0, "cmd", "gw-01", "state.reset", "pipeline=energy", "--key", p.secret("alan"), "--out", file)
	_, c, err := readCommand(file)
	if err != nil || c.TTL < outTTL.Milliseconds() || c.Nonce == "" {
		t.Errorf("ttl %d, nonce %q, %v", c.TTL, c.Nonce, err)
	}
	before := p.read("reset.json")
	out := p.run(0, "sign", file, "--show")
	if !strings.Contains(out, "alan") || !strings.Contains(out, `args {"pipeline":"energy"}`) || !strings.Contains(out, "1 of 2 holders") || string(p.read("reset.json")) != string(before) {
		t.Errorf("shown: %s", out)
	}
	if out = p.run(0, "sign", file, "--key", p.secret("olga")); !strings.Contains(out, "1 of 2 holders") {
		t.Errorf("an operator may not do it, so their signature does not count: %s", out)
	}
	if out = p.run(0, "sign", file, "--key", p.secret("adam")); !strings.Contains(out, "2 of 2 holders") {
		t.Errorf("signed: %s", out)
	}
	p.run(0, "send", file)
	if n := p.gates["gw-01"].ran("state.reset"); n != 1 {
		t.Errorf("reset %d times", n)
	}
}

// TestFleetGroup: signed once, done by those with the labels, each once; those that do
// not know the key are introduced, and one that comes later joins.
func TestFleetGroup(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	p.gateways(5)
	published := p.listen("edged/v1/plant7/_group/+/cmd/+")
	olga := []string{"cmd", "--group", "berlin", "--selector", "site=berlin", "--key", p.secret("olga"), "pipeline.pause", "pipeline=a"}
	out := p.run(0, append(olga, "--preview")...)
	if strings.Count(out, "can, after a ping") != 3 {
		t.Errorf("preview: %s", out)
	}
	p.gates["gw-03"].mu.Lock()
	p.gates["gw-03"].deaf = 6 // of the ping and the command: it is asked again
	p.gates["gw-03"].mu.Unlock()
	out = p.run(0, append(olga, "--yes")...)
	for name, m := range p.gates {
		want := map[bool]int{true: 1, false: 0}[m.cfg.Gateway.Labels["site"] == "berlin"]
		if n := m.ran("pipeline.pause"); n != want {
			t.Errorf("%s did it %d times, want %d", name, n, want)
		}
		m.sound()
	}
	if !strings.Contains(out, "(3 of 3)") || strings.Count(out, "done     OK    -") != 3 {
		t.Errorf("the group: %s", out)
	}
	published.mu.Lock()
	if len(published.seen) != 1 {
		t.Errorf("%d commands for three gateways", len(published.seen))
	}
	published.mu.Unlock()
	// One is away: it is shown as silent. --json has a line for machines.
	p.gates["gw-05"].disconnect()
	out = p.run(exitCheck, append(olga, "--yes", "--json", "--give-up", "1500ms")...)
	if !strings.Contains(out, `"done":2,"event":"summary"`) || !strings.Contains(out, `{"gw":"gw-05","outcome":"no answer"}`) {
		t.Errorf("with one away: %s", out)
	}
	for _, refused := range [][]string{
		{"cmd", "--group", "g", "engine.restart", "--key", p.secret("alan")}, {"cmd", "--group", "a/b", "ping", "--key", p.secret("olga")},
		{"cmd", "--group", "g", "--fresh", "ping", "--key", p.secret("olga")}, {"cmd", "--group", "g", "ping", "--key", p.secret("olga")},
	} {
		p.run(exitUsage, refused...)
	}
}

// TestFleetCommandLostAnswers: answers get lost, the command is sent again, and done once.
func TestFleetCommandLostAnswers(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	p.gateways(1)
	gw := p.gates["gw-01"]
	gw.mu.Lock()
	gw.deaf = 4 // accepted, started, done, and the first repetition
	gw.mu.Unlock()
	out := p.run(0, "cmd", "gw-01", "ping", "--key", p.secret("olga"), "--json")
	if gw.ran("ping") != 1 || strings.Count(out, `"event":"sent"`) != 3 || !strings.Contains(out, `"repeated":true`) {
		t.Errorf("ran %d times: %s", gw.ran("ping"), out)
	}
}

// TestFleetApply: one gateway, with diff before and after.
func TestFleetApply(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	p.gateways(2)
	one := p.write("one.json", `{"pipelines":[{"name":"a","window":{"size":"60s"}}]}`)
	two := p.write("two.json", `{"pipelines":[{"name":"a","window":{"size":"30s"}}]}`)
	key := []string{"--key", p.secret("dave"), "--health", "1s"}
	out := p.run(0, append([]string{"apply", "gw-01", one}, key...)...)
	if !strings.Contains(out, "1 of 1 gateways run it") {
		t.Errorf("apply: %s", out)
	}
	p.run(0, "diff", "gw-01", one)
	out = p.run(exitCheck, "diff", "gw-01", two)
	if !strings.Contains(out, `~ pipelines[a].window.size: "60s" -> "30s"`) {
		t.Errorf("diff: %s", out)
	}
	out = p.run(0, append([]string{"apply", "--selector", "*", two, "--preview"}, key...)...)
	if !strings.Contains(out, "gw-01                online   1 difference") || !strings.Contains(out, "gw-02                online   runs something") {
		t.Errorf("preview: %s", out)
	}
	// What was not sent from here, the gateway is asked for.
	if out = p.run(exitCheck, "diff", "gw-02", two); !strings.Contains(out, "with --key it is asked") {
		t.Errorf("diff without a key: %s", out)
	}
	out = p.run(exitCheck, "diff", "gw-02", two, "--key", p.secret("vera"))
	if !strings.Contains(out, "+ pipelines: ") || p.gates["gw-02"].ran("config.get") != 1 {
		t.Errorf("diff with a key: %s", out)
	}
	gw := p.gates["gw-02"]
	gw.mu.Lock()
	gw.config, gw.running.Hash = "# ours\nsettings: {x: 1}\npipelines:\n  - {name: a, window: {size: 60s}}\n", hashOf("# another\nx: 1")
	gw.report()
	gw.mu.Unlock()
	if out = p.run(exitCheck, "diff", "gw-02", two, "--key", p.secret("vera")); !strings.Contains(out, "has not the hash that it says") {
		t.Errorf("diff with a lie: %s", out)
	}
	gw.mu.Lock()
	gw.running.Hash = hashOf(gw.config)
	gw.report()
	gw.mu.Unlock()
	if out = p.run(exitCheck, "diff", "gw-02", two, "--key", p.secret("vera")); !strings.Contains(out, `~ pipelines[a].window.size: "60s" -> "30s"`) || strings.Contains(out, "settings") {
		t.Errorf("diff of YAML and JSON: %s", out)
	}
	bad := p.write("bad.json", `{"bad":true}`)
	out = p.run(exitCheck, append([]string{"apply", "gw-01", bad}, key...)...)
	if !strings.Contains(out, "failed  E_HEALTH: pipelines[0]: it says nothing") {
		t.Errorf("a bad one: %s", out)
	}
	// Who may only command may not configure: the gateway refuses, and says nothing.
	p.run(exitCheck, "apply", "gw-02", one, "--key", p.secret("olga"), "--health", "1s", "--answer", "1100ms")
	if v := p.gates["gw-02"].versions(); len(v) != 0 {
		t.Errorf("an operator configured: %v", v)
	}
	if v := p.gates["gw-01"].versions(); fmt.Sprint(v) != "[1 2]" {
		t.Errorf("gw-01 got %v", v)
	}
}

// TestFleetAudit: the log is fetched in parts and checked against the published head.
func TestFleetAudit(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	p.gateways(1)
	for range 3 {
		p.run(0, "cmd", "gw-01", "ping", "--key", p.secret("olga"))
	}
	file := p.file("log.ndjson")
	out := p.run(0, "audit", "gw-01", "--out", file, "--key", p.secret("vera"))
	if !strings.Contains(out, "lines are sound") {
		t.Errorf("audit: %s", out)
	}
	head := strings.TrimSpace(out[strings.LastIndex(out, " "):])
	p.run(0, "audit", "gw-01", "--head", head, "--key", p.secret("vera"), "--json")
	for name, forge := range map[string]func(*auditPage){
		"changed":  func(page *auditPage) { page.Lines = strings.Replace(page.Lines, `"op":"ping"`, `"op":"pong"`, 1) },
		"left out": func(page *auditPage) { page.Lines = page.Lines[strings.IndexByte(page.Lines, '\n')+1:] },
		"cut":      func(page *auditPage) { page.Lines, page.Head, page.More = "", page.Before, false },
	} {
		gw := p.gates["gw-01"]
		gw.mu.Lock()
		gw.forge = forge
		gw.mu.Unlock()
		if out := p.run(exitCheck, "audit", "gw-01", "--key", p.secret("vera")); !strings.Contains(out, "chain is broken") && !strings.Contains(out, "does not") {
			t.Errorf("%s: %s", name, out)
		}
	}
}
