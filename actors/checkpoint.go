package actors

import (
	"context"
	"errors"
	"time"

	"edged"
)

// Checkpoint is what a checkpoint has stored.
type Checkpoint struct {
	Seq      edged.Seq // what all records up to this one mean is stored, in both generations
	Keys     int       // whose states had changed and were stored for it
	Bytes    int64     // of snapshots written meanwhile
	Duration time.Duration
}

// ErrCheckpoint says that a checkpoint is asked for while another one is under way.
var ErrCheckpoint = errors.New("a checkpoint is under way already")

// storing is a checkpoint under way. Only the sequencer touches it.
type storing struct {
	began      time.Time
	generation uint64 // of the sweep that does it; 0: none has begun
	steps      chan [2]int
	result     chan Checkpoint
}

// Checkpoint stores all states that have changed in both generations, while input goes on
// and also where none comes. It returns when all of it is durable. progress, if it is not
// nil, is told how many of how many keys are through. When ctx ends, the checkpoint goes
// on without being waited for.
func (e *Engine) Checkpoint(ctx context.Context, progress func(keys, of int)) (Checkpoint, error) {
	w := &storing{began: time.Now(), steps: make(chan [2]int, 1), result: make(chan Checkpoint, 1)}
	taken := make(chan bool, 1)
	if err := e.ask(ctx, func(s *sequencer) { taken <- s.store(w) }); err != nil {
		return Checkpoint{}, err
	}
	if !<-taken {
		return Checkpoint{}, ErrCheckpoint
	}
	for {
		select {
		case step := <-w.steps:
			if progress != nil {
				progress(step[0], step[1])
			}
		case c := <-w.result:
			return c, nil
		case <-e.failed:
			return Checkpoint{}, e.failure
		case <-e.stopped:
			return Checkpoint{}, errStopped
		case <-ctx.Done():
			return Checkpoint{}, context.Cause(ctx)
		}
	}
}

// store takes a checkpoint up, unless there is one.
func (s *sequencer) store(w *storing) (taken bool) {
	if s.storing != nil {
		return false
	}
	s.storing = w
	return true
}

// hurries reports whether a checkpoint is brought forward by closing the open epoch, even
// an empty one: sweeps advance with epochs, and none may come by itself. While pipelines
// are swapped it waits for that, and at the end of a run all states are stored anyway.
func (s *sequencer) hurries() bool {
	return s.storing != nil && s.swap == nil && !s.settled && (s.storing.generation == 0 || s.sweep.running)
}

// storeAll lets a checkpoint have the sweep that begins now.
func (s *sequencer) storeAll() {
	if w := s.storing; w != nil && w.generation == 0 {
		w.generation, s.sweep.twin = s.sweep.generation, true
	}
}

// hasten brings the sweep of a checkpoint forward where an epoch has nothing else to do:
// nobody minds then if the sequencer waits for its keys to be sorted.
func (s *sequencer) hasten(ep *epoch) {
	w := s.storing
	if w == nil || w.generation == 0 {
		return
	}
	if ep.idle() {
		s.sweep.sorted()
	}
	select {
	case w.steps <- [2]int{s.sweep.taken, s.sweep.taken + len(s.sweep.left)}:
	default: // the last step has not been heard yet
	}
}

// stored ends a checkpoint with the sweep that is durable now: its own one, or a later one
// that took its place and stored no less.
func (s *sequencer) stored(done *edged.Sweep) {
	w := s.storing
	if w == nil || w.generation == 0 || done.Generation < w.generation {
		return
	}
	w.result <- Checkpoint{Seq: done.Start, Keys: s.sweep.taken, Bytes: s.sweep.written, Duration: time.Since(w.began)}
	s.storing = nil
}
