package oracle

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// event is a reading on its way through a key.
type event struct {
	*Reading
	now   int64 // processing time at which windows got it
	nth   int   // arrival, over the whole script
	said  int64 // its time before it was clamped
	far   bool  // its time is ahead of the gateway's clock
	ahead bool  // it says nothing about time
}

// operator is what windows of one type do with the events of one key, or a join.
type operator interface {
	add(e *event)
	advance(from int64, cause string) // the base's watermark has moved
	tick()
	pending() (end int64, ok bool)
}

// base is what the operators of a key share: its time, and its say.
type base struct {
	*Config
	key string
	w   int64 // no event before it is expected
	now int64 // processing time

	believed int64 // the newest time of an event that is not ahead; minTime: none

	cause string // what makes events and time come
	out   []Line
}

// task is one key of the pipeline.
type task struct {
	*lane
	past    *lane // nil: no backlog is being uploaded
	quiet   int64 // processing time of its last event
	active  int64 // processing time of the last event
	arrived int64 // the last event, by the gateway's clock
	seen    map[string]bool
	sources *sources
}

// Run returns every line that a pipeline says to a script, in order. It panics
// on a configuration that makes no sense: the caller is a test.
func Run(c Config, steps []Step) []Line {
	tasks := map[string]*task{}
	var lines []Line
	var now, manual int64 = 0, minTime
	arrived := 0
	for i, s := range steps {
		if s.Kind == ProcessingTimeStep {
			now = max(now, s.Time)
		}
		if s.Kind == WatermarkStep {
			manual = max(manual, s.Time)
		}
		for at := range s.Readings {
			e := c.Guard.judge(&event{Reading: &s.Readings[at], now: now, nth: arrived, said: s.Readings[at].Time}, c.Watermark.Field)
			arrived++
			if e == nil {
				lines = append(lines, Line{Step: i, Key: s.Readings[at].Key, Kind: RefusedLine, Start: s.Readings[at].Time})
				continue
			}
			if tasks[e.Key] == nil {
				tasks[e.Key] = newTask(&c, e.Key)
				tasks[e.Key].advance(manual, "watermark")
			}
			tasks[e.Key].observe(e)
		}
		for _, key := range slices.Sorted(maps.Keys(tasks)) {
			t := tasks[key]
			t.step(s, now)
			for _, line := range t.out {
				line.Step = i
				lines = append(lines, line)
			}
			t.out = nil
		}
	}
	return lines
}

// judge returns the event as the guard lets it pass, and nil when it refuses it.
func (g Guard) judge(e *event, mark string) *event {
	if g.AheadMax == 0 || e.Arrival == 0 {
		return e
	}
	until := add(e.Arrival, g.AheadMax)
	if e.Time > until && g.Policy == Refused {
		return nil
	}
	if e.Time > until && g.Policy == Clamp {
		clamped := *e.Reading
		clamped.Time = until
		e.Reading = &clamped
	}
	m, marked := e.Fields[mark].(float64)
	e.far = e.Time > until
	e.ahead = e.far || marked && int64(m) > until
	return e
}

func newTask(c *Config, key string) *task {
	return &task{lane: newLane(c, key), seen: map[string]bool{}, sources: newSources(c)}
}

// step does what a step that is no event asks of the key.
func (t *task) step(s Step, now int64) {
	t.now = now
	said := len(t.out)
	switch s.Kind {
	case WatermarkStep:
		if t.Watermark.Type == Manual {
			t.advance(s.Time, "watermark")
		}
	case ProcessingTimeStep:
		t.windows.tick()
		t.history(func(past *lane) { past.windows.tick() })
		t.settle()
		t.advance(t.sources.expire(t.now), t.left())
		if t.silent(t.active) {
			t.close()
		}
	case IdleStep:
		t.advance(t.sources.leave(s.Source), t.left())
	case ActiveStep:
		t.sources.enter(s.Source, t.now, t.w)
		t.advance(t.sources.least(), t.left())
	case EndStep:
		t.history(func(past *lane) { past.advance(maxTime, "end") })
		t.past = nil
		t.advance(maxTime, "end")
	}
	t.label(said)
}

// left is the cause when time goes on because a source has left. Windows that take
// the silence of the key for their end must not hear of it: the others go on.
func (t *task) left() string {
	if t.Window.Type == CountType || t.Window.Type == StateType {
		return "watermark"
	}
	return "idle"
}

// silent reports whether it has been quiet for long enough since a processing
// time. Where somebody else moves time, nothing else does.
func (t *task) silent(since int64) bool {
	timeout := t.Watermark.IdleTimeout
	return timeout > 0 && t.Watermark.Type != Manual && t.now >= add(since, timeout)
}

// observe takes an event: first the windows, as of the watermark so far, then
// the watermark.
func (t *task) observe(e *event) {
	t.now, t.active, t.cause, t.arrived = e.now, e.now, "watermark", e.Arrival
	said := len(t.out)
	t.settle()
	id := fmt.Sprint(e.said, " ", e.Time != e.said, " ", e.ID, " ", e.Stream)
	if !t.Dedup || e.ID == "" || !t.seen[id] {
		t.seen[id] = true
		t.take(e)
	}
	t.label(said)
}

// take puts an event into the windows, or into those of the backlog.
func (t *task) take(e *event) {
	said := len(t.out)
	t.lane.take(e)
	if n := len(t.out); n > said && t.out[n-1].Dropped && t.Backlog.Horizon > 0 && e.Time >= add(t.w, -t.Backlog.Horizon) {
		t.out = t.out[:said]
		t.fill(e)
		return
	}
	if !e.far {
		t.believed = max(t.believed, e.Time)
	}
	t.advance(t.sources.observe(e, t.w), "watermark")
}

// fill puts an event into the windows of the backlog, whose time is its own.
func (t *task) fill(e *event) {
	if t.past == nil {
		t.past = newLane(t.Config, t.key)
	}
	t.quiet = t.now
	t.history(func(past *lane) {
		past.cause = "watermark"
		past.take(e)
		past.believed = max(past.believed, e.Time)
		if t.Watermark.Type != Punctuated { // marks are about what is live
			past.advance(after(t.Watermark, e), "watermark")
		}
	})
}

// history lets the backlog speak, if there is one.
func (t *task) history(speak func(past *lane)) {
	if t.past == nil {
		return
	}
	t.past.now = t.now
	speak(t.past)
	for _, line := range t.past.out {
		line.Historical = line.Kind != LateLine || line.Dropped
		t.out = append(t.out, line)
	}
	t.past.out = nil
}

// settle ends a backlog to which nothing has been added for long enough.
func (t *task) settle() {
	if t.past != nil && t.silent(t.quiet) {
		t.history((*lane).close)
		t.past = nil
	}
}

// label marks the lines from a place on that are about a time long ago when the
// last event came in.
func (t *task) label(from int) {
	for i := range t.out[from:] {
		line := &t.out[from+i]
		old := t.Backlog.Horizon > 0 && t.arrived != 0 && line.End < add(t.arrived, -t.Backlog.OlderThan)
		line.Historical = line.Historical || old && (line.Kind != LateLine || line.Dropped)
	}
}

// say appends a line.
func (b *base) say(line Line) {
	line.Key = b.key
	b.out = append(b.out, line)
}

// late says that an event was not taken by some windows, or by none.
func (b *base) late(e *event, missed []bounds, dropped bool) {
	var list []string
	for _, m := range missed {
		list = append(list, fmt.Sprintf("[%d,%d)", m.start, m.end))
	}
	b.say(Line{
		Kind: LateLine, Start: e.Time, End: missed[len(missed)-1].end, Windows: strings.Join(list, " "), Dropped: dropped,
	})
}

// pane says what a window has to say about some events.
func (b *base) pane(at bounds, timing string, index int, last bool, cause string, contents []*event) {
	b.say(Line{
		Kind: PaneLine, Start: at.start, End: at.end, Pane: timing, Index: index, Last: last,
		Watermark: b.w, Cause: cause, Values: values(b.Columns, contents),
	})
}
