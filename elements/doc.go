// Package elements keeps events for later: what a sliding window, a join or a
// buffer that restores order must remember of each event, in order of event time.
//
//	event ──Add──▶ Buffer, sorted by (event time, arrival) ──DropFront──▶ forgotten
//	                  │
//	                  └─ At, Search, Event: look at them again
//
// A [Buffer] is part of the state of one key. Its zero value is empty and ready
// to use and owns no memory. [AppendValue] and [ReadValue] are the stored form of
// a single value, for states that remember values without events.
//
// # Guarantees
//
//   - Elements are in ascending order of event time, and those of equal times in
//     the order in which they were added.
//   - The buffer owns what it keeps: values and texts are copied from the event.
//   - Once its memory is there, adding at the end and dropping at the front do
//     not allocate, as long as values are numbers and truth values.
//   - Equal contents give equal bytes, and [Buffer.Restore] of them gives equal
//     contents. Restore accepts any bytes and never panics; on an error the buffer
//     is as it was.
//   - Restoring takes memory in proportion to the bytes it is given.
//
// # Caveats
//
//   - A buffer has no limit of its own: who adds must ask Len first.
//   - Adding in the middle and removing from it move what lies behind, so a key
//     whose events come in reverse order costs time in proportion to its elements.
//   - Elements, and values that [Buffer.Event] lends, are valid until the buffer
//     changes.
//   - Of an event only Seq, EventTime, Stream and Values are kept.
//   - A buffer with room for few elements keeps that room when it becomes empty.
package elements
