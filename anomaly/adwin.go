package anomaly

import (
	"math"
	"unsafe"

	"edged"
)

// The shape of an ADWIN window: rows of buckets, where a bucket of row i sums up
// 2^i values.
const (
	adwinRows    = 20 // 5 million values; older ones are dropped
	adwinBuckets = 5  // of a row, before its two oldest become one of the next
	adwinEvery   = 16 // values between two searches for a cut
	adwinSide    = 5  // fewest values on a side of a cut
)

// ADWIN keeps a window that shrinks when its mean changes: it is cut wherever the
// means of both parts differ by eps or more, with 1/m = 1/n0 + 1/n1, d' = Delta/ln n,
// eps = sqrt(2/m s^2 ln(2/d')) + 2 R/(3m) ln(2/d'). R is the range of the values
// since the last cut, which makes the bound fit values of any unit. Sums are kept
// in an exponential histogram, and every 16th value looks for cuts. The score is the
// largest difference in units of eps; 1 is a cut and an alarm. A state takes 2.1 KB; between the searches the score is 0.
// Source: Bifet and Gavaldà 2007.
type ADWIN struct {
	Delta  float64 // confidence: the share of false cuts, 0 to 1
	Floor  float64 // smallest difference of means that counts, in units of the value
	Warmup int     // values after the start before the first alarm
}

// Validate returns what is wrong with the configuration.
func (a *ADWIN) Validate() error {
	f := faults{name: "adwin"}
	f.within("delta", a.Delta, 1e-12, 0.5)
	common(&f, 1, a.Floor, a.Warmup)
	return f.err()
}

// New returns the state of a new series.
func (a *ADWIN) New() State { return &adwinState{spec: a} }

type adwinState struct {
	spec   *ADWIN
	rows   [adwinRows]adwinRow
	n      int // values in the window
	seen   int
	lo, hi float64 // since the last cut
}

// adwinRow is buckets of one size, the oldest first.
type adwinRow struct {
	n       int
	buckets [adwinBuckets + 1]adwinBucket
}

// adwinBucket is the mean of some values, and their sum of squared distances from it.
type adwinBucket struct{ mean, m2 float64 }

// join returns n values of mean a and m of mean b together.
func (a adwinBucket) join(b adwinBucket, n, m float64) adwinBucket {
	if n+m == 0 {
		return adwinBucket{}
	}
	d := b.mean - a.mean
	return adwinBucket{clip(a.mean + d*m/(n+m)), min(squareMax, a.m2+b.m2+d*d*n*m/(n+m))}
}

func (s *adwinState) Observe(_ edged.Timestamp, x float64) Verdict {
	if !finite(x) {
		return refuse(s.seen >= s.spec.Warmup)
	}
	x = clip(x)
	if s.n == 0 {
		s.lo, s.hi = x, x
	}
	s.lo, s.hi = min(s.lo, x), max(s.hi, x)
	s.seen = min(s.seen+1, countMax)
	s.insert(adwinBucket{mean: x})
	warm := s.seen > s.spec.Warmup
	if s.seen%adwinEvery != 0 || s.n < 2*adwinSide {
		return Verdict{Warm: warm}
	}
	old := s.n
	score, diff := s.cut()
	for more := score; more >= 1 && s.n >= 2*adwinSide; {
		more, _ = s.cut()
	}
	v := judge(score, 1, warm)
	if score >= 1 {
		all := s.total()
		s.lo, s.hi = all.mean, all.mean
		v.Reason = Reason{Cause: CauseShift, Excess: clip(diff), Below: diff < 0, Count: int32(min(s.n, old))}
	}
	return v
}

// insert adds a value and folds the rows that are too long.
func (s *adwinState) insert(b adwinBucket) {
	s.n++
	for i := range s.rows {
		r := &s.rows[i]
		r.buckets[r.n] = b
		if r.n++; r.n <= adwinBuckets {
			return
		}
		size := float64(int(1) << i)
		b = r.buckets[0].join(r.buckets[1], size, size)
		r.drop(2)
	}
	s.n -= 1 << adwinRows
}

// drop takes the oldest buckets of a row away.
func (r *adwinRow) drop(n int) {
	copy(r.buckets[:], r.buckets[n:r.n])
	clear(r.buckets[r.n-n : r.n])
	r.n -= n
}

// total returns the whole window as one bucket.
func (s *adwinState) total() adwinBucket {
	var all adwinBucket
	n := 0.0
	for i := range s.rows {
		size := float64(int(1) << i)
		for _, b := range s.rows[i].buckets[:s.rows[i].n] {
			all = all.join(b, n, size)
			n += size
		}
	}
	return all
}

// cut looks at every border between buckets, returns the largest difference of
// means in units of its bound, and the difference, and if that is a cut drops the
// oldest bucket of the window.
func (s *adwinState) cut() (score, diff float64) {
	all, n := s.total(), float64(s.n)
	vrn := all.m2 / n
	ln := math.Log(2 * math.Log(n) / s.spec.Delta)
	spread := s.hi - s.lo
	n0, mean0 := 0.0, 0.0
	oldest := -1
	for i := adwinRows - 1; i >= 0; i-- {
		size := float64(int(1) << i)
		for _, b := range s.rows[i].buckets[:s.rows[i].n] {
			if oldest < 0 {
				oldest = i
			}
			n0 += size
			mean0 += (b.mean - mean0) * size / n0
			n1 := n - n0
			if n0 < adwinSide || n1 < adwinSide {
				continue
			}
			// The mean of the rest follows from that of the whole.
			d := (all.mean - mean0) * n / n1
			m := 1 / (1/n0 + 1/n1)
			eps := math.Sqrt(2/m*vrn*ln) + 2*spread/(3*m)*ln
			if part := math.Abs(d) / max(deviation(0, all.mean, s.spec.Floor), eps); part > score {
				score, diff = part, d
			}
		}
	}
	if score >= 1 {
		s.rows[oldest].drop(1)
		s.n -= 1 << oldest
	}
	return score, diff
}

// Judge leaves the state as it is: the window does not grow either.
func (s *adwinState) Judge(t edged.Timestamp, x float64) Verdict {
	next := *s
	return next.Observe(t, x)
}

func (s *adwinState) Bytes() int                     { return int(unsafe.Sizeof(*s)) }
func (s *adwinState) AppendBinary(dst []byte) []byte { return appendState(dst, s) }
func (s *adwinState) Restore(data []byte) ([]byte, error) {
	return restoreState(s, s.spec.New().(*adwinState), data)
}

func (s *adwinState) code(c *coder) {
	c.tag('a')
	n := 0
	for i := range s.rows {
		r := &s.rows[i]
		c.count(&r.n, adwinBuckets)
		n += r.n << i
		for j := range r.buckets[:r.n] {
			c.value(&r.buckets[j].mean)
			c.float(&r.buckets[j].m2, 0, squareMax)
		}
	}
	if c.reading {
		s.n = n
	}
	c.count(&s.seen, countMax)
	c.value(&s.lo)
	c.value(&s.hi)
	c.bad = c.bad || s.lo > s.hi
}
