package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"edged/fleet/protocol"
	"edged/fleet/trust"
	"edged/internal/mosquitto"
	"edged/mqtt"
)

// yard is a fleet of real gateways: a mosquitto with TLS and the access rules that are
// shipped, certificates, keys, and operators.
type yard struct {
	t      testing.TB
	dir    string
	broker *mosquitto.Broker // its own listener is for devices
	url    string            // of the listener with TLS
	ca     *x509.Certificate
	caKey  *ecdsa.PrivateKey
	ring   trust.Keyring
	root   trust.SecretKey
}

// newYard makes everything but gateways. Rules are added to those of the broker that are
// shipped.
func newYard(t testing.TB, rules ...string) *yard {
	t.Helper()
	y := &yard{t: t, dir: t.TempDir(), root: holderKey("root")}
	y.ca, y.caKey = y.issue("ca", nil, nil)
	y.certify("broker")
	acl, err := os.ReadFile("../../configs/brokers/mosquitto.acl")
	y.must(err)
	// Devices are anonymous here. Patterns, because a session that a broker has restored has no user
	// that topics could be for.
	y.write("acl", "pattern readwrite sensors/#\npattern readwrite agg/#\n"+string(acl)+"\n"+strings.Join(rules, "\n")+"\n")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	y.must(err)
	_, port, err := net.SplitHostPort(l.Addr().String())
	y.must(err)
	l.Close()
	y.url = "ssl://127.0.0.1:" + port
	y.broker = mosquitto.Start(t, mosquitto.Persistent(), mosquitto.Line("acl_file "+y.file("acl"), "listener "+port+" 127.0.0.1",
		"cafile "+y.file("ca.pem"), "certfile "+y.file("broker.pem"), "keyfile "+y.file("broker.key"), "tls_version tlsv1.3",
		"require_certificate true", "use_identity_as_username true"))
	entry := func(holder string, roles ...trust.Role) trust.Key {
		return trust.Key{Public: holderKey(holder).Public(), Holder: holder, Roles: roles}
	}
	y.ring = trust.Keyring{
		V: 1, Fleet: "plant7", Version: 1, Epoch: 1, Root: trust.Root{Threshold: 1, Keys: []trust.PublicKey{y.root.Public()}},
		Keys: []trust.Key{entry("vera", trust.Viewer), entry("olga", trust.Operator), entry("dave", trust.Deployer),
			entry("anna", trust.Admin), entry("alan", trust.Admin), entry("tick", trust.Clock)},
	}
	root, err := json.Marshal(y.ring.Root)
	y.must(err)
	y.write("root.json", string(root))
	return y
}

// holderKey returns the key of somebody.
func holderKey(holder string) trust.SecretKey {
	var seed [trust.SeedBytes]byte
	copy(seed[:], "of "+holder)
	return trust.NewSecretKey(seed)
}

func (y *yard) file(name string) string { return filepath.Join(y.dir, name) }

func (y *yard) write(name, text string) { y.must(os.WriteFile(y.file(name), []byte(text), 0o600)) }

func (y *yard) must(err error) {
	y.t.Helper()
	if err != nil {
		y.t.Fatal(err)
	}
}

// certify writes a certificate with the common name; again, it is another one.
func (y *yard) certify(name string) { y.issue(name, y.ca, y.caKey) }

func (y *yard) issue(name string, parent *x509.Certificate, signer *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	y.t.Helper()
	p := y.pair(name, time.Now().Add(time.Hour), parent, signer)
	y.write(name+".pem", p.text)
	y.write(name+".key", p.keyText)
	return p.cert, p.key
}

// pair is a certificate with its key, and both as they are in files.
type pair struct {
	cert          *x509.Certificate
	key           *ecdsa.PrivateKey
	text, keyText string
}

// pair makes a certificate with the common name.
func (y *yard) pair(name string, ends time.Time, parent *x509.Certificate, signer *ecdsa.PrivateKey) pair {
	y.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	y.must(err)
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: ends.Add(-2 * time.Hour), NotAfter: ends,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true, IsCA: parent == nil,
		KeyUsage:    x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if parent == nil {
		parent, signer = cert, key
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, parent, &key.PublicKey, signer)
	y.must(err)
	secret, err := x509.MarshalECPrivateKey(key)
	y.must(err)
	return pair{cert, key, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret}))}
}

// config writes the configuration of a gateway and returns its path.
func (y *yard) config(gateway, dataDir string) string {
	settings := fmt.Sprintf(`settings:
  data_dir: %s
  gateway_id: %s
  mqtt: {url: %s}
  http: {listen: ""}
  fleet:
    name: plant7
    url: %s
    ca_file: %s
    cert_file: %s
    key_file: %s
    trust_file: %s
    labels: site=berlin
    heartbeat: 1s
`, dataDir, gateway, y.broker.URL(), y.url, y.file("ca.pem"), y.file(gateway+".pem"), y.file(gateway+".key"), y.file("root.json"))
	name := filepath.Base(dataDir) + "-" + gateway + ".yaml"
	y.write(name, settings+string(demoDocument))
	return y.file(name)
}

// process is an edged run.
type process struct {
	t    testing.TB
	cmd  *exec.Cmd
	log  *syncBuffer
	code chan int
}

// launch starts edged run as a process.
func (y *yard) launch(config string) *process {
	y.t.Helper()
	p := &process{t: y.t, cmd: exec.Command(os.Args[0], "run", "--config", config), log: &syncBuffer{}, code: make(chan int, 1)}
	p.cmd.Env = append(os.Environ(), asProcess+"=1")
	p.cmd.Stderr = p.log
	y.must(p.cmd.Start())
	go func() {
		// The code is what counts.
		_ = p.cmd.Wait()
		p.code <- p.cmd.ProcessState.ExitCode()
	}()
	y.t.Cleanup(func() {
		p.kill()
		if y.t.Failed() {
			y.t.Logf("edged run:\n%s", p.log)
		}
	})
	return p
}

// end waits for the end and returns the code.
func (p *process) end() int {
	p.t.Helper()
	select {
	case code := <-p.code:
		p.code <- code
		return code
	case <-time.After(testLimit):
		p.t.Fatalf("edged run does not end:\n%s", p.log)
		return -1
	}
}

func (p *process) kill() {
	// An error means that it has ended already.
	_ = p.cmd.Process.Signal(syscall.SIGKILL)
	p.end()
}

// operatorDesk is a person at the broker who signs with several keys.
type operatorDesk struct {
	*mqtt.Control
	y      *yard
	part   *part
	states string // apply.state of the documents; "": keep

	mu       sync.Mutex
	presence map[string]*protocol.Presence
	answers  map[protocol.ID][]protocol.Answer
	reported map[string]protocol.Reported
	info     map[string]protocol.Info
	events   []protocol.Event
	beats    int
	seqs     map[string]uint64

	instances map[string]protocol.State // what each instance said last
}

// client connects somebody with a certificate.
func (y *yard) client(name string, hooks mqtt.ControlHooks, filters ...string) (*mqtt.Control, *part) {
	y.t.Helper()
	cfg := mqtt.ControlConfig{Config: mqtt.Config{URL: y.url, ClientID: "test-" + name, ReconnectMin: 20 * time.Millisecond, ReconnectMax: 200 * time.Millisecond}}
	var err error
	cfg.TLS, err = mqtt.LoadTLS(y.file("ca.pem"), y.file(name+".pem"), y.file(name+".key"))
	y.must(err)
	for _, f := range filters {
		cfg.Subscriptions = append(cfg.Subscriptions, mqtt.Subscription{Filter: f, QoS: 1})
	}
	c, err := mqtt.NewControl(cfg)
	y.must(err)
	p := start(context.Background(), func(ctx context.Context) error { return c.Run(ctx, hooks) })
	y.t.Cleanup(func() { p.end() })
	y.until(name+" is connected", func() bool { return c.Stats().Connected })
	return c, p
}

// until waits for a condition.
func (y *yard) until(what string, ok func() bool) {
	y.t.Helper()
	if !await(testLimit, ok) {
		y.t.Fatalf("waited %v in vain until %s", testLimit, what)
	}
}

func (y *yard) desk() *operatorDesk {
	y.t.Helper()
	y.certify("olga")
	d := &operatorDesk{
		y: y, presence: map[string]*protocol.Presence{}, answers: map[protocol.ID][]protocol.Answer{},
		instances: map[string]protocol.State{}, reported: map[string]protocol.Reported{}, info: map[string]protocol.Info{}, seqs: map[string]uint64{},
	}
	hooks := mqtt.ControlHooks{Receive: func(_ context.Context, n mqtt.Note) error { d.take(n); return nil }}
	d.Control, d.part = y.client("olga", hooks, protocol.OperatorFilters(protocol.DefaultPrefix, "plant7")...)
	d.trust(y.ring)
	return d
}

// trust publishes a keyring.
func (d *operatorDesk) trust(k trust.Keyring) {
	d.y.t.Helper()
	envelope, err := trust.SealKeyring(k, d.y.root)
	d.y.must(err)
	chain, err := trust.EncodeChain(envelope)
	d.y.must(err)
	d.publish("edged/v1/plant7/_trust", chain, true)
}

func (d *operatorDesk) publish(topic string, payload []byte, retain bool) {
	d.y.t.Helper()
	d.y.must(d.Publish(d.y.t.Context(), mqtt.Note{Topic: topic, Payload: payload, QoS: 1, Retain: retain}))
}

func (d *operatorDesk) take(n mqtt.Note) {
	topic, err := protocol.ParseTopic(protocol.DefaultPrefix, n.Topic)
	if err != nil || len(n.Payload) == 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	t := d.y.t
	switch topic.Kind {
	case protocol.KindState:
		if d.presence[topic.Gateway] == nil {
			d.presence[topic.Gateway] = &protocol.Presence{}
		}
		s := message[protocol.State](t, n.Payload)
		d.instances[s.Instance] = s
		if p := d.presence[topic.Gateway]; p.Observe(s) == protocol.Foreign {
			p.Adopt(s)
		}
	case protocol.KindAnswer:
		a := message[protocol.Answer](t, n.Payload)
		d.answers[topic.ID] = append(d.answers[topic.ID], a)
	case protocol.KindReported:
		d.reported[topic.Gateway] = message[protocol.Reported](t, n.Payload)
	case protocol.KindInfo:
		d.info[topic.Gateway] = message[protocol.Info](t, n.Payload)
	case protocol.KindEvent:
		d.events = append(d.events, message[protocol.Event](t, n.Payload))
	case protocol.KindHeartbeat:
		message[protocol.Heartbeat](t, n.Payload)
		d.beats++
	}
}

// message decodes what a gateway said.
func message[M protocol.Message](t testing.TB, data []byte) M {
	m, err := protocol.Decode[M](data)
	if err != nil {
		t.Errorf("the gateway says %s: %v", data, err)
	}
	return m
}

// state returns what is known of a gateway's presence.
func (d *operatorDesk) state(gateway string) protocol.State {
	d.mu.Lock()
	defer d.mu.Unlock()
	if p := d.presence[gateway]; p != nil {
		return p.Now
	}
	return protocol.State{}
}

// online waits until a gateway is there in a session behind another one, with the
// keyring.
func (d *operatorDesk) online(gateway string, after uint64) protocol.State {
	d.y.t.Helper()
	d.y.until(fmt.Sprintf("%s is online after session %d", gateway, after), func() bool {
		s := d.state(gateway)
		d.mu.Lock()
		defer d.mu.Unlock()
		r := d.reported[gateway]
		return s.Online && s.Session > after && r.Session == s.Session && r.Keyring == d.y.ring.Version
	})
	return d.state(gateway)
}

// order makes a command of somebody with the next number, quoting the present nonce.
func (d *operatorDesk) order(gateway, holder, op, args string) protocol.Command {
	nonce := d.state(gateway).Nonce
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seqs[holder]++
	var chance [10]byte
	_, _ = rand.Read(chance[:])
	c := protocol.Command{
		V: 1, ID: protocol.NewID(time.Now().UnixMilli(), chance), Op: op, Aud: trust.Audience{Fleet: "plant7", Gateway: gateway},
		Issuer: holderKey(holder).Public().ID(), Keyring: 1, Epoch: 1, Seq: d.seqs[holder], Nonce: nonce, TTL: 600_000,
	}
	if args != "" {
		c.Args = json.RawMessage(args)
	}
	return c
}

// seal signs a command.
func (d *operatorDesk) seal(c protocol.Command, holders ...string) []byte {
	d.y.t.Helper()
	var keys []trust.SecretKey
	for _, h := range holders {
		keys = append(keys, holderKey(h))
	}
	data, err := protocol.Seal(c, keys...)
	d.y.must(err)
	return data
}

func commandTopic(gateway string, id protocol.ID) string {
	return "edged/v1/plant7/" + gateway + "/cmd/" + string(id)
}

// answered returns the answer to a command that ok accepts.
func (d *operatorDesk) answered(id protocol.ID, ok func(protocol.Answer) bool) (protocol.Answer, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := slices.IndexFunc(d.answers[id], ok)
	if i < 0 {
		return protocol.Answer{}, false
	}
	return d.answers[id][i], true
}

// await waits for such an answer, sending the command again and again as operators do.
func (d *operatorDesk) await(gateway string, c protocol.Command, data []byte, ok func(protocol.Answer) bool) (a protocol.Answer) {
	d.y.t.Helper()
	found, last := false, time.Time{}
	if !await(testLimit, func() bool {
		if time.Since(last) > time.Second {
			last = time.Now()
			d.publish(commandTopic(gateway, c.ID), data, false)
		}
		a, found = d.answered(c.ID, ok)
		return found
	}) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.y.t.Fatalf("no such answer to %s %s within %v: %+v", c.Op, c.ID, testLimit, d.answers[c.ID])
	}
	return a
}

func final(a protocol.Answer) bool { return a.Final }

func denied(a protocol.Answer) bool { return a.Status == protocol.StatusDenied }

// do sends a command and returns its final answer.
func (d *operatorDesk) do(gateway, op, args string, holders ...string) protocol.Answer {
	d.y.t.Helper()
	c := d.order(gateway, holders[0], op, args)
	return d.await(gateway, c, d.seal(c, holders...), final)
}

// done is do for a command that must succeed.
func (d *operatorDesk) done(gateway, op, args string, holders ...string) protocol.Answer {
	d.y.t.Helper()
	a := d.do(gateway, op, args, holders...)
	if a.Status != protocol.StatusDone {
		d.y.t.Fatalf("%s %s: %s %s: %s", op, args, a.Status, a.Code, a.Message)
	}
	return a
}

// event waits for an event.
func (d *operatorDesk) event(what string, ok func(protocol.Event) bool) (found protocol.Event) {
	d.y.t.Helper()
	d.y.until("there is the event "+what, func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		if i := slices.IndexFunc(d.events, ok); i >= 0 {
			found = d.events[i]
			return true
		}
		return false
	})
	return found
}

// resultOf decodes the result of an answer.
func resultOf[T any](t testing.TB, a protocol.Answer) (v T) {
	t.Helper()
	if err := json.Unmarshal(a.Result, &v); err != nil {
		t.Fatalf("result %s: %v", a.Result, err)
	}
	return v
}
