package persistence

import (
	"encoding/binary"

	"edged"
)

// sameTopic is set in an item's tag when its topic is the one of the item
// before it in the frame and is not repeated.
const sameTopic = 0x80

// packer packs items into frames, log by log. The frames of all logs stay valid
// until reset, because bbolt keeps references to values until it has committed.
type packer struct {
	buf    []byte
	frames []packed

	// the log that is being packed
	kind frameKind
	seed uint32
	next uint64 // number of the next item
	base uint64 // weight of all items before the next one

	// the frame that is being filled
	start int // its offset in buf
	open  frame
	topic string
	time  int64
}

// packed is a finished frame.
type packed struct {
	first uint64
	base  uint64
	value []byte
}

// packerKeep is the size of the buffer that is kept from commit to commit.
const packerKeep = 1 << 20

// reset forgets all frames, and lets a buffer go that one huge commit needed.
func (p *packer) reset() {
	if cap(p.buf) > packerKeep {
		p.buf = nil
	}
	clear(p.frames)
	p.buf, p.frames, p.topic = p.buf[:0], p.frames[:0], ""
}

// begin starts the frames of a log behind what the log already holds.
func (p *packer) begin(kind frameKind, l *log) {
	clear(p.frames)
	p.frames = p.frames[:0]
	p.kind, p.seed, p.next, p.base = kind, checksum([]byte(l.name)), l.Last+1, l.Weight
}

// room makes sure that an item of at most n bytes fits: into the open frame if
// that does not grow beyond frameMax, else into a new one.
func (p *packer) room(n int) {
	if p.open.count > 0 && len(p.buf)-p.start+n+frameTail > frameMax {
		p.seal()
	}
	if p.open.count == 0 {
		p.start, p.topic, p.time = len(p.buf), "", 0
		p.open = frame{first: p.next, base: p.base}
		p.buf = append(p.buf, make([]byte, frameHead)...)
	}
}

// took counts an item that was appended, of the given weight.
func (p *packer) took(weight int) {
	p.open.count++
	p.next++
	p.base += uint64(weight)
}

// seal finishes the open frame, if there is one.
func (p *packer) seal() {
	if p.open.count == 0 {
		return
	}
	p.buf = sealFrame(p.buf, p.start, p.kind, p.open, p.seed)
	value := p.buf[p.start:len(p.buf):len(p.buf)]
	p.frames = append(p.frames, packed{first: p.open.first, base: p.open.base, value: value})
	p.open = frame{}
}

// record appends a record. It weighs what it takes on disk.
func (p *packer) record(r *edged.Record) {
	p.room(1 + binary.MaxVarintLen64 + 3 + p.topicRoom(r.Topic) + binary.MaxVarintLen32 + len(r.Payload))
	before := len(p.buf)
	p.appendTag(byte(r.Kind), r.Topic)
	p.buf = binary.AppendVarint(p.buf, int64(r.Time)-p.time)
	p.time = int64(r.Time)
	if r.Kind == edged.MessageRecord {
		p.buf = binary.AppendUvarint(p.buf, uint64(r.PacketID))
		p.appendBytes(r.Payload)
	}
	p.took(len(p.buf) - before)
}

// row appends a row of the outbox. It weighs what its payload does.
func (p *packer) row(r *edged.Row) {
	p.room(1 + p.topicRoom(r.Topic) + binary.MaxVarintLen32 + len(r.Payload))
	p.appendTag(0, r.Topic)
	p.appendBytes(r.Payload)
	p.took(len(r.Payload))
}

// blob appends a dead letter that is encoded already.
func (p *packer) blob(b []byte) {
	p.room(binary.MaxVarintLen32 + len(b))
	p.appendBytes(b)
	p.took(len(b))
}

func (p *packer) topicRoom(topic string) int {
	if topic == p.topic && p.open.count > 0 {
		return 0
	}
	return binary.MaxVarintLen32 + len(topic)
}

// appendTag appends the tag and the topic, unless it repeats. A frame starts
// with the empty topic.
func (p *packer) appendTag(tag byte, topic string) {
	if topic == p.topic {
		p.buf = append(p.buf, tag|sameTopic)
		return
	}
	p.topic = topic
	p.buf = append(p.buf, tag)
	p.buf = binary.AppendUvarint(p.buf, uint64(len(topic)))
	p.buf = append(p.buf, topic...)
}

func (p *packer) appendBytes(b []byte) {
	p.buf = binary.AppendUvarint(p.buf, uint64(len(b)))
	p.buf = append(p.buf, b...)
}
