package query

import (
	"time"

	"go.yaml.in/yaml/v3"

	"edged/mqtt/codec"
)

// PipelineSpec is a pipeline as its document says it. [Compile] checks what
// cannot be seen from one key alone, and makes a [Plan] of it.
type PipelineSpec struct {
	Name       string
	Source     SourceSpec
	Key        KeySpec
	EventTime  EventTimeSpec
	Fields     []FieldSpec
	Filter     string // an expression; "": keep everything
	Compute    []ComputeSpec
	Dedup      DedupSpec
	Watermark  WatermarkSpec
	Window     WindowSpec
	Aggregates []AggregateSpec // Slot is not set yet
	OutputKey  string
	Outputs    []OutputSpec
	LateOutput []OutputSpec

	where where
}

// SourceSpec says where events come from.
type SourceSpec struct {
	Topic  string // an MQTT topic filter
	QoS    byte   // 0 or 1
	Format string // json
}

// KeySpec says what the key is: a member of the payload, or a level of the topic
// when Field is "".
type KeySpec struct {
	Field      string
	TopicLevel int // from 0
}

// EventTimeSpec says which member of the payload is the event time.
type EventTimeSpec struct {
	Field string
	Unit  codec.TimeUnit
}

// FieldSpec declares a member of the payload.
type FieldSpec struct {
	Name     string
	Type     string // number, text or bool
	Path     string // "": the name
	Required bool
}

// ComputeSpec declares a computed field.
type ComputeSpec struct {
	Name       string
	Expression string
}

// OutputSpec is one place to which results go.
type OutputSpec struct {
	Kind  string // mqtt, stdout or file
	Topic string // mqtt: a topic in which {key} stands for the key
	QoS   byte   // mqtt: 0 or 1
	Path  string // file
}

// Name identifies the output among those of its stream. Cursors are kept by it.
func (o OutputSpec) Name() string {
	if o.Kind == OutputFile {
		return OutputFile + ":" + o.Path
	}
	return o.Kind
}

// The kinds of outputs.
const (
	OutputMQTT   = "mqtt"
	OutputStdout = "stdout"
	OutputFile   = "file"
)

// where remembers the places of a spec in its document.
type where struct {
	file   string
	path   string // of the pipeline: pipelines[0]
	lines  []string
	places map[string]position // by path below the pipeline
}

// pipeline reads one item of the list of pipelines.
func (r *reader) pipeline(n *yaml.Node, path string) PipelineSpec {
	o := r.object(n, path)
	spec := PipelineSpec{
		Name:      o.text("name"),
		Filter:    o.text("filter"),
		OutputKey: o.text("output_key"),
		where:     where{file: r.file, path: path, lines: r.lines, places: map[string]position{"": positionOf(n)}},
	}
	spec.readInput(o)
	spec.readTime(o)
	o.list("fields", func(item *yaml.Node, path string) {
		f := r.object(item, path)
		spec.Fields = append(spec.Fields, FieldSpec{f.text("name"), f.choice("type"), f.text("path"), f.boolean("required")})
	})
	o.list("compute", func(item *yaml.Node, path string) {
		c := r.object(item, path)
		spec.Compute = append(spec.Compute, ComputeSpec{c.text("name"), c.text("expression")})
	})
	o.list("aggregates", func(item *yaml.Node, path string) {
		a := r.object(item, path)
		spec.Aggregates = append(spec.Aggregates, AggregateSpec{Name: a.text("name"), Function: a.choice("function"), Field: a.text("field"), Slot: -1})
	})
	spec.Outputs = o.outputs("outputs")
	spec.LateOutput = o.outputs("late_output")
	spec.where.remember(n, "")
	return spec
}

func (spec *PipelineSpec) readInput(o object) {
	if source, ok := o.child("source"); ok {
		spec.Source = SourceSpec{source.text("topic"), qos(source), source.choice("format")}
	}
	if key, ok := o.child("key"); ok {
		field, level := key.value("field"), key.value("topic_level")
		if (field == nil) == (level == nil) {
			o.wrong("key", "", "must have either field or topic_level")
		}
		spec.Key = KeySpec{key.text("field"), int(key.integer("topic_level", 0, topicLevelsMax))}
	}
	if t, ok := o.child("event_time"); ok {
		spec.EventTime = EventTimeSpec{t.text("field"), codec.TimeUnit(t.choice("unit"))}
	}
}

func (spec *PipelineSpec) readTime(o object) {
	dedup, _ := o.child("dedup")
	spec.Dedup = DedupSpec{
		By:         dedup.choice("by"),
		Horizon:    dedup.duration("horizon", 0),
		MaxEntries: int(dedup.integer("max_entries", 1, dedupEntriesMax)),
	}
	dedup.list("fields", func(item *yaml.Node, path string) {
		if item.Kind != yaml.ScalarNode || item.ShortTag() != "!!str" {
			o.fault(positionOf(item), path, "", "must be the name of a field, but is %s", describe(item))
			return
		}
		spec.Dedup.Fields = append(spec.Dedup.Fields, item.Value)
	})
	spec.Dedup.Enabled = spec.Dedup.By != DedupNone
	mark, _ := o.child("watermark")
	spec.Watermark = WatermarkSpec{mark.duration("out_of_orderness", 0), mark.duration("idle_timeout", 0)}
	if window, ok := o.child("window"); ok {
		spec.Window = WindowSpec{
			Type:            window.choice("type"),
			Size:            window.duration("size", time.Millisecond),
			Offset:          window.duration("offset", -DurationMax),
			AllowedLateness: window.duration("allowed_lateness", 0),
		}
	}
}

// outputs reads a list of which every item has one key: the kind of output.
func (o object) outputs(name string) []OutputSpec {
	var list []OutputSpec
	o.list(name, func(item *yaml.Node, path string) {
		out := o.object(item, path)
		if item.Kind == yaml.MappingNode && len(item.Content) != 2 {
			o.fault(positionOf(item), path, "start a new item with - for each output", "must have exactly one of mqtt, stdout and file")
		}
		switch mqtt, file := out.members[OutputMQTT], out.members[OutputFile]; {
		case mqtt != nil:
			m := o.object(mqtt, out.sub(OutputMQTT))
			list = append(list, OutputSpec{Kind: OutputMQTT, Topic: m.text("topic"), QoS: qos(m)})
		case file != nil:
			f := o.object(file, out.sub(OutputFile))
			list = append(list, OutputSpec{Kind: OutputFile, Path: f.text("path")})
		case out.members[OutputStdout] != nil:
			out.child(OutputStdout)
			list = append(list, OutputSpec{Kind: OutputStdout})
		}
	})
	return list
}

func qos(o object) byte {
	if o.choice("qos") == "0" {
		return 0
	}
	return 1
}

// remember notes the places of all values below n.
func (w *where) remember(n *yaml.Node, path string) {
	w.places[path] = positionOf(n)
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			w.remember(n.Content[i+1], join(path, n.Content[i].Value))
		}
	case yaml.SequenceNode:
		for i, item := range n.Content {
			w.remember(item, indexed(path, i))
		}
	}
}
