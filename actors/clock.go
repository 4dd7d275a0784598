package actors

import (
	"time"

	"edged"
)

// clock is processing time: the time that idleness is measured in. It starts
// where the journal ended and moves only in ticks, and only over intervals in
// which input could have arrived and none was waiting. So neither an outage, a
// restart, a backlog nor a step of the wall clock makes a device look silent.
type clock struct {
	now  edged.Timestamp
	last time.Time // of the last tick; monotonic
}

// newClock continues from the journal's time; a new journal starts at the wall
// clock, which only makes its numbers readable.
func newClock(journal edged.Timestamp, wall time.Time) clock {
	if journal == 0 {
		journal = edged.Timestamp(wall.UnixMilli())
	}
	return clock{now: journal, last: wall}
}

// tick moves processing time to t if the interval counts. An interval longer
// than longest (the process was stopped or starved) counts only that much.
func (c *clock) tick(t time.Time, counts bool, longest time.Duration) {
	d := min(t.Sub(c.last), longest)
	c.last = t
	if counts && d > 0 {
		c.now = c.now.Add(d.Milliseconds())
	}
}
