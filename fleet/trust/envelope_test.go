package trust_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"edged/fleet/trust"
)

// The example of the DSSE specification, protocol.md.
func TestPAE(t *testing.T) {
	got := string(trust.PAE("http://example.com/HelloWorld", []byte("hello world")))
	if want := "DSSEv1 29 http://example.com/HelloWorld 11 hello world"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// Two different pairs never have the same PAE: lengths stand before the parts.
func TestPAEIsInjective(t *testing.T) {
	parts := []string{"", " ", "1", "1 a", "a", "a 1", "a 1 b", "DSSEv1", "DSSEv1 1 a 1 b"}
	seen := map[string]string{}
	for _, typ := range parts {
		for _, payload := range parts {
			pae, pair := string(trust.PAE(typ, []byte(payload))), fmt.Sprintf("%q %q", typ, payload)
			if other, twice := seen[pae]; twice {
				t.Errorf("%s and %s are both %q", pair, other, pae)
			}
			seen[pae] = pair
		}
	}
}

// ringOf returns a ring whose keys are the viewers holder0, holder1, ...
func ringOf(t testing.TB, change func(*trust.Keyring), keys ...trust.SecretKey) *trust.Ring {
	t.Helper()
	root := newKey(1000)
	k := trust.Keyring{Fleet: "plant7", Version: 1, Epoch: 1, Root: trust.Root{Threshold: 1, Keys: []trust.PublicKey{root.Public()}}}
	for i, key := range keys {
		k.Keys = append(k.Keys, trust.Key{Public: key.Public(), Holder: fmt.Sprint("holder", i), Roles: []trust.Role{trust.Viewer}})
	}
	if change != nil {
		change(&k)
	}
	pinned, err := trust.Pin("plant7", k.Root)
	if err != nil {
		t.Fatal(err)
	}
	envelope, err := trust.SealKeyring(k, root)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := pinned.Advance(envelope)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// Every single bit of type, payload and signature counts.
func TestSignatureCoversAllBits(t *testing.T) {
	key := newKey(1)
	ring := ringOf(t, nil, key)
	sealed := func() trust.Envelope {
		e := trust.Seal(trust.TypeCommand, []byte(`{"op":"ping"}`), key)
		opened, err := trust.Open(e.Encode(), 1000)
		if err != nil || !reflect.DeepEqual(opened, e) {
			t.Fatalf("%v, %v, want %v", opened, err, e)
		}
		return opened
	}
	e := sealed()
	if signers, err := ring.Verify(&e); err != nil || len(signers) != 1 || signers[0].Holder != "holder0" {
		t.Fatalf("%v, %v", signers, err)
	}
	flip := func(what string, bits int, flip func(e *trust.Envelope, i int, mask byte)) {
		for bit := range bits {
			e := sealed()
			flip(&e, bit/8, 1<<(bit%8))
			if _, err := ring.Verify(&e); !errors.Is(err, trust.ErrSignature) {
				t.Errorf("bit %d of %s is flipped, and %v", bit, what, err)
			}
		}
	}
	flip("type", 8*len(e.Type), func(e *trust.Envelope, i int, mask byte) {
		b := []byte(e.Type)
		b[i] ^= mask
		e.Type = string(b)
	})
	flip("payload", 8*len(e.Payload), func(e *trust.Envelope, i int, mask byte) { e.Payload[i] ^= mask })
	flip("signature", 8*64, func(e *trust.Envelope, i int, mask byte) { e.Signatures[0].Bytes[i] ^= mask })
}

// Who has signed, of those that may: each once, whatever else is in the envelope.
func TestVerify(t *testing.T) {
	alice, bob, carol, mallory := newKey(1), newKey(2), newKey(3), newKey(4)
	ring := ringOf(t, func(k *trust.Keyring) {
		k.Version = 5
		k.Keys[2].Revoked = true
	}, alice, bob, carol)
	for name, test := range map[string]struct {
		keys  []trust.SecretKey
		spoil int // index of a signature that is made wrong; -1: none
		want  string
		err   error
	}{
		"one":                        {[]trust.SecretKey{alice}, -1, "holder0", nil},
		"two":                        {[]trust.SecretKey{bob, alice}, -1, "holder1 holder0", nil},
		"twice the same":             {[]trust.SecretKey{alice, alice}, -1, "holder0", nil},
		"the first is wrong":         {[]trust.SecretKey{alice, alice}, 0, "holder0", nil},
		"one of two is wrong":        {[]trust.SecretKey{alice, bob}, 0, "holder1", nil},
		"the only one is wrong":      {[]trust.SecretKey{alice}, 0, "", trust.ErrSignature},
		"unknown":                    {[]trust.SecretKey{mallory}, -1, "", trust.ErrUnknown},
		"unknown and known":          {[]trust.SecretKey{mallory, bob}, -1, "holder1", nil},
		"unknown, and wrong":         {[]trust.SecretKey{mallory, bob}, 1, "", trust.ErrSignature},
		"revoked":                    {[]trust.SecretKey{carol}, -1, "", trust.ErrRevoked},
		"revoked and another":        {[]trust.SecretKey{carol, alice}, -1, "holder0", nil},
		"revoked, and unknown":       {[]trust.SecretKey{carol, mallory}, -1, "", trust.ErrRevoked},
		"the root, which has no say": {[]trust.SecretKey{newKey(1000)}, -1, "", trust.ErrUnknown},
	} {
		e := trust.Seal(trust.TypeCommand, []byte("{}"), test.keys...)
		if test.spoil >= 0 {
			e.Signatures[test.spoil].Bytes[3] ^= 1
		}
		signers, err := ring.Verify(&e)
		var got []string
		for _, s := range signers {
			got = append(got, s.Holder)
		}
		if !errors.Is(err, test.err) || strings.Join(got, " ") != test.want {
			t.Errorf("%s: %v, %v, want %q, %v", name, got, err, test.want, test.err)
		}
	}
}

func TestOpenFaults(t *testing.T) {
	key := newKey(1)
	e := trust.Seal(trust.TypeCommand, []byte("{}"), key)
	good := string(e.Encode())
	sig := good[strings.Index(good, `"sig":"`)+7 : len(good)-4]
	many := trust.Seal(trust.TypeCommand, []byte("{}"), key, key, key, key, key, key, key, key, key)
	for name, text := range map[string]string{
		"empty":                "",
		"too large":            good + strings.Repeat(" ", 2000),
		"no signature":         strings.Replace(good, good[strings.Index(good, `[{`):], "[]}", 1),
		"no type":              strings.Replace(good, trust.TypeCommand, "", 1),
		"a long type":          strings.Replace(good, trust.TypeCommand, strings.Repeat("x", 200), 1),
		"more signatures":      string(many.Encode()),
		"payload twice":        strings.Replace(good, `"payload"`, `"payload":"e30=","payload"`, 1),
		"another member":       strings.Replace(good, `"payload"`, `"note":1,"payload"`, 1),
		"other case":           strings.Replace(good, `"payload"`, `"Payload"`, 1),
		"URL alphabet":         strings.Replace(good, `"e30="`, `"_-8="`, 1),
		"no padding":           strings.Replace(good, `"e30="`, `"e30"`, 1),
		"loose bits":           strings.Replace(good, `"e30="`, `"e31="`, 1),
		"line feed in payload": strings.Replace(good, `"e30="`, `"e3\n0="`, 1),
		"short signature":      strings.Replace(good, sig, sig[4:], 1),
		"key id in capitals":   strings.Replace(good, string(key.Public().ID()), strings.ToUpper(string(key.Public().ID())), 1),
		"short key id":         strings.Replace(good, string(key.Public().ID()), "abcd", 1),
	} {
		if _, err := trust.Open([]byte(text), 2000); !errors.Is(err, trust.ErrEnvelope) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What is opened has one text, which opens to the same.
func FuzzOpen(f *testing.F) {
	e := trust.Seal(trust.TypeDesired, []byte(`{"v":1}`), newKey(1), newKey(2))
	f.Add(e.Encode())
	f.Add([]byte(`{"payloadType":"x","payload":"","signatures":[]}`))
	ring := ringOf(f, nil, newKey(1))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := trust.Open(data, 1<<16)
		if err != nil {
			return
		}
		again, err := trust.Open(e.Encode(), 1<<16)
		if err != nil || !reflect.DeepEqual(e, again) {
			t.Fatalf("%v, %v, want %v", again, err, e)
		}
		want := trust.Seal(trust.TypeDesired, []byte(`{"v":1}`))
		if _, err := ring.Verify(&e); err == nil && (e.Type != want.Type || string(e.Payload) != string(want.Payload)) {
			t.Fatalf("a signature was found for %q", e.Payload)
		}
	})
}
