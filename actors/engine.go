package actors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"edged"
)

// Engine runs pipelines over one source, one store and some outputs. Make it
// with New and run it once.
type Engine struct {
	cfg       Config
	store     Store
	source    Source
	pipelines []Pipeline // the shadows last
	shadows   []Shadow
	links     []Link

	stages []int // of the pipelines, see stagesOf
	given  []Table
	wall   func() time.Time // nil: nobody knows when messages arrive

	system   *actor.ActorSystem
	keyProps *actor.Props
	keys     *keys
	linkMu   sync.Mutex // guards gateways against readers; who changes it is alone
	gateways []*gatewayRef
	linkCtx  context.Context // of all links
	running  sync.WaitGroup  // links
	intake   *intake
	seq      *sequencer
	stats    Stats
	busy     busy // with live input: decoding, and turns of keys

	dropping atomic.Bool // shadows get nothing more

	comparisons comparisons

	closed    chan *epoch // to the committer
	committed chan *epoch // back to the sequencer
	tables    chan Table  // to the sequencer
	asks      chan func(*sequencer)
	done      progress
	failed    chan struct{} // closed by the first failure
	stopped   chan struct{} // closed when the committer may go
	failure   error
	failOnce  sync.Once
	ready     chan struct{}
	recovery  RecoveryStats

	bounded  bool // the source ends, and its end closes all windows
	draining atomic.Bool
	since    map[string]edged.Seq

	// Owned by the committer.
	streams  map[string]uint64
	last     edged.Seq // journal position after the epoch being committed
	results  []caused
	building edged.Commit
}

// gatewayRef is a gateway as the engine sees it.
type gatewayRef struct {
	link  *Link
	pid   *actor.PID
	state *linkState
	end   context.CancelFunc // of the link's run; nil before it
}

// Ports are what an engine is connected to.
type Ports struct {
	Store     Store
	Source    Source
	Pipelines []Pipeline
	Links     []Link

	// Shadows run beside the pipelines.
	Shadows []Shadow

	// Bounded says that the source ends by itself (Run returns nil): that is the
	// end of time for every key, and all windows close.
	Bounded bool

	// Tables are the reference tables as they are now. Those that differ from what
	// was last journaled are journaled before any input. See also Engine.LoadTable.
	Tables []Table

	// Since names for a pipeline the last record that is not for it: it was added,
	// or changed its meaning, after that record, and recovery must make nothing of
	// what was journaled before.
	Since map[string]edged.Seq
}

// New wires an engine. It starts nothing.
func New(cfg Config, ports Ports) (*Engine, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	all := beside(ports.Pipelines, ports.Shadows)
	stages, err := stagesOf(all)
	if err != nil {
		return nil, err
	}
	e := &Engine{
		stages: stages, given: ports.Tables, wall: cfg.Wall, tables: make(chan Table), asks: make(chan func(*sequencer)),
		cfg: cfg.withDefaults(), store: ports.Store, source: ports.Source, pipelines: all, shadows: ports.Shadows,
		links: ports.Links, bounded: ports.Bounded, since: ports.Since,
		closed: make(chan *epoch, epochsInFlight), committed: make(chan *epoch, epochsInFlight+1),
		failed: make(chan struct{}), stopped: make(chan struct{}), ready: make(chan struct{}),
		streams: map[string]uint64{},
	}
	if e.wall == nil && !e.bounded {
		e.wall = time.Now
	}
	e.stats.keep(e.pipelines)
	e.comparisons.begin(e.shadows)
	for i := range e.links {
		defaulted(&e.links[i].Window, 1000)
	}
	e.done.cond = sync.NewCond(&e.done.mu)
	e.intake = newIntake(e.cfg.IntakeEventsMax, e.cfg.IntakeBytesMax)
	return e, nil
}

// Stats returns the engine's counters.
func (e *Engine) Stats() *Stats { return &e.stats }

// IntakeLevel returns how many messages wait to be sequenced.
func (e *Engine) IntakeLevel() int { return e.intake.level() }

// Config returns the configuration with its defaults filled in.
func (e *Engine) Config() Config { return e.cfg }

// Busy returns for how long the engine has worked on live input until now. It does not
// count waiting for the disk. It may be called at any time.
func (e *Engine) Busy() time.Duration { return e.busy.time() }

// DropShadows keeps what comes from the shadows, at once: they may be what the engine has no
// time for. It must be followed by a [Engine.Swap] that leaves them out, in this process or
// the next.
func (e *Engine) DropShadows() { e.dropping.Store(true) }

// Ready is closed when recovery is over and input is taken.
func (e *Engine) Ready() <-chan struct{} { return e.ready }

// Links returns where the outputs stand. It may be called when Ready is closed.
func (e *Engine) Links() []LinkStatus {
	e.linkMu.Lock()
	defer e.linkMu.Unlock()
	var all []LinkStatus
	for _, g := range e.gateways {
		all = append(all, LinkStatus{
			Stream: g.state.stream, Output: g.state.name, Up: g.state.up.Load(), Committed: g.state.durable.Load(),
			Confirmed: g.state.acked.Load(), Downs: g.state.downs.Load(), Resent: g.state.resent.Load(), Unsendable: g.state.unsendable.Load(),
			Limit: g.state.limit.Load(),
		})
	}
	return all
}

// fail ends the engine with err. The first failure counts.
func (e *Engine) fail(err error) {
	e.failOnce.Do(func() {
		e.failure = err
		close(e.failed)
		e.done.stop()
	})
}

// Run recovers, then runs until ctx ends (it drains and returns nil), a bounded
// source has ended and everything is delivered (nil), or something failed. After
// an error the process must end: a new one recovers from the store.
func (e *Engine) Run(ctx context.Context) error {
	e.start()
	if err := e.recover(ctx); err != nil {
		e.fail(err)
		e.keys.dispatcher.stop()
		if ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
			return nil // stopped while recovering: nothing has changed
		}
		return err
	}
	var endLinks context.CancelFunc
	e.linkCtx, endLinks = context.WithCancel(context.WithoutCancel(ctx))
	defer endLinks()
	for _, g := range e.gateways {
		e.runGateway(g)
	}
	close(e.ready)
	err := e.serve(ctx)
	if err == nil {
		e.flush(ctx)
		err = e.lastCommit()
	}
	endLinks()
	e.running.Wait()
	e.keys.dispatcher.stop()
	return err
}

// runGateway runs the link of a gateway until it or all links are ended.
func (e *Engine) runGateway(g *gatewayRef) {
	ctx, end := context.WithCancel(e.linkCtx)
	g.end = end
	e.running.Go(func() {
		defer end()
		e.runLink(ctx, g.link, g.pid)
	})
}

// start makes the actor system, the supervisor, the gateways and the committer.
func (e *Engine) start() {
	quiet := slog.New(slog.DiscardHandler) // the library logs what our supervisor says better
	e.system = actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return quiet }))
	// The library cuts its registry into 32,768 maps, one per three actors, and
	// finds the place with an int that is negative on 32-bit machines; one slice of
	// it has 32 maps and the place 0.
	registry := e.system.ProcessRegistry.LocalPIDs
	registry.LocalPIDs = slices.Clone(registry.LocalPIDs[:1])
	e.keys = &keys{
		store: e.store, stats: &e.stats, dispatcher: newDispatcher(runtime.GOMAXPROCS(0)),
		skips: &skips{}, sampleMax: e.cfg.SampleBytesMax, await: e.done.await,
	}
	e.keys.outputs.New = func() any { return new(edged.Output) }
	e.keyProps = actor.PropsFromProducer(
		func() actor.Actor { return &keyActor{keys: e.keys} },
		actor.WithMailbox(newMailbox(keyMailboxMax, true)),
		actor.WithDispatcher(e.keys.dispatcher),
		actor.WithGuardian(&supervisor{keys: e.keys, fail: e.fail, warn: e.cfg.Logger.Warn}),
	)
	pos := e.store.Position()
	e.last = pos.Seq
	for stream, seq := range pos.Streams {
		e.streams[stream] = seq
	}
	for i := range e.links {
		e.gateways = append(e.gateways, e.newGateway(&e.links[i], pos))
	}
	go e.commitLoop()
}

// newGateway spawns the actor of a link, at the position that the store has for it.
func (e *Engine) newGateway(l *Link, pos edged.Position) *gatewayRef {
	state := &linkState{stream: l.Stream, name: l.Name}
	state.durable.Store(pos.Streams[l.Stream])
	for _, c := range pos.Cursors {
		if c.Stream == l.Stream && c.Output == l.Name {
			state.acked.Store(c.Seq)
		}
	}
	g := &gateway{
		link: *l, store: e.store, fail: e.fail, log: e.cfg.Logger, state: state,
		acked: state.acked.Load(), sent: state.acked.Load(), durable: state.durable.Load(), ahead: map[uint64]struct{}{},
	}
	pid := e.system.Root.Spawn(actor.PropsFromProducer(func() actor.Actor { return g }))
	return &gatewayRef{link: l, pid: pid, state: state}
}

// serve runs the source and the sequencer until the input is over.
func (e *Engine) serve(ctx context.Context) error {
	sourceCtx, endSource := context.WithCancel(context.WithoutCancel(ctx))
	defer endSource()
	sourceEnded := make(chan error, 1)
	go func() { sourceEnded <- e.source.Run(sourceCtx, e.deliver) }()
	sequenced := make(chan error, 1)
	runCtx, endRun := context.WithCancelCause(context.WithoutCancel(ctx))
	defer endRun(nil)
	go func() { sequenced <- e.seq.run(runCtx) }()

	stop := ctx.Done()
	for {
		select {
		case <-stop:
			// What is read already is still processed and acknowledged; the source
			// stays connected until its acknowledgements are out.
			stop = nil
			e.draining.Store(true)
			e.intake.close()
		case err := <-sourceEnded:
			sourceEnded = nil
			if err != nil {
				err = fmt.Errorf("source: %w", err)
				e.fail(err)
				endRun(err)
				return err
			}
			e.intake.close()
		case err := <-sequenced:
			close(e.stopped)
			endSource()
			e.awaitSource(sourceEnded)
			return err
		case <-e.failed:
			endRun(e.failure)
			return e.failure
		}
	}
}

// awaitSource gives the source the time to write its last acknowledgements.
func (e *Engine) awaitSource(ended <-chan error) {
	if ended == nil {
		return
	}
	patience := time.NewTimer(e.cfg.DrainTimeout)
	defer patience.Stop()
	select {
	case <-ended:
	case <-patience.C:
	}
}

// deliver is the source's way in. When the engine drains it parks: returning
// would end the source before its last acknowledgements.
func (e *Engine) deliver(ctx context.Context, b edged.Batch) error {
	err := e.intake.put(ctx, b)
	if errors.Is(err, errClosed) {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	return err
}

// flush gives the outputs time to confirm what is in the outbox.
func (e *Engine) flush(ctx context.Context) {
	deadline := time.NewTimer(e.cfg.DrainTimeout)
	defer deadline.Stop()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for {
		pending := false
		for _, g := range e.gateways {
			limit := g.state.limit.Load()
			held := limit != nil && limit.Rows == 0 // it would take the whole time, for nothing
			waits := e.bounded && !e.draining.Load() || g.state.up.Load() && !held
			pending = pending || waits && g.state.acked.Load() < g.state.durable.Load()
		}
		if !pending {
			return
		}
		select {
		case <-poll.C:
		case <-deadline.C:
			if !e.bounded || ctx.Err() != nil {
				return
			}
			deadline.Reset(e.cfg.DrainTimeout)
		case <-e.failed:
			return
		}
	}
}

// lastCommit keeps what the outputs confirmed since the last epoch.
func (e *Engine) lastCommit() error {
	select {
	case <-e.failed:
		return e.failure
	default:
	}
	cursors := e.movedCursors(e.seq.persisted)
	if len(cursors) == 0 {
		return nil
	}
	if err := e.store.Commit(&edged.Commit{Time: e.seq.clock.now, Generation: e.seq.sweep.generation, Cursors: cursors, Keep: e.seq.keep()}); err != nil {
		return fmt.Errorf("last commit: %w", err)
	}
	return nil
}

// movedCursors returns the cursors that differ from those in persisted, which it
// updates.
func (e *Engine) movedCursors(persisted []uint64) []edged.Cursor {
	var moved []edged.Cursor
	for i, g := range e.gateways {
		if acked := g.state.acked.Load(); acked != persisted[i] {
			persisted[i] = acked
			moved = append(moved, edged.Cursor{Stream: g.state.stream, Output: g.state.name, Seq: acked})
		}
	}
	return moved
}

// allStages makes dispatch send all turns.
const allStages = -1

// dispatch hands the turns of a stage to their actors. When they are done, the
// epoch says so.
func (e *Engine) dispatch(ep *epoch, stage int, spawn func(*keyRef) *actor.PID) {
	if !ep.replay {
		e.busy.begin() // until the last turn is done
	}
	ep.pending.Store(int32(len(ep.turns)) + 1)
	for i := range ep.turns {
		t := &ep.turns[i]
		if stage != allStages && t.ref.router.stage != stage {
			ep.pending.Add(-1) // ours is left, so this is not the end
			continue
		}
		t.note()
		e.system.Root.Send(spawn(t.ref), t)
	}
	ep.finish()
}

// progress is the number of the last committed epoch.
type progress struct {
	mu      sync.Mutex
	cond    *sync.Cond
	number  uint64
	stopped bool
}

func (p *progress) advance(number uint64) {
	p.mu.Lock()
	p.number = number
	p.mu.Unlock()
	p.cond.Broadcast()
}

func (p *progress) stop() {
	p.mu.Lock()
	p.stopped = true
	p.mu.Unlock()
	p.cond.Broadcast()
}

// await returns when the epoch is committed.
func (p *progress) await(number uint64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.number < number && !p.stopped {
		p.cond.Wait()
	}
	if p.stopped {
		return errStopped
	}
	return nil
}
