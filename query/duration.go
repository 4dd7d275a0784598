package query

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

var errNoUnit = errors.New(`is a number without a unit; write for example "10s", "500ms" or "1d"`)

const day = 24 * time.Hour

// DurationMax bounds every duration in a document.
const DurationMax = 3660 * day

// ParseDuration reads a duration with units: d h m s ms us ns, as in "1d12h" or
// "1.5s". A day is 24 hours. A number without a unit, save 0, is refused: readers
// differ whether it means seconds or something else.
func ParseDuration(text string) (time.Duration, error) {
	if _, err := strconv.ParseFloat(text, 64); err == nil && text != "0" {
		return 0, errNoUnit
	}
	rest, sign := strings.TrimPrefix(text, "-"), time.Duration(1)
	if rest != text {
		sign = -1
	}
	var total time.Duration
	days, after, hasDays := strings.Cut(rest, "d")
	if hasDays {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return 0, fmt.Errorf("%q is not a whole number of days", days)
		}
		total, rest = time.Duration(n)*day, after
	}
	if rest != "" || !hasDays {
		d, err := time.ParseDuration(rest)
		if err != nil || d < 0 || strings.HasPrefix(rest, "+") {
			return 0, fmt.Errorf("%q is not a duration; write for example \"10s\", \"500ms\" or \"1d\"", text)
		}
		total += d
	}
	if total < 0 || total > DurationMax {
		return 0, fmt.Errorf("%q is longer than %s", text, FormatDuration(DurationMax))
	}
	return sign * total, nil
}

// FormatDuration writes d with the largest units that fit: 1d12h, 10s, 1.5ms.
func FormatDuration(d time.Duration) string {
	if d < 0 {
		return "-" + FormatDuration(-d)
	}
	var b strings.Builder
	if d >= day {
		fmt.Fprintf(&b, "%dd", d/day)
		d %= day
		if d == 0 {
			return b.String()
		}
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	b.WriteString(s)
	return b.String()
}
