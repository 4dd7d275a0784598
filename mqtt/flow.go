package mqtt

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"edged"
)

const (
	// batchMax is the largest number of messages in a batch.
	batchMax = 512

	// slabBytesMax is how many bytes of messages one slab may refer to: whoever
	// keeps a part of a slab keeps all that it refers to.
	slabBytesMax = 256 << 10

	// The packet ids of the only packets of ours that have one.
	subscribeID   = 1 // after CONNACK
	resubscribeID = 2 // see Source.Resubscribe
	unsubscribeID = 3
)

// flow turns the frames of one link into batches.
type flow struct {
	source  *Source
	link    *link
	deliver func(context.Context, edged.Batch) error
	topics  topics
	subs    []Subscription // asked for after CONNACK

	since      time.Time
	subscribed bool
	behind     bool            // the last batch had More
	slab       []edged.Message // batches are cut from it; what is cut is the receiver's
	slabBytes  int             // of the messages in slab
}

func (f *flow) run(ctx context.Context) error {
	f.since = time.Now()
	subs, gone := f.source.wanted()
	f.subs = subs
	subscribe, err := encodeSubscribe(subscribeID, subs)
	if err != nil {
		return err
	}
	forget, err := encodeChange(gone, nil)
	if err != nil {
		return err
	}
	f.link.out.add(func(b []byte) []byte { return append(append(b, forget...), subscribe...) })
	f.behind = true
	if err := f.deliver(ctx, edged.Batch{Fresh: !f.link.present, More: true}); err != nil {
		return receiver("deliver", err)
	}
	return f.link.pump(ctx, func(came arrival) (bool, error) { return f.take(ctx, came) })
}

func encodeSubscribe(id uint16, subs []Subscription) ([]byte, error) {
	p := packets.NewControlPacket(packets.Subscribe).(*packets.SubscribePacket)
	p.MessageID = id
	for _, sub := range subs {
		p.Topics = append(p.Topics, sub.Filter)
		p.Qoss = append(p.Qoss, sub.QoS)
	}
	var b bytes.Buffer
	if err := p.Write(&b); err != nil {
		return nil, fmt.Errorf("encode SUBSCRIBE: %w", err)
	}
	return b.Bytes(), nil
}

// encodeChange returns the packets that ask to forget filters and to send others.
func encodeChange(gone []string, added []Subscription) ([]byte, error) {
	var b bytes.Buffer
	if len(gone) > 0 {
		p := packets.NewControlPacket(packets.Unsubscribe).(*packets.UnsubscribePacket)
		p.MessageID, p.Topics = unsubscribeID, gone
		if err := p.Write(&b); err != nil {
			return nil, fmt.Errorf("encode UNSUBSCRIBE: %w", err)
		}
	}
	if len(added) == 0 {
		return b.Bytes(), nil
	}
	subscribe, err := encodeSubscribe(resubscribeID, added)
	return append(b.Bytes(), subscribe...), err
}

// take delivers all whole frames that are here.
func (f *flow) take(ctx context.Context, came arrival) (behind bool, err error) {
	for left := true; left; {
		var messages []edged.Message
		var fault error
		messages, left, fault = f.parse()
		// Before SUBACK we do not know what the broker has for us.
		more := !f.subscribed || came == filledUp || came == someCame && f.link.in.partial()
		if len(messages) > 0 || f.behind && !more {
			f.source.track(messages)
			f.behind = more
			if err := f.deliver(ctx, edged.Batch{Messages: messages, More: more}); err != nil {
				return false, receiver("deliver", err)
			}
		}
		if fault != nil {
			return false, fault
		}
	}
	if !f.subscribed && time.Since(f.since) > f.source.cfg.ConnectTimeout {
		return false, fmt.Errorf("no SUBACK from the broker within %v", f.source.cfg.ConnectTimeout)
	}
	return f.behind && f.subscribed, nil
}

// parse reads frames until they end or the slab is full; left says that there
// may be more. Messages before a fault are returned with it.
func (f *flow) parse() (messages []edged.Message, left bool, err error) {
	if cap(f.slab)-len(f.slab) < batchMax/8 || f.slabBytes > slabBytesMax {
		f.slab, f.slabBytes = make([]edged.Message, 0, batchMax), 0
	}
	start, before := len(f.slab), f.slabBytes
	ok := true
	for ok && err == nil && len(f.slab) < cap(f.slab) {
		var fr frame
		if fr, ok, err = f.link.in.next(); !ok || err != nil {
			break
		}
		if fr.kind() == packets.Publish {
			err = f.message(fr)
		} else {
			err = f.rare(fr)
		}
	}
	messages = f.slab[start:len(f.slab):len(f.slab)]
	if len(messages) > 0 {
		f.link.in.lend()
		f.source.received.Add(int64(len(messages)))
		f.source.bytes.Add(int64(f.slabBytes - before))
	}
	return messages, ok && err == nil, err
}

// message adds a PUBLISH to the slab.
func (f *flow) message(fr frame) error {
	p, err := parsePublish(fr)
	if err != nil {
		return err
	}
	if fr.oversize {
		p.payload = f.oversize(fr, p)
	}
	f.slab = append(f.slab, edged.Message{Topic: f.topics.intern(p.topic), Payload: p.payload, PacketID: p.id, Dup: p.dup})
	f.slabBytes += len(p.topic) + len(p.payload)
	if p.dup {
		f.source.redelivered.Add(1)
	}
	return nil
}

// oversize returns the payload that stands for that of p, of which only a sample
// is here. It lies in memory of its own.
func (f *flow) oversize(fr frame, p publish) []byte {
	f.source.oversize.Add(1)
	size := len(p.payload) + fr.size - len(fr.body)
	sample := bytes.Clone(p.payload[:min(len(p.payload), sampleBytes)])
	if hook := f.source.cfg.Oversize; hook != nil {
		return hook(size, sample)
	}
	f.source.cfg.Logger.Warn("message above the size limit was cut to a sample",
		"topic", string(p.topic), "bytes", size, "limit", f.source.cfg.PacketBytesMax)
	return sample
}

// rare handles everything but messages.
func (f *flow) rare(fr frame) error {
	switch fr.kind() {
	case packets.Pingresp, packets.Unsuback:
		return nil
	case packets.Suback:
		return f.suback(fr)
	}
	return fmt.Errorf("%w: unexpected packet type %d", ErrProtocol, fr.kind())
}

// suback checks that every filter was granted.
func (f *flow) suback(fr frame) error {
	if subackID(fr) == resubscribeID {
		return checkSuback(fr, resubscribeID, f.source.awaited(), f.source.cfg)
	}
	if err := checkSuback(fr, subscribeID, f.subs, f.source.cfg); err != nil {
		return err
	}
	f.subscribed = true
	f.source.connected.Store(true)
	return nil
}

// subackID returns the packet id of a SUBACK, 0 if it has none.
func subackID(fr frame) uint16 {
	if len(fr.body) < 2 {
		return 0
	}
	return binary.BigEndian.Uint16(fr.body)
}

// checkSuback returns an error unless every filter was granted.
func checkSuback(fr frame, id uint16, subs []Subscription, cfg Config) error {
	var p packets.SubackPacket
	if err := p.Unpack(bytes.NewReader(fr.body)); err != nil {
		return fmt.Errorf("%w: SUBACK: %w", ErrProtocol, err)
	}
	if p.MessageID != id || len(p.ReturnCodes) != len(subs) {
		return fmt.Errorf("%w: SUBACK for %d filters, %d were asked for", ErrProtocol, len(p.ReturnCodes), len(subs))
	}
	for i, code := range p.ReturnCodes {
		if code > 2 {
			return fmt.Errorf("subscribe %q %w: check the broker's access rules for client %q and user %q",
				subs[i].Filter, ErrRefused, cfg.ClientID, cfg.Username)
		}
		if code < subs[i].QoS {
			cfg.Logger.Warn("broker granted a lower qos: messages may be lost", "filter", subs[i].Filter, "asked", subs[i].QoS, "granted", code)
		}
	}
	return nil
}
