package persistence

import (
	"fmt"
	"reflect"
	"testing"

	"edged"
)

// Frames as version 1 wrote them, in the log that is called "journal".
const (
	oldFrame = "\x01\x01\x00\x04\x00\x00\x00\x00\x00\x00\x00\a\x00\x00\x00\x00\x00\x00\x00F\x01\vsite/1/data\x80\xa0\xab\xfe\xf9b\xac\x02\a{\"v\":1}\x81\x00\xad\x02\a{\"v\":2}\x02\x00\x90N\x01\vsite/2/data\xcf\x0f\x00\x00\xc2\xd8\\\x94"
	oldRows  = "\x01\x02\x00\x03\x00\x00\x00\x00\x00\x00\x00\a\x00\x00\x00\x00\x00\x00\x00F\x00\x04up/a\x011\x80\x012\x00\x04up/b\x013Q\xda-k"
)

func TestOldFramesAreRead(t *testing.T) {
	seed := checksum([]byte(journalName))
	f, err := openFrame([]byte(oldFrame), recordFrame, seed)
	if err != nil {
		t.Fatal(err)
	}
	var got []edged.Record
	if err := replayFrame(f, 0, 100, func(r *edged.Record) error { got = append(got, *r); return nil }); err != nil {
		t.Fatal(err)
	}
	want := []edged.Record{
		{Seq: 7, Kind: edged.MessageRecord, Time: 1700000000000, Topic: "site/1/data", PacketID: 300, Payload: []byte(`{"v":1}`)},
		{Seq: 8, Kind: edged.MessageRecord, Time: 1700000000000, Topic: "site/1/data", PacketID: 301, Payload: []byte(`{"v":2}`)},
		{Seq: 9, Kind: edged.TickRecord, Time: 1700000005000},
		{Seq: 10, Kind: edged.MessageRecord, Time: 1700000004000, Topic: "site/2/data", Payload: []byte{}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if f, err = openFrame([]byte(oldRows), rowFrame, seed); err != nil {
		t.Fatal(err)
	}
	var rows []string
	var row edged.Row
	for u := unpack(f); u.more(); rows = append(rows, fmt.Sprint(row.Seq, row.Topic, string(row.Payload))) {
		if err := u.row(&row, "s"); err != nil {
			t.Fatal(err)
		}
	}
	if fmt.Sprint(rows) != "[7up/a1 8up/a2 9up/b3]" {
		t.Errorf("rows %q", rows)
	}
}

// TestNewerFramesAreRefused: a program does not guess.
func TestNewerFramesAreRefused(t *testing.T) {
	b := []byte(oldFrame[:len(oldFrame)-frameTail])
	for _, version := range []byte{0, frameVersion + 1} {
		b[0] = version
		if _, err := openFrame(reseal(b, 1), recordFrame, 1); err == nil {
			t.Errorf("a frame of version %d passes", version)
		}
	}
}

// journalCost returns what a record takes in the journal beside its payload, in a
// fleet of some devices that speak in turns, 300 records to a batch.
func journalCost(devices, records int) float64 {
	var p packer
	p.begin(recordFrame, &log{name: journalName})
	const start edged.Timestamp = 1_700_000_000_000
	payload := 0
	for i := range records {
		r := edged.Record{
			Kind: edged.MessageRecord, Time: start.Add(int64(i / 300 * 50)), Arrival: start.Add(int64(7 + i/300*51)),
			Topic: fmt.Sprintf("sensors/device-%04d/data", i*7919%devices), PacketID: uint16(i%65535 + 1),
			Payload: fmt.Appendf(nil, `{"ts":%d,"temperature":%.1f,"humidity":%d}`, start.Add(int64(i*13)), 20+float64(i%100)/10, 40+i%20),
		}
		payload += len(r.Payload)
		p.record(&r)
	}
	p.seal()
	size := 0
	for _, f := range p.frames {
		size += len(f.value)
	}
	return float64(size-payload) / float64(records)
}

// TestJournalIsLean: the topic of one device of many costs its number, and the
// time of arrival next to nothing.
func TestJournalIsLean(t *testing.T) {
	for devices, most := range map[int]float64{1: 4.5, 5: 8, 50: 9, 1000: 11} {
		cost := journalCost(devices, 20_000)
		t.Logf("%d devices: %.2f bytes beside a payload", devices, cost)
		if cost > most {
			t.Errorf("%d devices: %.2f bytes beside a payload, want at most %v", devices, cost, most)
		}
	}
}
