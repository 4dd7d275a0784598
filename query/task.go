package query

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"edged"
	"edged/watermark"
	"edged/windows"
)

// Errors of [Task.Restore].
var (
	// ErrIncompatible says that a stored state belongs to another plan, or to
	// another version of the program. It is intact, but means something else.
	ErrIncompatible = errors.New("state of another plan")

	// ErrState says that stored bytes are not the state of a task.
	ErrState = errors.New("malformed state")
)

// taskFormat is the version of the encoding that [Task.AppendBinary] writes.
const taskFormat = 3

// Task is the state of one key in one pipeline: what it has seen, how far its
// time has come, and its windows.
//
//	event ──▶ seen before? ──▶ lane: order, changes, join, windows ──▶ edged.Output
//	   └────▶ watermark ────────▲
//
// The watermark follows the event: an event is judged by the watermark that those
// before it have left. It is a fold. What it does depends on its state and its
// arguments only, so that the same records in the same order give the same
// outputs and the same bytes, however they were batched and wherever the state was
// stored and restored in between. It is not safe for concurrent use.
type Task struct {
	fold *fold
	key  string

	// Durable state.
	active edged.Timestamp // processing time of the last event
	live   lane
	seen   sightings
	more   *more // nil: one source and no backlog, which is what most keys are
}

// more is what a key has that may have several sources, or upload a backlog.
type more struct {
	arrived edged.Timestamp  // arrival of the last event
	sources *watermark.Merge // nil: one source
	past    *past            // nil: no backlog is being uploaded
}

// past is the lane of a backlog.
type past struct {
	lane
	active edged.Timestamp // processing time of its last event
}

// NewTask returns the state of a key without events.
func (p *Plan) NewTask(key string) *Task {
	t := &Task{fold: p.fold, key: key, active: edged.MinTimestamp, live: p.fold.newLive()}
	if p.fold.sources != nil || p.spec.Backlog.Horizon > 0 {
		t.more = &more{}
	}
	if p.fold.sources != nil {
		m := watermark.NewMerge(p.fold.sources)
		t.more.sources = &m
	}
	return t
}

// sources returns the watermarks of the key's sources, and nil when it has one.
func (t *Task) sources() *watermark.Merge {
	if t.more == nil {
		return nil
	}
	return t.more.sources
}

// past returns the lane of the backlog that is being uploaded, and nil when there
// is none.
func (t *Task) past() *past {
	if t.more == nil {
		return nil
	}
	return t.more.past
}

func (t *Task) moment(seq edged.Seq, cause edged.Cause, now edged.Timestamp) windows.Moment {
	return windows.Moment{Key: t.key, Trigger: seq, Cause: cause, Now: now}
}

// Observe folds an event of the key into the state. now is the processing time
// of its record. A duplicate changes nothing but counts as a sign of life.
func (t *Task) Observe(out *edged.Output, ev *edged.Event, now edged.Timestamp) {
	t.active = now
	if ev.Command != nil {
		if w := t.watch(); w != nil {
			w.command(out, ev, t.moment(ev.Seq, edged.ByCommand, now))
		}
		return
	}
	from := len(out.Results)
	if t.more != nil {
		if ev.From == nil || ev.Arrival != 0 { // what a tick has caused came in long ago
			t.more.arrived = ev.Arrival
		}
		t.expire(out, ev.Seq, now)
		t.settle(out, ev.Seq, now)
	}
	repeated := t.duplicate(out, ev)
	if w := t.watch(); w != nil {
		w.alive(out, ev, !repeated && !t.ahead(ev), t.moment(ev.Seq, edged.ByWatermark, now))
	}
	if repeated {
		out.Duplicates++
	} else {
		t.take(out, ev, now)
	}
	if t.more != nil {
		t.label(out, from)
	}
}

// take folds an event that was not seen before into its lane.
func (t *Task) take(out *edged.Output, ev *edged.Event, now edged.Timestamp) {
	by := t.moment(ev.Seq, edged.ByWatermark, now)
	results, missed, late := len(out.Results), len(out.Missed), out.Late
	t.live.add(t.fold, out, ev, by)
	if out.Late > late && t.remembers(ev.EventTime) {
		out.Results, out.Missed, out.Late = out.Results[:results], out.Missed[:missed], late
		t.fill(out, ev, by)
		return
	}
	t.advance(out, t.observed(out, ev, now), by)
	t.live.limit(t.fold, out, by)
}

// expire takes the sources out of the watermark that have been silent for too
// long. It comes before everything that processing time brings, so that it does
// not matter whether a tick came in between: keys without open windows get none
// after a restart.
func (t *Task) expire(out *edged.Output, seq edged.Seq, now edged.Timestamp) {
	if sources := t.sources(); sources != nil {
		sources.Expire(now, t.fold.strategy.IdleTimeout)
		t.follow(out, seq, now)
	}
}

// follow moves the watermark to where the sources are after one of them has left.
func (t *Task) follow(out *edged.Output, seq edged.Seq, now edged.Timestamp) {
	w := t.sources().Current()
	if w <= t.live.watermark() {
		return
	}
	cause := edged.ByIdle
	if t.fold.plan.closesBySilence() {
		cause = edged.ByWatermark // the others are not silent
	}
	t.advance(out, w, t.moment(seq, cause, now))
}

// ahead reports whether the time of an event is further ahead of our clock than can be
// believed.
func (t *Task) ahead(ev *edged.Event) bool {
	return ev.From == nil && ev.EventTime > t.fold.plan.until(ev.Stream, ev.Arrival)
}

// Expect tells the task that its key is to have events from now on, or, when it is
// retired, not any more. Telling it again changes nothing.
func (t *Task) Expect(out *edged.Output, retired bool, seq edged.Seq, now edged.Timestamp) {
	if w := t.watch(); w != nil {
		if t.active == edged.MinTimestamp {
			t.active = now
		}
		w.expect(out, retired, t.moment(seq, edged.ByTick, now))
	}
}

// observed returns the watermark after an event.
func (t *Task) observed(out *edged.Output, ev *edged.Event, now edged.Timestamp) edged.Timestamp {
	f := t.fold
	if f.plan.suppress != nil {
		return t.live.watermark() // alarms say when they were, and nothing about time
	}
	if ev.From != nil {
		return t.told(out, ev.From, now)
	}
	until := f.plan.until(ev.Stream, ev.Arrival)
	mark := watermark.None
	if slot := f.plan.marks.mark; slot >= 0 && ev.Values[slot].Kind == edged.Number {
		mark = timestamp(ev.Values[slot].Float())
	}
	if ev.EventTime <= until {
		t.live.believe(ev.EventTime)
	}
	ahead := ev.EventTime > until || mark > until || mark == edged.MaxTimestamp
	if ahead {
		out.Ahead++ // it counts, and says nothing about time
	}
	sources := t.sources()
	switch {
	case sources == nil && ahead:
		return t.live.watermark()
	case sources == nil:
		return t.live.observe(f, ev.EventTime, mark)
	case ahead && !sources.Active(t.source(ev, now), now), !ahead && !sources.Observe(t.source(ev, now), ev.EventTime, mark, now):
		out.Overflow++
	}
	return sources.Current()
}

// told returns the watermark after a contribution, which brings that of its member.
// A member says several things at once when several of its windows end, in the
// order of their ends: only what is before the end of this one has been said. And
// what it takes back it replaces by what comes next.
func (t *Task) told(out *edged.Output, from *edged.Contribution, now edged.Timestamp) edged.Timestamp {
	s, sources := &t.fold.strategy, t.sources()
	if from.Retract || from.Watermark == edged.MaxTimestamp || s.Kind == watermark.KindManual {
		return sources.Current() // where the input has ended, the group ends by itself
	}
	// Its window may hold only events that were ahead of the gateway's clock. While
	// nothing is known of that but ticks, the member's watermark must say so.
	if until := max(from.Watermark, t.fold.plan.until(0, max(t.more.arrived, 1))); from.Start <= until {
		t.live.believe(min(from.End.Add(-1), until))
	}
	w := min(from.Watermark, from.End)
	if s.Kind == watermark.KindBounded {
		w = w.Add(-s.OutOfOrderness)
	}
	if sources.Len() == 0 {
		for _, member := range t.fold.plan.spec.Group.Members {
			sources.Active(member, now)
		}
	}
	if !sources.Tell(from.Member, w, now) {
		out.Overflow++
	}
	return sources.Current()
}

// source returns the name of the source that the event is of. The streams of a
// join are all waited for from the first event on.
func (t *Task) source(ev *edged.Event, now edged.Timestamp) string {
	p := t.fold.plan
	if p.spec.Join == nil {
		return ev.Values[p.marks.per].Text()
	}
	if sources := t.sources(); sources.Len() == 0 {
		for i := range p.inputs {
			sources.Active(p.inputs[i].spec.Name, now)
		}
	}
	return p.inputs[ev.Stream].spec.Name
}

// timestamp reads a number as a time.
func timestamp(f float64) edged.Timestamp {
	switch {
	case f >= math.MaxInt64:
		return edged.MaxTimestamp
	case f <= math.MinInt64:
		return edged.MinTimestamp
	}
	return edged.Timestamp(math.Floor(f))
}

// remembers reports whether an event that is too late may be part of a backlog.
func (t *Task) remembers(at edged.Timestamp) bool {
	h := t.fold.plan.spec.Backlog.Horizon
	return h > 0 && at >= t.live.watermark().Add(-h)
}

// fill puts an event into the windows of the backlog, whose time is its own: what
// is live does not notice.
func (t *Task) fill(out *edged.Output, ev *edged.Event, by windows.Moment) {
	f := t.fold
	if t.more.past == nil {
		t.more.past = &past{lane: f.newLane()}
	}
	p := t.more.past
	p.active = by.Now
	from, missed := len(out.Results), out.Late+out.Overflow
	p.add(f, out, ev, by)
	p.believe(ev.EventTime)
	p.advance(f, out, p.observe(f, ev.EventTime, watermark.None), by)
	p.limit(f, out, by)
	historical(out, from)
	if out.Late+out.Overflow == missed {
		out.Historical++
	}
}

// settle closes the windows of a backlog that has ended.
func (t *Task) settle(out *edged.Output, seq edged.Seq, now edged.Timestamp) {
	idle := t.fold.strategy.IdleTimeout
	if p := t.past(); p != nil && idle > 0 && now.Sub(p.active) >= idle {
		t.closePast(out, t.moment(seq, edged.ByIdle, now))
	}
}

// closePast closes the windows of the backlog, if there is one.
func (t *Task) closePast(out *edged.Output, by windows.Moment) {
	if p := t.past(); p != nil {
		from := len(out.Results)
		p.close(t.fold, out, by)
		historical(out, from)
		t.more.past = nil
	}
}

// historical marks the results from a place on.
func historical(out *edged.Output, from int) {
	for i := range out.Results[from:] {
		out.Results[from+i].Historical = true
	}
}

// label marks the results from a place on that are about a time long before their
// events came in.
func (t *Task) label(out *edged.Output, from int) {
	if t.more == nil || t.more.arrived == 0 {
		return
	}
	b := t.fold.plan.spec.Backlog
	if b.Horizon == 0 {
		return
	}
	for i := range out.Results[from:] {
		if r := &out.Results[from+i]; r.End < t.more.arrived.Add(-b.OlderThan) {
			r.Historical = true
		}
	}
}

// Tick tells the task the processing time: triggers that waited for it fire, what
// has been silent for the idle timeout is not waited for any more, and if that is
// the key itself, its open windows are closed. In every other case nothing happens.
func (t *Task) Tick(out *edged.Output, seq edged.Seq, now edged.Timestamp) {
	from := len(out.Results)
	t.live.windows.Tick(out, t.moment(seq, edged.ByTick, now))
	if p := t.past(); p != nil {
		before := len(out.Results)
		p.windows.Tick(out, t.moment(seq, edged.ByTick, now))
		historical(out, before)
	}
	t.settle(out, seq, now)
	t.expire(out, seq, now)
	if t.idle(now) {
		t.live.close(t.fold, out, t.moment(seq, edged.ByIdle, now))
		t.rest()
	}
	t.label(out, from)
}

// idle reports whether the key has been silent for long enough.
func (t *Task) idle(now edged.Timestamp) bool {
	timeout := t.fold.strategy.IdleTimeout
	return timeout > 0 && t.active != edged.MinTimestamp && now.Sub(t.active) >= timeout
}

// rest follows the windows, whose time was moved by other things than events.
func (t *Task) rest() {
	if sources := t.sources(); sources != nil {
		sources.Raise(t.live.watermark())
	}
	t.seen.forget(t.horizon())
}

// Advance moves the watermark by hand. It is not moved back.
func (t *Task) Advance(out *edged.Output, to edged.Timestamp, seq edged.Seq, now edged.Timestamp) {
	from := len(out.Results)
	if sources := t.sources(); sources != nil {
		sources.Raise(to)
	}
	t.advance(out, to, t.moment(seq, edged.ByWatermark, now))
	t.label(out, from)
}

// SourceIdle takes a source of the key out of its watermark until it is back.
func (t *Task) SourceIdle(out *edged.Output, source string, seq edged.Seq, now edged.Timestamp) {
	from := len(out.Results)
	if sources := t.sources(); sources != nil {
		sources.Idle(source)
		t.follow(out, seq, now)
	} else {
		by := t.moment(seq, edged.ByIdle, now)
		t.closePast(out, by)
		t.live.close(t.fold, out, by)
		t.rest()
	}
	t.label(out, from)
}

// SourceActive notes a sign of life of a source of the key, which is waited for
// from then on.
func (t *Task) SourceActive(out *edged.Output, source string, seq edged.Seq, now edged.Timestamp) {
	sources, from := t.sources(), len(out.Results)
	if sources == nil {
		return
	}
	if !sources.Active(source, now) {
		out.Overflow++
	}
	t.follow(out, seq, now)
	t.label(out, from)
}

// End tells the task, at processing time now, that its bounded input has ended: all
// windows fire.
func (t *Task) End(out *edged.Output, seq edged.Seq, now edged.Timestamp) {
	by := t.moment(seq, edged.ByEnd, now)
	if p := t.past(); p != nil {
		from := len(out.Results)
		p.end(t.fold, out, by)
		historical(out, from)
		t.more.past = nil
	}
	from := len(out.Results)
	t.live.end(t.fold, out, by)
	t.rest()
	t.label(out, from)
}

// Drain closes what is open, as far as the events before can close it, as silence
// would. What comes later finds these windows over.
func (t *Task) Drain(out *edged.Output, seq edged.Seq, now edged.Timestamp) {
	from := len(out.Results)
	by := t.moment(seq, edged.ByCommand, now)
	t.closePast(out, by)
	t.live.close(t.fold, out, by)
	t.rest()
	t.label(out, from)
}

// end moves a lane to the end of time.
func (l *lane) end(f *fold, out *edged.Output, by windows.Moment) {
	l.advance(f, out, edged.MaxTimestamp, by)
	l.flush(f, out, by)
	l.windows.Advance(out, edged.MaxTimestamp, by)
}

// Active returns the processing time of the last event, and
// [edged.MinTimestamp] when there was none.
func (t *Task) Active() edged.Timestamp { return t.active }

// Due returns the processing time from which on [Task.Tick] closes windows, if
// no event comes before it, and [edged.MaxTimestamp] when silence has no effect.
func (t *Task) Due() edged.Timestamp {
	timeout := t.fold.strategy.IdleTimeout
	if _, waits := t.live.pending(t.fold); timeout == 0 || !waits && t.past() == nil {
		return edged.MaxTimestamp
	}
	return t.active.Add(timeout)
}

// Open returns the number of windows whose state is kept, those that have not
// ended and those that still take late events, and of events that wait for time. It
// is not 0 while a tick can change anything, and may stay above it when none can: a
// window that only events ahead of the gateway's clock are in waits for other events.
func (t *Task) Open() int {
	n := t.live.open()
	if p := t.past(); p != nil {
		n += max(p.open(), 1)
	}
	if n == 0 && t.awaitsSilence() {
		n = 1
	}
	return n
}

// awaitsSilence reports whether the watermark moves when one of the key's sources
// falls silent.
func (t *Task) awaitsSilence() bool {
	sources := t.sources()
	return sources != nil && sources.Due(t.fold.strategy.IdleTimeout) != edged.MaxTimestamp && t.Watermark() != edged.MaxTimestamp
}

// Bytes returns about how much memory the state takes.
func (t *Task) Bytes() int {
	n := 104 + len(t.key) + t.live.bytes() + 16*cap(t.seen.all)
	if sources := t.sources(); sources != nil {
		n += 64 + sources.Bytes()
	}
	if p := t.past(); p != nil {
		n += p.bytes()
	}
	return n
}

// Watermark returns how far the key's time has come, and [edged.MinTimestamp]
// before its first event.
func (t *Task) Watermark() edged.Timestamp { return t.live.watermark() }

// duplicate remembers the event and reports whether it was seen before. What is
// behind the horizon is not looked at: the windows decide that it is late.
func (t *Task) duplicate(out *edged.Output, ev *edged.Event) bool {
	if !t.fold.dedup || ev.Identity == 0 || ev.EventTime < t.horizon() {
		return false
	}
	// Equal payloads of the two streams of a join are not the same event.
	const odd = 0x9e3779b97f4a7c15
	s := sighting{ev.EventTime, ev.Identity ^ odd*uint64(ev.Stream)&^clamped}
	if ev.Identity&clamped != 0 && t.seen.knows(s.identity) {
		return true
	}
	known, evicted := t.seen.add(s, t.fold.entriesMax)
	out.Overflow += evicted
	return known
}

// advance moves the watermark and forgets what is then behind the horizon.
func (t *Task) advance(out *edged.Output, to edged.Timestamp, by windows.Moment) {
	t.live.advance(t.fold, out, to, by)
	t.seen.forget(t.horizon())
}

// horizon returns the event time from which on sightings are kept.
func (t *Task) horizon() edged.Timestamp {
	return t.live.watermark().Add(-t.fold.horizon)
}

// AppendBinary appends the state to dst: the plan's fingerprint (8 bytes), the
// format (1 byte), the processing time of the last event, the live lane and the
// events seen; then, if the plan has any, the arrival of the last event, the
// sources, and the lane of the backlog. Equal states give equal bytes. The error is
// always nil; it is there for encoding.BinaryAppender.
func (t *Task) AppendBinary(dst []byte) ([]byte, error) {
	dst = binary.LittleEndian.AppendUint64(dst, t.fold.fingerprint)
	dst = append(dst, taskFormat)
	dst = binary.AppendVarint(dst, int64(t.active))
	dst = t.live.appendBinary(dst)
	dst = t.seen.appendBinary(dst, t.live.watermark())
	if t.more == nil {
		return dst, nil
	}
	dst = binary.AppendVarint(dst, int64(t.more.arrived))
	if t.more.sources != nil {
		dst = t.more.sources.AppendBinary(dst)
	}
	if t.more.past == nil {
		return append(dst, 0), nil
	}
	dst = binary.AppendVarint(append(dst, 1), int64(t.more.past.active))
	return t.more.past.appendBinary(dst), nil
}

// Restore replaces the state by one that [Task.AppendBinary] wrote. The error
// wraps [ErrIncompatible] or [ErrState]; the task is then as it was.
func (t *Task) Restore(data []byte) error {
	if len(data) < 9 {
		return fmt.Errorf("restore %q from %d bytes: %w", t.key, len(data), ErrState)
	}
	if f := binary.LittleEndian.Uint64(data); f != t.fold.fingerprint {
		return fmt.Errorf("restore %q: fingerprint %016x, the plan has %016x: %w", t.key, f, t.fold.fingerprint, ErrIncompatible)
	}
	if data[8] != taskFormat {
		return fmt.Errorf("restore %q: format %d, this program reads %d: %w", t.key, data[8], taskFormat, ErrIncompatible)
	}
	r := t.fold.plan.NewTask(t.key)
	rest, err := r.restore(data[9:])
	if err != nil {
		return fmt.Errorf("restore %q: %w", t.key, err)
	}
	if len(rest) > 0 {
		return fmt.Errorf("restore %q: %d bytes too many: %w", t.key, len(rest), ErrState)
	}
	*t = *r
	return nil
}

// restore reads the state into a new task and returns the bytes behind it.
func (t *Task) restore(data []byte) (rest []byte, err error) {
	if data, err = restoreTime(&t.active, data); err != nil {
		return nil, err
	}
	if t.live, data, err = t.fold.restoreLane(t.fold.newLive(), data); err != nil {
		return nil, err
	}
	if t.seen, data, err = restoreSightings(data, t.live.watermark()); err != nil {
		return nil, err
	}
	if t.more == nil {
		return data, nil
	}
	return t.more.restore(t.fold, data)
}

// restore reads what only some keys have and returns the bytes behind it.
func (m *more) restore(f *fold, data []byte) (rest []byte, err error) {
	if data, err = restoreTime(&m.arrived, data); err != nil {
		return nil, err
	}
	if m.sources != nil {
		if data, err = m.sources.Restore(data); err != nil {
			return nil, fmt.Errorf("the sources: %w: %w", ErrState, err)
		}
	}
	if len(data) == 0 || data[0] > 1 {
		return nil, fmt.Errorf("the backlog: %w", ErrState)
	}
	backlog := data[0] == 1
	data = data[1:]
	if !backlog {
		return data, nil
	}
	m.past = &past{}
	if data, err = restoreTime(&m.past.active, data); err != nil {
		return nil, err
	}
	m.past.lane, data, err = f.restoreLane(f.newLane(), data)
	return data, err
}

// restoreTime reads a time and returns the bytes behind it.
func restoreTime(into *edged.Timestamp, data []byte) ([]byte, error) {
	v, n := binary.Varint(data)
	if n <= 0 {
		return nil, fmt.Errorf("a time: %w", ErrState)
	}
	*into = edged.Timestamp(v)
	return data[n:], nil
}
