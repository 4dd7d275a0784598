package main

import (
	"context"
	"errors"
	"fmt"

	"edged/fleet/agent"
	"edged/fleet/protocol"
)

// ops returns what operators can ask of this gateway, besides what the agent knows by
// itself. Everything else is answered with E_UNKNOWN_OP.
func (m *managed) ops() map[string]agent.Op {
	return map[string]agent.Op{
		"health.check":     agent.Do(m.checkHealth),
		"config.get":       agent.Do(m.showConfig),
		"config.diff":      agent.Do(m.diffConfig),
		"config.apply":     agent.Do(m.applyConfig),
		"config.rollback":  agent.Do(m.rollbackConfig),
		"config.confirm":   agent.Do(m.confirmConfig),
		"config.retry":     agent.Do(m.retryConfig),
		"shadow.start":     agent.Do(m.startShadow),
		"shadow.status":    agent.Do(m.showShadow),
		"shadow.promote":   agent.Do(m.confirmConfig),
		"shadow.drop":      agent.Do(m.dropShadow),
		"state.reset":      agent.Do(m.resetState),
		"pipeline.list":    agent.Do(m.listPipelines),
		"pipeline.status":  agent.Do(m.showPipeline),
		"pipeline.pause":   agent.Do(m.pausePipeline),
		"pipeline.drain":   lasting(agent.Do(m.drainPipeline)),
		"pipeline.resume":  lasting(agent.Do(m.resumePipeline)),
		"window.dump":      agent.Do(m.dumpWindows),
		"key.inspect":      agent.Do(m.inspectKey),
		"source.status":    agent.Do(m.showSource),
		"source.reconnect": agent.Do(m.reconnectSource),
		"sink.status":      agent.Do(m.showOutbox),
		"outbox.status":    agent.Do(m.showOutbox),
		"outbox.throttle":  agent.Do(m.throttle),
		"outbox.flush":     lasting(agent.Do(m.flush)),
		"dlq.list":         agent.Do(m.listDeadLetters),
		"dlq.retry":        agent.Do(m.retryDeadLetters),
		"dlq.purge":        agent.Do(m.purgeDeadLetters),
		"metrics.snapshot": agent.Do(m.snapshotMetrics),
		"log.level":        agent.Do(m.setLogLevel),
		"log.tail":         agent.Do(m.tailLog),
		"cert.reload":      agent.Do(m.reloadCertificates),
		"log.replay":       lasting(agent.Do(m.replayLog)),
		"profile.capture":  lasting(agent.Do(m.captureProfile)),
		"checkpoint.now":   lasting(agent.Do(m.checkpoint)),
		"engine.restart":   agent.Do(m.restart),
	}
}

// lasting gives an operation whose length depends on how much there is the most time, if
// the command does not say.
func lasting(op agent.Op) agent.Op {
	op.Timeout = agent.TimeoutMax
	return op
}

// healthResult is the result of health.check.
type healthResult struct {
	OK     bool    `json:"ok"`
	Checks []check `json:"checks"`
}

func (m *managed) checkHealth(context.Context, *agent.Call, agent.None) (any, error) {
	r := healthResult{OK: true, Checks: append(m.daemon.health(), m.daemon.readiness()...)}
	for _, c := range r.Checks {
		r.OK = r.OK && c.OK
	}
	return r, nil
}

// restart hands over to the next process. The answer is given by that one.
func (m *managed) restart(_ context.Context, c *agent.Call, _ agent.None) (any, error) {
	if err := c.Handover(); err != nil {
		return nil, err
	}
	m.daemon.log.Warn("restarting because a command says so", "id", c.Command.ID, "issuer", c.Command.Issuer)
	m.end(errRestart)
	return nil, nil
}

// sourceResult is the result of source.status.
type sourceResult struct {
	URL         string `json:"url"`
	Connected   bool   `json:"connected"`
	Connects    int64  `json:"connects"`
	Received    int64  `json:"received"`
	Bytes       int64  `json:"bytes"`
	Acked       int64  `json:"acked"`
	Unacked     int64  `json:"unacked"`
	Redelivered int64  `json:"redelivered"`
	Oversize    int64  `json:"oversize"`
	Waiting     int    `json:"waiting"` // read and not sequenced
	LastError   string `json:"last_error,omitempty"`
}

func (m *managed) showSource(context.Context, *agent.Call, agent.None) (any, error) {
	st := m.daemon.inlet.Stats()
	return sourceResult{
		URL: m.daemon.active.Load().settings.MQTT.URL, Connected: st.Connected, Connects: st.Connects, Received: st.Received, Bytes: st.Bytes,
		Acked: st.Acked, Unacked: st.Unacked, Redelivered: st.Redelivered, Oversize: st.Oversize,
		Waiting: m.daemon.engine.IntakeLevel(), LastError: st.LastError,
	}, nil
}

func (m *managed) reconnectSource(_ context.Context, c *agent.Call, _ agent.None) (any, error) {
	m.daemon.inlet.Reconnect(fmt.Errorf("command %s asks for it", c.Command.ID))
	return nil, nil
}

// outboxResult is the result of outbox.status and sink.status.
type outboxResult struct {
	Bytes    int64        `json:"bytes"` // that some output has not confirmed
	BytesMax int64        `json:"bytes_max"`
	Blocked  bool         `json:"blocked"` // input waits because it is full
	Outputs  []linkResult `json:"outputs"`
}

type linkResult struct {
	Stream     string `json:"stream"`
	Output     string `json:"output"`
	Up         bool   `json:"up"`
	Committed  uint64 `json:"committed"`
	Confirmed  uint64 `json:"confirmed"`
	Waiting    uint64 `json:"waiting"`
	Downs      int64  `json:"downs"`
	Resent     int64  `json:"resent"`
	Unsendable int64  `json:"unsendable"`

	Limit *limitResult `json:"throttle,omitempty"`
}

func (m *managed) showOutbox(context.Context, *agent.Call, agent.None) (any, error) {
	return m.outbox(), nil
}

func (m *managed) outbox() outboxResult {
	d := m.daemon
	r := outboxResult{
		Bytes: d.store.OutboxBytes(), BytesMax: d.engine.Config().OutboxBytesMax, Blocked: d.engine.Stats().OutboxBlocked.Load(), Outputs: []linkResult{},
	}
	if !d.ready() {
		return r
	}
	for _, l := range d.engine.Links() {
		r.Outputs = append(r.Outputs, linkResult{
			Stream: l.Stream, Output: l.Output, Up: l.Up, Committed: l.Committed, Confirmed: l.Confirmed,
			Waiting: l.Committed - min(l.Confirmed, l.Committed), Downs: l.Downs, Resent: l.Resent, Unsendable: l.Unsendable,
			Limit: limitOf(l.Limit),
		})
	}
	return r
}

// errRecovering is the answer of operations on what is there after recovery only.
var errRecovering = agent.Failed(protocol.CodeBusy, errors.New("the gateway is recovering: try again when it is ready"))

// errNoPipeline is the answer to a name that there is not.
func errNoPipeline(name string) error {
	return agent.Failed(protocol.CodeArgs, fmt.Errorf("pipeline: there is no %q; pipeline.list has the names", name))
}

// errName says that the name of a pipeline is missing.
var errName = errors.New("pipeline: the name is missing")
