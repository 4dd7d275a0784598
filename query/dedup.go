package query

import (
	"encoding/binary"
	"fmt"
	"slices"

	"edged"
)

// DedupEntriesDefault is how many identities a key remembers unless the plan
// says otherwise: 64 KiB a key at most.
const DedupEntriesDefault = 4096

// sighting is an event that was seen: 16 bytes, and no pointer for the
// garbage collector to follow.
type sighting struct {
	time     edged.Timestamp
	identity uint64
}

// compare orders sightings by time, then by identity.
func (s sighting) compare(r sighting) int {
	switch {
	case s.time < r.time || s.time == r.time && s.identity < r.identity:
		return -1
	case s == r:
		return 0
	}
	return 1
}

// sightings is a set of sightings as a sorted queue: a device's events arrive
// nearly in order, so that adding is mostly appending, and the oldest leave at
// the front. A map would cost three times the memory.
//
// Invariant: all[head:] is the set, in strictly ascending order.
type sightings struct {
	all  []sighting
	head int
}

// live returns the set in ascending order.
func (d *sightings) live() []sighting { return d.all[d.head:] }

// add puts s into the set and reports whether it was there already. At limit,
// the oldest sightings make room, which may be s itself; evicted counts them.
func (d *sightings) add(s sighting, limit int) (known bool, evicted int) {
	live := d.live()
	i := len(live)
	if i > 0 && live[i-1].compare(s) >= 0 {
		if i, known = slices.BinarySearchFunc(live, s, sighting.compare); known {
			return true, 0
		}
	}
	for len(live) >= limit {
		evicted++
		if i == 0 {
			return false, evicted
		}
		live, i = live[1:], i-1
		d.head++
	}
	d.reserve()
	d.all = slices.Insert(d.all, d.head+i, s)
	return false, evicted
}

// knows reports whether an event of the identity was seen, at whatever time.
func (d *sightings) knows(identity uint64) bool {
	return slices.ContainsFunc(d.live(), func(s sighting) bool { return s.identity == identity })
}

// forget drops the sightings before t.
func (d *sightings) forget(t edged.Timestamp) {
	for d.head < len(d.all) && d.all[d.head].time < t {
		d.head++
	}
	if d.head == len(d.all) {
		d.all, d.head = d.all[:0], 0
	}
}

// reserve makes room for one more: by moving the set to the front if an eighth
// of the memory is free there, so that a steady flow of events never allocates
// and moves every sighting only a few times, and else by growing it a little,
// for there are very many keys.
func (d *sightings) reserve() {
	if len(d.all) < cap(d.all) {
		return
	}
	live := d.live()
	if 8*d.head >= cap(d.all) && d.head > 0 {
		d.all = append(d.all[:0], live...)
	} else {
		d.all = append(make([]sighting, 0, len(live)+len(live)/4+3), live...)
	}
	d.head = 0
}

// appendBinary appends the set: its size, and of every sighting the time, as
// the distance from the one before and for the first from origin, and the
// identity in 8 bytes.
func (d *sightings) appendBinary(dst []byte, origin edged.Timestamp) []byte {
	live := d.live()
	dst = binary.AppendUvarint(dst, uint64(len(live)))
	for _, s := range live {
		dst = binary.AppendVarint(dst, int64(s.time)-int64(origin))
		dst = binary.LittleEndian.AppendUint64(dst, s.identity)
		origin = s.time
	}
	return dst
}

// restoreSightings reads what appendBinary wrote and returns the bytes behind it.
func restoreSightings(data []byte, origin edged.Timestamp) (d sightings, rest []byte, err error) {
	n, used := binary.Uvarint(data)
	if used <= 0 || n > uint64(len(data)-used)/9 {
		return d, nil, fmt.Errorf("restore the events seen: %w", ErrState)
	}
	data = data[used:]
	if n > 0 {
		d.all = make([]sighting, 0, n)
	}
	for i := range n {
		distance, used := binary.Varint(data)
		if used <= 0 || len(data)-used < 8 {
			return d, nil, fmt.Errorf("restore event %d of %d seen: %w", i, n, ErrState)
		}
		s := sighting{time: edged.Timestamp(int64(origin) + distance), identity: binary.LittleEndian.Uint64(data[used:])}
		if i > 0 && d.all[i-1].compare(s) >= 0 {
			return d, nil, fmt.Errorf("restore event %d of %d seen, which is out of order: %w", i, n, ErrState)
		}
		d.all = append(d.all, s)
		data, origin = data[used+8:], s.time
	}
	return d, data, nil
}
