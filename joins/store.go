package joins

import (
	"encoding/binary"
	"fmt"

	"edged"
	"edged/elements"
)

// store is what the states of all joins consist of: how far time has come, and
// the events of both sides that may still have a partner.
//
// As bytes it is the watermark as a signed varint, the left events and the right
// ones, see [elements.Buffer.AppendBinary].
type store struct {
	watermark edged.Timestamp
	sides     [sides]elements.Buffer
}

// storeBytes is about how much memory a state takes without its events.
const storeBytes = 160

// ended reports whether time has passed the last moment at which something can
// happen. At the end of the input everything has.
func (s *store) ended(last edged.Timestamp) bool {
	return s.watermark > last || s.watermark == edged.MaxTimestamp
}

// Open implements [State].
func (s *store) Open() int { return s.sides[leftSide].Len() + s.sides[rightSide].Len() }

// Bytes implements [State].
func (s *store) Bytes() int {
	return storeBytes + s.sides[leftSide].Bytes() + s.sides[rightSide].Bytes()
}

// AppendBinary implements [State].
func (s *store) AppendBinary(dst []byte) []byte {
	dst = binary.AppendVarint(dst, int64(s.watermark))
	dst = s.sides[leftSide].AppendBinary(dst)
	return s.sides[rightSide].AppendBinary(dst)
}

// Restore implements [State].
func (s *store) Restore(data []byte) ([]byte, error) {
	watermark, n := binary.Varint(data)
	if n <= 0 {
		return nil, fmt.Errorf("restore the watermark of a join: %w", ErrState)
	}
	restored := store{watermark: edged.Timestamp(watermark)}
	data = data[n:]
	for side := range restored.sides {
		b := &restored.sides[side]
		rest, err := b.Restore(data)
		if err != nil {
			return nil, fmt.Errorf("restore side %d of a join: %w: %w", side, ErrState, err)
		}
		for i := range b.Len() {
			if e := b.At(i); e.Mark > matched || (e.Stream == leftSide) != (side == leftSide) {
				return nil, fmt.Errorf("restore event %d of side %d of a join: stream %d, mark %d: %w", i, side, e.Stream, e.Mark, ErrState)
			}
		}
		data = rest
	}
	*s = restored
	return data, nil
}

// matched marks an element that has had a partner. Only elements that would be
// padded otherwise are marked.
const matched = 1

// full reports whether there is no room for one more event.
func (s *store) full(most int) bool {
	if most == 0 {
		most = EventsMaxDefault
	}
	return s.Open() >= most
}

// held returns the watermark less what rows may be behind it.
func (s *store) held(by int64) edged.Timestamp {
	if s.watermark == edged.MaxTimestamp {
		return s.watermark
	}
	return s.watermark.Add(-by)
}
