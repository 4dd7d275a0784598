package query

import "edged/mqtt/codec"

// Plan is a pipeline ready to run: a [PipelineSpec] that was checked, with its
// topic filter, decoder and expressions compiled.
//
// The exported fields are for reading only. A Plan is not safe for concurrent
// use of [Plan.Decode]; every other method may be called from anywhere.
type Plan struct {
	Window     WindowSpec
	Watermark  WatermarkSpec
	Dedup      DedupSpec
	Aggregates []AggregateSpec

	// Slots names the values of an event, in the order of edged.Event.Values.
	Slots []string

	// Configuration.
	name      string
	spec      PipelineSpec
	fields    []field
	filter    topicFilter
	keyLevel  int         // of the topic; -1: the key comes from the payload
	keep      *expression // nil: every event
	computed  []computed
	identity  []int // slots of Dedup.Fields
	topic     topicTemplate
	lateTopic topicTemplate

	// Constant parts of rows.
	keyMember   string
	columns     []string
	lateColumns []string

	// Working memory of Decode.
	decoder   *codec.Decoder
	evaluator evaluator
	scratch   []byte

	// fold is what the tasks of this plan share; bind (task.go) builds it and
	// Compile calls bind last, so that NewTask may be called from anywhere.
	fold *fold
}

// computed is a field that an expression makes.
type computed struct {
	expression *expression
	field      int // into Plan.fields
	slot       int // into Event.Values
}

// WindowTumbling is the only type of window so far.
const WindowTumbling = "tumbling"

// WindowSpec says how a pipeline cuts event time. All lengths are milliseconds.
type WindowSpec struct {
	Type            string // WindowTumbling
	Size            int64  // > 0
	Offset          int64  // in [0, Size): windows start at multiples of Size plus Offset
	AllowedLateness int64  // >= 0: how long after its end a window still takes events
}

// WatermarkSpec says how a pipeline learns that time has passed. All lengths
// are milliseconds.
type WatermarkSpec struct {
	OutOfOrderness int64 // >= 0: the watermark trails the newest event time by this
	IdleTimeout    int64 // silence after which a key's time moves on by itself; 0: never
}

// DedupSpec says how long a key remembers the identities of its events.
type DedupSpec struct {
	Enabled    bool
	By         string   // DedupContent, DedupFields or DedupNone
	Fields     []string // for DedupFields
	Horizon    int64    // milliseconds of event time; 0: as long as a window they belong to is open
	MaxEntries int      // limit per key
}

// The identities of events.
const (
	DedupContent = "content"
	DedupFields  = "fields"
	DedupNone    = "none"
)

// AggregateSpec is one column of a pane.
type AggregateSpec struct {
	Name     string // of the member in the result
	Function string // count, sum, avg, min, max, first or last
	Field    string // as the document says it; "": events are counted
	Slot     int    // index into edged.Event.Values; -1: count of events
}

// Name returns the pipeline's name.
func (p *Plan) Name() string { return p.name }
