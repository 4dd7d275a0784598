package agent

import (
	"encoding/json"
	"slices"

	"edged/fleet/protocol"
)

// event is something that is to be told.
type event struct {
	class, code, severity, subject, message string
	data                                    json.RawMessage
}

// pending is an event that the broker has not confirmed.
type pending struct {
	number  uint64
	message Message
	sent    bool // on this connection
}

// message encodes a message for a topic of ours.
func (a *Agent) message(t protocol.Topic, m protocol.Message) (Message, error) {
	payload, err := a.encode(m)
	if err != nil {
		a.cfg.Logger.Error("fleet: a message that cannot be said", "kind", t.Kind, "err", err)
		return Message{}, err
	}
	return Message{Topic: a.topic(t), Payload: payload, QoS: t.Kind.QoS(), Retained: t.Kind.Retained()}, nil
}

// encode encodes a message, and signs it if it is one that we sign.
func (a *Agent) encode(m protocol.Message) ([]byte, error) {
	if s, ok := m.(protocol.Statement); ok && a.cfg.Signer != nil {
		return protocol.Sign(s, a.cfg.Signer)
	}
	return protocol.Encode(m)
}

// say sends a message if we are connected; it is of no use later. The caller holds
// mu.
func (a *Agent) say(t protocol.Topic, m protocol.Message) {
	if !a.up {
		return
	}
	out, err := a.message(t, m)
	if err == nil {
		err = a.link.Send(out, nil)
	}
	if err != nil {
		a.stats.Unsaid++
	}
}

// answer sends an answer, now or when we are connected. The caller holds mu.
func (a *Agent) answer(answer protocol.Answer) {
	if m, err := a.message(protocol.Topic{Kind: protocol.KindAnswer, ID: answer.ID}, answer); err == nil {
		a.sendAnswer(m)
	}
}

// sendAnswer sends an answer, or keeps it for the next connection. The caller holds
// mu.
func (a *Agent) sendAnswer(m Message) {
	if a.up && a.link.Send(m, func(err error) {
		if err != nil {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.keep(m)
		}
	}) == nil {
		a.stats.Answered++
		return
	}
	a.keep(m)
}

// keep keeps an answer for the next connection. The caller holds mu.
func (a *Agent) keep(m Message) {
	if len(a.answers) >= AnswersMax {
		a.answers = a.answers[1:]
		a.stats.AnswersDropped++
	}
	a.answers = append(a.answers, m)
}

// raise numbers an event, stores the number and queues the event. The caller holds
// mu.
func (a *Agent) raise(e event) {
	a.counters.Event++
	if a.commit(Change{Counters: a.counters}) {
		a.queue(a.counters.Event, e)
	}
}

// queue queues a numbered event. The caller holds mu.
func (a *Agent) queue(number uint64, e event) {
	wall, trusted := a.cfg.Wall()
	m, err := a.message(protocol.Topic{Kind: protocol.KindEvent, Name: e.class}, protocol.Event{
		V: protocol.Version, Number: number, Instance: a.self.Instance, Class: e.class, Code: e.code, Severity: e.severity,
		Subject: e.subject, Boot: a.counters.Boot, Mono: int64(a.now()), Time: max(wall.UnixMilli(), 0), Trusted: trusted,
		Message: clip(e.message), Data: e.data,
	})
	if err != nil {
		return
	}
	if len(a.events) >= EventsMax {
		a.events = a.events[1:]
		a.stats.EventsDropped++
	}
	a.events = append(a.events, pending{number: number, message: m})
	a.flush()
}

// clip shortens a text to what a message may have.
func clip(text string) string {
	if len(text) <= protocol.MessageBytesMax {
		return text
	}
	cut := protocol.MessageBytesMax - 3
	for cut > 0 && text[cut]&0xc0 == 0x80 {
		cut--
	}
	return text[:cut] + "..."
}

// flush sends events in their order as far as the link takes them. The caller holds
// mu.
func (a *Agent) flush() {
	for i := range a.events {
		p := &a.events[i]
		if p.sent || !a.up {
			continue
		}
		number := p.number
		if a.link.Send(p.message, func(err error) { a.confirmed(number, err) }) != nil {
			return
		}
		p.sent = true
	}
}

// confirmed forgets an event that the broker has.
func (a *Agent) confirmed(number uint64, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := slices.IndexFunc(a.events, func(p pending) bool { return p.number == number })
	if i >= 0 && err == nil {
		a.events = slices.Delete(a.events, i, i+1)
		a.stats.EventsConfirmed++
	}
}

// Event tells of something in the life of the gateway, with the class lifecycle.
func (a *Agent) Event(code, subject, message string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.raise(event{class: protocol.ClassLifecycle, code: code, severity: protocol.SeverityInfo, subject: subject, message: message})
}

// info is what the gateway is. The caller does not hold mu.
func (a *Agent) info() protocol.Info {
	i := a.gateway.Describe()
	a.mu.Lock()
	defer a.mu.Unlock()
	i.V, i.Fleet, i.Gateway, i.Instance = protocol.Version, a.self.Fleet, a.self.ID, a.self.Instance
	i.Session, i.Labels, i.Keyring, i.Config = a.counters.Session, a.self.Labels, a.guard.Ring().Version(), a.gateway.Running()
	i.Limits = protocol.Bounds{CommandBytes: protocol.CommandBytesMax, DesiredBytes: protocol.DesiredBytesMax, Queue: queueMax(a.cfg.Guard)}
	i.Ops = map[string]int{}
	for name, op := range a.ops {
		i.Ops[name] = max(op.Version, 1)
	}
	return i
}

// reported is what became of what was asked for. The caller holds mu.
func (a *Agent) reported() protocol.Reported {
	version, refresh := a.guard.Desired()
	ring := a.guard.Ring()
	r := protocol.Reported{
		V: protocol.Version, Instance: a.self.Instance, Session: a.counters.Session, Revision: a.said, Epoch: ring.Epoch(), Keyring: ring.Version(),
		Seen: version, Refresh: refresh, Applied: a.report.Applied, Effective: a.report.Effective, Status: a.report.Status,
		Phase: a.report.Phase, Error: a.report.Error, Failed: a.report.Failed, Watermark: a.guard.Watermarks(), Audit: a.guard.Head().String(),
	}
	if r.Effective == "" {
		r.Effective = a.gateway.Running().Hash
	}
	return r
}

// sayReported publishes it if it has changed. The caller holds mu.
func (a *Agent) sayReported() {
	if a.up {
		a.stale = false
		a.said++
		a.say(protocol.Topic{Kind: protocol.KindReported}, a.reported())
	}
}

// heartbeat says how the gateway is.
func (a *Agent) heartbeat() {
	h := a.gateway.Heartbeat()
	a.mu.Lock()
	defer a.mu.Unlock()
	h.V, h.Session, h.Boot, h.Mono = protocol.Version, a.counters.Session, a.counters.Boot, int64(a.now())
	a.say(protocol.Topic{Kind: protocol.KindHeartbeat}, h)
}
