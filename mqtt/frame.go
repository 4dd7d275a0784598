package mqtt

import (
	"encoding/binary"
	"fmt"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// frame is one control packet, still lying in the reader's chunk.
type frame struct {
	first    byte   // type and flags
	body     []byte // what follows the fixed header; of an oversize frame a sample
	size     int    // length of the whole body
	oversize bool   // size is above the limit
}

func (f frame) kind() byte { return f.first >> 4 }

// header is a decoded fixed header.
type header struct {
	first     byte
	remaining int // bytes after the header, at most 268,435,455
	length    int // of the header itself: 2 to 5; 0 when b was too short
}

// parseHeader decodes the fixed header at the start of b. It returns a length of
// 0 when b ends within it.
func parseHeader(b []byte) (header, error) {
	var h header
	for i := 1; i < len(b) && i <= 4; i++ {
		h.remaining |= int(b[i]&0x7f) << (7 * (i - 1))
		if b[i] < 0x80 {
			h.first, h.length = b[0], i+1
			return h, nil
		}
	}
	if len(b) > 4 {
		return header{}, fmt.Errorf("%w: remaining length has more than four bytes", ErrProtocol)
	}
	return header{}, nil
}

// publish is a decoded PUBLISH; topic and payload lie in the frame.
type publish struct {
	topic   []byte
	payload []byte
	id      uint16 // 0 with QoS 0
	dup     bool
}

// parsePublish decodes a PUBLISH. Of QoS it accepts what we subscribe with.
func parsePublish(f frame) (publish, error) {
	b := f.body
	if len(b) < 2 {
		return publish{}, fmt.Errorf("%w: PUBLISH of %d bytes", ErrProtocol, len(b))
	}
	n := int(binary.BigEndian.Uint16(b))
	if b = b[2:]; n > len(b) {
		return publish{}, fmt.Errorf("%w: PUBLISH topic of %d bytes, %d left", ErrProtocol, n, len(b))
	}
	p := publish{topic: b[:n:n], payload: b[n:len(b):len(b)], dup: f.first&0x08 != 0}
	switch qos := f.first >> 1 & 3; qos {
	case 0:
		return p, nil
	case 1:
	default:
		return publish{}, fmt.Errorf("%w: PUBLISH with QoS %d on %q; the broker's session holds a foreign QoS 2 subscription: "+
			"delete that session or use another client id", ErrProtocol, qos, p.topic)
	}
	if len(p.payload) < 2 {
		return publish{}, fmt.Errorf("%w: PUBLISH without packet id", ErrProtocol)
	}
	if p.id = binary.BigEndian.Uint16(p.payload); p.id == 0 {
		return publish{}, fmt.Errorf("%w: PUBLISH with packet id 0", ErrProtocol)
	}
	p.payload = p.payload[2:]
	return p, nil
}

// parseAck decodes the packet id of a PUBACK.
func parseAck(f frame) (uint16, error) {
	if len(f.body) != 2 {
		return 0, fmt.Errorf("%w: PUBACK of %d bytes", ErrProtocol, len(f.body))
	}
	return binary.BigEndian.Uint16(f.body), nil
}

// appendPublish appends a QoS 1 PUBLISH. The caller has checked topic and size.
func appendPublish(b []byte, id uint16, topic string, payload []byte) []byte {
	b = append(b, packets.Publish<<4|1<<1)
	b = appendLength(b, publishSize(topic, payload))
	b = binary.BigEndian.AppendUint16(b, uint16(len(topic)))
	b = append(b, topic...)
	b = binary.BigEndian.AppendUint16(b, id)
	return append(b, payload...)
}

// appendNote appends a PUBLISH of any kind; id is left out with QoS 0. The caller
// has checked topic, QoS and size.
func appendNote(b []byte, id uint16, n *Note) []byte {
	first := byte(packets.Publish<<4) | n.QoS<<1
	if n.Retain {
		first |= 1
	}
	size := publishSize(n.Topic, n.Payload)
	if n.QoS == 0 {
		size -= 2
	}
	b = appendLength(append(b, first), size)
	b = binary.BigEndian.AppendUint16(b, uint16(len(n.Topic)))
	b = append(b, n.Topic...)
	if n.QoS > 0 {
		b = binary.BigEndian.AppendUint16(b, id)
	}
	return append(b, n.Payload...)
}

// publishSize is the remaining length of a QoS 1 PUBLISH.
func publishSize(topic string, payload []byte) int { return 2 + len(topic) + 2 + len(payload) }

func appendLength(b []byte, n int) []byte {
	for ; n >= 0x80; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

func appendPuback(b []byte, id uint16) []byte {
	return append(b, packets.Puback<<4, 2, byte(id>>8), byte(id))
}
