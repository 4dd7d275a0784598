package agent

import (
	"maps"

	"edged/fleet/protocol"
)

// Stats is what an agent has done since it was made, and where it stands.
type Stats struct {
	Online     bool
	Boot       uint64
	Session    uint64
	Keyring    uint64
	AuditLines uint64

	Commits         int64 // decisions made durable
	Received        int64 // commands and documents
	Denied          map[protocol.Code]int64
	Executed        int64 // commands that were run
	Running         int   // commands that run
	Waiting         int   // commands that were accepted and have not been started
	Answered        int64
	AnswersWaiting  int // for a connection
	AnswersDropped  int64
	Events          uint64 // numbered, in all lives
	EventsWaiting   int    // for confirmation
	EventsConfirmed int64
	EventsDropped   int64
	Unsaid          int64 // states, reports and heartbeats that the link did not take
	Duplicates      int64 // signs of a duplicate
	Alarms          int   // that are raised
}

// Stats returns the numbers.
func (a *Agent) Stats() Stats {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.stats
	s.Denied = maps.Clone(a.stats.Denied)
	s.Online, s.Boot, s.Session, s.Events = a.up, a.counters.Boot, a.counters.Session, a.counters.Event
	s.Keyring, s.AuditLines = a.guard.Ring().Version(), a.guard.Head().N
	s.Running, s.Waiting = len(a.running), len(a.guard.Waiting())
	s.AnswersWaiting, s.EventsWaiting, s.Alarms = len(a.answers), len(a.events), len(a.watch.alarms)
	return s
}
