package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"edged/fleet/audit"
	"edged/fleet/command"
	"edged/fleet/protocol"
	"edged/fleet/trust"
	"edged/mqtt"
)

// model is a gateway as the protocol wants it, without an engine: the real guard over
// a disk in memory, behind a real connection. A document whose configuration has
// "bad":true is rolled back.
type model struct {
	t      testing.TB
	url    string
	prefix string
	cfg    command.Config
	begun  time.Time

	mu       sync.Mutex
	guard    *command.Guard
	disk     []byte // the committed state
	log      []byte // the committed audit log
	at       command.Moment
	nonces   int
	seen     uint64
	status   string
	running  protocol.Running
	config   string // the text of what runs
	failed   []uint64
	fault    *protocol.Fault
	docs     map[uint64]map[string]bool // the documents that came, by version
	order    []uint64                   // versions in the order of their coming
	done     []string                   // commands that were run
	deaf     int                        // answers that get lost
	taking   time.Duration              // how long applying takes
	onTake   func(version uint64)
	onOrder  func(c *protocol.Command)
	control  *mqtt.Control
	ending   *part
	forge    func(*auditPage)
	readOnly bool // takes no documents: stands for a gateway that hangs
}

// newModel makes a gateway and connects it.
func newModel(t testing.TB, url, fleet, name string, labels map[string]string, root trust.Root) *model {
	t.Helper()
	pinned, err := trust.Pin(fleet, root)
	if err != nil {
		t.Fatal(err)
	}
	ops := map[string]func(json.RawMessage) error{}
	for _, op := range []string{"ping", "pipeline.pause", "engine.restart", "state.reset", "audit.export", "config.get"} {
		ops[op] = nil
	}
	m := &model{
		t: t, url: url, prefix: protocol.DefaultPrefix, begun: time.Now(), docs: map[uint64]map[string]bool{}, taking: 20 * time.Millisecond,
		cfg:     command.Config{Gateway: trust.Gateway{Fleet: fleet, ID: name, Instance: "i-" + name, Labels: labels}, Pinned: pinned, Ops: ops},
		running: protocol.Running{Hash: configHash([]byte("{}"))}, config: "{}",
	}
	m.at.Running = m.running
	m.boot()
	m.connect()
	t.Cleanup(m.disconnect)
	return m
}

// boot starts the process from what is on the disk.
func (m *model) boot() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.at.Boot++
	guard, e, err := command.Restore(m.cfg, m.disk, m.at)
	if err != nil {
		m.t.Error(err)
		return
	}
	m.guard = guard
	m.commit(e)
}

// connect goes online. The broker keeps no session for it: what is sent while it is
// away is retained, or sent again by who sent it; and what was withdrawn is gone.
func (m *model) connect() {
	name, fleet := m.cfg.Gateway.ID, m.cfg.Gateway.Fleet
	cfg := mqtt.ControlConfig{Config: mqtt.Config{URL: m.url, ClientID: "edged-" + fleet + "-" + name, ReconnectMin: 10 * time.Millisecond, ReconnectMax: 100 * time.Millisecond}}
	for _, filter := range protocol.GatewayFilters(m.prefix, fleet, name) {
		cfg.Subscriptions = append(cfg.Subscriptions, mqtt.Subscription{Filter: filter, QoS: 1})
	}
	control, err := mqtt.NewControl(cfg)
	if err != nil {
		m.t.Fatal(err)
	}
	m.control = control
	m.ending = start(context.Background(), func(ctx context.Context) error {
		return control.Run(ctx, mqtt.ControlHooks{Greet: m.greet, Up: m.up, Receive: m.receive, Farewell: m.farewell})
	})
}

// disconnect goes offline with a goodbye. It may be called again.
func (m *model) disconnect() {
	if err := m.ending.end(); err != nil {
		m.t.Errorf("model %s: %v", m.cfg.Gateway.ID, err)
	}
}

func (m *model) greet(context.Context) (*mqtt.Note, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.at.Session++
	m.nonces++
	m.at.Now = command.Monotonic(time.Since(m.begun).Milliseconds())
	m.at.Nonces = m.at.Nonces.Connect(fmt.Sprintf("%032x", m.nonces), m.at.Now)
	return m.note(protocol.Topic{Kind: protocol.KindState}, m.state().Will()), nil
}

func (m *model) state() protocol.State {
	return protocol.State{
		V: 1, Online: true, Instance: m.cfg.Gateway.Instance, Session: m.at.Session, Revision: 1, Boot: m.at.Boot,
		Nonce: m.at.Nonces.Present.Value, Mono: int64(m.at.Nonces.Present.Made),
	}
}

// note returns a message of this gateway.
func (m *model) note(t protocol.Topic, msg protocol.Message) *mqtt.Note {
	t.Fleet, t.Gateway = m.cfg.Gateway.Fleet, m.cfg.Gateway.ID
	topic, err := t.Format(m.prefix)
	if err != nil {
		m.t.Error(err)
	}
	data, err := protocol.Encode(msg)
	if err != nil {
		m.t.Error(err)
	}
	return &mqtt.Note{Topic: topic, Payload: data, QoS: t.Kind.QoS(), Retain: t.Kind.Retained()}
}

// tell publishes a message; what cannot be sent is said at the next CONNECT.
func (m *model) tell(t protocol.Topic, msg protocol.Message) {
	_ = m.control.Send(*m.note(t, msg), nil)
}

func (m *model) up() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tell(protocol.Topic{Kind: protocol.KindState}, m.state())
	m.tell(protocol.Topic{Kind: protocol.KindInfo}, m.info())
	m.report()
	m.tell(protocol.Topic{Kind: protocol.KindHeartbeat}, protocol.Heartbeat{
		V: 1, Session: m.at.Session, Boot: m.at.Boot, Mono: time.Since(m.begun).Milliseconds(), Events: 120, DiskFree: 7 << 30, Outbox: 2048,
	})
}

func (m *model) info() protocol.Info {
	ops := map[string]int{}
	for op := range m.cfg.Ops {
		ops[op] = 1
	}
	return protocol.Info{
		V: 1, Fleet: m.cfg.Gateway.Fleet, Gateway: m.cfg.Gateway.ID, Instance: m.cfg.Gateway.Instance, Session: m.at.Session, Version: "v0.6.0",
		OS: "linux", Arch: "arm64", CPUs: 4, Memory: 1 << 30, Labels: m.cfg.Gateway.Labels, Ops: ops,
		Limits:  protocol.Bounds{CommandBytes: protocol.CommandBytesMax, DesiredBytes: protocol.DesiredBytesMax, Queue: 16},
		Sources: []protocol.Endpoint{{ID: "plant", Kind: "mqtt"}}, Outputs: []protocol.Endpoint{{ID: "cloud", Kind: "mqtt"}},
		Keyring: m.guard.Ring().Version(), Config: m.running,
	}
}

// report publishes what became of the configuration.
func (m *model) report() {
	ring := m.guard.Ring()
	_, refresh := m.guard.Desired()
	r := protocol.Reported{
		V: 1, Instance: m.cfg.Gateway.Instance, Session: m.at.Session, Epoch: ring.Epoch(), Keyring: ring.Version(), Seen: m.seen, Refresh: refresh,
		Applied: m.running.Version, Effective: m.running.Hash, Status: m.status, Failed: m.failed, Error: m.fault,
		Watermark: m.guard.Watermarks(), Audit: m.guard.Head().String(),
	}
	if m.status == protocol.StatusApplying {
		r.Phase = protocol.PhaseHealthGate
	}
	m.tell(protocol.Topic{Kind: protocol.KindReported}, r)
}

func (m *model) farewell() []mqtt.Note {
	m.mu.Lock()
	defer m.mu.Unlock()
	bye := m.state().Will()
	bye.Cause = protocol.CauseShutdown
	return []mqtt.Note{*m.note(protocol.Topic{Kind: protocol.KindState}, bye)}
}

// commit does what effects ask for.
func (m *model) commit(e command.Effects) {
	if e.Changed || e.Keyring {
		m.disk = m.guard.AppendBinary(nil)
		m.log = append(m.log, bytes.Join(e.Audit, nil)...)
	}
	for _, a := range e.Answers {
		if m.deaf > 0 {
			m.deaf--
			continue
		}
		m.tell(protocol.Topic{Kind: protocol.KindAnswer, ID: a.ID}, a)
	}
}

func (m *model) receive(_ context.Context, n mqtt.Note) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.at.Now = command.Monotonic(time.Since(m.begun).Milliseconds())
	topic, err := protocol.ParseTopic(m.prefix, n.Topic)
	if err != nil || len(n.Payload) == 0 {
		return nil
	}
	d := command.Delivery{Topic: topic, Retained: n.Retain, Data: n.Payload}
	switch topic.Kind {
	case protocol.KindCommand, protocol.KindGroupCommand:
		e := m.guard.Accept(d, m.at)
		if m.commit(e); e.Command != nil {
			m.act(e.Command)
		}
	case protocol.KindDesired:
		if m.readOnly {
			return nil
		}
		e := m.guard.AcceptDesired(d, m.at)
		if m.commit(e); e.Desired != nil {
			m.take(e.Desired, n.Payload)
		} else if e.Changed { // a refresh
			m.report()
		}
	case protocol.KindTime:
		m.commit(m.guard.AcceptTime(d, m.at))
	case protocol.KindTrust:
		e := m.guard.AcceptTrust(d, m.at)
		if m.commit(e); e.Keyring {
			if e.Keyring && m.guard.Ring().Epoch() > 1 {
				m.seen = 0
				m.status = ""
			}
			m.report()
		}
	}
	return nil
}

// act runs a command at once.
func (m *model) act(c *protocol.Command) {
	e, err := m.guard.Start(c.ID, m.at)
	if err != nil {
		m.t.Errorf("start %s: %v", c.ID, err)
		return
	}
	if m.commit(e); e.Code != protocol.OK {
		return
	}
	m.done = append(m.done, c.Op)
	if m.onOrder != nil {
		m.onOrder(c)
	}
	o := command.Outcome{Code: protocol.OK}
	if c.Op == "audit.export" {
		o.Result = m.export(c.Args)
	}
	if c.Op == "config.get" {
		o.Result, _ = json.Marshal(configResult{Version: m.running.Version, Hash: m.running.Hash, YAML: m.config})
	}
	if e, err = m.guard.Finish(c.ID, o, m.at); err != nil {
		m.t.Errorf("finish %s: %v", c.ID, err)
		return
	}
	m.commit(e)
	m.report()
}

// exportLines is how many lines the model gives at a time, to have several parts.
const exportLines = 3

func (m *model) export(args json.RawMessage) json.RawMessage {
	var want struct{ After uint64 }
	if json.Unmarshal(args, &want) != nil {
		return nil
	}
	at, page, lines := audit.Head{}, auditPage{}, 0
	for line := range strings.Lines(string(m.log)) {
		if at.N == want.After {
			page.Before = at.String()
		}
		next, _, err := at.Next([]byte(line))
		if err != nil {
			m.t.Error(err)
			return nil
		}
		if at.N >= want.After {
			if lines == exportLines {
				page.More = true
				break
			}
			page.Lines += line
			lines++
		}
		at = next
		page.Head = at.String()
	}
	if page.Before == "" {
		page.Before = at.String()
	}
	if m.forge != nil {
		m.forge(&page)
	}
	data, err := json.Marshal(page)
	if err != nil {
		m.t.Error(err)
	}
	return data
}

// take puts a desired document into effect, or not.
func (m *model) take(doc *protocol.Desired, data []byte) {
	if m.docs[doc.Version] == nil {
		m.docs[doc.Version] = map[string]bool{}
	}
	m.docs[doc.Version][string(data)] = true
	m.order = append(m.order, doc.Version)
	m.seen, m.status, m.fault = doc.Version, protocol.StatusApplying, nil
	m.report()
	if m.onTake != nil {
		m.onTake(doc.Version)
	}
	time.AfterFunc(m.taking, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.seen != doc.Version {
			return
		}
		if strings.Contains(string(doc.Config), `"bad":true`) {
			m.status, m.failed = protocol.StatusRolledBack, append(m.failed, doc.Version)
			m.fault = &protocol.Fault{Code: protocol.CodeHealth, Path: "pipelines[0]", Message: "it says nothing"}
		} else {
			m.status, m.running = protocol.StatusApplied, protocol.Running{Version: doc.Version, Hash: configHash(doc.Config)}
			m.config = string(sentText(doc.Config))
			m.at.Running = m.running
		}
		m.report()
	})
}

// ran returns how often a command was run.
func (m *model) ran(op string) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, o := range m.done {
		if o == op {
			n++
		}
	}
	return n
}

// versions returns the versions of the documents that came, in their order, and
// reports an error if one came with two contents.
func (m *model) versions() []uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	for version, docs := range m.docs {
		if len(docs) > 1 {
			m.t.Errorf("%s got %d different documents of version %d", m.cfg.Gateway.ID, len(docs), version)
		}
	}
	return append([]uint64(nil), m.order...)
}

func (m *model) keyring() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.guard.Ring().Version()
}

// sound checks the model's own audit log.
func (m *model) sound() {
	m.t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if head, err := audit.Verify(audit.Head{}, m.log); err != nil || head != m.guard.Head() {
		m.t.Errorf("audit log of %s: %v, %v", m.cfg.Gateway.ID, head, err)
	}
}

// connected reports whether the gateway is online.
func (m *model) connected() bool { return m.control.Stats().Connected }

func cloneLabels(labels map[string]string, more ...string) map[string]string {
	c := maps.Clone(labels)
	for i := 0; i+1 < len(more); i += 2 {
		c[more[i]] = more[i+1]
	}
	return c
}
