package edgedtest

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"edged"
	"edged/query"
)

// stepNames are the members of which a step has exactly one.
func stepNames() []string {
	return []string{"event", "bundle", "watermark", "processing_time", "idle", "active", "checkpoint_restore", "command", "end"}
}

// Step carries out one step that is written as a JSON object; the package
// comment lists them. It returns the results that appeared. On an error nothing
// has happened, and the step does not count.
func (d *Driver) Step(text []byte) ([]Result, error) {
	o, err := parseObject(text)
	if err != nil {
		return nil, fmt.Errorf("the step %w", err)
	}
	if len(o) != 1 {
		return nil, fmt.Errorf("a step has exactly one member, one of %s, but this one has %d", strings.Join(stepNames(), ", "), len(o))
	}
	switch name, value := o[0].name, o[0].value; name {
	case "event":
		e, err := readEvent("event", value)
		if err != nil {
			return nil, err
		}
		return d.Event(e)
	case "bundle":
		events, err := readBundle(value)
		if err != nil {
			return nil, err
		}
		return d.Bundle(events...)
	case "watermark", "processing_time":
		t, err := readTime(name, value)
		if err != nil {
			return nil, err
		}
		if name == "watermark" {
			return d.Watermark(t)
		}
		return d.ProcessingTime(t)
	case "command":
		var step struct{ Command json.RawMessage }
		if err := json.Unmarshal(text, &step); err != nil {
			return nil, fmt.Errorf("command: %w", err)
		}
		return d.Command(step.Command)
	case "idle", "active":
		source, ok := value.(string)
		if !ok {
			return nil, fmt.Errorf("%s: must be the name of a source, a text, but is %s", name, describe(value))
		}
		if name == "idle" {
			return d.Idle(source)
		}
		return d.Active(source)
	case "checkpoint_restore", "end":
		if value != true {
			return nil, fmt.Errorf("%s: must be true, but is %s", name, describe(value))
		}
		if name == "end" {
			return d.End()
		}
		return nil, d.CheckpointRestore()
	default:
		return nil, fmt.Errorf("there is no step %q%s", name, because(query.Suggest(name, stepNames()), "use one of "+strings.Join(stepNames(), ", ")))
	}
}

// because returns a hint behind a semicolon: the first that is not empty.
func because(hints ...string) string {
	for _, h := range hints {
		if h != "" {
			return "; " + h
		}
	}
	return ""
}

func readBundle(value any) ([]Event, error) {
	list, ok := value.([]any)
	if !ok {
		return nil, fmt.Errorf("bundle: must be a list of events, but is %s", describe(value))
	}
	events := make([]Event, len(list))
	for i, item := range list {
		var err error
		if events[i], err = readEvent(fmt.Sprintf("bundle[%d]", i), item); err != nil {
			return nil, err
		}
	}
	return events, nil
}

// readEvent reads an event. Which fields there are only the pipelines know.
func readEvent(path string, value any) (e Event, err error) {
	o, ok := value.(object)
	if !ok {
		return e, fmt.Errorf("%s: must be an object, but is %s", path, describe(value))
	}
	timed := false
	for _, m := range o {
		at := path + "." + m.name
		switch m.name {
		case "ts":
			timed = true
			e.Time, err = readTime(at, m.value)
		case "arrival":
			e.Arrival, err = readTime(at, m.value)
		case "key":
			e.Key, err = readText(at, m.value)
		case "stream":
			e.Stream, err = readText(at, m.value)
		case "source":
			e.Source, err = readText(at, m.value)
		case "id":
			e.ID, err = readID(at, m.value)
		}
		if err != nil {
			return e, err
		}
		field, err := readField(at, m.value)
		if err != nil {
			return e, err
		}
		e.Fields = append(e.Fields, Field{m.name, field})
	}
	if !timed {
		return e, fmt.Errorf("%s: the member ts is missing; it is the event time in milliseconds", path)
	}
	return e, nil
}

// isReserved reports whether a member of an event means something without being
// a field of the pipeline.
func isReserved(name string) bool {
	switch name {
	case "ts", "arrival", "key", "stream", "source", "id":
		return true
	}
	return false
}

func readTime(path string, value any) (edged.Timestamp, error) {
	number, ok := value.(json.Number)
	if !ok {
		return 0, fmt.Errorf("%s: must be a whole number of milliseconds, but is %s", path, describe(value))
	}
	ms, err := strconv.ParseInt(number.String(), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s: %s is not a whole number of milliseconds within 64 bits", path, number)
	}
	return edged.Timestamp(ms), nil
}

func readText(path string, value any) (string, error) {
	text, ok := value.(string)
	if !ok {
		return "", fmt.Errorf("%s: must be a text, but is %s", path, describe(value))
	}
	return text, nil
}

// readID reads an identity. The number 1 and the text "1" are different ones.
func readID(path string, value any) (string, error) {
	switch v := value.(type) {
	case string:
		return "t" + v, nil
	case json.Number:
		return "n" + v.String(), nil
	}
	return "", fmt.Errorf("%s: must be a text or a number, but is %s", path, describe(value))
}

func readField(path string, value any) (edged.Value, error) {
	switch v := value.(type) {
	case nil:
		return edged.Value{}, nil
	case bool:
		return edged.BoolValue(v), nil
	case string:
		return edged.TextValue(v), nil
	case json.Number:
		f, err := strconv.ParseFloat(v.String(), 64)
		if err != nil {
			return edged.Value{}, fmt.Errorf("%s: %s is not within the range of a number", path, v)
		}
		return edged.NumberValue(f), nil
	}
	return edged.Value{}, fmt.Errorf("%s: must be a number, a text, a bool or null, but is %s", path, describe(value))
}
