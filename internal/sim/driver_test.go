package sim_test

import (
	"bytes"
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"edged"
	"edged/internal/sim"
)

// broker is a Publisher whose connection breaks now and then. It takes rows at
// once and confirms them after a round trip, in pieces.
type broker struct {
	t         *testing.T
	random    *rand.Rand
	roundTrip time.Duration
	losses    int  // connections still to be lost
	silent    bool // never connects
	refuse    error
	quits     error // what Run returns at once

	taken chan []edged.Row
	mu    sync.Mutex // guards what follows
	up    bool
	open  int             // unconfirmed on this connection
	most  int             // of open, ever
	done  map[uint64]bool // confirmed
	got   map[string]int  // payload -> times received
	order []string        // first arrivals
}

var errLost = errors.New("connection lost")

func newBroker(t *testing.T, random *rand.Rand) *broker {
	return &broker{t: t, random: random, roundTrip: time.Millisecond, taken: make(chan []edged.Row, 1000), done: map[uint64]bool{}, got: map[string]int{}}
}

func (b *broker) Run(ctx context.Context, up func(), down func(error), confirmed func([]uint64)) error {
	if b.quits != nil {
		return b.quits
	}
	if b.silent {
		down(errLost)
		<-ctx.Done()
		return nil
	}
	for ctx.Err() == nil {
		b.connect(true)
		up()
		b.serve(ctx, confirmed)
		b.connect(false)
		down(errLost)
		sleep(ctx, time.Duration(b.random.IntN(50))*time.Millisecond)
	}
	return nil
}

func (b *broker) connect(up bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.up, b.open = up, 0
	for len(b.taken) > 0 {
		<-b.taken // their acknowledgements are lost with the connection
	}
}

// serve confirms until the connection is lost.
func (b *broker) serve(ctx context.Context, confirmed func([]uint64)) {
	for {
		select {
		case <-ctx.Done():
			return
		case rows := <-b.taken:
			sleep(ctx, b.roundTrip)
			if ctx.Err() != nil {
				return
			}
			seqs := b.settle(rows)
			at := b.random.IntN(len(seqs) + 1)
			b.confirm(seqs[at:], confirmed) // out of order, to be nasty
			if b.losses > 0 && b.random.IntN(20) == 0 {
				b.losses--
				return
			}
			b.confirm(seqs, confirmed) // some of them again
		}
	}
}

// settle frees the window of rows.
func (b *broker) settle(rows []edged.Row) (seqs []uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open -= len(rows)
	for _, row := range rows {
		seqs = append(seqs, row.Seq)
	}
	return seqs
}

func (b *broker) confirm(seqs []uint64, confirmed func([]uint64)) {
	b.mu.Lock()
	for _, seq := range seqs {
		b.done[seq] = true
	}
	b.mu.Unlock()
	confirmed(seqs)
}

func (b *broker) Send(rows []edged.Row) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.refuse != nil {
		return b.refuse
	}
	if !b.up {
		return errLost
	}
	b.open += len(rows)
	b.most = max(b.most, b.open)
	for _, row := range rows {
		if b.done[row.Seq] {
			b.t.Errorf("row %d was confirmed and is sent again", row.Seq)
		}
		payload := string(row.Payload)
		if b.got[payload]++; b.got[payload] == 1 {
			b.order = append(b.order, payload)
		}
		if want := payload[11:18]; row.Topic != "sensors/"+want+"/data" {
			b.t.Errorf("%s was published to %s", payload, row.Topic)
		}
	}
	b.taken <- append([]edged.Row(nil), rows...)
	return nil
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// TestDriveDeliversAll loses connections at random and checks that every sample
// arrives, in order, and is entered into the ledger exactly once.
func TestDriveDeliversAll(t *testing.T) {
	t.Logf("seed %d", *seed)
	for i := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(*seed, i))
			cfg := full(random.Uint64())
			cfg.Events = 3000
			b := newBroker(t, random)
			b.losses = random.IntN(4)
			losses := b.losses
			window := 1 + random.IntN(300)
			var sent, ledger []sim.Sample
			total, err := sim.Drive(t.Context(), b, newFleet(t, cfg), sim.DriverConfig{
				Window: window,
				Sent:   func(s *sim.Sample) { sent = append(sent, *s) },
				Acked:  func(s *sim.Sample) { ledger = append(ledger, *s) },
			})
			if err != nil {
				t.Fatal(err)
			}
			checkDelivery(t, newFleet(t, cfg), b, sent, ledger)
			if total.Sent != len(sent) || total.Acked != len(sent) || total.Reconnects != losses-b.losses {
				t.Errorf("summary %+v; %d sent, %d losses", total, len(sent), losses-b.losses)
			}
			if total.Resent > 0 && total.Reconnects == 0 { // a loss may come when nothing is unconfirmed
				t.Errorf("%d sent again after %d losses", total.Resent, total.Reconnects)
			}
			if b.most > window {
				t.Errorf("%d unconfirmed, window %d", b.most, window)
			}
		})
	}
}

func checkDelivery(t *testing.T, fleet *sim.Fleet, b *broker, sent, ledger []sim.Sample) {
	t.Helper()
	var want []string
	entries := map[sim.Sample]int{}
	for _, s := range ledger {
		entries[s]++
	}
	i := 0
	for s := range fleet.All() {
		if s != sent[i] || entries[s] != 1 {
			t.Fatalf("sample %d is %+v; sent %+v, %d times in the ledger", i, s, sent[i], entries[s])
		}
		if !s.Duplicate {
			want = append(want, string(fleet.AppendPayload(nil, &s)))
		}
		i++
	}
	if got := strings.Join(b.order, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("%d distinct payloads arrived, in another order than %d were made", len(b.order), len(want))
	}
}

func TestDriveKeepsThePace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var at []time.Duration
		b := newBroker(t, rand.New(rand.NewPCG(1, 1)))
		cfg := full(1)
		cfg.Events, cfg.DuplicateShare = 5000, 0
		total, err := sim.Drive(t.Context(), b, newFleet(t, cfg), sim.DriverConfig{
			Rate: 2000, Sent: func(*sim.Sample) { at = append(at, time.Since(began)) },
		})
		if err != nil {
			t.Fatal(err)
		}
		for i, got := range at {
			want := time.Duration(float64(i+1) / 2000 * float64(time.Second))
			if got < want-time.Microsecond || got > want+5*time.Millisecond {
				t.Fatalf("sample %d was sent after %v, want %v", i, got, want)
			}
		}
		if math.Abs(total.Rate-2000) > 20 {
			t.Errorf("rate %v", total.Rate)
		}
	})
}

func TestDriveStopsAfterDuration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := full(1)
		cfg.Events = 0
		b := newBroker(t, rand.New(rand.NewPCG(1, 1)))
		total, err := sim.Drive(t.Context(), b, newFleet(t, cfg), sim.DriverConfig{Rate: 1000, Duration: 3 * time.Second})
		if fresh := total.Sent - total.Duplicates; err != nil || fresh < 2990 || fresh > 3000 || total.Acked != total.Sent {
			t.Errorf("error %v, summary %+v", err, total)
		}
	})
}

func TestDriveErrors(t *testing.T) {
	cause := errors.New("enough")
	for name, test := range map[string]struct {
		broker func(*broker)
		cfg    sim.DriverConfig
		want   error
		after  time.Duration
	}{
		"never connects": {func(b *broker) { b.silent = true }, sim.DriverConfig{ConnectTimeout: 7 * time.Second}, sim.ErrNotConnected, 7 * time.Second},
		"says why":       {func(b *broker) { b.silent = true }, sim.DriverConfig{}, errLost, sim.DefaultConnectTimeout},
		"refuses all":    {func(b *broker) { b.refuse = errLost }, sim.DriverConfig{}, errLost, 10 * time.Second},
		"stops":          {func(b *broker) { b.quits = errLost }, sim.DriverConfig{}, errLost, 0},
		"stops at once":  {func(b *broker) { b.quits = errLost }, sim.DriverConfig{}, sim.ErrNotConnected, 0},
		"cancelled":      {func(b *broker) { b.roundTrip = time.Hour }, sim.DriverConfig{}, cause, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				time.AfterFunc(time.Minute, func() { cancel(cause) })
				b := newBroker(t, rand.New(rand.NewPCG(1, 1)))
				test.broker(b)
				began := time.Now()
				total, err := sim.Drive(ctx, b, newFleet(t, full(1)), test.cfg)
				if !errors.Is(err, test.want) || total.Acked != 0 {
					t.Errorf("error %v, want %v; summary %+v", err, test.want, total)
				}
				if d := time.Since(began) - test.after; d < -200*time.Millisecond || d > 200*time.Millisecond {
					t.Errorf("it took %v, want %v", time.Since(began), test.after)
				}
			})
		})
	}
}

func TestDriveReportsTheSourcesError(t *testing.T) {
	trace, err := sim.OpenTrace(sim.TraceConfig{Files: []string{write(t, "d000000.csv", "t,v\n1,1\n2,2\nx,3\n")}})
	if err != nil {
		t.Fatal(err)
	}
	defer trace.Close()
	synctest.Test(t, func(t *testing.T) {
		total, err := sim.Drive(t.Context(), newBroker(t, rand.New(rand.NewPCG(1, 1))), trace, sim.DriverConfig{})
		if err == nil || !strings.Contains(err.Error(), "d000000.csv:4") || total.Acked != 2 {
			t.Errorf("error %v, summary %+v", err, total)
		}
	})
}

func TestDriverConfigReportsAllFaults(t *testing.T) {
	_, err := sim.Drive(t.Context(), nil, nil, sim.DriverConfig{Rate: math.NaN(), Window: 1001, Duration: -1})
	if err == nil || strings.Count(err.Error(), "driver: ") != 3 {
		t.Errorf("error %v", err)
	}
}

func TestWriteNDJSON(t *testing.T) {
	cfg := full(5)
	var out bytes.Buffer
	total, err := sim.WriteNDJSON(t.Context(), &out, newFleet(t, cfg))
	if err != nil {
		t.Fatal(err)
	}
	f := newFleet(t, cfg)
	lines, bytesWant := 0, 0
	for s := range f.All() {
		want := string(f.AppendPayload(nil, &s))
		if got, err := out.ReadString('\n'); err != nil || got != want+"\n" {
			t.Fatalf("line %d: %q, want %q", lines+1, got, want)
		}
		lines++
		bytesWant += len(want)
	}
	if out.Len() > 0 || total.Sent != lines || total.PayloadBytes != int64(bytesWant) || total.Duplicates != lines-cfg.Events {
		t.Errorf("%d bytes left, summary %+v, want %d lines", out.Len(), total, lines)
	}
	if _, err := sim.WriteNDJSON(t.Context(), full0{}, newFleet(t, cfg)); !errors.Is(err, errLost) {
		t.Errorf("a full disk: %v", err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := sim.WriteNDJSON(cancelled, &out, newFleet(t, cfg)); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// full0 is a writer without room.
type full0 struct{}

func (full0) Write([]byte) (int, error) { return 0, errLost }
