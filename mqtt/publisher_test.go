package mqtt_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"edged"
	"edged/internal/mosquitto"
	"edged/mqtt"
)

// outbox is the least that a user of Publisher must do: keep rows until they are
// confirmed, keep to the window, and send again after up.
type outbox struct {
	mu   sync.Mutex
	pub  *mqtt.Publisher
	rows []edged.Row // not confirmed
	sent int         // of rows, on this connection
	ups  int
	seqs []uint64 // in the order of confirmation
	t    *testing.T
}

func (o *outbox) up() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ups++
	o.sent = 0
	o.send()
}

func (o *outbox) down(error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sent = 0
}

func (o *outbox) confirmed(seqs []uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.seqs = append(o.seqs, seqs...)
	for _, seq := range seqs {
		if o.rows[0].Seq != seq {
			o.t.Errorf("row %d confirmed, expected %d", seq, o.rows[0].Seq)
		}
		o.rows = o.rows[1:]
	}
	o.sent -= len(seqs)
	o.send()
}

func (o *outbox) send() {
	n := min(len(o.rows), mqtt.Window)
	if n <= o.sent {
		return
	}
	if err := o.pub.Send(o.rows[o.sent:n]); err == nil {
		o.sent = n
	}
}

func (o *outbox) left() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.rows)
}

// TestPublishWithRestart sends 20,000 rows through a relay that is cut and a
// broker that is restarted: a stock subscriber sees all, in order but for
// repetitions, and everything is confirmed once.
func TestPublishWithRestart(t *testing.T) {
	const all = 20_000
	b := mosquitto.Start(t, mosquitto.Persistent())
	w := newWire(t, b.URL())
	var mu sync.Mutex
	seen := map[string]bool{}
	var firsts []string
	opts := paho.NewClientOptions().AddBroker(b.URL()).SetClientID("sub").SetCleanSession(false).
		SetMaxReconnectInterval(50 * time.Millisecond).SetConnectRetryInterval(50 * time.Millisecond).
		SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) {
			mu.Lock()
			defer mu.Unlock()
			if p := string(m.Payload()); !seen[p] {
				seen[p] = true
				firsts = append(firsts, p)
			}
		})
	sub := paho.NewClient(opts)
	wait(t, sub.Connect())
	wait(t, sub.Subscribe("out/#", 1, nil))
	defer sub.Disconnect(10)

	pub, err := mqtt.NewPublisher(mqtt.Config{URL: w.url(), ReconnectMin: 10 * time.Millisecond, ReconnectMax: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	o := &outbox{pub: pub, t: t}
	for i := range all {
		o.rows = append(o.rows, edged.Row{Stream: "s", Seq: uint64(i + 1), Topic: "out/a", Payload: fmt.Append(nil, i)})
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- pub.Run(ctx, o.up, o.down, o.confirmed) }()
	await(t, "some", func() bool { return o.left() < all*3/4 })
	w.cut()
	await(t, "half", func() bool { return o.left() < all/2 })
	b.Restart()
	await(t, "all confirmed", func() bool { return o.left() == 0 })
	await(t, "all received", func() bool { mu.Lock(); defer mu.Unlock(); return len(firsts) == all })
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	for i, p := range firsts {
		if p != fmt.Sprint(i) {
			t.Fatalf("row %d arrived as number %s", i, p)
		}
	}
	if len(o.seqs) != all || !slices.IsSorted(o.seqs) || o.ups < 3 {
		t.Errorf("%d confirmations over %d connections", len(o.seqs), o.ups)
	}
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
