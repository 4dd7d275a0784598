package edged

// Timing says when a pane fired relative to the watermark.
type Timing uint8

// The timings of panes.
const (
	OnTime Timing = iota
	Early
	Late
)

// String returns the word that results carry in their "pane" field.
func (t Timing) String() string {
	switch t {
	case Early:
		return "early"
	case Late:
		return "late"
	}
	return "on_time"
}

// Cause says what made time advance when a pane fired.
type Cause uint8

// The causes.
const (
	ByWatermark Cause = iota // an event of the key
	ByIdle                   // the key was silent for its idle timeout
	ByEnd                    // the bounded input ended
	ByTick                   // processing time came to what something waited for
	ByCommand                // an operator
)

// Closes reports whether what is open is closed wherever event time is.
func (c Cause) Closes() bool { return c == ByIdle || c == ByCommand }

// String returns the word used as a metric's label.
func (c Cause) String() string {
	switch c {
	case ByIdle:
		return "idle"
	case ByEnd:
		return "end"
	case ByTick:
		return "tick"
	case ByCommand:
		return "command"
	}
	return "watermark"
}

// ResultKind tells what a [Result] is.
type ResultKind uint8

// The kinds of results.
const (
	PaneResult    ResultKind = iota // one firing of one window
	LateResult                      // an event that came too late for all its windows
	RetractResult                   // takes an earlier pane back: its window is another now
	RowResult                       // an event, or a match of a join, that no window gathers
	AlarmResult                     // something that happened to an alarm
)

// Result is what a task hands to the world.
//
// A pane has the bounds of its window. A retraction has the bounds and the index
// of the pane that it takes back; its Values are those of that pane when panes are
// retracted by value, and otherwise none. For a late event Start is its event
// time, End the end of the window it missed, and Values are the event's. For a row
// Start is its event time and End the millisecond after. For an alarm Start is its
// own, and End the event time of what happened to it.
type Result struct {
	Kind       ResultKind
	Timing     Timing
	Cause      Cause
	Last       bool   // of a pane: its window will not fire again
	Historical bool   // it is about the past: see the backlog of a task
	Index      uint32 // of the pane among the firings of its window, from 0
	Trigger    Seq    // the record that made it fire
	Key        string
	Start      Timestamp
	End        Timestamp
	Watermark  Timestamp
	Values     []Value
	Partial    []byte // mergeable state behind Values, for the next stage; nil when nobody merges it
}

// Miss is one window that did not take an event.
type Miss struct {
	Trigger Seq       // the event's record
	Time    Timestamp // the event's time
	Start   Timestamp
	End     Timestamp
	Limit   bool // refused by a limit, not late
}

// Output is what one turn of a task asks of the world. It is reused from turn
// to turn: Reset keeps the memory.
type Output struct {
	Results []Result

	// Missed lists every window that did not take an event, also when other
	// windows did.
	Missed []Miss

	Late       int // events too late for all their windows
	Duplicates int // events dropped because they repeat an earlier one
	Overflow   int // events, windows or parts of states refused because a limit was reached
	Unassigned int // events that belong to no window: they fall between two
	Suppressed int // events that a change detector kept back
	Ahead      int // events ahead of our clock that did not move time
	Historical int // events taken by the backlog's windows

	values []Value // backs the Values of Results
	bytes  []byte  // backs their Partials
}

// Reset empties the output and keeps its memory.
func (o *Output) Reset() {
	clear(o.values)
	clear(o.Results) // for what their Values may hold beyond ours
	o.Results, o.Missed, o.values, o.bytes = o.Results[:0], o.Missed[:0], o.values[:0], o.bytes[:0]
	o.Late, o.Duplicates, o.Overflow, o.Unassigned, o.Suppressed, o.Ahead, o.Historical = 0, 0, 0, 0, 0, 0, 0
}

// Bytes keeps a copy of b that lives as long as the output.
func (o *Output) Bytes(b []byte) []byte {
	at := len(o.bytes)
	if cap(o.bytes)-at < len(b) {
		// Earlier results keep the old array; only its tail is left unused.
		o.bytes = make([]byte, 0, max(2*cap(o.bytes), len(b), 256))
		at = 0
	}
	o.bytes = append(o.bytes, b...)
	return o.bytes[at:len(o.bytes):len(o.bytes)]
}

// Columns returns n zero values that live as long as the output.
func (o *Output) Columns(n int) []Value {
	at := len(o.values)
	if cap(o.values)-at < n {
		// Earlier results keep the old array; only its tail is left unused.
		o.values = make([]Value, 0, max(2*cap(o.values), n, 16))
		at = 0
	}
	o.values = o.values[:at+n]
	return o.values[at : at+n : at+n]
}
