package watermark

import (
	"edged/stored"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"

	"edged"
)

// ErrState says that stored bytes are not the state of this package.
var ErrState = errors.New("malformed watermark state")

const (
	// LearnedAfter is the number of events after which a quantile of delays is
	// believed.
	LearnedAfter = 64

	// QuantileMax is the largest quantile that can be learned: above it the
	// memory of a few thousand delays holds no evidence.
	QuantileMax = 0.999

	// memory is the number of delays at which all counts are halved. Old delays
	// so weigh half of new ones for every memory/2 events, and what was rare and
	// long ago is forgotten.
	memory = 4096

	// delayBits sets the resolution: delays are whole numbers of DelayMax >> delayBits.
	delayBits = 16

	// buckets is one more than the bucket of the largest delay, 1<<delayBits units.
	buckets = exact + (delayBits-exactBits)*perOctave + 1

	exactBits = 3
	exact     = 1 << exactBits // delays below so many units have a bucket each
	perOctave = 4
)

// Clock is what a [Strategy] remembers of one key or source besides the
// watermark: nothing, and one pointer, unless it learns. The zero value is that
// of a key that has sent nothing.
type Clock struct {
	learned *delays
}

// delays counts how long after the newest event time events were lately, on a
// logarithmic scale: what is asked for is a quantile, and a delay that is a
// quarter too long does no harm. All of it is integers.
//
// Invariant: total is the sum of count, and from 1 to memory-1.
type delays struct {
	newest edged.Timestamp
	total  uint32
	count  [buckets]uint16
}

// observe notes an event and returns the newest event time and the delay by
// which the watermark should trail it.
func (c *Clock) observe(s *Strategy, t edged.Timestamp) (newest edged.Timestamp, delay int64) {
	if c.learned == nil {
		c.learned = &delays{newest: t}
	}
	d := c.learned
	d.newest = max(d.newest, t)
	d.add(bucketOf(min(d.newest.Sub(t), s.DelayMax), unit(s)))
	if d.total < LearnedAfter {
		return d.newest, s.DelayMax
	}
	learned := ceiling(d.quantile(permille(s.Quantile)), unit(s))
	return d.newest, min(max(learned, s.OutOfOrderness), s.DelayMax)
}

// add counts a delay, and forgets half of what it knows when that is much.
func (d *delays) add(bucket int) {
	d.count[bucket]++
	d.total++
	if d.total < memory {
		return
	}
	d.total = 0
	for i, n := range d.count {
		d.count[i] = n / 2
		d.total += uint32(n / 2)
	}
}

// quantile returns the lowest bucket up to which at least q per mille of the
// delays lie. It looks from above: as many as 1000-q per mille may be beyond.
func (d *delays) quantile(q uint32) int {
	beyond := d.total * (1000 - q) / 1000
	for i := buckets - 1; i > 0; i-- {
		n := uint32(d.count[i])
		if n > beyond {
			return i
		}
		beyond -= n
	}
	return 0
}

// permille turns a share into the integer that quantile computes with.
func permille(q float64) uint32 { return uint32(math.Round(q * 1000)) }

// unit returns the length in milliseconds that delays are multiples of.
func unit(s *Strategy) int64 { return (s.DelayMax-1)>>delayBits + 1 }

// bucketOf returns the bucket of a delay of at least 0, rounded up to whole units.
// The first buckets are one unit wide, the others a quarter of a power of two.
func bucketOf(delay, unit int64) int {
	u := uint64(delay / unit)
	if delay%unit > 0 {
		u++
	}
	if u < exact {
		return int(u)
	}
	octave := bits.Len64(u) - 1
	return min(exact+(octave-exactBits)*perOctave+int(u>>(octave-2)&3), buckets-1)
}

// ceiling returns the longest delay of a bucket.
func ceiling(bucket int, unit int64) int64 {
	if bucket < exact {
		return int64(bucket) * unit
	}
	octave, quarter := (bucket-exact)/perOctave+exactBits, (bucket-exact)%perOctave
	return (int64(5+quarter)<<(octave-2) - 1) * unit
}

// Bytes returns about how much memory the clock takes besides itself.
func (c *Clock) Bytes() int {
	if c.learned == nil {
		return 0
	}
	return 16 + 2*buckets
}

// AppendBinary appends the clock to dst: one byte if it has learned nothing.
// Otherwise the integers, all of them varints, are
//
//	total    number of delays
//	newest   signed
//	buckets  of each that is not empty, up to the total: its distance from the one before, and its count
//
// Equal clocks give equal bytes.
func (c *Clock) AppendBinary(dst []byte) []byte {
	if c.learned == nil {
		return append(dst, 0)
	}
	dst = binary.AppendUvarint(dst, uint64(c.learned.total))
	dst = binary.AppendVarint(dst, int64(c.learned.newest))
	before := 0
	for i, n := range c.learned.count {
		if n > 0 {
			dst = binary.AppendUvarint(dst, uint64(i-before))
			dst = binary.AppendUvarint(dst, uint64(n))
			before = i
		}
	}
	return dst
}

// Restore replaces the clock by one that AppendBinary wrote, and returns the
// bytes behind it. On an error, which wraps [ErrState], the clock is as it was.
func (c *Clock) Restore(data []byte) ([]byte, error) {
	r := stored.Reader{Data: data}
	total := r.Uvarint()
	if total == 0 && !r.Bad {
		c.learned = nil
		return r.Data, nil
	}
	d := &delays{newest: edged.Timestamp(r.Varint()), total: uint32(total)}
	at := uint64(0)
	for first := true; total > 0 && total < memory && !r.Bad; first = false {
		gap, n := r.Uvarint(), r.Uvarint()
		if gap >= buckets || at+gap >= buckets || n == 0 || n > total || gap == 0 && !first {
			break
		}
		at += gap
		d.count[at] = uint16(n)
		total -= n
	}
	if r.Bad || total != 0 {
		return nil, fmt.Errorf("restore learned delays: %w", ErrState)
	}
	c.learned = d
	return r.Data, nil
}
