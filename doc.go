// Package edged is the vocabulary of the engine: the values that cross its
// rooms, and their arithmetic. It has no behaviour and does no I/O.
//
//	device ──MQTT──▶ source ──▶ intake ──▶ sequencer ──mailbox──▶ key actor
//	                   ▲                       │                     │ watermark, windows
//	                   │                       ▼                     ▼
//	                   │                     epoch  ◀────── Output: results, late events
//	                   └── PUBACK ◀── one transaction (Commit) ──▶ gateway ──MQTT──▶ upstream
//
// A [Message] is what a transport delivered. The sequencer numbers it and keeps
// it as a [Record] of the journal; a pipeline decodes it into an [Event]; a
// [Task] (the state of one key) folds events into an [Output]; an epoch's
// outputs become the rows of one [Commit].
//
// # Time
//
// All times are [Timestamp]: milliseconds since the Unix epoch as an int64.
// A watermark w promises that no event with time < w is expected. A window is
// half-open, [Start, End), and complete when w >= End.
package edged
