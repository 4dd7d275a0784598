package oracle

import (
	"cmp"
	"fmt"
	"math/big"
	"slices"
)

// Event is one reading, in the order of arrival.
type Event struct {
	Key   string
	Time  int64 // event time, ms
	Value float64

	// Null says that the event carries no value: it is counted in Window.Events
	// and nowhere else.
	Null bool

	// Duplicate says that the event repeats an earlier one and must not count.
	Duplicate bool
}

// Window is the expected content of one window of one key.
type Window struct {
	Key   string
	Start int64
	End   int64

	Events int64 // all that are not duplicates
	Count  int64 // those with a value; if 0, everything below is 0, too

	Sum   float64 // exact, rounded once
	Min   float64
	Max   float64
	First float64 // at the earliest time; of several, the first to arrive
	Last  float64 // at the latest time; of several, the last to arrive
}

// Avg returns the mean of the values, and 0 when there is none.
func (w Window) Avg() float64 {
	if w.Count == 0 {
		return 0
	}
	return w.Sum / float64(w.Count)
}

// Tumbling returns the windows of the given size, shifted by offset, that have
// at least one event, sorted by key and start. Times are milliseconds; size
// must be positive, and times must keep a distance of size from the ends of int64.
func Tumbling(events []Event, size, offset int64) []Window {
	if size <= 0 {
		panic(fmt.Sprintf("oracle: window size is %d", size))
	}
	type place struct {
		key   string
		start int64
	}
	contents := map[place][]Event{}
	for _, ev := range events {
		if !ev.Duplicate {
			at := place{ev.Key, start(ev.Time, size, offset)}
			contents[at] = append(contents[at], ev)
		}
	}
	result := make([]Window, 0, len(contents))
	for at, evs := range contents {
		result = append(result, window(at.key, at.start, at.start+size, evs))
	}
	slices.SortFunc(result, func(a, b Window) int {
		return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Start, b.Start))
	})
	return result
}

// start returns the largest n*size+offset that is <= t, in integers without
// bounds, so that there is nothing to get wrong.
func start(t, size, offset int64) int64 {
	s, o := big.NewInt(size), big.NewInt(offset)
	since := new(big.Int).Sub(big.NewInt(t), o)
	since.Mod(since, s) // Euclidean: 0 <= since < size
	return new(big.Int).Sub(big.NewInt(t), since).Int64()
}

// window adds up events, which are in the order of arrival.
func window(key string, start, end int64, events []Event) Window {
	w := Window{Key: key, Start: start, End: end, Events: int64(len(events))}
	var valued []Event
	for _, ev := range events {
		if !ev.Null {
			valued = append(valued, ev)
		}
	}
	if len(valued) == 0 {
		return w
	}
	w.Count = int64(len(valued))
	sum := new(big.Rat)
	w.Min, w.Max = valued[0].Value, valued[0].Value
	for _, ev := range valued {
		sum.Add(sum, new(big.Rat).SetFloat64(ev.Value))
		w.Min, w.Max = min(w.Min, ev.Value), max(w.Max, ev.Value)
	}
	w.Sum, _ = sum.Float64()
	slices.SortStableFunc(valued, func(a, b Event) int { return cmp.Compare(a.Time, b.Time) })
	w.Last = valued[len(valued)-1].Value
	w.First = valued[0].Value
	return w
}
