package persistence

import (
	"encoding/binary"
	"fmt"
	"math"

	"edged"
)

// unpacker decodes the items of one frame, in order. Payloads alias the frame.
type unpacker struct {
	frame frame
	rest  []byte
	next  uint64
	lastItem
}

func unpack(f frame) *unpacker {
	return &unpacker{frame: f, rest: f.items, next: f.first}
}

// more says whether there is another item. After the last one nothing may be
// left over, which done checks.
func (u *unpacker) more() bool { return u.next <= u.frame.last() }

func (u *unpacker) done() error {
	if len(u.rest) > 0 {
		return u.corrupt("bytes behind the last item")
	}
	return nil
}

func (u *unpacker) corrupt(what string) error {
	return fmt.Errorf("%w: item %d: %s", ErrCorrupt, u.next, what)
}

// record decodes the next item into r.
func (u *unpacker) record(r *edged.Record) error {
	if u.frame.version == 1 {
		return u.oldRecord(r)
	}
	if len(u.rest) == 0 {
		return u.corrupt("missing")
	}
	tag := u.rest[0]
	*r = edged.Record{Seq: edged.Seq(u.next), Kind: edged.RecordKind(tag & kindMask)}
	if r.Kind < edged.MessageRecord || r.Kind > edged.KeptRecord {
		return u.corrupt(fmt.Sprintf("unknown kind %d", r.Kind))
	}
	message, tick := r.Kind == edged.MessageRecord || r.Kind == edged.AgainRecord, r.Kind == edged.TickRecord
	var err error
	if u.rest = u.rest[1:]; !tick {
		if err = u.newTopic(tag); err != nil {
			return err
		}
		r.Topic = u.topic
	}
	if err = u.delta(&u.time, "time", tag&sameTime != 0); err != nil {
		return err
	}
	r.Time = edged.Timestamp(u.time)
	if message {
		if err = u.delta(&u.arrival, "arrival", tag&sameArrival != 0); err != nil {
			return err
		}
		id := int64(u.id)
		if err = u.delta(&id, "packet id", false); err != nil {
			return err
		}
		u.id = uint16(id)
		r.Arrival, r.PacketID = edged.Timestamp(u.arrival), u.id
	}
	if !tick {
		if r.Payload, err = u.bytes("payload"); err != nil {
			return err
		}
	}
	if addressed(r.Kind) {
		if err = u.address(r); err != nil {
			return err
		}
	}
	if tag&hasDerived != 0 {
		if r.Derived, err = u.bytes("derived results"); err != nil {
			return err
		}
	}
	u.next++
	return nil
}

// address decodes for which pipeline a record is, and where it comes from.
func (u *unpacker) address(r *edged.Record) error {
	name, err := u.bytes("pipeline")
	if err != nil {
		return err
	}
	of, err := u.uvarint("record", math.MaxInt64)
	r.For, r.Of = string(name), edged.Seq(of)
	return err
}

// delta adds the next number to what it is the difference from.
func (u *unpacker) delta(to *int64, what string, same bool) error {
	if same {
		return nil
	}
	d, n := binary.Varint(u.rest)
	if n <= 0 {
		return u.corrupt("bad " + what)
	}
	u.rest = u.rest[n:]
	*to += d
	return nil
}

// oldRecord decodes an item of a frame of version 1.
func (u *unpacker) oldRecord(r *edged.Record) error {
	tag, err := u.tag()
	if err != nil {
		return err
	}
	if err := u.delta(&u.time, "time", false); err != nil {
		return err
	}
	*r = edged.Record{Seq: edged.Seq(u.next), Kind: edged.RecordKind(tag), Time: edged.Timestamp(u.time), Topic: u.topic}
	switch r.Kind {
	case edged.TickRecord:
	case edged.MessageRecord:
		id, err := u.uvarint("packet id", 0xffff)
		if err != nil {
			return err
		}
		r.PacketID = uint16(id)
		if r.Payload, err = u.bytes("payload"); err != nil {
			return err
		}
	default:
		return u.corrupt(fmt.Sprintf("unknown kind %d", r.Kind))
	}
	u.next++
	return nil
}

// row decodes the next item into r, of the given stream.
func (u *unpacker) row(r *edged.Row, stream string) error {
	tag, err := u.tag()
	if err != nil {
		return err
	}
	if tag != 0 {
		return u.corrupt(fmt.Sprintf("unknown tag %d", tag))
	}
	payload, err := u.bytes("payload")
	if err != nil {
		return err
	}
	*r = edged.Row{Stream: stream, Seq: u.next, Topic: u.topic, Payload: payload}
	u.next++
	return nil
}

// blob returns the bytes of the next item.
func (u *unpacker) blob() ([]byte, error) {
	b, err := u.bytes("dead letter")
	if err == nil {
		u.next++
	}
	return b, err
}

// tag reads a tag and the topic behind it, and returns the tag's kind.
func (u *unpacker) tag() (byte, error) {
	if len(u.rest) == 0 {
		return 0, u.corrupt("missing")
	}
	tag := u.rest[0]
	u.rest = u.rest[1:]
	return tag &^ sameTopic, u.newTopic(tag)
}

// newTopic reads the topic behind a tag, unless it is the one of the item before.
func (u *unpacker) newTopic(tag byte) error {
	if tag&sameTopic != 0 {
		return nil
	}
	head, tail := uint64(0), uint64(0)
	if u.frame.version > 1 {
		var err error
		before := uint64(len(u.topic))
		if head, err = u.uvarint("topic", before); err != nil {
			return err
		}
		if tail, err = u.uvarint("topic", before-head); err != nil {
			return err
		}
	}
	middle, err := u.bytes("topic")
	if err != nil {
		return err
	}
	u.topic = u.topic[:head] + string(middle) + u.topic[uint64(len(u.topic))-tail:]
	return nil
}

func (u *unpacker) bytes(what string) ([]byte, error) {
	size, err := u.uvarint(what, uint64(len(u.rest)))
	if err != nil {
		return nil, err
	}
	if size > uint64(len(u.rest)) {
		return nil, u.corrupt(what + " reaches beyond the frame")
	}
	b := u.rest[:size:size]
	u.rest = u.rest[size:]
	return b, nil
}

func (u *unpacker) uvarint(what string, limit uint64) (uint64, error) {
	v, n := binary.Uvarint(u.rest)
	if n <= 0 || v > limit {
		return 0, u.corrupt("bad " + what)
	}
	u.rest = u.rest[n:]
	return v, nil
}
