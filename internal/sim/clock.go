package sim

import (
	"math/rand/v2"

	"edged"
)

// clock is how a device tells the time.
type clock struct {
	fault clockFault
	value int64 // offset: ms; drift: ppm; reset: true time of the last restart, ms after Start
	phase uint16
}

type clockFault uint8

const (
	goodClock   clockFault = iota
	offsetClock            // off by a constant
	driftClock             // runs too fast or too slow
	resetClock             // restarts in 1970 now and then
)

// The sizes of clock faults.
const (
	offsetMax     = 3_600_000 // ms, either way
	driftMax      = 10_000    // ppm, either way
	resetEvery    = 500       // readings
	resetReadings = 20        // until the time is set again

	// bootTime is the time that a device without a clock believes at a restart.
	bootTime edged.Timestamp = 1000
)

func newClock(random *rand.PCG, faulty chance) clock {
	if !faulty.happens(random) {
		return clock{}
	}
	c := clock{fault: offsetClock + clockFault(below(random, 3))}
	switch c.fault {
	case offsetClock:
		c.value = below(random, 2*offsetMax+1) - offsetMax
	case driftClock:
		c.value = below(random, 2*driftMax+1) - driftMax
	case resetClock:
		c.phase = uint16(below(random, resetEvery))
	}
	return c
}

// read returns what the clock shows elapsed milliseconds after start, for the
// seq-th reading of its device. Never before 1970.
func (c *clock) read(random *rand.PCG, start edged.Timestamp, elapsed int64, seq uint64) edged.Timestamp {
	switch c.fault {
	case offsetClock:
		return max(0, start.Add(elapsed).Add(c.value))
	case driftClock:
		return max(0, start.Add(elapsed).Add(elapsed*c.value/1e6))
	case resetClock:
		sinceReset := (seq + uint64(c.phase)) % resetEvery
		if sinceReset == 0 {
			c.value = elapsed - below(random, 60_000)
		}
		if sinceReset < resetReadings && seq > sinceReset {
			return max(0, bootTime.Add(elapsed-c.value))
		}
	}
	return start.Add(elapsed)
}
