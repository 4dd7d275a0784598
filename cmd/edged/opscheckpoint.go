package main

import (
	"context"
	"errors"
	"fmt"

	"edged/actors"
	"edged/fleet/agent"
	"edged/fleet/protocol"
)

// checkpointResult is the result of checkpoint.now.
type checkpointResult struct {
	Seq      uint64 `json:"seq"` // what all records up to this one mean is stored
	Keys     int    `json:"keys"`
	Bytes    int64  `json:"bytes"`
	Duration int64  `json:"duration_ms"`
}

// checkpoint stores all changed states in both generations, while input goes on.
func (m *managed) checkpoint(ctx context.Context, c *agent.Call, _ agent.None) (any, error) {
	if !m.daemon.ready() {
		return nil, errRecovering
	}
	done, err := m.daemon.engine.Checkpoint(ctx, func(keys, of int) {
		c.Progress(fmt.Sprintf("%d of %d keys", keys, of), 100*keys/max(of, 1))
	})
	switch {
	case errors.Is(err, actors.ErrCheckpoint):
		return nil, agent.Failed(protocol.CodeBusy, fmt.Errorf("%w: one that nobody waited for goes on; try again later", err))
	case err != nil:
		return nil, err
	}
	return checkpointResult{Seq: uint64(done.Seq), Keys: done.Keys, Bytes: done.Bytes, Duration: done.Duration.Milliseconds()}, nil
}
