package equality

import (
	"errors"
	"fmt"

	"edged"
	"edged/actors"
	"edged/query"
)

// gateway is the name in all rows.
const gateway = "gw"

// pipeline shows a plan to the engine.
type pipeline struct{ *query.Plan }

var _ actors.Pipeline = pipeline{}

// Slots implements actors.Pipeline.
// Origin implements actors.Pipeline.
func (p pipeline) Origin() string { return "" }

func (p pipeline) Slots() int { return p.Room() }

// Decode implements actors.Pipeline.
func (p pipeline) Decode(ev *edged.Event, topic string, payload []byte) (bool, *edged.PoisonError) {
	return judged(p.Plan.Decode(ev, topic, payload))
}

// Derive implements actors.Pipeline.
func (p pipeline) Derive(ev *edged.Event, derived []byte) (bool, *edged.PoisonError) {
	return judged(p.Plan.Derive(ev, derived))
}

func judged(err error) (keep bool, poison *edged.PoisonError) {
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, query.ErrFiltered):
		return false, nil
	case errors.As(err, &poison):
		return false, poison
	}
	return false, &edged.PoisonError{Cause: "decode", Detail: err.Error()}
}

// SetTable implements actors.Pipeline.
func (p pipeline) SetTable(name string, content []byte) { _ = p.Plan.SetTable(name, content) }

// NewTask implements actors.Pipeline.
func (p pipeline) NewTask(key string) actors.Task { return task{p.Plan.NewTask(key)} }

// Route implements actors.Pipeline.
func (p pipeline) Route(r *edged.Result) (stream, topic string) {
	outputs := p.Outputs()
	stream = p.Stream()
	switch r.Kind {
	case edged.LateResult:
		outputs, stream = p.LateOutputs(), p.LateStream()
	case edged.AlarmResult:
		outputs, stream = p.AlarmOutputs(), p.AlarmStream()
	}
	if len(outputs) == 0 {
		return "", ""
	}
	return stream, p.Topic(r, 0)
}

// AppendRow implements actors.Pipeline.
func (p pipeline) AppendRow(dst []byte, r *edged.Result, seq uint64) []byte {
	return p.Plan.AppendRow(dst, r, gateway, seq)
}

// Clone implements actors.Pipeline.
func (p pipeline) Clone() actors.Pipeline { return pipeline{p.Plan.Clone()} }

// task tells the engine the one error that it must recognise.
type task struct{ *query.Task }

// Restore implements actors.Task.
func (t task) Restore(state []byte) error {
	err := t.Task.Restore(state)
	if errors.Is(err, query.ErrIncompatible) {
		return fmt.Errorf("%w: %w", actors.ErrIncompatible, err)
	}
	return err
}
