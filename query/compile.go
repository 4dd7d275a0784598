package query

import (
	"errors"
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
	eventsMax       = 1 << 20 // bounds the limits of events kept per key
)

// Env is what a pipeline can refer to beyond its own spec.
type Env struct {
	Tables    []TableSpec
	Pipelines []*Plan // that it may gather results of

	// Inner says that the results are wanted by somebody else than outputs: another
	// pipeline, or the caller. The pipeline may then have none.
	Inner bool

	// Panes and Alarms say which results another pipeline takes.
	Panes, Alarms bool
}

// Compile compiles the pipelines of a document, those that others gather first.
// The plans are in the order of the document. The error is an [Errors].
func (d *Document) Compile(inner bool) ([]*Plan, error) {
	plans := make([]*Plan, len(d.Pipelines))
	env := Env{Tables: d.Tables}
	var faults Errors
	for range d.Pipelines {
		for i := range d.Pipelines {
			spec := &d.Pipelines[i]
			up := spec.Upstream()
			if plans[i] != nil || up != "" && !slices.ContainsFunc(env.Pipelines, func(p *Plan) bool { return p.name == up }) {
				continue
			}
			if failed(env.Pipelines, up) {
				// What it gathers is not known: nothing can be said of it.
				plans[i] = &Plan{name: spec.Name, spec: spec}
				env.Pipelines = append(env.Pipelines, plans[i])
				continue
			}
			takes := func(alarms bool) bool {
				return slices.ContainsFunc(d.Pipelines, func(s PipelineSpec) bool { return s.Upstream() == spec.Name && s.takesAlarms() == alarms })
			}
			env.Panes, env.Alarms = takes(false), takes(true)
			env.Inner = inner || slices.ContainsFunc(d.Pipelines, func(s PipelineSpec) bool { return s.Upstream() == spec.Name })
			plan, err := Compile(spec, env)
			if err != nil {
				list, _ := errors.AsType[Errors](err)
				faults = append(faults, list...)
				plan = &Plan{name: spec.Name, spec: spec}
			}
			plans[i] = plan
			env.Pipelines = append(env.Pipelines, plan)
		}
	}
	for i, plan := range plans {
		if spec := &d.Pipelines[i]; plan == nil {
			c := compiler{spec: spec}
			c.unknownUpstream(d)
			faults = append(faults, c.errors...)
		}
	}
	return plans, faults.Err()
}

// failed reports whether the pipeline of that name could not be compiled.
func failed(plans []*Plan, name string) bool {
	return slices.ContainsFunc(plans, func(p *Plan) bool { return p.name == name && p.fold == nil })
}

// unknownUpstream says why a pipeline's source never became known.
func (c *compiler) unknownUpstream(d *Document) {
	up, names := c.spec.Upstream(), []string{}
	for i := range d.Pipelines {
		names = append(names, d.Pipelines[i].Name)
	}
	if slices.Contains(names, up) {
		c.fault("source.pipeline", "", "%q gathers, directly or not, the results of this pipeline", up)
		return
	}
	c.fault("source.pipeline", Suggest(up, names), "there is no pipeline %q", up)
}

// Compile checks a spec and makes it ready to run. The error is an [Errors].
func Compile(spec *PipelineSpec, env Env) (*Plan, error) {
	c := &compiler{spec: spec, plan: &Plan{
		Watermark: spec.Watermark, Dedup: spec.Dedup, Aggregates: slices.Clone(spec.Aggregates), spec: spec, env: env, name: spec.Name,
		marks: watermarkSlots{-1, -1}, trigger: windowSlots{-1, -1, -1, -1},
	}}
	if spec.Window != nil {
		window := *spec.Window
		c.plan.Window = &window
	}
	c.names()
	c.misplaced()
	c.inputs()
	c.joined()
	c.changes()
	c.dedup()
	c.watermark()
	c.suppress()
	c.window()
	c.aggregates()
	c.detect()
	c.order()
	c.emits()
	c.outputs("outputs", spec.Outputs)
	c.outputs("late_output", spec.LateOutput)
	if len(c.errors) > 0 {
		return nil, c.errors.Err()
	}
	c.slots()
	if err := c.decoders(); err != nil {
		c.fault("fields", "", "%s", err)
		return nil, c.errors.Err()
	}
	c.plan.prepareRows()
	c.plan.bind(c)
	if len(c.errors) > 0 {
		return nil, c.errors.Err()
	}
	return c.plan, nil
}

// compiler turns one spec into one plan and collects all faults.
type compiler struct {
	spec   *PipelineSpec
	plan   *Plan
	errors Errors

	scopes     []scope // of the inputs
	body       *scope  // of what windows gather: that of the one input, or the joined one
	early      [][]computing
	late       []computing
	conditions []computing
	deferred   []int // of the one input's computed fields: they name what changes give
	aggregated []aggregated
	marks      struct{ mark, per, when, open, close, change int } // fields of the body, -1: none
	emit       []int
}

// aggregated is an aggregate with its fields, before the slots are given out.
type aggregated struct{ field, where int }

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
	if !isIdentifier(c.spec.Name) {
		c.fault("name", "", "%q is no name: use 1 to %d lower-case letters, digits, - and _", c.spec.Name, nameBytesMax)
	}
	key := c.spec.OutputKey
	if key == "" || slices.Contains(paneMembers(), key) || slices.Contains(lateMembers(), key) {
		c.fault("output_key", "", "%q is empty, or a member that every result has", key)
	}
}

// isIdentifier reports whether a text can name a pipeline or a table.
func isIdentifier(name string) bool {
	odd := strings.IndexFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
	})
	return name != "" && len(name) <= nameBytesMax && odd < 0
}

func kindNamed(name string) edged.Kind {
	for _, k := range []edged.Kind{edged.Number, edged.Text, edged.Bool} {
		if k.String() == name {
			return k
		}
	}
	return edged.Null
}
