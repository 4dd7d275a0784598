package command_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"edged/fleet/command"
	"edged/fleet/protocol"
	"edged/fleet/trust"
)

func reflectEqual(a, b protocol.Command) bool { return reflect.DeepEqual(a, b) }

// others is what is known of documents: who signs keyrings, and those there were.
type others struct {
	roots     []trust.SecretKey
	envelopes [][]byte // the lawful keyrings, from the first on
	desireds  []paper
	beacons   []paper
	rotations int
	beacon    uint64
	version   uint64
}

// paper is a signed document and the truth about it.
type paper struct {
	d         command.Delivery
	issuer    string
	signed    bool // the issuer has signed these bytes
	broken    bool
	forOthers bool
	version   uint64
	epoch     uint64
	keyring   uint64
	content   string
	refresh   uint64
	time      int64
}

// documents delivers a keyring, a desired document or a beacon.
func (w *world) documents() {
	switch w.random.IntN(8) {
	case 0, 1:
		w.keyring()
	case 2, 3, 4, 5:
		w.desire()
	default:
		w.beacon()
	}
}

// keyring rotates the keyring lawfully, or tries something else.
func (w *world) keyring() {
	o := &w.others
	next := w.nextKeyring()
	switch w.random.IntN(5) {
	case 0: // an old one
		w.offer(w.trust(o.envelopes[w.random.IntN(len(o.envelopes))]), nil)
	case 1: // signed by too few
		next.Keys = append(slices.Clone(next.Keys), trust.Key{Public: newKey("mallory").Public(), Holder: "mallory", Roles: []trust.Role{trust.Admin}})
		w.offer(w.trust(w.sealRing(next, o.roots[:1])), nil)
	case 2: // a root of one's own
		next.Root = trust.Root{Threshold: 1, Keys: []trust.PublicKey{newKey("mallory").Public()}}
		w.offer(w.trust(w.sealRing(next, []trust.SecretKey{newKey("mallory"), o.roots[0]})), nil)
	default:
		signers := o.roots[1:]
		if w.chance(20) { // another root, which must sign as well as the old one
			o.rotations++
			fresh := []trust.SecretKey{newKey(fmt.Sprint("a", o.rotations)), newKey(fmt.Sprint("b", o.rotations)), o.roots[2]}
			next.Root = rootOf(fresh)
			if w.chance(30) {
				w.offer(w.trust(w.sealRing(next, fresh[:2])), nil)
			}
			signers = append(slices.Clone(o.roots[:2]), fresh[:2]...)
			o.roots = fresh
		}
		envelope := w.sealRing(next, signers)
		o.envelopes = append(o.envelopes, envelope)
		w.offer(w.trust(w.lastOf(o.envelopes)...), &next)
	}
}

// lastOf returns the last few keyrings, as an operator would publish them.
func (w *world) lastOf(envelopes [][]byte) [][]byte {
	n := min(len(envelopes), 1+w.random.IntN(4))
	return envelopes[len(envelopes)-n:]
}

// nextKeyring changes something in the keyring in force.
func (w *world) nextKeyring() trust.Keyring {
	k := w.oracle.ring
	k.Version += 1 + w.random.Uint64N(3)
	k.Keys = slices.Clone(k.Keys)
	i := w.random.IntN(len(k.Keys))
	switch w.random.IntN(8) {
	case 0:
		k.Keys[i].Revoked = true
	case 1, 2, 6, 7: // everybody is back
		k.Keys = staff().Keys
	case 3: // somebody is not listed any more
		k.Keys = slices.Delete(k.Keys, i, i+1)
		if len(k.Keys) < 4 {
			k.Keys = staff().Keys
		}
	case 4:
		k.Classes = map[string]trust.Class{"pipeline.pause": trust.Class(w.random.IntN(5)), "ping": trust.Class(w.random.IntN(2))}
	case 5:
		if w.chance(30) {
			k.Epoch++
		}
		k.Keys[i].Until = k.Version + w.random.Uint64N(4)
	}
	return k
}

func (w *world) sealRing(k trust.Keyring, keys []trust.SecretKey) []byte {
	w.t.Helper()
	data, err := trust.SealKeyring(k, keys...)
	if err != nil {
		w.t.Fatal(err)
	}
	return data
}

// offer delivers keyrings; want is the one that must be in force afterwards, nil:
// none but that of before.
func (w *world) offer(d command.Delivery, want *trust.Keyring) {
	w.t.Helper()
	before := w.oracle.ring.Version
	e := w.guard.AcceptTrust(d, w.at)
	w.stats["delivered"]++
	if e.Keyring != (want != nil) {
		w.t.Fatalf("keyring taken %v, want %v: %s, %v", e.Keyring, want != nil, e.Code, e.Err)
	}
	alive := w.settle("keyring", e, func() {
		if want != nil {
			w.stats["keyrings"]++
			if want.Epoch != w.oracle.ring.Epoch {
				clear(w.seqs)
				w.others.version = 0
			}
			w.oracle.follow(*want)
		}
	})
	if !alive && want != nil && w.oracle.ring.Version == before {
		w.offer(d, want) // the broker has kept it
		return
	}
	if got := w.guard.Ring().Version(); got != w.oracle.ring.Version {
		w.t.Fatalf("keyring %d is in force, want %d", got, w.oracle.ring.Version)
	}
}

// bendPaper makes a document that must not count, now and then.
func (w *world) bendPaper(p *paper, typ string, payload []byte) {
	text := string(payload)
	if w.chance(10) {
		p.broken = true
		text = []string{
			strings.Replace(text, `"v":1`, `"v":1,"v":1`, 1), strings.Replace(text, `"v":1`, `"v":1,"x":`+strings.Repeat("[", 40)+strings.Repeat("]", 40), 1),
			strings.Replace(text, `"epoch"`, `"Epoch"`, 1), text + "x",
		}[w.random.IntN(4)]
	}
	e := trust.Seal(typ, []byte(text), newKey(p.issuer))
	p.signed = true
	if w.chance(10) {
		e.Payload = append(e.Payload, ' ')
		p.signed = false
	}
	p.d.Data = e.Encode()
}

// lawful says whether the issuer may sign such a document now.
func (o *oracle) lawful(p paper, may func(holder string) bool) bool {
	_, ok := o.valid(p.issuer)
	return p.signed && !p.broken && !p.forOthers && ok && may(p.issuer) && p.epoch == o.ring.Epoch && p.keyring <= o.ring.Version
}

// desire delivers a desired document: a new one, or one from the past.
func (w *world) desire() {
	w.t.Helper()
	o := &w.others
	if n := len(o.desireds); n > 0 && w.chance(40) {
		w.wish(o.desireds[w.random.IntN(n)])
		return
	}
	p := paper{issuer: w.pick("dave", "dave", "dave", "anna", "alan", "olga", "rob", "pia", "mallory"), epoch: w.oracle.ring.Epoch, keyring: w.oracle.ring.Version}
	o.version += w.random.Uint64N(3)
	p.version, p.content, p.refresh = max(1, o.version), fmt.Sprintf(`{"n":%d}`, w.random.IntN(2)), w.random.Uint64N(4)
	if w.chance(5) {
		p.version = trust.NumberMax
	}
	if w.chance(5) {
		p.epoch++
	}
	doc := protocol.Desired{
		V: 1, Aud: trust.Audience{Fleet: "plant7", Gateway: "gw-1"}, Issuer: newKey(p.issuer).Public().ID(), Keyring: p.keyring, Epoch: p.epoch,
		Version: p.version, Refresh: p.refresh, Config: json.RawMessage(p.content),
		Apply: protocol.Apply{Health: 1, Deadline: 1, Confirm: protocol.ConfirmNone, State: protocol.StateKeep},
	}
	if w.chance(5) {
		doc.Aud, p.forOthers = trust.Audience{Fleet: "plant7", Selector: "site=paris"}, true
	}
	payload, err := protocol.Encode(doc)
	if err != nil {
		w.t.Fatal(err)
	}
	p.d.Topic, p.d.Retained = protocol.Topic{Kind: protocol.KindDesired, Fleet: "plant7", Gateway: "gw-1"}, true
	w.bendPaper(&p, trust.TypeDesired, payload)
	o.desireds = append(o.desireds, p)
	w.wish(p)
}

// wish delivers a desired document and compares with the oracle.
func (w *world) wish(p paper) {
	w.t.Helper()
	orc := w.oracle
	ok := orc.lawful(p, func(holder string) bool { return orc.rank(holder) >= 2 })
	fresh := ok && p.version > orc.desired && p.version-orc.desired <= jumpMax
	e := w.guard.AcceptDesired(p.d, w.at)
	w.stats["delivered"]++
	if (e.Desired != nil) != fresh || fresh && (e.Desired.Version != p.version || string(e.Desired.Config) != p.content) {
		w.t.Fatalf("desired: taken %v, want %v: %s, %v: %+v", e.Desired != nil, fresh, e.Code, e.Err, p)
	}
	if same := ok && p.version == orc.desired && p.content == orc.content; (e.Code == protocol.OK) != (fresh || same) {
		w.t.Fatalf("desired: %s, %v: %+v", e.Code, e.Err, p)
	}
	w.settle("desired", e, func() {
		if fresh {
			w.stats["desired"]++
			orc.desired, orc.content = p.version, p.content
		}
	})
	if version, _ := w.guard.Desired(); version != orc.desired {
		w.t.Fatalf("desired version %d, want %d", version, orc.desired)
	}
}

// beacon delivers a beacon: of now, of 1970, of 2100, or from the past.
func (w *world) beacon() {
	w.t.Helper()
	o := &w.others
	if n := len(o.beacons); n > 0 && w.chance(30) {
		w.told(o.beacons[w.random.IntN(n)])
		return
	}
	o.beacon += w.random.Uint64N(2)
	p := paper{issuer: w.pick("tick", "tick", "anna", "mallory"), epoch: w.oracle.ring.Epoch, version: max(1, o.beacon)}
	p.time = buildTime + w.random.Int64N(20)*1000
	if w.chance(10) {
		p.time = 1
	}
	if w.chance(2) {
		p.time = 4_102_444_800_000 // 2100
	}
	payload, err := protocol.Encode(protocol.Beacon{V: 1, Fleet: "plant7", Issuer: newKey(p.issuer).Public().ID(), Epoch: p.epoch, Number: p.version, Time: p.time})
	if err != nil {
		w.t.Fatal(err)
	}
	p.d.Topic, p.d.Retained = protocol.Topic{Kind: protocol.KindTime, Fleet: "plant7"}, true
	w.bendPaper(&p, trust.TypeTime, payload)
	o.beacons = append(o.beacons, p)
	w.told(p)
}

// told delivers a beacon and compares with the oracle.
func (w *world) told(p paper) {
	w.t.Helper()
	orc := w.oracle
	moves := orc.lawful(p, orc.clock) && p.time > orc.floor() && (orc.beaconT != p.issuer || p.version > orc.beaconN)
	e := w.guard.AcceptTime(p.d, w.at)
	w.stats["delivered"]++
	if moves != (e.Code == protocol.OK) {
		w.t.Fatalf("beacon: %s, %v, want %v: %+v", e.Code, e.Err, moves, p)
	}
	w.settle("beacon", e, func() {
		if moves {
			w.stats["beacons"]++
			orc.beacon, orc.beaconN, orc.beaconT = p.time, p.version, p.issuer
		}
	})
	if got := w.guard.Floor(); got != orc.floor() {
		w.t.Fatalf("floor %d, want %d", got, orc.floor())
	}
}
