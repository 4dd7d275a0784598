package query

import (
	"math"
	"slices"
	"strings"
	"time"

	"edged"
	"edged/alarms"
	"edged/anomaly"
	"edged/windows/zones"
)

// rule is a rule of detection, ready to run.
type rule struct {
	spec     *DetectSpec
	detector anomaly.Spec
	alarm    alarms.Spec
	field    int            // of the body that is watched, -1: none
	slot     int            // of that field in events
	column   int            // of panes that is watched, -1: none
	peers    *anomaly.Peers // instead of a detector: members are compared
	members  int            // column of their names
	timed    bool
}

// RulesMax bounds the rules of a pipeline.
const RulesMax = 64

// isLiveness reports whether a detector watches whether events come.
func isLiveness(detector string) bool { return detector == "dead_man" || detector == "missing" }

// watchesKey reports whether the rule is about the key as a whole: whether and when
// events come, and not what is in them.
func (r *rule) watchesKey() bool { return r.column < 0 && r.field < 0 }

// detect checks the rules and finds what they watch. It comes before order, which
// depends on it.
func (c *compiler) detect() {
	if len(c.spec.Detect) > RulesMax {
		c.fault("detect", "", "there are more than %d rules", RulesMax)
	}
	var names []string
	maintenance := c.maintenance()
	for i := range c.spec.Detect {
		spec := &c.spec.Detect[i]
		path := indexed("detect", i)
		if !isIdentifier(spec.Name) || slices.Contains(names, spec.Name) {
			c.fault(path+".name", "", "%q is no name, or given twice: use 1 to %d lower-case letters, digits, - and _", spec.Name, nameBytesMax)
		}
		names = append(names, spec.Name)
		r := rule{spec: spec, field: -1, slot: -1, column: -1}
		if spec.Detector.Type != peersType {
			r.detector = c.detector(path+".detector", &spec.Detector)
		}
		r.alarm = spec.Alarm.alarm()
		_, r.timed = anomaly.Silence(r.detector)
		r.alarm.Maintenance, r.alarm.ShelfMax, r.alarm.SetBackMin = maintenance, c.spec.Alarms.ShelfMax, c.spec.Alarms.SetBackMin
		c.faultsOf(path+".alarm", r.alarm.Validate())
		c.patience(path, spec)
		c.watched(path, &r)
		c.freezing(path, &r)
		c.plan.rules = append(c.plan.rules, r)
	}
	c.alarmsOf()
}

// suppress checks how a pipeline that takes alarms keeps them back.
func (c *compiler) suppress() {
	s := c.spec.Suppress
	if !c.spec.takesAlarms() {
		if s != nil {
			c.fault("suppress", "set source.results: alarms", "is for pipelines that take the alarms of another one")
		}
		return
	}
	for _, name := range []string{"window", "aggregates", "detect", "changes", "emit", "group", "outputs", "late_output", "backlog", "order", "alarms.commands", "alarms.maintenance", "alarms.expected"} {
		if c.given(name) {
			c.fault(name, "leave it out", "has no meaning for alarms that are passed on")
		}
	}
	if s == nil {
		c.fault("suppress", "say when alarms are kept back", "is missing")
		return
	}
	spec := &alarms.GroupSpec{FloodMin: s.FloodMin, MembersMax: s.MembersMax}
	if s.FloodMin > 0 {
		spec.FloodSpan, spec.CalmBelow, spec.CalmSpan = s.FloodSpan, s.CalmBelow, s.CalmSpan
	}
	if s.ParentRule != "" || s.ParentKey != "" {
		spec.Parent = s.ParentRule + "/" + s.ParentKey
	}
	c.faultsOf("suppress", spec.Validate())
	c.plan.suppress = spec
	if len(c.spec.Alarms.Outputs) == 0 && !c.env().Inner {
		c.fault("alarms.outputs", "say where alarms go, for example to an mqtt topic", "is missing")
	}
	c.outputs("alarms.outputs", c.spec.Alarms.Outputs)
}

// patience refuses to wait for a second word of a detector that speaks once.
func (c *compiler) patience(path string, spec *DetectSpec) {
	for _, one := range []struct {
		name  string
		waits bool
	}{{"on_delay", spec.Alarm.OnDelay > 0}, {"least", spec.Alarm.Least > 1}} {
		at := path + ".alarm." + one.name
		switch {
		case !one.waits:
		case speaksOnce(spec.Detector.Type):
			c.fault(at, "leave it out", "has no use for %s, which has waited already, and begins anew when it has spoken", spec.Detector.Type)
		case spec.Detector.Type == "auto" && spec.Alarm.Freeze == 0:
			c.fault(at, "set freeze, to 12h for example", "would never be met: auto learns what it sees, and the next value like it is usual")
		}
	}
}

// freezing refuses to freeze what learns nothing, or begins anew when it has spoken.
func (c *compiler) freezing(path string, r *rule) {
	if r.spec.Alarm.Freeze == 0 || r.detector == nil {
		return
	}
	if _, learns := r.detector.New().(anomaly.Freezer); !learns || speaksOnce(r.spec.Detector.Type) || isLiveness(r.spec.Detector.Type) {
		c.fault(path+".alarm.freeze", "leave it out", "has no meaning for %s", r.spec.Detector.Type)
	}
}

// speaksOnce reports whether a detector begins anew when it has spoken.
func speaksOnce(detector string) bool {
	return slices.Contains([]string{"cusum", "page_hinkley", "adwin"}, detector)
}

// detector makes a detector of its spec; nil after a fault.
func (c *compiler) detector(path string, spec *DetectorSpec) anomaly.Spec {
	before := len(c.errors)
	choice := c.choice(path, spec)
	if len(c.errors) > before {
		return nil
	}
	d, err := anomaly.Find(choice.Name, choice.Params)
	c.faultsOf(path, err)
	return d
}

func (c *compiler) choice(path string, spec *DetectorSpec) anomaly.Choice {
	one := anomaly.Choice{Name: spec.Type, Params: anomaly.Params{Numbers: spec.Params}}
	if spec.Zone != "" && described(spec.Type).Zone {
		zone, err := zones.Load(spec.Zone)
		if err != nil {
			c.fault(path+".zone", "", "%s", err)
		}
		one.Params.Zone = zone
	}
	if c.given(path+".zone") && !described(spec.Type).Zone {
		c.fault(path+".zone", "leave it out", "has no meaning for %s", spec.Type)
	}
	for i := range spec.Of {
		one.Params.Of = append(one.Params.Of, c.choice(path+indexed(".of", i), &spec.Of[i]))
	}
	return one
}

// watched finds the column or field that a rule watches.
func (c *compiler) watched(path string, r *rule) {
	if r.spec.Detector.Type == peersType {
		c.peerRule(path, r)
		return
	}
	if r.spec.Members != "" {
		c.fault(path+".members", "leave it out", "has no meaning for %s; it belongs to %s", r.spec.Detector.Type, peersType)
	}
	if isLiveness(r.spec.Detector.Type) {
		if r.spec.Of != "" {
			c.fault(path+".of", "leave it out", "has no meaning for %s, which watches whether events come", r.spec.Detector.Type)
		}
		return
	}
	if r.spec.Of == "" {
		c.fault(path+".of", "", "is missing: name a column of the window, or a field")
		return
	}
	if c.plan.gathers() {
		r.column = slices.IndexFunc(c.plan.Aggregates, func(a AggregateSpec) bool { return a.Name == r.spec.Of })
	}
	field := c.body.index(r.spec.Of)
	switch {
	case r.column >= 0: // also if a field is called so
	case c.spec.Upstream() != "":
		c.fault(path+".of", Suggest(r.spec.Of, c.plan.Columns(edged.PaneResult)), "there is no column %q", r.spec.Of)
	default:
		known := append(c.body.names(), c.plan.Columns(edged.PaneResult)...)
		if field < 0 {
			c.fault(path+".of", Suggest(r.spec.Of, known), "there is no column and no field %q", r.spec.Of)
			return
		}
		if r.field = c.field(c.body, path+".of", r.spec.Of); c.body.fields[r.field].kind != edged.Number {
			c.fault(path+".of", "", "must be a number, but %s is a %s", r.spec.Of, c.body.fields[r.field].kind)
		}
	}
}

// watchesEvents reports whether a rule watches a field of events.
func (c *compiler) watchesEvents() bool {
	return slices.ContainsFunc(c.plan.rules, func(r rule) bool { return r.field >= 0 })
}

// alarmsOf checks what the alarms have in common.
func (c *compiler) alarmsOf() {
	a, p := &c.spec.Alarms, c.plan
	if len(c.spec.Detect) == 0 {
		if c.given("alarms") && !c.spec.takesAlarms() {
			c.fault("alarms", "give it rules under detect", "have no meaning without detect")
		}
		return
	}
	if len(a.Outputs) == 0 && !c.env().Inner {
		c.fault("alarms.outputs", "say where alarms go, for example to an mqtt topic", "is missing")
	}
	if takesAlarmMember(c.spec.OutputKey) {
		c.fault("output_key", "", "%q is a member that every alarm has", c.spec.OutputKey)
	}
	c.outputs("alarms.outputs", a.Outputs)
	if a.Commands.Topic != "" {
		filter, err := parseFilter(a.Commands.Topic)
		if err != nil {
			c.fault("alarms.commands.topic", "", "%q %s", a.Commands.Topic, err)
		}
		p.commands = filter
		for i := range p.inputs {
			if in := &p.inputs[i]; in.filter != nil && in.filter.overlaps(filter) {
				c.fault("alarms.commands.topic", "give commands a topic of their own", "some topics belong to events as well")
			}
		}
	}
	c.expected(a)
	if c.plan.spec.Backlog.Horizon > 0 && c.watchesEvents() && c.spec.Order.By == "arrival" {
		c.fault("order", "leave it out", "must be event_time where a backlog may come and fields of events are watched")
	}
}

func (c *compiler) expected(a *AlarmsSpec) {
	if !c.given("alarms.expected") {
		return
	}
	if (len(a.Expected) > 0) == (a.ExpectedTable != "") {
		c.fault("alarms.expected", "", "must have either keys or table")
	}
	if a.ExpectedTable != "" && !slices.Contains(tableNames(c.env().Tables), a.ExpectedTable) {
		c.fault("alarms.expected.table", Suggest(a.ExpectedTable, tableNames(c.env().Tables)), "there is no table %q", a.ExpectedTable)
	}
	for i, key := range a.Expected {
		if key == "" || strings.ContainsAny(key, "\r\n") {
			c.fault(indexed("alarms.expected.keys", i), "", "%q is no key", key)
		}
	}
	if !slices.ContainsFunc(c.plan.rules, func(r rule) bool { return isLiveness(r.spec.Detector.Type) }) {
		c.fault("alarms.expected", "give detect a dead_man", "has no meaning: no rule watches whether events come")
	}
}

// maintenance returns the hours in which nothing is judged; nil: none.
func (c *compiler) maintenance() *alarms.Schedule {
	m := &c.spec.Alarms.Maintenance
	if len(m.Windows) == 0 {
		return nil
	}
	const at = "alarms.maintenance"
	s := &alarms.Schedule{}
	var err error
	if s.Location, err = zones.Load(m.Zone); err != nil {
		c.fault(at+".zone", "", "%s", err)
	}
	for i, w := range m.Windows {
		path := at + indexed(".windows", i)
		var one alarms.Window
		if one.From, err = minutes(w.From); err != nil {
			c.fault(path+".from", "", "%s", err)
		}
		if one.To, err = minutes(w.To); err != nil {
			c.fault(path+".to", "", "%s", err)
		}
		if one.To == 0 {
			one.To = 24 * 60
		}
		for j, name := range w.Days {
			day := slices.IndexFunc(weekdays(), func(d time.Weekday) bool { return strings.EqualFold(d.String(), name) })
			if day < 0 {
				c.fault(path+indexed(".days", j), "", "%q is no day: write monday, tuesday and so on", name)
				continue
			}
			one.Days[weekdays()[day]] = true
		}
		if len(w.Days) == 0 {
			one.Days = [7]bool{true, true, true, true, true, true, true}
		}
		s.Windows = append(s.Windows, one)
	}
	return s
}

func weekdays() []time.Weekday {
	return []time.Weekday{time.Sunday, time.Monday, time.Tuesday, time.Wednesday, time.Thursday, time.Friday, time.Saturday}
}

// alarm makes the alarm of its spec.
func (a *AlarmSpec) alarm() alarms.Spec {
	per := a.BudgetPer
	if a.BudgetMax == 0 {
		per = 0
	}
	return alarms.Spec{
		OnDelay: a.OnDelay, OffDelay: a.OffDelay, Least: a.Least, Of: a.OfLast, DurationMin: a.DurationMin,
		CoolDown: a.CoolDown, Latch: a.Latch, Acknowledge: a.Acknowledge, UpdateInterval: a.UpdateInterval,
		BudgetMax: a.BudgetMax, BudgetPer: per, SeverityMin: severityNamed(a.SeverityMin), Remember: a.Remember,
	}
}

func severityNamed(name string) anomaly.Severity {
	for s := anomaly.SeverityMinor; s <= anomaly.SeverityCritical; s++ {
		if s.String() == name {
			return s
		}
	}
	return anomaly.SeverityMinor
}

// Silences returns the spans of silence, in milliseconds of processing time and
// ascending, after which a key wants to be told that it is silent: its idle timeout,
// and what its rules wait for.
func (p *Plan) Silences() []int64 {
	var spans []int64
	if idle := p.Watermark.IdleTimeout; idle > 0 {
		spans = append(spans, idle)
	}
	if p.suppress != nil {
		return []int64{p.suppress.CalmSpan + 1}
	}
	open := p.commands != nil // a shelf or a maintenance ends some time
	for i := range p.rules {
		after, timed := anomaly.Silence(p.rules[i].detector)
		open = open || timed && after == 0
		if after > 0 {
			for n := int64(1); n <= silenceParts; n++ {
				spans = append(spans, n*after)
			}
		}
	}
	if open {
		for span := float64(silenceFirst); span <= silenceLast; span *= silenceGrowth {
			spans = append(spans, int64(math.Round(span)))
		}
	}
	slices.Sort(spans)
	return slices.Compact(spans)
}

// Where it is not known when silence will mean something, a silent key is looked at
// after ten seconds, and again whenever its silence has become half as long again, up
// to a week.
const (
	silenceFirst  = 10e3
	silenceLast   = 7 * 24 * 3600e3
	silenceGrowth = 1.5

	// silenceParts is how often a key that has fallen silent is looked at where it is
	// known: anomaly.Missing looks once for each of the 16 parts of its window, and once
	// more.
	silenceParts = 17
)
