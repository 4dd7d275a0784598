package actors

import (
	"errors"
	"slices"
	"time"

	"edged"
)

// How the journal is read for a pipeline that is resuming.
const (
	// againScanMax and againBytesMax bound what is read at once: nothing is sequenced in
	// the meantime.
	againScanMax  = 4096
	againBytesMax = 256 << 10

	// againShare is the part of an epoch, in quarters, that what was missed may take while
	// there is input. It must be more than half, or it would never come to an end where
	// there is more input than can be taken.
	againShare = 3

	// joinEpochs is how many epochs may be left when the input must stand still for the
	// rest: where there is always more input, some are always on their way.
	joinEpochs = 4
)

// catchUp gives pipelines that are resuming what they have missed, until so many records
// of the open epoch are of that kind, or nothing is left of what is read at once. What came
// of one record comes in one epoch: how far a pipeline is, is said in whole records.
func (s *sequencer) catchUp(most int) {
	s.reads = false
	if !slices.ContainsFunc(s.routers, resuming) {
		return
	}
	for _, r := range s.routers {
		room := func() bool { return r.hold.standing == Resuming && !s.over && s.open.again < most && s.hasRoom() }
		if room() && len(r.hold.ahead) == 0 && s.readAhead(r) {
			s.reads = true // there may be nothing for it in there, and more behind
		}
		for room() && len(r.hold.ahead) > 0 {
			s.takeAhead(r)
		}
	}
	s.count()
}

func resuming(r *router) bool { return r.hold.standing == Resuming }

// takeAhead sequences what came of the next record that was read.
func (s *sequencer) takeAhead(r *router) {
	if s.open.idle() {
		s.opened = time.Now()
	}
	h := &r.hold
	for of := edged.Seq(0); len(h.ahead) > 0 && (of == 0 || h.ahead[0].Of == of); h.ahead = h.ahead[1:] {
		rec := h.ahead[0]
		of = rec.Of
		rec.Time = s.clock.now
		s.record(&rec)
		s.open.again++
	}
}

// readAhead reads on in the journal, and reports whether it has read anything. What is
// not committed is not in the journal.
func (s *sequencer) readAhead(r *router) bool {
	h := &r.hold
	h.read = max(h.read, h.upTo)
	from, bytes := h.read, 0
	err := s.e.store.Replay(from, func(rec *edged.Record) error {
		was := len(h.ahead)
		h.ahead = r.missed(h.ahead, rec)
		for _, one := range h.ahead[was:] {
			bytes += len(one.Topic) + len(one.Payload)
		}
		if h.read = rec.Seq; h.read-from >= againScanMax || bytes >= againBytesMax {
			return errReadEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errReadEnough) {
		s.spoilt(r, err)
		return false
	}
	return h.read > from
}

var errReadEnough = errors.New("enough is read")

// missed appends what a record was to a pipeline.
func (r *router) missed(to []edged.Record, rec *edged.Record) []edged.Record {
	one := edged.Record{Kind: edged.AgainRecord, For: r.pipeline.Name(), Of: rec.Seq, Arrival: rec.Arrival}
	message := rec.Kind == edged.MessageRecord || rec.Kind == edged.AgainRecord && rec.For == ""
	if message && r.upstream == "" && r.pipeline.Accepts(rec.Topic) {
		one.Topic, one.Payload = rec.Topic, rec.Payload
		to = append(to, one)
	}
	for d := (derivedReader{rest: rec.Derived}); r.upstream != ""; {
		name, body, ok := d.next()
		if !ok {
			break
		}
		if string(name) == r.upstream {
			one.Payload = body
			to = append(to, one)
		}
	}
	return to
}

// spoilt holds a pipeline again because the journal cannot be read. To end the run would
// not help: the next one would come to the same place.
func (s *sequencer) spoilt(r *router, err error) {
	st := s.e.stats.Pipelines()[r.index]
	text := err.Error()
	st.spoilt.Store(&text)
	s.cfg.Logger.Error("a pipeline that was to go on is held, because what it has missed cannot be read", "pipeline", r.pipeline.Name(), "err", err)
	r.hold.ahead, r.hold.read = nil, 0
	s.turning = append(s.turning, turning{pipeline: r.pipeline.Name(), standing: Held})
}

// join lets pipelines go on that have had nearly all that they have missed. The input
// stands still until nothing is on its way any more, for that is in no journal; then what
// is left is sequenced, and when nothing is, they are told so. It reports whether there is
// something to do at once.
func (s *sequencer) join() (again bool) {
	if s.over || s.frozen() || !slices.ContainsFunc(s.routers, resuming) {
		s.joins = false
		return false
	}
	if !s.joins {
		committed, left := s.e.store.Position().Seq, joinEpochs*s.cfg.EpochEventsMax
		behind := func(r *router) bool {
			return resuming(r) && (len(r.hold.ahead) > left || max(r.hold.read, r.hold.upTo)+edged.Seq(left) < committed)
		}
		s.joins = !slices.ContainsFunc(s.routers, behind)
	}
	if !s.joins || s.inFlight > 0 || s.waving != nil || len(s.open.records) > 0 {
		return false
	}
	return s.joined()
}

// joined takes the last step of join: nothing is on its way.
func (s *sequencer) joined() (again bool) {
	for _, r := range s.routers {
		if r.hold.standing != Resuming {
			continue
		}
		for len(r.hold.ahead) > 0 || s.readAhead(r) {
			s.takeAhead(r)
		}
	}
	s.count()
	if len(s.open.records) > 0 || len(s.turning) > 0 {
		return false
	}
	for _, r := range s.routers { // together: none may say anything that another one misses
		if r.hold.standing == Resuming {
			s.record(s.stands(r, Flowing))
		}
	}
	s.joins = false
	return true
}
