// Package codec turns payloads into events.
//
//	payload ──▶ scanner ──▶ members that a pipeline reads ──▶ edged.Event
//	            (strict,     (a tree of their paths)           Key EventTime Values
//	             one pass)
//
// A [Spec] names the members that matter; [NewDecoder] compiles it; a [Decoder]
// reads one payload after the other. [Lines] and [CSV] make payloads of the
// lines of bounded files, so that a file runs through the same decoder.
//
// The scanner is our own because the stream must mean the same to everybody who
// reads it. The fast JSON libraries accept what the grammar forbids (NaN, 1e999,
// leading zeros, garbage after the document, wrong escapes) and round some
// decimals wrongly; encoding/json is strict but ten times slower.
//
// # Guarantees
//
//   - A payload is accepted only if it is one JSON object of RFC 8259, in UTF-8,
//     nested at most DepthMax deep. Every byte of it is checked.
//   - A number is the float64 nearest to its decimal text, and finite.
//   - Event times are computed from the decimal digits, never through a float:
//     fractions of a millisecond are cut towards the past.
//   - The first fault in document order decides. It is an *edged.PoisonError
//     with one of the causes of [Causes].
//   - Members that are absent and members that are null are the same.
//   - No allocation for a payload whose key and texts were seen lately, and one
//     for each that was not.
//   - No panic, whatever the payload.
//
// # Caveats
//
//   - A member that the pipeline reads must not occur twice: readers disagree
//     whether the first or the last one counts, so the payload is refused.
//     Members that nobody reads may repeat.
//   - An escaped lone surrogate (\ud800) names no character and is refused.
//   - Arrays can be skipped, not read. Names that contain a dot cannot be addressed.
//   - A quoted CSV cell must end on the line on which it began.
package codec
