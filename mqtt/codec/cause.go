package codec

import (
	"fmt"

	"edged"
)

// The causes for which a payload is refused. They label metrics and dead letters.
const (
	CauseSyntax       = "syntax"
	CauseType         = "type"
	CauseMissingKey   = "missing_key"
	CauseMissingTime  = "missing_time"
	CauseBadTime      = "bad_time"
	CauseMissingField = "missing_field"
	CauseKeyTooLong   = "key_too_long"
	CauseTooDeep      = "too_deep"
)

// Cause explains one cause to an operator.
type Cause struct{ Name, Meaning string }

// Causes returns every cause that this package reports, in a fixed order.
func Causes() []Cause {
	return []Cause{
		{CauseSyntax, "The payload is not one JSON object in UTF-8, or a member that is read occurs twice."},
		{CauseType, "A member that is read has another type than declared, or a number is too large for a float64."},
		{CauseMissingKey, "The key is absent, null or empty."},
		{CauseMissingTime, "The event time is absent or null."},
		{CauseBadTime, "The event time is no time in the declared unit, or lies outside the years 0 to 9999."},
		{CauseMissingField, "A field that was declared as required is absent or null."},
		{CauseKeyTooLong, fmt.Sprintf("The key is longer than %d bytes.", KeyBytesMax)},
		{CauseTooDeep, fmt.Sprintf("Objects and arrays are nested more than %d deep.", DepthMax)},
	}
}

func poison(cause, format string, args ...any) *edged.PoisonError {
	return &edged.PoisonError{Cause: cause, Detail: fmt.Sprintf(format, args...)}
}
