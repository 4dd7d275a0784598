package command

import (
	"encoding/hex"
	"errors"

	"edged/fleet/audit"
	"edged/fleet/protocol"
	"edged/fleet/trust"
)

// Accept decides about a command that was delivered. It checks, cheap things
// first and without changing anything until all of them hold:
//
//	size, topic, retain · envelope · signatures · payload · who, to whom, which keyring
//	known id: its answer again · no other instance alive · number fresh, or key introduced by a nonce · holders
//	quota of the key
//
// From here on the number and the id are used up, whatever comes next, so that
// what is rejected today cannot run tomorrow:
//
//	role · nonce · ttl, exp · known op, its arguments · precondition · queue
func (g *Guard) Accept(d Delivery, at Moment) Effects {
	e := Effects{Code: protocol.OK}
	g.summarise(&e, at)
	s, refused := g.openCommand(d)
	if refused != nil {
		g.deny(&e, subject{kind: "command", id: d.Topic.ID}, refused, at)
		return e
	}
	c, about, refused := g.read(&s, d)
	if refused != nil {
		if refused.code != protocol.CodeAudience || d.Topic.Kind != protocol.KindGroupCommand {
			g.deny(&e, about, refused, at)
		} else { // a group has members that a selector does not select
			e.Code, e.Err = refused.code, refused.err
		}
		return e
	}
	if known := g.records.byID[c.ID]; known != nil {
		g.repeat(&e, known, about, at)
		return e
	}
	if refused := g.fresh(&s, c, at); refused != nil {
		g.deny(&e, about, refused, at)
		return e
	}
	g.take(&e, &s, c, at)
	return e
}

// openCommand verifies the envelope of a command.
func (g *Guard) openCommand(d Delivery) (signed, *refusal) {
	direct := d.Topic.Kind == protocol.KindCommand && d.Topic.Gateway == g.cfg.Gateway.ID
	switch {
	case len(d.Data) > protocol.CommandBytesMax:
		return signed{}, refuse(protocol.CodeSize, "%d bytes are more than %d", len(d.Data), protocol.CommandBytesMax)
	case !direct && d.Topic.Kind != protocol.KindGroupCommand || d.Topic.Fleet != g.cfg.Gateway.Fleet:
		return signed{}, refuse(protocol.CodeTopic, "it came on no topic for commands of this gateway")
	case d.Retained:
		return signed{}, refuse(protocol.CodeRetained, "the broker had kept it")
	}
	return g.open(d, trust.TypeCommand, protocol.CommandBytesMax)
}

// read decodes what was signed and checks whom it concerns. The subject is right
// as far as it is known.
func (g *Guard) read(s *signed, d Delivery) (*protocol.Command, subject, *refusal) {
	about := subject{kind: "command", id: d.Topic.ID, issuer: s.signers[0].Public.ID(), digest: hex.EncodeToString(s.digest[:])}
	c, err := protocol.Decode[protocol.Command](s.payload)
	if err != nil {
		return nil, about, &refusal{code: protocol.CodeSchema, err: err}
	}
	about.op = c.Op
	if _, refused := s.issuer(c.Issuer); refused != nil {
		return nil, about, refused
	}
	about.issuer = c.Issuer
	if c.ID != d.Topic.ID {
		return nil, about, refuse(protocol.CodeTopic, "it is %s, and came as %s", c.ID, d.Topic.ID)
	}
	if err := c.Aud.Includes(g.cfg.Gateway); err != nil {
		return nil, about, distrust(err)
	}
	return &c, about, g.current(c.Keyring, c.Epoch)
}

// repeat answers a command that has come before. At most once a second, so that
// who replays it cannot make the gateway talk.
func (g *Guard) repeat(e *Effects, r *record, about subject, at Moment) {
	if hex.EncodeToString(r.digest[:]) != about.digest {
		g.deny(e, about, refuse(protocol.CodeReplay, "the id was used for another command"), at)
		return
	}
	e.Code = r.code
	if r.repeats.quiet(at.Now) {
		return
	}
	answer := g.answer(r, at)
	answer.Repeated = true
	e.Answers = append(e.Answers, answer)
}

// fresh checks everything that must hold before a number is used up. Whatever
// somebody on the way could have brought about, like a signature that is gone, is
// checked here: it must not spoil the real command.
func (g *Guard) fresh(s *signed, c *protocol.Command, at Moment) *refusal {
	if refused := g.unblocked(c.Op); refused != nil {
		return refused
	}
	if refused := g.sequence(c, at); refused != nil {
		return refused
	}
	class, known := g.class(c.Op)
	if err := trust.Grant(s.signers, class, g.cfg.Gateway); known && errors.Is(err, trust.ErrHolders) {
		return distrust(err)
	}
	if !g.rate(c.Issuer).commands.take(at.Now, g.cfg.commands()) {
		return refuse(protocol.CodeQuota, "more than %d in a second, %d at once", g.cfg.PerSecond, g.cfg.Burst)
	}
	return nil
}

// class returns the class of a command here, and whether there is such a command.
func (g *Guard) class(op string) (trust.Class, bool) {
	base, known := protocol.ClassOf(op)
	return g.ring.Class(op, base), known
}

// sequence checks the number of a command. A key that this state has not seen
// must quote a nonce first: there may be recordings of it that are older than the
// state is.
func (g *Guard) sequence(c *protocol.Command, at Moment) *refusal {
	w := g.windows[c.Issuer]
	if w == nil {
		w = &window{}
		if _, live := at.Nonces.find(c.Nonce, at.Now); !live {
			return refuse(protocol.CodeNonce, "the first command of a key must quote a nonce of the session, whatever it does")
		}
	}
	switch w.check(c.Seq, g.cfg.JumpMax) {
	case used:
		return refuse(protocol.CodeReplay, "seq %d was used, or is more than %d below %d", c.Seq, WindowBits, w.highest)
	case far:
		return refuse(protocol.CodeJump, "seq %d is more than %d above %d", c.Seq, g.cfg.JumpMax, w.highest)
	}
	return nil
}

// take uses the number up and makes the record of a command.
func (g *Guard) take(e *Effects, s *signed, c *protocol.Command, at Moment) {
	if w := g.windows[c.Issuer]; w != nil {
		w.mark(c.Seq)
	} else {
		g.windows[c.Issuer] = introduce(c.Seq)
	}
	r := &record{
		id: c.ID, digest: s.digest, issuer: c.Issuer, op: c.Op, phase: accepted, code: protocol.OK,
		command: c, signers: ids(s.signers), deadline: at.Now + Monotonic(c.TTL),
	}
	entry := audit.Entry{Decision: "accepted", Code: string(protocol.OK)}
	if refused := g.admit(r, at); refused != nil {
		r.end(rejected, refused.code, refused.err.Error())
		entry = audit.Entry{Decision: "rejected", Code: string(refused.code), Note: refused.err.Error()}
		e.Code, e.Err = refused.code, refused.err
	} else {
		e.Command = c
	}
	g.records.add(r, g.cfg.RecordsMax)
	g.write(e, r.about(), entry, at)
	e.Answers = append(e.Answers, g.answer(r, at))
}

// admit makes the checks that are final.
func (g *Guard) admit(r *record, at Moment) *refusal {
	c := r.command
	check, can := g.cfg.Ops[c.Op]
	class, known := g.class(c.Op)
	if !known || !can {
		return refuse(protocol.CodeUnknownOp, "this gateway has no %q", c.Op)
	}
	if refused := g.granted(r, class); refused != nil {
		return refused
	}
	if refused := g.named(c); refused != nil {
		return refused
	}
	if c.Nonce != "" || class.NeedsNonce() {
		nonce, live := at.Nonces.find(c.Nonce, at.Now)
		if !live {
			return refuse(protocol.CodeNonce, "a command of class %s must quote a nonce of the session", class)
		}
		r.deadline = nonce.Made + Monotonic(c.TTL)
	}
	if refused := g.timely(r, at); refused != nil {
		return refused
	}
	if check != nil {
		if err := check(c.Args); err != nil {
			return refuse(protocol.CodeArgs, "args: %w", err)
		}
	}
	if n := g.records.open(); n >= g.cfg.QueueMax {
		return refuse(protocol.CodeBusy, "%d commands wait or run", n)
	}
	return nil
}

// granted checks that the issuer may do it, and that enough others agree, in the
// keyring that is in force now.
func (g *Guard) granted(r *record, class trust.Class) *refusal {
	var signers []trust.Key
	for _, id := range r.signers {
		if key, err := g.ring.Valid(id); err == nil {
			signers = append(signers, key)
		}
	}
	issuer, err := g.ring.Valid(r.issuer)
	if err != nil {
		return distrust(err)
	}
	if !issuer.MayCommand(class, g.cfg.Gateway) {
		return refuse(protocol.CodeRole, "%s may not do commands of class %s here", issuer.Holder, class)
	}
	if err := trust.Grant(signers, class, g.cfg.Gateway); err != nil {
		return distrust(err)
	}
	return nil
}

// timely checks what changes while a command waits.
func (g *Guard) timely(r *record, at Moment) *refusal {
	c := r.command
	switch {
	case at.Now > r.deadline:
		return refuse(protocol.CodeExpired, "its ttl of %d ms is over", c.TTL)
	case c.Expires != 0 && g.Floor() > c.Expires:
		return refuse(protocol.CodeExpired, "exp_ms %d is over: it is %d at least", c.Expires, g.Floor())
	case !c.If.Holds(at.Running):
		return refuse(protocol.CodePrecond, "version %d of the configuration runs, %s", at.Running.Version, at.Running.Hash)
	}
	return nil
}
