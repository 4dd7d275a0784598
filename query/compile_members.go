package query

import (
	"slices"
	"strings"
)

// misplaced reports the members that are not read because of what else the
// document says. What belongs to a type of windows is in windowMembers.
func (c *compiler) misplaced() {
	up, streams := c.spec.Upstream() != "", c.given("streams")
	m, remembers := c.spec.Watermark, c.spec.Dedup.By != DedupNone || up
	type member struct {
		path  string
		reads bool
		why   string
	}
	members := []member{
		{"join", streams, "without streams there is nothing to join"},
		{"group", up, "it is for pipelines that gather the results of another one"},
		{"dedup", !up, "a contribution that comes again replaces the one before"},
		{"source.qos", !up, "the results of a pipeline come from no broker"},
		{"source.format", !up, "the results of a pipeline come from no broker"},
		{"dedup.horizon", remembers, "nothing is remembered"},
		{"dedup.max_entries", remembers, "nothing is remembered"},
		{"backlog.older_than", c.spec.Backlog.Horizon > 0, "there is no backlog without a horizon"},
		{"watermark.out_of_orderness", m.Type == "bounded" || m.Type == "quantile", "it belongs to bounded and quantile"},
		{"watermark.quantile", m.Type == "quantile", "it belongs to quantile"},
		{"watermark.delay_max", m.Type == "quantile", "it belongs to quantile"},
		{"watermark.sources_max", up || streams || m.Per != "", "a key has one source; see watermark.per"},
		{"watermark.idle_timeout", m.Type != "manual", "only the driver moves a manual watermark"},
		{"watermark.per", m.Type != "manual", "a manual watermark is the same for all sources"},
	}
	for _, in := range c.spec.Inputs {
		members = append(members, member{in.at("event_time.ahead"), in.EventTime.AheadMax > 0, "without ahead_max no event is ahead"})
	}
	for _, one := range members {
		if !one.reads && c.given(one.path) {
			c.fault(one.path, "leave it out", "has no meaning here: %s", one.why)
		}
	}
	if up && (m.Type == "punctuated" || m.Type == "quantile") {
		c.fault("watermark.type", "use bounded, ascending or manual", "members say what their watermarks are; %s has no meaning for them", m.Type)
	}
	for i := range c.spec.Changes {
		c.changeMembers(i)
	}
}

// changeMembers checks that a change detector has only what its function reads.
func (c *compiler) changeMembers(i int) {
	function := c.spec.Changes[i].Function
	for _, one := range []struct {
		name string
		of   []string
	}{
		{"steps", []string{"lag"}},
		{"by", []string{"dead_band", "swinging_door"}},
		{"percent", []string{"dead_band"}},
		{"max_interval", []string{"dead_band", "swinging_door"}},
	} {
		path := indexed("changes", i) + "." + one.name
		if c.given(path) && !slices.Contains(one.of, function) {
			c.fault(path, "leave it out", "has no meaning for %s; it belongs to %s", function, strings.Join(one.of, ", "))
		}
	}
	path := indexed("changes", i) + ".by"
	switch by := c.spec.Changes[i].By; {
	case by < 0:
		c.fault(path, "", "%v is not a distance: it must be 0 or more", by)
	case by == 0 && (function == "swinging_door" || function == "dead_band" && !c.given(path)):
		c.fault(path, "", "is missing: how far a value may stray")
	}
}

// joinMembers checks that a join has only what its type reads.
func (c *compiler) joinMembers(j *JoinSpec) {
	for _, one := range []struct{ name, of string }{{"lower", "interval"}, {"upper", "interval"}, {"tolerance", "as_of"}} {
		if path := "join." + one.name; c.given(path) && j.Type != one.of {
			c.fault(path, "leave it out", "has no meaning for %s joins; it belongs to %s", j.Type, one.of)
		}
	}
}
