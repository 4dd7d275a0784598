package main

import (
	"context"
	"errors"
	"fmt"

	"edged/fleet/agent"
	"edged/fleet/apply"
	"edged/fleet/protocol"
)

// apply puts what is sent into effect, once the engine runs, until ctx ends.
func (m *managed) apply(ctx context.Context) error {
	select {
	case <-m.daemon.engine.Ready():
	case <-ctx.Done():
		return nil
	}
	err := m.applier.Run(ctx)
	if err != nil {
		m.daemon.log.Error("the process ends because of a configuration", "err", err)
	}
	switch {
	case errors.Is(err, apply.ErrStart):
		m.end(failed(exitRestart, err))
	case err != nil:
		m.end(failed(exitStore, err))
	}
	return err
}

// tellApplied reports what becomes of the newest version.
func (m *managed) tellApplied(s apply.State) {
	m.agent.Report(func(r *agent.Report) {
		r.Applied, r.Status, r.Phase, r.Error, r.Failed = m.daemon.active.Load().version.Number, s.Last.Status, s.Last.Phase, s.Last.Fault, nil
		for _, v := range s.Failed {
			r.Failed = append(r.Failed, v.Number)
		}
	})
	text := fmt.Sprintf("version %d: %s", s.Last.Number, s.Last.Phase)
	switch f := s.Last.Fault; {
	case s.Last.Number == 0:
	case f != nil:
		m.daemon.log.Error("configuration of the fleet's operators failed", "version", s.Last.Number, "phase", s.Last.Phase, "code", f.Code, "path", f.Path, "err", f.Message)
		m.agent.Event("config.failed", "", text+": "+f.Message)
	default:
		m.daemon.log.Info("configuration of the fleet's operators", "version", s.Last.Number, "status", s.Last.Status, "phase", s.Last.Phase)
		if s.Last.Status == protocol.StatusApplied {
			m.agent.Event("config.applied", "", text)
		}
	}
}

// confirmArgs are the arguments of config.confirm.
type confirmArgs struct {
	Epoch   uint64 `json:"epoch"` // of the keyring
	Version uint64 `json:"version"`
}

// Check returns what is wrong with them.
func (a confirmArgs) Check() error {
	if a.Epoch == 0 || a.Version == 0 {
		return errors.New("epoch, version: the version that is content is missing; reported has both")
	}
	return nil
}

// confirmConfig says that an operator is content with the version on trial.
func (m *managed) confirmConfig(_ context.Context, _ *agent.Call, args confirmArgs) (any, error) {
	s := m.daemon.active.Load().roles.listens
	if s == nil || !s.version.Is(apply.Version{Epoch: args.Epoch, Number: args.Version}) {
		return nil, agent.Failed(protocol.CodePrecond, fmt.Errorf("version %d of epoch %d is not on trial", args.Version, args.Epoch))
	}
	m.applier.Confirm(args.Epoch, args.Version)
	return nil, nil
}

// retryConfig tries the newest version again, if it has failed.
func (m *managed) retryConfig(ctx context.Context, _ *agent.Call, _ agent.None) (any, error) {
	if err := m.applier.Retry(ctx); err != nil {
		return nil, agent.Failed(protocol.CodeBusy, err)
	}
	return nil, nil
}
