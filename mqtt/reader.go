package mqtt

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

const (
	chunkBytes  = 64 << 10
	readLeast   = 4 << 10 // a chunk with less room than this is left behind
	sampleBytes = 4 << 10 // of an oversize payload
)

// reader cuts a byte stream into frames. Frames lie in a chunk, and payloads
// that were handed out go on lying there, so a chunk from which something was
// lent is never written over: when it is full a fresh one takes its place, and
// the garbage collector frees the old one after the last payload.
type reader struct {
	src io.Reader
	max int // largest body that is taken whole

	chunk []byte
	r, w  int  // Invariant: 0 <= r <= w <= len(chunk); chunk[r:w] is unread
	lent  bool // somebody keeps parts of chunk[:r]
	need  int  // bytes from r that the frame at r wants; 0 when not known
	skip  int  // bytes of an oversize body still to be thrown away
}

func newReader(src io.Reader, max int) *reader { return &reader{src: src, max: max} }

// fill reads once. full says that the read took all the room there was, so more
// bytes are probably waiting.
func (rd *reader) fill() (full bool, err error) {
	rd.makeRoom()
	n, err := rd.src.Read(rd.chunk[rd.w:])
	rd.w += n
	if n > 0 {
		return rd.w == len(rd.chunk), nil // an error will come again
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return false, err
}

// partial says that the chunk ends within a frame.
func (rd *reader) partial() bool { return rd.w > rd.r || rd.skip > 0 }

// next returns the next whole frame; ok is false when more bytes are needed. The
// body of a PUBLISH above the limit is cut to its head and a sample.
func (rd *reader) next() (f frame, ok bool, err error) {
	rd.discard()
	b := rd.chunk[rd.r:rd.w]
	h, err := parseHeader(b)
	if err != nil || h.length == 0 {
		rd.need = 0
		return frame{}, false, err
	}
	want, oversize := h.remaining, h.remaining > rd.max
	if oversize {
		if want, err = oversizeHead(h, b[h.length:]); err != nil {
			return frame{}, false, err
		}
	}
	end := h.length + want
	if rd.need = end; end > len(b) {
		return frame{}, false, nil
	}
	rd.need = 0
	rd.r += end
	rd.skip = h.remaining - want
	return frame{first: h.first, body: b[h.length:end:end], size: h.remaining, oversize: oversize}, true, nil
}

// lend says that the caller keeps parts of frames that next has returned.
func (rd *reader) lend() { rd.lent = true }

// discard throws away what is here of an oversize body.
func (rd *reader) discard() {
	n := min(rd.skip, rd.w-rd.r)
	rd.r += n
	rd.skip -= n
}

// oversizeHead returns how much of an oversize PUBLISH is wanted: topic, packet
// id and a sample. Without the topic's length it is as much as shows that.
func oversizeHead(h header, body []byte) (int, error) {
	if h.first>>4 != packets.Publish {
		return 0, fmt.Errorf("%w: packet type %d of %d bytes", ErrProtocol, h.first>>4, h.remaining)
	}
	if len(body) < 2 {
		return 2, nil
	}
	return min(h.remaining, 2+int(binary.BigEndian.Uint16(body))+2+sampleBytes), nil
}

// makeRoom sees to it that the frame at r fits behind it, and that a read is
// worth its system call.
func (rd *reader) makeRoom() {
	if rd.r == rd.w && !rd.lent {
		rd.r, rd.w = 0, 0
	}
	pending := rd.w - rd.r
	want := max(rd.need-pending, readLeast)
	if len(rd.chunk)-rd.w >= want {
		return
	}
	old := rd.chunk[rd.r:rd.w]
	if size := pending + want; rd.lent || size > len(rd.chunk) || len(rd.chunk) > chunkBytes && size <= chunkBytes {
		rd.chunk = make([]byte, max(chunkBytes, size))
		rd.lent = false
	}
	copy(rd.chunk, old)
	rd.r, rd.w = 0, pending
}
