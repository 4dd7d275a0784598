package trust

import (
	"errors"
	"fmt"
	"slices"

	"edged/fleet/strict"
)

// Limits of a [Keyring]. Numbers stay below 2^53, so that every JSON reader has
// them exactly.
const (
	KeysMax         = 64
	RootsMax        = 16
	ClassesMax      = 128
	GatewayKeysMax  = 512      // as many as fit into KeyringBytesMax, about
	KeyringBytesMax = 64 << 10 // of its envelope
	NumberMax       = 1<<53 - 1

	keyringSchema = 1
	keyringDepth  = 4
	opBytesMax    = 64
)

// ErrKeyring says that bytes are no keyring, or one that contradicts itself.
var ErrKeyring = errors.New("trust: not a keyring")

// Root says which keys sign keyrings, and how many of them must.
type Root struct {
	Threshold int         `json:"threshold"`
	Keys      []PublicKey `json:"keys,omitempty"`
}

// Key is an entry of a keyring.
type Key struct {
	Public  PublicKey `json:"key"`
	Holder  string    `json:"holder"` // who has it; two keys of one holder count once
	Roles   []Role    `json:"roles"`
	Scope   string    `json:"scope,omitempty"`   // a selector: where it may; empty: everywhere
	From    uint64    `json:"from,omitempty"`    // the first version of the keyring in which it may sign
	Until   uint64    `json:"until,omitempty"`   // the last one; 0: no end
	Revoked bool      `json:"revoked,omitempty"` // never again
}

// GatewayKey is a key that a gateway signs with what it says. It may command nothing. A
// gateway may have several, so that one can follow the other.
type GatewayKey struct {
	Gateway string    `json:"gw"`
	Public  PublicKey `json:"key"`
}

// Keyring is the document that root keys sign. See the package comment.
type Keyring struct {
	V       int              `json:"v"`
	Fleet   string           `json:"fleet"`
	Version uint64           `json:"version"`
	Epoch   uint64           `json:"epoch"` // what counters count in; never falls
	Root    Root             `json:"root"`
	Keys    []Key            `json:"keys,omitempty"`
	Classes map[string]Class `json:"classes,omitempty"`    // commands that are worse here than elsewhere
	Expires int64            `json:"expires_ms,omitempty"` // advice for people: when to sign a new one

	// Gateways is left out when it is empty: programs that do not know it refuse a keyring
	// that has it.
	Gateways []GatewayKey `json:"gateways,omitempty"`
}

// SealKeyring encodes a keyring and signs it: with enough keys of its own root, and
// of the one before if that is another. An error says what is wrong with the keyring.
func SealKeyring(k Keyring, roots ...SecretKey) ([]byte, error) {
	k.V = keyringSchema
	if err := k.check(); err != nil {
		return nil, err
	}
	payload, err := strict.Encode(k)
	if err != nil {
		return nil, fmt.Errorf("encode keyring: %w", err)
	}
	e := Seal(TypeKeyring, payload, roots...)
	return e.Encode(), nil
}

// parseKeyring reads the payload of an envelope.
func parseKeyring(payload []byte) (Keyring, error) {
	var k Keyring
	if err := strict.Decode(payload, &k, strict.Limits{Bytes: KeyringBytesMax, Depth: keyringDepth}); err != nil {
		return Keyring{}, fmt.Errorf("%w: %w", ErrKeyring, err)
	}
	if err := k.check(); err != nil {
		return Keyring{}, err
	}
	return k, nil
}

// check returns all that is wrong with the document.
func (k *Keyring) check() error {
	var errs []error
	fault := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("%w: "+format, append([]any{ErrKeyring}, args...)...))
	}
	if k.V != keyringSchema {
		fault("v is %d, this program speaks %d", k.V, keyringSchema)
	}
	if err := CheckName(k.Fleet); err != nil {
		fault("fleet: %w", err)
	}
	if k.Version < 1 || k.Version > NumberMax {
		fault("version %d is not from 1 to %d", k.Version, uint64(NumberMax))
	}
	if k.Epoch < 1 || k.Epoch > NumberMax {
		fault("epoch %d is not from 1 to %d", k.Epoch, uint64(NumberMax))
	}
	if err := k.Root.Check(); err != nil {
		fault("root: %w", err)
	}
	if len(k.Keys) > KeysMax {
		fault("%d keys are more than %d", len(k.Keys), KeysMax)
	}
	if len(k.Classes) > ClassesMax {
		fault("%d classes are more than %d", len(k.Classes), ClassesMax)
	}
	seen := map[PublicKey]bool{}
	for i, key := range k.Keys {
		if err := key.check(); err != nil {
			fault("keys[%d]: %w", i, err)
		}
		if seen[key.Public] || slices.Contains(k.Root.Keys, key.Public) {
			fault("keys[%d]: the key is there twice; root keys are for keyrings only", i)
		}
		seen[key.Public] = true
	}
	if len(k.Gateways) > GatewayKeysMax {
		fault("%d keys of gateways are more than %d", len(k.Gateways), GatewayKeysMax)
	}
	for i, key := range k.Gateways {
		if err := CheckName(key.Gateway); err != nil {
			fault("gateways[%d].gw: %w", i, err)
		}
		if seen[key.Public] || slices.Contains(k.Root.Keys, key.Public) || key.Public == (PublicKey{}) {
			fault("gateways[%d]: the key is missing, or there twice; a gateway's key is for nothing else", i)
		}
		seen[key.Public] = true
	}
	for op := range k.Classes {
		if n := len(op); n == 0 || n > opBytesMax {
			fault("classes: a name has %d bytes, want 1 to %d", n, opBytesMax)
		}
	}
	return errors.Join(errs...)
}

// Check returns an error if the root cannot sign anything.
func (r Root) Check() error {
	if n := len(r.Keys); n < 1 || n > RootsMax {
		return fmt.Errorf("%d keys, want 1 to %d", n, RootsMax)
	}
	if r.Threshold < 1 || r.Threshold > len(r.Keys) || r.Threshold > SignaturesMax {
		return fmt.Errorf("a threshold of %d with %d keys; want 1 to %d", r.Threshold, len(r.Keys), min(len(r.Keys), SignaturesMax))
	}
	for i, key := range r.Keys {
		if key == (PublicKey{}) || slices.Contains(r.Keys[:i], key) {
			return fmt.Errorf("keys[%d] is empty, or there twice", i)
		}
	}
	return nil
}

// check returns what is wrong with an entry.
func (k Key) check() error {
	if k.Public == (PublicKey{}) {
		return errors.New("key is missing")
	}
	if err := CheckName(k.Holder); err != nil {
		return fmt.Errorf("holder: %w", err)
	}
	for _, role := range k.Roles {
		if !role.known() {
			return fmt.Errorf("%q is no role", clip(string(role)))
		}
	}
	if len(k.Roles) == 0 || len(k.Roles) > len(reach)+1 {
		return fmt.Errorf("%d roles, want 1 to %d", len(k.Roles), len(reach)+1)
	}
	if k.Scope != "" {
		if _, err := ParseSelector(k.Scope); err != nil {
			return fmt.Errorf("scope: %w", err)
		}
	}
	if k.From > NumberMax || k.Until > NumberMax || k.Until != 0 && k.Until < k.From {
		return fmt.Errorf("valid from version %d until %d", k.From, k.Until)
	}
	return nil
}

// covers reports whether the key may act on the gateway.
func (k Key) covers(g Gateway) bool {
	if k.Scope == "" {
		return true
	}
	s, err := ParseSelector(k.Scope)
	return err == nil && s.Selects(g.Labels)
}
