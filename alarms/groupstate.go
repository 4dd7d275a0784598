package alarms

import (
	"encoding/binary"
	"fmt"
	"unsafe"

	"edged"
	"edged/anomaly"
)

// A group as bytes, all integers being varints:
//
//	flags     clock known, calm known, flood, parent
//	clock     signed, if known
//	calm      signed, if known
//	start     signed, and the severity, a byte; if there is a flood
//	ordinal, kept, suppressed
//	members   how many, and of each
//	  name      its length and bytes
//	  flags     active, kept, secret, news, closed
//	  raised    signed, if active
//	  severity  a byte
//	  news      if flagged, see appendChange
//	  closed    if flagged
const (
	groupClock = 1 << iota
	groupCalm
	groupFlood
	groupParent
	groupFlagsEnd
)

const (
	memberActive = 1 << iota
	memberKept
	memberSecret
	memberNews
	memberClosed
	memberFlagsEnd
)

// AppendBinary appends the canonical encoding: equal states, equal bytes.
func (g *Group) AppendBinary(dst []byte) []byte {
	dst = append(dst, flag(g.clock != noTime)*groupClock|flag(g.calm != noTime)*groupCalm|
		flag(g.flood)*groupFlood|flag(g.parent)*groupParent)
	if g.clock != noTime {
		dst = binary.AppendVarint(dst, int64(g.clock))
	}
	if g.calm != noTime {
		dst = binary.AppendVarint(dst, int64(g.calm))
	}
	if g.flood {
		dst = append(binary.AppendVarint(dst, int64(g.start)), byte(g.severity))
	}
	for _, n := range []uint32{g.ordinal, g.kept, g.suppressed} {
		dst = binary.AppendUvarint(dst, uint64(n))
	}
	dst = binary.AppendUvarint(dst, uint64(len(g.members)))
	for i := range g.members {
		dst = g.members[i].appendBinary(dst)
	}
	return dst
}

func (m *member) appendBinary(dst []byte) []byte {
	dst = appendText(dst, m.name)
	dst = append(dst, flag(m.active)*memberActive|flag(m.kept)*memberKept|flag(m.secret)*memberSecret|
		flag(m.news != nil)*memberNews|flag(m.closed != nil)*memberClosed)
	if m.active {
		dst = binary.AppendVarint(dst, int64(m.raised))
	}
	dst = append(dst, byte(m.severity))
	for _, c := range []*Change{m.news, m.closed} {
		if c != nil {
			dst = appendChange(dst, c)
		}
	}
	return dst
}

// Restore replaces the state by the one at the start of data, which a group of an equal
// spec wrote, and returns the bytes behind it. Any bytes are allowed: on an error,
// which wraps ErrState, the group is as it was.
func (g *Group) Restore(data []byte) (rest []byte, err error) {
	r := newReader(data)
	restored := g.spec.New()
	flags := r.flags(groupFlagsEnd)
	restored.flood, restored.parent = flags&groupFlood != 0, flags&groupParent != 0
	if flags&groupClock != 0 {
		restored.clock = r.time()
	}
	if flags&groupCalm != 0 {
		restored.calm = r.time()
	}
	if restored.flood {
		restored.start, restored.severity = r.time(), anomaly.Severity(r.Byte())
	}
	restored.ordinal, restored.kept, restored.suppressed = r.word32(), r.word32(), r.word32()
	if n := r.count(g.spec.MembersMax); n > 0 {
		restored.members = make([]member, n)
	}
	for i := range restored.members {
		if restored.members[i] = r.member(); r.Bad {
			break
		}
	}
	if r.Bad || !restored.possible() {
		return nil, fmt.Errorf("restore a group from %d bytes: %w", len(data), ErrState)
	}
	*g = restored
	return r.Data, nil
}

func (r *reader) member() member {
	m := member{name: r.Text(), raised: noTime}
	flags := r.flags(memberFlagsEnd)
	m.active, m.kept, m.secret = flags&memberActive != 0, flags&memberKept != 0, flags&memberSecret != 0
	if m.active {
		m.raised = r.time()
	}
	m.severity = anomaly.Severity(r.Byte())
	if flags&memberNews != 0 {
		m.news = r.change()
	}
	if flags&memberClosed != 0 {
		m.closed = r.change()
	}
	return m
}

// possible reports whether the parts of a state fit together.
func (g *Group) possible() bool {
	switch {
	case g.flood && (g.spec.FloodMin == 0 || g.ordinal == 0), g.parent && g.spec.Parent == "":
		return false
	case g.calm != noTime && (!g.flood || g.calm > g.clock), !g.holding() && (g.kept > 0 || g.suppressed > 0):
		return false
	}
	before := ""
	for i := range g.members {
		m := &g.members[i]
		switch {
		case m.name <= before && i > 0, g.spec.Parent != "" && m.name == g.spec.Parent, !m.active && !m.kept:
			return false
		case m.kept && !g.holding(), m.secret && m.news == nil, (m.news != nil || m.closed != nil) && !m.kept:
			return false
		}
		before = m.name
	}
	return true
}

// Bytes is the memory that the group holds, in bytes.
func (g *Group) Bytes() int {
	size := int(unsafe.Sizeof(*g)) + cap(g.members)*int(unsafe.Sizeof(member{}))
	for i := range g.members {
		m := &g.members[i]
		size += len(m.name)
		for _, c := range []*Change{m.news, m.closed} {
			if c != nil {
				size += int(unsafe.Sizeof(*c)) + len(c.By) + len(c.Note)
			}
		}
	}
	return size
}

// appendChange appends a change that was kept back: bytes, the counts, the times, two
// numbers of 8 bytes, the verdict, two texts.
func appendChange(dst []byte, c *Change) []byte {
	dst = append(dst, byte(c.Event), byte(c.State), byte(c.Ending), byte(c.Label), byte(c.Severity), flag(c.Historical))
	for _, n := range []uint32{c.Ordinal, c.Count, c.Suppressed} {
		dst = binary.AppendUvarint(dst, uint64(n))
	}
	for _, t := range []edged.Timestamp{c.Start, c.At, c.Now, c.Ended, c.PeakAt, c.Until} {
		dst = binary.AppendVarint(dst, int64(t))
	}
	dst = appendVerdict(appendFloat(appendFloat(dst, c.Value), c.Peak), &c.Verdict)
	return appendText(appendText(dst, c.By), c.Note)
}

// change reads what appendChange wrote.
func (r *reader) change() *Change {
	c := &Change{Event: Event(r.Byte()), State: Condition(r.Byte()), Ending: Ending(r.Byte()), Label: anomaly.Label(r.Byte())}
	c.Severity, c.Historical = anomaly.Severity(r.Byte()), r.Flag()
	c.Ordinal, c.Count, c.Suppressed = r.word32(), r.word32(), r.word32()
	for _, t := range []*edged.Timestamp{&c.Start, &c.At, &c.Now, &c.Ended, &c.PeakAt, &c.Until} {
		*t = edged.Timestamp(r.Varint())
	}
	c.Value, c.Peak = r.Float(), r.Float()
	c.Verdict = r.verdict()
	c.By, c.Note = r.Text(), r.Text()
	if c.Event >= events || c.State >= conditions || c.Ending >= endings || c.Label > anomaly.LabelFalse {
		r.Fail()
	}
	return c
}

// flags reads a byte that must be below end.
func (r *reader) flags(end byte) byte {
	b := r.Byte()
	if b >= end {
		r.Fail()
	}
	return b
}

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}
