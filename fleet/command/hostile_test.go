package command_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"edged/fleet/audit"
	"edged/fleet/command"
	"edged/fleet/protocol"
	"edged/fleet/trust"
)

// world is a gateway, its operators, somebody who owns the broker, and an oracle.
type world struct {
	*rig
	random  *rand.Rand
	oracle  *oracle
	seqs    map[string]uint64 // the last number of each holder
	history []*attempt        // everything that was ever made: to be replayed
	held    []*attempt        // made, and kept back
	ran     map[string]int    // how often a payload ran
	stats   map[string]int
	others  others
	reuse   bool // ids may be used for another command

	// power says whether power fails at a step, before or after its commit.
	power func(step string, after bool) bool
}

// people of the hostile channel: those of the keyring, and a stranger.
var people = []string{"vera", "olga", "dave", "anna", "alan", "rob", "pia", "tick", "mallory"}

func newWorld(t *testing.T, random *rand.Rand, recordsMax int) *world {
	w := &world{
		rig: newRig(t, func(c *command.Config) {
			c.QueueMax, c.JumpMax, c.RecordsMax = queueMax, jumpMax, recordsMax
			c.PerSecond, c.Burst = 1<<20, 1<<20 // quotas have a test of their own
		}),
		random: random, oracle: newOracle(staff()), seqs: map[string]uint64{}, ran: map[string]int{}, stats: map[string]int{},
	}
	w.power = func(string, bool) bool { return w.chance(2) }
	w.others = others{roots: roots, envelopes: [][]byte{w.guard.Ring().Envelope()}}
	w.seen()
	return w
}

// seen tells the oracle the nonces of the gateway.
func (w *world) seen() {
	w.oracle.present = nil
	for _, n := range []command.Nonce{w.at.Nonces.Present, w.at.Nonces.Previous} {
		if n.Value != "" {
			w.oracle.present = append(w.oracle.present, n.Value)
			w.oracle.made[n.Value] = n.Made
		}
	}
}

func (w *world) chance(percent int) bool { return w.random.IntN(100) < percent }

func (w *world) pick(from ...string) string { return from[w.random.IntN(len(from))] }

// craft makes a command that is mostly good, and then bends it.
func (w *world) craft() *attempt {
	a := &attempt{issuer: w.pick(people...)}
	if w.chance(70) {
		a.issuer = w.pick("olga", "dave", "anna", "alan")
	}
	a.signers = []string{a.issuer}
	w.seqs[a.issuer] += 1 + w.random.Uint64N(3)
	var chance [10]byte
	for i := range chance {
		chance[i] = byte(w.random.Uint32())
	}
	a.c = protocol.Command{
		V: 1, ID: protocol.NewID(w.random.Int64N(1<<40), chance), Aud: trust.Audience{Fleet: "plant7", Gateway: "gw-1"},
		Op: w.pick("ping", "pipeline.pause", "pipeline.resume", "config.confirm", "engine.restart", "state.reset"), Issuer: newKey(a.issuer).Public().ID(),
		Keyring: 1 + w.random.Uint64N(w.oracle.ring.Version), Epoch: w.oracle.ring.Epoch, Seq: w.seqs[a.issuer], TTL: 1000 + w.random.Int64N(2_000_000),
	}
	if w.chance(50) {
		a.c.Aud = trust.Audience{Fleet: "plant7", Selector: w.pick("*", "site=berlin", "site,!tier")}
	}
	if w.chance(65) {
		a.c.Nonce = w.at.Nonces.Present.Value
	}
	if w.chance(25) {
		a.c.Expires = max(1, w.oracle.floor()+w.random.Int64N(2000)-500)
	}
	if w.chance(20) {
		a.c.If = &protocol.Precondition{Hash: w.pick(hashA, strings.ReplaceAll(hashA, "aaa", "bbb"))}
	}
	if harm[a.c.Op] == 4 && w.chance(80) || w.chance(5) {
		if other := w.pick(people...); other != a.issuer {
			a.signers = append(a.signers, other)
		}
		if other := w.pick("anna", "alan"); !slices.Contains(a.signers, other) {
			a.signers = append(a.signers, other)
		}
	}
	if w.chance(35) {
		w.bendCommand(a)
	}
	w.sign(a)
	return a
}

// bendCommand changes what is signed: what an operator may get wrong, or a thief of
// a key may try.
func (w *world) bendCommand(a *attempt) {
	switch w.random.IntN(13) {
	case 0:
		a.c.Aud, a.forOthers = trust.Audience{Fleet: "plant7", Gateway: "gw-2"}, true
	case 1:
		a.c.Aud, a.forOthers = trust.Audience{Fleet: "plant7", Selector: w.pick("site=paris", "tier", "!site", "site!=berlin")}, true
	case 2:
		a.c.Aud, a.forOthers = trust.Audience{Fleet: "plant8", Selector: "*"}, true
	case 3:
		a.c.Seq = w.pickSeq(trust.NumberMax, trust.NumberMax-1, a.c.Seq+jumpMax+1, a.c.Seq+jumpMax*3)
	case 4:
		a.c.Seq += w.random.Uint64N(5000)
		w.seqs[a.issuer] = a.c.Seq
	case 5:
		a.c.Seq = 1 + w.random.Uint64N(a.c.Seq)
	case 6:
		a.c.Epoch = 1 + w.random.Uint64N(a.c.Epoch+2)
	case 7:
		a.c.Keyring = w.oracle.ring.Version + 1
	case 8, 9:
		a.c.Nonce = fmt.Sprintf("%032x", 1+w.random.Uint64N(w.nonces+1))
	case 10:
		a.c.Expires = 1 + w.random.Int64N(2*buildTime)
	case 11:
		a.c.Op = w.pick("shell.exec", "outbox.flush", "ping_pong")
	case 12:
		if w.reuse && len(w.history) > 0 {
			a.c.ID = w.history[w.random.IntN(len(w.history))].c.ID
		}
	}
}

func (w *world) pickSeq(from ...uint64) uint64 { return from[w.random.IntN(len(from))] }

// sign makes the bytes; now and then such that nobody may read them.
func (w *world) sign(a *attempt) {
	if w.chance(3) {
		a.c.Args = json.RawMessage(`{"x":"` + strings.Repeat("x", 49_500) + `"}`) // too large as base64
		a.broken = true
	}
	payload, err := protocol.Encode(a.c)
	if err != nil {
		w.t.Fatal(err)
	}
	text := string(payload)
	if w.chance(8) {
		a.broken = true
		text = []string{
			strings.Replace(text, `"op":`, `"op":"state.reset","op":`, 1),
			strings.Replace(text, `"op":`, `"OP":"state.reset","op":`, 1),
			strings.Replace(text, `"seq":`, `"seq":1,"seq":`, 1),
			strings.Replace(text, `"v":1`, `"v":2`, 1),
			strings.Replace(text, `"v":1`, `"v":1,"x":1`, 1),
			strings.Replace(text, `"v":1`, `"v":1,"args":`+strings.Repeat(`{"a":`, 40)+"1"+strings.Repeat("}", 40), 1),
			strings.Replace(text, `"v":1`, `"v":1,"args":{"a":1,"a":2}`, 1),
			strings.Replace(text, `"ttl_ms":`, `"ttl_ms":0`, 1),
			text + text, text[:len(text)-1], " ", "null", "[]",
		}[w.random.IntN(13)]
	}
	a.payload = text
	typ := trust.TypeCommand
	if w.chance(2) {
		typ, a.broken = w.pick(trust.TypeDesired, trust.TypeTime, trust.TypeKeyring, "text/plain"), true
	}
	a.d = sealRaw(a.c.ID, typ, []byte(text), a.signers...)
}

// bendDelivery returns what somebody who owns the broker makes of a delivery.
func (w *world) bendDelivery(from *attempt) *attempt {
	a := *from
	a.d.Data = bytes.Clone(a.d.Data)
	e, err := trust.Open(a.d.Data, 1<<20)
	if err != nil {
		return from
	}
	switch w.random.IntN(9) {
	case 0:
		a.d.Retained, a.retained = true, true
	case 1:
		a.d.Topic.ID, a.misrouted = protocol.NewID(w.random.Int64N(1<<40), [10]byte{1}), true
	case 2:
		a.d.Topic.Gateway, a.misrouted = "gw-2", true
	case 3: // leave one signature out
		i := w.random.IntN(len(e.Signatures))
		if len(e.Signatures) == 1 {
			return from
		}
		e.Signatures = slices.Delete(e.Signatures, i, i+1)
		a.signers = slices.Delete(slices.Clone(a.signers), i, i+1)
		a.d.Data = e.Encode()
	case 4: // sign it as well, as a stranger
		e.Sign(newKey("mallory"))
		a.signers = append(slices.Clone(a.signers), "mallory")
		a.d.Data = e.Encode()
	case 5: // change the payload, keep the signatures
		if len(e.Payload) == 0 {
			return from
		}
		e.Payload[w.random.IntN(len(e.Payload))] ^= 1 << w.random.IntN(8)
		a.d.Data, a.signers, a.payload = e.Encode(), nil, string(e.Payload)
	case 6: // spoil a signature
		i := w.random.IntN(len(e.Signatures))
		e.Signatures[i].Bytes[w.random.IntN(64)] ^= 1 << w.random.IntN(8)
		a.signers = slices.Delete(slices.Clone(a.signers), i, i+1)
		a.d.Data = e.Encode()
	case 7: // the envelope itself
		text := string(a.d.Data)
		a.broken = true
		a.d.Data = []byte([]string{
			strings.Replace(text, `"payload":`, `"payload":"e30=","payload":`, 1), text + " {}",
			text + strings.Repeat(" ", protocol.CommandBytesMax), strings.Repeat("[", 30_000), text[:len(text)/2], "",
			strings.Replace(text, `"signatures"`, `"Signatures"`, 1),
		}[w.random.IntN(7)])
	case 8: // a group's topic is as good
		a.d.Topic = protocol.Topic{Kind: protocol.KindGroupCommand, Fleet: "plant7", Group: "all", ID: a.d.Topic.ID}
	}
	return &a
}

// deliver gives an attempt to the gateway, which may lose its power before or after
// the commit, and compares with the oracle.
func (w *world) deliver(a *attempt) {
	w.t.Helper()
	accept, burn := w.oracle.judge(a, w.at)
	e := w.guard.Accept(a.d, w.at)
	w.stats["delivered"]++
	w.stats[string(e.Code)]++
	if (e.Command != nil) != accept {
		w.t.Fatalf("delivery %d: accepted %v, the oracle says %v: %s, %v\n%s\nsigners %v of keyring %d epoch %d", w.stats["delivered"],
			e.Command != nil, accept, e.Code, e.Err, a.payload, a.signers, w.oracle.ring.Version, w.oracle.ring.Epoch)
	}
	if accept && !reflectEqual(*e.Command, a.c) {
		w.t.Fatalf("another command than was signed: %+v, want %+v", e.Command, a.c)
	}
	step := "refuse"
	if accept {
		step = "accept"
	}
	if !w.settle(step, e, func() { w.oracle.note(a, accept, burn, w.at.Now) }) {
		return
	}
	if accept {
		w.stats["accepted"]++
	}
}

// settle commits, or loses power before or after that. It reports whether the
// process still runs. then is what is true once it is committed.
func (w *world) settle(step string, e command.Effects, then func()) bool {
	w.t.Helper()
	if !e.Changed {
		then()
		return true
	}
	if w.power(step, false) {
		w.stats["cut before commit"]++
		w.powerCut()
		return false
	}
	w.commit(e)
	then()
	if w.power(step, true) {
		w.stats["cut after commit"]++
		w.powerCut()
		return false
	}
	return true
}

// powerCut starts the gateway again. Power may fail again before what it finds is
// committed. What was open is final afterwards.
func (w *world) powerCut() {
	w.t.Helper()
	if w.power("recover", false) {
		if _, _, err := command.Restore(w.cfg, w.disk, w.at); err != nil {
			w.t.Fatal(err)
		}
	}
	e := w.boot()
	if len(e.Answers) != len(w.oracle.open) {
		w.t.Fatalf("%d answers after a power cut, %d commands were open", len(e.Answers), len(w.oracle.open))
	}
	for _, answer := range e.Answers {
		j := w.oracle.open[answer.ID]
		want := protocol.StatusInterrupted
		if j != nil && j.leaving {
			want = protocol.StatusDone
		}
		if j == nil || answer.Status != want || !answer.Final || strings.Contains(answer.Message, "after it was started") != (j.started && !j.leaving) {
			w.t.Fatalf("after a power cut: %+v, want %s, %+v", answer, want, j)
		}
	}
	clear(w.oracle.open)
	if again, e, err := command.Restore(w.cfg, w.disk, w.at); err != nil || e.Changed || !bytes.Equal(again.AppendBinary(nil), w.disk) {
		w.t.Fatalf("what was recovered and stored is recovered again: %+v, %v", e, err)
	}
	w.connect()
	w.seen()
}

// work starts and finishes what waits and runs.
func (w *world) work() {
	w.t.Helper()
	for _, id := range slices.Sorted(maps.Keys(w.oracle.open)) {
		j := w.oracle.open[id]
		switch {
		case w.chance(40):
			continue
		case !j.started:
			if !w.start(id, j) {
				return
			}
		case !w.finish(id, j):
			return
		}
	}
}

func (w *world) start(id protocol.ID, j *job) bool {
	w.t.Helper()
	may := w.oracle.mayStart(j, w.at)
	e, err := w.guard.Start(id, w.at)
	if err != nil || (e.Command != nil) != may || (e.Code == protocol.OK) != may {
		w.t.Fatalf("start %s: %s, %v, %v, the oracle says %v: %+v", id, e.Code, e.Err, err, may, j.a)
	}
	return w.settle("start", e, func() {
		if !may {
			w.stats["not started"]++
			delete(w.oracle.open, id)
			return
		}
		// The action may be running from here on, whatever comes.
		j.started = true
		w.stats["ran"]++
		if w.ran[j.a.payload]++; w.ran[j.a.payload] > 1 {
			w.t.Fatalf("ran twice: %s", j.a.payload)
		}
	})
}

func (w *world) finish(id protocol.ID, j *job) bool {
	w.t.Helper()
	if j.a.c.Op == "engine.restart" && !j.leaving {
		e, err := w.guard.Handover(id, w.at)
		if err != nil {
			w.t.Fatal(err)
		}
		if !w.settle("handover", e, func() { j.leaving = true }) {
			return false
		}
		if w.chance(70) {
			w.stats["restarted on purpose"]++
			w.powerCut()
			return false
		}
	}
	code := protocol.OK
	if w.chance(20) {
		code = protocol.CodeTimeout
	}
	e, err := w.guard.Finish(id, command.Outcome{Code: code, Result: json.RawMessage(`{"done":true}`)}, w.at)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.settle("finish", e, func() { delete(w.oracle.open, id) })
}

// step does one thing.
func (w *world) step() {
	w.t.Helper()
	w.at.Now += command.Monotonic(w.random.Int64N(3000))
	switch n := w.random.IntN(100); {
	case n < 45:
		a := w.craft()
		w.history = append(w.history, a)
		if w.chance(20) {
			w.held = append(w.held, a)
			return
		}
		if w.chance(35) {
			w.deliver(w.bendDelivery(a))
		}
		w.deliver(a)
	case n < 53 && len(w.held) > 0: // later, in another order
		i := w.random.IntN(len(w.held))
		w.deliver(w.held[i])
		w.held = slices.Delete(w.held, i, i+1)
	case n < 64 && len(w.history) > 0: // again
		a := w.history[w.random.IntN(len(w.history))]
		if w.chance(40) {
			a = w.bendDelivery(a)
		}
		w.deliver(a)
	case n < 75:
		w.work()
	case n < 77:
		w.at.Now += command.Monotonic(w.random.Int64N(2 * nonceLife))
	case n < 80:
		w.at.Nonces = w.at.Nonces.Rotate(w.nonce(), w.at.Now)
		w.seen()
	case n < 82:
		w.connect()
		w.seen()
	case n < 83:
		w.powerCut()
	case n < 85:
		w.at.Running.Hash = w.pick(hashA, strings.ReplaceAll(hashA, "aaa", "bbb"))
	default:
		w.documents()
	}
}

// TestHostileChannel lets somebody own the broker. Nothing may run without right or
// twice, and everything that has the right is accepted.
func TestHostileChannel(t *testing.T) {
	t.Run("records are forgotten", func(t *testing.T) {
		w := newWorld(t, chance(t, 10), 64)
		w.live(*deliveries / 2)
	})
	t.Run("ids are used again", func(t *testing.T) {
		w := newWorld(t, chance(t, 11), 1<<16)
		w.reuse = true // the oracle never forgets one, so the guard must not
		w.live(*deliveries / 2)
	})
}

// live goes on until so many messages are delivered.
func (w *world) live(most int) {
	for w.stats["delivered"] < most {
		w.step()
	}
	w.sound()
	w.audited()
	for _, key := range slices.Sorted(maps.Keys(w.stats)) {
		w.t.Logf("%6d %s", w.stats[key], key)
	}
	w.t.Logf("%6d commits, %d bytes of state, %d bytes of audit log", w.commits, len(w.disk), len(w.log))
	if w.stats["accepted"] < most/40 || w.stats["ran"] < most/100 || w.stats["keyrings"] < most/500 || w.stats["desired"] < most/500 {
		w.t.Error("too little was accepted: that proves nothing")
	}
}

// audited checks that the log says of everything that ran that it did, once, and of
// nothing else.
func (w *world) audited() {
	w.t.Helper()
	begun := map[string]int{}
	var head audit.Head
	for line := range bytes.Lines(w.log) {
		next, entry, err := head.Next(line)
		if err != nil {
			w.t.Fatal(err)
		}
		if head = next; entry.Decision == "started" {
			begun[entry.Digest]++
		}
	}
	for payload, n := range w.ran {
		sum := sha256.Sum256(trust.PAE(trust.TypeCommand, []byte(payload)))
		if digest := hex.EncodeToString(sum[:]); begun[digest] != n || n != 1 {
			w.t.Errorf("ran %d times, %d in the log: %s", n, begun[digest], payload)
		}
	}
	if len(begun) != len(w.ran) {
		w.t.Errorf("%d commands in the log have started, %d ran", len(begun), len(w.ran))
	}
}
