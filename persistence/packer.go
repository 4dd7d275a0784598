package persistence

import (
	"encoding/binary"

	"edged"
)

// The tag of an item holds its kind, and says what is the same as in the item
// before it in the frame, and so is not repeated.
const (
	sameTopic   = 0x80
	sameTime    = 0x40
	sameArrival = 0x20
	hasDerived  = 0x10
	kindMask    = 0x0f
)

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
	lastItem
}

// lastItem is what an item may refer to of those before it in the frame. It
// starts empty.
type lastItem struct {
	topic   string
	time    int64
	arrival int64
	id      uint16
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
	p.buf, p.frames, p.lastItem = p.buf[:0], p.frames[:0], lastItem{}
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
		p.start, p.lastItem = len(p.buf), lastItem{}
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
	p.room(p.recordRoom(r))
	before := len(p.buf)
	tag := byte(r.Kind)
	if int64(r.Time) == p.time {
		tag |= sameTime
	}
	message := r.Kind == edged.MessageRecord || r.Kind == edged.AgainRecord
	if message && int64(r.Arrival) == p.arrival {
		tag |= sameArrival
	}
	if len(r.Derived) > 0 {
		tag |= hasDerived
	}
	if r.Kind == edged.TickRecord {
		p.buf = append(p.buf, tag)
	} else {
		p.appendTag(tag, r.Topic)
	}
	if tag&sameTime == 0 {
		p.buf = binary.AppendVarint(p.buf, int64(r.Time)-p.time)
		p.time = int64(r.Time)
	}
	if message {
		if tag&sameArrival == 0 {
			p.buf = binary.AppendVarint(p.buf, int64(r.Arrival)-p.arrival)
			p.arrival = int64(r.Arrival)
		}
		p.buf = binary.AppendVarint(p.buf, int64(int16(r.PacketID-p.id)))
		p.id = r.PacketID
	}
	if r.Kind != edged.TickRecord {
		p.appendBytes(r.Payload)
	}
	if addressed(r.Kind) {
		p.appendBytes([]byte(r.For))
		p.buf = binary.AppendUvarint(p.buf, uint64(r.Of))
	}
	if tag&hasDerived != 0 {
		p.appendBytes(r.Derived)
	}
	p.took(len(p.buf) - before)
}

// addressed reports whether records of a kind say for which pipeline they are.
func addressed(k edged.RecordKind) bool { return k == edged.HoldRecord || k == edged.AgainRecord }

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

// recordRoom returns what a record takes at most in the open frame.
func (p *packer) recordRoom(r *edged.Record) int {
	n := 1 + p.topicRoom(r.Topic) + binary.MaxVarintLen16 + binary.MaxVarintLen32 + len(r.Payload)
	if int64(r.Time) != p.time {
		n += binary.MaxVarintLen64
	}
	if int64(r.Arrival) != p.arrival {
		n += binary.MaxVarintLen64
	}
	if len(r.Derived) > 0 {
		n += binary.MaxVarintLen32 + len(r.Derived)
	}
	if addressed(r.Kind) {
		n += binary.MaxVarintLen32 + len(r.For) + binary.MaxVarintLen64
	}
	return n
}

func (p *packer) topicRoom(topic string) int {
	if topic == p.topic {
		return 0
	}
	return 3*binary.MaxVarintLen16 + len(topic)
}

// appendTag appends the tag and the topic, unless it repeats. Of a topic only
// the middle is written that the one before does not have: topics of a fleet
// differ in the name of the device.
func (p *packer) appendTag(tag byte, topic string) {
	if topic == p.topic {
		p.buf = append(p.buf, tag|sameTopic)
		return
	}
	head, tail := sharedEnds(p.topic, topic)
	p.buf = append(p.buf, tag)
	p.buf = binary.AppendUvarint(p.buf, uint64(head))
	p.buf = binary.AppendUvarint(p.buf, uint64(tail))
	middle := topic[head : len(topic)-tail]
	p.buf = binary.AppendUvarint(p.buf, uint64(len(middle)))
	p.buf = append(p.buf, middle...)
	p.topic = topic
}

// sharedEnds returns how many bytes a and b have in common at the start, and
// how many of the rest at the end.
func sharedEnds(a, b string) (head, tail int) {
	most := min(len(a), len(b))
	for head < most && a[head] == b[head] {
		head++
	}
	for tail < most-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	return head, tail
}

func (p *packer) appendBytes(b []byte) {
	p.buf = binary.AppendUvarint(p.buf, uint64(len(b)))
	p.buf = append(p.buf, b...)
}
