package joins

import (
	"edged"
	"edged/elements"
)

// Match is one row: what two events say together, or one that has no partner.
type Match struct {
	Left  []edged.Value // nil when the right event has no partner
	Right []edged.Value // nil when the left event has no partner

	// Time is the event time of the row: the later one of its events'.
	Time edged.Timestamp

	// Start and End are the window of a window join. Otherwise they are Time and
	// the millisecond after.
	Start, End edged.Timestamp

	// Seq is the record of the event that came later. What made the row appear is
	// that event, or what made the watermark advance.
	Seq edged.Seq
}

// Stray is an event that a join did not take.
type Stray struct {
	Seq    edged.Seq
	Time   edged.Timestamp
	End    edged.Timestamp // the watermark from which on it was too late
	Stream uint8
	Values []edged.Value
	Limit  bool // refused by a limit, not late
}

// Matches is what a join asks of the world in one turn. It is reused from turn to
// turn: Reset keeps the memory. Values live as long as it is not reset.
type Matches struct {
	Rows []Match

	// Late lists the events that the join did not take.
	Late []Stray

	// Missed lists the windows that did not take an event, also when others did.
	// Outside window joins it has one entry for each of Late.
	Missed []edged.Miss

	Overflow   int // of Late, those refused because a limit was reached
	Unassigned int // events that fall between two windows

	values []edged.Value // backs all Values
}

// Reset empties the matches and keeps their memory.
func (m *Matches) Reset() {
	clear(m.values)
	clear(m.Rows)
	clear(m.Late)
	*m = Matches{Rows: m.Rows[:0], Late: m.Late[:0], Missed: m.Missed[:0], values: m.values[:0]}
}

// copy keeps values as long as the matches. The copy is never nil.
func (m *Matches) copy(values []edged.Value) []edged.Value {
	at := len(m.values)
	if m.values == nil || cap(m.values)-at < len(values) {
		// Earlier rows keep the old array; only its tail is left unused.
		m.values = make([]edged.Value, 0, max(2*cap(m.values), len(values), 16))
		at = 0
	}
	m.values = append(m.values, values...)
	return m.values[at:len(m.values):len(m.values)]
}

// pair appends the row of two elements.
func (m *Matches) pair(left, right *elements.Element) *Match {
	time := max(left.Time, right.Time)
	return m.row(Match{
		Left: m.copy(left.Values), Right: m.copy(right.Values),
		Time: time, Start: time, End: time.Add(1), Seq: max(left.Seq, right.Seq),
	})
}

// pad appends the row of an element of the side that has no partner.
func (m *Matches) pad(side int, e *elements.Element) *Match {
	row := Match{Time: e.Time, Start: e.Time, End: e.Time.Add(1), Seq: e.Seq}
	if side == leftSide {
		row.Left = m.copy(e.Values)
	} else {
		row.Right = m.copy(e.Values)
	}
	return m.row(row)
}

func (m *Matches) row(row Match) *Match {
	m.Rows = append(m.Rows, row)
	return &m.Rows[len(m.Rows)-1]
}

// stray appends an event that is not taken.
func (m *Matches) stray(ev *edged.Event, end edged.Timestamp, limit bool) {
	if limit {
		m.Overflow++
	}
	m.Late = append(m.Late, Stray{
		Seq: ev.Seq, Time: ev.EventTime, End: end, Stream: ev.Stream, Values: m.copy(ev.Values), Limit: limit,
	})
}

// miss appends a window that did not take the event.
func (m *Matches) miss(ev *edged.Event, start, end edged.Timestamp, limit bool) {
	m.Missed = append(m.Missed, edged.Miss{Trigger: ev.Seq, Time: ev.EventTime, Start: start, End: end, Limit: limit})
}

// refuse appends an event that is not taken and, as what it missed, the time from
// its own to end.
func (m *Matches) refuse(ev *edged.Event, end edged.Timestamp, limit bool) {
	m.miss(ev, ev.EventTime, end, limit)
	m.stray(ev, end, limit)
}
