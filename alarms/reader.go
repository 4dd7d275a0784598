package alarms

import (
	"encoding/binary"
	"math"

	"edged"
	"edged/anomaly"
	"edged/stored"
)

// reader reads what alarms and groups have in common.
type reader struct{ stored.Reader }

func newReader(data []byte) *reader { return &reader{stored.Reader{Data: data}} }

// time reads a time that is known.
func (r *reader) time() edged.Timestamp {
	t := edged.Timestamp(r.Varint())
	if t == noTime {
		r.Fail()
	}
	return t
}

// word32 reads a number of 32 bits.
func (r *reader) word32() uint32 {
	n := r.Uvarint()
	if n > math.MaxUint32 {
		r.Fail()
		return 0
	}
	return uint32(n)
}

// count reads how many there are, which is at most most and not more than there can be.
func (r *reader) count(most int) int {
	n := r.Uvarint()
	if n > uint64(most) || n > uint64(len(r.Data)) {
		r.Fail()
		return 0
	}
	return int(n)
}

func appendFloat(dst []byte, f float64) []byte {
	return binary.LittleEndian.AppendUint64(dst, math.Float64bits(f))
}

// appendBinary appends the occurrence, but for its ordinal, which is that of the alarm:
// four bytes, times as signed and counts as unsigned varints, numbers as 8 bytes.
func (o *occurrence) appendBinary(dst []byte) []byte {
	dst = append(dst, byte(o.state), byte(o.ending), byte(o.label), flag(o.open))
	for _, t := range []edged.Timestamp{o.start, o.raised, o.told, o.peakAt} {
		dst = binary.AppendVarint(dst, int64(t))
	}
	if o.ending != EndingNone {
		dst = binary.AppendVarint(dst, int64(o.ended))
		dst = binary.AppendVarint(dst, int64(o.rested))
	}
	dst = binary.AppendUvarint(dst, uint64(o.count))
	dst = appendFloat(appendFloat(dst, o.peak), o.value)
	return appendVerdict(dst, &o.verdict)
}

// occurrence reads what appendBinary of an occurrence wrote.
func (r *reader) occurrence(ordinal uint32) *occurrence {
	o := &occurrence{ordinal: ordinal, rested: noTime}
	o.state, o.ending, o.label, o.open = Condition(r.Byte()), Ending(r.Byte()), anomaly.Label(r.Byte()), r.Flag()
	o.start, o.raised, o.told, o.peakAt = r.time(), r.time(), r.time(), r.time()
	if o.ending != EndingNone {
		o.ended, o.rested = r.time(), r.time()
	}
	o.count = r.word32()
	o.peak, o.value = r.Float(), r.Float()
	o.verdict = r.verdict()
	return o
}

// appendVerdict appends a verdict: bytes, a varint each for span and count, and 8 bytes
// for each number, and the evidence if there is any.
func appendVerdict(dst []byte, v *anomaly.Verdict) []byte {
	why := &v.Reason
	flags := flag(v.Alarm) | flag(v.Warm)<<1 | flag(v.HasRange)<<2 | flag(why.Below)<<3 | flag(!v.Evidence.Empty())<<4
	dst = append(dst, byte(v.Level), byte(v.Severity), flags, byte(why.Cause), byte(why.View))
	dst = binary.AppendVarint(dst, why.Span)
	dst = binary.AppendVarint(dst, int64(why.Count))
	for _, f := range []float64{v.Score, v.Low, v.High, why.Excess} {
		dst = appendFloat(dst, f)
	}
	if !v.Evidence.Empty() {
		dst = v.Evidence.AppendBinary(dst)
	}
	return dst
}

// verdict reads what appendVerdict wrote. All numbers are sound: whose verdict it is
// is not known here.
func (r *reader) verdict() (v anomaly.Verdict) {
	why := &v.Reason
	v.Level, v.Severity = anomaly.Level(r.Byte()), anomaly.Severity(r.Byte())
	flags := r.Byte()
	if flags >= 1<<5 {
		r.Fail()
	}
	v.Alarm, v.Warm, v.HasRange, why.Below = flags&1 != 0, flags&2 != 0, flags&4 != 0, flags&8 != 0
	why.Cause, why.View = anomaly.Cause(r.Byte()), anomaly.View(r.Byte())
	why.Span = r.Varint()
	count := r.Varint()
	if count != int64(int32(count)) {
		r.Fail()
	}
	why.Count = int32(count)
	v.Score, v.Low, v.High, why.Excess = r.Float(), r.Float(), r.Float(), r.Float()
	if flags&16 != 0 {
		rest, err := v.Evidence.Restore(r.Data)
		if r.Data = rest; err != nil || v.Evidence.Empty() {
			r.Fail()
		}
	}
	return v
}

// flag returns 1 for true.
func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}
