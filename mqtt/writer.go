package mqtt

import (
	"net"
	"sync"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// writerKeepBytes is the largest buffer that a writer keeps for reuse.
const writerKeepBytes = 256 << 10

// writer collects packets and sends everything that has come together with one
// write. Nobody who adds a packet waits for the network. What can come together
// is bounded by the callers: 65,535 PUBACKs, or a window of PUBLISHes.
type writer struct {
	conn net.Conn
	wake chan struct{} // capacity 1: there is something in buf

	mu      sync.Mutex
	buf     []byte
	timeout time.Duration // for one write
}

func newWriter(conn net.Conn, timeout time.Duration) *writer {
	return &writer{conn: conn, timeout: timeout, wake: make(chan struct{}, 1)}
}

// add lets fill append packets to the buffer; their order is that of the calls.
// fill must not block.
func (w *writer) add(fill func(buf []byte) []byte) {
	w.mu.Lock()
	w.buf = fill(w.buf)
	some := len(w.buf) > 0
	w.mu.Unlock()
	if !some {
		return
	}
	select {
	case w.wake <- struct{}{}:
	default: // the flusher has been woken already
	}
}

// run sends until done is closed or a write fails. It sends a PINGREQ every
// interval, also while the reader is blocked by its receiver.
func (w *writer) run(done <-chan struct{}, interval time.Duration) error {
	ping := time.NewTicker(interval)
	defer ping.Stop()
	var spare []byte
	for {
		select {
		case <-done:
			return nil
		case <-w.wake:
		case <-ping.C:
			w.add(func(b []byte) []byte { return append(b, packets.Pingreq<<4, 0) })
			continue
		}
		var err error
		if spare, err = w.flush(spare); err != nil {
			return err
		}
	}
}

// flush sends the buffer, leaves spare in its place and returns it for reuse.
func (w *writer) flush(spare []byte) ([]byte, error) {
	w.mu.Lock()
	out := w.buf
	w.buf = spare[:0]
	err := w.conn.SetWriteDeadline(time.Now().Add(w.timeout))
	w.mu.Unlock()
	if len(out) == 0 || err != nil {
		return out, err
	}
	_, err = w.conn.Write(out)
	if cap(out) > writerKeepBytes {
		out = nil
	}
	return out, err
}

// hurry bounds the write under way, and later ones, by timeout.
func (w *writer) hurry(timeout time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timeout = timeout
	// Failing means that the connection is closed, which ends the write, too.
	_ = w.conn.SetWriteDeadline(time.Now().Add(timeout))
}
