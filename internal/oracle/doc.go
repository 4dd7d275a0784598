// Package oracle computes what windows must contain, in the most naive way: by
// taking all events at once, sorting them and adding them up exactly.
//
// It exists to be compared with the engine, and so shares nothing with it but
// the vocabulary. It knows nothing of watermarks: it says what the complete
// input amounts to, provided that no event was late.
//
// # Guarantees
//
//   - Sums are exact, rounded once to the nearest float64.
//   - The output is sorted by key, then by window start.
//
// # Caveats
//
//   - Everything is kept in memory. It is for tests.
package oracle
