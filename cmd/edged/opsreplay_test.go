package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"edged"
	"edged/actors"
	"edged/fleet/agent"
	"edged/fleet/protocol"
	"edged/persistence"
)

// replayYard is a gateway that does not run, with a journal.
type replayYard struct {
	t       *testing.T
	m       *managed
	store   *persistence.Store
	records []edged.Record // that were journaled
}

// newReplayYard journals the readings of a fleet, and among them ticks, messages for nobody
// and messages that are no events. It begins new segments early.
func newReplayYard(t *testing.T, random *rand.Rand, events int) *replayYard {
	s := testSetup(t, "settings: {data_dir: "+t.TempDir()+"}\n"+string(demoDocument))
	cfg := storeConfig(s.settings, discardLogger())
	cfg.SegmentBytes = 8 << 10
	store, err := persistence.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	d := &daemon{store: store, log: discardLogger()}
	d.active.Store(&shown{setup: s, roles: roles{speaks: s}})
	y := &replayYard{t: t, store: store, m: &managed{daemon: d, site: &site{own: s, daemon: d}}}
	now := edged.Timestamp(1_750_000_000_000)
	for line := range strings.Lines(ndjson(t, newFleet(t, random.Uint64(), events, now))) {
		rec := edged.Record{Kind: edged.MessageRecord, Topic: "sensors/x/data", Payload: []byte(strings.TrimSpace(line))}
		switch random.IntN(20) {
		case 0:
			y.add(edged.Record{Kind: edged.TickRecord, Time: now})
		case 1:
			y.add(edged.Record{Kind: edged.MessageRecord, Time: now, Topic: "else/where", Payload: []byte("{}")})
		case 2:
			rec.Payload = rec.Payload[:len(rec.Payload)/2]
		}
		now += edged.Timestamp(random.IntN(3))
		rec.Time, rec.Arrival = now, now
		y.add(rec)
	}
	for i := 0; i < len(y.records); {
		n := min(1+random.IntN(200), len(y.records)-i)
		y.commit(&edged.Commit{Time: y.records[i+n-1].Time, Records: y.records[i : i+n]})
		i += n
	}
	return y
}

func (y *replayYard) add(r edged.Record) {
	r.Seq = edged.Seq(len(y.records) + 1)
	y.records = append(y.records, r)
}

func (y *replayYard) commit(c *edged.Commit) {
	y.t.Helper()
	if err := y.store.Commit(c); err != nil {
		y.t.Fatal(err)
	}
}

// run runs log.replay.
func (y *replayYard) run(ctx context.Context, args replayArgs) (replayResult, error) {
	result, err := y.m.replayLog(ctx, &agent.Call{Progress: func(_ string, percent int) {
		if percent < 0 || percent > 100 {
			y.t.Errorf("%d percent", percent)
		}
	}}, args)
	r, _ := result.(replayResult)
	return r, err
}

// check compares what log.replay says with what edged replay makes of the same messages.
func (y *replayYard) check(s *setup, args replayArgs) {
	y.t.Helper()
	got, err := y.run(y.t.Context(), args)
	if err != nil {
		y.t.Fatalf("%+v: %v", args, err)
	}
	var first, last edged.Seq
	var in, out bytes.Buffer
	messages, most := int64(0), int64(args.Limit)
	if most == 0 {
		most = replayDefault
	}
	more := false
	for _, r := range y.records {
		if uint64(r.Seq) < args.From || args.To > 0 && uint64(r.Seq) > args.To || r.Topic != "sensors/x/data" {
			continue
		}
		if more = messages == most; more {
			break
		}
		if messages++; first == 0 {
			first = r.Seq
		}
		last = r.Seq
		fmt.Fprintf(&in, "%s %s\n", r.Topic, r.Payload)
	}
	pipes := []actors.Pipeline{newReplayPipeline(newPipeline(s.plans[0].Clone(), s.settings.GatewayID), "")}
	source := &fileSource{in: bufio.NewReader(&in), limit: 1 << 20, topics: true, convert: func() converter { return plainLines{} }}
	want, err := replay(y.t.Context(), s, pipes, source, &out, discardLogger())
	if err != nil {
		y.t.Fatal(err)
	}
	if got.First != uint64(first) || got.Last != uint64(last) || got.Messages != messages || got.More != more || got.Partial != (args.From > 1) {
		y.t.Errorf("%+v: %+v, want %d messages from %d to %d, more %v", args, got, messages, first, last, more)
	}
	if got.Rows["device-windows"] != want.Results || got.Events != want.Events || got.Duplicates != want.Duplicates || got.Late != want.Late || !maps.Equal(got.Letters, want.Causes) {
		y.t.Errorf("%+v: %+v, want %+v", args, got, want)
	}
	rows := args.Rows
	if rows == 0 {
		rows = replayRowsDefault
	}
	if n := int64(len(got.Sample)); n > int64(rows) || n < min(int64(rows), want.Results)/2 {
		y.t.Errorf("%+v: %d rows are shown of %d", args, n, want.Results)
	}
	lines := strings.Split(out.String(), "\n")
	for _, row := range got.Sample {
		if row.Stream != "device-windows" || !slices.Contains(lines, string(row.Row)) {
			y.t.Errorf("%+v: nobody says %s", args, row.Row)
		}
	}
}

// TestReplayLog compares random ranges of a journal, as the pipeline runs and with another
// document, with edged replay.
func TestReplayLog(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(7, 1))
	y := newReplayYard(t, random, 900)
	own := y.m.site.own
	other := strings.Replace(string(demoDocument), "${EDGED_WINDOW:3s}", "7s", 1)
	y.check(own, replayArgs{Pipeline: "device-windows"})
	for range 12 {
		n := len(y.records)
		args := replayArgs{Pipeline: "device-windows", From: uint64(random.IntN(n)), Rows: 1 + random.IntN(replayRowsMax)}
		if random.IntN(2) == 0 {
			args.To = args.From + uint64(random.IntN(n))
		}
		if random.IntN(2) == 0 {
			args.Limit = 1 + random.IntN(n)
		}
		s := own
		if random.IntN(2) == 0 {
			args.YAML, s = other, testSetup(t, other)
		}
		y.check(s, args)
	}
}

// TestReplayLogRefuses: what cannot be replayed is said, and only one runs at a time.
func TestReplayLogRefuses(t *testing.T) {
	t.Parallel()
	y := newReplayYard(t, rand.New(rand.NewPCG(7, 2)), 600)
	refused := func(args replayArgs, code protocol.Code, says string) {
		t.Helper()
		_, err := y.run(t.Context(), args)
		fault, ok := errors.AsType[*agent.Fault](err)
		if !ok || fault.Code != code || !strings.Contains(err.Error(), says) {
			t.Errorf("%+v: %v", args, err)
		}
	}
	refused(replayArgs{Pipeline: "nope"}, protocol.CodeArgs, "pipeline.list")
	refused(replayArgs{Pipeline: "device-windows", YAML: "pipelines: [{name: x}]"}, protocol.CodeArgs, "yaml:1:")
	refused(replayArgs{Pipeline: "device-windows", YAML: "settings: {gateway_id: x}\n" + string(demoDocument)}, protocol.CodeArgs, "cannot be sent")
	y.m.replaying.Lock()
	refused(replayArgs{Pipeline: "device-windows"}, protocol.CodeBusy, "cancel")
	y.m.replaying.Unlock()
	ended, cancel := context.WithCancelCause(t.Context())
	cancel(errEnough)
	if _, err := y.run(ended, replayArgs{Pipeline: "device-windows"}); !errors.Is(err, errEnough) {
		t.Errorf("cancelled: %v", err)
	}
	for _, args := range []replayArgs{{}, {Pipeline: "p", From: 3, To: 2}, {Pipeline: "p", Limit: replayMax + 1}, {Pipeline: "p", Rows: replayRowsMax + 1}} {
		if args.Check() == nil {
			t.Errorf("%+v is taken", args)
		}
	}
	// The journal loses its beginning.
	head := y.store.Position()
	for n := range uint64(2) {
		y.commit(&edged.Commit{Time: head.Time, Generation: n + 1, Sweep: &edged.Sweep{Generation: n + 1, Start: head.Seq / 2}})
	}
	floor := uint64(y.store.Position().Floor)
	r, err := y.run(t.Context(), replayArgs{Pipeline: "device-windows", From: 3})
	if err != nil || floor == 0 || r.Gone != floor-2 || r.First <= floor || !r.Partial {
		t.Errorf("floor %d: %v, %+v", floor, err, r)
	}
}

// TestJournalSource delivers what is journaled, in order and with its arrivals.
func TestJournalSource(t *testing.T) {
	t.Parallel()
	y := newReplayYard(t, rand.New(rand.NewPCG(7, 3)), 500)
	source := &journalSource{store: y.store, limit: replayMax, bytes: replayBytesMax}
	var got []edged.Message
	var arrivals []edged.Timestamp
	err := source.Run(t.Context(), func(_ context.Context, b edged.Batch) error {
		if len(b.Messages) == 0 || len(b.Messages) > journalBatch {
			t.Errorf("%d messages in a batch", len(b.Messages))
		}
		for _, m := range b.Messages {
			got, arrivals = append(got, m), append(arrivals, b.Arrival)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	i := 0
	for _, r := range y.records {
		if r.Kind != edged.MessageRecord {
			continue
		}
		if i == len(got) || got[i].Topic != r.Topic || !bytes.Equal(got[i].Payload, r.Payload) || arrivals[i] != r.Arrival {
			t.Fatalf("message %d of %d is not record %d", i, len(got), r.Seq)
		}
		i++
	}
	if i != len(got) || source.records != int64(i) || source.more {
		t.Errorf("%d messages of %d: %+v", len(got), i, source)
	}
}

// TestRowSample: rows are spread evenly, and their bytes are bounded.
func TestRowSample(t *testing.T) {
	t.Parallel()
	for most := 1; most < 12; most++ {
		for n := range 200 {
			s := &rowSample{most: most}
			for i := range n {
				s.add(&edged.Row{Payload: fmt.Append(nil, i)})
			}
			rows, left := s.results()
			if len(rows) > most || len(rows) < min(n, most)/2 || left != 0 {
				t.Fatalf("%d rows of %d, at most %d", len(rows), n, most)
			}
			for i, r := range rows {
				if string(r.Row) != fmt.Sprint(i*s.stride) {
					t.Fatalf("row %d of %d, at most %d, is %s", i, n, most, r.Row)
				}
			}
		}
	}
	s := &rowSample{most: replayRowsMax}
	for range replayRowsMax {
		s.add(&edged.Row{Payload: bytes.Repeat([]byte("7"), rowBytesMax)})
	}
	if rows, left := s.results(); len(rows) != replayRowsBytes/rowBytesMax || left != replayRowsMax-len(rows) {
		t.Errorf("%d rows, %d left", len(rows), left)
	}
}

// TestManagedReplay asks a gateway that runs, and again after it was killed: what it sends
// stays as it was.
func TestManagedReplay(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	d := y.desk()
	y.certify("gw-1")
	config := y.config("gw-1", t.TempDir())
	p := y.launch(config)
	d.online("gw-1", 0)
	taken := publish(t, y.broker.URL(), newFleet(t, 8, 400, edged.Timestamp(time.Now().UnixMilli())))
	replayed := func() (r replayResult) {
		y.until("all messages are journaled", func() bool {
			r = resultOf[replayResult](t, d.done("gw-1", "log.replay", `{"pipeline":"device-windows"}`, "anna"))
			return r.Messages >= int64(len(taken))
		})
		return r
	}
	sent := func() uint64 {
		r := resultOf[outboxResult](t, d.done("gw-1", "outbox.status", "", "vera"))
		return r.Outputs[0].Committed
	}
	r := replayed()
	if r.Events+r.Duplicates == 0 || r.Rows["device-windows"] == 0 || len(r.Sample) == 0 || r.Partial || r.Broken > 0 {
		t.Errorf("%+v", r)
	}
	if a := d.do("gw-1", "log.replay", `{"pipeline":"device-windows"}`, "olga"); a.Code != protocol.CodeRole {
		t.Errorf("by an operator: %+v", a)
	}
	if p := resultOf[profileResult](t, d.done("gw-1", "profile.capture", `{"kind":"cpu","seconds":1}`, "olga")); len(p.Profile) == 0 {
		t.Errorf("%+v", p)
	}
	// Silence closes the last windows, and then nothing is left to say.
	y.until("the live windows are closed", func() bool { return sent() >= uint64(r.Rows["device-windows"]) })
	was, before := sent(), d.state("gw-1").Session
	p.kill()
	y.launch(config)
	d.online("gw-1", before)
	again := replayed()
	if again.Events != r.Events || !maps.Equal(again.Rows, r.Rows) || sent() != was {
		t.Errorf("%+v, then %+v; %d rows were sent, then %d", r, again, was, sent())
	}
}
