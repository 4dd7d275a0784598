package joins

import (
	"errors"
	"fmt"

	"edged"
)

// Errors of this package.
var (
	// ErrConfig says that a join cannot work as configured.
	ErrConfig = errors.New("invalid join")

	// ErrState says that stored bytes are not the state of a join.
	ErrState = errors.New("malformed join state")
)

// Limits of joins.
const (
	// EventsMaxDefault is how many events of one key a join keeps, of both sides
	// together, unless it is configured otherwise.
	EventsMaxDefault = 4096

	// EventsMaxMost is the largest limit that can be configured.
	EventsMaxMost = 1 << 20

	// PairsMax is the most rows that one window of a window join may give. The
	// event that would make it more is refused.
	PairsMax = 1 << 16

	// SpanMax is the longest distance, in milliseconds, in any join: 2^60.
	SpanMax = 1 << 60
)

// Kind says what becomes of events without a partner.
type Kind uint8

// The kinds of joins.
const (
	Inner Kind = iota // no row
	Left              // left events are padded
	Right             // right events are padded
	Full              // both are
)

// String returns the word that pipeline documents use.
func (k Kind) String() string {
	switch k {
	case Left:
		return "left"
	case Right:
		return "right"
	case Full:
		return "full"
	}
	return "inner"
}

// pads reports whether events of the side are padded.
func (k Kind) pads(side int) bool {
	return k == Full || k == Left && side == leftSide || k == Right && side == rightSide
}

// The sides of a join, which index what there is two of.
const (
	leftSide = iota
	rightSide
	sides
)

// sideOf returns the side of an event.
func sideOf(ev *edged.Event) int {
	if ev.Stream == leftSide {
		return leftSide
	}
	return rightSide
}

// Spec is a join as configured: an [Interval], an [AsOf] or a [Window]. It is
// shared by all keys and must not change once a state uses it.
type Spec interface {
	// Validate joins everything that is wrong with the configuration. The errors
	// wrap [ErrConfig].
	Validate() error

	// New returns the state of a key without events. The spec must be valid.
	New() State
}

// State is the join of one key. It is not safe for concurrent use.
type State interface {
	// Add joins an event with what is kept, as of the current watermark.
	Add(out *Matches, ev *edged.Event)

	// Advance moves the combined watermark of both streams to w, gives the rows
	// that waited for it and forgets what can have no partner any more. It does
	// nothing unless w is ahead.
	Advance(out *Matches, w edged.Timestamp)

	// Watermark returns the watermark of the rows: none with an earlier Time will
	// come. It trails the watermark of the streams.
	Watermark() edged.Timestamp

	// Pending returns the watermark at which nothing that is kept waits for its row
	// any more, and false when nothing does.
	Pending() (edged.Timestamp, bool)

	// Open returns the number of events that are kept.
	Open() int

	// Bytes returns about how much memory the state takes.
	Bytes() int

	// AppendBinary appends the state to dst. Equal states give equal bytes.
	AppendBinary(dst []byte) []byte

	// Restore replaces the state by one that AppendBinary wrote and returns the
	// bytes behind it. On an error, which wraps [ErrState], the state is as it was.
	Restore(data []byte) (rest []byte, err error)
}

// faults collects what is wrong with a configuration.
type faults []error

func (f *faults) add(format string, args ...any) {
	*f = append(*f, fmt.Errorf("%w: "+format, append([]any{ErrConfig}, args...)...))
}

// limits checks what all joins have.
func (f *faults) limits(kind Kind, eventsMax int) {
	if kind > Full {
		f.add("there is no kind %d; it must be inner, left, right or full", kind)
	}
	if eventsMax < 0 || eventsMax > EventsMaxMost {
		f.add("at most %d events per key; it must be 1 to %d, and 0 means %d", eventsMax, EventsMaxMost, EventsMaxDefault)
	}
}
