package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"edged"
	"edged/actors"
	"edged/fleet/agent"
	"edged/fleet/protocol"
	"edged/fleet/trust"
)

// configApplyArgs are the arguments of config.apply and shadow.start.
type configApplyArgs struct {
	Document json.RawMessage `json:"document"` // a desired document, signed, as it would be published
}

// Check returns what is wrong with them.
func (a configApplyArgs) Check() error {
	if len(a.Document) == 0 {
		return errors.New("document: the signed desired document is missing")
	}
	return nil
}

// applyConfig takes a desired document that comes in a command as if it had come on its own
// topic. What becomes of it is in what the gateway reports.
func (m *managed) applyConfig(_ context.Context, _ *agent.Call, args configApplyArgs) (any, error) {
	return nil, m.takeDocument(args.Document)
}

// startShadow does the same with a document that waits for an operator's word.
func (m *managed) startShadow(_ context.Context, _ *agent.Call, args configApplyArgs) (any, error) {
	e, err := trust.Open(args.Document, protocol.CommandBytesMax)
	if err != nil {
		return nil, agent.Failed(protocol.CodeArgs, fmt.Errorf("document: %w", err))
	}
	d, err := protocol.Decode[protocol.Desired](e.Payload)
	if err != nil {
		return nil, agent.Failed(protocol.CodeArgs, fmt.Errorf("document: %w", err))
	}
	if d.Apply.Confirm != protocol.ConfirmOperator {
		return nil, agent.Failed(protocol.CodeArgs, fmt.Errorf("document: apply.confirm is %q; a shadow waits for shadow.promote, so it must be %q", d.Apply.Confirm, protocol.ConfirmOperator))
	}
	return nil, m.takeDocument(args.Document)
}

func (m *managed) takeDocument(document []byte) error {
	code, err := m.agent.TakeDesired(document)
	if err == nil {
		return nil
	}
	return agent.Failed(code, err)
}

// rollbackConfig ends a trial, or goes back to the version before.
func (m *managed) rollbackConfig(ctx context.Context, _ *agent.Call, _ agent.None) (any, error) {
	if err := m.applier.Rollback(ctx); err != nil {
		return nil, agent.Failed(protocol.CodePrecond, err)
	}
	return nil, nil
}

// dropShadow ends a trial.
func (m *managed) dropShadow(ctx context.Context, c *agent.Call, none agent.None) (any, error) {
	if m.daemon.active.Load().roles.listens == nil {
		return nil, agent.Failed(protocol.CodePrecond, errors.New("nothing is on trial"))
	}
	return m.rollbackConfig(ctx, c, none)
}

// shadowResult is the result of shadow.status.
type shadowResult struct {
	Speaks    uint64           `json:"speaks"`            // the version whose results are sent
	Listens   uint64           `json:"listens,omitempty"` // 0: none
	After     bool             `json:"after,omitempty"`   // it has spoken before, and waits until the other one is committed
	Pipelines []shadowPipeline `json:"pipelines"`
}

// shadowPipeline is how a pipeline of what listens compares, since the process started.
type shadowPipeline struct {
	Pipeline  string             `json:"pipeline"`
	New       bool               `json:"new,omitempty"` // there is nothing to compare it with
	Events    int64              `json:"events"`
	Refused   int64              `json:"refused"` // messages that it could not take
	LastFault string             `json:"last_fault,omitempty"`
	Same      int64              `json:"same"`
	Different int64              `json:"different"`
	Missing   int64              `json:"missing"` // results that it has not
	Added     int64              `json:"added"`   // results that only it has
	Waiting   int64              `json:"waiting"` // for their counterpart
	Examples  []shadowDifference `json:"examples,omitempty"`
}

// shadowDifference is an example of results that are not the same.
type shadowDifference struct {
	Key    string          `json:"key"`
	Start  int64           `json:"start_ms"`
	End    int64           `json:"end_ms"`
	Speaks json.RawMessage `json:"speaks,omitempty"`
	Shadow json.RawMessage `json:"shadow,omitempty"`
}

func (m *managed) showShadow(context.Context, *agent.Call, agent.None) (any, error) {
	now := m.daemon.active.Load()
	r := shadowResult{Speaks: now.version.Number, After: now.roles.after, Pipelines: []shadowPipeline{}}
	if now.roles.listens == nil {
		return r, nil
	}
	r.Listens = now.roles.listens.version.Number
	for _, c := range m.daemon.engine.Comparisons() {
		p := shadowPipeline{
			Pipeline: pipelineOf(c.Shadow), New: c.Of == "", Same: c.Same, Different: c.Differ, Missing: c.OnlyOf, Added: c.OnlyNew, Waiting: c.Waiting,
		}
		for _, st := range m.daemon.engine.Stats().Pipelines() {
			if st.Name != c.Shadow {
				continue
			}
			p.Events, p.Refused = st.Events.Load(), st.Refused.Load()
			if fault := st.Fault.Load(); fault != nil {
				p.LastFault = cut(*fault)
			}
		}
		for _, d := range c.Examples {
			p.Examples = append(p.Examples, shadowDifference{cut(d.Key), int64(d.Start), int64(d.End), rowShown(d.Of), rowShown(d.Shadow)})
		}
		r.Pipelines = append(r.Pipelines, p)
	}
	return r, nil
}

// rowBytesMax bounds the rows in examples.
const rowBytesMax = 2 << 10

// rowShown shows a row, if it is not too long.
func rowShown(row []byte) json.RawMessage {
	if len(row) > rowBytesMax {
		return json.RawMessage(fmt.Sprintf(`"%d bytes"`, len(row)))
	}
	return row
}

// resetState lets a pipeline begin anew. What it had is deleted.
func (m *managed) resetState(ctx context.Context, c *agent.Call, args pipelineArgs) (any, error) {
	at, err := m.daemon.reset(ctx, args.Pipeline)
	if err != nil {
		return nil, err
	}
	m.daemon.log.Warn("a pipeline begins anew because a command says so", "pipeline", args.Pipeline, "id", c.Command.ID, "issuer", c.Command.Issuer)
	return map[string]edged.Seq{"since": at}, nil
}

// reset lets a pipeline begin anew after the record that is returned.
func (d *daemon) reset(ctx context.Context, name string) (at edged.Seq, err error) {
	d.taking.Lock()
	defer d.taking.Unlock()
	now := d.active.Load()
	switch {
	case now.plan(name) == nil:
		return 0, errNoPipeline(name)
	case now.roles.listens != nil:
		return 0, agent.Failed(protocol.CodeBusy, errors.New("a version is on trial: wait for its end"))
	}
	c, err := readContract(now.settings.DataDir)
	if err != nil {
		return 0, agent.Failed(protocol.CodeStorage, err)
	}
	next := *now.setup
	next.names = c.tried(now.setup, &next, []reloadStep{{name, stepReset}}, d.store.Position().Seq)
	for other, id := range next.names { // what takes its results goes on
		if other != name {
			id = now.identity(other)
		}
		next.names[other] = id
	}
	switch _, err := d.swap(ctx, roles{speaks: &next}, false); {
	case errors.Is(err, actors.ErrHeld):
		return 0, agent.Failed(protocol.CodeBusy, err)
	case err != nil:
		return 0, agent.Failed(protocol.CodeInternal, err)
	}
	if err := d.tidy(ctx); err != nil {
		return 0, agent.Failed(protocol.CodeStorage, err)
	}
	if c, err = readContract(now.settings.DataDir); err == nil {
		at = c.Since[next.identity(name).Name]
	}
	return at, err
}
