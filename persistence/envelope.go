package persistence

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/vmihailenco/msgpack/v5"

	"edged"
)

// An envelope is a value that is kept under a key of its own:
//
//	crc32c u32 · version u8 · head size uvarint · head (msgpack map) · body
//
// The checksum covers the key and all that follows it. msgpack is only ever
// given bytes whose checksum was right: it allocates what hostile bytes ask for.
const (
	envelopeVersion = 1
	envelopeHead    = 4 + 1
)

// appendEnvelope appends an envelope to dst. seed is the checksum of the key
// that it will be kept under.
func appendEnvelope(dst, head, body []byte, seed uint32) []byte {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0, envelopeVersion)
	dst = binary.AppendUvarint(dst, uint64(len(head)))
	dst = append(append(dst, head...), body...)
	binary.BigEndian.PutUint32(dst[start:], crc32.Update(seed, castagnoli, dst[start+4:]))
	return dst
}

// openEnvelope checks an envelope and returns its parts, which alias b.
func openEnvelope(b []byte, seed uint32) (head, body []byte, err error) {
	if len(b) < envelopeHead {
		return nil, nil, fmt.Errorf("%w: value of %d bytes is too short", ErrCorrupt, len(b))
	}
	if binary.BigEndian.Uint32(b) != crc32.Update(seed, castagnoli, b[4:]) {
		return nil, nil, fmt.Errorf("%w: checksum of value does not match", ErrCorrupt)
	}
	if b[4] != envelopeVersion {
		return nil, nil, fmt.Errorf("%w: value has version %d, want %d", ErrCorrupt, b[4], envelopeVersion)
	}
	size, n := binary.Uvarint(b[envelopeHead:])
	if n <= 0 || size > uint64(len(b)-envelopeHead-n) {
		return nil, nil, fmt.Errorf("%w: head of value reaches beyond it", ErrCorrupt)
	}
	rest := b[envelopeHead+n:]
	return rest[:size:size], rest[size:], nil
}

// snapshotHead is the head of a snapshot's envelope. The body is the state; the
// pipeline and the key are in the database key.
type snapshotHead struct {
	Generation uint64          `msgpack:"gen"`
	Seq        edged.Seq       `msgpack:"seq"`
	Active     edged.Timestamp `msgpack:"active"`
	Rung       uint16          `msgpack:"rung,omitempty"`
	Beats      edged.Known     `msgpack:"beats,omitempty"`
	Open       int64           `msgpack:"open"`
	Twin       bool            `msgpack:"twin"`
}

// deadLetter is a dead letter as its log keeps it.
type deadLetter struct {
	Seq      uint64 `msgpack:"seq"`
	Time     int64  `msgpack:"time"`
	Pipeline string `msgpack:"pipeline,omitempty"`
	Key      string `msgpack:"key,omitempty"`
	Topic    string `msgpack:"topic,omitempty"`
	Cause    string `msgpack:"cause"`
	Detail   string `msgpack:"detail,omitempty"`
	Payload  []byte `msgpack:"payload,omitempty"`
	Size     int64  `msgpack:"size"`
	Skip     bool   `msgpack:"skip,omitempty"`
}

func encodeDeadLetter(d *edged.DeadLetter) ([]byte, error) {
	return msgpack.Marshal(&deadLetter{
		Seq: uint64(d.Seq), Time: int64(d.Time), Pipeline: d.Pipeline, Key: d.Key, Topic: d.Topic,
		Cause: d.Cause, Detail: d.Detail, Payload: d.Payload, Size: int64(d.Size), Skip: d.Skip,
	})
}

// decodeDeadLetter decodes bytes of an intact frame.
func decodeDeadLetter(b []byte) (edged.DeadLetter, error) {
	var d deadLetter
	if err := msgpack.Unmarshal(b, &d); err != nil {
		return edged.DeadLetter{}, fmt.Errorf("%w: dead letter: %w", ErrCorrupt, err)
	}
	return edged.DeadLetter{
		Seq: edged.Seq(d.Seq), Time: edged.Timestamp(d.Time), Pipeline: d.Pipeline, Key: d.Key, Topic: d.Topic,
		Cause: d.Cause, Detail: d.Detail, Payload: d.Payload, Size: int(d.Size), Skip: d.Skip,
	}, nil
}
