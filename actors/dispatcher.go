package actors

import (
	"sync"

	"github.com/asynkron/protoactor-go/actor"
)

// dispatcher runs scheduled mailboxes on a fixed number of goroutines. The
// library's own starts a goroutine per wake-up, which for one event per key and
// epoch costs more than the event. The queue is bounded by the number of actors:
// a mailbox is scheduled at most once. What is queued is the mailbox itself, so
// that no actor needs a function of its own.
type dispatcher struct {
	mu      sync.Mutex
	work    *sync.Cond
	queue   []*mailbox
	head    int
	waiting int
	stopped bool
	done    sync.WaitGroup
}

var _ actor.Dispatcher = (*dispatcher)(nil)

func newDispatcher(workers int) *dispatcher {
	d := &dispatcher{}
	d.work = sync.NewCond(&d.mu)
	for range workers {
		d.done.Go(func() { d.serve(func() bool { return false }) })
	}
	return d
}

// schedule queues a mailbox and wakes a worker if one sleeps.
func (d *dispatcher) schedule(m *mailbox) {
	d.mu.Lock()
	d.queue = append(d.queue, m)
	wake := d.waiting > 0
	d.mu.Unlock()
	if wake {
		d.work.Signal()
	}
}

// Schedule is part of the library's interface; our mailbox does not use it.
func (d *dispatcher) Schedule(fn func()) { d.done.Go(fn) }

// Throughput is part of the library's interface; our mailbox does not use it.
func (d *dispatcher) Throughput() int { return 300 }

// serve runs mailboxes until the dispatcher stops or leave says so. It takes one
// at a time: whatever a worker held back while its actor waits could be what the
// actor waits for.
func (d *dispatcher) serve(leave func() bool) {
	for {
		d.mu.Lock()
		for d.head == len(d.queue) && !d.stopped && !leave() {
			d.waiting++
			d.work.Wait()
			d.waiting--
		}
		if d.head == len(d.queue) {
			d.mu.Unlock()
			return
		}
		m := d.queue[d.head]
		d.queue[d.head] = nil
		d.head++
		if d.head == len(d.queue) {
			d.queue, d.head = d.queue[:0], 0
		} else if d.head >= 1024 && 2*d.head > len(d.queue) {
			n := copy(d.queue, d.queue[d.head:])
			clear(d.queue[n:])
			d.queue, d.head = d.queue[:n], 0
		}
		d.mu.Unlock()
		m.process()
	}
}

// blocking runs fn, which may wait for other actors' work, while another worker
// takes the caller's place.
func (d *dispatcher) blocking(fn func()) {
	var over bool // guarded by d.mu
	d.done.Go(func() { d.serve(func() bool { return over }) })
	fn()
	d.mu.Lock()
	over = true
	d.mu.Unlock()
	d.work.Broadcast()
}

// stop ends the workers when the queue is empty.
func (d *dispatcher) stop() {
	d.mu.Lock()
	d.stopped = true
	d.mu.Unlock()
	d.work.Broadcast()
	d.done.Wait()
}
