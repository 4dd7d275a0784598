package actors

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"edged"
)

// chainPipeline takes readings "key value", or the results of another one. Its
// tasks are sensitive to everything: each event, each tick, their order and times.
type chainPipeline struct {
	name, upstream string
	origin         string
	groups         int // what it derives is for so many keys
	size           int // a key fires after so many events
	silences       []int64
	expects        bool // the keys that tables name
	every, span    int64
	tables         map[string]string
}

func (p *chainPipeline) Name() string                   { return p.name }
func (p *chainPipeline) Origin() string                 { return p.origin }
func (p *chainPipeline) Upstream() string               { return p.upstream }
func (p *chainPipeline) Slots() int                     { return 2 }
func (p *chainPipeline) Silences() []int64              { return p.silences }
func (p *chainPipeline) Pulse() (every, span int64)     { return p.every, p.span }
func (p *chainPipeline) SetTable(name string, b []byte) { p.tables[name] = string(b) }
func (p *chainPipeline) NewTask(key string) Task        { return &chainTask{p: p, key: key} }

func (p *chainPipeline) Expected(table string) []string {
	if !p.expects {
		return nil
	}
	return strings.Fields(p.tables[table])
}

// half is the middle of a silence, from the one before on.
func (p *chainPipeline) half(rung int) int64 {
	if rung == 0 {
		return p.silences[0] / 2
	}
	return (p.silences[rung-1] + p.silences[rung]) / 2
}

func (p *chainPipeline) Accepts(topic string) bool {
	if p.upstream != "" {
		panic("asked for messages")
	}
	return strings.HasPrefix(topic, "in/")
}

func (p *chainPipeline) Clone() Pipeline {
	c := *p
	c.tables = map[string]string{}
	return &c
}

func (p *chainPipeline) Decode(ev *edged.Event, _ string, payload []byte) (bool, *edged.PoisonError) {
	return p.decode(ev, payload)
}

func (p *chainPipeline) Derive(ev *edged.Event, derived []byte) (bool, *edged.PoisonError) {
	return p.decode(ev, derived)
}

func (p *chainPipeline) decode(ev *edged.Event, text []byte) (bool, *edged.PoisonError) {
	key, value, _ := strings.Cut(string(text), " ")
	n, err := strconv.Atoi(value)
	if err != nil || n%101 == 7 {
		return false, &edged.PoisonError{Cause: "syntax", Detail: string(text)}
	}
	ev.Key = key
	ev.Values = append(ev.Values, edged.NumberValue(float64(n)), edged.TextValue(fmt.Sprint(p.tables)))
	return n%31 != 3, nil
}

// chainPanics tells which events panic.
func chainPanics(ev *edged.Event) bool { return int(ev.Values[0].Float())%53 == 13 }

func (p *chainPipeline) AppendDerived(dst []byte, r *edged.Result) []byte {
	value := int(r.Values[0].Float()) % 1000
	if value%7 == 0 {
		return dst
	}
	key, _ := strconv.Atoi(r.Key[1:])
	return fmt.Appendf(dst, "g%d %d", key%p.groups, value)
}

func (p *chainPipeline) Route(*edged.Result) (string, string) { return p.stream(), "out" }

// stream is the same for all versions of a pipeline.
func (p *chainPipeline) stream() string {
	name, _, _ := strings.Cut(p.name, "~")
	return name
}

func (p *chainPipeline) AppendRow(dst []byte, r *edged.Result, seq uint64) []byte {
	return fmt.Appendf(dst, "%d %s of %d #%d %v by %s", seq, r.Key, r.Trigger, r.Index, r.Values[0].Float(), r.Cause)
}

type chainTask struct {
	p         *chainPipeline
	key       string
	n, firing int
	sum, hash uint64
	first     edged.Timestamp // of what has not fired
	active    edged.Timestamp
	beats     bool // no tick has come since the last event that was later than the pulse
	rung      int  // silences noticed since the last event
	felt      int  // halves of silences felt since
	expected  bool
}

func (t *chainTask) mix(v ...uint64) {
	for _, x := range v {
		t.hash = (t.hash ^ x) * 0x100000001b3
	}
}

func (t *chainTask) Observe(out *edged.Output, ev *edged.Event, now edged.Timestamp) {
	t.mix(uint64(ev.Seq), uint64(now), uint64(ev.Arrival), uint64(ev.Values[0].Float()))
	for _, b := range []byte(ev.Values[1].Text()) {
		t.mix(uint64(b))
	}
	if chainPanics(ev) {
		panic("bad number")
	}
	if t.n == 0 {
		t.first = now
	}
	t.n, t.active, t.beats, t.rung, t.felt, t.sum = t.n+1, now, true, 0, 0, t.sum+uint64(ev.Values[0].Float())
	if t.n == t.p.size {
		t.fire(out, ev.Seq, edged.ByWatermark)
	}
}

func (t *chainTask) fire(out *edged.Output, seq edged.Seq, cause edged.Cause) {
	if t.n == 0 {
		return
	}
	values := out.Columns(1)
	values[0] = edged.NumberValue(float64((t.sum + t.hash) % 1_000_003))
	out.Results = append(out.Results, edged.Result{Key: t.key, Index: uint32(t.firing), Cause: cause, Trigger: seq, Values: values})
	t.n, t.sum = 0, 0
	t.firing++
}

// Tick fires after silence, or some time after the first event. It notices each
// tick that it asked for, and when one comes before the next silence that is long
// enough for it: a key that gets other ticks after a restart says something else.
func (t *chainTask) Tick(out *edged.Output, seq edged.Seq, now edged.Timestamp) {
	if t.p.every > 0 && t.beats {
		t.beats = now.Sub(t.active) < t.p.every+t.p.span
		t.mix(uint64(now), uint64(seq))
		if now.Sub(t.first) >= t.p.span {
			t.fire(out, seq, edged.ByTick)
		}
	}
	if !t.known() {
		return
	}
	for t.felt <= t.rung && t.felt < len(t.p.silences) && now.Sub(t.active) > t.p.half(t.felt) {
		t.felt++
		t.mix(uint64(t.felt), uint64(now), uint64(seq))
	}
	if rung := passed(t.p.silences, uint16(t.rung), now.Sub(t.active)); int(rung) > t.rung {
		t.rung = int(rung)
		t.mix(uint64(rung), uint64(now), uint64(seq))
		t.fire(out, seq, edged.ByIdle)
	}
}

// known reports whether silence means anything: there was an event, or is to be one.
func (t *chainTask) known() bool { return t.beats || t.active > 0 }

// Expect notices what is news: from then on there is to be no silence.
func (t *chainTask) Expect(_ *edged.Output, retired bool, seq edged.Seq, now edged.Timestamp) {
	if t.expected != retired {
		return
	}
	t.expected = !retired
	t.mix(uint64(seq), uint64(now))
	if !retired {
		t.active, t.beats, t.rung, t.felt = now, true, 0, 0
	}
}

// Drain notices what it closes.
func (t *chainTask) Drain(out *edged.Output, seq edged.Seq, now edged.Timestamp) {
	if t.n > 0 {
		t.mix(uint64(seq), uint64(now))
		t.fire(out, seq, edged.ByCommand)
	}
}

func (t *chainTask) End(out *edged.Output, seq edged.Seq, _ edged.Timestamp) {
	t.fire(out, seq, edged.ByEnd)
}
func (t *chainTask) Active() edged.Timestamp { return t.active }
func (t *chainTask) Bytes() int              { return 100 + t.n }

// Open does not depend on the version of the pipeline: what time cannot change with one, it
// may change with the next.
func (t *chainTask) Open() int {
	if t.n > 0 || t.beats || t.known() && t.rung < chainSilencesMax {
		return 1
	}
	return 0
}

// chainSilencesMax is how many silences a pipeline notices at most.
const chainSilencesMax = 3

func (t *chainTask) AppendBinary(dst []byte) ([]byte, error) {
	return fmt.Appendf(dst, "%d %d %d %d %d %d %t %d %d %t", t.n, t.firing, t.sum, t.hash, t.first, t.active, t.beats, t.rung, t.felt, t.expected), nil
}

func (t *chainTask) Restore(state []byte) error {
	_, err := fmt.Sscanf(string(state), "%d %d %d %d %d %d %t %d %d %t", &t.n, &t.firing, &t.sum, &t.hash, &t.first, &t.active, &t.beats, &t.rung, &t.felt, &t.expected)
	return err
}

// chain makes devices, lines and a site. Some of them tick.
func chain(r *rand.Rand, ticks bool) []*chainPipeline {
	pipes := []*chainPipeline{
		{name: "site", upstream: "line", groups: 1, size: 2},
		{name: "device", groups: 5, size: 1 + r.IntN(3)},
		{name: "line", upstream: "device", groups: 2, size: 1 + r.IntN(4)},
		{name: "other", upstream: "device", groups: 1, size: 3},
	}
	for _, p := range pipes {
		p.expects = p.upstream == "" && r.IntN(2) == 0
		if ticks && r.IntN(3) > 0 {
			for n := 2; len(p.silences) < 1+r.IntN(3); {
				n += r.IntN(10)
				p.silences = append(p.silences, int64(n))
				n++
			}
		}
		if ticks && r.IntN(3) > 0 {
			p.every, p.span = int64(1+r.IntN(4)), int64(r.IntN(10))
		}
	}
	return pipes
}

func asPipelines(pipes []*chainPipeline) (all []Pipeline) {
	for _, p := range pipes {
		all = append(all, p.Clone())
	}
	return all
}

func chainLinks(pipes []*chainPipeline) (links []Link, outs map[string]*toyOutput) {
	outs = map[string]*toyOutput{}
	for _, p := range pipes {
		outs[p.stream()] = &toyOutput{}
		links = append(links, Link{Stream: p.stream(), Name: "out", Output: outs[p.stream()]})
	}
	return links, outs
}

// chainOracle runs a journal in the plainest way: record by record, stage by
// stage, every key asked at every tick. It does not look at what is derived in it.
type chainOracle struct {
	pipes []*chainPipeline
	muted map[string]bool       // by pipeline
	held  map[string]bool       // by pipeline
	keys  map[string]*oracleKey // by pipeline and key
	rows  map[string][]string   // by stream
	out   edged.Output
}

type oracleKey struct {
	task   *chainTask
	active edged.Timestamp
	rung   uint16
	beats  bool
}

func newChainOracle(pipes []*chainPipeline) *chainOracle {
	o := &chainOracle{held: map[string]bool{}, keys: map[string]*oracleKey{}, rows: map[string][]string{}}
	for _, p := range pipes {
		o.pipes = append(o.pipes, p.Clone().(*chainPipeline))
	}
	return o
}

// take runs a journal. With end its last record is the end of a bounded input.
func (o *chainOracle) take(journal []edged.Record, end bool) {
	for i := range journal {
		rec := &journal[i]
		if rec.Kind == edged.TableRecord || rec.Kind == edged.KeptRecord {
			for _, p := range o.pipes {
				before := p.Expected(rec.Topic)
				p.SetTable(rec.Topic, rec.Payload)
				o.expect(p, rec, p.Expected(rec.Topic), before, false)
				o.expect(p, rec, before, p.Expected(rec.Topic), true)
			}
			continue
		}
		if rec.Kind == edged.HoldRecord {
			standing, _ := standingOf(rec)
			o.held[rec.For] = standing != Flowing
		}
		o.record(rec, "", nil, end && i == len(journal)-1)
	}
}

// record runs one record through the pipelines that take the results of up.
func (o *chainOracle) record(rec *edged.Record, up string, results []edged.Result, end bool) {
	for _, p := range o.pipes {
		if p.upstream != up {
			continue
		}
		var texts []string
		if up == "" && (rec.Kind == edged.MessageRecord || rec.Kind == edged.AgainRecord && rec.For == "") {
			texts = []string{string(rec.Payload)}
		}
		for i := range results {
			var from *chainPipeline
			for _, q := range o.pipes {
				if q.name == up {
					from = q
				}
			}
			if text := from.AppendDerived(nil, &results[i]); len(text) > 0 {
				texts = append(texts, string(text))
			}
		}
		if o.held[p.name] {
			texts = nil
		}
		if rec.Kind == edged.AgainRecord && rec.For == p.name {
			texts = []string{string(rec.Payload)}
		}
		o.out = edged.Output{}
		o.events(p, rec, texts)
		o.ticks(p, rec, end)
		o.drain(p, rec)
		made := slices.Clone(o.out.Results)
		for i := range made {
			if s := p.stream(); !o.muted[p.name] {
				o.rows[s] = append(o.rows[s], string(p.AppendRow(nil, &made[i], uint64(len(o.rows[s])+1))))
			}
		}
		o.record(rec, p.name, made, end)
	}
}

// expect tells the keys that are in one list and not in the other.
func (o *chainOracle) expect(p *chainPipeline, rec *edged.Record, keys, not []string, retired bool) {
	for _, key := range keys {
		if slices.Contains(not, key) {
			continue
		}
		k := o.keys[p.name+"\x00"+key]
		if k == nil {
			k = &oracleKey{task: &chainTask{p: p, key: key}, rung: uint16(len(p.silences))}
			o.keys[p.name+"\x00"+key] = k
		}
		if !retired && (rec.Kind == edged.TableRecord || int(k.rung) == len(p.silences)) {
			k.active, k.rung, k.beats = rec.Time, 0, true
		}
		k.task.Expect(&o.out, retired, rec.Seq, rec.Time)
	}
}

func (o *chainOracle) events(p *chainPipeline, rec *edged.Record, texts []string) {
	var events []edged.Event
	bad := map[string]bool{}
	for _, text := range texts {
		ev := edged.Event{Seq: rec.Seq, Arrival: rec.Arrival}
		if keep, poison := p.decode(&ev, []byte(text)); poison == nil && keep {
			events = append(events, ev)
			bad[ev.Key] = bad[ev.Key] || chainPanics(&ev)
		}
	}
	for i := range events {
		ev := &events[i]
		k := o.keys[p.name+"\x00"+ev.Key]
		if k == nil {
			k = &oracleKey{task: &chainTask{p: p, key: ev.Key}}
			o.keys[p.name+"\x00"+ev.Key] = k
		}
		k.active, k.rung, k.beats = rec.Time, 0, true
		if !bad[ev.Key] {
			k.task.Observe(&o.out, ev, rec.Time)
		}
	}
}

func (o *chainOracle) ticks(p *chainPipeline, rec *edged.Record, end bool) {
	if rec.Kind != edged.TickRecord || o.held[p.name] {
		return
	}
	for _, k := range o.of(p) {
		rung := passed(p.silences, k.rung, rec.Time.Sub(k.active))
		silent := rung > k.rung
		beats := k.beats && p.every > 0
		k.beats = beats && rec.Time.Sub(k.active) < p.every+p.span
		switch {
		case end:
			k.task.End(&o.out, rec.Seq, rec.Time)
		case silent || beats:
			k.rung = rung
			k.task.Tick(&o.out, rec.Seq, rec.Time)
		}
	}
}

// of returns the keys of a pipeline, in the order of their names.
func (o *chainOracle) of(p *chainPipeline) (mine []*oracleKey) {
	for _, name := range slices.Sorted(maps.Keys(o.keys)) {
		if strings.HasPrefix(name, p.name+"\x00") {
			mine = append(mine, o.keys[name])
		}
	}
	return mine
}

func (o *chainOracle) drain(p *chainPipeline, rec *edged.Record) {
	if rec.Kind != edged.HoldRecord || rec.For != p.name {
		return
	}
	if _, drained := standingOf(rec); drained {
		for _, k := range o.of(p) {
			k.task.Drain(&o.out, rec.Seq, rec.Time)
		}
	}
}

// chainRun is what came of a live run.
type chainRun struct {
	mem     *MemoryStore
	outs    map[string]*toyOutput
	history map[string][]edged.Snapshot
	bounds  []edged.Seq // the last records of epochs
}

// pacedSource waits between its batches, so that ticks come in between.
type pacedSource struct {
	toySource
	pace time.Duration
}

func (s *pacedSource) Run(ctx context.Context, deliver func(context.Context, edged.Batch) error) error {
	tick := time.NewTicker(s.pace)
	defer tick.Stop()
	for _, b := range s.batches {
		b.More = false
		if deliver(ctx, b) != nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
	if !s.bounded {
		<-ctx.Done()
	}
	return nil
}

func chainMessages(r *rand.Rand, n int) []edged.Message {
	all := toyMessages(r, n, 12)
	for i := range all {
		all[i].Payload = fmt.Appendf(nil, "k%d %d", r.IntN(12), r.IntN(1000))
	}
	return all
}

// live runs a chain over messages while time passes, and stops it cleanly.
func live(t *testing.T, r *rand.Rand, pipes []*chainPipeline, n int) *chainRun {
	t.Helper()
	links, outs := chainLinks(pipes)
	c := &chainRun{mem: NewMemoryStore(links...), outs: outs, history: map[string][]edged.Snapshot{}}
	c.mem.keep = true
	store := &hookedStore{MemoryStore: c.mem, before: func(commit *edged.Commit) {
		for _, s := range commit.Snapshots {
			c.history[s.Pipeline+"\x00"+s.Key] = append(c.history[s.Pipeline+"\x00"+s.Key], s)
		}
		if len(commit.Records) > 0 {
			c.bounds = append(c.bounds, commit.Records[len(commit.Records)-1].Seq)
		}
	}}
	cfg := tinyConfig(r)
	cfg.PassivateAfter = time.Duration(1+r.IntN(20)) * time.Millisecond
	var asked atomic.Int64
	cfg.Wall = func() time.Time { return time.UnixMilli(1_800_000_000_000 - asked.Add(7)%1000) } // it steps back
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	src := &pacedSource{pace: 200 * time.Microsecond}
	src.batches = toyBatches(r, chainMessages(r, n))
	src.onAck = func(acked int) {
		if acked == n {
			time.AfterFunc(25*time.Millisecond, stop) // for silence to be noticed
		}
	}
	e, err := New(cfg, Ports{Store: store, Source: src, Pipelines: asPipelines(pipes), Links: links})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if p := c.mem.Position(); p.Sweep.Start != p.Seq {
		t.Fatalf("the end is not clean: %+v", p)
	}
	return c
}

// recovered starts an engine over a store and stops it at once.
func recovered(t *testing.T, mem *MemoryStore, pipes []*chainPipeline) map[string]string {
	t.Helper()
	return recoveredSince(t, mem, contract{pipes: pipes})
}

func recoveredSince(t *testing.T, mem *MemoryStore, c contract) map[string]string {
	t.Helper()
	links, outs := chainLinks(c.pipes)
	ports := Ports{Store: mem, Source: &toySource{}, Pipelines: asPipelines(c.pipes), Links: links, Since: c.since}
	for _, p := range c.shadows {
		ports.Shadows = append(ports.Shadows, Shadow{Pipeline: p.Clone(), Of: p.stream(), Waits: c.waits[p.name]})
	}
	e, err := New(Config{TickInterval: time.Hour, EpochEventsMax: 37}, ports)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	go func() {
		<-e.Ready()
		stop()
	}()
	if err := e.Run(ctx); err != nil {
		t.Fatal(err)
	}
	for name, out := range outs {
		if len(out.got()) > 0 {
			t.Fatalf("recovery sent rows of %s: %q", name, out.got())
		}
	}
	states := map[string]string{}
	for id, s := range mem.snapshots {
		states[id] = string(s.State)
	}
	return states
}

// cut returns a store as it is after the journal's record last, with the records
// up to floor dropped.
func (c *chainRun) cut(floor, last edged.Seq, pipes []*chainPipeline) *MemoryStore {
	links, _ := chainLinks(pipes)
	mem := NewMemoryStore(links...)
	mem.keep = true
	mem.journal = slices.Clone(c.mem.journal[floor:last])
	mem.position.Seq, mem.position.Floor = last, floor
	if last > 0 {
		mem.position.Time = c.mem.journal[last-1].Time
	}
	for _, d := range c.mem.dead {
		if d.Seq <= last {
			mem.dead = append(mem.dead, d)
		}
	}
	for stream, n := range c.mem.position.Streams {
		mem.position.Streams[stream] = n
		mem.outputs[stream]["out"] = n
	}
	return mem
}

func (m *MemoryStore) put(s edged.Snapshot) {
	id := s.Pipeline + "\x00" + s.Key
	if _, ok := m.snapshots[id]; !ok {
		m.order = append(m.order, id)
	}
	m.snapshots[id] = s
}

func sameStates(t *testing.T, what string, got map[string]string, o *chainOracle) {
	t.Helper()
	fresh, _ := (&chainTask{}).AppendBinary(nil)
	for id, k := range o.keys {
		want, _ := k.task.AppendBinary(nil)
		// A key none of whose events was good need not have a state.
		if got[id] != string(want) && (got[id] != "" || string(want) != string(fresh)) {
			t.Fatalf("%s: state of %q is %q, want %q", what, id, got[id], want)
		}
	}
	for id, state := range got {
		if o.keys[id] == nil && state != string(fresh) { // one forks before its first event

			t.Fatalf("%s: state of %q, which nobody mentioned", what, id)
		}
	}
}

// What lives, what is recovered from any mixture of snapshots, and what is rebuilt
// after panics is the same to the bit: all are the plain fold over the journal,
// through all stages and with every tick.
func TestChainIsAFold(t *testing.T) {
	r := newRand(t)
	ticks, derived, panics, byTick, byIdle := 0, 0, 0, 0, 0
	enough := func() bool { return ticks >= 50 && derived > 0 && panics > 0 && byTick > 0 && byIdle > 0 }
	for round := 0; round < 12 || round < 60 && !enough(); round++ {
		pipes := chain(r, round%4 != 0)
		c := live(t, r, pipes, 100+r.IntN(400))
		o := newChainOracle(pipes)
		o.take(c.mem.journal, false)
		for i := range c.mem.journal {
			rec := &c.mem.journal[i]
			if rec.Kind == edged.TickRecord {
				ticks++
			}
			derived += len(rec.Derived)
		}
		states := map[string]string{}
		for id, s := range c.mem.snapshots {
			states[id] = string(s.State)
		}
		for _, p := range pipes {
			diff(t, c.outs[p.name].got(), o.rows[p.name])
			for _, row := range o.rows[p.name] {
				if strings.HasSuffix(row, "by tick") {
					byTick++
				}
				if strings.HasSuffix(row, "by idle") {
					byIdle++
				}
			}
		}
		sameStates(t, "live", states, o)
		for _, d := range c.mem.dead {
			if d.Cause == "panic" {
				panics++
			}
		}
		last := c.mem.position.Seq
		for range 6 {
			mem := c.cut(0, last, pipes)
			for _, all := range c.history {
				if i := r.IntN(len(all) + 1); i < len(all) {
					mem.put(all[i])
				}
			}
			sameStates(t, "recovered", recovered(t, mem, pipes), o)
		}
		for _, at := range c.bounds {
			if r.IntN(8) > 0 && at != c.bounds[0] {
				continue
			}
			first := c.cut(0, at, pipes)
			recovered(t, first, pipes)
			rest := c.cut(at, last, pipes)
			for _, s := range first.snapshots {
				rest.put(s)
			}
			sameStates(t, fmt.Sprintf("recovered at %d and again", at), recovered(t, rest, pipes), o)
		}
	}
	t.Logf("%d ticks, %d bytes derived, %d panics, %d rows by tick, %d by idle", ticks, derived, panics, byTick, byIdle)
	if !enough() {
		t.Error("too little happened for this test to fail")
	}
}

// A bounded chain gives the rows of the plain fold, whatever the epochs were: each
// stage ends after it has all of what the one before said at its end.
func TestBoundedChain(t *testing.T) {
	r := newRand(t)
	for range 20 {
		pipes := chain(r, false)
		links, outs := chainLinks(pipes)
		mem := NewMemoryStore(links...)
		mem.keep = true
		src := &toySource{batches: toyBatches(r, chainMessages(r, 1+r.IntN(800))), bounded: true}
		if _, err := run(t, tinyConfig(r), Ports{Store: mem, Source: src, Pipelines: asPipelines(pipes), Links: links, Bounded: true}); err != nil {
			t.Fatal(err)
		}
		o := newChainOracle(pipes)
		o.take(mem.journal, true)
		for _, p := range pipes {
			diff(t, outs[p.name].got(), o.rows[p.name])
		}
	}
}

// A run through all stages that is cut at any commit and goes on gives the rows of
// an uncut one.
func TestCutChain(t *testing.T) {
	r := newRand(t)
	for range 10 {
		pipes := chain(r, false)
		messages := chainMessages(r, 100+r.IntN(500))
		links, _ := chainLinks(pipes)
		mem := NewMemoryStore(links...)
		mem.keep = true
		rows := map[string][]string{}
		for cuts := 0; ; cuts++ {
			links, outs := chainLinks(pipes)
			store := &failingStore{MemoryStore: mem, after: r.IntN(2) == 0}
			store.left.Store(int64(1 + r.IntN(12)))
			if cuts > 12 {
				store.left.Store(1 << 40)
			}
			src := &toySource{batches: toyBatches(r, messages[min(int(mem.position.Seq), len(messages)):])}
			ctx, stop := context.WithCancel(t.Context())
			left := len(messages) - int(mem.position.Seq)
			src.onAck = func(n int) {
				if n == left {
					stop()
				}
			}
			if left == 0 {
				stop()
				break
			}
			cfg := tinyConfig(r)
			cfg.TickInterval = time.Hour
			e, err := New(cfg, Ports{Store: store, Source: src, Pipelines: asPipelines(pipes), Links: links})
			if err != nil {
				t.Fatal(err)
			}
			if err := e.Run(ctx); err != nil && !errors.Is(err, errPower) {
				t.Fatal(err)
			}
			stop()
			for name, out := range outs {
				rows[name] = append(rows[name], out.got()...)
			}
		}
		o := newChainOracle(pipes)
		o.take(mem.journal, false)
		for _, p := range pipes {
			// A cut may have kept the last rows from their output, and made it send
			// others twice.
			want := map[string]bool{}
			for _, row := range o.rows[p.name] {
				want[row] = true
			}
			for _, row := range rows[p.name] {
				if !want[row] {
					t.Fatalf("%s: unexpected row %q", p.name, row)
				}
			}
			if got := mem.position.Streams[p.name]; got != uint64(len(want)) {
				t.Fatalf("%s: %d rows, want %d", p.name, got, len(want))
			}
		}
	}
}
