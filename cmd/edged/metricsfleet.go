package main

import (
	"maps"
	"slices"
)

// management sends what is counted by the management link, if there is one.
func (s sink) management(m *managed) {
	if m == nil {
		return
	}
	st, link := m.agent.Stats(), m.control.Stats()
	s.truth("edged_fleet_connected", "1 while the management link is up.", link.Connected)
	s.counter("edged_fleet_connects_total", "Connects of the management link.", link.Connects)
	s.gauge("edged_fleet_session", "Number of the session of the management link, over all lives.", float64(st.Session))
	s.gauge("edged_fleet_keyring", "Version of the keyring in force; 0: none yet.", float64(st.Keyring))
	s.counter("edged_fleet_messages_total", "Commands and documents that came.", st.Received)
	s.counter("edged_fleet_oversize_total", "Messages that were too large to be looked at.", link.Oversize)
	for _, code := range slices.Sorted(maps.Keys(st.Denied)) {
		s.counter("edged_fleet_denied_total", "Commands and documents that were denied or rejected, by the code of the answer.", st.Denied[code], "code", string(code))
	}
	s.counter("edged_fleet_commands_total", "Commands that were run.", st.Executed)
	s.gauge("edged_fleet_commands_running", "Commands that run.", float64(st.Running))
	s.gauge("edged_fleet_commands_waiting", "Commands that wait to be run.", float64(st.Waiting))
	s.counter("edged_fleet_decisions_total", "Decisions that were committed.", st.Commits)
	s.counter("edged_fleet_audit_lines_total", "Lines of the audit log, over all lives.", int64(st.AuditLines))
	s.counter("edged_fleet_answers_total", "Answers given.", st.Answered)
	s.counter("edged_fleet_answers_dropped_total", "Answers dropped because too many waited for a connection.", st.AnswersDropped)
	s.counter("edged_fleet_events_total", "Events numbered, over all lives.", int64(st.Events))
	s.gauge("edged_fleet_events_waiting", "Events that the broker has not confirmed.", float64(st.EventsWaiting))
	s.counter("edged_fleet_events_dropped_total", "Events dropped because too many waited.", st.EventsDropped)
	s.counter("edged_fleet_unsaid_total", "States, reports and heartbeats that the link did not take.", st.Unsaid)
	s.counter("edged_fleet_duplicates_total", "Signs of another process with the name of this gateway.", st.Duplicates)
	s.gauge("edged_fleet_alarms", "Alarms that are raised.", float64(st.Alarms))
}
