package persistence

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
)

var (
	// ErrInUse says that another process has the store open. Stop it, or copy
	// the directory and look at the copy.
	ErrInUse = errors.New("store is in use by another process")

	// ErrCorrupt says that stored bytes are not what was written. The error
	// around it tells where.
	ErrCorrupt = errors.New("stored data is damaged")

	// ErrFull says that the disk, or MaxBytes, leaves no room for a commit. What
	// was committed before is intact. Like every failed commit it ends the
	// process; what the outputs confirm after the next start makes room.
	ErrFull = errors.New("store is full")

	// ErrFailed says that an earlier write to this store failed. Nobody knows
	// what it left on disk: stop the process, it recovers when it starts again.
	ErrFailed = errors.New("store has failed and must be reopened")
)

// The defaults and limits of a store.
const (
	DefaultSegmentBytes   = 4 << 20
	DefaultDeadLettersMax = 10_000

	// SegmentBytesMin is the smallest accepted segment: one frame.
	SegmentBytesMin = 4 << 10

	// FileBytesMin is the smallest accepted MaxBytes. bbolt grows its file in
	// steps of 16 MiB, so that less than two steps is no limit.
	FileBytesMin = 32 << 20

	// KeyBytesMax limits the length of a pipeline's name plus that of a key.
	// Longer ones make Commit panic, so whoever makes keys must check.
	KeyBytesMax = 8 << 10

	// CausesMax limits how many causes of dead letters are counted apart. The
	// causes after them count as "other".
	CausesMax = 64
)

// Config says where a store is and how large its parts may grow.
type Config struct {
	// Dir is the directory of the store. It is made, with mode 0700, when it
	// does not exist. One process at a time can use it.
	Dir string

	// SegmentBytes is the size at which a segment of the journal or of an
	// outbox is closed; space is freed in whole segments. Default 4 MiB, at
	// least 4 KiB. Smaller segments free space sooner and cost more pages.
	SegmentBytes int

	// DeadLettersMax is the number of dead letters kept; the oldest eighth is
	// dropped when there are more. Their counters survive. Default 10000.
	DeadLettersMax int

	// MaxBytes limits the database file; a commit that would exceed it fails.
	// It is the last resort, for an orderly stop before the disk is full: push
	// back earlier, by [Store.OutboxBytes]. 0 means no limit; else at least 32 MiB.
	MaxBytes int64

	// AuditLinesMax is how many lines of the management's audit log are kept; the
	// oldest are dropped when there are more. Default 20000.
	AuditLinesMax int

	// NoSync leaves out every fdatasync. A power cut then loses commits that
	// Commit reported as durable. It exists so that a test harness can prove
	// that its power cuts cut. Never set it in production.
	NoSync bool

	// Logger receives repairs and losses. Required.
	Logger *slog.Logger
}

// Validate reports everything that is wrong with the configuration.
func (c Config) Validate() error {
	var errs []error
	if c.Dir == "" {
		errs = append(errs, errors.New("dir is empty: name the directory of the store"))
	}
	if c.SegmentBytes != 0 && c.SegmentBytes < SegmentBytesMin {
		errs = append(errs, fmt.Errorf("segment bytes are %d: want at least %d, or 0 for the default", c.SegmentBytes, SegmentBytesMin))
	}
	if c.DeadLettersMax < 0 {
		errs = append(errs, fmt.Errorf("dead letters max is %d: want a positive number, or 0 for the default", c.DeadLettersMax))
	}
	if c.AuditLinesMax < 0 {
		errs = append(errs, fmt.Errorf("audit lines max is %d: want a positive number, or 0 for the default", c.AuditLinesMax))
	}
	if c.MaxBytes != 0 && c.MaxBytes < FileBytesMin {
		errs = append(errs, fmt.Errorf("max bytes are %d: want at least %d, or 0 for no limit", c.MaxBytes, FileBytesMin))
	}
	if c.Logger == nil {
		errs = append(errs, errors.New("logger is missing"))
	}
	return errors.Join(errs...)
}

// withDefaults fills in what was left at zero.
func (c Config) withDefaults() Config {
	c.SegmentBytes = cmp.Or(c.SegmentBytes, DefaultSegmentBytes)
	c.DeadLettersMax = cmp.Or(c.DeadLettersMax, DefaultDeadLettersMax)
	c.AuditLinesMax = cmp.Or(c.AuditLinesMax, DefaultAuditLinesMax)
	return c
}
