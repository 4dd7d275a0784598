package oracle

import (
	"cmp"
	"math/big"
	"slices"
	"time"
)

// bounds are those of a window: [start, end).
type bounds struct{ start, end int64 }

// compare orders by start, then by end.
func (b bounds) compare(c bounds) int {
	return cmp.Or(cmp.Compare(b.start, c.start), cmp.Compare(b.end, c.end))
}

// assign returns the windows of an event time, for the types whose windows do
// not depend on events, in order.
func assign(w Windowing, t int64) []bounds {
	var all []bounds
	switch w.Type {
	case TumblingType:
		s := floor(t, w.Size, w.Offset)
		all = append(all, bounds{cut(s), plus(s, w.Size)})
	case HoppingType:
		// Backwards from the latest start, as long as the window reaches over t.
		for s := floor(t, w.Period, w.Offset); reaches(s, w.Size, t); s.Sub(s, big.NewInt(w.Period)) {
			all = append(all, bounds{cut(s), plus(s, w.Size)})
		}
	case CumulateType:
		s := floor(t, w.Size, w.Offset)
		for length := w.Step; length <= w.Size; length += w.Step {
			if reaches(s, length, t) {
				all = append(all, bounds{cut(s), plus(s, length)})
			}
		}
	case CalendarType:
		all = append(all, calendar(w, t))
	case GlobalType:
		all = append(all, bounds{minTime, maxTime})
	}
	slices.SortFunc(all, bounds.compare)
	return slices.Compact(all) // at the end of time several may have become one
}

// reaches reports whether s+length > t.
func reaches(s *big.Int, length, t int64) bool {
	return new(big.Int).Add(s, big.NewInt(length)).Cmp(big.NewInt(t)) > 0
}

// ending returns the aligned windows with end in (from, to], in order.
func ending(w Windowing, from, to int64) []bounds {
	found := map[bounds]bool{}
	note := func(t int64) (next int64) {
		next = to
		for _, b := range assign(w, t) {
			if b.end > from && b.end <= to {
				found[b] = true
			}
			next = min(next, b.end)
		}
		return next
	}
	stride := w.Period
	if w.Type == TumblingType {
		stride = w.Size
	} else if w.Type == CumulateType {
		stride = w.Step
	}
	if w.Type == CalendarType {
		for t := from; t < to; {
			t = note(t)
		}
	} else {
		// Hopping windows can have holes between them, so look at every start.
		for t := cut(floor(add(from, -w.Size), stride, w.Offset)); t <= to; t = add(t, stride) {
			note(t)
		}
	}
	var all []bounds
	for b := range found {
		all = append(all, b)
	}
	slices.SortFunc(all, bounds.compare)
	return all
}

// calendar returns the window of t between two neighbouring local starts. It
// makes all local starts of the weeks around t, maps those near t to instants,
// and takes the two that enclose it.
func calendar(w Windowing, t int64) bounds {
	zone, err := time.LoadLocation(w.Zone)
	if err != nil {
		panic("oracle: " + err.Error())
	}
	around := time.UnixMilli(t).UTC()
	var walls []int64
	for days := -35; days <= 35; days++ {
		day := time.Date(around.Year(), around.Month(), around.Day()+days, 0, 0, 0, 0, time.UTC)
		walls = append(walls, startsOfDay(w, day)...)
	}
	slices.Sort(walls)
	// No clock differs from UTC by two days.
	const near = 2 * 86_400_000
	b := bounds{minTime, maxTime}
	for i, wall := range walls {
		if i+1 < len(walls) && walls[i+1] < t-near || i > 0 && walls[i-1] > t+near {
			continue
		}
		if s := instant(zone, wall); s <= t {
			b.start = max(b.start, s)
		} else {
			b.end = min(b.end, s)
		}
	}
	return b
}

// startsOfDay returns the local starts on a day, as if local time were UTC.
func startsOfDay(w Windowing, day time.Time) []int64 {
	midnight := day.UnixMilli()
	switch w.Unit {
	case "day":
		return []int64{midnight + w.At}
	case "week":
		if day.Weekday() == w.WeekStart {
			return []int64{midnight + w.At}
		}
	case "month":
		if day.Day() == 1 {
			return []int64{midnight + w.At}
		}
	case "shift":
		var all []int64
		for _, s := range w.Shifts {
			all = append(all, midnight+s)
		}
		return all
	}
	return nil
}

// instant returns the first instant at which the clocks of the zone show the
// local time wall or a later one. That is the first of two if it exists twice,
// and the first after the gap if it does not exist.
func instant(zone *time.Location, wall int64) int64 {
	shows := func(t int64) int64 {
		_, offset := time.UnixMilli(t).In(zone).Zone()
		return t + int64(offset)*1000
	}
	const minute, day = 60_000, 86_400_000
	for t := wall - day; ; t += minute {
		if shows(t) >= wall {
			return t
		}
	}
}
