package persistence

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"edged"
)

// scanBytes is how much a reader copies in one transaction.
const scanBytes = 256 << 10

// Store is an open store. One goroutine commits; readers may run beside it.
type Store struct {
	db      *bbolt.DB
	cfg     Config
	logger  *slog.Logger
	journal limits
	dead    limits

	writing sync.Mutex // held by whoever writes
	packer  packer     // the writer's
	failed  error      // the writer's: why nothing can be written any more

	mu    sync.RWMutex
	state state // what the last transaction made durable

	repairs atomic.Uint64
	damaged atomic.Uint64
	written atomic.Uint64
}

// Close waits for running transactions and closes the store. Closing twice is
// harmless.
func (s *Store) Close() error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("close store %s: %w", s.cfg.Dir, err)
	}
	return nil
}

// Position returns where the store stands after the last commit. It reads
// memory only and may be called while Commit runs.
func (s *Store) Position() edged.Position {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.state.position()
}

// update runs fn in a write transaction together with the state that fn
// changes, and publishes that state when all of it is durable. After a failure
// the store takes no further writes.
func (s *Store) update(what string, fn func(tx *bbolt.Tx, next *state) error) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if s.failed != nil {
		return fmt.Errorf("%s: %w: %w", what, ErrFailed, s.failed)
	}
	next := s.state.clone()
	err := guard(what, func() error {
		return s.db.Update(func(tx *bbolt.Tx) error {
			if err := fn(tx, &next); err != nil {
				return err
			}
			return next.save(tx)
		})
	})
	if errors.Is(err, berrors.ErrMaxSizeReached) || errors.Is(err, syscall.ENOSPC) {
		err = fmt.Errorf("%w: make room on the disk, or raise max bytes: %w", ErrFull, err)
	}
	if err != nil {
		s.failed = fmt.Errorf("%s: %w", what, err)
		return s.failed
	}
	s.mu.Lock()
	s.state = next
	s.mu.Unlock()
	s.trim()
	return nil
}

// trim takes the pages of the file that were read through its mapping out of
// the process. They are clean and stay in the page cache; but the mapping holds
// on to every page that a sweep or the end of a segment has ever touched, and on
// a small box that is memory which the process seems to need. The caller holds
// writing, so the mapping does not move.
func (s *Store) trim() {
	if file, err := os.Stat(s.db.Path()); err == nil {
		unmapPages(s.db.Info().Data, uintptr(file.Size()))
	}
}

// view runs fn in a short read transaction.
func (s *Store) view(what string, fn func(tx *bbolt.Tx) error) error {
	return guard(what, func() error { return s.db.View(fn) })
}

// guard turns what bbolt does on damaged pages into errors: it panics, or reads
// memory that the file does not back.
func guard(what string, fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%s: %w: %v", what, ErrCorrupt, r)
		}
	}()
	err = fn()
	if errors.Is(err, berrors.ErrInvalid) || errors.Is(err, berrors.ErrChecksum) || errors.Is(err, berrors.ErrVersionMismatch) {
		err = fmt.Errorf("%s: %w: %w", what, ErrCorrupt, err)
	}
	return err
}

// JournalBytes returns about how much the records after the given one take in the
// journal: whole segments count, and the one that it is in counts whole.
func (s *Store) JournalBytes(after edged.Seq) int64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	j := &s.state.Journal
	if len(j.segments) == 0 || uint64(after) >= j.Last {
		return 0
	}
	return int64(j.Weight - j.segmentOf(uint64(after)+1).base)
}

// Replay calls fn with every record after the given one, in order. It reads in
// batches and holds no transaction while fn runs, so that fn may take its time.
// The record is fn's until it returns; its topic and its payload may be kept.
// Replay ends with the last record that was committed when it was called. A
// hole or damage is an error that wraps [ErrCorrupt].
func (s *Store) Replay(after edged.Seq, fn func(*edged.Record) error) error {
	s.mu.RLock()
	floor, last := s.state.Journal.floor(), s.state.Journal.Last
	s.mu.RUnlock()
	if uint64(after) < floor {
		return fmt.Errorf("replay after record %d: %w: the journal begins after record %d", after, ErrCorrupt, floor)
	}
	sc := scan{store: s, log: journalName, kind: recordFrame, next: uint64(after) + 1, last: last}
	for sc.next <= last {
		frames, err := sc.batch(scanBytes)
		if err != nil {
			return fmt.Errorf("replay: %w", err)
		}
		for _, f := range frames {
			if err := replayFrame(f, after, edged.Seq(last), fn); err != nil {
				return fmt.Errorf("replay: %w", err)
			}
		}
	}
	return nil
}

// replayFrame calls fn with the records of a frame that are wanted.
func replayFrame(f frame, after, last edged.Seq, fn func(*edged.Record) error) error {
	var r edged.Record
	u := unpack(f)
	for u.more() {
		if err := u.record(&r); err != nil {
			return err
		}
		if r.Seq <= after || r.Seq > last {
			continue
		}
		if err := fn(&r); err != nil {
			return err
		}
	}
	return u.done()
}
