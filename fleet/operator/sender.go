package operator

import (
	"cmp"
	"fmt"
	"slices"

	"edged/fleet/protocol"
)

// OrdersMax is how many commands a [Sender] follows at a time.
const OrdersMax = GatewaysMax

// The pauses before the same bytes are published again, in milliseconds: from
// ResendMin doubling to ResendMax. Once a command is accepted, its answer is asked
// for at ResendMax only: the gateway then has it, whatever happens.
const (
	ResendMin = 1_000
	ResendMax = 60_000
)

// Order is a signed command on its way to one gateway. Orders of a group have one id,
// topic and data.
type Order struct {
	ID      protocol.ID
	Gateway string
	Topic   string
	Data    []byte // what is published, the same each time
	Until   int64  // when to give up
}

// Outcome is how far an order has come.
type Outcome struct {
	Order
	Sent   int              // how often it was published
	Answer *protocol.Answer // the one that says most; nil: none
	Denied *protocol.Answer // the last denial; it says nothing final
	Over   bool             // the answer is final, or the time is over
}

// Sender follows commands until they are answered.
type Sender struct {
	flights map[flightKey]*flight
	order   []*flight
}

// flightKey names an order.
type flightKey struct {
	id      protocol.ID
	gateway string
}

// flight is an order with its timer.
type flight struct {
	Outcome
	next  int64 // when to publish it again
	pause int64
}

// NewSender returns a sender without orders.
func NewSender() *Sender { return &Sender{flights: map[flightKey]*flight{}} }

// Add takes an order; the next Step publishes it.
func (s *Sender) Add(o Order) error {
	if len(s.flights) >= OrdersMax {
		return fmt.Errorf("%w: more than %d commands at a time", ErrLimit, OrdersMax)
	}
	if s.Follows(o.ID, o.Gateway) {
		return fmt.Errorf("operator: command %s to %s is followed already", o.ID, o.Gateway)
	}
	f := &flight{Outcome: Outcome{Order: o}, pause: ResendMin}
	s.flights[flightKey{o.ID, o.Gateway}] = f
	s.order = append(s.order, f)
	return nil
}

// Follows reports whether a command to a gateway is followed.
func (s *Sender) Follows(id protocol.ID, gateway string) bool {
	return s.flights[flightKey{id, gateway}] != nil
}

// Observe takes an answer into account and reports whether it says something new.
// Answers to commands that are not followed, or of other gateways, are not.
func (s *Sender) Observe(a protocol.Answer, now int64) (Outcome, bool) {
	f := s.flights[flightKey{a.ID, a.Gateway}]
	if f == nil || f.Over {
		return Outcome{}, false
	}
	if a.Status == protocol.StatusDenied {
		repeated := f.Denied != nil && f.Denied.Code == a.Code && f.Denied.Message == a.Message
		f.Denied = &a
		return f.Outcome, !repeated
	}
	if f.Answer != nil && !a.Behind(*f.Answer) {
		return f.Outcome, false
	}
	f.Answer, f.Over = &a, a.Final
	f.pause, f.next = ResendMax, now+ResendMax
	return f.Outcome, true
}

// Hurry publishes what is open for a gateway with the next Step: it has just come
// online.
func (s *Sender) Hurry(gateway string) {
	for _, f := range s.order {
		if f.Gateway == gateway && !f.Over {
			f.next, f.pause = 0, ResendMin
		}
	}
}

// Step returns what is to be published now, each topic once, and the orders whose time
// is over since the last step.
func (s *Sender) Step(now int64) (publish []Order, late []Outcome) {
	topics := map[string]bool{}
	for _, f := range s.order {
		switch {
		case f.Over:
		case now >= f.Until:
			f.Over = true
			late = append(late, f.Outcome)
		case now >= f.next:
			f.Sent++
			f.next, f.pause = now+f.pause, min(2*f.pause, ResendMax)
			if !topics[f.Topic] {
				topics[f.Topic] = true
				publish = append(publish, f.Order)
			}
		}
	}
	return publish, late
}

// Failed says that an order could not be handed to the broker: it is published with
// the next step.
func (s *Sender) Failed(id protocol.ID) {
	for _, f := range s.order {
		if f.ID == id {
			f.next = 0
		}
	}
}

// Open returns how many orders are not over.
func (s *Sender) Open() (n int) {
	for _, f := range s.order {
		if !f.Over {
			n++
		}
	}
	return n
}

// Outcomes returns all orders, by gateway.
func (s *Sender) Outcomes() []Outcome {
	all := make([]Outcome, 0, len(s.order))
	for _, f := range s.order {
		all = append(all, f.Outcome)
	}
	slices.SortStableFunc(all, func(a, b Outcome) int { return cmp.Compare(a.Gateway, b.Gateway) })
	return all
}
