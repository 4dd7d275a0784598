package campaign

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
)

// Wire is a TCP relay in front of a broker that can lose what is on the way, as a
// network does when a link breaks: the sender has written it, nobody reads it.
// Most kills hit a moment at which nothing is on the way; a wire makes such
// moments.
type Wire struct {
	target   string
	listener net.Listener
	lose     [2]atomic.Bool // by direction
	lost     atomic.Int64
	done     sync.WaitGroup

	mu     sync.Mutex
	open   map[net.Conn]struct{}
	closed bool
}

// Direction is a way through a wire.
type Direction int

// The directions.
const (
	ToBroker   Direction = iota // what clients write: acknowledgements, results
	FromBroker                  // what the broker writes: messages, confirmations
)

// StartWire returns a wire to a broker at host:port.
func StartWire(target string) (*Wire, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start a wire: %w", err)
	}
	w := &Wire{target: target, listener: listener, open: map[net.Conn]struct{}{}}
	w.done.Go(w.serve)
	return w, nil
}

// URL is where clients connect to.
func (w *Wire) URL() string { return "tcp://" + w.listener.Addr().String() }

// Lose loses everything that is written in a direction from now on, until Cut.
func (w *Wire) Lose(d Direction) { w.lose[d].Store(true) }

// Lost returns how many bytes were lost so far.
func (w *Wire) Lost() int64 { return w.lost.Load() }

// Cut ends all connections. New ones are whole again.
func (w *Wire) Cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for conn := range w.open {
		conn.Close()
	}
	clear(w.open)
	for i := range w.lose {
		w.lose[i].Store(false)
	}
}

// Close ends the wire.
func (w *Wire) Close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.listener.Close()
	w.Cut()
	w.done.Wait()
}

func (w *Wire) serve() {
	for {
		client, err := w.listener.Accept()
		if err != nil {
			return
		}
		broker, err := net.Dial("tcp", w.target)
		if err != nil || !w.keep(client, broker) {
			client.Close()
			if broker != nil {
				broker.Close()
			}
			continue
		}
		w.done.Go(func() { w.relay(broker, client, ToBroker) })
		w.done.Go(func() { w.relay(client, broker, FromBroker) })
	}
}

// keep remembers connections for Cut.
func (w *Wire) keep(conns ...net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return false
	}
	for _, conn := range conns {
		w.open[conn] = struct{}{}
	}
	return true
}

// relay copies until one side ends, and then ends the other, too.
func (w *Wire) relay(to, from net.Conn, d Direction) {
	buf := make([]byte, 32<<10)
	broken := false
	for {
		n, err := from.Read(buf)
		// What follows a loss would be read as something else.
		if broken = broken || w.lose[d].Load(); broken {
			w.lost.Add(int64(n))
		} else if _, werr := to.Write(buf[:n]); err == nil {
			err = werr
		}
		if err != nil {
			break
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, conn := range []net.Conn{to, from} {
		conn.Close()
		delete(w.open, conn)
	}
}
