package query

import (
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"edged/alarms"
	"edged/anomaly"
)

// DetectSpec is one rule: what is watched, by which detector, and how an alarm of
// it behaves.
type DetectSpec struct {
	Name     string
	Of       string // a column of the window, or a field of the events; "": the key as a whole
	Members  string // for peers: the column with the names of the members
	Detector DetectorSpec
	Alarm    AlarmSpec
}

// DetectorSpec is a detector with the parameters that were given.
type DetectorSpec struct {
	Type   string
	Zone   string
	Params map[string]float64 // in the units of anomaly.Param
	Of     []DetectorSpec
}

// AlarmSpec says when what a detector finds becomes an alarm, and when it ends.
// All lengths are milliseconds of event time.
type AlarmSpec struct {
	OnDelay        int64
	OffDelay       int64
	Least          int // of the last OfLast values
	OfLast         int
	DurationMin    int64
	CoolDown       int64
	Latch          bool
	Acknowledge    bool
	SeverityMin    string
	UpdateInterval int64
	BudgetMax      int
	BudgetPer      int64
	Remember       int64
	Freeze         int64 // how long at most nothing is learned while values are unusual
}

// AlarmsSpec says where the alarms of a pipeline go, and where commands about
// them come from.
type AlarmsSpec struct {
	Outputs         []OutputSpec
	Commands        SourceSpec // Topic "": none
	Expected        []string   // keys that are to have events
	ExpectedTable   string     // or a table whose keys are
	Maintenance     MaintenanceSpec
	HistoricalAfter int64 // ms; 0: never
	ShelfMax        int64 // ms of processing time
	SetBackMin      int64 // ms; 0: never
}

// MaintenanceSpec is hours of the week in which nothing is an alarm and nothing is
// learned, by the clocks of a place.
type MaintenanceSpec struct {
	Zone    string
	Windows []HoursSpec
}

// HoursSpec is some hours of some days.
type HoursSpec struct {
	Days []string
	From string
	To   string
}

// SuppressSpec says when the alarms of a group are kept back. Lengths are
// milliseconds of event time.
type SuppressSpec struct {
	FloodMin   int
	FloodSpan  int64
	CalmBelow  int
	CalmSpan   int64
	ParentRule string
	ParentKey  string
	MembersMax int
}

// readDetect reads the rules and what their alarms have in common.
func (spec *PipelineSpec) readDetect(o object) {
	o.list("detect", func(item *yaml.Node, path string) {
		d := o.object(item, path)
		rule := DetectSpec{Name: d.text("name"), Of: d.text("of"), Members: d.text("members")}
		detector, _ := d.child("detector")
		rule.Detector = detector.detector(o.reader)
		alarm, _ := d.child("alarm")
		rule.Alarm = alarm.alarm()
		spec.Detect = append(spec.Detect, rule)
	})
	if s, ok := o.child("suppress"); ok {
		spec.Suppress = &SuppressSpec{
			FloodMin: int(s.integer("flood_min", 0, alarms.MembersMaxMax)), FloodSpan: s.duration("flood_span", time.Millisecond),
			CalmBelow: int(s.integer("calm_below", 1, alarms.MembersMaxMax)), CalmSpan: s.duration("calm_span", 0),
			MembersMax: int(s.integer("members_max", 1, alarms.MembersMaxMax)),
		}
		if parent, ok := s.child("parent"); ok {
			spec.Suppress.ParentRule, spec.Suppress.ParentKey = parent.text("rule"), parent.text("key")
		}
	}
	a, _ := o.child("alarms")
	spec.Alarms.Outputs = a.outputs("outputs")
	if commands, ok := a.child("commands"); ok {
		spec.Alarms.Commands = SourceSpec{Topic: commands.text("topic"), QoS: qos(commands)}
	}
	spec.Alarms.HistoricalAfter = a.duration("historical_after", 0)
	spec.Alarms.ShelfMax = a.duration("shelf_max", time.Millisecond)
	spec.Alarms.SetBackMin = a.duration("set_back_min", 0)
	if expected, ok := a.child("expected"); ok {
		spec.Alarms.Expected, spec.Alarms.ExpectedTable = expected.texts("keys"), expected.text("table")
	}
	if m, ok := a.child("maintenance"); ok {
		spec.Alarms.Maintenance.Zone = m.text("zone")
		m.list("windows", func(item *yaml.Node, path string) {
			w := o.object(item, path)
			spec.Alarms.Maintenance.Windows = append(spec.Alarms.Maintenance.Windows, HoursSpec{w.texts("days"), w.text("from"), w.text("to")})
		})
	}
}

func (o object) alarm() AlarmSpec {
	return AlarmSpec{
		OnDelay: o.duration("on_delay", 0), OffDelay: o.duration("off_delay", 0),
		Least: int(o.integer("least", 1, alarmValuesMax)), OfLast: int(o.integer("of_last", 1, alarmValuesMax)),
		DurationMin: o.duration("duration_min", 0), CoolDown: o.duration("cool_down", 0),
		Latch: o.boolean("latch"), Acknowledge: o.boolean("acknowledge"), SeverityMin: o.choice("severity_min"),
		UpdateInterval: o.duration("update_interval", 0),
		BudgetMax:      int(o.integer("budget_max", 0, eventsMax)), BudgetPer: o.duration("budget_per", time.Millisecond),
		Remember: o.duration("remember", 0), Freeze: o.duration("freeze", 0),
	}
}

// detector reads a detector. What parameters it may have, and what they may be, is
// known to package anomaly.
func (o object) detector(r *reader) DetectorSpec {
	d := DetectorSpec{Type: o.choice("type"), Zone: o.text("zone"), Params: map[string]float64{}}
	description := described(d.Type)
	for _, p := range description.Params {
		if o.value(p.Name) == nil {
			continue
		}
		switch {
		case p.Unit == "ms":
			d.Params[p.Name] = float64(o.duration(p.Name, -DurationMax))
		case isFlag(p):
			d.Params[p.Name] = float64(b2i(o.boolean(p.Name)))
		default:
			d.Params[p.Name] = o.number(p.Name)
		}
	}
	for name := range o.members {
		if _, known := d.Params[name]; !known && o.value(name) != nil && name != "type" && name != "zone" && name != "of" {
			o.wrong(name, "", "%s has no such parameter; it has %s", d.Type, strings.Join(paramNames(description.Params), ", "))
		}
	}
	o.list("of", func(item *yaml.Node, path string) {
		d.Of = append(d.Of, r.object(item, path).detector(r))
	})
	return d
}

// isFlag reports whether a parameter is a truth value.
func isFlag(p anomaly.Param) bool { return p.Whole && p.Min == 0 && p.Max == 1 }

// described returns what there is to know of a detector; nothing of an unknown one.
func described(name string) (d anomaly.Description) {
	if name == peersType {
		return peersDescription()
	}
	if i := slices.IndexFunc(anomaly.Describe(), func(d anomaly.Description) bool { return d.Name == name }); i >= 0 {
		d = anomaly.Describe()[i]
	}
	return d
}

func paramNames(params []anomaly.Param) []string {
	var names []string
	for _, p := range params {
		names = append(names, p.Name)
	}
	return names
}
