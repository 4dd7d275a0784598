package codec

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"edged"
)

// Limits of what a decoder reads and keeps.
const (
	KeyBytesMax   = 256     // of a key
	DepthMax      = 32      // of objects and arrays in a payload, the outermost included
	KeysInterned  = 1 << 12 // keys a decoder remembers at most
	TextsInterned = 1 << 12 // texts a decoder remembers at most
	textBytesKept = 64      // longer texts are not worth remembering
)

// TimeUnit says how a payload writes its event time.
type TimeUnit string

// The units of event time.
const (
	Seconds      TimeUnit = "s"
	Milliseconds TimeUnit = "ms"
	Microseconds TimeUnit = "us"
	Nanoseconds  TimeUnit = "ns"
	RFC3339      TimeUnit = "rfc3339" // a text such as 2024-05-01T12:00:00.5+02:00
)

// TimeUnits returns all units, in the order of their size.
func TimeUnits() []string {
	return []string{string(Seconds), string(Milliseconds), string(Microseconds), string(Nanoseconds), string(RFC3339)}
}

// scale returns the power of ten that turns the unit into milliseconds.
func (u TimeUnit) scale() int {
	switch u {
	case Seconds:
		return 3
	case Microseconds:
		return -3
	case Nanoseconds:
		return -6
	}
	return 0
}

// Spec says which members of a payload an event is made of. A path is a list of
// member names separated by dots, from the outermost object inwards.
type Spec struct {
	// Key is the path of the key: a text, or a whole number, whose digits then
	// are the key. "" when the key does not come from the payload.
	Key string

	// Time is the path of the event time.
	Time string

	// Unit is the unit of the event time.
	Unit TimeUnit

	// Fields are the values to read.
	Fields []Field
}

// Field is one value to read.
type Field struct {
	Path     string
	Kind     edged.Kind // Number, Text or Bool
	Required bool       // refuse payloads without it
	Slot     int        // index into Event.Values; -1: check it, do not keep it
}

// Validate reports every fault of the spec.
func (s Spec) Validate() error {
	var faults []error
	if s.Key != "" && !validPath(s.Key) {
		faults = append(faults, fmt.Errorf("key path %q: has an empty part", s.Key))
	}
	if !validPath(s.Time) {
		faults = append(faults, fmt.Errorf("time path %q: is empty or has an empty part", s.Time))
	}
	if !slices.Contains(TimeUnits(), string(s.Unit)) {
		faults = append(faults, fmt.Errorf("time unit %q: must be one of %s", s.Unit, strings.Join(TimeUnits(), " ")))
	}
	for i, f := range s.Fields {
		if !validPath(f.Path) {
			faults = append(faults, fmt.Errorf("field %d path %q: is empty or has an empty part", i, f.Path))
		}
		if f.Kind == edged.Null || f.Slot < -1 {
			faults = append(faults, fmt.Errorf("field %d %s: kind %s, slot %d: not possible", i, f.Path, f.Kind, f.Slot))
		}
	}
	return errors.Join(faults...)
}

func validPath(path string) bool {
	return path != "" && !slices.Contains(strings.Split(path, "."), "")
}

// member is one name in the tree of the paths that are read.
type member struct {
	name     string
	path     string
	index    int // into Decoder.seen
	children []*member

	// What a leaf is read for.
	isKey  bool
	isTime bool
	fields []Field
}

func (m *member) leaf() bool { return m.isKey || m.isTime || len(m.fields) > 0 }

func (m *member) child(name []byte) *member {
	for _, c := range m.children {
		if string(name) == c.name {
			return c
		}
	}
	return nil
}

// grow returns the member at path below m, which it adds when needed. count is
// the number of members of the tree.
func (m *member) grow(path string, count *int) *member {
	for name := range strings.SplitSeq(path, ".") {
		c := m.child([]byte(name))
		if c == nil {
			c = &member{name: name, path: strings.TrimPrefix(m.path+"."+name, "."), index: *count}
			m.children = append(m.children, c)
			*count++
		}
		m = c
	}
	return m
}

// conflict returns the path of a member that is read both as a value and as an
// object, and "" when there is none.
func (m *member) conflict() string {
	if m.leaf() && len(m.children) > 0 {
		return m.path
	}
	for _, c := range m.children {
		if path := c.conflict(); path != "" {
			return path
		}
	}
	return ""
}
