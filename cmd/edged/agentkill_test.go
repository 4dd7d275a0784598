package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"edged/fleet/protocol"
	"edged/fleet/trust"
	"edged/mqtt"
)

var (
	agentSeed  = flag.Uint64("agent.seed", 0, "seed of the tests of managed gateways; 0 takes a new one")
	agentKills = flag.Int("agent.kills", 6, "how often TestManagedKills kills the gateway")
	agentFlood = flag.Int("agent.flood", 3000, "how many invalid commands TestManagedFlood sends")
)

// agentChance returns a source of chance and says its seed.
func agentChance(t testing.TB) *rand.Rand {
	seed := *agentSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("run again with -agent.seed=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// TestManagedKills kills the gateway at random moments while commands are on their way.
// No command is started twice, none is lost: each ends, as done or as interrupted. The
// audit log is one chain, and the sessions rise.
func TestManagedKills(t *testing.T) {
	r := agentChance(t)
	y := newYard(t)
	d := y.desk()
	y.certify("gw-1")
	dir := t.TempDir()
	config := y.config("gw-1", dir)
	p := y.launch(config)
	d.online("gw-1", 0)
	d.done("gw-1", "ping", "", "olga")
	counts := map[protocol.Status]int{}
	for kill := range *agentKills {
		var cs []protocol.Command
		var sealed [][]byte
		for range 1 + r.IntN(6) {
			c := d.order("gw-1", "olga", "log.level", fmt.Sprintf(`{"level":"debug","for_ms":%d}`, 1+r.IntN(1000)))
			c.Nonce = "" // an operator's commands need none, and outlive the session
			cs, sealed = append(cs, c), append(sealed, d.seal(c, "olga"))
		}
		moment := time.Duration(r.IntN(25_000)) * time.Microsecond
		killed := make(chan struct{})
		victim := p
		time.AfterFunc(moment, func() { victim.kill(); close(killed) })
		for i, c := range cs {
			d.publish(commandTopic("gw-1", c.ID), sealed[i], false)
		}
		<-killed
		before := d.state("gw-1").Session
		p = y.launch(config)
		s := d.online("gw-1", before)
		if int(s.Boot) != kill+2 {
			t.Errorf("boot %d after %d kills", s.Boot, kill+1)
		}
		for i, c := range cs {
			counts[d.await("gw-1", c, sealed[i], final).Status]++
		}
	}
	t.Logf("%d kills: %v", *agentKills, counts)
	if s := d.state("gw-1"); !s.Online {
		t.Errorf("a late will has won: %+v", s)
	}
	p.kill()
	effects := map[string]int{}
	for _, e := range verifyDisk(t, dir) {
		if e.Kind == "command" && e.Decision == "done" {
			effects[e.ID]++
		}
	}
	if len(effects) == 0 || counts[protocol.StatusError] > 0 || counts[protocol.StatusRefused] > 0 {
		t.Errorf("%d commands were done; %v", len(effects), counts)
	}
}

// TestManagedFlood sends invalid commands as fast as the broker takes them. Valid ones
// are still done within 2 s, and the audit log stays small.
func TestManagedFlood(t *testing.T) {
	r := agentChance(t)
	y := newYard(t)
	d := y.desk()
	y.certify("gw-1")
	dir := t.TempDir()
	p := y.launch(y.config("gw-1", dir))
	d.online("gw-1", 0)
	d.done("gw-1", "ping", "", "olga")
	valid := d.order("gw-1", "olga", "ping", "")
	bad := [][]byte{
		[]byte("nonsense"), d.seal(withIssuer(valid, "mallory"), "mallory"), forge(d.seal(valid, "olga")), make([]byte, 70<<10),
		[]byte(`{"payloadType":"a","payloadType":"b"}`), []byte(strings.Repeat("[", 10_000)),
	}
	sent := 0
	flooding := start(t.Context(), func(ctx context.Context) error {
		for sent < *agentFlood && ctx.Err() == nil {
			// A window full of them, as fast as the broker confirms.
			var wait sync.WaitGroup
			for range 100 {
				id := protocol.NewID(r.Int64N(1<<40), [10]byte{byte(sent), byte(sent >> 8), 1})
				wait.Add(1)
				if d.Send(mqtt.Note{Topic: commandTopic("gw-1", id), Payload: bad[r.IntN(len(bad))], QoS: 1}, func(error) { wait.Done() }) != nil {
					wait.Done()
				}
				sent++
			}
			wait.Wait()
		}
		return nil
	})
	var worst time.Duration
	pings := 0
	for over := false; !over; pings++ {
		select {
		case <-flooding.done:
			over = true
		default:
		}
		begun := time.Now()
		d.done("gw-1", "ping", "", "olga")
		worst = max(worst, time.Since(begun))
	}
	t.Logf("%d invalid commands, %d valid ones beside them, the slowest took %v", sent, pings, worst)
	if worst > 2*time.Second {
		t.Errorf("a valid command took %v", worst)
	}
	p.kill()
	written := 0
	for _, e := range verifyDisk(t, dir) {
		if e.Decision == "denied" {
			written++
		}
	}
	if written == 0 || written > 100 {
		t.Errorf("%d denials were written down one by one", written)
	}
}

// TestManagedDuplicate starts a second process with the identity of the first: one whose
// data is empty, then one with a copy of the disk.
func TestManagedDuplicate(t *testing.T) {
	t.Parallel()
	for _, cloned := range []bool{false, true} {
		t.Run(fmt.Sprintf("cloned=%t", cloned), func(t *testing.T) {
			y := newYard(t)
			d := y.desk()
			y.certify("gw-1")
			dir, other := t.TempDir(), t.TempDir()
			config := y.config("gw-1", dir)
			p := y.launch(config)
			d.online("gw-1", 0)
			if cloned {
				p.kill()
				y.must(os.CopyFS(filepath.Join(other, "copy"), os.DirFS(dir)))
				other = filepath.Join(other, "copy")
				y.launch(config)
				d.online("gw-1", 1)
			}
			y.launch(y.config("gw-1", other))
			e := d.event("identity.duplicate", func(e protocol.Event) bool {
				return e.Class == protocol.ClassAlarm && e.Code == "identity.duplicate" && e.Severity == protocol.SeverityCritical
			})
			t.Log(e.Message)
			blocked := map[string]bool{}
			d.event("identity.blocked of two instances", func(e protocol.Event) bool {
				if e.Code == "identity.blocked" {
					blocked[e.Instance] = true
				}
				return len(blocked) == 2
			})
		})
	}
}

// brokerRule is what happens to something that is published.
type brokerRule struct {
	who, topic string
	seen       []string // who gets it, of all
}

func brokerRules() []brokerRule {
	const id = "01JD0000000000000000000000"
	return []brokerRule{
		{"gw-1", "gw-1/state", []string{"gw-1", "olga", "watch"}},
		{"gw-1", "gw-1/rsp/" + id, []string{"olga", "watch"}},
		{"gw-1", "gw-1/evt/alarm", []string{"olga", "watch"}},
		{"gw-1", "gw-1/data/kwh", []string{"olga", "watch"}},
		{"gw-1", "gw-2/state", nil},
		{"gw-1", "gw-2/rsp/" + id, nil},
		{"gw-1", "gw-2/cmd/" + id, nil},
		{"gw-1", "gw-1/cmd/" + id, nil},
		{"gw-1", "gw-1/desired", nil},
		{"gw-1", "_trust", nil},
		{"gw-1", "_time", nil},
		{"olga", "gw-1/state", nil},
		{"olga", "gw-1/rsp/" + id, nil},
		{"olga", "gw-1/evt/alarm", nil},
		{"olga", "gw-1/cmd/" + id, []string{"gw-1", "olga", "watch"}},
		{"olga", "gw-2/desired", []string{"gw-2", "olga", "watch"}},
		{"olga", "_group/all/cmd/" + id, []string{"gw-1", "gw-2", "eve", "olga", "watch"}},
		{"olga", "_trust", []string{"gw-1", "gw-2", "eve", "olga", "watch"}},
		{"watch", "gw-1/cmd/" + id, nil},
		{"eve", "gw-1/state", nil},
		{"eve", "gw-1/cmd/" + id, nil},
	}
}

// TestBrokerRules looks at what mosquitto lets through with the rules that are shipped.
func TestBrokerRules(t *testing.T) {
	y := newYard(t)
	for _, name := range []string{"gw-1", "gw-2", "olga", "watch", "eve"} {
		y.certify(name)
	}
	var mu sync.Mutex
	got := map[string]bool{}
	note := func(who string) mqtt.ControlHooks {
		return mqtt.ControlHooks{Receive: func(_ context.Context, n mqtt.Note) error {
			mu.Lock()
			defer mu.Unlock()
			got[who+" "+strings.TrimPrefix(n.Topic, "edged/v1/plant7/")+" "+string(n.Payload)] = true
			return nil
		}}
	}
	clients := map[string]*mqtt.Control{}
	for _, name := range []string{"gw-1", "gw-2", "olga", "watch", "eve"} {
		clients[name], _ = y.client(name, note(name), "edged/v1/plant7/#")
	}
	for _, c := range brokerRules() {
		text := "from " + c.who
		// An error says that mosquitto has hung up, as some versions do when a publish is
		// not allowed.
		err := clients[c.who].Publish(t.Context(), mqtt.Note{Topic: "edged/v1/plant7/" + c.topic, Payload: []byte(text), QoS: 1})
		if err != nil && c.seen != nil {
			t.Errorf("%s publishes to %s: %v", c.who, c.topic, err)
		}
		// What comes behind it on the same way shows that it would have come.
		mark := fmt.Sprint("mark ", c.who, c.topic)
		last := time.Time{}
		y.until("the mark has come after "+c.who+" to "+c.topic, func() bool {
			if time.Since(last) > 200*time.Millisecond {
				last = time.Now()
				// Sent again until it has come everywhere.
				_ = clients["olga"].Publish(t.Context(), mqtt.Note{Topic: "edged/v1/plant7/_time", Payload: []byte(mark), QoS: 1})
			}
			mu.Lock()
			defer mu.Unlock()
			for who := range clients {
				if !got[who+" _time "+mark] {
					return false
				}
			}
			return true
		})
		mu.Lock()
		for who := range clients {
			want := false
			for _, s := range c.seen {
				want = want || s == who
			}
			if got[who+" "+c.topic+" "+text] != want {
				t.Errorf("%s publishes to %s: %s gets it: %t, want %t", c.who, c.topic, who, !want, want)
			}
		}
		clear(got)
		mu.Unlock()
	}
}

// TestFleetSettings finds what is wrong with settings before anything starts.
func TestFleetSettings(t *testing.T) {
	dir := t.TempDir()
	good, err := json.Marshal(trust.Root{Threshold: 1, Keys: []trust.PublicKey{holderKey("root").Public()}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "root.json")
	if err := os.WriteFile(file, good, 0o600); err != nil {
		t.Fatal(err)
	}
	for settings, want := range map[string]string{
		"name: plant7, trust_file: " + file: "",
		"name: plant7":                      "trust_file",
		"name: plant7, trust_file: " + filepath.Join(dir, "none"):           "no such file",
		"name: plant 7, trust_file: " + file:                                "fleet.name",
		"name: plant7, gateway: a.b, trust_file: " + file:                   "fleet.gateway",
		"name: plant7, prefix: a/#, trust_file: " + file:                    "fleet.prefix",
		"name: plant7, labels: \"site\", trust_file: " + file:               "fleet.labels",
		"name: plant7, labels: \"a=1,a=2\", trust_file: " + file:            "twice",
		"name: plant7, tls_min: \"1.1\", trust_file: " + file:               "tls_min",
		"name: plant7, url: \"tcp://h:1\", ca_file: x, trust_file: " + file: "TLS",
		"name: plant7, password: secret, trust_file: " + file:               "must not stand here",
		"name: plant7, heartbeat: 1ms, trust_file: " + file:                 "heartbeat",
		"name: plant7, trust_file: " + filepath.Join("..", "..", "go.mod"):  "trust_file",
		"name: plant7, client_id: edged-edged, trust_file: " + file:         "close one connection",
	} {
		_, err := parseSetup("test.yaml", []byte("settings:\n  fleet: {"+settings+"}\n"+string(demoDocument)), nil, nil)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", settings, err)
		}
	}
}
