package query

import (
	"slices"
	"strings"

	"edged"
	"edged/windows/agg"
	"edged/windows/zones"
)

// windowMembers says which types of windows each member belongs to.
func windowMembers() map[string][]string {
	aligned := []string{WindowTumbling, WindowHopping, WindowCumulate, WindowCalendar}
	timed := append(slices.Clone(aligned), WindowSession, WindowSliding, WindowGlobal)
	return map[string][]string{
		"size":             {WindowTumbling, WindowHopping, WindowCumulate, WindowSliding},
		"period":           {WindowHopping},
		"step":             {WindowCumulate},
		"offset":           {WindowTumbling, WindowHopping, WindowCumulate},
		"gap":              {WindowSession},
		"max_duration":     {WindowSession, WindowState},
		"look_ahead":       {WindowSliding},
		"when":             {WindowSliding},
		"elements_max":     {WindowSliding},
		"open":             {WindowState},
		"close":            {WindowState},
		"change_of":        {WindowState},
		"unit":             {WindowCalendar},
		"zone":             {WindowCalendar},
		"at":               {WindowCalendar},
		"week_start":       {WindowCalendar},
		"shifts":           {WindowCalendar},
		"count":            {WindowCount},
		"count_step":       {WindowCount},
		"partial":          {WindowCount},
		"allowed_lateness": timed,
		"trigger":          timed,
		"accumulation":     append(slices.Clone(aligned), WindowSession, WindowGlobal),
		"empty":            aligned,
		"windows_max":      windowTypes(),
		"type":             windowTypes(),
	}
}

// window checks that the members of the window fit its type, and compiles its
// conditions. What the values may be is known to package windows; see bind.
func (c *compiler) window() {
	c.marks.when, c.marks.open, c.marks.close, c.marks.change = -1, -1, -1, -1
	w := c.plan.Window
	if w == nil {
		if len(c.spec.Aggregates) > 0 {
			c.fault("aggregates", "give the pipeline a window", "have no meaning without a window")
		}
		if c.spec.Upstream() != "" && !c.spec.takesAlarms() {
			c.fault("window", "", "is missing: results of a pipeline are gathered by windows")
		}
		return
	}
	members := windowMembers()
	if c.joinsWindows() {
		for name, types := range members {
			if !slices.Contains([]string{"type", "size", "period", "offset"}, name) && c.given("window."+name) && slices.Contains(types, w.Type) {
				c.fault("window."+name, "", "has no meaning for a window join, which gives every match once")
			}
		}
	}
	for _, name := range (schema{Schema()}).below("pipelines[].window") {
		if types := members[name]; c.given("window."+name) && !slices.Contains(types, w.Type) {
			c.fault("window."+name, "", "has no meaning for %s windows; it belongs to %s", w.Type, strings.Join(types, ", "))
		}
	}
	for _, need := range []struct {
		name  string
		value int64
	}{{"size", w.Size}, {"period", w.Period}, {"step", w.Step}, {"gap", w.Gap}, {"count", w.Count}} {
		if slices.Contains(members[need.name], w.Type) && need.value == 0 {
			c.fault("window", "", "%s is missing: %s windows need it", need.name, w.Type)
		}
	}
	if !c.joinsWindows() {
		c.needless(w)
		c.crowded(w)
	}
	if w.Type == WindowCalendar {
		c.calendarWindow(w)
	}
	if w.When != "" {
		c.marks.when = c.condition(c.body, "window.when", w.When)
	}
	if w.Type == WindowState {
		c.stateWindow(w)
	}
	if w.Size > 0 && (w.Type == WindowTumbling || w.Type == WindowCumulate) {
		w.Offset = (w.Offset%w.Size + w.Size) % w.Size
	}
	if w.Period > 0 && w.Type == WindowHopping {
		w.Offset = (w.Offset%w.Period + w.Period) % w.Period
	}
	if c.spec.Join != nil && c.spec.Join.Type == "window" && w.Type != WindowTumbling && w.Type != WindowHopping {
		c.fault("window.type", "", "a window join takes tumbling and hopping windows, not %s", w.Type)
	}
	if c.spec.Upstream() != "" && !slices.Contains([]string{WindowTumbling, WindowHopping, WindowCumulate, WindowCalendar}, w.Type) {
		c.fault("window.type", "", "results of a pipeline are gathered by tumbling, hopping, cumulate and calendar windows, not %s", w.Type)
	}
}

// calendarWindow checks what calendar windows are made of.
func (c *compiler) calendarWindow(w *WindowSpec) {
	if _, err := zones.Load(w.Zone); err != nil {
		c.fault("window.zone", "", "%s", err)
	}
	if _, err := minutes(w.At); err != nil {
		c.fault("window.at", "", "%s", err)
	}
	if w.Unit == "shift" && len(w.Shifts) == 0 {
		c.fault("window", "", "shifts is missing: unit shift needs the times at which shifts begin")
	}
	before := -1
	for i, text := range w.Shifts {
		m, err := minutes(text)
		switch {
		case err != nil:
			c.fault(indexed("window.shifts", i), "", "%s", err)
		case m <= before:
			c.fault(indexed("window.shifts", i), "list each once, in the order of the day", "%q is not after the one before it, %q", text, w.Shifts[i-1])
		}
		before = m
	}
}

func (c *compiler) stateWindow(w *WindowSpec) {
	if (w.ChangeOf != "") == (w.Open != "" || w.Close != "") || (w.Open != "") != (w.Close != "") {
		c.fault("window", "", "must have either open and close, or change_of")
		return
	}
	if w.ChangeOf != "" {
		c.marks.change = c.field(c.body, "window.change_of", w.ChangeOf)
		return
	}
	c.marks.open = c.condition(c.body, "window.open", w.Open)
	c.marks.close = c.condition(c.body, "window.close", w.Close)
}

// joinsWindows reports whether the windows are those of a join.
func (c *compiler) joinsWindows() bool { return c.spec.Join != nil && c.spec.Join.Type == "window" }

// given reports whether the document has a value at path.
func (c *compiler) given(path string) bool {
	_, ok := c.spec.where.places[path]
	return ok
}

func (c *compiler) aggregates() {
	if n := len(c.plan.Aggregates); c.plan.Window != nil && !c.joinsWindows() && (n == 0 || n > AggregatesMax) {
		c.fault("aggregates", "", "there must be 1 to %d, but there are %d", AggregatesMax, n)
	}
	taken := append(paneMembers(), c.spec.OutputKey)
	for i := range c.plan.Aggregates {
		a := &c.plan.Aggregates[i]
		path := indexed("aggregates", i)
		if a.Name == "" || slices.Contains(taken, a.Name) {
			c.fault(path+".name", "", "%q is empty, given before, or a member that every result has", a.Name)
		}
		taken = append(taken, a.Name)
		one := aggregated{-1, -1}
		if a.Where != "" {
			one.where = c.condition(c.body, path+".where", a.Where)
		}
		one.field = c.aggregate(path, a)
		c.aggregated = append(c.aggregated, one)
	}
}

// aggregate checks a column and returns the field that it reads, -1 for none.
func (c *compiler) aggregate(path string, a *AggregateSpec) int {
	if a.Function == mergeFunction {
		c.merged(path, a)
		return -1
	}
	kind, at := edged.Null, -1
	if a.Field != "" {
		if at = c.field(c.body, path+".field", a.Field); at < 0 {
			return -1
		}
		kind = c.body.fields[at].kind
	}
	if at < 0 && a.Function != "count" && a.Function != "coverage" {
		c.fault(path+".field", "", "is missing: only count and coverage go without a field")
		return at
	}
	if _, err := agg.Find(a.Function, kind, a.Params); err != nil {
		c.fault(path, "", "%s", err)
	}
	return at
}

// merged checks a column that combines the states behind a column of the upstream.
func (c *compiler) merged(path string, a *AggregateSpec) {
	if c.spec.Upstream() == "" || len(c.plan.inputs) == 0 || c.plan.inputs[0].upstream == nil {
		c.fault(path+".function", "", "merge is for pipelines that gather the results of another one")
		return
	}
	up := c.plan.inputs[0].upstream
	i := slices.IndexFunc(up.Aggregates, func(other AggregateSpec) bool { return other.Name == a.Field })
	switch {
	case i < 0:
		c.fault(path+".field", Suggest(a.Field, up.Columns(edged.PaneResult)), "%s has no column %q", up.name, a.Field)
	case a.Where != "":
		c.fault(path+".where", "filter where it is gathered first", "what is merged cannot be filtered")
	case a.Params != agg.Params{} && a.Params != agg.Params{Interpolation: agg.Step}:
		c.fault(path, "leave them out", "parameters have no meaning for merge; those of the column that is merged apply")
	}
}

// emits chooses the columns of results that no window gathers.
func (c *compiler) emits() {
	if c.spec.Upstream() != "" {
		return // there must be a window
	}
	if c.plan.Window != nil && !c.joinsWindows() {
		if len(c.spec.Emit) > 0 {
			c.fault("emit", "", "has no meaning with a window: the columns are aggregates")
		}
		return
	}
	names, path := c.spec.Emit, func(i int) string { return indexed("emit", i) }
	if len(names) == 0 {
		names, path = c.body.names(), func(int) string { return "emit" }
	}
	for i, name := range names {
		at := c.field(c.body, path(i), name)
		switch {
		case at < 0:
		case slices.Contains(append(rowMembers(), c.spec.OutputKey), name):
			c.fault(path(i), "choose the fields with emit, or rename it", "%q is a member that every result has", name)
		case !slices.Contains(c.emit, at):
			c.emit = append(c.emit, at)
		case len(c.spec.Emit) > 0:
			c.fault(path(i), "", "%q is given before", name)
		}
	}
}
