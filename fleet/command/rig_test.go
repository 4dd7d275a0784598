package command_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"edged/fleet/audit"
	"edged/fleet/command"
	"edged/fleet/protocol"
	"edged/fleet/trust"
)

var (
	seed       = flag.Uint64("seed", uint64(time.Now().UnixNano()), "seed of the random tests")
	deliveries = flag.Int("deliveries", 2000, "how many messages TestHostileChannel delivers")
)

// newKey returns the key of somebody.
func newKey(holder string) trust.SecretKey {
	var seed [trust.SeedBytes]byte
	copy(seed[:], "of "+holder)
	return trust.NewSecretKey(seed)
}

// here is the gateway of all tests.
var here = trust.Gateway{Fleet: "plant7", ID: "gw-1", Instance: "i1", Labels: map[string]string{"site": "berlin"}}

const (
	buildTime = int64(1_700_000_000_000)
	hashA     = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
)

var roots = []trust.SecretKey{newKey("root1"), newKey("root2"), newKey("root3")}

// rootOf returns a root that needs two of three.
func rootOf(keys []trust.SecretKey) trust.Root {
	r := trust.Root{Threshold: 2}
	for _, k := range keys {
		r.Keys = append(r.Keys, k.Public())
	}
	return r
}

// staff are those that the first keyring has.
func staff() trust.Keyring {
	entry := func(holder string, roles ...trust.Role) trust.Key {
		return trust.Key{Public: newKey(holder).Public(), Holder: holder, Roles: roles}
	}
	k := trust.Keyring{Fleet: "plant7", Version: 1, Epoch: 1, Root: rootOf(roots), Keys: []trust.Key{
		entry("vera", trust.Viewer), entry("olga", trust.Operator), entry("dave", trust.Deployer),
		entry("anna", trust.Admin), entry("alan", trust.Admin), entry("tick", trust.Clock),
		entry("rob", trust.Admin), entry("pia", trust.Admin),
	}}
	k.Keys[6].Revoked = true
	k.Keys[7].Scope = "site=paris"
	return k
}

// rig is a gateway with a disk: a guard, what of it is committed, and what it said.
type rig struct {
	t       testing.TB
	cfg     command.Config
	guard   *command.Guard
	at      command.Moment
	disk    []byte // the committed state
	log     []byte // the committed audit log
	answers []protocol.Answer
	nonces  uint64
	commits int
}

// newRig returns a gateway with the first keyring, in its first session.
func newRig(t testing.TB, change func(*command.Config)) *rig {
	t.Helper()
	pinned, err := trust.Pin("plant7", rootOf(roots))
	if err != nil {
		t.Fatal(err)
	}
	can := map[string]func(json.RawMessage) error{}
	for _, op := range []string{"ping", "pipeline.pause", "pipeline.resume", "config.confirm", "engine.restart", "state.reset"} {
		can[op] = nil
	}
	can["log.level"] = func(args json.RawMessage) error {
		if len(args) == 0 {
			return fmt.Errorf("level is missing")
		}
		return nil
	}
	r := &rig{t: t, cfg: command.Config{Gateway: here, Pinned: pinned, Ops: can, BuildTime: buildTime}}
	if change != nil {
		change(&r.cfg)
	}
	r.boot()
	r.connect()
	e := r.guard.AcceptTrust(r.trust(sealed(t, staff(), roots...)), r.at)
	if r.commit(e); e.Code != protocol.OK || !e.Keyring {
		t.Fatalf("the first keyring: %v", e.Err)
	}
	return r
}

// boot starts the process from what is on the disk.
func (r *rig) boot() command.Effects {
	r.t.Helper()
	r.at = command.Moment{Boot: r.at.Boot + 1, Session: r.at.Session, Running: r.at.Running}
	guard, e, err := command.Restore(r.cfg, r.disk, r.at)
	if err != nil {
		r.t.Fatal(err)
	}
	r.guard = guard
	r.commit(e)
	return e
}

// connect begins a session.
func (r *rig) connect() {
	r.at.Session++
	r.at.Nonces = r.at.Nonces.Connect(r.nonce(), r.at.Now)
}

func (r *rig) nonce() string {
	r.nonces++
	return fmt.Sprintf("%032x", r.nonces)
}

// commit does what effects ask for.
func (r *rig) commit(e command.Effects) command.Effects {
	r.t.Helper()
	if len(e.Audit) > 0 && !e.Changed || len(e.Answers) > 0 && e.Answers[len(e.Answers)-1].Check() != nil {
		r.t.Fatalf("effects contradict themselves: %+v", e)
	}
	if e.Changed {
		r.disk = r.guard.AppendBinary(nil)
		r.log = append(r.log, bytes.Join(e.Audit, nil)...)
		r.commits++
	}
	r.answers = append(r.answers, e.Answers...)
	return e
}

// sound checks the audit log against the guard.
func (r *rig) sound() {
	r.t.Helper()
	if head, err := audit.Verify(audit.Head{}, r.log); err != nil || head != r.guard.Head() {
		r.t.Errorf("audit log: %v, %v, the guard has %v", head, err, r.guard.Head())
	}
}

// order returns a command of somebody, as the protocol wants it. The id follows
// from who and seq.
func order(holder string, seq uint64, op string) protocol.Command {
	var chance [10]byte
	copy(chance[:], holder)
	return protocol.Command{
		V: 1, ID: protocol.NewID(int64(seq), chance), Op: op, Aud: trust.Audience{Fleet: "plant7", Gateway: "gw-1"},
		Issuer: newKey(holder).Public().ID(), Keyring: 1, Epoch: 1, Seq: seq, TTL: 60_000,
	}
}

// quote makes a command quote the present nonce.
func (r *rig) quote(c protocol.Command) protocol.Command {
	c.Nonce = r.at.Nonces.Present.Value
	return c
}

// seal signs a command.
func seal(t testing.TB, c protocol.Command, holders ...string) command.Delivery {
	t.Helper()
	var keys []trust.SecretKey
	for _, h := range holders {
		keys = append(keys, newKey(h))
	}
	data, err := protocol.Seal(c, keys...)
	if err != nil {
		t.Fatal(err)
	}
	d := sealRaw(c.ID, trust.TypeCommand, nil)
	d.Data = data
	return d
}

// sealRaw signs any bytes as a command.
func sealRaw(id protocol.ID, payloadType string, payload []byte, holders ...string) command.Delivery {
	var keys []trust.SecretKey
	for _, h := range holders {
		keys = append(keys, newKey(h))
	}
	e := trust.Seal(payloadType, payload, keys...)
	return command.Delivery{
		Topic: protocol.Topic{Kind: protocol.KindCommand, Fleet: "plant7", Gateway: "gw-1", ID: id}, Data: e.Encode(),
	}
}

func sealed(t testing.TB, k trust.Keyring, keys ...trust.SecretKey) []byte {
	t.Helper()
	data, err := trust.SealKeyring(k, keys...)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// trust returns the delivery of a chain.
func (r *rig) trust(envelopes ...[]byte) command.Delivery {
	r.t.Helper()
	data, err := trust.EncodeChain(envelopes...)
	if err != nil {
		r.t.Fatal(err)
	}
	return command.Delivery{Topic: protocol.Topic{Kind: protocol.KindTrust, Fleet: "plant7"}, Retained: true, Data: data}
}

// accept delivers a command and commits.
func (r *rig) accept(d command.Delivery) command.Effects {
	r.t.Helper()
	return r.commit(r.guard.Accept(d, r.at))
}

// introduce makes the guard know keys, with number 1 of each.
func (r *rig) introduce(holders ...string) {
	r.t.Helper()
	for _, h := range holders {
		c := r.quote(order(h, 1, "ping"))
		e := r.accept(seal(r.t, c, h))
		if e.Command == nil {
			r.t.Fatalf("introduce %s: %s, %v", h, e.Code, e.Err)
		}
		r.run(c.ID)
	}
}

// run starts and finishes a command.
func (r *rig) run(id protocol.ID) {
	r.t.Helper()
	e, err := r.guard.Start(id, r.at)
	if err != nil || e.Code != protocol.OK || e.Command == nil {
		r.t.Fatalf("start %s: %v, %v", id, e.Err, err)
	}
	r.commit(e)
	e, err = r.guard.Finish(id, command.Outcome{Code: protocol.OK}, r.at)
	if err != nil {
		r.t.Fatal(err)
	}
	r.commit(e)
}

// chance returns the source of chance of one test and says its seed.
func chance(t testing.TB, stream uint64) *rand.Rand {
	t.Logf("seed %d", *seed)
	return rand.New(rand.NewPCG(*seed, stream))
}
