package command

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"edged/fleet/audit"
	"edged/fleet/protocol"
	"edged/fleet/trust"
	"edged/stored"
)

// ErrState says that stored bytes are not the state of a guard.
var ErrState = errors.New("command: the stored state is damaged, or of a newer version")

// The versions of the stored state. The second one has the identity behind the rest; it is
// used only when there is something to say, so that older programs can read the first.
const (
	layout         = 1
	layoutIdentity = 2
)

// AppendBinary appends the durable state. Equal histories give equal bytes.
//
//	layout 1; keyring's envelope; audit head; desired: version, refresh, hash;
//	floor: time, number, key; windows: key, highest, 1,024 bits; records: id, hash,
//	issuer, op, phase, begun, code, message, result, lost
//	layout 2: the same, and adoption; rivals: instance, session, adoption, alive
func (g *Guard) AppendBinary(dst []byte) []byte {
	doubts := g.identity.adoption > 0 || len(g.identity.rivals) > 0
	if doubts {
		dst = append(dst, layoutIdentity)
	} else {
		dst = append(dst, layout)
	}
	dst = appendText(dst, string(g.ring.Envelope()))
	dst = g.head.AppendBinary(dst)
	dst = binary.AppendUvarint(dst, g.desired.version)
	dst = binary.AppendUvarint(dst, g.desired.refresh)
	dst = append(dst, g.desired.digest[:]...)
	dst = binary.AppendVarint(dst, g.floor.time)
	dst = binary.AppendUvarint(dst, g.floor.number)
	dst = appendText(dst, string(g.floor.key))
	dst = binary.AppendUvarint(dst, uint64(len(g.windows)))
	for _, id := range slices.Sorted(maps.Keys(g.windows)) {
		dst = appendText(dst, string(id))
		dst = g.windows[id].append(dst)
	}
	dst = binary.AppendUvarint(dst, uint64(len(g.records.order)))
	for _, r := range g.records.order {
		dst = r.append(dst)
	}
	if doubts {
		dst = g.appendIdentity(dst)
	}
	return dst
}

func appendText(dst []byte, text string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(text))), text...)
}

func appendFlag(dst []byte, flag bool) []byte {
	if flag {
		return append(dst, 1)
	}
	return append(dst, 0)
}

func (w *window) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, w.highest)
	for _, word := range w.used {
		dst = binary.LittleEndian.AppendUint64(dst, word)
	}
	return dst
}

func (r *record) append(dst []byte) []byte {
	dst = appendText(dst, string(r.id))
	dst = append(dst, r.digest[:]...)
	dst = appendText(dst, string(r.issuer))
	dst = appendText(dst, r.op)
	dst = append(dst, byte(r.phase))
	dst = appendFlag(dst, r.begun)
	dst = appendText(dst, string(r.code))
	dst = appendText(dst, r.message)
	dst = appendText(dst, string(r.result))
	return appendFlag(dst, r.lost)
}

// Restore returns the guard whose state was stored, or a new one if there is none.
// Commands that were not finished end here, and the effects say so: what was
// started is interrupted, and does not run again. An error wraps [ErrState], unless
// the config is at fault. A guard without its state trusts the pinned root only, and
// believes no key before it has quoted a nonce; but it would take an old keyring.
func Restore(cfg Config, data []byte, at Moment) (*Guard, Effects, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, Effects{}, err
	}
	g := &Guard{
		cfg: cfg, ring: cfg.Pinned, windows: map[trust.KeyID]*window{}, records: ledger{byID: map[protocol.ID]*record{}},
		rates: map[trust.KeyID]*rates{}, counts: map[string]uint64{}, summed: at.Now,
	}
	if len(data) == 0 {
		return g, Effects{Code: protocol.OK}, nil
	}
	if err := g.restore(data); err != nil {
		return nil, Effects{}, err
	}
	return g, g.recover(at), nil
}

// restore reads what AppendBinary has written.
func (g *Guard) restore(data []byte) error {
	r := stored.Reader{Data: data}
	version := r.Byte()
	if version != layout && version != layoutIdentity {
		return fmt.Errorf("%w: layout %d, this program knows %d and %d", ErrState, version, layout, layoutIdentity)
	}
	ring, err := g.cfg.Pinned.Restore(r.Sized())
	if err != nil {
		return fmt.Errorf("%w: keyring: %w", ErrState, err)
	}
	g.ring = ring
	g.head = audit.ReadHead(&r)
	g.desired.version, g.desired.refresh = r.Uvarint(), r.Uvarint()
	copy(g.desired.digest[:], r.Take(sha256.Size))
	g.floor = floor{time: r.Varint(), number: r.Uvarint(), key: trust.KeyID(r.Text())}
	g.readWindows(&r)
	g.readRecords(&r)
	if version == layoutIdentity {
		g.readIdentity(&r)
	}
	if len(r.Data) > 0 {
		r.Fail()
	}
	if r.Bad {
		return fmt.Errorf("%w: %d bytes", ErrState, len(data))
	}
	return nil
}

func (g *Guard) readWindows(r *stored.Reader) {
	n, last := r.Uvarint(), trust.KeyID("")
	for range min(n, trust.KeysMax+1) {
		id := trust.KeyID(r.Text())
		w := &window{highest: r.Uvarint()}
		for i := range w.used {
			if word := r.Take(8); len(word) == 8 {
				w.used[i] = binary.LittleEndian.Uint64(word)
			}
		}
		if _, listed := g.ring.Key(id); !listed || id <= last || n > trust.KeysMax || w.highest == 0 || w.highest > trust.NumberMax {
			r.Fail()
			return
		}
		g.windows[id], last = w, id
	}
}

func (g *Guard) readRecords(r *stored.Reader) {
	n := r.Uvarint()
	if n > recordsLimit {
		r.Fail()
	}
	for i := uint64(0); i < n && !r.Bad; i++ {
		rec := &record{id: protocol.ID(r.Text())}
		copy(rec.digest[:], r.Take(sha256.Size))
		rec.issuer, rec.op, rec.phase = trust.KeyID(r.Text()), r.Text(), phase(r.Byte())
		rec.begun, rec.code, rec.message, rec.result, rec.lost = r.Flag(), protocol.Code(r.Text()), r.Text(), slices.Clone(r.Sized()), r.Flag()
		if g.records.byID[rec.id] != nil || !rec.sound() {
			r.Fail()
			return
		}
		g.records.order = append(g.records.order, rec)
		g.records.byID[rec.id] = rec
	}
}

// sound reports whether a record that was read can have been written.
func (r *record) sound() bool {
	if len(r.result) == 0 {
		r.result = nil
	}
	return r.id.Check() == nil && r.issuer.Check() == nil && r.phase < phases && r.code.Check() == nil &&
		len(r.message) <= messageBytesMax && (r.result == nil || json.Valid(r.result))
}
