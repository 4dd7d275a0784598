package actors

import "time"

// Limit is how fast an output may be given rows, for a while.
type Limit struct {
	Rows  int       // per second; 0: none at all
	Until time.Time // it ends by itself
}

// The timing of a limit.
const (
	// throttleCredit is how late a row may go without slowing down those behind it: a
	// timer that is late costs no rows. So after a rest so much goes at once.
	throttleCredit = 100 * time.Millisecond

	// throttleGrain is the shortest sleep. More rows than one per grain go several at a
	// time, since waking for each of them would cost more than sending it.
	throttleGrain = 10 * time.Millisecond
)

// throttle spaces rows out. It reads no clock. The zero value lets everything through.
//
// Invariant: in any span of time, at most so many rows go as the limit gives to it and one
// credit more, and one row.
type throttle struct {
	limit *Limit    // nil: none
	next  time.Time // when the next row may go
}

// over reports whether the limit has come to its end.
func (t *throttle) over(now time.Time) bool { return t.limit != nil && !now.Before(t.limit.Until) }

// room returns how many of at most so many rows may go.
func (t *throttle) room(now time.Time, most int) int {
	switch {
	case t.limit == nil:
		return most
	case t.limit.Rows <= 0, now.Before(t.next):
		return 0
	}
	return min(most, 1+int(min(now.Sub(t.next), throttleCredit)/t.spacing()))
}

// took notes that rows went for which there was room.
func (t *throttle) took(now time.Time, rows int) {
	if t.limit == nil {
		return
	}
	if earliest := now.Add(-throttleCredit); t.next.Before(earliest) {
		t.next = earliest
	}
	t.next = t.next.Add(time.Duration(rows) * t.spacing())
}

// wake returns when to look again; waiting says that there is a row that only the limit
// keeps back. There must be a limit.
func (t *throttle) wake(now time.Time, waiting bool) time.Time {
	at := t.limit.Until
	if !waiting || t.limit.Rows <= 0 {
		return at
	}
	soon := now.Add(throttleGrain)
	if soon.Before(t.next) {
		soon = t.next
	}
	if soon.Before(at) {
		return soon
	}
	return at
}

// spacing is the time from row to row.
func (t *throttle) spacing() time.Duration {
	return max(time.Second/time.Duration(max(t.limit.Rows, 1)), 1)
}

// Throttle limits the outputs of a stream, or all of that name, or, with both empty, all
// there are; nil lifts what limits them. It returns how many there are of them. Rows that
// are kept back wait in the outbox, in order, and its bound holds. A limit is of the
// output that runs now: it goes with it when pipelines are swapped, and with the process.
// It may be called when Ready is closed.
func (e *Engine) Throttle(stream, output string, limit *Limit) (links int) {
	e.linkMu.Lock()
	defer e.linkMu.Unlock()
	for _, g := range e.gateways {
		if stream != "" && stream != g.state.stream || output != "" && output != g.state.name {
			continue
		}
		links++
		g.state.limit.Store(limit)
		e.system.Root.Send(g.pid, due{})
	}
	return links
}
