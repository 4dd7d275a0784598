package trust_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"edged/fleet/trust"
)

// step is a keyring as its author meant it, and who has signed.
type step struct {
	version, epoch uint64
	threshold      int
	roots          []int
	signers        []int
}

func (s step) seal(t *testing.T) []byte {
	t.Helper()
	k := trust.Keyring{Fleet: "plant7", Version: s.version, Epoch: s.epoch, Root: trust.Root{Threshold: s.threshold}}
	for _, n := range s.roots {
		k.Root.Keys = append(k.Root.Keys, newKey(n).Public())
	}
	var keys []trust.SecretKey
	for _, n := range s.signers {
		keys = append(keys, newKey(n))
	}
	data, err := trust.SealKeyring(k, keys...)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// signed counts the root keys of s among the signers of other.
func (s step) signed(other step) (n int) {
	for _, root := range s.roots {
		if slices.Contains(other.signers, root) {
			n++
		}
	}
	return n
}

// follows is the whole law, as one would say it: next may come after s.
func (s step) follows(next step) bool {
	return s.signed(next) >= s.threshold && next.signed(next) >= next.threshold &&
		next.version > s.version && next.epoch >= s.epoch
}

func subset(random *rand.Rand, n, least int) []int {
	all := random.Perm(n)
	return all[:least+random.IntN(n-least+1)]
}

// Random keyrings with random roots and signers: Advance takes those that the law
// allows, and its version only rises.
func TestAdvanceAgainstLaw(t *testing.T) {
	random := chance(t, 2)
	taken, refused := 0, 0
	for range 60 {
		at := step{threshold: 1, roots: []int{0}}
		ring, err := trust.Pin("plant7", trust.Root{Threshold: 1, Keys: []trust.PublicKey{newKey(0).Public()}})
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			next := step{
				version: 1 + at.version - min(at.version, random.Uint64N(3)) + random.Uint64N(3),
				epoch:   max(1, at.epoch+1-random.Uint64N(min(3, at.epoch+2))),
				roots:   subset(random, 4, 1), signers: subset(random, 4, 1),
			}
			next.threshold = 1 + random.IntN(len(next.roots))
			envelope := next.seal(t)
			advanced, err := ring.Advance(envelope)
			if want := at.follows(next); (err == nil) != want {
				t.Fatalf("%+v after %+v: %v, want %v", next, at, err, want)
			}
			if err != nil {
				refused++
				continue
			}
			taken++
			if advanced.Version() != next.version || advanced.Epoch() != next.epoch || advanced.Version() <= ring.Version() {
				t.Fatalf("version %d, epoch %d, want %+v", advanced.Version(), advanced.Epoch(), next)
			}
			if restored, err := ring.Restore(advanced.Envelope()); err != nil || !reflect.DeepEqual(restored, advanced) {
				t.Fatalf("restored: %v", err)
			}
			if _, err := advanced.Advance(envelope); !errors.Is(err, trust.ErrStale) && !errors.Is(err, trust.ErrSignature) {
				t.Fatalf("the same keyring again: %v", err)
			}
			at, ring = next, advanced
		}
	}
	t.Logf("%d keyrings taken, %d refused", taken, refused)
	if taken < 50 || refused < 50 {
		t.Error("that proves little")
	}
}

// A gateway that was away at any point of a history comes to its end with the
// chain of what changed the root; without it, only if the root is still the same.
func TestCatchUp(t *testing.T) {
	history := []step{
		{version: 1, epoch: 1, threshold: 1, roots: []int{0}, signers: []int{0}},
		{version: 2, epoch: 1, threshold: 1, roots: []int{0}, signers: []int{0}},
		{version: 3, epoch: 1, threshold: 2, roots: []int{1, 2, 3}, signers: []int{0, 1, 3}},
		{version: 4, epoch: 2, threshold: 2, roots: []int{1, 2, 3}, signers: []int{2, 3}},
		{version: 7, epoch: 2, threshold: 2, roots: []int{4, 5}, signers: []int{1, 2, 4, 5}},
		{version: 8, epoch: 3, threshold: 2, roots: []int{4, 5}, signers: []int{4, 5}},
	}
	pinned, err := trust.Pin("plant7", trust.Root{Threshold: 1, Keys: []trust.PublicKey{newKey(0).Public()}})
	if err != nil {
		t.Fatal(err)
	}
	rings, envelopes := []*trust.Ring{pinned}, [][]byte{}
	for _, s := range history {
		envelopes = append(envelopes, s.seal(t))
		ring, err := rings[len(rings)-1].Advance(envelopes[len(envelopes)-1])
		if err != nil {
			t.Fatal(err)
		}
		rings = append(rings, ring)
	}
	short, err := trust.EncodeChain(envelopes[2], envelopes[4], envelopes[5])
	if err != nil {
		t.Fatal(err)
	}
	for away, ring := range rings {
		got, err := ring.Catch(short)
		if got.Version() != 8 || (err == nil) != (ring.Version() < 8) || err != nil && !errors.Is(err, trust.ErrStale) {
			t.Errorf("from %d: version %d, %v", away, got.Version(), err)
		}
		last, _ := trust.EncodeChain(envelopes[5])
		got, err = ring.Catch(last)
		if same := ring.Version() == 7; same != (err == nil) || got.Version() != map[bool]uint64{true: 8, false: ring.Version()}[same] {
			t.Errorf("from %d with the last only: version %d, %v", away, got.Version(), err)
		}
	}
	// A chain that ends in nonsense leads as far as it is sound.
	broken, _ := trust.EncodeChain(envelopes[2], []byte(`{"x":1}`))
	if got, err := rings[1].Catch(broken); got.Version() != 3 || !errors.Is(err, trust.ErrEnvelope) {
		t.Errorf("version %d, %v", got.Version(), err)
	}
	for _, text := range []string{``, `{}`, `{"v":1,"keyrings":[]}`, `{"v":2,"keyrings":[{}]}`, `{"v":1,"keyrings":[1],"x":1}`,
		`{"v":1,"keyrings":[` + strings.Repeat("1,", trust.ChainMax) + `1]}`} {
		if got, err := rings[1].Catch([]byte(text)); got != rings[1] || err == nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestAdvanceFaults(t *testing.T) {
	ring := ringOf(t, nil)
	root := newKey(1000)
	base := trust.Keyring{Fleet: "plant7", Version: 2, Epoch: 1, Root: trust.Root{Threshold: 1, Keys: []trust.PublicKey{root.Public()}}}
	for name, test := range map[string]struct {
		change func(*trust.Keyring)
		want   error
	}{
		"good":             {func(*trust.Keyring) {}, nil},
		"the same version": {func(k *trust.Keyring) { k.Version = 1 }, trust.ErrStale},
		"a far version":    {func(k *trust.Keyring) { k.Version = 2 + trust.VersionJumpMax }, trust.ErrKeyring},
		"a far epoch":      {func(k *trust.Keyring) { k.Epoch = 2 + trust.VersionJumpMax }, trust.ErrKeyring},
		"another fleet":    {func(k *trust.Keyring) { k.Fleet = "plant8" }, trust.ErrAudience},
		"another root":     {func(k *trust.Keyring) { k.Root.Keys = []trust.PublicKey{newKey(9).Public()} }, trust.ErrSignature},
		"a higher bar": {func(k *trust.Keyring) {
			k.Root = trust.Root{Threshold: 2, Keys: append(k.Root.Keys, newKey(9).Public())}
		}, trust.ErrSignature},
		"a lower bar, fine": {func(k *trust.Keyring) {
			k.Root = trust.Root{Threshold: 1, Keys: append(k.Root.Keys, newKey(9).Public())}
		}, nil},
	} {
		k := base
		test.change(&k)
		envelope, err := trust.SealKeyring(k, root)
		if err != nil {
			t.Fatal(name, err)
		}
		if _, err := ring.Advance(envelope); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
	payload := []byte(`{"v":1,"fleet":"plant7"}`)
	other := trust.Seal(trust.TypeDesired, payload, root)
	if _, err := ring.Advance(other.Encode()); !errors.Is(err, trust.ErrKeyring) {
		t.Errorf("another type: %v", err)
	}
}

// A keyring that contradicts itself is neither signed nor taken.
func TestKeyringFaults(t *testing.T) {
	root, alice := newKey(1000), newKey(1)
	for name, change := range map[string]func(*trust.Keyring){
		"no fleet":            func(k *trust.Keyring) { k.Fleet = "" },
		"no version":          func(k *trust.Keyring) { k.Version = 0 },
		"version of 54 bits":  func(k *trust.Keyring) { k.Version = 1 << 53 },
		"no epoch":            func(k *trust.Keyring) { k.Epoch = 0 },
		"no root":             func(k *trust.Keyring) { k.Root.Keys = nil },
		"no threshold":        func(k *trust.Keyring) { k.Root.Threshold = 0 },
		"threshold too high":  func(k *trust.Keyring) { k.Root.Threshold = 2 },
		"a root key twice":    func(k *trust.Keyring) { k.Root.Keys = append(k.Root.Keys, k.Root.Keys[0]) },
		"an empty root key":   func(k *trust.Keyring) { k.Root.Keys = append(k.Root.Keys, trust.PublicKey{}) },
		"a key twice":         func(k *trust.Keyring) { k.Keys = append(k.Keys, k.Keys[0]) },
		"a root key as a key": func(k *trust.Keyring) { k.Keys[0].Public = k.Root.Keys[0] },
		"an empty key":        func(k *trust.Keyring) { k.Keys[0].Public = trust.PublicKey{} },
		"no holder":           func(k *trust.Keyring) { k.Keys[0].Holder = "" },
		"no role":             func(k *trust.Keyring) { k.Keys[0].Roles = nil },
		"an unknown role":     func(k *trust.Keyring) { k.Keys[0].Roles = []trust.Role{"king"} },
		"no scope":            func(k *trust.Keyring) { k.Keys[0].Scope = "a==b" },
		"until before from":   func(k *trust.Keyring) { k.Keys[0].From, k.Keys[0].Until = 3, 2 },
		"no name of a class":  func(k *trust.Keyring) { k.Classes = map[string]trust.Class{"": trust.Read} },
		"more keys":           func(k *trust.Keyring) { k.Keys = slices.Repeat(k.Keys, trust.KeysMax+1) },
	} {
		k := trust.Keyring{Fleet: "plant7", Version: 1, Epoch: 1,
			Root: trust.Root{Threshold: 1, Keys: []trust.PublicKey{root.Public()}},
			Keys: []trust.Key{{Public: alice.Public(), Holder: "alice", Roles: []trust.Role{trust.Viewer}}}}
		change(&k)
		if _, err := trust.SealKeyring(k, root); !errors.Is(err, trust.ErrKeyring) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Keys are valid by version, classes only rise.
func TestValidity(t *testing.T) {
	key := newKey(1)
	for _, test := range []struct {
		from, until, version uint64
		valid                bool
	}{{0, 0, 9, true}, {9, 0, 9, true}, {10, 0, 9, false}, {1, 9, 9, true}, {1, 8, 9, false}} {
		ring := ringOf(t, func(k *trust.Keyring) {
			k.Version, k.Keys[0].From, k.Keys[0].Until = test.version, test.from, test.until
		}, key)
		e := trust.Seal(trust.TypeCommand, nil, key)
		if _, err := ring.Verify(&e); (err == nil) != test.valid || err != nil && !errors.Is(err, trust.ErrRevoked) {
			t.Errorf("%+v: %v", test, err)
		}
	}
	ring := ringOf(t, func(k *trust.Keyring) {
		k.Classes = map[string]trust.Class{"pipeline.drain": trust.Dangerous, "state.reset": trust.Read}
	})
	for op, want := range map[string]trust.Class{"pipeline.drain": trust.Dangerous, "state.reset": trust.Destructive, "ping": trust.Read} {
		base := map[string]trust.Class{"pipeline.drain": trust.Operate, "state.reset": trust.Destructive}[op]
		if got := ring.Class(op, base); got != want {
			t.Errorf("%s is %s, want %s", op, got, want)
		}
	}
}

// Whatever a careless root signs: it is refused, or it is a keyring that encodes
// and restores to the same.
func FuzzAdvance(f *testing.F) {
	root := newKey(1000)
	pinned, err := trust.Pin("plant7", trust.Root{Threshold: 1, Keys: []trust.PublicKey{root.Public()}})
	if err != nil {
		f.Fatal(err)
	}
	ring := ringOf(f, func(k *trust.Keyring) {
		k.Keys[0].Scope, k.Classes, k.Expires = "site=a", map[string]trust.Class{"x": trust.Dangerous}, 7
	}, newKey(1), newKey(2))
	e, _ := trust.Open(ring.Envelope(), trust.KeyringBytesMax)
	f.Add(e.Payload)
	f.Add(fmt.Appendf(nil, `{"v":1,"fleet":"plant7","version":1,"epoch":1,"root":{"threshold":1,"keys":[%q]},"keys":[]}`, root.Public()))
	f.Fuzz(func(t *testing.T, payload []byte) {
		e := trust.Seal(trust.TypeKeyring, payload, root)
		ring, err := pinned.Advance(e.Encode())
		if err != nil {
			return
		}
		if ring.Version() == 0 || ring.Fleet() != "plant7" || len(ring.Keys()) > trust.KeysMax {
			t.Fatalf("accepted %q", payload)
		}
		if again, err := pinned.Restore(ring.Envelope()); err != nil || !reflect.DeepEqual(ring, again) {
			t.Fatal(err)
		}
	})
}

// Bytes from the broker never do more than fail.
func FuzzCatch(f *testing.F) {
	ring := ringOf(f, nil, newKey(1))
	data, _ := trust.EncodeChain(ring.Envelope())
	f.Add(data)
	f.Add([]byte(`{"v":1,"keyrings":[{}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if got, err := ring.Catch(data); err == nil || got != ring {
			t.Fatalf("version %d from %q", got.Version(), data)
		}
	})
}

// TestGatewayKeys: they are in a list of their own, command nothing, and are left out when
// there are none, for programs that do not know the list.
func TestGatewayKeys(t *testing.T) {
	root := trust.Root{Threshold: 1, Keys: []trust.PublicKey{newKey(0).Public()}}
	olga := trust.Key{Public: newKey(1).Public(), Holder: "olga", Roles: []trust.Role{trust.Admin}}
	base := trust.Keyring{Fleet: "plant7", Version: 1, Epoch: 1, Root: root, Keys: []trust.Key{olga}}
	seal := func(keys ...trust.GatewayKey) ([]byte, error) {
		k := base
		k.Gateways = keys
		return trust.SealKeyring(k, newKey(0))
	}
	of := func(name string, n int) trust.GatewayKey {
		return trust.GatewayKey{Gateway: name, Public: newKey(n).Public()}
	}
	for name, keys := range map[string][]trust.GatewayKey{
		"an operator's key": {of("gw-1", 1)}, "a root key": {of("gw-1", 0)}, "twice": {of("gw-1", 2), of("gw-2", 2)},
		"no name": {of("", 2)}, "no key": {{Gateway: "gw-1"}},
	} {
		if _, err := seal(keys...); !errors.Is(err, trust.ErrKeyring) {
			t.Errorf("%s: %v", name, err)
		}
	}
	pinned, err := trust.Pin("plant7", root)
	if err != nil {
		t.Fatal(err)
	}
	open := func(keys ...trust.GatewayKey) (*trust.Ring, trust.Envelope) {
		t.Helper()
		data, err := seal(keys...)
		if err != nil {
			t.Fatal(err)
		}
		ring, err := pinned.Advance(data)
		if err != nil {
			t.Fatal(err)
		}
		e, _ := trust.Open(data, trust.KeyringBytesMax)
		return ring, e
	}
	if ring, e := open(); strings.Contains(string(e.Payload), "gateways") || ring.SignsGateways() {
		t.Errorf("without keys: %s", e.Payload)
	}
	ring, _ := open(of("gw-1", 2), of("gw-1", 3), of("gw-2", 4))
	for n, want := range map[int]bool{0: false, 1: false, 2: true, 3: true, 4: false} {
		e := trust.Seal(trust.TypeState, []byte("{}"), newKey(n))
		if err := ring.VerifyGateway("gw-1", &e); (err == nil) != want || err != nil && !errors.Is(err, trust.ErrSignature) {
			t.Errorf("key %d: %v", n, err)
		}
		if _, err := ring.Verify(&e); n >= 2 && !errors.Is(err, trust.ErrUnknown) {
			t.Errorf("the key of a gateway may command: %v", err)
		}
	}
	if text := fmt.Sprintf("%v %+v %#v", newKey(2).Signer(), newKey(2).Signer(), newKey(2).Signer()); strings.Count(text, "signer "+string(newKey(2).Public().ID())) != 3 {
		t.Errorf("a signer prints as %s", text)
	}
}
