package windows

import "edged"

// update folds the event into a pane and fires it if the trigger says so.
func (o *Operator) update(out *edged.Output, ev *edged.Event, p pane, by Moment) {
	o.shape.add(p, ev, by.Now)
	if !o.shape.plain {
		o.look(out, p, by)
	} else if o.watermark >= edged.Timestamp(p.words[paneEnd]) {
		o.fire(out, p, edged.Late, by)
	}
}

// Tick implements [State].
func (o *Operator) Tick(out *edged.Output, by Moment) {
	if by.Now < o.tick {
		return
	}
	o.tick = edged.MaxTimestamp // look lowers it
	if !o.shape.counts() {
		return
	}
	for i := range o.Open() {
		o.look(out, o.pane(i), by)
	}
}

// look fires a pane if the section of its phase wants to. Without an event or a
// watermark, that can be so again from the processing time tick on.
func (o *Operator) look(out *edged.Output, p pane, by Moment) {
	s, timing := o.shape.early, edged.Early
	if o.watermark >= p.window().End {
		s, timing = o.shape.late, edged.Late
	}
	if s == nil || p.words[paneMarks]&s.done != 0 {
		return
	}
	t, marks := p.tally(), p.words[paneMarks]
	fires := false
	if at, ok := s.when.due(t, marks); ok {
		if fires = at <= by.Now; fires {
			marks = s.fired(t, marks, by.Now)
		} else {
			o.tick = min(o.tick, at)
		}
	}
	if s.until != nil {
		if at, ok := s.until.due(p.total(), 0); ok {
			if at <= by.Now {
				marks |= s.done
				fires = fires || t.events > 0
			} else {
				o.tick = min(o.tick, at)
			}
		}
	}
	p.words[paneMarks] = marks
	if fires {
		o.fire(out, p, timing, by)
	}
}
