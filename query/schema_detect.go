package query

import (
	"fmt"
	"slices"
	"strings"

	"edged/anomaly"
)

// alarmValuesMax bounds how many values the decision about an alarm looks at.
const alarmValuesMax = 64

// detectKeys describes what is watched, and how alarms behave.
func detectKeys() []Key {
	const at, alarm, all = "pipelines[].detect", "pipelines[].detect[].alarm", "pipelines[].alarms"
	keys := []Key{
		{at, "list", "", "What is watched, per key. Each rule has a detector and makes alarms. Of a window, the panes at its end are watched; of events, all of them in the order of their times."},
		{at + "[].name", "text", Required, "Names the rule in alarms and in stored state: lower-case letters, digits, - and _, at most 64."},
		{at + "[].of", "text", "", "What is watched: a column of the window or, if none is called so, a number among the fields. dead_man and missing watch the key and go without."},
		{at + "[].members", "text", "", "peers: the column that collects the names of the members whose values of collects."},
		{at + "[].detector", "map", "", "Who judges. docs/anomaly.md has what each detector is for. The parameters are those of its type."},
		{at + "[].detector.type", strings.Join(append(anomaly.Names(), peersType), "|"), "auto", "Which detector."},
		{at + "[].detector.zone", "text", "UTC", "auto, clock_bins: the place whose hours of the week count, by its IANA name."},
		{at + "[].detector.of", "list", "", "likelihood, vote, range: the detectors that it works on, each written like detector."},
	}
	keys = append(keys, paramKeys(at+"[].detector.")...)
	return append(keys,
		Key{"pipelines[].suppress", "map", "", "For pipelines that take the alarms of another one: when those of a group, which is a key, are kept back. They are counted, and what still matters is told in the end."},
		Key{"pipelines[].suppress.flood_min", "whole number", "0", "So many alarms that are active at once, and were raised within flood_span, are a flood: one alarm of the rule flood is raised instead of further ones. 0: none are."},
		Key{"pipelines[].suppress.flood_span", "duration", "1m", "See flood_min."},
		Key{"pipelines[].suppress.calm_below", "whole number", "1", "A flood is over when fewer than so many alarms are active."},
		Key{"pipelines[].suppress.calm_span", "duration", "1m", "And have been for so long."},
		Key{"pipelines[].suppress.parent", "map", "", "The alarm that explains all others: while it is active, they are kept back."},
		Key{"pipelines[].suppress.parent.rule", "text", Required, "Its rule."},
		Key{"pipelines[].suppress.parent.key", "text", Required, "Its key in the pipeline that it is of."},
		Key{"pipelines[].suppress.members_max", "whole number", "1024", "Limit of alarms per group that are remembered at once. Those beyond it are passed on."},
		Key{alarm, "map", "", "When what the detector finds is an alarm, and when that ends. Times are those of the device."},
		Key{alarm + ".on_delay", "duration", "0s", "How long it must last before an alarm is raised."},
		Key{alarm + ".off_delay", "duration", "0s", "How long it must be over before the alarm is cleared."},
		Key{alarm + ".least", "whole number", "1", "Of the last of_last values at least so many must be unusual."},
		Key{alarm + ".of_last", "whole number", "1", "See least; at most 64."},
		Key{alarm + ".duration_min", "duration", "0s", "An alarm stays raised at least so long."},
		Key{alarm + ".cool_down", "duration", "0s", "After an alarm was cleared, only a more severe one is raised for so long."},
		Key{alarm + ".latch", "bool", "false", "The alarm stays until it is reset, although its cause has gone."},
		Key{alarm + ".acknowledge", "bool", "false", "An alarm whose cause has gone stays until it is acknowledged, before or after."},
		Key{alarm + ".severity_min", "minor|major|critical", "minor", "What is less severe is no alarm."},
		Key{alarm + ".update_interval", "duration", "1m", "An alarm that goes on is told about again no more often than this, unless it becomes more severe."},
		Key{alarm + ".budget_max", "whole number", "0", "Of each key, so many alarms, at most 64, may be raised in budget_per; then only critical ones are, and the others are counted. 0: no limit."},
		Key{alarm + ".budget_per", "duration", "24h", "See budget_max."},
		Key{alarm + ".remember", "duration", "24h", "How long after its end an alarm can still be labelled true, false or expected."},
		Key{alarm + ".freeze", "duration", "0s", "From the first unusual value to the next usual one, but no longer than this, the detector learns nothing, so that what goes on stays unusual. auto needs it for on_delay and least. 0s: it learns from everything; of auto, what goes on is usual at once."},
		Key{all, "map", "", "What the alarms of the pipeline have in common."},
		Key{all + ".outputs", "list", "", "Where alarms go; written like outputs."},
		Key{all + ".commands", "map", "", "Where commands about alarms come from: acknowledge, shelve and others. docs/anomaly.md has their form."},
		Key{all + ".commands.topic", "text", Required, "MQTT topic filter."},
		Key{all + ".commands.qos", "0|1", "1", "Quality of service of the subscription."},
		Key{all + ".historical_after", "duration", "1h", "Alarms about values that were this old when they came in are marked historical. 0s: none is."},
		Key{all + ".expected", "map", "", "Keys that are to have events: dead_man watches them although none has come yet."},
		Key{all + ".expected.keys", "list", "", "The keys."},
		Key{all + ".expected.table", "text", "", "The reference table whose keys they are. A key that is taken out of it is not watched any more."},
		Key{all + ".shelf_max", "duration", "24h", "The longest time for which an alarm may be shelved."},
		Key{all + ".set_back_min", "duration", "0s", "When values are older by this than the newest one, the device's clock was set back, and delays begin anew. 0s: older values change nothing."},
		Key{all + ".maintenance", "map", "", "Hours in which nothing is an alarm and nothing is learned, by the times of the values."},
		Key{all + ".maintenance.zone", "text", "UTC", "The place whose clocks count, by its IANA name."},
		Key{all + ".maintenance.windows", "list", Required, "The hours; at most 32."},
		Key{all + ".maintenance.windows[].days", "list", "", "The days on which they begin: monday to sunday. By default all."},
		Key{all + ".maintenance.windows[].from", "text", Required, `Local time at which they begin, such as "22:00".`},
		Key{all + ".maintenance.windows[].to", "text", Required, "Local time at which they end; if it is not later than from, on the day after."},
	)
}

// paramKeys describes the parameters of all detectors, each name once.
func paramKeys(at string) []Key {
	var keys []Key
	for _, d := range append(anomaly.Describe(), peersDescription()) {
		for _, p := range d.Params {
			doc := fmt.Sprintf("%s: %s", d.Name, p.Doc)
			if !p.Required {
				doc += ", by default " + paramDefault(p)
			}
			path := at + p.Name
			i := slices.IndexFunc(keys, func(k Key) bool { return k.Path == path })
			if i < 0 {
				keys = append(keys, Key{Path: path, Type: paramType(p), Doc: doc + "."})
				continue
			}
			if !slices.Contains(strings.Split(keys[i].Type, " or "), paramType(p)) {
				keys[i].Type += " or " + paramType(p)
			}
			keys[i].Doc = strings.TrimSuffix(keys[i].Doc, ".") + "; " + doc + "."
		}
	}
	return keys
}

func paramType(p anomaly.Param) string {
	switch {
	case p.Unit == "ms":
		return "duration"
	case isFlag(p):
		return "bool"
	case p.Whole:
		return "whole number"
	}
	return "number"
}

func paramDefault(p anomaly.Param) string {
	switch {
	case p.Unit == "ms":
		return millis(int64(p.Default))
	case isFlag(p):
		return fmt.Sprint(p.Default == 1)
	case p.Default != p.Default: // NaN
		return "none"
	}
	return fmt.Sprint(p.Default)
}
