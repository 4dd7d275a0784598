// Package agg holds the aggregate functions: how a window's values become the
// columns of a result.
//
// A [Function] is a stateless value; what it remembers of one window the caller
// keeps. That is a few 64-bit words for a [Fixed] function, and for a [Growing] one
// a cell of bytes. A [Layout] puts the columns of a pipeline side by side, so that a
// window costs its words, and a slice for each cell, and nothing else: no pointer, no
// header, no map.
//
//	        count │   sum    │    avg     │ min │ first      median    │  distinct
//	words     n   │ sum lost │ n sum lost │  f  │  t f       cell 0    │  cell 1
//	                                                     zeros bins …   │ hashes …
//
// A fixed function declares the [Word]s of its state, and the layout derives from
// that how they are stored. A cell is its own stored form: what Add changes is what
// a snapshot holds. [Find] makes functions by name, for the kind of a field and with
// parameters; [Describe] lists them all.
//
// What a state takes, in bytes:
//
//	count, min, max                                8
//	sum, first, last, range                       16   texts: 8 and the text
//	avg, variance_…, stddev_…                     24
//	delta                                         32
//	slope                                         48
//	median, percentile     16 + 4 per bin              35 bins per doubling at 1 %
//	distinct               8 per value, then 1025      at precision 10
//	mode, top_k            4 + 24 per value + texts    at most 64 values
//	collect                8 + 18 per number           at most 100
//	time_weighted_avg, integral, increase, rate, duration, coverage
//	                       56 + 16 per sample          at most 1,024
//
// # Guarantees
//
//   - Null inputs, and values of a kind that a function does not work on, are to it
//     as if they were not there; a column without a field (slot [Events]) sees every
//     event. Over no values a count, distinct and coverage are 0 and everything else
//     is null. NaN and infinities never come out: they are null.
//   - The same inputs in the same order give the same bits, on every processor.
//   - Equal states give equal bytes, and a state that was stored and restored goes on
//     with the same bits.
//   - Parts of a stream that were folded apart and merged in their order of arrival
//     give the state of the whole, bit for bit. Sums, means, variances and slopes
//     differ by rounding, top_k and mode once they had to give up a value, and the
//     functions of samples once they have folded some away.
//   - A cell never exceeds [CellBytesMax]. Nothing allocates in a warm state except
//     a cell that grows, a result that is a text or a list, and merges of counters.
//   - [Layout.Restore] accepts any bytes and never panics; what it accepts works.
//
// # Caveats
//
//   - A sum that leaves the range of a float64 is null from then on, and so is its
//     average; it does not come back when opposite values follow. The same holds for
//     moments and areas.
//   - A median of an even number of values is the lower of the two in the middle, not
//     their mean: percentiles are those of the values that occurred.
//   - When the positive or the negative numbers of a percentile are further apart than
//     its bins reach, those nearest to 0 become one bin and lose their precision.
//   - Functions of samples keep the newest part of them. A sample from before that part
//     is left out, and [Layout.Refused] counts it.
//   - Increase and rate look at the samples of one window. What a counter rises between
//     the last sample of a window and the first of the next is in neither.
//   - Hashes are not secret: a device can make texts that distinct takes for one.
package agg
