package trust_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"edged/fleet/trust"
)

var seed = flag.Uint64("seed", uint64(time.Now().UnixNano()), "seed of the random tests")

// chance returns the source of chance of one test.
func chance(t testing.TB, stream uint64) *rand.Rand {
	t.Logf("seed %d", *seed)
	return rand.New(rand.NewPCG(*seed, stream))
}

// newKey returns the n-th key of a test.
func newKey(n int) trust.SecretKey {
	var seed [trust.SeedBytes]byte
	copy(seed[:], fmt.Sprintf("key %d of the tests", n))
	return trust.NewSecretKey(seed)
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The first test vector of RFC 8032, section 7.1.
func TestKeyVector(t *testing.T) {
	secret := trust.NewSecretKey([32]byte(unhex(t, "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")))
	public := secret.Public()
	if got := hex.EncodeToString(public[:]); got != "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a" {
		t.Errorf("public key %s", got)
	}
	if got := public.ID(); got != "21fe31dfa154a261626bf854046fd227" || got.Check() != nil {
		t.Errorf("id %s, %v", got, got.Check())
	}
}

// Keys survive both of their texts, and openssl's tools would read them: the
// standard library does.
func TestKeyTexts(t *testing.T) {
	for n := range 20 {
		secret := newKey(n)
		public := secret.Public()
		for _, text := range [][]byte{[]byte(public.String()), public.PEM(), []byte(" " + public.String() + "\n")} {
			if got, err := trust.ParsePublicKey(text); err != nil || got != public {
				t.Errorf("%s: %v, %v", text, got, err)
			}
		}
		for _, text := range [][]byte{[]byte(secret.Line()), secret.PEM()} {
			if got, err := trust.ParseSecretKey(text); err != nil || got != secret {
				t.Errorf("%s: %v", text, err)
			}
		}
		block, _ := pem.Decode(public.PEM())
		if key, err := x509.ParsePKIXPublicKey(block.Bytes); err != nil || !bytes.Equal(key.(ed25519.PublicKey), public[:]) {
			t.Errorf("x509: %v, %v", key, err)
		}
		block, _ = pem.Decode(secret.PEM())
		if key, err := x509.ParsePKCS8PrivateKey(block.Bytes); err != nil || !bytes.Equal(key.(ed25519.PrivateKey)[32:], public[:]) {
			t.Errorf("x509: %v", err)
		}
	}
}

func TestKeyFaults(t *testing.T) {
	good := newKey(1)
	line := good.Public().String()
	for name, text := range map[string]string{
		"nothing":           "",
		"no prefix":         strings.TrimPrefix(line, "edged-public:"),
		"a secret":          good.Line(),
		"a secret's PEM":    string(good.PEM()),
		"short":             "edged-public:AAAA",
		"a line feed in it": line[:30] + "\n" + line[30:],
		"loose bits":        strings.TrimSuffix(line, line[len(line)-2:]) + "B=",
		"two blocks":        string(good.Public().PEM()) + string(good.Public().PEM()),
		"another algorithm": string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: make([]byte, 44)})),
	} {
		if _, err := trust.ParsePublicKey([]byte(text)); !errors.Is(err, trust.ErrKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := trust.ParseSecretKey([]byte("edged-secret:c2VjcmV0"))
	if !errors.Is(err, trust.ErrKey) || strings.Contains(err.Error(), "c2VjcmV0") {
		t.Errorf("%v", err)
	}
}

// smallOrders are the public keys that ParsePublicKey must refuse.
var smallOrders = []string{
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0100000000000000000000000000000000000000000000000000000000000000",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"0000000000000000000000000000000000000000000000000000000000000080",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
}

// For a key of small order, a signature that nobody made is right for many
// messages; so such a key is none.
func TestSmallOrder(t *testing.T) {
	forged := make([]byte, ed25519.SignatureSize)
	forged[0] = 1 // R is the identity, S is zero
	for _, text := range smallOrders {
		key := unhex(t, text)
		if _, err := trust.ParsePublicKey([]byte("edged-public:" + base64.StdEncoding.EncodeToString(key))); !errors.Is(err, trust.ErrKey) {
			t.Errorf("%s was accepted: %v", text, err)
		}
		right := 0
		for n := range 200 {
			if ed25519.Verify(key, fmt.Append(nil, "message ", n), forged) {
				right++
			}
		}
		if right == 0 {
			t.Errorf("%s: nothing can be forged, so it need not be refused", text)
		}
	}
}

// Nothing that prints a secret key, or what it is in, prints the secret.
func TestSecretIsNotPrinted(t *testing.T) {
	secret := newKey(7)
	var texts []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		texts = append(texts, fmt.Sprintf(verb, secret), fmt.Sprintf(verb, &secret), fmt.Sprintf(verb, []any{secret}))
	}
	encoded, err := json.Marshal(secret)
	if err != nil {
		t.Fatal(err)
	}
	raw := []byte("key 7 of the tests")
	for _, text := range append(texts, string(encoded)) {
		for _, leak := range []string{string(raw), hex.EncodeToString(raw), strings.ToUpper(hex.EncodeToString(raw)), "107 101 121 32 55", "107, 101"} {
			if strings.Contains(text, leak) {
				t.Errorf("%q tells the secret", text)
			}
		}
	}
}

// Whatever is read as a key is written and read again the same.
func FuzzParseKey(f *testing.F) {
	key := newKey(1)
	for _, text := range []string{key.Line(), key.Public().String(), string(key.PEM()), string(key.Public().PEM()), "edged-public:", ""} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if public, err := trust.ParsePublicKey(text); err == nil {
			if again, err := trust.ParsePublicKey([]byte(public.String())); err != nil || again != public {
				t.Fatalf("%v, %v", again, err)
			}
		}
		if secret, err := trust.ParseSecretKey(text); err == nil {
			if again, err := trust.ParseSecretKey(secret.PEM()); err != nil || again != secret {
				t.Fatalf("%v", err)
			}
		}
	})
}
