package query

import (
	"slices"
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
	return slices.Concat(documentKeys(), inputKeys(), streamKeys(), joinKeys(), stepKeys(), timeKeys(), windowKeys(), aggregateKeys(), detectKeys(), outputKeys())
}

// documentKeys describes the top of a document.
func documentKeys() []Key {
	return []Key{
		{"settings", "map", "", "The daemon's settings. See above."},
		{"tables", "list", "", "Reference tables that events can be looked up in. A changed file takes effect while edged runs."},
		{"tables[].name", "text", Required, "Names the table."},
		{"tables[].file", "text", Required, "Path of the file; a relative one starts at the folder of the document."},
		{"tables[].format", "csv|ndjson", "csv", "How it is written: CSV with a header, or a JSON object per line."},
		{"tables[].key", "text", Required, "The column that rows are found by."},
		{"tables[].fields", "list", Required, "The columns that pipelines can use."},
		{"tables[].fields[].name", "text", Required, "Name of the column."},
		{"tables[].fields[].type", "number|text|bool", Required, "Its type."},
		{"pipelines", "list", "", "The pipelines. All of them see all messages of the sources they subscribe to."},
		{"pipelines[].name", "text", Required, "Names the pipeline in stored state, metrics and result identities: lower-case letters, digits, - and _, at most 64. Renaming a pipeline starts it afresh."},
	}
}

// inputKeys describes one input; a stream of a join is written like the input of
// a pipeline that has one only.
func inputKeys() []Key {
	units := strings.Join(codec.TimeUnits(), "|")
	const at = "pipelines[]."
	return []Key{
		{at + "source", "map", "", "Where events come from: an MQTT topic, or another pipeline."},
		{at + "source.topic", "text", "", "MQTT topic filter; + stands for one level, # at the end for all that follow."},
		{at + "source.qos", "0|1", "1", "Quality of service of the subscription. With 0 the broker may lose messages, and nothing is exactly once."},
		{at + "source.format", "json", "json", "How payloads are written."},
		{at + "source.pipeline", "text", "", "Instead of a topic: the pipeline whose panes are gathered here. Its output_key, columns, start and end are fields."},
		{at + "source.results", "panes|alarms", "panes", "alarms: not the panes of that pipeline, but its alarm events, whose members are fields; see suppress."},
		{at + "key", "map", "", "What events are grouped by: one of field, topic_level and value."},
		{at + "key.field", "text", "", "Path of the member that holds the key: a text or a whole number."},
		{at + "key.topic_level", "whole number", "", "Level of the topic that is the key, counted from 0."},
		{at + "key.value", "text", "", "The key of all events."},
		{at + "event_time", "map", "", "When the event happened, by the device's clock."},
		{at + "event_time.field", "text", Required, "Path of the member that holds the time."},
		{at + "event_time.unit", units, "ms", "Unit since the Unix epoch, or rfc3339 for a text. Fractions of a millisecond are cut towards the past."},
		{at + "event_time.ahead_max", "duration", "10m", "How far an event time may be ahead of the gateway's clock. An event beyond that never moves time on. 0s: as far as it likes. The guard rests while the gateway's clock cannot be trusted."},
		{at + "event_time.ahead", "accept|clamp|dead_letter", "accept", "What becomes of an event further ahead: it counts, but neither it nor silence after it moves the watermark there; its time becomes the latest allowed; or it is refused."},
		{at + "fields", "list", "", "The members of the payload that expressions and aggregates use."},
		{at + "fields[].name", "text", Required, "Name in expressions and aggregates: a letter or _, then letters, digits and _."},
		{at + "fields[].type", "number|text|bool", Required, "Type; a payload with another type is refused."},
		{at + "fields[].path", "text", "", "Names of the members from the outermost object inwards, separated by dots. By default the field's name."},
		{at + "fields[].required", "bool", "false", "Refuse payloads in which the field is absent or null."},
		{at + "lookup", "list", "", "Fields that are looked up in reference tables."},
		{at + "lookup[].table", "text", Required, "The table."},
		{at + "lookup[].key", "text", Required, "The text field that a row is found by; key stands for the event's key."},
		{at + "lookup[].fields", "list", Required, "The columns that become fields."},
		{at + "lookup[].missing", "null|drop|dead_letter", "null", "When there is no such row: the fields are null, the event is left out, or it is refused."},
		{at + "filter", "text", "", "Expression over the fields; events for which it is not true are counted and forgotten. It is evaluated before compute and changes. In a join it applies to the matches. Of the results of a pipeline it chooses members: time passes with those that it keeps."},
		{at + "compute", "list", "", "Further fields. Each may use the fields and those computed before it, and what changes give."},
		{at + "compute[].name", "text", Required, "Name of the computed field."},
		{at + "compute[].expression", "text", Required, "What it is."},
	}
}

// streamKeys describes the two inputs of a join.
func streamKeys() []Key {
	return []Key{
		{"pipelines[].streams", "list", "", "The two inputs of a join, instead of source, key, event_time and fields. Each has a name and is otherwise written like the input of a pipeline; the first is the left one. After the join their fields are called NAME_FIELD."},
		{"pipelines[].streams[].name", "text", Required, "Name of the stream."},
	}
}

// joinKeys describes how two inputs become one.
func joinKeys() []Key {
	return []Key{
		{"pipelines[].join", "map", "", "How the events of the two streams with the same key are matched."},
		{"pipelines[].join.type", "interval|window|as_of", "interval", "interval: the right event is between lower and upper from the left one. window: both are in the same window. as_of: the newest right event that is not newer than the left one."},
		{"pipelines[].join.kind", "inner|left|right|full", "inner", "Whose events appear without a partner, once none can come: nobody's, the left's, the right's, or both. as_of knows inner and left."},
		{"pipelines[].join.lower", "duration", "0s", "interval: least time from the left event to the right one. It may be negative."},
		{"pipelines[].join.upper", "duration", "0s", "interval: most time from the left event to the right one."},
		{"pipelines[].join.tolerance", "duration", "0s", "as_of: how old the right event may be. 0s: as old as it likes."},
		{"pipelines[].join.events_max", "whole number", "4096", "Limit of events per key that wait for partners."},
	}
}

// stepKeys describes what happens between the input and the windows.
func stepKeys() []Key {
	return []Key{
		{"pipelines[].dedup", "map", "", "What makes two messages the same event. Equal identity at equal event time counts once. Messages of the two streams of a join are never the same."},
		{"pipelines[].dedup.by", "content|fields|none", "content", "Identity: the whole payload (and, where key.value is the key of all, the topic), some fields, or none. With none only redeliveries of the broker are recognised."},
		{"pipelines[].dedup.fields", "list", "", "The fields, when by is fields: for example a device's message number. An event in which all of them are null is not deduplicated."},
		{"pipelines[].dedup.horizon", "duration", "0s", "How long, in event time, identities are remembered. 0s: as long as an equal event could still count, or an hour where that is for ever: in sessions, counts, global windows and rows."},
		{"pipelines[].dedup.max_entries", "whole number", "4096", "Limit of remembered identities per key, 16 bytes each. Beyond it the oldest are forgotten and counted."},
		{"pipelines[].changes", "list", "", "What compares an event with those before it, in the order of event time."},
		{"pipelines[].changes[].name", "text", "", "Name of the field that the function gives. dead_band and swinging_door give none: they keep events back."},
		{"pipelines[].changes[].function", "lag|had_changed|delta_previous|dead_band|swinging_door", Required, "lag: the value some events ago. had_changed: whether it is another than before. delta_previous: by how much. dead_band: keeps events back until the value has moved. swinging_door: keeps those back that lie on a line."},
		{"pipelines[].changes[].field", "text", Required, "The field."},
		{"pipelines[].changes[].steps", "whole number", "1", "lag: how many events ago, at most 64."},
		{"pipelines[].changes[].by", "number", "0", "dead_band, swinging_door: how far the value may be off."},
		{"pipelines[].changes[].percent", "bool", "false", "dead_band: by is a percentage of the last value that passed."},
		{"pipelines[].changes[].max_interval", "duration", "0s", "dead_band, swinging_door: an event passes at least this often. 0s: no such limit."},
	}
}

// outputKeys describes where results go.
func outputKeys() []Key {
	return []Key{
		{"pipelines[].emit", "list", "", "Without a window: the fields that are the columns of a result. By default all."},
		{"pipelines[].output_key", "text", "key", "Name of the member that holds the key in results and late events."},
		{"pipelines[].outputs", "list", "", "Where results go: a list of mqtt, stdout and file. At most one is mqtt. A pipeline whose results another one gathers may go without."},
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

// find returns the key at path, and false when there is none.
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
	prefix, keys := strings.TrimSuffix(normal(path), ".until")+".", s.keys
	switch prefix {
	case ".":
		prefix = ""
	case "pipelines[].streams[].":
		prefix, keys = "pipelines[].", append(inputKeys(), Key{Path: "pipelines[].name"})
	}
	var names []string
	nested := nestsCondition(path)
	for _, k := range keys {
		if nested && slices.Contains([]string{"repeat", "until"}, strings.TrimPrefix(k.Path, prefix)) {
			continue
		}
		if name, ok := strings.CutPrefix(k.Path, prefix); ok && !strings.ContainsAny(name, ".[") {
			names = append(names, name)
		}
	}
	return names
}

// nestsCondition reports whether path is that of a condition inside of another one.
func nestsCondition(path string) bool {
	rest, ok := strings.CutPrefix(normalIndices(path), "pipelines[].window.trigger.")
	return ok && strings.Contains(rest, ".")
}

// normalIndices replaces list indices by [].
func normalIndices(path string) string {
	var b strings.Builder
	inside := false
	for _, r := range path {
		inside = inside && r != ']'
		if !inside {
			b.WriteRune(r)
		}
		inside = inside || r == '['
	}
	return b.String()
}

// normal replaces list indices by [], and what is written like something else by
// that: late outputs and those of alarms are like outputs, the streams of a join like
// the input of a pipeline, every condition of a trigger like its early section, and a
// detector inside of another like that one.
func normal(path string) string {
	text := strings.Replace(normalIndices(path), ".late_output[", ".outputs[", 1)
	text = strings.Replace(text, ".alarms.outputs[", ".outputs[", 1)
	for strings.Contains(text, ".detector.of[]") {
		text = strings.Replace(text, ".detector.of[]", ".detector", 1)
	}
	if rest, ok := strings.CutPrefix(text, "pipelines[].streams[]."); ok && rest != "name" {
		return "pipelines[]." + rest
	}
	const trigger = "pipelines[].window.trigger."
	rest, ok := strings.CutPrefix(text, trigger)
	if !ok {
		return text
	}
	if after, late := strings.CutPrefix(rest, "late"); late && (after == "" || after[0] == '.') {
		rest = "early" + after
	}
	for _, nested := range []string{".any[]", ".all[]", ".sequence[]", ".until"} {
		rest = strings.ReplaceAll(rest, nested+".", ".")
		if short, cut := strings.CutSuffix(rest, nested); cut && nested != ".until" {
			rest = short
		}
	}
	return trigger + rest
}
