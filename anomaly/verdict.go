package anomaly

import (
	"errors"

	"edged"
)

// ErrState is returned (wrapped) by State.Restore for bytes that are not a state
// of this spec.
var ErrState = errors.New("anomaly: not a state of this detector")

// Spec is a detector as it is configured. It is shared by all series and does
// not change after Validate.
type Spec interface {
	// Validate says what is wrong with the configuration, in the user's words.
	Validate() error
	// New returns the state of a series that has not been seen yet. Call it only
	// on a spec that is valid.
	New() State
}

// State is what a detector remembers of one series. It belongs to one goroutine.
type State interface {
	// Observe judges the value x at event time t, and then learns it. A value
	// that is not finite is refused: the verdict says so and nothing is learned.
	// It does not allocate once the state is warm.
	Observe(t edged.Timestamp, x float64) Verdict
	// Bytes is the memory that the state holds, in bytes.
	Bytes() int
	// AppendBinary appends the canonical encoding: equal states, equal bytes. A
	// state restored from it continues bit by bit like the original.
	AppendBinary(dst []byte) []byte
	// Restore replaces the state by the one at the start of data and returns the
	// bytes behind it. Any bytes are allowed: on an error, which wraps ErrState,
	// the state is as it was.
	Restore(data []byte) (rest []byte, err error)
}

// Verdict is what a detector says about one value.
type Verdict struct {
	Score    float64  // how unusual, on the detector's own scale; 0: not at all; finite, >= 0
	Low      float64  // the range expected now, from Low to High, in units of the value; finite
	High     float64  // see Low
	Reason   Reason   // why the score is what it is
	Level    Level    // which threshold is passed, for detectors that have thresholds
	Severity Severity // how bad, by the score; None while the score is below the threshold
	Alarm    bool     // the score has reached the threshold and neither warm-up nor cool-down holds it back
	Warm     bool     // false while the detector is still learning what is usual
	HasRange bool     // whether Low and High are known
	Evidence Evidence // what a label on an alarm with this verdict is applied to; empty unless the state is Teachable
}

// Level is the threshold that a value has passed.
type Level uint8

// Levels, in the words of process control.
const (
	LevelNone Level = iota // between Low and High
	LevelLow
	LevelLowLow
	LevelHigh
	LevelHighHigh
)

// String returns the level as process control writes it.
func (l Level) String() string { return word(int(l), "", "L", "LL", "H", "HH") }

// Severity grades an alarm.
type Severity uint8

// Severities, in ascending order.
const (
	SeverityNone Severity = iota
	SeverityMinor
	SeverityMajor
	SeverityCritical
)

// String returns the severity as a lower-case word.
func (s Severity) String() string { return word(int(s), "none", "minor", "major", "critical") }

// Grade returns the severity of a score by the scores from which on it is minor,
// major and critical.
func Grade(score, minor, major, critical float64) Severity {
	switch {
	case score >= critical:
		return SeverityCritical
	case score >= major:
		return SeverityMajor
	case score >= minor:
		return SeverityMinor
	}
	return SeverityNone
}

// Cause is the kind of a reason.
type Cause uint8

// Causes. Each says what Excess, Span and Count of its Reason mean; what is not
// mentioned is zero.
const (
	CauseNone        Cause = iota // nothing unusual
	CauseNotFinite                // the value is NaN or infinite, and was refused
	CauseImplausible              // the value is outside Low..High, the physical limits, and was refused
	CauseRecord                   // View is Excess (share of its past range) beyond anything in Span ms
	CauseThreshold                // the value has been beyond Excess (the limit; see Level) for Span ms
	CauseRate                     // the value changes by Excess units per second, seen over Span ms
	CauseStuck                    // the value has moved by no more than Excess units in Span ms
	CauseSilent                   // nothing for Span ms
	CauseMissing                  // the share Excess of the expected values of Span ms is missing
	CauseDeviation                // the value is Excess (signed) deviations from what is expected
	CauseDrift                    // the mean has drifted: the decision sum is Excess (signed) deviations
	CauseShift                    // the mean of the last Count values differs by Excess (signed units) from before
	CauseIsolated                 // the value lies alone among the last Count: Excess is the forest's score
	CauseUnlikely                 // high scores have piled up: Excess is -log10 of their likelihood
	CausePeers                    // the value is Excess (signed) deviations from the median of Count peers
	CauseVote                     // Count detectors agree
)

// View is what the record detector looks at: the value as it is, or one of the
// things computed from it.
type View uint8

// Views of the record detector, in the order of its state.
const (
	ViewSpike    View = iota // value less the median of the last 61
	ViewTrend                // fast moving mean less the slow one
	ViewSeason               // value less the mean of its hour of the week
	ViewFloor                // minimum of the last 48
	ViewCeiling              // maximum of the last 48
	ViewLevel                // median of the last 9
	ViewJump                 // value less the one 12 before
	ViewSurprise             // value less the one predicted from the last 8
	Views                    // how many there are
)

// String returns the view as the subject of a sentence.
func (v View) String() string {
	return word(int(v), "distance from the running median", "trend", "hourly residual", "floor", "ceiling",
		"level", "jump", "prediction error")
}

// Reason is why a verdict is what it is: a cause and its numbers. The sentence is
// made by Explain, only when somebody wants to read it.
type Reason struct {
	Excess float64 // see the causes
	Span   int64   // milliseconds; see the causes
	Count  int32   // see the causes
	Cause  Cause
	View   View // for CauseRecord
	Below  bool // the value, or its view, is too low rather than too high
}

// word returns words[i], or "?" if there is no such word.
func word(i int, words ...string) string {
	if i >= len(words) {
		return "?"
	}
	return words[i]
}
