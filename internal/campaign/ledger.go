package campaign

import (
	"sync"
	"time"

	"edged/internal/oracle"
	"edged/internal/sim"
)

// Ledger is the load's own account of what it published, in publishing order.
// Its methods may be called from anywhere.
type Ledger struct {
	device func(i int) string

	mu     sync.Mutex
	events []oracle.Event
	acked  int
	last   time.Time
	pause  time.Duration
}

// NewLedger returns an empty ledger. device names the devices, as they stand in
// payloads; "" means that samples of the device are no events.
func NewLedger(device func(i int) string) *Ledger { return &Ledger{device: device} }

// Sent notes a sample that is published for the first time.
func (l *Ledger) Sent(s *sim.Sample) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if key := l.device(s.Device); key != "" {
		l.events = append(l.events, oracle.Event{Key: key, Time: int64(s.EventTime), Value: s.Temp, Duplicate: s.Duplicate})
	}
	now := time.Now()
	if !l.last.IsZero() {
		l.pause = max(l.pause, now.Sub(l.last))
	}
	l.last = now
}

// Acked notes a sample that the broker has taken.
func (l *Ledger) Acked(*sim.Sample) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acked++
}

// Published returns how many samples the broker has taken, repeats included.
func (l *Ledger) Published() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.acked
}

// Pause returns the longest time between two samples.
func (l *Ledger) Pause() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pause
}

// Events returns what was sent. With repeats, the second publish of a reading is
// an event of its own, as it is for a pipeline without deduplication.
func (l *Ledger) Events(repeats bool) []oracle.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	events := append([]oracle.Event(nil), l.events...)
	if repeats {
		for i := range events {
			events[i].Duplicate = false
		}
	}
	return events
}
