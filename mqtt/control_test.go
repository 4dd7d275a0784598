package mqtt_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"edged/internal/mosquitto"
	"edged/mqtt"
)

// desk is a running control that collects what it gets.
type desk struct {
	*mqtt.Control
	cancel context.CancelFunc
	ended  chan struct{}

	mu  sync.Mutex
	got []mqtt.Note
}

func startDesk(t *testing.T, url, id string, filters ...string) *desk {
	t.Helper()
	cfg := mqtt.ControlConfig{Config: mqtt.Config{URL: url, ClientID: id, ReconnectMin: 10 * time.Millisecond, ReconnectMax: 100 * time.Millisecond}}
	for _, f := range filters {
		cfg.Subscriptions = append(cfg.Subscriptions, mqtt.Subscription{Filter: f, QoS: 1})
	}
	c, err := mqtt.NewControl(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	d := &desk{Control: c, cancel: cancel, ended: make(chan struct{})}
	sessions := 0
	state := func(word string) mqtt.Note {
		return mqtt.Note{Topic: id + "/state", Payload: fmt.Append(nil, word, sessions), QoS: 1, Retain: true}
	}
	go func() {
		defer close(d.ended)
		err := c.Run(ctx, mqtt.ControlHooks{
			Greet: func(context.Context) (*mqtt.Note, error) {
				sessions++
				n := state("will")
				return &n, nil
			},
			Up: func() {
				if err := c.Send(state("on"), nil); err != nil {
					t.Error(err)
				}
			},
			Receive: func(_ context.Context, n mqtt.Note) error {
				d.mu.Lock()
				defer d.mu.Unlock()
				d.got = append(d.got, n)
				return nil
			},
			Farewell: func() []mqtt.Note { return []mqtt.Note{state("bye")} },
		})
		if err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(d.stop)
	awaitThat(t, id+" is connected", func() bool { return c.Stats().Connected })
	return d
}

func (d *desk) stop() { d.cancel(); <-d.ended }

// heard returns what came, as topic=payload, with an R if it was retained.
func (d *desk) heard() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []string
	for _, n := range d.got {
		word := n.Topic + "=" + string(n.Payload)
		if n.Retain {
			word += "R"
		}
		all = append(all, word)
	}
	return strings.Join(all, " ")
}

func awaitThat(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not after %v: %s", patience, what)
		}
	}
}

// TestControlWithBroker looks at presence through another control: what a broker
// makes of wills, retained states, losses and farewells.
func TestControlWithBroker(t *testing.T) {
	b := mosquitto.Start(t)
	w := newWire(t, b.URL())
	watch := startDesk(t, b.URL(), "watch", "gw/+")
	gw := startDesk(t, w.url(), "gw", "watch/+")
	expect := func(want string) {
		t.Helper()
		awaitThat(t, want, func() bool { return watch.heard() == want })
	}
	expect("gw/state=on1")
	w.cut()
	awaitThat(t, "will and return", func() bool {
		h := watch.heard() // the will may be later than the return
		return strings.Contains(h, "gw/state=will1") && strings.Contains(h, "gw/state=on2")
	})
	if err := gw.Publish(t.Context(), mqtt.Note{Topic: "gw/info", Payload: make([]byte, 200_000), QoS: 1}); err != nil {
		t.Error(err)
	}
	gw.stop()
	awaitThat(t, "farewell", func() bool { return strings.HasSuffix(watch.heard(), "gw/state=bye2") })
	late := startDesk(t, b.URL(), "late", "gw/+")
	awaitThat(t, "the farewell is what was kept", func() bool { return late.heard() == "gw/state=bye2R" })
	if got := gw.heard(); got != "watch/state=on1R watch/state=on1R" { // once per session
		t.Errorf("the gateway got %q", got)
	}
}
