package query

import (
	"cmp"
	"strings"

	"go.yaml.in/yaml/v3"

	"edged/mqtt/codec"
)

// PipelineSpec is a pipeline as its document says it. [Compile] checks what
// cannot be seen from one key alone, and makes a [Plan] of it.
type PipelineSpec struct {
	Name       string
	Inputs     []InputSpec // one, or the two streams of a join
	Join       *JoinSpec
	Compute    []ComputeSpec // over the matches of a join
	Filter     string        // of the matches of a join
	Dedup      DedupSpec
	Order      OrderSpec
	Changes    []ChangeSpec
	Watermark  WatermarkSpec
	Backlog    BacklogSpec
	Window     *WindowSpec     // nil: events are results
	Aggregates []AggregateSpec // Slot is not set yet
	Group      GroupSpec
	Emit       []string // without a window: fields that are columns; none: all
	OutputKey  string
	Outputs    []OutputSpec
	LateOutput []OutputSpec
	Detect     []DetectSpec
	Alarms     AlarmsSpec
	Suppress   *SuppressSpec

	where where
}

// Upstream returns the name of the pipeline whose results this one takes, and ""
// when it takes messages.
func (spec *PipelineSpec) Upstream() string {
	if len(spec.Inputs) == 1 {
		return spec.Inputs[0].Source.Pipeline
	}
	return ""
}

// takesAlarms reports whether the pipeline takes the alarms of another one.
func (spec *PipelineSpec) takesAlarms() bool {
	return spec.Upstream() != "" && spec.Inputs[0].Source.Alarms
}

// From says in one word where events come from, for people: a topic filter, both
// of a join, or the pipeline that is gathered.
func (spec *PipelineSpec) From() string {
	var names []string
	for _, in := range spec.Inputs {
		names = append(names, cmp.Or(in.Source.Topic, in.Source.Pipeline))
	}
	return strings.Join(names, " ")
}

// Sources returns the MQTT sources of the pipeline: those of events, and of commands.
func (spec *PipelineSpec) Sources() []SourceSpec {
	var list []SourceSpec
	for _, in := range spec.Inputs {
		if in.Source.Pipeline == "" {
			list = append(list, in.Source)
		}
	}
	if spec.Alarms.Commands.Topic != "" {
		list = append(list, spec.Alarms.Commands)
	}
	return list
}

// InputSpec is one input of a pipeline: how messages become events.
type InputSpec struct {
	Name      string // of the stream; "" in a pipeline with one input
	Source    SourceSpec
	Key       KeySpec
	EventTime EventTimeSpec
	Fields    []FieldSpec
	Lookup    []LookupSpec
	Filter    string // an expression; "": keep everything
	Compute   []ComputeSpec

	path string // in the pipeline: "" or streams[0]
}

// at returns the path of a member of the input below the pipeline.
func (in *InputSpec) at(name string) string { return join(in.path, name) }

// SourceSpec says where events come from.
type SourceSpec struct {
	Topic    string // an MQTT topic filter
	QoS      byte   // 0 or 1
	Format   string // json
	Pipeline string // instead of a topic: the pipeline whose results are the events
	Alarms   bool   // of that pipeline its alarms, not its panes
}

// KeySpec says what the key is: a member of the payload, a level of the topic, or
// one key for everything.
type KeySpec struct {
	Field      string
	TopicLevel int    // from 0; -1: none
	Value      string // "": none
}

// EventTimeSpec says which member of the payload is the event time.
type EventTimeSpec struct {
	Field    string
	Unit     codec.TimeUnit
	AheadMax int64  // ms that it may be ahead of our clock; 0: any
	Ahead    string // accept, clamp or dead_letter
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

// LookupSpec declares fields that come from a reference table.
type LookupSpec struct {
	Table   string
	Key     string // a text field, or LookupKey
	Fields  []string
	Missing string // null, drop or dead_letter
}

// LookupKey stands for the event's key in a lookup.
const LookupKey = "key"

// TableSpec declares a reference table.
type TableSpec struct {
	Name   string
	File   string
	Format string // csv or ndjson
	Key    string
	Fields []FieldSpec
}

// JoinSpec says how the events of two streams are matched. Lengths are milliseconds.
type JoinSpec struct {
	Type      string // interval, window or as_of
	Kind      string // inner, left, right or full
	Lower     int64
	Upper     int64
	Tolerance int64
	EventsMax int
}

// ChangeSpec says how an event is compared with those before it.
type ChangeSpec struct {
	Name        string
	Function    string
	Field       string
	Steps       int
	By          float64
	Percent     bool
	MaxInterval int64 // ms
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
		Emit:      o.texts("emit"),
		OutputKey: o.text("output_key"),
		where:     where{file: r.file, path: path, lines: r.lines, places: map[string]position{"": positionOf(n)}},
	}
	if o.value("streams") == nil {
		spec.Inputs = []InputSpec{r.input(o, "")}
	} else {
		spec.readStreams(o)
	}
	spec.readSteps(o)
	spec.readTime(o)
	spec.readWindow(o)
	spec.Outputs = o.outputs("outputs")
	spec.LateOutput = o.outputs("late_output")
	spec.readDetect(o)
	spec.where.remember(n, "")
	return spec
}

// readStreams reads the two inputs of a join.
func (spec *PipelineSpec) readStreams(o object) {
	for _, name := range []string{"source", "key", "event_time", "fields", "lookup"} {
		if o.value(name) != nil {
			o.wrong(name, "write it under each of the streams", "has no meaning beside streams")
		}
	}
	o.list("streams", func(item *yaml.Node, path string) {
		s := o.object(item, path)
		in := o.input(s, indexed("streams", len(spec.Inputs)))
		in.Name = s.text("name")
		spec.Inputs = append(spec.Inputs, in)
	})
	spec.Filter = o.text("filter")
	spec.Compute = o.computes()
	if join, ok := o.child("join"); ok {
		spec.Join = &JoinSpec{
			Type: join.choice("type"), Kind: join.choice("kind"),
			Lower: join.duration("lower", -DurationMax), Upper: join.duration("upper", -DurationMax),
			Tolerance: join.duration("tolerance", 0), EventsMax: int(join.integer("events_max", 1, eventsMax)),
		}
	}
}

// input reads one input; path is its place in the pipeline.
func (r *reader) input(o object, path string) InputSpec {
	in := InputSpec{path: path, Filter: o.text("filter"), Compute: o.computes()}
	source, given := o.child("source")
	if given || r.Lenient {
		in.Source = SourceSpec{Topic: source.text("topic"), QoS: qos(source), Format: source.choice("format"), Pipeline: source.text("pipeline"), Alarms: source.choice("results") == "alarms"}
	}
	if given && (in.Source.Topic == "") == (in.Source.Pipeline == "") {
		o.wrong("source", "", "must have either topic or pipeline")
	}
	key, ok := o.child("key")
	in.Key = KeySpec{TopicLevel: -1}
	if ok {
		in.Key.Field, in.Key.Value = key.text("field"), key.text("value")
		if key.value("topic_level") != nil {
			in.Key.TopicLevel = int(key.integer("topic_level", 0, topicLevelsMax))
		}
		if given := b2i(in.Key.Field != "") + b2i(in.Key.Value != "") + b2i(in.Key.TopicLevel >= 0); given != 1 {
			o.wrong("key", "", "must have exactly one of field, topic_level and value")
		}
	}
	t, ok := o.child("event_time")
	if ok || r.Lenient {
		in.EventTime = EventTimeSpec{Unit: codec.TimeUnit(t.choice("unit")), AheadMax: t.duration("ahead_max", 0), Ahead: t.choice("ahead")}
		in.EventTime.Field = t.text("field")
	}
	o.list("fields", func(item *yaml.Node, path string) {
		f := r.object(item, path)
		in.Fields = append(in.Fields, FieldSpec{f.text("name"), f.choice("type"), f.text("path"), f.boolean("required")})
	})
	o.list("lookup", func(item *yaml.Node, path string) {
		l := r.object(item, path)
		in.Lookup = append(in.Lookup, LookupSpec{l.text("table"), l.text("key"), l.texts("fields"), l.choice("missing")})
	})
	in.complete(o, r.Lenient)
	return in
}

// complete reports what an input must have and has not. For the driver, which
// brings events itself, it fills in what only matters for messages.
func (in *InputSpec) complete(o object, lenient bool) {
	if !lenient {
		for _, name := range []string{"source", "key", "event_time"} {
			if o.value(name) == nil && (name != "event_time" || in.Source.Pipeline == "") {
				o.fault(positionOf(o.node), o.sub(name), "", "is missing")
			}
		}
		return
	}
	if in.Source.Topic == "" && in.Source.Pipeline == "" {
		in.Source.Topic = "drive"
	}
	if in.Key.Field == "" && in.Key.Value == "" && in.Key.TopicLevel < 0 {
		in.Key.Field = "key"
	}
	if in.EventTime.Field == "" {
		in.EventTime.Field = "ts"
	}
	if len(in.Fields) == 0 && in.Source.Pipeline == "" {
		in.Fields = []FieldSpec{{Name: "value", Type: "number"}}
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (o object) computes() []ComputeSpec {
	var list []ComputeSpec
	o.list("compute", func(item *yaml.Node, path string) {
		c := o.object(item, path)
		list = append(list, ComputeSpec{c.text("name"), c.text("expression")})
	})
	return list
}

// table reads one item of the list of tables.
func (r *reader) table(n *yaml.Node, path string) TableSpec {
	o := r.object(n, path)
	t := TableSpec{Name: o.text("name"), File: o.text("file"), Format: o.choice("format"), Key: o.text("key")}
	o.list("fields", func(item *yaml.Node, path string) {
		f := r.object(item, path)
		one := FieldSpec{Name: f.text("name"), Type: f.choice("type")}
		for _, other := range t.Fields {
			if other.Name == one.Name && one.Name != "" {
				f.wrong("name", "", "there is a column %q already", one.Name)
			}
		}
		t.Fields = append(t.Fields, one)
	})
	return t
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
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
		return // as if it were not there
	}
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
