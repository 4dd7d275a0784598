package equality

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"edged"
	"edged/edgedtest"
	"edged/query"
)

// Input is one message of a case, and the event that it stands for.
type Input struct {
	Topic   string
	Payload []byte
	Arrival edged.Timestamp // of the gateway's clock, when a case has one

	Command string // the pipeline whose alarms it is about, if it is a command

	stream string
	at     edged.Timestamp
	device string
	fields []edgedtest.Field // by the names in the payload; none: the message is no event
}

// devices is the number of devices of a case. Two of them share a line.
const devices = 6

// clockStart is the event time at which most cases begin, nightStart where those
// with a calendar do: in the week in which summer time begins.
const (
	clockStart edged.Timestamp = 1_800_000_000_000
	nightStart edged.Timestamp = 1_711_600_000_000 // 2024-03-28
)

// maker makes the inputs of one case.
type maker struct {
	r       *rand.Rand
	c       *Case
	step    int64 // ms between readings of a device, on average
	skew    int64 // by which readings are out of order
	clocks  [devices]edged.Timestamp
	temps   [devices]float64
	states  [devices]string
	counts  [devices]int
	on      [devices]bool
	offline [devices][]Input // a backlog that has not come in yet
}

// Inputs returns n readings, and one of each device at the end, in the order of
// their keys and in good order of time: so the keys' last signs of life are in the
// order of their names. Some readings are late, some come twice, some are no events.
func (c *Case) Inputs(r *rand.Rand, n int) []Input {
	m := &maker{r: r, c: c, step: 800, skew: 3000}
	start := clockStart
	if c.Name == "calendar" {
		m.step, m.skew, start = 40*60_000, 90*60_000, nightStart
	}
	for d := range devices {
		m.clocks[d] = start + edged.Timestamp(r.Int64N(m.step*3))
		m.temps[d], m.states[d] = 18+4*r.Float64(), "idle"
	}
	var all []Input
	for len(all) < n {
		d := r.IntN(devices)
		if c.Name == "ticks" && len(all) > n*(d+1)/devices {
			d = devices - 1 // the others have fallen silent, one after the other
		}
		m.move(d)
		if c.Name == "alarms" && r.IntN(25) == 0 {
			all = append(all, m.command(d))
		}
		switch in := m.reading(d); {
		case r.IntN(60) == 0:
			all = append(all, m.broken(in))
		case r.IntN(15) == 0 && len(all) > 0:
			repeated := all[len(all)-1-r.IntN(min(len(all), 12))]
			repeated.Arrival = in.Arrival
			all = append(all, repeated)
		case c.Name == "backlog" && d == 0 && r.IntN(3) > 0:
			m.offline[d] = append(m.offline[d], in)
		default:
			all = append(all, in)
		}
		if back := m.offline[0]; len(back) > 15 {
			for i := range back {
				back[i].Arrival = m.now()
			}
			all, m.offline[0] = append(all, back...), nil
		}
	}
	for d := range devices {
		for _, side := range m.sides() {
			m.clocks[d] += edged.Timestamp(m.step)
			all = append(all, m.input(d, side, m.clocks[d], 30, "run", true, m.clocks[d]))
		}
	}
	return all
}

// command returns what an operator might want of a device's alarms. Which there are he
// does not know, so he guesses now and then.
func (m *maker) command(d int) Input {
	r := m.r
	rules := map[string][]string{"fields": {"", "unusual", "spread", "warm", "reset"}, "columns": {"", "drift", "few"}, "keys": {"", "gone", "quiet", "gaps"}}
	in := Input{Topic: "cmd", Arrival: m.now(), Command: []string{"fields", "columns", "keys"}[r.IntN(3)]}
	rule := rules[in.Command][r.IntN(len(rules[in.Command]))]
	kind := []string{"shelve", "unshelve", "out_of_service", "in_service", "reset", "acknowledge", "label"}[r.IntN(7)]
	switch {
	case kind != "acknowledge" && kind != "label":
		in.Payload = fmt.Appendf(nil, `{"command":"%s","pipeline":"%s","key":"d%d","rule":"%s","for":"%dms","by":"anna"}`, kind, in.Command, d, rule, 1+r.IntN(30))
	default:
		at := m.clocks[d] - edged.Timestamp(r.Int64N(m.skew))
		in.Payload = fmt.Appendf(nil, `{"command":"%s","alarm":"%s/%s/%d-%d/d%d","label":"expected"}`, kind, in.Command, rules[in.Command][1], at, 1+r.IntN(3), d)
	}
	return in
}

// sides returns the topics' first levels.
func (m *maker) sides() []string {
	switch {
	case m.c.Name == "ticks":
		return []string{"in", "right"}
	case m.c.joined():
		return []string{"left", "right"}
	}
	return []string{"in"}
}

// now is the gateway's clock: that of the device furthest ahead.
func (m *maker) now() edged.Timestamp {
	now := m.clocks[0]
	for _, at := range m.clocks {
		now = max(now, at)
	}
	return now
}

// move changes what a device would say.
func (m *maker) move(d int) {
	r := m.r
	m.clocks[d] += edged.Timestamp(r.Int64N(2 * m.step))
	if r.IntN(25) == 0 {
		m.clocks[d] += edged.Timestamp(12 * m.step) // silence
	}
	m.temps[d] += r.NormFloat64()
	m.counts[d] += r.IntN(4)
	if r.IntN(40) == 0 {
		m.counts[d] = 0
	}
	if r.IntN(4) == 0 {
		m.states[d] = []string{"idle", "run", "fault"}[r.IntN(3)]
	}
	if r.IntN(4) == 0 {
		m.on[d] = !m.on[d]
	}
}

// reading returns what a device says now, or a moment ago.
func (m *maker) reading(d int) Input {
	r, at := m.r, m.clocks[d]
	switch r.IntN(12) {
	case 0, 1, 2:
		at -= edged.Timestamp(r.Int64N(m.skew))
	case 3:
		at -= edged.Timestamp(r.Int64N(12 * m.skew))
	case 4:
		if r.IntN(5) == 0 {
			at += edged.Timestamp(r.Int64N(5 * m.skew)) // a clock that is ahead
		}
	}
	temp := float64(int(m.temps[d]*10)) / 10
	if r.IntN(3) == 0 {
		temp = m.temps[d]
	}
	mark := at - edged.Timestamp(r.Int64N(m.skew))
	if r.IntN(3) > 0 {
		mark = 0
	}
	sides := m.sides()
	side := sides[r.IntN(len(sides))]
	return m.input(d, side, at, temp, m.states[d], m.on[d], mark)
}

// input writes a reading down. Now and then a member is absent or null.
func (m *maker) input(d int, side string, at edged.Timestamp, temp float64, state string, on bool, mark edged.Timestamp) Input {
	device := "d" + strconv.Itoa(d)
	in := Input{Topic: side + "/" + device, stream: side, at: at, device: device, Arrival: m.now()}
	text := fmt.Appendf(nil, `{"device":"%s","ts":%d`, device, at)
	member := func(name string, v edged.Value) {
		switch {
		case temp == 30 || m.r.IntN(20) > 0: // the last readings are complete
		case m.r.IntN(2) == 0:
			return
		default:
			v = edged.Value{}
		}
		text = append(edged.AppendJSONString(append(text, ','), name), ':')
		text = v.AppendJSON(text)
		in.fields = append(in.fields, edgedtest.Field{Name: name, Value: v})
	}
	member("temp", edged.NumberValue(temp))
	member("state", edged.TextValue(state))
	member("on", edged.BoolValue(on))
	member("n", edged.NumberValue(float64(m.counts[d])))
	if mark != 0 {
		member("mark", edged.NumberValue(float64(mark)))
	}
	// What keys are made of is always there.
	line := "l" + strconv.Itoa(d/2)
	text = fmt.Appendf(text, `,"line":"%s"}`, line)
	in.fields = append(in.fields,
		edgedtest.Field{Name: "line", Value: edged.TextValue(line)}, edgedtest.Field{Name: "device", Value: edged.TextValue(device)})
	in.Payload = text
	return in
}

// broken makes a message of an input that is no event.
func (m *maker) broken(in Input) Input {
	in.fields = nil
	switch m.r.IntN(3) {
	case 0:
		in.Payload = in.Payload[:len(in.Payload)/2]
	case 1:
		in.Payload = []byte(strings.Replace(string(in.Payload), `"ts"`, `"at"`, 1))
	default:
		in.Payload = []byte(`{"device":"d0","ts":1800000000000,"temp":"hot","state":5,"on":3,"n":"x","line":"l0"}`)
	}
	return in
}

// Event returns the input as an event for the driver, with the members that a
// pipeline's input knows, and false when it is none or another input's.
func (in *Input) Event(spec *query.PipelineSpec, arrivals bool) (edgedtest.Event, bool) {
	ev := edgedtest.Event{Stream: spec.Name, Time: in.at, ID: string(in.Payload)}
	if in.fields == nil {
		return ev, false
	}
	if arrivals {
		ev.Arrival = in.Arrival
	}
	for i := range spec.Inputs {
		input := &spec.Inputs[i]
		if !strings.HasPrefix(input.Source.Topic, in.stream+"/") {
			continue
		}
		if input.Name != "" {
			ev.Stream = input.Name
		}
		for _, f := range in.fields {
			if f.Name == input.Key.Field {
				ev.Key = f.Value.Text()
			}
			for _, known := range input.Fields {
				if known.Path == f.Name || known.Path == "" && known.Name == f.Name {
					ev.Fields = append(ev.Fields, edgedtest.Field{Name: known.Name, Value: f.Value})
				}
			}
		}
		return ev, true
	}
	return ev, false
}
