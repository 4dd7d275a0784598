package query

import (
	"encoding/binary"
	"fmt"

	"edged"
	"edged/changes"
	"edged/elements"
	"edged/joins"
	"edged/watermark"
	"edged/windows"
)

// lane is a line of event time of one key: its windows, how far their time has
// come, and what stands before them. Every key has a live one, and while it
// uploads a backlog another one for that.
type lane struct {
	windows  windows.State
	steps    *steps          // nil: events go straight to the windows, and nothing is learned
	believed edged.Timestamp // newest event time that is not ahead of the gateway's clock; MinTimestamp: none
}

// steps is what stands between the events and the windows of a lane.
//
//	events ──▶ order ──▶ changes ─┬──▶ computed fields ──▶ windows
//	events ──▶ join ──────────────┘
type steps struct {
	watermark edged.Timestamp // of the events; that of the windows may trail it
	clock     watermark.Clock
	order     elements.Buffer
	chain     *changes.Chain // nil: none
	join      joins.State    // nil: none

	// Working memory.
	evaluator evaluator
	matches   joins.Matches
	values    []edged.Value
}

// newLive returns a live lane without events.
func (f *fold) newLive() lane {
	l := f.newLane()
	l.windows = f.watching(l.windows)
	return l
}

// newLane returns a lane without events, whose windows nobody watches.
func (f *fold) newLane() lane {
	l := lane{believed: edged.MinTimestamp}
	switch {
	case f.plan.suppress != nil:
		l.windows = f.plan.newSuppressing()
	case f.group != nil:
		l.windows = f.group.New()
	case f.plan.gathers():
		l.windows = f.windows.New()
	default:
		l.windows = &passing{fold: f, watermark: edged.MinTimestamp}
	}
	if f.plan.ordered || f.join != nil || f.strategy.Kind == watermark.KindQuantile {
		l.steps = &steps{watermark: edged.MinTimestamp}
		if f.join != nil {
			l.steps.join = f.join.New()
		}
		if len(f.changes) > 0 {
			l.steps.chain = f.changes.New()
		}
	}
	return l
}

// watermark returns how far the time of the lane's events has come.
func (l *lane) watermark() edged.Timestamp {
	if l.steps != nil {
		return l.steps.watermark
	}
	if o, ok := l.windows.(*windows.Operator); ok { // mostly, and asked several times per event
		return o.Watermark()
	}
	return l.windows.Watermark()
}

// observe returns the watermark after an event of the lane's one source.
func (l *lane) observe(f *fold, t, mark edged.Timestamp) edged.Timestamp {
	var forgets watermark.Clock
	clock := &forgets
	if l.steps != nil {
		clock = &l.steps.clock
	}
	return f.strategy.Observe(clock, l.watermark(), t, mark)
}

// add takes an event as of the current watermark.
func (l *lane) add(f *fold, out *edged.Output, ev *edged.Event, by windows.Moment) {
	s := l.steps
	switch {
	case s == nil || !f.plan.ordered && s.join == nil:
		l.windows.Add(out, ev, by)
	case s.join != nil:
		part := *ev
		part.Values = f.part(ev)
		s.join.Add(&s.matches, &part)
		l.drain(f, out, by)
	case ev.EventTime < s.watermark:
		refuse(out, ev, s.watermark, false)
	default:
		s.order.Add(ev)
	}
}

// believe notes an event time that may say something about time.
func (l *lane) believe(t edged.Timestamp) { l.believed = max(l.believed, t) }

// limit refuses an event if one too many waits to be put in order: the one that is
// furthest ahead, so that those that time comes to first have room. It follows the
// watermark, for the event that moves it makes room itself.
func (l *lane) limit(f *fold, out *edged.Output, by windows.Moment) {
	s := l.steps
	if s == nil || s.order.Len() <= f.plan.spec.Order.Max {
		return
	}
	last := s.order.Len() - 1
	ev := edged.Event{Key: by.Key}
	s.order.Event(last, &ev)
	ev.Seq = by.Trigger
	refuse(out, &ev, s.watermark, true)
	s.order.Remove(last)
}

// part returns the values of the stream that the event is of.
func (f *fold) part(ev *edged.Event) []edged.Value {
	if ev.Stream == 0 {
		return ev.Values[:f.plan.split]
	}
	return ev.Values[f.plan.split:f.plan.joined]
}

// refuse reports an event that could not be put in order.
func refuse(out *edged.Output, ev *edged.Event, w edged.Timestamp, limit bool) {
	if limit {
		out.Overflow++
	} else {
		out.Late++
	}
	end := ev.EventTime.Add(1)
	values := out.Columns(len(ev.Values))
	copy(values, ev.Values)
	out.Missed = append(out.Missed, edged.Miss{Trigger: ev.Seq, Time: ev.EventTime, Start: ev.EventTime, End: end, Limit: limit})
	out.Results = append(out.Results, edged.Result{
		Kind: edged.LateResult, Timing: edged.Late, Trigger: ev.Seq, Key: ev.Key,
		Start: ev.EventTime, End: end, Watermark: w, Values: values,
	})
}

// advance moves the watermark of the lane.
func (l *lane) advance(f *fold, out *edged.Output, to edged.Timestamp, by windows.Moment) {
	s := l.steps
	if s == nil {
		l.windows.Advance(out, to, by)
		return
	}
	if to <= s.watermark {
		return
	}
	if s.join != nil {
		s.watermark = to
		s.join.Advance(&s.matches, to)
		l.drain(f, out, by)
		w := s.join.Watermark()
		if to == edged.MaxTimestamp {
			w = to
		}
		l.windows.Advance(out, w, by)
		return
	}
	l.release(f, out, to, by)
	s.watermark = to
	if at, held := l.held(); held {
		to = min(to, at)
	}
	l.windows.Advance(out, to, by)
}

// release hands on the events before a watermark, in the order of event time.
func (l *lane) release(f *fold, out *edged.Output, to edged.Timestamp, by windows.Moment) {
	s := l.steps
	n := s.order.Search(to)
	if to == edged.MaxTimestamp {
		n = s.order.Len()
	}
	emit := func(ev *edged.Event) { l.pass(f, out, ev, by) }
	from := len(out.Results)
	for i := range n {
		ev := edged.Event{Key: by.Key}
		s.order.Event(i, &ev)
		if s.chain == nil {
			emit(&ev)
			continue
		}
		out.Suppressed += s.chain.Step(&ev, emit)
	}
	s.order.DropFront(n)
	for i := range out.Results[from:] {
		out.Results[from+i].Watermark = to // time has come so far: that is why they leave
	}
}

// flush lets the events go that a change detector holds back.
func (l *lane) flush(f *fold, out *edged.Output, by windows.Moment) {
	if l.steps == nil || l.steps.chain == nil {
		return
	}
	ev := edged.Event{Key: by.Key, Values: make([]edged.Value, f.plan.Room())}
	out.Suppressed += l.steps.chain.Flush(&ev, func(ev *edged.Event) { l.pass(f, out, ev, by) })
}

// held returns the time of the earliest event that a change detector holds back.
func (l *lane) held() (edged.Timestamp, bool) {
	if l.steps == nil || l.steps.chain == nil {
		return 0, false
	}
	return l.steps.chain.Held()
}

// pass computes what is computed in the task and hands the event to the windows.
func (l *lane) pass(f *fold, out *edged.Output, ev *edged.Event, by windows.Moment) {
	for len(ev.Values) < f.plan.Room() { // it was restored from what nobody wrote
		ev.Values = append(ev.Values[:len(ev.Values):len(ev.Values)], edged.Value{})
	}
	if f.compute(&l.steps.evaluator, ev.Values) {
		l.windows.Add(out, ev, by)
	}
}

// compute evaluates the computed fields of the task and reports whether the filter
// of a join keeps the values. An expression without a finite result is null.
func (f *fold) compute(e *evaluator, values []edged.Value) bool {
	p := f.plan
	if e.env == nil && (len(p.late) > 0 || p.keep != nil) {
		e.env = map[string]any{}
	}
	for _, m := range p.late {
		values[m.slot], _ = e.run(m.expression, values)
	}
	if p.keep == nil {
		return true
	}
	keep, err := e.run(p.keep, values)
	return err == nil && keep.Bool()
}

// drain hands on what the join has found.
func (l *lane) drain(f *fold, out *edged.Output, by windows.Moment) {
	s, p := l.steps, f.plan
	for i := range s.matches.Rows {
		m := &s.matches.Rows[i]
		values := s.wide(p)
		copy(values, m.Left)
		copy(values[p.split:], m.Right)
		if !f.compute(&s.evaluator, values) {
			continue
		}
		ev := edged.Event{Seq: m.Seq, Key: by.Key, EventTime: m.Time, Values: values}
		if pass, watch := l.rows(); pass != nil {
			if watch != nil {
				watch.observe(out, &ev, by)
			}
			pass.row(out, &ev, m.Start, m.End, by)
		} else {
			l.windows.Add(out, &ev, by)
		}
	}
	for i := range s.matches.Late {
		l.stray(p, out, &s.matches.Late[i], by)
	}
	out.Missed = append(out.Missed, s.matches.Missed...)
	out.Unassigned += s.matches.Unassigned
	out.Overflow += s.matches.Overflow
	s.matches.Reset()
	if cap(s.matches.Rows) > matchesKept {
		s.matches = joins.Matches{}
	}
}

// matchesKept is the number of matches for which a key keeps working memory from
// one turn to the next.
const matchesKept = 16

// wide returns room for the values of a joined row, all null.
func (s *steps) wide(p *Plan) []edged.Value {
	if s.values == nil {
		s.values = make([]edged.Value, p.Room())
	}
	clear(s.values)
	return s.values
}

// stray reports an event that a join did not take.
func (l *lane) stray(p *Plan, out *edged.Output, e *joins.Stray, by windows.Moment) {
	if !e.Limit {
		out.Late++
	}
	values := out.Columns(p.Room())
	if e.Stream == 0 {
		copy(values, e.Values)
	} else {
		copy(values[p.split:], e.Values)
	}
	out.Results = append(out.Results, edged.Result{
		Kind: edged.LateResult, Timing: edged.Late, Trigger: e.Seq, Key: by.Key,
		Start: e.Time, End: e.End, Watermark: l.watermark(), Values: values,
	})
}

// pending returns the watermark at which silence has nothing of the lane left to
// close, as far as that is known, and false when it has nothing to close. Silence
// says no more about time than the events before it did: what only events ahead of
// the gateway's clock are in stays open.
func (l *lane) pending(f *fold) (edged.Timestamp, bool) {
	last, waits := l.windows.Pending()
	if end := f.lastEnd(l.believed); last > end {
		last, waits = end, waits && (end > l.windows.Watermark() || f.plan.closesBySilence())
	}
	if last == edged.MaxTimestamp {
		last, waits = edged.MinTimestamp, false // a window for all time does not wait for silence
	}
	also := func(t edged.Timestamp, ok bool) {
		if ok && t != edged.MaxTimestamp && (!waits || t > last) { // only the end of the input ends time
			last, waits = t, true
		}
	}
	if s := l.steps; s != nil {
		if s.join != nil {
			at, ok := s.join.Pending()
			if end := f.lastPartner(l.believed); at > end {
				at, ok = end, ok && end > s.watermark
			}
			also(at, ok)
		}
		if n := s.order.Search(min(l.believed.Add(1), watermark.Limit)); n > 0 {
			also(s.order.At(n-1).Time.Add(1), true)
		}
		if at, held := l.held(); held {
			also(at.Add(1), true)
		}
	}
	return last, waits
}

// closings bounds how often pending is asked before a lane is at rest: what is
// released by one advance waits for the next.
const closings = 4

// close brings the lane to rest: nothing in it waits for silence any more.
func (l *lane) close(f *fold, out *edged.Output, by windows.Moment) {
	for range closings {
		to, waits := l.pending(f)
		if !waits {
			return
		}
		if s := l.steps; s != nil && s.join != nil {
			l.advance(f, out, to, by)
		} else if s != nil {
			// What waits and what is held back comes before the windows hear of it:
			// some take silence for their end, wherever time is.
			l.release(f, out, to, by)
			l.flush(f, out, by)
			s.watermark = max(s.watermark, to)
		}
		l.windows.Advance(out, to, by)
	}
}

// open returns the number of windows, and of events before them, that are kept.
func (l *lane) open() int {
	n := l.windows.Open()
	if s := l.steps; s != nil {
		n += s.order.Len()
		if s.join != nil {
			n += s.join.Open()
		}
		if _, held := l.held(); held {
			n++
		}
	}
	return n
}

// bytes returns about how much memory the lane takes.
func (l *lane) bytes() int {
	n := l.windows.Bytes()
	if s := l.steps; s != nil {
		n += 160 + s.clock.Bytes() + s.order.Bytes()
		if s.join != nil {
			n += s.join.Bytes()
		}
		if s.chain != nil {
			n += s.chain.Bytes()
		}
	}
	return n
}

// appendBinary appends the state of the lane.
func (l *lane) appendBinary(dst []byte) []byte {
	if s := l.steps; s != nil {
		dst = binary.AppendVarint(dst, int64(s.watermark))
		dst = s.clock.AppendBinary(dst)
		dst = s.order.AppendBinary(dst)
		if s.join != nil {
			dst = s.join.AppendBinary(dst)
		}
		if s.chain != nil {
			dst = s.chain.AppendBinary(dst)
		}
	}
	dst = l.windows.AppendBinary(dst)
	return binary.AppendVarint(dst, int64(l.believed)-int64(l.watermark()))
}

// restoreLane reads what appendBinary of a lane like l, which is empty, wrote, and
// returns the bytes behind it.
func (f *fold) restoreLane(l lane, data []byte) (_ lane, rest []byte, err error) {
	if l.steps != nil {
		if data, err = l.steps.restore(f, data); err != nil {
			return l, nil, err
		}
	}
	if data, err = l.windows.Restore(data); err != nil {
		return l, nil, fmt.Errorf("restore the windows: %w: %w", ErrState, err)
	}
	distance, n := binary.Varint(data)
	if n <= 0 {
		return l, nil, fmt.Errorf("restore the newest time: %w", ErrState)
	}
	l.believed = edged.Timestamp(int64(l.watermark()) + distance)
	return l, data[n:], nil
}

// restore reads the steps of a lane and returns the bytes behind them.
func (s *steps) restore(f *fold, data []byte) ([]byte, error) {
	w, n := binary.Varint(data)
	if n <= 0 {
		return nil, fmt.Errorf("restore the watermark: %w", ErrState)
	}
	s.watermark, data = edged.Timestamp(w), data[n:]
	type part struct {
		what string
		it   interface {
			Restore(data []byte) ([]byte, error)
		}
	}
	parts := []part{{"the clock", &s.clock}, {"events in wait", &s.order}}
	if s.join != nil {
		parts = append(parts, part{"the join", s.join})
	}
	if s.chain != nil {
		parts = append(parts, part{"the changes", s.chain})
	}
	for _, p := range parts {
		rest, err := p.it.Restore(data)
		if err != nil {
			return nil, fmt.Errorf("restore %s: %w: %w", p.what, ErrState, err)
		}
		data = rest
	}
	return data, s.fits(f)
}

// fits checks that restored events have the values that expressions read.
func (s *steps) fits(f *fold) error {
	for i := range s.order.Len() {
		if len(s.order.At(i).Values) != f.plan.Room() {
			return fmt.Errorf("restore event %d in wait: %d values: %w", i, len(s.order.At(i).Values), ErrState)
		}
	}
	return nil
}
