package operator_test

import (
	"errors"
	"testing"

	"edged/fleet/operator"
	"edged/fleet/trust"
)

func key(holder string) trust.SecretKey {
	var seed [trust.SeedBytes]byte
	copy(seed[:], "of "+holder)
	return trust.NewSecretKey(seed)
}

func rootOf(threshold int, holders ...string) trust.Root {
	r := trust.Root{Threshold: threshold}
	for _, h := range holders {
		r.Keys = append(r.Keys, key(h).Public())
	}
	return r
}

// seal makes a keyring behind another, changes it and has it signed.
func seal(t *testing.T, ring *trust.Ring, change func(*operator.Proposal) error, holders ...string) []byte {
	t.Helper()
	p, err := operator.Next(ring)
	if err == nil {
		err = change(p)
	}
	for _, h := range holders {
		if err == nil {
			err = p.Sign(key(h), ring)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return p.Envelope.Encode()
}

// TestKeyringChain: from the first keyring over two rotations, and what of the chain
// gateways need.
func TestKeyringChain(t *testing.T) {
	pinned, err := trust.Pin("plant7", rootOf(2, "a", "b", "c"))
	if err != nil {
		t.Fatal(err)
	}
	first := &operator.Proposal{Keyring: trust.Keyring{V: 1, Fleet: "plant7", Version: 1, Epoch: 1, Root: pinned.Root()}}
	if err := errors.Join(first.Sign(key("a"), pinned), first.Sign(key("c"), pinned)); err != nil {
		t.Fatal(err)
	}
	all := [][]byte{first.Envelope.Encode()}
	ring := pinned
	step := func(change func(*operator.Proposal) error, holders ...string) {
		t.Helper()
		all = append(all, seal(t, ring, change, holders...))
	}
	advance := func() {
		t.Helper()
		if ring, err = ring.Advance(all[len(all)-1]); err != nil {
			t.Fatal(err)
		}
	}
	advance()
	step(func(p *operator.Proposal) error {
		return p.Add(trust.Key{Public: key("olga").Public(), Holder: "olga", Roles: []trust.Role{trust.Operator}})
	}, "a", "b")
	advance()
	step(func(p *operator.Proposal) error { return p.Rotate(rootOf(2, "b", "c", "d")) }, "a", "b", "c")
	advance()
	step(func(p *operator.Proposal) error {
		n, err := p.Revoke("olga")
		if n != 1 {
			t.Errorf("revoked %d", n)
		}
		return err
	}, "b", "d")
	advance()
	step(func(p *operator.Proposal) error { return p.RaiseEpoch() }, "c", "d")
	advance()
	kept, err := operator.Prune(pinned, all)
	if err != nil || len(kept) != 2 {
		t.Fatalf("%d of 5 keyrings are kept: %v", len(kept), err)
	}
	chain, err := trust.EncodeChain(kept...)
	if err != nil {
		t.Fatal(err)
	}
	if parts, err := operator.Chain(chain); err != nil || len(parts) != 2 {
		t.Errorf("%d parts: %v", len(parts), err)
	}
	// A gateway at any version comes to the last one.
	at := pinned
	for i := -1; i < len(all); i++ {
		if i >= 0 {
			if at, err = at.Advance(all[i]); err != nil {
				t.Fatal(err)
			}
		}
		last, err := at.Catch(chain)
		if err != nil && !errors.Is(err, trust.ErrStale) || last.Version() != 5 || last.Epoch() != 2 {
			t.Errorf("from version %d to %d: %v", at.Version(), last.Version(), err)
		}
	}
}

// TestProposalRefuses: what must not be done to a keyring.
func TestProposalRefuses(t *testing.T) {
	pinned, err := trust.Pin("plant7", rootOf(1, "a"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := operator.Next(pinned); !errors.Is(err, operator.ErrProposal) {
		t.Errorf("behind no keyring: %v", err)
	}
	fresh := func() *operator.Proposal {
		return &operator.Proposal{Keyring: trust.Keyring{V: 1, Fleet: "plant7", Version: 1, Epoch: 1, Root: pinned.Root()}}
	}
	signed := fresh()
	if err := signed.Sign(key("a"), pinned); err != nil {
		t.Fatal(err)
	}
	olga := trust.Key{Public: key("olga").Public(), Holder: "olga", Roles: []trust.Role{trust.Operator}}
	for name, try := range map[string]func() error{
		"a signed one is edited": func() error { return signed.Add(olga) },
		"nobody signs twice":     func() error { return signed.Sign(key("a"), pinned) },
		"a stranger signs":       func() error { return fresh().Sign(key("x"), pinned) },
		"nobody is revoked":      func() error { _, err := fresh().Revoke("x"); return err },
		"a root key gets roles":  func() error { k := olga; k.Public = key("a").Public(); return fresh().Add(k) },
		"a key is there twice": func() error {
			p := fresh()
			return errors.Join(p.Add(olga), p.Add(olga))
		},
		"a root without keys": func() error { return fresh().Rotate(trust.Root{}) },
	} {
		if err := try(); !errors.Is(err, operator.ErrProposal) && !errors.Is(err, trust.ErrKeyring) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, text := range []string{"", "{}", `{"v":1,"fleet":"x"}`, `{"payloadType":"x","payload":"","signatures":[]}`} {
		if _, err := operator.OpenProposal([]byte(text)); err == nil {
			t.Errorf("%q is a keyring", text)
		}
	}
}
