package actors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"edged"
)

// The messages of a gateway.
type (
	released struct{ rows []edged.Row } // these rows are durable
	linkUp   struct{}
	linkDown struct {
		err  error
		seen chan struct{} // closed when the gateway knows
	}
	confirmed struct{ seqs []uint64 }
	due       struct{} // look at the limit again: it has changed, ends, or lets a row go
)

// ErrUnsendable is wrapped by the error of Output.Send when one of the rows can
// never be sent, however good the link is.
var ErrUnsendable = errors.New("row cannot be sent")

const (
	gatewayCacheBytes = 1 << 20   // rows kept in memory to save reading them back
	gatewayReadBytes  = 256 << 10 // rows read from the outbox at once
)

// gateway forwards the rows of one stream to one output, in order, at most a
// window ahead of what the output has confirmed. The store keeps the rows; the
// gateway only remembers how far it is.
//
// Invariant: acked <= sent <= durable; cache holds rows sent+1, sent+2 ...
type gateway struct {
	link  Link
	store Store
	fail  func(error)
	log   *slog.Logger
	state *linkState

	up      bool
	durable uint64
	sent    uint64
	acked   uint64
	passed  uint64              // the last row found unsendable
	ahead   map[uint64]struct{} // confirmed out of order, above acked
	cache   []edged.Row
	cached  int // bytes

	throttle throttle
	timer    *time.Timer // sends due; nil: there was no limit yet
}

// linkState is what the rest of the engine sees of a gateway.
type linkState struct {
	stream, name string

	acked   atomic.Uint64
	durable atomic.Uint64
	queued  atomic.Int64 // bytes of rows in released messages in the mailbox
	up      atomic.Bool
	downs   atomic.Int64
	resent  atomic.Int64

	unsendable atomic.Int64 // rows passed over

	limit atomic.Pointer[Limit] // nil: none. The gateway takes it away when it is over
}

// Receive is the actor's behaviour.
func (g *gateway) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case released:
		g.state.queued.Add(-rowBytes(m.rows))
		g.release(m.rows)
	case confirmed:
		g.confirm(m.seqs)
	case linkUp:
		g.up = true
		g.state.up.Store(true)
	case linkDown:
		g.down(m.err)
		close(m.seen)
	case due:
	case *actor.Stopping:
		if g.timer != nil {
			g.timer.Stop()
		}
		return
	default:
		return
	}
	g.durable = g.state.durable.Load()
	g.heed(time.Now())
	g.pump()
	g.arm(ctx)
}

// heed takes a changed limit up, and ends one whose time is over.
func (g *gateway) heed(now time.Time) {
	if limit := g.state.limit.Load(); limit != g.throttle.limit {
		g.throttle = throttle{limit: limit, next: now}
	}
	if g.throttle.over(now) {
		g.log.Warn("output is not limited any more: the time of the limit is over", "stream", g.link.Stream, "output", g.link.Name)
		g.state.limit.CompareAndSwap(g.throttle.limit, nil) // a newer one has sent a due of its own
		g.throttle = throttle{}
	}
}

// arm sets the timer to the next row that the limit lets go, or to the limit's end.
func (g *gateway) arm(ctx actor.Context) {
	if g.throttle.limit == nil {
		if g.timer != nil {
			g.timer.Stop()
		}
		return
	}
	now := time.Now()
	d := g.throttle.wake(now, g.up && g.sent < g.durable && g.window() > 0).Sub(now)
	if g.timer == nil {
		root, self := ctx.ActorSystem().Root, ctx.Self()
		g.timer = time.AfterFunc(d, func() { root.Send(self, due{}) })
		return
	}
	g.timer.Reset(d)
}

// window returns how many more rows may be unconfirmed.
func (g *gateway) window() int { return g.link.Window - int(g.sent-g.acked) }

// tell lets the gateway know of durable rows. A gateway that is slow gets only
// the number of the last one and reads the rows back when it is ready: the
// messages before this one will make it look.
func (l *linkState) tell(root *actor.RootContext, pid *actor.PID, rows []edged.Row) {
	l.durable.Store(rows[len(rows)-1].Seq)
	if l.queued.Load() >= gatewayCacheBytes {
		return
	}
	l.queued.Add(rowBytes(rows))
	root.Send(pid, released{rows})
}

// rowBytes returns what rows hold on to; never 0, so that rows without payload
// count too.
func rowBytes(rows []edged.Row) int64 {
	n := int64(len(rows))
	for i := range rows {
		n += int64(len(rows[i].Payload))
	}
	return n
}

// release keeps rows that come next and fit.
func (g *gateway) release(rows []edged.Row) {
	for i := range rows {
		if next := g.sent + uint64(len(g.cache)) + 1; rows[i].Seq == next && g.cached < gatewayCacheBytes {
			g.cache = append(g.cache, rows[i])
			g.cached += len(rows[i].Payload)
		}
	}
}

// down forgets what was sent and not confirmed: it goes out again.
func (g *gateway) down(err error) {
	if g.up && err != nil {
		g.log.Warn("output is down", "stream", g.link.Stream, "output", g.link.Name, "err", err)
		g.state.downs.Add(1)
	}
	g.state.resent.Add(int64(g.sent - g.acked))
	g.up, g.sent = false, g.acked
	clear(g.ahead)
	g.cache, g.cached = nil, 0
	g.state.up.Store(false)
}

// confirm advances acked over the contiguous part of what is confirmed.
func (g *gateway) confirm(seqs []uint64) {
	for _, seq := range seqs {
		switch {
		case seq == g.acked+1:
			g.acked++
		case seq > g.acked && seq <= g.sent:
			g.ahead[seq] = struct{}{}
		}
	}
	for len(g.ahead) > 0 {
		if _, ok := g.ahead[g.acked+1]; !ok {
			break
		}
		g.acked++
		delete(g.ahead, g.acked)
	}
	g.state.acked.Store(g.acked)
}

// pump sends what the window and the limit allow.
func (g *gateway) pump() {
	for g.up && g.sent < g.durable {
		now := time.Now()
		room := g.throttle.room(now, g.window())
		if room <= 0 {
			return
		}
		if len(g.cache) == 0 && !g.read() {
			return
		}
		rows := g.cache[:min(room, len(g.cache))]
		err := g.link.Output.Send(rows)
		if errors.Is(err, ErrUnsendable) {
			rows = rows[:1]
			err = g.single(rows)
		}
		if err != nil {
			g.down(err)
			return
		}
		for i := range rows {
			g.cached -= len(rows[i].Payload)
		}
		g.sent += uint64(len(rows))
		g.throttle.took(now, len(rows))
		g.confirm(nil)
		g.cache = g.cache[len(rows):]
		if len(g.cache) == 0 {
			g.cache = nil
		}
	}
}

// single sends one row. A row that can never be sent must not hold those behind
// it for ever: it is reported, counted and passed over.
func (g *gateway) single(rows []edged.Row) error {
	err := g.link.Output.Send(rows)
	if !errors.Is(err, ErrUnsendable) {
		return err
	}
	if seq := rows[0].Seq; seq > g.passed {
		g.log.Error("row cannot be sent and is passed over", "stream", g.link.Stream, "output", g.link.Name, "seq", seq, "topic", rows[0].Topic, "err", err)
		g.state.unsendable.Add(1)
		g.passed = seq
	}
	g.ahead[rows[0].Seq] = struct{}{}
	return nil
}

// read refills the cache from the store.
func (g *gateway) read() bool {
	rows, err := g.store.Rows(g.link.Stream, g.sent, gatewayReadBytes)
	if err != nil {
		g.fail(fmt.Errorf("read outbox of stream %s after row %d: %w", g.link.Stream, g.sent, err))
		return false
	}
	for i := range rows {
		g.cached += len(rows[i].Payload)
	}
	g.cache = rows
	return len(rows) > 0
}

// runLink keeps the output's link and turns its calls into messages.
func (e *Engine) runLink(ctx context.Context, l *Link, pid *actor.PID) {
	root := e.system.Root
	err := l.Output.Run(ctx,
		func() { root.Send(pid, linkUp{}) },
		func(err error) {
			if ctx.Err() != nil {
				err = nil // we ended it
			}
			// The link must not be up again before the gateway knows that it was
			// down: rows sent in between would be sent twice, beyond the window.
			down := linkDown{err: err, seen: make(chan struct{})}
			root.Send(pid, down)
			select {
			case <-down.seen:
			case <-ctx.Done():
			}
		},
		func(seqs []uint64) {
			// The output may reuse its slice.
			root.Send(pid, confirmed{append([]uint64(nil), seqs...)})
		})
	if err != nil && ctx.Err() == nil {
		e.fail(fmt.Errorf("output %s of stream %s: %w", l.Name, l.Stream, err))
	}
}
