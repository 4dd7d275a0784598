package actors

import (
	"slices"

	"edged"
)

// rebuild replays the journal between the snapshot and the turn's epoch. A
// snapshot older than the journal is of a key that had no event in between.
func (k *keyActor) rebuild(t *turn, snap *edged.Snapshot, found bool) error {
	before := edged.Seq(0)
	if t.first != none {
		before = t.epoch.records[0].Seq
	}
	r := t.ref.router
	floor := k.keys.store.Position().Floor
	h := history{key: k, name: t.ref.key, router: r, pipeline: r.pipeline.Clone(), floor: floor, known: found, rung: r.all()}
	if found {
		h.active = snap.Active
		h.rung, h.beats = r.recall(snap)
	}
	from := max(k.applied, floor)
	if k.keys.looksBack.Load() {
		from = floor // what holds of then may have been journaled before the snapshot
	}
	return k.keys.store.Replay(from, func(rec *edged.Record) error {
		if before == 0 || rec.Seq < before {
			h.fold(rec)
		}
		return nil
	})
}

// history gives one key what a journal holds for it: the same events and ticks
// that the sequencer gave it.
type history struct {
	key      *keyActor
	name     string
	router   *router
	pipeline Pipeline
	floor    edged.Seq // where the journal begins
	event    edged.Event
	out      edged.Output
	expected expectation
	held     bool

	known  bool            // there was an event or a snapshot
	active edged.Timestamp // of the last event
	rung   uint16          // how many silences were noticed since; all: it waits for none
	beats  bool            // there was no tick since that came later than the pulse
}

// fold folds one record into the key's task.
func (h *history) fold(rec *edged.Record) {
	k := h.key
	if rec.Kind == edged.TableRecord || rec.Kind == edged.KeptRecord {
		h.pipeline.SetTable(rec.Topic, rec.Payload)
		if rec.Seq <= h.router.since {
			return
		}
		news, gone := h.expected.replace(rec.Topic, h.pipeline.Expected(rec.Topic))
		if !h.router.told(rec, h.floor) {
			h.expect(rec, slices.Contains(news, h.name), slices.Contains(gone, h.name))
		}
		return
	}
	if rec.Kind == edged.HoldRecord && rec.For == h.pipeline.Name() && rec.Seq > h.router.since {
		standing, drained := standingOf(rec)
		h.held = standing != Flowing
		h.drain(rec, drained)
	}
	if rec.Seq <= k.applied || rec.Seq <= h.router.since {
		return
	}
	h.out.Reset()
	switch {
	case rec.Kind == edged.AgainRecord && rec.For == h.pipeline.Name() && rec.Topic == "":
		keep, poison := h.pipeline.Derive(h.blank(rec), rec.Payload)
		h.take(rec, keep && poison == nil)
	case h.messages(rec):
		keep, poison := h.pipeline.Decode(h.blank(rec), rec.Topic, rec.Payload)
		h.take(rec, keep && poison == nil)
	}
	for d := (derivedReader{rest: rec.Derived}); h.router.upstream != "" && !h.held; {
		name, body, ok := d.next()
		if !ok {
			break
		}
		if string(name) == h.router.upstream {
			keep, poison := h.pipeline.Derive(h.blank(rec), body)
			h.take(rec, keep && poison == nil)
		}
	}
	if rec.Kind == edged.TickRecord && !h.held {
		h.tick(rec)
	}
	k.applied = rec.Seq
}

// messages reports whether a record is a message for the pipeline.
func (h *history) messages(rec *edged.Record) bool {
	switch {
	case rec.Kind == edged.AgainRecord && rec.For != "":
		return rec.For == h.pipeline.Name()
	case rec.Kind == edged.AgainRecord || rec.Kind == edged.MessageRecord:
		return h.router.upstream == "" && !h.held && h.pipeline.Accepts(rec.Topic)
	}
	return false
}

// drain is what sequencer.setHold is to a live key.
func (h *history) drain(rec *edged.Record, drained bool) {
	if !drained || !h.known || rec.Seq <= h.key.applied {
		return
	}
	if !h.key.keys.skips.has(skip{pipeline: h.pipeline.Name(), key: h.name, seq: rec.Seq, tick: true}) {
		h.key.task.Drain(&h.out, rec.Seq, rec.Time)
	}
}

// blank returns the event to decode into.
func (h *history) blank(rec *edged.Record) *edged.Event {
	values := h.event.Values
	if values == nil {
		values = make([]edged.Value, 0, h.pipeline.Slots())
	}
	h.event = edged.Event{Arrival: rec.Arrival, Values: values[:0]}
	return &h.event
}

// take is what sequencer.admit is to a live event.
func (h *history) take(rec *edged.Record, keep bool) {
	if !keep || h.event.Key != h.name {
		return
	}
	h.known, h.active, h.rung, h.beats = true, rec.Time, 0, true
	if h.key.keys.skips.has(skip{pipeline: h.pipeline.Name(), key: h.name, seq: rec.Seq}) {
		return
	}
	h.event.Seq = rec.Seq
	h.key.task.Observe(&h.out, &h.event, rec.Time)
}

// expect is what sequencer.expect is to a live key.
func (h *history) expect(rec *edged.Record, expected, retired bool) {
	if rec.Seq <= h.key.applied || !expected && !retired {
		return
	}
	h.known = true
	if expected && h.router.begins(rec, h.rung) {
		h.active, h.rung, h.beats = rec.Time, 0, true
	}
	if !h.key.keys.skips.has(skip{pipeline: h.pipeline.Name(), key: h.name, seq: rec.Seq, tick: true}) {
		h.key.task.Expect(&h.out, retired, rec.Seq, rec.Time)
	}
}

// tick is what router.wake is to a live key.
func (h *history) tick(rec *edged.Record) {
	r := h.router
	rung := passed(r.silences, h.rung, rec.Time.Sub(h.active))
	silent := rung > h.rung
	h.rung = rung
	beats := h.beats && r.every > 0
	h.beats = beats && r.beats(h.active, rec.Time)
	if !silent && !beats {
		return
	}
	if !h.key.keys.skips.has(skip{pipeline: h.pipeline.Name(), key: h.name, seq: rec.Seq, tick: true}) {
		h.key.task.Tick(&h.out, rec.Seq, rec.Time)
	}
}
