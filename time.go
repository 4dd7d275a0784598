package edged

import "math"

// Timestamp is a point in time in milliseconds since the Unix epoch. It may be
// negative. Arithmetic on it saturates at the ends of the range, so that a
// device with an absurd clock cannot wrap time around.
type Timestamp int64

// The ends of time. MinTimestamp is also "no watermark yet" and MaxTimestamp
// the watermark of an input that has ended.
const (
	MinTimestamp Timestamp = math.MinInt64
	MaxTimestamp Timestamp = math.MaxInt64
)

// Add returns t+d milliseconds, saturating.
func (t Timestamp) Add(d int64) Timestamp {
	sum := int64(t) + d
	switch {
	case d > 0 && sum < int64(t):
		return MaxTimestamp
	case d < 0 && sum > int64(t):
		return MinTimestamp
	}
	return Timestamp(sum)
}

// Sub returns t-u in milliseconds, saturating.
func (t Timestamp) Sub(u Timestamp) int64 {
	d := int64(t) - int64(u)
	switch {
	case t >= 0 && u < 0 && d < 0:
		return math.MaxInt64
	case t < 0 && u > 0 && d >= 0:
		return math.MinInt64
	}
	return d
}

// FloorTo returns the largest multiple of size (plus offset) that is <= t. The
// division floors, so negative times align like positive ones. size must be > 0.
func (t Timestamp) FloorTo(size, offset int64) Timestamp {
	offset %= size
	rem := (int64(t)%size - offset) % size
	if rem < 0 {
		rem += size
	}
	return t.Add(-rem)
}
