package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"edged"
	"edged/actors"
	"edged/fleet/apply"
	"edged/fleet/protocol"
	"edged/persistence"
)

// journalBatch is how many messages of a journal are delivered at once.
const journalBatch = 100

// rehearse runs pipelines over what a source has, in an engine of their own whose results
// nobody gets. It needs the setup for its settings and tables.
func rehearse(ctx context.Context, as *setup, pipes []actors.Pipeline, source actors.Source, store actors.Store) (*actors.Stats, error) {
	log := slog.New(slog.DiscardHandler)
	_, tables, err := openTables(&roles{speaks: as}, log)
	if err != nil {
		return nil, &apply.Fault{Code: protocol.CodePrecond, Path: "tables", Err: err}
	}
	engine, err := actors.New(engineConfig(as.settings, log), actors.Ports{
		Store: store, Source: source, Pipelines: pipes, Tables: tables, Bounded: true,
	})
	if err != nil {
		return nil, err
	}
	if err := engine.Run(ctx); err != nil {
		return nil, err
	}
	if ctx.Err() != nil { // it has drained: that is half of an answer
		return nil, context.Cause(ctx)
	}
	return engine.Stats(), nil
}

// journalSource delivers messages of a journal once more, with the times of their arrival.
type journalSource struct {
	store   *persistence.Store
	after   edged.Seq               // the record before the first that counts
	until   edged.Seq               // the last one; 0: that of the journal
	limit   int64                   // messages
	bytes   int                     // of their topics and payloads
	accepts func(topic string) bool // whether a message counts; nil: all do
	pace    int                     // records read per second; 0: as they are taken
	told    func(at edged.Seq)      // hears how far it is; may be nil

	records     int64     // messages that were delivered
	first, last edged.Seq // of them
	at          edged.Seq // the last record that was read
	more        bool      // a limit ended it

	size  int
	read  int64
	began time.Time
	batch edged.Batch
}

var _ actors.Source = (*journalSource)(nil)

// Run implements actors.Source.
func (s *journalSource) Run(ctx context.Context, deliver func(context.Context, edged.Batch) error) error {
	s.began = time.Now()
	flush := func() error {
		if len(s.batch.Messages) == 0 {
			return nil
		}
		b := s.batch
		s.batch = edged.Batch{}
		return deliver(ctx, b)
	}
	err := s.store.Replay(s.after, func(r *edged.Record) error {
		if s.until > 0 && r.Seq > s.until {
			return errEnough
		}
		s.at = r.Seq
		if s.read++; s.read%journalBatch == 0 {
			if err := s.rest(ctx); err != nil {
				return err
			}
		}
		if r.Kind != edged.MessageRecord || s.accepts != nil && !s.accepts(r.Topic) {
			return nil
		}
		if s.size += len(r.Topic) + len(r.Payload); s.records == s.limit || s.size > s.bytes {
			s.more = true
			return errEnough
		}
		if len(s.batch.Messages) == journalBatch || s.batch.Arrival != r.Arrival {
			if err := flush(); err != nil {
				return err
			}
		}
		s.take(r)
		return nil
	})
	if err == nil || errors.Is(err, errEnough) {
		return flush()
	}
	return err
}

func (s *journalSource) take(r *edged.Record) {
	if s.records == 0 {
		s.first = r.Seq
	}
	s.records++
	s.last = r.Seq
	s.batch.Arrival = r.Arrival
	s.batch.Messages = append(s.batch.Messages, edged.Message{Topic: r.Topic, Payload: r.Payload})
}

// rest tells how far it is, and waits until it may go on.
func (s *journalSource) rest(ctx context.Context) error {
	if s.told != nil {
		s.told(s.at)
	}
	if s.pace == 0 {
		return nil
	}
	due := s.began.Add(time.Duration(s.read) * time.Second / time.Duration(s.pace))
	return passes(ctx, time.Until(due))
}

// Ack implements actors.Source: nobody waits.
func (s *journalSource) Ack([]uint64) {}

// Connected implements actors.Source.
func (s *journalSource) Connected() bool { return true }

// shadowStore keeps states, and of rows and dead letters only what is asked of them: no
// output comes to take them.
type shadowStore struct {
	*replayStore
	rows  map[string]int64 // by stream, of those streams that are in it from the start
	shown *rowSample
}

func newShadowStore(streams ...string) *shadowStore {
	s := &shadowStore{replayStore: &replayStore{MemoryStore: actors.NewMemoryStore(), causes: map[string]int64{}}, rows: map[string]int64{}}
	for _, name := range streams {
		s.rows[name] = 0
	}
	return s
}

// Commit implements actors.Store.
func (s *shadowStore) Commit(c *edged.Commit) error {
	rows := c.Rows
	for i := range rows {
		n, counts := s.rows[rows[i].Stream]
		if !counts {
			continue
		}
		s.rows[rows[i].Stream] = n + 1
		s.shown.add(&rows[i])
	}
	c.Rows = nil
	defer func() { c.Rows = rows }() // the engine goes on with them
	return s.replayStore.Commit(c)
}
