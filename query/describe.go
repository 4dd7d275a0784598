package query

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"edged"
	"edged/alarms"
)

// Describe returns a summary for people: what the plan does, what it costs per
// key, and under which conditions its results are exactly once.
func (p *Plan) Describe() string {
	s := p.spec
	var b strings.Builder
	line := func(label, format string, args ...any) {
		fmt.Fprintf(&b, "  %-12s %s\n", label, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(&b, "pipeline %s\n", p.name)
	for i := range p.inputs {
		p.describeInput(&p.inputs[i], line)
	}
	if j := s.Join; j != nil {
		line("join", "%s %s", j.Kind, j.Type)
	}
	for _, c := range s.Changes {
		line("changes", "%s(%s)", c.Function, c.Field)
	}
	for _, c := range p.late {
		if name := p.Slots[c.slot]; name != "" {
			line("compute", "%s = %s", name, c.expression.text)
		}
	}
	line("watermark", "%s; idle after %s", p.watermarkLine(), orNever(p.Watermark.IdleTimeout))
	if p.Window != nil {
		line("window", "%s", p.windowLine())
	}
	if p.suppress == nil {
		line("columns", "%s", strings.Join(p.columnList(), ", "))
	}
	if s.Upstream() == "" {
		line("dedup", "%s", p.dedupLine())
	}
	for i := range p.rules {
		line("detect", "%s", p.ruleLine(i))
	}
	if p.suppress != nil {
		line("suppress", "%s", suppressLine(p.suppress))
	} else {
		line("outputs", "%s", outputList(s.Outputs, "none"))
		line("late events", "%s", outputList(s.LateOutput, "counted, not kept"))
	}
	if len(p.rules) > 0 || p.suppress != nil {
		line("alarms", "%s", outputList(s.Alarms.Outputs, "none"))
	}
	if c := s.Alarms.Commands; c.Topic != "" {
		line("commands", "mqtt %s, QoS %d", c.Topic, c.QoS)
	}
	line("memory", "%s", p.memoryLine())
	for _, g := range p.Conditions() {
		line("guarantee", "%s", g)
	}
	return b.String()
}

// describeInput says where events come from and what they are.
func (p *Plan) describeInput(in *input, line func(label, format string, args ...any)) {
	s := in.spec
	if s.Name != "" {
		line("stream", "%s", s.Name)
	}
	switch {
	case s.Source.Alarms:
		line("source", "alarms of %s", s.Source.Pipeline)
	case s.Source.Pipeline != "":
		line("source", "results of %s", s.Source.Pipeline)
	default:
		line("source", "mqtt %s, QoS %d, %s", s.Source.Topic, s.Source.QoS, s.Source.Format)
	}
	switch {
	case s.Key.Value != "":
		line("key", "%q for all", s.Key.Value)
	case s.Key.TopicLevel >= 0:
		line("key", "level %d of the topic", s.Key.TopicLevel)
	default:
		line("key", "%s", s.Key.Field)
	}
	if s.EventTime.Field != "" {
		line("event time", "%s in %s", s.EventTime.Field, s.EventTime.Unit)
	}
	for _, l := range s.Lookup {
		line("lookup", "%s in %s by %s", strings.Join(l.Fields, ", "), l.Table, l.Key)
	}
	if s.Filter != "" {
		line("filter", "%s", s.Filter)
	}
	for _, c := range in.computed {
		if name := p.Slots[c.slot]; name != "" {
			line("compute", "%s = %s", name, c.expression.text)
		}
	}
}

func (p *Plan) watermarkLine() string {
	m := p.Watermark
	switch m.Type {
	case "bounded":
		return "up to " + millis(m.OutOfOrderness) + " out of order"
	case "quantile":
		return fmt.Sprintf("a learned delay, quantile %g, %s to %s", m.Quantile, millis(m.OutOfOrderness), millis(m.DelayMax))
	case "punctuated":
		return "from " + m.Field
	}
	return m.Type
}

// windowLine says what kind of windows there are and when they fire.
func (p *Plan) windowLine() string {
	w := p.Window
	parts := []string{w.Type}
	add := func(label string, ms int64) {
		if ms != 0 {
			parts = append(parts, label+" "+millis(ms))
		}
	}
	add("size", w.Size)
	add("period", w.Period)
	add("step", w.Step)
	add("offset", w.Offset)
	add("gap", w.Gap)
	add("at most", w.MaxDuration)
	add("look-ahead", w.LookAhead)
	if w.Type == WindowCalendar {
		parts = append(parts, w.Unit+" in "+w.Zone)
	}
	if w.Count > 0 {
		parts = append(parts, fmt.Sprintf("of %d events", w.Count))
	}
	parts = append(parts, millis(w.AllowedLateness)+" of lateness allowed", w.Accumulation)
	if w.FinalOnly {
		parts = append(parts, "final panes only")
	}
	return strings.Join(parts, ", ")
}

func millis(ms int64) string { return FormatDuration(time.Duration(ms) * time.Millisecond) }

func orNever(ms int64) string {
	if ms == 0 {
		return "no time at all: never"
	}
	return millis(ms)
}

// ruleLine says what a rule watches, and how.
func (p *Plan) ruleLine(i int) string {
	r := &p.rules[i]
	of := "the key"
	switch {
	case r.column >= 0:
		of = "the column " + r.spec.Of
	case r.field >= 0 && p.ordered:
		of = "the field " + r.spec.Of + ", in the order of event time"
	case r.field >= 0:
		of = "the field " + r.spec.Of + ", as it comes"
	}
	return fmt.Sprintf("%s: %s watches %s", r.spec.Name, r.spec.Detector.Type, of)
}

// suppressLine says when alarms are kept back.
func suppressLine(g *alarms.GroupSpec) string {
	var parts []string
	if g.FloodMin > 0 {
		parts = append(parts, fmt.Sprintf("%d alarms raised within %s, until fewer than %d are active for %s", g.FloodMin, millis(g.FloodSpan), g.CalmBelow, millis(g.CalmSpan)))
	}
	if g.Parent != "" {
		parts = append(parts, "while "+g.Parent+" is active")
	}
	return strings.Join(parts, "; ")
}

func (p *Plan) columnList() []string {
	var list []string
	for _, a := range p.Aggregates {
		text := fmt.Sprintf("%s = %s(%s)", a.Name, a.Function, a.Field)
		if a.Where != "" {
			text += " where " + a.Where
		}
		list = append(list, text)
	}
	if len(p.Aggregates) == 0 {
		return p.Columns(edged.RowResult)
	}
	return list
}

func (p *Plan) dedupLine() string {
	if !p.Dedup.Enabled {
		return "none: only redeliveries of the broker are recognised"
	}
	by := p.Dedup.By
	if by == DedupFields {
		by = strings.Join(p.Dedup.Fields, ", ")
	}
	horizon := "for as long as an equal event could count"
	if p.Dedup.Horizon > 0 || p.endless() {
		horizon = "for " + millis(p.horizon()) + " of event time"
	}
	return fmt.Sprintf("by %s, remembered %s, at most %d per key", by, horizon, p.Dedup.MaxEntries)
}

func outputList(list []OutputSpec, none string) string {
	var names []string
	for _, o := range list {
		if o.Kind == OutputMQTT {
			names = append(names, fmt.Sprintf("mqtt %s (QoS %d)", o.Topic, o.QoS))
		} else {
			names = append(names, o.Name())
		}
	}
	if names == nil {
		return none
	}
	return strings.Join(names, ", ")
}

// Sizes for the estimate of a key's memory, in bytes.
const (
	keyBytes       = 400 // actor, task, map entries
	windowBytes    = 64  // apart from its aggregates
	aggregateBytes = 24
	sightingBytes  = 16 // one remembered identity
)

// memoryLine estimates the memory of one key in use.
func (p *Plan) memoryLine() string {
	text := fmt.Sprintf("per key about %d bytes", keyBytes)
	if w := p.Window; w != nil {
		text += fmt.Sprintf(" and %d for each open window", windowBytes+aggregateBytes*len(p.Aggregates))
		if w.limited() {
			text += fmt.Sprintf(", at most %d windows", w.WindowsMax)
		}
		if w.Type == WindowTumbling {
			text += fmt.Sprintf(" (usually %d)", p.windowsNeeded())
		}
	}
	for i := range p.rules {
		if d := p.rules[i].detector; d != nil {
			text += fmt.Sprintf("; %s %d bytes once it has a value", p.rules[i].spec.Name, d.New().Bytes())
		}
	}
	if p.Dedup.Enabled {
		text += fmt.Sprintf("; identities %d bytes each, at most %d bytes", sightingBytes, int64(sightingBytes)*int64(p.Dedup.MaxEntries))
	}
	return text
}

// windowsNeeded returns how many windows a key has at once that sends all the time,
// and 0 where that is not a matter of lengths.
func (p *Plan) windowsNeeded() int64 {
	w := p.Window
	if w == nil || w.Type != WindowTumbling && w.Type != WindowHopping && w.Type != WindowCumulate {
		return 0
	}
	waits := p.delay() + w.AllowedLateness
	if p.ordered {
		waits = 0 // events wait before them
	}
	return (w.Size+waits)/cmp.Or(w.Period, w.Step, w.Size) + 1
}

// delay returns how far the watermark may be behind the newest event.
func (p *Plan) delay() int64 {
	switch p.Watermark.Type {
	case "bounded":
		return p.Watermark.OutOfOrderness
	case "quantile":
		return p.Watermark.DelayMax
	}
	return 0
}

// Conditions says in sentences what the results are worth, given the qualities
// of service and the deduplication that the document chose.
func (p *Plan) Conditions() []string {
	var list []string
	for _, source := range p.spec.Sources() {
		if source.QoS == 0 {
			list = append(list, "the source has QoS 0: the broker may lose events, so results are not exactly once")
		}
	}
	switch {
	case p.suppress != nil:
		list = append(list, "as the alarms that it takes: each event is passed on once, or counted in kept")
	case p.spec.Upstream() != "":
		list = append(list, "as the results that it gathers: one that comes again replaces the one before")
	case !p.Dedup.Enabled:
		list = append(list, "dedup is none: a publisher that sends an event again counts twice")
	case p.Dedup.Horizon > 0 && p.Dedup.Horizon < p.reach()+p.spec.Backlog.Horizon:
		list = append(list, "the dedup horizon is shorter than a window is open: an event repeated later than that counts twice")
	case p.Dedup.Horizon == 0 && p.endless():
		list = append(list, fmt.Sprintf("an event may count however old it is: one repeated more than %s of event time later counts twice", millis(p.horizon())))
	}
	if needed := p.windowsNeeded(); p.gathers() && needed > int64(p.Window.WindowsMax) {
		list = append(list, fmt.Sprintf("a key that sends all the time needs %d windows at once, and %d are kept: raise window.windows_max", needed, p.Window.WindowsMax))
	}
	for _, o := range slices.Concat(p.spec.Outputs, p.spec.LateOutput, p.spec.Alarms.Outputs) {
		switch {
		case o.Kind == OutputMQTT && o.QoS == 0:
			list = append(list, fmt.Sprintf("output %s has QoS 0: results may be lost on the way", o.Topic))
		case o.Kind == OutputStdout:
			list = append(list, "stdout cannot confirm: after a crash lines may repeat, with the same id")
		}
	}
	if list == nil {
		return []string{"exactly once: every accepted event counts once, every result arrives once per id"}
	}
	return list
}
