package persistence

import (
	"strconv"

	"edged"
)

// Report is what [Inspect] finds in a store.
type Report struct {
	Dir       string `json:"dir"`
	StoreID   string `json:"store_id"`
	Format    int    `json:"format"`
	Created   string `json:"created"`
	FileBytes int64  `json:"file_bytes"`

	Seq        edged.Seq       `json:"seq"`
	Time       edged.Timestamp `json:"time"` // processing time of the last commit
	Floor      edged.Seq       `json:"floor"`
	Generation uint64          `json:"generation"`  // of the last complete sweep
	SweepStart edged.Seq       `json:"sweep_start"` // of the last complete sweep
	Commits    uint64          `json:"commits"`

	Keys        int   `json:"keys"`         // that have a usable snapshot
	KeysLost    int   `json:"keys_lost"`    // whose snapshots are damaged beyond repair
	KeysRepair  int   `json:"keys_repair"`  // that have a damaged snapshot and can be brought back
	OpenWindows int64 `json:"open_windows"` // of all usable snapshots

	Journal     LogStats            `json:"journal"`
	Streams     []StreamReport      `json:"streams"`
	Generations [2]GenerationReport `json:"generations"`
	DeadLetters DeadLetterReport    `json:"dead_letters"`
	Retried     int                 `json:"retried"` // of the dead letters
	Skips       int                 `json:"skips"`

	// Fleet is what the management has stored; nil if there is none.
	Fleet *FleetReport `json:"fleet,omitempty"`

	// Problems say what is damaged and where, the first hundred of them;
	// ProblemCount counts all. No problem means that every checksum was right,
	// every number in its place and every page accounted for.
	Problems     []string `json:"problems"`
	ProblemCount int      `json:"problem_count"`
}

// FleetReport is what the management of the gateway has stored.
type FleetReport struct {
	Instance   string `json:"instance"`
	Boots      uint64 `json:"boots"`
	Sessions   uint64 `json:"sessions"`
	AuditFirst uint64 `json:"audit_first"` // number of the first line kept; 0: none
	AuditLast  uint64 `json:"audit_last"`
}

// StreamReport is the outbox of one stream.
type StreamReport struct {
	Name         string         `json:"name"`
	Last         uint64         `json:"last"`
	Outputs      []OutputReport `json:"outputs"`
	PendingRows  uint64         `json:"pending_rows"`  // not confirmed by every output
	PendingBytes int64          `json:"pending_bytes"` // their payloads
	Kept         LogStats       `json:"kept"`
}

// OutputReport is how far an output has got.
type OutputReport struct {
	Output    string `json:"output"`
	Confirmed uint64 `json:"confirmed"`
	Pending   uint64 `json:"pending"`
}

// GenerationReport counts the snapshots of one of the two slots.
type GenerationReport struct {
	Intact  int   `json:"intact"`
	Damaged int   `json:"damaged"`
	Bytes   int64 `json:"bytes"` // of states
}

// DeadLetterReport counts the dead letters and shows the last ones.
type DeadLetterReport struct {
	Kept   LogStats       `json:"kept"`
	Causes []CauseCount   `json:"causes"`
	Last   []LetterReport `json:"last"` // newest last, at most ten
}

// LetterReport is a dead letter as text.
type LetterReport struct {
	Seq      edged.Seq       `json:"seq"`
	Time     edged.Timestamp `json:"time"`
	Pipeline string          `json:"pipeline"` // "" when no pipeline was reached
	Key      string          `json:"key"`      // "" when not known
	Topic    string          `json:"topic"`
	Cause    string          `json:"cause"`
	Detail   string          `json:"detail"`

	// Payload is the stored sample in double quotes, with the escapes of Go for
	// everything that is not printable: a payload need not be text, and
	// [strconv.Unquote] gives its bytes back.
	Payload string `json:"payload"`
	Size    int    `json:"size"` // of the whole payload, in bytes
	Skip    bool   `json:"skip"` // replay passes over it: processing it panicked
}

func reportLetter(d edged.DeadLetter) LetterReport {
	return LetterReport{
		Seq: d.Seq, Time: d.Time, Pipeline: d.Pipeline, Key: d.Key, Topic: d.Topic, Cause: d.Cause, Detail: d.Detail,
		Payload: strconv.Quote(string(d.Payload)), Size: d.Size, Skip: d.Skip,
	}
}

// The limits of a report.
const (
	problemsMax    = 100
	lastLettersMax = 10
)

// problem adds a problem.
func (r *Report) problem(err error) {
	if err == nil {
		return
	}
	if r.ProblemCount++; r.ProblemCount <= problemsMax {
		r.Problems = append(r.Problems, err.Error())
	}
}

// fill copies what the state says.
func (r *Report) fill(st *state) {
	r.Seq, r.Time, r.Floor = edged.Seq(st.Journal.Last), st.Time, edged.Seq(st.Journal.floor())
	r.Generation, r.SweepStart, r.Commits = st.Sweep.Generation, st.Sweep.Start, st.Commits
	r.Journal = st.Journal.stats()
	r.DeadLetters.Kept, r.DeadLetters.Causes = st.Dead.stats(), st.causes()
	for i := range st.Streams {
		s := &st.Streams[i]
		sr := StreamReport{
			Name: s.Name, Last: s.Rows.Last, Outputs: []OutputReport{}, Kept: s.Rows.stats(),
			PendingRows:  s.Rows.Last - max(s.Done, s.Rows.floor()),
			PendingBytes: int64(s.Rows.Weight - s.DoneWeight),
		}
		for _, c := range s.Cursors {
			sr.Outputs = append(sr.Outputs, OutputReport{Output: c.Output, Confirmed: c.Seq, Pending: s.Rows.Last - c.Seq})
		}
		r.Streams = append(r.Streams, sr)
	}
}
