package query

import (
	"slices"
	"strings"

	"edged"
)

// joined makes the scope of what windows gather: that of the one input, or the
// fields of both streams under the streams' names.
func (c *compiler) joined() {
	if c.spec.Join == nil {
		c.body = &scope{}
		if len(c.scopes) > 0 {
			c.body = &c.scopes[0]
		}
		return
	}
	c.body = &scope{}
	j := c.spec.Join
	var names []string
	for i := range c.spec.Inputs {
		in := &c.spec.Inputs[i]
		if !isName(in.Name) || slices.Contains(names, in.Name) {
			c.fault(in.at("name"), "", "%q is no name, or given twice: use a letter or _, then letters, digits and _", in.Name)
		}
		names = append(names, in.Name)
		if in.Source.Pipeline != "" {
			c.fault(in.at("source.pipeline"), "", "a join takes messages, not the results of a pipeline")
		}
		for _, f := range c.scopes[i].fields {
			name := in.Name + "_" + f.name
			if c.body.index(name) >= 0 {
				c.fault(in.at("name"), "rename a stream or a field", "the fields of both streams would be called %s", name)
			}
			c.body.add(field{name: name, kind: f.kind, path: f.path, late: true})
		}
	}
	if len(names) == 2 && c.plan.inputs[0].filter != nil && c.plan.inputs[0].filter.overlaps(c.plan.inputs[1].filter) {
		c.fault("streams[1].source.topic", "give each stream topics of its own", "some topics belong to both streams")
	}
	if j.Type == "interval" && j.Lower > j.Upper {
		c.fault("join.lower", "", "%s is above upper, which is %s: nothing would match", millis(j.Lower), millis(j.Upper))
	}
	if j.Type == "interval" && !c.given("join.lower") && !c.given("join.upper") {
		c.fault("join", "", "lower or upper is missing: only events of the same millisecond would match")
	}
	if j.Type == "as_of" && j.Kind != "inner" && j.Kind != "left" {
		c.fault("join.kind", "", "as_of knows inner and left only")
	}
	if j.Type == "window" && (c.spec.Window == nil || len(c.spec.Aggregates) > 0) {
		c.fault("join", "give it a tumbling or hopping window, and no aggregates", "a window join needs a window to join in")
	}
	c.joinMembers(j)
	if len(c.spec.Changes) > 0 {
		c.fault("changes", "compare events in a pipeline of their own", "are not offered together with a join")
	}
	path := func(i int) string { return indexed("compute", i) }
	c.late, _ = c.compute(c.body, c.spec.Compute, path, nil)
	if c.spec.Filter != "" {
		c.plan.keep = c.keep(c.body, "filter", c.spec.Filter)
	}
}

// placeJoined gives the joined fields the places of the fields that they are, and
// those computed from them places behind.
func (c *compiler) placeJoined(next int) {
	i := 0
	for _, s := range c.scopes {
		for _, f := range s.fields {
			c.body.fields[i].slot = f.slot
			i++
		}
	}
	for ; i < len(c.body.fields); i++ {
		if c.body.used[i] {
			c.body.fields[i].slot = next
			next++
		}
	}
}

// changes compiles the change detectors, and then the computed fields that use
// what they give.
func (c *compiler) changes() {
	for i := range c.spec.Changes {
		spec := &c.spec.Changes[i]
		path := indexed("changes", i)
		at := c.field(c.body, path+".field", spec.Field)
		if at < 0 {
			continue
		}
		kind := c.body.fields[at].kind
		out := edged.Null
		switch spec.Function {
		case "lag":
			out = kind
		case "had_changed":
			out = edged.Bool
		case "delta_previous":
			out = edged.Number
		}
		if spec.Function != "lag" && spec.Function != "had_changed" && kind != edged.Number {
			c.fault(path+".field", "", "%s needs a number, but %s is a %s", spec.Function, spec.Field, kind)
		}
		if c.body.fields[at].late && out == edged.Null {
			// Held-back events are compared by what was read, not by what was derived.
			c.fault(path+".field", "", "%s needs a field of the event, but %s comes of another change", spec.Function, spec.Field)
		}
		ch := changing{spec: spec, field: at, into: -1}
		switch {
		case out != edged.Null && spec.Name == "":
			c.fault(path+".name", "", "is missing: %s gives a field", spec.Function)
		case out != edged.Null:
			ch.into = c.declare(c.body, path, field{name: spec.Name, kind: out, text: spec.Function, late: true, uses: []int{at}})
			c.body.mark(ch.into)
		case spec.Name != "":
			c.fault(path+".name", "leave it out", "%s keeps events back and gives no field", spec.Function)
		}
		c.plan.changing = append(c.plan.changing, ch)
	}
	if c.spec.Join != nil || len(c.spec.Inputs) == 0 {
		return
	}
	in := &c.spec.Inputs[0]
	for _, i := range c.deferred {
		path := in.at(indexed("compute", i))
		e := c.expression(c.body, path+".expression", in.Compute[i].Expression)
		c.late = append(c.late, c.computed(c.body, path, in.Compute[i], e))
	}
}

func (c *compiler) dedup() {
	d := &c.plan.Dedup
	if !slices.Contains([]string{DedupContent, DedupFields, DedupNone}, d.By) {
		c.fault("dedup.by", "", "%q is not one of content, fields, none", d.By)
	}
	if (d.By == DedupFields) != (len(d.Fields) > 0) {
		c.fault("dedup", "", "fields must be given exactly when by is fields")
	}
	if d.By == DedupFields && c.spec.Join != nil {
		c.fault("dedup.by", "use content", "fields are not offered together with a join")
		return
	}
	for i, name := range d.Fields {
		s := c.body
		if j := s.index(name); j >= 0 && s.fields[j].path != "" {
			s.mark(j)
			continue
		}
		c.fault(indexed("dedup.fields", i), Suggest(name, c.body.names()), "there is no declared field %q", name)
	}
	// A contribution replaces the one before, so that it need not be remembered.
	d.Enabled = d.By != DedupNone && c.spec.Upstream() == ""
	if d.Enabled && (d.Horizon < 0 || d.MaxEntries < 1 || d.MaxEntries > dedupEntriesMax) {
		c.fault("dedup", "", "horizon %d ms, max_entries %d: out of range", d.Horizon, d.MaxEntries)
	}
}

func (c *compiler) watermark() {
	c.marks.mark, c.marks.per = -1, -1
	if c.plan.Watermark.Type == "manual" {
		c.plan.Watermark.IdleTimeout = 0
	}
	if idle := &c.plan.Watermark.IdleTimeout; *idle > 0 && len(c.plan.inputs) == 1 && c.plan.inputs[0].upstream != nil {
		// A member speaks when its window has ended, and at last when it has been silent.
		if up := c.plan.inputs[0].upstream; up.Window != nil {
			*idle += up.Watermark.IdleTimeout + up.length()
		}
	}
	m := c.plan.Watermark
	if (m.Type == "punctuated") != (m.Field != "") {
		c.fault("watermark.field", "", "must be given exactly when the type is punctuated")
	}
	if m.Field != "" {
		c.marks.mark = c.marking("watermark.field", m.Field, edged.Number)
	}
	if m.Per != "" {
		c.marks.per = c.marking("watermark.per", m.Per, edged.Text)
		if c.spec.Join != nil || c.spec.Upstream() != "" {
			c.fault("watermark.per", "leave it out", "joins have a watermark per stream, groups one per member")
		}
	}
}

// marking finds a field that watermarks are made of.
func (c *compiler) marking(path, name string, kind edged.Kind) int {
	i := c.field(c.body, path, name)
	switch {
	case i < 0:
	case c.spec.Join != nil && kind == edged.Number:
		c.fault(path, "", "is not offered together with a join")
	case c.body.fields[i].late && c.spec.Join == nil:
		c.fault(path, "", "%s is made of events in order, and order is made of watermarks", name)
	case c.body.fields[i].kind != kind:
		c.fault(path, "", "must be a %s, but %s is a %s", kind, name, c.body.fields[i].kind)
	}
	return i
}

// order decides in which order events reach the windows.
func (c *compiler) order() {
	why := ""
	w := c.plan.Window
	switch {
	case len(c.spec.Changes) > 0:
		why = "changes"
	case c.spec.Join != nil && c.spec.Join.Type == "as_of":
		why = "an as_of join"
	case w != nil && w.Type == WindowState:
		why = "a state window"
	case w != nil && w.Type == WindowSession && w.MaxDuration > 0:
		why = "a session with max_duration"
	case c.watchesEvents() && c.spec.Join == nil && c.spec.Order.By != "arrival":
		why = "detect, which watches a field of the events"
	}
	if why != "" && c.spec.Order.By == "arrival" {
		c.fault("order", "leave it out", "must be event_time, because of %s", why)
	}
	asOf := why == "an as_of join" // whose rows are in order whatever comes behind
	c.plan.ordered = why != "" && !asOf || c.spec.Order.By == "event_time"
	if why == "" {
		why = "order: event_time"
	}
	if (c.plan.ordered || asOf) && w != nil && w.AllowedLateness > 0 {
		c.fault("window.allowed_lateness", "raise watermark.out_of_orderness instead", "must be 0s: events are put in order, because of %s", why)
	}
	if c.plan.ordered && c.spec.Join != nil && len(c.spec.Changes) == 0 {
		c.fault("join.type", "use as_of, or a pipeline of its own", "its matches are in no order, which is needed because of %s", why)
	}
	if !c.plan.ordered && c.given("order_max") {
		c.fault("order_max", "", "has no meaning here: events do not wait to be put in order")
	}
	if c.spec.Upstream() != "" && (c.plan.ordered || c.spec.Backlog.Horizon > 0) {
		c.fault("source.pipeline", "take them in the pipeline that is gathered", "neither order nor changes nor backlog are offered for the results of a pipeline")
	}
	if c.spec.Backlog.Horizon > 0 && !c.plan.ordered && w != nil && (w.Type == WindowCount || w.Type == WindowGlobal) {
		c.fault("backlog", "", "has no meaning for %s windows: no event is too late for them", w.Type)
	}
	if c.spec.Backlog.Horizon > 0 && (w == nil || c.spec.Join != nil) {
		c.fault("backlog", "", "needs a window, and no join")
	}
	if c.spec.Backlog.Horizon > 0 && c.plan.Watermark.IdleTimeout == 0 {
		c.fault("backlog", "watermark.idle_timeout must not be 0s, nor the watermark manual", "an upload ends by silence")
	}
	if h := c.spec.Backlog.Horizon; h > 0 && w != nil && h <= w.AllowedLateness {
		c.fault("backlog.horizon", "it must be longer than allowed_lateness", "no event is late and so young")
	}
}

func (c *compiler) outputs(path string, list []OutputSpec) {
	if len(list) == 0 && path == "outputs" && !c.env().Inner && len(c.spec.Detect) == 0 && !c.spec.takesAlarms() {
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
		case o.Kind == OutputFile && strings.TrimSpace(o.Path) == "":
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
	if c.plan.topics == nil {
		c.plan.topics = map[string]topicTemplate{}
	}
	c.plan.topics[list] = t
}
