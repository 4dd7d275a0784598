package actors

import (
	"context"
	"errors"
	"flag"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"edged"
)

var seedFlag = flag.Uint64("seed", 0, "seed of the random tests; 0 picks one")

func newRand(t *testing.T) *rand.Rand {
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-seed %d", seed)
	return rand.New(rand.NewPCG(seed, 1))
}

// tiny paces that make many epochs, sweeps and passivations in a short run.
func tinyConfig(r *rand.Rand) Config {
	return Config{
		CommitInterval: time.Duration(1+r.IntN(3000)) * time.Microsecond,
		EpochEventsMax: 1 + r.IntN(60), EpochBytesMax: 1 << 16,
		IntakeEventsMax: 1 + r.IntN(100), TickInterval: time.Millisecond,
		SweepBytes: int64(1 + r.IntN(3000)), ActiveKeysMax: 1 + r.IntN(20),
	}
}

func toyLink(out Output) []Link { return []Link{{Stream: "toy", Name: "out", Output: out}} }

func run(t *testing.T, cfg Config, ports Ports) (*Engine, error) {
	t.Helper()
	e, err := New(cfg, ports)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	err = e.Run(ctx)
	if ctx.Err() != nil {
		t.Fatal("the engine did not end")
	}
	return e, err
}

func diff(t *testing.T, got, want []string) {
	t.Helper()
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Fatalf("row %d of %d: got %q, want %q", i, len(want), got[i], want[i])
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%d rows, want %d", len(got), len(want))
	}
}

// Whatever the epochs, sweeps and passivations, the rows are those of a plain
// loop over the input, in the same order with the same numbers.
func TestBoundedRunEqualsLoop(t *testing.T) {
	r := newRand(t)
	for range 30 {
		messages := toyMessages(r, 1+r.IntN(1500), 1+r.IntN(60))
		out := &toyOutput{}
		src := &toySource{batches: toyBatches(r, messages), bounded: true}
		_, err := run(t, tinyConfig(r), Ports{
			Store: NewMemoryStore(toyLink(nil)...), Source: src, Pipelines: []Pipeline{toyPipeline{}}, Links: toyLink(out), Bounded: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		diff(t, out.got(), toyExpected(messages))
		if len(src.ackedIDs()) != len(messages) || !slices.IsSorted(src.ackedIDs()) {
			t.Fatalf("%d acks for %d messages, sorted %v", len(src.ackedIDs()), len(messages), slices.IsSorted(src.ackedIDs()))
		}
	}
}

// failingStore fails its n-th commit, before or after it took effect, and
// checks that nothing was acknowledged before it was durable.
type failingStore struct {
	*MemoryStore
	left  atomic.Int64
	after bool
}

var errPower = errors.New("power cut")

func (s *failingStore) Commit(c *edged.Commit) error {
	if s.left.Add(-1) > 0 {
		return s.MemoryStore.Commit(c)
	}
	if s.left.Load() == 0 && s.after {
		_ = s.MemoryStore.Commit(c)
	}
	return errPower
}

// A run that is cut at any commit and goes on in a new engine, with a broker
// that repeats what was not acknowledged, gives the rows of an uncut run. Some
// runs end cleanly instead.
func TestCutAndRecover(t *testing.T) {
	r := newRand(t)
	cuts := 0
	for range 20 {
		messages := toyMessages(r, 200+r.IntN(1500), 1+r.IntN(60))
		mem := NewMemoryStore(toyLink(nil)...)
		mem.keep = true
		var rows []string
		left := messages
		for len(left) > 0 {
			store := &failingStore{MemoryStore: mem, after: r.IntN(2) == 0}
			store.left.Store(int64(1 + r.IntN(15)))
			out := &toyOutput{}
			ctx, stop := context.WithCancel(t.Context())
			enough := len(left)
			if r.IntN(3) == 0 {
				enough = 1 + r.IntN(enough)
			}
			src := &toySource{batches: toyBatches(r, left)[1:], onAck: func(n int) {
				if n >= enough {
					stop()
				}
			}}
			e, err := New(tinyConfig(r), Ports{Store: store, Source: src, Pipelines: []Pipeline{toyPipeline{}}, Links: toyLink(out)})
			if err != nil {
				t.Fatal(err)
			}
			err = e.Run(ctx)
			stop()
			rows = append(rows, out.got()...)
			if errors.Is(err, errPower) {
				cuts++
			} else if err != nil {
				t.Fatal(err)
			}
			acked := len(src.ackedIDs())
			done := len(messages) - len(left) + acked
			if last := mem.Position().Seq; int(last) < done {
				t.Fatalf("%d messages acknowledged, %d durable", done, last)
			}
			left = slices.Clone(left[acked:])
			for i := range min(int(src.delivered.Load())-acked+40, len(left)) {
				left[i].Dup = true
			}
		}
		out := &toyOutput{}
		if _, err := run(t, tinyConfig(r), Ports{Store: mem, Source: &toySource{bounded: true}, Pipelines: []Pipeline{toyPipeline{}}, Links: toyLink(out), Bounded: true}); err != nil {
			t.Fatal(err)
		}
		// Rows may be sent again after a cut; by number they are the same.
		seen := map[string]bool{}
		var unique []string
		for _, row := range append(rows, out.got()...) {
			if !seen[row] {
				seen[row] = true
				unique = append(unique, row)
			}
		}
		diff(t, endsSorted(unique), endsSorted(toyExpected(messages)))
	}
	if cuts < 20 {
		t.Errorf("only %d commits were cut", cuts)
	}
}

// endsSorted takes the numbers off the rows of the end of input and sorts them:
// their order follows activity, which snapshots keep by time only.
func endsSorted(rows []string) []string {
	at := len(rows)
	for at > 0 && strings.HasSuffix(rows[at-1], "end") {
		at--
		_, rows[at], _ = strings.Cut(rows[at], " ")
	}
	slices.Sort(rows[at:])
	return rows
}

// A panic costs the event that caused it; its key goes on from a rebuilt state
// and its neighbours do not notice. After a restart it is still so.
func TestPanicCostsOneEvent(t *testing.T) {
	r := newRand(t)
	for range 10 {
		messages := toyMessages(r, 600, 8)
		poisoned := 0
		for i := range messages {
			if r.IntN(40) == 0 {
				key, _, _ := strings.Cut(string(messages[i].Payload), " ")
				messages[i].Payload = []byte(key + " 666")
				poisoned++
			}
		}
		mem := NewMemoryStore(toyLink(nil)...)
		mem.keep = true
		store := &failingStore{MemoryStore: mem}
		store.left.Store(int64(2 + r.IntN(10)))
		cfg := tinyConfig(r)
		cfg.SweepBytes = int64(500 + r.IntN(20000))
		out := &toyOutput{}
		ports := Ports{Store: store, Source: &toySource{batches: toyBatches(r, messages), bounded: true}, Pipelines: []Pipeline{toyPipeline{}}, Links: toyLink(out), Bounded: true}
		if _, err := run(t, cfg, ports); err != nil && !errors.Is(err, errPower) {
			t.Fatal(err)
		}
		if mem.Position().Seq > edged.Seq(len(messages)) {
			continue // it ended before the cut
		}
		rest := messages[mem.Position().Seq:]
		out2 := &toyOutput{}
		ports.Store, ports.Links = mem, toyLink(out2)
		ports.Source = &toySource{batches: toyBatches(r, rest), bounded: true}
		if _, err := run(t, cfg, ports); err != nil {
			t.Fatal(err)
		}
		want := toyExpected(messages)
		want = endsSorted(want)
		all := append(out.got(), endsSorted(out2.got())...)
		slices.Sort(all)
		slices.Sort(want)
		diff(t, slices.Compact(all), want)
		panics := 0
		for _, d := range mem.DeadLetters() {
			if d.Cause == "panic" && d.Skip && strings.HasSuffix(string(d.Payload), " 666") {
				panics++
			}
		}
		if panics != poisoned {
			t.Fatalf("%d dead letters for %d poisonous events", panics, poisoned)
		}
	}
}

func TestFailedCommitAcknowledgesNothing(t *testing.T) {
	r := newRand(t)
	store := &failingStore{MemoryStore: NewMemoryStore(toyLink(nil)...)}
	store.left.Store(1)
	src := &toySource{batches: toyBatches(r, toyMessages(r, 10, 2))}
	out := &toyOutput{}
	_, err := run(t, Config{}, Ports{Store: store, Source: src, Pipelines: []Pipeline{toyPipeline{}}, Links: toyLink(out)})
	if !errors.Is(err, errPower) {
		t.Fatalf("got %v", err)
	}
	if len(src.ackedIDs()) != 0 || len(out.got()) != 0 {
		t.Fatalf("acknowledged %d, sent %d after a failed commit", len(src.ackedIDs()), len(out.got()))
	}
}

func TestPoisonAndFilter(t *testing.T) {
	messages := []edged.Message{
		{Topic: "in/a", Payload: []byte("k1 1"), Ack: 1}, {Topic: "in/a", Payload: []byte("nonsense"), Ack: 2},
		{Topic: "elsewhere", Payload: []byte("k1 1"), Ack: 3}, {Topic: "in/a", Payload: []byte("k1 1000"), Ack: 4},
		{Topic: "in/a", Payload: []byte("k1 2"), Ack: 5}, {Topic: "in/a", Payload: []byte("k1 3"), Ack: 6},
	}
	mem := NewMemoryStore(toyLink(nil)...)
	out := &toyOutput{}
	src := &toySource{batches: []edged.Batch{{Messages: messages}}, bounded: true}
	e, err := run(t, Config{}, Ports{Store: mem, Source: src, Pipelines: []Pipeline{toyPipeline{}}, Links: toyLink(out), Bounded: true})
	if err != nil {
		t.Fatal(err)
	}
	diff(t, out.got(), []string{"1 k1 #0 sum=6 by watermark"})
	var causes []string
	for _, d := range mem.DeadLetters() {
		causes = append(causes, d.Cause)
	}
	if got := strings.Join(causes, " "); got != "syntax no_pipeline" {
		t.Errorf("causes %q", got)
	}
	if len(src.ackedIDs()) != len(messages) || e.Stats().Filtered.Load() != 1 {
		t.Errorf("acked %d, filtered %d", len(src.ackedIDs()), e.Stats().Filtered.Load())
	}
}

// Silent keys fire by a journaled tick, and a recovered engine agrees about it.
func TestIdleTick(t *testing.T) {
	mem := NewMemoryStore(toyLink(nil)...)
	mem.keep = true
	out := &toyOutput{}
	src := &toySource{batches: []edged.Batch{{Messages: []edged.Message{
		{Topic: "in/a", Payload: []byte("k1 1"), Ack: 1}, {Topic: "in/a", Payload: []byte("k2 2"), Ack: 2},
	}}}}
	ctx, cancel := context.WithCancel(t.Context())
	e, err := New(Config{TickInterval: time.Millisecond, PassivateAfter: 20 * time.Millisecond}, Ports{Store: mem, Source: src, Pipelines: []Pipeline{toyPipeline{idle: 10}}, Links: toyLink(out)})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	eventually(t, "both keys to fire", func() bool { return len(out.got()) == 2 })
	eventually(t, "both keys to be passivated", func() bool { return e.Stats().Passivated.Load() == 2 })
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	diff(t, out.got(), []string{"1 k1 #0 sum=1 by idle", "2 k2 #0 sum=2 by idle"})
	out2 := &toyOutput{}
	if _, err := run(t, Config{}, Ports{Store: mem, Source: &toySource{bounded: true}, Pipelines: []Pipeline{toyPipeline{idle: 10}}, Links: toyLink(out2), Bounded: true}); err != nil {
		t.Fatal(err)
	}
	if len(out2.got()) != 0 {
		t.Errorf("recovery sent %q", out2.got())
	}
}

// eventually waits for a condition that other goroutines make true.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
