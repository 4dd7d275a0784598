package watermark

import (
	"errors"
	"fmt"

	"edged"
)

// Policy says what becomes of an event whose time is ahead of ours.
type Policy uint8

// The policies.
const (
	Accept     Policy = iota // it stays as it is, but says nothing about time
	Clamp                    // it gets the latest time that is believed
	DeadLetter               // it is refused

	policies = iota
)

// String returns the word that pipeline documents use.
func (p Policy) String() string {
	switch p {
	case Accept:
		return "accept"
	case Clamp:
		return "clamp"
	case DeadLetter:
		return "dead_letter"
	}
	return fmt.Sprintf("policy %d", uint8(p))
}

// ParsePolicy is the reverse of [Policy.String]. The error wraps [ErrConfig].
func ParsePolicy(word string) (Policy, error) {
	for p := range Policy(policies) {
		if p.String() == word {
			return p, nil
		}
	}
	return 0, fmt.Errorf("%w: events ahead of our time are to be treated by %q; use accept, clamp or dead_letter", ErrConfig, word)
}

// Verdict is what a [Guard] finds.
type Verdict uint8

// The verdicts.
const (
	Plausible Verdict = iota // the time is not ahead, or nobody can tell
	Ahead                    // accepted, although it is ahead
	Clamped                  // the time was replaced
	Refused                  // not an event
)

// Guard keeps events from the future from moving time: a device whose clock is
// years ahead would otherwise make everything late that it sends once the
// clock is right. The zero value lets everything pass.
type Guard struct {
	// AheadMax is how far, in milliseconds, the time of an event may be ahead of
	// its arrival by our clock, 0 to [DelayLimit]. 0 switches the guard off.
	AheadMax int64

	// Policy is for events that are further ahead.
	Policy Policy
}

// Validate joins everything that is wrong with the guard. The errors wrap [ErrConfig].
func (g Guard) Validate() error {
	var faults []error
	if g.AheadMax < 0 || g.AheadMax > DelayLimit {
		faults = append(faults, fmt.Errorf("%w: events may be ahead by %d ms; it must be 0 to %d, and 0 means without limit", ErrConfig, g.AheadMax, int64(DelayLimit)))
	}
	if g.Policy >= policies {
		faults = append(faults, fmt.Errorf("%w: %v; use accept, clamp or dead_letter", ErrConfig, g.Policy))
	}
	if g.AheadMax == 0 && g.Policy != Accept {
		faults = append(faults, fmt.Errorf("%w: %v needs a limit to how far events may be ahead", ErrConfig, g.Policy))
	}
	return errors.Join(faults...)
}

// Until returns the latest time that is believed of something that arrived at
// that time of our clock. Without a guard, or when our clock is not trusted
// (arrival 0), it is [edged.MaxTimestamp]. An event of which the time or the mark is
// later must not be given to [Strategy.Observe].
func (g Guard) Until(arrival edged.Timestamp) edged.Timestamp {
	if g.AheadMax == 0 || arrival == 0 {
		return edged.MaxTimestamp
	}
	return arrival.Add(g.AheadMax)
}

// Check judges an event with event time t and returns the event time that it
// has from now on.
func (g Guard) Check(t, arrival edged.Timestamp) (edged.Timestamp, Verdict) {
	until := g.Until(arrival)
	switch {
	case t <= until:
		return t, Plausible
	case g.Policy == Clamp:
		return until, Clamped
	case g.Policy == DeadLetter:
		return t, Refused
	}
	return t, Ahead
}
