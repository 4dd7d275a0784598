package actors

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Waker is an output that pauses before it connects again. Wake ends such a pause.
type Waker interface{ Wake() }

// flushLook is how often Flush looks what is left.
const flushLook = 50 * time.Millisecond

// goal is the row up to which a flush waits for an output.
type goal struct {
	gateway *gatewayRef
	row     uint64
}

// Flush lifts all limits, wakes the outputs that pause before they connect again, and
// returns when what is durable now is confirmed by all of them, with how many rows it
// waited for. A row counts once for each of its outputs. progress, if it is not nil, is
// told how many are left, whenever that has changed. An output that a swap takes away is
// not waited for any more; a limit that comes meanwhile holds. It may be called when Ready
// is closed.
func (e *Engine) Flush(ctx context.Context, progress func(left, of uint64)) (rows uint64, err error) {
	goals := e.hurry()
	all := e.unconfirmed(goals)
	look := time.NewTicker(flushLook)
	defer look.Stop()
	for last := all; ; {
		left := e.unconfirmed(goals)
		if left == 0 {
			return all, nil
		}
		if left != last && progress != nil {
			progress(left, all)
		}
		last = left
		select {
		case <-look.C:
		case <-e.failed:
			return all, e.failure
		case <-e.stopped:
			return all, errStopped
		case <-ctx.Done():
			return all, fmt.Errorf("%d of %d rows are not confirmed by their outputs: %w", left, all, context.Cause(ctx))
		}
	}
}

// hurry removes what keeps rows back, and returns what is durable.
func (e *Engine) hurry() (goals []goal) {
	e.Throttle("", "", nil)
	e.linkMu.Lock()
	defer e.linkMu.Unlock()
	for _, g := range e.gateways {
		goals = append(goals, goal{g, g.state.durable.Load()})
		if w, ok := g.link.Output.(Waker); ok {
			w.Wake()
		}
	}
	return goals
}

// unconfirmed returns how many rows are left up to the goals.
func (e *Engine) unconfirmed(goals []goal) (rows uint64) {
	e.linkMu.Lock()
	defer e.linkMu.Unlock()
	for _, w := range goals {
		if slices.Contains(e.gateways, w.gateway) {
			rows += w.row - min(w.gateway.state.acked.Load(), w.row)
		}
	}
	return rows
}
