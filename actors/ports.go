package actors

import (
	"context"

	"edged"
)

// Pipeline is a compiled pipeline document, as far as the runtime cares.
// Accepts, Decode, Derive, AppendDerived and SetTable are called by one goroutine;
// the other methods by many.
type Pipeline interface {
	// Name is what its stored states and counters go by. No other pipeline that runs
	// has it.
	Name() string

	// Origin names the pipeline whose stored states this one continues: it begins a key
	// of which nothing is stored under its own name with what is stored under that one.
	// "" for none.
	Origin() string

	// Upstream is "" when the pipeline takes messages. Otherwise it names the
	// pipeline whose results it takes; then Accepts and Decode are not called.
	Upstream() string

	// Slots is the number of values that Decode or Derive fills at most.
	Slots() int

	// Silences are the spans of processing time in ms, ascending, after which a key
	// that has been silent for so long gets a tick. Each is noticed once per silence,
	// and those that are over together by one tick.
	Silences() []int64

	// Pulse asks for ticks while a key is not silent, all in ms of processing time.
	// Time is journaled about once per multiple of every, and a key gets all ticks up
	// to the first that comes span+every or more after its last event. Ticks after that
	// must change nothing, and Open must not be 0 while one can. 0, 0: none.
	Pulse() (every, span int64)

	// Accepts reports whether messages of the topic are for this pipeline.
	Accepts(topic string) bool

	// Decode turns a payload into an event. keep is false when the pipeline's
	// filter wants the event left out. ev comes in with its Arrival, and with
	// Values empty and with room for Slots.
	Decode(ev *edged.Event, topic string, payload []byte) (keep bool, poison *edged.PoisonError)

	// AppendDerived appends a result in the form in which Derive of the pipelines
	// behind this one takes it.
	// Appending nothing says that the result is not for them.
	AppendDerived(dst []byte, r *edged.Result) []byte

	// Derive is Decode for a result of the upstream pipeline. derived is never
	// changed, so the event may point into it.
	Derive(ev *edged.Event, derived []byte) (keep bool, poison *edged.PoisonError)

	// SetTable hands a reference table over, in the order of the journal. The
	// content was checked by whoever loaded it, is never changed, and may be of a
	// table that the pipeline does not use.
	SetTable(name string, content []byte)

	// Expected lists the keys that are to have events because a table, as it is now,
	// says so. Accepts, Decode and SetTable come from the same goroutine.
	Expected(table string) []string

	// NewTask returns the empty state of a key.
	NewTask(key string) Task

	// Route names the stream a result belongs to and the topic of its row. An
	// empty stream means that nobody wants results of this kind.
	Route(r *edged.Result) (stream, topic string)

	// AppendRow appends the payload of the row.
	AppendRow(dst []byte, r *edged.Result, seq uint64) []byte

	// Clone returns an independent copy for another goroutine, without tables.
	Clone() Pipeline
}

// Task is the state of one key: a fold over events and ticks. What it does may
// depend only on its state and on the arguments.
type Task interface {
	// Observe folds one event in. now is the processing time of its record.
	Observe(out *edged.Output, ev *edged.Event, now edged.Timestamp)
	// Tick tells that processing time has come to now. It comes when the key has
	// been silent for one of its Silences, and as often as Pulse asks for; the same
	// tick may concern both, or nothing that the key waits for.
	Tick(out *edged.Output, seq edged.Seq, now edged.Timestamp)
	// Expect tells that the key is to have events from now on, or, when it is retired,
	// not any more. Telling it again changes nothing.
	Expect(out *edged.Output, retired bool, seq edged.Seq, now edged.Timestamp)
	// Drain closes what is open, as far as events before can say when it would end. It
	// changes nothing where nothing is open.
	Drain(out *edged.Output, seq edged.Seq, now edged.Timestamp)
	// End tells that no event will ever come.
	End(out *edged.Output, seq edged.Seq, now edged.Timestamp)

	Active() edged.Timestamp // processing time of the last event
	Open() int               // windows that wait
	Bytes() int              // about how much memory the state takes

	AppendBinary(dst []byte) ([]byte, error)
	Restore(state []byte) error
}

// Store keeps what an epoch made durable. Commit is called by one goroutine;
// the readers may run beside it.
type Store interface {
	Position() edged.Position
	Commit(c *edged.Commit) error
	Replay(after edged.Seq, fn func(*edged.Record) error) error
	Snapshot(pipeline, key string) (snap edged.Snapshot, found bool, err error)
	Snapshots(fn func(edged.Snapshot) error) error
	Skips(fn func(pipeline, key string, seq edged.Seq) error) error
	Rows(stream string, after uint64, maxBytes int) ([]edged.Row, error)
	OutboxBytes() int64
	JournalBytes(after edged.Seq) int64 // about, of the records behind it
}

// Source delivers messages until ctx ends or deliver fails. deliver may block.
type Source interface {
	Run(ctx context.Context, deliver func(ctx context.Context, b edged.Batch) error) error
	// Ack confirms messages that are durable, in the order of their delivery.
	Ack(ids []uint64)
	// Connected reports whether input could arrive now.
	Connected() bool
}

// Output takes rows out of the gateway. Run keeps the link until ctx ends and
// calls up, down and confirmed as things happen; Send is called only between an
// up and the next down, with at most the window's number of unconfirmed rows.
// After a down, what was not confirmed will be sent again.
type Output interface {
	Run(ctx context.Context, up func(), down func(error), confirmed func(seqs []uint64)) error
	Send(rows []edged.Row) error
}

// Shadow is a pipeline that runs beside the others on the same input and says nothing. It
// has states of its own; its results are compared.
type Shadow struct {
	Pipeline Pipeline
	Of       string // the pipeline that its results are compared with; "" for none

	// Waits says that it has spoken until now, and may again. It is held, so that then
	// nothing is missing of what it would have said.
	Waits bool
}

// Link is one output of one stream.
type Link struct {
	Stream string
	Name   string // unique within the stream
	Output Output
	Window int // rows that may be unconfirmed, default 1000
}

// Table is a reference table: something that pipelines look up. Its content is
// kept, so nobody may change it afterwards.
type Table struct {
	Name    string
	Content []byte
}
