package query

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"edged"
)

// world runs the pipelines of a document in the plainest way: a message or a tick
// at a time, results at once to the pipelines that gather them.
type world struct {
	t     testing.TB
	plans []*Plan
	tasks []map[string]*Task // by plan
	quiet []map[string]bool  // got its tick since its last event
	seq   edged.Seq
	now   edged.Timestamp

	restores bool // store and restore every task before it does something
	lazy     bool // as after a restart: keys without anything open get no ticks

	rows   []string
	counts [7]int // late, duplicates, overflow, unassigned, suppressed, ahead, historical
	missed []edged.Miss
	dead   []string
}

// openWorld compiles a document; tables has the content of its reference tables.
func openWorld(t testing.TB, text string, tables map[string]string) *world {
	t.Helper()
	doc, err := Parse("world.yaml", []byte(text), func(string) (string, bool) { return "", false })
	var plans []*Plan
	if err == nil {
		plans, err = doc.Compile(false)
	}
	if err != nil {
		t.Fatalf("%s\n%v", text, err)
	}
	w := &world{t: t, plans: plans}
	for _, p := range plans {
		w.tasks, w.quiet = append(w.tasks, map[string]*Task{}), append(w.quiet, map[string]bool{})
		for name, content := range tables {
			if err := p.SetTable(name, []byte(content)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return w
}

// send delivers a message to all pipelines.
func (w *world) send(topic, payload string) {
	w.seq++
	for i, p := range w.plans {
		if !p.Accepts(topic) {
			continue
		}
		ev := edged.Event{Arrival: w.now}
		w.judge(i, &ev, p.Decode(&ev, topic, []byte(payload)))
	}
}

// judge observes an event that could be decoded.
func (w *world) judge(i int, ev *edged.Event, err error) {
	if poison, ok := errors.AsType[*edged.PoisonError](err); ok {
		w.dead = append(w.dead, poison.Cause)
		return
	}
	if errors.Is(err, ErrFiltered) {
		return
	}
	if err != nil {
		w.t.Fatal(err)
	}
	ev.Seq = w.seq
	w.quiet[i][ev.Key] = false
	w.turn(i, ev.Key, func(t *Task, out *edged.Output) { t.Observe(out, ev, w.now) })
}

// turn lets a task do something and hands on what it says.
func (w *world) turn(i int, key string, what func(*Task, *edged.Output)) {
	w.t.Helper()
	p := w.plans[i]
	task := w.tasks[i][key]
	if task == nil {
		task = p.NewTask(key)
	}
	if w.restores {
		fresh := p.Clone().NewTask(key)
		data := state(w.t, task)
		if err := fresh.Restore(data); err != nil {
			w.t.Fatalf("pipeline %s: %v", p.name, err)
		}
		if !bytes.Equal(state(w.t, fresh), data) {
			w.t.Fatalf("pipeline %s: the state of %s comes back differently", p.name, key)
		}
		task = fresh
	}
	w.tasks[i][key] = task
	var out edged.Output
	what(task, &out)
	w.missed = append(w.missed, out.Missed...)
	for j, n := range []int{out.Late, out.Duplicates, out.Overflow, out.Unassigned, out.Suppressed, out.Ahead, out.Historical} {
		w.counts[j] += n
	}
	var flow [][]byte
	for j := range out.Results {
		r := &out.Results[j]
		if r.Key != key {
			w.t.Fatalf("a result of %q says it is of %q", key, r.Key)
		}
		row := p.AppendRow(nil, r, "gw", 0)
		if !json.Valid(row) {
			w.t.Fatalf("no JSON: %s", row)
		}
		stream := p.Stream()
		if r.Kind == edged.LateResult {
			stream = p.LateStream()
		}
		w.rows = append(w.rows, stream+" "+string(row)+" "+r.Cause.String())
		if d := p.AppendDerived(nil, r); len(d) > 0 {
			flow = append(flow, d)
		}
	}
	for _, d := range flow {
		for k, down := range w.plans {
			if down.Upstream() == p.name {
				ev := edged.Event{Arrival: w.now}
				w.judge(k, &ev, down.Derive(&ev, d))
			}
		}
	}
}

// all gives every key of every pipeline a turn, in order.
func (w *world) all(what func(i int, t *Task, out *edged.Output)) {
	w.seq++
	for i := range w.plans {
		for _, key := range slices.Sorted(maps.Keys(w.tasks[i])) {
			w.turn(i, key, func(t *Task, out *edged.Output) { what(i, t, out) })
		}
	}
}

// tick moves processing time. Keys get it as in the engine: those whose triggers
// want it always, the others once per silence.
func (w *world) tick(now edged.Timestamp) {
	w.now = now
	w.all(func(i int, t *Task, out *edged.Output) {
		every, _ := w.plans[i].Pulse()
		idle := w.plans[i].Watermark.IdleTimeout
		silent := idle > 0 && now.Sub(t.Active()) >= idle && !w.quiet[i][t.key]
		if silent {
			w.quiet[i][t.key] = true
		}
		if every > 0 || silent && (!w.lazy || t.Open() > 0) {
			t.Tick(out, w.seq, now)
		}
	})
}

func (w *world) advance(to edged.Timestamp) {
	w.all(func(i int, t *Task, out *edged.Output) {
		if w.plans[i].Watermark.Type == "manual" {
			t.Advance(out, to, w.seq, w.now)
		}
	})
}

func (w *world) idle(source string) {
	w.all(func(i int, t *Task, out *edged.Output) {
		if w.plans[i].fold.sources != nil || source == t.key {
			t.SourceIdle(out, source, w.seq, w.now)
		}
	})
}

func (w *world) active(source string) {
	w.all(func(_ int, t *Task, out *edged.Output) { t.SourceActive(out, source, w.seq, w.now) })
}

// end ends the input, stage by stage.
func (w *world) end() {
	w.all(func(i int, t *Task, out *edged.Output) {
		if w.plans[i].Upstream() == "" {
			t.End(out, w.seq, t.Active())
		}
	})
	w.all(func(i int, t *Task, out *edged.Output) {
		if w.plans[i].Upstream() != "" {
			t.End(out, w.seq, t.Active())
		}
	})
}

// said returns the rows since the last call, without what they all have.
func (w *world) said() []string {
	var short []string
	for _, row := range w.rows {
		row, cause := row[:strings.LastIndexByte(row, ' ')], row[strings.LastIndexByte(row, ' ')+1:]
		row = row[:strings.Index(row, `,"id":`)]
		short = append(short, strings.ReplaceAll(row, `"`, "")+" "+cause)
	}
	w.rows = nil
	return short
}

func (w *world) want(what string, want ...string) {
	w.t.Helper()
	if got := w.said(); !slices.Equal(got, want) {
		w.t.Errorf("%s: got\n  %s\nwant\n  %s", what, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// act is a step that any document understands, in a form that can be repeated.
type act struct {
	topic, payload string
	tick, to       edged.Timestamp
	source         string
	active         bool
}

func (w *world) do(a act) {
	switch {
	case a.payload != "":
		w.send(a.topic, a.payload)
	case a.source != "" && a.active:
		w.active(a.source)
	case a.source != "":
		w.idle(a.source)
	case a.to != 0:
		w.advance(a.to)
	default:
		w.tick(a.tick)
	}
}

// randomActs makes messages of two devices whose times drift, and what else may
// happen to a pipeline.
func randomActs(r *rand.Rand, n int) []act {
	var acts []act
	now, at := int64(1_000_000), int64(1_000_000)
	for len(acts) < n {
		at += r.Int64N(6)
		t := at - r.Int64N(8)
		switch r.IntN(40) {
		case 0:
			now += r.Int64N(250)
			acts = append(acts, act{tick: edged.Timestamp(now)})
			continue
		case 1:
			acts = append(acts, act{to: edged.Timestamp(t)})
			continue
		case 2:
			acts = append(acts, act{source: []string{"a", "b", "x", "left", "right"}[r.IntN(5)], active: r.IntN(2) == 0})
			continue
		case 3:
			if i := r.IntN(len(acts) + 1); i < len(acts) {
				acts = append(acts, acts[i])
			}
			continue
		case 4, 5, 6:
			t -= 50 + r.Int64N(60)
		case 7:
			at += 40
		}
		now += r.Int64N(4)
		acts = append(acts, act{tick: edged.Timestamp(now)})
		v, mark := fmt.Sprint(r.IntN(12)), "null"
		if r.IntN(8) == 0 {
			v = "null"
		}
		if r.IntN(3) == 0 {
			mark = fmt.Sprint(at - 5)
		}
		acts = append(acts, act{
			topic: "in/" + []string{"left", "right"}[r.IntN(2)],
			payload: fmt.Sprintf(`{"d":"%s","t":%d,"v":%s,"s":"%s","b":%t,"m":%s}`,
				[]string{"a", "b"}[r.IntN(2)], t, v, []string{"x", "y", "z"}[r.IntN(3)], r.IntN(3) == 0, mark),
		})
	}
	return acts
}
