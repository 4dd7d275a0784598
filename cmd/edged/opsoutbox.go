package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"edged/actors"
	"edged/fleet/agent"
	"edged/fleet/protocol"
)

// The bounds of a limit on outputs.
const (
	throttleDefault = time.Hour
	throttleMax     = 24 * time.Hour

	// throttleRowsMax is more than any gateway sends.
	throttleRowsMax = 1_000_000
)

// throttleArgs are the arguments of outbox.throttle.
type throttleArgs struct {
	Stream string `json:"stream"` // "": all
	Output string `json:"output"` // "": all
	Rows   *int   `json:"rows_per_s"`
	For    int64  `json:"for_ms"`
	Off    bool   `json:"off"`
}

// Check returns what is wrong with them.
func (a throttleArgs) Check() error {
	switch {
	case a.Off && (a.Rows != nil || a.For != 0):
		return errors.New("off: it lifts the limit, and goes with neither rows_per_s nor for_ms")
	case a.Off:
		return nil
	case a.Rows == nil:
		return errors.New("rows_per_s: it is missing; 0 holds all rows, off lifts the limit")
	case a.For < 0 || a.For > throttleMax.Milliseconds():
		return fmt.Errorf("for_ms: %d is not within 0 and %d", a.For, throttleMax.Milliseconds())
	}
	return bounded("rows_per_s", *a.Rows, throttleRowsMax)
}

// throttleResult is the result of outbox.throttle.
type throttleResult struct {
	Outputs int          `json:"outputs"` // that it was for
	Limit   *limitResult `json:"throttle,omitempty"`
}

// limitResult is a limit that holds.
type limitResult struct {
	Rows int   `json:"rows_per_s"` // 0: all are held
	Ends int64 `json:"ends_in_ms"`
}

// limitOf shows a limit; nil if there is none.
func limitOf(l *actors.Limit) *limitResult {
	if l == nil {
		return nil
	}
	return &limitResult{Rows: l.Rows, Ends: max(time.Until(l.Until).Milliseconds(), 0)}
}

// throttle limits outputs for a while, or lifts that.
func (m *managed) throttle(_ context.Context, c *agent.Call, args throttleArgs) (any, error) {
	if !m.daemon.ready() {
		return nil, errRecovering
	}
	var limit *actors.Limit
	if !args.Off {
		d := cmp.Or(time.Duration(args.For)*time.Millisecond, throttleDefault)
		limit = &actors.Limit{Rows: *args.Rows, Until: time.Now().Add(d)}
	}
	r := throttleResult{Outputs: m.daemon.engine.Throttle(args.Stream, args.Output, limit), Limit: limitOf(limit)}
	if r.Outputs == 0 {
		return nil, agent.Failed(protocol.CodeArgs, fmt.Errorf("stream, output: there is no output %q of stream %q; outbox.status has the names", args.Output, args.Stream))
	}
	log := m.daemon.log.With("stream", args.Stream, "output", args.Output, "outputs", r.Outputs, "id", c.Command.ID, "issuer", c.Command.Issuer)
	if limit == nil {
		log.Warn("a command lifts the limit on outputs")
	} else {
		log.Warn("a command limits outputs", "rows_per_s", limit.Rows, "until", limit.Until)
	}
	return r, nil
}

// flushArgs are the arguments of outbox.flush.
type flushArgs struct {
	Timeout int64 `json:"timeout_ms"` // 0: as long as the command may run
}

// Check returns what is wrong with them.
func (a flushArgs) Check() error {
	if a.Timeout < 0 || a.Timeout > agent.TimeoutMax.Milliseconds() {
		return fmt.Errorf("timeout_ms: %d is not within 0 and %d", a.Timeout, agent.TimeoutMax.Milliseconds())
	}
	return nil
}

// flushResult is the result of outbox.flush.
type flushResult struct {
	Rows uint64 `json:"rows"` // that were not confirmed; one of two outputs counts twice
}

// flush waits until all outputs have confirmed what is committed now, and removes what
// keeps them from that.
func (m *managed) flush(ctx context.Context, c *agent.Call, args flushArgs) (any, error) {
	if !m.daemon.ready() {
		return nil, errRecovering
	}
	if args.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, time.Duration(args.Timeout)*time.Millisecond, agent.ErrTimeout)
		defer cancel()
	}
	m.daemon.log.Warn("a command flushes the outputs, and lifts their limits", "id", c.Command.ID, "issuer", c.Command.Issuer)
	rows, err := m.daemon.engine.Flush(ctx, func(left, of uint64) {
		c.Progress(fmt.Sprintf("%d of %d rows left", left, of), int(100*(of-left)/of))
	})
	switch {
	case errors.Is(err, agent.ErrTimeout):
		return nil, agent.Failed(protocol.CodeTimeout, fmt.Errorf("%w; they stay and are still sent: see outbox.status", err))
	case err != nil:
		return nil, err
	}
	return flushResult{Rows: rows}, nil
}
