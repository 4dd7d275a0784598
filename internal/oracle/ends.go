package oracle

import (
	"math"
	"math/big"
)

// The ends of time.
const (
	minTime = math.MinInt64
	maxTime = math.MaxInt64
)

// cut brings a number without bounds into int64.
func cut(n *big.Int) int64 {
	switch {
	case n.IsInt64():
		return n.Int64()
	case n.Sign() > 0:
		return maxTime
	}
	return minTime
}

// add returns the sum of the numbers, cut to int64 once at the end.
func add(numbers ...int64) int64 {
	sum := new(big.Int)
	for _, n := range numbers {
		sum.Add(sum, big.NewInt(n))
	}
	return cut(sum)
}

// floor returns the largest n*size+offset that is <= t, without bounds.
func floor(t, size, offset int64) *big.Int {
	since := new(big.Int).Sub(big.NewInt(t), big.NewInt(offset))
	since.Mod(since, big.NewInt(size)) // Euclidean: 0 <= since < size
	return since.Sub(big.NewInt(t), since)
}

// plus returns n+d, cut to int64.
func plus(n *big.Int, d int64) int64 { return cut(new(big.Int).Add(n, big.NewInt(d))) }
