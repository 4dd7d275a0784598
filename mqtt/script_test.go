package mqtt

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"edged"
)

// script is a broker of a few lines inside the test's bubble: it speaks with the
// codec of the paho module and does what the test says.
type script struct {
	t      *testing.T
	refuse byte // CONNACK code
	deny   bool // answer SUBSCRIBE with failure
	mute   bool // do not answer PINGREQ
	ack    bool // answer PUBLISH with QoS 1

	mu    sync.Mutex
	dials []time.Time
	conn  net.Conn
	got   []string // what came, in words
	gotAt []time.Time
	up    chan struct{} // one per SUBSCRIBE or, for a clean session, CONNECT
}

func newScript(t *testing.T) *script { return &script{t: t, up: make(chan struct{}, 10_000)} }

func (s *script) dial(context.Context) (net.Conn, error) {
	ours, theirs := net.Pipe()
	s.mu.Lock()
	s.dials = append(s.dials, time.Now())
	s.conn = ours
	s.mu.Unlock()
	go s.serve(ours)
	return theirs, nil
}

func (s *script) serve(conn net.Conn) {
	defer conn.Close()
	for {
		cp, err := packets.ReadPacket(conn)
		if err != nil {
			return
		}
		s.note(cp)
		if answer := s.answer(cp); answer != nil {
			if answer.Write(conn) != nil {
				return
			}
		}
		c, isConnect := cp.(*packets.ConnectPacket)
		if _, isSubscribe := cp.(*packets.SubscribePacket); isSubscribe || isConnect && c.CleanSession {
			s.up <- struct{}{}
		}
	}
}

func (s *script) answer(cp packets.ControlPacket) packets.ControlPacket {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch p := cp.(type) {
	case *packets.ConnectPacket:
		a := packets.NewControlPacket(packets.Connack).(*packets.ConnackPacket)
		a.ReturnCode = s.refuse
		a.SessionPresent = !p.CleanSession && len(s.dials) > 1
		return a
	case *packets.SubscribePacket:
		a := packets.NewControlPacket(packets.Suback).(*packets.SubackPacket)
		a.MessageID, a.ReturnCodes = p.MessageID, slices.Clone(p.Qoss)
		if s.deny {
			a.ReturnCodes[len(a.ReturnCodes)-1] = 0x80
		}
		return a
	case *packets.PublishPacket:
		if s.ack && p.Qos == 1 {
			a := packets.NewControlPacket(packets.Puback).(*packets.PubackPacket)
			a.MessageID = p.MessageID
			return a
		}
	case *packets.PingreqPacket:
		if !s.mute {
			return packets.NewControlPacket(packets.Pingresp)
		}
	}
	return nil
}

func (s *script) note(cp packets.ControlPacket) {
	words := "OTHER"
	switch p := cp.(type) {
	case *packets.ConnectPacket:
		words = fmt.Sprintf("CONNECT %s clean=%t keepalive=%d", p.ClientIdentifier, p.CleanSession, p.Keepalive)
		if p.WillFlag {
			words += fmt.Sprintf(" will %s=%s qos=%d retain=%t", p.WillTopic, p.WillMessage, p.WillQos, p.WillRetain)
		}
	case *packets.SubscribePacket:
		words = fmt.Sprintf("SUBSCRIBE %v %v", p.Topics, p.Qoss)
	case *packets.PubackPacket:
		words = fmt.Sprintf("PUBACK %d", p.MessageID)
	case *packets.PublishPacket:
		words = fmt.Sprintf("PUBLISH %d %s=%s", p.MessageID, p.TopicName, p.Payload)
		if p.Retain {
			words += " retained"
		}
	case *packets.PingreqPacket:
		words = "PINGREQ"
	case *packets.DisconnectPacket:
		words = "DISCONNECT"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got, s.gotAt = append(s.got, words), append(s.gotAt, time.Now())
}

// set changes the script or the test's own state under the lock.
func (s *script) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// heard returns what came and starts with prefix.
func (s *script) heard(prefix string) (out []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, words := range s.got {
		if strings.HasPrefix(words, prefix) {
			out = append(out, words)
		}
	}
	return out
}

// send writes bytes to the current connection.
func (s *script) send(b []byte) {
	s.mu.Lock()
	conn := s.conn
	s.mu.Unlock()
	// An error means that the client has hung up, which the test then sees.
	_, _ = conn.Write(b)
}

func (s *script) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conn.Close()
}

// rig is a source on a script, running.
type rig struct {
	*Source
	script *script
	cancel context.CancelFunc
	result chan error

	mu      sync.Mutex
	batches []edged.Batch
	hold    chan struct{} // not nil: deliver waits for it
	fail    error
}

func startRig(t *testing.T, s *script, change func(*Config)) *rig {
	cfg := Config{URL: "tcp://script", ClientID: "gw", KeepAlive: 4 * time.Second, ReconnectMin: time.Second, ReconnectMax: 8 * time.Second, dial: s.dial}
	if change != nil {
		change(&cfg)
	}
	src, err := NewSource(cfg, []Subscription{{"q0", 0}, {"q1/#", 1}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r := &rig{Source: src, script: s, cancel: cancel, result: make(chan error, 1)}
	go func() { r.result <- src.Run(ctx, r.deliver) }()
	return r
}

func (r *rig) deliver(ctx context.Context, b edged.Batch) error {
	r.mu.Lock()
	r.batches = append(r.batches, b)
	hold, fail := r.hold, r.fail
	r.mu.Unlock()
	if hold != nil && len(b.Messages) > 0 {
		select {
		case <-hold:
		case <-ctx.Done():
		}
	}
	return fail
}

func (r *rig) set(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
}

func (r *rig) last() edged.Batch { b := r.seen(); return b[len(b)-1] }

func (r *rig) seen() []edged.Batch {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.batches
}

func (r *rig) messages() (out []edged.Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, b := range r.batches {
		out = append(out, b.Messages...)
	}
	return out
}

func (r *rig) stop(t *testing.T) {
	r.cancel()
	if err := <-r.result; err != nil {
		t.Errorf("Run: %v", err)
	}
}
