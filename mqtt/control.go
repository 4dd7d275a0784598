package mqtt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

const (
	// ControlWindow is how many QoS 1 notes may be on their way unconfirmed.
	ControlWindow = 256

	// ControlBytesMax is how much may wait to be written; beyond it [Control.Send]
	// refuses.
	ControlBytesMax = 8 << 20

	// lastWords is how long a clean stop waits for the confirmation of the farewell.
	lastWords = 2 * time.Second
)

// Note is a message of a [Control], in either direction.
type Note struct {
	Topic   string
	Payload []byte
	QoS     byte // 0 or 1
	Retain  bool // sent: the broker shall keep it; received: it had been kept
	Dup     bool // received: the broker sends it again
}

// ControlConfig says what the session of a [Control] is.
type ControlConfig struct {
	Config

	// Subscriptions are made after each CONNECT. There may be none.
	Subscriptions []Subscription
}

// ControlHooks are what a [Control] asks of its user. All are called from one
// goroutine, one after the other; nil ones are passed over.
type ControlHooks struct {
	// Greet is called before each attempt to connect and returns the last will of
	// that session; nil: none. It may wait, but must return when ctx ends. An error
	// ends Run.
	Greet func(ctx context.Context) (will *Note, err error)

	// Up is called when the broker has granted all subscriptions: Send works.
	Up func()

	// Receive gets the messages in the order of their coming. A QoS 1 message is
	// acknowledged when it has returned nil. An error ends Run without
	// acknowledgement and without farewell, so that the broker publishes the will.
	// The payload belongs to the receiver.
	Receive func(ctx context.Context, n Note) error

	// Down is called when a connection has ended for which Up was called.
	Down func(err error)

	// Farewell returns what is to be published at a clean stop, before DISCONNECT:
	// with that the broker forgets the will. The stop waits for the confirmations of
	// these and of all earlier notes, 2 s at most.
	Farewell func() []Note
}

// Control is a session of low rate in both directions, for managing: with a last
// will, retained messages, and acknowledgement behind the receiver.
//
//	Greet ─▶ CONNECT(will) ─▶ SUBSCRIBE ─▶ SUBACK ─▶ Up ─▶ Receive, Receive ...   PUBACK after each
//	  ▲                                              Send, Publish ─▶ done        ctx ends: Farewell,
//	  └──────── back off ◀─── Down ◀─── lost ◀──────────┘                         DISCONNECT
//
// Like [Source] and [Publisher] it lives on this package's own session, because that
// bounds packets, acknowledges when it is told to, and is tested against the same
// brokers; the paho client would bring a second store and queues of its own.
// Nothing survives a connection: what was not confirmed when it ended, the user
// sends again if it still matters.
type Control struct {
	session
	subs  []Subscription
	hooks ControlHooks

	sent      atomic.Int64
	confirmed atomic.Int64
	lost      atomic.Int64
	refused   atomic.Int64
	received  atomic.Int64
	oversize  atomic.Int64

	mu     sync.Mutex // guards what follows
	link   *link      // nil: Send does not work
	conn   *link      // nil: none; also before Up
	nextID uint16
	flight map[uint16]func(error)
}

// ControlStats is what a control has done since it was made.
type ControlStats struct {
	Connected   bool   // and subscribed
	Connects    int64  // accepted CONNECTs
	Sent        int64  // notes handed to a connection
	Confirmed   int64  // QoS 1 notes that a broker has acknowledged
	Lost        int64  // QoS 1 notes whose connection ended before
	Refused     int64  // notes refused because too much was on its way
	Unconfirmed int64  // QoS 1 notes on their way
	Received    int64  // messages, those too large included
	Oversize    int64  // messages above Config.PacketBytesMax: acknowledged and dropped
	LastError   string // of the last lost or failed connection
}

// NewControl returns a control. It does not connect.
func NewControl(cfg ControlConfig) (*Control, error) {
	faults := []error{cfg.Validate()}
	for _, sub := range cfg.Subscriptions {
		faults = append(faults, sub.Validate())
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	if cfg.Pace == 0 {
		cfg.Pace = -1 // pausing between reads saves CPU at rates that this is not for
	}
	return &Control{
		session: session{cfg: cfg.withDefaults(), clean: true}, subs: slices.Clone(cfg.Subscriptions),
		flight: map[uint16]func(error){},
	}, nil
}

// Run connects, and connects again after a loss, until ctx ends (it then says
// farewell and returns nil) or Greet or Receive fails. It is called once.
func (c *Control) Run(ctx context.Context, hooks ControlHooks) error {
	c.hooks, c.greet = hooks, c.checkedWill
	return c.run(ctx, c.serve)
}

func (c *Control) checkedWill(ctx context.Context) (*Note, error) {
	if c.hooks.Greet == nil {
		return nil, nil
	}
	will, err := c.hooks.Greet(ctx)
	if err != nil || will == nil {
		return nil, err
	}
	return will, c.check(will)
}

// serve serves one connection to its end.
func (c *Control) serve(ctx context.Context, l *link) error {
	l.rude = true
	t := &talk{control: c, link: l, since: time.Now(), subscribed: len(c.subs) == 0}
	c.mu.Lock()
	c.conn = l
	c.mu.Unlock()
	if !t.subscribed {
		subscribe, err := encodeSubscribe(subscribeID, c.subs)
		if err != nil {
			return err
		}
		l.out.add(func(b []byte) []byte { return append(b, subscribe...) })
	}
	err := l.pump(ctx, func(arrival) (bool, error) { return false, t.take(ctx) })
	if _, ours := errors.AsType[errReceiver](err); ctx.Err() != nil && !ours && t.up {
		l.rude = !c.farewell(t)
	}
	c.detach(t.up, err)
	return err
}

// farewell says the last words and reports whether all was confirmed.
func (c *Control) farewell(t *talk) bool {
	var notes []Note
	if c.hooks.Farewell != nil {
		notes = c.hooks.Farewell()
	}
	for _, n := range notes {
		if err := c.Send(n, nil); err != nil {
			c.cfg.Logger.Warn("farewell not sent", "topic", n.Topic, "err", err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), lastWords)
	defer cancel()
	t.leaving = true
	for {
		err := t.link.pump(ctx, func(arrival) (bool, error) { return false, t.take(ctx) })
		// The end of the session's ctx may have cut the first read short.
		if !errors.Is(err, errSilent) || ctx.Err() != nil {
			return errors.Is(err, errSaid)
		}
	}
}

func (c *Control) detach(wasUp bool, err error) {
	c.mu.Lock()
	lost := c.flight
	c.link, c.conn, c.flight = nil, nil, map[uint16]func(error){}
	c.connected.Store(false)
	c.mu.Unlock()
	c.lost.Add(int64(len(lost)))
	for _, done := range lost {
		if done != nil {
			done(fmt.Errorf("%w: the connection ended before the broker confirmed: %w", ErrDown, err))
		}
	}
	if wasUp && c.hooks.Down != nil {
		c.hooks.Down(err)
	}
}

// Send hands a note to the connection and does not wait. [ErrDown], [ErrWindow] and
// [ErrUnsendable] say why it was not taken. Otherwise done, if it is not nil, is
// called once: with nil when the broker has confirmed (QoS 0: before Send returns),
// with an error that wraps ErrDown when the connection has ended before; the broker
// may have taken the note nevertheless. done must return soon. The payload must not
// change any more. Notes leave in the order of the calls.
func (c *Control) Send(n Note, done func(error)) error {
	if err := c.check(&n); err != nil {
		return err
	}
	c.mu.Lock()
	if err := c.room(); err != nil {
		c.mu.Unlock()
		return err
	}
	var id uint16
	if n.QoS > 0 {
		for c.nextID++; c.nextID == 0 || c.taken(c.nextID); c.nextID++ {
		}
		id = c.nextID
		c.flight[id] = done
	}
	c.link.out.add(func(b []byte) []byte { return appendNote(b, id, &n) })
	c.mu.Unlock()
	c.sent.Add(1)
	if n.QoS == 0 && done != nil {
		done(nil)
	}
	return nil
}

func (c *Control) taken(id uint16) bool {
	_, ok := c.flight[id]
	return ok
}

// room returns why nothing can be sent now. The caller holds mu.
func (c *Control) room() error {
	if c.link == nil {
		return ErrDown
	}
	waiting := 0
	c.link.out.add(func(b []byte) []byte { waiting = len(b); return b })
	if len(c.flight) >= ControlWindow || waiting > ControlBytesMax {
		c.refused.Add(1)
		return fmt.Errorf("%w: %d notes unconfirmed, %d bytes unwritten", ErrWindow, len(c.flight), waiting)
	}
	return nil
}

// Publish sends a note and waits until the broker has confirmed it, the connection
// or ctx ends. Do not call it from a hook: it would wait for itself.
func (c *Control) Publish(ctx context.Context, n Note) error {
	result := make(chan error, 1)
	if err := c.Send(n, func(err error) { result <- err }); err != nil {
		return err
	}
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return fmt.Errorf("publish to %q: no confirmation: %w", n.Topic, context.Cause(ctx))
	}
}

// Reconnect ends the present connection, if there is one, as a loss; err says why.
// The next one uses the certificates of then.
func (c *Control) Reconnect(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil {
		c.conn.fail(err)
	}
}

// check returns what keeps a note from being sent.
func (c *Control) check(n *Note) error {
	err := checkTopic(n.Topic)
	if size := publishSize(n.Topic, n.Payload); err == nil && size > c.cfg.PacketBytesMax {
		err = fmt.Errorf("a packet of %d bytes, the limit is %d", size, c.cfg.PacketBytesMax)
	}
	if err == nil && n.QoS > 1 {
		err = fmt.Errorf("QoS %d is not supported", n.QoS)
	}
	if err != nil {
		return fmt.Errorf("note to %.100q: %w: %w", n.Topic, ErrUnsendable, err)
	}
	return nil
}

// Stats returns the counters. They are read one by one, not at one instant.
func (c *Control) Stats() ControlStats {
	c.mu.Lock()
	open := len(c.flight)
	c.mu.Unlock()
	return ControlStats{
		Connected: c.connected.Load(), Connects: c.connects.Load(), Sent: c.sent.Load(), Confirmed: c.confirmed.Load(),
		Lost: c.lost.Load(), Refused: c.refused.Load(), Unconfirmed: int64(open), Received: c.received.Load(),
		Oversize: c.oversize.Load(), LastError: c.fault(),
	}
}

// errSaid says that all last words were confirmed.
var errSaid = errors.New("said")

// talk is one connection of a control.
type talk struct {
	control    *Control
	link       *link
	since      time.Time
	subscribed bool
	up         bool
	leaving    bool // only confirmations matter any more
}

// take handles all whole frames that are here.
func (t *talk) take(ctx context.Context) error {
	for {
		if t.subscribed && !t.up {
			t.raise()
		}
		f, ok, err := t.link.in.next()
		if err != nil {
			return err
		}
		if !ok {
			return t.pending()
		}
		if err := t.handle(ctx, f); err != nil {
			return err
		}
	}
}

// pending looks at what should have come.
func (t *talk) pending() error {
	c := t.control
	if t.leaving {
		c.mu.Lock()
		defer c.mu.Unlock()
		if len(c.flight) == 0 {
			return errSaid
		}
	}
	if !t.subscribed && time.Since(t.since) > c.cfg.ConnectTimeout {
		return fmt.Errorf("no SUBACK from the broker within %v", c.cfg.ConnectTimeout)
	}
	return nil
}

func (t *talk) raise() {
	c := t.control
	c.mu.Lock()
	c.link = t.link
	c.mu.Unlock()
	c.connected.Store(true)
	t.up = true
	if c.hooks.Up != nil {
		c.hooks.Up()
	}
}

func (t *talk) handle(ctx context.Context, f frame) error {
	switch f.kind() {
	case packets.Publish:
		if t.leaving {
			return nil // unacknowledged: the broker sends it again, if it keeps the session
		}
		return t.message(ctx, f)
	case packets.Puback:
		return t.control.confirm(f)
	case packets.Suback:
		if err := checkSuback(f, subscribeID, t.control.subs, t.control.cfg); err != nil {
			return err
		}
		t.subscribed = true
		return nil
	case packets.Pingresp:
		return nil
	}
	return fmt.Errorf("%w: unexpected packet type %d", ErrProtocol, f.kind())
}

// message passes a PUBLISH on and acknowledges it.
func (t *talk) message(ctx context.Context, f frame) error {
	c := t.control
	p, err := parsePublish(f)
	if err != nil {
		return err
	}
	c.received.Add(1)
	if f.oversize {
		c.oversize.Add(1)
		c.cfg.Logger.Warn("message above the size limit dropped", "topic", string(p.topic), "bytes", f.size, "limit", c.cfg.PacketBytesMax)
	} else if c.hooks.Receive != nil {
		n := Note{Topic: string(p.topic), Payload: bytes.Clone(p.payload), Retain: f.first&1 != 0, Dup: p.dup}
		if p.id != 0 {
			n.QoS = 1
		}
		if err := c.hooks.Receive(ctx, n); err != nil {
			return receiver("receive", err)
		}
	}
	if p.id != 0 {
		t.link.out.add(func(b []byte) []byte { return appendPuback(b, p.id) })
	}
	return nil
}

// confirm settles a PUBACK.
func (c *Control) confirm(f frame) error {
	id, err := parseAck(f)
	if err != nil {
		return err
	}
	c.mu.Lock()
	done, ok := c.flight[id]
	delete(c.flight, id)
	c.mu.Unlock()
	if ok {
		c.confirmed.Add(1)
		if done != nil {
			done(nil)
		}
	}
	return nil
}
