package edgedtest

import (
	"slices"

	"edged"
)

// finish ends a step and returns its results.
func (d *Driver) finish() []Result {
	results := d.results
	d.results = nil
	d.steps++
	return results
}

// stages calls fn with the pipelines stage by stage. What a stage says reaches
// the next one before it is its turn.
func (d *Driver) stages(fn func(p *pipeline)) {
	for stage := range len(d.pipelines) {
		for _, p := range d.pipelines {
			if p.stage == stage {
				fn(p)
			}
		}
		d.settle()
	}
}

// all gives every key of a pipeline a turn, in the order of the keys.
func (d *Driver) all(p *pipeline, what func(t task)) {
	for _, key := range p.keys {
		d.turn(p, key, nil, what)
	}
}

// settle hands results on to the pipelines that take them, wave by wave.
func (d *Driver) settle() {
	for len(d.flow) > 0 {
		wave := d.flow
		d.flow = nil
		for _, p := range d.pipelines {
			for _, item := range wave {
				if item.from != p.Upstream() {
					continue
				}
				o := offer{pipeline: p, event: edged.Event{Arrival: item.arrival}}
				o.err = p.Derive(&o.event, item.data)
				d.take(&o)
			}
		}
	}
}

// turn lets the task of a key do something, and collects what comes of it. ev is
// the event that it is about, if it is about one.
func (d *Driver) turn(p *pipeline, key string, ev *edged.Event, what func(t task)) {
	d.out.Reset()
	what(d.task(p, key))
	d.count()
	d.late(p, key, ev)
	var arrival edged.Timestamp
	if ev != nil {
		arrival = ev.Arrival
	}
	for i := range d.out.Results {
		r := &d.out.Results[i]
		if d.feeds(p.Name()) {
			if data := p.AppendDerived(nil, r); len(data) > 0 {
				d.flow = append(d.flow, derived{p.Name(), data, arrival})
			}
		}
		if r.Kind != edged.LateResult {
			d.result(p, key, r)
		}
	}
}

// task returns the task of a key, and makes one that knows what keys before it
// were told.
func (d *Driver) task(p *pipeline, key string) task {
	if t := p.tasks[key]; t != nil {
		return t
	}
	t := p.NewTask(key)
	at, _ := slices.BinarySearch(p.keys, key)
	p.keys = slices.Insert(slices.Clone(p.keys), at, key) // all is walking the old one
	p.tasks[key] = t
	if p.told > edged.MinTimestamp {
		t.Advance(&d.out, p.told, d.seq, d.now)
	}
	return t
}

// feeds reports whether some pipeline takes the results of another.
func (d *Driver) feeds(name string) bool {
	return slices.ContainsFunc(d.pipelines, func(p *pipeline) bool { return p.Upstream() == name })
}

func (d *Driver) count() {
	c, out := &d.counts, &d.out
	c.Duplicates += out.Duplicates
	c.Late += out.Late
	c.Overflow += out.Overflow
	c.Unassigned += out.Unassigned
	c.Suppressed += out.Suppressed
	c.Ahead += out.Ahead
	c.Historical += out.Historical
}

// late reports the events of a turn that some or all of their windows did not take,
// in the order in which they were missed. Several that one record has made at one
// time, such as matches of a join, were missed by the same windows, one after the
// other.
func (d *Driver) late(p *pipeline, key string, ev *edged.Event) {
	missed := slices.Clone(d.out.Missed)
	refused := slices.DeleteFunc(slices.Clone(d.out.Results), func(r edged.Result) bool { return r.Kind != edged.LateResult })
	for len(missed) > 0 {
		m := missed[0]
		r := Result{Step: d.steps, Kind: Late, Pipeline: p.Name(), Key: key, Time: m.Time}
		missed = r.miss(missed)
		at := slices.IndexFunc(refused, func(r edged.Result) bool { return r.Trigger == m.Trigger && r.Start == m.Time })
		switch {
		case at >= 0:
			r.Dropped = true
			r.Values = named(p.Columns(edged.LateResult), refused[at].Values)
			r.Historical = refused[at].Historical
			refused = slices.Delete(refused, at, at+1)
		case ev != nil && ev.Seq == m.Trigger && ev.EventTime == m.Time:
			// Of an event that waited for its turn the values are not known any more.
			r.Values = named(p.Columns(edged.LateResult), ev.Values)
		}
		d.results = append(d.results, r)
	}
}

// miss notes the windows that did not take the first event of a list, and returns the
// list without them.
func (r *Result) miss(missed []edged.Miss) (rest []edged.Miss) {
	trigger, t := missed[0].Trigger, missed[0].Time
	for _, m := range missed {
		w := Window{m.Start, m.End}
		if m.Trigger != trigger || m.Time != t || slices.Contains(r.Windows, w) {
			rest = append(rest, m)
			continue
		}
		r.Windows, r.Limit = append(r.Windows, w), r.Limit || m.Limit
	}
	return rest
}

// result reports a result of the engine that is no late event.
func (d *Driver) result(p *pipeline, key string, r *edged.Result) {
	made := Result{
		Step: d.steps, Kind: kindOf(r.Kind), Pipeline: p.Name(), Key: key,
		Start: r.Start, End: r.End, Timing: r.Timing, Index: r.Index, Last: r.Last, Historical: r.Historical,
		Watermark: r.Watermark, Cause: r.Cause, Time: r.Start,
	}
	if r.Values != nil {
		made.Values = named(p.Columns(r.Kind), r.Values)
	}
	if made.Kind == Alarm {
		made.Values = slices.DeleteFunc(made.Values, func(f Field) bool { return f.Value.Kind == edged.Null })
	}
	d.results = append(d.results, made)
}

func kindOf(k edged.ResultKind) Kind {
	switch k {
	case edged.LateResult:
		return Late
	case edged.RetractResult:
		return Retract
	case edged.RowResult:
		return Row
	case edged.AlarmResult:
		return Alarm
	}
	return Pane
}

// named pairs columns with copies of their values: those of a turn are used again.
func named(columns []string, values []edged.Value) []Field {
	list := []Field{}
	for i, name := range columns {
		if i < len(values) && name != "" { // "" is a condition, not a field
			list = append(list, Field{name, values[i]})
		}
	}
	return list
}
