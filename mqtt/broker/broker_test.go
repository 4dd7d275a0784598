//go:build !nobroker

package broker_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"edged"
	"edged/mqtt"
	"edged/mqtt/broker"
)

const patience = 10 * time.Second

// inbox collects messages and acknowledges a part of them.
type inbox struct {
	mu       sync.Mutex
	messages []edged.Message
	fresh    int
}

func (in *inbox) deliver(_ context.Context, b edged.Batch) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.messages = append(in.messages, b.Messages...)
	if b.Fresh {
		in.fresh++
	}
	return nil
}

func (in *inbox) got() []edged.Message {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.messages
}

func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not %s after %v", what, patience)
		}
	}
}

func receive(t *testing.T, cfg mqtt.Config) (*mqtt.Source, *inbox, func()) {
	t.Helper()
	src, err := mqtt.NewSource(cfg, []mqtt.Subscription{{Filter: "in/#", QoS: 1}})
	if err != nil {
		t.Fatal(err)
	}
	in := &inbox{}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := src.Run(ctx, in.deliver); err != nil {
			t.Error(err)
		}
	})
	stop := func() { cancel(); wg.Wait() }
	t.Cleanup(stop)
	await(t, "connected", src.Connected)
	return src, in, stop
}

// send publishes the numbers from..to-1 and waits for their confirmation.
func send(t *testing.T, cfg mqtt.Config, from, to int) {
	t.Helper()
	pub, err := mqtt.NewPublisher(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var rows []edged.Row
	for i := from; i < to; i++ {
		rows = append(rows, edged.Row{Seq: uint64(i), Topic: "in/a", Payload: fmt.Append(nil, i)})
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	n := 0
	err = pub.Run(ctx,
		func() {
			if err := pub.Send(rows); err != nil {
				t.Error(err)
			}
		},
		func(error) {},
		func(seqs []uint64) {
			if n += len(seqs); n == len(rows) {
				cancel()
			}
		})
	if err != nil || n != len(rows) {
		t.Fatalf("%d of %d rows confirmed: %v", n, len(rows), err)
	}
}

// TestSessionSurvives sends, acknowledges a part, reconnects, restarts the
// broker over its store, and expects the rest with DUP.
func TestSessionSurvives(t *testing.T) {
	cfg := broker.Config{Listen: "127.0.0.1:0", Dir: t.TempDir(), AckWait: time.Second}
	b, err := broker.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { b.Close() }()
	client := mqtt.Config{URL: b.URL(), ClientID: "gw"}
	src, in, stop := receive(t, client)
	send(t, mqtt.Config{URL: b.URL(), ClientID: "pub"}, 0, 500)
	await(t, "received", func() bool { return len(in.got()) == 500 })
	first := in.got()
	if in.fresh != 1 || first[0].Dup || string(first[499].Payload) != "499" {
		t.Errorf("first delivery: fresh %d, %+v", in.fresh, first[0])
	}
	var acks []uint64
	for _, m := range first[:200] {
		acks = append(acks, m.Ack)
	}
	src.Ack(acks)
	stop()

	_, in, stop = receive(t, client)
	check(t, first, in)
	stop()

	b.Close()
	if b, err = broker.Start(cfg); err != nil {
		t.Fatal(err)
	}
	client.URL = b.URL()
	_, in, _ = receive(t, client)
	check(t, first, in)
}

// check waits for what was left unacknowledged, in any order and perhaps more
// than once. What was acknowledged just before the connection ended may come,
// too: the broker takes PUBACKs in at its leisure. Nothing else may.
func check(t *testing.T, first []edged.Message, in *inbox) {
	t.Helper()
	ids := map[string]uint16{}
	await(t, "received again", func() bool {
		for _, m := range in.got() {
			ids[string(m.Payload)] = m.PacketID
		}
		return !slices.ContainsFunc(first[200:], func(m edged.Message) bool {
			_, came := ids[string(m.Payload)]
			return !came
		})
	})
	known := map[string]bool{}
	for _, m := range first {
		known[string(m.Payload)] = true
	}
	same := 0
	for _, m := range first[200:] {
		if ids[string(m.Payload)] == m.PacketID {
			same++
		}
	}
	if in.fresh != 0 {
		t.Errorf("the broker forgot the session %d times", in.fresh)
	}
	for _, m := range in.got() {
		if !m.Dup || !known[string(m.Payload)] {
			t.Errorf("message %s came, dup %v", m.Payload, m.Dup)
		}
	}
	t.Logf("%d different messages came again, %d of 300 with their packet id", len(ids), same)
}

func TestLargeMessage(t *testing.T) {
	b, err := broker.Start(broker.Config{Listen: "127.0.0.1:0", Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	_, in, _ := receive(t, mqtt.Config{URL: b.URL(), ClientID: "gw"})
	pub, err := mqtt.NewPublisher(mqtt.Config{URL: b.URL()})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	wg.Go(func() {
		row := edged.Row{Seq: 1, Topic: "in/big", Payload: make([]byte, 1<<20)}
		pub.Run(ctx, func() { pub.Send([]edged.Row{row}) }, func(error) {}, func([]uint64) {})
	})
	await(t, "received", func() bool { return len(in.got()) == 1 && len(in.got()[0].Payload) == 1<<20 })
}

func TestStartFaults(t *testing.T) {
	for name, cfg := range map[string]broker.Config{
		"no directory": {Listen: "127.0.0.1:0"},
		"no port":      {Listen: "127.0.0.1", Dir: t.TempDir()},
	} {
		if b, err := broker.Start(cfg); err == nil {
			b.Close()
			t.Errorf("%s: started", name)
		}
	}
}
