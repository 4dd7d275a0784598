package windows

import (
	"errors"
	"fmt"
	"time"

	"edged"
)

// CalendarUnit is what a window of a [Calendar] lasts.
type CalendarUnit uint8

// The units.
const (
	Day CalendarUnit = iota
	Week
	Month
	Shift
)

// String names the unit as pipeline documents do.
func (u CalendarUnit) String() string {
	switch u {
	case Day:
		return "day"
	case Week:
		return "week"
	case Month:
		return "month"
	case Shift:
		return "shift"
	}
	return fmt.Sprintf("unit %d", uint8(u))
}

// Calendar cuts time into the days, weeks, months or shifts of a place. Each
// window begins when the clocks there come to its local start, so a day lasts 23
// or 25 hours when they change.
//
// A start that the clocks skip is the moment after the gap, and one that they show
// twice is the first of the two. A window that would be empty by that, because a
// whole day is skipped, does not exist.
type Calendar struct {
	// Unit is how long a window lasts.
	Unit CalendarUnit

	// Zone has the rules of the place. See package zones.
	Zone *time.Location

	// At is the local time at which a day, the first day of a week and the first
	// day of a month begin, in minutes after midnight, 0 to 1439. It must be 0 for
	// shifts.
	At int

	// WeekStart is the day with which weeks begin, 1 for Monday to 7 for Sunday.
	// 0 means Monday.
	WeekStart int

	// Shifts are the local times at which shifts begin, in minutes after midnight,
	// ascending, each 0 to 1439. The last shift of a day lasts until the first of
	// the next.
	Shifts []int
}

const (
	minutesPerDay = 24 * 60
	secondsPerDay = minutesPerDay * 60
)

// Assign implements [Assigner]. There is exactly one window for every t.
func (a Calendar) Assign(t edged.Timestamp, i int) (Window, bool) {
	if i != 0 {
		return Window{}, false
	}
	// Boundaries are whole seconds, and in seconds nothing overflows.
	r := a.ruleAt(floorDiv(int64(t), 1000))
	from, to := a.span(a.latest(floorDiv(int64(t), 1000), r))
	return Window{Start: milliseconds(a.first(from, r)), End: milliseconds(a.first(to, r))}, true
}

// Next returns the first window that ends after end, and false if time does.
func (a Calendar) Next(end edged.Timestamp) (Window, bool) {
	if end == edged.MaxTimestamp {
		return Window{}, false
	}
	return a.Assign(end, 0)
}

// Validate implements [Assigner].
func (a Calendar) Validate() error {
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("%w: "+format, append([]any{ErrSpec}, args...)...))
	}
	if a.Unit > Shift {
		fault("calendar %s; use day, week, month or shift", a.Unit)
	}
	if a.Zone == nil {
		fault("a calendar needs a time zone")
	}
	if a.At < 0 || a.At >= minutesPerDay {
		fault("the %s starts at minute %d of the day; it must be 0 to %d", a.Unit, a.At, minutesPerDay-1)
	}
	if a.WeekStart < 0 || a.WeekStart > 7 {
		fault("weeks start with day %d; it must be 1 (Monday) to 7 (Sunday), and 0 means Monday", a.WeekStart)
	}
	if a.Unit != Shift {
		if len(a.Shifts) > 0 {
			fault("a calendar of unit %s has no shifts", a.Unit)
		}
		return errors.Join(faults...)
	}
	if len(a.Shifts) == 0 {
		fault("a calendar of shifts needs the start of at least one")
	}
	if a.At != 0 {
		fault("a calendar of shifts has no other beginning, such as %s; leave at out, or make it a shift", clock(a.At))
	}
	for i, start := range a.Shifts {
		if start < 0 || start >= minutesPerDay {
			fault("shift %d starts at minute %d of the day; it must be 0 to %d", i, start, minutesPerDay-1)
		} else if i > 0 && start <= a.Shifts[i-1] {
			fault("a shift starts at %s, not after the one before it, %s; list each once, in the order of the day", clock(start), clock(a.Shifts[i-1]))
		}
	}
	return errors.Join(faults...)
}

// clock writes minutes after midnight as a time of day.
func clock(minutes int) string { return fmt.Sprintf("%02d:%02d", minutes/60, minutes%60) }

// rule is an offset from UTC, in seconds, and the instants, in seconds since 1970,
// from which and until which it certainly applies. It may apply for longer.
type rule struct{ offset, from, to int64 }

// unbounded is further away than any timestamp, in seconds, with room to spare.
const unbounded = 1 << 60

// ruleAt returns the rule that applies at an instant.
func (a Calendar) ruleAt(at int64) rule {
	t := time.Unix(at, 0).In(a.Zone)
	_, offset := t.Zone()
	r := rule{offset: int64(offset), from: -unbounded, to: unbounded}
	from, to := t.ZoneBounds()
	if !from.IsZero() {
		r.from = from.Unix()
	}
	if !to.IsZero() {
		r.to = to.Unix()
	}
	if r.to <= at {
		// Package time takes every year for one of 365 days when it says how long a
		// rule of the far future applies. On the day after that, no clock changes.
		r.to = (floorDiv(at, secondsPerDay) + 1) * secondsPerDay
	}
	return r
}

// swing is more than what local clocks were ever turned at once, in seconds.
const swing = 2 * secondsPerDay

// latest returns the latest local time that clocks have shown up to an instant, r
// being the rule there. Only while an hour repeats, that is not what they show.
func (a Calendar) latest(at int64, r rule) int64 {
	local := at + r.offset
	for r.from > at-swing {
		before := r.from - 1
		r = a.ruleAt(before)
		local = max(local, before+r.offset)
	}
	return local
}

// first returns the first instant at which clocks show the local time or a later
// one. near is a rule that probably applies.
func (a Calendar) first(local int64, near rule) int64 {
	if at := local - near.offset; near.from <= at-swing && at < near.to {
		return at
	}
	for at := local - secondsPerDay; ; {
		r := a.ruleAt(at)
		if found := max(at, local-r.offset); found < r.to {
			return found
		}
		at = r.to
	}
}

// span returns the last start of a window at or before a local time, and the next
// one, both in local seconds.
func (a Calendar) span(local int64) (from, to int64) {
	at := int64(a.At) * 60
	day := floorDiv(local-at, secondsPerDay)
	switch a.Unit {
	case Week:
		// Day 0, 1 January 1970, was a Thursday.
		day -= floorMod(day+3-int64(max(a.WeekStart, 1)-1), 7)
		return day*secondsPerDay + at, (day+7)*secondsPerDay + at
	case Month:
		first := month(day)
		next := month(first + 31) // no month is so short that this is beyond the next one
		return first*secondsPerDay + at, next*secondsPerDay + at
	case Shift:
		return a.shift(day, local-day*secondsPerDay)
	}
	return day*secondsPerDay + at, (day+1)*secondsPerDay + at
}

// shift is span for shifts: of a day and the seconds since its midnight.
func (a Calendar) shift(day, second int64) (from, to int64) {
	start := func(i int) int64 { return day*secondsPerDay + int64(a.Shifts[i])*60 }
	last := len(a.Shifts) - 1
	i := last
	for i >= 0 && second < int64(a.Shifts[i])*60 {
		i--
	}
	from, to = start(max(i, 0)), start(min(i+1, last))
	if i < 0 {
		from = start(last) - secondsPerDay
	}
	if i == last {
		to = start(0) + secondsPerDay
	}
	return from, to
}

// month returns the first day of the month of a day, both as days since 1 January
// 1970. Years are counted from March, which puts the leap day last, in spans of 400,
// which all have the same number of days.
func month(day int64) int64 {
	const days400, march0 = 146097, 719468 // march0: from 1 March of year 0 to 1970
	start := floorDiv(day+march0, days400) * days400
	in := day + march0 - start
	year := (in - in/1460 + in/36524 - in/(days400-1)) / 365
	newYear := 365*year + year/4 - year/100
	march := (5*(in-newYear) + 2) / 153 // 0 is March, 11 is February
	return start - march0 + newYear + (153*march+2)/5
}

// milliseconds converts seconds, saturating.
func milliseconds(seconds int64) edged.Timestamp {
	switch {
	case seconds > int64(edged.MaxTimestamp)/1000:
		return edged.MaxTimestamp
	case seconds < int64(edged.MinTimestamp)/1000:
		return edged.MinTimestamp
	}
	return edged.Timestamp(seconds * 1000)
}

// floorDiv divides rounding down. d must be positive.
func floorDiv(n, d int64) int64 {
	q := n / d
	if n%d < 0 {
		q--
	}
	return q
}

// floorMod returns what floorDiv leaves.
func floorMod(n, d int64) int64 { return n - floorDiv(n, d)*d }
