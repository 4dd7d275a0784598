package actors

import (
	"context"
	"errors"
	"sync"

	"edged"
)

// errClosed says that the intake takes no more.
var errClosed = errors.New("intake is closed")

// intake is the bounded room between the source and the sequencer. A full
// intake parks the source's goroutine; nothing spins.
type intake struct {
	eventsMax, bytesMax int

	mu      sync.Mutex
	batches []edged.Batch
	events  int
	bytes   int
	closed  bool

	ready chan struct{} // capacity 1: something to take, or closed
	space chan struct{} // capacity 1: room has been made
}

func newIntake(eventsMax, bytesMax int) *intake {
	return &intake{
		eventsMax: eventsMax, bytesMax: bytesMax,
		ready: make(chan struct{}, 1), space: make(chan struct{}, 1),
	}
}

// signal wakes one waiter without ever blocking.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func weigh(b edged.Batch) (bytes int) {
	for i := range b.Messages {
		bytes += len(b.Messages[i].Payload) + len(b.Messages[i].Topic)
	}
	return bytes
}

// put adds a batch, waiting for room. A batch larger than the whole intake is
// let in when the intake is empty: it is already in memory.
func (in *intake) put(ctx context.Context, b edged.Batch) error {
	bytes := weigh(b)
	for {
		in.mu.Lock()
		if in.closed {
			in.mu.Unlock()
			return errClosed
		}
		if in.events == 0 || in.events+len(b.Messages) <= in.eventsMax && in.bytes+bytes <= in.bytesMax {
			in.batches = append(in.batches, b)
			in.events += len(b.Messages)
			in.bytes += bytes
			in.mu.Unlock()
			signal(in.ready)
			return nil
		}
		in.mu.Unlock()
		select {
		case <-in.space:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// take returns the oldest batch. ok is false when there is none; done when
// there will be none.
func (in *intake) take() (b edged.Batch, ok, done bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(in.batches) == 0 {
		return b, false, in.closed
	}
	b = in.batches[0]
	in.batches[0] = edged.Batch{}
	in.batches = in.batches[1:]
	if len(in.batches) == 0 {
		in.batches = nil
	}
	in.events -= len(b.Messages)
	in.bytes -= weigh(b)
	signal(in.space)
	return b, true, false
}

// close ends the input; what is inside can still be taken.
func (in *intake) close() {
	in.mu.Lock()
	in.closed = true
	in.mu.Unlock()
	signal(in.ready)
	signal(in.space)
}

// level returns how many events wait.
func (in *intake) level() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.events
}
