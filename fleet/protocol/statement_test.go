package protocol_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"edged/fleet/protocol"
	"edged/fleet/trust"
)

func gatewayKey(name string) trust.SecretKey {
	var seed [trust.SeedBytes]byte
	copy(seed[:], "of "+name)
	return trust.NewSecretKey(seed)
}

// ringWith returns a keyring in which gateways have keys, by their names.
func ringWith(t testing.TB, gateways ...string) *trust.Ring {
	t.Helper()
	root := trust.Root{Threshold: 1, Keys: []trust.PublicKey{gatewayKey("root").Public()}}
	k := trust.Keyring{Fleet: "f", Version: 1, Epoch: 1, Root: root}
	for _, name := range gateways {
		k.Gateways = append(k.Gateways, trust.GatewayKey{Gateway: name, Public: gatewayKey(name).Public()})
	}
	data, err := trust.SealKeyring(k, gatewayKey("root"))
	if err != nil {
		t.Fatal(err)
	}
	pinned, err := trust.Pin("f", root)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := pinned.Advance(data)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// believed checks everything that must hold of one kind of statement.
func believed[S protocol.Statement](t *testing.T, s S) {
	t.Helper()
	ring := ringWith(t, "gw-1", "gw-2")
	data, err := protocol.Sign(s, gatewayKey("gw-1").Signer())
	if err != nil {
		t.Fatal(err)
	}
	plain, err := protocol.Encode(s)
	if err != nil {
		t.Fatal(err)
	}
	if got, signed, err := protocol.Believe[S](ring, "gw-1", data); err != nil || !signed || !reflect.DeepEqual(got, s) {
		t.Errorf("%T signed by its gateway: %t, %v: %+v", s, signed, err, got)
	}
	// Who knows nothing of signatures goes on reading.
	if got, err := protocol.Decode[S](data); err != nil || !reflect.DeepEqual(got, s) {
		t.Errorf("%T: an old reader: %v: %+v", s, err, got)
	}
	for _, ring := range []*trust.Ring{nil, ringWith(t), ringWith(t, "gw-2")} {
		for _, data := range [][]byte{data, plain} {
			if _, signed, err := protocol.Believe[S](ring, "gw-1", data); err != nil || signed {
				t.Errorf("%T without a key in the keyring: %t, %v", s, signed, err)
			}
		}
	}
	byOther, err := protocol.Sign(s, gatewayKey("gw-2").Signer())
	if err != nil {
		t.Fatal(err)
	}
	for name, forged := range map[string][]byte{"unsigned": plain, "signed by another": byOther, "empty": nil, "short": []byte("{}"),
		"of another payload type": retyped(t, plain)} {
		if _, _, err := protocol.Believe[S](ring, "gw-1", forged); !errors.Is(err, protocol.ErrUnverified) {
			t.Errorf("%T %s: %v", s, name, err)
		}
	}
	for bit := range 8 * len(data) {
		forged := bytes.Clone(data)
		forged[bit/8] ^= 1 << (bit % 8)
		if got, signed, err := protocol.Believe[S](ring, "gw-1", forged); err == nil {
			t.Fatalf("%T with bit %d changed: %t %+v\n%s", s, bit, signed, got, forged)
		}
	}
}

// retyped signs the bytes of a statement as something else.
func retyped(t *testing.T, body []byte) []byte {
	t.Helper()
	sig := gatewayKey("gw-1").Signer().Sign(trust.TypeCommand, body)
	tail, err := json.Marshal(map[string]any{"keyid": sig.KeyID, "sig": sig.Bytes})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Appendf(nil, `%s,"sig":%s}`, body[:len(body)-1], tail)
}

func TestStatements(t *testing.T) {
	t.Run("state", func(t *testing.T) { believed(t, online) })
	t.Run("will", func(t *testing.T) { believed(t, online.Will()) })
	t.Run("info", func(t *testing.T) { believed(t, info) })
	t.Run("reported", func(t *testing.T) { believed(t, said) })
	t.Run("answer", func(t *testing.T) { believed(t, answer) })
}

// TestStatementsAreNotEachOther: bytes that two kinds of statement could have are worth
// nothing as the other.
func TestStatementsAreNotEachOther(t *testing.T) {
	ring, by := ringWith(t, "gw-1"), gatewayKey("gw-1").Signer()
	data, err := protocol.Sign(online, by)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := protocol.Believe[protocol.Reported](ring, "gw-1", data); !errors.Is(err, protocol.ErrUnverified) {
		t.Errorf("a state as reported: %v", err)
	}
}

// BenchmarkStatements: what a signature costs a gateway, and its check an operator.
func BenchmarkStatements(b *testing.B) {
	ring, by := ringWith(b, "gw-1"), gatewayKey("gw-1").Signer()
	large := answer
	large.Result = json.RawMessage(`"` + string(bytes.Repeat([]byte("x"), protocol.ResultBytesMax-2)) + `"`)
	for name, a := range map[string]protocol.Answer{"small": answer, "128KiB": large} {
		signed, err := protocol.Sign(a, by)
		if err != nil {
			b.Fatal(err)
		}
		b.Run("encode/"+name, func(b *testing.B) {
			for b.Loop() {
				_, _ = protocol.Encode(a)
			}
		})
		b.Run("sign/"+name, func(b *testing.B) {
			for b.Loop() {
				_, _ = protocol.Sign(a, by)
			}
		})
		b.Run("decode/"+name, func(b *testing.B) {
			for b.Loop() {
				_, _ = protocol.Decode[protocol.Answer](signed)
			}
		})
		b.Run("believe/"+name, func(b *testing.B) {
			for b.Loop() {
				_, _, _ = protocol.Believe[protocol.Answer](ring, "gw-1", signed)
			}
		})
	}
}
