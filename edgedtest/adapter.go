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

// Fill implements unit. What is beyond the times that payloads can say is moved
// there together with its arrival, so that the decoder judges the one by the other,
// and moved back.
func (p *plan) Fill(ev *edged.Event, in *Event, stream int) error {
	key, at := p.key(in, stream), min(max(in.Time, timeMin), timeMax)
	if ev.EventTime = at; in.Arrival != 0 {
		ev.Arrival = in.Arrival.Add(at.Sub(in.Time))
	}
	err := p.Decode(ev, topicPrefix+p.spec.Inputs[stream].Name, p.payload(in, at, key, stream))
	ev.Arrival, ev.EventTime = in.Arrival, ev.EventTime.Add(in.Time.Sub(at))
	if p.spec.Inputs[stream].Key.Value == "" {
		ev.Key = key // also when it is empty, which the decoder refuses
	}
	switch {
	case in.ID != "":
		h := fnv.New64a()
		_, _ = h.Write([]byte(in.ID)) // never fails
		ev.Identity = max(h.Sum64()>>1, 1)
		if ev.EventTime != in.Time {
			ev.Identity = query.ClampedIdentity(ev.Identity, in.Time)
		}
	case p.Dedup.By != query.DedupFields:
		ev.Identity = 0
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

// payload writes an event at a time as the relocated input reads it.
func (p *plan) payload(in *Event, at edged.Timestamp, key string, stream int) []byte {
	if key == "" {
		key = "-"
	}
	dst := appendText(nil, `{"drive":{"key":`, key)
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

// The times that payloads can say are those of the years 0 to 9999. The driver
// knows all of int64.
const (
	timeMin edged.Timestamp = -62167219200000
	timeMax edged.Timestamp = 253402300799999
)

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
