package query

import (
	"strings"

	"edged/windows/agg"
)

// The types of windows.
const (
	WindowTumbling = "tumbling"
	WindowHopping  = "hopping"
	WindowCumulate = "cumulate"
	WindowCalendar = "calendar"
	WindowSession  = "session"
	WindowCount    = "count"
	WindowSliding  = "sliding"
	WindowState    = "state"
	WindowGlobal   = "global"
)

func windowTypes() []string {
	return []string{WindowTumbling, WindowHopping, WindowCumulate, WindowCalendar, WindowSession, WindowCount, WindowSliding, WindowState, WindowGlobal}
}

// timeKeys describes how a pipeline learns that time passes.
func timeKeys() []Key {
	return []Key{
		{"pipelines[].order", "arrival|event_time", "", "In which order events reach the windows. With event_time they wait for the watermark and leave in the order of their times; an event behind the watermark is late. State windows, sessions with max_duration, changes and as_of joins need it, and have it by default; everything else takes events as they arrive."},
		{"pipelines[].order_max", "whole number", "4096", "Limit of events per key that wait to be put in order. Beyond it the one that is furthest ahead is refused, and counted."},
		{"pipelines[].watermark", "map", "", "How event time is known to pass, per key."},
		{"pipelines[].watermark.type", "bounded|ascending|punctuated|quantile|manual", "bounded", "bounded: the newest time less out_of_orderness. ascending: times of a key strictly rise. punctuated: a field of the events says it. quantile: the newest time less a delay that is learned. manual: only the driver moves it."},
		{"pipelines[].watermark.out_of_orderness", "duration", "2s", "How far events of one key may be out of order. Windows close this much later. For quantile it is the least delay."},
		{"pipelines[].watermark.idle_timeout", "duration", "30s", "Silence after which the windows of a key close without a further event. 0s: never. Manual watermarks have none. In a pipeline that gathers the results of another one it comes on top of the length of that one's windows and its own idle_timeout, because members speak when their windows have ended."},
		{"pipelines[].watermark.field", "text", "", "punctuated: the number field that holds the watermark, in milliseconds since the Unix epoch. Null says nothing."},
		{"pipelines[].watermark.quantile", "number", "0.99", "quantile: the share of events that the learned delay should cover."},
		{"pipelines[].watermark.delay_max", "duration", "1m", "quantile: the longest delay that is learned."},
		{"pipelines[].watermark.per", "text", "", "The text field that names the source of an event, when several sources share a key. Each has its own watermark, and the key's is the smallest of those that are not idle."},
		{"pipelines[].watermark.sources_max", "whole number", "1024", "Limit of sources per key. Events of a source beyond it do not move the watermark, and are counted."},
		{"pipelines[].backlog", "map", "", "What becomes of readings that a device uploads long after they were taken."},
		{"pipelines[].backlog.horizon", "duration", "0s", "Events too late for their windows, but no older than this behind the watermark, are gathered in windows of their own, whose results are marked historical. It is longer than allowed_lateness, and needs an idle_timeout. 0s: they are late."},
		{"pipelines[].backlog.older_than", "duration", "1h", "Results about windows that ended longer ago than this when they came in are marked historical, too."},
		{"pipelines[].group", "map", "", "For pipelines that gather the results of another one."},
		{"pipelines[].group.members", "list", "", "Members that a key waits for from its first contribution on, until they are idle. Others are waited for once they have been heard. For groups of which all keys have the same members."},
		{"pipelines[].group.contributions_max", "whole number", "65536", "Limit of contributions per key that open windows hold: members times windows."},
	}
}

// windowKeys describes how event time is cut, and when and how windows fire.
func windowKeys() []Key {
	return append([]Key{
		{"pipelines[].window", "map", "", "How event time is cut. Without it each event, or match of the join, is a result of its own."},
		{"pipelines[].window.type", strings.Join(windowTypes(), "|"), WindowTumbling, "tumbling: adjacent. hopping: of one size, starting every period. cumulate: growing by step up to size. calendar: days, weeks, months or shifts of a time zone. session: until a gap of silence. count: of a number of events. sliding: looking back from each event. state: while a condition holds. global: one for all time, with a trigger."},
		{"pipelines[].window.size", "duration", "", "tumbling, hopping, cumulate, sliding: the length of a window."},
		{"pipelines[].window.period", "duration", "", "hopping: windows start this far apart. A period longer than the size leaves holes; events in them are counted as unassigned."},
		{"pipelines[].window.step", "duration", "", "cumulate: windows of one start end this far apart. The size is a multiple of it."},
		{"pipelines[].window.offset", "duration", "0s", "Windows start at multiples of size (hopping: period) since the Unix epoch plus this. It may be negative."},
		{"pipelines[].window.gap", "duration", "", "session: silence that ends it. Events exactly this far apart belong together."},
		{"pipelines[].window.max_duration", "duration", "0s", "session, state: the longest duration; then the window is cut. 0s: none."},
		{"pipelines[].window.look_ahead", "duration", "0s", "sliding: how far beyond its event a window reaches."},
		{"pipelines[].window.when", "text", "", "sliding: expression that is true for the events that have a window. By default all."},
		{"pipelines[].window.open", "text", "", "state: expression that is true for the event that opens the window."},
		{"pipelines[].window.close", "text", "", "state: expression that is true for the event that closes it."},
		{"pipelines[].window.change_of", "text", "", "state: the field; a window lasts as long as it keeps its value. Instead of open and close."},
		{"pipelines[].window.unit", "day|week|month|shift", "day", "calendar: the unit."},
		{"pipelines[].window.zone", "text", "UTC", "calendar: the time zone by its IANA name, such as Europe/Berlin."},
		{"pipelines[].window.at", "text", "00:00", "calendar: local time at which days, weeks and months begin."},
		{"pipelines[].window.week_start", "monday|tuesday|wednesday|thursday|friday|saturday|sunday", "monday", "calendar: the first day of a week."},
		{"pipelines[].window.shifts", "list", "", `calendar: the local times at which shifts begin, such as "06:00".`},
		{"pipelines[].window.count", "whole number", "", "count: events in a window."},
		{"pipelines[].window.count_step", "whole number", "", "count: events from the start of a window to that of the next. By default the count."},
		{"pipelines[].window.partial", "bool", "false", "count: windows that silence or the end of the input cuts short fire, too."},
		{"pipelines[].window.allowed_lateness", "duration", "0s", "How long after its end a window takes late events. By default each of them fires the window again."},
		{"pipelines[].window.accumulation", "accumulating|discarding|retracting", "accumulating", "What a window that fires again holds: everything so far; what came since it fired last; or everything, after a result that takes the one before back."},
		{"pipelines[].window.empty", "bool", "false", "Fire windows without events, too."},
		{"pipelines[].window.windows_max", "whole number", "1024", "Limit of windows per key whose state is kept. Events for more are refused and counted. State, sliding and global windows have none, and neither have sessions with max_duration."},
		{"pipelines[].window.elements_max", "whole number", "4096", "sliding: limit of events per key that are kept."},
		{"pipelines[].window.trigger", "map", "", "When windows fire, apart from their end."},
		{"pipelines[].window.trigger.final_only", "bool", "false", "Fire once, when no late event can come any more."},
	}, conditionKeys()...)
}

// conditionKeys describes a section of a trigger. Nested conditions are written
// like the section itself; see normal.
func conditionKeys() []Key {
	const early = "pipelines[].window.trigger.early"
	return []Key{
		{"pipelines[].window.trigger.late", "map", "", "When windows fire again after their end, written like early. By default for every late event. It needs allowed_lateness."},
		{early, "map", "", "Fire before the end of the window: when one of the following holds."},
		{early + ".events", "whole number", "", "when this many events have come since the window fired last"},
		{early + ".delay", "duration", "", "this much processing time after the first event since then"},
		{early + ".every", "duration", "", "at the next multiple of this in processing time after that event"},
		{early + ".any", "list", "", "when one of these conditions holds"},
		{early + ".all", "list", "", "when all of these hold"},
		{early + ".sequence", "list", "", "first when the first of these holds, next time when the second does, and so on, and over again"},
		{early + ".repeat", "bool", "true", "false: only once per window. At the top of a section only."},
		{early + ".until", "map", "", "A condition over the whole life of the window; when it holds, the window fires and the section is over. At the top of a section only."},
	}
}

// aggregateKeys describes the columns of panes.
func aggregateKeys() []Key {
	return []Key{
		{"pipelines[].aggregates", "list", "", "The columns of a pane."},
		{"pipelines[].aggregates[].name", "text", Required, "Name of the member in the result."},
		{"pipelines[].aggregates[].function", strings.Join(append(agg.Names(), mergeFunction), "|"), Required, "What is computed. Nulls are left out. merge, in a pipeline that gathers results of another one, combines the states behind the column that field names, so that a percentile of many devices is that of all their readings."},
		{"pipelines[].aggregates[].field", "text", "", "The field, declared or computed. Only count and coverage go without: they then look at all events."},
		{"pipelines[].aggregates[].where", "text", "", "Expression; only events for which it is true count for this column."},
		{"pipelines[].aggregates[].quantile", "number", "0", "percentile: between 0 and 1."},
		{"pipelines[].aggregates[].relative_error", "number", "0", "percentile, median: how far results may be off, as a share of the true value. 0: 0.01."},
		{"pipelines[].aggregates[].k", "whole number", "0", "top_k: how many values."},
		{"pipelines[].aggregates[].max", "whole number", "0", "Limit of values or samples kept per window. 0: the function's default."},
		{"pipelines[].aggregates[].precision", "whole number", "0", "distinct: 4 to 14; the error is about 1.04 divided by the root of 2 to this power. 0: 10."},
		{"pipelines[].aggregates[].interval", "duration", "0s", "coverage: how long a reading speaks for."},
		{"pipelines[].aggregates[].per", "duration", "0s", "integral, rate, slope: the unit of time. 0s: a second."},
		{"pipelines[].aggregates[].interpolation", "step|linear", "step", "time_weighted_avg, integral: what lies between readings."},
	}
}
