package query

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"edged"
)

// Silence moves time as far as the events before it were believed, once: after that
// ticks change nothing, and what the device says then is not late.
func TestSilenceBelievesNoMore(t *testing.T) {
	for _, steps := range []string{
		"window: {size: 10ms}\n    " + count,
		"window: {type: hopping, size: 10ms, period: 3ms, allowed_lateness: 5ms}\n    " + count,
		"window: {type: calendar}\n    " + count,
		"window: {type: session, gap: 10ms}\n    " + count,
		"window: {type: session, gap: 5ms, max_duration: 10ms}\n    " + count,
		"window: {type: sliding, size: 10ms, look_ahead: 5ms}\n    " + count,
		"window: {type: state, change_of: s}\n    " + count,
		"window: {type: count, count: 5, partial: true}\n    " + count,
		"window: {size: 10ms}\n    order: event_time\n    " + count,
		"changes: [{function: swinging_door, field: v, by: 1}]",
		"order: event_time",
	} {
		text := strings.Replace(one(slow, steps), "ahead_max: 0s", "ahead_max: 100ms", 1)
		w := openWorld(t, text, nil)
		send := func(at int64) { w.send("in/a", fmt.Sprintf(`{"d":"a","t":%d,"v":1,"s":"x"}`, at)) }
		w.tick(100_000)
		send(100_000)
		send(4_000_000_000_000)
		send(100_001)
		w.tick(100_100)
		task := w.tasks[0]["a"]
		before := state(t, task)
		if due := task.Due(); due != edged.MaxTimestamp || task.Watermark() > 86_400_000 {
			t.Errorf("%s: due again at %d, watermark %d", steps, due, task.Watermark())
		}
		for now := edged.Timestamp(200_000); now < 300_000; now += 50_000 {
			var out edged.Output
			task.Tick(&out, w.seq+1, now)
			if after := state(t, task); !bytes.Equal(after, before) || len(out.Results) > 0 {
				t.Errorf("%s: the tick at %d changes the state, or says %v", steps, now, out.Results)
			}
		}
		w.tick(400_000)
		send(86_400_000 * 2)
		if w.counts[0] != 0 || w.counts[5] != 2 {
			t.Errorf("%s: counts %v: late after what was ahead", steps, w.counts)
		}
	}
}

// A key that has said nothing that can be believed waits for something that can.
func TestSilenceBelievesNothing(t *testing.T) {
	text := strings.Replace(one(slow, "window: {size: 10ms}", count), "ahead_max: 0s", "ahead_max: 100ms", 1)
	w := openWorld(t, text, nil)
	w.tick(1000)
	w.send("in/a", `{"d":"a","t":4000000000000,"v":1}`)
	w.tick(2000)
	w.want("silence")
	if task := w.tasks[0]["a"]; task.Watermark() != edged.MinTimestamp || task.Due() != edged.MaxTimestamp || task.Open() != 1 {
		t.Errorf("watermark %d, due %d, %d open", task.Watermark(), task.Due(), task.Open())
	}
}

// A join waits for partners of what was believed, and not of the rest.
func TestSilenceOfJoins(t *testing.T) {
	for join, want := range map[string]edged.Timestamp{
		"join: {kind: full, lower: -20ms, upper: 10ms}":              1021,
		"join: {type: as_of, kind: left}":                            1001,
		"join: {type: window, kind: full}\n    window: {size: 10ms}": 1010,
	} {
		head := strings.ReplaceAll(joinHead, "{field: t}", "{field: t, ahead_max: 100ms}")
		w := openWorld(t, "pipelines:"+head+"    "+join+"\n", nil)
		w.tick(1000)
		w.send("in/left", `{"d":"a","t":1000,"v":1}`)
		w.send("in/left", `{"d":"a","t":4000000000000,"v":2}`)
		w.tick(2000)
		if task := w.tasks[0]["a"]; task.Watermark() != want || task.Due() != edged.MaxTimestamp || len(w.rows) != 1 {
			t.Errorf("%s: watermark %d, due %d, %q", join, task.Watermark(), task.Due(), w.rows)
		}
	}
}

// Windows that a key needs all the time, and does not get, are worth a warning.
func TestConditionsOfCrowdedWindows(t *testing.T) {
	for window, want := range map[string]string{
		"watermark: {out_of_orderness: 2s}\n    window: {size: 1s, allowed_lateness: 1h}":                  "needs 3604 windows at once, and 1024 are kept",
		"watermark: {out_of_orderness: 0s}\n    window: {type: hopping, size: 1h, period: 1s}":             "needs 3601 windows",
		"watermark: {type: quantile}\n    window: {size: 1s, windows_max: 61}":                             "needs 62 windows",
		"watermark: {type: ascending}\n    window: {size: 1s, windows_max: 2}":                             "exactly once",
		"order: event_time\n    watermark: {out_of_orderness: 1h}\n    window: {size: 1s, windows_max: 2}": "exactly once",
	} {
		p := openWorld(t, strings.ReplaceAll(one("", window, count), "[stdout: {}]", "[{mqtt: {topic: x}}]"), nil).plans[0]
		if got := p.Conditions(); len(got) != 1 || !strings.Contains(got[0], want) {
			t.Errorf("%s: %q", window, got)
		}
	}
}
