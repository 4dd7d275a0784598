// Package agg holds the aggregate functions: how a window's values become the
// columns of a result.
//
// A [Function] is a stateless value; what it remembers of one window is a few
// 64-bit words that the caller keeps. A [Layout] puts the columns of a pipeline
// side by side in one flat []uint64, so that a window costs its words and
// nothing else: no pointer, no header, no map.
//
//	        count │   sum    │    avg     │ min │ max │ first │ last
//	words     n   │ sum lost │ n sum lost │  f  │  f  │  t f  │ t f
//
// A function declares the [Word]s of its state, and the layout derives from
// that declaration how a state is stored. A sketch of bounded size is a
// function with many words; nothing else has to change for it.
//
// # Guarantees
//
//   - Null inputs are ignored by every function except a count of events
//     (slot [Events]). Over no values a count is 0 and everything else null.
//   - The same inputs in the same order give the same bits. Merging is
//     associative up to the rounding of sums.
//   - Nothing allocates except [NewLayout] and appends to the caller's slices.
//   - [Layout.Restore] accepts any bytes and never panics.
//
// # Caveats
//
//   - Functions other than count look at numbers only: text and truth values
//     are to them what null is.
//   - A sum that leaves the range of a float64 is null from then on, and so is
//     its average; it does not come back when opposite values follow.
package agg
