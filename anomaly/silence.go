package anomaly

import "edged"

// Timed is a state that time alone can alarm, because values are missing. Time is
// that of the series: the newest event time observed, and what has passed since a
// value was heard last.
type Timed interface {
	State
	// Due is the time at which Tick has something to say, if no value comes
	// before; edged.MaxTimestamp if it never has.
	Due() edged.Timestamp
	// Tick tells that time has come to now without a value.
	Tick(now edged.Timestamp) Verdict
}

// Expecting is a state that can be told that values are due although none has
// come yet: for devices that are known and have never been seen.
type Expecting interface {
	Timed
	// Expect says that values are due from since on. It does nothing once a
	// value has come.
	Expect(since edged.Timestamp)
}

// Silence says whether time alone can alarm a state of the spec, and if so after
// how many milliseconds without a value at the soonest; 0 if that is learned, and
// Due of the state knows. States of other specs need no ticks, whatever methods
// they have. For Missing it is a part of its window: it looks once in each.
func Silence(s Spec) (after int64, timed bool) {
	if t, ok := s.(interface{ silence() (int64, bool) }); ok {
		return t.silence()
	}
	return 0, false
}

// heard is when values came, in event time. Values come in its order, but a clock
// may have been ahead once, and then all that follows is older: what is measured
// from the newest would wait for years. So older values are compared with the last
// one, and only what ticks say is always measured from the newest, as they are.
type heard struct{ last, newest edged.Timestamp }

// gap returns how long before t a value came; not above 0 if it is no gap.
func (h *heard) gap(t edged.Timestamp) int64 {
	if t > h.newest {
		return t.Sub(h.newest)
	}
	return t.Sub(h.last)
}

// at takes a value's time in.
func (h *heard) at(t edged.Timestamp) {
	h.last, h.newest = t, max(h.newest, t)
}

// local returns the time of a tick as if the last value were the newest.
func (h *heard) local(now edged.Timestamp) edged.Timestamp {
	return h.last.Add(max(0, now.Sub(h.newest)))
}

// tick returns the time of the tick that local makes t.
func (h *heard) tick(t edged.Timestamp) edged.Timestamp {
	if t == edged.MaxTimestamp {
		return t
	}
	return h.newest.Add(t.Sub(h.last))
}

func (h *heard) code(c *coder) {
	c.time(&h.last)
	c.time(&h.newest)
	c.bad = c.bad || h.last > h.newest
}

// The detectors that work on others pass time on.

// dueOf returns when a state wants to be ticked, if it is a timed one.
func dueOf(s State) edged.Timestamp {
	if timed, ok := s.(Timed); ok {
		return timed.Due()
	}
	return edged.MaxTimestamp
}

// tickOf ticks a state, if it is a timed one.
func tickOf(s State, now edged.Timestamp) Verdict {
	if timed, ok := s.(Timed); ok {
		return timed.Tick(now)
	}
	return Verdict{Warm: true}
}

// expect tells a state that values are due, if it wants to know.
func expect(s State, since edged.Timestamp) {
	if e, ok := s.(Expecting); ok {
		e.Expect(since)
	}
}
