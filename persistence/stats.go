package persistence

// Stats are the numbers of a store. Counts are since [Open] where that is said,
// else since the store was made.
type Stats struct {
	Commits      uint64 `json:"commits"`
	WrittenBytes uint64 `json:"written_bytes"` // since Open: frames and snapshots handed to bbolt, before pages
	FileBytes    int64  `json:"file_bytes"`    // of the database file, which never shrinks

	Journal     LogStats `json:"journal"`
	Outbox      LogStats `json:"outbox"` // all streams; Bytes are payload bytes
	DeadLetters LogStats `json:"dead_letters"`

	// Causes counts all dead letters, also those that were dropped from disk.
	Causes []CauseCount `json:"causes"`

	SnapshotRepairs uint64 `json:"snapshot_repairs"` // since Open: reads served in spite of a damaged slot
	SnapshotLosses  uint64 `json:"snapshot_losses"`  // since Open: reads that failed because of damage
}

// LogStats are the numbers of one log.
type LogStats struct {
	Items    uint64 `json:"items"`   // kept
	Bytes    int64  `json:"bytes"`   // kept, without the overhead of frames and pages
	Dropped  uint64 `json:"dropped"` // not kept any more
	Segments int    `json:"segments"`
}

// CauseCount counts dead letters of one cause.
type CauseCount struct {
	Cause string `json:"cause"`
	Count uint64 `json:"count"`
}

// Stats returns the numbers after the last commit. It may be called while Commit
// runs.
func (s *Store) Stats() Stats {
	s.mu.RLock()
	defer s.mu.RUnlock()
	st := Stats{
		Commits:         s.state.Commits,
		WrittenBytes:    s.written.Load(),
		FileBytes:       s.fileBytes(),
		Journal:         s.state.Journal.stats(),
		DeadLetters:     s.state.Dead.stats(),
		Causes:          s.state.causes(),
		SnapshotRepairs: s.repairs.Load(),
		SnapshotLosses:  s.damaged.Load(),
	}
	for i := range s.state.Streams {
		ls := s.state.Streams[i].Rows.stats()
		st.Outbox.Items += ls.Items
		st.Outbox.Bytes += ls.Bytes
		st.Outbox.Dropped += ls.Dropped
		st.Outbox.Segments += ls.Segments
	}
	return st
}

func (l *log) stats() LogStats {
	return LogStats{Items: l.kept(), Bytes: int64(l.weighed()), Dropped: l.floor(), Segments: len(l.segments)}
}

func (s *state) causes() []CauseCount {
	out := make([]CauseCount, len(s.Causes))
	for i, c := range s.Causes {
		out[i] = CauseCount{Cause: c.Name, Count: c.Count}
	}
	return out
}
