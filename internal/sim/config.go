package sim

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"edged"
)

// Limits of a [Config].
const (
	DevicesMax      = 10_000_000
	BacklogDepthMax = 1_000_000
	PayloadPadMax   = 1 << 20
	shareMax        = 0.9 // of readings in bursts: above, nearly nobody would talk
	stepMax         = 365 * 24 * time.Hour
)

// The defaults of a [Config] that cannot be zero.
const (
	DefaultTopic        = "sensors/{device}/data"
	DefaultBacklogDepth = 32
)

// Config describes a [Fleet]. The zero value of every fault is "none".
type Config struct {
	// Seed selects one fleet out of 2^64.
	Seed uint64

	// Devices is how many devices there are, 1 to [DevicesMax]. They take turns:
	// each reads once per Step.
	Devices int

	// Rate is how many readings the fleet takes per second of event time. It is
	// ignored when Step is given.
	Rate float64

	// Step is the event time between two readings of a device. 0 means
	// Devices/Rate. It has nothing to do with how fast readings are published.
	Step time.Duration

	// Start is the event time of the first reading.
	Start edged.Timestamp

	// Events is how many distinct readings there are; repeats come on top. 0
	// means that the fleet never stops.
	Events int

	// Disorder is how far a reading's time may lie behind its turn. A watermark
	// that allows this much disorder sees no late event (LateShare apart).
	Disorder time.Duration

	// LateShare is the probability that a reading arrives LateBy after it was
	// taken (on top of Disorder). Such samples are marked Late.
	LateShare float64
	LateBy    time.Duration

	// DuplicateShare is the probability that a reading is published a second
	// time, byte for byte, within the next 127 publishes.
	DuplicateShare float64

	// BacklogShare is the share of readings that arrive in a burst: a device is
	// silent for BacklogDepth turns and then sends them all, oldest first. At
	// most 0.9. BacklogDepth 0 means [DefaultBacklogDepth].
	BacklogShare float64
	BacklogDepth int

	// ClockFaults is the share of devices with a wrong clock: a third is off by
	// up to an hour, a third drifts by up to 1 %, a third restarts in 1970 every
	// 500 readings until its time is set 20 readings later.
	ClockFaults float64

	// TopicPattern is the topic, with {device} for the device's name. "" means
	// [DefaultTopic].
	TopicPattern string

	// Sequence adds the member "n", the device's own count of readings.
	Sequence bool

	// PayloadPad makes payloads at least this many bytes long by a member "pad".
	PayloadPad int
}

// Validate reports everything that is wrong with c.
func (c *Config) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("fleet: "+format, args...))
		}
	}
	check(c.Devices >= 1 && c.Devices <= DevicesMax, "devices is %d; it must be 1 to %d", c.Devices, DevicesMax)
	check(c.Events >= 0, "events is %d; it must not be negative (0: without end)", c.Events)
	check(c.Step >= 0 && c.Step <= stepMax, "step is %v; it must be 0 to %v", c.Step, stepMax)
	check(c.Step > 0 || c.Rate > 0 && !math.IsInf(c.Rate, 0), "rate is %v; it must be positive when no step is given", c.Rate)
	check(c.Disorder >= 0, "disorder is %v; it must not be negative", c.Disorder)
	check(c.LateBy >= 0, "late-by is %v; it must not be negative", c.LateBy)
	check(c.LateShare == 0 || c.LateBy > 0, "late readings need a late-by above 0")
	check(isShare(c.LateShare, 1), "the share of late readings is %v; it must be 0 to 1", c.LateShare)
	check(isShare(c.DuplicateShare, 1), "the share of duplicates is %v; it must be 0 to 1", c.DuplicateShare)
	check(isShare(c.BacklogShare, shareMax), "the share of backlog is %v; it must be 0 to %v", c.BacklogShare, shareMax)
	check(isShare(c.ClockFaults, 1), "the share of clock faults is %v; it must be 0 to 1", c.ClockFaults)
	check(c.BacklogDepth == 0 || c.BacklogDepth >= 2 && c.BacklogDepth <= BacklogDepthMax,
		"the backlog depth is %d; it must be 2 to %d", c.BacklogDepth, BacklogDepthMax)
	check(c.PayloadPad >= 0 && c.PayloadPad <= PayloadPadMax, "the payload pad is %d; it must be 0 to %d bytes", c.PayloadPad, PayloadPadMax)
	check(!strings.ContainsAny(c.TopicPattern, "+#\x00"), "topic %q has a wildcard; readings are published to plain topics", c.TopicPattern)
	return errors.Join(errs...)
}

// step returns the event time between two readings of a device in nanoseconds,
// at least one per device.
func (c *Config) step() int64 {
	step := int64(c.Step)
	if step == 0 {
		step = int64(min(math.Round(float64(c.Devices)/c.Rate*1e9), float64(stepMax)))
	}
	return max(step, int64(c.Devices))
}

func isShare(f, limit float64) bool { return f >= 0 && f <= limit }
