package campaign

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"edged/internal/sim"
)

// writer writes rows as a gateway would.
type writer struct {
	stream string
	list   []Delivery
}

func (w *writer) pane(at Span, c *Content, kind string, index int) {
	members := ""
	if c.Values != nil {
		members = fmt.Sprintf(`"avg":%v,"p90":%v,`, c.Sum/float64(c.Count), percentile(c.Values, 0.9))
	} else if c.Mean {
		members = fmt.Sprintf(`"avg":%v,`, c.Sum/float64(c.Count))
	}
	seq := len(w.list) + 1
	text := fmt.Sprintf(`{"key":%q,"start":%d,"end":%d,"line":%q,"members":%d,"count":%d,"sum":%v,%s"pane":%q,"index":%d,"final":false,"id":"id-%d","seq":%d,"gateway":"g"}`,
		at.Key, at.Start, at.End, c.Line, c.Members, c.Count, c.Sum, members, kind, index, seq, seq)
	w.list = append(w.list, Delivery{Topic: w.stream + "/" + at.Key, Payload: []byte(text)})
}

// perfectStages returns what a faultless gateway would send for a small fleet: every
// fifth window is put right once, every third session was taken back before.
func perfectStages(t *testing.T) (*stages, map[string][]Delivery) {
	t.Helper()
	fleet, err := sim.NewFleet(sim.Config{
		Seed: 1, Devices: 15, Step: 100 * time.Millisecond, Start: 1_700_000_000_000, Events: 1500,
		Disorder: time.Second, DuplicateShare: 0.05,
	})
	if err != nil {
		t.Fatal(err)
	}
	ledger := NewLedger(fleet.Device)
	for s := range fleet.All() {
		ledger.Sent(&s)
	}
	all := &stages{events: ledger.Events(false), boards: map[string]*Board{}}
	sent := map[string][]Delivery{}
	write := func(stream string, want map[Span]Content) {
		w := &writer{stream: stream}
		for i, at := range slices.SortedFunc(maps.Keys(want), Span.compare) {
			c, kind, index := want[at], "on_time", 0
			if stream == "session" && i%3 == 0 && c.Count > 1 {
				before := Content{Count: 1, Sum: 20, Mean: true}
				short := Span{at.Key, at.Start, at.Start + sessionGap}
				if short != at {
					w.pane(short, &before, "early", 0)
					w.pane(short, &before, "retracted", 0)
				}
			} else if i%5 == 0 {
				less := c // but with the same columns
				less.Count, less.Sum = c.Count+1, c.Sum-1
				w.pane(at, &less, "on_time", 0)
				kind, index = "late", 1
			}
			w.pane(at, &c, kind, index)
		}
		sent[stream], all.boards[stream] = w.list, NewBoard(w.list)
	}
	devices := DeviceWindows(all.events, 1000, line)
	write("device", devices)
	perLine := Gather(all.boards["device"], devices, 1000, func(p *Pane) string { return p.Line })
	write("line", perLine)
	write("site", Gather(all.boards["line"], nil, 2000, func(*Pane) string { return "all" }))
	write("session", Sessions(all.events, sessionGap))
	write("activity", Gather(all.boards["session"], nil, 2000, func(*Pane) string { return "all" }))
	return all, sent
}

func TestPerfectStagesPass(t *testing.T) {
	all, sent := perfectStages(t)
	for name, err := range all.judge() {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if b := all.boards[name]; b.Revisions == 0 || len(b.Panes) < 5 || name == "session" && b.Retractions == 0 {
			t.Errorf("%s: %v", name, b)
		}
		again := NewBoard(slices.Insert(slices.Clone(sent[name]), 8, sent[name][3:8]...))
		if !maps.EqualFunc(again.Panes, all.boards[name].Panes, func(a, b Pane) bool { return a.Index == b.Index }) || again.faults.count > 0 {
			t.Errorf("%s: repeats are not ignored: %v", name, again.faults.first)
		}
	}
}

// TestBoardSeesIt damages perfect streams in every way that we can think of.
func TestBoardSeesIt(t *testing.T) {
	all, sent := perfectStages(t)
	for stream, list := range sent {
		perfect := all.boards[stream]
		revised := slices.IndexFunc(list, func(d Delivery) bool { return strings.Contains(string(d.Payload), `"index":1`) })
		damages := map[string][]Delivery{
			"lost":                    slices.Delete(slices.Clone(list), 4, 5),
			"lost tail":               list[:len(list)-1],
			"revision without number": alter(list, revised, `"index":1`, `"index":0`),
			"revision skips a number": alter(list, revised, `"index":1`, `"index":2`),
			"after the final pane":    alter(list, revised-1, `"final":false`, `"final":true`),
			"other content":           append(slices.Clone(list), alter(list, 7, `"count":`, `"count":1`)[7]),
			"another key":             alter(list, 6, `"key":"`, `"key":"x`),
			"another start":           alter(list, 6, `"start":1`, `"start":-1`),
			"no key":                  alter(list, 6, `"key"`, `"kex"`),
			"no row":                  alter(list, 6, `{`, `[`),
			"nothing":                 nil,
		}
		for _, column := range []string{"count", "sum", "avg", "p90", "members", "line"} {
			if column == "line" && stream != "device" || column == "members" && (stream == "device" || stream == "session") ||
				column == "avg" && (stream == "site" || stream == "activity") || column == "p90" && stream != "device" && stream != "line" {
				continue
			}
			damages[column+" is wrong"] = alterLast(list, `"`+column+`":`, `"`+column+`":77777,"was":`)
		}
		if stream == "session" {
			is := func(kind string) func(d Delivery) bool {
				return func(d Delivery) bool { return strings.Contains(string(d.Payload), `"pane":"`+kind) }
			}
			early, taken := slices.IndexFunc(list, is("early")), slices.IndexFunc(list, is("retracted"))
			damages["not taken back"] = alter(list, taken, `"pane":"retracted","index":0`, `"pane":"late","index":1`)
			damages["took another one back"] = alter(list, taken, `"index":0`, `"index":3`)
			damages["took back what was not there"] = alter(list, early, `"start":1`, `"start":-1`)
		}
		for name, damaged := range damages {
			all.boards[stream] = NewBoard(damaged)
			if all.judge()[stream] == nil {
				t.Errorf("stream %s, damage %q is not seen", stream, name)
			}
		}
		all.boards[stream] = perfect
	}
}

// alterLast replaces text in the last pane that stands.
func alterLast(list []Delivery, old, new string) []Delivery {
	return alter(list, len(list)-1, old, new)
}

// TestNaiveParts checks the recomputation itself by hand.
func TestNaiveParts(t *testing.T) {
	if got := []float64{percentile([]float64{3}, 0.9), percentile([]float64{5, 1, 4, 2, 3}, 0.5), percentile([]float64{2, 1}, 0.9)}; !slices.Equal(got, []float64{3, 3, 1}) {
		t.Errorf("percentiles are %v", got)
	}
	if a, b := floor("k", -1, 1000), floor("k", 2000, 1000); a != (Span{"k", -1000, 0}) || b != (Span{"k", 2000, 3000}) {
		t.Errorf("windows are %v, %v", a, b)
	}
	if cmp.Compare(line("d000001"), line("d000008")) != 0 || line("d000000") != "line-0" {
		t.Errorf("lines are %s, %s, %s", line("d000001"), line("d000008"), line("d000000"))
	}
}
