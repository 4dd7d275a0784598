package query

import (
	"fmt"
	"strings"
	"testing"

	"edged/anomaly"
)

// What a change of the document changes.
const (
	prints  = iota // neither fingerprint
	replays        // what becomes of a journal, but stored state keeps its meaning
	states         // the meaning of stored state
)

// Documents to change one key of.
var printed = map[string]string{
	"plain": `
tables: [{name: t, file: f, key: c, fields: [{name: a, type: number}, {name: z, type: number}]}]
pipelines:
  - name: p
    source: {topic: in/+, qos: 1}
    key: {field: d}
    event_time: {field: t, unit: ms, ahead_max: 10m, ahead: accept}
    fields: [{name: v, type: number}, {name: w, type: number}, {name: s, type: text}, {name: u, type: text}, {name: b, type: bool}]
    lookup: [{table: t, key: s, fields: [a], missing: null}]
    filter: v > 1
    compute: [{name: c, expression: v + 1}]
    dedup: {by: content, fields: [], horizon: 1s, max_entries: 9}
    watermark: {type: bounded, out_of_orderness: 2s, idle_timeout: 30s}
    backlog: {horizon: 1h, older_than: 2h}
    window: {type: tumbling, size: 10s, offset: 1s, allowed_lateness: 1s, accumulation: accumulating, empty: false, windows_max: 9}
    aggregates:
      - {name: n, function: count, where: v > 3}
      - {name: c, function: percentile, field: c, quantile: 0.5, relative_error: 0.02, max: 100}
      - {name: a, function: integral, field: a, per: 1s, interpolation: step}
      - {name: k, function: top_k, field: v, k: 3}
      - {name: e, function: distinct, field: v, precision: 10}
      - {name: o, function: coverage, interval: 1s}
    output_key: key
    outputs: [{mqtt: {topic: x, qos: 1}}, {file: {path: g}}, {stdout: {}}]
    late_output: [stdout: {}]
`,
	"early":    base("window: {size: 10s, allowed_lateness: 1s, trigger: {early: {events: 3, repeat: true, until: {events: 9}}, late: {any: [{delay: 1s}, {every: 5s}]}}}", sumV),
	"sequence": base("window: {size: 10s, trigger: {early: {sequence: [{events: 1}, {all: [{events: 2}, {delay: 1s}]}]}}}", sumV),
	"hopping":  base("window: {type: hopping, size: 10s, period: 5s}", sumV),
	"cumulate": base("window: {type: cumulate, size: 10s, step: 5s}", sumV),
	"calendar": base("window: {type: calendar, unit: week, zone: UTC, at: '00:00', week_start: monday}", sumV),
	"shifts":   base("window: {type: calendar, unit: shift, shifts: ['06:00']}", sumV),
	"session":  base("window: {type: session, gap: 5s, max_duration: 0s}", sumV),
	"count":    base("window: {type: count, count: 5, count_step: 3, partial: false}", sumV),
	"sliding":  base("window: {type: sliding, size: 5s, look_ahead: 1s, when: b, elements_max: 9}", sumV),
	"state":    base("window: {type: state, open: b, close: v > 3, max_duration: 0s}", sumV),
	"change":   base("window: {type: state, change_of: s}", sumV),
	"per":      base("watermark: {per: s, sources_max: 9}", "window: {size: 10s}", sumV),
	"quantile": base("watermark: {type: quantile, quantile: 0.9, delay_max: 10s}", "window: {size: 10s}", sumV),
	"mark":     base("watermark: {type: punctuated, field: v}", "window: {size: 10s}", sumV),
	"changes":  base("order: event_time", "order_max: 9", "changes: [{name: g, function: lag, field: v, steps: 2}, {function: dead_band, field: v, by: 1, percent: false, max_interval: 10s}]", "emit: [v, g]"),
	"detect": strings.Replace(base("detect: [{name: hot, of: v, detector: {zone: UTC}, alarm: {on_delay: 1s, off_delay: 1s, least: 2, of_last: 3, duration_min: 1s, cool_down: 1s, latch: false, acknowledge: false,",
		"  severity_min: minor, update_interval: 1s, budget_max: 2, budget_per: 1h, remember: 1h, freeze: 1h}}, {name: gone, detector: {type: dead_man}}]",
		"alarms: {outputs: [{file: {path: a}}], commands: {topic: cmd, qos: 1}, historical_after: 1h, shelf_max: 1h, set_back_min: 1h, expected: {keys: [a]}}"),
		"pipelines:", "tables: [{name: t, file: f, key: c, fields: [{name: a, type: number}]}]\npipelines:", 1),
	"columns": base("window: {size: 10s}", "aggregates: [{name: n, function: sum, field: v}, {name: m, function: sum, field: w}]",
		"detect: [{name: hot, of: n, detector: {type: likelihood, of: [{type: mad}]}}]",
		`alarms: {outputs: [stdout: {}], maintenance: {zone: UTC, windows: [{days: [monday], from: "01:00", to: "02:00"}]}}`),
	"peers": `
pipelines:
  - name: q
    source: {pipeline: p}
    key: {value: all}
    window: {size: 10s}
    aggregates: [{name: n, function: collect, field: n}, {name: x, function: collect, field: key}, {name: y, function: collect, field: s}]
    detect: [{name: odd, of: n, members: x, detector: {type: peers, least: 4}}]
    alarms: {outputs: [stdout: {}]}
  - name: p
    source: {topic: in/+}
    key: {field: d}
    event_time: {field: t}
    fields: [{name: v, type: number}, {name: s, type: text}]
    window: {size: 10s}
    aggregates: [{name: n, function: sum, field: v}, {name: s, function: last, field: s}]
`,
	"lines": `
pipelines:
  - name: lines
    source: {pipeline: p, results: alarms}
    key: {value: l1}
    suppress: {flood_min: 3, flood_span: 10s, calm_below: 2, calm_span: 5s, members_max: 9, parent: {rule: hot, key: power}}
    alarms: {outputs: [{stdout: {}}]}
  - name: p
    source: {topic: in/+}
    key: {field: d}
    event_time: {field: t}
    fields: [{name: v, type: number}]
    detect: [{name: hot, of: v}]
`,
	"named": base("changes: [{name: g, function: lag, field: v}]"),
	"join": `
pipelines:
  - name: p
    streams:
      - {name: l, source: {topic: l}, key: {field: d}, event_time: {field: t}, fields: [{name: v, type: number}], compute: [{name: c, expression: v + 1}], filter: v > 1}
      - {name: r, source: {topic: r}, key: {topic_level: 0}, event_time: {field: t}, fields: [{name: v, type: number}]}
    join: {type: interval, kind: inner, lower: 0s, upper: 5s, events_max: 9}
    filter: l_v > 2
    compute: [{name: x, expression: l_v - r_v}]
    window: {size: 10s}
    aggregates: [{name: x, function: sum, field: x}]
    outputs: [stdout: {}]
`,
	"as_of": `
pipelines:
  - name: p
    streams:
      - {name: l, source: {topic: l}, key: {field: d}, event_time: {field: t}, fields: [{name: v, type: number}]}
      - {name: r, source: {topic: r}, key: {value: all}, event_time: {field: t}, fields: [{name: v, type: number}]}
    join: {type: as_of, tolerance: 5s}
    outputs: [stdout: {}]
`,
	"stages": `
pipelines:
  - name: q
    source: {pipeline: p}
    key: {field: s}
    group: {contributions_max: 9, members: [a]}
    window: {size: 10s}
    aggregates: [{name: n, function: merge, field: n}, {name: x, function: sum, field: n}, {name: y, function: max, field: start}]
    outputs: [stdout: {}]
  - name: p
    source: {topic: in/+}
    key: {field: d}
    event_time: {field: t}
    fields: [{name: v, type: number}, {name: s, type: text}]
    filter: v > 1
    window: {size: 10s}
    aggregates: [{name: n, function: sum, field: v}, {name: s, function: last, field: s}, {name: m, function: sum, field: v}]
`,
}

const sumV = "aggregates: [{name: n, function: sum, field: v}]"

func base(lines ...string) string {
	return `
pipelines:
  - name: p
    source: {topic: in/+}
    key: {field: d}
    event_time: {field: t}
    fields: [{name: v, type: number}, {name: w, type: number}, {name: s, type: text}, {name: u, type: text}, {name: b, type: bool}]
    outputs: [stdout: {}]
    ` + strings.Join(lines, "\n    ") + "\n"
}

// printCases says for every key of a document what its change means: of document,
// from, to.
var printCases = []struct {
	keys               string // below pipelines[]. unless they begin with /
	document, from, to string
	want               int
}{
	{"/settings", "plain", "\ntables", "\nsettings: {}\ntables", prints},
	{"/tables /tables[].file", "plain", "file: f", "file: g", prints},
	{"/tables[].name lookup[].table", "plain", "name: t,", "name: t,", prints},
	{"/tables[].format", "plain", "file: f", "file: f, format: ndjson", replays},
	{"/tables[].key", "plain", "key: c", "key: cc", replays},
	{"/tables[].fields /tables[].fields[].name lookup lookup[].fields", "plain", "fields: [a]", "fields: [a, z]", replays},
	{"/tables[].fields[].type", "plain", "{name: z, type: number}", "{name: z, type: text}", replays},
	{"/pipelines name", "plain", "name: p", "name: pp", states},
	{"source source.topic", "plain", "topic: in/+", "topic: in/#", replays},
	{"source.qos", "plain", "topic: in/+, qos: 1", "topic: in/+, qos: 0", prints},
	{"source.format", "plain", "qos: 1}\n    key", "qos: 1, format: json}\n    key", prints},
	{"source.pipeline", "stages", "filter: v > 1", "filter: v > 2", replays},
	{"source.pipeline", "stages", "field: v}, {name: s,", "field: v, where: v > 3}, {name: s,", states},
	{"key key.field", "plain", "key: {field: d}", "key: {field: e}", states},
	{"key.field", "plain", "key: {field: d}", "key: {field: s}", states},
	{"key.field", "stages", "key: {field: s}", "key: {field: key}", states},
	{"key.topic_level", "plain", "key: {field: d}", "key: {topic_level: 1}", states},
	{"key.value", "plain", "key: {field: d}", "key: {value: all}", states},
	{"event_time event_time.field", "plain", "event_time: {field: t,", "event_time: {field: tt,", states},
	{"event_time.unit", "plain", "unit: ms", "unit: s", states},
	{"event_time.ahead_max", "plain", "ahead_max: 10m", "ahead_max: 11m", replays},
	{"event_time.ahead", "plain", "ahead: accept", "ahead: clamp", replays},
	{"fields fields[].name", "plain", "{name: b, type: bool}", "{name: q, type: bool}", replays},
	{"fields[].name", "plain", "{name: b, type: bool}", "{name: q, type: bool, path: b}", prints},
	{"fields[].path", "plain", "{name: v, type: number}", "{name: v, type: number, path: x.v}", states},
	{"fields[].type", "plain", "{name: b, type: bool}", "{name: b, type: number}", replays},
	{"fields[].required", "plain", "{name: b, type: bool}", "{name: b, type: bool, required: true}", replays},
	{"lookup[].key", "plain", "key: s,", "key: u,", states},
	{"lookup[].missing", "plain", "missing: null", "missing: drop", replays},
	{"filter", "plain", "filter: v > 1", "filter: v > 2", replays},
	{"filter", "join", "filter: l_v > 2", "filter: l_v > 3", replays},
	{"filter", "join", "filter: v > 1", "filter: v > 3", replays},
	{"compute compute[].name", "plain", "{name: c, expression: v + 1}", "{name: c, expression: v + 1}, {name: cc, expression: v + 1}", replays},
	{"compute[].expression", "plain", "expression: v + 1", "expression: v + 2", states},
	{"compute[].expression", "plain", "expression: v + 1", "expression: w + 1", states},
	{"compute[].expression", "join", "expression: v + 1", "expression: v + 2", states},
	{"compute[].expression", "join", "expression: l_v - r_v", "expression: r_v - l_v", states},
	{"streams streams[].name", "as_of", "{name: r,", "{name: rr,", states},
	{"join join.type", "join", "type: interval, kind: inner, lower: 0s, upper: 5s", "type: as_of, kind: inner", states},
	{"join.kind", "join", "kind: inner", "kind: left", states},
	{"join.lower", "join", "lower: 0s", "lower: 1s", states},
	{"join.upper", "join", "upper: 5s", "upper: 6s", states},
	{"join.tolerance", "as_of", "tolerance: 5s", "tolerance: 6s", states},
	{"join.events_max", "join", "events_max: 9", "events_max: 8", replays},
	{"dedup dedup.by", "plain", "by: content, fields: [], horizon: 1s, max_entries: 9", "by: none", states},
	{"dedup.fields", "plain", "by: content, fields: []", "by: fields, fields: [s]", states},
	{"dedup.horizon", "plain", "horizon: 1s", "horizon: 2s", replays},
	{"dedup.max_entries", "plain", "max_entries: 9", "max_entries: 8", replays},
	{"changes changes[].function", "changes", "function: lag, field: v, steps: 2", "function: had_changed, field: v", states},
	{"changes[].name", "named", "name: g", "name: h", prints},
	{"changes[].field", "changes", "function: lag, field: v", "function: lag, field: w", states},
	{"changes[].steps", "changes", "steps: 2", "steps: 3", states},
	{"changes[].by", "changes", "by: 1", "by: 2", states},
	{"changes[].percent", "changes", "percent: false", "percent: true", states},
	{"changes[].max_interval", "changes", "max_interval: 10s", "max_interval: 9s", states},
	{"order", "hopping", "outputs:", "order: event_time\n    outputs:", states},
	{"order_max", "changes", "order_max: 9", "order_max: 8", replays},
	{"watermark watermark.type", "plain", "type: bounded, out_of_orderness: 2s", "type: ascending", replays},
	{"watermark.type", "quantile", "type: quantile, quantile: 0.9, delay_max: 10s", "type: bounded", states},
	{"watermark.out_of_orderness", "plain", "out_of_orderness: 2s", "out_of_orderness: 3s", replays},
	{"watermark.idle_timeout", "plain", "idle_timeout: 30s", "idle_timeout: 31s", replays},
	{"watermark.field", "mark", "field: v}\n    window", "field: w}\n    window", replays},
	{"watermark.quantile", "quantile", "quantile: 0.9", "quantile: 0.8", replays},
	{"watermark.delay_max", "quantile", "delay_max: 10s", "delay_max: 11s", states},
	{"watermark.per", "per", "per: s", "per: u", states},
	{"watermark.per", "plain", "idle_timeout: 30s", "idle_timeout: 30s, per: s", states},
	{"watermark.sources_max", "per", "sources_max: 9", "sources_max: 8", replays},
	{"backlog backlog.horizon", "plain", "horizon: 1h", "horizon: 3h", replays},
	{"backlog.horizon", "plain", "backlog: {horizon: 1h, older_than: 2h}", "backlog: {horizon: 0s}", states},
	{"backlog.older_than", "plain", "older_than: 2h", "older_than: 3h", replays},
	{"group group.contributions_max", "stages", "contributions_max: 9", "contributions_max: 8", replays},
	{"group.members", "stages", "members: [a]", "members: [a, b]", replays},
	{"window window.size", "plain", "size: 10s", "size: 11s", states},
	{"window.type", "hopping", "type: hopping, size: 10s, period: 5s", "type: cumulate, size: 10s, step: 5s", states},
	{"window.period", "hopping", "period: 5s", "period: 4s", states},
	{"window.step", "cumulate", "step: 5s", "step: 2s", states},
	{"window.offset", "plain", "offset: 1s", "offset: 2s", states},
	{"window.offset", "plain", "offset: 1s", "offset: 11s", prints},
	{"window.gap", "session", "gap: 5s", "gap: 4s", states},
	{"window.max_duration", "session", "max_duration: 0s", "max_duration: 9s", states},
	{"window.max_duration", "state", "max_duration: 0s", "max_duration: 9s", states},
	{"window.look_ahead", "sliding", "look_ahead: 1s", "look_ahead: 2s", states},
	{"window.when", "sliding", "when: b", "when: v > 3", states},
	{"window.open", "state", "open: b", "open: not b", states},
	{"window.close", "state", "close: v > 3", "close: v > 4", states},
	{"window.close", "state", "close: v > 3", "close: w > 3", states},
	{"window.change_of", "change", "change_of: s", "change_of: u", states},
	{"window.unit", "calendar", "unit: week, zone: UTC, at: '00:00', week_start: monday", "unit: month", states},
	{"window.zone", "calendar", "zone: UTC", "zone: Europe/Berlin", states},
	{"window.at", "calendar", "at: '00:00'", "at: '06:00'", states},
	{"window.week_start", "calendar", "week_start: monday", "week_start: sunday", states},
	{"window.shifts", "shifts", "['06:00']", "['06:00', '14:00']", states},
	{"window.count", "count", "count: 5", "count: 6", states},
	{"window.count_step", "count", "count_step: 3", "count_step: 4", states},
	{"window.partial", "count", "partial: false", "partial: true", states},
	{"window.allowed_lateness", "plain", "allowed_lateness: 1s", "allowed_lateness: 2s", states},
	{"window.accumulation", "plain", "accumulation: accumulating", "accumulation: discarding", states},
	{"window.empty", "plain", "empty: false", "empty: true", states},
	{"window.windows_max", "plain", "windows_max: 9", "windows_max: 8", replays},
	{"window.elements_max", "sliding", "elements_max: 9", "elements_max: 8", replays},
	{"window.trigger window.trigger.final_only", "hopping", "period: 5s}", "period: 5s, trigger: {final_only: true}}", states},
	{"window.trigger.early window.trigger.early.events", "early", "{events: 3, repeat", "{events: 4, repeat", states},
	{"window.trigger.early.repeat", "early", "repeat: true", "repeat: false", states},
	{"window.trigger.early.until", "early", "until: {events: 9}", "until: {events: 8}", states},
	{"window.trigger.late window.trigger.early.delay", "early", "delay: 1s", "delay: 2s", states},
	{"window.trigger.early.every", "early", "every: 5s", "every: 6s", states},
	{"window.trigger.early.any", "early", "any: [", "all: [", states},
	{"window.trigger.early.sequence", "sequence", "sequence: [{events: 1}", "sequence: [{events: 2}", states},
	{"window.trigger.early.all", "sequence", "all: [{events: 2}", "all: [{events: 3}", states},
	{"aggregates aggregates[].name", "plain", "name: n,", "name: nn,", prints},
	{"aggregates[].function", "plain", "function: count", "function: coverage, interval: 1s", states},
	{"aggregates[].field", "plain", "function: top_k, field: v", "function: top_k, field: w", states},
	{"aggregates[].field", "stages", "field: start", "field: end", states},
	{"aggregates[].field", "stages", "function: sum, field: n", "function: sum, field: m", states},
	{"aggregates[].field", "stages", "function: merge, field: n", "function: merge, field: m", states},
	{"aggregates[].where", "plain", "where: v > 3", "where: v > 4", states},
	{"aggregates[].where", "plain", "where: v > 3", "where: w > 3", states},
	{"aggregates[].quantile", "plain", "quantile: 0.5", "quantile: 0.6", states},
	{"aggregates[].relative_error", "plain", "relative_error: 0.02", "relative_error: 0.03", states},
	{"aggregates[].k", "plain", "k: 3", "k: 4", states},
	{"aggregates[].max", "plain", "max: 100", "max: 101", states},
	{"aggregates[].precision", "plain", "precision: 10", "precision: 9", states},
	{"aggregates[].interval", "plain", "interval: 1s", "interval: 2s", states},
	{"aggregates[].per", "plain", "per: 1s", "per: 2s", states},
	{"aggregates[].interpolation", "plain", "interpolation: step", "interpolation: linear", states},
	{"source.results suppress suppress.flood_min", "lines", "flood_min: 3", "flood_min: 4", states},
	{"suppress.flood_span", "lines", "flood_span: 10s", "flood_span: 11s", states},
	{"suppress.calm_below", "lines", "calm_below: 2", "calm_below: 1", states},
	{"suppress.calm_span", "lines", "calm_span: 5s", "calm_span: 6s", states},
	{"suppress.parent suppress.parent.rule suppress.parent.key", "lines", "key: power", "key: fuse", states},
	{"suppress.members_max", "lines", "members_max: 9", "members_max: 8", states},
	{"detect[].members", "peers", "members: x", "members: y", states},
	{"detect[].detector.least", "peers", "least: 4", "least: 5", states},
	{"detect detect[].name", "detect", "name: hot", "name: warm", states},
	{"detect[].of", "detect", "of: v", "of: w", states},
	{"detect[].of", "columns", "of: n", "of: m", states},
	{"detect[].detector detect[].detector.type", "columns", "{type: likelihood, of: [{type: mad}]}", "{type: mad}", states},
	{"detect[].detector.zone", "detect", "zone: UTC", "zone: Europe/Berlin", states},
	{"detect[].detector.of", "columns", "of: [{type: mad}]", "of: [{type: adwin}]", states},
	{"detect[].alarm detect[].alarm.on_delay", "detect", "on_delay: 1s", "on_delay: 2s", replays},
	{"detect[].alarm.off_delay", "detect", "off_delay: 1s", "off_delay: 2s", replays},
	{"detect[].alarm.least", "detect", "least: 2", "least: 3", states},
	{"detect[].alarm.of_last", "detect", "of_last: 3", "of_last: 4", states},
	{"detect[].alarm.duration_min", "detect", "duration_min: 1s", "duration_min: 2s", replays},
	{"detect[].alarm.cool_down", "detect", "cool_down: 1s", "cool_down: 2s", replays},
	{"detect[].alarm.latch", "detect", "latch: false", "latch: true", states},
	{"detect[].alarm.acknowledge", "detect", "acknowledge: false", "acknowledge: true", states},
	{"detect[].alarm.severity_min", "detect", "severity_min: minor", "severity_min: major", replays},
	{"detect[].alarm.update_interval", "detect", "update_interval: 1s", "update_interval: 2s", replays},
	{"detect[].alarm.budget_max", "detect", "budget_max: 2", "budget_max: 3", states},
	{"detect[].alarm.budget_per", "detect", "budget_per: 1h", "budget_per: 2h", states},
	{"detect[].alarm.remember", "detect", "remember: 1h", "remember: 2h", replays},
	{"detect[].alarm.freeze", "detect", "freeze: 1h", "freeze: 2h", replays},
	{"alarms alarms.outputs", "detect", "outputs: [{file: {path: a}}]", "outputs: [{file: {path: b}}]", prints},
	{"alarms.commands alarms.commands.topic", "detect", "topic: cmd", "topic: commands", replays},
	{"alarms.commands.qos", "detect", "topic: cmd, qos: 1", "topic: cmd, qos: 0", prints},
	{"alarms.historical_after", "detect", "historical_after: 1h", "historical_after: 2h", replays},
	{"alarms.shelf_max", "detect", "shelf_max: 1h", "shelf_max: 2h", replays},
	{"alarms.set_back_min", "detect", "set_back_min: 1h", "set_back_min: 2h", replays},
	{"alarms.expected alarms.expected.keys", "detect", "keys: [a]", "keys: [b]", prints},
	{"alarms.expected.table", "detect", "{keys: [a]}", "{table: t}", replays},
	{"alarms.maintenance alarms.maintenance.zone", "columns", "zone: UTC", "zone: Europe/Berlin", replays},
	{"alarms.maintenance.windows alarms.maintenance.windows[].days", "columns", "days: [monday]", "days: [friday]", replays},
	{"alarms.maintenance.windows[].from", "columns", `from: "01:00"`, `from: "01:30"`, replays},
	{"alarms.maintenance.windows[].to", "columns", `to: "02:00"`, `to: "02:30"`, replays},
	{"emit", "changes", "emit: [v, g]", "emit: [g, v]", replays},
	{"output_key", "plain", "output_key: key", "output_key: device", prints},
	{"outputs outputs[].stdout", "plain", ", {stdout: {}}]", "]", prints},
	{"outputs[].mqtt outputs[].mqtt.topic", "plain", "topic: x", "topic: y", prints},
	{"outputs[].mqtt.qos", "plain", "topic: x, qos: 1", "topic: x, qos: 0", prints},
	{"outputs[].file outputs[].file.path", "plain", "path: g", "path: h", prints},
	{"late_output", "plain", "late_output: [stdout: {}]", "late_output: []", prints},
	// Stored events have the fields that late ones are written with.
	{"late_output", "changes", "outputs: [stdout: {}]", "outputs: [stdout: {}]\n    late_output: [stdout: {}]", states},
}

// Every key of a document, changed alone, changes the fingerprints that it should.
func TestFingerprintsKeyByKey(t *testing.T) {
	covered := map[string]bool{}
	for _, c := range printCases {
		for _, key := range strings.Fields(c.keys) {
			if rest, ok := strings.CutPrefix(key, "/"); ok {
				key = rest
			} else {
				key = "pipelines[]." + key
			}
			covered[key] = true
		}
		if strings.Count(printed[c.document], c.from) < 1 {
			t.Fatalf("%s: %q is not in %s", c.keys, c.from, c.document)
		}
		a := openWorld(t, printed[c.document], nil).plans[0]
		b := openWorld(t, strings.Replace(printed[c.document], c.from, c.to, 1), nil).plans[0]
		state, replay := a.Fingerprint() != b.Fingerprint(), a.ReplayFingerprint() != b.ReplayFingerprint()
		if state != (c.want == states) || replay != (c.want >= replays) {
			t.Errorf("%s: %q instead of %q: changes the state's fingerprint %t, that of a replay %t", c.keys, c.to, c.from, state, replay)
		}
	}
	for _, d := range anomaly.Describe() {
		for _, p := range d.Params {
			covered["pipelines[].detect[].detector."+p.Name] = true // see TestDetectorsArePrinted
		}
	}
	for _, k := range Schema() {
		if !covered[k.Path] {
			t.Errorf("nobody says what a change of %s means", k.Path)
		}
	}
	for name, text := range printed {
		a, b := openWorld(t, text, nil).plans[0], openWorld(t, text, nil).plans[0]
		if a.Fingerprint() != b.Fingerprint() || a.ReplayFingerprint() != b.Clone().ReplayFingerprint() {
			t.Errorf("%s: equal plans differ", name)
		}
	}
}

// Every parameter of every detector is part of the state's fingerprint.
func TestDetectorsArePrinted(t *testing.T) {
	for _, d := range anomaly.Describe() {
		print := func(change string, to float64) (uint64, error) {
			spec, of := "type: "+d.Name, ", of: v"
			for _, p := range d.Params {
				switch {
				case p.Name == change:
					spec += ", " + p.Name + ": " + written(p, to)
				case p.Name == "window" && p.Required:
					spec += ", window: 16s"
				case p.Required || d.Name == "threshold" && p.Name == "low": // it needs a limit
					spec += ", " + p.Name + ": " + written(p, map[string]float64{"high": 5}[p.Name]+1)
				}
			}
			if d.OfMin > 0 {
				spec += ", of: [" + strings.Repeat("{type: mad},", min(d.OfMax, 2)) + "]"
			}
			if isLiveness(d.Name) {
				of = ""
			}
			text := base("detect: [{name: a, detector: {"+spec+"}"+of+"}]", "alarms: {outputs: [stdout: {}]}")
			doc, err := Parse("d.yaml", []byte(text), func(string) (string, bool) { return "", false })
			if err != nil {
				return 0, err
			}
			plans, err := doc.Compile(false)
			if err != nil {
				return 0, err
			}
			return plans[0].Fingerprint(), nil
		}
		before, err := print("", 0)
		if err != nil {
			t.Fatalf("%s: %v", d.Name, err)
		}
		for _, p := range d.Params {
			tried := 0
			for _, x := range []float64{0, 0.1, 0.3, 2, 3, 20, 60, 400, 20000} {
				after, err := print(p.Name, x)
				if err != nil || x == p.Default {
					continue // what another value is depends on the other parameters
				}
				if tried++; after == before {
					t.Errorf("%s: %s %v is not in the fingerprint", d.Name, p.Name, x)
				}
			}
			if tried == 0 {
				t.Errorf("%s: no value of %s was tried", d.Name, p.Name)
			}
		}
	}
}

func written(p anomaly.Param, x float64) string {
	switch {
	case p.Unit == "ms":
		return millis(int64(x))
	case isFlag(p):
		return fmt.Sprint(x != 0)
	}
	return fmt.Sprint(x)
}
