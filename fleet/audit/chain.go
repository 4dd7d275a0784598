package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"edged/fleet/strict"
	"edged/stored"
)

// ErrChain says that a line does not follow the one before.
var ErrChain = errors.New("audit: the chain is broken")

// Head is the end of a chain. The zero value is that of an empty one.
type Head struct {
	N    uint64            // how many entries there are
	Hash [sha256.Size]byte // of the last line
}

// String returns the number and the hash, as in 12:0a1b....
func (h Head) String() string { return fmt.Sprintf("%d:%x", h.N, h.Hash) }

// ParseHead reads what [Head.String] returns.
func ParseHead(text string) (Head, error) {
	number, hash, _ := strings.Cut(text, ":")
	n, err := strconv.ParseUint(number, 10, 64)
	b, err2 := hex.DecodeString(hash)
	if err != nil || err2 != nil || len(b) != sha256.Size {
		return Head{}, fmt.Errorf("audit: %.80q is no head: want NUMBER:SHA256", text)
	}
	if h := (Head{N: n, Hash: [sha256.Size]byte(b)}); h.String() == text {
		return h, nil
	}
	return Head{}, fmt.Errorf("audit: %.80q is no head: it is not written as heads are", text)
}

// Append moves the head behind a new entry and returns its line, which ends with a
// line feed. V, N and Prev are set here; texts that are too long are cut.
func (h *Head) Append(e Entry) []byte {
	e.bound()
	e.V, e.N, e.Prev = schema, h.N+1, hex.EncodeToString(h.Hash[:])
	line, err := strict.Encode(e)
	if err != nil || len(line) > LineBytesMax {
		panic(fmt.Sprintf("audit: an entry of bounded texts has %d bytes: %v", len(line), err))
	}
	h.N, h.Hash = e.N, sha256.Sum256(line)
	return append(line, '\n')
}

// Next returns the head behind a line, with or without its line feed, and what it
// says. An error wraps [ErrChain].
func (h Head) Next(line []byte) (Head, Entry, error) {
	line = bytes.TrimSuffix(line, []byte("\n"))
	e, err := parse(line)
	switch {
	case err != nil:
		return h, Entry{}, fmt.Errorf("%w after %d: %w", ErrChain, h.N, err)
	case e.N != h.N+1:
		return h, Entry{}, fmt.Errorf("%w after %d: the next line has number %d", ErrChain, h.N, e.N)
	case e.Prev != hex.EncodeToString(h.Hash[:]):
		return h, Entry{}, fmt.Errorf("%w after %d: line %d follows another one", ErrChain, h.N, e.N)
	}
	return Head{N: e.N, Hash: sha256.Sum256(line)}, e, nil
}

// Verify goes along the lines of an export and returns the head at its end; to
// be compared with one that came another way. The last line must be complete. On
// an error, which wraps [ErrChain], the head is where the chain is still sound.
func Verify(from Head, export []byte) (Head, error) {
	at := from
	for line := range bytes.Lines(export) {
		if !bytes.HasSuffix(line, []byte("\n")) {
			return at, fmt.Errorf("%w after %d: the last line is cut off", ErrChain, at.N)
		}
		next, _, err := at.Next(line)
		if err != nil {
			return at, err
		}
		at = next
	}
	return at, nil
}

// AppendBinary appends the head to a stored state.
func (h Head) AppendBinary(dst []byte) []byte {
	return append(binary.AppendUvarint(dst, h.N), h.Hash[:]...)
}

// ReadHead takes a head from a stored state.
func ReadHead(r *stored.Reader) Head {
	h := Head{N: r.Uvarint()}
	copy(h.Hash[:], r.Take(sha256.Size))
	return h
}
