package agent

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"edged/fleet/command"
	"edged/fleet/protocol"
	"edged/fleet/trust"
)

// The limits and defaults of an agent.
const (
	EventsMax  = 512 // events that wait for confirmation; the oldest are dropped
	AnswersMax = 64  // answers that wait for a connection; the oldest are dropped
	ReadLanes  = 4   // operations that only read and run at a time

	TimeoutDefault = 30 * time.Second
	TimeoutMax     = 10 * time.Minute

	DefaultHeartbeat   = 30 * time.Second
	DefaultFrozenAfter = 3 * time.Hour
	DefaultHoldOff     = 5 * time.Minute
)

// Config says what an agent is.
type Config struct {
	// Guard is the configuration of the guard. Instance and Ops are filled in here.
	Guard command.Config

	// Prefix is what topics begin with; empty: protocol.DefaultPrefix.
	Prefix string

	// Ops are the operations of the gateway. Those of the agent itself come to them:
	// ping, info.get, audit.export, trust.update, command.cancel, identity.adopt.
	Ops map[string]Op

	// Signer signs states, infos, reports and answers. Nil: nothing is signed.
	Signer *trust.Signer

	Heartbeat   time.Duration // how often to say how we are
	FrozenAfter time.Duration // connected, without a fresher document than one with a refresh: alarm
	HoldOff     time.Duration // how long to stay away from a duplicate

	// Desired gets each desired document that was accepted, and at the start of Run the
	// one that is stored. It must return soon. Nil: they are reported as REJECTED.
	Desired func(*protocol.Desired)

	// Wall returns the time of day, and whether it is to be trusted. Nothing is decided
	// by it. Nil: the clock of the machine, not trusted.
	Wall func() (at time.Time, trusted bool)

	Logger *slog.Logger // nil: discard
}

// withDefaults returns the config with its gaps filled.
func (c Config) withDefaults() Config {
	c.Prefix = cmp.Or(c.Prefix, protocol.DefaultPrefix)
	c.Heartbeat = cmp.Or(c.Heartbeat, DefaultHeartbeat)
	c.FrozenAfter = cmp.Or(c.FrozenAfter, DefaultFrozenAfter)
	c.HoldOff = cmp.Or(c.HoldOff, DefaultHoldOff)
	if c.Wall == nil {
		c.Wall = func() (time.Time, bool) { return time.Now(), false }
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Agent is the gateway's end of the management link. Make it with New and run it
// once.
type Agent struct {
	cfg     Config
	link    Link
	store   Store
	gateway Gateway
	self    trust.Gateway
	ops     map[string]Op
	started time.Time
	serial  chan protocol.ID
	reads   chan protocol.ID
	lanes   sync.WaitGroup
	failed  chan struct{} // closed by the first commit that failed

	mu       sync.Mutex // guards what follows
	guard    *command.Guard
	counters Counters
	nonces   command.Nonces
	up       bool
	broken   error // why nothing can be decided any more
	own      protocol.Presence
	report   Report
	said     uint64 // how often reported was said
	stale    bool   // reported is to be said again
	events   []pending
	answers  []Message // that wait for a connection
	running  map[protocol.ID]context.CancelCauseFunc
	watch    watch
	stored   *protocol.Desired
	stats    Stats
}

// Report is the part of protocol.Reported that comes from applying configurations.
type Report struct {
	Applied   uint64
	Effective string
	Status    string
	Phase     string
	Error     *protocol.Fault
	Failed    []uint64
}

// New reads what is stored, counts the start of the process, and ends what the last
// one left open. Nothing connects before Run.
func New(cfg Config, link Link, store Store, gateway Gateway) (*Agent, error) {
	a := &Agent{
		cfg: cfg.withDefaults(), link: link, store: store, gateway: gateway, started: time.Now(), failed: make(chan struct{}),
		running: map[protocol.ID]context.CancelCauseFunc{}, stale: true,
	}
	a.watch.alarms = map[alarmKey]Alarm{}
	a.stats.Denied = map[protocol.Code]int64{}
	old, err := store.Load()
	if err != nil {
		return nil, fmt.Errorf("fleet: read what was decided: %w", err)
	}
	instance := cmp.Or(old.Instance, chance(instanceBytes))
	a.self = a.cfg.Guard.Gateway
	a.self.Instance = instance
	a.cfg.Guard.Gateway = a.self
	a.ops = a.builtin()
	maps.Copy(a.ops, cfg.Ops)
	a.cfg.Guard.Ops = map[string]func(json.RawMessage) error{}
	for name, op := range a.ops {
		a.cfg.Guard.Ops[name] = checkOf(op)
	}
	if len(old.Desired) > 0 {
		d, err := protocol.Decode[protocol.Desired](old.Desired)
		if err != nil {
			return nil, fmt.Errorf("fleet: the stored desired document: %w", err)
		}
		a.stored = &d
	}
	a.counters = old.Counters
	a.counters.Boot++
	guard, e, err := command.Restore(a.cfg.Guard, old.Guard, a.moment())
	if err != nil {
		return nil, fmt.Errorf("fleet: %w", err)
	}
	a.guard = guard
	a.serial = make(chan protocol.ID, queueMax(a.cfg.Guard))
	a.reads = make(chan protocol.ID, queueMax(a.cfg.Guard))
	e.Changed = true
	a.settle(&e, Change{Instance: instance})
	return a, a.broken
}

// queueMax is how many commands the guard lets wait.
func queueMax(c command.Config) int { return cmp.Or(c.QueueMax, command.DefaultQueueMax) }

// checkOf returns the check of an operation's arguments.
func checkOf(op Op) func(json.RawMessage) error {
	if op.Check != nil {
		return op.Check
	}
	return Do(func(context.Context, *Call, None) (any, error) { return nil, nil }).Check
}

// chance returns so many bytes that nobody can guess, in hexadecimal digits.
func chance(n int) string {
	b := make([]byte, n)
	// crypto/rand never fails; it ends the process instead.
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}

// Instance returns the name of the gateway's data.
func (a *Agent) Instance() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.self.Instance
}

// Filters returns what the link must subscribe to.
func (a *Agent) Filters() []string { return Filters(a.cfg.Prefix, a.self.Fleet, a.self.ID) }

// Filters returns what the link of a gateway must subscribe to.
func Filters(prefix, fleet, gateway string) []string {
	prefix = cmp.Or(prefix, protocol.DefaultPrefix)
	filters := protocol.GatewayFilters(prefix, fleet, gateway)
	filters = slices.DeleteFunc(filters, func(f string) bool { return f == prefix+"/"+fleet+"/"+gateway+"/ack/+" })
	return append(filters, prefix+"/"+fleet+"/"+gateway+"/state")
}

// errStopping is why operations are cancelled at the end.
var errStopping = errors.New("the process is stopping")

// Run connects and serves until ctx ends; it then lets operations end, says farewell and
// returns nil. An error means that something could not be committed: the process must
// end.
func (a *Agent) Run(ctx context.Context) error {
	if a.cfg.Desired != nil && a.stored != nil {
		a.cfg.Desired(a.stored)
	}
	linkCtx, endLink := context.WithCancel(context.WithoutCancel(ctx))
	defer endLink()
	ended := make(chan error, 1)
	go func() { ended <- a.link.Run(linkCtx, a.hooks()) }()
	workCtx, endWork := context.WithCancelCause(context.WithoutCancel(ctx))
	defer endWork(nil)
	a.lanes.Go(func() { a.lane(workCtx, a.serial) })
	for range ReadLanes {
		a.lanes.Go(func() { a.lane(workCtx, a.reads) })
	}
	a.lanes.Go(func() { a.tend(workCtx) })
	var err error
	linked := true
	select {
	case <-ctx.Done():
	case err = <-ended:
		linked = false
	case <-a.failed:
	}
	endWork(errStopping)
	a.lanes.Wait()
	endLink()
	if linked {
		err = <-ended
	}
	return cmp.Or(a.broke(), err)
}

func (a *Agent) broke() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.broken
}

// now is the monotonic time of the process.
func (a *Agent) now() command.Monotonic {
	return command.Monotonic(time.Since(a.started).Milliseconds())
}

// moment is what the guard decides at. The caller holds mu.
func (a *Agent) moment() command.Moment {
	return command.Moment{
		Now: a.now(), Boot: a.counters.Boot, Session: a.counters.Session, Nonces: a.nonces, Running: a.gateway.Running(),
	}
}

// decide lets the guard decide, commits, and answers. An error means that nothing can
// be decided any more.
func (a *Agent) decide(fn func(at command.Moment) (command.Effects, error)) (command.Effects, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.broken != nil {
		return command.Effects{}, a.broken
	}
	e, err := fn(a.moment())
	if err != nil {
		return e, err
	}
	a.settle(&e, Change{})
	return e, a.broken
}

// settle does what effects ask for, in their order: commit, then answers. The caller
// holds mu.
func (a *Agent) settle(e *command.Effects, c Change) {
	first := a.counters.Event + 1
	a.counters.Event += uint64(len(e.Audit))
	c.Counters = a.counters
	if e.Changed || e.Desired != nil {
		c.Guard = a.guard.AppendBinary(nil)
		c.Audit, c.AuditFirst = e.Audit, a.guard.Head().N+1-uint64(len(e.Audit))
		if e.Desired != nil {
			c.Desired, _ = protocol.Encode(*e.Desired) // it was decoded, so it can be encoded
		}
		if !a.commit(c) {
			return
		}
		a.stale = true
	}
	for i, line := range e.Audit {
		a.queue(first+uint64(i), event{class: protocol.ClassAudit, code: "audit.line", severity: protocol.SeverityInfo, data: line[:len(line)-1]})
	}
	for _, answer := range e.Answers {
		a.answer(answer)
	}
}

// commit makes a change durable. If it fails, the agent is broken. The caller holds
// mu.
func (a *Agent) commit(c Change) bool {
	if a.broken != nil {
		return false
	}
	if err := a.store.Commit(c); err != nil {
		a.broken = fmt.Errorf("fleet: commit a decision: %w", err)
		close(a.failed)
		return false
	}
	a.stats.Commits++
	return true
}

// Report changes what is reported about applying configurations.
func (a *Agent) Report(change func(*Report)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change(&a.report)
	a.stale = true
}

// topic returns a topic of this gateway. The names in it were checked by the guard.
func (a *Agent) topic(t protocol.Topic) string {
	t.Fleet, t.Gateway = a.self.Fleet, a.self.ID
	text, err := t.Format(a.cfg.Prefix)
	if err != nil {
		a.cfg.Logger.Error("fleet: topic", "err", err)
	}
	return text
}
