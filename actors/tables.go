package actors

import (
	"bytes"
	"context"
	"maps"
	"slices"

	"edged"
)

// LoadTable replaces the content of a reference table. It becomes a record of the
// journal: messages that are sequenced after it see it, also when they are
// replayed. LoadTable returns when it has its place, which is before it is
// durable, and waits while recovery runs. The same content again does nothing.
func (e *Engine) LoadTable(ctx context.Context, t Table) error {
	return hand(ctx, e, e.tables, t)
}

// tableInput is where the next table comes from; nil while one waits.
func (s *sequencer) tableInput() <-chan Table {
	if s.waits != nil || s.frozen() {
		return nil
	}
	return s.e.tables
}

// begin lets a table in that waits, or lets a pipeline change its standing. Where
// pipelines take the results of others, that must be the first record of an epoch with
// nothing before it on its way: what is derived from earlier records comes after these,
// and must not see it.
func (s *sequencer) begin() {
	if s.waits == nil && len(s.turning) == 0 || s.frozen() || !s.fresh() {
		return
	}
	if s.waits == nil {
		s.turns()
		return
	}
	t := *s.waits
	s.waits = nil
	s.load(t)
}

// fresh reports whether the next record is the first of an epoch, as far as that matters.
func (s *sequencer) fresh() bool {
	return len(s.stages) == 1 || s.waving == nil && len(s.open.records) == 0
}

// restates has what later records refer to journaled again: the journal will be cut here.
func (s *sequencer) restates() {
	s.restate = len(s.tables) > 0 || slices.ContainsFunc(s.routers, func(r *router) bool { return r.hold.held() })
}

// restated does that, if it is due.
func (s *sequencer) restated() {
	if !s.restate {
		return
	}
	s.restate = false
	for _, name := range slices.Sorted(maps.Keys(s.tables)) {
		// Also the one that the next record replaces: what it said tells which keys are retired.
		s.enter(&edged.Record{Kind: edged.KeptRecord, Time: s.clock.now, Topic: name, Payload: s.tables[name]})
	}
	for _, r := range s.routers {
		if r.hold.held() {
			s.enter(s.stands(r, r.hold.standing))
		}
	}
}

// load journals a table if its content is new.
func (s *sequencer) load(t Table) {
	if s.over || s.holds(t.Name, t.Content) && !s.unexpected(t.Name) {
		return
	}
	s.record(&edged.Record{Kind: edged.TableRecord, Time: s.clock.now, Topic: t.Name, Payload: t.Content})
}

func (s *sequencer) holds(name string, content []byte) bool {
	known, ok := s.tables[name]
	return ok && bytes.Equal(known, content)
}

// setTable hands the table of a record to the pipelines, and tells the keys that it
// expects to have events, unless the epoch is nil: they know then.
func (s *sequencer) setTable(ep *epoch, rec *edged.Record) {
	if !s.holds(rec.Topic, rec.Payload) { // otherwise it was only journaled again
		if s.tables == nil {
			s.tables = map[string][]byte{}
		}
		s.tables[rec.Topic] = rec.Payload
		s.e.keys.looksBack.Store(true)
		for _, r := range s.routers {
			r.pipeline.SetTable(rec.Topic, rec.Payload)
		}
	}
	for _, r := range s.routers {
		if rec.Seq <= r.since {
			continue
		}
		news, gone := r.expected.replace(rec.Topic, r.pipeline.Expected(rec.Topic))
		if ep == nil || r.told(rec, s.floor) {
			continue
		}
		s.expect(ep, r, rec, news, expectEntry)
		s.expect(ep, r, rec, gone, retireEntry)
	}
}

// told reports whether the keys of a pipeline know what a record says of a table: it says
// so once more, and they were told before floor, where the journal begins.
func (r *router) told(rec *edged.Record, floor edged.Seq) bool {
	return rec.Kind == edged.KeptRecord && r.since < floor
}

// expect tells keys that they are to have events, or not any more.
func (s *sequencer) expect(ep *epoch, r *router, rec *edged.Record, keys []string, kind entryKind) {
	for _, key := range keys {
		ref := s.refOf(r, key, ep.replay || kind == retireEntry)
		if ref.changed = 2; kind == expectEntry && r.begins(rec, ref.rung) {
			r.touch(ref, rec.Seq, rec.Time)
		}
		s.add(ep, ref, entry{event: edged.Event{Seq: rec.Seq}, time: rec.Time, kind: kind})
	}
}

// expectation is the keys of one pipeline that are to have events, by the table that
// says so.
type expectation map[string][]string

// replace takes what a table says now, and returns, in order, the keys that are new
// in it and those that are not in it any more.
func (e *expectation) replace(table string, keys []string) (news, gone []string) {
	before := (*e)[table]
	if len(keys) == 0 && len(before) == 0 {
		return nil, nil
	}
	if *e == nil {
		*e = expectation{}
	}
	now := slices.Clone(keys)
	slices.Sort(now)
	now = slices.Compact(now)
	(*e)[table] = now
	return missing(now, before), missing(before, now)
}

// missing returns what is in one sorted list and not in the other.
func missing(keys, from []string) (rest []string) {
	for _, key := range keys {
		if _, found := slices.BinarySearch(from, key); !found {
			rest = append(rest, key)
		}
	}
	return rest
}

// unexpected reports whether a pipeline has not told its keys what a table says: it
// came when the table was journaled already.
func (s *sequencer) unexpected(table string) bool {
	return slices.ContainsFunc(s.routers, func(r *router) bool {
		return len(r.expected[table]) == 0 && len(r.pipeline.Expected(table)) > 0
	})
}

// keepTables forgets the tables that a configuration does not name: they are not carried
// along in the journal.
func (s *sequencer) keepTables(tables []Table) {
	maps.DeleteFunc(s.tables, func(name string, _ []byte) bool {
		return !slices.ContainsFunc(tables, func(t Table) bool { return t.Name == name })
	})
}

// startTables takes the tables of the configuration up after recovery. Tables
// that it does not name any more are not carried along. last is the start of the
// last complete sweep, where the journal will be cut.
func (s *sequencer) startTables(tables []Table, last edged.Seq) {
	s.keepTables(tables)
	if last == s.next-1 {
		s.restates()
	}
	for _, t := range tables {
		s.load(t)
	}
}
