package oracle

// Reading is one event of a script.
type Reading struct {
	Stream  string // joins: Left or Right
	Key     string
	Time    int64 // event time, ms
	Arrival int64 // by the gateway's clock; 0: nobody knows
	ID      string
	Fields  map[string]any // float64, bool, string or nil
}

// The values of Reading.Stream in a join.
const (
	Left  = "l"
	Right = "r"
)

// The values of Step.Kind.
const (
	EventStep          = "event" // one reading, or several: a bundle
	WatermarkStep      = "watermark"
	ProcessingTimeStep = "processing_time"
	IdleStep           = "idle"
	ActiveStep         = "active"
	RestoreStep        = "checkpoint_restore"
	EndStep            = "end"
)

// Step is one line of a script.
type Step struct {
	Kind     string
	Readings []Reading // EventStep
	Time     int64     // WatermarkStep, ProcessingTimeStep
	Source   string    // IdleStep, ActiveStep
}

// The values of Line.Kind.
const (
	PaneLine    = "pane"
	RetractLine = "retract"
	LateLine    = "late"
	RowLine     = "row"
	RefusedLine = "dead_letter"
)

// Line is one thing that a pipeline says.
//
// Of a late event, Start is its time and Windows are those that it missed, be it
// because of time or of a limit; End is that of the last of them. Of a row, Start is its time and End the millisecond
// after, unless a window made it. A retraction has no more than its bounds, its index
// and perhaps values, a refused event no more than its time.
type Line struct {
	Step      int // index of the step that made it appear, from 0
	Key       string
	Kind      string
	Start     int64
	End       int64
	Pane      string // early, on_time, late
	Index     int
	Last      bool
	Watermark int64
	Cause     string // watermark, idle, end, tick
	Values    string // the columns in their order, as JSON, separated by spaces; "" is none
	Windows   string // late: "[s,e) [s,e)" in order
	Dropped   bool   // late: no other window took the event

	// Historical marks what is about the past. An event that only some windows of the
	// past did not take is not marked.
	Historical bool
}
