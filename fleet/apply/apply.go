package apply

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"edged/fleet/protocol"
)

// Version is a configuration and its number. The number 0 is what the gateway has on its
// own disk, and has no Config.
type Version struct {
	Epoch  uint64          `json:"epoch,omitempty"` // of the keyring; numbers count anew in each
	Number uint64          `json:"version,omitempty"`
	Config json.RawMessage `json:"config,omitempty"`
}

// ID returns the version without its Config.
func (v Version) ID() Version { return Version{Epoch: v.Epoch, Number: v.Number} }

// Is reports whether two are the same version.
func (v Version) Is(o Version) bool { return v.Epoch == o.Epoch && v.Number == o.Number }

// Trial is a version that has not proved itself.
type Trial struct {
	Version
	Apply  protocol.Apply `json:"apply"`
	Before Health         `json:"before"` // what was counted until then
	Starts int            `json:"starts"` // of the process, while it was tried
}

// State is what must not be forgotten.
type State struct {
	Active   Version   `json:"active"`             // what was committed last
	Trial    *Trial    `json:"trial,omitempty"`    // what is tried beside it
	Previous *Version  `json:"previous,omitempty"` // what was active before; nil: nothing is known
	Failed   []Version `json:"failed,omitempty"`   // without their Config
	Last     Outcome   `json:"last"`
}

// Outcome is what became of a version.
type Outcome struct {
	Version
	Status string          `json:"status,omitempty"`
	Phase  string          `json:"phase,omitempty"`
	Fault  *protocol.Fault `json:"fault,omitempty"`
}

func (s *State) failed(v Version) bool { return slices.ContainsFunc(s.Failed, v.Is) }

// fail ends the trial and notes that the version failed.
func (s *State) fail(v Version, status, phase string, fault *protocol.Fault) {
	s.Trial = nil
	s.avoid(v)
	v.Config = nil
	s.Last = Outcome{v, status, phase, fault}
}

// avoid notes that a version is not to be tried again.
func (s *State) avoid(v Version) {
	v.Config = nil
	if !s.failed(v) {
		s.Failed = append(s.Failed, v)
	}
	if over := len(s.Failed) - protocol.FailedMax; over > 0 {
		s.Failed = slices.Delete(s.Failed, 0, over)
	}
}

// commit ends the trial with its version in effect. What it replaces is not to come back
// by itself if it was newer: somebody went back from it.
func (s *State) commit() {
	before, t := s.Active, s.Trial
	s.Active, s.Previous, s.Trial = t.Version, &before, nil
	if before.Epoch == t.Epoch && before.Number > t.Number || t.Number == 0 && before.Number > 0 {
		s.avoid(before)
	}
	s.Last = Outcome{Version{Epoch: t.Epoch, Number: t.Number}, protocol.StatusApplied, protocol.PhaseCommitted, nil}
}

// Store keeps the state. Save is durable when it returns nil.
type Store interface {
	Load() (State, error)
	Save(State) error
}

// Gateway is what is configured. Errors that are or wrap a *[Fault] have a code and a
// place.
type Gateway interface {
	// Verify reads and compiles a configuration.
	Verify(v Version) error

	// Plan says what it would mean for what runs, and refuses what it cannot become.
	Plan(v Version, a protocol.Apply) error

	// DryRun tries it with input that was already there, without effect.
	DryRun(ctx context.Context, v Version) error

	// Try begins it beside what is in effect: it gets the same input, has states of its
	// own, and says nothing. After an error nothing has changed.
	Try(ctx context.Context, v Version, a protocol.Apply) error

	// Standing says what it is doing.
	Standing(v Version) Standing

	// Switch lets it speak, and the one that spoke step back. It must listen. After an error
	// nothing has changed.
	Switch(ctx context.Context, v Version) error

	// Settle ends whatever only listens, and forgets its states. Keep says that the
	// pipelines that only that one had may come back later.
	Settle(ctx context.Context, keep bool) error

	// Health returns what is counted.
	Health() Health
}

// Standing is what a gateway does with a version.
type Standing int

// The standings.
const (
	Absent  Standing = iota // it does not run
	Listens                 // it runs, and its results go nowhere
	Speaks                  // its results are sent
)

// Fault is an error with a code, and the place in the configuration.
type Fault struct {
	Code protocol.Code
	Path string
	Err  error
}

// Error returns the text of the error.
func (f *Fault) Error() string { return f.Err.Error() }

// Unwrap returns the error.
func (f *Fault) Unwrap() error { return f.Err }

// faultOf makes what is reported of an error.
func faultOf(err error, code protocol.Code) *protocol.Fault {
	text := err.Error()
	out := &protocol.Fault{Code: code, Message: text[:min(len(text), protocol.MessageBytesMax)]}
	if f, ok := errors.AsType[*Fault](err); ok {
		out.Code, out.Path = f.Code, f.Path
	}
	return out
}

// Begin is called when a process starts, before anything runs. It counts the start if a
// version is on trial, ends the trial if it was started too often, and returns what is
// known, and whether a version was given up.
func Begin(store Store) (s State, gaveUp bool, err error) {
	if s, err = store.Load(); err != nil {
		return s, false, fmt.Errorf("read which configuration is in effect: %w", err)
	}
	if s.Trial == nil {
		return s, false, nil
	}
	if s.Trial.Starts++; s.Trial.Starts >= StartsMax {
		v := s.Trial.Version
		gaveUp = true
		s.fail(v, protocol.StatusRolledBack, protocol.PhaseRollback, &protocol.Fault{
			Code: protocol.CodeHealth, Message: fmt.Sprintf("the process ended %d times while version %d was on trial", s.Trial.Starts, v.Number),
		})
	}
	if err := store.Save(s); err != nil {
		return s, false, fmt.Errorf("write which configuration is in effect: %w", err)
	}
	return s, gaveUp, nil
}

// Applier puts versions into effect, one after the other.
type Applier struct {
	gateway Gateway
	store   Store
	report  func(State)
	confirm chan Version
	retry   chan chan error
	back    chan chan error
	state   State // belongs to Run, once that is called
	last    *protocol.Desired
	tried   Health // what was counted while versions spoke that were taken back: it is not what is usual
	spoke   Health // what was counted when the version on trial began to speak, or this process to watch it

	bell   chan struct{} // rings when there is a newest
	mu     sync.Mutex
	newest *protocol.Desired
}

// New makes an applier that goes on from a state that [Begin] has returned. Report is
// called with every change of it, from the goroutine of Run.
func New(gateway Gateway, store Store, state State, report func(State)) *Applier {
	return &Applier{
		gateway: gateway, store: store, state: state, report: report,
		confirm: make(chan Version, 1), retry: make(chan chan error), back: make(chan chan error), bell: make(chan struct{}, 1),
	}
}

// Desired hands a document over, and does not wait. Of several that wait the last counts.
func (a *Applier) Desired(d *protocol.Desired) {
	a.mu.Lock()
	a.newest = d
	a.mu.Unlock()
	a.ring()
}

func (a *Applier) ring() {
	select {
	case a.bell <- struct{}{}:
	default:
	}
}

// next takes the document that waits, nil if there is none.
func (a *Applier) next() *protocol.Desired {
	a.mu.Lock()
	defer a.mu.Unlock()
	d := a.newest
	a.newest = nil
	return d
}

// Confirm says that an operator is content with a version on trial; it is forgotten if
// that one is not.
func (a *Applier) Confirm(epoch, number uint64) {
	select {
	case <-a.confirm:
	default:
	}
	a.confirm <- Version{Epoch: epoch, Number: number}
}

// Rollback ends a trial, or goes back to the version before the one in effect, through a
// trial of it. It returns when that has begun.
func (a *Applier) Rollback(ctx context.Context) error { return ask(ctx, a.back) }

// Retry forgets which versions failed, and tries the one that was handed over last again.
func (a *Applier) Retry(ctx context.Context) error { return ask(ctx, a.retry) }

// ask asks Run for something, and waits for the answer.
func ask(ctx context.Context, of chan<- chan error) error {
	done := make(chan error, 1)
	select {
	case of <- done:
		return <-done
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// ErrStart says that the process must start again: the version before a failed one could
// not be brought back while running.
var ErrStart = errors.New("a configuration takes effect at the next start")

// Run works until ctx ends, the state cannot be stored, or with [ErrStart].
func (a *Applier) Run(ctx context.Context) error {
	a.report(a.state)
	switch t := a.state.Trial; {
	case t != nil:
		if err := a.prove(ctx, t); err != nil {
			return err
		}
	case ctx.Err() == nil:
		if err := a.settle(ctx, true); err != nil { // a process may have ended before it did
			return err
		}
	}
	for {
		select {
		case <-a.bell:
			if d := a.next(); d != nil {
				if err := a.apply(ctx, d); err != nil {
					return err
				}
			}
		case done := <-a.retry:
			a.state.Failed = nil
			err := a.save()
			done <- err
			if err != nil {
				return err
			}
			if a.last != nil {
				if err := a.apply(ctx, a.last); err != nil {
					return err
				}
			}
		case done := <-a.back:
			v := a.state.Previous
			if v == nil {
				done <- errors.New("no version is known that was in effect before: send one")
				continue
			}
			done <- nil
			if err := a.try(ctx, *v, protocol.Apply{
				Health: rollbackHealth.Milliseconds(), Deadline: rollbackHealth.Milliseconds(), Confirm: protocol.ConfirmNone, State: protocol.StateKeep,
			}); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// rollbackHealth is how long a version is watched that somebody goes back to.
const rollbackHealth = 3 * time.Second

// save stores and reports the state.
func (a *Applier) save() error {
	if err := a.store.Save(a.state); err != nil {
		return fmt.Errorf("write which configuration is in effect: %w", err)
	}
	a.report(a.state)
	return nil
}

// phase tells how far the version is. It is not stored: what is on trial is.
func (a *Applier) phase(v Version, phase string) {
	v.Config = nil
	a.state.Last = Outcome{Version: v, Status: protocol.StatusApplying, Phase: phase}
	a.report(a.state)
}

// apply takes a document from its beginning to its end.
func (a *Applier) apply(ctx context.Context, d *protocol.Desired) error {
	v := Version{Epoch: d.Epoch, Number: d.Version, Config: d.Config}
	a.last = d
	switch {
	case a.state.Trial == nil && v.Is(a.state.Active), a.state.failed(v):
		return nil // shown to be wanted still, or handed over again by a restart
	case d.Ref != nil:
		return a.refuse(v, protocol.StatusRejected, protocol.PhaseFetch, &Fault{protocol.CodeUnknownOp, "ref", errors.New("this gateway fetches nothing: send the configuration itself")})
	}
	return a.try(ctx, v, d.Apply)
}

// try takes a version from its beginning to its end.
func (a *Applier) try(ctx context.Context, v Version, how protocol.Apply) error {
	for _, step := range []struct {
		phase  string
		status string
		do     func() error
	}{
		{protocol.PhaseVerify, protocol.StatusRejected, func() error { return a.gateway.Verify(v) }},
		{protocol.PhasePlan, protocol.StatusRejected, func() error { return a.gateway.Plan(v, how) }},
		{protocol.PhaseDryRun, protocol.StatusFailed, func() error { return a.gateway.DryRun(ctx, v) }},
	} {
		a.phase(v, step.phase)
		if err := step.do(); err != nil {
			if ctx.Err() != nil {
				return nil // the next process begins again
			}
			return a.refuse(v, step.status, step.phase, err)
		}
	}
	a.phase(v, protocol.PhaseCheckpoint)
	a.state.Trial = &Trial{Version: v, Apply: how, Before: a.usual()}
	if err := a.save(); err != nil {
		return err
	}
	if err := a.gateway.Try(ctx, v, how); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return a.refuse(v, protocol.StatusFailed, protocol.PhaseCheckpoint, err)
	}
	return a.prove(ctx, a.state.Trial)
}

// usual returns what is counted without the trials that failed.
func (a *Applier) usual() Health {
	h := a.gateway.Health()
	h.Messages -= a.tried.Messages
	h.Errors -= a.tried.Errors
	h.Busy -= a.tried.Busy
	return h
}

// refuse ends a version that was not in effect.
func (a *Applier) refuse(v Version, status, phase string, err error) error {
	code := protocol.CodeSchema
	switch phase {
	case protocol.PhaseDryRun:
		code = protocol.CodeHealth
	case protocol.PhaseCheckpoint:
		code = protocol.CodeInternal
	}
	a.state.fail(v, status, phase, faultOf(err, code))
	return a.save()
}

// prove watches a version on trial, first without a voice and then with one, and commits
// it or takes it back.
func (a *Applier) prove(ctx context.Context, t *Trial) error {
	fault, err := a.listen(ctx, t)
	if fault == nil && err == nil && ctx.Err() == nil {
		fault = a.speak(ctx, t)
	}
	if err != nil || ctx.Err() != nil {
		return err // without an error the trial goes on in the next process
	}
	if fault == nil {
		a.state.commit()
		if err := a.save(); err != nil {
			return err
		}
		return a.settle(ctx, true)
	}
	a.phase(t.Version, protocol.PhaseRollback)
	if a.gateway.Standing(t.Version) == Speaks {
		if err := a.gateway.Switch(ctx, a.state.Active); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			a.state.fail(t.Version, protocol.StatusRolledBack, protocol.PhaseRollback, faultOf(fault, protocol.CodeHealth))
			return errors.Join(a.save(), fmt.Errorf("%w: version %d instead of %d: %w", ErrStart, a.state.Active.Number, t.Number, err))
		}
		a.unlearn()
	}
	a.state.fail(t.Version, protocol.StatusRolledBack, protocol.PhaseRollback, faultOf(fault, protocol.CodeHealth))
	if err := a.save(); err != nil {
		return err
	}
	return a.settle(ctx, false)
}

// listen watches a version that says nothing, and waits for the operator if one is to
// decide. It returns at once if the version speaks already. What is wrong with the version
// is the fault.
func (a *Applier) listen(ctx context.Context, t *Trial) (fault, err error) {
	switch a.gateway.Standing(t.Version) {
	case Speaks:
		return nil, nil
	case Absent:
		if err := a.gateway.Try(ctx, t.Version, t.Apply); err != nil {
			return err, nil
		}
	}
	a.phase(t.Version, protocol.PhaseShadow)
	started := time.Now()
	if fault := a.gate(ctx, t, time.Duration(t.Apply.Health)*time.Millisecond, false); fault != nil || ctx.Err() != nil {
		return fault, nil
	}
	t.Starts = 0 // it has run for long enough not to be why a process ends
	if err := a.save(); err != nil || t.Apply.Confirm != protocol.ConfirmOperator {
		return nil, err
	}
	a.phase(t.Version, protocol.PhaseConfirm)
	return a.confirmed(ctx, t, time.Duration(t.Apply.Deadline)*time.Millisecond-time.Since(started)), nil
}

// speak lets a version speak, and watches it.
func (a *Applier) speak(ctx context.Context, t *Trial) error {
	if a.gateway.Standing(t.Version) != Speaks {
		a.phase(t.Version, protocol.PhaseSwitch)
		if err := a.gateway.Switch(ctx, t.Version); err != nil {
			return err
		}
	}
	a.phase(t.Version, protocol.PhaseHealthGate)
	a.spoke = a.gateway.Health()
	return a.gate(ctx, t, min(time.Duration(t.Apply.Health)*time.Millisecond, Settling), true)
}

// unlearn leaves what was counted while a version spoke out of what is usual, up to now,
// when it does so no more.
func (a *Applier) unlearn() {
	now := a.gateway.Health()
	a.tried.Messages += now.Messages - a.spoke.Messages
	a.tried.Errors += now.Errors - a.spoke.Errors
	a.tried.Busy += now.Busy - a.spoke.Busy
}

// settle ends what only listens.
func (a *Applier) settle(ctx context.Context, keep bool) error {
	if err := a.gateway.Settle(ctx, keep); err != nil && ctx.Err() == nil {
		return fmt.Errorf("%w: %w", ErrStart, err)
	}
	return nil
}

// confirmed waits until an operator is content.
func (a *Applier) confirmed(ctx context.Context, t *Trial, left time.Duration) error {
	timeout := time.NewTimer(left)
	defer timeout.Stop()
	for {
		select {
		case v := <-a.confirm:
			if v.Is(t.Version) {
				return nil
			}
		case <-a.bell:
			if err := a.interrupted(t); err != nil {
				return err
			}
		case done := <-a.retry:
			done <- errBusy
		case done := <-a.back:
			done <- nil
			return errTakenBack
		case <-timeout.C:
			return fmt.Errorf("nobody has confirmed it within %v", time.Duration(t.Apply.Deadline)*time.Millisecond)
		case <-ctx.Done():
			return nil
		}
	}
}

// errBusy is the answer to what only makes sense when nothing is on trial.
var errBusy = errors.New("a version is on trial: wait for its end")

// errTakenBack is what ends a trial that an operator does not want.
var errTakenBack = &Fault{protocol.CodeCancelled, "", errors.New("an operator took it back")}

// interrupted returns an error if a document that waits ends the trial: one that is new.
func (a *Applier) interrupted(t *Trial) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	d := a.newest
	if d == nil {
		return nil
	}
	if v := (Version{Epoch: d.Epoch, Number: d.Version}); v.Is(t.Version) || v.Is(a.state.Active) || a.state.failed(v) {
		a.newest = nil
		return nil
	}
	a.ring() // for afterwards
	return &Fault{protocol.CodeCancelled, "", fmt.Errorf("version %d came while it was on trial", d.Version)}
}
