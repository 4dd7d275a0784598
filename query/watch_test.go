package query

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"edged"
)

// toldOf returns what happened to the alarms of a task, in one line each.
func toldOf(out *edged.Output) (lines []string) {
	for i := range out.Results {
		if r := &out.Results[i]; r.Kind == edged.AlarmResult {
			v := r.Values
			lines = append(lines, fmt.Sprintf("%s %s %d", v[alarmRule].Text(), v[alarmEvent].Text(), r.End))
		}
	}
	out.Reset()
	return lines
}

// watchMinutes gives a task values, one a minute, and returns what is told of them.
func watchMinutes(t *Task, from int, values ...float64) (lines []string) {
	var out edged.Output
	for i, x := range values {
		at := edged.Timestamp((from + i) * 60_000)
		t.Observe(&out, &edged.Event{Seq: edged.Seq(from + i + 1), EventTime: at, Key: "k", Values: []edged.Value{edged.NumberValue(x)}}, at)
		lines = append(lines, toldOf(&out)...)
	}
	return lines
}

// A level that has changed is an alarm for as long as learning is frozen, and usual after
// that; without freezing it is one for a moment.
func TestFreeze(t *testing.T) {
	const minute = 60_000
	for _, c := range []struct {
		alarm          string
		raised, lasts  int64 // minutes after the change
		orLonger, over int64
	}{
		{"{update_interval: 9h}", 0, 1, 15, 15}, // the views that have windows see it for a while
		{"{update_interval: 9h, freeze: 1h}", 0, 60, 75, 75},
		{"{update_interval: 9h, freeze: 1h, on_delay: 10m}", 10, 50, 65, 75},
		{"{update_interval: 9h, freeze: 1h, least: 5, of_last: 5}", 4, 56, 71, 75},
	} {
		w := openWorld(t, base("order: arrival", "dedup: {by: none}", "emit: [v]",
			"detect: [{name: hot, of: v, alarm: "+c.alarm+"}]", "alarms: {outputs: [stdout: {}]}"), nil)
		task := w.plans[0].NewTask("k")
		r := rand.New(rand.NewPCG(1, 1))
		noise := func(n int, level float64) (all []float64) {
			for range n {
				all = append(all, level+r.Float64())
			}
			return all
		}
		const change = 200
		watchMinutes(task, 0, noise(change, 10)...)
		got := watchMinutes(task, change, noise(200, 30)...)
		var raised, cleared int64
		if len(got) < 2 {
			t.Fatalf("%s: got %q", c.alarm, got)
		}
		fmt.Sscanf(got[0], "hot raised %d", &raised)
		fmt.Sscanf(got[1], "hot cleared %d", &cleared)
		lasted := (cleared - raised) / minute
		if raised != (change+c.raised)*minute || lasted < c.lasts || lasted > c.orLonger || cleared > (change+c.over)*minute {
			t.Errorf("%s: got %q: %d minutes", c.alarm, got, lasted)
		}
	}
}

// The state of a task with rules comes back byte for byte at any point, and goes on as
// if nothing had been.
func TestWatchRestores(t *testing.T) {
	text := base("watermark: {out_of_orderness: 2m}", "dedup: {by: none}", "emit: [v]", `detect:
      - {name: a, of: v, alarm: {freeze: 10m, on_delay: 1m}}
      - {name: b, of: v, detector: {type: threshold, high: 14}, alarm: {acknowledge: true, least: 2, of_last: 3}}
      - {name: c, detector: {type: dead_man}}
      - {name: d, detector: {type: missing, interval: 1m, window: 20m}}
      - {name: e, of: v, detector: {type: vote, k: 2, of: [{type: mad}, {type: zscore, window: 60}]}}`,
		"alarms: {outputs: [stdout: {}], commands: {topic: c}, expected: {keys: [k]}}")
	w := openWorld(t, text, nil)
	one, other := w.plans[0].NewTask("k"), w.plans[0].NewTask("k")
	r := rand.New(rand.NewPCG(2, 2))
	for i := range 1500 {
		var a, b edged.Output
		now, seq := edged.Timestamp(i)*60_000, edged.Seq(i+1)
		step := func(t *Task, out *edged.Output, pick, jitter int64, x float64) {
			switch {
			case pick == 0:
				t.Tick(out, seq, now)
			case pick == 1:
				t.Expect(out, false, seq, now)
			case pick == 2:
				ev := edged.Event{Seq: seq, Arrival: now}
				kind := []string{"shelve", "out_of_service", "reset"}[jitter%3]
				if err := w.plans[0].Command(&ev, fmt.Appendf(nil, `{"command":"%s","pipeline":"p","key":"k","for":"5m"}`, kind)); err != nil {
					panic(err)
				}
				t.Observe(out, &ev, now)
			default:
				values := make([]edged.Value, w.plans[0].Room())
				values[0] = edged.NumberValue(x)
				t.Observe(out, &edged.Event{Seq: seq, EventTime: now.Add(-jitter * 1000), Arrival: now, Key: "k", Values: values}, now)
			}
		}
		pick, jitter, x := r.Int64N(60), r.Int64N(100), 10+r.NormFloat64()
		if i%97 < 8 {
			x += 20
		}
		step(one, &a, pick, jitter, x)
		step(other, &b, pick, jitter, x)
		if got, want := strings.Join(toldOf(&b), ","), strings.Join(toldOf(&a), ","); got != want {
			t.Fatalf("step %d: restored says %q, the other %q", i, got, want)
		}
		state, err := other.AppendBinary(nil)
		if err != nil {
			t.Fatal(err)
		}
		other = w.plans[0].NewTask("k")
		if err := other.Restore(state); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
		if again, _ := other.AppendBinary(nil); string(again) != string(state) {
			t.Fatalf("step %d: the state came back differently", i)
		}
	}
}

// Any bytes are refused or make a state that can go on.
func FuzzWatchRestore(f *testing.F) {
	w := openWorld(f, base("order: arrival", "dedup: {by: none}", "emit: [v]",
		"detect: [{name: a, of: v, alarm: {freeze: 1h}}, {name: b, detector: {type: dead_man}}]", "alarms: {outputs: [stdout: {}]}"), nil)
	task := w.plans[0].NewTask("k")
	state, _ := task.AppendBinary(nil) // 9 bytes of fingerprint and format, and the rest
	f.Add(state[9:])
	watchMinutes(task, 0, 1, 2, 3)
	state, _ = task.AppendBinary(nil)
	f.Add(state[9:])
	f.Fuzz(func(t *testing.T, data []byte) {
		fresh := w.plans[0].NewTask("k")
		if fresh.Restore(append(append([]byte(nil), state[:9]...), data...)) == nil {
			watchMinutes(fresh, 9, 1, math.MaxFloat64, -1)
		}
	})
}

// Any bytes are a command, or a dead letter that says why.
func FuzzCommand(f *testing.F) {
	w := openWorld(f, base("order: arrival", "emit: [v]", "detect: [{name: a, of: v}]", "alarms: {outputs: [stdout: {}], commands: {topic: c}}"), nil)
	f.Add([]byte(`{"command":"acknowledge","alarm":"p/a/1-1/k","by":"anna"}`))
	f.Add([]byte(`{"command":"shelve","pipeline":"p","key":"k","rule":"a","for":"1h"}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		var ev edged.Event
		err := w.plans[0].Decode(&ev, "c", payload)
		if poison, ok := err.(*edged.PoisonError); ok && poison.Detail == "" {
			t.Errorf("%q is refused without a reason", payload)
		}
		if err == nil {
			var out edged.Output
			task := w.plans[0].NewTask(ev.Key)
			task.Observe(&out, &ev, 1)
		}
	})
}

// BenchmarkWatch is what the default detector adds to an event.
func BenchmarkWatch(b *testing.B) {
	for name, detect := range map[string]string{"plain": "", "auto": "detect: [{name: a, of: v}]", "threshold": "detect: [{name: a, of: v, detector: {type: threshold, high: 1e9}}]"} {
		b.Run(name, func(b *testing.B) {
			alarms := "alarms: {outputs: [stdout: {}]}"
			if detect == "" {
				alarms = ""
			}
			w := openWorld(b, base("order: arrival", "dedup: {by: none}", "emit: [v]", detect, alarms), nil)
			task := w.plans[0].NewTask("k")
			var out edged.Output
			ev := edged.Event{Key: "k", Values: []edged.Value{edged.NumberValue(1)}}
			r := rand.New(rand.NewPCG(1, 1))
			values := make([]edged.Value, 4096)
			for i := range values {
				values[i] = edged.NumberValue(10 + r.NormFloat64())
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				i++
				ev.Seq, ev.EventTime = edged.Seq(i), edged.Timestamp(i*1000)
				ev.Values[0] = values[i%len(values)]
				task.Observe(&out, &ev, ev.EventTime)
				out.Reset()
			}
		})
	}
}
