package operator_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"edged/fleet/operator"
	"edged/fleet/protocol"
	"edged/fleet/trust"
)

const nonce = "00000000000000000000000000000001"

func newView(t testing.TB) *operator.View {
	t.Helper()
	v, err := operator.NewView(protocol.DefaultPrefix, "plant7")
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// message encodes what a gateway says.
func message(t testing.TB, kind protocol.Kind, gateway, name string, m protocol.Message) operator.Message {
	t.Helper()
	topic := protocol.Topic{Kind: kind, Fleet: "plant7", Gateway: gateway, Name: name}
	if a, ok := m.(protocol.Answer); ok {
		topic.ID = a.ID
	}
	text, err := topic.Format(protocol.DefaultPrefix)
	if err != nil {
		t.Fatal(err)
	}
	data, err := protocol.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	return operator.Message{Topic: text, Payload: data}
}

func state(instance string, session uint64, up bool) protocol.State {
	s := protocol.State{V: 1, Online: up, Instance: instance, Session: session}
	if up {
		s.Revision, s.Boot, s.Nonce = 1, 1, nonce
	} else {
		s.Cause = protocol.CauseWill
	}
	return s
}

func reported(instance string, session, seen uint64) protocol.Reported {
	return protocol.Reported{V: 1, Instance: instance, Session: session, Epoch: 1, Seen: seen, Applied: seen, Status: protocol.StatusApplied}
}

func alarm(number uint64, code, sev string) protocol.Event {
	return protocol.Event{V: 1, Number: number, Instance: "i1", Class: protocol.ClassAlarm, Code: code, Severity: sev, Boot: 1}
}

// TestViewOrder: in whatever order and however often messages come, the view is the same.
func TestViewOrder(t *testing.T) {
	t.Logf("seed %d", *seed)
	chance := rand.New(rand.NewPCG(*seed, 2))
	all := []operator.Message{
		message(t, protocol.KindState, "gw-1", "", state("i1", 4, true)), message(t, protocol.KindState, "gw-1", "", state("i1", 4, false)),
		message(t, protocol.KindState, "gw-1", "", state("i1", 5, true)),
		message(t, protocol.KindReported, "gw-1", "", reported("i1", 4, 8)), message(t, protocol.KindReported, "gw-1", "", reported("i1", 5, 9)),
	}
	for range 200 {
		v := newView(t)
		for range 3 {
			chance.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
			for _, m := range all {
				if _, err := v.Observe(m, 1); err != nil {
					t.Fatal(err)
				}
			}
		}
		want := operator.Facts{Online: true, Epoch: 1, Seen: 9, Applied: 9, Status: protocol.StatusApplied}
		if got := v.Gateway("gw-1").Facts(); !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v", got)
		}
	}
}

// TestViewInstances: what an instance that is gone has left at the broker does not count.
func TestViewInstances(t *testing.T) {
	v := newView(t)
	observe := func(m operator.Message) operator.News {
		t.Helper()
		n, err := v.Observe(m, 1)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	observe(message(t, protocol.KindReported, "gw-1", "", reported("old", 40, 9)))
	observe(message(t, protocol.KindState, "gw-1", "", state("new", 1, true)))
	if f := v.Gateway("gw-1").Facts(); f.Seen != 0 || !f.Online {
		t.Errorf("the old instance's word counts: %+v", f)
	}
	if n := observe(message(t, protocol.KindState, "gw-1", "", state("other", 7, true))); n.Change != protocol.Foreign || v.Gateway("gw-1").Foreign == nil {
		t.Errorf("a foreign state is %v", n.Change)
	}
	twin := state("new", 1, true)
	twin.Boot = 2
	if observe(message(t, protocol.KindState, "gw-1", "", twin)); !v.Gateway("gw-1").Conflict {
		t.Error("a clone is not noticed")
	}
}

func TestViewAlarms(t *testing.T) {
	v := newView(t)
	codes := func() (all []string) {
		for _, a := range v.Gateway("gw-1").Alarms {
			all = append(all, a.Code)
		}
		return all
	}
	for i, step := range []struct {
		e       protocol.Event
		alarms  string
		missing uint64
	}{
		{alarm(7, "outbox.quota", "major"), "[outbox.quota]", 0}, // what was before we listened is not missing
		{alarm(8, "clock.jump", "minor"), "[outbox.quota clock.jump]", 0},
		{alarm(8, "clock.jump", "clear"), "[outbox.quota clock.jump]", 0}, // a repeated number
		{alarm(11, "outbox.quota", "clear"), "[clock.jump]", 2},
		{alarm(12, "clock.jump", "critical"), "[clock.jump]", 2},
	} {
		if _, err := v.Observe(message(t, protocol.KindEvent, "gw-1", "alarm", step.e), 1); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(codes()); got != step.alarms || v.Gateway("gw-1").Missing != step.missing {
			t.Errorf("step %d: alarms %s, %d missing; want %s, %d", i, got, v.Gateway("gw-1").Missing, step.alarms, step.missing)
		}
	}
	for i := range operator.AlarmsMax + 10 {
		e := alarm(uint64(20+i), "outbox.quota", "info")
		e.Subject = fmt.Sprintf("stream/%d", i)
		if _, err := v.Observe(message(t, protocol.KindEvent, "gw-1", "alarm", e), 1); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(v.Gateway("gw-1").Alarms); n != operator.AlarmsMax {
		t.Errorf("%d alarms are kept", n)
	}
}

// TestViewRefuses: what is not of this fleet, or not what its topic says, changes nothing.
func TestViewRefuses(t *testing.T) {
	v := newView(t)
	good := message(t, protocol.KindState, "gw-1", "", state("i1", 1, true))
	id := protocol.NewID(1, [10]byte{1})
	answer := protocol.Answer{V: 1, ID: id, Gateway: "gw-2", Instance: "i1", N: 1, Status: protocol.StatusAccepted, Code: protocol.OK}
	for name, m := range map[string]operator.Message{
		"another prefix":              {Topic: "x/plant7/gw-1/state", Payload: good.Payload},
		"no topic":                    {Topic: "edged/v1/plant7", Payload: good.Payload},
		"not JSON":                    {Topic: good.Topic, Payload: []byte("x")},
		"a doubled member":            {Topic: good.Topic, Payload: []byte(`{"v":1,"v":1}`)},
		"too large":                   {Topic: good.Topic, Payload: []byte(strings.Repeat(" ", protocol.ReportBytesMax+1))},
		"an answer of another's name": {Topic: "edged/v1/plant7/gw-1/rsp/" + string(id), Payload: message(t, protocol.KindAnswer, "gw-2", "", answer).Payload},
	} {
		if _, err := v.Observe(m, 1); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	for _, m := range []operator.Message{{Topic: "edged/v1/other/gw-1/state", Payload: good.Payload}, {Topic: good.Topic}, {Topic: "edged/v1/plant7/_trust", Payload: []byte("{}")}} {
		if _, err := v.Observe(m, 1); err != nil {
			t.Error(err)
		}
	}
	if len(v.Names()) != 0 {
		t.Errorf("gateways %v", v.Names())
	}
}

// TestViewLimit: whoever can publish cannot fill the operator's memory with names.
func TestViewLimit(t *testing.T) {
	v := newView(t)
	payload := message(t, protocol.KindState, "gw-1", "", state("i1", 1, true)).Payload
	for i := range operator.GatewaysMax + 1 {
		_, err := v.Observe(operator.Message{Topic: fmt.Sprintf("edged/v1/plant7/g%d/state", i), Payload: payload}, 1)
		if (err != nil) != (i == operator.GatewaysMax) || err != nil && !errors.Is(err, operator.ErrLimit) {
			t.Fatalf("gateway %d: %v", i, err)
		}
	}
}

func TestViewSelect(t *testing.T) {
	v := newView(t)
	for i, site := range []string{"berlin", "paris", "berlin"} {
		info := protocol.Info{V: 1, Fleet: "plant7", Gateway: fmt.Sprintf("gw-%d", i), Instance: "i1", Session: 1, Version: "v1", OS: "linux", Arch: "arm64", CPUs: 1, Memory: 1,
			Labels: map[string]string{"site": site}, Limits: protocol.Bounds{CommandBytes: 1, DesiredBytes: 1, Queue: 1}, Config: protocol.Running{Hash: "sha256:" + strings.Repeat("a", 64)}}
		if _, err := v.Observe(message(t, protocol.KindInfo, info.Gateway, "", info), 1); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := v.Observe(message(t, protocol.KindState, "gw-9", "", state("i1", 1, true)), 1); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{"site=berlin": "[gw-0 gw-2]", "*": "[gw-0 gw-1 gw-2 gw-9]", "!site": "[gw-9]", "site!=berlin": "[gw-1 gw-9]"} {
		s, err := trust.ParseSelector(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(v.Select(s)); got != want {
			t.Errorf("%s selects %s, want %s", text, got, want)
		}
	}
}

// TestNonceAge: what is known of the age of a nonce.
func TestNonceAge(t *testing.T) {
	v := newView(t)
	kept := message(t, protocol.KindState, "gw-1", "", state("i1", 1, true))
	kept.Retained = true
	if _, err := v.Observe(kept, 1000); err != nil {
		t.Fatal(err)
	}
	g := v.Gateway("gw-1")
	if least, most := g.NonceAge(2000, g.Presence.Now.Nonce); least != 0 || most != 20*60_000 {
		t.Errorf("of a kept state: %d to %d", least, most)
	}
	beat := protocol.Heartbeat{V: 1, Session: 1, Boot: 1, Mono: 300_000}
	if _, err := v.Observe(message(t, protocol.KindHeartbeat, "gw-1", "", beat), 3000); err != nil {
		t.Fatal(err)
	}
	if least, _ := g.NonceAge(4000, g.Presence.Now.Nonce); least != 301_000 {
		t.Errorf("behind a heartbeat: %d", least)
	}
	if _, err := v.Observe(message(t, protocol.KindState, "gw-1", "", state("i1", 2, true)), 5000); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(v.Names(), "gw-1") {
		t.Error("no names")
	}
}

func gatewayKey(name string) trust.SecretKey {
	var seed [trust.SeedBytes]byte
	copy(seed[:], "of "+name)
	return trust.NewSecretKey(seed)
}

// ringWith returns a keyring in which gateways have keys: names, or names with the key of
// another behind a colon.
func ringWith(t testing.TB, version uint64, gateways ...string) *trust.Ring {
	t.Helper()
	root := trust.Root{Threshold: 1, Keys: []trust.PublicKey{gatewayKey("root").Public()}}
	k := trust.Keyring{Fleet: "plant7", Version: version, Epoch: 1, Root: root}
	for _, name := range gateways {
		name, of, other := strings.Cut(name, ":")
		if !other {
			of = name
		}
		k.Gateways = append(k.Gateways, trust.GatewayKey{Gateway: name, Public: gatewayKey(of).Public()})
	}
	data, err := trust.SealKeyring(k, gatewayKey("root"))
	if err != nil {
		t.Fatal(err)
	}
	pinned, err := trust.Pin("plant7", root)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := pinned.Advance(data)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// signed makes a message with the signature of somebody.
func signed(t testing.TB, kind protocol.Kind, gateway, by string, s protocol.Statement) operator.Message {
	t.Helper()
	m := message(t, kind, gateway, "", s)
	data, err := protocol.Sign(s, gatewayKey(by).Signer())
	if err != nil {
		t.Fatal(err)
	}
	m.Payload = data
	return m
}

// TestViewVerifies: of a gateway with a key only what it has signed is believed, in the order
// in which it was said; one without a key is as before.
func TestViewVerifies(t *testing.T) {
	v := newView(t)
	v.Trust(ringWith(t, 1, "gw-1"), 0)
	expect := func(m operator.Message, doubted bool) operator.News {
		t.Helper()
		n, err := v.Observe(m, 0)
		if errors.Is(err, protocol.ErrUnverified) != doubted || err != nil && !doubted {
			t.Errorf("%s: %v", m.Topic, err)
		}
		return n
	}
	answer := protocol.Answer{V: 1, ID: protocol.NewID(1, [10]byte{}), Gateway: "gw-1", Instance: "i1", N: 3, Final: true, Status: protocol.StatusDone, Code: protocol.OK}
	expect(message(t, protocol.KindState, "gw-1", "", state("i1", 9, true)), true)
	expect(signed(t, protocol.KindReported, "gw-1", "mallory", reported("i1", 9, 5)), true)
	if n := expect(message(t, protocol.KindAnswer, "gw-1", "", answer), true); n.Answer != nil {
		t.Error("an answer that is not signed is handed on")
	}
	if g := v.Gateway("gw-1"); g.Unverified != 3 || !g.Keyed || g.Online() || g.Facts().Seen != 0 || g.Facts().Unverified != 3 {
		t.Errorf("after forgeries: %+v", g)
	}
	old := signed(t, protocol.KindReported, "gw-1", "gw-1", func() protocol.Reported { r := reported("i1", 2, 4); r.Revision = 1; return r }())
	newer := signed(t, protocol.KindReported, "gw-1", "gw-1", func() protocol.Reported { r := reported("i1", 2, 5); r.Revision = 2; return r }())
	expect(signed(t, protocol.KindState, "gw-1", "gw-1", state("i1", 2, true)), false)
	expect(old, false)
	expect(newer, false)
	expect(old, false) // recorded, and sent again
	if n := expect(signed(t, protocol.KindAnswer, "gw-1", "gw-1", answer), false); n.Answer == nil || !n.Signed {
		t.Error("a signed answer is not handed on as such")
	}
	if g := v.Gateway("gw-1"); !g.Online() || g.Facts().Seen != 5 || g.Unverified != 3 {
		t.Errorf("after what it has signed: %+v, %+v", g, g.Facts())
	}
	expect(message(t, protocol.KindState, "gw-2", "", state("i1", 1, true)), false)
	if g := v.Gateway("gw-2"); !g.Online() || g.Keyed || g.Unverified != 0 {
		t.Errorf("a gateway without a key: %+v", g)
	}
}

// TestViewTrust: another keyring changes what is believed of messages that came before it.
func TestViewTrust(t *testing.T) {
	v := newView(t)
	observe := func(m operator.Message) { _, _ = v.Observe(m, 0) }
	observe(message(t, protocol.KindState, "gw-1", "", state("i1", 9, true)))
	observe(signed(t, protocol.KindState, "gw-2", "gw-2", state("i1", 3, true)))
	observe(message(t, protocol.KindState, "gw-3", "", state("i1", 3, true)))
	if changed := v.Trust(ringWith(t, 1, "gw-1", "gw-2"), 0); !slices.Equal(changed, []string{"gw-1", "gw-2"}) {
		t.Errorf("changed: %v", changed)
	}
	if g := v.Gateway("gw-1"); g.Online() || g.Unverified != 1 {
		t.Errorf("what was unsigned is still believed: %+v", g)
	}
	if g := v.Gateway("gw-2"); !g.Online() || g.Unverified != 0 {
		t.Errorf("what was signed is not believed: %+v", g)
	}
	observe(signed(t, protocol.KindState, "gw-2", "gw-2b", state("i1", 4, true))) // with the next key already
	if g := v.Gateway("gw-2"); g.Unverified != 1 || g.Presence.Now.Session != 3 {
		t.Errorf("an unknown key is believed: %+v", g)
	}
	if changed := v.Trust(ringWith(t, 2, "gw-1", "gw-2:gw-2b"), 0); !slices.Equal(changed, []string{"gw-2"}) {
		t.Errorf("changed: %v", changed)
	}
	if g := v.Gateway("gw-2"); !g.Online() || g.Presence.Now.Session != 4 {
		t.Errorf("what came before its key was known: %+v", g)
	}
	if v.Trust(ringWith(t, 3), 0); !v.Gateway("gw-1").Online() {
		t.Error("without a key it is not as before")
	}
}
