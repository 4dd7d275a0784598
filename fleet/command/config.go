package command

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"

	"edged/fleet/protocol"
	"edged/fleet/trust"
)

// The defaults of a [Config].
const (
	DefaultRecordsMax       = 256
	DefaultQueueMax         = 16
	DefaultJumpMax          = 1 << 24
	DefaultPerSecond        = 10
	DefaultBurst            = 50
	DefaultDenialsPerMinute = 12
	DefaultDenialBurst      = 20
	DefaultResultBytesMax   = 512
)

// summaryEvery is how often denials that were only counted are written down, in
// milliseconds.
const summaryEvery = 60 * 1000

// recordsLimit bounds what a stored state may hold.
const recordsLimit = 1 << 16

// Config says who the gateway is, what it can do and how much it takes.
type Config struct {
	// Gateway is this gateway. Its labels decide which selectors mean it, so they
	// must come from its provisioning.
	Gateway trust.Gateway

	// Pinned is the ring of the root keys that the gateway was provisioned with.
	Pinned *trust.Ring

	// Ops are the commands that it can do. The function says whether arguments are
	// those of the command; nil takes any.
	Ops map[string]func(args json.RawMessage) error

	// BuildTime is when the program was built, in milliseconds since the Unix epoch:
	// it is not earlier than that. 0 is always right.
	BuildTime int64

	// RecordsMax is how many commands are remembered with their answers; the oldest
	// finished one is forgotten first. A command that comes again after that is
	// refused instead of answered; it never runs again.
	RecordsMax int

	// QueueMax is how many commands may wait or run at a time.
	QueueMax int

	// JumpMax is how far the number of a command may be above the highest of its key,
	// and the version of a desired document above the last. A thief of a key would
	// need 2^53/JumpMax commands to use all numbers up.
	JumpMax uint64

	// PerSecond and Burst bound the commands of one key.
	PerSecond, Burst int64

	// DenialsPerMinute and DenialBurst bound the denials that are answered and written
	// down one by one, of each key and of all strangers together. The rest is counted.
	DenialsPerMinute, DenialBurst int64

	// ResultBytesMax is how large a result may be that is remembered with its answer.
	ResultBytesMax int
}

// withDefaults returns the config with its gaps filled, or what is wrong with it.
func (c Config) withDefaults() (Config, error) {
	if c.Pinned == nil {
		return c, errors.New("command: Config.Pinned is missing: pin the root keys with trust.Pin")
	}
	if c.Pinned.Fleet() != c.Gateway.Fleet {
		return c, fmt.Errorf("command: the gateway is of fleet %q, its root keys of %q", c.Gateway.Fleet, c.Pinned.Fleet())
	}
	if err := trust.CheckName(c.Gateway.ID); err != nil {
		return c, fmt.Errorf("command: Config.Gateway.ID: %w", err)
	}
	for op := range c.Ops {
		if _, known := protocol.ClassOf(op); !known {
			return c, fmt.Errorf("command: Config.Ops: %q has no class; package protocol lists the commands", op)
		}
	}
	c.RecordsMax = cmp.Or(c.RecordsMax, DefaultRecordsMax)
	c.QueueMax = cmp.Or(c.QueueMax, DefaultQueueMax)
	c.JumpMax = cmp.Or(c.JumpMax, DefaultJumpMax)
	c.PerSecond, c.Burst = cmp.Or(c.PerSecond, DefaultPerSecond), cmp.Or(c.Burst, DefaultBurst)
	c.DenialsPerMinute = cmp.Or(c.DenialsPerMinute, DefaultDenialsPerMinute)
	c.DenialBurst = cmp.Or(c.DenialBurst, DefaultDenialBurst)
	c.ResultBytesMax = cmp.Or(c.ResultBytesMax, DefaultResultBytesMax)
	if c.QueueMax >= c.RecordsMax || c.RecordsMax > recordsLimit {
		return c, fmt.Errorf("command: RecordsMax %d: want more than QueueMax %d and at most %d", c.RecordsMax, c.QueueMax, recordsLimit)
	}
	return c, nil
}

// commands is the rate of the commands of one key.
func (c *Config) commands() rate { return rate{mills: 1000 * c.PerSecond, burst: c.Burst} }

// denials is the rate of denials of one key, or of all strangers.
func (c *Config) denials() rate {
	return rate{mills: 1000 * c.DenialsPerMinute / 60, burst: c.DenialBurst}
}
