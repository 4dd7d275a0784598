package alarms

import (
	"fmt"
	"strconv"
	"strings"

	"edged"
)

// ID identifies an alarm everywhere: which rule of which pipeline, which of its alarms,
// and of which key. As text it is
//
//	pipeline/rule/start-ordinal/key      boilers/too_hot/1700000000000-3/plant 1/boiler
//
// with the key last and as it is, whatever it contains.
type ID struct {
	Pipeline string          // a-z, 0-9, _ and -, at least one
	Rule     string          // the same
	Start    edged.Timestamp // Change.Start
	Ordinal  uint32          // Change.Ordinal
	Key      string          // any bytes
}

// String returns the id as text.
func (id ID) String() string {
	b := make([]byte, 0, len(id.Pipeline)+len(id.Rule)+len(id.Key)+34)
	b = append(append(b, id.Pipeline...), '/')
	b = append(append(b, id.Rule...), '/')
	b = strconv.AppendInt(b, int64(id.Start), 10)
	b = strconv.AppendUint(append(b, '-'), uint64(id.Ordinal), 10)
	return string(append(append(b, '/'), id.Key...))
}

// ParseID takes an id apart. The error wraps ErrID and says what is wrong. Each text
// that it accepts is what String returns for the result.
func ParseID(s string) (ID, error) {
	parts := strings.SplitN(s, "/", 4)
	if len(parts) < 4 {
		return ID{}, fmt.Errorf("%w: %q has %d parts; it must be pipeline/rule/start-ordinal/key", ErrID, s, len(parts))
	}
	for i, what := range []string{"pipeline", "rule"} {
		if !isName(parts[i]) {
			return ID{}, fmt.Errorf("%w: the %s in %q is %q; it must be of a-z, 0-9, _ and -", ErrID, what, s, parts[i])
		}
	}
	at := max(0, strings.LastIndexByte(parts[2], '-'))
	start, err1 := strconv.ParseInt(parts[2][:at], 10, 64)
	ordinal, err2 := strconv.ParseUint(parts[2][min(at+1, len(parts[2])):], 10, 32)
	id := ID{Pipeline: parts[0], Rule: parts[1], Start: edged.Timestamp(start), Ordinal: uint32(ordinal), Key: parts[3]}
	// Numbers can be written in several ways; only one of them is an id.
	if err1 != nil || err2 != nil || id.String() != s {
		return ID{}, fmt.Errorf("%w: the third part of %q is %q; it must be the start in milliseconds, -, and the ordinal", ErrID, s, parts[2])
	}
	return id, nil
}

// isName reports whether s may name a pipeline or a rule.
func isName(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_-") == ""
}
