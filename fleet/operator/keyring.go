package operator

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"edged/fleet/strict"
	"edged/fleet/trust"
)

// ErrProposal says that a proposal for a keyring does not allow what was asked.
var ErrProposal = errors.New("operator: not possible with this keyring")

// Proposal is a keyring on its way through the hands of those who must sign it. While
// nobody has, it can be edited.
type Proposal struct {
	Keyring  trust.Keyring
	Envelope *trust.Envelope // nil: nobody has signed
}

// OpenProposal reads a proposal: a keyring as JSON, or an envelope with one, whose
// signatures are not verified.
func OpenProposal(data []byte) (*Proposal, error) {
	p := &Proposal{}
	payload := data
	if e, err := trust.Open(bytes.TrimSpace(data), trust.KeyringBytesMax); err == nil {
		if e.Type != trust.TypeKeyring {
			return nil, fmt.Errorf("%w: the envelope has a payload of type %.80q", trust.ErrKeyring, e.Type)
		}
		p.Envelope, payload = &e, e.Payload
	}
	if err := strict.Decode(payload, &p.Keyring, strict.Limits{Bytes: trust.KeyringBytesMax}); err != nil {
		return nil, fmt.Errorf("%w: %w", trust.ErrKeyring, err)
	}
	return p, p.Check()
}

// Check returns what is wrong with the keyring.
func (p *Proposal) Check() error {
	_, err := trust.SealKeyring(p.Keyring)
	return err
}

// Next returns a proposal for the keyring behind a ring, with the same content.
func Next(ring *trust.Ring) (*Proposal, error) {
	if ring.Version() == 0 {
		return nil, fmt.Errorf("%w: there is none yet; make the first one with keyring new", ErrProposal)
	}
	p, err := OpenProposal(ring.Envelope())
	if err != nil {
		return nil, err
	}
	p.Envelope = nil
	p.Keyring.Version++
	return p, nil
}

// edit changes the keyring if nobody has signed it, and it is sound afterwards.
func (p *Proposal) edit(change func(k *trust.Keyring) error) error {
	if p.Envelope != nil {
		return fmt.Errorf("%w: it is signed already, and any change would make the signatures worthless", ErrProposal)
	}
	k := p.Keyring
	k.Keys, k.Gateways = slices.Clone(k.Keys), slices.Clone(k.Gateways)
	if err := change(&k); err != nil {
		return err
	}
	if err := (&Proposal{Keyring: k}).Check(); err != nil {
		return err
	}
	p.Keyring = k
	return nil
}

// Add adds a key.
func (p *Proposal) Add(key trust.Key) error {
	return p.edit(func(k *trust.Keyring) error {
		k.Keys = append(k.Keys, key)
		return nil
	})
}

// AddGateway adds a key that a gateway signs with.
func (p *Proposal) AddGateway(key trust.GatewayKey) error {
	return p.edit(func(k *trust.Keyring) error {
		k.Gateways = append(k.Gateways, key)
		return nil
	})
}

// RemoveGateway takes the keys with an id, or of a gateway, out: they have never commanded
// anything, so nothing has to be remembered of them.
func (p *Proposal) RemoveGateway(name string) error {
	return p.edit(func(k *trust.Keyring) error {
		before := len(k.Gateways)
		k.Gateways = slices.DeleteFunc(k.Gateways, func(key trust.GatewayKey) bool {
			return key.Gateway == name || string(key.Public.ID()) == name
		})
		if len(k.Gateways) == before {
			return fmt.Errorf("%w: no gateway has the name or a key %q", ErrProposal, name)
		}
		return nil
	})
}

// Revoke marks a key, or all keys of a holder, as never valid again. It returns how
// many there were.
func (p *Proposal) Revoke(name string) (n int, err error) {
	err = p.edit(func(k *trust.Keyring) error {
		for i := range k.Keys {
			if key := &k.Keys[i]; (string(key.Public.ID()) == name || key.Holder == name) && !key.Revoked {
				key.Revoked = true
				n++
			}
		}
		if n == 0 {
			return fmt.Errorf("%w: no valid key is %q or held by %q", ErrProposal, name, name)
		}
		return nil
	})
	return n, err
}

// Rotate replaces the root.
func (p *Proposal) Rotate(root trust.Root) error {
	return p.edit(func(k *trust.Keyring) error {
		k.Root = root
		return nil
	})
}

// RaiseEpoch makes all numbers count anew.
func (p *Proposal) RaiseEpoch() error {
	return p.edit(func(k *trust.Keyring) error {
		k.Epoch++
		return nil
	})
}

// Sign adds the signature of a root key: of the keyring's own root, or of the one
// before. Without previous it is not known who that is, and any key may sign.
func (p *Proposal) Sign(key trust.SecretKey, previous *trust.Ring) error {
	public := key.Public()
	own := slices.Contains(p.Keyring.Root.Keys, public)
	if before := previous != nil && slices.Contains(previous.Root().Keys, public); !own && !before {
		return fmt.Errorf("%w: %s is no root key of version %d, nor of the one before", ErrProposal, public.ID(), p.Keyring.Version)
	}
	if p.Envelope == nil {
		payload, err := strict.Encode(p.Keyring)
		if err != nil {
			return fmt.Errorf("encode keyring: %w", err)
		}
		p.Envelope = &trust.Envelope{Type: trust.TypeKeyring, Payload: payload}
	}
	for _, s := range p.Envelope.Signatures {
		if s.KeyID == public.ID() {
			return fmt.Errorf("%w: %s has signed already", ErrProposal, public.ID())
		}
	}
	if len(p.Envelope.Signatures) >= trust.SignaturesMax {
		return fmt.Errorf("%w: %d signatures are all that an envelope takes", ErrProposal, trust.SignaturesMax)
	}
	p.Envelope.Sign(key)
	return nil
}

// Signed returns how many keys of a root have signed.
func (p *Proposal) Signed(root trust.Root) (n int) {
	if p.Envelope == nil {
		return 0
	}
	message := trust.PAE(p.Envelope.Type, p.Envelope.Payload)
	for _, key := range root.Keys {
		for _, s := range p.Envelope.Signatures {
			if s.KeyID == key.ID() && ed25519.Verify(key[:], message, s.Bytes) {
				n++
				break
			}
		}
	}
	return n
}

// Prune returns what of a chain gateways need that may be at any version since the
// pinned root: each keyring that changed the root, and the newest.
func Prune(pinned *trust.Ring, envelopes [][]byte) ([][]byte, error) {
	var kept [][]byte
	at := pinned
	for i, envelope := range envelopes {
		next, err := at.Advance(envelope)
		if err != nil {
			return nil, fmt.Errorf("keyrings[%d]: %w", i, err)
		}
		if i == len(envelopes)-1 || !sameRoot(at.Root(), next.Root()) {
			kept = append(kept, envelope)
		}
		at = next
	}
	if len(kept) > trust.ChainMax {
		return nil, fmt.Errorf("%w: a chain of %d keyrings is longer than %d: provision gateways with a newer root", ErrLimit, len(kept), trust.ChainMax)
	}
	return kept, nil
}

func sameRoot(a, b trust.Root) bool {
	return a.Threshold == b.Threshold && slices.Equal(a.Keys, b.Keys)
}

// Chain takes the text of a chain apart, oldest keyring first. Nothing is verified.
func Chain(data []byte) ([][]byte, error) {
	var c struct {
		V        int               `json:"v"`
		Keyrings []json.RawMessage `json:"keyrings"`
	}
	if err := strict.Decode(data, &c, strict.Limits{Bytes: trust.ChainBytesMax}); err != nil {
		return nil, fmt.Errorf("%w: chain: %w", trust.ErrKeyring, err)
	}
	all := make([][]byte, 0, len(c.Keyrings))
	for _, e := range c.Keyrings {
		all = append(all, e)
	}
	return all, nil
}
