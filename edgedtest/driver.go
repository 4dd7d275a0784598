package edgedtest

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"edged"
	"edged/query"
)

// errFiltered says that the filter of a pipeline does not keep an event.
var errFiltered = query.ErrFiltered

// Counts are what results do not show, since the driver was made.
type Counts struct {
	Events      int // taken by a pipeline; an event that two take counts twice
	Filtered    int // not kept by a filter
	DeadLetters int
	Duplicates  int
	Late        int // too late for all their windows
	Overflow    int // refused by a limit
	Unassigned  int // in no window
	Suppressed  int // kept back by a change detector
	Ahead       int // ahead of the gateway's clock
	Historical  int // taken by the backlog's windows
}

// Driver runs pipelines step by step. [Open] makes one. It is not safe for
// concurrent use.
type Driver struct {
	pipelines []*pipeline
	now       edged.Timestamp
	seq       edged.Seq
	steps     int
	ended     bool
	counts    Counts

	out     edged.Output
	results []Result  // of the step
	flow    []derived // on its way to the next stage
}

// derived is a result of a pipeline as others take it.
type derived struct {
	from    string
	data    []byte
	arrival edged.Timestamp // of the event that it came of
}

// newDriver puts units in stages. Their order stays.
func newDriver(units []unit) (*Driver, error) {
	d := &Driver{}
	byName := map[string]unit{}
	for _, u := range units {
		if byName[u.Name()] != nil {
			return nil, fmt.Errorf("two pipelines are called %q; give each a name of its own", u.Name())
		}
		byName[u.Name()] = u
	}
	for _, u := range units {
		p := &pipeline{unit: u, tasks: map[string]task{}, told: edged.MinTimestamp}
		for up := u.Upstream(); up != ""; up = byName[up].Upstream() {
			if byName[up] == nil {
				return nil, fmt.Errorf("pipeline %s takes the results of %q, which is not among the pipelines", u.Name(), up)
			}
			if p.stage++; p.stage > len(units) {
				return nil, fmt.Errorf("pipeline %s takes its own results, by way of others; take one of the source.pipeline members out", u.Name())
			}
		}
		d.pipelines = append(d.pipelines, p)
	}
	for _, p := range d.pipelines {
		if name, content, ok := p.OwnTable(); ok {
			if err := d.Table(name, content); err != nil {
				return nil, err
			}
		}
	}
	return d, nil
}

// Steps returns how many steps were carried out.
func (d *Driver) Steps() int { return d.steps }

// Counts returns what results do not show.
func (d *Driver) Counts() Counts { return d.counts }

// Event tells every pipeline that takes it an event.
func (d *Driver) Event(e Event) ([]Result, error) { return d.Bundle(e) }

// Bundle tells several events as one step. They are taken one after the other, as
// if each were a step.
func (d *Driver) Bundle(events ...Event) ([]Result, error) {
	if d.ended {
		return nil, errors.New("the input has ended; no event can come after that")
	}
	var all [][]offer
	for i := range events {
		offers, err := d.offers(&events[i])
		if err != nil {
			return nil, err
		}
		all = append(all, offers)
	}
	for _, offers := range all {
		d.seq++
		for i := range offers {
			d.take(&offers[i])
		}
		d.settle()
	}
	return d.finish(), nil
}

// offer is what one pipeline makes of an event.
type offer struct {
	pipeline *pipeline
	event    edged.Event
	err      error // nil, errFiltered or an *edged.PoisonError
}

// offers finds out which pipelines take an event, and what they make of it.
func (d *Driver) offers(e *Event) ([]offer, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	var list []offer
	for _, p := range d.pipelines {
		stream := p.streamOf(e.Stream)
		if stream < 0 {
			continue
		}
		o := offer{pipeline: p, event: edged.Event{Key: e.Key, EventTime: e.Time, Arrival: e.Arrival, Stream: uint8(stream)}}
		err := p.Fill(&o.event, e, stream)
		var poison *edged.PoisonError
		if err != nil && !errors.Is(err, errFiltered) && !errors.As(err, &poison) {
			return nil, fmt.Errorf("event: pipeline %s: %w", p.Name(), err)
		}
		o.err = err
		list = append(list, o)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("event: no pipeline takes events of the stream %q; %s", e.Stream, d.streamsHint())
	}
	return list, d.checkFields(e, list)
}

// streamOf returns the number of the stream that an event for stream belongs to,
// and -1 when the pipeline does not take it.
func (p *pipeline) streamOf(stream string) int {
	if p.Upstream() != "" {
		return -1
	}
	if len(p.Streams()) == 0 && (stream == "" || stream == p.Name()) {
		return 0
	}
	return p.Stream(stream)
}

func (d *Driver) streamsHint() string {
	var names []string
	for _, p := range d.pipelines {
		if p.Upstream() == "" {
			names = append(names, p.Streams()...)
			if len(p.Streams()) == 0 {
				names = append(names, p.Name())
			}
		}
	}
	return "give it the member stream, one of " + strings.Join(names, ", ")
}

// checkFields refuses a field that no pipeline knows: it would be a slip.
func (d *Driver) checkFields(e *Event, list []offer) error {
	var known []string
	for i := range list {
		known = append(known, list[i].pipeline.Fields(int(list[i].event.Stream))...)
	}
	for _, f := range e.Fields {
		if !slices.Contains(known, f.Name) && !isReserved(f.Name) {
			slices.Sort(known)
			known = slices.Compact(known)
			return fmt.Errorf("event: there is no field %q%s", f.Name, because(query.Suggest(f.Name, known), "the fields are "+strings.Join(known, ", ")))
		}
	}
	return nil
}

// take folds an offer into the task of its key.
func (d *Driver) take(o *offer) {
	var poison *edged.PoisonError
	switch {
	case errors.Is(o.err, errFiltered):
		d.counts.Filtered++
		return
	case o.err != nil:
		if !errors.As(o.err, &poison) {
			poison = &edged.PoisonError{Cause: "derived", Detail: o.err.Error()}
		}
		d.counts.DeadLetters++
		d.results = append(d.results, Result{
			Step: d.steps, Kind: DeadLetter, Pipeline: o.pipeline.Name(), Key: o.event.Key,
			Time: o.event.EventTime, Reason: poison.Cause, Detail: poison.Detail,
		})
		return
	}
	d.counts.Events++
	o.event.Seq = d.seq
	d.turn(o.pipeline, o.event.Key, &o.event, func(t task) { t.Observe(&d.out, &o.event, d.now) })
}

// Watermark tells all keys of the pipelines with a manual watermark, now and
// later, that no event before to is expected any more. It never moves back.
func (d *Driver) Watermark(to edged.Timestamp) ([]Result, error) {
	if !slices.ContainsFunc(d.pipelines, func(p *pipeline) bool { return p.Manual() }) {
		return nil, errors.New("watermark: no pipeline lets it be told; write watermark: {type: manual} in the document")
	}
	d.seq++
	d.stages(func(p *pipeline) {
		if p.Manual() {
			p.told = max(p.told, to)
			d.all(p, func(t task) { t.Advance(&d.out, to, d.seq, d.now) })
		}
	})
	return d.finish(), nil
}

// ProcessingTime tells all keys that our clock has come to now.
func (d *Driver) ProcessingTime(now edged.Timestamp) ([]Result, error) {
	if now < d.now {
		return nil, fmt.Errorf("processing_time: %d is before %d, where it is; it never moves back", now, d.now)
	}
	d.now = now
	d.seq++
	d.stages(func(p *pipeline) { d.all(p, func(t task) { t.Tick(&d.out, d.seq, now) }) })
	return d.finish(), nil
}

// Idle tells that a source has fallen silent: time does not wait for it until it
// speaks again. A source is a stream of a join, a value of the field that
// watermark.per names, or a member of a group; where a key has one source only, it
// is the key, and its windows close.
func (d *Driver) Idle(source string) ([]Result, error) {
	return d.source(source, func(t task) { t.SourceIdle(&d.out, source, d.seq, d.now) }), nil
}

// Active tells that a source is back, or is to be waited for from now on.
func (d *Driver) Active(source string) ([]Result, error) {
	return d.source(source, func(t task) { t.SourceActive(&d.out, source, d.seq, d.now) }), nil
}

func (d *Driver) source(source string, tell func(t task)) []Result {
	d.seq++
	d.stages(func(p *pipeline) {
		switch {
		case p.Sources():
			d.all(p, tell)
		case p.tasks[source] != nil:
			d.turn(p, source, nil, tell)
		}
	})
	return d.finish()
}

// End tells all keys that their input has ended. Later stages end after what the
// end of the earlier ones gave them.
func (d *Driver) End() ([]Result, error) {
	if d.ended {
		return nil, errors.New("end: the input has ended before")
	}
	d.ended = true
	d.seq++
	d.stages(func(p *pipeline) { d.all(p, func(t task) { t.End(&d.out, d.seq, d.now) }) })
	return d.finish(), nil
}

// Table replaces the content of a reference table, now and for all that follows.
// It is no step: what keys say that are not expected any more appears in the next one.
func (d *Driver) Table(name string, content []byte) error {
	for _, p := range d.pipelines {
		before := p.Expected(name)
		if err := p.SetTable(name, content); err != nil {
			return fmt.Errorf("table %s for pipeline %s: %w", name, p.Name(), err)
		}
		d.seq++
		d.expect(p, p.Expected(name), before, false)
		d.expect(p, before, p.Expected(name), true)
	}
	return nil
}

// expect tells the keys that are in one list and not in the other.
func (d *Driver) expect(p *pipeline, keys, not []string, retired bool) {
	for _, key := range keys {
		if !slices.Contains(not, key) {
			d.turn(p, key, nil, func(t task) { t.Expect(&d.out, retired, d.seq, d.now) })
		}
	}
}

// Command tells the pipelines what an operator wants, as the daemon would be told.
func (d *Driver) Command(payload []byte) ([]Result, error) {
	if d.ended {
		return nil, errors.New("the input has ended; no command can come after that")
	}
	taken := false
	d.seq++
	for _, p := range d.pipelines {
		o := offer{pipeline: p}
		o.err = p.Command(&o.event, payload)
		if errors.Is(o.err, errFiltered) {
			continue
		}
		if o.err != nil {
			return nil, fmt.Errorf("command: %w", o.err)
		}
		taken = true
		d.take(&o)
	}
	if !taken {
		return nil, errors.New("command: no pipeline is called so")
	}
	d.settle()
	return d.finish(), nil
}

// CheckpointRestore encodes the state of all keys, throws pipelines and states
// away, and restores them. It fails when a state does not come back byte for byte.
func (d *Driver) CheckpointRestore() error {
	for i, p := range d.pipelines {
		fresh, err := p.restored()
		if err != nil {
			return fmt.Errorf("checkpoint_restore: pipeline %s: %w", p.Name(), err)
		}
		d.pipelines[i] = fresh
	}
	d.out = edged.Output{}
	d.finish()
	return nil
}

// restored returns the pipeline as it comes back from its encoded state.
func (p *pipeline) restored() (*pipeline, error) {
	var states [][]byte
	for _, key := range p.keys {
		state, err := p.tasks[key].AppendBinary(nil)
		if err != nil {
			return nil, fmt.Errorf("encode the state of key %q: %w", key, err)
		}
		states = append(states, state)
	}
	clone, err := p.Clone()
	if err != nil {
		return nil, err
	}
	fresh := &pipeline{unit: clone, stage: p.stage, keys: p.keys, tasks: map[string]task{}, told: p.told}
	for i, key := range p.keys {
		t := fresh.NewTask(key)
		if err := t.Restore(states[i]); err != nil {
			return nil, fmt.Errorf("restore the state of key %q: %w", key, err)
		}
		again, err := t.AppendBinary(nil)
		if err != nil || string(again) != string(states[i]) {
			return nil, fmt.Errorf("the state of key %q came back differently: %x became %x (%v)", key, states[i], again, err)
		}
		fresh.tasks[key] = t
	}
	return fresh, nil
}
