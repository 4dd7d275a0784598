package persistence_test

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"edged"
	"edged/persistence"
)

func config(dir string) persistence.Config {
	return persistence.Config{Dir: dir, Logger: slog.New(slog.DiscardHandler)}
}

func open(t testing.TB, cfg persistence.Config) *persistence.Store {
	t.Helper()
	s, err := persistence.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func commit(t testing.TB, s *persistence.Store, c edged.Commit) {
	t.Helper()
	if err := s.Commit(&c); err != nil {
		t.Fatal(err)
	}
}

// messages returns n message records after seq.
func messages(seq edged.Seq, n int) []edged.Record {
	var out []edged.Record
	for i := range n {
		seq++
		out = append(out, edged.Record{
			Seq: seq, Kind: edged.MessageRecord, Time: edged.Timestamp(1_700_000_000_000 + int64(seq)), PacketID: uint16(seq),
			Topic:   fmt.Sprintf("plant/line%d/press/telemetry", i%7),
			Payload: fmt.Appendf(nil, `{"device":"press-%03d","ts":%d,"temperature":21.5,"vibration":0.25,"boot":1}`, i%500, seq),
		})
	}
	return out
}

// rows returns n rows of a stream after seq.
func rows(stream string, seq uint64, n int) []edged.Row {
	var out []edged.Row
	for range n {
		seq++
		out = append(out, edged.Row{Stream: stream, Seq: seq, Topic: "up/" + stream, Payload: fmt.Appendf(nil, `{"seq":%d,"mean":21.5}`, seq)})
	}
	return out
}

func replay(t testing.TB, s *persistence.Store, after edged.Seq) []edged.Record {
	t.Helper()
	var out []edged.Record
	if err := s.Replay(after, func(r *edged.Record) error { out = append(out, *r); return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestOpenMakesAStoreThatCanBeOpenedAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s := open(t, config(dir))
	commit(t, s, edged.Commit{Time: 5, Records: messages(0, 3), Rows: rows("m", 0, 2)})
	want := s.Position()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, config(dir))
	if got := s.Position(); fmt.Sprint(got) != fmt.Sprint(want) || got.Seq != 3 || got.Streams["m"] != 2 {
		t.Errorf("position after reopening is %v, want %v", got, want)
	}
	for name, mode := range map[string]os.FileMode{"": 0o700 | os.ModeDir, "edged.db": 0o600, "store.json": 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != mode {
			t.Errorf("mode of %q is %v, want %v", name, info.Mode(), mode)
		}
	}
}

func TestRecordsComeBackAsTheyWent(t *testing.T) {
	s := open(t, config(t.TempDir()))
	recs := messages(0, 500)
	recs = append(recs,
		edged.Record{Seq: 501, Kind: edged.TickRecord, Time: 7},
		edged.Record{Seq: 502, Kind: edged.MessageRecord, Time: edged.MinTimestamp},
		edged.Record{Seq: 503, Kind: edged.MessageRecord, Time: edged.MaxTimestamp, Topic: "t", Payload: make([]byte, 100_000)},
		edged.Record{Seq: 504, Kind: edged.MessageRecord, Time: 0, Topic: "t", PacketID: 65535, Payload: []byte{}},
	)
	commit(t, s, edged.Commit{Records: recs})
	for _, after := range []edged.Seq{0, 1, 33, 499, 503, 504, 600} {
		got := replay(t, s, after)
		want := recs[min(int(after), len(recs)):]
		if !slices.EqualFunc(got, want, sameRecord) {
			t.Errorf("replay after %d gives %d records, want the %d that were committed", after, len(got), len(want))
		}
	}
}

func sameRecord(a, b edged.Record) bool {
	return a.Seq == b.Seq && a.Kind == b.Kind && a.Time == b.Time && a.Topic == b.Topic &&
		a.PacketID == b.PacketID && string(a.Payload) == string(b.Payload)
}

func TestReplayStopsAtTheCallersError(t *testing.T) {
	s := open(t, config(t.TempDir()))
	commit(t, s, edged.Commit{Records: messages(0, 10)})
	stop, n := errors.New("stop"), 0
	err := s.Replay(0, func(*edged.Record) error { n++; return stop })
	if !errors.Is(err, stop) || n != 1 {
		t.Errorf("replay gave %v after %d records, want %v after 1", err, n, stop)
	}
}

func TestSecondOpenIsRefused(t *testing.T) {
	dir := t.TempDir()
	s := open(t, config(dir))
	if _, err := persistence.Open(config(dir)); !errors.Is(err, persistence.ErrInUse) {
		t.Errorf("second open gave %v, want ErrInUse", err)
	}
	if _, err := persistence.Inspect(dir); !errors.Is(err, persistence.ErrInUse) {
		t.Errorf("inspect gave %v, want ErrInUse", err)
	}
	s.Close()
	open(t, config(dir))
}

func TestCommitPanicsWhenItDoesNotContinue(t *testing.T) {
	s := open(t, config(t.TempDir()))
	commit(t, s, edged.Commit{Records: messages(0, 2), Rows: rows("m", 0, 2)})
	for name, c := range map[string]edged.Commit{
		"record repeated":    {Records: messages(1, 1)},
		"record left out":    {Records: messages(3, 1)},
		"hole inside":        {Records: append(messages(2, 1), messages(4, 1)...)},
		"kind of record":     {Records: []edged.Record{{Seq: 3, Kind: 9}}},
		"row repeated":       {Rows: rows("m", 1, 1)},
		"row left out":       {Rows: rows("m", 3, 1)},
		"row of new stream":  {Rows: rows("n", 1, 1)},
		"row without stream": {Rows: rows("", 0, 1)},
		"cursor too far":     {Cursors: []edged.Cursor{{Stream: "m", Output: "o", Seq: 3}}},
		"long key":           {Snapshots: []edged.Snapshot{{Key: string(make([]byte, persistence.KeyBytesMax+1))}}},
		"zero in pipeline":   {Snapshots: []edged.Snapshot{{Pipeline: "a\x00b"}}},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("commit did not panic")
				}
			}()
			s.Commit(&c)
		})
	}
	commit(t, s, edged.Commit{Records: messages(2, 1), Rows: rows("m", 2, 1)}) // The store is none the worse.
}

func TestCommitAfterCloseFails(t *testing.T) {
	s := open(t, config(t.TempDir()))
	s.Close()
	s.Close()
	if err := s.Commit(&edged.Commit{}); err == nil {
		t.Error("commit to a closed store gave no error")
	}
	if err := s.Commit(&edged.Commit{}); !errors.Is(err, persistence.ErrFailed) {
		t.Errorf("commit after a failed commit gave %v, want ErrFailed", err)
	}
}

func TestConfigReportsAllFaults(t *testing.T) {
	err := persistence.Config{SegmentBytes: 1, DeadLettersMax: -1, MaxBytes: 1}.Validate()
	if n := len(err.(interface{ Unwrap() []error }).Unwrap()); n != 5 {
		t.Errorf("validation found %d faults, want 5: %v", n, err)
	}
}
