package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"edged"
	"edged/actors"
	"edged/query"
)

// roles are the configurations that run. What listens gets the same input as what speaks,
// with states of its own, and its results go nowhere.
//
// When the two change roles, a pipeline that can read the states of its version before goes
// on from these, because they know what has been said: so each window is said once. What
// it has gathered while it listened is forgotten. One that is new, or begins anew, brings
// its states along.
type roles struct {
	speaks  *setup
	listens *setup // nil: none

	// after says that what listens has spoken before, and may do so again: its outputs are
	// kept, pipelines that only it has speak on, and those that gave their states away are
	// at rest.
	after bool
}

// identity is what the states of a pipeline are stored under. It is the pipeline's name
// until a version of it was tried, and then the name of that version.
type identity struct {
	Name   string `json:"name"`
	Origin string `json:"origin,omitempty"` // see actors.Pipeline
}

// versionMark stands in the names of versions between the pipeline's and a number.
const versionMark = "~"

// pipelineOf returns the pipeline that stored names are of.
func pipelineOf(stored string) string {
	name, _, _ := strings.Cut(stored, versionMark)
	return name
}

// identity returns what the states of a pipeline are stored under.
func (s *setup) identity(name string) identity {
	if id, ok := s.names[name]; ok {
		return id
	}
	return identity{Name: name}
}

// pipeline shows a plan of this setup to the runtime.
func (s *setup) pipeline(plan *query.Plan) *pipeline {
	p := newPipeline(plan, s.settings.GatewayID)
	p.identity = s.identity(plan.Name())
	if up := plan.Upstream(); up != "" {
		p.upstream = s.identity(up).Name
	}
	return p
}

// shadows reports whether what is stored under a name belongs to what listens alone.
func (r *roles) shadows(stored string) bool {
	has := func(s *setup) bool {
		return s != nil && slices.ContainsFunc(s.plans, func(p *query.Plan) bool { return s.identity(p.Name()).Name == stored })
	}
	return has(r.listens) && !has(r.speaks)
}

// all returns the setups that run, the one that speaks first.
func (r *roles) all() []*setup {
	if r.listens == nil {
		return []*setup{r.speaks}
	}
	return []*setup{r.speaks, r.listens}
}

// specs returns what all of them subscribe to.
func (r *roles) specs() (specs []query.PipelineSpec) {
	for _, s := range r.all() {
		specs = append(specs, s.specs...)
	}
	return specs
}

// streams returns the streams of what speaks, with the outputs that they have there, and
// also those that they have in what listens if that has spoken before.
func (r *roles) streams() []stream {
	all := r.speaks.streams()
	if !r.after {
		return all
	}
	for _, old := range r.listens.streams() {
		at := slices.IndexFunc(all, func(st stream) bool { return st.name == old.name })
		if at < 0 {
			all = append(all, old)
			continue
		}
		st := &all[at]
		st.outputs = slices.Clone(st.outputs)
		for _, o := range old.outputs {
			if !slices.ContainsFunc(st.outputs, func(other query.OutputSpec) bool { return other.Name() == o.Name() }) {
				st.outputs = append(st.outputs, o)
			}
		}
	}
	return all
}

// pipelines returns what runs: of the running pipelines those that are in these roles, and
// new ones for the rest. Plans of the setups that run already are replaced by these.
func (r *roles) pipelines(running []actors.Pipeline) (speak []actors.Pipeline, listen []actors.Shadow) {
	taken := map[string]bool{}
	pick := func(s *setup, i int) actors.Pipeline {
		next := s.pipeline(s.plans[i])
		taken[next.Name()] = true
		for _, p := range running {
			old := p.(*pipeline)
			if old.identity.Name == next.identity.Name && old.upstream == next.upstream && old.Plan.Same(next.Plan) {
				s.plans[i] = old.Plan
				return old
			}
		}
		return next
	}
	for i := range r.speaks.plans {
		speak = append(speak, pick(r.speaks, i))
	}
	if r.listens == nil {
		return speak, nil
	}
	for i, plan := range r.listens.plans {
		switch other := r.speaks.plan(plan.Name()); {
		case taken[r.listens.identity(plan.Name()).Name]: // in both, or at rest
		case other == nil && r.after:
			speak = append(speak, pick(r.listens, i))
		case other == nil:
			listen = append(listen, actors.Shadow{Pipeline: pick(r.listens, i)})
		default:
			listen = append(listen, actors.Shadow{Pipeline: pick(r.listens, i), Of: r.speaks.identity(plan.Name()).Name, Waits: r.after})
		}
	}
	return speak, listen
}

// speaking returns under which names what listens is stored once it speaks: see roles.
func (r *roles) speaking() map[string]identity {
	names := map[string]identity{}
	for _, p := range r.listens.plans {
		id := r.listens.identity(p.Name())
		if r.speaks.plan(p.Name()) != nil && id.Origin == r.speaks.identity(p.Name()).Name {
			id = r.speaks.identity(p.Name())
		}
		names[p.Name()] = id
	}
	return names
}

// beside returns all pipelines that run.
func beside(speak []actors.Pipeline, listen []actors.Shadow) []actors.Pipeline {
	all := slices.Clone(speak)
	for _, s := range listen {
		all = append(all, s.Pipeline)
	}
	return all
}

// swap gives pipelines and outputs their roles, and returns for how long the input stood
// still. Keep is settleContract's.
func (d *daemon) swap(ctx context.Context, r roles, keep bool) (pause time.Duration, err error) {
	outputs, err := d.outputs.next(&r, d.log)
	if err != nil {
		return 0, err
	}
	refused := func(err error) (time.Duration, error) {
		if closing := outputs.closeBut(d.outputs); closing != nil {
			d.log.Warn("after a refused configuration", "err", closing)
		}
		return 0, err
	}
	tables, contents, err := openTables(&r, d.log)
	if err != nil {
		return refused(err)
	}
	speak, listen := r.pipelines(d.pipes)
	pause, err = d.engine.Swap(ctx, actors.Swap{
		Pipelines: speak, Shadows: listen, Links: outputs.links, Tables: contents,
		Settle: func(edged.Seq) (map[string]edged.Seq, error) {
			since, err := settleContract(r.speaks.settings.DataDir, &r, d.store.Position(), false, keep)
			if err == nil {
				err = d.settleStreams(&r, nil)
			}
			return since, err
		},
	})
	if err != nil {
		return refused(err)
	}
	d.pipes = beside(speak, listen)
	d.watchTables(ctx, tables)
	gone := d.outputs
	d.outputs = outputs
	d.active.Store(&shown{r.speaks, r, outputs.links})
	for _, fault := range []error{d.inlet.Resubscribe(subscriptions(r.specs())), gone.closeBut(outputs)} {
		if fault != nil {
			d.log.Warn("after a swap of pipelines", "err", fault)
		}
	}
	return pause.Round(time.Microsecond), nil
}

// tidyBatch is how many keys' states are moved or deleted in one transaction: it bounds for
// how long epochs wait.
const tidyBatch = 256

// tidy gives the states of pipelines that have ended to those that continue them, and
// deletes those that nobody continues. The caller holds taking.
func (d *daemon) tidy(ctx context.Context) error {
	dir := d.active.Load().settings.DataDir
	c, err := readContract(dir)
	if err != nil || c == nil {
		return err
	}
	before := c.text()
	running := func(name string) bool {
		return slices.ContainsFunc(d.pipes, func(p actors.Pipeline) bool { return p.Name() == name })
	}
	for name, id := range c.Names {
		if id.Origin == "" || running(id.Origin) {
			continue
		}
		if err := inBatches(ctx, func() (bool, error) { return d.store.Adopt(id.Name, id.Origin, tidyBatch) }); err != nil {
			return err
		}
		c.Names[name] = identity{Name: id.Name}
	}
	stored, err := d.store.SnapshotPipelines()
	if err != nil {
		return err
	}
	for _, name := range stored {
		if c.used(name) || running(name) {
			continue
		}
		if err := inBatches(ctx, func() (bool, error) { return d.store.Forget(name, tidyBatch) }); err != nil {
			return err
		}
	}
	for name := range c.Pipelines {
		if !c.used(name) && !running(name) {
			delete(c.Pipelines, name)
			delete(c.Since, name)
		}
	}
	return c.replace(dir, before)
}

// inBatches calls fn until nothing is left.
func inBatches(ctx context.Context, fn func() (left bool, err error)) error {
	for left := true; left; {
		var err error
		if left, err = fn(); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return nil
}
