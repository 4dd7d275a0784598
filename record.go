package edged

// RecordKind tells what a journal [Record] holds.
type RecordKind uint8

// The kinds of records.
const (
	MessageRecord RecordKind = 1 // a message of a source
	TickRecord    RecordKind = 2 // processing time moved on
	TableRecord   RecordKind = 3 // a reference table was loaded: Topic is its name, Payload its content
	HoldRecord    RecordKind = 4 // a pipeline is held, or not any more: For is its name, see package actors
	AgainRecord   RecordKind = 5 // what a record before, Of, was to pipelines, for those that did not have it then
	KeptRecord    RecordKind = 6 // a reference table as it is: the TableRecord that says so will be cut off
)

// Record is one entry of the journal: everything that ever influences state,
// in the order in which it did.
type Record struct {
	Seq      Seq
	Kind     RecordKind
	Time     Timestamp // processing time of the record; never decreases
	Arrival  Timestamp // the gateway's wall clock; 0 when that cannot be trusted
	Topic    string    // MessageRecord, AgainRecord; TableRecord, KeptRecord: the name
	Payload  []byte    // MessageRecord, AgainRecord: a message; with no Topic a result of another pipeline. Of tables the content
	PacketID uint16    // MessageRecord: see [Message]
	For      string    // HoldRecord, AgainRecord: the pipeline; "" for all that take the topic
	Of       Seq       // HoldRecord: the pipeline has had what is for it up to there. AgainRecord: where it comes from

	// Derived is what pipelines made of this record that other pipelines take as
	// their input, one after the other. See package actors.
	Derived []byte
}

// Row is one result on its way out. Rows of a stream are numbered 1, 2, 3 ...
// without holes; a row is kept until every output of its stream has confirmed it.
type Row struct {
	Stream  string
	Seq     uint64
	Topic   string
	Payload []byte
}

// Known is a truth that older snapshots do not tell.
type Known uint8

// What is known.
const (
	Unknown Known = iota
	No
	Yes
)

// Knowing returns a truth that is known.
func Knowing(is bool) Known {
	if is {
		return Yes
	}
	return No
}

// Snapshot is the state of one key after all records up to Seq.
type Snapshot struct {
	Pipeline string
	Key      string
	Seq      Seq

	// Active, Rung and Beats are how the clock stands to the key after Seq: recovery goes
	// on from there, and gives the key the same ticks as the run before.

	// Active is the processing time of the key's last event.
	Active Timestamp

	// Rung is how many silences of its pipeline were noticed since then, all of them if
	// the key waits for none.
	Rung uint16

	// Beats says whether the key gets every tick of its pipeline's pulse, because none
	// has come yet that was late enough to end that. If it is unknown, so is Rung.
	Beats Known

	// Open is the number of windows that wait for time to pass. While it is 0 no tick can
	// change the state.
	Open int

	// Twin asks for both generations to be written. It is set when the state has
	// not changed since the generation before, and when a key is passivated.
	Twin bool

	State []byte
}

// DeadLetter is an input that could not be processed.
type DeadLetter struct {
	Number   uint64 // its place among all letters of the store, from 1; known when it is read
	Seq      Seq
	Time     Timestamp
	Pipeline string // "" when no pipeline was reached
	Key      string // "" when not known
	Topic    string
	Cause    string // see [PoisonError]
	Detail   string
	Payload  []byte // at most the configured sample
	Size     int    // of the whole payload

	// Skip makes replay pass over (Pipeline, Seq): processing it panicked.
	Skip bool
}

// Cursor is how far an output has got: every row of the stream up to Seq is
// confirmed by it.
type Cursor struct {
	Stream string
	Output string
	Seq    uint64
}

// Sweep marks a complete pass of snapshots over all changed keys. Every key
// that changed before Start has a snapshot of this generation.
type Sweep struct {
	Generation uint64
	Start      Seq // the journal position at which the pass began
}

// Commit is everything that one epoch makes durable, in one transaction. When
// the store's Commit returns nil, all of it is on stable storage; when it
// returns an error, nobody knows what is, and the process must stop.
//
// Only after that may the epoch's messages be acknowledged and its rows sent.
type Commit struct {
	Generation  uint64    // the generation that Snapshots belong to
	Time        Timestamp // processing time; never decreases
	Records     []Record  // contiguous, after the last committed one
	Rows        []Row     // per stream contiguous, after the last committed one
	Snapshots   []Snapshot
	DeadLetters []DeadLetter
	Cursors     []Cursor // outputs that moved since the last commit
	Sweep       *Sweep   // not nil: this commit completes a sweep

	// Retried are the numbers of dead letters that are no letters any more: their
	// messages are among the records again.
	Retried []uint64

	// Keep asks for the records behind it to be kept, whatever sweeps make of them; 0: none.
	Keep Seq
}

// Position is where a store stands: what recovery starts from.
type Position struct {
	Seq     Seq       // the last committed record, 0 in a new store
	Time    Timestamp // processing time of the last commit
	Sweep   Sweep     // the last complete sweep
	Floor   Seq       // the journal holds all records > Floor
	Streams map[string]uint64
	Cursors []Cursor
}
