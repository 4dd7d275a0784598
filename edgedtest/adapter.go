package edgedtest

import (
	"errors"
	"hash/fnv"
	"maps"
	"slices"
	"strings"

	"edged"
	"edged/mqtt/codec"
	"edged/query"
)

// plan shows a query.Plan to the driver.
//
// Events go through the real decoder: the adapter writes them as payloads of a
// form of its own, and changes the places at which the spec looks for members. So
// types, required fields, lookups, filters and computed fields are judged as in
// the daemon.
type plan struct {
	*query.Plan
	spec   *query.PipelineSpec
	keys   []string // by stream: the field that the key came from
	tables map[string][]byte
}

var _ unit = (*plan)(nil)

// newUnits compiles the pipelines of a document for the driver.
func newUnits(doc *query.Document) ([]unit, error) {
	keys := make([][]string, len(doc.Pipelines))
	for i := range doc.Pipelines {
		spec := &doc.Pipelines[i]
		for j := range spec.Inputs {
			keys[i] = append(keys[i], relocate(&spec.Inputs[j]))
		}
		if len(spec.LateOutput) == 0 {
			// Somebody wants late events with all their fields: the caller.
			spec.LateOutput = []query.OutputSpec{{Kind: query.OutputStdout}}
		}
	}
	plans, err := doc.Compile(true)
	if err != nil {
		return nil, err
	}
	var units []unit
	for i, compiled := range plans {
		units = append(units, &plan{Plan: compiled, spec: &doc.Pipelines[i], keys: keys[i], tables: map[string][]byte{}})
	}
	return units, nil
}

// Where the payloads that the driver writes have their members.
const (
	topicPrefix = "drive/"
	keyPath     = "drive.key"
	timePath    = "drive.ts"
	fieldPrefix = "field."
)

// relocate makes an input read what the driver writes. It returns the field that
// the key came from.
func relocate(in *query.InputSpec) (key string) {
	if in.Source.Pipeline != "" {
		return ""
	}
	in.Source.Topic = topicPrefix + in.Name
	key = in.Key.Field
	if in.Key.Value == "" {
		in.Key = query.KeySpec{Field: keyPath, TopicLevel: -1}
	}
	in.EventTime.Field, in.EventTime.Unit = timePath, codec.Milliseconds
	for i := range in.Fields {
		in.Fields[i].Path = fieldPrefix + in.Fields[i].Name
	}
	return key
}

// Manual implements unit.
func (p *plan) Manual() bool { return p.spec.Watermark.Type == "manual" }

// Sources implements unit.
func (p *plan) Sources() bool {
	return p.spec.Watermark.Per != "" || len(p.spec.Inputs) > 1 || p.Upstream() != ""
}

// Stream implements unit.
func (p *plan) Stream(name string) int {
	for i, known := range p.Streams() {
		if known == name {
			return i
		}
	}
	return -1
}

// Fields implements unit.
func (p *plan) Fields(stream int) []string {
	return p.FieldNames(uint8(stream))
}

// Fill implements unit.
func (p *plan) Fill(ev *edged.Event, in *Event, stream int) error {
	key := p.key(in, stream)
	err := p.Decode(ev, topicPrefix+p.spec.Inputs[stream].Name, p.payload(in, key, stream))
	if p.spec.Inputs[stream].Key.Value == "" {
		ev.Key = key // also when it is empty, which the decoder refuses
	}
	switch {
	case in.ID != "":
		h := fnv.New64a()
		_, _ = h.Write([]byte(in.ID)) // never fails
		ev.Identity = max(h.Sum64(), 1)
	case p.Dedup.By != query.DedupFields:
		ev.Identity = 0
	}
	if !inRange(in.Time) {
		ev.EventTime = in.Time
	}
	var poison *edged.PoisonError
	if errors.As(err, &poison) {
		poison.Detail = strings.TrimPrefix(poison.Detail, fieldPrefix)
	}
	return err
}

// key returns the key of an event: what it says, or what the field says that is
// the key in the daemon.
func (p *plan) key(in *Event, stream int) string {
	if in.Key == "" {
		if v, ok := in.field(p.keys[stream]); ok && v.Kind == edged.Text {
			return v.Text()
		}
	}
	return in.Key
}

// payload writes an event as the relocated input reads it.
func (p *plan) payload(in *Event, key string, stream int) []byte {
	if key == "" {
		key = "-"
	}
	dst := appendText(nil, `{"drive":{"key":`, key)
	at := in.Time
	if !inRange(at) {
		at = 0
	}
	dst = appendNumber(dst, `,"ts":`, int64(at))
	dst = append(dst, `},"field":{`...)
	for i, name := range p.Fields(stream) {
		if i > 0 {
			dst = append(dst, ',')
		}
		value, given := in.field(name)
		switch {
		case given:
		case name == p.spec.Watermark.Per && in.Source != "":
			value = edged.TextValue(in.Source)
		case name == p.keys[stream] && key != "-":
			value = edged.TextValue(key)
		}
		dst = append(edged.AppendJSONString(dst, name), ':')
		dst = value.AppendJSON(dst)
	}
	return append(dst, "}}"...)
}

// inRange reports whether payloads can say a time: they know the years 0 to 9999,
// and the driver all of int64.
func inRange(t edged.Timestamp) bool { return t >= -62167219200000 && t <= 253402300799999 }

// SetTable implements unit.
func (p *plan) SetTable(name string, content []byte) error {
	p.tables[name] = content
	return p.Plan.SetTable(name, content)
}

// Clone implements unit.
func (p *plan) Clone() (unit, error) {
	fresh := &plan{Plan: p.Plan.Clone(), spec: p.spec, keys: p.keys, tables: map[string][]byte{}}
	for _, name := range slices.Sorted(maps.Keys(p.tables)) {
		if err := fresh.SetTable(name, p.tables[name]); err != nil {
			return nil, err
		}
	}
	return fresh, nil
}

// NewTask implements unit.
func (p *plan) NewTask(key string) task { return p.Plan.NewTask(key) }
