package agent

import (
	"fmt"

	"edged/fleet/command"
	"edged/fleet/protocol"
	"edged/fleet/trust"
)

func (a *Agent) hooks() Hooks {
	return Hooks{Greet: a.greet, Up: a.raiseUp, Receive: a.receive, Down: a.lost, Farewell: a.farewell}
}

// receive takes a message. When it returns nil, what was decided is durable.
func (a *Agent) receive(m Message) error {
	t, err := protocol.ParseTopic(a.cfg.Prefix, m.Topic)
	if err != nil {
		a.cfg.Logger.Debug("fleet: message on a foreign topic", "topic", m.Topic)
		return nil
	}
	d := command.Delivery{Topic: t, Retained: m.Retained, Data: m.Payload}
	switch t.Kind {
	case protocol.KindState:
		return a.mirror(m.Payload, m.Retained)
	case protocol.KindCommand, protocol.KindGroupCommand:
		return a.take(d)
	case protocol.KindDesired:
		_, err := a.takeDesired(d)
		return err
	case protocol.KindTime:
		_, err := a.judge(d, a.guard.AcceptTime)
		return err
	case protocol.KindTrust:
		_, err := a.judge(d, a.guard.AcceptTrust)
		return err
	}
	return nil
}

// judge decides about a delivery and counts what was denied.
func (a *Agent) judge(d command.Delivery, accept func(command.Delivery, command.Moment) command.Effects) (command.Effects, error) {
	e, err := a.decide(func(at command.Moment) (command.Effects, error) { return accept(d, at), nil })
	if err != nil {
		return e, err
	}
	a.mu.Lock()
	a.stats.Received++
	if e.Code != protocol.OK {
		a.stats.Denied[e.Code]++
	}
	a.mu.Unlock()
	switch {
	case e.Keyring:
		a.cfg.Logger.Info("fleet: another keyring is in force", "version", a.ring().Version(), "epoch", a.ring().Epoch())
	case e.Code != protocol.OK && e.Code != protocol.CodeStale:
		a.cfg.Logger.Debug("fleet: denied", "kind", d.Topic.Kind, "id", d.Topic.ID, "code", e.Code, "err", e.Err)
	}
	return e, nil
}

func (a *Agent) ring() *trust.Ring {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.guard.Ring()
}

// take takes a command and puts it into its lane.
func (a *Agent) take(d command.Delivery) error {
	e, err := a.judge(d, a.guard.Accept)
	if err != nil || e.Command == nil {
		return err
	}
	a.cfg.Logger.Info("fleet: command accepted", "id", e.Command.ID, "op", e.Command.Op, "issuer", e.Command.Issuer)
	lane := a.serial
	if reads(e.Command.Op) {
		lane = a.reads
	}
	lane <- e.Command.ID // never full: the guard lets no more wait
	return nil
}

// reads reports whether an operation changes nothing, or, as command.cancel, must not
// wait for what does.
func reads(op string) bool {
	class, known := protocol.ClassOf(op)
	return known && class == trust.Read || op == opCancel
}

// takeDesired takes a desired document and hands it on.
func (a *Agent) takeDesired(d command.Delivery) (command.Effects, error) {
	_, before := a.seen()
	e, err := a.judge(d, a.guard.AcceptDesired)
	if err != nil {
		return e, err
	}
	a.mu.Lock()
	if _, refresh := a.guard.Desired(); e.Desired != nil || refresh != before {
		a.watch.unseen = 0
	}
	a.mu.Unlock()
	if e.Desired == nil {
		return e, nil
	}
	a.cfg.Logger.Info("fleet: desired configuration accepted", "version", e.Desired.Version)
	if a.cfg.Desired != nil {
		a.cfg.Desired(e.Desired)
		return e, nil
	}
	a.Report(func(r *Report) {
		r.Status, r.Phase = protocol.StatusRejected, protocol.PhaseVerify
		r.Error = &protocol.Fault{Code: protocol.CodeUnknownOp, Message: fmt.Sprintf("version %d: this program does not apply configurations that come over the link", e.Desired.Version)}
	})
	return e, nil
}

// TakeDesired takes a signed desired document that came by another way than its topic. When
// it returns nil, the document is accepted; otherwise the code says why not.
func (a *Agent) TakeDesired(document []byte) (protocol.Code, error) {
	topic := protocol.Topic{Kind: protocol.KindDesired, Fleet: a.cfg.Guard.Gateway.Fleet, Gateway: a.cfg.Guard.Gateway.ID}
	e, err := a.takeDesired(command.Delivery{Topic: topic, Retained: true, Data: document})
	switch {
	case err != nil:
		return protocol.CodeStorage, err
	case e.Code != protocol.OK:
		return e.Code, fmt.Errorf("the document is refused: %w", e.Err)
	}
	return protocol.OK, nil
}

func (a *Agent) seen() (version, refresh uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.guard.Desired()
}
