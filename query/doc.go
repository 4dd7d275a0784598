// Package query turns pipeline documents into plans, and plans into tasks.
//
//	YAML ──Parse──▶ PipelineSpec ──Compile──▶ Plan ──NewTask──▶ Task (one key)
//	      strict                  checked      │ Decode:     message ──▶ Event
//	                                           │ AppendRow:  Result  ──▶ JSON
//
// [Parse] reads a file strictly and reports every fault with its place, path and
// a hint. [Compile] checks what one key alone does not show: names, types,
// expressions. A [Plan] is what runs.
//
// # Expressions
//
// Filter and compute are expressions of expr-lang, cut down to what is total and
// cheap: numbers, texts and bools, + - * / **, comparisons, and or not, ?:, in
// with a written list, contains startsWith endsWith, matches with a written
// pattern, and the functions abs ceil exp floor len log lower max min mod pow
// round sqrt trim upper. Every number is a float64, on every machine.
//
// An expression that names a null field is null, whatever its other operands:
// a filter then does not keep the event, a computed field is null.
//
// # Guarantees
//
//   - No key of a document is ignored: unknown, repeated and mistyped ones are errors.
//   - Equal plans make equal events of equal messages, and equal rows of equal
//     results, on every machine.
//   - The id of a row is a function of what the row says; see [Plan.AppendRow].
//   - A key never changes the topic level it is written into.
//   - A task that was stored and restored goes on as if it had not been, to the byte.
//     A task without anything open may miss its ticks: they would change nothing.
//   - Results that a pipeline gathers are never late because their member said
//     several things at once, and what a filter does not keep any more is taken back.
//   - Decode does not allocate for known keys, apart from what expressions need
//     (8 to 16 bytes per number).
//
// # Caveats
//
//   - An event whose filter names an absent field is dropped, also if another
//     part of the filter would be true.
//   - The content identity is a 64-bit hash of the whole payload. It holds within
//     one event time of one key, where chance collisions do not matter, but a
//     device can forge one for its own events.
//   - The time of a backlog is that of its newest event, too: one that is uploaded
//     backwards is late in its own windows.
//   - A pipeline with a backlog cannot be gathered: a contribution replaces the one
//     before about the same window, and what was missed then is not all of it.
//   - Where a member's contributions go to different keys, because a column is the key,
//     what it said under another key before stays there.
//   - Places inside an expression are exact unless the text was folded, escaped
//     or interpolated; then they point to its beginning.
//   - The YAML parser reports the line of a syntax error, not its column.
package query
