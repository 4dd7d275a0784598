package query

import (
	"fmt"
	"strings"
	"time"
)

// Describe returns a summary for people: what the plan does, what it costs per
// key, and under which conditions its results are exactly once.
func (p *Plan) Describe() string {
	s := p.spec
	key := "level " + fmt.Sprint(p.keyLevel) + " of the topic"
	if p.keyLevel < 0 {
		key = s.Key.Field
	}
	var b strings.Builder
	line := func(label, format string, args ...any) {
		fmt.Fprintf(&b, "  %-12s %s\n", label, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(&b, "pipeline %s\n", p.name)
	line("source", "mqtt %s, QoS %d, %s", s.Source.Topic, s.Source.QoS, s.Source.Format)
	line("key", "%s", key)
	line("event time", "%s in %s, up to %s out of order; idle after %s", s.EventTime.Field, s.EventTime.Unit,
		millis(p.Watermark.OutOfOrderness), orNever(p.Watermark.IdleTimeout))
	if s.Filter != "" {
		line("filter", "%s", s.Filter)
	}
	for _, c := range p.computed {
		line("compute", "%s = %s", p.Slots[c.slot], p.fields[c.field].text)
	}
	line("window", "%s of %s, offset %s, %s of lateness allowed", p.Window.Type, millis(p.Window.Size),
		millis(p.Window.Offset), millis(p.Window.AllowedLateness))
	line("aggregates", "%s", strings.Join(p.columnList(), ", "))
	line("dedup", "%s", p.dedupLine())
	line("outputs", "%s", outputList(s.Outputs))
	line("late events", "%s", outputList(s.LateOutput))
	line("memory", "%s", p.memoryLine())
	for _, g := range p.Conditions() {
		line("guarantee", "%s", g)
	}
	return b.String()
}

func millis(ms int64) string { return FormatDuration(time.Duration(ms) * time.Millisecond) }

func orNever(ms int64) string {
	if ms == 0 {
		return "no time at all: never"
	}
	return millis(ms)
}

func (p *Plan) columnList() []string {
	var list []string
	for _, a := range p.Aggregates {
		list = append(list, fmt.Sprintf("%s = %s(%s)", a.Name, a.Function, a.Field))
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
	if p.Dedup.Horizon > 0 {
		horizon = "for " + millis(p.Dedup.Horizon) + " of event time"
	}
	return fmt.Sprintf("by %s, remembered %s, at most %d per key", by, horizon, p.Dedup.MaxEntries)
}

func outputList(list []OutputSpec) string {
	var names []string
	for _, o := range list {
		if o.Kind == OutputMQTT {
			names = append(names, fmt.Sprintf("mqtt %s (QoS %d)", o.Topic, o.QoS))
		} else {
			names = append(names, o.Name())
		}
	}
	if names == nil {
		return "counted, not kept"
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
	span := p.Watermark.OutOfOrderness + p.Window.AllowedLateness
	windows := span/p.Window.Size + 2
	perWindow := int64(windowBytes + aggregateBytes*len(p.Aggregates))
	text := fmt.Sprintf("per key about %d bytes and %d open windows of %d bytes", keyBytes, windows, perWindow)
	if p.Dedup.Enabled {
		text += fmt.Sprintf("; identities %d bytes each, at most %d bytes", sightingBytes, int64(sightingBytes)*int64(p.Dedup.MaxEntries))
	}
	return text
}

// Conditions says in sentences what the results are worth, given the qualities
// of service and the deduplication that the document chose.
func (p *Plan) Conditions() []string {
	var list []string
	if p.spec.Source.QoS == 0 {
		list = append(list, "the source has QoS 0: the broker may lose events, so results are not exactly once")
	}
	switch {
	case !p.Dedup.Enabled:
		list = append(list, "dedup is none: a publisher that sends an event again counts twice")
	case p.Dedup.Horizon > 0 && p.Dedup.Horizon < p.Window.Size+p.Window.AllowedLateness:
		list = append(list, "the dedup horizon is shorter than a window is open: an event repeated later than that counts twice")
	}
	for _, o := range append(append([]OutputSpec(nil), p.spec.Outputs...), p.spec.LateOutput...) {
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
