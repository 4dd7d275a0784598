package command

import (
	"encoding/json"
	"fmt"

	"edged/fleet/audit"
	"edged/fleet/protocol"
)

// Outcome is how an action ended. A code other than OK says that it failed.
type Outcome struct {
	Code    protocol.Code
	Message string
	Result  json.RawMessage
}

// Start decides whether an accepted command may run now: rights, time and
// precondition are looked at again. If Code is OK, Effects.Command is to be run, once,
// after the commit. If not, the command is over. An error wraps [ErrPhase].
func (g *Guard) Start(id protocol.ID, at Moment) (Effects, error) {
	r, err := g.at(id, accepted)
	if err != nil {
		return Effects{}, err
	}
	e := Effects{Code: protocol.OK}
	c := r.command
	if refused := g.restart(r, at); refused != nil {
		e.Code, e.Err = refused.code, refused.err
		r.end(failed, refused.code, refused.err.Error())
	} else {
		r.phase, r.begun, e.Command = started, true, c
	}
	g.tell(&e, r, at)
	return e, nil
}

// restart checks again, at the start, what was checked at the acceptance and may
// have changed.
func (g *Guard) restart(r *record, at Moment) *refusal {
	if refused := g.current(r.command.Keyring, r.command.Epoch); refused != nil {
		return refused
	}
	class, _ := g.class(r.op)
	if refused := g.granted(r, class); refused != nil {
		return refused
	}
	if class.NeedsNonce() && r.command.Nonce == "" {
		return refuse(protocol.CodeNonce, "it is of class %s by now, and quotes no nonce", class)
	}
	if refused := g.unblocked(r.op); refused != nil {
		return refused
	}
	return g.timely(r, at)
}

// Progress says how far a command that runs has come. It changes no state, and is
// silent if the last one is less than a second ago.
func (g *Guard) Progress(id protocol.ID, step string, percent int, at Moment) (Effects, error) {
	r, err := g.at(id, started, leaving)
	if err != nil || r.progress.quiet(at.Now) {
		return Effects{Code: protocol.OK}, err
	}
	r.ticks++
	answer := g.answer(r, at)
	answer.Tick, answer.Step, answer.Percent = r.ticks, clip(step), min(max(percent, 0), 100)
	return Effects{Code: protocol.OK, Answers: []protocol.Answer{answer}}, nil
}

// Handover says that the action is about to end the process, on purpose. If the
// process then ends, by itself or not, the command is done. Commit before acting.
func (g *Guard) Handover(id protocol.ID, at Moment) (Effects, error) {
	r, err := g.at(id, started)
	if err != nil {
		return Effects{}, err
	}
	r.phase = leaving
	return Effects{Code: protocol.OK, Changed: true}, nil
}

// Finish ends a command that was started. The answer has the whole result; later
// ones only if it was small. An error wraps [ErrPhase].
func (g *Guard) Finish(id protocol.ID, o Outcome, at Moment) (Effects, error) {
	r, err := g.at(id, started, leaving)
	if err != nil {
		return Effects{}, err
	}
	p := done
	if o.Code != protocol.OK {
		p = failed
	}
	if len(o.Result) > protocol.ResultBytesMax || len(o.Result) > 0 && !json.Valid(o.Result) {
		o.Result, r.lost = nil, true
	}
	r.end(p, o.Code, o.Message)
	r.result = o.Result
	e := Effects{Code: o.Code}
	g.tell(&e, r, at)
	if len(r.result) > g.cfg.ResultBytesMax {
		r.result, r.lost = nil, true
	}
	return e, nil
}

// at returns the record of a command that must be in one of the phases.
func (g *Guard) at(id protocol.ID, want ...phase) (*record, error) {
	r := g.records.byID[id]
	if r == nil {
		return nil, fmt.Errorf("%w: there is no command %s", ErrPhase, id)
	}
	for _, p := range want {
		if r.phase == p {
			return r, nil
		}
	}
	return nil, fmt.Errorf("%w: command %s is %s", ErrPhase, id, statuses[r.phase])
}

// tell writes down and answers how far a record is.
func (g *Guard) tell(e *Effects, r *record, at Moment) {
	status := statuses[r.phase]
	g.write(e, r.about(), audit.Entry{Decision: string(status), Code: string(r.code), Note: r.message}, at)
	e.Answers = append(e.Answers, g.answer(r, at))
}

// recover ends what the last life of the process left open: nobody knows how far
// an action came, so that none runs again.
func (g *Guard) recover(at Moment) Effects {
	e := Effects{Code: protocol.OK}
	for _, r := range g.records.order {
		switch {
		case r.phase.final():
			continue
		case r.phase == leaving:
			r.end(done, protocol.OK, "the process has started again")
		case r.begun:
			r.end(interrupted, protocol.CodeInterrupt, "the process ended after it was started; it may have had an effect")
		default:
			r.end(interrupted, protocol.CodeInterrupt, "the process ended before it was started; it had no effect")
		}
		g.tell(&e, r, at)
	}
	return e
}
