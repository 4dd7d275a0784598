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
	now int64 // processing time at which windows got it
	nth int   // arrival, over the whole script
}

// operator is what windows of one type do with the events of one key.
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

	cause string // what makes events and time come
	out   []Line
}

// task is one key of the pipeline.
type task struct {
	*base
	windows operator
	active  int64 // processing time of the last event
	waiting []*event
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
			r := &s.Readings[at]
			if tasks[r.Key] == nil {
				tasks[r.Key] = newTask(&c, r.Key)
				tasks[r.Key].advance(manual, "watermark")
			}
			tasks[r.Key].now = now
			tasks[r.Key].observe(&event{r, now, arrived})
			arrived++
		}
		for _, key := range slices.Sorted(maps.Keys(tasks)) {
			t := tasks[key]
			t.now = now
			t.step(s)
			for _, line := range t.out {
				line.Step = i
				lines = append(lines, line)
			}
			t.out = nil
		}
	}
	return lines
}

func newTask(c *Config, key string) *task {
	b := &base{Config: c, key: key, w: minTime}
	t := &task{base: b, seen: map[string]bool{}, sources: newSources(c)}
	switch {
	case c.Window.Type == CountType:
		t.windows = &counted{base: b}
	case c.Window.Type == SlidingType:
		t.windows = &sliding{base: b, fired: map[int64]int{}}
	case c.Window.Type == StateType:
		t.windows = &stated{base: b}
	case c.Window.Type == SessionType && c.Window.MaxDuration > 0:
		t.windows = &capped{base: b}
	default:
		t.windows = &panes{base: b}
	}
	return t
}

// step does what a step that is no event asks of the key.
func (t *task) step(s Step) {
	switch s.Kind {
	case WatermarkStep:
		if t.Watermark.Type == Manual {
			t.advance(s.Time, "watermark")
		}
	case ProcessingTimeStep:
		t.windows.tick()
		t.advance(t.sources.expire(t.now), "idle")
		t.idle()
	case IdleStep:
		t.advance(t.sources.leave(s.Source), "idle")
	case ActiveStep:
		t.sources.enter(s.Source, t.now, t.w)
		t.advance(t.sources.least(), "idle")
	case EndStep:
		t.advance(maxTime, "end")
	}
}

// idle closes what is open when the key has been silent for long enough. Events
// that wait may open windows in their turn. Where somebody else moves time, nothing
// else does.
func (t *task) idle() {
	timeout := t.Watermark.IdleTimeout
	if timeout == 0 || t.Watermark.Type == Manual || t.now < add(t.active, timeout) {
		return
	}
	for range 3 {
		end, ok := t.windows.pending()
		if ok && end == maxTime { // silence must not end all time
			end, ok = 0, false
		}
		for _, e := range t.waiting {
			if after := add(e.Time, 1); after < maxTime && (!ok || after > end) {
				end, ok = after, true
			}
		}
		if ok && end <= t.w {
			t.windows.advance(t.w, "idle")
		} else if ok {
			t.advance(end, "idle")
		}
	}
}

// observe takes an event: first the windows, as of the watermark so far, then
// the watermark.
func (t *task) observe(e *event) {
	t.active, t.cause = t.now, "watermark"
	id := fmt.Sprint(e.Time, " ", e.ID)
	if t.Dedup && e.ID != "" {
		if t.seen[id] {
			return
		}
		t.seen[id] = true
	}
	switch {
	case !t.Ordered:
		t.windows.add(e)
	case e.Time < t.w:
		t.late(e, []bounds{{e.Time, add(e.Time, 1)}}, true)
	default:
		t.waiting = append(t.waiting, e)
	}
	t.advance(t.sources.observe(e, t.w), "watermark")
}

// advance releases what has waited for the new time, then moves time.
func (t *task) advance(to int64, cause string) {
	if to <= t.w {
		return
	}
	t.cause = cause
	slices.SortStableFunc(t.waiting, byTime)
	said := len(t.out)
	for len(t.waiting) > 0 && (t.waiting[0].Time < to || to == maxTime) {
		t.waiting[0].now = t.now
		t.windows.add(t.waiting[0])
		t.waiting = t.waiting[1:]
	}
	for i := range t.out[said:] {
		if t.out[said+i].Kind == PaneLine {
			t.out[said+i].Watermark = to
		}
	}
	from := t.w
	t.w = to
	t.windows.advance(from, cause)
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
	b.say(Line{Kind: LateLine, Start: e.Time, Windows: strings.Join(list, " "), Dropped: dropped})
}

// pane says what a window has to say about some events.
func (b *base) pane(at bounds, timing string, index int, last bool, cause string, contents []*event) {
	b.say(Line{
		Kind: PaneLine, Start: at.start, End: at.end, Pane: timing, Index: index, Last: last,
		Watermark: b.w, Cause: cause, Values: values(b.Columns, contents),
	})
}
