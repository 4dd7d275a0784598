package query

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"edged"
	"edged/internal/oracle"
)

var taskSeed = flag.Uint64("task.seed", 1, "seed of the random tests of tasks")

func taskRandom(t testing.TB) *rand.Rand {
	t.Helper()
	t.Logf("task.seed %d", *taskSeed)
	return rand.New(rand.NewPCG(*taskSeed, 0))
}

// taskPlan returns tumbling windows of 10 ms, out of order by 5 ms, idle after
// 100 ms, with every aggregate function over slot 0.
func taskPlan(change ...func(*PipelineSpec)) *Plan {
	spec := &PipelineSpec{
		Name: "p", OutputKey: "key",
		Inputs: []InputSpec{{
			Source: SourceSpec{Topic: "t", QoS: 1, Format: "json"}, Key: KeySpec{Field: "k", TopicLevel: -1},
			EventTime: EventTimeSpec{Field: "t", Unit: "ms"}, Fields: []FieldSpec{{Name: "v", Type: "number"}},
		}},
		Window:     &WindowSpec{Type: WindowTumbling, Size: 10, Accumulation: "accumulating"},
		Watermark:  WatermarkSpec{Type: "bounded", OutOfOrderness: 5, IdleTimeout: 100},
		Dedup:      DedupSpec{By: DedupContent, MaxEntries: 4096},
		Aggregates: aggregates("count", "sum", "avg", "min", "max", "first", "last"),
		Outputs:    []OutputSpec{{Kind: OutputStdout}},
	}
	for _, c := range change {
		c(spec)
	}
	plan, err := Compile(spec, Env{})
	if err != nil {
		panic(err)
	}
	return plan
}

// aggregates returns a count of events and the functions over slot 0.
func aggregates(functions ...string) []AggregateSpec {
	specs := []AggregateSpec{{Name: "events", Function: "count", Slot: -1}}
	for _, f := range functions {
		specs = append(specs, AggregateSpec{Name: f, Function: f, Field: "v"})
	}
	return specs
}

// step is one record: an event, or a tick when event is nil.
type step struct {
	event *edged.Event
	seq   edged.Seq
	now   edged.Timestamp
}

func (s step) String() string {
	if s.event == nil {
		return fmt.Sprintf("tick at %d", s.now)
	}
	return fmt.Sprintf("event time %d identity %d at %d", s.event.EventTime, s.event.Identity, s.now)
}

func (s step) run(t *Task, out *edged.Output) {
	if s.event == nil {
		t.Tick(out, s.seq, s.now)
		return
	}
	t.Observe(out, s.event, s.now)
}

// check runs the steps through the model and through three tasks, which must
// all agree: one that nothing happens to, one that is stored and restored
// before every step, and one whose output is collected over all steps.
func check(t *testing.T, p *Plan, steps []step) {
	t.Helper()
	m := newModel(p)
	steady, moved, batched := p.NewTask("k"), p.NewTask("k"), p.NewTask("k")
	var all, out, outMoved edged.Output
	var got []string
	late, duplicates := 0, 0
	compare := func(i int) {
		t.Helper()
		for j := range out.Results {
			got = append(got, describeResult(&out.Results[j]))
		}
		late, duplicates = late+out.Late, duplicates+out.Duplicates
		if !slices.Equal(got, m.want) || late != m.wantLate || duplicates != m.wantDup {
			t.Fatalf("plan %+v\nsteps %v\n got %s\n     late %d duplicates %d\nwant %s\n     late %d duplicates %d", p, steps[:i],
				strings.Join(got, "\n     "), late, duplicates, strings.Join(m.want, "\n     "), m.wantLate, m.wantDup)
		}
		if !reflect.DeepEqual(results(&out), results(&outMoved)) || !slices.Equal(state(t, steady), state(t, moved)) {
			t.Fatalf("plan %+v\nsteps %v\na restored task parts from one that was not", p, steps[:i])
		}
		if steady.Open() != moved.Open() || steady.Due() != moved.Due() || steady.Active() != moved.Active() {
			t.Fatalf("a restored task says open %d, want %d", moved.Open(), steady.Open())
		}
	}
	for i, s := range steps {
		moved = restored(t, p, moved)
		out.Reset()
		outMoved.Reset()
		s.run(steady, &out)
		s.run(moved, &outMoved)
		s.run(batched, &all)
		if s.event == nil {
			m.tick(s.seq, s.now)
		} else {
			m.observe(s.event, s.now)
		}
		compare(i + 1)
	}
	out.Reset()
	outMoved.Reset()
	steady.End(&out, 999, steady.Active())
	moved.End(&outMoved, 999, moved.Active())
	batched.End(&all, 999, batched.Active())
	m.advance(integer(math.MaxInt64), 999, edged.ByEnd)
	compare(len(steps))
	var collected []string
	for i := range all.Results {
		collected = append(collected, describeResult(&all.Results[i]))
	}
	if !slices.Equal(collected, got) || !slices.Equal(state(t, batched), state(t, steady)) {
		t.Fatalf("plan %+v\nsteps %v\nbatching changes the outcome", p, steps)
	}
	if steady.Open() != 0 || steady.Due() != edged.MaxTimestamp {
		t.Fatalf("%d windows are open after the end, due at %d", steady.Open(), steady.Due())
	}
}

func results(out *edged.Output) []edged.Result { return slices.Clone(out.Results) }

func state(t testing.TB, task *Task) []byte {
	t.Helper()
	data, err := task.AppendBinary([]byte("x"))
	if err != nil || data[0] != 'x' {
		t.Fatalf("encode: %v", err)
	}
	return data[1:]
}

func restored(t testing.TB, p *Plan, task *Task) *Task {
	t.Helper()
	fresh := p.NewTask("k")
	if err := fresh.Restore(state(t, task)); err != nil {
		t.Fatal(err)
	}
	return fresh
}

func TestTaskAgainstModel(t *testing.T) {
	r := taskRandom(t)
	for range 500 {
		p := taskPlan(func(p *PipelineSpec) {
			p.Window.Size = 1 + r.Int64N(20)
			p.Window.Offset = r.Int64N(41) - 20
			p.Window.AllowedLateness = r.Int64N(3) * r.Int64N(15)
			p.Watermark.OutOfOrderness = r.Int64N(12)
			p.Watermark.IdleTimeout = r.Int64N(4) * 20
			if r.IntN(8) == 0 {
				p.Dedup.By = DedupNone
			}
			p.Dedup.Horizon = r.Int64N(2) * r.Int64N(30)
		})
		check(t, p, randomSteps(r, 40, func() edged.Timestamp { return edged.Timestamp(r.Int64N(120) - 60) }))
	}
}

// The ends of time: absurd clocks, absurd configurations.
func TestTaskAgainstModelAtTheEndsOfTime(t *testing.T) {
	r := taskRandom(t)
	lengths := []int64{0, 1, 10, 1 << 40, 1<<60 - 1, 1 << 60}
	for range 200 {
		p := taskPlan(func(p *PipelineSpec) {
			p.Window.Size = []int64{1, 10, 1 << 40, 1 << 60}[r.IntN(4)]
			p.Window.Offset = []int64{0, 3, -3, math.MaxInt64, math.MinInt64}[r.IntN(5)]
			p.Window.AllowedLateness = min(lengths[r.IntN(6)], 1<<60)
			p.Watermark.OutOfOrderness = lengths[r.IntN(6)]
		})
		centre := []int64{math.MinInt64, math.MaxInt64, 0}[r.IntN(3)]
		check(t, p, randomSteps(r, 25, func() edged.Timestamp {
			if r.IntN(20) == 0 {
				return edged.Timestamp(r.Uint64())
			}
			return edged.Timestamp(centre).Add(r.Int64N(60) - 30)
		}))
	}
}

// randomSteps makes n records: events at drifting times, repetitions, ticks.
func randomSteps(r *rand.Rand, n int, at func() edged.Timestamp) []step {
	var steps []step
	now := edged.Timestamp(1000)
	var drift int64
	for i := range n {
		now += edged.Timestamp(r.Int64N(40))
		seq := edged.Seq(i + 1)
		switch k := r.IntN(12); {
		case k == 0:
			now += edged.Timestamp(r.Int64N(100))
			steps = append(steps, step{seq: seq, now: now})
		case k <= 2 && i > 0 && steps[r.IntN(i)].event != nil:
			again := steps[slices.IndexFunc(steps, func(s step) bool { return s.event != nil })]
			if other := steps[r.IntN(i)]; other.event != nil {
				again = other
			}
			ev := *again.event
			ev.Seq = seq
			steps = append(steps, step{&ev, seq, now})
		default:
			drift += r.Int64N(8)
			ev := &edged.Event{Seq: seq, Key: "k", EventTime: at().Add(drift), Identity: uint64(r.IntN(30)), Values: []edged.Value{anyValue(r)}}
			steps = append(steps, step{ev, seq, now})
		}
	}
	return steps
}

func anyValue(r *rand.Rand) edged.Value {
	switch r.IntN(8) {
	case 0:
		return edged.Value{}
	case 1:
		return edged.NumberValue(r.NormFloat64() * 1e6)
	}
	return edged.NumberValue(float64(r.IntN(2000)) / 100)
}

// Every history of up to four records over a few times, in every small plan.
func TestTaskAgainstModelExhaustively(t *testing.T) {
	const records = 4
	times := []edged.Timestamp{-3, -1, 0, 2, 3, 5}
	for _, lateness := range []int64{0, 4} {
		for _, disorder := range []int64{0, 2} {
			p := taskPlan(func(p *PipelineSpec) {
				p.Window.Size, p.Window.AllowedLateness = 3, lateness
				p.Watermark.OutOfOrderness, p.Watermark.IdleTimeout = disorder, 1
			})
			choices := len(times) + 1
			for history := range choices * choices * choices * choices {
				steps := make([]step, records)
				for i := range steps {
					seq, c := edged.Seq(i+1), history%choices
					history /= choices
					steps[i] = step{seq: seq, now: edged.Timestamp(i)}
					if c > 0 {
						ev := &edged.Event{Seq: seq, Key: "k", EventTime: times[c-1], Identity: 1, Values: []edged.Value{edged.NumberValue(float64(i))}}
						steps[i].event = ev
					}
				}
				check(t, p, steps)
			}
		}
	}
}

// A long day of several devices: what the panes say is what the oracle computes
// from all events at once. No event is late, since none is more out of order
// than the watermark allows.
func TestTaskAgainstOracle(t *testing.T) {
	r := taskRandom(t)
	p, out := realistic(), edged.Output{}
	tasks := map[string]*Task{}
	var all []oracle.Event
	for i := range 20_000 {
		key := fmt.Sprint("d", r.IntN(3))
		ev := &edged.Event{
			Seq: edged.Seq(i), Key: key, Identity: uint64(i + 1),
			EventTime: edged.Timestamp(100*i - 500_000).Add(r.Int64N(p.Watermark.OutOfOrderness)),
			Values:    []edged.Value{anyValue(r)},
		}
		if tasks[key] == nil {
			tasks[key] = p.NewTask(key)
		}
		value := oracle.Event{Key: key, Time: int64(ev.EventTime), Value: ev.Values[0].Float(), Null: ev.Values[0].Kind == edged.Null}
		for range 1 + r.IntN(5)/4 {
			tasks[key].Observe(&out, ev, 0)
			all = append(all, value)
			value.Duplicate = true
		}
	}
	for _, key := range []string{"d0", "d1", "d2"} {
		tasks[key].End(&out, 0, tasks[key].Active())
	}
	var got, want []string
	for _, r := range out.Results {
		got = append(got, fmt.Sprintf("%s [%d,%d) %s", r.Key, r.Start, r.End, columnsOf(r.Values)))
	}
	slices.Sort(got)
	for _, w := range oracle.Tumbling(all, p.Window.Size, p.Window.Offset) {
		n := edged.NumberValue
		values := make([]edged.Value, 7)
		if w.Count > 0 {
			values = []edged.Value{{}, n(w.Sum), n(w.Avg()), n(w.Min), n(w.Max), n(w.First), n(w.Last)}
		}
		values[0] = n(float64(w.Count))
		want = append(want, fmt.Sprintf("%s [%d,%d) %s", w.Key, w.Start, w.End, columnsOf(values)))
	}
	slices.Sort(want)
	if len(want) < 600 || !slices.Equal(got, want) || out.Late > 0 || out.Overflow > 0 {
		t.Errorf("%d panes, want %d; late %d, overflow %d", len(got), len(want), out.Late, out.Overflow)
		for i := range min(len(got), len(want)) {
			if got[i] != want[i] {
				t.Fatalf("\n got %s\nwant %s", got[i], want[i])
			}
		}
	}
}

func TestIdleClose(t *testing.T) {
	p, out := taskPlan(func(p *PipelineSpec) { p.Window.AllowedLateness = 20 }), edged.Output{}
	task := p.NewTask("k")
	event := func(seq edged.Seq, at, now edged.Timestamp) {
		task.Observe(&out, &edged.Event{Seq: seq, Key: "k", EventTime: at, Identity: uint64(seq), Values: make([]edged.Value, 1)}, now)
	}
	expect := func(what string, want ...string) {
		t.Helper()
		var got []string
		for _, r := range out.Results {
			got = append(got, fmt.Sprintf("%s by %s %d [%d,%d)", r.Timing, r.Cause, r.Index, r.Start, r.End))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", what, got, want)
		}
		out.Reset()
	}
	if task.Due() != edged.MaxTimestamp || task.Active() != edged.MinTimestamp || task.Watermark() != edged.MinTimestamp {
		t.Errorf("a fresh task is due at %d, active at %d", task.Due(), task.Active())
	}
	task.Tick(&out, 1, 1e12)
	expect("tick before any event")
	event(2, 3, 1000)
	event(3, 12, 1001)
	if task.Due() != 1101 || task.Open() != 2 || task.Active() != 1001 {
		t.Errorf("due at %d with %d open, active at %d", task.Due(), task.Open(), task.Active())
	}
	task.Tick(&out, 4, 1100)
	expect("tick too early")
	task.Tick(&out, 5, 1101)
	expect("tick in time", "on_time by idle 0 [0,10)", "on_time by idle 0 [10,20)")
	task.Tick(&out, 6, 9999)
	expect("tick again")
	if task.Due() != edged.MaxTimestamp || task.Watermark() != 20 || task.Open() != 2 {
		t.Errorf("due at %d, watermark %d, %d open", task.Due(), task.Watermark(), task.Open())
	}
	event(7, 15, 10000)
	expect("event of a window closed so", "late by watermark 1 [10,20)")
	event(8, 21, 10001)
	expect("event of the next window")
	event(8, 21, 10050)
	if task.Active() != 10050 || out.Duplicates != 1 {
		t.Errorf("a duplicate is no sign of life: active at %d, %d duplicates", task.Active(), out.Duplicates)
	}
	task.End(&out, 9, task.Active())
	expect("end", "on_time by end 0 [20,30)")
}

func TestDedupEntriesAreBounded(t *testing.T) {
	p, out := taskPlan(func(p *PipelineSpec) { p.Dedup.MaxEntries = 3; p.Watermark.OutOfOrderness = 100 }), edged.Output{}
	task := p.NewTask("k")
	for i, test := range []struct {
		at         edged.Timestamp
		duplicates int // so far
		overflow   int // so far
	}{
		{50, 0, 0}, {51, 0, 0}, {52, 0, 0}, // now it is full
		{50, 1, 0}, {52, 2, 0}, // all are known
		{53, 2, 1},   // pushes 50 out
		{50, 2, 2},   // not known any more, and older than all that are kept
		{51, 3, 2},   // still known
		{-900, 3, 2}, // behind the horizon: nobody would remember it anyway
	} {
		task.Observe(&out, &edged.Event{EventTime: test.at, Identity: 7, Values: make([]edged.Value, 1)}, 0)
		if out.Duplicates != test.duplicates || out.Overflow != test.overflow {
			t.Errorf("event %d: %d duplicates and %d evicted, want %d and %d", i, out.Duplicates, out.Overflow, test.duplicates, test.overflow)
		}
	}
}

// What the packages of windows, watermarks and aggregates refuse, the compiler
// reports, and all of it at once.
func TestPlanThatCannotWork(t *testing.T) {
	spec := *taskPlan().spec
	spec.Window = &WindowSpec{Type: WindowHopping, Size: -1, Period: 5, Accumulation: "accumulating"}
	spec.Watermark.OutOfOrderness = -1
	spec.Watermark.Type = "quantile"
	_, err := Compile(&spec, Env{})
	for _, want := range []string{"size", "out-of-orderness", "quantile"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error does not mention %s: %v", want, err)
		}
	}
}
