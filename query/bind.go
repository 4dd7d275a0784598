package query

import (
	"fmt"
	"slices"
	"strings"

	"edged"
	"edged/changes"
	"edged/joins"
	"edged/watermark"
	"edged/windows"
	"edged/windows/agg"
	"edged/windows/zones"
)

// fold is what the tasks of one plan share. It is immutable.
type fold struct {
	plan        *Plan
	windows     windows.Spec
	group       *windows.GroupSpec // instead of windows
	strategy    watermark.Strategy
	sources     *watermark.Sources // nil: a key has one source
	changes     changes.Spec
	join        joins.Spec
	dedup       bool
	horizon     int64 // how far sightings are kept behind the watermark
	entriesMax  int
	fingerprint uint64
}

// DedupHorizonDefault is how long identities are remembered when an event can
// count in a window however old it is: an hour of event time, in milliseconds.
const DedupHorizonDefault = 3600 * 1000

// bind prepares the plan for making tasks. What the parameters of windows, joins
// and watermarks may be is known to their packages; the faults go to c.
func (p *Plan) bind(c *compiler) {
	f := &fold{plan: p, fingerprint: p.Fingerprint(), dedup: p.Dedup.Enabled, entriesMax: p.Dedup.MaxEntries}
	fault := c.faultsOf
	f.strategy, f.sources = p.clocks(c)
	if f.sources != nil {
		fault("watermark", f.sources.Validate())
	} else {
		fault("watermark", f.strategy.Validate())
	}
	for _, ch := range p.changing {
		f.changes = append(f.changes, ch.config())
	}
	for i := range f.changes {
		fault(indexed("changes", i), f.changes[i].Validate())
	}
	if len(c.errors) == 0 {
		fault("changes", f.changes.Validate())
	}
	if j := p.spec.Join; j != nil {
		f.join = p.joining(j)
		fault("join", f.join.Validate())
	}
	if p.gathers() {
		fault("window", p.bindWindows(f))
	}
	f.horizon = p.horizon()
	if len(c.errors) == 0 {
		p.fold = f
	}
}

// gathers reports whether windows gather the events, or matches.
func (p *Plan) gathers() bool {
	return p.Window != nil && (p.spec.Join == nil || p.spec.Join.Type != "window")
}

// faultsOf reports an error of another package, each of several joined ones apart.
func (c *compiler) faultsOf(path string, err error) {
	if err == nil {
		return
	}
	if all, ok := err.(interface{ Unwrap() []error }); ok && strings.Contains(err.Error(), "\n") {
		for _, one := range all.Unwrap() {
			c.faultsOf(path, one)
		}
		return
	}
	c.fault(path, "", "%s", err)
}

// closesBySilence reports whether windows take the silence of their key for their
// end, wherever time is.
func (p *Plan) closesBySilence() bool {
	return p.gathers() && (p.Window.Type == WindowCount || p.Window.Type == WindowState)
}

// clocks returns how watermarks are made.
func (p *Plan) clocks(c *compiler) (watermark.Strategy, *watermark.Sources) {
	m := p.Watermark
	kind, err := watermark.ParseKind(m.Type)
	if err != nil {
		c.fault("watermark.type", "", "%s", err)
	}
	s := watermark.Strategy{
		Kind: kind, OutOfOrderness: m.OutOfOrderness, Quantile: m.Quantile, DelayMax: m.DelayMax, IdleTimeout: m.IdleTimeout,
	}
	if p.spec.Join == nil && (p.spec.Upstream() == "" || p.suppress != nil) && m.Per == "" {
		return s, nil
	}
	return s, &watermark.Sources{Strategy: s, Max: m.SourcesMax}
}

func (ch *changing) config() changes.Config {
	s := ch.spec
	c := changes.Config{Function: changes.Function(s.Function), Slot: ch.slot, Into: ch.into, By: s.By, Percent: s.Percent, MaxInterval: s.MaxInterval}
	switch s.Function {
	case "lag":
		c.N = s.Steps
	case "dead_band":
		c.Function = changes.Deadband
	}
	return c
}

func (p *Plan) joining(j *JoinSpec) joins.Spec {
	kinds := []string{"inner", "left", "right", "full"}
	kind := joins.Kind(max(slices.Index(kinds, j.Kind), 0))
	switch j.Type {
	case "window":
		w := p.Window
		return &joins.Window{Kind: kind, Size: w.Size, Period: w.Period, Offset: w.Offset, EventsMax: j.EventsMax}
	case "as_of":
		tolerance := j.Tolerance
		if tolerance == 0 {
			tolerance = joins.SpanMax
		}
		return &joins.AsOf{Kind: kind, Tolerance: tolerance, EventsMax: j.EventsMax}
	}
	return &joins.Interval{Kind: kind, Lower: j.Lower, Upper: j.Upper, EventsMax: j.EventsMax}
}

// bindWindows makes the windows of the fold.
func (p *Plan) bindWindows(f *fold) error {
	w := p.Window
	f.windows = windows.Spec{
		AllowedLateness: w.AllowedLateness, Empty: w.Empty, OpenMax: w.WindowsMax, ElementsMax: w.ElementsMax,
		Trigger:  windows.Trigger{FinalOnly: w.FinalOnly, Early: w.Early.section(), Late: w.Late.section()},
		Partials: p.env.Inner,
	}
	switch w.Accumulation {
	case "discarding":
		f.windows.Accumulation = windows.Discarding
	case "retracting":
		f.windows.Accumulation = windows.Retracting
	}
	if err := p.cut(&f.windows); err != nil {
		return err
	}
	layout, merge, err := p.layout()
	if err != nil {
		return err
	}
	f.windows.Layout = layout
	if p.inputs[0].upstream == nil {
		return f.windows.Validate()
	}
	if slices.Max(merge) < 0 {
		merge = nil
	}
	f.group = &windows.GroupSpec{Windows: f.windows, Merge: merge, ContributionsMax: p.spec.Group.ContributionsMax}
	if up := p.inputs[0].upstream.fold; up.windows.Partials {
		f.group.Upstream = up.windows.Layout
	}
	return f.group.Validate()
}

// cut sets how the windows cut time.
func (p *Plan) cut(spec *windows.Spec) error {
	w := p.Window
	switch w.Type {
	case WindowTumbling:
		spec.Assigner = windows.Tumbling{Size: w.Size, Offset: w.Offset}
	case WindowHopping:
		spec.Assigner = windows.Hopping{Size: w.Size, Period: w.Period, Offset: w.Offset}
	case WindowCumulate:
		spec.Assigner = windows.Cumulate{Size: w.Size, Step: w.Step, Offset: w.Offset}
	case WindowCalendar:
		spec.Assigner = w.calendar()
	case WindowGlobal:
		spec.Assigner = windows.Global{}
	case WindowSession:
		if w.MaxDuration > 0 {
			spec.Capped = &windows.Capped{Gap: w.Gap, Max: w.MaxDuration}
		} else {
			spec.Session = &windows.Session{Gap: w.Gap}
		}
	case WindowCount:
		spec.Count = &windows.Count{Size: w.Count, Step: w.CountStep, Partial: w.Partial}
	case WindowSliding:
		spec.Sliding = &windows.Sliding{Size: w.Size, LookAhead: w.LookAhead, When: p.trigger.when}
	case WindowState:
		spec.StateWindow = &windows.StateWindow{Open: p.trigger.open, Close: p.trigger.close, Change: p.trigger.change, MaxDuration: w.MaxDuration}
	default:
		return fmt.Errorf("%q is not one of %v", w.Type, windowTypes())
	}
	return nil
}

// calendar reads what calendar windows are made of, which was checked.
func (w *WindowSpec) calendar() windows.Calendar {
	units := []string{"day", "week", "month", "shift"}
	days := []string{"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"}
	c := windows.Calendar{Unit: windows.CalendarUnit(max(slices.Index(units, w.Unit), 0)), WeekStart: slices.Index(days, w.WeekStart) + 1}
	c.Zone, _ = zones.Load(w.Zone)
	c.At, _ = minutes(w.At)
	for _, text := range w.Shifts {
		m, _ := minutes(text)
		c.Shifts = append(c.Shifts, m)
	}
	return c
}

// minutes reads a time of day such as 06:00.
func minutes(text string) (int, error) {
	digit := func(i int) int { return int(text[i] - '0') }
	if len(text) != 5 || text[2] != ':' {
		return 0, fmt.Errorf(`%q is no time of day; write for example "06:00"`, text)
	}
	for _, i := range []int{0, 1, 3, 4} {
		if text[i] < '0' || text[i] > '9' {
			return 0, fmt.Errorf(`%q is no time of day; write for example "06:00"`, text)
		}
	}
	hour, minute := 10*digit(0)+digit(1), 10*digit(3)+digit(4)
	if hour > 23 || minute > 59 {
		return 0, fmt.Errorf("%q is no time of day; the last one is 23:59", text)
	}
	return 60*hour + minute, nil
}

func (s *SectionSpec) section() *windows.Section {
	if s == nil {
		return nil
	}
	section := &windows.Section{When: s.ConditionSpec.condition(), Once: s.Once}
	if s.Until != nil {
		c := s.Until.condition()
		section.Until = &c
	}
	return section
}

func (s ConditionSpec) condition() windows.Condition {
	return windows.Condition{
		Events: s.Events, Delay: s.Delay, Every: s.Every,
		Any: conditions(s.Any), All: conditions(s.All), Sequence: conditions(s.Sequence),
	}
}

func conditions(list []ConditionSpec) []windows.Condition {
	var all []windows.Condition
	for _, c := range list {
		all = append(all, c.condition())
	}
	return all
}

// layout finds the functions of the aggregates and lays them out. merge has for
// each the column of the upstream that is merged into it, or -1.
func (p *Plan) layout() (layout *agg.Layout, merge []int, err error) {
	columns := make([]agg.Column, len(p.Aggregates))
	for i, a := range p.Aggregates {
		if a.Function == mergeFunction {
			f, err := p.function(i)
			if err != nil {
				return nil, nil, err
			}
			columns[i] = windows.Merged(f)
			merge = append(merge, p.mergedColumn(i))
			continue
		}
		f, err := p.function(i)
		if err != nil {
			return nil, nil, fmt.Errorf("aggregate %q: %w", a.Name, err)
		}
		columns[i] = agg.Column{Function: f, Slot: a.Slot}
		if slot := p.wheres[i]; slot >= 0 {
			columns[i].Where = agg.If(slot)
		}
		merge = append(merge, -1)
	}
	layout, err = agg.NewLayout(columns)
	return layout, merge, err
}

// function returns what a column computes. A merged column goes on with what the
// one that it merges computes, through as many stages as there are.
func (p *Plan) function(i int) (agg.Function, error) {
	if p.Aggregates[i].Function == mergeFunction {
		return p.inputs[0].upstream.function(p.mergedColumn(i))
	}
	return agg.Find(p.Aggregates[i].Function, p.kindOf(p.Aggregates[i].Slot), p.Aggregates[i].Params)
}

// mergedColumn returns the column of the upstream that a column merges.
func (p *Plan) mergedColumn(i int) int {
	return slices.IndexFunc(p.inputs[0].upstream.Aggregates, func(other AggregateSpec) bool { return other.Name == p.Aggregates[i].Field })
}

// kindOf returns the kind of the values at a slot.
func (p *Plan) kindOf(slot int) edged.Kind {
	for _, f := range p.fields {
		if slot >= 0 && f.slot == slot {
			return f.kind
		}
	}
	return edged.Null
}

// horizon returns how far behind the watermark identities are remembered, in ms.
func (p *Plan) horizon() int64 {
	if p.Dedup.Horizon > 0 {
		return p.Dedup.Horizon
	}
	return p.reach() + p.spec.Backlog.Horizon
}

// length returns about how long windows last, in ms, and 0 where events decide.
func (p *Plan) length() int64 {
	switch w := p.Window; w.Type {
	case WindowTumbling, WindowHopping, WindowCumulate, WindowSliding:
		return w.Size + w.LookAhead
	case WindowCalendar:
		return w.unitLength()
	case WindowSession:
		return max(w.Gap, w.MaxDuration)
	}
	return 0
}

// unitLength returns the length of the longest calendar window of the unit, in ms.
func (w *WindowSpec) unitLength() int64 {
	const hour, day = 3600 * 1000, 25 * 3600 * 1000 // a day that clocks make longer
	return map[string]int64{"day": day, "shift": day, "week": 7*24*hour + hour, "month": 31*24*hour + hour}[w.Unit]
}

// reach returns how far behind the watermark an event can still count: beyond
// that it is late, and cannot count twice.
func (p *Plan) reach() int64 {
	if j := p.spec.Join; j != nil {
		switch j.Type {
		case "interval":
			return max(j.Upper, 0) - min(j.Lower, 0) + 1
		case "as_of":
			return 1
		}
		return p.Window.Size
	}
	w := p.Window
	if p.ordered {
		return 0
	}
	if w == nil {
		return DedupHorizonDefault
	}
	switch w.Type {
	case WindowTumbling, WindowHopping, WindowCumulate:
		return w.Size + w.AllowedLateness
	case WindowSliding:
		return w.Size + w.LookAhead + w.AllowedLateness
	case WindowCalendar:
		return w.unitLength() + w.AllowedLateness
	case WindowSession:
		return max(w.Gap+w.AllowedLateness, DedupHorizonDefault)
	}
	return DedupHorizonDefault
}

// endless reports whether an event can count however far it is behind the watermark.
func (p *Plan) endless() bool {
	if p.spec.Join != nil || p.ordered {
		return false
	}
	return p.Window == nil || slices.Contains([]string{WindowSession, WindowCount, WindowGlobal}, p.Window.Type)
}

// Pulse returns what a key that is not silent needs of processing time, in
// milliseconds: how often it wants to be told, and for how long after its last event.
// Triggers wait for it, and so does what falls silent while the key does not: one of
// several sources, and a backlog.
func (p *Plan) Pulse() (every, span int64) {
	if p.Window != nil {
		t := &p.fold.windows.Trigger
		every, span = t.Pulse(), t.Span()
	}
	idle := p.Watermark.IdleTimeout
	if idle == 0 || p.fold.sources == nil && p.spec.Backlog.Horizon == 0 {
		return every, span
	}
	if every == 0 || idle < every {
		every = idle
	}
	return every, max(span, idle)
}
