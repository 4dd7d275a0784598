package query

import (
	"encoding/json"
	"slices"
	"strings"

	"edged"
	"edged/alarms"
	"edged/anomaly"
	"edged/windows"
)

// peersType is the detector that compares the members of a group with each other. It is
// none of a series: each pane of the group has its values and names in two columns.
const peersType = "peers"

// PeersMax bounds the members of a group whose alarms are kept.
const PeersMax = 4096

// peersDescription describes it like those of package anomaly.
func peersDescription() anomaly.Description {
	return anomaly.Description{
		Name: peersType, Doc: "For devices that should behave alike.",
		Formula: "abs(x - med)/(1.4826 MAD) of the group's values in one pane", Source: "Iglewicz and Hoaglin 1993",
		Params: []anomaly.Param{
			{Name: "threshold", Min: 1e-9, Max: 1e9, Default: 6, Doc: "robust deviations"},
			{Name: "floor", Unit: "value", Max: 1e99, Doc: "smallest deviation that counts"},
			{Name: "least", Min: 3, Max: 1e6, Default: 5, Whole: true, Doc: "members that make a judgement"},
		},
	}
}

// peers makes the detector of its spec.
func (d *DetectorSpec) peers() *anomaly.Peers {
	value := func(name string) float64 {
		if x, given := d.Params[name]; given {
			return x
		}
		params := peersDescription().Params
		return params[slices.IndexFunc(params, func(p anomaly.Param) bool { return p.Name == name })].Default
	}
	return &anomaly.Peers{Threshold: value("threshold"), Floor: value("floor"), Least: int(value("least"))}
}

// peerRule checks a rule that compares members, and finds its columns.
func (c *compiler) peerRule(path string, r *rule) {
	r.peers = r.spec.Detector.peers()
	c.faultsOf(path+".detector", r.peers.Validate())
	column := func(name, of string, kind edged.Kind) int {
		i := slices.IndexFunc(c.plan.Aggregates, func(a AggregateSpec) bool { return a.Name == of })
		switch {
		case of == "":
			c.fault(path+"."+name, "", "is missing: peers needs a collect column of the %s", map[string]string{"of": "values", "members": "names"}[name])
		case i < 0:
			c.fault(path+"."+name, Suggest(of, c.plan.Columns(edged.PaneResult)), "there is no column %q", of)
		case c.plan.Aggregates[i].Function != "collect":
			c.fault(path+"."+name, "", "must be a column of collect, but %s is one of %s", of, c.plan.Aggregates[i].Function)
		default:
			if at := c.body.index(c.plan.Aggregates[i].Field); at >= 0 && c.body.fields[at].kind != kind {
				c.fault(path+"."+name, "", "must collect a %s", kind)
			}
		}
		return i
	}
	r.column = column("of", r.spec.Of, edged.Number)
	r.members = column("members", r.spec.Members, edged.Text)
	if c.spec.Upstream() == "" {
		c.fault(path+".detector.type", "take the panes of the devices' pipeline, with source.pipeline", "peers compares the members of a group")
	}
}

// peer is the alarm of one member.
type peer struct {
	name  string
	alarm alarms.Alarm
}

// comparePeers judges the members of a pane.
func (w *watch) comparePeers(out *edged.Output, i int, at int, by windows.Moment) {
	rule, r := &w.plan.rules[i], &out.Results[at]
	var values []float64
	var names []string
	// Both columns were written by us; what does not fit is no pane of equals.
	if json.Unmarshal([]byte(r.Values[rule.column].Text()), &values) != nil ||
		json.Unmarshal([]byte(r.Values[rule.members].Text()), &names) != nil || len(values) != len(names) {
		return
	}
	end := r.End
	group := rule.peers.New()
	group.Set(values)
	for j, name := range names {
		p := w.peer(i, name)
		if p == nil {
			out.Overflow++
			continue
		}
		s := alarms.Sample{At: end, Now: by.Now, Value: values[j], Verdict: group.Judge(values[j])}
		s.Historical = w.historical(end, by)
		w.changes = p.alarm.Observe(w.changes[:0], s)
		w.sayOf(out, i, name, by)
	}
}

// peer returns the alarm of a member, and nil when there are too many.
func (w *watch) peer(i int, name string) *peer {
	r := &w.rules[i]
	at, found := r.find(name)
	if !found {
		if len(r.peers) >= PeersMax {
			return nil
		}
		r.peers = slices.Insert(r.peers, at, peer{name, w.plan.rules[i].alarm.New()})
	}
	return &r.peers[at]
}

func (r *watched) find(name string) (at int, found bool) {
	return slices.BinarySearchFunc(r.peers, name, func(p peer, name string) int { return strings.Compare(p.name, name) })
}

// The alarm of a member has the key of the group and the member's name in its id. What
// would make the group's key longer than it is is escaped.

func memberKey(group, member string) string {
	return strings.NewReplacer("%", "%25", "/", "%2F").Replace(group) + "/" + member
}

func splitMember(key string) (group, member string, ok bool) {
	group, member, ok = strings.Cut(key, "/")
	return strings.NewReplacer("%2F", "/", "%25", "%").Replace(group), member, ok
}
