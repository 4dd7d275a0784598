package operator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
)

// DiffLinesMax is how many differences Diff lists; the last line then counts the rest.
const DiffLinesMax = 200

// Diff returns what is different between two JSON documents, one line for each place:
// "+ path: value", "- path: value" or "~ path: old -> new". Elements of lists that have
// a name are compared by it, others by their place.
func Diff(old, new json.RawMessage) ([]string, error) {
	var a, b any
	for _, d := range []struct {
		from json.RawMessage
		to   *any
	}{{old, &a}, {new, &b}} {
		decoder := json.NewDecoder(bytes.NewReader(d.from))
		decoder.UseNumber()
		if err := decoder.Decode(d.to); err != nil {
			return nil, fmt.Errorf("compare documents: %w", err)
		}
	}
	lines := differ("", a, b, nil)
	if extra := len(lines) - DiffLinesMax; extra > 0 {
		lines = append(lines[:DiffLinesMax], fmt.Sprintf("and %d more", extra))
	}
	return lines, nil
}

func differ(path string, a, b any, lines []string) []string {
	x, ok := members(a)
	y, also := members(b)
	if !ok || !also {
		if one, two := text(a), text(b); one != two {
			lines = append(lines, fmt.Sprintf("~ %s: %s -> %s", path, one, two))
		}
		return lines
	}
	for _, name := range names(x, y) {
		at := path + name
		if path == "" && name[0] == '.' {
			at = name[1:]
		}
		v, had := x[name]
		w, has := y[name]
		switch {
		case !had:
			lines = append(lines, "+ "+at+": "+text(w))
		case !has:
			lines = append(lines, "- "+at+": "+text(v))
		default:
			lines = differ(at, v, w, lines)
		}
	}
	return lines
}

// members returns the parts of an object or a list by what is written behind the path.
func members(v any) (map[string]any, bool) {
	parts := map[string]any{}
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			parts["."+name] = value
		}
	case []any:
		for i, value := range v {
			place := "[" + strconv.Itoa(i) + "]"
			if object, ok := value.(map[string]any); ok {
				if name, ok := object["name"].(string); ok {
					place = "[" + name + "]"
				}
			}
			if _, twice := parts[place]; twice {
				place = "[" + strconv.Itoa(i) + "]"
			}
			parts[place] = value
		}
	default:
		return nil, false
	}
	return parts, true
}

func names(x, y map[string]any) []string {
	var all []string
	for name := range x {
		all = append(all, name)
	}
	for name := range y {
		if _, both := x[name]; !both {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}

// text writes a value on one line. What was decoded from JSON always encodes.
func text(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(data)
}
