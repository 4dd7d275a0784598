// Package timecheck compares the engine with the oracle: the same pipeline, the
// same script, and every line of what they say.
//
//	            ┌─▶ document, steps ─▶ engine ─▶ lines ─┐
//	seed ─▶ Case│                                       ├─▶ equal, or the smallest script that differs
//	            └─▶ Config,  steps ─▶ oracle ─▶ lines ─┘
//
// A [Case] is a pipeline and a script. [Random] makes one from a number. [Check]
// runs it both ways; [Shrink] takes steps away for as long as a case keeps
// failing, and [Case.String] prints what is left so that it can be pasted into a
// file and driven by hand.
//
// # Guarantees
//
//   - A case is a function of its seed, on every machine.
//   - Document and script of a case use nothing but the public grammar, so that
//     the comparison includes the reader of documents and the driver.
//
// # Caveats
//
//   - Values are small whole numbers, so that sums and means are exact.
//   - The order of late lines among panes of one step and key is not compared, nor
//     are the values of late events.
//   - Changes and learned delays are not among the random pipelines; packages changes
//     and watermark have models of their own.
package timecheck
