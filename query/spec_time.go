package query

import (
	"time"

	"go.yaml.in/yaml/v3"

	"edged/watermark"
	"edged/windows/agg"
)

// WindowSpec says how a pipeline cuts event time. All lengths are milliseconds.
// What each type needs is in [Schema].
type WindowSpec struct {
	Type        string
	Size        int64
	Period      int64
	Step        int64
	Offset      int64
	Gap         int64
	MaxDuration int64
	LookAhead   int64

	When     string // expressions
	Open     string
	Close    string
	ChangeOf string // a field

	Unit      string
	Zone      string
	At        string
	WeekStart string
	Shifts    []string

	Count     int64
	CountStep int64
	Partial   bool

	AllowedLateness int64 // how long after its end a window still takes events
	Accumulation    string
	Empty           bool
	WindowsMax      int
	ElementsMax     int
	FinalOnly       bool
	Early           *SectionSpec
	Late            *SectionSpec
}

// SectionSpec is one section of a trigger.
type SectionSpec struct {
	ConditionSpec
	Once  bool
	Until *ConditionSpec
}

// ConditionSpec is a condition of a trigger: exactly one of its members is set.
type ConditionSpec struct {
	Events   int64
	Delay    int64 // ms
	Every    int64 // ms
	Any      []ConditionSpec
	All      []ConditionSpec
	Sequence []ConditionSpec
}

// WatermarkSpec says how a pipeline learns that time has passed. All lengths
// are milliseconds.
type WatermarkSpec struct {
	Type           string
	OutOfOrderness int64 // >= 0: the watermark trails the newest event time by this
	IdleTimeout    int64 // silence after which a key's time moves on by itself; 0: never
	Field          string
	Quantile       float64
	DelayMax       int64
	Per            string
	SourcesMax     int
}

// OrderSpec says in which order events reach the windows.
type OrderSpec struct {
	By  string // arrival, event_time, or "": as the windows need it
	Max int
}

// BacklogSpec says what becomes of old readings. Lengths are milliseconds.
type BacklogSpec struct {
	Horizon   int64
	OlderThan int64
}

// GroupSpec says whom a pipeline that gathers results of another one waits for, and
// bounds its state.
type GroupSpec struct {
	Members          []string // waited for from the first contribution of a key on
	ContributionsMax int
}

// DedupSpec says how long a key remembers the identities of its events.
type DedupSpec struct {
	Enabled    bool
	By         string   // DedupContent, DedupFields or DedupNone
	Fields     []string // for DedupFields
	Horizon    int64    // milliseconds of event time; 0: as long as a window they belong to is open
	MaxEntries int      // limit per key
}

// The identities of events.
const (
	DedupContent = "content"
	DedupFields  = "fields"
	DedupNone    = "none"
)

// AggregateSpec is one column of a pane.
type AggregateSpec struct {
	Name     string // of the member in the result
	Function string // see agg.Names, or merge
	Field    string // as the document says it; "": events are counted
	Where    string // an expression; "": every event
	Params   agg.Params
	Slot     int // index into edged.Event.Values; -1: count of events
}

// mergeFunction is the aggregate of a second stage that combines states.
const mergeFunction = "merge"

// readSteps reads what happens between the input and the windows.
func (spec *PipelineSpec) readSteps(o object) {
	dedup, _ := o.child("dedup")
	spec.Dedup = DedupSpec{
		By:         dedup.choice("by"),
		Fields:     dedup.texts("fields"),
		Horizon:    dedup.duration("horizon", 0),
		MaxEntries: int(dedup.integer("max_entries", 1, dedupEntriesMax)),
	}
	spec.Dedup.Enabled = spec.Dedup.By != DedupNone
	o.list("changes", func(item *yaml.Node, path string) {
		c := o.object(item, path)
		spec.Changes = append(spec.Changes, ChangeSpec{
			Name: c.text("name"), Function: c.choice("function"), Field: c.text("field"),
			Steps: int(c.integer("steps", 1, 64)), By: c.number("by"), Percent: c.boolean("percent"),
			MaxInterval: c.duration("max_interval", 0),
		})
	})
	spec.Order = OrderSpec{By: o.choice("order"), Max: int(o.integer("order_max", 1, eventsMax))}
}

// readTime reads how time passes.
func (spec *PipelineSpec) readTime(o object) {
	mark, _ := o.child("watermark")
	spec.Watermark = WatermarkSpec{
		Type:           mark.choice("type"),
		OutOfOrderness: mark.duration("out_of_orderness", 0),
		IdleTimeout:    mark.duration("idle_timeout", 0),
		Field:          mark.text("field"),
		Quantile:       mark.number("quantile"),
		DelayMax:       mark.duration("delay_max", 0),
		Per:            mark.text("per"),
		SourcesMax:     int(mark.integer("sources_max", 1, watermark.SourcesLimit)),
	}
	backlog, _ := o.child("backlog")
	spec.Backlog = BacklogSpec{backlog.duration("horizon", 0), backlog.duration("older_than", 0)}
	group, _ := o.child("group")
	spec.Group = GroupSpec{group.texts("members"), int(group.integer("contributions_max", 1, 1<<20))}
}

// readWindow reads the windows and their columns.
func (spec *PipelineSpec) readWindow(o object) {
	if w, ok := o.child("window"); ok {
		spec.Window = w.window()
	}
	o.list("aggregates", func(item *yaml.Node, path string) {
		a := o.object(item, path)
		spec.Aggregates = append(spec.Aggregates, AggregateSpec{
			Name: a.text("name"), Function: a.choice("function"), Field: a.text("field"), Where: a.text("where"), Slot: -1,
			Params: agg.Params{
				Quantile: a.number("quantile"), RelativeError: a.number("relative_error"),
				K: int(a.integer("k", 0, 1<<16)), Max: int(a.integer("max", 0, 1<<20)), Precision: int(a.integer("precision", 0, 20)),
				Interval: a.duration("interval", 0), Per: a.duration("per", 0), Interpolation: a.choice("interpolation"),
			},
		})
	})
}

// window reads the window of a pipeline. Which members its type needs is checked
// by [Compile].
func (o object) window() *WindowSpec {
	w := &WindowSpec{
		Type: o.choice("type"),
		Size: o.duration("size", time.Millisecond), Period: o.duration("period", time.Millisecond), Step: o.duration("step", time.Millisecond),
		Offset: o.duration("offset", -DurationMax), Gap: o.duration("gap", time.Millisecond),
		MaxDuration: o.duration("max_duration", 0), LookAhead: o.duration("look_ahead", 0),
		When: o.text("when"), Open: o.text("open"), Close: o.text("close"), ChangeOf: o.text("change_of"),
		Unit: o.choice("unit"), Zone: o.text("zone"), At: o.text("at"), WeekStart: o.choice("week_start"), Shifts: o.texts("shifts"),
		Count: o.integer("count", 0, 1<<31), CountStep: o.integer("count_step", 0, 1<<31), Partial: o.boolean("partial"),
		AllowedLateness: o.duration("allowed_lateness", 0), Accumulation: o.choice("accumulation"), Empty: o.boolean("empty"),
		WindowsMax: int(o.integer("windows_max", 1, eventsMax)), ElementsMax: int(o.integer("elements_max", 1, eventsMax)),
	}
	if trigger, ok := o.child("trigger"); ok {
		w.FinalOnly = trigger.boolean("final_only")
		w.Early, w.Late = trigger.section("early"), trigger.section("late")
	}
	return w
}

func (o object) section(name string) *SectionSpec {
	s, ok := o.child(name)
	if !ok {
		return nil
	}
	section := &SectionSpec{ConditionSpec: s.condition(), Once: !s.boolean("repeat")}
	if until, ok := s.child("until"); ok {
		c := until.condition()
		section.Until = &c
	}
	return section
}

// condition reads a map that has exactly one of the conditions.
func (o object) condition() ConditionSpec {
	c := ConditionSpec{
		Events: o.integer("events", 0, 1<<31), Delay: o.duration("delay", time.Millisecond), Every: o.duration("every", time.Millisecond),
		Any: o.conditions("any"), All: o.conditions("all"), Sequence: o.conditions("sequence"),
	}
	if o.value("events") != nil && c.Events == 0 {
		o.wrong("events", "", "must be at least 1")
	}
	given := 0
	for _, name := range []string{"events", "delay", "every", "any", "all", "sequence"} {
		given += b2i(o.value(name) != nil)
	}
	if given != 1 {
		o.fault(positionOf(o.node), o.path, "", "must have exactly one of events, delay, every, any, all and sequence")
	}
	return c
}

func (o object) conditions(name string) []ConditionSpec {
	var list []ConditionSpec
	if n := o.value(name); n != nil && n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
		o.wrong(name, "", "must not be empty")
	}
	o.list(name, func(item *yaml.Node, path string) {
		list = append(list, o.object(item, path).condition())
	})
	return list
}
