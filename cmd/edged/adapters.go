package main

import (
	"bytes"
	"errors"
	"fmt"

	"edged"
	"edged/actors"
	"edged/mqtt"
	"edged/persistence"
	"edged/query"
)

// What the runtime asks for, and who provides it.
var (
	_ actors.Store    = (*persistence.Store)(nil)
	_ actors.Source   = (*mqtt.Source)(nil)
	_ actors.Output   = (*mqtt.Publisher)(nil)
	_ actors.Output   = (*persistence.NDJSON)(nil)
	_ actors.Pipeline = (*pipeline)(nil)
	_ actors.Task     = task{}
)

// pipeline shows a plan to the runtime.
type pipeline struct {
	*query.Plan
	identity identity
	upstream string // under its stored name
	gateway  string // goes into every row

	routes map[edged.ResultKind]route
}

// route is where results of a kind go.
type route struct {
	stream string // "": nobody wants them
	output int    // whose topic a row gets
}

func newPipeline(plan *query.Plan, gateway string) *pipeline {
	p := &pipeline{
		Plan: plan, identity: identity{Name: plan.Name()}, upstream: plan.Upstream(), gateway: gateway,
		routes: map[edged.ResultKind]route{},
	}
	if len(plan.Outputs()) > 0 {
		p.direct(plan.Stream(), plan.Outputs(), edged.PaneResult, edged.RetractResult, edged.RowResult)
	}
	if len(plan.LateOutputs()) > 0 {
		p.direct(plan.LateStream(), plan.LateOutputs(), edged.LateResult)
	}
	if len(plan.AlarmOutputs()) > 0 {
		p.direct(plan.AlarmStream(), plan.AlarmOutputs(), edged.AlarmResult)
	}
	return p
}

// direct sends results of some kinds to a stream.
func (p *pipeline) direct(stream string, outputs []query.OutputSpec, kinds ...edged.ResultKind) {
	for _, kind := range kinds {
		p.routes[kind] = route{stream, mqttOutput(outputs)}
	}
}

// mqttOutput returns the index of the one output that has topics, or -1.
func mqttOutput(outputs []query.OutputSpec) int {
	for i, o := range outputs {
		if o.Kind == query.OutputMQTT {
			return i
		}
	}
	return -1
}

// Name implements actors.Pipeline.
func (p *pipeline) Name() string { return p.identity.Name }

// Origin implements actors.Pipeline.
func (p *pipeline) Origin() string { return p.identity.Origin }

// Upstream implements actors.Pipeline.
func (p *pipeline) Upstream() string { return p.upstream }

// Slots implements actors.Pipeline.
func (p *pipeline) Slots() int { return p.Room() }

// Decode implements actors.Pipeline.
func (p *pipeline) Decode(ev *edged.Event, topic string, payload []byte) (keep bool, poison *edged.PoisonError) {
	if bytes.HasPrefix(payload, oversizeMark) {
		return false, oversizePoison(payload)
	}
	return judged(p.Plan.Decode(ev, topic, payload))
}

// Derive implements actors.Pipeline.
func (p *pipeline) Derive(ev *edged.Event, derived []byte) (keep bool, poison *edged.PoisonError) {
	return judged(p.Plan.Derive(ev, derived))
}

// judged tells the errors of decoding apart.
func judged(err error) (keep bool, poison *edged.PoisonError) {
	switch {
	case err == nil:
		return true, nil
	case err == query.ErrFiltered:
		return false, nil
	case errors.As(err, &poison):
		return false, poison
	}
	return false, &edged.PoisonError{Cause: "decode", Detail: err.Error()}
}

// SetTable implements actors.Pipeline. Content was checked when it was loaded; if
// it does not fit any more, the table stays as it was.
func (p *pipeline) SetTable(name string, content []byte) { _ = p.Plan.SetTable(name, content) }

// NewTask implements actors.Pipeline.
func (p *pipeline) NewTask(key string) actors.Task { return task{p.Plan.NewTask(key)} }

// Route implements actors.Pipeline.
func (p *pipeline) Route(r *edged.Result) (stream, topic string) {
	to := p.routes[r.Kind]
	if to.stream == "" {
		return "", ""
	}
	return to.stream, p.Topic(r, to.output)
}

// AppendRow implements actors.Pipeline.
func (p *pipeline) AppendRow(dst []byte, r *edged.Result, seq uint64) []byte {
	return p.Plan.AppendRow(dst, r, p.gateway, seq)
}

// Clone implements actors.Pipeline.
func (p *pipeline) Clone() actors.Pipeline {
	c := newPipeline(p.Plan.Clone(), p.gateway)
	c.identity, c.upstream = p.identity, p.upstream
	return c
}

// task translates the one error that the runtime must recognise.
type task struct{ *query.Task }

// Restore implements actors.Task.
func (t task) Restore(state []byte) error {
	err := t.Task.Restore(state)
	if errors.Is(err, query.ErrIncompatible) {
		return fmt.Errorf("%w: %w", actors.ErrIncompatible, err)
	}
	return err
}
