package anomaly

import (
	"math"
	"slices"
	"unsafe"

	"edged"
)

// MAD compares a value with the median of the last Window values, in robust
// deviations: |x - med| / (1.4826 MAD). Where more than half of the values are
// equal, MAD is 0, and 1.2533 times the mean absolute distance from the median
// takes its place, and below that the floor. Outliers hardly move it. A value
// costs a time in proportion to the window; a state takes 16 bytes a value and
// 72. Source: Hampel 1974; Iglewicz and Hoaglin 1993.
type MAD struct {
	Window    int     // values, 5 to 1001
	Threshold float64 // robust deviations
	Floor     float64 // smallest deviation, in units of the value: its quantum
	Warmup    int     // values before the first alarm, at most Window
}

// Validate returns what is wrong with the configuration.
func (m *MAD) Validate() error {
	f := faults{name: "mad"}
	f.within("window", float64(m.Window), 5, 1001)
	common(&f, m.Threshold, m.Floor, m.Warmup)
	f.that(m.Warmup <= m.Window, "warmup is %d; it must not exceed the window, %d", m.Warmup, m.Window)
	return f.err()
}

// New returns the state of a new series.
func (m *MAD) New() State {
	return &madState{spec: m, ring: make([]float64, m.Window), sorted: make([]float64, 0, m.Window)}
}

type madState struct {
	spec   *MAD
	ring   []float64
	sorted []float64 // the same values in ascending order
	at     int
}

func (s *madState) Observe(t edged.Timestamp, x float64) Verdict {
	v := s.Judge(t, x)
	if finite(x) {
		s.learn(clip(x) + 0) // no negative zero: it would sort with its twin in any order
	}
	return v
}

// Judge leaves the state as it is.
func (s *madState) Judge(_ edged.Timestamp, x float64) Verdict {
	warm := len(s.sorted) >= s.spec.Warmup
	if !finite(x) {
		return refuse(warm)
	}
	x = clip(x)
	var v Verdict
	if len(s.sorted) > 0 {
		median, spread := robust(s.sorted)
		sd := deviation(spread, median, s.spec.Floor)
		z := (x - median) / sd
		v = judge(math.Abs(z), s.spec.Threshold, warm)
		v.around(median, s.spec.Threshold*sd)
		v.because(CauseDeviation, z)
	}
	return v
}

func (s *madState) learn(x float64) {
	if len(s.sorted) == len(s.ring) {
		i, _ := slices.BinarySearch(s.sorted, s.ring[s.at])
		copy(s.sorted[i:], s.sorted[i+1:])
		s.sorted = s.sorted[:len(s.sorted)-1]
	}
	i, _ := slices.BinarySearch(s.sorted, x)
	s.sorted = s.sorted[:len(s.sorted)+1]
	copy(s.sorted[i+1:], s.sorted[i:])
	s.sorted[i] = x
	s.ring[s.at] = x
	s.at = (s.at + 1) % len(s.ring)
}

// robust returns the median of ascending values and a deviation around it: from
// their MAD, or if that is 0 from their mean absolute distance.
func robust(sorted []float64) (median, spread float64) {
	n := len(sorted)
	median = middle(sorted[(n-1)/2], sorted[n/2])
	// The distances ascend from the middle to both ends: merge up to half of them.
	left, right := (n-1)/2, (n-1)/2+1
	var before, last float64
	for range n/2 + 1 {
		before = last
		if right >= n || left >= 0 && median-sorted[left] <= sorted[right]-median {
			last = median - sorted[left]
			left--
		} else {
			last = sorted[right] - median
			right++
		}
	}
	if n%2 == 1 {
		before = last
	}
	if spread = 1.4826 * middle(before, last); spread > 0 {
		return median, spread
	}
	for _, x := range sorted {
		spread += math.Abs(x - median)
	}
	return median, 1.2533 * spread / float64(n)
}

// middle returns the mean of two numbers that are in order.
func middle(a, b float64) float64 { return a + (b-a)/2 }

func (s *madState) Bytes() int {
	return int(unsafe.Sizeof(*s)) + 8*cap(s.ring) + 8*cap(s.sorted)
}
func (s *madState) AppendBinary(dst []byte) []byte { return appendState(dst, s) }
func (s *madState) Restore(data []byte) ([]byte, error) {
	return restoreState(s, s.spec.New().(*madState), data)
}

// code writes the ring only; sorted follows from it.
func (s *madState) code(c *coder) {
	c.tag('h')
	n := len(s.sorted)
	c.count(&n, len(s.ring))
	c.count(&s.at, len(s.ring)-1)
	c.values(s.ring[:n])
	c.bad = c.bad || n < len(s.ring) && s.at != n
	if c.reading {
		for i := range s.ring[:n] {
			s.ring[i] += 0
		}
		s.sorted = append(s.sorted[:0], s.ring[:n]...)
		slices.Sort(s.sorted)
	}
}
