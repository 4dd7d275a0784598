package anomaly

import (
	"math"
	"unsafe"

	"edged"
)

// Plausible refuses values outside the physical limits, before they reach the
// detector Of: that one neither sees nor learns them. The score of a refused
// value is its distance from the limits in units of High-Low, at least 1. Without
// Of it only refuses. A state takes 24 bytes and that of Of.
type Plausible struct {
	Low, High float64 // in units of the value; what is equal is plausible
	Of        Spec    // nil: none
}

// Validate returns what is wrong with the configuration.
func (p *Plausible) Validate() error {
	f := faults{name: "range"}
	f.within("low", p.Low, -1e300, 1e300)
	f.within("high", p.High, -1e300, 1e300)
	f.that(p.Low < p.High, "low is %v; it must be below high, %v", p.Low, p.High)
	if p.Of != nil {
		if err := p.Of.Validate(); err != nil {
			f.all = append(f.all, err)
		}
	}
	return f.err()
}

// New returns the state of a new series.
func (p *Plausible) New() State {
	s := &plausibleState{spec: p}
	if p.Of != nil {
		s.of = p.Of.New()
	}
	return s
}

type plausibleState struct {
	spec *Plausible
	of   State
}

func (s *plausibleState) Observe(t edged.Timestamp, x float64) Verdict {
	if v, hidden := s.hide(x); hidden {
		return v
	}
	return s.of.Observe(t, x)
}

// Judge lets the detector behind judge.
func (s *plausibleState) Judge(t edged.Timestamp, x float64) Verdict {
	if v, hidden := s.hide(x); hidden {
		return v
	}
	return Judge(s.of, t, x)
}

// Teach teaches the detector behind.
func (s *plausibleState) Teach(l Label, e Evidence) bool { return Teach(s.of, l, e) }

// hide judges what the detector behind is not to see: implausible values, and if
// there is none, all.
func (s *plausibleState) hide(x float64) (v Verdict, hidden bool) {
	low, high := s.spec.Low, s.spec.High
	if finite(x) && (x < low || x > high) {
		far := (max(low-x, 0) + max(x-high, 0)) / max(high-low, math.SmallestNonzeroFloat64)
		return Verdict{
			Score: min(1+far, scoreCap), Low: low, High: high, HasRange: true, Alarm: true, Warm: true,
			Severity: SeverityMajor, Reason: Reason{Cause: CauseImplausible, Below: x < low},
		}, true
	}
	if s.of != nil {
		return Verdict{}, false
	}
	if !finite(x) {
		return refuse(true), true
	}
	return Verdict{Low: low, High: high, HasRange: true, Warm: true}, true
}

// Expect passes on that values are due.
func (s *plausibleState) Expect(since edged.Timestamp) { expect(s.of, since) }

func (p *Plausible) silence() (after int64, timed bool) { return Silence(p.Of) }

// Due is that of the detector behind, or never.
func (s *plausibleState) Due() edged.Timestamp { return dueOf(s.of) }

// Tick asks the detector behind.
func (s *plausibleState) Tick(now edged.Timestamp) Verdict { return tickOf(s.of, now) }

func (s *plausibleState) Bytes() int {
	size := int(unsafe.Sizeof(*s))
	if s.of != nil {
		size += s.of.Bytes()
	}
	return size
}
func (s *plausibleState) AppendBinary(dst []byte) []byte { return appendState(dst, s) }
func (s *plausibleState) Restore(data []byte) ([]byte, error) {
	return restoreState(s, s.spec.New().(*plausibleState), data)
}

func (s *plausibleState) code(c *coder) {
	c.tag('p')
	c.inner(s.of)
}

// inner codes the state of another detector in place; nil is none.
func (c *coder) inner(s State) {
	switch {
	case s == nil || c.bad:
	case !c.reading:
		c.data = s.AppendBinary(c.data)
	default:
		rest, err := s.Restore(c.data)
		c.data, c.bad = rest, err != nil
	}
}
