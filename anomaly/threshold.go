package anomaly

import (
	"math"
	"unsafe"

	"edged"
)

// Threshold compares a value with up to four limits, LL < L < H < HH. A level
// switches on when the value has been beyond its limit for OnDelay, and off when
// it has been back by more than Hysteresis for OffDelay. The score is 1 for L
// and H and 2 for LL and HH while they are on. Delays are judged when values
// come. It learns nothing. A state takes 104 bytes. Source: ISA-18.2, IEC 62682.
type Threshold struct {
	LowLow, Low, High, HighHigh float64 // limits in units of the value; NaN: none
	Hysteresis                  float64 // in units of the value
	OnDelay, OffDelay           int64   // milliseconds
}

// Validate returns what is wrong with the configuration.
func (th *Threshold) Validate() error {
	f := faults{name: "threshold"}
	last, name, any := math.Inf(-1), "", false
	for i, limit := range th.limits() {
		if math.IsNaN(limit) {
			continue
		}
		this := [...]string{"low_low", "low", "high", "high_high"}[i]
		f.within(this, limit, -1e300, 1e300)
		f.that(limit > last, "%s is %v; it must be above %s, %v", this, limit, name, last)
		last, name, any = limit, this, true
	}
	f.that(any, "it has no limit; give at least one of low_low, low, high, high_high")
	f.within("hysteresis", th.Hysteresis, 0, 1e300)
	f.that(!(th.High-th.Low <= th.Hysteresis), "hysteresis is %v; it must be smaller than high - low", th.Hysteresis)
	f.within("on_delay", float64(th.OnDelay), 0, 1<<40)
	f.within("off_delay", float64(th.OffDelay), 0, 1<<40)
	return f.err()
}

func (th *Threshold) limits() [4]float64 {
	return [4]float64{th.LowLow, th.Low, th.High, th.HighHigh}
}

// New returns the state of a new series.
func (th *Threshold) New() State { return &thresholdState{spec: th} }

type thresholdState struct {
	spec   *Threshold
	levels [4]levelState // LL, L, H, HH
}

// levelState is one limit: on or off, and since when it would be the other.
type levelState struct {
	since   edged.Timestamp // when the value went beyond the limit
	turn    edged.Timestamp // pending: since when on should change
	on      bool
	pending bool
}

func (s *thresholdState) Observe(t edged.Timestamp, x float64) Verdict {
	if !finite(x) {
		return refuse(true)
	}
	v := Verdict{Warm: true}
	limits := s.spec.limits()
	for i, limit := range limits {
		if !math.IsNaN(limit) {
			s.levels[i].observe(s.spec, t, x, limit, i < 2)
		}
	}
	// Within one side the outer level speaks; the sides exclude each other
	// unless an off-delay holds one, and then the side the value is on speaks.
	best := -1
	for _, i := range [4]int{1, 2, 0, 3} {
		if s.levels[i].on && (best < 0 || i == 0 || i == 3 || beyond(x, limits[i], i < 2)) {
			best = i
		}
	}
	v.Low, v.High = -math.MaxFloat64, math.MaxFloat64
	for _, low := range limits[:2] {
		if !math.IsNaN(low) {
			v.Low, v.HasRange = low, true
		}
	}
	for i := 3; i >= 2; i-- {
		if !math.IsNaN(limits[i]) {
			v.High, v.HasRange = limits[i], true
		}
	}
	if best < 0 {
		return v
	}
	v.Alarm, v.Score, v.Severity = true, 1, SeverityMinor
	if best == 0 || best == 3 {
		v.Score, v.Severity = 2, SeverityCritical
	}
	v.Level = [4]Level{LevelLowLow, LevelLow, LevelHigh, LevelHighHigh}[best]
	v.Reason = Reason{Cause: CauseThreshold, Excess: limits[best], Below: best < 2,
		Span: max(0, t.Sub(s.levels[best].since))}
	return v
}

// beyond reports whether x has passed limit downwards or upwards.
func beyond(x, limit float64, below bool) bool {
	if below {
		return x < limit
	}
	return x > limit
}

func (l *levelState) observe(th *Threshold, t edged.Timestamp, x, limit float64, below bool) {
	change, delay := beyond(x, limit, below), th.OnDelay
	if l.on {
		back := limit - th.Hysteresis
		if below {
			back = limit + th.Hysteresis
		}
		// Without a hysteresis, on the limit is not beyond it.
		change, delay = beyond(x, back, !below) || th.Hysteresis == 0 && x == limit, th.OffDelay
	}
	if !change {
		l.pending = false
		return
	}
	if !l.pending || t < l.turn { // a clock that was ahead must not hold the level back
		l.pending, l.turn = true, t
	}
	if t.Sub(l.turn) < delay {
		return
	}
	l.on, l.pending = !l.on, false
	if l.on {
		l.since = l.turn
	}
}

func (s *thresholdState) Bytes() int                     { return int(unsafe.Sizeof(*s)) }
func (s *thresholdState) AppendBinary(dst []byte) []byte { return appendState(dst, s) }
func (s *thresholdState) Restore(data []byte) ([]byte, error) {
	return restoreState(s, s.spec.New().(*thresholdState), data)
}

func (s *thresholdState) code(c *coder) {
	c.tag('t')
	for i := range s.levels {
		l := &s.levels[i]
		c.time(&l.since)
		c.time(&l.turn)
		c.flag(&l.on)
		c.flag(&l.pending)
	}
}
