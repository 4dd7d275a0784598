package query

import (
	"slices"
	"strings"

	"edged"
)

func (c *compiler) dedup() {
	d := &c.plan.Dedup
	if !slices.Contains([]string{DedupContent, DedupFields, DedupNone}, d.By) {
		c.fault("dedup.by", "", "%q is not one of content, fields, none", d.By)
	}
	if (d.By == DedupFields) != (len(d.Fields) > 0) {
		c.fault("dedup", "", "fields must be given exactly when by is fields")
	}
	for i, name := range d.Fields {
		if j := c.index(name); j >= 0 && c.declared[j].path != "" {
			c.mark(j)
			continue
		}
		c.fault(indexed("dedup.fields", i), Suggest(name, c.fieldNames()), "there is no declared field %q", name)
	}
	d.Enabled = d.By != DedupNone
	if d.Enabled && (d.Horizon < 0 || d.MaxEntries < 1 || d.MaxEntries > dedupEntriesMax) {
		c.fault("dedup", "", "horizon %d ms, max_entries %d: out of range", d.Horizon, d.MaxEntries)
	}
}

func (c *compiler) window() {
	w := &c.plan.Window
	if w.Type != WindowTumbling {
		c.fault("window.type", "", "%q is not tumbling, the only type so far", w.Type)
	}
	limit := DurationMax.Milliseconds()
	if w.Size < 1 || w.Size > limit || w.AllowedLateness < 0 || w.AllowedLateness > limit {
		c.fault("window", "", "size %d ms, allowed lateness %d ms: out of range", w.Size, w.AllowedLateness)
		return
	}
	w.Offset = (w.Offset%w.Size + w.Size) % w.Size
	m := c.plan.Watermark
	if m.OutOfOrderness < 0 || m.OutOfOrderness > limit || m.IdleTimeout < 0 || m.IdleTimeout > limit {
		c.fault("watermark", "", "out of orderness %d ms, idle timeout %d ms: out of range", m.OutOfOrderness, m.IdleTimeout)
	}
}

func (c *compiler) aggregates() {
	if n := len(c.plan.Aggregates); n == 0 || n > AggregatesMax {
		c.fault("aggregates", "", "there must be 1 to %d, but there are %d", AggregatesMax, n)
	}
	taken := append(paneMembers(), c.spec.OutputKey)
	for i, a := range c.plan.Aggregates {
		path := indexed("aggregates", i)
		if a.Name == "" || slices.Contains(taken, a.Name) {
			c.fault(path+".name", "", "%q is empty, given before, or a member that every result has", a.Name)
		}
		taken = append(taken, a.Name)
		c.aggregate(path, a)
	}
}

func (c *compiler) aggregate(path string, a AggregateSpec) {
	functions := []string{"count", "sum", "avg", "min", "max", "first", "last"}
	if !slices.Contains(functions, a.Function) {
		c.fault(path+".function", Suggest(a.Function, functions), "%q is not one of %s", a.Function, strings.Join(functions, ", "))
		return
	}
	if a.Field == "" {
		if a.Function != "count" {
			c.fault(path+".field", "", "is missing: only count goes without a field")
		}
		return
	}
	i := c.index(a.Field)
	if i < 0 {
		hint := Suggest(a.Field, c.fieldNames())
		if hint == "" {
			hint = "declare it under fields"
		}
		c.fault(path+".field", hint, "there is no field %q", a.Field)
		return
	}
	c.mark(i)
	if k := c.declared[i].kind; k != edged.Number && slices.Contains([]string{"sum", "avg", "min", "max"}, a.Function) {
		c.fault(path+".field", "", "%s needs a number, but %s is a %s", a.Function, a.Field, k)
	}
}

func (c *compiler) outputs(path string, list []OutputSpec) {
	if len(list) == 0 && path == "outputs" {
		c.fault(path, "", "there must be at least one")
	}
	var names []string
	for i, o := range list {
		at := indexed(path, i)
		if slices.Contains(names, o.Name()) {
			hint := ""
			if o.Kind == OutputMQTT {
				hint = "a row has one topic; use a second pipeline"
			}
			c.fault(at, hint, "there is a second output %s", o.Name())
		}
		names = append(names, o.Name())
		switch {
		case o.Kind == OutputFile && o.Path == "":
			c.fault(at+".file.path", "", "is empty")
		case o.Kind == OutputMQTT:
			c.topic(at+".mqtt.topic", path, o.Topic)
		}
	}
}

func (c *compiler) topic(at, list, text string) {
	t, err := parseTemplate(text)
	if err != nil {
		c.fault(at, "", "%q %s", text, err)
	}
	if list == "outputs" {
		c.plan.topic = t
	} else {
		c.plan.lateTopic = t
	}
}
