package actors

import (
	"slices"
	"sync"

	"github.com/asynkron/protoactor-go/actor"
)

// mailbox is a bounded protoactor mailbox that parks a sender when it is full
// (the library's own bounded mailbox spins), and that keeps the message whose
// processing panicked at its front, so that the restarted actor meets it again
// (the library's mailboxes drop it).
//
// There is one per active key, so that every word counts.
//
// Invariant: at most one goroutine runs process; running says that one does or
// is scheduled to.
// Invariant: queue holds the system's messages, urgent of them, before the user's.
type mailbox struct {
	invoker    actor.MessageInvoker
	dispatcher *dispatcher

	mu    sync.Mutex
	room  *sync.Cond // made when the first sender has to wait
	queue []any

	urgent    uint16
	capacity  uint16 // of user messages
	requeue   bool   // keep a failed message; the actor must know how to get past it
	running   bool
	suspended bool
}

var _ actor.Mailbox = (*mailbox)(nil)

// newMailbox returns a producer of mailboxes of the given capacity. Their actors
// must be run by a [dispatcher].
func newMailbox(capacity uint16, requeue bool) actor.MailboxProducer {
	return func() actor.Mailbox { return &mailbox{capacity: capacity, requeue: requeue} }
}

// PostUserMessage adds a message, waiting while the mailbox is full.
func (m *mailbox) PostUserMessage(message any) {
	m.mu.Lock()
	for m.waiting() >= int(m.capacity) {
		if m.room == nil {
			m.room = sync.NewCond(&m.mu)
		}
		m.room.Wait()
	}
	m.queue = append(m.queue, message)
	m.scheduleLocked()
}

// PostSystemMessage adds a message of the actor system. These are never
// bounded: there are a handful in an actor's life.
func (m *mailbox) PostSystemMessage(message any) {
	m.mu.Lock()
	m.queue = slices.Insert(m.queue, int(m.urgent), message)
	m.urgent++
	m.scheduleLocked()
}

// scheduleLocked unlocks and starts processing unless it goes on already.
func (m *mailbox) scheduleLocked() {
	start := !m.running
	m.running = true
	m.mu.Unlock()
	if start {
		m.dispatcher.schedule(m)
	}
}

// RegisterHandlers is called by the actor system before the first message.
func (m *mailbox) RegisterHandlers(invoker actor.MessageInvoker, d actor.Dispatcher) {
	m.invoker, m.dispatcher = invoker, d.(*dispatcher)
}

// Start is part of the library's interface.
func (m *mailbox) Start() {}

// UserMessageCount returns the number of waiting messages.
func (m *mailbox) UserMessageCount() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.waiting()
}

// waiting returns the number of user messages. The caller holds the lock.
func (m *mailbox) waiting() int { return len(m.queue) - int(m.urgent) }

// process handles messages until none is left.
func (m *mailbox) process() {
	for m.step() {
	}
}

// next takes the message to handle; none left ends the run.
func (m *mailbox) next() (message any, user, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	user = m.urgent == 0
	if user && (m.suspended || len(m.queue) == 0) {
		m.running = false
		return nil, false, false
	}
	message = m.queue[0]
	m.queue = slices.Delete(m.queue, 0, 1)
	if !user {
		m.urgent--
		return message, false, true
	}
	if m.room != nil {
		m.room.Signal()
	}
	return message, true, true
}

// step handles one message. A panic is handed to the supervisor.
func (m *mailbox) step() (more bool) {
	message, user, ok := m.next()
	if !ok {
		return false
	}
	defer func() {
		if reason := recover(); reason != nil {
			if user && m.requeue {
				m.mu.Lock()
				m.queue = slices.Insert(m.queue, int(m.urgent), message)
				m.mu.Unlock()
			}
			m.invoker.EscalateFailure(reason, message)
			more = true
		}
	}()
	if user {
		m.invoker.InvokeUserMessage(message)
		return true
	}
	switch message.(type) {
	case *actor.SuspendMailbox:
		m.suspend(true)
	case *actor.ResumeMailbox:
		m.suspend(false)
	default:
		m.invoker.InvokeSystemMessage(message)
	}
	return true
}

func (m *mailbox) suspend(yes bool) {
	m.mu.Lock()
	m.suspended = yes
	m.mu.Unlock()
}
