package query

import (
	"encoding/binary"
	"errors"
	"fmt"

	"edged"
	"edged/watermark"
	"edged/windows"
	"edged/windows/agg"
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
const taskFormat = 1

// Task is the state of one key in one pipeline: what it has seen, how far its
// time has come, and its windows.
//
//	event ──▶ seen before? ──▶ watermark ──▶ windows ──▶ edged.Output
//
// It is a fold. What it does depends on its state and its arguments only, so
// that the same records in the same order give the same outputs and the same
// bytes, however they were batched and wherever the state was stored and
// restored in between. It is not safe for concurrent use.
type Task struct {
	fold *fold
	key  string

	// Durable state.
	active  edged.Timestamp
	windows windows.Operator // holds the watermark, too
	seen    sightings
}

// fold is what the tasks of one plan share. It is immutable.
type fold struct {
	windows     windows.Spec
	watermark   watermark.Bounded
	dedup       bool
	horizon     int64 // how far sightings are kept behind the watermark
	entriesMax  int
	fingerprint uint64
}

// bind prepares the plan for making tasks. The error joins all faults.
func (p *Plan) bind() error {
	f := &fold{
		windows: windows.Spec{
			Assigner:        windows.Tumbling{Size: p.Window.Size, Offset: p.Window.Offset},
			Trigger:         windows.AfterWatermark{},
			AllowedLateness: p.Window.AllowedLateness,
		},
		watermark:   watermark.Bounded{OutOfOrderness: p.Watermark.OutOfOrderness, IdleTimeout: p.Watermark.IdleTimeout},
		dedup:       p.Dedup.Enabled,
		horizon:     p.Dedup.Horizon,
		entriesMax:  p.Dedup.MaxEntries,
		fingerprint: p.Fingerprint(),
	}
	if f.horizon == 0 {
		// An event this far behind is late for its window, and cannot count twice.
		f.horizon = p.Window.Size + p.Window.AllowedLateness // both at most windows.SizeMax
	}
	if f.entriesMax == 0 {
		f.entriesMax = DedupEntriesDefault
	}
	var faults []error
	if p.Window.Type != WindowTumbling {
		faults = append(faults, fmt.Errorf("window type is %q; use %q", p.Window.Type, WindowTumbling))
	}
	if p.Dedup.Horizon < 0 || p.Dedup.MaxEntries < 0 {
		faults = append(faults, fmt.Errorf("dedup horizon is %d ms, max entries %d; neither must be negative", p.Dedup.Horizon, p.Dedup.MaxEntries))
	}
	layout, err := p.layout()
	f.windows.Layout = layout
	faults = append(faults, err, f.windows.Validate(), f.watermark.Validate())
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("bind plan %q: %w", p.name, err)
	}
	p.fold = f
	return nil
}

// layout finds the functions of the aggregates and lays them out.
func (p *Plan) layout() (*agg.Layout, error) {
	columns := make([]agg.Column, len(p.Aggregates))
	var faults []error
	for i, a := range p.Aggregates {
		f, err := agg.Find(a.Function)
		if err != nil {
			faults = append(faults, fmt.Errorf("aggregate %q: %w", a.Name, err))
		}
		columns[i] = agg.Column{Function: f, Slot: a.Slot}
	}
	if err := errors.Join(faults...); err != nil {
		return &agg.Layout{}, err
	}
	return agg.NewLayout(columns)
}

// NewTask returns the state of a key without events. It panics when the plan
// was not made by [Compile] and cannot work: that is the caller's mistake.
func (p *Plan) NewTask(key string) *Task {
	if p.fold == nil {
		if err := p.bind(); err != nil {
			panic(err)
		}
	}
	return &Task{
		fold:    p.fold,
		key:     key,
		active:  edged.MinTimestamp,
		windows: windows.NewOperator(&p.fold.windows),
	}
}

// Observe folds an event of the key into the state. now is the processing time
// of its record. A duplicate changes nothing but counts as a sign of life.
func (t *Task) Observe(out *edged.Output, ev *edged.Event, now edged.Timestamp) {
	t.active = now
	if t.duplicate(out, ev) {
		out.Duplicates++
		return
	}
	w := t.fold.watermark.Observe(t.windows.Watermark(), ev.EventTime)
	t.advance(out, w, ev.Seq, edged.ByWatermark)
	t.windows.Add(out, ev)
}

// Tick tells the task the processing time. If the key has been silent for its
// idle timeout, its open windows are closed; in every other case nothing happens.
func (t *Task) Tick(out *edged.Output, seq edged.Seq, now edged.Timestamp) {
	if end, ok := t.windows.Pending(); ok {
		w := t.fold.watermark.Idle(t.windows.Watermark(), t.active, now, end)
		t.advance(out, w, seq, edged.ByIdle)
	}
}

// End tells the task that its bounded input has ended: all windows fire.
func (t *Task) End(out *edged.Output, seq edged.Seq) {
	t.advance(out, edged.MaxTimestamp, seq, edged.ByEnd)
}

// Active returns the processing time of the last event, and
// [edged.MinTimestamp] when there was none.
func (t *Task) Active() edged.Timestamp { return t.active }

// Due returns the processing time from which on [Task.Tick] closes windows, if
// no event comes before it, and [edged.MaxTimestamp] when ticks have no effect.
func (t *Task) Due() edged.Timestamp {
	if _, ok := t.windows.Pending(); !ok {
		return edged.MaxTimestamp
	}
	return t.fold.watermark.Due(t.active)
}

// Open returns the number of windows whose state is kept: those that have not
// ended and those that still take late events.
func (t *Task) Open() int { return t.windows.Open() }

// Watermark returns how far the key's time has come, and [edged.MinTimestamp]
// before its first event.
func (t *Task) Watermark() edged.Timestamp { return t.windows.Watermark() }

// duplicate remembers the event and reports whether it was seen before. What is
// behind the horizon is not looked at: the windows decide that it is late.
func (t *Task) duplicate(out *edged.Output, ev *edged.Event) bool {
	if !t.fold.dedup || ev.Identity == 0 || ev.EventTime < t.horizon() {
		return false
	}
	known, evicted := t.seen.add(sighting{ev.EventTime, ev.Identity}, t.fold.entriesMax)
	out.Overflow += evicted
	return known
}

// advance moves the watermark and forgets what is then behind the horizon.
func (t *Task) advance(out *edged.Output, to edged.Timestamp, seq edged.Seq, cause edged.Cause) {
	t.windows.Advance(out, to, windows.Moment{Key: t.key, Trigger: seq, Cause: cause})
	t.seen.forget(t.horizon())
}

// horizon returns the event time from which on sightings are kept.
func (t *Task) horizon() edged.Timestamp {
	return t.windows.Watermark().Add(-t.fold.horizon)
}

// AppendBinary appends the state to dst: the plan's fingerprint (8 bytes), the
// format (1 byte), the processing time of the last event, the windows and the
// events seen. Equal states give equal bytes. The error is always nil; it is
// there for encoding.BinaryAppender.
func (t *Task) AppendBinary(dst []byte) ([]byte, error) {
	dst = binary.LittleEndian.AppendUint64(dst, t.fold.fingerprint)
	dst = append(dst, taskFormat)
	dst = binary.AppendVarint(dst, int64(t.active))
	dst = t.windows.AppendBinary(dst)
	return t.seen.appendBinary(dst, t.windows.Watermark()), nil
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
	active, n := binary.Varint(data[9:])
	if n <= 0 {
		return fmt.Errorf("restore %q: its last activity: %w", t.key, ErrState)
	}
	operator := windows.NewOperator(&t.fold.windows)
	rest, err := operator.Restore(data[9+n:])
	if err != nil {
		return fmt.Errorf("restore %q: %w: %w", t.key, ErrState, err)
	}
	seen, rest, err := restoreSightings(rest, operator.Watermark())
	if err != nil {
		return fmt.Errorf("restore %q: %w", t.key, err)
	}
	if len(rest) > 0 {
		return fmt.Errorf("restore %q: %d bytes too many: %w", t.key, len(rest), ErrState)
	}
	t.active, t.windows, t.seen = edged.Timestamp(active), operator, seen
	return nil
}
