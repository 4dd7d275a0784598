package query

import (
	"slices"
	"unicode/utf8"

	"edged"
	"edged/mqtt/codec"
	"edged/watermark"
	"edged/windows/agg"
)

// inputs compiles what makes events: where they come from, their key, their time
// and their fields.
func (c *compiler) inputs() {
	n := len(c.spec.Inputs)
	if c.spec.Join == nil && n != 1 {
		c.fault("streams", "write join, or one source", "two streams need a join")
	}
	if c.spec.Join != nil && n != 2 {
		c.fault("streams", "", "a join has two streams, but there are %d", n)
	}
	c.scopes = make([]scope, n)
	c.plan.inputs = make([]input, n)
	c.early = make([][]computing, n)
	for i := range c.spec.Inputs {
		spec := &c.spec.Inputs[i]
		in := &c.plan.inputs[i]
		*in = input{spec: spec, keyField: -1}
		if spec.Source.Pipeline != "" {
			c.upstream(in, &c.scopes[i])
		} else {
			c.topicFilter(in)
		}
		c.keyValue(in)
		c.future(in)
		c.declareFields(in, &c.scopes[i])
		c.lookups(in, &c.scopes[i])
		if spec.Source.Alarms && in.upstream != nil {
			c.derivedKeyField(in, &c.scopes[i])
		}
		c.inputExpressions(i)
	}
}

func (c *compiler) topicFilter(in *input) {
	filter, err := parseFilter(in.spec.Source.Topic)
	if err != nil {
		c.fault(in.spec.at("source.topic"), "", "%q %s", in.spec.Source.Topic, err)
	}
	in.filter = filter
	open := len(filter) > 0 && filter[len(filter)-1] == "#"
	if level := in.spec.Key.TopicLevel; err == nil && !open && level >= len(filter) {
		c.fault(in.spec.at("key.topic_level"), "levels are counted from 0", "there is no level %d in %q", level, in.spec.Source.Topic)
	}
}

// upstream makes the columns of another pipeline's panes the fields of the input.
func (c *compiler) upstream(in *input, s *scope) {
	i := slices.IndexFunc(c.env().Pipelines, func(p *Plan) bool { return p.name == in.spec.Source.Pipeline })
	if i < 0 {
		c.fault(in.spec.at("source.pipeline"), "", "there is no pipeline %q", in.spec.Source.Pipeline)
		return
	}
	up := c.env().Pipelines[i]
	in.upstream = up
	if in.spec.Source.Alarms {
		c.upstreamAlarms(in, s)
		return
	}
	if up.Window == nil {
		c.fault(in.spec.at("source.pipeline"), "", "%q has no windows whose results could be gathered", up.name)
	}
	if up.Window != nil && up.Window.Accumulation == "discarding" {
		c.fault(in.spec.at("source.pipeline"), "let it accumulate, or retract", "%q discards: what it says of a window later would replace what it said before", up.name)
	}
	if up.spec.Backlog.Horizon > 0 {
		c.fault(in.spec.at("source.pipeline"), "gather a second pipeline over the same topic, without backlog",
			"%q has a backlog: what it finds out about the past would replace what it has said before", up.name)
	}
	if len(in.spec.Fields) > 0 || in.spec.EventTime.Field != "" && c.given(in.spec.at("event_time")) {
		c.fault(in.spec.at("source.pipeline"), "leave out fields and event_time", "the fields and times are those of %q's results", up.name)
	}
	s.add(field{name: up.spec.OutputKey, kind: edged.Text})
	for _, name := range []string{"start", "end", "index"} {
		s.add(field{name: name, kind: edged.Number})
	}
	for i, a := range up.Aggregates {
		s.add(field{name: a.Name, kind: up.columnKind(i)})
	}
	c.derivedKeyField(in, s)
	key := in.spec.Key
	if w := up.Window; key.Field != "" && key.Field != up.spec.OutputKey && w != nil && w.Type == WindowSession && !w.firesOnce() && w.Accumulation == "accumulating" {
		c.fault(in.spec.at("key.field"), "set accumulation: retracting in "+up.name, "a session that is taken back does not say what its %s was", key.Field)
	}
	if key.TopicLevel >= 0 {
		c.fault(in.spec.at("key.topic_level"), "use field or value", "results of a pipeline have no topic")
	}
}

// upstreamAlarms makes the members of another pipeline's alarm events the fields of
// the input.
func (c *compiler) upstreamAlarms(in *input, s *scope) {
	up := in.upstream
	if len(up.rules) == 0 {
		c.fault(in.spec.at("source.pipeline"), "", "%q has no rules under detect, and so no alarms", up.name)
	}
	if len(in.spec.Fields) > 0 || in.spec.EventTime.Field != "" && c.given(in.spec.at("event_time")) {
		c.fault(in.spec.at("source.pipeline"), "leave out fields and event_time", "the fields and times are those of %q's alarms", up.name)
	}
	s.add(field{name: up.spec.OutputKey, kind: edged.Text})
	for _, name := range []string{"start", "at"} {
		s.add(field{name: name, kind: edged.Number})
	}
	kinds := alarmKinds()
	for i, name := range alarmMembers() {
		s.add(field{name: name, kind: kinds[i]})
	}
	if in.spec.Key.TopicLevel >= 0 {
		c.fault(in.spec.at("key.topic_level"), "use field or value", "results of a pipeline have no topic")
	}
}

// derivedKeyField finds the column of the upstream that is the key. The fields in
// the scope are those columns by now.
func (c *compiler) derivedKeyField(in *input, s *scope) {
	name := in.spec.Key.Field
	if name == "" {
		return
	}
	path := in.spec.at("key.field")
	if in.keyField = s.index(name); in.keyField >= 0 && in.spec.Source.Alarms {
		s.mark(in.keyField)
	}
	switch {
	case in.keyField < 0:
		c.fault(path, Suggest(name, s.names()), "%s has no column %q", in.upstream.name, name)
	case s.fields[in.keyField].kind != edged.Text && s.fields[in.keyField].kind != edged.Number:
		c.fault(path, "", "a key is a text or a number, which %s is not", name)
	}
}

// columnKind returns the kind of values of a column.
func (p *Plan) columnKind(i int) edged.Kind {
	a := p.Aggregates[i]
	if a.Function == mergeFunction {
		up := p.inputs[0].upstream
		at := slices.IndexFunc(up.Aggregates, func(other AggregateSpec) bool { return other.Name == a.Field })
		return up.columnKind(at)
	}
	for _, d := range agg.Describe() {
		if d.Name == a.Function {
			return d.ResultOf(p.kindOf(a.Slot))
		}
	}
	return edged.Null
}

// future sets the guard against times ahead of our clock.
func (c *compiler) future(in *input) {
	t := in.spec.EventTime
	in.guard = watermark.Guard{AheadMax: t.AheadMax}
	switch t.Ahead {
	case "clamp":
		in.guard.Policy = watermark.Clamp
	case "dead_letter":
		in.guard.Policy = watermark.DeadLetter
	}
	if t.AheadMax == 0 {
		in.guard.Policy = watermark.Accept // no event is ahead; see misplaced
	}
	if err := in.guard.Validate(); err != nil {
		c.fault(in.spec.at("event_time"), "", "%s", err)
	}
}

// keyValue checks a key that is written in the document.
func (c *compiler) keyValue(in *input) {
	if v := in.spec.Key.Value; len(v) > codec.KeyBytesMax || !utf8.ValidString(v) {
		c.fault(in.spec.at("key.value"), "", "is %d bytes long; a key is UTF-8 of at most %d", len(v), codec.KeyBytesMax)
	}
}

func (c *compiler) declareFields(in *input, s *scope) {
	for i, f := range in.spec.Fields {
		path := in.spec.at(indexed("fields", i))
		kind := kindNamed(f.Type)
		if kind == edged.Null {
			c.fault(path+".type", "", "%q is not one of number, text, bool", f.Type)
		}
		source := f.Path
		if source == "" {
			source = f.Name
		}
		c.declare(s, path, field{name: f.Name, kind: kind, path: source})
	}
}

// lookups declares the fields that come from reference tables.
func (c *compiler) lookups(in *input, s *scope) {
	for i, spec := range in.spec.Lookup {
		path := in.spec.at(indexed("lookup", i))
		at := slices.IndexFunc(c.env().Tables, func(t TableSpec) bool { return t.Name == spec.Table })
		if at < 0 {
			hint := Suggest(spec.Table, tableNames(c.env().Tables))
			if hint == "" {
				hint = "declare it under tables"
			}
			c.fault(path+".table", hint, "there is no table %q", spec.Table)
			continue
		}
		table := &c.env().Tables[at]
		l := lookup{table: table.Name, missing: spec.Missing, by: -1}
		if spec.Key != LookupKey {
			if l.by = c.field(s, path+".key", spec.Key); l.by >= 0 && s.fields[l.by].kind != edged.Text {
				c.fault(path+".key", "", "rows are found by a text, but %s is a %s", spec.Key, s.fields[l.by].kind)
			}
		}
		for j, name := range spec.Fields {
			column := slices.IndexFunc(table.Fields, func(f FieldSpec) bool { return f.Name == name })
			if column < 0 {
				c.fault(path+indexed(".fields", j), "", "table %q has no column %q", table.Name, name)
				continue
			}
			looked := field{name: name, kind: kindNamed(table.Fields[column].Type), looked: true, text: "row of " + table.Name + " by " + spec.Key}
			if l.by >= 0 {
				looked.uses = []int{l.by}
			}
			at := c.declare(s, path+indexed(".fields", j), looked)
			l.columns, l.fields = append(l.columns, column), append(l.fields, at)
		}
		if in.upstream != nil && !in.spec.Source.Alarms {
			c.fault(path, "look them up in the pipeline that it gathers", "results of a pipeline are not looked up")
		}
		in.lookups = append(in.lookups, l)
	}
}

func tableNames(tables []TableSpec) []string {
	var names []string
	for _, t := range tables {
		names = append(names, t.Name)
	}
	return names
}

// inputExpressions compiles the filter, which sees the declared fields, and then the
// computed fields, each of which sees those before it.
func (c *compiler) inputExpressions(i int) {
	in, s := &c.plan.inputs[i], &c.scopes[i]
	if in.spec.Filter != "" {
		in.keep = c.keep(s, in.spec.at("filter"), in.spec.Filter)
	}
	var later []string
	for _, change := range c.spec.Changes {
		if change.Name != "" {
			later = append(later, change.Name)
		}
	}
	path := func(j int) string { return in.spec.at(indexed("compute", j)) }
	c.early[i], c.deferred = c.compute(s, in.spec.Compute, path, later)
}

// keep compiles a filter.
func (c *compiler) keep(s *scope, path, text string) *expression {
	e := c.expression(s, path, text)
	if e == nil {
		return nil
	}
	if e.kind != edged.Bool {
		c.fault(path, "compare it with something", "must be a bool, but is a %s", e.kind)
	}
	for _, i := range e.uses {
		s.mark(i)
	}
	return e
}

func (c *compiler) env() *Env { return &c.plan.env }

// slots gives a place in Event.Values to every field that is used.
func (c *compiler) slots() {
	p, next := c.plan, 0
	for i := range c.scopes {
		s := &c.scopes[i]
		if c.spec.Join != nil || len(c.spec.LateOutput) > 0 {
			s.markAll()
		}
		for _, l := range p.inputs[i].lookups {
			if l.by >= 0 {
				s.mark(l.by)
			}
		}
		next = s.place(next)
		if i == 0 {
			p.split = next
		}
	}
	p.joined = next
	if c.spec.Join != nil {
		c.placeJoined(next)
	}
	for _, f := range c.body.fields {
		if f.slot >= 0 {
			for len(p.Slots) <= f.slot {
				p.Slots = append(p.Slots, "")
			}
			p.Slots[f.slot] = f.name
		}
	}
	p.fields = c.body.fields
	for i := range p.inputs {
		c.placeInput(i)
	}
	c.placeLate()
	for _, name := range p.Dedup.Fields {
		in := &p.inputs[0]
		in.identity = append(in.identity, in.fields[c.scopes[0].index(name)].slot)
	}
}

// placeInput tells what is done while decoding where the values are.
func (c *compiler) placeInput(i int) {
	in, s := &c.plan.inputs[i], &c.scopes[i]
	in.fields = s.fields
	s.bind(in.keep)
	made := slices.Clone(c.early[i])
	if c.body == s {
		made = append(made, c.conditions...)
	}
	for _, m := range made {
		if f := s.fields[m.field]; f.slot >= 0 && !f.late {
			s.bind(m.expression)
			in.computed = append(in.computed, computed{m.expression, f.slot})
		}
	}
	for j := range in.lookups {
		l := &in.lookups[j]
		if l.by >= 0 {
			l.by = s.fields[l.by].slot
		}
		for k, f := range l.fields {
			l.fields[k] = s.fields[f].slot
		}
	}
}

// placeLate tells what is done in the task where the values are.
func (c *compiler) placeLate() {
	p, s := c.plan, c.body
	s.bind(p.keep)
	made := slices.Clone(c.late)
	for i := range c.early {
		if c.body == &c.scopes[i] {
			made = append(slices.Clone(c.early[i]), made...)
		}
	}
	for _, m := range append(made, c.conditions...) {
		if f := s.fields[m.field]; f.slot >= 0 && f.late {
			s.bind(m.expression)
			p.late = append(p.late, computed{m.expression, f.slot})
		}
	}
	for i := range p.changing {
		ch := &p.changing[i]
		ch.slot = s.fields[ch.field].slot
		if ch.into >= 0 {
			ch.into = s.fields[ch.into].slot
		}
	}
	slot := func(i int) int {
		if i < 0 {
			return -1
		}
		return s.fields[i].slot
	}
	p.marks = watermarkSlots{slot(c.marks.mark), slot(c.marks.per)}
	p.trigger = windowSlots{slot(c.marks.when), slot(c.marks.open), slot(c.marks.close), slot(c.marks.change)}
	for i, a := range c.aggregated {
		p.Aggregates[i].Slot = slot(a.field)
		p.wheres = append(p.wheres, slot(a.where))
	}
	for _, i := range c.emit {
		p.emit = append(p.emit, slot(i))
	}
	for i := range p.rules {
		p.rules[i].slot = slot(p.rules[i].field)
	}
}

// decoders compiles what is read from payloads. A key or event time that names a
// declared field means that field's path.
func (c *compiler) decoders() error {
	c.plan.evaluator.env = make(map[string]any)
	for i := range c.plan.inputs {
		in, s := &c.plan.inputs[i], &c.scopes[i]
		if in.upstream != nil {
			continue
		}
		spec := codec.Spec{Key: s.pathOf(in.spec.Key.Field), Time: s.pathOf(in.spec.EventTime.Field), Unit: in.spec.EventTime.Unit}
		for j, f := range in.spec.Fields {
			if d := s.fields[j]; d.slot >= 0 || f.Required {
				spec.Fields = append(spec.Fields, codec.Field{Path: d.path, Kind: d.kind, Required: f.Required, Slot: d.slot})
			}
		}
		var err error
		if in.decoder, err = codec.NewDecoder(spec); err != nil {
			return err
		}
	}
	return nil
}

// pathOf returns the path of a declared field, and every other name as it is.
func (s *scope) pathOf(name string) string {
	if i := s.index(name); i >= 0 && s.fields[i].path != "" {
		return s.fields[i].path
	}
	return name
}
