package main

import (
	"cmp"
	"context"
	"crypto/rand"
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

const fleetCmdLong = `Send a command to one gateway, or to those with certain labels, and wait for what
becomes of it. Arguments are NAME=VALUE, where VALUE is JSON or else a text, or one
JSON object.

The command is signed for each gateway by itself, numbered, and sent again and again,
always the same bytes, until a final answer comes or --give-up is over. A gateway does
it once, however often it arrives. "denied" is not final: whoever can reach the
broker can bring it about.

Dangerous commands, and the first command of a key to a gateway, quote a nonce of the
gateway's session; for that it must be online. Destructive commands need two holders:
give both keys, or write the command with --out, let the other person run edged fleet
sign, and send it with edged fleet send.`

const fleetCmdExample = `  edged fleet cmd gw-1 pipeline.pause pipeline=energy

  edged fleet cmd --selector site=berlin --preview log.level level=debug revert_s=600

  edged fleet cmd gw-1 state.reset pipeline=energy --out reset.json   # then sign, send`

// commandFlags are those of edged fleet cmd.
type commandFlags struct {
	selector     string
	preview, yes bool
	fresh        bool
	dryRun       bool
	out          string
	ttl, giveUp  time.Duration
	timeout      time.Duration
	ifVersion    uint64
	ifHash       string
	checkVersion bool
}

func newFleetCmdCmd(f *fleetFlags) *cobra.Command {
	var c commandFlags
	cmd := &cobra.Command{
		Use: "cmd {GW | --selector LABELS} OP [NAME=VALUE...]", Short: "send a command and wait for its answer",
		Long: fleetCmdLong, Example: fleetCmdExample,
	}
	cmd.Flags().StringVar(&c.selector, "selector", "", "labels of the gateways, instead of GW")
	cmd.Flags().BoolVar(&c.preview, "preview", false, "show which gateways it would be sent to, and send nothing")
	cmd.Flags().BoolVar(&c.yes, "yes", false, "do not ask whether to send it to several gateways")
	cmd.Flags().BoolVar(&c.fresh, "fresh", false, "quote a nonce even if none is needed, so that nobody can hold the command back for another session")
	cmd.Flags().BoolVar(&c.dryRun, "dry-run", false, "let the gateway check it only")
	cmd.Flags().StringVar(&c.out, "out", "", "write the signed command to this file instead of sending it")
	cmd.Flags().DurationVar(&c.ttl, "ttl", time.Minute, "how long it may wait at the gateway, or be on its way if a nonce is quoted")
	cmd.Flags().DurationVar(&c.giveUp, "give-up", 2*time.Minute, "how long to wait for the gateway and its answer")
	cmd.Flags().DurationVar(&c.timeout, "timeout", 0, "how long it may run; 0: as the gateway likes")
	cmd.Flags().Uint64Var(&c.ifVersion, "if-version", 0, "only if this version of the configuration runs")
	cmd.Flags().StringVar(&c.ifHash, "if-hash", "", "only if the configuration with this hash runs")
	cmd.Args = func(_ *cobra.Command, args []string) error {
		if need := 2 - min(1, len(c.selector)); len(args) < need {
			return failed(exitUsage, errors.New("give a gateway (or --selector) and a command; see edged fleet cmd --help"))
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c.checkVersion = cmd.Flags().Changed("if-version")
		gateway := ""
		var filters []string
		if c.selector == "" {
			var err error
			if filters, err = gatewayFilters(f, args[0]); err != nil {
				return err
			}
			gateway, args = args[0], args[1:]
		}
		order, err := c.order(args)
		if err != nil {
			return err
		}
		return withDesk(f, cmd, func(ctx context.Context, d *desk) error {
			return (&dispatch{desk: d, flags: &c, cmd: cmd, order: order, out: printer{cmd.OutOrStdout(), f.asJSON}}).run(ctx, gateway)
		}, filters...)
	}
	return cmd
}

// order returns the command that all gateways get, apart from who gets it.
func (c *commandFlags) order(args []string) (protocol.Command, error) {
	order := protocol.Command{V: protocol.Version, Op: args[0], DryRun: c.dryRun, Timeout: c.timeout.Milliseconds()}
	if _, known := protocol.ClassOf(order.Op); !known {
		return order, failed(exitUsage, fmt.Errorf("there is no command %q; edged fleet show GW lists what a gateway can do", order.Op))
	}
	if c.ttl < time.Millisecond || c.giveUp <= 0 {
		return order, failed(exitUsage, errors.New("--ttl and --give-up must be positive"))
	}
	var err error
	if order.Args, err = parseArgs(args[1:]); err != nil {
		return order, failed(exitUsage, err)
	}
	if c.checkVersion || c.ifHash != "" {
		order.If = &protocol.Precondition{Hash: c.ifHash}
		if c.checkVersion {
			order.If.Version = &c.ifVersion
		}
	}
	return order, nil
}

// parseArgs makes an object of NAME=VALUE words, or takes one JSON object.
func parseArgs(words []string) (json.RawMessage, error) {
	if len(words) == 1 && strings.HasPrefix(words[0], "{") {
		if !json.Valid([]byte(words[0])) {
			return nil, fmt.Errorf("arguments: %.80q is not JSON", words[0])
		}
		return json.RawMessage(words[0]), nil
	}
	if len(words) == 0 {
		return nil, nil
	}
	object := map[string]json.RawMessage{}
	for _, word := range words {
		name, value, ok := strings.Cut(word, "=")
		if _, twice := object[name]; !ok || name == "" || twice {
			return nil, fmt.Errorf("arguments: %.80q: want NAME=VALUE, each name once", word)
		}
		if raw := []byte(value); json.Valid(raw) {
			object[name] = raw
			continue
		}
		text, err := json.Marshal(value)
		if err != nil {
			return nil, fmt.Errorf("arguments: %s: %w", name, err)
		}
		object[name] = text
	}
	return json.Marshal(object)
}

// dispatch sends one command to its gateways.
type dispatch struct {
	desk  *desk
	flags *commandFlags
	cmd   *cobra.Command
	order protocol.Command
	out   printer

	keys    []trust.SecretKey
	class   trust.Class
	sender  *operator.Sender
	waiting map[string]uint64 // gateways that must come online to be quoted, and their numbers
	until   int64
	unsent  int // gateways that were never online
}

// run chooses the gateways, signs and sends.
func (d *dispatch) run(ctx context.Context, gateway string) error {
	targets := []string{gateway}
	if gateway == "" {
		s, err := parseSelector(d.flags.selector)
		if err != nil {
			return err
		}
		if targets = d.desk.view.Select(s); len(targets) == 0 {
			return failed(exitUsage, fmt.Errorf("no gateway has the labels %s", d.flags.selector))
		}
	}
	if err := d.prepare(len(targets)); err != nil {
		return err
	}
	if gateway == "" || d.flags.preview {
		if err := d.preview(targets); err != nil || d.flags.preview {
			return err
		}
		if err := confirm(d.cmd, d.flags.yes, fmt.Sprintf("%s goes to %s", d.order.Op, plural(len(targets), "gateway"))); err != nil {
			return err
		}
	}
	if err := d.number(targets); err != nil {
		return err
	}
	return d.follow(ctx)
}

// prepare loads keys and checks what can be known beforehand.
func (d *dispatch) prepare(targets int) error {
	var err error
	if d.keys, err = d.desk.flags.signers(); err != nil {
		return err
	}
	if _, err := d.desk.signer(d.keys[0]); err != nil {
		return err
	}
	base, _ := protocol.ClassOf(d.order.Op)
	d.class = d.desk.ring.Class(d.order.Op, base)
	d.order.Issuer = d.keys[0].Public().ID()
	d.order.Keyring, d.order.Epoch = d.desk.ring.Version(), d.desk.ring.Epoch()
	holders := map[string]bool{}
	for _, key := range d.keys {
		entry, err := d.desk.signer(key)
		if err != nil {
			return err
		}
		holders[entry.Holder] = true
	}
	if d.flags.out != "" && targets > 1 {
		return failed(exitUsage, errors.New("--out is for one gateway"))
	}
	if len(holders) < d.class.Holders() && d.flags.out == "" && !d.flags.preview {
		return failed(exitUsage, fmt.Errorf("%s is %s: %d holders must sign; write it with --out FILE, let the other person run edged fleet sign FILE, then edged fleet send FILE",
			d.order.Op, d.class, d.class.Holders()))
	}
	return nil
}

// preview shows which gateways are meant and what will become of it there.
func (d *dispatch) preview(targets []string) error {
	for _, name := range targets {
		g := d.desk.view.Gateway(name)
		does, why := "can", ""
		info := g.Info()
		switch {
		case g == nil || info == nil:
			does = "unknown to the broker"
		case info.Ops[d.order.Op] == 0:
			does = "cannot do it"
		case !d.allowed(info):
			does = "our key may not command it"
		}
		if g == nil || !g.Online() {
			why = ", offline"
		}
		labels := ""
		if g != nil {
			labels = cleanText(g.Labels())
		}
		if err := d.out.say(map[string]any{"event": "target", "gw": name, "verdict": does, "online": g != nil && g.Online(), "labels": labels},
			"%-20s %s%s  %s", name, does, why, labels); err != nil {
			return err
		}
	}
	return nil
}

// allowed reports whether one of our keys may command the class on a gateway, going by
// the labels that it says it has.
func (d *dispatch) allowed(info *protocol.Info) bool {
	entry, err := d.desk.signer(d.keys[0])
	return err == nil && entry.MayCommand(d.class, gatewayOf(info))
}

// number reserves a sequence number for each gateway. They are on the disk before
// anything is signed, so that no number is ever used for two commands.
func (d *dispatch) number(targets []string) error {
	seen := d.desk.view.HighestSeq(d.order.Issuer, d.order.Epoch)
	first, err := d.desk.home.take(string(d.order.Issuer), d.order.Epoch, seen, uint64(len(targets)))
	if err != nil {
		return err
	}
	d.sender, d.waiting = operator.NewSender(), map[string]uint64{}
	d.until = clock(time.Now().Add(d.flags.giveUp))
	for i, name := range targets {
		d.waiting[name] = first + uint64(i)
	}
	return nil
}

// ready reports whether the command can be signed for a gateway now.
func (d *dispatch) ready(g *operator.Gateway) (nonce string, ok bool) {
	if !d.class.NeedsNonce() && !d.flags.fresh && g != nil && g.Knows(d.order.Issuer, d.order.Epoch) {
		return "", true
	}
	if g == nil || !g.Online() {
		return "", false
	}
	return g.Presence.Now.Nonce, true
}

// sign makes the order of one gateway.
func (d *dispatch) sign(g *operator.Gateway, name, nonce string, seq uint64, now time.Time) (operator.Order, error) {
	var chance [10]byte
	if _, err := rand.Read(chance[:]); err != nil {
		return operator.Order{}, fmt.Errorf("choose an id: %w", err)
	}
	c := d.order
	c.ID, c.Seq, c.Nonce = protocol.NewID(clock(now), chance), seq, nonce
	c.Aud = trust.Audience{Fleet: d.desk.flags.fleet, Gateway: name}
	c.TTL = d.flags.ttl.Milliseconds()
	if nonce != "" { // the time counts from the making of the nonce
		_, age := g.NonceAge(clock(now))
		c.TTL += age
	}
	c.TTL = min(c.TTL, protocol.DurationMax)
	data, err := protocol.Seal(c, d.keys...)
	if err != nil {
		return operator.Order{}, failed(exitUsage, err)
	}
	topic, err := d.desk.topic(protocol.Topic{Kind: protocol.KindCommand, Gateway: name, ID: c.ID})
	return operator.Order{ID: c.ID, Gateway: name, Topic: topic, Data: data, Until: d.until}, err
}

// follow signs for whoever is ready, and sends until everything is answered.
func (d *dispatch) follow(ctx context.Context) error {
	session := map[string]uint64{}
	written := false
	err := d.desk.loop(ctx, func(n operator.News) error {
		g := d.desk.view.Gateway(n.Gateway)
		if n.Kind == protocol.KindState && g != nil && g.Online() && g.Presence.Now.Session != session[n.Gateway] {
			session[n.Gateway] = g.Presence.Now.Session
			d.sender.Hurry(n.Gateway)
		}
		return d.out.answered(d.sender, n)
	}, func(now time.Time) (bool, error) {
		if over, err := d.signReady(now); over || err != nil {
			written = over
			return true, err
		}
		if clock(now) >= d.until && len(d.waiting) > 0 {
			for name := range d.waiting {
				d.unsent++
				delete(d.waiting, name)
				if err := d.out.say(map[string]any{"event": "unsent", "gw": name}, "%s  was not online; nothing was sent, because it would have to quote its nonce", name); err != nil {
					return true, err
				}
			}
		}
		err := d.desk.deliver(d.sender, &d.out, clock(now))
		return err != nil || len(d.waiting) == 0 && d.sender.Open() == 0, err
	})
	if err != nil || written {
		return err
	}
	return verdictOf(d.sender, d.unsent)
}

// signReady signs for all that are ready. It reports whether the command was written
// to a file, and all is done.
func (d *dispatch) signReady(now time.Time) (written bool, err error) {
	for name, seq := range d.waiting {
		g := d.desk.view.Gateway(name)
		nonce, ok := d.ready(g)
		if !ok {
			continue
		}
		order, err := d.sign(g, name, nonce, seq, now)
		if err != nil {
			return false, err
		}
		delete(d.waiting, name)
		if d.flags.out != "" {
			if err := writeNew(d.flags.out, append(order.Data, '\n')); err != nil {
				return false, err
			}
			return true, d.out.say(map[string]any{"event": "written", "gw": name, "id": order.ID, "file": d.flags.out},
				"%s: command %s for %s, signed by %s", d.flags.out, order.ID, name, plural(len(d.keys), "key"))
		}
		if err := d.sender.Add(order); err != nil {
			return false, err
		}
	}
	return false, nil
}

// deliver publishes what a sender wants published.
func (d *desk) deliver(s *operator.Sender, out *printer, now int64) error {
	publish, late := s.Step(now)
	for _, o := range publish {
		d.send(mqtt.Note{Topic: o.Topic, Payload: o.Data, QoS: 1}, func() { s.Failed(o.ID) })
		if err := out.say(map[string]any{"event": "sent", "gw": o.Gateway, "id": o.ID, "bytes": len(o.Data)}, ""); err != nil {
			return err
		}
	}
	for _, o := range late {
		text := "no answer; it may still do it until its ttl is over"
		switch {
		case o.Answer != nil:
			text = fmt.Sprintf("%s, and no final answer", o.Answer.Status)
		case o.Denied != nil:
			text = fmt.Sprintf("denied: %s: %s; %s", o.Denied.Code, cleanText(o.Denied.Message), o.Denied.Code.Hint())
		}
		if err := out.say(map[string]any{"event": "late", "gw": o.Gateway, "id": o.ID, "sent": o.Sent, "answer": o.Answer, "denied": o.Denied},
			"%s  %s", o.Gateway, text); err != nil {
			return err
		}
	}
	return nil
}

// answered prints an answer that says something new.
func (p *printer) answered(s *operator.Sender, n operator.News) error {
	if n.Answer == nil {
		return nil
	}
	o, news := s.Observe(*n.Answer, clock(time.Now()))
	if !news {
		return nil
	}
	a := n.Answer
	text := fmt.Sprintf("%s  %s", o.Gateway, a.Status)
	if a.Step != "" {
		text += fmt.Sprintf("  %s %d%%", cleanText(a.Step), a.Percent)
	}
	if a.Code != protocol.OK {
		text += fmt.Sprintf("  %s: %s; %s", a.Code, cleanText(a.Message), cmp.Or(a.Code.Hint(), "see the gateway's log"))
	}
	if len(a.Result) > 0 {
		text += "  " + cleanText(string(a.Result))
	}
	if a.Lost {
		text += "  (its result is not kept any more)"
	}
	return p.say(map[string]any{"event": "answer", "gw": o.Gateway, "id": o.ID, "sent": o.Sent, "answer": a}, "%s", text)
}

// verdictOf returns an error unless all gateways have done it.
func verdictOf(s *operator.Sender, unsent int) error {
	done, refused, silent := 0, 0, unsent
	for _, o := range s.Outcomes() {
		switch {
		case o.Answer == nil || !o.Answer.Final:
			silent++
		case o.Answer.Status == protocol.StatusDone:
			done++
		default:
			refused++
		}
	}
	if refused+silent == 0 {
		return nil
	}
	return failed(exitCheck, fmt.Errorf("%s did it, %d did not, %d did not answer in time", plural(done, "gateway"), refused, silent))
}

const fleetSignLong = `Add your signature to a command in a file, made with edged fleet cmd --out. It shows
what you sign first. No connection is needed.`

func newFleetSignCmd(f *fleetFlags) *cobra.Command {
	return &cobra.Command{
		Use: "sign FILE", Short: "sign a command as the second person", Long: fleetSignLong, Args: exactly(1, "the file of a command"),
		Example: "  edged fleet sign reset.json --key keys/alan.secret",
		RunE: func(cmd *cobra.Command, args []string) error {
			keys, err := f.signers()
			if err != nil {
				return err
			}
			e, c, err := readCommand(args[0])
			if err != nil {
				return err
			}
			for _, key := range keys {
				for _, s := range e.Signatures {
					if s.KeyID == key.Public().ID() {
						return failed(exitUsage, fmt.Errorf("%s: %s has signed already", args[0], s.KeyID))
					}
				}
				e.Sign(key)
			}
			if len(e.Signatures) > trust.SignaturesMax {
				return failed(exitUsage, fmt.Errorf("%s: more than %d signatures", args[0], trust.SignaturesMax))
			}
			if err := writeDurable(args[0], append(e.Encode(), '\n')); err != nil {
				return err
			}
			out := printer{cmd.OutOrStdout(), f.asJSON}
			return out.say(map[string]any{"event": "signed", "command": c, "signatures": len(e.Signatures)}, "%s %s for %s, args %s: %s",
				c.Op, c.ID, c.Aud.Gateway, cmp.Or(string(c.Args), "{}"), plural(len(e.Signatures), "signature"))
		},
	}
}

// readCommand reads the file of a signed command.
func readCommand(file string) (trust.Envelope, protocol.Command, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return trust.Envelope{}, protocol.Command{}, failed(exitUsage, fmt.Errorf("read a command: %w", err))
	}
	e, err := trust.Open([]byte(strings.TrimSpace(string(text))), protocol.CommandBytesMax)
	if err == nil && e.Type != trust.TypeCommand {
		err = fmt.Errorf("it has a payload of type %.80q", e.Type)
	}
	var c protocol.Command
	if err == nil {
		c, err = protocol.Decode[protocol.Command](e.Payload)
	}
	if err == nil && c.Aud.Gateway == "" {
		err = errors.New("it is not for one gateway")
	}
	if err != nil {
		return e, c, failed(exitConfig, fmt.Errorf("%s is no signed command: %w", file, err))
	}
	return e, c, nil
}

func newFleetSendCmd(f *fleetFlags) *cobra.Command {
	var giveUp time.Duration
	cmd := &cobra.Command{
		Use: "send FILE", Short: "send a signed command and wait for its answer", Args: exactly(1, "the file of a command"),
		Long: `Send a command that was written with edged fleet cmd --out, and wait for its answer.
It can be sent again at any time: the gateway does it once, and repeats its answer.`,
		Example: "  edged fleet send reset.json",
		RunE: func(cmd *cobra.Command, args []string) error {
			e, c, err := readCommand(args[0])
			if err != nil {
				return err
			}
			if c.Aud.Fleet != f.fleet {
				return failed(exitUsage, fmt.Errorf("%s is for fleet %s, not %s", args[0], c.Aud.Fleet, f.fleet))
			}
			filters, err := gatewayFilters(f, c.Aud.Gateway)
			if err != nil {
				return err
			}
			return withDesk(f, cmd, func(ctx context.Context, d *desk) error {
				topic, err := d.topic(protocol.Topic{Kind: protocol.KindCommand, Gateway: c.Aud.Gateway, ID: c.ID})
				if err != nil {
					return err
				}
				run := &dispatch{desk: d, out: printer{cmd.OutOrStdout(), f.asJSON}, sender: operator.NewSender(), until: clock(time.Now().Add(giveUp))}
				run.flags = &commandFlags{}
				if err := run.sender.Add(operator.Order{ID: c.ID, Gateway: c.Aud.Gateway, Topic: topic, Data: e.Encode(), Until: run.until}); err != nil {
					return err
				}
				return run.follow(ctx)
			}, filters...)
		},
	}
	cmd.Flags().DurationVar(&giveUp, "give-up", 2*time.Minute, "how long to wait for the answer")
	return cmd
}
