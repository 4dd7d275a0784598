package operator

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"edged/windows/zones"
)

// Limits of maintenance windows.
const (
	WindowsMax      = 16  // of one rollout
	WindowBytesMax  = 128 // of the text of one
	windowsAheadMax = 15  // days; each window opens within them, whatever a clock change leaves out
)

// ErrWindow says that a text is no maintenance window.
var ErrWindow = errors.New("operator: not a maintenance window")

const dayMinutes = 24 * 60

var weekdays = []string{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"}

// Window is a time of the week, by the clock on the wall of a place: from one time of
// day to another, on certain days. One that ends before it begins goes on over midnight,
// and belongs to the day on which it begins. The hour that a clock change leaves out is
// in no window; the one that comes twice is in it twice.
type Window struct {
	days     [7]bool // from Sunday
	from, to int     // minutes of the day; to is above from, and above a day over midnight
	zone     *time.Location
}

// ParseWindow reads DAYS FROM-TO ZONE, as in "Mon-Fri 01:00-04:00 Europe/Berlin". DAYS
// are names and ranges with commas between; without them it is every day. An error wraps
// [ErrWindow].
func ParseWindow(text string) (Window, error) {
	var w Window
	fields := strings.Fields(text)
	if len(fields) == 2 {
		fields = append([]string{"Sun-Sat"}, fields...)
	}
	if len(fields) != 3 || len(text) > WindowBytesMax {
		return w, fmt.Errorf("%w: %.*q: want DAYS FROM-TO ZONE, as in Mon-Fri 01:00-04:00 Europe/Berlin", ErrWindow, WindowBytesMax, text)
	}
	err := w.parseDays(fields[0])
	from, to, ok := strings.Cut(fields[1], "-")
	if err == nil && !ok {
		err = fmt.Errorf("%q has no end: want FROM-TO, as in 22:00-04:30", fields[1])
	}
	if err == nil {
		w.from, err = parseClock(from, dayMinutes-1)
	}
	if err == nil {
		w.to, err = parseClock(to, dayMinutes)
	}
	if err == nil {
		w.zone, err = zones.Load(fields[2])
	}
	if err != nil {
		return Window{}, fmt.Errorf("%w: %.*q: %w", ErrWindow, WindowBytesMax, text, err)
	}
	if w.to <= w.from {
		w.to += dayMinutes
	}
	return w, nil
}

// ParseWindows reads windows.
func ParseWindows(texts []string) ([]Window, error) {
	if len(texts) > WindowsMax {
		return nil, fmt.Errorf("%w: %d maintenance windows are more than %d", ErrLimit, len(texts), WindowsMax)
	}
	var all []Window
	for _, text := range texts {
		w, err := ParseWindow(text)
		if err != nil {
			return nil, err
		}
		all = append(all, w)
	}
	return all, nil
}

func (w *Window) parseDays(text string) error {
	for part := range strings.SplitSeq(text, ",") {
		first, last, ranged := strings.Cut(part, "-")
		if !ranged {
			last = first
		}
		day, end := slices.Index(weekdays, first), slices.Index(weekdays, last)
		if day < 0 || end < 0 {
			return fmt.Errorf("%q are no days: want names of %v, or ranges like Mon-Fri", part, weekdays)
		}
		for w.days[day] = true; day != end; w.days[day] = true {
			day = (day + 1) % len(weekdays)
		}
	}
	return nil
}

// parseClock reads HH:MM as minutes of a day.
func parseClock(text string, most int) (int, error) {
	hours, minutes, ok := strings.Cut(text, ":")
	h, err := strconv.ParseUint(hours, 10, 8)
	m, fault := strconv.ParseUint(minutes, 10, 8)
	if !ok || err != nil || fault != nil || len(hours) != 2 || len(minutes) != 2 || m > 59 || int(h*60+m) > most {
		return 0, fmt.Errorf("%q is no time of day: want HH:MM, at most %02d:%02d", text, most/60, most%60)
	}
	return int(h*60 + m), nil
}

// Open reports whether a time is in the window.
func (w Window) Open(at int64) bool {
	t := time.UnixMilli(at).In(w.zone)
	today, minute := int(t.Weekday()), t.Hour()*60+t.Minute()
	yesterday := (today + 6) % 7
	return w.days[today] && minute >= w.from && minute < w.to || w.days[yesterday] && minute+dayMinutes < w.to
}

// anyOpen reports whether a time is in one of the windows; without windows, always.
func anyOpen(windows []Window, at int64) bool {
	return len(windows) == 0 || slices.ContainsFunc(windows, func(w Window) bool { return w.Open(at) })
}

// nextOpen returns when one of the windows opens: at itself, or the first full minute
// after it that is in one. It looks at each minute, because no rule of a zone can then
// be misunderstood.
func nextOpen(windows []Window, at int64) int64 {
	for next := at; next < at+windowsAheadMax*dayMinutes*minute; next = (next/minute + 1) * minute {
		if anyOpen(windows, next) {
			return next
		}
	}
	return at + windowsAheadMax*dayMinutes*minute
}
