package actors

import (
	"sync"

	"github.com/asynkron/protoactor-go/actor"
)

// mailbox is a bounded protoactor mailbox that parks a sender when it is full
// (the library's own bounded mailbox spins), and that keeps the message whose
// processing panicked at its front, so that the restarted actor meets it again
// (the library's mailboxes drop it).
//
// Invariant: at most one goroutine runs process; running says that one does or
// is scheduled to.
type mailbox struct {
	capacity int
	requeue  bool // keep a failed message; the actor must know how to get past it

	mu        sync.Mutex
	room      *sync.Cond // made when the first sender has to wait
	user      []any
	system    []any
	running   bool
	suspended bool

	invoker    actor.MessageInvoker
	dispatcher actor.Dispatcher
	run        func() // process, bound once: scheduling allocates nothing
}

var _ actor.Mailbox = (*mailbox)(nil)

// newMailbox returns a producer of mailboxes of the given capacity.
func newMailbox(capacity int, requeue bool) actor.MailboxProducer {
	return func() actor.Mailbox {
		m := &mailbox{capacity: capacity, requeue: requeue}
		m.run = m.process
		return m
	}
}

// PostUserMessage adds a message, waiting while the mailbox is full.
func (m *mailbox) PostUserMessage(message any) {
	m.mu.Lock()
	for len(m.user) >= m.capacity {
		if m.room == nil {
			m.room = sync.NewCond(&m.mu)
		}
		m.room.Wait()
	}
	m.user = append(m.user, message)
	m.scheduleLocked()
}

// PostSystemMessage adds a message of the actor system. These are never
// bounded: there are a handful in an actor's life.
func (m *mailbox) PostSystemMessage(message any) {
	m.mu.Lock()
	m.system = append(m.system, message)
	m.scheduleLocked()
}

// scheduleLocked unlocks and starts processing unless it goes on already.
func (m *mailbox) scheduleLocked() {
	start := !m.running
	m.running = true
	m.mu.Unlock()
	if start {
		m.dispatcher.Schedule(m.run)
	}
}

// RegisterHandlers is called by the actor system before the first message.
func (m *mailbox) RegisterHandlers(invoker actor.MessageInvoker, dispatcher actor.Dispatcher) {
	m.invoker, m.dispatcher = invoker, dispatcher
}

// Start is part of the library's interface.
func (m *mailbox) Start() {}

// UserMessageCount returns the number of waiting messages.
func (m *mailbox) UserMessageCount() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.user)
}

// process handles messages until none is left.
func (m *mailbox) process() {
	for m.step() {
	}
}

// next takes the message to handle; none left ends the run.
func (m *mailbox) next() (message any, user, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := len(m.system); n > 0 {
		message = m.system[0]
		m.system = append(m.system[:0], m.system[1:]...)
		if n == 1 {
			m.system = nil // system messages are rare; give the memory back
		}
		return message, false, true
	}
	if m.suspended || len(m.user) == 0 {
		m.running = false
		return nil, false, false
	}
	message = m.user[0]
	copy(m.user, m.user[1:])
	m.user[len(m.user)-1] = nil
	m.user = m.user[:len(m.user)-1]
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
				m.user = append([]any{message}, m.user...)
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
