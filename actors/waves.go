package actors

import (
	"cmp"
	"slices"

	"edged"
)

// An epoch in which some pipelines take the results of others is processed in
// waves, one per stage. The first wave is the turns of the keys that take
// messages. When all of them are done, what they made for the next stage is
// written into the records that caused it and becomes the turns of the second
// wave, and so on. Only then is the epoch committed. So what flows from one
// pipeline to the next is journaled in the commit of the record it came from, and
// recovery needs no results at all: it reads them.
//
// In the meantime the next epoch is filled, but not closed. Keys of later stages
// are touched by waves only, never by what is filled: whatever a record means for
// them comes after what the records before it mean.

// startWaves sends the turns of the first stage off.
func (s *sequencer) startWaves(ep *epoch) {
	s.waving, s.wave = ep, 0
	s.e.dispatch(ep, 0, s.spawn)
}

// waveDone is signalled when the running wave is processed; nil when there is none.
func (s *sequencer) waveDone() <-chan struct{} {
	if s.waving == nil {
		return nil
	}
	return s.waving.processed
}

// nextWave turns what the last wave made into the next one. The last wave of an
// epoch is awaited by the committer.
func (s *sequencer) nextWave() {
	ep := s.waving
	s.gather(ep)
	s.wave++
	for i := range ep.records {
		rec := &ep.records[i]
		s.offerDerived(ep, rec, s.wave)
		if rec.Kind == edged.TickRecord && !ep.ends {
			s.wake(ep, rec, s.wave)
		}
	}
	if ep.ends {
		s.endStage(ep, s.wave)
	}
	last := s.wave == len(s.stages)-1
	if last {
		s.waving = nil
		if s.sweep.waiting {
			s.sweep.collect(s.routers)
		}
		s.count()
	}
	s.e.dispatch(ep, s.wave, s.spawn)
	if last {
		s.e.closed <- ep
	}
}

// gather writes the results of the wave that is done into the records that
// caused them, in the order of the rows.
func (s *sequencer) gather(ep *epoch) {
	results := s.flowing[:0]
	for i := range ep.turns {
		t := &ep.turns[i]
		if t.ref.router.stage != s.wave || !t.ref.router.flows || t.out == nil {
			continue
		}
		results = t.appendCaused(results)
	}
	sortCaused(results)
	var body []byte
	var rec *edged.Record
	before := ""
	for _, r := range results {
		p := r.turn.ref.router.pipeline
		if body = p.AppendDerived(body[:0], r.result); len(body) == 0 {
			continue
		}
		if at := &ep.records[r.seq-ep.records[0].Seq]; at != rec {
			rec, before = at, ""
		}
		was := len(rec.Derived)
		rec.Derived = appendDerived(rec.Derived, before, p.Name(), body)
		before = p.Name()
		ep.derived += len(rec.Derived) - was
		s.e.stats.Derived.Add(1)
	}
	clear(results)
	s.flowing = results[:0]
}

// offerDerived adds what earlier stages made of a record to the turns of the keys
// of a stage.
func (s *sequencer) offerDerived(ep *epoch, rec *edged.Record, stage int) {
	if len(rec.Derived) == 0 {
		return
	}
	for d := (derivedReader{rest: rec.Derived}); ; {
		name, body, ok := d.next()
		if !ok {
			return
		}
		for _, r := range s.stages[stage] {
			if r.upstream == string(name) && !r.hold.held() {
				s.offerResult(ep, r, rec, body)
			}
		}
	}
}

// caused is a result with the record and the entry that caused it.
type caused struct {
	seq    edged.Seq
	entry  int32
	turn   *turn
	result *edged.Result
}

// appendCaused appends the results of a turn.
func (t *turn) appendCaused(results []caused) []caused {
	for i := range t.out.Results {
		at := t.marks[i]
		results = append(results, caused{seq: t.epoch.entries[at].event.Seq, entry: at, turn: t, result: &t.out.Results[i]})
	}
	return results
}

// sortCaused sorts by records, and within a record by entries, which come stage by
// stage. So the order does not depend on where epochs begin and end.
func sortCaused(results []caused) {
	slices.SortStableFunc(results, func(a, b caused) int {
		return cmp.Or(cmp.Compare(a.seq, b.seq), cmp.Compare(a.entry, b.entry))
	})
}
