package mqtt_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"edged"
	"edged/mqtt"
)

const patience = 10 * time.Second

// client is a running Source that collects what it gets.
type client struct {
	*mqtt.Source
	t      *testing.T
	cancel context.CancelFunc
	ended  chan struct{}

	mu       sync.Mutex
	messages []edged.Message
	fresh    int
	ackAll   bool          // acknowledge every batch at once
	hold     chan struct{} // not nil: deliver waits for it after a batch with messages
	news     chan struct{} // capacity 1: something has changed
}

func newClient(t *testing.T, cfg mqtt.Config, subs ...mqtt.Subscription) *client {
	t.Helper()
	if len(subs) == 0 {
		subs = []mqtt.Subscription{{Filter: "in/#", QoS: 1}}
	}
	cfg.ReconnectMin, cfg.ReconnectMax = 10*time.Millisecond, 100*time.Millisecond
	src, err := mqtt.NewSource(cfg, subs)
	if err != nil {
		t.Fatal(err)
	}
	return &client{Source: src, t: t, ended: make(chan struct{}), news: make(chan struct{}, 1)}
}

func startClient(t *testing.T, cfg mqtt.Config, subs ...mqtt.Subscription) *client {
	t.Helper()
	c := newClient(t, cfg, subs...)
	c.start()
	return c
}

func (c *client) start() {
	ctx, cancel := context.WithCancel(c.t.Context())
	c.cancel = cancel
	go func() {
		defer close(c.ended)
		if err := c.Run(ctx, c.deliver); err != nil {
			c.t.Error(err)
		}
	}()
	c.t.Cleanup(c.stop)
	c.await("connected", c.Connected)
}

func (c *client) stop() {
	c.cancel()
	<-c.ended
}

func (c *client) deliver(ctx context.Context, b edged.Batch) error {
	c.mu.Lock()
	c.messages = append(c.messages, b.Messages...)
	if b.Fresh {
		c.fresh++
	}
	hold := c.hold
	if c.ackAll {
		c.ack(b.Messages)
	}
	c.mu.Unlock()
	select {
	case c.news <- struct{}{}:
	default:
	}
	if hold != nil && len(b.Messages) > 0 {
		select {
		case <-hold:
		case <-ctx.Done():
		}
	}
	return nil
}

func (c *client) ack(messages []edged.Message) {
	ids := make([]uint64, len(messages))
	for i, m := range messages {
		ids[i] = m.Ack
	}
	c.Ack(ids)
}

func (c *client) got() []edged.Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.messages
}

// await waits until ok holds.
func (c *client) await(what string, ok func() bool) {
	c.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !ok() {
		select {
		case <-c.news:
		case <-tick.C:
		case <-deadline:
			c.t.Fatalf("not %s after %v: %d messages, %+v", what, patience, len(c.got()), c.Stats())
		}
	}
}

func (c *client) awaitMessages(n int) []edged.Message {
	c.t.Helper()
	c.await(fmt.Sprintf("%d messages", n), func() bool { return len(c.got()) >= n })
	if got := c.got(); len(got) > n {
		c.t.Fatalf("%d messages, want %d", len(got), n)
	}
	return c.got()
}

// quiet expects that no message comes for d.
func (c *client) quiet(d time.Duration) {
	c.t.Helper()
	n := len(c.got())
	<-time.After(d)
	if m := len(c.got()); m != n {
		c.t.Errorf("%d unexpected messages", m-n)
	}
}

// stock is a connected client of the paho module: the other side.
func stock(t *testing.T, url string) paho.Client {
	t.Helper()
	c := paho.NewClient(paho.NewClientOptions().AddBroker(url).SetClientID("stock").SetProtocolVersion(4))
	wait(t, c.Connect())
	t.Cleanup(func() { c.Disconnect(10) })
	return c
}

func wait(t *testing.T, token paho.Token) {
	t.Helper()
	if !token.WaitTimeout(patience) {
		t.Fatal("the stock client got no answer")
	}
	if err := token.Error(); err != nil {
		t.Fatal(err)
	}
}

// publish sends the numbers from..to-1 with QoS 1 and waits for all PUBACKs.
func publish(t *testing.T, c paho.Client, topic string, from, to int) {
	t.Helper()
	var tokens []paho.Token
	for i := from; i < to; i++ {
		tokens = append(tokens, c.Publish(topic, 1, false, fmt.Sprint(i)))
	}
	for _, token := range tokens {
		wait(t, token)
	}
}

// numbers expects the payloads from..to-1 in order.
func numbers(t *testing.T, messages []edged.Message, from, to int) {
	t.Helper()
	if len(messages) != to-from {
		t.Fatalf("%d messages, want %d", len(messages), to-from)
	}
	for i, m := range messages {
		if string(m.Payload) != fmt.Sprint(from+i) {
			t.Fatalf("message %d is %s, want %d", i, m.Payload, from+i)
		}
	}
}

// wire is a TCP relay that can be cut, and made to swallow everything.
type wire struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	conns []net.Conn
}

func newWire(t *testing.T, url string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{listener: l, target: strings.TrimPrefix(url, "tcp://")}
	go w.accept()
	t.Cleanup(func() { l.Close(); w.cut() })
	return w
}

func (w *wire) url() string { return "tcp://" + w.listener.Addr().String() }

func (w *wire) accept() {
	for {
		near, err := w.listener.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", w.target)
		if err != nil {
			near.Close()
			continue
		}
		w.mu.Lock()
		w.conns = append(w.conns, near, far)
		w.mu.Unlock()
		for _, pair := range [][2]net.Conn{{near, far}, {far, near}} {
			go func() {
				// The copy ends when either side is closed, which is all we want.
				_, _ = io.Copy(pair[0], pair[1])
				pair[0].Close()
			}()
		}
	}
}

// cut closes all connections.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.conns {
		c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
	w.conns = nil
}
