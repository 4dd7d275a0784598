package persistence

import (
	"encoding/binary"
	"fmt"

	"edged"
)

// unpacker decodes the items of one frame, in order. Payloads alias the frame.
type unpacker struct {
	frame frame
	rest  []byte
	next  uint64
	topic string
	time  int64
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
	tag, err := u.tag()
	if err != nil {
		return err
	}
	delta, n := binary.Varint(u.rest)
	if n <= 0 {
		return u.corrupt("bad time")
	}
	u.rest = u.rest[n:]
	u.time += delta
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
	if tag&sameTopic != 0 {
		return tag &^ sameTopic, nil
	}
	topic, err := u.bytes("topic")
	if err != nil {
		return 0, err
	}
	if string(topic) != u.topic {
		u.topic = string(topic)
	}
	return tag, nil
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
