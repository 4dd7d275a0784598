package query

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// reader reads a tree of YAML nodes strictly and collects all faults.
type reader struct {
	file   string
	schema schema
	lines  []string // of the document
	errors Errors

	// Lenient makes the members optional that only matter for messages and their
	// results: see [ParseDrive].
	Lenient bool
}

func (r *reader) fault(at position, path, hint, format string, args ...any) {
	r.errors = append(r.errors, &Error{
		File: r.file, Line: at.line, Column: at.column, Path: path,
		Message: fmt.Sprintf(format, args...), Hint: hint,
	})
}

// position is a place in a document.
type position struct{ line, column int }

func positionOf(n *yaml.Node) position {
	if n == nil {
		return position{}
	}
	return position{n.Line, n.Column}
}

// object is a mapping whose keys were checked against the schema.
type object struct {
	*reader
	node    *yaml.Node
	path    string
	members map[string]*yaml.Node
}

// object reads n as a mapping. Anything else is a fault and reads as empty.
func (r *reader) object(n *yaml.Node, path string) object {
	o := object{reader: r, node: n, path: path, members: map[string]*yaml.Node{}}
	if n.Kind != yaml.MappingNode {
		r.fault(positionOf(n), path, "", "must be a map of keys, but is %s", describe(n))
		return o
	}
	known := r.schema.below(path)
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		_, twice := o.members[name.Value]
		switch {
		case !slices.Contains(known, name.Value):
			r.fault(positionOf(name), o.sub(name.Value), Suggest(name.Value, known), "unknown key")
			continue
		case twice:
			r.fault(positionOf(name), o.sub(name.Value), "", "is given twice")
			continue
		}
		o.members[name.Value] = value
	}
	for _, name := range known {
		if k, _ := r.schema.find(o.sub(name)); k.Default == Required && o.value(name) == nil {
			r.fault(positionOf(n), o.sub(name), "", "is missing")
		}
	}
	return o
}

func (o object) sub(name string) string {
	if o.path == "" {
		return name
	}
	return o.path + "." + name
}

// value returns the node of a member, and nil when it is absent or null.
func (o object) value(name string) *yaml.Node {
	n := o.members[name]
	if n == nil || n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
		return nil
	}
	return n
}

// child reads a member as a mapping; ok is false when it is absent.
func (o object) child(name string) (c object, ok bool) {
	n := o.value(name)
	if n == nil {
		empty := &yaml.Node{Kind: yaml.MappingNode, Line: o.node.Line, Column: o.node.Column}
		return object{reader: o.reader, node: empty, path: o.sub(name)}, false
	}
	return o.object(n, o.sub(name)), true
}

// list calls read for every item of a member that is a list.
func (o object) list(name string, read func(item *yaml.Node, path string)) {
	n := o.value(name)
	switch {
	case n == nil:
	case n.Kind != yaml.SequenceNode:
		o.wrong(name, "", "must be a list, but is %s", describe(n))
	default:
		for i, item := range n.Content {
			read(item, fmt.Sprintf("%s[%d]", o.sub(name), i))
		}
		if k, _ := o.schema.find(o.sub(name)); k.Default == Required && len(n.Content) == 0 {
			o.wrong(name, "", "must not be empty")
		}
	}
}

// wrong reports a fault of a member.
func (o object) wrong(name, hint, format string, args ...any) {
	o.fault(positionOf(o.members[name]), o.sub(name), hint, format, args...)
}

// scalar returns the text of a member whose tag is one of tags, or its default.
func (o object) scalar(name, want string, tags ...string) string {
	n := o.value(name)
	if n == nil {
		k, _ := o.schema.find(o.sub(name))
		return strings.TrimSuffix(k.Default, Required)
	}
	if n.Kind == yaml.ScalarNode && slices.Contains(tags, n.ShortTag()) {
		return n.Value
	}
	hint := ""
	if n.Kind == yaml.ScalarNode && want == "text" {
		hint = fmt.Sprintf("put it in quotes: %q", n.Value)
	}
	o.wrong(name, hint, "must be a %s, but is %s", want, describe(n))
	return ""
}

func (o object) text(name string) string { return o.scalar(name, "text", "!!str") }

// choice reads a member that is one of the words of its type.
func (o object) choice(name string) string {
	n := o.value(name)
	text := o.scalar(name, "text", "!!str", "!!int")
	k, _ := o.schema.find(o.sub(name))
	words := strings.Split(k.Type, "|")
	if n != nil && n.Kind == yaml.ScalarNode && !slices.Contains(words, text) && text != "" {
		o.wrong(name, Suggest(text, words), "%q is not one of %s", text, strings.Join(words, ", "))
		return ""
	}
	return text
}

// integer reads a whole number within [least, most].
func (o object) integer(name string, least, most int64) int64 {
	text := o.scalar(name, "whole number", "!!int")
	if text == "" {
		return least
	}
	v, err := strconv.ParseInt(text, 10, 64)
	if err != nil || v < least || v > most {
		o.wrong(name, "", "%s is not within %d and %d", text, least, most)
		return least
	}
	return v
}

func (o object) boolean(name string) bool {
	return strings.EqualFold(o.scalar(name, "bool", "!!bool"), "true")
}

// number reads a finite number.
func (o object) number(name string) float64 {
	text := o.scalar(name, "number", "!!int", "!!float")
	if text == "" {
		return 0
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		o.wrong(name, "", "%s is not a finite number", text)
		return 0
	}
	return v
}

// texts reads a member that is a list of texts.
func (o object) texts(name string) []string {
	var list []string
	o.list(name, func(item *yaml.Node, path string) {
		if item.Kind != yaml.ScalarNode || item.ShortTag() != "!!str" {
			o.fault(positionOf(item), path, "", "must be a text, but is %s", describe(item))
			return
		}
		list = append(list, item.Value)
	})
	return list
}

// duration reads a duration of whole milliseconds that is at least least.
func (o object) duration(name string, least time.Duration) int64 {
	if n := o.value(name); n != nil && n.Kind == yaml.ScalarNode && n.Value != "0" && (n.ShortTag() == "!!int" || n.ShortTag() == "!!float") {
		o.wrong(name, "", "%s %s", n.Value, errNoUnit)
		return 0
	}
	text := o.scalar(name, "duration", "!!str", "!!int")
	if text == "" {
		if o.value(name) != nil && o.value(name).Kind == yaml.ScalarNode && o.value(name).Value == "" {
			o.wrong(name, "", `is empty; write for example "10s"`)
		}
		return 0
	}
	d, err := ParseDuration(text)
	switch {
	case err != nil:
		o.wrong(name, "", "%s", err)
	case d < least:
		o.wrong(name, "", "%s is too short: it must be at least %s", text, FormatDuration(least))
	case d%time.Millisecond != 0:
		o.wrong(name, "", "%s is not a whole number of milliseconds", text)
	default:
		return d.Milliseconds()
	}
	return 0
}

// describe says what a node is.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a map"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
		switch n.ShortTag() {
		case "!!null":
			return "empty"
		case "!!int", "!!float":
			return "the number " + n.Value
		case "!!bool":
			return "the bool " + n.Value
		}
		return fmt.Sprintf("the text %q", n.Value)
	}
	return "nothing that is known here"
}
