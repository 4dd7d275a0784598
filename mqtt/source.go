package mqtt

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"edged"
)

// Source receives messages and acknowledges them when it is told to.
type Source struct {
	session
	subs []Subscription

	received    atomic.Int64
	bytes       atomic.Int64
	acked       atomic.Int64
	stale       atomic.Int64
	redelivered atomic.Int64
	oversize    atomic.Int64
	unacked     atomic.Int64

	mu         sync.Mutex     // guards what follows, and subs
	gone       []string       // filters that the broker's session may still have
	asked      []Subscription // by the last Resubscribe on this connection
	link       *link          // nil: no connection
	generation uint64         // of the connection, from 1
	open       idSet          // received on this connection and not acknowledged
}

// SourceStats is what a source has done since it was made.
type SourceStats struct {
	Connected   bool   // and subscribed
	Connects    int64  // accepted CONNECTs
	Received    int64  // messages delivered
	Bytes       int64  // of their topics and payloads, as delivered
	Acked       int64  // PUBACKs handed to the connection
	AcksStale   int64  // acks dropped because their connection is gone
	Redelivered int64  // messages with DUP
	Oversize    int64  // messages above Config.PacketBytesMax, also counted as Received
	Unacked     int64  // received on this connection and not acknowledged
	LastError   string // of the last lost or failed connection
}

// NewSource returns a source for the subscriptions. It does not connect.
func NewSource(cfg Config, subs []Subscription) (*Source, error) {
	faults := []error{cfg.Validate()}
	if cfg.ClientID == "" {
		faults = append(faults, errors.New("mqtt source without client id: the broker keeps our messages under it; choose one and never change it"))
	}
	if len(subs) == 0 {
		faults = append(faults, errors.New("mqtt source without subscription"))
	}
	size := 2
	for _, sub := range subs {
		faults = append(faults, sub.Validate())
		size += 2 + len(sub.Filter) + 1
	}
	if size > packetBytesMost {
		faults = append(faults, errors.New("mqtt source: the filters do not fit into one SUBSCRIBE"))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return &Source{session: session{cfg: cfg.withDefaults()}, subs: slices.Clone(subs)}, nil
}

// Run connects, delivers what arrives, and connects again after a loss, until
// ctx ends (it then returns nil) or deliver fails (it returns that error). It is
// called once. deliver is called from one goroutine; it may block, but must
// return when its ctx ends. The batch and all it refers to are the receiver's.
//
// The first batch of every connection is empty: it tells at once whether the
// broker starts from nothing (Fresh), and that input is at hand (More). More
// stays set until the subscriptions are confirmed and the socket has been
// emptied, and it is never left set: when nothing follows, an empty batch
// without it is delivered.
//
// To stop without redelivery, let deliver block, commit, call Ack, and then end
// ctx: the last PUBACKs leave before the connection is closed.
func (s *Source) Run(ctx context.Context, deliver func(context.Context, edged.Batch) error) error {
	return s.run(ctx, func(ctx context.Context, l *link) error {
		f := &flow{source: s, link: l, deliver: deliver, topics: topics{}}
		s.attach(l)
		defer s.detach()
		return f.run(ctx)
	})
}

// Ack acknowledges messages by the Ack that they carried, which must be given in
// the order of receipt. It never waits for the network. Acks of earlier
// connections are dropped and counted: the broker sends those messages again.
func (s *Source) Ack(ids []uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link == nil {
		s.stale.Add(int64(len(ids)))
		return
	}
	sent, stale := 0, 0
	s.link.out.add(func(b []byte) []byte {
		for _, id := range ids {
			switch {
			case id == 0: // QoS 0
			case id>>16 != s.generation || !s.open.remove(uint16(id)):
				stale++
			default:
				b = appendPuback(b, uint16(id))
				sent++
			}
		}
		return b
	})
	s.stale.Add(int64(stale))
	s.acked.Add(int64(sent))
	s.unacked.Store(int64(s.open.n))
}

// Resubscribe changes what the source receives, on this connection and on later ones.
// Filters that stay are not asked for again: the broker would send what it retains for
// them once more. Messages of those that go may come for a moment yet.
func (s *Source) Resubscribe(subs []Subscription) error {
	if len(subs) == 0 {
		return errors.New("mqtt source without subscription")
	}
	for _, sub := range subs {
		if err := sub.Validate(); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var added []Subscription
	for _, sub := range subs {
		if !slices.Contains(s.subs, sub) {
			added = append(added, sub)
		}
		s.gone = slices.DeleteFunc(s.gone, func(filter string) bool { return filter == sub.Filter })
	}
	var gone []string
	for _, sub := range s.subs {
		if !slices.ContainsFunc(subs, func(other Subscription) bool { return other.Filter == sub.Filter }) {
			gone = append(gone, sub.Filter)
		}
	}
	s.gone = append(s.gone, gone...)
	s.subs = slices.Clone(subs)
	if s.link == nil {
		return nil
	}
	s.asked = added
	packet, err := encodeChange(gone, added)
	if err != nil {
		return err
	}
	s.link.out.add(func(b []byte) []byte { return append(b, packet...) })
	return nil
}

// wanted returns what a new connection asks for, and what it asks to be forgotten.
func (s *Source) wanted() (subs []Subscription, gone []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = nil
	return s.subs, slices.Clone(s.gone)
}

// awaited returns what the last Resubscribe has asked for.
func (s *Source) awaited() []Subscription {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// track gives every message with a packet id its Ack. A packet id that is
// already open is a repetition on the same connection: the first one's ack
// covers it, and a second one might hit a later message with the same id.
func (s *Source) track(messages []edged.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range messages {
		id := messages[i].PacketID
		if id != 0 && s.open.add(id) {
			messages[i].Ack = s.generation<<16 | uint64(id)
		}
	}
	s.unacked.Store(int64(s.open.n))
}

func (s *Source) attach(l *link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.generation++
	s.link, s.open = l, idSet{}
}

func (s *Source) detach() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.link = nil
	s.unacked.Store(0)
}

// Connected says that the broker has accepted us and all subscriptions.
func (s *Source) Connected() bool { return s.connected.Load() }

// Stats returns the counters. They are read one by one, not at one instant.
func (s *Source) Stats() SourceStats {
	return SourceStats{
		Connected: s.connected.Load(), Connects: s.connects.Load(),
		Received: s.received.Load(), Bytes: s.bytes.Load(),
		Acked: s.acked.Load(), AcksStale: s.stale.Load(),
		Redelivered: s.redelivered.Load(), Oversize: s.oversize.Load(),
		Unacked: s.unacked.Load(), LastError: s.fault(),
	}
}

// idSet is a set of packet ids.
type idSet struct {
	bits [1 << 16 / 64]uint64
	n    int
}

// add returns false when id was there already.
func (s *idSet) add(id uint16) bool {
	word, bit := &s.bits[id/64], uint64(1)<<(id%64)
	if *word&bit != 0 {
		return false
	}
	*word |= bit
	s.n++
	return true
}

// remove returns false when id was not there.
func (s *idSet) remove(id uint16) bool {
	word, bit := &s.bits[id/64], uint64(1)<<(id%64)
	if *word&bit == 0 {
		return false
	}
	*word &^= bit
	s.n--
	return true
}
