package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"edged"
	"edged/actors"
	"edged/fleet/agent"
	"edged/fleet/protocol"
)

// holdResult is the result of pipeline.pause and pipeline.drain, and how a pipeline stands
// in those of pipeline.list and pipeline.status.
type holdResult struct {
	Standing string    `json:"standing"`             // flowing, held, resuming
	UpTo     edged.Seq `json:"up_to_seq,omitempty"`  // it has had what is for it up to this record
	Behind   edged.Seq `json:"behind,omitempty"`     // records of all pipelines that came since
	Kept     int64     `json:"kept_bytes,omitempty"` // of the journal, because of it
	KeptMax  int64     `json:"kept_bytes_max,omitempty"`
	Fault    string    `json:"fault,omitempty"` // why it could not go on
}

// hold shows how a pipeline stands.
func (m *managed) hold(st *actors.PipelineStats) holdResult {
	h := st.Hold()
	r := holdResult{Standing: h.Standing.String(), Fault: cut(h.Fault)}
	if h.Standing != actors.Flowing {
		at := m.daemon.store.Position().Seq
		r.UpTo, r.Behind, r.Kept, r.KeptMax = h.UpTo, at-min(h.UpTo, at), h.Kept, m.daemon.engine.Config().HeldBytesMax
	}
	return r
}

// holding finds the pipeline that a command is for, and lets nobody swap pipelines until
// the returned function is called.
func (m *managed) holding(name string) (st *actors.PipelineStats, done func(), err error) {
	d := m.daemon
	if !d.ready() {
		return nil, nil, errRecovering
	}
	d.taking.Lock()
	st = m.pipelineStats(name)
	switch {
	case m.plan(name) == nil || st == nil:
		err = errNoPipeline(name)
	case d.active.Load().roles.listens != nil:
		err = agent.Failed(protocol.CodeBusy, errors.New("a version is on trial, which would not see what the pipeline misses: wait for its end, or take it back with config.rollback"))
	}
	if err != nil {
		d.taking.Unlock()
		return nil, nil, err
	}
	return st, d.taking.Unlock, nil
}

// pausePipeline holds a pipeline: what is for it waits in the journal.
func (m *managed) pausePipeline(ctx context.Context, c *agent.Call, args pipelineArgs) (any, error) {
	st, done, err := m.holding(args.Pipeline)
	if err != nil {
		return nil, err
	}
	defer done()
	if err := m.daemon.engine.Pause(ctx, st.Name); err != nil {
		return nil, err
	}
	m.daemon.log.Warn("a command holds a pipeline", "pipeline", args.Pipeline, "id", c.Command.ID, "issuer", c.Command.Issuer)
	return m.hold(st), nil
}

// drainResult is the result of pipeline.drain.
type drainResult struct {
	holdResult
	Keys int `json:"keys"` // whose windows were closed if any were open
}

// drainPipeline closes the open windows of a pipeline and holds it.
func (m *managed) drainPipeline(ctx context.Context, c *agent.Call, args pipelineArgs) (any, error) {
	st, done, err := m.holding(args.Pipeline)
	if err != nil {
		return nil, err
	}
	defer done()
	keys, err := m.daemon.engine.Drain(ctx, st.Name)
	if err != nil {
		return nil, err
	}
	m.daemon.log.Warn("a command closes the windows of a pipeline, and holds it", "pipeline", args.Pipeline, "keys", keys, "id", c.Command.ID, "issuer", c.Command.Issuer)
	return drainResult{m.hold(st), keys}, nil
}

// resumeArgs are the arguments of pipeline.resume.
type resumeArgs struct {
	Pipeline string `json:"pipeline"`
	Discard  bool   `json:"discard"` // it never gets what it has missed
}

// Check returns what is wrong with them.
func (a resumeArgs) Check() error { return pipelineArgs{a.Pipeline}.Check() }

// resumeResult is the result of pipeline.resume.
type resumeResult struct {
	From      edged.Seq `json:"from_seq"`  // the first record that it had missed; 0: none
	Records   edged.Seq `json:"records"`   // of all pipelines, from there on
	Discarded bool      `json:"discarded"` // it will not get them
}

// resumePoll is how often is looked at how far a pipeline is.
const resumePoll = 50 * time.Millisecond

// resumePipeline gives a pipeline what it has missed, and lets it go on. It waits for that.
func (m *managed) resumePipeline(ctx context.Context, c *agent.Call, args resumeArgs) (any, error) {
	st, done, err := m.holding(args.Pipeline)
	if err != nil {
		return nil, err
	}
	before := m.hold(st)
	err = m.daemon.engine.Resume(ctx, st.Name, args.Discard)
	done()
	if err != nil {
		return nil, err
	}
	r := resumeResult{Records: before.Behind, Discarded: args.Discard && before.Behind > 0}
	if r.Records > 0 {
		r.From = before.UpTo + 1
	}
	m.daemon.log.Warn("a command lets a pipeline go on", "pipeline", args.Pipeline, "records", r.Records, "discard", args.Discard, "id", c.Command.ID, "issuer", c.Command.Issuer)
	return r, m.resumed(ctx, c, st, before.Behind)
}

// resumed waits until a pipeline gets what comes.
func (m *managed) resumed(ctx context.Context, c *agent.Call, st *actors.PipelineStats, of edged.Seq) error {
	poll := time.NewTicker(resumePoll)
	defer poll.Stop()
	for {
		h := m.hold(st)
		switch {
		case h.Fault != "":
			return agent.Failed(protocol.CodeStorage, fmt.Errorf("what it has missed cannot be read: %s; it is held again; with discard it goes on without", h.Fault))
		case h.Standing == actors.Flowing.String():
			return nil
		case h.Standing == actors.Held.String():
			return agent.Failed(protocol.CodeBusy, errors.New("another command holds it again"))
		}
		of = max(of, h.Behind)
		c.Progress(fmt.Sprintf("%d records behind", h.Behind), int(100*(of-h.Behind)/max(of, 1)))
		select {
		case <-poll.C:
		case <-ctx.Done():
			if err := context.Cause(ctx); errors.Is(err, agent.ErrTimeout) {
				return agent.Failed(protocol.CodeTimeout, fmt.Errorf("%w; it goes on catching up by itself: see pipeline.status", err))
			}
			return context.Cause(ctx)
		}
	}
}
