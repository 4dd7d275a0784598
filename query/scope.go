package query

import (
	"fmt"
	"slices"
	"strings"

	"edged"
)

// field is a name that expressions and aggregates can use.
type field struct {
	name   string
	kind   edged.Kind
	path   string // in the payload; "" when it does not come from there
	text   string // the expression, or the change, that makes it
	looked bool   // it comes from a reference table
	late   bool   // it is made in the task, not when the event is decoded
	uses   []int  // computed: the fields that the expression names
	slot   int    // in Event.Values, -1 when it is not kept
}

// scope is the fields in sight, in the order in which they get their values.
type scope struct {
	fields []field
	used   []bool // gets a slot
}

// index returns the place of a field, and -1 when there is none.
func (s *scope) index(name string) int {
	if name == "" {
		return -1
	}
	return slices.IndexFunc(s.fields, func(f field) bool { return f.name == name })
}

func (s *scope) names() []string {
	var names []string
	for _, f := range s.fields {
		if f.name != "" {
			names = append(names, f.name)
		}
	}
	return names
}

// add appends a field and returns its place.
func (s *scope) add(f field) int {
	f.slot = -1
	s.fields = append(s.fields, f)
	s.used = append(s.used, false)
	return len(s.fields) - 1
}

// mark marks a field as used, and what it is computed from.
func (s *scope) mark(i int) {
	if !s.used[i] {
		s.used[i] = true
		for _, j := range s.fields[i].uses {
			s.mark(j)
		}
	}
}

// markAll marks every field as used.
func (s *scope) markAll() {
	for i := range s.fields {
		s.mark(i)
	}
}

// late reports whether any of the fields is made in the task.
func (s *scope) late(uses []int) bool {
	return slices.ContainsFunc(uses, func(i int) bool { return s.fields[i].late })
}

// isLate reports whether an expression over a scope is evaluated in the task:
// because of the fields that it names, or because the scope is that of matches.
func (c *compiler) isLate(s *scope, e *expression) bool {
	return s.late(e.uses) || c.spec.Join != nil && s == c.body
}

// place gives the fields in use their slots, from base on, and returns the next
// free one.
func (s *scope) place(base int) int {
	for i := range s.fields {
		if s.used[i] {
			s.fields[i].slot = base
			base++
		}
	}
	return base
}

// bind tells an expression where the values of its fields are.
func (s *scope) bind(e *expression) {
	if e == nil {
		return
	}
	e.slots = e.slots[:0]
	for _, i := range e.uses {
		e.slots = append(e.slots, s.fields[i].slot)
	}
}

// declare adds a field whose name is at path and returns its place.
func (c *compiler) declare(s *scope, path string, f field) int {
	switch {
	case !isName(f.name):
		c.fault(path+".name", "", "%q is no name: use a letter or _, then letters, digits and _", f.name)
	case slices.Contains(reservedNames(), f.name):
		c.fault(path+".name", fmt.Sprintf("give it another name and set path: %s", f.name), "%q has a meaning in expressions", f.name)
	case s.index(f.name) >= 0:
		c.fault(path+".name", "", "there is a field %q already", f.name)
	case len(s.fields) == FieldsMax:
		c.fault(path, "", "there are more than %d fields", FieldsMax)
	}
	return s.add(f)
}

// field finds a field by its name and marks it as used; it reports what is wrong
// and returns -1 otherwise.
func (c *compiler) field(s *scope, path, name string) int {
	i := s.index(name)
	if i < 0 {
		hint := Suggest(name, s.names())
		if hint == "" || c.isMade(name) {
			hint = c.unknownHint(name)
		}
		c.fault(path, hint, "there is no field %q", name)
		return -1
	}
	s.mark(i)
	return i
}

// isMade reports whether something in the pipeline makes a field of that name.
func (c *compiler) isMade(name string) bool {
	return c.unknownHint(name) != hintDeclare
}

const hintDeclare = "declare it under fields"

// unknownHint says what to do about a name that is no field where it stands.
func (c *compiler) unknownHint(name string) string {
	if name == "" {
		return hintDeclare
	}
	if slices.ContainsFunc(c.spec.Changes, func(ch ChangeSpec) bool { return ch.Name == name }) {
		return "changes come behind this, and see only what the filter keeps; where and when can use it"
	}
	lists := [][]ComputeSpec{c.spec.Compute}
	for i := range c.spec.Inputs {
		lists = append(lists, c.spec.Inputs[i].Compute)
	}
	for _, list := range lists {
		if slices.ContainsFunc(list, func(one ComputeSpec) bool { return one.Name == name }) {
			return "it is not computed before this"
		}
	}
	return hintDeclare
}

// compute compiles the computed fields of a list in order and adds them to the
// scope. What names one of the later fields is returned, for when those are known.
func (c *compiler) compute(s *scope, list []ComputeSpec, path func(int) string, later []string) (made []computing, deferred []int) {
	for i, spec := range list {
		e, bad := c.parse(s, path(i)+".expression", spec.Expression, later)
		if bad != "" {
			deferred = append(deferred, i)
			later = append(later, spec.Name)
			continue
		}
		made = append(made, c.computed(s, path(i), spec, e))
	}
	return made, deferred
}

// computing is a computed field before the slots are given out.
type computing struct {
	expression *expression
	field      int
}

// computed adds the field that e makes.
func (c *compiler) computed(s *scope, path string, spec ComputeSpec, e *expression) computing {
	f := field{name: spec.Name, kind: edged.Number, text: spec.Expression}
	if e != nil {
		f.kind, f.uses, f.late = e.kind, e.uses, c.isLate(s, e)
	}
	return computing{e, c.declare(s, path, f)}
}

// expression compiles a text over the fields of a scope.
func (c *compiler) expression(s *scope, path, text string) *expression {
	e, _ := c.parse(s, path, text, nil)
	return e
}

// parse compiles a text. If it names one of the later fields, which are not in
// the scope yet, that is returned and no fault is reported.
func (c *compiler) parse(s *scope, path, text string, later []string) (_ *expression, unknown string) {
	if strings.TrimSpace(text) == "" {
		c.fault(path, "", "is empty")
		return nil, ""
	}
	e, bad := compileExpression(text, s.fields)
	if bad == nil {
		return e, ""
	}
	if bad.unknown != "" && slices.Contains(later, bad.unknown) {
		return nil, bad.unknown
	}
	if bad.unknown != "" && (bad.hint == "" || c.isMade(bad.unknown)) {
		bad.hint = c.unknownHint(bad.unknown)
	}
	c.faultAt(c.spec.where.within(path, text, bad.offset), path, bad.hint, "%s", bad.message)
	return nil, ""
}

// condition compiles an expression that must be a bool and returns the field that
// holds it: the field itself if the text is no more than its name, otherwise one
// without a name. It returns -1 after a fault.
func (c *compiler) condition(s *scope, path, text string) int {
	e := c.expression(s, path, text)
	if e == nil {
		return -1
	}
	if e.kind != edged.Bool {
		c.fault(path, "compare it with something", "must be a bool, but is a %s", e.kind)
		return -1
	}
	if i := s.index(strings.TrimSpace(text)); i >= 0 {
		s.mark(i)
		return i
	}
	i := s.add(field{kind: edged.Bool, text: text, uses: e.uses, late: c.isLate(s, e)})
	s.mark(i)
	c.conditions = append(c.conditions, computing{e, i})
	return i
}
