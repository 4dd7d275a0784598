package trust

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"edged/fleet/strict"
)

// Limits of what [Ring.Advance] and [Ring.Catch] take.
const (
	// VersionJumpMax is how far a version, or an epoch, may rise at once: nobody
	// needs more, and a slip must not use the numbers up.
	VersionJumpMax = 1 << 20

	// ChainMax is how many keyrings a chain may have, ChainBytesMax its size.
	ChainMax      = 32
	ChainBytesMax = 1 << 20

	chainSchema = 1
)

// The reasons why somebody is not trusted.
var (
	ErrSignature = errors.New("trust: no valid signature")
	ErrUnknown   = errors.New("trust: the keyring does not have the key")
	ErrRevoked   = errors.New("trust: the key is revoked or not valid in this keyring")
	ErrStale     = errors.New("trust: not newer than the present keyring")
	ErrRole      = errors.New("trust: the role does not allow it")
	ErrHolders   = errors.New("trust: more holders must sign")
)

// Ring is a keyring that was verified; it does not change. Before the first one it
// has version 0 and no keys but the root's.
type Ring struct {
	doc      Keyring
	envelope []byte
	keys     map[KeyID]Key
	gateways map[string][]PublicKey
}

// Pin returns the ring that a gateway is provisioned with: it trusts nobody, and
// takes the first keyring from this root.
func Pin(fleet string, root Root) (*Ring, error) {
	if err := CheckName(fleet); err != nil {
		return nil, fmt.Errorf("pin root keys: fleet: %w", err)
	}
	if err := root.Check(); err != nil {
		return nil, fmt.Errorf("pin root keys: %w", err)
	}
	return &Ring{doc: Keyring{Fleet: fleet, Root: root}}, nil
}

// Restore returns the ring whose envelope was stored with [Ring.Envelope]; without
// one, r itself, which is the pinned one. The stored bytes are trusted as far as
// their own root goes, which may long have been another than the pinned one.
func (r *Ring) Restore(envelope []byte) (*Ring, error) {
	if len(envelope) == 0 {
		return r, nil
	}
	return r.open(envelope)
}

// Advance returns the ring with a newer keyring. r stays what it is. An error wraps
// [ErrStale] for a version that is not newer, [ErrSignature] if root keys are
// missing, [ErrEnvelope] or [ErrKeyring].
func (r *Ring) Advance(envelope []byte) (*Ring, error) {
	next, err := r.open(envelope)
	if err != nil {
		return nil, err
	}
	e, _ := Open(envelope, KeyringBytesMax)
	switch from, to := &r.doc, &next.doc; {
	case from.Root.enough(&e) != nil:
		return nil, fmt.Errorf("%w of the root of keyring %d: %w", ErrSignature, from.Version, from.Root.enough(&e))
	case to.Version <= from.Version:
		return nil, fmt.Errorf("%w: version %d, have %d", ErrStale, to.Version, from.Version)
	case to.Version-from.Version > VersionJumpMax:
		return nil, fmt.Errorf("%w: version %d is more than %d above %d", ErrKeyring, to.Version, VersionJumpMax, from.Version)
	case to.Epoch < from.Epoch || to.Epoch-from.Epoch > VersionJumpMax:
		return nil, fmt.Errorf("%w: epoch %d after %d", ErrKeyring, to.Epoch, from.Epoch)
	}
	return next, nil
}

// open reads an envelope that its own root has signed.
func (r *Ring) open(envelope []byte) (*Ring, error) {
	e, err := Open(envelope, KeyringBytesMax)
	if err != nil {
		return nil, err
	}
	if e.Type != TypeKeyring {
		return nil, fmt.Errorf("%w: its type is %q", ErrKeyring, clip(e.Type))
	}
	doc, err := parseKeyring(e.Payload)
	if err != nil {
		return nil, err
	}
	if doc.Fleet != r.doc.Fleet {
		return nil, fmt.Errorf("%w: of fleet %q, this is %q", ErrAudience, doc.Fleet, r.doc.Fleet)
	}
	if err := doc.Root.enough(&e); err != nil {
		return nil, fmt.Errorf("%w of its own root: %w", ErrSignature, err)
	}
	next := &Ring{doc: doc, envelope: append([]byte(nil), envelope...), keys: map[KeyID]Key{}, gateways: map[string][]PublicKey{}}
	for _, key := range doc.Gateways {
		next.gateways[key.Gateway] = append(next.gateways[key.Gateway], key.Public)
	}
	for _, key := range doc.Keys {
		next.keys[key.Public.ID()] = key
	}
	return next, nil
}

// enough returns an error unless as many root keys have signed as must.
func (r Root) enough(e *Envelope) error {
	n := 0
	for _, key := range r.Keys {
		if e.signedBy(key) {
			n++
		}
	}
	if n < r.Threshold {
		return fmt.Errorf("%d of %d keys have signed, %d must", n, len(r.Keys), r.Threshold)
	}
	return nil
}

// chain is what is published for gateways that were away.
type chain struct {
	V        int               `json:"v"`
	Keyrings []json.RawMessage `json:"keyrings"`
}

// EncodeChain returns the text for the topic of keyrings. It should have the
// newest keyring, and before it each that changed the root, oldest first.
func EncodeChain(envelopes ...[]byte) ([]byte, error) {
	c := chain{V: chainSchema}
	for _, e := range envelopes {
		c.Keyrings = append(c.Keyrings, e)
	}
	data, err := strict.Encode(c)
	if err != nil {
		return nil, fmt.Errorf("encode chain of keyrings: %w", err)
	}
	return data, nil
}

// Catch goes along a chain as far as it leads, passing over what is not newer. The
// ring that is returned is r or newer also together with an error, which says why
// it did not get further. [ErrStale] says that nothing was newer.
func (r *Ring) Catch(data []byte) (*Ring, error) {
	var c chain
	if err := strict.Decode(data, &c, strict.Limits{Bytes: ChainBytesMax, Depth: envelopeDepth + 2}); err != nil {
		return r, fmt.Errorf("%w: chain: %w", ErrKeyring, err)
	}
	if c.V != chainSchema || len(c.Keyrings) == 0 || len(c.Keyrings) > ChainMax {
		return r, fmt.Errorf("%w: a chain of v %d with %d keyrings, want v %d with 1 to %d", ErrKeyring, c.V, len(c.Keyrings), chainSchema, ChainMax)
	}
	at, fault := r, error(nil)
	for i, envelope := range c.Keyrings {
		next, err := at.Advance(envelope)
		if err != nil {
			fault = fmt.Errorf("keyrings[%d]: %w", i, err)
			continue // one from before a rotation that we have seen already
		}
		at, fault = next, nil
	}
	return at, fault
}

// Envelope returns the bytes to store; nil before the first keyring.
func (r *Ring) Envelope() []byte { return r.envelope }

// Fleet returns whose keyring it is.
func (r *Ring) Fleet() string { return r.doc.Fleet }

// Version returns the keyring's version; 0 before the first one.
func (r *Ring) Version() uint64 { return r.doc.Version }

// Epoch returns what counters count in.
func (r *Ring) Epoch() uint64 { return r.doc.Epoch }

// Root returns who signs the next keyring.
func (r *Ring) Root() Root { return r.doc.Root }

// Expires returns when people should have signed a new keyring, in milliseconds
// since the Unix epoch; 0: never.
func (r *Ring) Expires() int64 { return r.doc.Expires }

// Key returns an entry.
func (r *Ring) Key(id KeyID) (Key, bool) {
	key, ok := r.keys[id]
	return key, ok
}

// Keys returns all entries, in the order of the document.
func (r *Ring) Keys() []Key { return append([]Key(nil), r.doc.Keys...) }

// GatewayKeys returns the keys that a gateway signs with; none: it is not known to sign.
func (r *Ring) GatewayKeys(gateway string) []PublicKey { return slices.Clone(r.gateways[gateway]) }

// SignsGateways reports whether there is a gateway that is known to sign.
func (r *Ring) SignsGateways() bool { return len(r.gateways) > 0 }

// VerifyGateway returns an error that wraps [ErrSignature] unless one of the gateway's keys
// has signed.
func (r *Ring) VerifyGateway(gateway string, e *Envelope) error {
	for _, key := range r.gateways[gateway] {
		if e.signedBy(key) {
			return nil
		}
	}
	return fmt.Errorf("%w of a key that gateway %q has in keyring %d", ErrSignature, clip(gateway), r.doc.Version)
}

// Class returns the class of a command here: that of the program, or a higher one.
func (r *Ring) Class(op string, base Class) Class { return max(base, r.doc.Classes[op]) }

// Valid returns the entry of a key that may sign now. An error wraps [ErrUnknown] or
// [ErrRevoked].
func (r *Ring) Valid(id KeyID) (Key, error) {
	key, ok := r.keys[id]
	switch v := r.doc.Version; {
	case !ok:
		return Key{}, fmt.Errorf("%w: %s, in version %d", ErrUnknown, id, v)
	case key.Revoked:
		return Key{}, fmt.Errorf("%w: %s of %s is revoked in version %d", ErrRevoked, id, key.Holder, v)
	case v < key.From || key.Until != 0 && v > key.Until:
		return Key{}, fmt.Errorf("%w: %s of %s is valid from %d until %d, not in version %d", ErrRevoked, id, key.Holder, key.From, key.Until, v)
	}
	return key, nil
}

// Verify returns the keys that have signed and may sign, each once. If there is
// none, the error wraps [ErrUnknown] if the keyring has none of the keys,
// [ErrRevoked] if one of them is no longer valid, and otherwise [ErrSignature].
func (r *Ring) Verify(e *Envelope) ([]Key, error) {
	var signers []Key
	var revoked, unknown error
	unknowns := 0
	seen := map[KeyID]bool{}
	for _, s := range e.Signatures {
		if seen[s.KeyID] {
			continue
		}
		seen[s.KeyID] = true
		key, err := r.Valid(s.KeyID)
		switch {
		case errors.Is(err, ErrRevoked):
			revoked = err
		case err != nil:
			unknown = err
			unknowns++
		case e.signedBy(key.Public):
			signers = append(signers, key)
		}
	}
	switch {
	case len(signers) > 0:
		return signers, nil
	case revoked != nil:
		return nil, revoked
	case unknowns == len(seen):
		return nil, unknown
	}
	return nil, fmt.Errorf("%w of a key of keyring %d", ErrSignature, r.doc.Version)
}

// MayCommand reports whether the key may sign commands of the class for the gateway.
func (k Key) MayCommand(c Class, g Gateway) bool {
	for _, role := range k.Roles {
		if role.MayCommand(c) && k.covers(g) {
			return true
		}
	}
	return false
}

// MayIssue reports whether the key may sign documents of the type for the gateway.
func (k Key) MayIssue(payloadType string, g Gateway) bool {
	for _, role := range k.Roles {
		if role.MayIssue(payloadType) && k.covers(g) {
			return true
		}
	}
	return false
}

// Grant returns nil if the signers together may command the class on the gateway.
// An error wraps [ErrRole] if none of them may, [ErrHolders] if not enough.
func Grant(signers []Key, c Class, g Gateway) error {
	holders := map[string]bool{}
	for _, key := range signers {
		if key.MayCommand(c, g) {
			holders[key.Holder] = true
		}
	}
	switch n := len(holders); {
	case n == 0:
		return fmt.Errorf("%w: a command of class %s on gateway %q", ErrRole, c, g.ID)
	case n < c.Holders():
		return fmt.Errorf("%w: %d of %d for a command of class %s", ErrHolders, n, c.Holders(), c)
	}
	return nil
}
