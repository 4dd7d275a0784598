package oracle

import "time"

// Config describes a pipeline to [Run]: what a pipeline document says, as far as
// it concerns time. Durations are milliseconds. The zero value of an option is
// what a document has that does not mention it.
type Config struct {
	Window       Windowing
	Trigger      Trigger
	Accumulation string // "" is Accumulating
	Lateness     int64
	Empty        bool // fire on time also without events
	WindowsMax   int  // open windows per key; 0: more than any script has
	Watermark    Watermark
	Ordered      bool // events wait until time has passed them
	Dedup        bool // equal ID at equal time counts once
	Columns      []Column
	Join         *Join   // rows of l_v and r_v, which Window gathers if it has a type
	Backlog      Backlog // what becomes of late events
	Guard        Guard   // against times ahead of the gateway's clock
}

// Join says which events of the streams [Left] and [Right] belong together.
type Join struct {
	Type      string
	Pads      string // whose events appear without a partner: "", Left, Right, or Both
	Lower     int64  // interval: right time less left time, at least
	Upper     int64  // and at most
	Tolerance int64  // as of: how old a right event may be; 0: as old as it likes
	Windows   Windowing
}

// The values of Join.Type, and one of Join.Pads.
const (
	IntervalJoin = "interval"
	WindowJoin   = "window"
	AsOfJoin     = "as_of"
	Both         = "lr"
)

// Backlog says how far back late events are gathered in windows of their own. 0
// is not at all.
type Backlog struct {
	Horizon   int64
	OlderThan int64
}

// Guard says how far the time of an event may be ahead of its arrival, and what
// happens to one that is further. 0 is without limit.
type Guard struct {
	AheadMax int64
	Policy   string // "" is Accept
}

// The values of Guard.Policy.
const (
	Accept  = "accept"
	Clamp   = "clamp"
	Refused = "dead_letter"
)

// The values of Config.Accumulation.
const (
	Accumulating = "accumulating"
	Discarding   = "discarding"
	Retracting   = "retracting"
)

// The values of Window.Type.
const (
	TumblingType = "tumbling"
	HoppingType  = "hopping"
	CumulateType = "cumulate"
	CalendarType = "calendar"
	GlobalType   = "global"
	SessionType  = "session"
	CountType    = "count"
	SlidingType  = "sliding"
	StateType    = "state"
)

// Windowing says how event time is cut. Each type reads its own members.
type Windowing struct {
	Type        string
	Size        int64 // tumbling, hopping, cumulate, sliding
	Period      int64 // hopping
	Step        int64 // cumulate
	Offset      int64
	Gap         int64 // session
	MaxDuration int64 // session and state: 0 is none
	LookAhead   int64 // sliding
	When        string
	Open        string // state: fields of type bool
	Close       string
	ChangeOf    string // state: a field of any type
	Count       int
	CountStep   int // 0: as Count
	Partial     bool
	Unit        string // calendar: day, week, month, shift
	Zone        string // calendar
	At          int64  // calendar: day, week, month: ms after local midnight
	WeekStart   time.Weekday
	Shifts      []int64 // calendar: ms after local midnight, ascending
}

// Aligned reports whether windows are the same for all events and keys.
func (w Windowing) Aligned() bool {
	switch w.Type {
	case TumblingType, HoppingType, CumulateType, CalendarType:
		return true
	}
	return false
}

// Trigger says when a window fires besides on time.
type Trigger struct {
	Early, Late *Section // a nil Late is: after every event
	FinalOnly   bool
}

// Section is what holds before a window's end, or after it.
type Section struct {
	When  Cond
	Once  bool // fires only once: a document's repeat: false
	Until *Cond
}

// Cond is a condition; exactly one member is set.
type Cond struct {
	Events   int
	Delay    int64
	Every    int64
	Any      []Cond
	All      []Cond
	Sequence []Cond
}

// The values of Watermark.Type.
const (
	Bounded    = "bounded"
	Ascending  = "ascending"
	Punctuated = "punctuated"
	Manual     = "manual"
)

// Watermark says how time passes.
type Watermark struct {
	Type           string // "" is Bounded
	OutOfOrderness int64
	IdleTimeout    int64  // 0: never; manual: has no effect
	Field          string // punctuated: a number, ms
	Per            string // the field that names an event's source; "": one source
}

// Column is one aggregate. Where is a field of type bool, or "".
type Column struct {
	Name     string
	Function string
	Field    string
	Where    string
}
