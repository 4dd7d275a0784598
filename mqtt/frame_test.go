package mqtt

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

var seedFlag = flag.Uint64("seed", 0, "seed of the random tests; 0 chooses one")

func newRand(t testing.TB) *rand.Rand {
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-seed=%d", seed)
	return rand.New(rand.NewPCG(seed, 1))
}

// drip is a reader that returns the stream in pieces of random size.
type drip struct {
	data []byte
	rnd  *rand.Rand
	most int
}

func (d *drip) Read(p []byte) (int, error) {
	if len(d.data) == 0 {
		return 0, io.EOF
	}
	n := copy(p, d.data[:min(len(d.data), 1+d.rnd.IntN(d.most))])
	d.data = d.data[n:]
	return n, nil
}

// seen is what a reader made of a PUBLISH.
type seen struct {
	topic, payload string
	id             uint16
	dup            bool
	size           int
}

// readAll collects everything that the reader cuts out of src. It converts at
// the end, so that a chunk that is written over while lent would show.
func readAll(t *testing.T, src io.Reader, max int) []seen {
	t.Helper()
	rd := newReader(src, max)
	type raw struct {
		p    publish
		size int
	}
	var raws []raw
	for {
		f, ok, err := rd.next()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			if _, err := rd.fill(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			continue
		}
		p, err := parsePublish(f)
		if err != nil {
			t.Fatal(err)
		}
		if f.oversize {
			p.topic, p.payload = bytes.Clone(p.topic), bytes.Clone(p.payload)
		} else {
			rd.lend()
		}
		raws = append(raws, raw{p, f.size - len(f.body) + len(p.payload)})
	}
	if rd.partial() {
		t.Error("bytes are left over")
	}
	var out []seen
	for _, r := range raws {
		out = append(out, seen{string(r.p.topic), string(r.p.payload), r.p.id, r.p.dup, r.size})
	}
	return out
}

// TestReaderAgreesWithPaho writes random packets with the codec of the paho
// module, cuts the stream anywhere, and expects to read the same.
func TestReaderAgreesWithPaho(t *testing.T) {
	rnd := newRand(t)
	for round := range 25 {
		limit := 1000 + rnd.IntN(200_000)
		var stream bytes.Buffer
		var want []seen
		for range rnd.IntN(100) {
			p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
			p.TopicName = strings.Repeat("t/", 1+rnd.IntN(100))
			p.Payload = make([]byte, rnd.IntN(1<<rnd.IntN(18)))
			for i := range p.Payload {
				p.Payload[i] = byte(rnd.Uint32())
			}
			if p.Qos = byte(rnd.IntN(2)); p.Qos == 1 {
				p.MessageID, p.Dup = uint16(1+rnd.IntN(65535)), rnd.IntN(2) == 0
			}
			before := stream.Len()
			if err := p.Write(&stream); err != nil {
				t.Fatal(err)
			}
			s := seen{p.TopicName, string(p.Payload), p.MessageID, p.Dup, len(p.Payload)}
			body := 2 + len(p.TopicName) + 2*int(p.Qos) + len(p.Payload)
			if body > limit {
				head := 2 + len(p.TopicName) + 2*int(p.Qos)
				s.payload = s.payload[:min(len(s.payload), 2+len(p.TopicName)+2+sampleBytes-head)]
			}
			if stream.Len() <= before {
				t.Fatal("nothing written")
			}
			want = append(want, s)
		}
		got := readAll(t, &drip{stream.Bytes(), rnd, 1 + rnd.IntN(100_000)}, limit)
		if len(got) != len(want) {
			t.Fatalf("round %d: %d messages, want %d", round, len(got), len(want))
		}
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("round %d, message %d: size %d id %d, want size %d id %d (payload of %d bytes, want %d)",
					round, i, got[i].size, got[i].id, want[i].size, want[i].id, len(got[i].payload), len(want[i].payload))
			}
		}
	}
}

// TestAppendAgreesWithPaho reads our packets with the codec of the paho module.
func TestAppendAgreesWithPaho(t *testing.T) {
	for _, size := range []int{0, 1, 100, 120, 127, 128, 16_380, 16_384, 2_100_000} {
		payload := bytes.Repeat([]byte{7}, size)
		b := appendPublish(nil, 513, "a/b", payload)
		cp, err := packets.ReadPacket(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		p := cp.(*packets.PublishPacket)
		if p.TopicName != "a/b" || p.MessageID != 513 || p.Qos != 1 || p.Dup || p.Retain || !bytes.Equal(p.Payload, payload) {
			t.Errorf("payload of %d bytes came back as %v", size, p)
		}
	}
	cp, err := packets.ReadPacket(bytes.NewReader(appendPuback(nil, 0xABCD)))
	if err != nil || cp.Details().MessageID != 0xABCD {
		t.Errorf("PUBACK: %v, %v", cp, err)
	}
}

func TestMalformed(t *testing.T) {
	for name, in := range map[string]string{
		"length of five bytes":   "30ffffffff01",
		"no topic":               "3001" + "00",
		"topic too long":         "3003" + "000561",
		"no packet id":           "3204" + "00026161",
		"packet id zero":         "3205" + "0001610000",
		"qos 2":                  "3405" + "0001610001",
		"qos 3":                  "3605" + "0001610001",
		"oversize SUBACK":        "90808001",
		"topic beyond the limit": "30808001" + "ffff61",
	} {
		b, err := hex.DecodeString(in)
		if err != nil {
			t.Fatal(err)
		}
		if in == "30808001ffff61" { // the head never completes unless the body is here
			b = append(b, make([]byte, 16384)...)
		}
		rd := newReader(bytes.NewReader(b), 1024)
		if _, err := rd.fill(); err != nil {
			t.Fatal(err)
		}
		f, ok, err := rd.next()
		if err == nil && ok {
			_, err = parsePublish(f)
		}
		if !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// TestOversizeMemory streams a huge message by and looks at the chunk.
func TestOversizeMemory(t *testing.T) {
	const size = 64 << 20
	head := append(appendLength([]byte{0x30}, size), 0, 1, 'a')
	rd := newReader(io.MultiReader(bytes.NewReader(head), io.LimitReader(zeros{}, size-3), bytes.NewReader(appendPublish(nil, 1, "b", nil))), 1<<20)
	frames := 0
	for {
		_, ok, err := rd.next()
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			frames++
		} else if _, err := rd.fill(); err != nil {
			break
		}
	}
	if frames != 2 || len(rd.chunk) > chunkBytes {
		t.Errorf("%d frames with a chunk of %d bytes, want 2 with at most %d", frames, len(rd.chunk), chunkBytes)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// FuzzReader feeds arbitrary bytes in two ways of cutting: it must not crash,
// not depend on the cut, and what is whole must agree with the paho codec.
func FuzzReader(f *testing.F) {
	f.Add([]byte{}, uint8(1))
	f.Add(appendPublish(appendPuback(nil, 3), 9, "a/b", []byte("payload")), uint8(3))
	f.Add([]byte{0xd0, 0, 0x90, 3, 0, 1, 0x80}, uint8(2))
	f.Add([]byte{0x30, 0xff, 0xff, 0xff, 0x7f, 0, 1, 'a'}, uint8(1))
	f.Add(append([]byte{0x32, 0x80, 0x10, 0, 1, 'a', 0, 5}, make([]byte, 2043)...), uint8(100))
	f.Fuzz(func(t *testing.T, data []byte, piece uint8) {
		whole, err1 := cut(data, len(data)+1)
		pieces, err2 := cut(data, int(piece)+1)
		if !bytes.Equal(whole, pieces) || (err1 == nil) != (err2 == nil) {
			t.Fatalf("cut into %d: %x (%v), whole: %x (%v)", int(piece)+1, pieces, err2, whole, err1)
		}
	})
}

// cut returns a digest of all frames.
func cut(data []byte, piece int) (digest []byte, err error) {
	rd := newReader(&drip{data, rand.New(rand.NewPCG(uint64(piece), 0)), piece}, 1024)
	for {
		f, ok, err := rd.next()
		if err != nil {
			return digest, err
		}
		if !ok {
			if _, err := rd.fill(); err != nil {
				return digest, nil
			}
			continue
		}
		digest = append(append(digest, f.first, byte(f.size), byte(f.size>>8)), f.body...)
		if f.kind() != packets.Publish {
			continue
		}
		p, err := parsePublish(f)
		if err != nil {
			return digest, err
		}
		rd.lend()
		if !f.oversize && p.id != 0 && f.first&0x09 == 0 {
			again := appendPublish(nil, p.id, string(p.topic), p.payload)
			if h, err := parseHeader(again); err != nil || !bytes.Equal(again[h.length:], f.body) {
				return nil, errors.New("a PUBLISH does not survive being written again")
			}
		}
	}
}
