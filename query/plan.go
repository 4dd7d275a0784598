package query

import (
	"edged"
	"edged/alarms"
	"edged/mqtt/codec"
	"edged/watermark"
)

// Plan is a pipeline ready to run: a [PipelineSpec] that was checked, with its
// topic filters, decoders and expressions compiled.
//
// The exported fields are for reading only. A Plan is not safe for concurrent
// use of [Plan.Decode], [Plan.Derive] and [Plan.SetTable]; every other method may
// be called from anywhere.
type Plan struct {
	Window     *WindowSpec // nil: events are results
	Watermark  WatermarkSpec
	Dedup      DedupSpec
	Aggregates []AggregateSpec

	// Slots names the values of an event, in the order of edged.Event.Values.
	Slots []string

	// Configuration.
	name     string
	spec     *PipelineSpec
	env      Env
	fields   []field // of the rows that windows gather
	inputs   []input
	ordered  bool
	commands topicFilter              // nil: none
	topics   map[string]topicTemplate // by the list of outputs
	expected map[string][]string      // keys, by the table that says so, as loaded last

	// What is done in the task, after changes and joins.
	keep     *expression // of a join's matches; nil: all
	late     []computed
	changing []changing
	split    int   // join: the number of values of the left input
	joined   int   // join: that of both inputs
	emit     []int // slots of the columns of rows
	wheres   []int // slots of the filters of aggregates, -1: none
	marks    watermarkSlots
	trigger  windowSlots
	rules    []rule
	suppress *alarms.GroupSpec // nil: the pipeline takes no alarms

	// Constant parts of rows.
	keyMember    string
	columns      []string
	lateColumns  []string
	alarmColumns []string

	// Working memory of Decode.
	evaluator evaluator
	scratch   []byte

	// fold is what the tasks of this plan share.
	fold *fold
}

// input is one input of a plan.
type input struct {
	spec     *InputSpec
	filter   topicFilter
	upstream *Plan // instead of a filter: the pipeline whose panes are the events
	guard    watermark.Guard
	fields   []field
	decoder  *codec.Decoder
	keep     *expression // nil: every event
	computed []computed
	lookups  []lookup
	identity []int // slots of the dedup's fields
	keyField int   // of fields, when the key is a column of the upstream; else -1
}

// computed is a field that an expression makes.
type computed struct {
	expression *expression
	slot       int // into Event.Values
}

// changing is a change detector with its slots resolved.
type changing struct {
	spec  *ChangeSpec
	field int // into Plan.fields
	slot  int
	into  int // -1: it gives no field
}

// watermarkSlots are the slots that watermarks are read from; -1: none.
type watermarkSlots struct{ mark, per int }

// windowSlots are the slots of the conditions of windows; -1: none.
type windowSlots struct{ when, open, close, change int }

// Name returns the pipeline's name.
func (p *Plan) Name() string { return p.name }

// Upstream returns the name of the pipeline whose results this one gathers, and
// "" when it takes messages.
func (p *Plan) Upstream() string { return p.spec.Upstream() }

// Clone returns an independent copy, for another goroutine. Its reference tables
// are empty.
func (p *Plan) Clone() *Plan {
	plan, err := Compile(p.spec, p.env)
	if err != nil {
		panic("pipeline " + p.name + " compiled once and not again: " + err.Error())
	}
	return plan
}

// Room returns how many values an event of the plan needs.
func (p *Plan) Room() int { return len(p.Slots) }

// Streams names the inputs of a join, and is empty in every other pipeline.
func (p *Plan) Streams() []string {
	var names []string
	for i := range p.inputs {
		if p.spec.Join != nil {
			names = append(names, p.inputs[i].spec.Name)
		}
	}
	return names
}

// Slot returns where the value of a field of an input belongs in Event.Values and
// what kind it is, and -1 when no such field is read from events.
func (p *Plan) Slot(stream uint8, name string) (slot int, kind edged.Kind) {
	if int(stream) >= len(p.inputs) {
		return -1, edged.Null
	}
	for _, f := range p.inputs[stream].fields {
		if f.name == name && f.text == "" && !f.looked {
			return f.slot, f.kind
		}
	}
	return -1, edged.Null
}

// FieldNames lists the fields that are read from events of an input.
func (p *Plan) FieldNames(stream uint8) []string {
	var names []string
	if int(stream) < len(p.inputs) {
		for _, f := range p.inputs[stream].fields {
			if f.text == "" && !f.looked {
				names = append(names, f.name)
			}
		}
	}
	return names
}
