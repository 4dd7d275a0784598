package audit

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"edged/fleet/strict"
)

// Limits of entries.
const (
	LineBytesMax = 4096
	TextBytesMax = 128 // of each text; what is longer is cut
	CountsMax    = 8   // of different codes; the rest is counted as "others"

	schema = 1
	depth  = 2
)

// Entry is one line of the log. See the package comment for its members.
type Entry struct {
	V        int               `json:"v"`
	N        uint64            `json:"n"`
	Prev     string            `json:"prev"`
	Boot     uint64            `json:"boot"`
	Mono     int64             `json:"mono_ms"`
	Floor    int64             `json:"floor_ms"`
	Keyring  uint64            `json:"keyring"`
	Kind     string            `json:"kind"`
	Decision string            `json:"decision"`
	Code     string            `json:"code"`
	ID       string            `json:"id,omitempty"`
	Op       string            `json:"op,omitempty"`
	Actor    string            `json:"actor,omitempty"`
	Holder   string            `json:"holder,omitempty"`
	Digest   string            `json:"digest,omitempty"`
	Counts   map[string]uint64 `json:"counts,omitempty"`
	Note     string            `json:"note,omitempty"`
}

// bound cuts what others may have made long. Control characters would take six
// bytes each as JSON, and have no business in a name.
func (e *Entry) bound() {
	for _, text := range []*string{&e.Kind, &e.Decision, &e.Code, &e.ID, &e.Op, &e.Actor, &e.Holder, &e.Digest, &e.Note} {
		*text = clip(*text)
	}
	kept := map[string]uint64{}
	for _, code := range slices.Sorted(maps.Keys(e.Counts)) {
		name := clip(code)
		if len(kept) >= CountsMax-1 && len(e.Counts) > CountsMax {
			name = "others"
		}
		kept[name] += e.Counts[code]
	}
	e.Counts = kept
}

// clip makes a text short and printable.
func clip(text string) string {
	if len(text) > TextBytesMax {
		text = text[:TextBytesMax]
	}
	text = strings.ToValidUTF8(text, "")
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '"' || r == '\\' || r == '\u2028' || r == '\u2029' {
			return '?'
		}
		return r
	}, text)
}

// parse reads a line. Members that it does not know are from a newer writer.
func parse(line []byte) (Entry, error) {
	var e Entry
	if err := strict.Decode(line, &e, strict.Limits{Bytes: LineBytesMax, Depth: depth, Unknown: true}); err != nil {
		return Entry{}, err
	}
	if e.V != schema {
		return Entry{}, fmt.Errorf("v is %d, this program speaks %d", e.V, schema)
	}
	return e, nil
}
