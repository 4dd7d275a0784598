package alarms

// Condition is the state that an alarm is in, in the words of ISA-18.2 and IEC 62682,
// whose letter stands behind each.
type Condition uint8

// Conditions.
const (
	Normal                 Condition = iota // A: there is no alarm, or it is over
	Unacknowledged                          // B: active, and nobody has seen it
	Acknowledged                            // C: active, and somebody has
	ReturnedUnacknowledged                  // D: its condition is gone, and nobody has seen it; see Spec.Acknowledge
	LatchedUnacknowledged                   // E: its condition is gone, but it stays; see Spec.Latch
	LatchedAcknowledged                     // F: the same, and somebody has seen it
	Shelved                                 // G: put away for a time by a person
	SuppressedByDesign                      // H: not judged, because the configuration says so
	OutOfService                            // I: not judged, because a person says so: maintenance
	conditions
)

// String returns the condition in lower case, as it is written upstream.
func (c Condition) String() string {
	return word(int(c), "normal", "unacknowledged", "acknowledged", "returned_unacknowledged",
		"latched_unacknowledged", "latched_acknowledged", "shelved", "suppressed_by_design", "out_of_service")
}

// Active reports whether the alarm's condition is present and told: B or C.
func (c Condition) Active() bool { return c == Unacknowledged || c == Acknowledged }

// Waiting reports whether the alarm's condition is gone and the alarm waits for a
// person: D, E or F.
func (c Condition) Waiting() bool { return c >= ReturnedUnacknowledged && c <= LatchedAcknowledged }

// returned is the state after the condition of an active alarm is gone.
func (c Condition) returned(s *Spec) Condition {
	switch {
	case s.Latch && c == Unacknowledged:
		return LatchedUnacknowledged
	case s.Latch:
		return LatchedAcknowledged
	case s.Acknowledge && c == Unacknowledged:
		return ReturnedUnacknowledged
	}
	return Normal
}

// acknowledged is the state after the alarm was acknowledged.
func (c Condition) acknowledged() Condition {
	switch c {
	case Unacknowledged:
		return Acknowledged
	case LatchedUnacknowledged:
		return LatchedAcknowledged
	case ReturnedUnacknowledged:
		return Normal
	}
	return c
}

// word returns words[i], or "?" if there is no such word.
func word(i int, words ...string) string {
	if i >= len(words) {
		return "?"
	}
	return words[i]
}
