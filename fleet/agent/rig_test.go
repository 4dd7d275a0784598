package agent_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"edged/fleet/agent"
	"edged/fleet/audit"
	"edged/fleet/command"
	"edged/fleet/protocol"
	"edged/fleet/trust"
)

// wire is a link that the test holds in its hands.
type wire struct {
	mu      sync.Mutex
	hooks   agent.Hooks
	up      bool
	mute    bool // does not confirm
	sent    []agent.Message
	waiting []func(error)
	wills   []agent.Message
	refuse  error // of Send
	events  chan func() error
	greeted chan struct{} // one per session
	quit    chan struct{} // closed when Run has returned
}

func newWire() *wire {
	return &wire{events: make(chan func() error), greeted: make(chan struct{}, 100), quit: make(chan struct{})}
}

// Run implements agent.Link: one session after the other, a second apart.
func (w *wire) Run(ctx context.Context, h agent.Hooks) error {
	w.hooks = h
	defer close(w.quit)
	for {
		will, err := h.Greet(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		w.mu.Lock()
		w.wills, w.up = append(w.wills, will), true
		w.mu.Unlock()
		h.Up()
		w.greeted <- struct{}{}
		if done, err := w.session(ctx); done || err != nil {
			return err
		}
		h.Down()
		<-time.After(time.Second)
	}
}

func (w *wire) session(ctx context.Context) (over bool, err error) {
	for {
		select {
		case event := <-w.events:
			switch err := event(); {
			case errors.Is(err, errCut):
				w.end(err)
				return false, nil
			case err != nil:
				w.end(err)
				return true, err
			}
		case <-ctx.Done():
			for _, m := range w.hooks.Farewell() {
				w.mu.Lock()
				w.sent = append(w.sent, m)
				w.mu.Unlock()
			}
			w.end(nil)
			return true, nil
		}
	}
}

var errCut = errors.New("cut")

func (w *wire) end(err error) {
	w.mu.Lock()
	lost := w.waiting
	w.up, w.waiting = false, nil
	w.mu.Unlock()
	for _, done := range lost {
		done(err)
	}
}

// Send implements agent.Link.
func (w *wire) Send(m agent.Message, done func(error)) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.up || w.refuse != nil {
		return errors.Join(errors.New("down"), w.refuse)
	}
	w.sent = append(w.sent, m)
	switch {
	case done == nil:
	case w.mute:
		w.waiting = append(w.waiting, done)
	default:
		go w.event(func() error { done(nil); return nil })
	}
	return nil
}

// Reconnect implements agent.Link.
func (w *wire) Reconnect(error) { go w.cut() }

func (w *wire) cut() { w.event(func() error { return errCut }) }

// will returns the last will.
func (w *wire) will(t *testing.T) protocol.State {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	s, err := protocol.Decode[protocol.State](w.wills[len(w.wills)-1].Payload)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// event makes something happen on the link's goroutine, if there still is one.
func (w *wire) event(what func() error) {
	select {
	case w.events <- what:
	case <-w.quit:
	}
}

// disk is a store in memory.
type disk struct {
	mu    sync.Mutex
	state agent.Stored
	lines [][]byte
	fail  error
	n     int
}

// Load implements agent.Store.
func (d *disk) Load() (agent.Stored, error) { return d.state, nil }

// Commit implements agent.Store.
func (d *disk) Commit(c agent.Change) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail != nil {
		return d.fail
	}
	if len(c.Audit) > 0 && c.AuditFirst != uint64(len(d.lines))+1 {
		return fmt.Errorf("line %d after %d", c.AuditFirst, len(d.lines))
	}
	if c.Guard != nil {
		d.state.Guard = c.Guard
	}
	if c.Desired != nil {
		d.state.Desired = c.Desired
	}
	if c.Instance != "" {
		d.state.Instance = c.Instance
	}
	d.state.Counters = c.Counters
	d.lines = append(d.lines, c.Audit...)
	d.n++
	return nil
}

// Audit implements agent.Store.
func (d *disk) Audit(after uint64, bytesMax int) (uint64, [][]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out [][]byte
	for size := 0; after+uint64(len(out)) < uint64(len(d.lines)); {
		line := d.lines[after+uint64(len(out))]
		if size += len(line); size > bytesMax && len(out) > 0 {
			break
		}
		out = append(out, line)
	}
	return after + 1, out, nil
}

// box is what is managed.
type box struct {
	mu     sync.Mutex
	alarms []agent.Alarm
}

// Describe, Heartbeat, Running and Alarms implement agent.Gateway.
func (b *box) Describe() protocol.Info {
	return protocol.Info{Version: "1", OS: "linux", Arch: "arm", CPUs: 1}
}
func (b *box) Heartbeat() protocol.Heartbeat { return protocol.Heartbeat{RSS: 7} }
func (b *box) Running() protocol.Running {
	return protocol.Running{Hash: "sha256:" + strings.Repeat("a", 64)}
}
func (b *box) Alarms() []agent.Alarm {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]agent.Alarm{}, b.alarms...)
}

// rig is a running agent.
type rig struct {
	t      *testing.T
	cfg    agent.Config
	agent  *agent.Agent
	wire   *wire
	disk   *disk
	store  agent.Store // disk, or something before it
	box    *box
	cancel context.CancelFunc
	ended  chan error
	ring   []byte // the envelope of the keyring
	seqs   map[string]uint64
}

func key(holder string) trust.SecretKey {
	var seed [trust.SeedBytes]byte
	copy(seed[:], "of "+holder)
	return trust.NewSecretKey(seed)
}

// newRig makes an agent with a keyring, and runs it.
func newRig(t *testing.T, ops map[string]agent.Op) *rig {
	t.Helper()
	return newSigningRig(t, ops, nil)
}

// newSigningRig is newRig for a gateway that may sign, and has its key in the keyring then.
func newSigningRig(t *testing.T, ops map[string]agent.Op, signing *trust.SecretKey) *rig {
	t.Helper()
	var gateways []trust.GatewayKey
	root := trust.Root{Threshold: 1, Keys: []trust.PublicKey{key("root").Public()}}
	pinned, err := trust.Pin("plant7", root)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, disk: &disk{}, box: &box{}, seqs: map[string]uint64{}}
	r.store = r.disk
	r.cfg = agent.Config{Guard: command.Config{Gateway: trust.Gateway{Fleet: "plant7", ID: "gw-1"}, Pinned: pinned}, Ops: ops}
	if signing != nil {
		r.cfg.Signer = signing.Signer()
		gateways = append(gateways, trust.GatewayKey{Gateway: "gw-1", Public: signing.Public()})
	}
	r.boot()
	entry := func(holder string, role trust.Role) trust.Key {
		return trust.Key{Public: key(holder).Public(), Holder: holder, Roles: []trust.Role{role}}
	}
	envelope, err := trust.SealKeyring(trust.Keyring{V: 1, Fleet: "plant7", Version: 1, Epoch: 1, Root: root, Gateways: gateways, Keys: []trust.Key{
		entry("olga", trust.Operator), entry("anna", trust.Admin), entry("alan", trust.Admin), entry("dave", trust.Deployer),
	}}, key("root"))
	if err != nil {
		t.Fatal(err)
	}
	r.ring = envelope
	chain, err := trust.EncodeChain(envelope)
	if err != nil {
		t.Fatal(err)
	}
	r.deliver("edged/v1/plant7/_trust", chain, true)
	return r
}

// boot starts a process over the disk.
func (r *rig) boot() {
	r.t.Helper()
	if err := r.launch(); err != nil {
		r.t.Fatal(err)
	}
}

// launch is boot for a process that may end before it is online.
func (r *rig) launch() error {
	r.wire = newWire()
	a, err := agent.New(r.cfg, r.wire, r.store, r.box)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(r.t.Context())
	r.agent, r.cancel, r.ended = a, cancel, make(chan error, 1)
	go func() { r.ended <- a.Run(ctx) }()
	select {
	case <-r.wire.greeted:
		synctest.Wait()
		return nil
	case <-r.wire.quit:
		return r.stop()
	}
}

// stop ends the process and returns what Run said.
func (r *rig) stop() error {
	r.cancel()
	err := <-r.ended
	r.ended <- err
	return err
}

// deliver brings a message, and returns what became of it.
func (r *rig) deliver(topic string, data []byte, retained bool) (err error) {
	r.t.Helper()
	result := make(chan error, 1)
	r.wire.events <- func() error {
		err := r.wire.hooks.Receive(agent.Message{Topic: topic, Payload: data, QoS: 1, Retained: retained})
		result <- err
		return err
	}
	err = <-result
	synctest.Wait()
	return err
}

// try brings a message to a process that may end meanwhile, and reports whether it was
// acknowledged.
func (r *rig) try(topic string, data []byte, retained bool) (acked bool) {
	result := make(chan error, 1)
	r.wire.event(func() error {
		err := r.wire.hooks.Receive(agent.Message{Topic: topic, Payload: data, QoS: 1, Retained: retained})
		result <- err
		return err
	})
	synctest.Wait()
	select {
	case err := <-result:
		return err == nil
	default:
		return false
	}
}

// order sends a command of somebody.
func (r *rig) order(holder, op, args string, change func(*protocol.Command)) protocol.ID {
	r.t.Helper()
	id, data := r.prepare(holder, op, args, change)
	if err := r.deliver(commandTopic(id), data, false); err != nil {
		r.t.Log("deliver:", err)
	}
	return id
}

func commandTopic(id protocol.ID) string { return "edged/v1/plant7/gw-1/cmd/" + string(id) }

// prepare signs a command of somebody.
func (r *rig) prepare(holder, op, args string, change func(*protocol.Command), others ...string) (protocol.ID, []byte) {
	r.t.Helper()
	r.seqs[holder]++
	c := protocol.Command{
		V: 1, ID: protocol.NewID(int64(r.seqs[holder]), [10]byte([]byte(holder + "..........")[:10])), Op: op, Args: json.RawMessage(args),
		Aud: trust.Audience{Fleet: "plant7", Gateway: "gw-1"}, Issuer: key(holder).Public().ID(), Keyring: 1, Epoch: 1,
		Seq: r.seqs[holder], TTL: 3_600_000, Nonce: r.state().Nonce,
	}
	if change != nil {
		change(&c)
	}
	keys := []trust.SecretKey{key(holder)}
	for _, other := range others {
		keys = append(keys, key(other))
	}
	data, err := protocol.Seal(c, keys...)
	if err != nil {
		r.t.Fatal(err)
	}
	return c.ID, data
}

// all returns what was sent on a level of topics.
func all[M protocol.Message](r *rig, level string) (out []M) {
	r.t.Helper()
	r.wire.mu.Lock()
	defer r.wire.mu.Unlock()
	for _, m := range r.wire.sent {
		rest := strings.TrimPrefix(m.Topic, "edged/v1/plant7/gw-1/")
		if head, _, _ := strings.Cut(rest, "/"); head == level {
			v, err := protocol.Decode[M](m.Payload)
			if err != nil {
				r.t.Fatalf("%s: %v", m.Topic, err)
			}
			out = append(out, v)
		}
	}
	return out
}

// state returns what the gateway last said of itself.
func (r *rig) state() protocol.State {
	s := all[protocol.State](r, "state")
	return s[len(s)-1]
}

// last returns the last answer to a command.
func (r *rig) last(id protocol.ID) (a protocol.Answer) {
	for _, answer := range all[protocol.Answer](r, "rsp") {
		if answer.ID == id && !a.Behind(answer) {
			a = answer
		}
	}
	return a
}

func (r *rig) expect(id protocol.ID, status protocol.Status, code protocol.Code) protocol.Answer {
	r.t.Helper()
	synctest.Wait()
	a := r.last(id)
	if a.Status != status || a.Code != code {
		r.t.Errorf("answer %s %s: %s; want %s %s", a.Status, a.Code, a.Message, status, code)
	}
	return a
}

// events returns the events of a class.
func (r *rig) events(class string) []protocol.Event {
	return slices.DeleteFunc(all[protocol.Event](r, "evt"), func(e protocol.Event) bool { return e.Class != class })
}

// sound checks the audit log, and that each command was started and ended at most once.
func (r *rig) sound() {
	r.t.Helper()
	head, err := audit.Verify(audit.Head{}, bytes.Join(r.disk.lines, nil))
	if err != nil {
		r.t.Error(err)
	}
	reported := all[protocol.Reported](r, "reported")
	if got := reported[len(reported)-1].Audit; got != head.String() {
		r.t.Errorf("reported head %s, want %s", got, head)
	}
}
