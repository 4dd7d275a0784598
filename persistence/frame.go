package persistence

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// A frame is the value that a log keeps under one key: some consecutive items
// and a checksum over all of it.
//
//	version u8 · kind u8 · count u16 · first u64 · base u64 · items · crc32c u32
//
// Frames of version 1 are still read. Their items have no more than a kind and a
// repeated topic in their tags.
const (
	frameVersion    = 2
	frameVersionMin = 1

	frameHead = 1 + 1 + 2 + 8 + 8
	frameTail = 4

	// frameMax is the size up to which a frame takes another item. bbolt puts
	// two values on a leaf when they are large; two of these, with their keys
	// and the headers of bbolt, fill two 4 KiB pages to the last byte.
	frameMax = 4064
)

// frameKind tells what the items of a frame are.
type frameKind uint8

const (
	recordFrame     frameKind = 1
	rowFrame        frameKind = 2
	deadLetterFrame frameKind = 3
)

// castagnoli is the polynomial of every checksum on disk.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum of a name starts the checksums of everything stored under it, so
// that intact bytes in a wrong place do not pass.
func checksum(name []byte) uint32 { return crc32.Checksum(name, castagnoli) }

// frame is an intact frame whose items are not decoded yet.
type frame struct {
	version byte
	first   uint64 // number of the first item
	base    uint64 // weight of all items of the log before this frame
	count   int
	items   []byte
}

// last returns the number of the last item.
func (f frame) last() uint64 { return f.first + uint64(f.count) - 1 }

// sealFrame finishes the frame that fills buf from start on: it writes the head,
// for which there is room, and appends the checksum. seed is the checksum of
// the log's name.
func sealFrame(buf []byte, start int, kind frameKind, f frame, seed uint32) []byte {
	b := buf[start:]
	b[0], b[1] = frameVersion, byte(kind)
	binary.BigEndian.PutUint16(b[2:], uint16(f.count))
	binary.BigEndian.PutUint64(b[4:], f.first)
	binary.BigEndian.PutUint64(b[12:], f.base)
	return binary.BigEndian.AppendUint32(buf, crc32.Update(seed, castagnoli, b))
}

// openFrame checks a frame and returns its parts, which alias b.
func openFrame(b []byte, kind frameKind, seed uint32) (frame, error) {
	if len(b) < frameHead+frameTail {
		return frame{}, fmt.Errorf("%w: frame of %d bytes is too short", ErrCorrupt, len(b))
	}
	body := b[:len(b)-frameTail]
	if sum := binary.BigEndian.Uint32(b[len(body):]); sum != crc32.Update(seed, castagnoli, body) {
		return frame{}, fmt.Errorf("%w: checksum of frame does not match", ErrCorrupt)
	}
	if body[0] < frameVersionMin || body[0] > frameVersion {
		return frame{}, fmt.Errorf("%w: frame has version %d, this program reads %d to %d: use a program that fits", ErrCorrupt, body[0], frameVersionMin, frameVersion)
	}
	if body[1] != byte(kind) {
		return frame{}, fmt.Errorf("%w: frame has kind %d, want %d", ErrCorrupt, body[1], kind)
	}
	f := frame{
		version: body[0],
		count:   int(binary.BigEndian.Uint16(body[2:])),
		first:   binary.BigEndian.Uint64(body[4:]),
		base:    binary.BigEndian.Uint64(body[12:]),
		items:   body[frameHead:],
	}
	if f.count == 0 || f.first == 0 || f.last() < f.first {
		return frame{}, fmt.Errorf("%w: frame holds %d items from %d", ErrCorrupt, f.count, f.first)
	}
	return f, nil
}
