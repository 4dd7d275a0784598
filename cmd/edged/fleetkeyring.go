package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"edged/fleet/operator"
	"edged/fleet/protocol"
	"edged/fleet/trust"
	"edged/mqtt"
)

const fleetKeyringLong = `Make, sign and publish keyrings: the documents that say which key may do what.

A keyring is made as a file, edited, and signed by enough holders of root keys, one
after the other, on any machine; the first signature ends editing. When it is
complete, publish takes it into the operator's home and puts the chain of keyrings
on the broker. Gateways that were away follow the chain when they return.`

func newFleetKeyringCmd(f *fleetFlags) *cobra.Command {
	cmd := &cobra.Command{Use: "keyring", Short: "make, sign and publish keyrings", Long: fleetKeyringLong, Example: "  edged fleet keyring show"}
	cmd.AddCommand(newKeyringNewCmd(f), newKeyringNextCmd(f), newKeyringAddCmd(f), newKeyringRevokeCmd(f), newKeyringRotateCmd(f),
		newKeyringSignCmd(f), newKeyringShowCmd(f), newKeyringPinCmd(f), newKeyringPublishCmd(f))
	return group(cmd)
}

// rootFlags are those that describe a root.
type rootFlags struct {
	threshold int
	keys      []string
}

func (r *rootFlags) add(cmd *cobra.Command) {
	cmd.Flags().IntVar(&r.threshold, "threshold", 1, "how many root keys must sign")
	cmd.Flags().StringArrayVar(&r.keys, "root", nil, "public key of a root, a file or the key itself (repeatable)")
}

func (r *rootFlags) root() (trust.Root, error) {
	root := trust.Root{Threshold: r.threshold}
	for _, word := range r.keys {
		key, err := readPublic(word)
		if err != nil {
			return root, err
		}
		root.Keys = append(root.Keys, key)
	}
	if err := root.Check(); err != nil {
		return root, failed(exitUsage, fmt.Errorf("--root and --threshold: %w", err))
	}
	return root, nil
}

func newKeyringNewCmd(f *fleetFlags) *cobra.Command {
	var r rootFlags
	cmd := &cobra.Command{
		Use: "new FILE", Short: "begin the first keyring of a fleet", Args: exactly(1, "the file to write"),
		Long:    "Write the first keyring of a fleet, version 1, without keys but the root's. Add keys to it, then sign it.",
		Example: "  edged fleet keyring new ring.json --fleet plant7 --threshold 2 --root anna.public --root bert.public --root carl.public",
		RunE: func(cmd *cobra.Command, args []string) error {
			root, err := r.root()
			if err != nil {
				return err
			}
			p := &operator.Proposal{Keyring: trust.Keyring{V: 1, Fleet: f.fleet, Version: 1, Epoch: 1, Root: root}}
			if err := p.Check(); err != nil {
				return failed(exitUsage, err)
			}
			return f.keep(cmd, args[0], p, writeNew)
		},
	}
	r.add(cmd)
	return cmd
}

func newKeyringNextCmd(f *fleetFlags) *cobra.Command {
	var epoch bool
	cmd := &cobra.Command{
		Use: "next FILE", Short: "begin the keyring behind the present one", Args: exactly(1, "the file to write"),
		Long: `Write the present keyring with the next version to a file, to be edited and signed.
With --raise-epoch all counters begin anew: that heals what a stolen key has done to
them, and makes all documents and commands from before worthless.`,
		Example: "  edged fleet keyring next ring-2.json",
		RunE: func(cmd *cobra.Command, args []string) error {
			home, err := openHome(f.home, f.fleet)
			if err != nil {
				return err
			}
			ring, _, err := home.ring()
			if err != nil {
				return err
			}
			p, err := operator.Next(ring)
			if err == nil && epoch {
				err = p.RaiseEpoch()
			}
			if err != nil {
				return failed(exitUsage, err)
			}
			return f.keep(cmd, args[0], p, writeNew)
		},
	}
	cmd.Flags().BoolVar(&epoch, "raise-epoch", false, "let all counters begin anew")
	return cmd
}

func newKeyringAddCmd(f *fleetFlags) *cobra.Command {
	var key trust.Key
	var public, gateway string
	var roles []string
	cmd := &cobra.Command{
		Use: "add FILE", Short: "add a key", Args: exactly(1, "the file of a keyring that nobody has signed"),
		Long: `Add a key with its holder and roles: viewer, operator, deployer, admin (each may
what the one before may) or clock. --scope limits it to the gateways with such labels.

With --gateway it is the key of a gateway (fleet.signing_key_file): from then on what comes
in its name is believed only if it is signed with it. It may command nothing. Gateways and
operators' programs that are older than such keys refuse a keyring that has one: update
them all first.`,
		Example: "  edged fleet keyring add ring.json --public gw-1.public --gateway gw-1\n\n  edged fleet keyring add ring.json --public olga.public --holder olga --role operator --scope site=berlin",
		RunE: func(cmd *cobra.Command, args []string) error {
			k, err := readPublic(public)
			if err != nil {
				return err
			}
			if gateway != "" {
				if key.Holder != "" || len(roles) > 0 || key.Scope != "" || key.From != 0 || key.Until != 0 {
					return failed(exitUsage, errors.New("--gateway: the key of a gateway has no holder, roles, scope or versions"))
				}
				return f.edit(cmd, args[0], func(p *operator.Proposal) error { return p.AddGateway(trust.GatewayKey{Gateway: gateway, Public: k}) })
			}
			key.Public, key.Roles = k, nil
			for _, role := range roles {
				key.Roles = append(key.Roles, trust.Role(role))
			}
			return f.edit(cmd, args[0], func(p *operator.Proposal) error { return p.Add(key) })
		},
	}
	cmd.Flags().StringVar(&public, "public", "", "the public key, a file or the key itself")
	cmd.Flags().StringVar(&key.Holder, "holder", "", "who has it")
	cmd.Flags().StringVar(&gateway, "gateway", "", "name of the gateway that has it, instead of a holder with roles")
	cmd.Flags().StringArrayVar(&roles, "role", nil, "what it may do (repeatable)")
	cmd.Flags().StringVar(&key.Scope, "scope", "", "selector of gateways; empty: all")
	cmd.Flags().Uint64Var(&key.From, "from", 0, "first version of the keyring in which it may sign")
	cmd.Flags().Uint64Var(&key.Until, "until", 0, "last version of the keyring in which it may sign; 0: no end")
	return cmd
}

func newKeyringRevokeCmd(f *fleetFlags) *cobra.Command {
	return &cobra.Command{
		Use: "revoke FILE KEYID|HOLDER|GATEWAY", Short: "revoke keys", Args: exactly(2, "the file, and the id of a key, its holder or its gateway"),
		Long: `Mark a key, or all keys of a holder, as never valid again. They stay listed, so that denials can say so.
Keys of a gateway are taken out: without any, what it says is unsigned again.`,
		Example: "  edged fleet keyring revoke ring-2.json olga",
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.edit(cmd, args[0], func(p *operator.Proposal) error {
				_, err := p.Revoke(args[1])
				if errors.Is(err, operator.ErrProposal) && p.RemoveGateway(args[1]) == nil {
					err = nil
				}
				return err
			})
		},
	}
}

func newKeyringRotateCmd(f *fleetFlags) *cobra.Command {
	var r rootFlags
	cmd := &cobra.Command{
		Use: "rotate FILE", Short: "replace the root keys", Args: exactly(1, "the file of a keyring that nobody has signed"),
		Long: `Replace the root keys. Such a keyring needs enough signatures of the root before
and of its own: both sign the same file.`,
		Example: "  edged fleet keyring rotate ring-3.json --threshold 2 --root bert.public --root carl.public --root dora.public",
		RunE: func(cmd *cobra.Command, args []string) error {
			root, err := r.root()
			if err != nil {
				return err
			}
			return f.edit(cmd, args[0], func(p *operator.Proposal) error { return p.Rotate(root) })
		},
	}
	r.add(cmd)
	return cmd
}

func newKeyringSignCmd(f *fleetFlags) *cobra.Command {
	return &cobra.Command{
		Use: "sign FILE", Short: "add the signature of a root key", Args: exactly(1, "the file of a keyring"),
		Long: `Sign a keyring with the root keys of --key, and write it back. Look at it first with
keyring show: what is signed is exactly what is in the file. No connection is needed.`,
		Example: "  edged fleet keyring sign ring.json --key anna.secret",
		RunE: func(cmd *cobra.Command, args []string) error {
			keys, err := f.signers()
			if err != nil {
				return err
			}
			previous := f.previous()
			return f.edit(cmd, args[0], func(p *operator.Proposal) error {
				for _, key := range keys {
					if err := p.Sign(key, previousOf(previous, p)); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
}

// previous returns the ring of the home, if there is one. A root holder's machine may
// have none.
func (f *fleetFlags) previous() *trust.Ring {
	home, err := openHome(f.home, f.fleet)
	if err != nil {
		return nil
	}
	ring, _, err := home.ring()
	if err != nil {
		return nil
	}
	return ring
}

// previousOf returns the ring that a proposal follows; nil if that is not known.
func previousOf(ring *trust.Ring, p *operator.Proposal) *trust.Ring {
	if ring == nil || ring.Fleet() != p.Keyring.Fleet || ring.Version() >= p.Keyring.Version {
		return nil
	}
	return ring
}

func newKeyringShowCmd(f *fleetFlags) *cobra.Command {
	return &cobra.Command{
		Use: "show [FILE]", Short: "show a keyring, and who has signed it", Args: atMostOne,
		Long:    "Show the keyring in a file and which signatures it still needs; without a file, the one in force.",
		Example: "  edged fleet keyring show ring.json",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				p, err := readProposal(args[0])
				if err != nil {
					return err
				}
				return f.showProposal(cmd, p)
			}
			home, err := openHome(f.home, f.fleet)
			if err != nil {
				return err
			}
			ring, _, err := home.ring()
			if err != nil {
				return err
			}
			if ring.Version() == 0 {
				return failed(exitConfig, errors.New("root keys are pinned, and no keyring is known yet: publish one, or run any command that reaches the broker"))
			}
			p, err := operator.OpenProposal(ring.Envelope())
			if err != nil {
				return err
			}
			return f.showProposal(cmd, p)
		},
	}
}

func newKeyringPinCmd(f *fleetFlags) *cobra.Command {
	return &cobra.Command{
		Use: "pin FILE", Short: "believe the root keys of a keyring", Args: exactly(1, "the file of a keyring"),
		Long: `Store the root keys of a keyring in the operator's home: from now on keyrings are
believed that they sign. Compare the ids that are printed with who holds the keys, in
person or by telephone. Gateways are provisioned with the same root.`,
		Example: "  edged fleet keyring pin ring.json",
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := readProposal(args[0])
			if err != nil {
				return err
			}
			home, err := openHome(f.home, f.fleet)
			if err != nil {
				return err
			}
			if p.Keyring.Fleet != f.fleet {
				return failed(exitUsage, fmt.Errorf("%s is of fleet %s, not %s", args[0], p.Keyring.Fleet, f.fleet))
			}
			if err := home.pin(p.Keyring.Root); err != nil {
				return err
			}
			out := printer{cmd.OutOrStdout(), f.asJSON}
			return out.say(p.Keyring.Root, "%s", strings.TrimSuffix(describeRoot(p.Keyring.Root, nil), "\n"))
		},
	}
}

func newKeyringPublishCmd(f *fleetFlags) *cobra.Command {
	return &cobra.Command{
		Use: "publish [FILE]", Short: "put a signed keyring in force", Args: atMostOne,
		Long: `Take a keyring that is signed by enough root keys into the operator's home, and put
the chain of keyrings on the broker, where gateways find it. Without a file, only the
latter: for a broker that has lost it. It never replaces a newer chain.`,
		Example: "  edged fleet keyring publish ring.json",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				if err := f.adopt(args[0]); err != nil {
					return err
				}
			}
			return withDesk(f, cmd, func(ctx context.Context, d *desk) error { return d.publishChain(ctx, cmd) }, []string{}...)
		},
	}
}

// adopt takes a signed keyring into the home.
func (f *fleetFlags) adopt(file string) error {
	home, err := openHome(f.home, f.fleet)
	if err != nil {
		return err
	}
	p, err := readProposal(file)
	if err != nil {
		return err
	}
	if p.Envelope == nil {
		return failed(exitUsage, fmt.Errorf("%s: nobody has signed it; see edged fleet keyring sign", file))
	}
	chain, err := trust.EncodeChain(p.Envelope.Encode())
	if err != nil {
		return err
	}
	_, _, err = home.follow(chain)
	if errors.Is(err, trust.ErrStale) {
		err = nil // it is there already
	}
	if err != nil && exitCode(err) == exitUnexpected {
		err = failed(exitConfig, fmt.Errorf("%s: %w", file, err))
	}
	return err
}

// publishChain puts the home's chain on the broker.
func (d *desk) publishChain(ctx context.Context, cmd *cobra.Command) error {
	if d.ring == nil || d.ring.Version() == 0 {
		_, _, err := d.home.ring()
		return errors.Join(err, failed(exitUsage, errors.New("there is no keyring to publish; give its FILE")))
	}
	topic, err := d.topic(protocol.Topic{Kind: protocol.KindTrust})
	if err != nil {
		return err
	}
	if err := d.publish(ctx, mqtt.Note{Topic: topic, Payload: d.home.chain(), QoS: 1, Retain: true}); err != nil {
		return err
	}
	out := printer{cmd.OutOrStdout(), d.flags.asJSON}
	return out.say(map[string]any{"event": "published", "topic": topic, "version": d.ring.Version(), "epoch": d.ring.Epoch()},
		"keyring %d of fleet %s is on %s", d.ring.Version(), d.flags.fleet, topic)
}

// readProposal reads the file of a keyring.
func readProposal(file string) (*operator.Proposal, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, failed(exitUsage, fmt.Errorf("read a keyring: %w", err))
	}
	p, err := operator.OpenProposal(text)
	if err != nil {
		return nil, failed(exitConfig, fmt.Errorf("%s: %w", file, err))
	}
	return p, nil
}

// edit changes the keyring in a file.
func (f *fleetFlags) edit(cmd *cobra.Command, file string, change func(*operator.Proposal) error) error {
	p, err := readProposal(file)
	if err != nil {
		return err
	}
	if err := change(p); err != nil {
		return failed(exitUsage, fmt.Errorf("%s: %w", file, err))
	}
	return f.keep(cmd, file, p, writeDurable)
}

// keep writes a proposal and shows it.
func (f *fleetFlags) keep(cmd *cobra.Command, file string, p *operator.Proposal, write func(string, []byte) error) error {
	text, err := json.MarshalIndent(p.Keyring, "", "  ")
	if p.Envelope != nil {
		text = p.Envelope.Encode()
	}
	if err == nil {
		err = write(file, append(text, '\n'))
	}
	if err != nil {
		return err
	}
	return f.showProposal(cmd, p)
}

func (f *fleetFlags) showProposal(cmd *cobra.Command, p *operator.Proposal) error {
	var previous trust.Root
	if ring := previousOf(f.previous(), p); ring != nil {
		previous = ring.Root()
	}
	own, before := p.Signed(p.Keyring.Root), p.Signed(previous)
	out := printer{cmd.OutOrStdout(), f.asJSON}
	return out.say(map[string]any{
		"keyring": p.Keyring, "signed": own, "threshold": p.Keyring.Root.Threshold, "signed_before": before, "threshold_before": previous.Threshold,
	}, "%s", strings.TrimSuffix(describeKeyring(p, previous), "\n"))
}

func describeKeyring(p *operator.Proposal, previous trust.Root) string {
	k := &p.Keyring
	var b strings.Builder
	fmt.Fprintf(&b, "keyring %d of fleet %s, epoch %d\n", k.Version, k.Fleet, k.Epoch)
	b.WriteString(describeRoot(k.Root, p))
	if previous.Threshold > 0 && p.Signed(previous) < previous.Threshold {
		fmt.Fprintf(&b, "  of the root before, %d of %d have signed\n", p.Signed(previous), previous.Threshold)
	}
	for _, key := range k.Keys {
		fmt.Fprintf(&b, "%s  %-10s", key.Public.ID(), key.Holder)
		for _, role := range key.Roles {
			fmt.Fprintf(&b, " %s", role)
		}
		if key.Scope != "" {
			fmt.Fprintf(&b, " where %s", key.Scope)
		}
		if key.From > 0 || key.Until > 0 {
			fmt.Fprintf(&b, " in versions %d to %d", key.From, key.Until)
		}
		if key.Revoked {
			b.WriteString(" REVOKED")
		}
		b.WriteString("\n")
	}
	for _, key := range k.Gateways {
		fmt.Fprintf(&b, "%s  %-10s signs as this gateway\n", key.Public.ID(), key.Gateway)
	}
	if k.Expires != 0 {
		fmt.Fprintf(&b, "to be renewed by %s\n", time.UnixMilli(k.Expires).UTC().Format(time.DateOnly))
	}
	return b.String()
}

func describeRoot(root trust.Root, p *operator.Proposal) string {
	var b strings.Builder
	fmt.Fprintf(&b, "root: %d of %s must sign", root.Threshold, plural(len(root.Keys), "key"))
	if p != nil {
		fmt.Fprintf(&b, ", %d have", p.Signed(root))
	}
	b.WriteString("\n")
	for _, key := range root.Keys {
		mark := ""
		if p != nil && p.Signed(trust.Root{Threshold: 1, Keys: []trust.PublicKey{key}}) == 1 {
			mark = "  signed"
		}
		fmt.Fprintf(&b, "  %s%s\n", key.ID(), mark)
	}
	return b.String()
}
