package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"edged/fleet/audit"
	"edged/fleet/protocol"
	"edged/fleet/trust"
	"edged/mqtt"
)

const fleetAuditLong = `Fetch the audit log of a gateway with the command audit.export, and check that no line
was changed, left out or added: each has the hash of the one before, and the last one
must lead to the head that the gateway has published. Give --head with one you noted
before, to see that the log was not begun anew since.

The export itself is written into the log, so the head moves on while we look.`

const (
	auditPagesMax  = 10_000 // exports that one log may take
	auditPageBytes = 64 << 10
)

// auditPage is the result of audit.export {"after":N,"bytes":MAX}: whole lines behind
// line N, and the heads before the first and behind the last of them. Lines that are
// not kept any more are passed over.
type auditPage struct {
	Before string `json:"before"` // N:HASH
	Head   string `json:"head"`
	Lines  string `json:"lines"`
	More   bool   `json:"more"`
}

func newFleetAuditCmd(f *fleetFlags) *cobra.Command {
	var file, known string
	var after uint64
	var giveUp time.Duration
	cmd := &cobra.Command{
		Use: "audit GW", Short: "export and check the audit log of a gateway", Args: exactly(1, "the name of a gateway"), Long: fleetAuditLong,
		Example: "  edged fleet audit gw-1 --out gw-1.ndjson\n\n  edged fleet audit gw-1 --head 311:9f2c...",
		RunE: func(cmd *cobra.Command, args []string) error {
			filters, err := gatewayFilters(f, args[0])
			if err != nil {
				return err
			}
			a := &auditing{gateway: args[0], file: file, after: after}
			if known != "" {
				if a.known, err = audit.ParseHead(known); err != nil {
					return failed(exitUsage, fmt.Errorf("--head: %w", err))
				}
			}
			return withDesk(f, cmd, func(ctx context.Context, d *desk) error {
				a.run = func(args json.RawMessage) (*protocol.Answer, error) {
					return d.ask(ctx, protocol.Command{Op: "audit.export", Args: args}, a.gateway, giveUp)
				}
				return a.check(&printer{cmd.OutOrStdout(), f.asJSON}, d)
			}, filters...)
		},
	}
	cmd.Flags().StringVar(&file, "out", "", "write the lines to this file")
	cmd.Flags().StringVar(&known, "head", "", "a head N:HASH that the log must lead over")
	cmd.Flags().Uint64Var(&after, "after", 0, "begin behind this line")
	cmd.Flags().DurationVar(&giveUp, "give-up", 2*time.Minute, "how long to wait for each part")
	return cmd
}

// auditing is the check of one log.
type auditing struct {
	gateway string
	file    string
	after   uint64
	known   audit.Head
	run     func(args json.RawMessage) (*protocol.Answer, error)

	lines bytes.Buffer
	from  audit.Head
	at    audit.Head
	met   bool // the known head was on the way
}

// check fetches the log page by page and follows its chain to the published head.
func (a *auditing) check(out *printer, d *desk) error {
	first := true
	published, err := d.published(a.gateway)
	if err != nil {
		return err
	}
	for range auditPagesMax {
		page, err := a.page()
		if err != nil {
			return err
		}
		if err := a.follow(page, first); err != nil {
			return failed(exitCheck, fmt.Errorf("audit log of %s: %w", a.gateway, err))
		}
		first = false
		// What is behind the head of then is our own looking, for the most part.
		if a.at.N >= published.N || !page.More {
			return a.report(out, published)
		}
	}
	return failed(exitCheck, fmt.Errorf("audit log of %s: it does not end within %d parts; give --after", a.gateway, auditPagesMax))
}

// published returns the head that a gateway has published: what we fetch afterwards
// must lead over it.
func (d *desk) published(gateway string) (audit.Head, error) {
	g := d.view.Gateway(gateway)
	if g == nil || g.Reported() == nil || g.Reported().Audit == "" {
		return audit.Head{}, failed(exitCheck, fmt.Errorf("%s has published no head of its audit log, so nothing can be checked", gateway))
	}
	head, err := audit.ParseHead(g.Reported().Audit)
	if err != nil {
		return head, failed(exitCheck, fmt.Errorf("%s publishes a head that is none: %w", gateway, err))
	}
	return head, nil
}

// page fetches what is behind the head that we have reached.
func (a *auditing) page() (auditPage, error) {
	var page auditPage
	args, err := json.Marshal(map[string]uint64{"after": max(a.after, a.at.N), "bytes": auditPageBytes})
	if err != nil {
		return page, err
	}
	answer, err := a.run(args)
	if answer != nil && answer.Code != protocol.OK {
		err = failed(exitCheck, fmt.Errorf("%s does not export its audit log: %s: %s; %s", a.gateway, answer.Code, cleanText(answer.Message), answer.Code.Hint()))
	}
	if err != nil {
		return page, err
	}
	if err := json.Unmarshal(answer.Result, &page); err != nil {
		return page, failed(exitCheck, fmt.Errorf("%s answers audit.export with something else: %w", a.gateway, err))
	}
	return page, nil
}

// follow checks a page: it must begin where we are, and each line must follow.
func (a *auditing) follow(page auditPage, first bool) error {
	before, err := audit.ParseHead(page.Before)
	if err != nil {
		return err
	}
	if first {
		a.from, a.at = before, before
		a.met = a.known == audit.Head{} || before == a.known
	} else if before != a.at {
		return fmt.Errorf("%w: a part begins behind %v, and the one before ended with %v", audit.ErrChain, before, a.at)
	}
	for line := range strings.Lines(page.Lines) {
		next, _, err := a.at.Next([]byte(line))
		if err != nil {
			return err
		}
		a.at = next
		a.met = a.met || next == a.known
		a.lines.WriteString(line)
	}
	if head, err := audit.ParseHead(page.Head); err != nil || !page.More && head != a.at {
		return fmt.Errorf("%w: the gateway says that it ends with %s, the lines end with %v", audit.ErrChain, cleanText(page.Head), a.at)
	}
	return nil
}

// report says how it is.
func (a *auditing) report(out *printer, published audit.Head) error {
	if a.file != "" {
		if err := writeNew(a.file, a.lines.Bytes()); err != nil {
			return err
		}
	}
	head, err := a.from, error(nil)
	leads := published == head
	for line := range bytes.Lines(a.lines.Bytes()) {
		if head, _, err = head.Next(line); err != nil {
			return failed(exitCheck, err)
		}
		leads = leads || head == published
		if !out.asJSON && a.file == "" {
			if _, err := out.out.Write(line); err != nil {
				return err
			}
		}
	}
	switch {
	case !leads:
		return failed(exitCheck, fmt.Errorf("audit log of %s: it does not lead over the published head %v", a.gateway, published))
	case !a.met:
		return failed(exitCheck, fmt.Errorf("audit log of %s: it does not lead over %v: it was begun anew, or changed, since", a.gateway, a.known))
	}
	return out.say(map[string]any{"event": "audit", "gw": a.gateway, "sound": true, "lines": a.at.N - a.from.N, "from": a.from.String(), "head": a.at.String(), "published": published.String()},
		"%s: %d lines are sound, from %d to the head %v", a.gateway, a.at.N-a.from.N, a.from.N+1, a.at)
}

const fleetTimeLong = `Tell all gateways what time it is at least, signed with a key that has the role clock.
Gateways believe no clock of their own: only such a beacon makes exp_ms of commands
expire, and it can only move time forward. It is kept by the broker.`

func newFleetTimeCmd(f *fleetFlags) *cobra.Command {
	return &cobra.Command{
		Use: "time", Short: "tell the gateways what time it is at least", Long: fleetTimeLong, Args: noArgs, Example: "  edged fleet time --key keys/clock.secret",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withDesk(f, cmd, func(ctx context.Context, d *desk) error {
				keys, err := f.signers()
				if err != nil {
					return err
				}
				entry, err := d.signer(keys[0])
				if err != nil {
					return err
				}
				if !entry.MayIssue(trust.TypeTime, trust.Gateway{Fleet: f.fleet}) {
					return failed(exitConfig, fmt.Errorf("the key of %s has not the role clock", entry.Holder))
				}
				return d.beacon(ctx, &printer{cmd.OutOrStdout(), f.asJSON}, keys[0])
			}, []string{}...)
		},
	}
}

// beacon publishes the time.
func (d *desk) beacon(ctx context.Context, out *printer, key trust.SecretKey) error {
	n, err := d.home.take("time-"+string(key.Public().ID()), d.ring.Epoch(), 0, 1)
	if err != nil {
		return err
	}
	b := protocol.Beacon{V: protocol.Version, Fleet: d.flags.fleet, Issuer: key.Public().ID(), Epoch: d.ring.Epoch(), Number: n, Time: clock(time.Now())}
	data, err := protocol.Seal(b, key)
	if err != nil {
		return err
	}
	topic, err := d.topic(protocol.Topic{Kind: protocol.KindTime})
	if err != nil {
		return err
	}
	if err := d.publish(ctx, mqtt.Note{Topic: topic, Payload: data, QoS: 1, Retain: true}); err != nil {
		return err
	}
	return out.say(map[string]any{"event": "published", "topic": topic, "n": n, "time_ms": b.Time}, "it is %s at least, beacon %d", time.UnixMilli(b.Time).UTC().Format(time.RFC3339), n)
}
