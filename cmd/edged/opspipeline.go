package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"edged"
	"edged/actors"
	"edged/fleet/agent"
	"edged/fleet/protocol"
	"edged/query"
)

// pipelineResult is an entry of pipeline.list.
type pipelineResult struct {
	Name        string   `json:"name"`
	From        string   `json:"from"`
	Upstream    string   `json:"upstream,omitempty"` // the pipeline whose results it takes
	Outputs     []string `json:"outputs"`
	Fingerprint string   `json:"fingerprint"`
	StateBytes  int64    `json:"state_bytes"`

	Hold holdResult `json:"hold"`
}

func (m *managed) listPipelines(context.Context, *agent.Call, agent.None) (any, error) {
	s := m.daemon.active.Load()
	all := []pipelineResult{}
	for i, p := range s.plans {
		r := pipelineResult{Name: p.Name(), From: s.specs[i].From(), Upstream: p.Upstream(), Outputs: []string{}, Fingerprint: fingerprint(p)}
		for _, o := range p.Outputs() {
			r.Outputs = append(r.Outputs, o.Name())
		}
		if st := m.pipelineStats(p.Name()); st != nil {
			r.StateBytes, r.Hold = st.StateBytes.Load(), m.hold(st)
		}
		all = append(all, r)
	}
	return all, nil
}

func (m *managed) pipelineStats(name string) *actors.PipelineStats {
	stored := m.daemon.active.Load().identity(name).Name
	for _, st := range m.daemon.engine.Stats().Pipelines() {
		if st.Name == stored {
			return st
		}
	}
	return nil
}

// pipelineArgs are the arguments of commands for one pipeline.
type pipelineArgs struct {
	Pipeline string `json:"pipeline"`
}

// Check returns what is wrong with them.
func (a pipelineArgs) Check() error {
	if a.Pipeline == "" {
		return errName
	}
	return nil
}

// pipelineStatus is the result of pipeline.status.
type pipelineStatus struct {
	Name        string       `json:"name"`
	Description string       `json:"description"`
	StateBytes  int64        `json:"state_bytes"`
	Missed      int64        `json:"windows_missed"`
	Unassigned  int64        `json:"events_unassigned"`
	Suppressed  int64        `json:"events_suppressed"`
	Historical  int64        `json:"events_historical"`
	Alarms      int64        `json:"alarm_events"`
	Hold        holdResult   `json:"hold"`
	Outputs     []linkResult `json:"outputs"`
}

func (m *managed) showPipeline(_ context.Context, _ *agent.Call, args pipelineArgs) (any, error) {
	p, st := m.plan(args.Pipeline), m.pipelineStats(args.Pipeline)
	if p == nil || st == nil {
		return nil, errNoPipeline(args.Pipeline)
	}
	r := pipelineStatus{
		Name: p.Name(), Description: p.Describe(), StateBytes: st.StateBytes.Load(), Missed: st.MissedLate.Load() + st.MissedLimit.Load(),
		Unassigned: st.Unassigned.Load(), Suppressed: st.Suppressed.Load(), Historical: st.Historical.Load(), Alarms: st.Alarms.Load(),
		Hold: m.hold(st), Outputs: []linkResult{},
	}
	for _, l := range m.outbox().Outputs {
		if l.Stream == p.Stream() || l.Stream == p.LateStream() || l.Stream == p.AlarmStream() {
			r.Outputs = append(r.Outputs, l)
		}
	}
	return r, nil
}

func (m *managed) plan(name string) *query.Plan { return m.daemon.active.Load().plan(name) }

// The bounds of window.dump.
const (
	dumpRowsDefault = 20
	dumpRowsMax     = 200
	dumpBytesMax    = 96 << 10
	dumpKeysMax     = 10_000 // that are looked at
)

// keyArgs are the arguments of window.dump and key.inspect.
type keyArgs struct {
	Pipeline string `json:"pipeline"`
	Key      string `json:"key"`  // window.dump: empty for all keys
	After    string `json:"from"` // window.dump: keys behind this one
	Limit    int    `json:"limit"`
}

// Check returns what is wrong with them.
func (a keyArgs) Check() error {
	if a.Pipeline == "" {
		return errName
	}
	return bounded("limit", a.Limit, dumpRowsMax)
}

// keyResult is what is stored of one key.
type keyResult struct {
	Key       string            `json:"key"`
	Seq       uint64            `json:"seq"`    // the record up to which it is folded
	Behind    uint64            `json:"behind"` // records that the journal has after it, of all keys
	Active    int64             `json:"active_ms"`
	Open      int               `json:"open_windows"`
	Bytes     int               `json:"state_bytes"`
	Watermark *int64            `json:"watermark_ms,omitempty"`
	Windows   []json.RawMessage `json:"windows,omitempty"`
	Left      int               `json:"windows_left,omitempty"` // more windows than the limit lets through
	Error     string            `json:"error,omitempty"`
}

// dumpResult is the result of window.dump.
type dumpResult struct {
	Keys []keyResult `json:"keys"`
	More bool        `json:"more"` // there are more keys: ask again, from the last one
}

// errEnough ends a walk over what is stored.
var errEnough = errors.New("enough")

// dumpWindows shows the open windows as rows, as they would be if they ended now. It
// reads what is stored, which may be older than what is in memory: see seq.
func (m *managed) dumpWindows(ctx context.Context, _ *agent.Call, args keyArgs) (any, error) {
	p := m.plan(args.Pipeline)
	if p == nil {
		return nil, errNoPipeline(args.Pipeline)
	}
	p = p.Clone() // what runs is not ours
	r := dumpResult{Keys: []keyResult{}}
	rows, size, looked := cmp.Or(args.Limit, dumpRowsDefault), 0, 0
	id := m.daemon.active.Load().identity(args.Pipeline)
	err := m.daemon.store.Snapshots(func(snap edged.Snapshot) error {
		if looked++; ctx.Err() != nil || looked > dumpKeysMax && snap.Pipeline == id.Name {
			r.More = ctx.Err() == nil
			return errEnough
		}
		if !m.owns(id, &snap) || args.Key != "" && snap.Key != args.Key || snap.Key <= args.After || snap.Open == 0 && args.Key == "" {
			return nil
		}
		if rows <= 0 || size > dumpBytesMax {
			r.More = true
			return errEnough
		}
		k := m.look(p, snap.Key, rows)
		for _, w := range k.Windows {
			size += len(w)
		}
		rows -= max(len(k.Windows), 1)
		r.Keys = append(r.Keys, k)
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, agent.Failed(protocol.CodeStorage, err)
	}
	return r, ctx.Err()
}

// owns reports whether a snapshot is the one of its key in a pipeline: it may be its
// origin's still.
func (m *managed) owns(id identity, snap *edged.Snapshot) bool {
	if snap.Pipeline == id.Name {
		return true
	}
	if id.Origin == "" || snap.Pipeline != id.Origin {
		return false
	}
	_, own, err := m.daemon.store.Snapshot(id.Name, snap.Key)
	return err == nil && !own
}

// inspectKey shows what is stored of one key.
func (m *managed) inspectKey(_ context.Context, _ *agent.Call, args keyArgs) (any, error) {
	p := m.plan(args.Pipeline)
	if p == nil {
		return nil, errNoPipeline(args.Pipeline)
	}
	if args.Key == "" {
		return nil, agent.Failed(protocol.CodeArgs, errors.New("key: it is missing"))
	}
	if _, found, err := m.stored(args.Pipeline, args.Key); err == nil && !found {
		return nil, agent.Failed(protocol.CodeArgs, fmt.Errorf("key: nothing is stored of %q; a new key is stored by the next sweep", args.Key))
	}
	return m.look(p.Clone(), args.Key, cmp.Or(args.Limit, dumpRowsDefault)), nil
}

// stored reads the state of a key, which may be its origin's still.
func (m *managed) stored(pipeline, key string) (snap edged.Snapshot, found bool, err error) {
	id := m.daemon.active.Load().identity(pipeline)
	snap, found, err = m.daemon.store.Snapshot(id.Name, key)
	if err == nil && !found && id.Origin != "" {
		snap, found, err = m.daemon.store.Snapshot(id.Origin, key)
	}
	return snap, found, err
}

// look reads a key and its open windows, at most so many.
func (m *managed) look(p *query.Plan, key string, windows int) keyResult {
	r := keyResult{Key: key}
	snap, _, err := m.stored(p.Name(), key)
	task := p.NewTask(key)
	if err == nil {
		err = task.Restore(snap.State)
	}
	if err != nil {
		r.Error = err.Error()
		return r
	}
	head := m.daemon.store.Position()
	r.Seq, r.Behind, r.Active = uint64(snap.Seq), uint64(head.Seq-min(snap.Seq, head.Seq)), int64(snap.Active)
	r.Open, r.Bytes = task.Open(), task.Bytes()
	if w := task.Watermark(); w != edged.MinTimestamp && w != edged.MaxTimestamp {
		ms := int64(w)
		r.Watermark = &ms
	}
	var out edged.Output
	task.End(&out, snap.Seq, head.Time)
	gateway := m.daemon.active.Load().settings.GatewayID
	for i := range out.Results {
		if len(r.Windows) >= windows {
			r.Left = len(out.Results) - i
			break
		}
		r.Windows = append(r.Windows, bytes.Clone(p.AppendRow(nil, &out.Results[i], gateway, 0)))
	}
	return r
}
