package anomaly

// ringSize is how many of the last values are kept: a power of two that covers
// the longest window.
const ringSize = 64

// ring holds the last values of a series, together with their minimum and
// maximum over the last extremes values.
type ring struct {
	values   [ringSize]float32
	next     uint8 // where the next value goes
	held     uint8 // how many are held, at most ringSize
	low      float32
	high     float32
	lowAged  uint8 // values since low came, itself not counted
	highAged uint8
}

// extremes is how many values low and high look back over.
const extremes = 48

// push takes a value in.
func (r *ring) push(x float32) {
	r.values[r.next%ringSize] = x
	r.next = (r.next + 1) % ringSize
	r.held = min(r.held+1, ringSize)
	r.lowAged++
	r.highAged++
	if r.held == 1 || x <= r.low {
		r.low, r.lowAged = x, 0
	}
	if r.held == 1 || x >= r.high {
		r.high, r.highAged = x, 0
	}
	if r.lowAged >= extremes || r.highAged >= extremes {
		r.rescan()
	}
}

// rescan finds both extremes again. It is bounded, and rare on most series: an
// extreme of 48 values leaves them once in a while.
func (r *ring) rescan() {
	r.low, r.lowAged = r.ago(0), 0
	r.high, r.highAged = r.low, 0
	for k := 1; k < min(extremes, int(r.held)); k++ {
		if x := r.ago(k); x < r.low {
			r.low, r.lowAged = x, uint8(k)
		} else if x > r.high {
			r.high, r.highAged = x, uint8(k)
		}
	}
}

// ago returns the value k before the last one. It must be held.
func (r *ring) ago(k int) float32 { return r.values[(int(r.next)-1-k)&(ringSize-1)] }
