package equality

import (
	"fmt"
	"slices"
	"strings"

	"edged"
	"edged/edgedtest"
	"edged/query"
)

// Part is a pipeline that takes messages, with those that gather its results: what
// a driver is made of, because it is told which pipeline an event is for.
type Part struct {
	Names []string

	c     *Case
	spec  *query.PipelineSpec
	plans map[string]*query.Plan
}

// Parts returns the parts of a case in the order of the document.
func (c *Case) Parts() ([]*Part, error) {
	doc, err := c.parse()
	if err != nil {
		return nil, err
	}
	compiled, err := doc.Compile(true)
	if err != nil {
		return nil, err
	}
	plans := map[string]*query.Plan{}
	for _, p := range compiled {
		plans[p.Name()] = p
	}
	var parts []*Part
	for i := range doc.Pipelines {
		root := &doc.Pipelines[i]
		if root.Upstream() != "" {
			continue
		}
		part := &Part{c: c, spec: root, plans: plans}
		for j := range doc.Pipelines {
			name := doc.Pipelines[j].Name
			up := name
			for plans[up].Upstream() != "" {
				up = plans[up].Upstream()
			}
			if up == root.Name {
				part.Names = append(part.Names, name)
			}
		}
		parts = append(parts, part)
	}
	return parts, nil
}

// Driver returns a driver of the part, with its tables.
func (p *Part) Driver() (*edgedtest.Driver, error) {
	d, err := edgedtest.Open(p.c.Name+".yaml", p.c.Text, p.Names...)
	if err != nil {
		return nil, err
	}
	for _, t := range p.c.Tables {
		if err := d.Table(t.Name, t.Content); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// Event returns an input as the part's driver takes it, and false when it is no
// event, or none for the part. Without arrivals nobody knows when it came.
func (p *Part) Event(in *Input, arrivals bool) (edgedtest.Event, bool) {
	ev, ok := in.Event(p.spec, arrivals)
	if p.spec.Dedup.By == query.DedupFields {
		ev.ID = "" // an id would stand for the fields
	}
	return ev, ok
}

// Takes reports whether a command is about one of the part's pipelines.
func (p *Part) Takes(in *Input) bool { return in.Command != "" && slices.Contains(p.Names, in.Command) }

// Row returns a result as the row that the engine makes of it, up to its id, and
// the stream that the row is of: "" when it has none. A late event that some window
// took all the same has none.
func (p *Part) Row(r *edgedtest.Result) (stream, row string) {
	plan := p.plans[r.Pipeline]
	dst := fmt.Appendf(nil, `{"key":%s`, edged.AppendJSONString(nil, r.Key))
	columns := func(names []string) {
		for i, name := range names {
			value := edged.Value{}
			if i < len(r.Values) {
				value = r.Values[i].Value
			}
			dst = append(edged.AppendJSONString(append(dst, ','), name), ':')
			dst = value.AppendJSON(dst)
		}
	}
	historical := func() {
		if r.Historical {
			dst = append(dst, `,"historical":true`...)
		}
	}
	stream = plan.Stream()
	switch r.Kind {
	case edgedtest.Late:
		if !r.Dropped {
			return "", ""
		}
		end := edged.MinTimestamp
		for _, w := range r.Windows {
			end = max(end, w.End)
		}
		dst = fmt.Appendf(dst, `,"event_time":%d,"window_end":%d,"values":{`, r.Time, end)
		at := len(dst)
		var names []string
		for _, f := range r.Values {
			names = append(names, f.Name)
		}
		columns(names)
		values := strings.TrimPrefix(string(dst[at:]), ",")
		return plan.LateStream(), string(dst[:at]) + values + `},"pane":"dropped_late"`
	case edgedtest.Row:
		if r.End == r.Start.Add(1) {
			dst = fmt.Appendf(dst, `,"event_time":%d`, r.Start)
		} else {
			dst = fmt.Appendf(dst, `,"start":%d,"end":%d`, r.Start, r.End)
		}
		columns(plan.Columns(edged.RowResult))
		historical()
	case edgedtest.Alarm:
		dst = appendAlarm(dst, r)
		historical()
		stream = plan.AlarmStream()
	case edgedtest.Pane, edgedtest.Retract:
		dst = fmt.Appendf(dst, `,"start":%d,"end":%d`, r.Start, r.End)
		columns(plan.Columns(edged.PaneResult))
		pane := r.Timing.String()
		if r.Kind == edgedtest.Retract {
			pane = "retracted"
		}
		dst = fmt.Appendf(dst, `,"pane":"%s","index":%d,"final":%t`, pane, r.Index, r.Last)
		historical()
		dst = fmt.Appendf(dst, `,"watermark":%d`, r.Watermark)
	default:
		return "", ""
	}
	return stream, string(dst)
}

// appendAlarm appends what happened to an alarm.
func appendAlarm(dst []byte, r *edgedtest.Result) []byte {
	for _, f := range r.Values {
		dst = append(edged.AppendJSONString(append(dst, ','), f.Name), ':')
		dst = f.Value.AppendJSON(dst)
	}
	if r.Value("alarm").Kind != edged.Null {
		dst = fmt.Appendf(dst, `,"start":%d`, r.Start)
	}
	if r.End != edged.MinTimestamp {
		dst = fmt.Appendf(dst, `,"at":%d`, r.End)
	}
	return dst
}

// Step writes an event as a step of edged drive.
func Step(ev *edgedtest.Event) []byte {
	dst := fmt.Appendf(nil, `{"event":{"key":%s,"ts":%d,"stream":%s`,
		edged.AppendJSONString(nil, ev.Key), ev.Time, edged.AppendJSONString(nil, ev.Stream))
	if ev.Arrival != 0 {
		dst = fmt.Appendf(dst, `,"arrival":%d`, ev.Arrival)
	}
	if ev.ID != "" {
		dst = edged.AppendJSONString(append(dst, `,"id":`...), ev.ID)
	}
	for _, f := range ev.Fields {
		dst = append(edged.AppendJSONString(append(dst, ','), f.Name), ':')
		dst = f.Value.AppendJSON(dst)
	}
	return append(dst, "}}"...)
}
