package actors

import (
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Config bounds and paces an engine. The zero value of a field means its default.
type Config struct {
	// CommitInterval is how long an epoch collects events after its first one.
	// A commit costs about the same for one event as for a hundred, and writes at
	// least two pages: milliseconds for latency, seconds to spare a flash card.
	// An epoch closes earlier when it is full, or when the broker can send nothing
	// more before we acknowledge. Default 50 ms.
	CommitInterval time.Duration

	// EpochEventsMax and EpochBytesMax close an epoch early. Defaults 2048
	// messages and 1 MiB of payloads. Memory holds up to three epochs.
	EpochEventsMax int
	EpochBytesMax  int

	// IntakeEventsMax and IntakeBytesMax bound what is read but not sequenced.
	// When one is reached the source is not read any more. Defaults 16,384 and 8 MiB.
	IntakeEventsMax int
	IntakeBytesMax  int

	// TickInterval is the resolution of processing time: how often idle keys are
	// looked for. Default 250 ms.
	TickInterval time.Duration

	// PassivateAfter is the processing time after which the actor of a silent key
	// is stopped and its state kept in the store only. Default 5 minutes.
	PassivateAfter time.Duration

	// ActiveKeysMax bounds the keys held in memory; beyond it the least recently
	// active are passivated early. Default 200,000.
	ActiveKeysMax int

	// SweepBytes is the size of the journal after which all changed keys are
	// snapshotted, so that the journal before can be dropped. It bounds the time
	// of recovery. Default 8 MiB.
	SweepBytes int64

	// OutboxBytesMax stops the intake while more than this waits for the outputs.
	// The broker then holds the input; nothing is dropped. Default 1 GiB.
	OutboxBytesMax int64

	// HeldBytesMax bounds the journal that is kept for a pipeline that is held: beyond it
	// the pipeline goes on by itself. Default 256 MiB.
	HeldBytesMax int64

	// SampleBytesMax is how much of a poisonous payload its dead letter keeps. Default 4 KiB.
	SampleBytesMax int

	// DrainTimeout bounds the time that outputs get to empty the outbox when the
	// engine stops. What is left stays in the store. Default 5 s.
	DrainTimeout time.Duration

	// Wall is the gateway's wall clock. Messages are stamped with it when they
	// arrive, if it is plausible: see [ArrivalFloor]. It may step. Default: time.Now,
	// and for a bounded input no clock at all, because its readings did not arrive now.
	Wall func() time.Time

	// Logger gets the state changes that an operator acts on. Default: nothing.
	Logger *slog.Logger
}

func defaulted[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// withDefaults returns the configuration with every zero field filled in.
func (c Config) withDefaults() Config {
	defaulted(&c.CommitInterval, 50*time.Millisecond)
	defaulted(&c.EpochEventsMax, 2048)
	defaulted(&c.EpochBytesMax, 1<<20)
	defaulted(&c.IntakeEventsMax, 16384)
	defaulted(&c.IntakeBytesMax, 8<<20)
	defaulted(&c.TickInterval, 250*time.Millisecond)
	defaulted(&c.PassivateAfter, 5*time.Minute)
	defaulted(&c.ActiveKeysMax, 200_000)
	defaulted(&c.SweepBytes, 8<<20)
	defaulted(&c.OutboxBytesMax, 1<<30)
	defaulted(&c.HeldBytesMax, 256<<20)
	defaulted(&c.SampleBytesMax, 4096)
	defaulted(&c.DrainTimeout, 5*time.Second)
	defaulted(&c.Logger, slog.New(slog.DiscardHandler))
	return c
}

// Validate reports every field that cannot work.
func (c Config) Validate() error {
	c = c.withDefaults()
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(c.CommitInterval > 0 && c.CommitInterval <= time.Minute, "commit interval %v: must be above 0 and at most 1m", c.CommitInterval)
	check(c.EpochEventsMax > 0, "epoch events %d: must be positive", c.EpochEventsMax)
	check(c.EpochBytesMax > 0, "epoch bytes %d: must be positive", c.EpochBytesMax)
	check(c.IntakeEventsMax > 0, "intake events %d: must be positive", c.IntakeEventsMax)
	check(c.IntakeBytesMax > 0, "intake bytes %d: must be positive", c.IntakeBytesMax)
	check(c.TickInterval >= time.Millisecond, "tick interval %v: must be at least 1ms", c.TickInterval)
	check(c.PassivateAfter > 0, "passivate after %v: must be positive", c.PassivateAfter)
	check(c.ActiveKeysMax > 0, "active keys %d: must be positive", c.ActiveKeysMax)
	check(c.SweepBytes > 0, "sweep bytes %d: must be positive", c.SweepBytes)
	check(c.OutboxBytesMax > 0, "outbox bytes %d: must be positive", c.OutboxBytesMax)
	check(c.HeldBytesMax > 0, "held bytes %d: must be positive", c.HeldBytesMax)
	check(c.SampleBytesMax > 0, "sample bytes %d: must be positive", c.SampleBytesMax)
	return errors.Join(errs...)
}
