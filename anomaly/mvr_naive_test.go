package anomaly_test

import (
	"math"
	"slices"
	"time"

	"edged"
	"edged/anomaly"
)

// naive is the detector auto in the dumbest way: everything in float64, all
// history kept, each window sorted or scanned anew.
type naive struct {
	spec                         anomaly.Auto
	times                        []edged.Timestamp
	values                       []float64
	seen                         [anomaly.Views][]shown
	epoch, rows                  int
	started                      edged.Timestamp
	fast, slow, base, mean, vari float64
	bins                         map[[2]int][]float64 // means after each value
	weights, inputs              [8]float64
	alarmed                      int // row of the alarm that cools down
	peak                         float64
}

type shown struct {
	epoch int
	x     float64
}

func tail(xs []float64, n int) []float64 { return xs[max(0, len(xs)-n):] }

func median(xs []float64) float64 {
	xs = slices.Clone(xs)
	slices.Sort(xs)
	return xs[len(xs)/2]
}

// look returns the eight views of the last value; NaN for one that is not there.
func (n *naive) look() (x [anomaly.Views]float64) {
	count := len(n.values)
	v, age := n.values[count-1], 1/float64(count)
	x[anomaly.ViewSpike] = v - median(tail(n.values, 61))
	x[anomaly.ViewLevel] = median(tail(n.values, 9))
	x[anomaly.ViewFloor] = slices.Min(tail(n.values, 48))
	x[anomaly.ViewCeiling] = slices.Max(tail(n.values, 48))
	x[anomaly.ViewJump] = math.NaN()
	if count > 12 {
		x[anomaly.ViewJump] = v - n.values[count-13]
	}

	if count == 1 {
		n.base = v
	}
	place := time.UnixMilli(int64(n.times[count-1])).In(n.spec.Zone)
	bin := [2]int{int(place.Weekday()), place.Hour()}
	old := n.bins[bin]
	c, m := float64(min(len(old), 40)), 0.0
	if len(old) > 0 {
		m = old[len(old)-1]
	}
	x[anomaly.ViewSeason] = v - (c*m+n.base)/(c+1)
	n.bins[bin] = append(old, m+(v-m)/min(c+1, 40))
	n.base += max(0.001, age) * (v - n.base)

	n.fast += max(0.03, age) * (v - n.fast)
	n.slow += max(0.003, age) * (v - n.slow)
	x[anomaly.ViewTrend] = n.fast - n.slow
	x[anomaly.ViewSurprise] = n.surprise(v, max(0.001, age))
	return x
}

func (n *naive) surprise(v, a float64) float64 {
	d := v - n.mean
	n.mean += a * d
	n.vari = (1 - a) * (n.vari + a*d*d)
	z := 0.0
	if n.vari > 0 {
		z = max(-8, min((v-n.mean)/math.Sqrt(n.vari), 8))
	}
	energy, e := 0.0, z
	for i := range n.inputs {
		energy += n.inputs[i] * n.inputs[i]
		e -= n.weights[i] * n.inputs[i]
	}
	for i := range n.inputs {
		n.weights[i] += 0.1 * e * n.inputs[i] / (energy + 0.001)
	}
	for i := 7; i > 0; i-- {
		n.inputs[i] = n.inputs[i-1]
	}
	n.inputs[0] = z
	return e
}

// observe returns the score, the view that has it, and whether it alarms.
func (n *naive) observe(t edged.Timestamp, v float64) (score float64, view anomaly.View, alarm bool) {
	if len(n.values) == 0 {
		n.started, n.bins, n.alarmed = t, map[[2]int][]float64{}, -1
	}
	n.times, n.values = append(n.times, t), append(n.values, v)
	x := n.look()
	for k := range x {
		lo, hi := n.shownRange(anomaly.View(k))
		if anomaly.View(k) == anomaly.ViewFloor && x[k] < lo {
			_, hi = n.shownRange(anomaly.ViewCeiling)
		}
		if anomaly.View(k) == anomaly.ViewCeiling && x[k] > hi {
			lo, _ = n.shownRange(anomaly.ViewFloor)
		}
		if s := max(x[k]-hi, lo-x[k], 0) / (hi - lo + 1e-6*(math.Abs(hi)+math.Abs(lo))); hi >= lo && s > score {
			score, view = min(5, s), anomaly.View(k)
		}
	}
	if len(n.values) <= n.spec.WarmUp {
		score = 0
	}
	if n.alarmed >= 0 && len(n.values)-n.alarmed > n.spec.CoolDown {
		n.alarmed, n.peak = -1, 0
	}
	if alarm = score >= n.spec.Minor && score > n.peak; alarm {
		n.alarmed, n.peak = len(n.values), score
	}
	n.remember(t, x)
	return score, view, alarm
}

// shownRange returns the range of a view over two epochs.
func (n *naive) shownRange(k anomaly.View) (lo, hi float64) {
	lo, hi = math.Inf(1), math.Inf(-1)
	for _, s := range n.seen[k] {
		if s.epoch >= n.epoch-1 {
			lo, hi = min(lo, s.x), max(hi, s.x)
		}
	}
	return lo, hi
}

func (n *naive) remember(t edged.Timestamp, x [anomaly.Views]float64) {
	n.rows++
	over := n.rows >= n.spec.EpochRows && max(t-n.started, n.started-t) >= edged.Timestamp(n.spec.Epoch)
	for k := range x {
		if math.IsNaN(x[k]) {
			continue
		}
		n.seen[k] = append(n.seen[k], shown{n.epoch, x[k]})
		if over {
			n.seen[k] = append(n.seen[k], shown{n.epoch + 1, x[k]})
		}
		n.seen[k] = slices.DeleteFunc(n.seen[k], func(s shown) bool { return s.epoch < n.epoch-1 })
	}
	if over {
		n.epoch, n.rows, n.started = n.epoch+1, 0, t
	}
}
