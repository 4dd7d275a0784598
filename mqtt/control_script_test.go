package mqtt

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// board is a control on a script, running.
type board struct {
	*Control
	script *script
	cancel context.CancelFunc
	result chan error

	mu     sync.Mutex
	events []string
	greets int
	fail   error // of Receive
}

func startBoard(t *testing.T, s *script) *board {
	cfg := ControlConfig{Subscriptions: []Subscription{{"q0", 0}, {"q1/#", 1}}}
	cfg.Config = Config{URL: "tcp://script", ClientID: "gw", KeepAlive: 4 * time.Second, ReconnectMin: time.Second, ReconnectMax: 8 * time.Second, dial: s.dial}
	c, err := NewControl(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	b := &board{Control: c, script: s, cancel: cancel, result: make(chan error, 1)}
	go func() { b.result <- c.Run(ctx, b.hooks()) }()
	return b
}

func (b *board) hooks() ControlHooks {
	return ControlHooks{
		Greet: func(context.Context) (*Note, error) {
			b.greets++
			return &Note{Topic: "state", Payload: fmt.Append(nil, "off", b.greets), QoS: 1, Retain: true}, nil
		},
		Up: func() { b.log("up") },
		Receive: func(_ context.Context, n Note) error {
			b.log(fmt.Sprintf("got %s=%s retained=%t", n.Topic, n.Payload, n.Retain))
			return b.fail
		},
		Down:     func(error) { b.log("down") },
		Farewell: func() []Note { return []Note{{Topic: "state", Payload: []byte("bye"), QoS: 1, Retain: true}} },
	}
}

// ready waits for the next connection to be up. The script tells of CONNECT and of
// SUBSCRIBE, and over a pipe nothing may be sent to it until it has been read.
func (b *board) ready() {
	<-b.script.up
	<-b.script.up
	time.Sleep(100 * time.Millisecond)
	synctest.Wait()
}

func (b *board) log(event string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events = append(b.events, event)
}

func (b *board) expect(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.Equal(b.events, want) {
		t.Errorf("events %q, want %q", b.events, want)
	}
}

// retained makes a PUBLISH one that the broker had kept.
func retained(b []byte) []byte {
	b[0] |= 1
	return b
}

func TestControlConversation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t)
		s.ack = true
		b := startBoard(t, s)
		b.ready()
		s.send(retained(appendPublish(nil, 7, "q1/a", []byte("x"))))
		time.Sleep(time.Second)
		b.expect(t, "up", "got q1/a=x retained=true")
		if err := b.Publish(t.Context(), Note{Topic: "info", Payload: []byte("i"), QoS: 1, Retain: true}); err != nil {
			t.Error(err)
		}
		if err := b.Publish(t.Context(), Note{Topic: "hb", Payload: []byte("h")}); err != nil {
			t.Error(err)
		}
		b.cancel()
		if err := <-b.result; err != nil {
			t.Error(err)
		}
		synctest.Wait()
		want := []string{
			"CONNECT gw clean=true keepalive=4 will state=off1 qos=1 retain=true", "SUBSCRIBE [q0 q1/#] [0 1]",
			"PUBACK 7", "PUBLISH 1 info=i retained", "PUBLISH 0 hb=h", "PUBLISH 2 state=bye retained", "DISCONNECT",
		}
		if got := s.heard(""); !slices.Equal(got, want) {
			t.Errorf("conversation %q", got)
		}
		if st := b.Stats(); st.Sent != 3 || st.Confirmed != 2 || st.Received != 1 || st.Connected || st.Unconfirmed != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// TestControlLoss cuts the link: what was on its way is reported lost, each
// session has its own will, and the broker hears no DISCONNECT.
func TestControlLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t)
		b := startBoard(t, s)
		if err := b.Send(Note{Topic: "a"}, nil); !errors.Is(err, ErrDown) {
			t.Errorf("send before the connection: %v", err)
		}
		b.ready()
		lost := make(chan error, 1)
		if err := b.Send(Note{Topic: "a", QoS: 1}, func(err error) { lost <- err }); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		s.cut()
		if err := <-lost; !errors.Is(err, ErrDown) {
			t.Error(err)
		}
		b.ready()
		b.Reconnect(errors.New("new certificates"))
		b.ready()
		b.expect(t, "up", "down", "up", "down", "up")
		wills := s.heard("CONNECT")
		for i, w := range wills {
			if !strings.Contains(w, fmt.Sprintf("state=off%d ", i+1)) {
				t.Errorf("will %d: %s", i, w)
			}
		}
		if got := s.heard("DISCONNECT"); len(got) != 0 {
			t.Error("a lost link said DISCONNECT, so that the will was forgotten")
		}
		b.cancel() // the script confirms nothing: the farewell times out
		start := time.Now()
		<-b.result
		if d := time.Since(start); d != lastWords {
			t.Errorf("stopped after %v", d)
		}
		if got := s.heard("DISCONNECT"); len(got) != 0 {
			t.Error("DISCONNECT although the farewell was not confirmed")
		}
	})
}

// TestControlReceiveFails ends Run without acknowledging and without DISCONNECT.
func TestControlReceiveFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t)
		b := startBoard(t, s)
		b.fail = errors.New("disk full")
		b.ready()
		s.send(appendPublish(nil, 7, "q1/a", nil))
		if err := <-b.result; err == nil || !strings.Contains(err.Error(), "disk full") {
			t.Error(err)
		}
		synctest.Wait()
		if got := append(s.heard("PUBACK"), s.heard("DISCONNECT")...); len(got) != 0 {
			t.Errorf("the broker heard %q", got)
		}
	})
}

func TestControlBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t)
		b := startBoard(t, s)
		b.ready()
		for i := range ControlWindow {
			if err := b.Send(Note{Topic: "a", QoS: 1}, nil); err != nil {
				t.Fatal(i, err)
			}
		}
		if err := b.Send(Note{Topic: "a", QoS: 1}, nil); !errors.Is(err, ErrWindow) {
			t.Error(err)
		}
		for _, n := range []Note{{Topic: "a/#"}, {Topic: ""}, {Topic: "a", QoS: 2}, {Topic: "a", Payload: make([]byte, 2<<20)}} {
			if err := b.Send(n, nil); !errors.Is(err, ErrUnsendable) {
				t.Errorf("%s: %v", n.Topic, err)
			}
		}
		synctest.Wait()
		s.send(appendPuback(nil, 1))
		synctest.Wait()
		if err := b.Send(Note{Topic: "a", QoS: 1}, nil); err != nil {
			t.Error(err)
		}
		if st := b.Stats(); st.Refused != 1 || st.Unconfirmed != ControlWindow || st.Confirmed != 1 {
			t.Errorf("%+v", st)
		}
		b.cancel()
		<-b.result
	})
}

func TestControlDenied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t)
		s.deny = true
		b := startBoard(t, s)
		time.Sleep(time.Minute)
		b.expect(t)
		if st := b.Stats(); st.Connects < 3 || st.Connected || !strings.Contains(st.LastError, `"q1/#" refused`) {
			t.Errorf("%+v", st)
		}
		b.cancel()
		<-b.result
	})
}
