package anomaly

import "edged"

// Freezer is a state that learns what is usual, and can be asked to look without
// learning: while people work at the machine, or as long as an alarm is open.
type Freezer interface {
	State
	// Judge says what Observe would say about the value x at event time t, if it
	// came next, and learns nothing. Each state says what else stands still.
	Judge(t edged.Timestamp, x float64) Verdict
}

// Judge judges a value without learning what is usual. States that learn nothing,
// such as those of Threshold, Stuck and Missing, observe it: they follow what
// happens, so that they are right about what comes next.
func Judge(s State, t edged.Timestamp, x float64) Verdict {
	if f, ok := s.(Freezer); ok {
		return f.Judge(t, x)
	}
	return s.Observe(t, x)
}
