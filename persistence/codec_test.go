package persistence

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"slices"
	"testing"

	"github.com/vmihailenco/msgpack/v5"

	"edged"
)

// reseal gives arbitrary bytes a right checksum, so that a fuzzer gets past it.
func reseal(b []byte, seed uint32) []byte {
	return binary.BigEndian.AppendUint32(slices.Clone(b), crc32.Update(seed, castagnoli, b))
}

func packed3(kind frameKind, fill func(*packer)) []byte {
	var p packer
	p.begin(kind, &log{name: journalName, Last: 6, Weight: 70})
	fill(&p)
	p.seal()
	v := p.frames[0].value
	return v[:len(v)-frameTail]
}

// FuzzRecordFrame decodes anything as a frame of records. Whatever decodes must
// come out the same when it is packed and decoded again.
func FuzzRecordFrame(f *testing.F) {
	f.Add(packed3(recordFrame, func(p *packer) {
		p.record(&edged.Record{Kind: edged.MessageRecord, Time: 5, Topic: "t", PacketID: 3, Payload: []byte("{}")})
		p.record(&edged.Record{Kind: edged.MessageRecord, Time: 6, Topic: "t", Payload: []byte("x")})
		p.record(&edged.Record{Kind: edged.TickRecord, Time: 1 << 62})
	}))
	f.Add(packed3(recordFrame, func(p *packer) {
		p.record(&edged.Record{Kind: edged.MessageRecord, Time: 5, Arrival: 9, Topic: "a/1/x", PacketID: 0xffff, Payload: []byte("{}"), Derived: []byte("d")})
		p.record(&edged.Record{Kind: edged.TickRecord, Time: 6, Derived: []byte("e")})
		p.record(&edged.Record{Kind: edged.MessageRecord, Time: 6, Arrival: 9, Topic: "a/2/x", Payload: []byte("x")})
		p.record(&edged.Record{Kind: edged.TableRecord, Time: 6, Topic: "sites", Payload: []byte("a,b")})
		p.record(&edged.Record{Kind: edged.KeptRecord, Time: 6, Topic: "sites", Payload: []byte("a,b")})
		p.record(&edged.Record{Kind: edged.HoldRecord, Time: 6, For: "p", Payload: []byte{1}})
		p.record(&edged.Record{Kind: edged.AgainRecord, Time: 7, Arrival: 9, Topic: "a/2/x", For: "p", Of: 300, Payload: []byte("x"), Derived: []byte("e")})
	}))
	f.Add([]byte(oldFrame[:len(oldFrame)-frameTail]))
	f.Add(make([]byte, frameHead))
	f.Fuzz(func(t *testing.T, b []byte) {
		seed := checksum([]byte(journalName))
		if _, err := openFrame(b, recordFrame, seed); err == nil {
			t.Fatal("bytes without a checksum pass")
		}
		fr, err := openFrame(reseal(b, seed), recordFrame, seed)
		if err != nil {
			return
		}
		var all []edged.Record
		for u := unpack(fr); u.more(); {
			var r edged.Record
			if u.record(&r) != nil {
				return
			}
			all = append(all, r)
		}
		p := packer{}
		p.begin(recordFrame, &log{name: journalName, Last: fr.first - 1, Weight: fr.base})
		for i := range all {
			p.record(&all[i])
		}
		p.seal()
		for _, out := range p.frames {
			again, err := openFrame(out.value, recordFrame, seed)
			if err != nil {
				t.Fatal(err)
			}
			u := unpack(again)
			for u.more() {
				var r edged.Record
				if err := u.record(&r); err != nil {
					t.Fatal(err)
				}
				w := all[0]
				all = all[1:]
				if w.Kind == edged.TickRecord {
					w.Topic, r.Topic = "", ""
				}
				if r.Seq != w.Seq || r.Time != w.Time || r.Topic != w.Topic || r.PacketID != w.PacketID || r.Kind != w.Kind ||
					r.Arrival != w.Arrival || r.For != w.For || r.Of != w.Of || !bytes.Equal(r.Payload, w.Payload) || !bytes.Equal(r.Derived, w.Derived) {
					t.Fatalf("%+v became %+v", w, r)
				}
			}
			if err := u.done(); err != nil {
				t.Fatal(err)
			}
		}
		if len(all) > 0 {
			t.Fatalf("%d records were lost", len(all))
		}
	})
}

// FuzzOtherFrames decodes anything as a frame of rows and of dead letters: it
// must not panic, and not read beyond the frame.
func FuzzOtherFrames(f *testing.F) {
	f.Add(packed3(rowFrame, func(p *packer) { p.row(&edged.Row{Topic: "t", Payload: []byte("{}")}) }))
	letter, err := encodeDeadLetter(&edged.DeadLetter{Seq: 3, Cause: "syntax", Payload: []byte("x")})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(packed3(deadLetterFrame, func(p *packer) { p.blob(letter) }))
	f.Fuzz(func(t *testing.T, b []byte) {
		if fr, err := openFrame(reseal(b, 1), rowFrame, 1); err == nil {
			_ = inspectRows(fr)
		}
		if fr, err := openFrame(reseal(b, 1), deadLetterFrame, 1); err == nil {
			// Not the letters themselves: msgpack is only given our own bytes.
			for u := unpack(fr); u.more(); {
				if _, err := u.blob(); err != nil {
					return
				}
			}
		}
	})
}

// FuzzSnapshot decodes anything as the value of a slot.
func FuzzSnapshot(f *testing.F) {
	sn := &edged.Snapshot{Pipeline: "p", Key: "k", Seq: 9, Active: -5, Open: 2, Twin: true, State: []byte("state")}
	key := snapshotKey("p", "k")
	value, err := encodeSnapshot(sn, 7, checksum(key))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(value[4:])
	f.Fuzz(func(t *testing.T, b []byte) {
		if sl := openSlot(key, b); sl.present {
			t.Fatal("bytes without a checksum pass")
		}
		sealed := append(binary.BigEndian.AppendUint32(nil, crc32.Update(checksum(key), castagnoli, b)), b...)
		head, body, err := openEnvelope(sealed, checksum(key))
		if err != nil {
			return
		}
		if len(head)+len(body) > len(b) {
			t.Fatal("parts are longer than the whole")
		}
		if sl := openSlot(snapshotKey("p", "other"), sealed); sl.present {
			t.Fatal("a value under another key passes")
		}
	})
}

func TestSnapshotComesBackAsItWent(t *testing.T) {
	sn := edged.Snapshot{Pipeline: "p", Key: "k\x00z", Seq: 1 << 60, Active: edged.MinTimestamp, Open: 1 << 30, Twin: true, State: []byte("state")}
	key := snapshotKey(sn.Pipeline, sn.Key)
	value, err := encodeSnapshot(&sn, 1<<63, checksum(key))
	if err != nil {
		t.Fatal(err)
	}
	sl := openSlot(key, value)
	if !sl.present || sl.generation != 1<<63 || sl.snap.Key != sn.Key || sl.snap.Seq != sn.Seq || sl.snap.Active != sn.Active ||
		sl.snap.Open != sn.Open || !sl.snap.Twin || string(sl.snap.State) != "state" {
		t.Errorf("got %+v, want %+v", sl, sn)
	}
}

// TestNewerHeadsCanBeRead shows that a field that a later version adds to a head
// does not stop this one.
func TestNewerHeadsCanBeRead(t *testing.T) {
	head, err := msgpack.Marshal(map[string]any{"seq": 5, "later": []string{"x"}, "gen": 1})
	if err != nil {
		t.Fatal(err)
	}
	key := snapshotKey("p", "k")
	sl := openSlot(key, appendEnvelope(nil, head, nil, checksum(key)))
	if !sl.present || sl.snap.Seq != 5 {
		t.Errorf("got %+v", sl)
	}
}

func TestFramesFillPages(t *testing.T) {
	var p packer
	p.begin(recordFrame, &log{name: journalName})
	for i := range 1000 {
		p.record(&edged.Record{Kind: edged.MessageRecord, Time: edged.Timestamp(i), Topic: "t", Payload: make([]byte, 90)})
	}
	p.seal()
	for i, f := range p.frames {
		if len(f.value) > frameMax || len(f.value) < frameMax-200 && i < len(p.frames)-1 {
			t.Errorf("frame %d has %d bytes, want about %d", i, len(f.value), frameMax)
		}
	}
}

// TestAppendingItemsDoesNotAllocate guards the hot path of a commit.
func TestAppendingItemsDoesNotAllocate(t *testing.T) {
	var p packer
	l := &log{name: journalName}
	r := &edged.Record{Kind: edged.MessageRecord, Topic: "t", Payload: make([]byte, 90)}
	work := func() {
		p.reset()
		p.begin(recordFrame, l)
		for range 1000 {
			p.record(r)
		}
		p.seal()
	}
	work()
	if n := testing.AllocsPerRun(20, work); n > 2 {
		t.Errorf("packing 1000 records allocates %v times", n)
	}
}
