package campaign

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"

	"edged/fleet"
	"edged/internal/oracle"
)

// faultsKept is how many faults a [Verdict] describes. All are counted.
const faultsKept = 12

// sumTolerance is the relative error that a sum or mean may have: adding
// thousands of float64 in any order stays far below it, and a single event in a
// hundred thousand is far above.
const sumTolerance = 1e-9

// Verdict is what a campaign found out about one stream.
type Verdict struct {
	Events     int64 // that count
	Windows    int   // expected
	Deliveries int   // that arrived, repeats included
	Repeats    int   // of them; a receiver ignores these by number and id

	LostWindows   int   // expected, never arrived
	DoubleWindows int   // arrived again as another result
	StrayWindows  int   // arrived, not expected
	WrongWindows  int   // arrived with another content
	LostEvents    int64 // missing in windows, those of lost windows included
	DoubleEvents  int64 // too many in windows, those of double windows included
	OutOfOrder    int   // results of a key that came after a later window
	Malformed     int   // deliveries that are no results
	Stream        error // gaps, conflicts and reissues

	faults []string
}

// place identifies a window.
type place struct {
	key   string
	start int64
}

// result is a row as the example pipeline writes it. Pointers tell null and
// absent from 0.
type result struct {
	Device *string  `json:"device"`
	Start  *int64   `json:"start"`
	End    int64    `json:"end"`
	Count  int64    `json:"count"`
	Sum    *float64 `json:"sum"`
	Avg    *float64 `json:"avg"`
	Min    *float64 `json:"min"`
	Max    *float64 `json:"max"`
	First  *float64 `json:"first"`
	Last   *float64 `json:"last"`
	Pane   string   `json:"pane"`
	Index  int      `json:"index"`
}

// Judge compares what arrived on one stream with what its input amounts to.
// Deliveries are in the order of arrival.
func Judge(expected []oracle.Window, deliveries []Delivery) Verdict {
	v := Verdict{Windows: len(expected), Deliveries: len(deliveries)}
	want := make(map[place]oracle.Window, len(expected))
	for _, w := range expected {
		want[place{w.Key, w.Start}] = w
		v.Events += w.Events
	}
	seen, latest := map[place]bool{}, map[string]int64{}
	receiver := fleet.NewReceiver(fleet.Config{})
	for _, d := range deliveries {
		if !v.fresh(receiver, d) {
			continue
		}
		var r result
		if err := json.Unmarshal(d.Payload, &r); err != nil || r.Device == nil || r.Start == nil {
			v.Malformed++
			v.fault("%s: no result: %s", d.Topic, d.Payload)
			continue
		}
		at := place{*r.Device, *r.Start}
		v.compare(at, &r, want, seen)
		if before, ok := latest[at.key]; ok && at.start < before {
			v.OutOfOrder++
			v.fault("%v came after the window at %d", at, before)
		}
		latest[at.key] = max(at.start, latest[at.key])
	}
	for _, w := range expected {
		if !seen[place{w.Key, w.Start}] {
			v.LostWindows++
			v.LostEvents += w.Events
			v.fault("%v is lost; it has %d events", place{w.Key, w.Start}, w.Events)
		}
	}
	v.Stream = receiver.Check()
	return v
}

// fresh reports whether a receiver would apply the delivery. What contradicts an
// earlier one is looked at, too: it tells which window was touched.
func (v *Verdict) fresh(receiver *fleet.Receiver, d Delivery) bool {
	receipt, err := receiver.Take(d.Stream(), d.Payload)
	if err != nil {
		v.Malformed++
		v.fault("%s: %v: %s", d.Topic, err, d.Payload)
		return false
	}
	if receipt.Verdict == fleet.Repeat {
		v.Repeats++
		return false
	}
	return true
}

func (v *Verdict) compare(at place, r *result, want map[place]oracle.Window, seen map[place]bool) {
	w, known := want[at]
	switch {
	case !known:
		v.StrayWindows++
		v.DoubleEvents += r.Count
		v.fault("%v is not expected; it has %d events", at, r.Count)
		return
	case seen[at]:
		v.DoubleWindows++
		v.DoubleEvents += r.Count
		v.fault("%v came twice as different results", at)
		return
	}
	seen[at] = true
	v.LostEvents += max(0, w.Events-r.Count)
	v.DoubleEvents += max(0, r.Count-w.Events)
	if diff := differences(&w, r); len(diff) > 0 {
		v.WrongWindows++
		v.fault("%v is wrong: %s", at, strings.Join(diff, ", "))
	}
}

// differences lists the columns in which a result is not what it should be.
func differences(w *oracle.Window, r *result) (diff []string) {
	differ := func(name string, got, want any) {
		diff = append(diff, fmt.Sprintf("%s is %v, should be %v", name, got, want))
	}
	if r.End != w.End {
		differ("end", r.End, w.End)
	}
	if r.Count != w.Events {
		differ("count", r.Count, w.Events)
	}
	if r.Pane != "on_time" || r.Index != 0 {
		differ("pane", fmt.Sprint(r.Pane, " ", r.Index), "on_time 0")
	}
	number := func(name string, got *float64, want, tolerance float64) {
		switch {
		case got == nil:
			differ(name, "null", want)
		case math.Abs(*got-want) > tolerance*math.Max(1, math.Abs(want)):
			differ(name, *got, want)
		}
	}
	number("sum", r.Sum, w.Sum, sumTolerance)
	number("avg", r.Avg, w.Avg(), sumTolerance)
	number("min", r.Min, w.Min, 0)
	number("max", r.Max, w.Max, 0)
	number("first", r.First, w.First, 0)
	number("last", r.Last, w.Last, 0)
	return diff
}

func (v *Verdict) fault(format string, args ...any) {
	if len(v.faults) < faultsKept {
		v.faults = append(v.faults, fmt.Sprintf(format, args...))
	}
}

// String names the window.
func (p place) String() string { return fmt.Sprintf("window %s %d", p.key, p.start) }

// String sums the verdict up in a line.
func (v Verdict) String() string {
	return fmt.Sprintf("%d events in %d windows; windows lost %d, double %d, stray %d, wrong %d; events lost %d, double %d; %d deliveries of which %d repeats, %d out of order, %d malformed",
		v.Events, v.Windows, v.LostWindows, v.DoubleWindows, v.StrayWindows, v.WrongWindows,
		v.LostEvents, v.DoubleEvents, v.Deliveries, v.Repeats, v.OutOfOrder, v.Malformed)
}

// Err returns nil when nothing is wrong. A verdict over nothing is wrong, too.
func (v Verdict) Err() error {
	bad := v.LostWindows + v.DoubleWindows + v.StrayWindows + v.WrongWindows + v.OutOfOrder + v.Malformed
	if v.Windows == 0 {
		return errors.New("no window was expected: the campaign proves nothing")
	}
	if bad == 0 && v.LostEvents == 0 && v.DoubleEvents == 0 && v.Stream == nil {
		return nil
	}
	return errors.Join(fmt.Errorf("%s\n  %s", v, strings.Join(v.faults, "\n  ")), v.Stream)
}
