// Package oracle computes what windows must contain and when they must say so,
// in the most naive way: it keeps every event, sorts, and adds up exactly.
//
// It exists to be compared with the engine, and so shares nothing with it but
// the words. It knows windows of every type with their triggers, joins with and
// without windows behind them, several sources, the backlog, and the guard against
// the future; it does not know changes, learned delays, stages, nor limits but that
// of windows.
//
// [Tumbling] says what the complete input amounts to, provided that no
// event was late; it knows nothing of watermarks. [Run] knows everything about
// time: it takes the description of a pipeline and a script of steps and says
// which line has to appear after which step.
//
// # Guarantees
//
//   - Sums are exact, rounded once to the nearest float64.
//   - The output of Tumbling is sorted by key, then by window start. Lines of Run
//     come in the order of the steps, and of several keys in one step by key.
//   - Times are computed in integers without bounds and cut to int64 at the end.
//
// # Caveats
//
//   - Everything is kept in memory, and every question is answered by a scan. It
//     is for tests.
package oracle
