package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"edged/fleet/operator"
	"edged/fleet/protocol"
	"edged/fleet/trust"
)

// gatewayRow is one gateway for machines.
type gatewayRow struct {
	Gateway   string              `json:"gw"`
	Presence  string              `json:"presence"`
	Session   uint64              `json:"session,omitempty"`
	Boot      uint64              `json:"boot,omitempty"`
	Instance  string              `json:"instance,omitempty"`
	Adoption  uint64              `json:"adoption,omitempty"`
	Blocked   bool                `json:"blocked,omitempty"`
	Warning   string              `json:"warning,omitempty"`
	Word      string              `json:"word"` // what its word is worth: signed, unsigned or unverified
	Doubted   uint64              `json:"unverified,omitempty"`
	Version   string              `json:"version,omitempty"`
	Labels    map[string]string   `json:"labels,omitempty"`
	Keyring   uint64              `json:"keyring,omitempty"`
	Config    *protocol.Running   `json:"config,omitempty"`
	Seen      uint64              `json:"desired_seen,omitempty"`
	Status    string              `json:"status,omitempty"`
	Phase     string              `json:"phase,omitempty"`
	Fault     *protocol.Fault     `json:"error,omitempty"`
	Heartbeat *protocol.Heartbeat `json:"hb,omitempty"`
	Missing   uint64              `json:"events_missing,omitempty"`
	Alarms    []operator.Alarm    `json:"alarms"`
	Info      *protocol.Info      `json:"info,omitempty"`
	Reported  *protocol.Reported  `json:"reported,omitempty"`
}

// rowOf describes a gateway.
func rowOf(g *operator.Gateway, full bool) gatewayRow {
	now := g.Presence.Now
	r := gatewayRow{Gateway: g.Name, Session: now.Session, Boot: now.Boot, Instance: now.Instance, Adoption: now.Adoption, Blocked: now.Blocked, Missing: g.Missing, Alarms: append([]operator.Alarm{}, g.Alarms...)}
	switch {
	case now.Session == 0:
		r.Presence = "unknown"
	case now.Online:
		r.Presence = "online"
	case now.Cause == protocol.CauseShutdown:
		r.Presence = "shut down"
	default:
		r.Presence = "offline"
	}
	switch {
	case g.Conflict:
		r.Warning = "two gateways use this name and the same data: a cloned disk"
	case g.Foreign != nil:
		r.Warning = "instance " + g.Foreign.Instance + " says it is this gateway: replaced, wiped, or cloned"
	}
	r.Word, r.Doubted = wordOf(g), g.Unverified
	if info := g.Info(); info != nil {
		r.Version, r.Labels, r.Keyring, r.Config = info.Version, info.Labels, info.Keyring, &info.Config
	}
	if rep := g.Reported(); rep != nil {
		r.Config = &protocol.Running{Version: rep.Applied, Hash: rep.Effective}
		r.Seen, r.Status, r.Phase, r.Fault, r.Keyring = rep.Seen, rep.Status, rep.Phase, rep.Error, rep.Keyring
	}
	r.Heartbeat, _ = g.Heartbeat()
	if full {
		r.Info, r.Reported = g.Info(), g.Reported()
	}
	return r
}

// What the word of a gateway is worth.
const (
	wordSigned     = "signed"
	wordUnsigned   = "unsigned"   // the keyring has no key of it: as credible as the broker
	wordUnverified = "unverified" // it has a key, and has signed nothing that came
)

func wordOf(g *operator.Gateway) string {
	switch {
	case !g.Keyed:
		return wordUnsigned
	case g.Presence.Now.Session == 0 && g.Info() == nil && g.Reported() == nil:
		return wordUnverified
	}
	return wordSigned
}

// trimHash returns a hash without the name of its function.
func trimHash(hash string) string { return strings.TrimPrefix(hash, "sha256:") }

// shortHash is how many digits of a hash tables show.
const shortHash = 8

// config describes what a gateway runs and is about to.
func (r *gatewayRow) config() string {
	if r.Config == nil {
		return "-"
	}
	hash := trimHash(r.Config.Hash)
	text := fmt.Sprintf("%d %s", r.Config.Version, hash[:min(shortHash, len(hash))])
	if r.Config.Version == 0 {
		text = strings.TrimSpace("own " + hash[:min(shortHash, len(hash))])
	}
	if r.Status == protocol.StatusApplying && r.Seen != r.Config.Version {
		text += fmt.Sprintf(" → %d", r.Seen)
	}
	return text
}

func (r *gatewayRow) status() string {
	switch {
	case r.Status == "":
		return "-"
	case r.Status == protocol.StatusApplying:
		return strings.ToLower(r.Status) + " " + r.Phase
	case r.Fault != nil:
		return strings.ToLower(r.Status) + " " + string(r.Fault.Code)
	}
	return strings.ToLower(r.Status)
}

// notes describes what needs a person.
func (r *gatewayRow) notes() string {
	var all []string
	if r.Warning != "" {
		all = append(all, "IDENTITY")
	}
	if r.Blocked {
		all = append(all, "BLOCKED")
	}
	if r.Doubted > 0 {
		all = append(all, fmt.Sprintf("UNVERIFIED %d", r.Doubted))
	}
	for _, a := range r.Alarms {
		all = append(all, strings.TrimSpace(a.Code+" "+a.Subject))
	}
	if len(all) == 0 {
		return "-"
	}
	return cleanText(strings.Join(all, ", "))
}

// cleanText makes a text that a gateway, or whoever can publish, has written safe for a
// terminal and one line long.
func cleanText(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '\uFFFD'
	}, text)
}

// printTable writes gateways as a table.
func printTable(w io.Writer, rows []gatewayRow) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "GATEWAY\tPRESENCE\tVERSION\tCONFIG\tSTATUS\tEV/S\tERR/S\tLAG\tOUTBOX\tDISK FREE\tALARMS")
	for i := range rows {
		r := &rows[i]
		events, errs, lag, outbox, disk := "-", "-", "-", "-", "-"
		if h := r.Heartbeat; h != nil {
			events, errs, lag = fmt.Sprintf("%.0f", h.Events), fmt.Sprintf("%.1f", h.Errors), (time.Duration(h.Lag) * time.Millisecond).String()
			outbox, disk = size(h.Outbox), size(h.DiskFree)
		}
		version := cleanText(r.Version)
		if version == "" {
			version = "-"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
			r.Gateway, r.Presence, version, r.config(), r.status(), events, errs, lag, outbox, disk, r.notes())
	}
	return t.Flush()
}

// rows returns the gateways that a selector selects.
func (d *desk) rows(selector trust.Selector) []gatewayRow {
	var all []gatewayRow
	for _, name := range d.view.Select(selector) {
		all = append(all, rowOf(d.view.Gateway(name), false))
	}
	return all
}

// parseSelector reads --selector.
func parseSelector(text string) (trust.Selector, error) {
	s, err := trust.ParseSelector(text)
	if err != nil {
		return s, failed(exitUsage, fmt.Errorf("--selector: %w", err))
	}
	return s, nil
}

func newFleetListCmd(f *fleetFlags) *cobra.Command {
	var selector string
	cmd := &cobra.Command{
		Use: "list", Short: "list the gateways", Args: noArgs,
		Long: `List the gateways with their presence, version, configuration, health and alarms, as
far as the broker has kept what they said. Health and alarms are not kept: they are
there if a gateway has said them while we listened; watch waits for them.`,
		Example: "  edged fleet list --selector site=berlin\n\n  edged fleet list --json | jq 'select(.presence != \"online\") | .gw'",
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := parseSelector(selector)
			if err != nil {
				return err
			}
			return withDesk(f, cmd, func(_ context.Context, d *desk) error {
				rows := d.rows(s)
				if !f.asJSON {
					if err := printTable(cmd.OutOrStdout(), rows); err != nil {
						return err
					}
					_, err := fmt.Fprintln(cmd.OutOrStdout(), summary(rows))
					return err
				}
				out := printer{cmd.OutOrStdout(), true}
				for _, r := range rows {
					if err := out.say(r, ""); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&selector, "selector", "*", "labels of the gateways, as in site=berlin,!canary")
	return cmd
}

// summary counts gateways.
func summary(rows []gatewayRow) string {
	online, alarms := 0, 0
	for i := range rows {
		if rows[i].Presence == "online" {
			online++
		}
		if rows[i].notes() != "-" {
			alarms++
		}
	}
	text := fmt.Sprintf("%s, %d online", plural(len(rows), "gateway"), online)
	if alarms > 0 {
		text += fmt.Sprintf(", %d with alarms", alarms)
	}
	return text
}

func newFleetShowCmd(f *fleetFlags) *cobra.Command {
	return &cobra.Command{
		Use: "show GW", Short: "show one gateway", Args: exactly(1, "the name of a gateway"),
		Long: "Show all that the broker has kept of one gateway.", Example: "  edged fleet show gw-1",
		RunE: func(cmd *cobra.Command, args []string) error {
			filters, err := gatewayFilters(f, args[0])
			if err != nil {
				return err
			}
			return withDesk(f, cmd, func(_ context.Context, d *desk) error {
				g := d.view.Gateway(args[0])
				if g == nil {
					return failed(exitCheck, fmt.Errorf("the broker knows no gateway %s of fleet %s; edged fleet list shows those it knows", args[0], f.fleet))
				}
				r := rowOf(g, true)
				if f.asJSON {
					return (&printer{cmd.OutOrStdout(), true}).say(r, "")
				}
				return printGateway(cmd.OutOrStdout(), &r)
			}, filters...)
		},
	}
}

// printGateway writes one gateway for people.
func printGateway(w io.Writer, r *gatewayRow) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) {
		fmt.Fprintf(t, "%s\t%s\n", cleanText(name), cleanText(fmt.Sprintf(format, args...)))
	}
	line("gateway", "%s", r.Gateway)
	line("presence", "%s, session %d, boot %d", r.Presence, r.Session, r.Boot)
	line("instance", "%s, adoption %d", r.Instance, r.Adoption)
	if r.Blocked {
		line("BLOCKED", "another instance has this name, too: commands that change something and documents are refused until identity.adopt")
	}
	if r.Warning != "" {
		line("WARNING", "%s", r.Warning)
	}
	line("its word", "%s", map[string]string{
		wordSigned: "signed with its own key", wordUnsigned: "unsigned: as credible as the broker's access rules",
		wordUnverified: "unverified: the keyring has a key of it, and nothing that came is signed with it",
	}[r.Word])
	if r.Doubted > 0 {
		line("UNVERIFIED", "%d messages in its name are not signed with its key; they are not believed", r.Doubted)
	}
	if i := r.Info; i != nil {
		line("program", "edged %s %s, %s/%s", i.Version, i.Commit, i.OS, i.Arch)
		line("machine", "%d CPUs, %s", i.CPUs, size(i.Memory))
		line("labels", "%s", joined(i.Labels, func(k, v string) string { return k + "=" + v }))
		line("commands", "%s", joined(i.Ops, func(k string, _ int) string { return k }))
		line("sources", "%s", endpoints(i.Sources))
		line("outputs", "%s", endpoints(i.Outputs))
	}
	line("config", "%s", r.config())
	line("status", "%s", r.status())
	if r.Fault != nil {
		line("  "+string(r.Fault.Code), "%s %s", r.Fault.Path, r.Fault.Message)
	}
	if p := r.Reported; p != nil {
		line("keyring", "%d, epoch %d", p.Keyring, p.Epoch)
		line("audit log", "%s", p.Audit)
		line("knows keys", "%s", joined(p.Watermark, func(k trust.KeyID, seq uint64) string { return fmt.Sprintf("%s up to %d", k, seq) }))
		if len(p.Failed) > 0 {
			line("failed versions", "%v", p.Failed)
		}
	}
	for _, a := range r.Alarms {
		line("ALARM "+a.Severity, "%s %s %s", a.Code, a.Subject, a.Message)
	}
	return t.Flush()
}

func joined[K ~string, V any](m map[K]V, text func(K, V) string) string {
	var all []string
	for k, v := range m {
		all = append(all, text(k, v))
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

func endpoints(all []protocol.Endpoint) string {
	var names []string
	for _, e := range all {
		names = append(names, e.ID+" ("+e.Kind+")")
	}
	return strings.Join(names, ", ")
}

const (
	watchFrame = 500 * time.Millisecond // how often the table is drawn anew
	clearAll   = "\x1b[H\x1b[2J"
)

func newFleetWatchCmd(f *fleetFlags) *cobra.Command {
	var selector string
	var limit time.Duration
	cmd := &cobra.Command{
		Use: "watch", Short: "watch the gateways", Args: noArgs,
		Long: `Watch the gateways until you interrupt it: a table that is drawn anew in a terminal,
and otherwise a line for each thing that happens.`,
		Example: "  edged fleet watch --selector site=berlin\n\n  edged fleet watch --json --for 1h >> fleet.ndjson",
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := parseSelector(selector)
			if err != nil {
				return err
			}
			return withDesk(f, cmd, func(ctx context.Context, d *desk) error {
				err := d.watch(ctx, cmd.OutOrStdout(), s, limit)
				if errors.Is(err, errInterrupted) {
					err = nil
				}
				return err
			})
		},
	}
	cmd.Flags().StringVar(&selector, "selector", "*", "labels of the gateways")
	cmd.Flags().DurationVar(&limit, "for", 0, "end after this time; 0: when interrupted")
	return cmd
}

// watch shows the fleet until it is interrupted, or its time is over.
func (d *desk) watch(ctx context.Context, out io.Writer, s trust.Selector, limit time.Duration) error {
	begun, drawn := time.Now(), time.Time{}
	live := terminal(out) && !d.flags.asJSON
	lines := printer{out, d.flags.asJSON}
	if !live {
		for _, r := range d.rows(s) {
			if err := lines.say(r, "%s", r.line()); err != nil {
				return err
			}
		}
	}
	last := map[string]string{}
	return d.loop(ctx, func(n operator.News) error {
		g := d.view.Gateway(n.Gateway)
		if live || g == nil || !slices.Contains(d.view.Select(s), n.Gateway) {
			return nil
		}
		if n.Event != nil {
			return lines.say(map[string]any{"gw": n.Gateway, "evt": n.Event}, "%s  %s %s %s %s", n.Gateway, n.Event.Severity, cleanText(n.Event.Code), cleanText(n.Event.Subject), cleanText(n.Event.Message))
		}
		r := rowOf(g, false)
		if text := r.line(); text != last[n.Gateway] || d.flags.asJSON {
			last[n.Gateway] = text
			return lines.say(r, "%s", text)
		}
		return nil
	}, func(now time.Time) (bool, error) {
		if live && now.Sub(drawn) >= watchFrame {
			drawn = now
			rows := d.rows(s)
			var b strings.Builder
			if err := printTable(&b, rows); err != nil {
				return true, err
			}
			fmt.Fprintf(&b, "%s at %s", summary(rows), now.Format(time.TimeOnly))
			if _, err := io.WriteString(out, clearAll+b.String()); err != nil {
				return true, err
			}
		}
		return limit > 0 && now.Sub(begun) >= limit, nil
	})
}

// line describes a gateway in one line. Health is left out: it always changes.
func (r *gatewayRow) line() string {
	return fmt.Sprintf("%s  %s  config %s  %s  alarms %s", r.Gateway, r.Presence, r.config(), r.status(), r.notes())
}
