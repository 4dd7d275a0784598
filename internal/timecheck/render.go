package timecheck

import (
	"encoding/json"
	"fmt"
	"strings"

	"edged/internal/oracle"
)

// Case is a pipeline and a script for it.
type Case struct {
	Config oracle.Config
	Steps  []oracle.Step
}

// String returns the document and the steps as they can be driven by hand.
func (c Case) String() string {
	return "# pipeline.yaml\n" + Document(c.Config) + "# steps\n" + strings.Join(Script(c.Steps), "\n") + "\n"
}

// fields are those of every pipeline of this package.
const fields = "[{name: v, type: number}, {name: a, type: bool}, {name: b, type: bool}, " +
	"{name: s, type: text}, {name: m, type: number}, {name: src, type: text}]"

// Document writes a configuration as a pipeline document.
func Document(c oracle.Config) string {
	var b strings.Builder
	b.WriteString("pipelines:\n  - name: p\n")
	if c.Guard.AheadMax > 0 && c.Join == nil {
		fmt.Fprintf(&b, "    event_time: %s\n", eventTime(c.Guard))
	}
	fmt.Fprintf(&b, "    watermark: %s\n", watermark(c.Watermark))
	if c.Dedup {
		b.WriteString("    dedup: {horizon: 3660d}\n")
	}
	if c.Join != nil {
		b.WriteString(joining(c.Join, c.Guard))
		if c.Window.Type != "" {
			gathering(&b, c)
			return b.String()
		}
		return b.String() + "    emit: [l_v, r_v]\n"
	}
	fmt.Fprintf(&b, "    fields: %s\n", fields)
	if c.Backlog.Horizon > 0 {
		fmt.Fprintf(&b, "    backlog: {horizon: %dms, older_than: %dms}\n", c.Backlog.Horizon, c.Backlog.OlderThan)
	}
	if c.Ordered {
		b.WriteString("    order: event_time\n")
	}
	gathering(&b, c)
	return b.String()
}

// gathering writes windows and their columns.
func gathering(b *strings.Builder, c oracle.Config) {
	fmt.Fprintf(b, "    window: %s\n    aggregates:\n", window(c))
	for _, col := range c.Columns {
		m := members{"name: " + col.Name, "function: " + col.Function}
		m.text("field", col.Field)
		m.text("where", col.Where)
		fmt.Fprintf(b, "      - %s\n", m)
	}
}

// eventTime writes a guard against the future.
func eventTime(g oracle.Guard) members {
	m := members{"field: ts"}
	m.duration("ahead_max", g.AheadMax)
	m.text("ahead", g.Policy)
	return m
}

// joining writes two streams and their join.
func joining(j *oracle.Join, g oracle.Guard) string {
	m := members{"type: " + j.Type}
	m.text("kind", map[string]string{"": "inner", oracle.Left: "left", oracle.Right: "right", oracle.Both: "full"}[j.Pads])
	if j.Type == oracle.IntervalJoin {
		m.add("lower", fmt.Sprintf("%dms", j.Lower))
		m.add("upper", fmt.Sprintf("%dms", j.Upper))
	}
	if j.Type == oracle.AsOfJoin {
		m.add("tolerance", fmt.Sprintf("%dms", j.Tolerance))
	}
	stream := func(name string) members {
		s := members{"name: " + name, "fields: " + fields}
		if g.AheadMax > 0 {
			s.add("event_time", eventTime(g))
		}
		return s
	}
	text := fmt.Sprintf("    streams: [%s, %s]\n    join: %s\n", stream(oracle.Left), stream(oracle.Right), m)
	if j.Type == oracle.WindowJoin {
		text += fmt.Sprintf("    window: %s\n", window(oracle.Config{Window: j.Windows}))
	}
	return text
}

// members are those of a map in flow style.
type members []string

// String implements fmt.Stringer.
func (m members) String() string { return "{" + strings.Join(m, ", ") + "}" }

func (m *members) add(name string, value any) { *m = append(*m, fmt.Sprintf("%s: %v", name, value)) }

func (m *members) text(name, value string) {
	if value != "" {
		m.add(name, value)
	}
}

func (m *members) duration(name string, ms int64) {
	if ms != 0 {
		m.add(name, fmt.Sprintf("%dms", ms))
	}
}

func (m *members) number(name string, n int) {
	if n != 0 {
		m.add(name, n)
	}
}

func (m *members) flag(name string, on bool) {
	if on {
		m.add(name, true)
	}
}

func watermark(w oracle.Watermark) members {
	var m members
	m.text("type", w.Type)
	if w.Type != oracle.Manual {
		m.add("idle_timeout", fmt.Sprintf("%dms", w.IdleTimeout))
	}
	if w.Type == "" || w.Type == oracle.Bounded {
		m.add("out_of_orderness", fmt.Sprintf("%dms", w.OutOfOrderness))
	}
	m.text("field", w.Field)
	m.text("per", w.Per)
	return m
}

func window(c oracle.Config) members {
	w := c.Window
	m := members{"type: " + w.Type}
	m.duration("size", w.Size)
	m.duration("period", w.Period)
	m.duration("step", w.Step)
	m.duration("offset", w.Offset)
	m.duration("gap", w.Gap)
	m.duration("max_duration", w.MaxDuration)
	m.duration("look_ahead", w.LookAhead)
	m.text("when", w.When)
	m.text("open", w.Open)
	m.text("close", w.Close)
	m.text("change_of", w.ChangeOf)
	m.number("count", w.Count)
	m.number("count_step", w.CountStep)
	m.flag("partial", w.Partial)
	m.text("unit", w.Unit)
	m.text("zone", w.Zone)
	if w.At > 0 {
		m.add("at", clock(w.At))
	}
	if w.Unit == "week" {
		m.add("week_start", strings.ToLower(w.WeekStart.String()))
	}
	if w.Unit == "shift" {
		var starts []string
		for _, s := range w.Shifts {
			starts = append(starts, clock(s))
		}
		m.add("shifts", "["+strings.Join(starts, ", ")+"]")
	}
	m.duration("allowed_lateness", c.Lateness)
	m.text("accumulation", c.Accumulation)
	m.flag("empty", c.Empty)
	m.number("windows_max", c.WindowsMax)
	if t := trigger(c.Trigger); len(t) > 0 {
		m.add("trigger", t)
	}
	return m
}

// clock writes a local time of day.
func clock(ms int64) string {
	return fmt.Sprintf("%q", fmt.Sprintf("%02d:%02d", ms/3_600_000, ms/60_000%60))
}

func trigger(t oracle.Trigger) members {
	var m members
	m.flag("final_only", t.FinalOnly)
	if t.Early != nil {
		m.add("early", section(t.Early))
	}
	if t.Late != nil {
		m.add("late", section(t.Late))
	}
	return m
}

func section(s *oracle.Section) members {
	m := condition(s.When)
	if s.Once {
		m.add("repeat", false)
	}
	if s.Until != nil {
		m.add("until", condition(*s.Until))
	}
	return m
}

func condition(c oracle.Cond) members {
	var m members
	m.number("events", c.Events)
	m.duration("delay", c.Delay)
	m.duration("every", c.Every)
	list := func(name string, kids []oracle.Cond) {
		if len(kids) == 0 {
			return
		}
		var texts []string
		for _, k := range kids {
			texts = append(texts, condition(k).String())
		}
		m.add(name, "["+strings.Join(texts, ", ")+"]")
	}
	list("any", c.Any)
	list("all", c.All)
	list("sequence", c.Sequence)
	return m
}

// Script writes steps as the driver reads them, one a line.
func Script(steps []oracle.Step) []string {
	var lines []string
	for _, s := range steps {
		lines = append(lines, step(s))
	}
	return lines
}

func step(s oracle.Step) string {
	switch s.Kind {
	case oracle.EventStep:
		if len(s.Readings) == 1 {
			return `{"event":` + reading(s.Readings[0]) + "}"
		}
		var list []string
		for _, r := range s.Readings {
			list = append(list, reading(r))
		}
		return `{"bundle":[` + strings.Join(list, ",") + "]}"
	case oracle.WatermarkStep, oracle.ProcessingTimeStep:
		return fmt.Sprintf(`{"%s":%d}`, s.Kind, s.Time)
	case oracle.IdleStep, oracle.ActiveStep:
		return fmt.Sprintf(`{"%s":%q}`, s.Kind, s.Source)
	}
	return fmt.Sprintf(`{"%s":true}`, s.Kind)
}

func reading(r oracle.Reading) string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"key":%q,"ts":%d`, r.Key, r.Time)
	if r.Arrival != 0 {
		fmt.Fprintf(&b, `,"arrival":%d`, r.Arrival)
	}
	if r.ID != "" {
		fmt.Fprintf(&b, `,"id":%q`, r.ID)
	}
	if r.Stream != "" {
		fmt.Fprintf(&b, `,"stream":%q`, r.Stream)
	}
	for _, name := range []string{"v", "a", "b", "s", "m", "src"} {
		if value, ok := r.Fields[name]; ok {
			text, err := json.Marshal(value)
			if err != nil {
				panic(err) // a case has numbers, texts and bools only
			}
			fmt.Fprintf(&b, `,"%s":%s`, name, text)
		}
	}
	return b.String() + "}"
}
