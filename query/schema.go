package query

import (
	"strings"

	"edged/mqtt/codec"
)

// Key describes one key of a document. The reader takes the known keys and the
// defaults from this table, and the reference page is printed from it.
type Key struct {
	Path    string // list indices are written []
	Type    string // text, whole number, bool, duration, map, list, or the words to choose from
	Default string // as written in a document; Required when there is none
	Doc     string
}

// Required is the default of keys that must be given.
const Required = "required"

// Schema returns every key of a document, in the order of the reference.
func Schema() []Key {
	units := strings.Join(codec.TimeUnits(), "|")
	return []Key{
		{"settings", "map", "", "The daemon's settings. See above."},
		{"pipelines", "list", "", "The pipelines. All of them see all messages of the sources they subscribe to."},
		{"pipelines[].name", "text", Required, "Names the pipeline in stored state, metrics and result identities: lower-case letters, digits, - and _, at most 64. Renaming a pipeline starts it afresh."},
		{"pipelines[].source", "map", Required, "Where events come from."},
		{"pipelines[].source.topic", "text", Required, "MQTT topic filter; + stands for one level, # at the end for all that follow."},
		{"pipelines[].source.qos", "0|1", "1", "Quality of service of the subscription. With 0 the broker may lose messages, and nothing is exactly once."},
		{"pipelines[].source.format", "json", "json", "How payloads are written."},
		{"pipelines[].key", "map", Required, "What events are grouped by. Either field or topic_level."},
		{"pipelines[].key.field", "text", "", "Path of the member that holds the key: a text or a whole number."},
		{"pipelines[].key.topic_level", "whole number", "", "Level of the topic that is the key, counted from 0."},
		{"pipelines[].event_time", "map", Required, "When the event happened, by the device's clock."},
		{"pipelines[].event_time.field", "text", Required, "Path of the member that holds the time."},
		{"pipelines[].event_time.unit", units, "ms", "Unit since the Unix epoch, or rfc3339 for a text. Fractions of a millisecond are cut towards the past."},
		{"pipelines[].fields", "list", "", "The members of the payload that expressions and aggregates use."},
		{"pipelines[].fields[].name", "text", Required, "Name in expressions and aggregates: a letter or _, then letters, digits and _."},
		{"pipelines[].fields[].type", "number|text|bool", Required, "Type; a payload with another type is refused."},
		{"pipelines[].fields[].path", "text", "", "Names of the members from the outermost object inwards, separated by dots. By default the field's name."},
		{"pipelines[].fields[].required", "bool", "false", "Refuse payloads in which the field is absent or null."},
		{"pipelines[].filter", "text", "", "Expression over the fields; events for which it is not true are counted and forgotten. It is evaluated before compute."},
		{"pipelines[].compute", "list", "", "Further fields. Each may use the fields and those computed before it."},
		{"pipelines[].compute[].name", "text", Required, "Name of the computed field."},
		{"pipelines[].compute[].expression", "text", Required, "What it is."},
		{"pipelines[].dedup", "map", "", "What makes two messages the same event. Equal identity at equal event time counts once."},
		{"pipelines[].dedup.by", "content|fields|none", "content", "Identity: the whole payload, some fields, or none. With none only redeliveries of the broker are recognised."},
		{"pipelines[].dedup.fields", "list", "", "The fields, when by is fields: for example a device's message number. An event in which all of them are null is not deduplicated."},
		{"pipelines[].dedup.horizon", "duration", "0s", "How long, in event time, identities are remembered. 0s: as long as an equal event could still count."},
		{"pipelines[].dedup.max_entries", "whole number", "4096", "Limit of remembered identities per key, 16 bytes each. Beyond it the oldest are forgotten and counted."},
		{"pipelines[].watermark", "map", "", "How event time is known to pass, per key."},
		{"pipelines[].watermark.out_of_orderness", "duration", "2s", "How far events of one key may be out of order. Windows close this much later."},
		{"pipelines[].watermark.idle_timeout", "duration", "30s", "Silence after which the windows of a key close without a further event. 0s: never."},
		{"pipelines[].window", "map", Required, "How event time is cut."},
		{"pipelines[].window.type", "tumbling", "tumbling", "Tumbling windows follow each other without gap or overlap."},
		{"pipelines[].window.size", "duration", Required, "Length of a window."},
		{"pipelines[].window.offset", "duration", "0s", "Windows start at multiples of size since the Unix epoch plus this. It may be negative."},
		{"pipelines[].window.allowed_lateness", "duration", "0s", "How long after its end a window takes late events. Each of them fires the window again."},
		{"pipelines[].aggregates", "list", Required, "The columns of a result."},
		{"pipelines[].aggregates[].name", "text", Required, "Name of the member in the result."},
		{"pipelines[].aggregates[].function", "count|sum|avg|min|max|first|last", Required, "What is computed. Nulls are left out."},
		{"pipelines[].aggregates[].field", "text", "", "The field, declared or computed. Only count goes without: it then counts events."},
		{"pipelines[].output_key", "text", "key", "Name of the member that holds the key in results and late events."},
		{"pipelines[].outputs", "list", Required, "Where results go: a list of mqtt, stdout and file. At most one is mqtt."},
		{"pipelines[].outputs[].mqtt", "map", "", "Publish to the upstream broker."},
		{"pipelines[].outputs[].mqtt.topic", "text", Required, "Topic; {key} stands for the key, in which characters with a meaning in topics are percent-encoded."},
		{"pipelines[].outputs[].mqtt.qos", "0|1", "1", "Quality of service. With 0 results may be lost on the way."},
		{"pipelines[].outputs[].stdout", "map", "", "Write a line of JSON per result to standard output."},
		{"pipelines[].outputs[].file", "map", "", "Append a line of JSON per result to a file."},
		{"pipelines[].outputs[].file.path", "text", Required, "Path of the file."},
		{"pipelines[].late_output", "list", "", "Where events go that came too late for their window; written like outputs. Without it they are only counted."},
	}
}

// schema is the table in the form in which the reader asks for it.
type schema struct{ keys []Key }

// find returns the key at path, and false when there is none. Late outputs are
// written like outputs.
func (s schema) find(path string) (Key, bool) {
	path = normal(path)
	for _, k := range s.keys {
		if k.Path == path {
			return k, true
		}
	}
	return Key{}, false
}

// below returns the names of the keys right below path.
func (s schema) below(path string) []string {
	prefix := normal(path) + "."
	if path == "" {
		prefix = ""
	}
	var names []string
	for _, k := range s.keys {
		if name, ok := strings.CutPrefix(k.Path, prefix); ok && !strings.ContainsAny(name, ".[") {
			names = append(names, name)
		}
	}
	return names
}

// normal replaces list indices by [] and late_output by outputs.
func normal(path string) string {
	var b strings.Builder
	inside := false
	for _, r := range path {
		inside = inside && r != ']'
		if !inside {
			b.WriteRune(r)
		}
		inside = inside || r == '['
	}
	return strings.Replace(b.String(), ".late_output[", ".outputs[", 1)
}
