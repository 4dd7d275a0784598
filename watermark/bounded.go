package watermark

import (
	"errors"
	"fmt"

	"edged"
)

// ErrConfig says that a rule for watermarks cannot work as configured.
var ErrConfig = errors.New("invalid watermark")

// Bounded makes watermarks under the assumption that events are out of order
// by at most a known time, and that a key silent for long enough has nothing
// more to say about its open windows.
type Bounded struct {
	// OutOfOrderness is how far, in milliseconds, the watermark trails the
	// newest event time of the key. 0 expects events in order. It delays every
	// result by as much, so it should be the disorder that is usual; windows'
	// allowed lateness is for the rest.
	OutOfOrderness int64

	// IdleTimeout is the silence of a key, in milliseconds of processing time,
	// after which its open windows are closed. 0 means never: the last window
	// of a device that was switched off then waits for it to return. It should
	// be well above the interval at which the device sends.
	IdleTimeout int64
}

// Validate joins everything that is wrong with the rule.
func (b Bounded) Validate() error {
	var faults []error
	if b.OutOfOrderness < 0 {
		faults = append(faults, fmt.Errorf("%w: out-of-orderness is %d ms; it must not be negative", ErrConfig, b.OutOfOrderness))
	}
	if b.IdleTimeout < 0 {
		faults = append(faults, fmt.Errorf("%w: idle timeout is %d ms; it must not be negative, and 0 means never", ErrConfig, b.IdleTimeout))
	}
	return errors.Join(faults...)
}

// Observe returns the watermark after an event with event time t, when it was
// w before.
func (b Bounded) Observe(w, t edged.Timestamp) edged.Timestamp {
	return max(w, t.Add(-b.OutOfOrderness))
}

// Due returns the processing time at which a key counts as idle when its last
// event came at active. It is [edged.MaxTimestamp] when that never happens.
func (b Bounded) Due(active edged.Timestamp) edged.Timestamp {
	if b.IdleTimeout == 0 {
		return edged.MaxTimestamp
	}
	return active.Add(b.IdleTimeout)
}

// Idle returns the watermark at processing time now of a key whose last event
// came at active and whose latest open window ends at end. It is w when the
// key is not idle, or is already past end.
func (b Bounded) Idle(w, active, now, end edged.Timestamp) edged.Timestamp {
	if b.IdleTimeout == 0 || now.Sub(active) < b.IdleTimeout {
		return w
	}
	return max(w, end)
}
