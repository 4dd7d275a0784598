package anomaly

import "math"

// The medians run over sorted copies of the last values. Binary search and one
// move of a few dozen floats beat any tree at this size.

// slide replaces the value out, which is in the ascending s, by in.
func slide(s []float32, out, in float32) {
	from, to := search(s, out), search(s, in)
	if to > from {
		to-- // out leaves a place below
		copy(s[from:to], s[from+1:to+1])
	} else {
		copy(s[to+1:from+1], s[to:from])
	}
	s[to] = in
}

// insert adds in to the first n ascending values of s, which has room for it.
func insert(s []float32, n int, in float32) {
	at := search(s[:n], in)
	copy(s[at+1:n+1], s[at:n])
	s[at] = in
}

// search returns the index of the first value that is not below x. It halves
// without a branch on the values, which no processor could predict: the sign of
// the difference is the answer. Differences must not overflow, see magnitudeMax.
func search(s []float32, x float32) int {
	base := 0
	for n := len(s); n > 0; {
		half := (n + 1) / 2
		below := -int(math.Float32bits(s[base+half-1]-x) >> 31) // all ones, or zero
		base += half & below
		n -= half
	}
	return base
}
