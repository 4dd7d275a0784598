package alarms

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"unsafe"

	"edged"
	"edged/anomaly"
)

// An alarm as bytes, all integers being varints:
//
//	parts       bits: which of the following are there; the first ones are of quiet alarms
//	ordinal
//	newest      signed
//	history
//	since       signed
//	suppressed
//	occurrence  see occurrence.appendBinary
//	raises      how many, and each signed
//	shelf       signed
//	service     signed
const (
	partNewest = 1 << iota
	partHistory
	partSince
	partSuppressed
	partLast
	partHeld     // a flag: nothing follows
	partByDesign // a flag: nothing follows
	partRaises
	partShelf
	partService
	partsEnd
)

// parts says which parts of the state are there.
func (a *Alarm) parts() (parts uint64) {
	for _, p := range []struct {
		there bool
		bit   uint64
	}{
		{a.newest != noTime, partNewest}, {a.history != 0, partHistory}, {a.since != noTime, partSince},
		{a.suppressed != 0, partSuppressed}, {a.last != nil, partLast}, {a.held, partHeld}, {a.byDesign, partByDesign},
		{len(a.raises) > 0, partRaises}, {a.shelf != noTime, partShelf}, {a.service != noTime, partService},
	} {
		if p.there {
			parts |= p.bit
		}
	}
	return parts
}

// AppendBinary appends the canonical encoding: equal states, equal bytes.
func (a *Alarm) AppendBinary(dst []byte) []byte {
	parts := a.parts()
	dst = binary.AppendUvarint(dst, parts)
	dst = binary.AppendUvarint(dst, uint64(a.ordinal))
	if parts&partNewest != 0 {
		dst = binary.AppendVarint(dst, int64(a.newest))
	}
	if parts&partHistory != 0 {
		dst = binary.AppendUvarint(dst, a.history)
	}
	if parts&partSince != 0 {
		dst = binary.AppendVarint(dst, int64(a.since))
	}
	if parts&partSuppressed != 0 {
		dst = binary.AppendUvarint(dst, uint64(a.suppressed))
	}
	if parts&partLast != 0 {
		dst = a.last.appendBinary(dst)
	}
	if parts&partRaises != 0 {
		dst = binary.AppendUvarint(dst, uint64(len(a.raises)))
		for _, t := range a.raises {
			dst = binary.AppendVarint(dst, int64(t))
		}
	}
	if parts&partShelf != 0 {
		dst = binary.AppendVarint(dst, int64(a.shelf))
	}
	if parts&partService != 0 {
		dst = binary.AppendVarint(dst, int64(a.service))
	}
	return dst
}

// Restore replaces the state by the one at the start of data, which an alarm of an
// equal spec wrote, and returns the bytes behind it. Any bytes are allowed: on an
// error, which wraps ErrState, the alarm is as it was.
func (a *Alarm) Restore(data []byte) (rest []byte, err error) {
	r := newReader(data)
	parts := r.Uvarint()
	restored := a.spec.New()
	restored.ordinal = r.word32()
	if parts&partNewest != 0 {
		restored.newest = r.time()
	}
	if parts&partHistory != 0 {
		restored.history = r.Uvarint()
	}
	if parts&partSince != 0 {
		restored.since = r.time()
	}
	if parts&partSuppressed != 0 {
		restored.suppressed = r.word32()
	}
	if parts&partLast != 0 {
		restored.last = r.occurrence(restored.ordinal)
	}
	restored.held, restored.byDesign = parts&partHeld != 0, parts&partByDesign != 0
	if parts&partRaises != 0 {
		restored.raises = make([]edged.Timestamp, r.count(a.spec.BudgetMax))
		for i := range restored.raises {
			restored.raises[i] = r.time()
		}
	}
	if parts&partShelf != 0 {
		restored.shelf = r.time()
	}
	if parts&partService != 0 {
		restored.service = r.time()
	}
	if r.Bad || parts != restored.parts() || !restored.possible() {
		return nil, fmt.Errorf("restore an alarm from %d bytes: %w", len(data), ErrState)
	}
	*a = restored
	return r.Data, nil
}

// possible reports whether the parts of a state fit together.
func (a *Alarm) possible() bool {
	if bits.Len64(a.history) > a.spec.of() || a.held && a.since == noTime || a.since > a.newest {
		return false
	}
	quiet := a.history == 0 && a.since == noTime && !a.active()
	switch {
	case a.newest == noTime && !(quiet && a.last == nil && a.raises == nil && !a.byDesign):
		return false
	case a.byDesign && !(quiet && a.service == noTime):
		return false
	case a.service != noTime && !(quiet && a.present() == nil):
		return false
	}
	before := noTime
	for _, t := range a.raises {
		if t < before || t > a.newest {
			return false
		}
		before = t
	}
	return a.last == nil || a.last.possible(a)
}

// possible reports whether a has such an occurrence.
func (o *occurrence) possible(a *Alarm) bool {
	switch o.state {
	case Normal:
		if o.open {
			return false
		}
	case Unacknowledged, Acknowledged:
	case ReturnedUnacknowledged:
		if a.spec.Latch || !a.spec.Acknowledge {
			return false
		}
	case LatchedUnacknowledged, LatchedAcknowledged:
		if !a.spec.Latch {
			return false
		}
	default:
		return false
	}
	return o.ordinal > 0 && o.count > 0 && o.ending < endings && o.label <= anomaly.LabelFalse &&
		o.state.Active() == (o.ending == EndingNone) && o.state.Active() == (o.rested == noTime) &&
		o.rested <= a.newest && o.raised <= a.newest && o.told <= a.newest &&
		(o.open || o.state == Normal || a.shelf != noTime)
}

// Bytes is the memory that the alarm holds, in bytes.
func (a *Alarm) Bytes() int {
	size := int(unsafe.Sizeof(*a)) + cap(a.raises)*int(unsafe.Sizeof(noTime))
	if a.last != nil {
		size += int(unsafe.Sizeof(*a.last))
	}
	return size
}
