package main

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"edged"
	"edged/actors"
	"edged/mqtt/codec"
	"edged/persistence"
	"edged/query"
)

// metrics reads the counters of all parts when it is asked, and costs nothing in
// between. Labels have few values: streams, outputs and pipelines are configured,
// causes are a fixed set. Keys and topics are never labels.
type metrics struct{ d *daemon }

// Describe implements prometheus.Collector. Sending nothing makes it an
// unchecked collector: what it sends is written down in Collect alone.
func (m *metrics) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	s := sink{ch}
	s.engine(m.d.engine)
	for _, p := range m.d.engine.Stats().Pipelines() {
		if m.d.active.Load().roles.shadows(p.Name) {
			s.shadow(p)
		} else {
			s.pipeline(p)
		}
	}
	for _, c := range m.d.engine.Comparisons() {
		s.comparison(&c)
	}
	s.commits(&m.d.engine.Stats().Commit)
	s.source(m.d)
	s.store(m.d)
	s.counter("edged_tables_loaded_total", "Versions of reference tables that were loaded.", m.d.tables.Load().loaded.Load())
	s.counter("edged_tables_failed_total", "Versions of reference tables that could not be used.", m.d.tables.Load().failed.Load())
	s.counter("edged_configs_taken_total", "Configurations put to use while running.", m.d.taken.Load())
	s.counter("edged_configs_refused_total", "Configurations that could not be put to use while running.", m.d.refused.Load())
	s.management(m.d.managed)
	if !m.d.ready() {
		s.gauge("edged_ready", "1 when recovery is over.", 0)
		return
	}
	s.gauge("edged_ready", "1 when recovery is over.", 1)
	r := m.d.engine.Recovery()
	s.gauge("edged_recovery_records", "Journal records replayed at start.", float64(r.Records))
	s.gauge("edged_recovery_seconds", "Time that recovery took.", r.Duration.Seconds())
	for _, l := range m.d.engine.Links() {
		s.link(l)
	}
}

// sink makes metrics of numbers.
type sink struct{ ch chan<- prometheus.Metric }

func (s sink) send(kind prometheus.ValueType, name, help string, value float64, labels ...string) {
	var names, values []string
	for i := 0; i+1 < len(labels); i += 2 {
		names, values = append(names, labels[i]), append(values, labels[i+1])
	}
	s.ch <- prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, names, nil), kind, value, values...)
}

func (s sink) counter(name, help string, value int64, labels ...string) {
	s.send(prometheus.CounterValue, name, help, float64(value), labels...)
}

func (s sink) gauge(name, help string, value float64, labels ...string) {
	s.send(prometheus.GaugeValue, name, help, value, labels...)
}

func (s sink) truth(name, help string, value bool, labels ...string) {
	number := 0.0
	if value {
		number = 1
	}
	s.gauge(name, help, number, labels...)
}

func (s sink) engine(e *actors.Engine) {
	st, cfg := e.Stats(), e.Config()
	s.counter("edged_messages_received_total", "Messages taken from the source.", st.Received.Load())
	s.counter("edged_messages_undated_total", "Messages that came while the gateway's clock could not be trusted.", st.Undated.Load())
	s.counter("edged_messages_redelivered_total", "Messages recognised as redelivered by the broker and not counted again.", st.Redelivered.Load())
	s.counter("edged_events_total", "Events offered to a key, per pipeline.", st.Events.Load())
	s.counter("edged_results_derived_total", "Results that other pipelines took as their input.", st.Derived.Load())
	s.counter("edged_events_filtered_total", "Events that a filter left out.", st.Filtered.Load())
	s.counter("edged_events_duplicate_total", "Events dropped because they repeat an earlier one.", st.Duplicates.Load())
	s.counter("edged_events_late_total", "Events too late for all their windows.", st.Late.Load())
	s.counter("edged_events_overflow_total", "Events or windows refused because a limit of a key was reached.", st.Overflow.Load())
	for _, cause := range []edged.Cause{edged.ByWatermark, edged.ByIdle, edged.ByEnd, edged.ByTick, edged.ByCommand} {
		s.counter("edged_panes_total", "Firings of windows, by what made time advance.", st.Panes[cause].Load(), "cause", cause.String())
	}
	s.counter("edged_panes_late_total", "Firings that correct an earlier one.", st.Revisions.Load())
	s.counter("edged_rows_total", "Rows put into the outbox.", st.Rows.Load())
	s.counter("edged_panics_total", "Panics in key actors.", st.Panics.Load())
	s.counter("edged_keys_quarantined_total", "Keys whose state cannot be had.", st.Quarantined.Load())
	s.counter("edged_keys_passivated_total", "Actors stopped because their key was silent.", st.Passivated.Load())
	s.gauge("edged_keys", "Keys with an actor.", float64(st.Keys.Load()))
	s.gauge("edged_keys_max", "Limit of keys with an actor.", float64(cfg.ActiveKeysMax))
	s.gauge("edged_open_windows", "Open windows of keys with an actor.", float64(st.OpenWindows.Load()))
	s.gauge("edged_intake_messages", "Messages read and not sequenced.", float64(e.IntakeLevel()))
	s.gauge("edged_intake_messages_max", "Messages at which the source is not read any more.", float64(cfg.IntakeEventsMax))
	s.counter("edged_epochs_total", "Epochs committed.", st.Epochs.Load())
	s.counter("edged_snapshots_total", "Snapshots of keys written.", st.Snapshots.Load())
	s.counter("edged_sweeps_total", "Complete passes of snapshots.", st.Sweeps.Load())
	s.gauge("edged_held_bytes_max", "Bytes of the journal kept for a pipeline that is held, at which it goes on by itself.", float64(cfg.HeldBytesMax))
	s.counter("edged_holds_ended_total", "Pipelines that went on by themselves because too much was kept for them.", st.HoldsEnded.Load())
	s.truth("edged_outbox_blocked", "1 while the intake waits because the outbox is full.", st.OutboxBlocked.Load())
	s.gauge("edged_outbox_bytes_max", "Payload bytes in the outbox at which the intake waits.", float64(cfg.OutboxBytesMax))
	if last := st.LastEventTime.Load(); last != 0 {
		s.gauge("edged_event_time_seconds", "Greatest event time seen, since the Unix epoch.", float64(last)/1000)
	}
}

// pipeline sends what is counted per pipeline.
func (s sink) pipeline(p *actors.PipelineStats) {
	name := pipelineOf(p.Name)
	at := []string{"pipeline", name}
	s.gauge("edged_state_bytes", "Memory of the states of keys with an actor, about.", float64(p.StateBytes.Load()), at...)
	hold := p.Hold()
	s.truth("edged_pipeline_held", "1 while a pipeline gets nothing of what comes.", hold.Standing != actors.Flowing, at...)
	s.gauge("edged_held_bytes", "Bytes of the journal kept for a pipeline that is held.", float64(hold.Kept), at...)
	s.counter("edged_windows_missed_total", "Windows that did not take an event.", p.MissedLate.Load(), "pipeline", name, "cause", "late")
	s.counter("edged_windows_missed_total", "Windows that did not take an event.", p.MissedLimit.Load(), "pipeline", name, "cause", "limit")
	s.counter("edged_events_unassigned_total", "Events that belong to no window.", p.Unassigned.Load(), at...)
	s.counter("edged_events_suppressed_total", "Events that a change detector kept back.", p.Suppressed.Load(), at...)
	s.counter("edged_events_ahead_total", "Events ahead of the gateway's clock that did not move time.", p.Ahead.Load(), at...)
	s.counter("edged_events_historical_total", "Events of a backlog, counted in its windows.", p.Historical.Load(), at...)
	s.counter("edged_alarm_events_total", "What happened to alarms.", p.Alarms.Load(), at...)
	s.counter("edged_panes_retracted_total", "Firings taken back because their window became another.", p.Retractions.Load(), at...)
}

// shadow sends what is counted of a version that listens.
func (s sink) shadow(p *actors.PipelineStats) {
	at := []string{"pipeline", pipelineOf(p.Name)}
	s.gauge("edged_shadow_state_bytes", "Memory of the states of a version on trial, about.", float64(p.StateBytes.Load()), at...)
	s.counter("edged_shadow_events_total", "Events taken by a version on trial.", p.Events.Load(), at...)
	s.counter("edged_shadow_refused_total", "Messages that a version on trial could not take.", p.Refused.Load(), at...)
}

// comparison sends how the results of a version that listens differ.
func (s sink) comparison(c *actors.Comparison) {
	const name, help = "edged_shadow_results_total", "Results of a version on trial, compared with those of the one that is heard."
	pipeline := pipelineOf(c.Shadow)
	s.counter(name, help, c.Same, "pipeline", pipeline, "compared", "same")
	s.counter(name, help, c.Differ, "pipeline", pipeline, "compared", "different")
	s.counter(name, help, c.OnlyOf, "pipeline", pipeline, "compared", "missing")
	s.counter(name, help, c.OnlyNew, "pipeline", pipeline, "compared", "added")
}

// commits sends the histogram of commit durations.
func (s sink) commits(h *actors.Histogram) {
	buckets := map[float64]uint64{}
	var count uint64
	for i := range h.Buckets {
		count += uint64(h.Buckets[i].Load())
		if i < len(actors.CommitBounds) {
			buckets[actors.CommitBounds[i].Seconds()] = count
		}
	}
	desc := prometheus.NewDesc("edged_commit_seconds", "Duration of commits, sync included.", nil, nil)
	s.ch <- prometheus.MustNewConstHistogram(desc, count, time.Duration(h.Sum.Load()).Seconds(), buckets)
}

func (s sink) source(d *daemon) {
	st := d.inlet.Stats()
	s.truth("edged_source_connected", "1 while the source's broker has accepted us and our subscriptions.", st.Connected)
	s.counter("edged_source_connects_total", "Connects to the source's broker.", st.Connects)
	s.counter("edged_source_bytes_total", "Bytes of topics and payloads received.", st.Bytes)
	s.counter("edged_source_acks_total", "Acknowledgements sent.", st.Acked)
	s.counter("edged_source_acks_stale_total", "Acknowledgements dropped because their connection is gone.", st.AcksStale)
	s.counter("edged_source_oversize_total", "Messages above mqtt.packet_bytes_max.", st.Oversize)
	s.gauge("edged_source_unacked", "Messages received on this connection and not acknowledged.", float64(st.Unacked))
}

func (s sink) store(d *daemon) {
	st := d.store.Stats()
	s.counter("edged_store_commits_total", "Transactions since the store was made.", int64(st.Commits))
	s.counter("edged_store_written_bytes_total", "Bytes handed to the database since start.", int64(st.WrittenBytes))
	s.gauge("edged_store_file_bytes", "Size of the database file.", float64(st.FileBytes))
	s.gauge("edged_journal_records", "Records in the journal.", float64(st.Journal.Items))
	s.gauge("edged_journal_bytes", "Bytes in the journal.", float64(st.Journal.Bytes))
	s.gauge("edged_outbox_bytes", "Payload bytes that some output has not confirmed.", float64(d.store.OutboxBytes()))
	s.gauge("edged_dead_letters", "Dead letters kept.", float64(st.DeadLetters.Items))
	for _, c := range withKnownCauses(st.Causes) {
		s.counter("edged_dead_letters_total", "Dead letters since the store was made, dropped ones included.", int64(c.Count), "cause", c.Cause)
	}
	s.counter("edged_store_snapshot_repairs_total", "Snapshots read from the other generation because one was damaged.", int64(st.SnapshotRepairs))
	s.counter("edged_store_snapshot_losses_total", "Snapshots that damage made unreadable.", int64(st.SnapshotLosses))
}

// withKnownCauses adds the causes that have not occurred, with 0: a counter that
// appears with its first count has grown by nothing, and no alert sees it. The
// store bounds what it counts, so labels stay few.
func withKnownCauses(counts []persistence.CauseCount) []persistence.CauseCount {
	known := []string{query.CauseExpression, query.CauseFuture, query.CauseLookup, "oversize", "no_pipeline", "panic", "quarantined"}
	for _, c := range codec.Causes() {
		known = append(known, c.Name)
	}
	all := slices.Clone(counts)
	for _, name := range known {
		if !slices.ContainsFunc(counts, func(c persistence.CauseCount) bool { return c.Cause == name }) {
			all = append(all, persistence.CauseCount{Cause: name})
		}
	}
	return all
}

func (s sink) link(l actors.LinkStatus) {
	at := []string{"stream", l.Stream, "output", l.Output}
	s.truth("edged_output_up", "1 while the output takes rows.", l.Up, at...)
	s.counter("edged_output_rows_committed_total", "Number of the stream's last durable row.", int64(l.Committed), at...)
	s.counter("edged_output_rows_confirmed_total", "Every row up to this number is confirmed.", int64(l.Confirmed), at...)
	s.gauge("edged_output_rows_waiting", "Durable rows that are not confirmed.", float64(l.Committed-min(l.Confirmed, l.Committed)), at...)
	s.counter("edged_output_downs_total", "Times that the output was lost.", l.Downs, at...)
	s.counter("edged_output_rows_resent_total", "Rows sent again because of that.", l.Resent, at...)
	if l.Limit != nil {
		s.gauge("edged_output_throttle_rows_per_second", "What a command limits the output to, while it does; 0: it is held.", float64(l.Limit.Rows), at...)
	}
}
