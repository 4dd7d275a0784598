package main

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"time"

	"edged/actors"
	"edged/fleet/agent"
	"edged/fleet/protocol"
)

// Describe implements agent.Gateway.
func (m *managed) Describe() protocol.Info {
	s, b := m.daemon.active.Load(), readBuild()
	i := protocol.Info{
		Version: b.Version, Commit: b.Revision, OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.NumCPU(), Memory: memoryTotal(),
	}
	for _, spec := range s.specs {
		for _, src := range spec.Sources() {
			if src.Topic != "" {
				i.Sources = append(i.Sources, protocol.Endpoint{ID: shorten(src.Topic), Kind: "mqtt"})
			}
		}
	}
	for _, st := range s.streams() {
		for _, o := range st.outputs {
			i.Outputs = append(i.Outputs, protocol.Endpoint{ID: shorten(st.name + "/" + o.Name()), Kind: o.Kind})
		}
	}
	slices.SortFunc(i.Sources, func(a, b protocol.Endpoint) int { return cmp.Compare(a.ID, b.ID) })
	i.Sources = slices.Compact(i.Sources)
	room := protocol.EndpointsMax
	i.Sources = i.Sources[:min(len(i.Sources), room)]
	i.Outputs = i.Outputs[:min(len(i.Outputs), room-len(i.Sources))]
	if c := m.certificatesOf(&s.settings.Fleet.Broker); c != nil {
		if ends, _ := c.state(time.Now()); !ends.IsZero() {
			i.Expires = max(ends.UnixMilli(), 0)
		}
	}
	return i
}

// endpointBytesMax is how long the name of a source or output may be in info.
const endpointBytesMax = 128

func shorten(name string) string {
	if len(name) > endpointBytesMax {
		return name[:endpointBytesMax-3] + "..."
	}
	return name
}

// beat is what the last heartbeat counted from.
type beat struct {
	at               time.Time
	received, dead   int64
	sweeps           int64
	sweep            time.Time // when the last sweep was seen to end
	commits, p99Base [len(actors.CommitBounds) + 1]int64
}

// Heartbeat implements agent.Gateway.
func (m *managed) Heartbeat() protocol.Heartbeat {
	d := m.daemon
	st, store := d.engine.Stats(), d.store.Stats()
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	h := protocol.Heartbeat{
		RSS: residentBytes(), Outbox: d.store.OutboxBytes(), DeadLetters: int64(store.DeadLetters.Items),
	}
	if room, err := roomAt(d.active.Load().settings.DataDir); err == nil {
		h.DiskFree = room.free
	}
	if seconds := now.Sub(m.last.at).Seconds(); seconds > 0 {
		h.Events = float64(st.Received.Load()-m.last.received) / seconds
		h.Errors = float64(st.DeadLetters.Load()-m.last.dead) / seconds
	}
	waiting := d.engine.IntakeLevel()
	if h.Events > 0 {
		h.Lag = int64(float64(waiting) / h.Events * 1000)
	}
	h.Mailbox = 100 * float64(waiting) / float64(d.engine.Config().IntakeEventsMax)
	if sweeps := st.Sweeps.Load(); sweeps != m.last.sweeps || m.last.sweep.IsZero() {
		m.last.sweeps, m.last.sweep = sweeps, now
	}
	h.CheckpointAge = now.Sub(m.last.sweep).Milliseconds()
	h.Fsync = m.last.p99(&st.Commit)
	m.last.at, m.last.received, m.last.dead = now, st.Received.Load(), st.DeadLetters.Load()
	return h
}

// p99 returns in microseconds how long 99 of 100 commits took at most, since the last
// heartbeat; the bound of a bucket.
func (b *beat) p99(h *actors.Histogram) int64 {
	var total int64
	for i := range h.Buckets {
		b.commits[i] = h.Buckets[i].Load()
		total += b.commits[i] - b.p99Base[i]
	}
	defer func() { b.p99Base = b.commits }()
	if total == 0 {
		return 0
	}
	left := total - total/100
	for i := range h.Buckets {
		if left -= b.commits[i] - b.p99Base[i]; left <= 0 && i < len(actors.CommitBounds) {
			return actors.CommitBounds[i].Microseconds()
		}
	}
	return actors.CommitBounds[len(actors.CommitBounds)-1].Microseconds()
}

const (
	sourceDownAfter = 30 * time.Second
	certWarnBefore  = 30 * 24 * time.Hour
	certAlarmBefore = 7 * 24 * time.Hour
)

// Alarms implements agent.Gateway.
func (m *managed) Alarms() []agent.Alarm {
	d := m.daemon
	alarms := []agent.Alarm{} // not nil: that would mean "as before"
	add := func(code, subject, severity, format string, args ...any) {
		alarms = append(alarms, agent.Alarm{Code: code, Subject: subject, Severity: severity, Message: fmt.Sprintf(format, args...)})
	}
	m.mu.Lock()
	if d.inlet.Connected() || !d.ready() {
		m.down = time.Time{}
	} else if m.down.IsZero() {
		m.down = time.Now()
	}
	down := m.down
	m.mu.Unlock()
	if !down.IsZero() && time.Since(down) >= sourceDownAfter {
		add("source.down", "mqtt", protocol.SeverityMajor, "no connection for %v: %s", time.Since(down).Round(time.Second), d.inlet.Stats().LastError)
	}
	if d.engine.Stats().OutboxBlocked.Load() {
		add("outbox.blocked", "", protocol.SeverityMajor, "the outbox is full with %d bytes, and input waits", d.store.OutboxBytes())
	}
	if n := d.engine.Stats().Quarantined.Load(); n > 0 {
		add("keys.quarantined", "", protocol.SeverityMajor, "%d keys whose state cannot be had, since the start", n)
	}
	for _, st := range d.engine.Stats().Pipelines() {
		if h := m.hold(st); h.Standing == actors.Held.String() {
			add("pipeline.held", pipelineOf(st.Name), protocol.SeverityMinor, "it has missed %d records since record %d, for which %d bytes of the journal are kept", h.Behind, h.UpTo, h.Kept)
		}
	}
	m.certificateAlarms(add)
	return alarms
}
