package campaign

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"edged/internal/oracle"
)

// percentileTolerance is the relative error that a percentile may have: what the
// sketches promise, and a little for their arithmetic.
const percentileTolerance = 0.0101

// Content is what a window must hold.
type Content struct {
	Line    string // of a device's window
	Members int64  // windows of devices that are in it; 0: not compared
	Count   int64
	Sum     float64
	Mean    bool      // the average is compared, too
	Values  []float64 // of all events; nil: percentiles are not compared
}

// differences lists the columns in which a pane is not what it should be.
func (c *Content) differences(p *Pane) (diff []string) {
	differ := func(name string, got, want any) {
		diff = append(diff, fmt.Sprintf("%s is %v, should be %v", name, got, want))
	}
	number := func(name string, got *float64, want, tolerance float64) {
		switch {
		case got == nil:
			differ(name, "null", want)
		case !(math.Abs(*got-want) <= tolerance*math.Abs(want)+sumTolerance):
			differ(name, *got, want)
		}
	}
	if p.Line != c.Line {
		differ("line", p.Line, c.Line)
	}
	if c.Members > 0 && p.Members != c.Members {
		differ("members", p.Members, c.Members)
	}
	if p.Count != c.Count {
		differ("count", p.Count, c.Count)
	}
	number("sum", p.Sum, c.Sum, sumTolerance)
	if c.Mean {
		number("avg", p.Avg, c.Sum/float64(c.Count), sumTolerance)
	}
	if c.Values != nil {
		number("p90", p.P90, percentile(c.Values, 0.9), percentileTolerance)
	}
	return diff
}

// percentile returns the value that has a share of the others before it, and the
// lower one when the place is between two.
func percentile(values []float64, share float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[int(math.Floor(share*float64(len(sorted)-1)))]
}

// DeviceWindows returns what the windows of the devices must hold. line says which
// line a device belongs to.
func DeviceWindows(events []oracle.Event, size int64, line func(device string) string) map[Span]Content {
	want := map[Span]Content{}
	for _, w := range oracle.Tumbling(events, size, 0) {
		want[Span{w.Key, w.Start, w.End}] = Content{Line: line(w.Key), Count: w.Events, Sum: w.Sum, Mean: true}
	}
	for _, ev := range events {
		if !ev.Duplicate {
			at := floor(ev.Key, ev.Time, size)
			c := want[at]
			c.Values = append(c.Values, ev.Value)
			want[at] = c
		}
	}
	return want
}

// floor returns the window that holds a time.
func floor(key string, at, size int64) Span {
	start := at - (at%size+size)%size
	return Span{key, start, start + size}
}

// Gather returns what the windows of the next stage must hold: what the board of
// the stage before says in the end. group names the key that a pane belongs to. With
// values, which are the expectation of the stage before, averages and percentiles
// must be those of all events; without, they are not compared.
func Gather(b *Board, values map[Span]Content, size int64, group func(*Pane) string) map[Span]Content {
	want := map[Span]Content{}
	spans := make([]Span, 0, len(b.Panes))
	for at := range b.Panes {
		spans = append(spans, at)
	}
	slices.SortFunc(spans, Span.compare)
	for _, at := range spans {
		p := b.Panes[at]
		to := floor(group(&p), at.End-1, size)
		c := want[to]
		c.Members += max(p.Members, 1)
		c.Count += p.Count
		if p.Sum != nil {
			c.Sum += *p.Sum
		}
		c.Mean = values != nil
		c.Values = append(c.Values, values[at].Values...)
		want[to] = c
	}
	return want
}

// Sessions returns what sessions must hold: the events of a key, cut wherever two
// neighbours are further apart than the gap.
func Sessions(events []oracle.Event, gap int64) map[Span]Content {
	byKey := map[string][]oracle.Event{}
	for _, ev := range events {
		if !ev.Duplicate {
			byKey[ev.Key] = append(byKey[ev.Key], ev)
		}
	}
	want := map[Span]Content{}
	for key, evs := range byKey {
		slices.SortStableFunc(evs, func(a, b oracle.Event) int { return cmp.Compare(a.Time, b.Time) })
		first := 0
		for i := range evs {
			if i+1 < len(evs) && evs[i+1].Time-evs[i].Time <= gap {
				continue
			}
			c := Content{Count: int64(i + 1 - first), Mean: true}
			for _, ev := range evs[first : i+1] {
				c.Sum += ev.Value
			}
			want[Span{key, evs[first].Time, evs[i].Time + gap}] = c
			first = i + 1
		}
	}
	return want
}
