package actors

import (
	"slices"
	"sync/atomic"
	"time"

	"edged"
)

// Stats counts what the engine did since it started. All fields may be read at
// any time.
type Stats struct {
	Received    atomic.Int64 // messages taken from the source
	Undated     atomic.Int64 // of these with an arrival time of 0: our clock was not trusted
	Redelivered atomic.Int64 // of these recognised as redelivered by the transport
	Filtered    atomic.Int64 // left out by a pipeline's filter
	Events      atomic.Int64 // offered to a key, per pipeline
	Derived     atomic.Int64 // results of one pipeline that others took as their input
	Duplicates  atomic.Int64 // dropped by a task because they repeat an event
	Late        atomic.Int64 // too late for all their windows
	Overflow    atomic.Int64 // refused because a limit of a key was reached
	DeadLetters atomic.Int64
	Panics      atomic.Int64 // panics in key actors
	Quarantined atomic.Int64 // keys whose state cannot be had
	Passivated  atomic.Int64

	Panes       [5]atomic.Int64 // results by edged.Cause
	Revisions   atomic.Int64    // of these late panes
	Rows        atomic.Int64
	Keys        atomic.Int64 // keys with an actor
	OpenWindows atomic.Int64 // of keys with an actor

	HoldsEnded    atomic.Int64 // pipelines that went on because too much was kept for them
	Epochs        atomic.Int64
	Snapshots     atomic.Int64
	Sweeps        atomic.Int64
	OutboxBlocked atomic.Bool

	LastEventTime atomic.Int64 // event time of the newest event, ms
	Commit        Histogram

	pipelines atomic.Pointer[[]*PipelineStats]
}

// Pipelines returns the counters of the pipelines that run, in their order.
func (s *Stats) Pipelines() []*PipelineStats { return *s.pipelines.Load() }

// keep makes counters for pipelines, and keeps those of names that are there already.
func (s *Stats) keep(pipelines []Pipeline) {
	var before []*PipelineStats
	if p := s.pipelines.Load(); p != nil {
		before = *p
	}
	var now []*PipelineStats
	for _, p := range pipelines {
		if i := slices.IndexFunc(before, func(one *PipelineStats) bool { return one.Name == p.Name() }); i >= 0 {
			now = append(now, before[i])
		} else {
			now = append(now, &PipelineStats{Name: p.Name()})
		}
	}
	s.pipelines.Store(&now)
}

// PipelineStats counts what one pipeline did.
type PipelineStats struct {
	Name       string
	StateBytes atomic.Int64 // about, of keys with an actor

	Events  atomic.Int64           // offered to a key
	Refused atomic.Int64           // messages that it could not take; those of a shadow are not among Stats.DeadLetters
	Fault   atomic.Pointer[string] // of the last message that it could not take; of shadows only

	MissedLate  atomic.Int64 // windows that did not take an event because it was late for them
	MissedLimit atomic.Int64 // windows refused because of a limit
	Unassigned  atomic.Int64 // events in no window
	Suppressed  atomic.Int64 // events that a change detector kept back
	Ahead       atomic.Int64 // events ahead of our clock that did not move time
	Historical  atomic.Int64 // events taken by the backlog's windows
	Retractions atomic.Int64 // panes taken back
	Alarms      atomic.Int64 // alarm events

	standing atomic.Uint32
	upTo     atomic.Uint64
	kept     atomic.Int64
	spoilt   atomic.Pointer[string]
}

// HoldStatus is how a pipeline stands to the journal.
type HoldStatus struct {
	Standing Standing
	UpTo     edged.Seq // held: it has had what is for it up to this record
	Kept     int64     // bytes of the journal that are kept for it, as of the last tick
	Fault    string    // why it could not go on, "" if it could
}

// Hold returns how the pipeline stands.
func (p *PipelineStats) Hold() HoldStatus {
	h := HoldStatus{Standing: Standing(p.standing.Load()), UpTo: edged.Seq(p.upTo.Load()), Kept: p.kept.Load()}
	if fault := p.spoilt.Load(); fault != nil {
		h.Fault = *fault
	}
	return h
}

// CommitBounds are the upper bounds of the buckets of Stats.Commit.
var CommitBounds = [...]time.Duration{
	time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond,
	50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, time.Second, 5 * time.Second,
}

// Histogram counts durations. One goroutine writes.
type Histogram struct {
	Buckets [len(CommitBounds) + 1]atomic.Int64 // not cumulative; the last is above all bounds
	Sum     atomic.Int64                        // ns
	Last    atomic.Int64                        // ns
}

func (h *Histogram) observe(d time.Duration) {
	i := 0
	for i < len(CommitBounds) && d > CommitBounds[i] {
		i++
	}
	h.Buckets[i].Add(1)
	h.Sum.Add(int64(d))
	h.Last.Store(int64(d))
}

// LinkStatus is where an output stands.
type LinkStatus struct {
	Stream    string
	Output    string
	Up        bool
	Committed uint64 // the last durable row
	Confirmed uint64 // every row up to here is confirmed
	Downs     int64  // times the link was lost
	Resent    int64  // rows sent again because of that

	Unsendable int64 // rows passed over because they can never be sent

	Limit *Limit // nil: none
}
