package windows

import "edged"

// State is the windows of one key, whatever their type. See [Spec.New]. It is not
// safe for concurrent use.
//
// The watermark follows the events: an event is added as of the watermark that
// the events before it have left, and the watermark that it leads to comes after.
type State interface {
	// Add folds an event into its windows as of the current watermark, and appends
	// what fires by that. What no window takes is reported in the output.
	Add(out *edged.Output, ev *edged.Event, by Moment)

	// Advance moves the watermark, fires what is then complete and drops what has
	// expired. A watermark that is not ahead of the current one changes nothing.
	Advance(out *edged.Output, to edged.Timestamp, by Moment)

	// Tick tells the state the processing time, by.Now, and fires what has waited
	// for it. Telling it twice changes nothing.
	Tick(out *edged.Output, by Moment)

	// Watermark returns how far the key's time has come.
	Watermark() edged.Timestamp

	// Open returns the number of windows whose state is kept: those that have not
	// ended and those that still take late events.
	Open() int

	// Pending returns the end of the latest window that has not ended, and false
	// when every open window has. Advancing to it closes a key that has gone silent.
	Pending() (edged.Timestamp, bool)

	// Bytes returns about how much memory the state takes.
	Bytes() int

	// AppendBinary appends the state to dst. Equal states give equal bytes.
	AppendBinary(dst []byte) []byte

	// Restore replaces the state by one that AppendBinary wrote under the same
	// spec, and returns the bytes behind it. On an error, which wraps [ErrState],
	// the state is as before.
	Restore(data []byte) (rest []byte, err error)
}

// Moment says what makes time advance: the circumstances that panes report.
type Moment struct {
	Key     string
	Trigger edged.Seq
	Cause   edged.Cause

	// Now is the processing time. Only triggers that wait for it read it.
	Now edged.Timestamp
}
