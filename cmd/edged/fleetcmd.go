package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
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

With --group it is signed once, for whoever has the labels, and published on a topic of
the group: gateways find out themselves whether they are meant, also one that the
broker did not know when you looked. It cannot quote nonces, so it is for commands that
need none; gateways that do not know your key yet are sent a ping before.

Otherwise the command is signed for each gateway by itself, numbered, and sent again and again,
always the same bytes, until a final answer comes or --give-up is over. A gateway does
it once, however often it arrives. "denied" is not final: whoever can reach the
broker can bring it about.

Dangerous commands, and the first command of a key to a gateway, quote a nonce of the
gateway's session; for that it must be online. Destructive commands need two holders:
give both keys, or write the command with --out, let the other person run edged fleet
sign, and send it with edged fleet send.`

const fleetCmdExample = `  edged fleet cmd gw-1 pipeline.pause pipeline=energy

  edged fleet cmd --selector site=berlin --preview log.level level=debug revert_s=600

  edged fleet cmd --group berlin --selector site=berlin pipeline.pause pipeline=energy

  edged fleet cmd gw-1 state.reset pipeline=energy --out reset.json   # then sign, send`

// outTTL is how long a command that others must sign may be on its way: as long as the
// nonce that it quotes lives.
const outTTL = 20 * time.Minute

// opAdopt is the command that must name the instance it is for.
const opAdopt = "identity.adopt"

// commandFlags are those of edged fleet cmd.
type commandFlags struct {
	selector     string
	group        string
	instance     string
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
		Use: "cmd {GW | [--group GROUP] --selector LABELS} OP [NAME=VALUE...]", Short: "send a command and wait for its answer",
		Long: fleetCmdLong, Example: fleetCmdExample,
	}
	cmd.Flags().StringVar(&c.selector, "selector", "", "labels of the gateways, instead of GW")
	cmd.Flags().StringVar(&c.group, "group", "", "sign once for all that --selector selects (default *), and publish to the group of this name")
	cmd.Flags().StringVar(&c.instance, "instance", "", "only this instance of GW, where several have its name; edged fleet show GW has them")
	cmd.Flags().BoolVar(&c.preview, "preview", false, "show which gateways it would be sent to, and send nothing")
	cmd.Flags().BoolVar(&c.yes, "yes", false, "do not ask whether to send it to several gateways")
	cmd.Flags().BoolVar(&c.fresh, "fresh", false, "quote a nonce even if none is needed, so that nobody can hold the command back for another session")
	cmd.Flags().BoolVar(&c.dryRun, "dry-run", false, "let the gateway check it only")
	cmd.Flags().StringVar(&c.out, "out", "", "write the signed command to this file instead of sending it")
	cmd.Flags().DurationVar(&c.ttl, "ttl", time.Minute, "how long it may wait at the gateway, or be on its way if a nonce is quoted; with --out 20m, as long as a nonce lives")
	cmd.Flags().DurationVar(&c.giveUp, "give-up", 2*time.Minute, "how long to wait for the gateway and its answer")
	cmd.Flags().DurationVar(&c.timeout, "timeout", 0, "how long it may run; 0: as the gateway likes")
	cmd.Flags().Uint64Var(&c.ifVersion, "if-version", 0, "only if this version of the configuration runs")
	cmd.Flags().StringVar(&c.ifHash, "if-hash", "", "only if the configuration with this hash runs")
	cmd.Args = func(_ *cobra.Command, args []string) error {
		if c.group != "" {
			c.selector = cmp.Or(c.selector, "*")
		}
		if need := 2 - min(1, len(c.selector)); len(args) < need {
			return failed(exitUsage, errors.New("give a gateway (or --selector) and a command; see edged fleet cmd --help"))
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c.checkVersion = cmd.Flags().Changed("if-version")
		if c.out != "" && !cmd.Flags().Changed("ttl") {
			c.ttl = outTTL
		}
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
	if c.instance != "" && c.selector != "" || c.instance == "" && order.Op == opAdopt {
		return order, failed(exitUsage, fmt.Errorf("--instance says which instance of one GW is meant, and %s needs it; edged fleet show GW has them", opAdopt))
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
	unsent  []string    // gateways that were never online
	group   protocol.ID // of the command that was signed once for all
	many    bool        // it goes to several
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
	d.many = gateway == ""
	if d.flags.group != "" {
		return d.together(ctx, targets)
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
	if err := d.groupable(); err != nil {
		return err
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
		case d.flags.group != "" && !g.Knows(d.order.Issuer, d.order.Epoch):
			does = "can, after a ping"
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
	s := g.StateOf(d.flags.instance)
	return s.Nonce, s.Online
}

// newID returns an id that nobody has used.
func newID(now time.Time) (protocol.ID, error) {
	var chance [10]byte
	if _, err := rand.Read(chance[:]); err != nil {
		return "", fmt.Errorf("choose an id: %w", err)
	}
	return protocol.NewID(clock(now), chance), nil
}

// sign makes the order of one gateway.
func (d *dispatch) sign(g *operator.Gateway, name, nonce string, seq uint64, now time.Time) (operator.Order, error) {
	id, err := newID(now)
	if err != nil {
		return operator.Order{}, err
	}
	c := d.order
	c.ID, c.Seq, c.Nonce = id, seq, nonce
	c.Aud = trust.Audience{Fleet: d.desk.flags.fleet, Gateway: name, Instance: d.flags.instance}
	c.TTL = d.flags.ttl.Milliseconds()
	if nonce != "" { // the time counts from the making of the nonce
		_, age := g.NonceAge(clock(now), nonce)
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
		return d.answered(n)
	}, func(now time.Time) (bool, error) {
		if over, err := d.signReady(now); over || err != nil {
			written = over
			return true, err
		}
		if clock(now) >= d.until && len(d.waiting) > 0 {
			for name := range d.waiting {
				d.unsent = append(d.unsent, name)
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
	return d.verdict()
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
func (d *dispatch) answered(n operator.News) error {
	if n.Answer == nil {
		return nil
	}
	if err := d.joined(*n.Answer); err != nil {
		return err
	}
	o, news := d.sender.Observe(*n.Answer, clock(time.Now()))
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
	if !n.Signed && d.desk.ring != nil && d.desk.ring.SignsGateways() {
		text += "  (unsigned)"
	}
	if all := len(d.sender.Outcomes()) + len(d.waiting) + len(d.unsent); d.many && a.Final {
		text += fmt.Sprintf("  (%d of %d)", all-len(d.waiting)-d.sender.Open(), all)
	}
	return d.out.say(map[string]any{"event": "answer", "gw": o.Gateway, "id": o.ID, "sent": o.Sent, "signed": n.Signed, "answer": a}, "%s", text)
}

const fleetSignLong = `Add your signature to a command in a file, made with edged fleet cmd --out. It shows
what you sign, and asks if somebody can be asked; --show only shows it. Who has signed is
said by the keyring of this home, if there is one. No connection is needed.`

func newFleetSignCmd(f *fleetFlags) *cobra.Command {
	var show, yes bool
	cmd := &cobra.Command{
		Use: "sign FILE", Short: "sign a command as the second person", Long: fleetSignLong, Args: exactly(1, "the file of a command"),
		Example: "  edged fleet sign reset.json --key keys/alan.secret",
		RunE: func(cmd *cobra.Command, args []string) error {
			out := printer{cmd.OutOrStdout(), f.asJSON}
			var keys []trust.SecretKey
			var err error
			if !show {
				if keys, err = f.signers(); err != nil {
					return err
				}
			}
			e, c, err := readCommand(args[0])
			if err != nil {
				return err
			}
			if show {
				return f.describeCommand(&out, &e, c)
			}
			if terminal(cmd.InOrStdin()) {
				if err := f.describeCommand(&out, &e, c); err != nil {
					return err
				}
				if err := confirm(cmd, yes, "you sign it"); err != nil {
					return err
				}
			}
			if err := addSignatures(&e, keys); err != nil {
				return failed(exitUsage, fmt.Errorf("%s: %w", args[0], err))
			}
			if err := writeDurable(args[0], append(e.Encode(), '\n')); err != nil {
				return err
			}
			return f.describeCommand(&out, &e, c)
		},
	}
	cmd.Flags().BoolVar(&show, "show", false, "show the command and who has signed it, and sign nothing")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

// addSignatures signs with each key, once.
func addSignatures(e *trust.Envelope, keys []trust.SecretKey) error {
	for _, key := range keys {
		for _, s := range e.Signatures {
			if s.KeyID == key.Public().ID() {
				return fmt.Errorf("%s has signed already", s.KeyID)
			}
		}
		e.Sign(key)
	}
	if len(e.Signatures) > trust.SignaturesMax {
		return fmt.Errorf("more than %d signatures", trust.SignaturesMax)
	}
	return nil
}

// describeCommand shows a command and, as far as our keyring knows, who has signed it and
// whether that is enough.
func (f *fleetFlags) describeCommand(out *printer, e *trust.Envelope, c protocol.Command) error {
	text := fmt.Sprintf("%s %s for %s, args %s: %s", c.Op, c.ID, c.Aud.Gateway, cmp.Or(string(c.Args), "{}"), plural(len(e.Signatures), "signature"))
	fact := map[string]any{"event": "signed", "command": c, "signatures": len(e.Signatures)}
	if ring := f.knownRing(); ring != nil {
		base, _ := protocol.ClassOf(c.Op)
		class := ring.Class(c.Op, base)
		var names []string
		able := map[string]bool{}
		signers, err := ring.Verify(e)
		for _, key := range signers {
			names = append(names, key.Holder)
			if slices.ContainsFunc(key.Roles, func(r trust.Role) bool { return r.MayCommand(class) }) {
				able[key.Holder] = true
			}
		}
		text += fmt.Sprintf(" by %s; %d of %d holders that a command of class %s needs", strings.Join(names, ", "), min(len(able), class.Holders()), class.Holders(), class)
		if err != nil {
			text += fmt.Sprintf(" (%v)", err)
		}
		fact["holders"], fact["class"], fact["enough"] = names, class.String(), len(able) >= class.Holders()
	}
	return out.say(fact, "%s", text)
}

// knownRing returns the keyring of this home; nil if there is none.
func (f *fleetFlags) knownRing() *trust.Ring {
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
