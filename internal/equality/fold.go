package equality

import (
	"maps"
	"slices"

	"edged"
	"edged/actors"
)

// Fold carries records through pipelines, one after the other. It is what an engine
// must be equal to, whatever its epochs and however often it was killed.
//
// Each record is taken by the pipelines that take messages; what they say of it by
// those that gather their results; and so on. Within a stage pipelines come in the
// order of the document.
type Fold struct {
	pipelines []*folded
	stages    int
	rows      map[string][]edged.Row
	dead      int
}

// folded is a pipeline and its keys.
type folded struct {
	actors.Pipeline
	stage int
	keys  map[string]*foldedKey
}

// foldedKey is the state of one key.
type foldedKey struct {
	task   actors.Task
	active edged.Timestamp
	rung   int  // silences that were noticed since the last event
	beats  bool // no tick has come since that was later than its pulse
}

// flowing is a result on its way to the next stage.
type flowing struct {
	from string
	data []byte
}

// NewFold returns a fold over nothing.
func NewFold(pipelines []actors.Pipeline) *Fold {
	f := &Fold{rows: map[string][]edged.Row{}}
	byName := map[string]actors.Pipeline{}
	for _, p := range pipelines {
		byName[p.Name()] = p
	}
	for _, p := range pipelines {
		one := &folded{Pipeline: p, keys: map[string]*foldedKey{}}
		for up := p.Upstream(); up != ""; up = byName[up].Upstream() {
			one.stage++
		}
		f.stages = max(f.stages, one.stage+1)
		f.pipelines = append(f.pipelines, one)
	}
	return f
}

// Take carries the records of a journal through. When the input was bounded, the
// last of them is its end.
func (f *Fold) Take(journal []edged.Record, bounded bool) {
	for i := range journal {
		f.take(&journal[i], bounded && i == len(journal)-1)
	}
}

func (f *Fold) take(rec *edged.Record, end bool) {
	if rec.Kind == edged.TableRecord || rec.Kind == edged.KeptRecord {
		for _, p := range f.pipelines {
			before := p.Expected(rec.Topic)
			p.SetTable(rec.Topic, rec.Payload)
			f.expect(p, rec, p.Expected(rec.Topic), before, false)
			f.expect(p, rec, before, p.Expected(rec.Topic), true)
		}
		return
	}
	var said []flowing // by the stages before
	for stage := range f.stages {
		var next []flowing
		for _, p := range f.stage(stage, false) {
			if rec.Kind == edged.MessageRecord && stage == 0 && p.Accepts(rec.Topic) {
				ev := edged.Event{Arrival: rec.Arrival}
				keep, poison := p.Decode(&ev, rec.Topic, rec.Payload)
				next = f.observe(p, rec, &ev, keep, poison, next)
			}
		}
		for _, item := range said {
			for _, p := range f.stage(stage, true) {
				if p.Upstream() == item.from {
					ev := edged.Event{Arrival: rec.Arrival}
					keep, poison := p.Derive(&ev, item.data)
					next = f.observe(p, rec, &ev, keep, poison, next)
				}
			}
		}
		for _, p := range f.stage(stage, stage > 0) {
			switch {
			case end:
				next = f.end(p, rec, next)
			case rec.Kind == edged.TickRecord:
				next = f.tick(p, rec, next)
			}
		}
		said = append(said, next...)
	}
}

// expect tells the keys that are in one list and not in the other that they are to
// have events, or not any more.
func (f *Fold) expect(p *folded, rec *edged.Record, keys, not []string, retired bool) {
	for _, key := range keys {
		if slices.Contains(not, key) {
			continue
		}
		k := p.keys[key]
		if k == nil {
			k = &foldedKey{task: p.NewTask(key), rung: len(p.Silences())}
			p.keys[key] = k
		}
		if !retired {
			k.active, k.rung, k.beats = rec.Time, 0, true
		}
		var out edged.Output
		k.task.Expect(&out, retired, rec.Seq, rec.Time)
		f.say(p, &out, nil)
	}
}

// stage returns the pipelines of a stage; derived says that they take results.
func (f *Fold) stage(stage int, derived bool) (list []*folded) {
	for _, p := range f.pipelines {
		if p.stage == stage && (p.Upstream() != "") == derived {
			list = append(list, p)
		}
	}
	return list
}

// observe folds an event in and returns what is said of it.
func (f *Fold) observe(p *folded, rec *edged.Record, ev *edged.Event, keep bool, poison *edged.PoisonError, said []flowing) []flowing {
	if poison != nil {
		f.dead++
	}
	if !keep || poison != nil {
		return said
	}
	k := p.keys[ev.Key]
	if k == nil {
		k = &foldedKey{task: p.NewTask(ev.Key)}
		p.keys[ev.Key] = k
	}
	k.active, k.rung, k.beats = rec.Time, 0, true
	ev.Seq = rec.Seq
	var out edged.Output
	k.task.Observe(&out, ev, rec.Time)
	return f.say(p, &out, said)
}

// tick tells a pipeline that processing time has moved on: the keys that have been
// silent for long enough, once, and those that want every tick.
func (f *Fold) tick(p *folded, rec *edged.Record, said []flowing) []flowing {
	every, span := p.Pulse()
	for _, key := range slices.Sorted(maps.Keys(p.keys)) {
		k := p.keys[key]
		quiet := rec.Time.Sub(k.active)
		silent := false
		for silences := p.Silences(); k.rung < len(silences) && quiet >= silences[k.rung]; k.rung++ {
			silent = true
		}
		beats := k.beats && every > 0
		k.beats = beats && quiet < every+span
		if silent || beats {
			var out edged.Output
			k.task.Tick(&out, rec.Seq, rec.Time)
			said = f.say(p, &out, said)
		}
	}
	return said
}

// end tells the keys of a pipeline that nothing will come.
func (f *Fold) end(p *folded, rec *edged.Record, said []flowing) []flowing {
	for _, key := range slices.Sorted(maps.Keys(p.keys)) {
		var out edged.Output
		p.keys[key].task.End(&out, rec.Seq, rec.Time)
		said = f.say(p, &out, said)
	}
	return said
}

// say makes rows of results, and hands on what is for the next stage.
func (f *Fold) say(p *folded, out *edged.Output, said []flowing) []flowing {
	for i := range out.Results {
		r := &out.Results[i]
		if stream, topic := p.Route(r); stream != "" {
			seq := uint64(len(f.rows[stream]) + 1)
			f.rows[stream] = append(f.rows[stream], edged.Row{Stream: stream, Seq: seq, Topic: topic, Payload: p.AppendRow(nil, r, seq)})
		}
		for _, other := range f.pipelines {
			if other.Upstream() != p.Name() {
				continue
			}
			if data := p.AppendDerived(nil, r); len(data) > 0 {
				said = append(said, flowing{p.Name(), data})
			}
			break
		}
	}
	return said
}

// Rows returns the rows of a stream from the first on.
func (f *Fold) Rows(stream string) []edged.Row { return f.rows[stream] }

// States returns the encoded state of every key by the names of pipeline and key.
func (f *Fold) States() map[[2]string]string {
	states := map[[2]string]string{}
	for _, p := range f.pipelines {
		for key, k := range p.keys {
			state, err := k.task.AppendBinary(nil)
			if err != nil {
				state = []byte("no state: " + err.Error())
			}
			states[[2]string{p.Name(), key}] = string(state)
		}
	}
	return states
}
