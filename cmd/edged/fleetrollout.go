package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"edged/fleet/operator"
	"edged/fleet/protocol"
	"edged/fleet/trust"
)

const fleetApplyLong = `Give one gateway, or those with certain labels, a configuration, and wait for what
becomes of it. It is a rollout with a single wave: the preview shows what would
change, and edged fleet rollout resume goes on if you interrupt it.`

const fleetRolloutLong = `Bring a configuration to the gateways with certain labels, wave by wave.

Each amount of --waves is how many gateways have it once the wave is through. A wave
is over when all that can be reached have answered and --bake has passed; the next
one begins if --success percent of it run the configuration. The rollout stops when
that cannot be reached any more, or when --abort-failures have failed: nothing more is
sent then, and what was not taken is withdrawn. Gateways undo by themselves what they
find bad.

Gateways that are offline do not hold a wave up. The broker keeps the configuration for
them; they fail when they have been away for --offline. The rollout is over without
them, unless --follow is given.

--rate bounds how many gateways are sent it within any minute. --window says when, by
this machine's clock and the wall clock of the named place: DAYS FROM-TO ZONE. What was
sent to a gateway that is offline, it takes whenever it returns.

The state is on disk before each step. A controller that was interrupted, or killed, is
continued with edged fleet rollout resume.`

const fleetRolloutExample = `  edged fleet rollout site.json --selector site=berlin --preview

  edged fleet rollout site.json --selector '*' --waves 1,5%,25%,100% --bake 10m --success 99 --abort-failures 3

  edged fleet rollout site.json --selector '*' --rate 20/min --window 'Mon-Fri 01:00-04:00 Europe/Berlin'

  edged fleet rollout pause e1v42      # from another terminal`

// rolloutFlags are those of apply and rollout.
type rolloutFlags struct {
	applyFlags
	selector, waves, abort string
	bake, answer, offline  time.Duration
	success                int
	rate                   string
	rateGrowth             int
	windows                []string
	preview, yes, follow   bool
}

func (r *rolloutFlags) add(cmd *cobra.Command) {
	r.applyFlags.add(cmd)
	cmd.Flags().StringVar(&r.selector, "selector", "", "labels of the gateways")
	cmd.Flags().DurationVar(&r.answer, "answer", 10*time.Minute, "how long a gateway that is online may take to say that it runs it")
	cmd.Flags().DurationVar(&r.offline, "offline", 24*time.Hour, "how long a gateway may be offline before it counts as failed")
	cmd.Flags().StringVar(&r.rate, "rate", "", "how many gateways may be sent it per minute, as in 20/min; none: a wave at once")
	cmd.Flags().IntVar(&r.rateGrowth, "rate-growth", 1, "each wave may go so many times as fast as the one before")
	cmd.Flags().StringArrayVar(&r.windows, "window", nil, "send only then, as in 'Mon-Fri 01:00-04:00 Europe/Berlin' (repeatable)")
	cmd.Flags().BoolVar(&r.preview, "preview", false, "show what would happen, and do nothing")
	cmd.Flags().BoolVar(&r.yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&r.follow, "follow", false, "stay until the gateways that were offline have caught up, or failed")
}

func (r *rolloutFlags) policy() (operator.Policy, error) {
	p := operator.Policy{Bake: r.bake.Milliseconds(), Success: r.success, Answer: r.answer.Milliseconds(), Offline: r.offline.Milliseconds(), Windows: r.windows}
	var err error
	if p.Waves, err = operator.ParseWaves(r.waves); err != nil {
		return p, failed(exitUsage, fmt.Errorf("--waves: %w", err))
	}
	if r.abort != "" {
		a, err := operator.ParseAmount(r.abort)
		if err != nil {
			return p, failed(exitUsage, fmt.Errorf("--abort-failures: %w", err))
		}
		p.Failures = &a
	}
	if r.rate != "" {
		rate, err := operator.ParseRate(r.rate)
		if err != nil {
			return p, failed(exitUsage, fmt.Errorf("--rate: %w", err))
		}
		rate.Growth, p.Rate = r.rateGrowth, &rate
	}
	if _, err := operator.ParseWindows(r.windows); err != nil {
		return p, failed(exitUsage, fmt.Errorf("--window: %w", err))
	}
	if r.health >= r.answer {
		return p, failed(exitUsage, fmt.Errorf("--answer %v is not longer than --health %v: every gateway would fail", r.answer, r.health))
	}
	return p, failed(exitUsage, p.Check())
}

func newFleetApplyCmd(f *fleetFlags) *cobra.Command {
	var r rolloutFlags
	cmd := &cobra.Command{
		Use: "apply {GW | --selector LABELS} FILE", Short: "give gateways a configuration", Long: fleetApplyLong,
		Example: "  edged fleet apply gw-1 site.json\n\n  edged fleet apply --selector site=berlin site.json --preview",
	}
	r.add(cmd)
	cmd.Args = func(_ *cobra.Command, args []string) error {
		if len(args) != 2-min(1, len(r.selector)) {
			return failed(exitUsage, errors.New("give a gateway (or --selector) and a file; see edged fleet apply --help"))
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r.waves, r.success = "100%", 100
		if r.selector != "" {
			r.success = 1 // all get it at once, so there is nothing to stop
		}
		return f.begin(cmd, &r, args[len(args)-1], args[:len(args)-1])
	}
	return cmd
}

func newFleetRolloutCmd(f *fleetFlags) *cobra.Command {
	var r rolloutFlags
	cmd := &cobra.Command{
		Use: "rollout FILE --selector LABELS", Short: "bring a configuration to many gateways, wave by wave",
		Long: fleetRolloutLong, Example: fleetRolloutExample, Args: exactly(1, "the file of a configuration"),
	}
	r.add(cmd)
	cmd.Flags().StringVar(&r.waves, "waves", operator.DefaultWaves, "how many gateways have it after each wave")
	cmd.Flags().DurationVar(&r.bake, "bake", 10*time.Minute, "how long each wave is watched before the next one")
	cmd.Flags().IntVar(&r.success, "success", operator.DefaultSuccess, "percent of a wave that must succeed")
	cmd.Flags().StringVar(&r.abort, "abort-failures", "", "stop when so many have failed, as in 3 or 5%")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if r.selector == "" {
			return failed(exitUsage, errors.New("which gateways? Give --selector; * stands for all"))
		}
		return f.begin(cmd, &r, args[0], nil)
	}
	cmd.AddCommand(newRolloutListCmd(f), newRolloutStatusCmd(f), newRolloutResumeCmd(f), newRolloutRetryCmd(f),
		newRolloutAskCmd(f, "pause", askPause, "keep new waves from beginning", "What was begun goes on. The controller, if one runs, looks once a second."),
		newRolloutAskCmd(f, "abort", askAbort, "stop, and withdraw what was not taken", "What runs on gateways stays. To go back, roll the old configuration out: it gets a new version."))
	return cmd
}

// begin plans a rollout, shows it, and runs it.
func (f *fleetFlags) begin(cmd *cobra.Command, r *rolloutFlags, file string, gateways []string) error {
	config, err := readDesiredConfig(file)
	if err != nil {
		return err
	}
	policy, err := r.policy()
	if err != nil {
		return err
	}
	var filters []string
	if len(gateways) > 0 {
		if filters, err = gatewayFilters(f, gateways[0]); err != nil {
			return err
		}
	}
	return withDesk(f, cmd, func(ctx context.Context, d *desk) error {
		c := &controller{desk: d, cmd: cmd, out: printer{cmd.OutOrStdout(), f.asJSON}, config: config, follow: r.follow}
		if err := c.signer(); err != nil {
			return err
		}
		if len(gateways) == 0 {
			s, err := parseSelector(r.selector)
			if err != nil {
				return err
			}
			if gateways = d.view.Select(s); len(gateways) == 0 {
				return failed(exitUsage, fmt.Errorf("no gateway has the labels %s", r.selector))
			}
		}
		if r.preview {
			return c.preview(gateways, policy, r.apply())
		}
		if err := confirm(cmd, r.yes || len(gateways) == 1, fmt.Sprintf("%s goes to %s", file, plural(len(gateways), "gateway"))); err != nil {
			return err
		}
		if err := c.plan(operator.Snapshot{Fleet: f.fleet, Policy: policy}, gateways, r.apply(), r.version); err != nil {
			return err
		}
		return c.run(ctx)
	}, filters...)
}

// signer loads the key that signs desired documents.
func (c *controller) signer() error {
	keys, err := c.desk.flags.signers()
	if err != nil {
		return err
	}
	c.key = keys[0]
	_, err = c.desk.signer(c.key)
	return err
}

// preview shows what a rollout would do.
func (c *controller) preview(gateways []string, policy operator.Policy, apply protocol.Apply) error {
	order := c.spread(gateways)
	ends := operator.Ends(policy.Waves, len(order))
	entry, err := c.desk.signer(c.key)
	if err != nil {
		return err
	}
	for i, name := range order {
		wave, _ := slices.BinarySearch(ends, i+1)
		g := c.desk.view.Gateway(name)
		lines, known, err := c.desk.difference(g, c.config)
		if err != nil {
			return err
		}
		what := "runs something that was not sent from here"
		switch {
		case known && len(lines) == 0:
			what = "runs it already"
		case known:
			what = plural(len(lines), "difference")
		}
		online, may := g != nil && g.Online(), true
		if info := g.Info(); info != nil {
			may = entry.MayIssue(trust.TypeDesired, gatewayOf(info))
		}
		if !may {
			what = "our key may not configure it"
		}
		presence := "offline"
		if online {
			presence = "online"
		}
		if err := c.out.say(map[string]any{"event": "target", "gw": name, "wave": wave + 1, "online": online, "allowed": may, "known": known, "diff": lines},
			"wave %d  %-20s %-8s %s", wave+1, name, presence, what); err != nil {
			return err
		}
	}
	plan := operator.Snapshot{Phase: operator.PhaseRunning, Policy: policy, Members: []operator.Member{{Status: operator.MemberWaiting}}}
	if text := describePace(&plan, time.Now()); text != "" {
		if err := c.out.say(map[string]any{"event": "pace", "rate": policy.Rate, "windows": policy.Windows, "opens_ms": plan.Opens(clock(time.Now()))}, "%s", text); err != nil {
			return err
		}
	}
	sample := protocol.Desired{V: protocol.Version, Aud: trust.Audience{Fleet: c.desk.flags.fleet, Gateway: order[0]}, Issuer: c.key.Public().ID(),
		Keyring: c.desk.ring.Version(), Epoch: c.desk.ring.Epoch(), Version: 1, Config: c.config, Apply: apply}
	if _, err := protocol.Seal(sample, c.key); err != nil {
		return failed(exitUsage, err)
	}
	return nil
}

// spread puts gateways in the order of the rollout. It follows from the configuration,
// so that a preview shows what will be.
func (c *controller) spread(gateways []string) []string {
	return operator.Spread(configHash(c.config), gateways, c.online)
}

func (c *controller) online(name string) bool {
	g := c.desk.view.Gateway(name)
	return g != nil && g.Online()
}

// plan takes a version and writes the rollout down. Nothing is sent yet.
func (c *controller) plan(s operator.Snapshot, gateways []string, apply protocol.Apply, version uint64) error {
	ring, home := c.desk.ring, c.desk.home
	epoch := ring.Epoch()
	next, err := home.take("version", epoch, max(c.desk.view.HighestVersion(epoch), max(version, 1)-1), 1)
	if err != nil {
		return err
	}
	if version != 0 && next != version {
		return failed(exitUsage, fmt.Errorf("--version %d: the next one is %d; lower ones were used", version, next))
	}
	s.ID = rolloutID(epoch, next)
	s.Document = operator.Document{Version: next, Epoch: epoch, Keyring: ring.Version(), Issuer: c.key.Public().ID(), Hash: configHash(c.config), Apply: apply}
	if s.Document.Signed = clock(time.Now()); home.refreshes() {
		s.Document.Refresh = 1
	}
	if c.rollout, err = operator.Begin(s, c.spread(gateways)); err != nil {
		return failed(exitUsage, err)
	}
	if _, err := c.document(c.rollout.Snapshot().Members[0].Gateway); err != nil {
		return err
	}
	if err := home.remember(s.Document.Hash, c.config); err != nil {
		return err
	}
	return c.create(s.ID)
}

// document returns what is published for a gateway: the same bytes each time, because
// they follow from the snapshot, and Ed25519 signs without chance.
func (c *controller) document(gateway string) ([]byte, error) {
	s := c.rollout.Document()
	data, err := protocol.Seal(protocol.Desired{
		V: protocol.Version, Aud: trust.Audience{Fleet: c.desk.flags.fleet, Gateway: gateway}, Issuer: s.Issuer,
		Keyring: s.Keyring, Epoch: s.Epoch, Version: s.Version, Refresh: s.Refresh, Config: c.config, Apply: s.Apply,
	}, c.key)
	return data, failed(exitUsage, err)
}

const fleetRetryLong = `Begin a rollout of the same configuration to the gateways where another one has
failed, or from which it was withdrawn; with --waiting also to those that it never
came to. It gets a new version, because gateways do not try a failed one again, and
the same policy.`

func newRolloutRetryCmd(f *fleetFlags) *cobra.Command {
	var waiting, follow bool
	cmd := &cobra.Command{
		Use: "retry ID", Short: "try again where a rollout failed", Long: fleetRetryLong, Args: exactly(1, "the id of a rollout"),
		Example: "  edged fleet rollout retry e1v42",
		RunE: func(cmd *cobra.Command, args []string) error {
			return withDesk(f, cmd, func(ctx context.Context, d *desk) error {
				old := &controller{desk: d, cmd: cmd}
				if err := old.load(args[0]); err != nil {
					return err
				}
				s := old.rollout.Snapshot()
				var again []string
				for _, m := range s.Members {
					if m.Status == operator.MemberFailed || m.Status == operator.MemberWithdrawn || waiting && m.Status == operator.MemberWaiting {
						again = append(again, m.Gateway)
					}
				}
				if s.Phase == operator.PhaseRunning || len(again) == 0 {
					return failed(exitUsage, fmt.Errorf("rollout %s is %s, and %s failed: nothing to try again", s.ID, s.Phase, plural(len(again), "gateway")))
				}
				c := &controller{desk: d, cmd: cmd, out: printer{cmd.OutOrStdout(), f.asJSON}, config: old.config, follow: follow}
				if err := c.signer(); err != nil {
					return err
				}
				apply := s.Document.Apply
				if err := c.plan(operator.Snapshot{Fleet: s.Fleet, Policy: s.Policy, RetryOf: s.ID}, again, apply, 0); err != nil {
					return err
				}
				return c.run(ctx)
			})
		},
	}
	cmd.Flags().BoolVar(&waiting, "waiting", false, "also those that it never came to")
	cmd.Flags().BoolVar(&follow, "follow", false, "stay until the gateways that were offline have caught up, or failed")
	return cmd
}

func newRolloutResumeCmd(f *fleetFlags) *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use: "resume ID", Short: "go on with a rollout", Args: exactly(1, "the id of a rollout"),
		Long: `Go on with a rollout that was paused, or whose controller was interrupted or killed.
What was begun is looked at first: no gateway gets anything else than before.`,
		Example: "  edged fleet rollout resume e1v42",
		RunE: func(cmd *cobra.Command, args []string) error {
			home, err := openHome(f.home, f.fleet)
			if err != nil {
				return err
			}
			if err := home.unask(args[0]); err != nil {
				return err
			}
			return withDesk(f, cmd, func(ctx context.Context, d *desk) error {
				c := &controller{desk: d, cmd: cmd, out: printer{cmd.OutOrStdout(), f.asJSON}, follow: follow}
				if err := c.load(args[0]); err != nil {
					return err
				}
				if err := c.signer(); err != nil {
					return err
				}
				if issuer := c.rollout.Document().Issuer; issuer != c.key.Public().ID() {
					return failed(exitUsage, fmt.Errorf("rollout %s was signed with key %s, this is %s: resume it with the same key", args[0], issuer, c.key.Public().ID()))
				}
				c.rollout.Pause(false, clock(time.Now()))
				return c.run(ctx)
			})
		},
	}
	cmd.Flags().BoolVar(&follow, "follow", false, "stay until the gateways that were offline have caught up, or failed")
	return cmd
}

func newRolloutAskCmd(f *fleetFlags, name, word, short, long string) *cobra.Command {
	return &cobra.Command{
		Use: name + " ID", Short: short, Long: long, Args: exactly(1, "the id of a rollout"), Example: "  edged fleet rollout " + name + " e1v42",
		RunE: func(cmd *cobra.Command, args []string) error {
			home, err := openHome(f.home, f.fleet)
			if err != nil {
				return err
			}
			if err := home.ask(args[0], word); err != nil {
				return err
			}
			out := printer{cmd.OutOrStdout(), f.asJSON}
			return out.say(map[string]string{"event": "asked", "rollout": args[0], "for": word}, "rollout %s: asked to %s; without a controller it does so when it is resumed", args[0], word)
		},
	}
}

func newRolloutListCmd(f *fleetFlags) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "list the rollouts of this home", Args: noArgs, Long: "List the rollouts that were begun from this operator's home, newest last.",
		Example: "  edged fleet rollout list",
		RunE: func(cmd *cobra.Command, _ []string) error {
			home, err := openHome(f.home, f.fleet)
			if err != nil {
				return err
			}
			all, damage := home.rollouts()
			out := printer{cmd.OutOrStdout(), f.asJSON}
			for _, s := range all {
				if err := out.say(summaryOf(&s), "%s", describeRollout(&s)); err != nil {
					return err
				}
			}
			return damage
		},
	}
}

func newRolloutStatusCmd(f *fleetFlags) *cobra.Command {
	return &cobra.Command{
		Use: "status ID", Short: "show a rollout and its gateways", Args: exactly(1, "the id of a rollout"),
		Long: "Show how far a rollout is and what became of each gateway, as its controller has written it down.", Example: "  edged fleet rollout status e1v42",
		RunE: func(cmd *cobra.Command, args []string) error {
			home, err := openHome(f.home, f.fleet)
			if err != nil {
				return err
			}
			r, _, err := home.rollout(args[0])
			if err != nil {
				return err
			}
			s := r.Snapshot()
			out := printer{cmd.OutOrStdout(), f.asJSON}
			if err := out.say(summaryOf(&s), "%s", describeRollout(&s)); err != nil {
				return err
			}
			for i, m := range s.Members {
				wave, _ := slices.BinarySearch(s.Ends, i+1)
				why := ""
				if m.Code != "" {
					why = fmt.Sprintf("  %s: %s", m.Code, cleanText(m.Message))
				}
				if err := out.say(map[string]any{"event": "member", "wave": wave + 1, "member": m}, "  wave %d  %-20s %s%s", wave+1, m.Gateway, m.Status, why); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// rolloutSummary is a rollout for machines.
type rolloutSummary struct {
	Event    string            `json:"event"`
	ID       string            `json:"rollout"`
	Phase    string            `json:"phase"`
	Paused   bool              `json:"paused,omitempty"`
	Reason   string            `json:"reason,omitempty"`
	Version  uint64            `json:"version"`
	Hash     string            `json:"hash"`
	Wave     int               `json:"wave"`
	Waves    int               `json:"waves"`
	Progress operator.Progress `json:"progress"`
	RetryOf  string            `json:"retry_of,omitempty"`
	Refresh  uint64            `json:"refresh,omitempty"`
	Rate     *operator.Rate    `json:"rate,omitempty"`
	Windows  []string          `json:"windows,omitempty"`
	Opens    int64             `json:"opens_ms,omitempty"` // when the next window does, if none is open and some wait
}

func summaryOf(s *operator.Snapshot) rolloutSummary {
	return rolloutSummary{Event: "rollout", ID: s.ID, Phase: s.Phase, Paused: s.Paused, Reason: s.Reason, Version: s.Document.Version, Hash: s.Document.Hash,
		Wave: s.Waves, Waves: len(s.Ends), Progress: s.Progress(), RetryOf: s.RetryOf,
		Refresh: s.Document.Refresh, Rate: s.Policy.Rate, Windows: s.Policy.Windows, Opens: s.Opens(clock(time.Now()))}
}

func describeRollout(s *operator.Snapshot) string {
	phase := s.Phase
	if s.Paused {
		phase = "paused"
	}
	text := fmt.Sprintf("rollout %s: %s, version %d, wave %d of %d, %s", s.ID, phase, s.Document.Version, s.Waves, len(s.Ends), s.Progress())
	if s.Reason != "" {
		text += "; " + s.Reason
	}
	if pace := describePace(s, time.Now()); pace != "" && s.Phase == operator.PhaseRunning {
		text += "; " + pace
	}
	return text
}

// describePace says what slows the releases of a rollout down, and whether they wait for
// a maintenance window now. The times are those of this machine's zone.
func describePace(s *operator.Snapshot, now time.Time) string {
	var all []string
	if rate := s.Policy.Rate; rate != nil {
		all = append(all, "at most "+rate.String())
	}
	if len(s.Policy.Windows) > 0 {
		all = append(all, "only "+strings.Join(s.Policy.Windows, " or "))
	}
	if opens := s.Opens(clock(now)); opens != 0 {
		all = append(all, "waits until "+time.UnixMilli(opens).Format("Mon 2006-01-02 15:04 MST"))
	}
	return strings.Join(all, ", ")
}
