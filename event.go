package edged

// Seq numbers the records of one gateway's journal: 1, 2, 3 ... without holes.
type Seq uint64

// Message is one raw input as a transport delivered it. Topic and Payload
// belong to the receiver and are never changed afterwards.
type Message struct {
	Topic   string
	Payload []byte

	// PacketID is the transport's delivery identity, stable over redeliveries
	// and reused later (MQTT: 1..65535). 0 means that there is none (QoS 0, files).
	PacketID uint16

	// Dup says that the transport may have delivered this message before.
	Dup bool

	// Ack is what the source wants back when the message is durable; it is
	// opaque to everybody else. 0 means that nobody waits.
	Ack uint64
}

// Batch is what a source read at once.
type Batch struct {
	Messages []Message

	// Fresh says that the transport started from nothing before these messages:
	// packet ids seen earlier do not identify a redelivery any more.
	Fresh bool

	// Arrival is when the messages came, if that was not now: they are told again. 0: now.
	Arrival Timestamp

	// More says that the source has further input at hand: we are behind, and
	// silence of a device means nothing.
	More bool
}

// Event is one reading: who, when, what.
type Event struct {
	Seq       Seq       // of the record it came from
	Key       string    // what state is partitioned by
	EventTime Timestamp // the device's clock
	Arrival   Timestamp // our clock when it came in; 0: not known, or our clock is not trusted
	Identity  uint64    // equal identities at an equal EventTime are one event; 0: not deduplicated
	Values    []Value   // by the slots of the pipeline's schema; valid only during the turn

	// Stream is the input of the pipeline that the event belongs to, from 0. Only
	// joins have more than one.
	Stream uint8

	// From is what another pipeline has to say, if the event is its result, and
	// nil for a reading.
	From *Contribution

	// Command is what somebody wants done about the key's alarms, if the event is
	// that, and nil for a reading. Then only Seq, Key and Arrival are set besides.
	Command *Command
}

// Command is what an operator says about the alarms of a key.
type Command struct {
	Action  string    // acknowledge, shelve ... See package alarms
	Rule    string    // whose alarm is meant; "": those of all rules
	Member  string    // of the group that the key is, if the rule compares members; "": all
	Named   bool      // a certain alarm is meant: the one with Start and Ordinal
	Start   Timestamp // see Named
	Ordinal uint32    // see Named
	For     int64     // ms, for what ends by itself
	Label   string    // true, false or expected
	By      string    // who says it
	Note    string    // why
}

// Contribution is a result of one pipeline as the event of another: what one
// member of a group has to say about one window. A later contribution of the same
// member about the same window replaces the one before.
type Contribution struct {
	Member    string // the key in the pipeline that it came from
	Start     Timestamp
	End       Timestamp
	Watermark Timestamp // of the member
	Retract   bool      // the member takes back what it said about the window
	Partial   []byte    // mergeable state of the aggregates, in the layout of the pipeline it came from
}

// PoisonError says why an input cannot be an event. It becomes a dead letter.
type PoisonError struct {
	Cause  string // one of a small fixed set, fit for a metric's label: "syntax", "type", "missing_key" ...
	Detail string // what is wrong, for the operator
}

// Error implements error.
func (e *PoisonError) Error() string { return e.Cause + ": " + e.Detail }
