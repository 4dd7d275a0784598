package trust

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// ErrKey says that a text is no key, or one that nobody must use.
var ErrKey = errors.New("trust: not a usable key")

// The sizes of keys in bytes.
const (
	PublicBytes = ed25519.PublicKeySize
	SeedBytes   = ed25519.SeedSize
	keyIDBytes  = 16
)

// KeyID names a public key: the first 16 bytes of its SHA-256, in hexadecimal.
type KeyID string

// Check returns an error if the id does not look like one.
func (id KeyID) Check() error {
	if b, err := hex.DecodeString(string(id)); err != nil || len(b) != keyIDBytes || strings.ToLower(string(id)) != string(id) {
		return fmt.Errorf("%q is no key id: want %d hexadecimal digits in lower case", id, 2*keyIDBytes)
	}
	return nil
}

// PublicKey verifies signatures. The zero value is no key.
type PublicKey [PublicBytes]byte

// ID returns the name of the key.
func (k PublicKey) ID() KeyID {
	sum := sha256.Sum256(k[:])
	return KeyID(hex.EncodeToString(sum[:keyIDBytes]))
}

// The beginnings of keys that are written on one line, and the types of PEM blocks.
const (
	publicPrefix = "edged-public:"
	secretPrefix = "edged-secret:"
	publicPEM    = "PUBLIC KEY"
	secretPEM    = "PRIVATE KEY"
)

// The DER of RFC 8410 before the 32 bytes that matter. It never differs, so that
// no ASN.1 has to be understood.
const (
	publicDER = "\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00"
	secretDER = "\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20"
)

// String returns the key on one line.
func (k PublicKey) String() string { return publicPrefix + base64.StdEncoding.EncodeToString(k[:]) }

// PEM returns the key as a block of PEM.
func (k PublicKey) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: publicPEM, Bytes: append([]byte(publicDER), k[:]...)})
}

// MarshalText returns the key on one line.
func (k PublicKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads a key on one line.
func (k *PublicKey) UnmarshalText(text []byte) error {
	key, err := ParsePublicKey(text)
	*k = key
	return err
}

// ParsePublicKey reads a key on one line, or as PEM. An error wraps [ErrKey].
func ParsePublicKey(text []byte) (PublicKey, error) {
	b, err := parse(text, format{prefix: publicPrefix, block: publicPEM, der: publicDER})
	if err != nil {
		return PublicKey{}, err
	}
	if smallOrder(b) {
		return PublicKey{}, fmt.Errorf("%w: its order is small: everybody can sign for it", ErrKey)
	}
	return PublicKey(b), nil
}

// SecretKey signs. It prints as its public key's id; [SecretKey.Line] and
// [SecretKey.PEM] give it away. The zero value is no key.
type SecretKey struct{ seed [SeedBytes]byte }

// NewSecretKey makes a key of 32 bytes that nobody can guess: read them from
// crypto/rand, or from a device that is at least as good.
func NewSecretKey(seed [SeedBytes]byte) SecretKey { return SecretKey{seed: seed} }

// Public returns the public half.
func (k SecretKey) Public() PublicKey {
	private := ed25519.NewKeyFromSeed(k.seed[:])
	return PublicKey(private[SeedBytes:])
}

// Line returns the secret on one line.
func (k SecretKey) Line() string {
	return secretPrefix + base64.StdEncoding.EncodeToString(k.seed[:])
}

// PEM returns the secret as a block of PEM (PKCS #8, not encrypted).
func (k SecretKey) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: secretPEM, Bytes: append([]byte(secretDER), k.seed[:]...)})
}

// String returns a name of the key that is no secret.
func (k SecretKey) String() string { return "secret key " + string(k.Public().ID()) }

// Format prints what String returns, whatever the verb.
func (k SecretKey) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(k.String())) }

// sign returns the signature of the message.
func (k SecretKey) sign(message []byte) []byte {
	return ed25519.Sign(ed25519.NewKeyFromSeed(k.seed[:]), message)
}

// Signer signs many messages with one key: it keeps what [SecretKey] computes each time.
type Signer struct {
	private ed25519.PrivateKey
	id      KeyID
}

// Signer returns a signer with the key.
func (k SecretKey) Signer() *Signer {
	return &Signer{private: ed25519.NewKeyFromSeed(k.seed[:]), id: k.Public().ID()}
}

// ID returns the name of the key.
func (s *Signer) ID() KeyID { return s.id }

// Sign returns what the key says of a payload.
func (s *Signer) Sign(payloadType string, payload []byte) Signature {
	return Signature{KeyID: s.id, Bytes: ed25519.Sign(s.private, PAE(payloadType, payload))}
}

// Format prints the name of the key, which is no secret, whatever the verb.
func (s *Signer) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("signer " + string(s.id))) }

// ParseSecretKey reads a key on one line, or as PEM. An error wraps [ErrKey] and
// does not repeat the text.
func ParseSecretKey(text []byte) (SecretKey, error) {
	b, err := parse(text, format{prefix: secretPrefix, block: secretPEM, der: secretDER})
	if err != nil {
		return SecretKey{}, err
	}
	return SecretKey{seed: [SeedBytes]byte(b)}, nil
}

// format says how a kind of key is written.
type format struct{ prefix, block, der string }

// parse returns the 32 bytes of a key.
func parse(text []byte, f format) ([]byte, error) {
	line := strings.TrimSpace(string(text))
	if encoded, ok := strings.CutPrefix(line, f.prefix); ok {
		b, err := unbase64(encoded)
		if err != nil || len(b) != PublicBytes {
			return nil, fmt.Errorf("%w: after %q must come %d bytes in base64", ErrKey, f.prefix, PublicBytes)
		}
		return b, nil
	}
	block, rest := pem.Decode([]byte(line))
	if block == nil {
		return nil, fmt.Errorf("%w: it begins neither with %q nor with a PEM block of %q", ErrKey, f.prefix, f.block)
	}
	b, ok := bytes.CutPrefix(block.Bytes, []byte(f.der))
	switch {
	case block.Type != f.block:
		return nil, fmt.Errorf("%w: a PEM block of %q, want %q", ErrKey, block.Type, f.block)
	case !ok || len(b) != PublicBytes:
		return nil, fmt.Errorf("%w: the PEM block does not hold an Ed25519 key (RFC 8410)", ErrKey)
	case len(bytes.TrimSpace(rest)) > 0:
		return nil, fmt.Errorf("%w: something follows the PEM block", ErrKey)
	}
	return b, nil
}

// unbase64 decodes the one text that stands for the bytes: no line feeds, no
// loose bits at the end.
func unbase64(text string) ([]byte, error) {
	if strings.ContainsAny(text, "\r\n") {
		return nil, base64.CorruptInputError(0)
	}
	return base64.StdEncoding.Strict().DecodeString(text)
}

// smallOrders are the y coordinates, little endian, of the points whose order
// divides 8, and their encodings above the prime. For such a key the signature
// (identity, 0) is right for one message in eight at least.
var smallOrders = []string{
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0100000000000000000000000000000000000000000000000000000000000000",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
}

// smallOrder reports whether a public key is one of smallOrders, whatever the
// sign of its x coordinate.
func smallOrder(key []byte) bool {
	y := bytes.Clone(key)
	y[PublicBytes-1] &= 0x7f
	text := hex.EncodeToString(y)
	for _, s := range smallOrders {
		if s == text {
			return true
		}
	}
	return false
}
