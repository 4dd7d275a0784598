package query

import "edged/mqtt/codec"

// slots gives a place in Event.Values to every field that is used; with a late
// output that is all of them.
func (c *compiler) slots() {
	p := c.plan
	for i := range c.declared {
		if f := &c.declared[i]; c.used[i] || len(c.spec.LateOutput) > 0 {
			f.slot = len(p.Slots)
			p.Slots = append(p.Slots, f.name)
		}
	}
	for i := range p.Aggregates {
		if a := &p.Aggregates[i]; a.Field != "" {
			a.Slot = c.declared[c.index(a.Field)].slot
		} else {
			a.Slot = -1
		}
	}
	for _, name := range p.Dedup.Fields {
		p.identity = append(p.identity, c.declared[c.index(name)].slot)
	}
	c.place(p.keep)
	kept := p.computed[:0]
	for _, m := range p.computed {
		if m.slot = c.declared[m.field].slot; m.slot >= 0 {
			c.place(m.expression)
			kept = append(kept, m)
		}
	}
	p.computed = kept
	p.fields = c.declared
}

func (c *compiler) place(e *expression) {
	if e != nil {
		for _, i := range e.uses {
			e.slots = append(e.slots, c.declared[i].slot)
		}
	}
}

// decoder compiles what is read from payloads. A key or event time that names a
// declared field means that field's path.
func (c *compiler) decoder() error {
	spec := codec.Spec{Key: c.path(c.spec.Key.Field), Time: c.path(c.spec.EventTime.Field), Unit: c.spec.EventTime.Unit}
	for i, f := range c.spec.Fields {
		if d := c.declared[i]; d.slot >= 0 || f.Required {
			spec.Fields = append(spec.Fields, codec.Field{Path: d.path, Kind: d.kind, Required: f.Required, Slot: d.slot})
		}
	}
	var err error
	c.plan.decoder, err = codec.NewDecoder(spec)
	c.plan.evaluator.env = make(map[string]any)
	return err
}

func (c *compiler) path(name string) string {
	if i := c.index(name); i >= 0 && c.declared[i].path != "" {
		return c.declared[i].path
	}
	return name
}
