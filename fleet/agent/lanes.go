package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"edged/fleet/command"
	"edged/fleet/protocol"
	"edged/fleet/strict"
)

// lane runs commands one after the other until ctx ends.
func (a *Agent) lane(ctx context.Context, ids <-chan protocol.ID) {
	for {
		select {
		case <-ctx.Done():
			return
		case id := <-ids:
			if ctx.Err() != nil || a.execute(ctx, id) != nil {
				return // what waits is reported as interrupted by the next process
			}
		}
	}
}

// execute starts a command, runs it and finishes it. An error means that nothing can
// be decided any more.
func (a *Agent) execute(ctx context.Context, id protocol.ID) error {
	e, err := a.decide(func(at command.Moment) (command.Effects, error) { return a.guard.Start(id, at) })
	if err != nil || e.Code != protocol.OK || e.Command == nil {
		if err == nil {
			a.cfg.Logger.Info("fleet: command not started", "id", id, "code", e.Code, "err", e.Err)
		}
		return err
	}
	job := &job{agent: a, op: a.ops[e.Command.Op], call: Call{Command: *e.Command}, returned: make(chan struct{})}
	outcome := job.run(ctx)
	// An operation that was abandoned keeps its lane, so that two never change
	// something at a time.
	defer job.wait(ctx)
	if outcome.Code == protocol.OK && job.handed.Load() {
		a.cfg.Logger.Info("fleet: the process ends as commanded", "id", id, "op", e.Command.Op)
		return nil
	}
	a.cfg.Logger.Info("fleet: command ended", "id", id, "op", e.Command.Op, "code", outcome.Code, "err", outcome.Message)
	_, err = a.decide(func(at command.Moment) (command.Effects, error) {
		a.stats.Executed++
		return a.guard.Finish(id, outcome, at)
	})
	return err
}

// limit returns how long a command may run.
func limit(c protocol.Command, op Op) time.Duration {
	d := op.Timeout
	if c.Timeout > 0 {
		d = time.Duration(c.Timeout) * time.Millisecond
	}
	if d <= 0 {
		d = TimeoutDefault
	}
	return min(d, TimeoutMax)
}

// grace is how long an operation may take to notice that its time is over.
const grace = 2 * time.Second

// ErrTimeout is why the context of an operation ends whose time is over. An operation may
// end its own with it.
var ErrTimeout = errors.New("its time is over")

// errCancelled is why the context of an operation ends that nobody wants any more.
var errCancelled = errors.New("cancelled by a command")

// run runs the operation and returns how it ended, at the latest when its time and the
// grace are over.
func (j *job) run(parent context.Context) command.Outcome {
	a, c := j.agent, &j.call
	if c.Command.DryRun && !j.op.Dry && !reads(c.Command.Op) {
		close(j.returned)
		return command.Outcome{Code: protocol.CodeArgs, Message: fmt.Sprintf("%s has no dry run; nothing was done", c.Command.Op)}
	}
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	timer := time.AfterFunc(limit(c.Command, j.op), func() { cancel(ErrTimeout) })
	defer timer.Stop()
	a.mu.Lock()
	a.running[c.Command.ID] = cancel
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		delete(a.running, c.Command.ID)
		a.mu.Unlock()
	}()
	c.Progress = j.progress
	c.Handover = j.handover
	result := make(chan command.Outcome, 1)
	go func() {
		defer close(j.returned)
		result <- j.guarded(ctx)
	}()
	select {
	case o := <-result:
		return o
	case <-ctx.Done():
	}
	late := time.NewTimer(grace)
	defer late.Stop()
	select {
	case o := <-result:
		return o
	case <-late.C:
		return ending(context.Cause(ctx))
	}
}

// guarded runs the operation; a panic is an error of it.
func (j *job) guarded(ctx context.Context) (o command.Outcome) {
	defer func() {
		if r := recover(); r != nil {
			j.agent.cfg.Logger.Error("fleet: an operation has panicked", "op", j.call.Command.Op, "panic", r, "stack", string(debug.Stack()))
			o = command.Outcome{Code: protocol.CodeInternal, Message: fmt.Sprintf("a defect: %v", r)}
		}
	}()
	value, err := j.op.Run(ctx, &j.call)
	var fault *Fault
	switch {
	case err == nil:
		return encode(value)
	case errors.As(err, &fault):
		return command.Outcome{Code: fault.Code, Message: err.Error()}
	case ctx.Err() != nil:
		return ending(context.Cause(ctx))
	}
	return command.Outcome{Code: protocol.CodeInternal, Message: err.Error()}
}

// ending returns the outcome of an operation whose context has ended.
func ending(cause error) command.Outcome {
	code := protocol.CodeInterrupt
	switch {
	case errors.Is(cause, ErrTimeout):
		code = protocol.CodeTimeout
	case errors.Is(cause, errCancelled):
		code = protocol.CodeCancelled
	}
	return command.Outcome{Code: code, Message: fmt.Sprintf("%v; it may have had an effect", cause)}
}

// encode makes the outcome of a result.
func encode(value any) command.Outcome {
	if value == nil {
		return command.Outcome{Code: protocol.OK}
	}
	text, err := strict.Encode(value)
	switch {
	case err != nil:
		return command.Outcome{Code: protocol.CodeInternal, Message: err.Error()}
	case len(text) > protocol.ResultBytesMax:
		return command.Outcome{Code: protocol.CodeSize, Message: fmt.Sprintf("a result of %d bytes, at most %d can be sent: ask for less", len(text), protocol.ResultBytesMax)}
	}
	return command.Outcome{Code: protocol.OK, Result: json.RawMessage(text)}
}
