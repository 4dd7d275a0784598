package campaign

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"edged/internal/sim"
	"edged/mqtt"
)

// packetBytesMax lets a load publish more than the daemon takes.
const packetBytesMax = 8 << 20

// Load publishes a source in the background.
type Load struct {
	Ledger *Ledger

	source *stoppable
	cancel context.CancelFunc
	done   chan struct{}
	total  sim.Summary
	err    error
}

// Source is what a load publishes: samples whose devices have names.
type Source interface {
	sim.Source
	Device(i int) string
}

// stoppable is a source that can be ended from outside.
type stoppable struct {
	Source
	ended atomic.Bool
}

// Next yields the next sample, unless the source was ended.
func (s *stoppable) Next(sample *sim.Sample) bool { return !s.ended.Load() && s.Source.Next(sample) }

// StartLoad publishes the samples of a source to a broker, rate of them per
// second, 0 for as fast as the broker takes them.
func StartLoad(url string, source Source, rate float64) (*Load, error) {
	pub, err := mqtt.NewPublisher(mqtt.Config{URL: url, PacketBytesMax: packetBytesMax})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	l := &Load{
		Ledger: NewLedger(source.Device), source: &stoppable{Source: source},
		cancel: cancel, done: make(chan struct{}),
	}
	go func() {
		defer close(l.done)
		l.total, l.err = sim.Drive(ctx, pub, l.source, sim.DriverConfig{Rate: rate, Sent: l.Ledger.Sent, Acked: l.Ledger.Acked})
	}()
	return l, nil
}

// Done is closed when everything is published.
func (l *Load) Done() <-chan struct{} { return l.done }

// Finish takes no further sample from the source, waits until the broker has
// taken all that were begun, and returns the summary.
func (l *Load) Finish() (sim.Summary, error) {
	l.source.ended.Store(true)
	return l.Wait()
}

// Wait waits until the source has ended and the broker has taken everything. It
// is an error when a publish had to be repeated: the broker may then have passed
// a message on twice that the ledger has once.
func (l *Load) Wait() (sim.Summary, error) {
	<-l.done
	l.cancel()
	if l.err != nil {
		return l.total, fmt.Errorf("publish: %w", l.err)
	}
	if l.total.Resent > 0 {
		return l.total, errors.New("publish: the load lost its connection; the campaign proves nothing")
	}
	return l.total, nil
}

// Abort ends the load without waiting for the broker.
func (l *Load) Abort() {
	l.cancel()
	<-l.done
}
