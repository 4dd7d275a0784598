package query

import (
	"encoding/binary"
	"encoding/json"
	"slices"

	"github.com/cespare/xxhash/v2"

	"edged/watermark"
)

// Fingerprint identifies the meaning of stored state: how events are put in order,
// compared and joined, how event time is cut, what is accumulated from which
// fields, and what identities are remembered. State that was stored under another
// fingerprint cannot be read.
func (p *Plan) Fingerprint() uint64 {
	d := p.digestState()
	return d.sum()
}

// ReplayFingerprint identifies what the pipeline makes of a journal: everything
// in Fingerprint, and what decides which events count, when windows fire, when
// they expire and where limits are. A journal that is replayed under another
// fingerprint can fire panes that were not fired before, or not fire panes that were.
func (p *Plan) ReplayFingerprint() uint64 {
	d, prints := p.digestState(), p.prints()
	d.number(p.Dedup.Horizon, int64(p.Dedup.MaxEntries), int64(p.spec.Order.Max))
	d.spec(p.Watermark, p.spec.Backlog, p.spec.Group)
	d.print(p.fields, prints, p.marks.mark)
	if p.Window != nil {
		d.number(int64(p.Window.WindowsMax), int64(p.Window.ElementsMax))
	}
	if j := p.spec.Join; j != nil {
		d.number(int64(j.EventsMax))
	}
	if len(p.rules) > 0 {
		a := p.spec.Alarms
		a.Outputs, a.Expected, a.Commands.QoS = nil, nil, 0 // what is expected is journaled
		d.spec(p.spec.Detect, a)
	}
	d.expression(p.keep, prints)
	for _, slot := range p.emit {
		d.print(p.fields, prints, slot)
	}
	for i := range p.inputs {
		p.inputs[i].digest(&d, p.env.Tables)
	}
	return d.sum()
}

// digest adds what decides which events of the input count.
func (in *input) digest(d *digest, tables []TableSpec) {
	prints := fieldPrints(in.fields, nil)
	d.text(in.spec.Source.Topic)
	d.spec(in.spec.EventTime, in.spec.Lookup)
	for _, l := range in.lookups {
		for _, t := range tables {
			if t.Name == l.table {
				t.File = "" // what is in it is journaled
				d.spec(t)
			}
		}
	}
	for _, f := range in.spec.Fields {
		i := slices.IndexFunc(in.fields, func(g field) bool { return g.name == f.Name })
		d.number(int64(prints[i]))
		if f.Required {
			d.text("required")
		}
	}
	d.expression(in.keep, prints)
	for _, c := range in.computed {
		d.expression(c.expression, prints)
	}
	if in.upstream != nil {
		d.number(int64(in.upstream.ReplayFingerprint()))
	}
}

func (p *Plan) digestState() digest {
	d, prints := digest{}, p.prints()
	d.text("edged state 2", p.name)
	for i := range p.inputs {
		p.inputs[i].digestKey(&d)
	}
	p.digestWindow(&d, prints)
	if p.spec.Join != nil {
		j := *p.spec.Join
		j.EventsMax = 0
		d.spec(j)
	}
	for i := range p.changing {
		ch := *p.changing[i].spec
		ch.Name, ch.Field = "", ""
		d.spec(ch)
		d.print(p.fields, prints, p.changing[i].slot)
	}
	// These decide what a state consists of.
	d.spec(p.ordered, p.spec.Backlog.Horizon > 0, p.Watermark.Per != "")
	d.print(p.fields, prints, p.marks.per)
	if p.Watermark.Type == watermark.KindQuantile.String() {
		d.number(p.Watermark.DelayMax)
	}
	d.text(p.Dedup.By)
	for _, name := range p.Dedup.Fields {
		i := slices.IndexFunc(p.fields, func(f field) bool { return f.name == name })
		d.print(p.fields, prints, p.fields[i].slot)
	}
	for i := range p.rules {
		p.rules[i].digest(&d, p.fields, prints)
	}
	if p.suppress != nil {
		d.spec(p.suppress)
	}
	// Stored events have the values of all slots.
	if p.ordered || p.spec.Join != nil || p.Window != nil && p.Window.Type == WindowSliding {
		for slot := range p.Slots {
			d.print(p.fields, prints, slot)
		}
	}
	d.number(int64(len(p.Aggregates)))
	for i, a := range p.Aggregates {
		d.text(a.Function)
		if a.Function == mergeFunction {
			d.text(a.Field)
		}
		d.spec(a.Params)
		d.print(p.fields, prints, a.Slot)
		d.print(p.fields, prints, p.wheres[i])
	}
	return d
}

// digest adds what a state of the rule remembers. What only decides about the next
// value may change under it.
func (r *rule) digest(d *digest, fields []field, prints []uint64) {
	d.text(r.spec.Name)
	d.spec(r.spec.Detector)
	a := r.spec.Alarm
	d.spec(a.Least, a.OfLast, a.Latch, a.Acknowledge, a.BudgetMax, a.BudgetPer, a.Freeze > 0)
	d.print(fields, prints, r.slot)
	if r.column >= 0 {
		d.text(r.spec.Of, r.spec.Members)
	}
}

// digestKey adds what makes the events of the input those of a key and a time.
func (in *input) digestKey(d *digest) {
	s := scope{fields: in.fields}
	d.text(in.spec.Name, s.pathOf(in.spec.Key.Field), in.spec.Key.Value)
	d.text(s.pathOf(in.spec.EventTime.Field), string(in.spec.EventTime.Unit))
	d.number(int64(in.spec.Key.TopicLevel))
	if in.upstream != nil {
		d.number(int64(in.upstream.Fingerprint()))
	}
}

// digestWindow adds how time is cut. Under a longer lateness a late event would
// open a window again whose state is gone, and fire it under an identity that has
// been used.
func (p *Plan) digestWindow(d *digest, prints []uint64) {
	if p.Window == nil {
		d.text("")
		return
	}
	w := *p.Window
	w.WindowsMax, w.ElementsMax = 0, 0
	w.When, w.Open, w.Close, w.ChangeOf = "", "", "", "" // their fields say it
	d.spec(w)
	for _, slot := range []int{p.trigger.when, p.trigger.open, p.trigger.close, p.trigger.change} {
		d.print(p.fields, prints, slot)
	}
}

// prints returns for each of the plan's fields what it is. The fields of a join
// are those of its streams first.
func (p *Plan) prints() []uint64 {
	var streams []uint64
	if p.spec.Join != nil {
		for i := range p.inputs {
			streams = append(streams, fieldPrints(p.inputs[i].fields, nil)...)
		}
	}
	return fieldPrints(p.fields, streams)
}

// fieldPrints returns for each field what it is: not its name, but its path in the
// payload, or the column that it is. A computed field is its expression and the
// fields that it names. from has what the first of them are in another scope.
func fieldPrints(fields []field, from []uint64) []uint64 {
	prints := make([]uint64, len(fields))
	for i, f := range fields {
		one := digest{}
		one.text(f.kind.String(), f.path, f.text)
		if f.path == "" && (f.text == "" || f.looked) {
			one.text(f.name)
		}
		for _, j := range f.uses {
			one.text(fields[j].name)
			one.number(int64(prints[j]))
		}
		if i < len(from) {
			one.number(int64(from[i]), int64(i))
		}
		prints[i] = one.sum()
	}
	return prints
}

// digest collects what a fingerprint covers, each part with its length.
type digest struct{ parts []byte }

func (d *digest) text(parts ...string) {
	for _, s := range parts {
		d.parts = binary.AppendUvarint(d.parts, uint64(len(s)))
		d.parts = append(d.parts, s...)
	}
}

func (d *digest) number(parts ...int64) {
	for _, n := range parts {
		d.parts = binary.AppendVarint(d.parts, n)
	}
}

// spec adds plain data, as JSON: its members are written in the order of their
// declaration.
func (d *digest) spec(parts ...any) {
	for _, part := range parts {
		text, err := json.Marshal(part)
		if err != nil {
			panic("a spec is plain data: " + err.Error())
		}
		d.text(string(text))
	}
}

// print adds what the field at a slot is; a slot of -1 is none.
func (d *digest) print(fields []field, prints []uint64, slot int) {
	i := -1
	if slot >= 0 {
		i = slices.IndexFunc(fields, func(f field) bool { return f.slot == slot })
	}
	if i < 0 {
		d.number(-1)
		return
	}
	d.number(1, int64(prints[i]))
}

// expression adds an expression, which may be nil, and the fields that it names.
func (d *digest) expression(e *expression, prints []uint64) {
	if e == nil {
		d.number(-1)
		return
	}
	d.text(e.text)
	for _, i := range e.uses {
		d.number(int64(prints[i]))
	}
}

func (d *digest) sum() uint64 { return xxhash.Sum64(d.parts) }
