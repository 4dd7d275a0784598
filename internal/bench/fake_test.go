//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"testing"
	"time"

	"edged"
	"edged/mqtt"
)

// TestMain lets the test binary stand in for edged: started as "run --config x",
// it computes tumbling windows by the contract, and nothing else.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "run" {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		if err := newFake().run(ctx); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// fake is the smallest engine that satisfies the bench. FAKE_FAULT breaks it.
type fake struct {
	window int64
	fault  string
	pub    *mqtt.Publisher

	mu    sync.Mutex
	open  map[string]*fakeWindow
	ready []edged.Row // results not yet sent
	seq   uint64
	free  int // of the publisher's window
}

type fakeWindow struct {
	start edged.Timestamp
	count int
}

func newFake() *fake {
	f := &fake{window: 10_000, fault: os.Getenv("FAKE_FAULT"), open: map[string]*fakeWindow{}}
	if d, err := time.ParseDuration(os.Getenv("EDGED_WINDOW")); err == nil {
		f.window = d.Milliseconds()
	}
	return f
}

func (f *fake) run(ctx context.Context) error {
	url := os.Getenv("EDGED_MQTT_URL")
	source, err := mqtt.NewSource(mqtt.Config{URL: url, ClientID: "fake"}, []mqtt.Subscription{{Filter: "sensors/+/data", QoS: 1}})
	if err != nil {
		return err
	}
	if f.pub, err = mqtt.NewPublisher(mqtt.Config{URL: url}); err != nil {
		return err
	}
	go f.pub.Run(ctx, func() { f.send(mqtt.Window) }, func(error) {}, func(seqs []uint64) { f.send(len(seqs)) })
	return source.Run(ctx, func(_ context.Context, b edged.Batch) error {
		acks := make([]uint64, 0, len(b.Messages))
		for _, m := range b.Messages {
			f.observe(m.Payload)
			acks = append(acks, m.Ack)
		}
		source.Ack(acks)
		f.send(0)
		return nil
	})
}

func (f *fake) observe(payload []byte) {
	var r struct {
		Device string
		TS     edged.Timestamp
	}
	if err := json.Unmarshal(payload, &r); err != nil {
		panic(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	start := r.TS.FloorTo(f.window, 0)
	w := f.open[r.Device]
	if w == nil {
		w = &fakeWindow{start: start}
		f.open[r.Device] = w
	}
	if start > w.start {
		f.fire(r.Device, w)
		*w = fakeWindow{start: start}
	}
	w.count++
}

func (f *fake) fire(device string, w *fakeWindow) {
	count := w.count
	if f.fault == "double" && device == "d000003" {
		count *= 2
	}
	f.seq++
	id := fmt.Sprint(device, w.start)
	if f.fault == "reissue" {
		id = "same"
	}
	f.ready = append(f.ready, edged.Row{Seq: f.seq, Topic: "agg/" + device,
		Payload: fmt.Appendf(nil, `{"device":%q,"start":%d,"count":%d,"id":%q,"seq":%d,"gateway":"bench"}`, device, w.start, count, id, f.seq)})
}

// send publishes what the window allows.
func (f *fake) send(freed int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.free += freed
	n := min(f.free, len(f.ready))
	if n > 0 && f.pub.Send(f.ready[:n]) == nil {
		f.free -= n
		f.ready = f.ready[n:]
	}
}
