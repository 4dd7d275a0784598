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
)

// String returns the word used as a metric's label.
func (c Cause) String() string {
	switch c {
	case ByIdle:
		return "idle"
	case ByEnd:
		return "end"
	}
	return "watermark"
}

// ResultKind tells what a [Result] is.
type ResultKind uint8

// The kinds of results.
const (
	PaneResult ResultKind = iota // one firing of one window
	LateResult                   // an event that came too late for all its windows
)

// Result is what a task hands to the world. For a late event Start is its event
// time, End the end of the window it missed, and Values are the event's.
type Result struct {
	Kind      ResultKind
	Timing    Timing
	Cause     Cause
	Index     uint32 // of the pane among the firings of its window, from 0
	Trigger   Seq    // the record that made it fire
	Key       string
	Start     Timestamp
	End       Timestamp
	Watermark Timestamp
	Values    []Value
}

// Output is what one turn of a task asks of the world. It is reused from turn
// to turn: Reset keeps the memory.
type Output struct {
	Results []Result

	Late       int // events too late for all their windows
	Duplicates int // events dropped because they repeat an earlier one
	Overflow   int // events or windows refused because a limit was reached

	values []Value // backs the Values of Results
}

// Reset empties the output and keeps its memory.
func (o *Output) Reset() {
	clear(o.values)
	*o = Output{Results: o.Results[:0], values: o.values[:0]}
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
