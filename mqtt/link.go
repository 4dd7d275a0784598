package mqtt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

const (
	// settle is how long a reader that believes more input to be on its way
	// waits before it says otherwise.
	settle = 10 * time.Millisecond

	// farewell bounds the last write of a link.
	farewell = time.Second
)

var (
	errQuiet  = errors.New("quiet")                     // nothing was read within settle
	errSilent = errors.New("no answer from the broker") // nor within a longer time
)

// link is one connection on which the broker has accepted our CONNECT.
type link struct {
	conn    net.Conn
	in      *reader
	out     *writer
	present bool // the broker still had our session
	dead    time.Duration
	pause   time.Duration
	rude    bool // end without DISCONNECT, so that the broker publishes the will
	done    chan struct{}
	flusher sync.WaitGroup

	mu    sync.Mutex
	cause error // why the flusher closed the connection
}

// hello is what a CONNECT says beside the configuration.
type hello struct {
	clean bool
	will  *Note // nil: none
}

// connect dials and makes the broker's acquaintance.
func connect(ctx context.Context, cfg Config, as hello) (*link, error) {
	conn, src, err := dial(ctx, cfg)
	if err != nil {
		return nil, err
	}
	l := &link{
		conn: conn, dead: cfg.deadAfter(), pause: cfg.Pace, done: make(chan struct{}),
		in: newReader(src, cfg.PacketBytesMax), out: newWriter(conn, cfg.deadAfter()),
	}
	unhook := l.wakeAtEnd(ctx)
	defer unhook()
	if err := l.shake(ctx, cfg, as); err != nil {
		conn.Close()
		return nil, err
	}
	l.flusher.Go(func() {
		if err := l.out.run(l.done, cfg.KeepAlive/2); err != nil {
			l.fail(fmt.Errorf("write to broker: %w", err))
		}
	})
	return l, nil
}

// shake sends CONNECT and waits for CONNACK.
func (l *link) shake(ctx context.Context, cfg Config, as hello) error {
	p := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	p.ProtocolName, p.ProtocolVersion = "MQTT", 4
	p.ClientIdentifier, p.CleanSession = cfg.ClientID, as.clean
	p.Keepalive = uint16((cfg.KeepAlive + time.Second - 1) / time.Second)
	p.UsernameFlag, p.Username = cfg.Username != "", cfg.Username
	p.PasswordFlag, p.Password = cfg.Password != "", []byte(cfg.Password)
	if w := as.will; w != nil {
		p.WillFlag, p.WillTopic, p.WillMessage, p.WillQos, p.WillRetain = true, w.Topic, w.Payload, w.QoS, w.Retain
	}
	var b bytes.Buffer
	if err := p.Write(&b); err != nil {
		return fmt.Errorf("encode CONNECT: %w", err)
	}
	if err := l.conn.SetWriteDeadline(time.Now().Add(cfg.ConnectTimeout)); err != nil {
		return fmt.Errorf("send CONNECT: %w", err)
	}
	if _, err := l.conn.Write(b.Bytes()); err != nil {
		return fmt.Errorf("send CONNECT: %w", err)
	}
	until := time.Now().Add(cfg.ConnectTimeout)
	for {
		f, ok, err := l.in.next()
		if err != nil {
			return err
		}
		if ok {
			return l.accept(f)
		}
		if _, err := l.read(ctx, time.Until(until)); err != nil {
			if errors.Is(err, io.EOF) {
				err = errors.New("the broker closed the connection without an answer; is it an MQTT 3.1.1 listener, and is TLS right?")
			}
			return fmt.Errorf("wait for CONNACK: %w", err)
		}
	}
}

func (l *link) accept(f frame) error {
	if f.kind() != packets.Connack || len(f.body) != 2 {
		return fmt.Errorf("%w: packet type %d of %d bytes instead of CONNACK", ErrProtocol, f.kind(), f.size)
	}
	if f.body[1] != packets.Accepted {
		return refusal(f.body[1])
	}
	l.present = f.body[0]&1 != 0
	return nil
}

// arrival says what a read has brought.
type arrival uint8

const (
	someCame    arrival = iota // the socket was emptied
	filledUp                   // all the room was used: more is probably waiting
	nothingCame                // the link was quiet for settle
)

// pump calls handle with the frames that came with CONNACK and again after every
// read, until handle fails, the link ends or ctx does. While handle says that we
// are behind, silence is reported to it after settle.
func (l *link) pump(ctx context.Context, handle func(arrival) (behind bool, err error)) error {
	unhook := l.wakeAtEnd(ctx)
	defer unhook()
	timer := time.NewTimer(0)
	defer timer.Stop()
	came := someCame
	for {
		start := time.Now()
		behind, err := handle(came)
		if err != nil {
			return err
		}
		if came == someCame {
			rest(ctx, timer, l.pause-time.Since(start))
		}
		wait := l.dead
		if behind {
			wait = settle
		}
		full, err := l.read(ctx, wait)
		switch {
		case behind && errors.Is(err, errQuiet):
			came = nothingCame
		case err != nil:
			return l.because(err)
		case full:
			came = filledUp
		default:
			came = someCame
		}
	}
}

// rest waits for d or the end of ctx.
func rest(ctx context.Context, timer *time.Timer, d time.Duration) {
	if d <= 0 {
		return
	}
	timer.Reset(d)
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// read fills the reader once, waiting at most for wait. Only while we are here
// does the silence of the broker count: what it sent while the receiver was
// blocked lies in the socket and is found at once.
func (l *link) read(ctx context.Context, wait time.Duration) (full bool, err error) {
	if err := l.conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return false, fmt.Errorf("read from broker: %w", err)
	}
	if ctx.Err() != nil { // after the deadline was set, or wakeAtEnd's would be lost
		return false, context.Cause(ctx)
	}
	full, err = l.in.fill()
	switch {
	case err == nil:
		return full, nil
	case ctx.Err() != nil:
		return false, context.Cause(ctx)
	case errors.Is(err, os.ErrDeadlineExceeded) && wait == settle:
		return false, errQuiet
	case errors.Is(err, os.ErrDeadlineExceeded):
		return false, fmt.Errorf("%w for %v", errSilent, wait.Round(time.Millisecond))
	}
	return false, fmt.Errorf("read from broker: %w", err)
}

// wakeAtEnd makes a blocked read return when ctx ends.
func (l *link) wakeAtEnd(ctx context.Context) (unhook func() bool) {
	return context.AfterFunc(ctx, func() {
		// Failing means that the connection is closed, which wakes the read, too.
		_ = l.conn.SetReadDeadline(time.Unix(1, 0))
	})
}

// fail closes the connection because of err, which wakes the reader.
func (l *link) fail(err error) {
	l.mu.Lock()
	if l.cause == nil {
		l.cause = err
	}
	l.mu.Unlock()
	l.conn.Close()
}

// because returns what made the connection fail, which is err if nobody knows better.
func (l *link) because(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cause != nil {
		return l.cause
	}
	return err
}

// close sends what is buffered and, unless the end is rude, DISCONNECT. It waits
// at most for farewell.
func (l *link) close() {
	close(l.done)
	l.out.hurry(farewell)
	l.flusher.Wait()
	if !l.rude {
		l.out.add(func(b []byte) []byte { return append(b, packets.Disconnect<<4, 0) })
	}
	// The link is over either way: what could not be written, the broker repeats.
	_, _ = l.out.flush(nil)
	l.conn.Close()
}
