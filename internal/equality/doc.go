// Package equality checks that it does not matter how edged comes to a result: a
// live engine with epochs of any size, one that was killed and recovered again and
// again, a replay of a file, and the driver of package edgedtest say the same, to
// the byte.
//
//	                      ┌─▶ engine, store, lives of any length ─▶ journal, rows, states
//	seed ─▶ Case, inputs ─┼─▶ edged replay of a file ─────────────▶ rows
//	                      └─▶ edgedtest, edged drive ─────────────▶ results
//
//	journal ─▶ Fold ─▶ rows, states: what all of them must be
//
// A [Case] is a document of testdata, which holds every type of window, and serves
// as an example of it. [Case.Inputs] makes messages for it from a source of chance.
// A [Fold] carries a journal through the plans of the document in the plainest way:
// one record after the other, with nothing between a result and its row. The tests
// run an engine in all kinds of ways and compare what came out with the fold over
// what the engine itself journaled; so also those runs can be judged in which real
// time passes. cmd/edged has the tests that need the commands.
//
// # Guarantees
//
//   - Inputs are a function of the case and the source of chance.
//   - Fold knows nothing of epochs, turns, snapshots, recovery or the encoding of
//     what flows between stages.
//
// # Caveats
//
//   - The operators are the same in all ways. That they are right is the business of
//     package timecheck; here it is that they are asked the same.
//   - Plans are shown to the engine by an adapter of this package, which must do what
//     the one of cmd/edged does. The tests in cmd/edged use that one.
//   - At the end of the input the engine ends keys in the order of their last events,
//     the driver in that of their names. Inputs make the two the same.
//   - Ids of what is no pane, or is historical, are of the record that it came from.
//     Ticks and tables that are journaled in one way and not in another shift them.
//   - Messages that are no events are not compared with the driver, whose events are
//     well formed.
package equality
