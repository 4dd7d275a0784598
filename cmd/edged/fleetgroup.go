package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"text/tabwriter"
	"time"

	"edged/fleet/operator"
	"edged/fleet/protocol"
	"edged/fleet/trust"
)

// introduceFor is how long gateways may take to answer the ping before a group's command.
const introduceFor = 10 * time.Second

// groupable returns why a command cannot be signed once for a group.
func (d *dispatch) groupable() error {
	switch {
	case d.flags.group == "":
		return nil
	case trust.CheckName(d.flags.group) != nil:
		return failed(exitUsage, fmt.Errorf("--group: %w", trust.CheckName(d.flags.group)))
	case d.flags.out != "" || d.flags.fresh:
		return failed(exitUsage, errors.New("--group: --out and --fresh are for commands to one gateway"))
	case d.class.NeedsNonce():
		return failed(exitUsage, fmt.Errorf("--group: %s is %s, and must quote a nonce of each gateway: leave --group away, then it is signed for each by itself", d.order.Op, d.class))
	}
	return nil
}

// together signs the command once, publishes it to the group, and waits for all that were
// in the preview.
func (d *dispatch) together(ctx context.Context, targets []string) error {
	if err := d.introduce(ctx, targets); err != nil {
		return err
	}
	if err := d.number([]string{d.flags.group}); err != nil {
		return err
	}
	seq := d.waiting[d.flags.group]
	clear(d.waiting)
	id, err := newID(time.Now())
	if err != nil {
		return err
	}
	c := d.order
	c.ID, c.Seq, c.TTL = id, seq, min(d.flags.ttl.Milliseconds(), protocol.DurationMax)
	c.Aud = trust.Audience{Fleet: d.desk.flags.fleet, Selector: d.flags.selector}
	data, err := protocol.Seal(c, d.keys...)
	if err != nil {
		return failed(exitUsage, err)
	}
	topic, err := d.desk.topic(protocol.Topic{Kind: protocol.KindGroupCommand, Group: d.flags.group, ID: id})
	if err != nil {
		return err
	}
	d.group = id
	for _, name := range targets {
		if err := d.sender.Add(operator.Order{ID: id, Gateway: name, Topic: topic, Data: data, Until: d.until}); err != nil {
			return err
		}
	}
	return d.follow(ctx)
}

// introduce sends a ping to gateways that are online and do not know our key: their first
// command must quote a nonce. What becomes of it shows in what they say to the command.
func (d *dispatch) introduce(ctx context.Context, targets []string) error {
	strangers := slices.DeleteFunc(slices.Clone(targets), func(name string) bool {
		g := d.desk.view.Gateway(name)
		return !g.Online() || g.Knows(d.order.Issuer, d.order.Epoch)
	})
	if len(strangers) == 0 {
		return nil
	}
	ping := &dispatch{desk: d.desk, cmd: d.cmd, out: printer{&bytes.Buffer{}, true}, order: protocol.Command{V: protocol.Version, Op: "ping"},
		flags: &commandFlags{ttl: time.Minute, giveUp: min(introduceFor, d.flags.giveUp)}}
	err := ping.prepare(len(strangers))
	if err == nil {
		err = ping.number(strangers)
	}
	if err == nil {
		err = ping.follow(ctx)
	}
	if exitCode(err) == exitCheck { // some did not answer
		return nil
	}
	return err
}

// joined follows a gateway that has answered to the command of a group, and was not known
// when it was sent.
func (d *dispatch) joined(a protocol.Answer) error {
	if d.group == "" || a.ID != d.group || d.sender.Follows(a.ID, a.Gateway) || a.Status == protocol.StatusDenied {
		return nil
	}
	return d.sender.Add(operator.Order{ID: a.ID, Gateway: a.Gateway, Topic: d.sender.Outcomes()[0].Topic, Data: d.sender.Outcomes()[0].Data, Until: d.until})
}

// ending is what became of a command at one gateway.
type ending struct {
	Gateway string        `json:"gw"`
	Outcome string        `json:"outcome"` // the status of its last answer, or one of those below
	Code    protocol.Code `json:"code,omitempty"`
	Message string        `json:"msg,omitempty"`
}

// The outcomes without an answer.
const (
	outcomeUnsent = "not online"
	outcomeSilent = "no answer"
)

// endings returns what became of it everywhere, by gateway.
func (d *dispatch) endings() []ending {
	var all []ending
	for _, o := range d.sender.Outcomes() {
		e := ending{Gateway: o.Gateway, Outcome: outcomeSilent}
		if a := cmp.Or(o.Answer, o.Denied); a != nil {
			e.Code, e.Message = a.Code, a.Message
			e.Outcome = string(a.Status)
		}
		all = append(all, e)
	}
	for _, name := range d.unsent {
		all = append(all, ending{Gateway: name, Outcome: outcomeUnsent})
	}
	slices.SortStableFunc(all, func(a, b ending) int { return cmp.Compare(a.Gateway, b.Gateway) })
	return all
}

// verdict shows what became of a command that went to several gateways, and returns an
// error unless all have done it.
func (d *dispatch) verdict() error {
	done, refused, silent := 0, 0, len(d.unsent)
	for _, o := range d.sender.Outcomes() {
		switch {
		case o.Answer == nil || !o.Answer.Final:
			silent++
		case o.Answer.Status == protocol.StatusDone:
			done++
		default:
			refused++
		}
	}
	if d.many {
		if err := d.table(done, refused, silent); err != nil {
			return err
		}
	}
	if refused+silent == 0 {
		return nil
	}
	return failed(exitCheck, fmt.Errorf("%s did it, %d did not, %d did not answer in time", plural(done, "gateway"), refused, silent))
}

// table writes the endings down.
func (d *dispatch) table(done, refused, silent int) error {
	all := d.endings()
	if d.out.asJSON {
		return d.out.say(map[string]any{"event": "summary", "op": d.order.Op, "done": done, "refused": refused, "silent": silent, "gateways": all}, "")
	}
	t := tabwriter.NewWriter(d.out.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "GATEWAY\tOUTCOME\tCODE\tMESSAGE")
	for _, e := range all {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", e.Gateway, e.Outcome, cmp.Or(string(e.Code), "-"), cmp.Or(cleanText(e.Message), "-"))
	}
	return t.Flush()
}

// ask sends one command to one gateway and returns its last answer; nil if there was
// none.
func (d *desk) ask(ctx context.Context, order protocol.Command, gateway string, giveUp time.Duration) (*protocol.Answer, error) {
	order.V = protocol.Version
	run := &dispatch{desk: d, order: order, out: printer{&bytes.Buffer{}, true}, flags: &commandFlags{ttl: time.Minute, giveUp: giveUp}}
	err := run.prepare(1)
	if err == nil {
		err = run.number([]string{gateway})
	}
	if err == nil {
		err = run.follow(ctx)
	}
	if run.sender == nil || len(run.sender.Outcomes()) == 0 {
		return nil, err
	}
	o := run.sender.Outcomes()[0]
	return cmp.Or(o.Answer, o.Denied), err
}
