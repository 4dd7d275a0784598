package command_test

import (
	"testing"

	"edged/fleet/command"
	"edged/fleet/protocol"
	"edged/fleet/trust"
)

// A gateway that has lost its state runs no recording from its earlier life:
// not before a key has quoted a nonce of this one, and not after.
func TestLostState(t *testing.T) {
	r := newRig(t, nil)
	r.introduce("olga")
	var recordings []command.Delivery
	for seq := uint64(2); seq < 30; seq++ {
		c := order("olga", seq, "pipeline.pause")
		if seq%2 == 0 {
			c = r.quote(c)
		}
		d := seal(t, c, "olga")
		if e := r.accept(d); e.Command == nil {
			t.Fatal(e.Err)
		}
		r.run(c.ID)
		recordings = append(recordings, d)
	}
	r.disk, r.log = nil, nil
	r.boot()
	r.connect()
	r.commit(r.guard.AcceptTrust(r.trust(sealed(t, staff(), roots...)), r.at))
	replay := func() {
		t.Helper()
		for _, d := range recordings {
			if e := r.accept(d); e.Command != nil || e.Code != protocol.CodeNonce && e.Code != protocol.CodeReplay {
				t.Errorf("%s, %v", e.Code, e.Err)
			}
		}
	}
	replay()
	if e := r.accept(seal(t, r.quote(order("olga", 30, "ping")), "olga")); e.Command == nil {
		t.Fatalf("introduction: %s, %v", e.Code, e.Err)
	}
	replay()
	if e := r.accept(seal(t, order("olga", 31, "ping"), "olga")); e.Command == nil {
		t.Errorf("and then: %s, %v", e.Code, e.Err)
	}
}

// A thief uses the numbers of a key up as far as he can; a new key, and a new epoch,
// heal it, and the gateway need not be visited.
func TestFastForward(t *testing.T) {
	r := newRig(t, func(c *command.Config) { c.Burst = 1000 })
	r.introduce("olga", "anna")
	at := uint64(1)
	for range 100 {
		if e := r.accept(seal(t, order("olga", at+command.DefaultJumpMax+1, "ping"), "olga")); e.Code != protocol.CodeJump {
			t.Fatalf("%s, %v", e.Code, e.Err)
		}
		at += command.DefaultJumpMax
		c := order("olga", at, "ping")
		if e := r.accept(seal(t, c, "olga")); e.Command == nil {
			t.Fatal(e.Err)
		}
		r.run(c.ID)
	}
	if at > trust.NumberMax/1000 {
		t.Errorf("100 commands used the numbers up to %d", at)
	}
	honest := order("olga", 2, "ping")
	if e := r.accept(seal(t, honest, "olga")); e.Code != protocol.CodeReplay {
		t.Errorf("the owner of the key: %s", e.Code)
	}
	k := staff()
	k.Version, k.Epoch = 2, 2
	if e := r.commit(r.guard.AcceptTrust(r.trust(sealed(t, k, roots[1:]...)), r.at)); !e.Keyring {
		t.Fatal(e.Err)
	}
	again := r.quote(order("olga", 3, "ping"))
	again.Epoch = 2
	if e := r.accept(seal(t, again, "olga")); e.Command == nil {
		t.Errorf("in the new epoch: %s, %v", e.Code, e.Err)
	}
	if e := r.accept(seal(t, order("anna", 2, "ping"), "anna")); e.Code != protocol.CodeEpoch {
		t.Errorf("of the old epoch: %s", e.Code)
	}
}

// A gateway that was away while the root and everybody's keys changed catches up
// with one message, and the old keys are worth nothing.
func TestAwayDuringRotations(t *testing.T) {
	r := newRig(t, nil)
	r.introduce("olga")
	stale := seal(t, order("olga", 2, "ping"), "olga")
	keys := [][]trust.SecretKey{roots}
	chain := [][]byte{}
	for i := range 3 {
		next := []trust.SecretKey{newKey("x" + string(rune('0'+i))), newKey("y" + string(rune('0'+i)))}
		k := staff()
		k.Version, k.Root = uint64(10*(i+1)), rootOf(next)
		k.Keys[1].Revoked = true // olga
		chain = append(chain, sealed(t, k, append(keys[i][:2:2], next...)...))
		keys = append(keys, next)
	}
	if e := r.commit(r.guard.AcceptTrust(r.trust(chain[1:]...), r.at)); e.Keyring || e.Code != protocol.CodeSignature {
		t.Errorf("with a link missing: %v, %s", e.Keyring, e.Code)
	}
	if e := r.commit(r.guard.AcceptTrust(r.trust(chain...), r.at)); !e.Keyring || r.guard.Ring().Version() != 30 {
		t.Fatalf("%s, %v", e.Code, e.Err)
	}
	if e := r.accept(stale); e.Code != protocol.CodeRevoked {
		t.Errorf("the old key: %s", e.Code)
	}
	r.boot()
	for _, envelope := range append([][]byte{sealed(t, staff(), roots...)}, chain...) {
		if e := r.commit(r.guard.AcceptTrust(r.trust(envelope), r.at)); e.Keyring {
			t.Error("an old keyring was taken")
		}
	}
	if got := r.guard.Ring().Version(); got != 30 {
		t.Errorf("keyring %d", got)
	}
	r.sound()
}

// What the clock of the gateway says is nowhere asked for; beacons alone move time,
// those of 1970 not at all, and one of 2100 stops nothing but what has an exp_ms.
// When its key is revoked, time falls back.
func TestClock(t *testing.T) {
	const year2100 = 4_102_444_800_000
	r := newRig(t, nil)
	r.introduce("olga")
	try := func(seq uint64, expires int64) protocol.Code {
		t.Helper()
		c := order("olga", seq, "ping")
		c.Keyring, c.Expires = r.guard.Ring().Version(), expires
		e := r.accept(seal(t, c, "olga"))
		if e.Command != nil {
			r.run(c.ID)
		}
		return e.Code
	}
	if e := r.beacon(1000); e.Code != protocol.CodeStale || r.guard.Floor() != buildTime {
		t.Errorf("1970: %s, floor %d", e.Code, r.guard.Floor())
	}
	if code := try(2, buildTime+1000); code != protocol.OK {
		t.Errorf("exp ahead of the floor: %s", code)
	}
	if e := r.beacon(year2100); e.Code != protocol.OK || r.guard.Floor() != year2100 {
		t.Errorf("2100: %s, floor %d", e.Code, r.guard.Floor())
	}
	if code := try(3, buildTime+1000); code != protocol.CodeExpired {
		t.Errorf("exp in 2100: %s", code)
	}
	if code := try(4, 0); code != protocol.OK {
		t.Errorf("without exp in 2100: %s", code)
	}
	r.boot()
	r.connect()
	if r.guard.Floor() != year2100 {
		t.Errorf("after a restart: %d", r.guard.Floor())
	}
	k := staff()
	k.Version, k.Keys[5].Revoked = 2, true
	r.commit(r.guard.AcceptTrust(r.trust(sealed(t, k, roots[1:]...)), r.at))
	if code := try(5, buildTime+1000); code != protocol.OK || r.guard.Floor() != buildTime {
		t.Errorf("after the key is revoked: %s, floor %d", code, r.guard.Floor())
	}
}

// A desired document comes once, in rising versions; the same content signed again is
// a refresh; a lower version, another content, a far version are refused.
func TestDesired(t *testing.T) {
	r := newRig(t, nil)
	wish := func(version, refresh uint64, config, holder string) command.Effects {
		t.Helper()
		payload, err := protocol.Encode(protocol.Desired{
			V: 1, Aud: trust.Audience{Fleet: "plant7", Gateway: "gw-1"}, Issuer: newKey(holder).Public().ID(), Keyring: 1, Epoch: 1,
			Version: version, Refresh: refresh, Config: []byte(config), Apply: protocol.Apply{Health: 1, Deadline: 1, Confirm: "none", State: "keep"},
		})
		if err != nil {
			t.Fatal(err)
		}
		d := sealRaw("", trust.TypeDesired, payload, holder)
		d.Topic, d.Retained = protocol.Topic{Kind: protocol.KindDesired, Fleet: "plant7", Gateway: "gw-1"}, true
		return r.commit(r.guard.AcceptDesired(d, r.at))
	}
	for i, step := range []struct {
		version, refresh uint64
		config, holder   string
		code             protocol.Code
		fresh            bool
	}{
		{5, 0, `{"a":1}`, "dave", protocol.OK, true},
		{5, 0, `{"a":1}`, "dave", protocol.OK, false},
		{5, 3, `{"a":1}`, "anna", protocol.OK, false},
		{5, 2, `{"a":1}`, "dave", protocol.OK, false},
		{5, 4, `{"a":2}`, "dave", protocol.CodeReplay, false},
		{4, 9, `{"a":1}`, "dave", protocol.CodeStale, false},
		{6, 0, `{"a":1}`, "olga", protocol.CodeRole, false},
		{6, 0, `{"a":1}`, "pia", protocol.CodeRole, false},
		{6, 0, `{"a":1}`, "rob", protocol.CodeRevoked, false},
		{6, 0, `{"a":1}`, "mallory", protocol.CodeKey, false},
		{trust.NumberMax, 0, `{"a":1}`, "dave", protocol.CodeJump, false},
		{6, 0, `{"a":1}`, "dave", protocol.OK, true}, // a rollback is a new version
	} {
		e := wish(step.version, step.refresh, step.config, step.holder)
		if e.Code != step.code || (e.Desired != nil) != step.fresh {
			t.Errorf("%d: %s, %v, desired %v", i, e.Code, e.Err, e.Desired != nil)
		}
		if version, refresh := r.guard.Desired(); i == 3 && (version != 5 || refresh != 3) {
			t.Errorf("version %d, refresh %d", version, refresh)
		}
	}
	r.boot()
	if version, _ := r.guard.Desired(); version != 6 {
		t.Errorf("after a restart: %d", version)
	}
	r.sound()
}
