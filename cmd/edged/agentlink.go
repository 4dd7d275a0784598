package main

import (
	"context"

	"edged/fleet/agent"
	"edged/mqtt"
	"edged/persistence"
)

// What the agent asks for, and who provides it.
var (
	_ agent.Link    = controlLink{}
	_ agent.Store   = agentStore{}
	_ agent.Gateway = (*managed)(nil)
)

// controlLink is a control as the agent sees it.
type controlLink struct{ *mqtt.Control }

// Run implements agent.Link.
func (l controlLink) Run(ctx context.Context, h agent.Hooks) error {
	return l.Control.Run(ctx, mqtt.ControlHooks{
		Greet: func(ctx context.Context) (*mqtt.Note, error) {
			will, err := h.Greet(ctx)
			return new(asNote(will)), err
		},
		Up: h.Up,
		Receive: func(_ context.Context, n mqtt.Note) error {
			return h.Receive(agent.Message{Topic: n.Topic, Payload: n.Payload, QoS: n.QoS, Retained: n.Retain})
		},
		Down: func(error) { h.Down() },
		Farewell: func() (notes []mqtt.Note) {
			for _, m := range h.Farewell() {
				notes = append(notes, asNote(m))
			}
			return notes
		},
	})
}

// Send implements agent.Link.
func (l controlLink) Send(m agent.Message, done func(error)) error {
	if m.QoS == 0 {
		done = nil // it would be called before Send returns
	}
	return l.Control.Send(asNote(m), done)
}

func asNote(m agent.Message) mqtt.Note {
	return mqtt.Note{Topic: m.Topic, Payload: m.Payload, QoS: m.QoS, Retain: m.Retained}
}

// agentStore is a store as the agent sees it.
type agentStore struct{ *persistence.Store }

// Load implements agent.Store.
func (s agentStore) Load() (agent.Stored, error) {
	st, err := s.Fleet()
	return agent.Stored{Guard: st.Guard, Desired: st.Desired, Instance: st.Instance, Counters: agent.Counters(st.Counters)}, err
}

// Commit implements agent.Store.
func (s agentStore) Commit(c agent.Change) error {
	return s.CommitFleet(persistence.FleetChange{
		Guard: c.Guard, Desired: c.Desired, Instance: c.Instance, Counters: persistence.FleetCounters(c.Counters),
		Audit: c.Audit, AuditFirst: c.AuditFirst,
	})
}
