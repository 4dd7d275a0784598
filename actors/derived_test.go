package actors

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"edged"
)

func TestStages(t *testing.T) {
	p := func(names string) Pipeline {
		name, up, _ := strings.Cut(names, "<")
		return &chainPipeline{name: name, upstream: up}
	}
	for pipelines, want := range map[string]string{
		"a":               "[0]",
		"c<b a b<a d<a":   "[2 0 1 1]",
		"a b<x":           "which is not among",
		"a<a":             "its own results",
		"a<b b<a c":       "its own results",
		"z a<b b<c c<a":   "its own results",
		"d<a a<b b<c c<b": "its own results",
		"a a":             "a name of its own",
		"a b<a b":         "a name of its own",
	} {
		var all []Pipeline
		for _, names := range strings.Fields(pipelines) {
			all = append(all, p(names))
		}
		stages, err := stagesOf(all)
		if got := fmt.Sprint(stages, err); !strings.Contains(got, want) {
			t.Errorf("%s: got %s, want %s", pipelines, got, want)
		}
		if _, err2 := New(Config{}, Ports{Store: NewMemoryStore(), Pipelines: all}); (err == nil) != (err2 == nil) {
			t.Errorf("%s: an engine gives %v", pipelines, err2)
		}
	}
}

// FuzzDerived reads anything: what can be read comes out the same when it is
// written and read again, and the rest is noticed.
func FuzzDerived(f *testing.F) {
	one := appendDerived(nil, "", "a", []byte("x"))
	f.Add(one)
	f.Add(appendDerived(appendDerived(one, "a", "a", nil), "a", "bb", bytes.Repeat([]byte("y"), 200)))
	f.Add([]byte("\x00\x01x"))
	f.Fuzz(func(t *testing.T, b []byte) {
		type pair struct{ name, body string }
		var all []pair
		var again []byte
		before := ""
		d := derivedReader{rest: b}
		for {
			name, body, ok := d.next()
			if !ok {
				break
			}
			all = append(all, pair{string(name), string(body)})
			again = appendDerived(again, before, string(name), body)
			before = string(name)
		}
		if err := checkDerived(&edged.Record{Derived: b}); (err == nil) != (len(d.rest) == 0) {
			t.Fatalf("%d bytes are left, and the check says %v", len(d.rest), err)
		}
		d = derivedReader{rest: again}
		for _, want := range all {
			name, body, ok := d.next()
			if !ok || string(name) != want.name || string(body) != want.body {
				t.Fatalf("%v became %q %q %v", want, name, body, ok)
			}
		}
		if len(d.rest) > 0 {
			t.Fatal("more came out than went in")
		}
	})
}

// A damaged entry in a journal stops the start: nobody knows what it was.
func TestBadDerivedStopsRecovery(t *testing.T) {
	mem := keptStore()
	mem.journal = []edged.Record{{Seq: 1, Kind: edged.MessageRecord, Time: 1, Topic: "in/x", Payload: []byte("k1 1"), Derived: []byte("\x09x")}}
	mem.position.Seq, mem.position.Time = 1, 1
	_, err := run(t, Config{}, Ports{Store: mem, Source: &toySource{bounded: true}, Pipelines: []Pipeline{toyPipeline{}}})
	if err == nil || !strings.Contains(err.Error(), "record 1") {
		t.Errorf("got %v", err)
	}
}

// Results of pipelines that are gone, and for pipelines that came later, are left alone.
func TestDerivedOfOthers(t *testing.T) {
	pipes := []*chainPipeline{{name: "device", groups: 1, size: 1}, {name: "line", upstream: "device", groups: 1, size: 2}}
	mem := NewMemoryStore()
	mem.keep = true
	for seq := range 4 {
		derived := appendDerived(nil, "", "gone", []byte("g9 5"))
		derived = appendDerived(derived, "gone", "device", fmt.Appendf(nil, "g%d 5", seq))
		mem.journal = append(mem.journal, edged.Record{
			Seq: edged.Seq(seq + 1), Kind: edged.MessageRecord, Time: 1, Topic: "in/x", Payload: []byte("k1 1"), Derived: derived,
		})
	}
	mem.position.Seq, mem.position.Time = 4, 1
	states := recoveredSince(t, mem, contract{pipes: pipes, since: map[string]edged.Seq{"line": 2}})
	if got := slices.Sorted(maps.Keys(states)); !slices.Equal(got, []string{"device\x00k1", "line\x00g2", "line\x00g3"}) {
		t.Errorf("states of %q", got)
	}
}

// oneStream sends the rows of all stages to one stream.
type oneStream struct{ *chainPipeline }

func (p oneStream) Route(*edged.Result) (string, string) { return "all", "out" }

func (p oneStream) Clone() Pipeline { return oneStream{p.chainPipeline.Clone().(*chainPipeline)} }

func (p oneStream) AppendRow(dst []byte, r *edged.Result, _ uint64) []byte {
	return fmt.Appendf(dst, "%04d %s", r.Trigger, p.name)
}

// Within a record, rows come stage by stage.
func TestRowsOfStages(t *testing.T) {
	out := &toyOutput{}
	links := []Link{{Stream: "all", Name: "out", Output: out}}
	r := newRand(t)
	src := &toySource{bounded: true, batches: []edged.Batch{{Messages: chainMessages(r, 200)}}}
	pipelines := []Pipeline{
		oneStream{&chainPipeline{name: "c", upstream: "b", groups: 1, size: 1}}, oneStream{&chainPipeline{name: "b", upstream: "a", groups: 1, size: 1}},
		oneStream{&chainPipeline{name: "a", groups: 1, size: 1}},
	}
	if _, err := run(t, Config{}, Ports{Store: NewMemoryStore(links...), Source: src, Pipelines: pipelines, Links: links, Bounded: true}); err != nil {
		t.Fatal(err)
	}
	if rows := out.got(); !slices.IsSorted(rows) || len(rows) < 300 {
		t.Errorf("%d rows: %q", len(rows), rows)
	}
}

// Messages are stamped when the clock can be believed, and files never are. What is told
// again has the time that its source says.
func TestArrival(t *testing.T) {
	floor := time.UnixMilli(int64(ArrivalFloor))
	for _, c := range []struct {
		wall    func() time.Time
		bounded bool
		told    edged.Timestamp
		want    edged.Timestamp
		undated int64
	}{
		{func() time.Time { return floor }, false, 0, ArrivalFloor, 0},
		{func() time.Time { return floor.Add(-1) }, false, 0, 0, 1},
		{func() time.Time { return floor.Add(time.Hour) }, true, 0, ArrivalFloor + 3_600_000, 0},
		{nil, true, 0, 0, 1},
		{nil, true, 77, 77, 0},
	} {
		mem := keptStore()
		ctx, stop := context.WithCancel(t.Context())
		src := &toySource{bounded: c.bounded, batches: []edged.Batch{{Arrival: c.told, Messages: []edged.Message{message("k1 1", 1)}}}, onAck: func(int) { stop() }}
		e, err := New(Config{Wall: c.wall}, Ports{Store: mem, Source: src, Pipelines: []Pipeline{toyPipeline{}}, Bounded: c.bounded})
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Run(ctx); err != nil {
			t.Fatal(err)
		}
		stop()
		if got := mem.journal[0].Arrival; got != c.want || e.Stats().Undated.Load() != c.undated {
			t.Errorf("arrival %d, want %d; %d undated, want %d", got, c.want, e.Stats().Undated.Load(), c.undated)
		}
	}
}
