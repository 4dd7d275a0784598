package query

import (
	"fmt"
	"slices"
	"strings"

	"edged"
)

// Limits of a pipeline.
const (
	nameBytesMax    = 64
	FieldsMax       = 256 // declared and computed ones together
	AggregatesMax   = 256
	dedupEntriesMax = 1 << 20
)

// Compile checks a spec and makes it ready to run. The error is an [Errors].
func Compile(spec *PipelineSpec) (*Plan, error) {
	c := &compiler{spec: spec, plan: &Plan{
		Window: spec.Window, Watermark: spec.Watermark, Dedup: spec.Dedup,
		Aggregates: slices.Clone(spec.Aggregates), spec: *spec, name: spec.Name,
	}}
	c.names()
	c.input()
	c.fields()
	c.expressions()
	c.dedup()
	c.aggregates()
	c.outputs("outputs", spec.Outputs)
	c.outputs("late_output", spec.LateOutput)
	c.window()
	if len(c.errors) > 0 {
		return nil, c.errors.Err()
	}
	c.slots()
	if err := c.decoder(); err != nil {
		c.fault("fields", "", "%s", err)
		return nil, c.errors.Err()
	}
	c.plan.prepareRows()
	if err := c.plan.bind(); err != nil {
		c.fault("", "", "%s", err)
		return nil, c.errors.Err()
	}
	return c.plan, nil
}

// compiler turns one spec into one plan and collects all faults.
type compiler struct {
	spec   *PipelineSpec
	plan   *Plan
	errors Errors

	declared []field // the fields, in document order; then the computed ones
	used     []bool  // by the order of declared: gets a slot
}

func (c *compiler) fault(path, hint, format string, args ...any) {
	c.faultAt(c.spec.where.at(path), path, hint, format, args...)
}

func (c *compiler) faultAt(at position, path, hint, format string, args ...any) {
	c.errors = append(c.errors, &Error{
		File: c.spec.where.file, Line: at.line, Column: at.column,
		Path: join(c.spec.where.path, path), Message: fmt.Sprintf(format, args...), Hint: hint,
	})
}

func (c *compiler) names() {
	name := c.spec.Name
	odd := strings.IndexFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
	})
	if name == "" || len(name) > nameBytesMax || odd >= 0 {
		c.fault("name", "", "%q is no name: use 1 to %d lower-case letters, digits, - and _", name, nameBytesMax)
	}
	key := c.spec.OutputKey
	if key == "" || slices.Contains(paneMembers(), key) || slices.Contains(lateMembers(), key) {
		c.fault("output_key", "", "%q is empty, or a member that every result has", key)
	}
}

func (c *compiler) input() {
	filter, err := parseFilter(c.spec.Source.Topic)
	if err != nil {
		c.fault("source.topic", "", "%q %s", c.spec.Source.Topic, err)
	}
	c.plan.filter = filter
	c.plan.keyLevel = -1
	if c.spec.Key.Field != "" {
		return
	}
	c.plan.keyLevel = c.spec.Key.TopicLevel
	open := len(filter) > 0 && filter[len(filter)-1] == "#"
	if n := len(filter); err == nil && !open && c.plan.keyLevel >= n {
		c.fault("key.topic_level", "levels are counted from 0", "there is no level %d in %q", c.plan.keyLevel, c.spec.Source.Topic)
	}
}

func (c *compiler) fields() {
	for i, f := range c.spec.Fields {
		path := indexed("fields", i)
		kind := kindNamed(f.Type)
		if kind == edged.Null {
			c.fault(path+".type", "", "%q is not one of number, text, bool", f.Type)
		}
		source := f.Path
		if source == "" {
			source = f.Name
		}
		c.declare(path, field{name: f.Name, kind: kind, path: source, slot: -1})
	}
}

func kindNamed(name string) edged.Kind {
	for _, k := range []edged.Kind{edged.Number, edged.Text, edged.Bool} {
		if k.String() == name {
			return k
		}
	}
	return edged.Null
}

// declare adds a field whose name is at path.
func (c *compiler) declare(path string, f field) {
	switch {
	case !isName(f.name):
		c.fault(path+".name", "", "%q is no name: use a letter or _, then letters, digits and _", f.name)
	case slices.Contains(reservedNames(), f.name):
		c.fault(path+".name", fmt.Sprintf("give it another name and set path: %s", f.name), "%q has a meaning in expressions", f.name)
	case c.index(f.name) >= 0:
		c.fault(path+".name", "", "there is a field %q already", f.name)
	case len(c.declared) == FieldsMax:
		c.fault(path, "", "there are more than %d fields", FieldsMax)
	}
	c.declared = append(c.declared, f)
	c.used = append(c.used, false)
}

// index returns the place of a field in declared, and -1 when there is none.
func (c *compiler) index(name string) int {
	return slices.IndexFunc(c.declared, func(f field) bool { return f.name == name })
}

func (c *compiler) fieldNames() []string {
	var names []string
	for _, f := range c.declared {
		names = append(names, f.name)
	}
	return names
}

// expressions compiles the filter, which sees the declared fields, and then the
// computed fields, each of which sees those before it.
func (c *compiler) expressions() {
	if c.spec.Filter != "" {
		c.plan.keep = c.expression("filter", c.spec.Filter)
		if e := c.plan.keep; e != nil && e.kind != edged.Bool {
			c.fault("filter", "compare it with something", "must be a bool, but is a %s", e.kind)
		}
		c.use(c.plan.keep)
	}
	for i, f := range c.spec.Compute {
		path := indexed("compute", i)
		e := c.expression(path+".expression", f.Expression)
		made := field{name: f.Name, kind: edged.Number, text: f.Expression, slot: -1}
		if e != nil {
			made.kind, made.uses = e.kind, e.uses
		}
		c.declare(path, made)
		c.plan.computed = append(c.plan.computed, computed{expression: e, field: len(c.declared) - 1})
	}
}

func (c *compiler) expression(path, text string) *expression {
	if strings.TrimSpace(text) == "" {
		c.fault(path, "", "is empty")
		return nil
	}
	e, bad := compileExpression(text, c.declared)
	if bad == nil {
		return e
	}
	if bad.hint == "" && strings.HasPrefix(bad.message, "there is no field") {
		bad.hint = "declare it under fields"
	}
	c.faultAt(c.spec.where.within(path, text, bad.offset), path, bad.hint, "%s", bad.message)
	return nil
}

// use marks the fields of an expression as used.
func (c *compiler) use(e *expression) {
	if e != nil {
		for _, i := range e.uses {
			c.mark(i)
		}
	}
}

// mark marks a field as used, and what it is computed from.
func (c *compiler) mark(i int) {
	if !c.used[i] {
		c.used[i] = true
		for _, j := range c.declared[i].uses {
			c.mark(j)
		}
	}
}
