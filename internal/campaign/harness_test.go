package campaign

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"edged/internal/oracle"
	"edged/internal/sim"
)

const testWindow = 2000 // ms

// perfect returns the events of a small fleet, the windows they amount to, and
// what a faultless gateway would send.
func perfect(t *testing.T) ([]oracle.Event, []oracle.Window, []Delivery) {
	t.Helper()
	fleet, err := sim.NewFleet(sim.Config{
		Seed: 1, Devices: 5, Step: 100 * time.Millisecond, Start: 1_700_000_000_000, Events: 2000,
		Disorder: time.Second, DuplicateShare: 0.05, BacklogShare: 0.1,
	})
	if err != nil {
		t.Fatal(err)
	}
	ledger := NewLedger(fleet.Device)
	for s := range fleet.All() {
		ledger.Sent(&s)
	}
	windows := oracle.Tumbling(ledger.Events(false), testWindow, 0)
	return ledger.Events(false), windows, deliveries(windows)
}

// deliveries writes windows as a gateway would.
func deliveries(windows []oracle.Window) []Delivery {
	var list []Delivery
	for i, w := range windows {
		text := fmt.Sprintf(`{"device":%q,"start":%d,"end":%d,"count":%d,"sum":%v,"avg":%v,"min":%v,"max":%v,"first":%v,"last":%v,"pane":"on_time","index":0,"id":"id-%d","seq":%d,"gateway":"g"}`,
			w.Key, w.Start, w.End, w.Events, w.Sum, w.Avg(), w.Min, w.Max, w.First, w.Last, i, i+1)
		list = append(list, Delivery{Topic: "agg/" + w.Key, Payload: []byte(text)})
	}
	return list
}

func TestPerfectPasses(t *testing.T) {
	_, windows, list := perfect(t)
	if err := Judge(windows, list).Err(); err != nil {
		t.Fatal(err)
	}
	// Redelivery is in order: a repeat is the receiver's to ignore.
	v := Judge(windows, slices.Insert(slices.Clone(list), 30, list[10:30]...))
	if err := v.Err(); err != nil || v.Repeats != 20 {
		t.Fatalf("%d repeats, %v", v.Repeats, err)
	}
}

// alter replaces text in one delivery.
func alter(list []Delivery, at int, old, new string) []Delivery {
	list = slices.Clone(list)
	list[at].Payload = bytes.Replace(list[at].Payload, []byte(old), []byte(new), 1)
	return list
}

// TestHarnessSeesIt damages a perfect run in every way that we can think of.
func TestHarnessSeesIt(t *testing.T) {
	events, windows, list := perfect(t)
	const at = 17
	w := windows[at]
	seq := fmt.Sprintf(`"seq":%d,`, at+1)
	fields := map[string]string{
		"count": fmt.Sprintf(`"count":%d`, w.Events), "sum": fmt.Sprintf(`"sum":%v`, w.Sum),
		"avg": fmt.Sprintf(`"avg":%v`, w.Avg()), "min": fmt.Sprintf(`"min":%v`, w.Min),
		"max": fmt.Sprintf(`"max":%v`, w.Max), "first": fmt.Sprintf(`"first":%v`, w.First),
		"last": fmt.Sprintf(`"last":%v`, w.Last), "end": fmt.Sprintf(`"end":%d`, w.End),
		"pane": `"pane":"on_time"`, "index": `"index":0`,
	}
	for name, text := range fields {
		for damage, value := range map[string]string{"altered": "1234567", "absent": ""} {
			other := fmt.Sprintf(`"%s":%s`, name, value)
			if value == "" {
				other = `"other":0`
			}
			if name == "index" && value == "" {
				continue // read as 0
			}
			broken := alter(list, at, text, other)
			if bytes.Equal(broken[at].Payload, list[at].Payload) {
				t.Fatalf("%s not found in %s", text, list[at].Payload)
			}
			if v := Judge(windows, broken); v.Err() == nil || v.WrongWindows+v.Malformed != 1 {
				t.Errorf("%s %s: %v", name, damage, v)
			}
		}
	}
	must := func(what string, v Verdict, seen bool) {
		t.Helper()
		if v.Err() == nil || !seen {
			t.Errorf("%s: %v; %v", what, v, v.Stream)
		}
	}
	v := Judge(windows, slices.Delete(slices.Clone(list), at, at+1))
	must("a result is lost", v, v.LostWindows == 1 && v.LostEvents == w.Events && v.Stream != nil)
	v = Judge(windows, list[:len(list)-1])
	must("the last result is lost", v, v.LostWindows == 1)
	again := alter(list, at, seq, `"seq":100000,`)[at]
	v = Judge(windows, append(slices.Clone(list), again))
	must("a result under a second number", v, v.DoubleWindows == 1 && v.Stream != nil)
	again = alter([]Delivery{again}, 0, `"id":"`, `"id":"x`)[0]
	v = Judge(windows, append(slices.Clone(list), again))
	must("a result under a second number and id", v, v.DoubleWindows == 1 && v.DoubleEvents == w.Events)
	v = Judge(windows, append(slices.Clone(list), alter(list, at, `"sum":`, `"sum":1`)[at]))
	must("a repeat with another content", v, v.Stream != nil)
	v = Judge(windows, append(slices.Clone(list), Delivery{"agg/x", []byte("{}")}))
	must("no result", v, v.Malformed == 1)
	v = Judge(windows, alter(list, at, `"device":"`, `"device":"stranger`))
	must("a result of another device", v, v.StrayWindows == 1 && v.LostWindows == 1)
	swapped := slices.Clone(list)
	swapped[at], swapped[at+1] = swapped[at+1], swapped[at]
	v = Judge(windows, swapped)
	must("results in the wrong order", v, v.OutOfOrder == 1)
	must("nothing was expected", Judge(nil, nil), true)

	fewer := oracle.Tumbling(slices.Delete(slices.Clone(events), 700, 701), testWindow, 0)
	v = Judge(fewer, list)
	must("an event too many", v, v.DoubleEvents == 1 && v.LostEvents == 0 && v.WrongWindows == 1)
	more := oracle.Tumbling(append(slices.Clone(events), events[700]), testWindow, 0)
	v = Judge(more, list)
	must("an event too few", v, v.LostEvents == 1 && v.DoubleEvents == 0 && v.WrongWindows == 1)
	if text := fmt.Sprint(v.Err()); !strings.Contains(text, events[700].Key) {
		t.Errorf("the fault does not name the device %s: %s", events[700].Key, text)
	}
}

// TestRepeatsAreEvents makes sure that the ledger tells repeats from events.
func TestRepeatsAreEvents(t *testing.T) {
	ledger := NewLedger(func(int) string { return "d" })
	for range 2 {
		ledger.Sent(&sim.Sample{EventTime: 5, Temp: 1, Duplicate: true})
	}
	ledger.Sent(&sim.Sample{EventTime: 5, Temp: 1})
	once := oracle.Tumbling(ledger.Events(false), testWindow, 0)
	all := oracle.Tumbling(ledger.Events(true), testWindow, 0)
	if once[0].Events != 1 || all[0].Events != 3 {
		t.Fatalf("%+v, %+v", once, all)
	}
}
