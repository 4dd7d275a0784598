package codec

import (
	"time"

	"edged"
)

// parseInstant reads YYYY-MM-DDThh:mm:ss[.fraction] with a zone: Z, or an offset
// +hh:mm or -hh:mm. Package time reads more than RFC 3339 allows: a comma, hours
// of one digit, offsets of a hundred hours.
func parseInstant(b []byte) (edged.Timestamp, bool) {
	n := len(b)
	switch {
	case n > 1 && b[n-1] == 'Z':
		return parseCivil(b[:n-1], 'T')
	case n > 6 && (b[n-6] == '+' || b[n-6] == '-') && b[n-3] == ':':
		hours, ok1 := digits(b[n-5:n-3], 23)
		minutes, ok2 := digits(b[n-2:], 59)
		offset := int64(hours*60+minutes) * time.Minute.Milliseconds()
		if b[n-6] == '-' {
			offset = -offset
		}
		t, ok3 := parseCivil(b[:n-6], 'T')
		t = t.Add(-offset)
		return t, ok1 && ok2 && ok3 && t >= timeMin && t <= timeMax
	}
	return 0, false
}

// parseCivil reads YYYY-MM-DD, a separator, hh:mm:ss[.fraction] as a time in UTC.
// Of the fraction milliseconds count. There are no leap seconds.
func parseCivil(b []byte, separator byte) (edged.Timestamp, bool) {
	if len(b) < 19 || b[4] != '-' || b[7] != '-' || b[10] != separator || b[13] != ':' || b[16] != ':' {
		return 0, false
	}
	year, ok1 := digits(b[:4], 9999)
	month, ok2 := digits(b[5:7], 12)
	day, ok3 := digits(b[8:10], 31)
	hour, ok4 := digits(b[11:13], 23)
	minute, ok5 := digits(b[14:16], 59)
	second, ok6 := digits(b[17:19], 59)
	millis, ok7 := fraction(b[19:])
	t := time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC)
	if !(ok1 && ok2 && ok3 && ok4 && ok5 && ok6 && ok7) || month == 0 || t.Day() != day {
		return 0, false
	}
	return edged.Timestamp(t.UnixMilli() + int64(millis)), true
}

// digits reads a number of digits only that is at most most.
func digits(b []byte, most int) (n int, ok bool) {
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, n <= most
}

// fraction reads nothing, or a point and digits, as whole milliseconds.
func fraction(b []byte) (millis int, ok bool) {
	if len(b) == 0 {
		return 0, true
	}
	if b[0] != '.' || len(b) == 1 {
		return 0, false
	}
	for i, c := range b[1:] {
		if c < '0' || c > '9' {
			return 0, false
		}
		if i < 3 {
			millis = millis*10 + int(c-'0')
		}
	}
	for i := len(b) - 1; i < 3; i++ {
		millis *= 10
	}
	return millis, true
}
