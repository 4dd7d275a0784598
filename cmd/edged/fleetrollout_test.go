package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"edged/fleet/operator"
	"edged/mqtt"
)

var fleetSeed = flag.Uint64("fleet-seed", uint64(time.Now().UnixNano()), "seed of the fleet tests")

// goodConfig and badConfig are what rollouts bring; models roll the second back.
const (
	goodConfig = `{"pipelines":[{"name":"a"}]}`
	badConfig  = `{"bad":true}`
)

// rolloutArgs are those of a rollout that does not take long.
func (p *plant) rolloutArgs(file string, more ...string) []string {
	return append([]string{"rollout", file, "--selector", "*", "--yes", "--key", p.secret("dave"), "--health", "1s", "--bake", "300ms"}, more...)
}

// takings are the gateways that took documents, in order.
type takings struct {
	mu  sync.Mutex
	all []string
}

// follow makes all gateways tell when they take a document.
func (p *plant) follow() *takings {
	t := &takings{}
	for name, m := range p.gates {
		m.mu.Lock()
		m.onTake = func(version uint64) {
			p.released(name, version)
			t.mu.Lock()
			defer t.mu.Unlock()
			t.all = append(t.all, name)
		}
		m.mu.Unlock()
	}
	return t
}

// released checks that the release of a gateway was on the disk before the gateway could
// take the document.
func (p *plant) released(name string, version uint64) {
	home, err := openHome(p.home, "plant7")
	if err != nil {
		p.t.Error(err)
		return
	}
	r, _, err := home.rollout(fmt.Sprintf("e1v%d", version))
	if err != nil {
		p.t.Error(err)
		return
	}
	for _, m := range r.Snapshot().Members {
		if m.Gateway == name && m.Status == operator.MemberWaiting {
			p.t.Errorf("%s took version %d, and on the disk it waits", name, version)
		}
	}
}

func (t *takings) list() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.all)
}

// snapshot returns a rollout as it is on the disk.
func (p *plant) snapshot(id string) operator.Snapshot {
	p.t.Helper()
	home, err := openHome(p.home, "plant7")
	if err != nil {
		p.t.Fatal(err)
	}
	r, _, err := home.rollout(id)
	if err != nil {
		p.t.Fatal(err)
	}
	return r.Snapshot()
}

// inWaves checks that gateways took their documents wave by wave.
func (p *plant) inWaves(s operator.Snapshot, taken []string) {
	p.t.Helper()
	wave := map[string]int{}
	for i, m := range s.Members {
		n, _ := slices.BinarySearch(s.Ends, i+1)
		wave[m.Gateway] = n
	}
	last := 0
	for _, name := range taken {
		if wave[name] < last {
			p.t.Errorf("%s of wave %d took the document after one of wave %d", name, wave[name]+1, last+1)
		}
		last = wave[name]
	}
}

func TestFleetRollout(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	p.gateways(20)
	taken := p.follow()
	file := p.write("good.json", goodConfig)
	out := p.run(0, append(p.rolloutArgs(file), "--preview")...)
	if strings.Count(out, "wave 1 ") != 1 || strings.Count(out, "wave 3 ") != 15 {
		t.Errorf("preview: %s", out)
	}
	previewed := out
	out = p.run(0, p.rolloutArgs(file, "--waves", "1,5%,25%,100%")...)
	for _, want := range []string{"rollout e1v1: running, version 1, wave 0 of 3", "wave 1 begins: 1 gateway", "wave 2 begins: 4 gateways", "wave 3 begins: 15 gateways", "done: 20 of 20 gateways run it"} {
		if !strings.Contains(out, want) {
			t.Errorf("the rollout does not say %q:\n%s", want, out)
		}
	}
	s := p.snapshot("e1v1")
	for _, m := range s.Members {
		if !strings.Contains(previewed, m.Gateway) {
			t.Errorf("the preview does not show %s", m.Gateway)
		}
		previewed = previewed[strings.Index(previewed, m.Gateway):] // in the same order
	}
	p.inWaves(s, taken.list())
	if len(taken.list()) != 20 || s.Phase != operator.PhaseDone {
		t.Errorf("%d took it, phase %s", len(taken.list()), s.Phase)
	}
	if out = p.run(0, "rollout", "status", "e1v1"); strings.Count(out, " done") < 20 {
		t.Errorf("status: %s", out)
	}
	p.run(0, "rollout", "list", "--json")
	// One that cannot be read does not hide the others.
	damaged := filepath.Join(p.home, "plant7", "rollouts", "e0v9")
	if err := os.Mkdir(damaged, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(damaged, "state.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out = p.run(exitStore, "rollout", "list"); !strings.Contains(out, "rollout e1v1: done") || !strings.Contains(out, "e0v9") {
		t.Errorf("list with a damaged one: %s", out)
	}
}

// TestFleetRolloutBad: a bad version reaches the first wave and nobody else.
func TestFleetRolloutBad(t *testing.T) {
	p := newPlant(t)
	p.gateways(20)
	taken := p.follow()
	out := p.run(exitCheck, p.rolloutArgs(p.write("bad.json", badConfig))...)
	if !strings.Contains(out, "stopped: 1 of the 1 gateways of wave 1 failed") || len(taken.list()) != 1 {
		t.Errorf("%v took it: %s", taken.list(), out)
	}
	// A failed version is tried again under a new number only.
	p.run(exitCheck, "rollout", "retry", "e1v1", "--key", p.secret("dave"))
	first := taken.list()[0]
	if v := p.gates[first].versions(); fmt.Sprint(v) != "[1 2]" {
		t.Errorf("%s got versions %v", first, v)
	}
	if got := taken.list(); len(got) != 2 || got[1] != first {
		t.Errorf("the retry reached %v", got)
	}
	p.run(exitUsage, "rollout", "pause", "e1v1") // it is over
}

// TestFleetRolloutOffline: gateways that are away hold nothing up and catch up later;
// if the rollout has been ended meanwhile, they find nothing.
func TestFleetRolloutOffline(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	p.gateways(10)
	away := []string{"gw-03", "gw-07"}
	for _, name := range away {
		p.gates[name].disconnect()
	}
	file := p.write("good.json", goodConfig)
	out := p.run(0, p.rolloutArgs(file)...)
	if !strings.Contains(out, "done: 8 of 10 gateways run it, 2 not online yet") {
		t.Errorf("with two away: %s", out)
	}
	p.gates["gw-03"].connect()
	p.eventually("gw-03 catches up", func() bool { return len(p.gates["gw-03"].versions()) == 1 })
	if out = p.run(0, "rollout", "resume", "e1v1", "--key", p.secret("dave")); !strings.Contains(out, "9 of 10 gateways run it, 1 not online yet") {
		t.Errorf("resumed: %s", out)
	}
	// A bad one is withdrawn before the one that is away can find it.
	bad := p.write("bad.json", badConfig)
	out = p.run(exitCheck, p.rolloutArgs(bad, "--waves", "100%")...)
	if !strings.Contains(out, "1 withdrawn") {
		t.Errorf("the bad one: %s", out)
	}
	p.gates["gw-07"].connect()
	p.eventually("gw-07 is back", func() bool { return p.gates["gw-07"].connected() })
	p.run(0, "cmd", "gw-07", "ping", "--key", p.secret("olga")) // what the broker had kept has come before
	if v := p.gates["gw-07"].versions(); len(v) != 0 {
		t.Errorf("gw-07 got %v", v)
	}
}

// TestFleetRolloutHangs: a gateway that is online and takes nothing stops the rollout.
func TestFleetRolloutHangs(t *testing.T) {
	p := newPlant(t)
	p.gateways(4)
	for _, m := range p.gates {
		m.mu.Lock()
		m.readOnly = true
		m.mu.Unlock()
	}
	out := p.run(exitCheck, p.rolloutArgs(p.write("good.json", goodConfig), "--answer", "1200ms")...)
	if !strings.Contains(out, "E_TIMEOUT: it was online and has not taken the document") {
		t.Errorf("%s", out)
	}
}

// TestFleetRolloutPause: paused from elsewhere, resumed, aborted.
func TestFleetRolloutPause(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	p.gateways(6)
	taken := p.follow()
	file := p.write("good.json", goodConfig)
	c := p.controller(p.rolloutArgs(file, "--waves", "1,2,3,4,5,6", "--bake", "700ms")...)
	c.until(`"event":"bake"`, 1)
	p.run(0, "rollout", "pause", "e1v1")
	c.until(`"event":"paused"`, 1)
	p.run(exitInUse, "rollout", "retry", "e1v1", "--key", p.secret("dave"))
	before := len(taken.list())
	c.kill()
	if s := p.snapshot("e1v1"); !s.Paused || len(taken.list()) != before {
		t.Errorf("paused %v, %d then %d took it", s.Paused, before, len(taken.list()))
	}
	c = p.controller("rollout", "resume", "e1v1", "--key", p.secret("dave"))
	c.until(`"event":"wave"`, 1)
	p.run(0, "rollout", "abort", "e1v1")
	c.until(`"event":"stopped"`, 1)
	if code := c.wait(); code != exitCheck {
		t.Errorf("aborted with code %d", code)
	}
	if n := len(taken.list()); n == 6 {
		t.Error("the abort came too late, or did nothing")
	}
	p.inWaves(p.snapshot("e1v1"), taken.list())
}

// controllerProcess is an edged fleet in a process of its own.
type controllerProcess struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines chan string
	seen  []string
}

func (p *plant) controller(args ...string) *controllerProcess {
	p.t.Helper()
	return startController(p.t.(*testing.T), p.args(args...))
}

// startController starts a command as a process that prints JSON.
func startController(t *testing.T, args []string) *controllerProcess {
	t.Helper()
	cmd := exec.Command(os.Args[0], append(args, "--json")...)
	cmd.Env = append(os.Environ(), asProcess+"=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	c := &controllerProcess{t: t, cmd: cmd, lines: make(chan string, 10_000)}
	go func() {
		defer close(c.lines)
		for scanner := bufio.NewScanner(out); scanner.Scan(); {
			c.lines <- scanner.Text()
		}
	}()
	t.Cleanup(c.kill)
	return c
}

// until reads lines until n of them hold a text, and reports whether they did.
func (c *controllerProcess) until(text string, n int) bool {
	c.t.Helper()
	deadline := time.After(testLimit)
	for n > 0 {
		select {
		case line, ok := <-c.lines:
			if !ok {
				return false
			}
			c.seen = append(c.seen, line)
			if strings.Contains(line, text) {
				n--
			}
		case <-deadline:
			c.t.Fatalf("waited in vain for %s: %s", text, strings.Join(c.seen, "\n"))
		}
	}
	return true
}

// kill ends the process with SIGKILL. It may be called again.
func (c *controllerProcess) kill() {
	if c.cmd.ProcessState == nil {
		_ = c.cmd.Process.Kill()
		_ = c.cmd.Wait()
	}
}

func (c *controllerProcess) wait() int {
	for c.until("{", 1) {
	}
	_ = c.cmd.Wait()
	return c.cmd.ProcessState.ExitCode()
}

// spy has all that was ever published on some topics.
type spy struct {
	mu   sync.Mutex
	seen map[string]map[string]int // by topic and payload
}

func (p *plant) spy() *spy { return p.listen("edged/v1/plant7/+/desired") }

// listen has all that is published on the topics of a filter.
func (p *plant) listen(filter string) *spy {
	p.t.Helper()
	s := &spy{seen: map[string]map[string]int{}}
	control, err := mqtt.NewControl(mqtt.ControlConfig{Config: mqtt.Config{URL: p.broker.URL()}, Subscriptions: []mqtt.Subscription{{Filter: filter, QoS: 1}}})
	if err != nil {
		p.t.Fatal(err)
	}
	running := start(p.t.Context(), func(ctx context.Context) error {
		return control.Run(ctx, mqtt.ControlHooks{Receive: func(_ context.Context, n mqtt.Note) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.seen[n.Topic] == nil {
				s.seen[n.Topic] = map[string]int{}
			}
			s.seen[n.Topic][string(n.Payload)]++
			return nil
		}})
	})
	p.t.Cleanup(func() { _ = running.end() })
	p.eventually("the spy listens", func() bool { return control.Stats().Connected })
	return s
}

// TestFleetRolloutKilled kills the controller again and again in the middle of a
// rollout to 40 gateways, of which four are away: no gateway gets two documents, none
// is skipped, and waves are respected.
func TestFleetRolloutKilled(t *testing.T) {
	t.Parallel()
	t.Logf("seed %d", *fleetSeed)
	chance := rand.New(rand.NewPCG(*fleetSeed, 1))
	p := newPlant(t)
	p.gateways(40)
	taken, published := p.follow(), p.spy()
	away := []string{"gw-02", "gw-11", "gw-23", "gw-38"}
	for _, name := range away {
		p.gates[name].disconnect()
	}
	c := p.controller(p.rolloutArgs(p.write("good.json", goodConfig), "--waves", "1,10%,25%,50%,100%")...)
	kills := 0
	for c.until(`"event"`, 1+chance.IntN(14)) {
		var e struct{ Event, Phase string }
		if err := json.Unmarshal([]byte(c.seen[len(c.seen)-1]), &e); err != nil {
			t.Fatal(err)
		}
		if e.Phase == operator.PhaseDone {
			break
		}
		c.kill()
		kills++
		p.inWaves(p.snapshot("e1v1"), taken.list())
		c = p.controller("rollout", "resume", "e1v1", "--key", p.secret("dave"))
	}
	c.kill()
	for range 2 { // those that are away are told again
		p.run(0, "rollout", "resume", "e1v1", "--key", p.secret("dave"))
	}
	for _, name := range away {
		p.gates[name].connect()
	}
	p.eventually("all have it", func() bool { return len(taken.list()) == 40 })
	p.run(0, "rollout", "resume", "e1v1", "--key", p.secret("dave"), "--follow")
	s := p.snapshot("e1v1")
	t.Logf("killed %d times, phase %s", kills, s.Phase)
	if kills < 2 || s.Phase != operator.PhaseDone || s.Progress().Done != 40 {
		t.Errorf("killed %d times, %s", kills, describeRollout(&s))
	}
	present := slices.DeleteFunc(taken.list(), func(name string) bool { return slices.Contains(away, name) })
	p.inWaves(s, present)
	published.mu.Lock()
	defer published.mu.Unlock()
	again := 0
	for topic, payloads := range published.seen {
		for _, n := range payloads {
			again += n - 1
		}
		if len(payloads) != 1 {
			t.Errorf("%d different documents on %s", len(payloads), topic)
		}
	}
	if len(published.seen) != 40 || again == 0 {
		t.Errorf("%d gateways were told, %d times again", len(published.seen), again)
	}
	for name, m := range p.gates {
		if v := m.versions(); fmt.Sprint(v) != "[1]" {
			t.Errorf("%s got versions %v", name, v)
		}
		m.sound()
	}
}

// TestFleetRootRotation: while gateways are away, the root is rotated twice and a key
// revoked. They follow when they return, and obey the new keys only.
func TestFleetRootRotation(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	p.gateways(3)
	p.run(0, "cmd", "gw-02", "ping", "--key", p.secret("olga"))
	p.gates["gw-02"].disconnect()
	p.run(0, "keys", "new", "dora", "emil", "otto", "--dir", p.dir)
	// The second keyring lets dora in for anna: two of the old root sign, one of them is of the new root, too.
	two := p.next("ring-2.json")
	p.run(0, "keyring", "rotate", two, "--threshold", "2", "--root", p.file("bert.public"), "--root", p.file("carl.public"), "--root", p.file("dora.public"))
	p.run(0, "keyring", "sign", two, "--key", p.secret("anna"))
	p.run(exitConfig, "keyring", "publish", two)
	p.run(0, "keyring", "sign", two, "--key", p.secret("bert"))
	if out := p.run(exitConfig, "keyring", "publish", two); !strings.Contains(out, "1 of 3 keys have signed, 2 must") {
		t.Errorf("one of the new root: %s", out)
	}
	p.run(0, "keyring", "sign", two, "--key", p.secret("dora"))
	p.run(0, "keyring", "publish", two)
	// The third one replaces the rest, revokes olga and lets otto in.
	three := p.next("ring-3.json")
	p.run(0, "keyring", "rotate", three, "--threshold", "1", "--root", p.file("dora.public"), "--root", p.file("emil.public"))
	p.run(0, "keyring", "revoke", three, "olga")
	p.run(0, "keyring", "add", three, "--public", p.file("otto.public"), "--holder", "otto", "--role", "operator")
	p.run(0, "keyring", "sign", three, "--key", p.secret("dora"), "--key", p.secret("bert"))
	p.run(0, "keyring", "publish", three)
	p.eventually("those that are here follow", func() bool { return p.gates["gw-01"].keyring() == 3 })
	// What olga signed before she was revoked, somebody sends now to the one that was away.
	p.gates["gw-02"].connect()
	p.eventually("the one that was away follows", func() bool { return p.gates["gw-02"].keyring() == 3 })
	if out := p.run(exitConfig, "cmd", "gw-02", "ping", "--key", p.secret("olga")); !strings.Contains(out, "revoked") {
		t.Errorf("olga: %s", out)
	}
	p.run(0, "cmd", "gw-02", "ping", "--key", p.secret("otto"))
	if n := p.gates["gw-02"].ran("ping"); n != 2 {
		t.Errorf("gw-02 ran %d pings", n)
	}
	// Another operator knows only the first root, and follows the chain from the broker.
	other := *p
	other.home = t.TempDir()
	other.run(0, "keyring", "pin", p.file("ring.json"))
	if out := other.run(0, "cmd", "gw-01", "ping", "--key", p.secret("otto")); !strings.Contains(out, "keyring 3 is in force") {
		t.Errorf("another home: %s", out)
	}
}

// TestFleetEpoch: raising the epoch makes all counters begin anew, on both sides.
func TestFleetEpoch(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	p.gateways(1)
	file := p.write("good.json", goodConfig)
	p.run(0, "apply", "gw-01", file, "--key", p.secret("dave"), "--health", "1s")
	ring := p.next("ring-2.json", "--raise-epoch")
	p.run(0, "keyring", "sign", ring, "--key", p.secret("bert"), "--key", p.secret("carl"))
	p.run(0, "keyring", "publish", ring)
	p.eventually("the gateway follows", func() bool { return p.gates["gw-01"].keyring() == 2 })
	if out := p.run(0, "apply", "gw-01", file, "--key", p.secret("dave"), "--health", "1s"); !strings.Contains(out, "rollout e2v1") {
		t.Errorf("in the new epoch: %s", out)
	}
	p.run(0, "cmd", "gw-01", "ping", "--key", p.secret("olga"))
	p.run(0, "time", "--key", p.secret("clock"))
	p.run(exitConfig, "time", "--key", p.secret("olga"))
}
