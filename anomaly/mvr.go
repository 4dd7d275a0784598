package anomaly

import (
	"errors"
	"fmt"
	"math"
	"time"
	"unsafe"

	"edged"
)

// Auto is the default detector, multi-view record. It looks at a series in eight
// cheap ways (see View), remembers for each the range of the last one to two
// epochs, and scores a value by how far it leaves that range, as a share of it:
//
//	score = max over the views of max(x - hi, lo - x, 0) / (hi - lo)
//
// at most 5. One threshold fits series of any unit and noise, because the range
// of the series itself is the measure. A state takes about 1.8 KiB of memory and
// 1.4 KiB encoded.
//
// The composition is our own. The views are Hampel's residual, the difference of
// two moving means (MACD), a seasonal profile, and the error of a linear
// prediction by NLMS; on records see Rényi 1962.
type Auto struct {
	// Zone is the place whose hours of the week the seasonal profile has; nil
	// means UTC. See package zones.
	Zone *time.Location

	// Epoch is how long a range is remembered at least, in milliseconds. It is
	// forgotten after twice as long.
	Epoch int64

	// EpochRows is how many values an epoch has at least.
	EpochRows int

	// WarmUp is how many values are learned before the first score.
	WarmUp int

	// CoolDown is for how many values after an alarm only a higher score alarms
	// again.
	CoolDown int

	// Minor, Major and Critical are the scores from which on a value is that. Minor
	// is the threshold of the alarm.
	Minor, Major, Critical float64
}

// NewAuto returns the default detector as it is shipped: epochs of 7 days and at
// least 4,000 values, 150 values of warm-up, 100 of cool-down, severities from
// 7, 20 and 50 % beyond the known range, hours of the week in UTC.
func NewAuto() *Auto {
	return &Auto{
		Epoch: 7 * 24 * hourMillis, EpochRows: 4000, WarmUp: 150, CoolDown: 100,
		Minor: 0.07, Major: 0.2, Critical: 0.5,
	}
}

// The largest settings of Auto.
const (
	EpochMax    = 3660 * 24 * hourMillis // ten years, in milliseconds
	AutoRowsMax = 100_000_000            // of EpochRows, WarmUp and CoolDown
)

// Validate checks the settings. The error joins all faults.
func (a *Auto) Validate() error {
	var faults []error
	within := func(name string, got, low, high int64) {
		if got < low || got > high {
			faults = append(faults, fmt.Errorf("%s is %d, must be %d to %d", name, got, low, high))
		}
	}
	within("epoch", a.Epoch, 0, EpochMax)
	within("epoch rows", int64(a.EpochRows), 100, AutoRowsMax)
	within("warm-up", int64(a.WarmUp), jumpLag+1, AutoRowsMax)
	within("cool-down", int64(a.CoolDown), 0, AutoRowsMax)
	// Written so that NaN is a fault.
	if !(a.Minor > 0 && a.Minor <= a.Major && a.Major <= a.Critical && a.Critical <= recordScoreMax) {
		faults = append(faults, fmt.Errorf("severities are %v, %v, %v, must ascend within 0 to %d", a.Minor, a.Major, a.Critical, recordScoreMax))
	}
	return errors.Join(faults...)
}

// New returns the state of a series that has not been seen yet.
func (a *Auto) New() State {
	m := &mvr{spec: a}
	for k := range m.records {
		m.records[k] = record{nothing, nothing}
	}
	return m
}

// mvr is the state of Auto.
type mvr struct {
	spec    *Auto
	views   views
	records [Views]record
	started edged.Timestamp // the current epoch
	before  edged.Timestamp // the start of the oldest epoch that is remembered
	rows    uint32          // values of the current epoch
	cooling cooling
}

// Bytes returns the memory of the state.
func (m *mvr) Bytes() int { return int(unsafe.Sizeof(*m)) }

func (m *mvr) warm() bool { return int64(m.views.count) >= int64(m.spec.WarmUp) }

// Observe judges and then learns a value.
func (m *mvr) Observe(t edged.Timestamp, x float64) Verdict {
	v := Verdict{Warm: m.warm()}
	if !finite(x) {
		v.Reason.Cause = CauseNotFinite
		return v
	}
	value := narrowed(x)
	var s sight
	if m.views.count == 0 {
		m.started, m.before = t, t
	}
	m.views.look(t, value, m.spec.Zone, &s)
	if v.Warm {
		m.judge(t, float64(value), &s, &v)
		v.Alarm = m.cooling.alarm(v.Score, m.spec)
	}
	m.learn(t, &s)
	return v
}

// Judge judges a value and leaves the state as it is, bit by bit: for the state,
// the time until the next Observe is a hole in the series. Were the windows and
// means to move with such values, the floor, the jump and the trend would show
// them for long after, and the ranges would learn them then. So only the views
// speak that need no values from just before: the value's distance from its hour
// of the week, and the value itself, as floor or ceiling, below or above anything known.
func (m *mvr) Judge(t edged.Timestamp, x float64) Verdict {
	v := Verdict{Warm: m.warm()}
	if !finite(x) {
		v.Reason.Cause = CauseNotFinite
		return v
	}
	if !v.Warm {
		return v
	}
	value := narrowed(x)
	var s sight
	m.views.glance(t, value, m.spec.Zone, &s)
	m.judge(t, float64(value), &s, &v)
	cooling := m.cooling
	v.Alarm = cooling.alarm(v.Score, m.spec)
	return v
}

// judge compares what the views show with what they have shown.
func (m *mvr) judge(t edged.Timestamp, value float64, s *sight, v *Verdict) {
	low, high := -math.MaxFloat64, math.MaxFloat64
	var spoke View
	for k := range Views {
		if !s.seen.Has(k) {
			continue
		}
		known, magnitude := m.known(k, s.shown[k]), 2*math.Abs(value) // as if both bounds were the value
		switch k {
		case ViewSurprise:
			magnitude /= s.unit[k] // it is in deviations
			fallthrough
		case ViewSpike, ViewSeason, ViewJump:
			lo, hi := s.bounds(k, known)
			if lo > low {
				low = lo
			}
			if hi < high {
				high = hi
			}
		}
		score := excess(known, s.shown[k], magnitude)
		if score > 0 {
			v.Evidence.note(k, known, s.shown[k])
		}
		if score > v.Score {
			v.Score, spoke = score, k
		}
	}
	// What is usual to all views contains a value that nobody minds, but for what
	// is below the threshold, and rounding.
	v.Low, v.High, v.HasRange = min(low, value), max(high, value), true
	if v.Score == 0 {
		return
	}
	known := m.known(spoke, s.shown[spoke])
	if v.Score >= m.spec.Minor {
		v.Low, v.High = s.bounds(spoke, known)
	}
	v.Reason = Reason{Cause: CauseRecord, View: spoke, Excess: v.Score,
		Below: s.shown[spoke] < known.lo, Span: max(0, t.Sub(m.before))}
	v.Severity = Grade(v.Score, m.spec.Minor, m.spec.Major, m.spec.Critical)
}

// known returns the range to which x, what a view shows, is compared. A floor
// that falls, and a ceiling that rises, are records of the value itself, and the
// range is then that of all values: their own is one-sided, so that any heavy
// tail would seem to leave it far. Valleys that rise and peaks that vanish are
// what these views are for, and are compared to valleys and peaks.
func (m *mvr) known(k View, x float32) span {
	known := m.records[k].known
	switch {
	case k == ViewFloor && x < known.lo:
		known.hi = m.records[ViewCeiling].known.hi
	case k == ViewCeiling && x > known.hi:
		known.lo = m.records[ViewFloor].known.lo
	}
	return known
}

// cooling is the time after an alarm in which only what is worse alarms again.
type cooling struct {
	peak   float64 // score of the alarm that cools down; 0: none
	cooled uint32  // values since
}

// alarm reports whether the score of the next value raises an alarm: it must
// reach the threshold and beat the alarm that still cools down.
func (c *cooling) alarm(score float64, spec *Auto) bool {
	if c.peak > 0 {
		if c.cooled++; int64(c.cooled) > int64(spec.CoolDown) {
			*c = cooling{}
		}
	}
	if score < spec.Minor || score <= c.peak {
		return false
	}
	*c = cooling{peak: score}
	return true
}

// learn widens the ranges and ends the epoch when it is old and large enough.
func (m *mvr) learn(t edged.Timestamp, s *sight) {
	m.rows++
	// The distance counts in both directions: a clock that was far ahead for a
	// while must not stop epochs from ending.
	age := max(t.Sub(m.started), m.started.Sub(t))
	over := age >= m.spec.Epoch && int64(m.rows) >= int64(m.spec.EpochRows)
	for k := range Views {
		if !s.seen.Has(k) {
			continue
		}
		r := &m.records[k]
		if r.learn(s.shown[k]); over {
			r.roll(s.shown[k])
		}
	}
	if over {
		m.before, m.started, m.rows = m.started, t, 0
	}
	if m.rows == math.MaxUint32 {
		m.rows-- // saturate
	}
}
