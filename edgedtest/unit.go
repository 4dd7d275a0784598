package edgedtest

import "edged"

// unit is a pipeline as the driver needs it, and task the state of one of its
// keys. adapter.go makes them of a query.Plan; nothing else here knows plans.
type unit interface {
	Name() string

	// Upstream names the pipeline whose results this one takes, or is "".
	Upstream() string

	// Manual says that the watermark moves only when it is told.
	Manual() bool

	// Stream returns the number of an input by its name, and -1 when there is none.
	// Streams returns their names; a pipeline that is no join has none.
	Stream(name string) int
	Streams() []string

	// Fields names what an event of a stream may carry.
	Fields(stream int) []string

	// Fill makes an event of in. The error is an *edged.PoisonError, errFiltered, or
	// says what is wrong with in.
	Fill(ev *edged.Event, in *Event, stream int) error

	// AppendDerived encodes a result for the pipelines that take it, and appends
	// nothing if it is not for them. Derive makes an event of it.
	AppendDerived(dst []byte, r *edged.Result) []byte
	Derive(ev *edged.Event, derived []byte) error

	// Columns names the values of a result.
	Columns(kind edged.ResultKind) []string

	// Sources says that a key may have several sources with watermarks of their own.
	Sources() bool

	// SetTable replaces a reference table. Expected lists, in order, the keys that are
	// to have events because of it, and OwnTable is what the document says of that.
	SetTable(name string, content []byte) error
	Expected(table string) []string
	OwnTable() (name string, content []byte, ok bool)

	// Command makes an event of a command of an operator. The error is an
	// *edged.PoisonError, or errFiltered when it is for another pipeline.
	Command(ev *edged.Event, payload []byte) error

	NewTask(key string) task

	// Clone returns the same pipeline with nothing in common with this one.
	Clone() (unit, error)
}

type task interface {
	Observe(out *edged.Output, ev *edged.Event, now edged.Timestamp)
	Advance(out *edged.Output, to edged.Timestamp, seq edged.Seq, now edged.Timestamp)
	Tick(out *edged.Output, seq edged.Seq, now edged.Timestamp)
	Expect(out *edged.Output, retired bool, seq edged.Seq, now edged.Timestamp)
	SourceIdle(out *edged.Output, source string, seq edged.Seq, now edged.Timestamp)
	SourceActive(out *edged.Output, source string, seq edged.Seq, now edged.Timestamp)
	End(out *edged.Output, seq edged.Seq, now edged.Timestamp)
	AppendBinary(dst []byte) ([]byte, error)
	Restore(state []byte) error
}

// pipeline is a unit with the tasks of its keys.
type pipeline struct {
	unit
	stage int // 0: takes events; else one more than that of its upstream
	keys  []string
	tasks map[string]task

	// told is how far the watermark was told to be: where new keys start.
	told edged.Timestamp
}
