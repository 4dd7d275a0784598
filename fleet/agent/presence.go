package agent

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"edged/fleet/command"
	"edged/fleet/protocol"
)

const (
	// suspectsMax sessions with signs of a duplicate within suspectsWithin make the agent
	// stay away.
	suspectsMax    = 3
	suspectsWithin = time.Minute

	// duplicateQuiet is how long after the last sign the alarm is cleared.
	duplicateQuiet = 15 * time.Minute

	// sessionJumpMax is how far a session may be above ours to be believed: nobody needs
	// more, and a forger must not use the numbers up.
	sessionJumpMax = 1 << 20

	// remindEvery is how often the state is said again when another instance says its own.
	remindEvery = 10 * time.Second

	// instanceBytes is how much chance is in the name of an instance.
	instanceBytes = 8

	// adoptedAfter is how long after an adoption the link is ended: the answer leaves before,
	// and the next connection brings the documents that were refused.
	adoptedAfter = 500 * time.Millisecond
)

// greet begins a session: its number is stored before CONNECT.
func (a *Agent) greet(ctx context.Context) (Message, error) {
	if err := a.stayAway(ctx); err != nil {
		return Message{}, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.counters.Session++
	if !a.commit(Change{Counters: a.counters}) {
		return Message{}, a.broken
	}
	a.nonces = a.nonces.Connect(chance(16), a.now())
	a.own.Now = a.state()
	a.own.Now.Revision = 0
	return a.message(protocol.Topic{Kind: protocol.KindState}, a.own.Now.Will())
}

// stayAway waits until the hold-off is over.
func (a *Agent) stayAway(ctx context.Context) error {
	a.mu.Lock()
	wait := time.Until(a.watch.away)
	a.mu.Unlock()
	if wait <= 0 {
		return nil
	}
	a.cfg.Logger.Warn("fleet: another process uses this gateway's name; staying away", "for", wait.Round(time.Second))
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// state is what the gateway says of itself while online. The caller holds mu.
func (a *Agent) state() protocol.State {
	_, blocked := a.guard.Blocked()
	return protocol.State{
		V: protocol.Version, Online: true, Instance: a.self.Instance, Session: a.counters.Session, Revision: a.own.Now.Revision,
		Boot: a.counters.Boot, Nonce: a.nonces.Present.Value, Mono: int64(a.nonces.Present.Made), Adoption: a.guard.Adoption(), Blocked: blocked,
	}
}

// sayState publishes the state with its next revision. The caller holds mu.
func (a *Agent) sayState() {
	s := a.state()
	if s.Revision++; a.own.Now.Session != s.Session {
		s.Revision = 1
	}
	a.own.Now = s
	a.watch.overwritten, a.watch.saidAt = false, time.Now()
	a.say(protocol.Topic{Kind: protocol.KindState}, s)
}

// raiseUp says everything that a new session must say.
func (a *Agent) raiseUp() {
	info := a.info()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.up = true
	a.own.Now.Revision = 0
	a.sayState()
	a.say(protocol.Topic{Kind: protocol.KindInfo}, info)
	a.sayReported()
	answers := a.answers
	a.answers = nil
	for _, m := range answers {
		a.sendAnswer(m)
	}
	for i := range a.events {
		a.events[i].sent = false
	}
	a.flush()
	a.cfg.Logger.Info("fleet: online", "gateway", a.self.ID, "instance", a.self.Instance, "session", a.counters.Session, "boot", a.counters.Boot)
}

func (a *Agent) lost() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.up = false
}

// farewell is what the gateway says before a clean DISCONNECT.
func (a *Agent) farewell() []Message {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.up = false
	s := a.own.Now.Will()
	s.Cause = protocol.CauseShutdown
	m, err := a.message(protocol.Topic{Kind: protocol.KindState}, s)
	if err != nil {
		return nil
	}
	return []Message{m}
}

// remind says the state again when another instance has said its own since: the broker keeps
// one only, and operators need the nonce of each to adopt it. The caller holds mu.
func (a *Agent) remind() {
	if a.up && a.watch.overwritten && time.Since(a.watch.saidAt) >= remindEvery {
		a.sayState()
	}
}

// rotate makes a new nonce when the present one is old. The caller holds mu.
func (a *Agent) rotate() {
	if a.up && a.now()-a.nonces.Present.Made >= command.NonceLife {
		a.nonces = a.nonces.Rotate(chance(16), a.now())
		a.sayState()
	}
}

// mirror looks at a state on our own topic: what we did not say, somebody else did.
// An error means that nothing can be decided any more.
func (a *Agent) mirror(data []byte, retained bool) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	s, _, err := protocol.Believe[protocol.State](a.guard.Ring(), a.self.ID, data)
	if err != nil {
		return nil // anybody can publish nonsense; and if we sign, nobody else speaks for us
	}
	seen := a.own // a copy: what others say does not change what we are
	change := seen.Observe(s)
	switch {
	case change == protocol.Foreign:
		a.meet(s)
	case change == protocol.Conflict:
		a.leave(s, true, "another process has this gateway's data and name: its disk was cloned")
	case change == protocol.Newer && s.Session > a.counters.Session:
		// A farewell that was kept may be our own, from before the disk was set back.
		a.leave(s, s.Online || !retained, fmt.Sprintf("session %d was begun by this instance, which knows of %d: its disk was cloned, or set back", s.Session, a.counters.Session))
	case change == protocol.Newer && !s.Online && retained:
		// Our own will of this session cannot have been kept before we had connected.
		a.leave(s, true, "another connection has begun the session of this one: the disk was cloned")
	case change == protocol.Newer && !s.Online:
		// Our own will, while the connection stands: brokers that are shut down say it before
		// they close, so it is no sign of a duplicate. Others believe that the session is over,
		// so begin another.
		a.link.Reconnect(errors.New("fleet: the broker says that this session is over"))
	case change == protocol.Newer:
		a.leave(s, true, "another process has this gateway's data and name: its disk was cloned")
	}
	return a.broken
}

// meet takes another instance with our name into account. The caller holds mu.
func (a *Agent) meet(s protocol.State) {
	a.watch.overwritten = true
	_, before := a.guard.Blocked()
	e := a.guard.Meet(s, a.moment())
	a.settle(&e, Change{})
	if _, now := a.guard.Blocked(); now != before {
		a.sayState()
	}
	switch {
	case a.guard.Alive(s.Instance):
		a.suspect(fmt.Sprintf("instance %s, boot %d, speaks under this gateway's name; this is instance %s", s.Instance, s.Boot, a.self.Instance))
	case e.Changed:
		a.raise(event{class: protocol.ClassLifecycle, code: "identity.replaced", severity: protocol.SeverityInfo, subject: s.Instance,
			message: fmt.Sprintf("instance %s had this name before, and has gone; this is instance %s", s.Instance, a.self.Instance)})
	}
}

// leave takes another instance name, because another process has our data, too: so the two
// can be told apart. The caller holds mu.
func (a *Agent) leave(s protocol.State, alive bool, why string) {
	name := chance(instanceBytes)
	e := a.guard.Leave(s, alive, name, a.moment())
	a.self.Instance, a.own.Now.Instance = name, name
	if s.Session > a.counters.Session && s.Session-a.counters.Session <= sessionJumpMax {
		// Others take the greatest session for the present one, so ours must be greater.
		a.counters.Session = s.Session
	}
	a.settle(&e, Change{Instance: name})
	a.suspect(why)
	a.link.Reconnect(fmt.Errorf("fleet: this is instance %s from now on", name))
}

// suspect notes a sign of a duplicate. The caller holds mu.
func (a *Agent) suspect(why string) {
	now := time.Now()
	a.stats.Duplicates++
	w := &a.watch
	w.duplicate, w.duplicateAt = why, now
	if w.suspected != a.counters.Session { // what counts is whether we throw each other out
		w.suspected = a.counters.Session
		w.suspects = append(w.suspects, now)
	}
	for len(w.suspects) > 0 && now.Sub(w.suspects[0]) > suspectsWithin {
		w.suspects = w.suspects[1:]
	}
	// Who was adopted stays; the other one goes.
	if _, blocked := a.guard.Blocked(); blocked && len(w.suspects) >= suspectsMax {
		w.suspects = nil
		// Full jitter: two that stay away equally long meet again.
		w.away = now.Add(a.cfg.HoldOff + rand.N(a.cfg.HoldOff+1))
	}
	a.cfg.Logger.Warn("fleet: duplicate", "why", why)
	a.compareAlarms(a.conditions(nil))
}
