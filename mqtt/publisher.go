package mqtt

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"edged"
)

// Window is how many rows may be sent and not yet confirmed.
const Window = 1000

// slots is more than Window, and divides 65,536 so that ids map to slots evenly.
const slots = 1024

// Publisher sends rows with QoS 1. It remembers nothing across connections:
// sending again is the business of the outbox that the rows come from.
type Publisher struct {
	session

	sent      atomic.Int64
	bytes     atomic.Int64
	confirmed atomic.Int64
	unknown   atomic.Int64
	pending   atomic.Int64

	mu     sync.Mutex // guards what follows
	link   *link      // nil: down
	nextID uint16
	flight [slots]sentRow // by id modulo slots; id 0: free
	open   int            // slots in use
}

// sentRow is a row on its way.
type sentRow struct {
	id  uint16
	seq uint64
}

// PublisherStats is what a publisher has done since it was made.
type PublisherStats struct {
	Connected   bool
	Connects    int64  // accepted CONNECTs
	Sent        int64  // rows handed to a connection, repetitions included
	Bytes       int64  // of their topics and payloads
	Confirmed   int64  // rows that a broker has acknowledged
	Unconfirmed int64  // rows sent on this connection and not acknowledged
	Unknown     int64  // PUBACKs for nothing that we sent
	LastError   string // of the last lost or failed connection
}

// NewPublisher returns a publisher. It does not connect.
func NewPublisher(cfg Config) (*Publisher, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Publisher{session: session{cfg: cfg.withDefaults(), clean: true, wake: make(chan struct{}, 1)}}, nil
}

// Run connects, and connects again after a loss, until ctx ends; it then returns
// nil. It is called once. The callbacks come from one goroutine, one after the
// other, and must return soon:
//
//   - up: Send works from now on, and nothing is in flight.
//   - confirmed: the broker has taken these rows over, in the order of its
//     PUBACKs. The slice is the receiver's. It may come before Send has returned.
//   - down: nothing sent since up will be confirmed any more; the broker may have
//     taken it nevertheless. The receiver sends it again after the next up.
//
// A receiver that runs Send and down concurrently must take care that a Send
// which returned nil just before down counts as lost, too; an actor that gets
// both as messages does so by itself.
func (p *Publisher) Run(ctx context.Context, up func(), down func(error), confirmed func(seqs []uint64)) error {
	return p.run(ctx, func(ctx context.Context, l *link) error {
		p.attach(l)
		up()
		err := l.pump(ctx, func(arrival) (bool, error) { return false, p.take(l, confirmed) })
		p.detach()
		down(err)
		return err
	})
}

// Send publishes the rows in order, all or none: [ErrDown], [ErrWindow] and
// [ErrUnsendable] say why none. It does not wait for the network. Rows of
// several streams may be sent, but confirmations name only Seq: give every
// stream its own publisher, or keep the streams' numbers apart.
func (p *Publisher) Send(rows []edged.Row) error {
	size := 0
	for i := range rows {
		if err := p.check(&rows[i]); err != nil {
			return err
		}
		size += len(rows[i].Topic) + len(rows[i].Payload)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.link == nil {
		return ErrDown
	}
	if p.open+len(rows) > Window {
		return fmt.Errorf("send %d rows with %d unconfirmed: %w (%d)", len(rows), p.open, ErrWindow, Window)
	}
	p.link.out.add(func(b []byte) []byte {
		for i := range rows {
			b = appendPublish(b, p.reserve(rows[i].Seq), rows[i].Topic, rows[i].Payload)
		}
		return b
	})
	p.sent.Add(int64(len(rows)))
	p.bytes.Add(int64(size))
	p.pending.Store(int64(p.open))
	return nil
}

func (p *Publisher) check(row *edged.Row) error {
	if err := checkTopic(row.Topic); err != nil {
		return fmt.Errorf("row %d of stream %q: %w: %w", row.Seq, row.Stream, ErrUnsendable, err)
	}
	if n := publishSize(row.Topic, row.Payload); n > p.cfg.PacketBytesMax {
		return fmt.Errorf("row %d of stream %q: %w: a packet of %d bytes, the limit is %d", row.Seq, row.Stream, ErrUnsendable, n, p.cfg.PacketBytesMax)
	}
	return nil
}

// reserve gives seq a packet id. There is a free slot, since slots > Window; the
// ids roll on, so that a late PUBACK meets a free slot and not another row.
func (p *Publisher) reserve(seq uint64) uint16 {
	for {
		p.nextID++
		slot := &p.flight[p.nextID%slots]
		if p.nextID != 0 && slot.id == 0 {
			*slot = sentRow{id: p.nextID, seq: seq}
			p.open++
			return p.nextID
		}
	}
}

// take handles all whole frames that are here.
func (p *Publisher) take(l *link, confirmed func([]uint64)) error {
	var seqs []uint64
	fault := p.settleAcks(l, &seqs)
	if len(seqs) > 0 {
		p.confirmed.Add(int64(len(seqs)))
		confirmed(seqs)
	}
	return fault
}

func (p *Publisher) settleAcks(l *link, seqs *[]uint64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer func() { p.pending.Store(int64(p.open)) }()
	for {
		f, ok, err := l.in.next()
		if err != nil || !ok {
			return err
		}
		switch f.kind() {
		case packets.Puback:
			id, err := parseAck(f)
			if err != nil {
				return err
			}
			slot := &p.flight[id%slots]
			if id == 0 || slot.id != id {
				p.unknown.Add(1)
				continue
			}
			*seqs = append(*seqs, slot.seq)
			*slot = sentRow{}
			p.open--
		case packets.Pingresp:
		default:
			return fmt.Errorf("%w: unexpected packet type %d", ErrProtocol, f.kind())
		}
	}
}

func (p *Publisher) attach(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.link = l
	p.connected.Store(true)
}

// detach forgets what is in flight.
func (p *Publisher) detach() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.link, p.open, p.flight = nil, 0, [slots]sentRow{}
	p.connected.Store(false)
	p.pending.Store(0)
}

// Stats returns the counters. They are read one by one, not at one instant.
func (p *Publisher) Stats() PublisherStats {
	return PublisherStats{
		Connected: p.connected.Load(), Connects: p.connects.Load(),
		Sent: p.sent.Load(), Bytes: p.bytes.Load(),
		Confirmed: p.confirmed.Load(), Unconfirmed: p.pending.Load(),
		Unknown: p.unknown.Load(), LastError: p.fault(),
	}
}
