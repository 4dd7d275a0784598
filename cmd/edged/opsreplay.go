package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"edged"
	"edged/actors"
	"edged/fleet/agent"
	"edged/fleet/apply"
	"edged/fleet/protocol"
)

// The bounds of log.replay.
const (
	replayDefault     = 100_000 // messages
	replayMax         = 1_000_000
	replayBytesMax    = 256 << 20 // of their topics and payloads: states are in memory
	replayPace        = 10_000    // records per second: what runs goes first
	replayRowsDefault = 10
	replayRowsMax     = 100
	replayRowsBytes   = 64 << 10 // of all rows that are shown
)

// What a replay has to say about itself.
const (
	replayNoTime = "time stands still: what silence or the clock has closed, raised or ended then comes at the end, or not at all"
	replayTables = "reference tables are as they are now"
	replayBegin  = "windows that were open before first_seq lack what came before it"
	replayLimit  = "a limit was reached: begin again after last_seq, or ask for less"
)

// replayArgs are the arguments of log.replay.
type replayArgs struct {
	Pipeline string `json:"pipeline"`
	From     uint64 `json:"from_seq"` // 0: the first that there is
	To       uint64 `json:"to_seq"`   // 0: the last
	Limit    int    `json:"limit"`    // messages
	Rows     int    `json:"rows"`     // that are shown
	YAML     string `json:"yaml"`     // a document that has the pipeline; empty: as it runs
}

// Check returns what is wrong with them.
func (a replayArgs) Check() error {
	switch {
	case a.Pipeline == "":
		return errName
	case a.To > 0 && a.From > a.To:
		return fmt.Errorf("from_seq: %d is behind to_seq, %d", a.From, a.To)
	}
	return errors.Join(bounded("limit", a.Limit, replayMax), bounded("rows", a.Rows, replayRowsMax))
}

// replayResult is the result of log.replay.
type replayResult struct {
	Pipeline   string           `json:"pipeline"`
	First      uint64           `json:"first_seq"` // of the messages; 0: there were none
	Last       uint64           `json:"last_seq"`
	Messages   int64            `json:"messages"`
	Gone       uint64           `json:"gone"` // records that were asked for and are not in the journal any more
	More       bool             `json:"more"` // a limit ended it
	Events     int64            `json:"events"`
	Filtered   int64            `json:"filtered"`
	Duplicates int64            `json:"duplicates"`
	Late       int64            `json:"late"`
	Overflow   int64            `json:"overflow"`
	Broken     int64            `json:"broken"` // panics, and keys in quarantine
	Rows       map[string]int64 `json:"rows"`   // by stream
	Letters    map[string]int64 `json:"dead_letters"`
	Examples   []string         `json:"dead_letter_examples"`
	Partial    bool             `json:"partial"` // the range begins where windows may be open
	Notes      []string         `json:"notes"`   // what is not as it was
	Sample     []rowResult      `json:"sample"`  // spread over the rows
	Left       int              `json:"sample_left"`
}

type rowResult struct {
	Stream string          `json:"stream"`
	Row    json.RawMessage `json:"row"`
}

// replayLog runs a pipeline over messages that are still in the journal. What it says is
// counted and not sent, and what it remembers is forgotten.
func (m *managed) replayLog(ctx context.Context, c *agent.Call, args replayArgs) (any, error) {
	if !m.replaying.TryLock() {
		return nil, agent.Failed(protocol.CodeBusy, errors.New("another replay is under way: wait for its end, or cancel it"))
	}
	defer m.replaying.Unlock()
	as := m.daemon.active.Load().setup
	if args.YAML != "" {
		var err error
		if as, err = parseText(m.site.own, filepath.Join(filepath.Dir(m.site.own.file), "yaml"), []byte(args.YAML)); err != nil {
			return nil, agent.Failed(protocol.CodeArgs, err)
		}
	}
	pipes, streams := replayed(as, args.Pipeline)
	if pipes == nil {
		return nil, errNoPipeline(args.Pipeline)
	}
	pos := m.daemon.store.Position()
	source := &journalSource{
		store: m.daemon.store, after: max(pos.Floor, edged.Seq(max(args.From, 1)-1)), until: edged.Seq(args.To),
		limit: int64(cmp.Or(args.Limit, replayDefault)), bytes: replayBytesMax, pace: replayPace, accepts: accepting(pipes),
	}
	source.told = func(at edged.Seq) {
		end := pos.Seq
		if source.until > 0 {
			end = min(end, source.until)
		}
		c.Progress(fmt.Sprintf("record %d of %d to %d", at, source.after+1, end), int(min(100*(at-source.after)/max(end-source.after, 1), 100)))
	}
	store := newShadowStore(streams...)
	store.shown = &rowSample{most: cmp.Or(args.Rows, replayRowsDefault)}
	st, err := rehearse(ctx, as, pipes, source, store)
	fault, known := errors.AsType[*apply.Fault](err)
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case known:
		return nil, agent.Failed(fault.Code, err)
	case err != nil && m.daemon.store.Position().Floor > max(source.at, source.after):
		return nil, agent.Failed(protocol.CodeBusy, fmt.Errorf("the journal has dropped record %d while it was read: ask again, for what is there", max(source.at, source.after)+1))
	case err != nil:
		return nil, agent.Failed(protocol.CodeInternal, fmt.Errorf("replay behind record %d: %w", source.at, err))
	}
	r := newReplayResult(args, source, store, st)
	if first := uint64(pos.Floor) + 1; args.From > 0 && args.From < first {
		r.Gone = first - args.From
		if args.To > 0 {
			r.Gone = min(r.Gone, args.To-args.From+1)
		}
	}
	return r, nil
}

// replayed returns a pipeline of a setup, those whose results it gathers before it, and the
// streams that it alone writes; nil if there is none of that name.
func replayed(as *setup, name string) (pipes []actors.Pipeline, streams []string) {
	if as.plan(name) == nil {
		return nil, nil
	}
	asked := newReplayPipeline(newPipeline(as.plan(name).Clone(), as.settings.GatewayID), "")
	pipes = append(pipes, asked)
	for up := asked.Upstream(); up != ""; {
		p := newPipeline(as.plan(up).Clone(), as.settings.GatewayID)
		pipes, up = append(pipes, p), p.Upstream()
	}
	slices.Reverse(pipes)
	return pipes, asked.streams()
}

// accepting reports for which topics the first of pipelines is, which takes messages.
func accepting(pipes []actors.Pipeline) func(topic string) bool {
	first := pipes[0].Clone() // the engine has the other one
	return first.Accepts
}

func newReplayResult(args replayArgs, source *journalSource, store *shadowStore, st *actors.Stats) replayResult {
	r := replayResult{
		Pipeline: args.Pipeline, First: uint64(source.first), Last: uint64(source.last), Messages: source.records, More: source.more,
		Filtered: st.Filtered.Load(), Duplicates: st.Duplicates.Load(), Late: st.Late.Load(), Overflow: st.Overflow.Load(),
		Broken: st.Panics.Load() + st.Quarantined.Load(), Rows: store.rows, Letters: store.causes, Examples: []string{},
		Partial: source.after > 0, Notes: []string{replayNoTime, replayTables},
	}
	for _, p := range st.Pipelines() {
		if p.Name == args.Pipeline {
			r.Events = p.Events.Load()
		}
	}
	for _, text := range store.samples {
		r.Examples = append(r.Examples, cut(text))
	}
	if r.Partial {
		r.Notes = append(r.Notes, replayBegin)
	}
	if r.More {
		r.Notes = append(r.Notes, replayLimit)
	}
	r.Sample, r.Left = store.shown.results()
	return r
}

// rowSample keeps some of very many rows, spread evenly over them: when there are too many,
// every other one goes, and from then on it takes half as many.
type rowSample struct {
	most   int
	seen   int
	stride int
	rows   []rowResult
}

func (s *rowSample) add(row *edged.Row) {
	s.stride = max(s.stride, 1)
	at := s.seen
	s.seen++
	if at%s.stride != 0 {
		return
	}
	if len(s.rows) == s.most {
		for i := range s.rows {
			if i%2 == 0 {
				s.rows[i/2] = s.rows[i]
			}
		}
		s.rows = s.rows[:(s.most+1)/2]
		if s.stride *= 2; at%s.stride != 0 {
			return
		}
	}
	if len(s.rows) < s.most { // a sample of one row keeps the first
		s.rows = append(s.rows, rowResult{row.Stream, slices.Clone(rowShown(row.Payload))})
	}
}

// results returns as many of the rows as an answer takes, and how many are left out.
func (s *rowSample) results() (shown []rowResult, left int) {
	size := 0
	for i, row := range s.rows {
		if size += len(row.Row); size > replayRowsBytes {
			return s.rows[:i], len(s.rows) - i
		}
	}
	return append([]rowResult{}, s.rows...), 0
}
