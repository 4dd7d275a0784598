package edgedtest

import (
	"fmt"

	"edged"
)

// Event is one reading as a test says it.
type Event struct {
	// Stream is the stream of a join, or the name of the pipeline that the event is
	// for. "" is every pipeline that takes events and has no streams.
	Stream string

	// Source is where the event came from, if the pipeline keeps watermarks per
	// source.
	Source string

	Key     string
	Time    edged.Timestamp // when it happened
	Arrival edged.Timestamp // when it came in, by the gateway's clock; 0: not known

	// ID makes events the same event: equal ids at an equal Time count once. ""
	// is an event like no other, unless the pipeline identifies events by fields.
	ID string

	Fields []Field
}

// Field is one value of an event by its name.
type Field struct {
	Name  string
	Value edged.Value
}

// Number returns an event with the field "value".
func Number(key string, t edged.Timestamp, value float64) Event {
	return Event{Key: key, Time: t, Fields: []Field{{Name: "value", Value: edged.NumberValue(value)}}}
}

// field returns the value of a field and whether the event has it.
func (e *Event) field(name string) (edged.Value, bool) {
	for _, f := range e.Fields {
		if f.Name == name {
			return f.Value, true
		}
	}
	return edged.Value{}, false
}

// check refuses what no line of JSON could say.
func (e *Event) check() error {
	seen := make(map[string]bool, len(e.Fields))
	for _, f := range e.Fields {
		if seen[f.Name] {
			return fmt.Errorf("event: the field %q is given twice", f.Name)
		}
		seen[f.Name] = true
		if f.Value.Kind == edged.JSON {
			return fmt.Errorf("event: the field %q is a list or an object; use a number, a text, a bool or null", f.Name)
		}
	}
	return nil
}
