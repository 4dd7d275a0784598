package alarms

import (
	"errors"
	"fmt"
	"time"

	"edged"
)

// Schedule is when there is maintenance, week by week, by the clocks on the walls of a
// place: a time is covered if a clock there shows a time within a window. So a window
// from 02:00 to 03:00 takes two hours in the night in which clocks are set back, and
// none in the one in which they are set forward.
type Schedule struct {
	Windows  []Window       // at most WindowsMax
	Location *time.Location // nil: UTC
}

// Window is a span of the week.
type Window struct {
	Days [7]bool // on which it begins, by time.Weekday: Sunday is 0
	From int     // minutes after midnight, 0 to 1439
	To   int     // minutes after midnight, 1 to 1440; not above From: on the next day; equal: 24 hours
}

// WindowsMax is how many windows a schedule may have.
const WindowsMax = 32

// Validate joins all that is wrong with the schedule. The errors wrap ErrSpec.
func (s *Schedule) Validate() error {
	var faults []error
	if len(s.Windows) > WindowsMax {
		faults = append(faults, fmt.Errorf("%w: maintenance has %d windows; there may be %d", ErrSpec, len(s.Windows), WindowsMax))
	}
	for i, w := range s.Windows {
		if w.Days == [7]bool{} {
			faults = append(faults, fmt.Errorf("%w: maintenance window %d has no day; give at least one", ErrSpec, i))
		}
		if w.From < 0 || w.From >= dayMinutes {
			faults = append(faults, fmt.Errorf("%w: maintenance window %d begins %d minutes after midnight; it must be 0 to %d",
				ErrSpec, i, w.From, dayMinutes-1))
		}
		if w.To < 1 || w.To > dayMinutes {
			faults = append(faults, fmt.Errorf("%w: maintenance window %d ends %d minutes after midnight; it must be 1 to %d",
				ErrSpec, i, w.To, dayMinutes))
		}
	}
	return errors.Join(faults...)
}

// Covers reports whether event time t is within a window: from From, included, to To,
// excluded. A nil schedule covers nothing.
func (s *Schedule) Covers(t edged.Timestamp) bool {
	if s == nil || len(s.Windows) == 0 {
		return false
	}
	local := time.UnixMilli(int64(t)).UTC()
	if s.Location != nil {
		local = local.In(s.Location)
	}
	today := local.Weekday()
	minute := local.Hour()*60 + local.Minute()
	for i := range s.Windows {
		if s.Windows[i].covers(today, minute) {
			return true
		}
	}
	return false
}

// covers reports whether a clock that shows the day and the minute shows a time within
// the window.
func (w *Window) covers(today time.Weekday, minute int) bool {
	yesterday := (today + 6) % 7
	if w.From < w.To {
		return w.Days[today] && w.From <= minute && minute < w.To
	}
	return w.Days[today] && w.From <= minute || w.Days[yesterday] && minute < w.To
}

const dayMinutes = 24 * 60
