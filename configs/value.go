package configs

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"edged/query"
)

// assign reads text into the setting's field.
func (s *setting) assign(text string) error {
	switch to := s.to.(type) {
	case *string:
		if s.words != nil && !slices.Contains(s.words, text) {
			return fmt.Errorf("%q is not one of %s", text, strings.Join(s.words, ", "))
		}
		*to = text
	case *int:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return fmt.Errorf("%q is not a whole number", text)
		}
		if err := s.within(n, text, strconv.FormatInt(s.least, 10), strconv.FormatInt(s.limit(), 10)); err != nil {
			return err
		}
		*to = int(n)
	case *Bytes:
		n, err := ParseBytes(text)
		if err != nil {
			return err
		}
		*to = n
		return s.within(int64(n), text, FormatBytes(Bytes(s.least)), FormatBytes(Bytes(s.limit())))
	case *time.Duration:
		d, err := query.ParseDuration(text)
		if err != nil {
			return err
		}
		*to = d
		return s.within(int64(d), text, query.FormatDuration(time.Duration(s.least)), query.FormatDuration(time.Duration(s.limit())))
	}
	return nil
}

func (s *setting) within(n int64, text, least, most string) error {
	if n < s.least || n > s.limit() {
		return fmt.Errorf("%s is not within %s and %s", text, least, most)
	}
	return nil
}

// units of sizes, the largest first.
func units() []struct {
	name string
	size Bytes
} {
	return []struct {
		name string
		size Bytes
	}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}
}

// ParseBytes reads a size: a whole number, with KiB, MiB, GiB, TiB or nothing
// after it. Decimal units are refused, because readers differ whether MB is
// 1,000,000 or 1,048,576 bytes.
func ParseBytes(text string) (Bytes, error) {
	digits, unit := text, Bytes(1)
	for _, u := range units() {
		if before, ok := strings.CutSuffix(text, u.name); ok {
			digits, unit = strings.TrimSpace(before), u.size
			break
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/int64(unit) {
		return 0, fmt.Errorf("%q is not a size; write for example 4096, 64KiB or 4MiB", text)
	}
	return Bytes(n) * unit, nil
}

// FormatBytes writes a size with the largest unit that divides it.
func FormatBytes(b Bytes) string {
	if b == 0 {
		return "0"
	}
	for _, u := range units() {
		if b%u.size == 0 && u.size > 1 {
			return fmt.Sprintf("%d%s", b/u.size, u.name)
		}
	}
	return strconv.FormatInt(int64(b), 10)
}
