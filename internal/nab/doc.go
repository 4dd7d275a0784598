// Package nab reads the Numenta Anomaly Benchmark and scores detections by its
// rules, so that the detectors of this module can stand beside published ones.
//
//	folder ──Load──▶ Series (times, values, windows) ──detector──▶ alarms ──Judge──▶ Outcome ──Score──▶ 0..100
//
// The rules are those of Lavin and Ahmad, "Evaluating Real-time Anomaly Detection
// Algorithms – the Numenta Anomaly Benchmark" (2015, arXiv:1510.03336), version 1.1
// of the benchmark:
//
//   - The first 15 % of the rows of a series, at most 750, are not scored.
//   - In a window of w rows that ends at row r, the first detection counts, at row
//     i with the position p = -(r-i+1)/w. It earns S(p)/S(-1), where
//     S(p) = 2/(1+e^(5p)) - 1. A window without a detection costs the weight fn.
//   - Each detection elsewhere costs the weight fp times S(p), p = (i-r)/(w-1) by
//     the window before it; the full weight from p = 3 on, and before the first window.
//   - 0 is who detects nothing, 100 who detects every window at its first row.
//
// # Guarantees
//
// Outcomes depend on the labels and the detections alone. The detections of
// published detectors get their published scores; the test TestPublished has them.
//
// # Caveats
//
// The benchmark chooses the threshold of a detector by the labels. Judge takes
// detections, not scores: whoever calls it has decided. Two detectors that differ
// by less than three points are equally good, because one window is worth almost one.
package nab
