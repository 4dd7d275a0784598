package watermark

import (
	"errors"
	"fmt"

	"edged"
)

// ErrConfig says that a rule for watermarks cannot work as configured.
var ErrConfig = errors.New("invalid watermark")

// Kind says how watermarks are made from what a key or a source sends.
type Kind uint8

// The kinds of strategies.
const (
	// KindBounded trails the newest event time by a constant: Flink's bounded
	// out-of-orderness.
	KindBounded Kind = iota

	// KindAscending expects every event to be newer than all before: the
	// watermark is one millisecond past the newest event time.
	KindAscending

	// KindPunctuated takes the watermark from a field of the events.
	KindPunctuated

	// KindQuantile trails the newest event time by a quantile of the delays
	// that were seen lately.
	KindQuantile

	// KindManual leaves the watermark alone: it moves only when somebody says so.
	KindManual

	kinds = iota
)

// String returns the word that pipeline documents use.
func (k Kind) String() string {
	switch k {
	case KindBounded:
		return "bounded"
	case KindAscending:
		return "ascending"
	case KindPunctuated:
		return "punctuated"
	case KindQuantile:
		return "quantile"
	case KindManual:
		return "manual"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// ParseKind is the reverse of [Kind.String]. The error wraps [ErrConfig].
func ParseKind(word string) (Kind, error) {
	for k := range Kind(kinds) {
		if k.String() == word {
			return k, nil
		}
	}
	return 0, fmt.Errorf("%w: type is %q; use bounded, ascending, punctuated, quantile or manual", ErrConfig, word)
}

// Limit is the furthest that a strategy moves a watermark. One millisecond more
// would be [edged.MaxTimestamp], which says that the input has ended, and no
// event can say that.
const Limit = edged.MaxTimestamp - 1

// None is the mark of an event that has none: see [Strategy.Observe].
const None = edged.MinTimestamp

// DelayLimit is the largest out-of-orderness or delay, in milliseconds: 2^60.
const DelayLimit = 1 << 60

// Strategy makes watermarks. All times in it are milliseconds. The zero value
// expects bounded disorder of 0 and never takes a key for idle. It must not
// change once it is used.
type Strategy struct {
	// Kind says how.
	Kind Kind

	// OutOfOrderness is how far the watermark trails the newest event time, 0 to
	// [DelayLimit]. For [KindQuantile] it is the least that is ever chosen. The
	// other kinds pass over it, and over Quantile and DelayMax.
	OutOfOrderness int64

	// Quantile is the share of events that [KindQuantile] wants to be in time,
	// 0.5 to [QuantileMax].
	Quantile float64

	// DelayMax is the most by which the watermark of [KindQuantile] trails, 1 to
	// [DelayLimit]. It is also what it starts with, until it has seen
	// [LearnedAfter] events. Delays are told apart to the 65,536th part of it,
	// and to about a quarter of their own size.
	DelayMax int64

	// IdleTimeout is the silence of a key, in milliseconds of processing time,
	// after which its open windows are closed. 0 means never: the last window
	// of a device that was switched off then waits for it to return. It should
	// be well above the interval at which the device sends.
	IdleTimeout int64
}

// Validate joins everything that is wrong with the strategy. The errors wrap
// [ErrConfig].
func (s *Strategy) Validate() error {
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("%w: "+format, append([]any{ErrConfig}, args...)...))
	}
	if s.Kind >= kinds {
		fault("%v; use bounded, ascending, punctuated, quantile or manual", s.Kind)
	}
	if s.OutOfOrderness < 0 || s.OutOfOrderness > DelayLimit {
		fault("out-of-orderness is %d ms; it must be 0 to %d", s.OutOfOrderness, int64(DelayLimit))
	}
	if s.IdleTimeout < 0 {
		fault("idle timeout is %d ms; it must not be negative, and 0 means never", s.IdleTimeout)
	}
	if s.Kind != KindQuantile {
		return errors.Join(faults...)
	}
	if !(s.Quantile >= 0.5 && s.Quantile <= QuantileMax) { // also when it is no number
		fault("quantile is %v; it must be 0.5 to %v", s.Quantile, QuantileMax)
	}
	switch {
	case s.DelayMax < 1 || s.DelayMax > DelayLimit:
		fault("the largest delay is %d ms; it must be 1 to %d", s.DelayMax, int64(DelayLimit))
	case s.DelayMax < s.OutOfOrderness:
		fault("the largest delay is %d ms, less than the out-of-orderness of %d ms, which is the least", s.DelayMax, s.OutOfOrderness)
	}
	return errors.Join(faults...)
}

// Observe returns the watermark after an event with event time t, when it was
// w before. mark is the watermark that the event itself carries, for
// [KindPunctuated], and [None] when it carries none. c is what the strategy
// remembers of this key or source.
//
// The result is never below w, and above [Limit] only if w is: a time near the
// end of the range does not end the input.
func (s *Strategy) Observe(c *Clock, w, t, mark edged.Timestamp) edged.Timestamp {
	var to edged.Timestamp
	switch s.Kind {
	case KindBounded:
		to = t.Add(-s.OutOfOrderness)
	case KindAscending:
		to = t.Add(1)
	case KindPunctuated:
		to = mark
	case KindQuantile:
		newest, delay := c.observe(s, t)
		to = newest.Add(-delay)
	default:
		return w
	}
	return max(w, min(to, Limit))
}

// Due returns the processing time at which a key counts as idle when its last
// event came at active. It is [edged.MaxTimestamp] when that never happens.
func (s *Strategy) Due(active edged.Timestamp) edged.Timestamp {
	if s.IdleTimeout == 0 {
		return edged.MaxTimestamp
	}
	return active.Add(s.IdleTimeout)
}

// Idle returns the watermark at processing time now of a key whose last event
// came at active and whose latest open window ends at end. It is w when the
// key is not idle, or is already past end. A window that ends with time itself
// waits for the end of the input: silence is no reason to be there.
func (s *Strategy) Idle(w, active, now, end edged.Timestamp) edged.Timestamp {
	if s.IdleTimeout == 0 || now.Sub(active) < s.IdleTimeout || end == edged.MaxTimestamp {
		return w
	}
	return max(w, end)
}
