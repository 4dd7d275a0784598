package timecheck

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"edged"
	"edged/internal/oracle"
	"edged/windows"
	"edged/windows/agg"
	"edged/windows/zones"
)

// slots are where the fields of a reading are.
func slots() []string { return []string{"v", "a", "b", "s", "m", "src"} }

func slot(field string) int { return slices.Index(slots(), field) }

// operators runs a case with the operators of package windows alone: no document,
// no driver, no task. It is quick, and says whose fault a difference is.
func operators(c Case) ([]oracle.Line, error) {
	spec, err := specOf(c.Config)
	if err != nil {
		return nil, err
	}
	keys := map[string]*rig{}
	now, manual := edged.Timestamp(0), edged.MinTimestamp
	var lines []oracle.Line
	for at, s := range c.Steps {
		if s.Kind == oracle.ProcessingTimeStep {
			now = max(now, edged.Timestamp(s.Time))
		}
		if s.Kind == oracle.WatermarkStep {
			manual = max(manual, edged.Timestamp(s.Time))
		}
		for _, r := range s.Readings {
			k := keys[r.Key]
			if k == nil {
				k = &rig{config: &c.Config, key: r.Key, spec: spec, state: spec.New(), seen: map[string]bool{}}
				k.advance(manual, edged.ByWatermark)
				keys[r.Key] = k
			}
			k.now = now
			k.observe(r)
		}
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			k := keys[key]
			k.now = now
			if err := k.step(s); err != nil {
				return nil, fmt.Errorf("step %d, key %s: %w", at, key, err)
			}
			for _, l := range k.lines {
				l.Step = at
				lines = append(lines, l)
			}
			k.lines = nil
		}
	}
	return lines, nil
}

// rig is one key: what a task does around windows, as plainly as possible.
type rig struct {
	config  *oracle.Config
	key     string
	spec    *windows.Spec
	state   windows.State
	now     edged.Timestamp
	active  edged.Timestamp
	seq     edged.Seq
	waiting []*edged.Event
	seen    map[string]bool
	lines   []oracle.Line
}

func (k *rig) moment(cause edged.Cause) windows.Moment {
	return windows.Moment{Key: k.key, Trigger: k.seq, Cause: cause, Now: k.now}
}

func (k *rig) step(s oracle.Step) error {
	switch s.Kind {
	case oracle.WatermarkStep:
		k.advance(edged.Timestamp(s.Time), edged.ByWatermark)
	case oracle.ProcessingTimeStep:
		k.do(0, func(out *edged.Output) { k.state.Tick(out, k.moment(edged.ByTick)) })
		if timeout := k.config.Watermark.IdleTimeout; timeout > 0 && k.config.Watermark.Type != oracle.Manual && k.now >= k.active.Add(timeout) {
			k.close()
		}
	case oracle.EndStep:
		k.advance(edged.MaxTimestamp, edged.ByEnd)
	case oracle.RestoreStep:
		stored := k.state.AppendBinary(nil)
		k.state = k.spec.New()
		rest, err := k.state.Restore(stored)
		if err != nil {
			return err
		}
		if again := k.state.AppendBinary(nil); len(rest) > 0 || !slices.Equal(again, stored) {
			return fmt.Errorf("the state %x comes back as %x", stored, again)
		}
	}
	return nil
}

// close brings a silent key to rest. What waits may open windows in its turn.
func (k *rig) close() {
	for range 3 {
		to, waits := k.state.Pending()
		if !waits || to == edged.MaxTimestamp {
			to, waits = edged.MinTimestamp, false
		}
		for _, ev := range k.waiting {
			if after := ev.EventTime.Add(1); after < edged.MaxTimestamp {
				to, waits = max(to, after), true
			}
		}
		if waits && to <= k.state.Watermark() {
			k.do(0, func(out *edged.Output) { k.state.Advance(out, to, k.moment(edged.ByIdle)) })
		} else if waits {
			k.advance(to, edged.ByIdle)
		}
	}
}

func inTime(a, b *edged.Event) int { return cmp.Compare(a.EventTime, b.EventTime) }

func (k *rig) observe(r oracle.Reading) {
	k.seq++
	k.active = k.now
	id := fmt.Sprint(r.Time, " ", r.ID)
	if k.config.Dedup && k.seen[id] {
		return
	}
	k.seen[id] = true
	ev := &edged.Event{Seq: k.seq, Key: r.Key, EventTime: edged.Timestamp(r.Time)}
	for _, name := range slots() {
		var v edged.Value
		switch value := r.Fields[name].(type) {
		case float64:
			v = edged.NumberValue(value)
		case bool:
			v = edged.BoolValue(value)
		case string:
			v = edged.TextValue(value)
		}
		ev.Values = append(ev.Values, v)
	}
	switch {
	case !k.config.Ordered:
		k.add(ev, edged.ByWatermark)
	case ev.EventTime < k.state.Watermark():
		k.lines = append(k.lines, oracle.Line{
			Key: k.key, Kind: oracle.LateLine, Start: r.Time, End: r.Time + 1, Dropped: true, Windows: fmt.Sprintf("[%d,%d)", r.Time, r.Time+1),
		})
	default:
		k.waiting = append(k.waiting, ev)
	}
	w := edged.MinTimestamp
	switch k.config.Watermark.Type {
	case oracle.Bounded:
		w = ev.EventTime.Add(-k.config.Watermark.OutOfOrderness)
	case oracle.Ascending:
		w = ev.EventTime.Add(1)
	case oracle.Punctuated:
		if mark, ok := r.Fields["m"].(float64); ok {
			w = edged.Timestamp(mark)
		}
	}
	k.advance(min(w, edged.MaxTimestamp-1), edged.ByWatermark)
}

func (k *rig) add(ev *edged.Event, cause edged.Cause) {
	k.do(ev.EventTime, func(out *edged.Output) { k.state.Add(out, ev, k.moment(cause)) })
}

func (k *rig) advance(to edged.Timestamp, cause edged.Cause) {
	if to <= k.state.Watermark() {
		return
	}
	slices.SortStableFunc(k.waiting, inTime)
	from := len(k.lines)
	for len(k.waiting) > 0 && (k.waiting[0].EventTime < to || to == edged.MaxTimestamp) {
		k.add(k.waiting[0], cause)
		k.waiting = k.waiting[1:]
	}
	for i := range k.lines[from:] {
		if l := &k.lines[from+i]; l.Kind == oracle.PaneLine {
			l.Watermark = int64(to)
		}
	}
	k.do(0, func(out *edged.Output) { k.state.Advance(out, to, k.moment(cause)) })
}

// do collects what the state says to one call, which is about an event at t.
func (k *rig) do(t edged.Timestamp, call func(*edged.Output)) {
	var out edged.Output
	call(&out)
	late := oracle.Line{Key: k.key, Kind: oracle.LateLine, Start: int64(t)}
	var missed []string
	for _, m := range out.Missed {
		missed = append(missed, fmt.Sprintf("[%d,%d)", m.Start, m.End))
		late.End = int64(m.End)
	}
	late.Windows = strings.Join(missed, " ")
	for i := range out.Results {
		r := &out.Results[i]
		l := oracle.Line{Key: r.Key, Start: int64(r.Start), End: int64(r.End), Index: int(r.Index)}
		switch r.Kind {
		case edged.LateResult:
			late.Dropped = true
			continue
		case edged.RetractResult:
			l.Kind = oracle.RetractLine
		default:
			l.Kind, l.Pane, l.Last, l.Cause, l.Watermark = oracle.PaneLine, r.Timing.String(), r.Last, r.Cause.String(), int64(r.Watermark)
		}
		var texts []string
		for _, v := range r.Values {
			texts = append(texts, string(v.AppendJSON(nil)))
		}
		l.Values = strings.Join(texts, " ")
		k.lines = append(k.lines, l)
	}
	if len(missed) > 0 || late.Dropped {
		k.lines = append(k.lines, late)
	}
}

// specOf translates a configuration.
func specOf(c oracle.Config) (*windows.Spec, error) {
	var columns []agg.Column
	for _, col := range c.Columns {
		kind := edged.Null
		if col.Field != "" {
			kind = edged.Number
		}
		f, err := agg.Find(col.Function, kind, agg.Params{})
		if err != nil {
			return nil, err
		}
		column := agg.Column{Function: f, Slot: agg.Events}
		if col.Field != "" {
			column.Slot = slot(col.Field)
		}
		if col.Where != "" {
			column.Where = agg.If(slot(col.Where))
		}
		columns = append(columns, column)
	}
	layout, err := agg.NewLayout(columns)
	if err != nil {
		return nil, err
	}
	s := &windows.Spec{
		Layout: layout, AllowedLateness: c.Lateness, OpenMax: c.WindowsMax, Empty: c.Empty,
		Trigger: windows.Trigger{FinalOnly: c.Trigger.FinalOnly, Early: sectionFor(c.Trigger.Early), Late: sectionFor(c.Trigger.Late)},
	}
	switch c.Accumulation {
	case oracle.Discarding:
		s.Accumulation = windows.Discarding
	case oracle.Retracting:
		s.Accumulation = windows.Retracting
	}
	if err := cutting(s, c.Window); err != nil {
		return nil, err
	}
	return s, s.Validate()
}

func cutting(s *windows.Spec, w oracle.Windowing) error {
	switch w.Type {
	case oracle.TumblingType:
		s.Assigner = windows.Tumbling{Size: w.Size, Offset: w.Offset}
	case oracle.HoppingType:
		s.Assigner = windows.Hopping{Size: w.Size, Period: w.Period, Offset: w.Offset}
	case oracle.CumulateType:
		s.Assigner = windows.Cumulate{Size: w.Size, Step: w.Step, Offset: w.Offset}
	case oracle.GlobalType:
		s.Assigner = windows.Global{}
	case oracle.CalendarType:
		zone, err := zones.Load(w.Zone)
		if err != nil {
			return err
		}
		units := map[string]windows.CalendarUnit{"day": windows.Day, "week": windows.Week, "month": windows.Month, "shift": windows.Shift}
		cal := windows.Calendar{Unit: units[w.Unit], Zone: zone, At: int(w.At / 60_000)}
		if w.Unit == "week" {
			cal.WeekStart = (int(w.WeekStart)+6)%7 + 1
		}
		for _, s := range w.Shifts {
			cal.Shifts = append(cal.Shifts, int(s/60_000))
		}
		s.Assigner = cal
	case oracle.SessionType:
		if w.MaxDuration > 0 {
			s.Capped = &windows.Capped{Gap: w.Gap, Max: w.MaxDuration}
		} else {
			s.Session = &windows.Session{Gap: w.Gap}
		}
	case oracle.CountType:
		s.Count = &windows.Count{Size: int64(w.Count), Step: int64(w.CountStep), Partial: w.Partial}
	case oracle.SlidingType:
		s.Sliding = &windows.Sliding{Size: w.Size, LookAhead: w.LookAhead, When: slot(w.When)}
	case oracle.StateType:
		s.StateWindow = &windows.StateWindow{Open: slot(w.Open), Close: slot(w.Close), Change: slot(w.ChangeOf), MaxDuration: w.MaxDuration}
	}
	return nil
}

func sectionFor(s *oracle.Section) *windows.Section {
	if s == nil {
		return nil
	}
	to := &windows.Section{When: conditionFor(s.When), Once: s.Once}
	if s.Until != nil {
		until := conditionFor(*s.Until)
		to.Until = &until
	}
	return to
}

func conditionFor(c oracle.Cond) windows.Condition {
	list := func(from []oracle.Cond) (to []windows.Condition) {
		for _, k := range from {
			to = append(to, conditionFor(k))
		}
		return to
	}
	return windows.Condition{
		Events: int64(c.Events), Delay: c.Delay, Every: c.Every,
		Any: list(c.Any), All: list(c.All), Sequence: list(c.Sequence),
	}
}
