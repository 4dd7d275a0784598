package actors

import (
	"slices"
	"testing"
	"testing/synctest"

	"github.com/asynkron/protoactor-go/actor"
)

// recorder is an actor that notes what it gets, and fails on what is bad.
type recorder struct {
	got      []any
	bad      any
	failures int
}

func (r *recorder) InvokeUserMessage(m any) {
	if m == r.bad {
		panic("bad message")
	}
	r.got = append(r.got, m)
}
func (r *recorder) InvokeSystemMessage(m any) { r.got = append(r.got, m) }
func (r *recorder) EscalateFailure(_, _ any)  { r.failures++ }
func (r *recorder) box(capacity uint16) *mailbox {
	m := newMailbox(capacity, true)().(*mailbox)
	m.RegisterHandlers(r, newDispatcher(0)) // nobody serves: the test takes the steps
	return m
}

// TestMailboxModel compares a mailbox with two plain queues: the system's
// messages come first, and a message whose processing failed stays in front.
func TestMailboxModel(t *testing.T) {
	rng := newRand(t)
	for range 300 {
		r := &recorder{}
		m := r.box(1000)
		var system, user, want []any
		suspended := false
		for n := range 100 {
			switch op := rng.IntN(8); {
			case op < 2:
				m.PostUserMessage(n)
				user = append(user, n)
			case op == 2:
				m.PostSystemMessage(-n)
				system = append(system, -n)
			case op == 3 && suspended:
				m.PostSystemMessage(&actor.ResumeMailbox{})
				system = append(system, true)
			case op == 3:
				m.PostSystemMessage(&actor.SuspendMailbox{})
				system = append(system, false)
			default:
				r.bad = nil
				if op == 4 && len(user) > 0 {
					r.bad = user[0]
				}
				more := m.step()
				switch {
				case len(system) > 0:
					if resumed, ok := system[0].(bool); ok {
						suspended = !resumed
					} else {
						want = append(want, system[0])
					}
					system = system[1:]
				case suspended || len(user) == 0:
					if more {
						t.Fatal("a mailbox with nothing to do goes on")
					}
				case r.bad == nil:
					want, user = append(want, user[0]), user[1:]
				}
			}
			if m.UserMessageCount() != len(user) || !slices.Equal(r.got, want) {
				t.Fatalf("got %v and %d waiting, want %v and %d", r.got, m.UserMessageCount(), want, len(user))
			}
		}
	}
}

// TestMailboxParks checks that a sender waits while the mailbox is full, and
// that a message of the system passes it.
func TestMailboxParks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		m := r.box(2)
		m.PostUserMessage(1)
		m.PostUserMessage(2)
		sent := false
		go func() {
			m.PostUserMessage(3)
			sent = true
		}()
		synctest.Wait()
		m.PostSystemMessage(-1)
		m.step()
		synctest.Wait()
		if sent {
			t.Fatal("a full mailbox took a message")
		}
		m.process()
		synctest.Wait()
		if m.process(); !sent || !slices.Equal(r.got, []any{-1, 1, 2, 3}) {
			t.Errorf("sent %v, got %v", sent, r.got)
		}
	})
}
