package equality_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"edged"
	"edged/actors"
	"edged/internal/equality"
	"edged/persistence"
)

var (
	seedFlag = flag.Uint64("seed", 0, "seed of all chance; 0: a new one")
	long     = flag.Int("long", 1, "how many times as many rounds")
)

// newRand prints its seed and mixes the test's name in.
func newRand(t *testing.T) *rand.Rand {
	t.Helper()
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed %d", seed)
	mixed := uint64(14695981039346656037)
	for _, b := range []byte(t.Name()) {
		mixed = (mixed ^ uint64(b)) * 1099511628211
	}
	return rand.New(rand.NewPCG(seed, mixed))
}

func cases(t *testing.T) []*equality.Case {
	t.Helper()
	all, err := equality.Cases()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// errPower is what a store says from the moment on in which the power fails.
var errPower = errors.New("the power has failed")

// witness is a store that remembers all that became durable, and may lose its power
// at a commit, before or after that took effect.
type witness struct {
	actors.Store
	left    int  // commits until then; negative: it never fails
	after   bool // the last commit took effect
	journal []edged.Record
	bounds  []edged.Seq // the last records of commits
	history map[[2]string][]edged.Snapshot
	swept   int
}

func (w *witness) Commit(c *edged.Commit) error {
	if w.left == 0 {
		return errPower
	}
	w.left--
	if w.left == 0 && !w.after {
		return errPower
	}
	if err := w.Store.Commit(c); err != nil {
		return err
	}
	for _, rec := range c.Records {
		rec.Payload, rec.Derived = slices.Clone(rec.Payload), slices.Clone(rec.Derived)
		w.journal = append(w.journal, rec)
	}
	if len(c.Records) > 0 {
		w.bounds = append(w.bounds, c.Records[len(c.Records)-1].Seq)
	}
	for _, s := range c.Snapshots {
		id := [2]string{s.Pipeline, s.Key}
		s.State = slices.Clone(s.State)
		w.history[id] = append(w.history[id], s)
	}
	if c.Sweep != nil {
		w.swept++
	}
	if w.left == 0 {
		return errPower
	}
	return nil
}

// broker is what a source knows from one engine to the next.
type broker struct {
	inputs   []equality.Input
	messages []edged.Message
	pace     time.Duration // 0: as fast as it is taken
	bounded  bool

	mu        sync.Mutex
	acked     int
	delivered int
}

// session is a source for one engine: it delivers messages in batches of any size,
// first those again that were not acknowledged. It sets the gateway's clock before
// each batch.
type session struct {
	*broker
	onAck  func(acked int)
	stamps []edged.Timestamp
	over   bool // the engine is gone; somebody may still call
}

// batch returns the messages from a place on that came in at the same time.
func (s *session) batch(r *rand.Rand, from int) (b edged.Batch, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	most := 40
	if s.pace > 0 {
		most = 5
	}
	to := min(from+1+r.IntN(1+r.IntN(most)), len(s.messages))
	b = edged.Batch{Fresh: from == 0 && s.delivered == 0, More: s.pace == 0 && to < len(s.messages)}
	for i := from; i < to && s.inputs[i].Arrival == s.inputs[from].Arrival; i++ {
		m := s.messages[i]
		m.Dup = i < s.delivered
		b.Messages = append(b.Messages, m)
	}
	if !s.over {
		s.delivered = max(s.delivered, from+len(b.Messages))
		s.stamps = append(s.stamps, s.inputs[from].Arrival)
	}
	return b, !s.over
}

func (s *session) Run(ctx context.Context, deliver func(context.Context, edged.Batch) error) error {
	s.mu.Lock()
	from := s.acked
	s.mu.Unlock()
	r := rand.New(rand.NewPCG(uint64(from), uint64(len(s.messages))))
	pace := time.NewTicker(max(s.pace, time.Microsecond))
	defer pace.Stop()
	for from < len(s.messages) {
		b, ok := s.batch(r, from)
		if !ok || deliver(ctx, b) != nil {
			return nil
		}
		from += len(b.Messages)
		if s.pace > 0 {
			select {
			case <-pace.C:
			case <-ctx.Done():
				return nil
			}
		}
	}
	if !s.bounded {
		<-ctx.Done()
	}
	return nil
}

// wall is the gateway's clock: the engine asks once per batch.
func (s *session) wall() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.stamps) == 0 {
		return time.UnixMilli(0)
	}
	at := s.stamps[0]
	s.stamps = s.stamps[1:]
	return time.UnixMilli(int64(at))
}

func (s *session) Ack(ids []uint64) {
	s.mu.Lock()
	for _, id := range ids {
		if id == uint64(s.acked)+1 {
			s.acked++
		}
	}
	acked := s.acked
	s.mu.Unlock()
	if s.onAck != nil {
		s.onAck(acked)
	}
}

func (s *session) Connected() bool { return true }

func (s *session) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
}

// upstream takes the rows of a stream, and keeps the first copy of each.
type upstream struct {
	mu     sync.Mutex
	rows   []edged.Row
	again  int
	faults []string
}

type link struct {
	*upstream
	confirmed func([]uint64)
}

func (l *link) Run(ctx context.Context, up func(), _ func(error), confirmed func([]uint64)) error {
	l.confirmed = confirmed
	up()
	<-ctx.Done()
	return nil
}

func (l *link) Send(rows []edged.Row) error {
	l.take(rows)
	var seqs []uint64
	for _, r := range rows {
		seqs = append(seqs, r.Seq)
	}
	l.confirmed(seqs)
	return nil
}

func (u *upstream) take(rows []edged.Row) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, r := range rows {
		r.Payload = slices.Clone(r.Payload)
		switch n := uint64(len(u.rows)); {
		case r.Seq == n+1:
			u.rows = append(u.rows, r)
		case r.Seq > n:
			u.faults = append(u.faults, fmt.Sprintf("row %d after %d: %s", r.Seq, n, r.Payload))
		default:
			u.again++
			if was := u.rows[r.Seq-1]; string(was.Payload) != string(r.Payload) || was.Topic != r.Topic {
				u.faults = append(u.faults, fmt.Sprintf("row %d was\n  %s\nand is now\n  %s", r.Seq, was.Payload, r.Payload))
			}
		}
	}
}

// world is what outlives the engines of a case.
type world struct {
	t       *testing.T
	r       *rand.Rand
	c       *equality.Case
	broker  *broker
	streams map[string]*upstream
	journal []edged.Record
	history map[[2]string][]edged.Snapshot
	bounds  []edged.Seq
	swept   int
	lives   int
	reloads bool // tables change while engines run
}

func newWorld(t *testing.T, r *rand.Rand, c *equality.Case, inputs []equality.Input) *world {
	return &world{
		t: t, r: r, c: c, streams: map[string]*upstream{}, history: map[[2]string][]edged.Snapshot{},
		broker: &broker{inputs: inputs, messages: equality.Messages(inputs)},
	}
}

// open opens the real store of the case.
func (w *world) open(dir string) *persistence.Store {
	w.t.Helper()
	s, err := persistence.Open(persistence.Config{Dir: dir, SegmentBytes: persistence.SegmentBytesMin, NoSync: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		w.t.Fatal(err)
	}
	_, streams, err := w.c.Pipelines()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, name := range streams {
		if err := s.SetOutputs(name, []string{"out"}); err != nil {
			w.t.Fatal(err)
		}
	}
	return s
}

// config draws how the engine works.
func (w *world) config(ticks bool) actors.Config {
	r := w.r
	cfg := actors.Config{
		CommitInterval: time.Duration(1+r.IntN(4)) * time.Millisecond, EpochEventsMax: 1 + r.IntN(60),
		EpochBytesMax: 200 + r.IntN(20000), IntakeEventsMax: 1 + r.IntN(200), TickInterval: time.Hour,
		PassivateAfter: time.Hour, ActiveKeysMax: 1 + r.IntN(10), SweepBytes: int64(300 + r.IntN(20000)),
		DrainTimeout: time.Minute,
	}
	if r.IntN(3) == 0 {
		cfg.SweepBytes = 300
		cfg.ActiveKeysMax, cfg.EpochEventsMax = 1000, 1+r.IntN(3)
	}
	if ticks {
		// Small epochs and many sweeps, so that keys are known from snapshots only.
		cfg.EpochEventsMax, cfg.SweepBytes = 1+r.IntN(6), 300
		cfg.TickInterval, cfg.PassivateAfter = time.Millisecond, time.Duration(1+r.IntN(20))*time.Millisecond
	}
	return cfg
}

// live runs one engine over a store until its power fails or the input is through.
func (w *world) live(store actors.Store, cfg actors.Config, left int, rest time.Duration) {
	w.t.Helper()
	w.run(store, cfg, left, func(_ *actors.Engine, src *session, stop context.CancelFunc) {
		src.onAck = func(acked int) {
			if acked == len(src.messages) && !src.bounded {
				time.AfterFunc(rest, stop)
			}
		}
	})
}

// idle runs an engine that is stopped as soon as it is ready.
func (w *world) idle(store actors.Store, cfg actors.Config) {
	w.t.Helper()
	w.run(store, cfg, -1, func(e *actors.Engine, _ *session, stop context.CancelFunc) {
		go func() {
			<-e.Ready()
			stop()
		}()
	})
}

// run runs one engine; begin is called before.
func (w *world) run(store actors.Store, cfg actors.Config, left int, begin func(*actors.Engine, *session, context.CancelFunc)) {
	w.t.Helper()
	w.lives++
	pipelines, streams, err := w.c.Pipelines()
	if err != nil {
		w.t.Fatal(err)
	}
	var links []actors.Link
	for _, name := range streams {
		if w.streams[name] == nil {
			w.streams[name] = &upstream{}
		}
		links = append(links, actors.Link{Stream: name, Name: "out", Output: &link{upstream: w.streams[name]}})
	}
	seen := &witness{Store: store, left: left, after: w.r.IntN(2) == 0, history: w.history}
	src := &session{broker: w.broker}
	defer src.end()
	cfg.Wall = src.wall
	ctx, stop := context.WithCancel(w.t.Context())
	defer stop()
	e, err := actors.New(cfg, actors.Ports{Store: seen, Source: src, Pipelines: pipelines, Links: links, Bounded: src.bounded, Tables: w.c.Tables})
	if err != nil {
		w.t.Fatal(err)
	}
	begin(e, src, stop)
	loaded := w.reload(ctx, e)
	if err := e.Run(ctx); err != nil && !errors.Is(err, errPower) {
		w.t.Fatal(err)
	}
	stop()
	<-loaded
	w.journal = append(w.journal, seen.journal...)
	w.bounds, w.swept = append(w.bounds, seen.bounds...), w.swept+seen.swept
}

// reload changes a table while the engine runs, if it is to. The next engine starts
// with the table as it was.
func (w *world) reload(ctx context.Context, e *actors.Engine) (done chan struct{}) {
	done = make(chan struct{})
	if !w.reloads || len(w.c.Tables) == 0 {
		close(done)
		return done
	}
	table, n := w.c.Tables[0], w.r.IntN(3)
	lines := bytes.SplitAfter(table.Content, []byte("\n"))
	go func() {
		defer close(done)
		for i := range n {
			part := actors.Table{Name: table.Name, Content: bytes.Join(lines[:2+i], nil)}
			if e.LoadTable(ctx, part) != nil {
				return
			}
		}
	}()
	return done
}

// judge compares what came out with the plain fold over what was journaled.
func (w *world) judge(what string) *equality.Fold {
	w.t.Helper()
	w.intact()
	pipelines, streams, err := w.c.Pipelines()
	if err != nil {
		w.t.Fatal(err)
	}
	fold := equality.NewFold(pipelines)
	fold.Take(w.journal, w.broker.bounded)
	for _, name := range streams {
		same(w.t, w.c.Name+": "+what+": stream "+name, w.streams[name], fold.Rows(name))
	}
	return fold
}

// intact checks that the journal holds every message once.
func (w *world) intact() {
	w.t.Helper()
	n := 0
	for i := range w.journal {
		rec := &w.journal[i]
		if rec.Seq != edged.Seq(i+1) {
			w.t.Fatalf("%s: record %d stands at %d", w.c.Name, rec.Seq, i+1)
		}
		if rec.Kind != edged.MessageRecord {
			continue
		}
		if n >= len(w.broker.messages) || string(rec.Payload) != string(w.broker.messages[n].Payload) || rec.Arrival != w.broker.inputs[n].Arrival {
			w.t.Fatalf("%s: record %d is not message %d", w.c.Name, rec.Seq, n)
		}
		n++
	}
	if n != len(w.broker.messages) {
		w.t.Fatalf("%s: %d of %d messages in the journal", w.c.Name, n, len(w.broker.messages))
	}
}

// bare returns a row without its identity, which is that of the record it came from,
// and its place.
func bare(payload []byte) string {
	at := bytes.LastIndex(payload, []byte(`,"id":"`))
	return string(payload[:max(at, 0)])
}

// same compares the rows of a stream.
func same(t *testing.T, what string, got *upstream, want []edged.Row) {
	t.Helper()
	if len(got.faults) > 0 {
		t.Fatalf("%s: %s", what, got.faults[0])
	}
	for i := range max(len(got.rows), len(want)) {
		switch {
		case i >= len(got.rows):
			t.Fatalf("%s: row %d is missing: %s", what, i+1, want[i].Payload)
		case i >= len(want):
			t.Fatalf("%s: row %d is too many: %s", what, i+1, got.rows[i].Payload)
		case string(got.rows[i].Payload) != string(want[i].Payload) || got.rows[i].Topic != want[i].Topic:
			t.Fatalf("%s: row %d\n got %s\nwant %s", what, i+1, got.rows[i].Payload, want[i].Payload)
		}
	}
}
