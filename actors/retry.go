package actors

import (
	"context"
	"time"

	"edged"
)

// Retry is a dead letter whose message is to be taken once more.
type Retry struct {
	Letter   uint64    // see edged.DeadLetter
	Of       edged.Seq // the record that it was
	Pipeline string    // that alone takes it; "" for all that take its topic
	Topic    string
	Payload  []byte
	Arrival  edged.Timestamp
}

// Retried tells what became of retries.
type Retried struct {
	First, Last edged.Seq // the records that they are now; 0 when there are none
	Taken       int
	Held        int // not taken, because their pipelines are held
	Gone        int // not taken, because their pipelines do not run, or do not take messages
}

// retrying is a request of Retry on its way.
type retrying struct {
	all    []Retry
	result chan retried
}

type retried struct {
	Retried
	epoch uint64 // that has them
}

// Retry has messages that became dead letters taken once more, after everything that has
// come. The letters are letters no more from the commit on that has the messages, so
// none is retried twice. One that cannot be taken again makes another letter. It returns
// when that is durable.
func (e *Engine) Retry(ctx context.Context, all []Retry) (Retried, error) {
	w := retrying{all: all, result: make(chan retried, 1)}
	if err := e.ask(ctx, func(s *sequencer) { s.retrying = append(s.retrying, w) }); err != nil {
		return Retried{}, err
	}
	r, err := answer(e, w.result)
	if err == nil && r.Taken > 0 {
		err = e.done.await(r.epoch)
	}
	return r.Retried, err
}

// retry sequences what is to be retried.
func (s *sequencer) retry() {
	for len(s.retrying) > 0 && s.hasRoom() {
		w := s.retrying[0]
		s.retrying = s.retrying[1:]
		r := retried{epoch: s.open.number}
		for i := range w.all {
			s.retryOne(&w.all[i], &r.Retried)
		}
		s.count()
		w.result <- r
	}
}

func (s *sequencer) retryOne(one *Retry, r *Retried) {
	if one.Pipeline != "" {
		switch to := s.routerOf(one.Pipeline); {
		case to == nil || to.muted || to.upstream != "":
			r.Gone++
			return
		case to.hold.held():
			r.Held++
			return
		}
	}
	if s.open.idle() {
		s.opened = time.Now()
	}
	rec := edged.Record{
		Kind: edged.AgainRecord, Time: s.clock.now, Arrival: one.Arrival, Topic: one.Topic, Payload: one.Payload, For: one.Pipeline, Of: one.Of,
	}
	s.record(&rec)
	s.open.retried = append(s.open.retried, one.Letter)
	if r.Taken++; r.First == 0 {
		r.First = rec.Seq
	}
	r.Last = rec.Seq
}
