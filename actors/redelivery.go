package actors

import (
	"edged"

	"github.com/cespare/xxhash/v2"
)

// redelivery recognises messages that the transport delivers again. A packet id
// is stable over redeliveries but is reused later, so it identifies a message
// only together with the content and the transport's word that this may be a
// repeat: a message with Dup unset is always new; one with Dup set is a repeat
// when its id last carried the same content.
//
// The table is rebuilt from the journal, so it needs no storage of its own. It
// is kept in pages, because a broker with a small window uses few ids at a time.
type redelivery struct {
	pages [256]*[256]uint64
}

// digest returns the content hash of a message, never 0.
func digest(topic string, payload []byte) uint64 {
	var d xxhash.Digest
	d.Reset()
	d.WriteString(topic)
	d.Write([]byte{0})
	d.Write(payload)
	return d.Sum64() | 1
}

// repeats reports whether the message has been recorded before. If not it is
// recorded.
func (r *redelivery) repeats(m *edged.Message) bool {
	if m.PacketID == 0 {
		return false
	}
	sum := digest(m.Topic, m.Payload)
	if m.Dup {
		if page := r.pages[m.PacketID>>8]; page != nil && page[m.PacketID&255] == sum {
			return true
		}
	}
	r.record(m.PacketID, sum)
	return false
}

func (r *redelivery) record(id uint16, sum uint64) {
	page := r.pages[id>>8]
	if page == nil {
		page = new([256]uint64)
		r.pages[id>>8] = page
	}
	page[id&255] = sum
}

// reset forgets everything: the transport started a new session.
func (r *redelivery) reset() { clear(r.pages[:]) }
