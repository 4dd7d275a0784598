package changes

import (
	"errors"
	"fmt"
	"math"
)

// Errors of this package.
var (
	// ErrConfig says that a function cannot work as configured.
	ErrConfig = errors.New("invalid change detection")

	// ErrState says that stored bytes are not the state of a chain.
	ErrState = errors.New("malformed change detection state")
)

// Function names what to look for.
type Function string

// The functions.
const (
	// Lag is the field's value N events ago, and null before there was one. Null
	// values count like others.
	Lag Function = "lag"

	// HadChanged is whether the value differs from that of the event before. The
	// first event has changed; null equals null.
	HadChanged Function = "had_changed"

	// DeltaPrevious is the number less the last number before it. It is null for
	// the first number and for events without one, which it passes over.
	DeltaPrevious Function = "delta_previous"

	// Deadband lets an event pass when the number is more than By, or By percent,
	// away from that of the last one that passed. Other values pass when they
	// differ from it. Its finding is whether the event passes.
	Deadband Function = "deadband"

	// SwingingDoor lets the events pass that straight lines need to come within By
	// of all numbers. An event without a number passes and ends the line. Its
	// finding is true for all that pass.
	SwingingDoor Function = "swinging_door"
)

// Functions lists all functions, in the order of their documentation.
func Functions() []Function {
	return []Function{Lag, HadChanged, DeltaPrevious, Deadband, SwingingDoor}
}

// Limits of functions.
const (
	LagMax      = 64      // events that a lag looks back
	IntervalMax = 1 << 60 // milliseconds without an event that passes
	ChainMax    = 64      // functions of a chain
)

// Nowhere is the Into of a function whose finding nobody reads.
const Nowhere = -1

// Config is one function.
type Config struct {
	Function Function
	Slot     int // of the field to look at
	Into     int // slot of the finding, or Nowhere

	// N is how many events a Lag looks back, 1 to [LagMax].
	N int

	// By is the width of a Deadband or the deviation of a SwingingDoor, 0 or more,
	// in units of the field.
	By float64

	// Percent says that By is in percent of the last number that passed. Only a
	// Deadband has it.
	Percent bool

	// MaxInterval is the longest silence in milliseconds of event time: an event
	// that comes so long after the last one that passed, passes. 0 means no limit.
	// Only a Deadband and a SwingingDoor have it.
	MaxInterval int64

	// Keep says that all events pass and only the finding tells which ones need
	// not. Only a Deadband has it: a SwingingDoor cannot know in time.
	Keep bool
}

// Suppresses reports whether the function may keep events back.
func (c *Config) Suppresses() bool {
	return c.Function == Deadband && !c.Keep || c.Function == SwingingDoor
}

// Validate joins everything that is wrong with the function. The errors wrap
// [ErrConfig].
func (c *Config) Validate() error {
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("%w: %s: "+format, append([]any{ErrConfig, c.Function}, args...)...))
	}
	thins := c.Function == Deadband || c.Function == SwingingDoor
	switch c.Function {
	case Lag, HadChanged, DeltaPrevious, Deadband, SwingingDoor:
	default:
		return fmt.Errorf("%w: there is no function %q; there are %v", ErrConfig, c.Function, Functions())
	}
	if c.Slot < 0 {
		fault("the field's slot is %d; it must not be negative", c.Slot)
	}
	if c.Into < Nowhere {
		fault("the finding's slot is %d; it must not be negative, and %d means none", c.Into, Nowhere)
	}
	if c.Slot == c.Into {
		fault("the finding would overwrite the field, slot %d", c.Slot)
	}
	switch {
	case c.Function == Lag && (c.N < 1 || c.N > LagMax):
		fault("it looks %d events back; it must be 1 to %d", c.N, LagMax)
	case c.Function != Lag && c.N != 0:
		fault("it has no number of events; only %s has", Lag)
	}
	switch {
	case thins && !(c.By >= 0 && c.By <= math.MaxFloat64): // NaN is neither
		fault("the width is %v; it must be a number of 0 or more", c.By)
	case !thins && c.By != 0:
		fault("it has no width; only %s and %s have", Deadband, SwingingDoor)
	}
	switch {
	case thins && (c.MaxInterval < 0 || c.MaxInterval > IntervalMax):
		fault("the longest interval is %d ms; it must be 0 to %d, and 0 means no limit", c.MaxInterval, int64(IntervalMax))
	case !thins && c.MaxInterval != 0:
		fault("it has no longest interval; only %s and %s have", Deadband, SwingingDoor)
	}
	if (c.Percent || c.Keep) && c.Function != Deadband {
		fault("it can neither be in percent nor keep all events; only %s can", Deadband)
	}
	return errors.Join(faults...)
}

// Spec is a chain of functions as configured. All keys share it; it must not
// change once a chain uses it.
type Spec []Config

// Validate joins everything that is wrong with the functions. The errors wrap
// [ErrConfig].
func (s Spec) Validate() error {
	var faults []error
	if len(s) > ChainMax {
		faults = append(faults, fmt.Errorf("%w: %d functions; there may be %d", ErrConfig, len(s), ChainMax))
	}
	for i := range s {
		if err := s[i].Validate(); err != nil {
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}

// New returns the memory of a key without events. The spec must be valid.
func (s Spec) New() *Chain {
	c := &Chain{detectors: make([]detector, len(s))}
	for i := range s {
		c.detectors[i] = newDetector(&s[i])
	}
	return c
}

func newDetector(c *Config) detector {
	switch c.Function {
	case Lag:
		return &lag{config: c}
	case HadChanged:
		return &hadChanged{config: c}
	case DeltaPrevious:
		return &deltaPrevious{config: c}
	case Deadband:
		return &deadband{config: c}
	}
	return &swingingDoor{config: c}
}
