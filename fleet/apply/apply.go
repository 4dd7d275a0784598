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

// is reports whether two are the same version.
func (v Version) is(o Version) bool { return v.Epoch == o.Epoch && v.Number == o.Number }

// Trial is a version that has not proved itself.
type Trial struct {
	Version
	Apply  protocol.Apply `json:"apply"`
	Before Health         `json:"before"` // what was counted until then
	Starts int            `json:"starts"` // of the process, while it was tried
}

// State is what must not be forgotten.
type State struct {
	Active Version   `json:"active"`           // what was committed last
	Trial  *Trial    `json:"trial,omitempty"`  // what is in effect instead
	Failed []Version `json:"failed,omitempty"` // without their Config
	Last   Outcome   `json:"last"`
}

// Outcome is what became of a version.
type Outcome struct {
	Version
	Status string          `json:"status,omitempty"`
	Phase  string          `json:"phase,omitempty"`
	Fault  *protocol.Fault `json:"fault,omitempty"`
}

// Effective returns what is to run.
func (s *State) Effective() Version {
	if s.Trial != nil {
		return s.Trial.Version
	}
	return s.Active
}

func (s *State) failed(v Version) bool { return slices.ContainsFunc(s.Failed, v.is) }

// fail ends the trial and notes that the version failed.
func (s *State) fail(v Version, status, phase string, fault *protocol.Fault) {
	s.Trial = nil
	v.Config = nil
	if !s.failed(v) {
		s.Failed = append(s.Failed, v)
	}
	if over := len(s.Failed) - protocol.FailedMax; over > 0 {
		s.Failed = slices.Delete(s.Failed, 0, over)
	}
	s.Last = Outcome{v, status, phase, fault}
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

	// Switch puts it into effect. After an error nothing has changed.
	Switch(ctx context.Context, v Version) error

	// Health returns what is counted.
	Health() Health
}

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
// version is on trial, ends the trial if it was started too often, and returns what is to
// run.
func Begin(store Store) (State, error) {
	s, err := store.Load()
	if err != nil {
		return s, fmt.Errorf("read which configuration is in effect: %w", err)
	}
	if s.Trial == nil {
		return s, nil
	}
	if s.Trial.Starts++; s.Trial.Starts >= StartsMax {
		v := s.Trial.Version
		s.fail(v, protocol.StatusRolledBack, protocol.PhaseRollback, &protocol.Fault{
			Code: protocol.CodeHealth, Message: fmt.Sprintf("the process ended %d times while version %d was on trial", s.Trial.Starts, v.Number),
		})
	}
	if err := store.Save(s); err != nil {
		return s, fmt.Errorf("write which configuration is in effect: %w", err)
	}
	return s, nil
}

// Applier puts versions into effect, one after the other.
type Applier struct {
	gateway Gateway
	store   Store
	report  func(State)
	confirm chan Version
	retry   chan chan error
	state   State // belongs to Run, once that is called
	last    *protocol.Desired
	tried   Health // what was counted in trials that failed: it is not what is usual

	bell   chan struct{} // rings when there is a newest
	mu     sync.Mutex
	newest *protocol.Desired
}

// New makes an applier that goes on from a state that [Begin] has returned. Report is
// called with every change of it, from the goroutine of Run.
func New(gateway Gateway, store Store, state State, report func(State)) *Applier {
	return &Applier{
		gateway: gateway, store: store, state: state, report: report,
		confirm: make(chan Version, 1), retry: make(chan chan error), bell: make(chan struct{}, 1),
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

// Retry forgets which versions failed, and tries the one that was handed over last again.
func (a *Applier) Retry(ctx context.Context) error {
	done := make(chan error, 1)
	select {
	case a.retry <- done:
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
	if t := a.state.Trial; t != nil {
		if err := a.prove(ctx, t); err != nil {
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
		case <-ctx.Done():
			return nil
		}
	}
}

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
	case a.state.Trial == nil && v.is(a.state.Active), a.state.failed(v):
		return nil // shown to be wanted still, or handed over again by a restart
	case d.Ref != nil:
		return a.refuse(v, protocol.StatusRejected, protocol.PhaseFetch, &Fault{protocol.CodeUnknownOp, "ref", errors.New("this gateway fetches nothing: send the configuration itself")})
	}
	for _, step := range []struct {
		phase  string
		status string
		do     func() error
	}{
		{protocol.PhaseVerify, protocol.StatusRejected, func() error { return a.gateway.Verify(v) }},
		{protocol.PhasePlan, protocol.StatusRejected, func() error { return a.gateway.Plan(v, d.Apply) }},
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
	a.state.Trial = &Trial{Version: v, Apply: d.Apply, Before: a.usual()}
	if err := a.save(); err != nil {
		return err
	}
	a.phase(v, protocol.PhaseSwitch)
	if err := a.gateway.Switch(ctx, v); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return a.refuse(v, protocol.StatusFailed, protocol.PhaseSwitch, err)
	}
	return a.prove(ctx, a.state.Trial)
}

// usual returns what is counted without the trials that failed.
func (a *Applier) usual() Health {
	h := a.gateway.Health()
	h.Messages -= a.tried.Messages
	h.Errors -= a.tried.Errors
	return h
}

// refuse ends a version that was not in effect.
func (a *Applier) refuse(v Version, status, phase string, err error) error {
	code := protocol.CodeSchema
	switch phase {
	case protocol.PhaseDryRun:
		code = protocol.CodeHealth
	case protocol.PhaseSwitch:
		code = protocol.CodeInternal
	}
	a.state.fail(v, status, phase, faultOf(err, code))
	return a.save()
}

// prove watches a version on trial, and commits it or takes it back.
func (a *Applier) prove(ctx context.Context, t *Trial) error {
	a.phase(t.Version, protocol.PhaseHealthGate)
	started, first := time.Now(), a.gateway.Health()
	fault := a.gate(ctx, t, &first)
	if fault == nil && t.Apply.Confirm == protocol.ConfirmOperator {
		a.phase(t.Version, protocol.PhaseConfirm)
		fault = a.confirmed(ctx, t, time.Duration(t.Apply.Deadline)*time.Millisecond-time.Since(started))
	}
	if ctx.Err() != nil {
		return nil // the trial goes on in the next process
	}
	if fault == nil {
		a.state.Active, a.state.Trial = t.Version, nil
		a.state.Last = Outcome{Version{Epoch: t.Epoch, Number: t.Number}, protocol.StatusApplied, protocol.PhaseCommitted, nil}
		return a.save()
	}
	a.phase(t.Version, protocol.PhaseRollback)
	stays := a.gateway.Switch(ctx, a.state.Active)
	if stays != nil && ctx.Err() != nil {
		return nil
	}
	now := a.gateway.Health()
	a.tried.Messages += now.Messages - first.Messages
	a.tried.Errors += now.Errors - first.Errors
	a.state.fail(t.Version, protocol.StatusRolledBack, protocol.PhaseRollback, faultOf(fault, protocol.CodeHealth))
	if err := a.save(); err != nil || stays == nil {
		return err
	}
	return fmt.Errorf("%w: version %d instead of %d: %w", ErrStart, a.state.Active.Number, t.Number, stays)
}

// confirmed waits until an operator is content.
func (a *Applier) confirmed(ctx context.Context, t *Trial, left time.Duration) error {
	timeout := time.NewTimer(left)
	defer timeout.Stop()
	for {
		select {
		case v := <-a.confirm:
			if v.is(t.Version) {
				return nil
			}
		case <-a.bell:
			if err := a.interrupted(t); err != nil {
				return err
			}
		case done := <-a.retry:
			done <- errBusy
		case <-timeout.C:
			return fmt.Errorf("nobody has confirmed it within %v", time.Duration(t.Apply.Deadline)*time.Millisecond)
		case <-ctx.Done():
			return nil
		}
	}
}

// errBusy is the answer to what only makes sense when nothing is on trial.
var errBusy = errors.New("a version is on trial: wait for its end")

// interrupted returns an error if a document that waits ends the trial.
func (a *Applier) interrupted(t *Trial) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	d := a.newest
	if d == nil || (Version{Epoch: d.Epoch, Number: d.Version}).is(t.Version) {
		a.newest = nil
		return nil
	}
	a.ring() // for afterwards
	return &Fault{protocol.CodeCancelled, "", fmt.Errorf("version %d came while it was on trial", d.Version)}
}
