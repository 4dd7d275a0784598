package alarms

import (
	"errors"
	"fmt"
)

// GroupSpec is how the alarms of a group, such as a line of machines, are kept back
// when too many come at once, or when the cause is known.
type GroupSpec struct {
	// FloodMin is how many members with an active alarm, raised within FloodSpan
	// milliseconds of event time, are a flood: the group alarm is raised. 0: none are.
	FloodMin  int
	FloodSpan int64

	// The flood is over when fewer than CalmBelow members have been active for CalmSpan
	// milliseconds of event time. CalmBelow is 1 to FloodMin.
	CalmBelow int
	CalmSpan  int64

	// Parent is a member whose active alarm explains those of all others, such as the
	// power supply: while it is active, they are kept back. It is no part of a flood
	// itself, and is never kept back. "": none.
	Parent string

	// MembersMax is how many members are remembered at once: those that are active, or
	// kept back. What is beyond is passed on, and is no part of a flood. 1 to
	// MembersMaxMax, and at least FloodMin.
	MembersMax int
}

// MembersMaxMax is the largest GroupSpec.MembersMax.
const MembersMaxMax = 4096

// Validate joins all that is wrong with the configuration. The errors wrap ErrSpec.
func (s *GroupSpec) Validate() error {
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("%w: group: "+format, append([]any{ErrSpec}, args...)...))
	}
	if s.FloodMin == 0 && s.Parent == "" {
		fault("neither flood_min nor parent is given; give at least one")
	}
	if s.FloodMin != 0 {
		if s.FloodMin < 2 || s.FloodMin > MembersMaxMax {
			fault("flood_min is %d members; it must be 2 to %d, or 0 for none", s.FloodMin, MembersMaxMax)
		}
		if s.FloodSpan < 1 || s.FloodSpan > SpanMax {
			fault("flood_span is %d ms; it must be 1 to %d", s.FloodSpan, SpanMax)
		}
		if s.CalmBelow < 1 || s.CalmBelow > s.FloodMin {
			fault("calm_below is %d members; it must be 1 to flood_min, %d", s.CalmBelow, s.FloodMin)
		}
		if s.CalmSpan < 0 || s.CalmSpan > SpanMax {
			fault("calm_span is %d ms; it must be 0 to %d", s.CalmSpan, SpanMax)
		}
	}
	if least := max(1, s.FloodMin); s.MembersMax < least || s.MembersMax > MembersMaxMax {
		fault("members_max is %d; it must be %d to %d", s.MembersMax, least, MembersMaxMax)
	}
	return errors.Join(faults...)
}

// New returns a group of which nothing is known. Call it only on a spec that is valid.
func (s *GroupSpec) New() Group { return Group{spec: s, clock: noTime, calm: noTime} }
