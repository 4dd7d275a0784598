package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"edged/fleet/agent"
	"edged/fleet/operator"
	"edged/fleet/protocol"
	"edged/fleet/trust"
	"edged/mqtt"
)

const fleetRefreshLong = `Sign again what gateways have from this operator's home: the same version and content,
with a refresh that is one higher. A gateway that has got such a document expects fresher
ones; after three hours on the broker without one it raises the alarm config.frozen,
because somebody may keep newer documents back from it. Its configuration goes on.

Gateways that are online are told. Those that are away miss nothing until they return.
With --every it goes on until it is interrupted. From the first refresh on, what apply
and rollout send promises to be refreshed, too, and a rollout that runs refreshes its own
documents once an hour. --off ends the promise for what is sent from then on; a gateway
expects fresher documents until it gets one of these.`

// The bounds of --every. Gateways wait three hours: one refresh may get lost.
const (
	refreshEveryMin = time.Second
	refreshEveryMax = agent.DefaultFrozenAfter / 2
)

func newFleetRefreshCmd(f *fleetFlags) *cobra.Command {
	var r refreshing
	var off bool
	cmd := &cobra.Command{
		Use: "refresh", Short: "show gateways that their documents still hold", Long: fleetRefreshLong, Args: noArgs,
		Example: "  edged fleet refresh --every 1h --key keys/dave.secret",
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := parseSelector(r.labels)
			if err != nil {
				return err
			}
			if r.every != 0 && (r.every < refreshEveryMin || r.every > refreshEveryMax) {
				return failed(exitUsage, fmt.Errorf("--every %v is not from %v to %v: gateways raise config.frozen after %v", r.every, refreshEveryMin, refreshEveryMax, agent.DefaultFrozenAfter))
			}
			if off {
				home, err := openHome(f.home, f.fleet)
				if err == nil {
					err = home.promise(false)
				}
				return err
			}
			return withDesk(f, cmd, func(ctx context.Context, d *desk) error {
				r.desk, r.cmd, r.selector, r.out = d, cmd, s, printer{cmd.OutOrStdout(), f.asJSON}
				return r.run(ctx)
			})
		},
	}
	cmd.Flags().StringVar(&r.labels, "selector", "*", "labels of the gateways")
	cmd.Flags().DurationVar(&r.every, "every", 0, "go on, once in this time; 0: only once")
	cmd.Flags().BoolVar(&off, "off", false, "promise no fresher documents from now on")
	return cmd
}

// refreshing signs documents again.
type refreshing struct {
	labels   string
	every    time.Duration
	desk     *desk
	cmd      *cobra.Command
	selector trust.Selector
	out      printer
	key      trust.SecretKey
}

// run refreshes once, or until somebody interrupts it.
func (r *refreshing) run(ctx context.Context) error {
	c := &controller{desk: r.desk}
	if err := c.signer(); err != nil {
		return err
	}
	r.key = c.key
	if err := r.desk.home.promise(true); err != nil {
		return err
	}
	var next time.Time
	err := r.desk.loop(ctx, func(operator.News) error { return nil }, func(now time.Time) (bool, error) {
		if now.Before(next) {
			return false, nil
		}
		next = now.Add(r.every)
		return r.every == 0, r.once(ctx)
	})
	if r.every > 0 && errors.Is(err, errInterrupted) {
		return nil
	}
	return err
}

// once refreshes what the selected gateways have now.
func (r *refreshing) once(ctx context.Context) error {
	entry, err := r.desk.signer(r.key)
	if err != nil {
		return err
	}
	epoch := r.desk.ring.Epoch()
	byVersion, denied := map[uint64][]string{}, []string{}
	for _, name := range r.desk.view.Select(r.selector) {
		g := r.desk.view.Gateway(name)
		f, info := g.Facts(), g.Info()
		switch {
		case !f.Online || f.Epoch != epoch || f.Seen == 0:
		case info != nil && !entry.MayIssue(trust.TypeDesired, gatewayOf(info)):
			denied = append(denied, name)
		default:
			byVersion[f.Seen] = append(byVersion[f.Seen], name)
		}
	}
	for _, version := range slices.Sorted(maps.Keys(byVersion)) {
		if err := r.version(ctx, rolloutID(epoch, version), byVersion[version]); err != nil {
			return err
		}
	}
	if len(denied) > 0 {
		return failed(exitCheck, errors.Join(r.skip(denied, "our key may not configure it"), fmt.Errorf("%s may not be configured with the key of %s", plural(len(denied), "gateway"), entry.Holder)))
	}
	return nil
}

// version refreshes the document of one rollout for those that have it.
func (r *refreshing) version(ctx context.Context, id string, gateways []string) error {
	c := &controller{desk: r.desk, cmd: r.cmd, key: r.key}
	switch err := c.load(id); {
	case err == nil:
	case errors.Is(err, errNoRollout):
		return r.skip(gateways, "what it has was not sent from here")
	case exitCode(err) == exitInUse:
		return r.skip(gateways, "the controller of rollout "+id+" refreshes it")
	default:
		return err
	}
	defer c.unlock()
	now := clock(time.Now())
	for _, name := range gateways {
		c.rollout.Observe(name, r.desk.view.Gateway(name).Facts(), now)
	}
	have := c.rollout.Refresh(r.key.Public().ID(), r.desk.ring.Version(), now)
	if others := slices.DeleteFunc(slices.Clone(gateways), func(name string) bool { return slices.Contains(have, name) }); len(others) > 0 {
		if err := r.skip(others, "what it has was not sent from here"); err != nil {
			return err
		}
	}
	if len(have) == 0 {
		return nil
	}
	if err := c.save(); err != nil {
		return err
	}
	var notes []mqtt.Note
	for _, name := range have {
		n, err := c.note(name)
		if err != nil {
			return err
		}
		notes = append(notes, n)
	}
	if err := r.desk.publish(ctx, notes...); err != nil {
		return err
	}
	d := c.rollout.Document()
	return r.out.say(map[string]any{"event": "refreshed", "rollout": id, "version": d.Version, "refresh": d.Refresh, "gateways": have},
		"rollout %s: refresh %d for %s", id, d.Refresh, plural(len(have), "gateway"))
}

// namesShown is how many gateways a line names.
const namesShown = 5

// skip says why gateways are not told.
func (r *refreshing) skip(gateways []string, why string) error {
	names := strings.Join(gateways[:min(namesShown, len(gateways))], ", ")
	if more := len(gateways) - namesShown; more > 0 {
		names += fmt.Sprintf(" and %d more", more)
	}
	return r.out.say(map[string]any{"event": "skipped", "gateways": gateways, "why": why}, "not refreshed: %s: %s", names, why)
}

// gatewayOf returns what rights are judged by, as the gateway says it.
func gatewayOf(i *protocol.Info) trust.Gateway {
	return trust.Gateway{Fleet: i.Fleet, ID: i.Gateway, Instance: i.Instance, Labels: i.Labels}
}
