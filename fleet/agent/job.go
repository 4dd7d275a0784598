package agent

import (
	"context"
	"sync/atomic"

	"edged/fleet/command"
)

// job is one run of an operation.
type job struct {
	agent    *Agent
	op       Op
	call     Call
	handed   atomic.Bool
	returned chan struct{} // closed when the operation has returned
}

// wait waits for the operation to return, or for the end of everything.
func (j *job) wait(ctx context.Context) {
	select {
	case <-j.returned:
	case <-ctx.Done():
	}
}

func (j *job) progress(step string, percent int) {
	// It changes nothing: if it fails, so will Finish.
	_, _ = j.agent.decide(func(at command.Moment) (command.Effects, error) {
		return j.agent.guard.Progress(j.call.Command.ID, step, percent, at)
	})
}

func (j *job) handover() error {
	_, err := j.agent.decide(func(at command.Moment) (command.Effects, error) {
		return j.agent.guard.Handover(j.call.Command.ID, at)
	})
	if err == nil {
		j.handed.Store(true)
	}
	return err
}
