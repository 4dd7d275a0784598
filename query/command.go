package query

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"edged"
	"edged/alarms"
	"edged/anomaly"
	"edged/mqtt/codec"
	"edged/windows"
)

// CauseCommand is the cause of dead letters that should have been commands.
const CauseCommand = "command"

// commandBytesMax bounds a command.
const commandBytesMax = 16 << 10

// commandMessage is a command as it is written. An alarm is named by its id, or a key
// by the pipeline and itself.
type commandMessage struct {
	Command  string `json:"command"`
	Alarm    string `json:"alarm"`
	Pipeline string `json:"pipeline"`
	Key      string `json:"key"`
	Rule     string `json:"rule"`
	For      string `json:"for"`
	Label    string `json:"label"`
	By       string `json:"by"`
	Note     string `json:"note"`
}

// decodeCommand makes an event of a command. A command for another pipeline is
// filtered out.
func (p *Plan) decodeCommand(ev *edged.Event, payload []byte) error {
	m, err := parseCommand(payload)
	if err != nil {
		return &edged.PoisonError{Cause: CauseCommand, Detail: err.Error()}
	}
	c := &edged.Command{Action: m.Command, Rule: m.Rule, Label: m.Label, By: m.By, Note: m.Note}
	if m.Alarm != "" {
		id, err := alarms.ParseID(m.Alarm)
		if err != nil {
			return &edged.PoisonError{Cause: CauseCommand, Detail: err.Error()}
		}
		m.Pipeline, m.Key = id.Pipeline, id.Key
		c.Rule, c.Start, c.Ordinal, c.Named = id.Rule, id.Start, id.Ordinal, true
	}
	if m.Pipeline != p.name {
		return ErrFiltered
	}
	if m.For != "" {
		d, err := ParseDuration(m.For)
		if err != nil {
			return &edged.PoisonError{Cause: CauseCommand, Detail: "for: " + err.Error()}
		}
		c.For = d.Milliseconds()
	}
	if c.Rule != "" && p.ruleNamed(c.Rule) < 0 {
		return &edged.PoisonError{Cause: CauseCommand, Detail: fmt.Sprintf("pipeline %s has no rule %q", p.name, c.Rule)}
	}
	if i := p.ruleNamed(c.Rule); i >= 0 && p.rules[i].peers != nil && c.Named {
		var ok bool
		if m.Key, c.Member, ok = splitMember(m.Key); !ok {
			return &edged.PoisonError{Cause: CauseCommand, Detail: "the id has no member, which alarms of " + c.Rule + " have"}
		}
	}
	if len(m.Key) > codec.KeyBytesMax {
		return &edged.PoisonError{Cause: codec.CauseKeyTooLong, Detail: "the key is too long to be one"}
	}
	*ev = edged.Event{Seq: ev.Seq, Arrival: ev.Arrival, Values: ev.Values[:0], Key: m.Key, Command: c}
	return nil
}

// Command makes an event of a command as operators write it; see docs/anomaly.md. The
// errors are those of [Plan.Decode].
func (p *Plan) Command(ev *edged.Event, payload []byte) error { return p.decodeCommand(ev, payload) }

// parseCommand reads a command and checks what can be seen from it alone.
func parseCommand(payload []byte) (m commandMessage, err error) {
	if len(payload) > commandBytesMax {
		return m, fmt.Errorf("%d bytes are too many for a command; at most %d", len(payload), commandBytesMax)
	}
	d := json.NewDecoder(bytes.NewReader(payload))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return m, fmt.Errorf("a command is an object such as %s, but: %w", commandExample, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return m, errors.New("a message has one command, but something follows it")
	}
	if _, ok := alarms.ParseKind(m.Command); !ok {
		return m, fmt.Errorf("there is no command %q; use one of %s", m.Command, strings.Join(commandNames(), ", "))
	}
	if _, ok := alarms.ParseLabel(m.Label); !ok && m.Label != "" {
		return m, fmt.Errorf("label is %q; use true, false or expected", m.Label)
	}
	named := m.Alarm != ""
	switch {
	case named && (m.Pipeline != "" || m.Key != "" || m.Rule != ""):
		return m, errors.New("an alarm's id says what pipeline, key and rule are; leave these out")
	case !named && (m.Pipeline == "" || m.Key == ""):
		return m, errors.New("name the alarm by its id, or the pipeline and the key")
	case !named && (m.Command == alarms.KindAcknowledge.String() || m.Command == alarms.KindLabel.String()):
		return m, fmt.Errorf("%s needs the id of the alarm", m.Command)
	}
	return m, nil
}

const commandExample = `{"command":"acknowledge","alarm":"...","by":"anna"}`

func commandNames() []string {
	var names []string
	for k := alarms.KindAcknowledge; k.String() != "?"; k++ {
		names = append(names, k.String())
	}
	return names
}

// ruleNamed returns the place of a rule, and -1 when there is none.
func (p *Plan) ruleNamed(name string) int {
	for i := range p.rules {
		if p.rules[i].spec.Name == name {
			return i
		}
	}
	return -1
}

// command carries out what an operator wants. What cannot be done is answered.
func (w *watch) command(out *edged.Output, ev *edged.Event, by windows.Moment) {
	for i := range w.rules {
		if ev.Command.Rule != "" && ev.Command.Rule != w.plan.rules[i].spec.Name {
			continue
		}
		if w.plan.rules[i].peers == nil {
			w.commandOne(out, ev.Command, i, "", &w.rules[i].alarm, by)
			continue
		}
		if _, known := w.rules[i].find(ev.Command.Member); ev.Command.Member != "" && !known {
			w.refuse(out, i, ev.Command, &w.rules[i].alarm, errNoMember, by)
		}
		for j := range w.rules[i].peers {
			if p := &w.rules[i].peers[j]; ev.Command.Member == "" || ev.Command.Member == p.name {
				w.commandOne(out, ev.Command, i, p.name, &p.alarm, by)
			}
		}
	}
}

var errNoMember = errors.New("no such member has been heard")

// commandOne gives a command to one alarm.
func (w *watch) commandOne(out *edged.Output, c *edged.Command, i int, member string, alarm *alarms.Alarm, by windows.Moment) {
	kind, _ := alarms.ParseKind(c.Action)
	label, _ := alarms.ParseLabel(c.Label)
	changes, err := alarm.Command(w.changes[:0], alarms.Command{
		Kind: kind, Label: label, Start: c.Start, Ordinal: c.Ordinal, For: c.For, By: c.By, Note: c.Note,
	}, by.Now)
	if err != nil {
		w.refuse(out, i, c, alarm, err, by)
		return
	}
	w.changes = changes
	r := &w.rules[i]
	switch {
	case kind == alarms.KindReset:
		r.detector, r.frozen = nil, edged.MinTimestamp // what was learned is about another sensor
	case kind == alarms.KindLabel && r.detector != nil:
		for j := range changes {
			if changes[j].Event == alarms.EventLabelled {
				anomaly.Teach(r.detector, label, changes[j].Verdict.Evidence)
			}
		}
	}
	w.sayOf(out, i, member, by)
}

// refuse answers a command that is not carried out.
func (w *watch) refuse(out *edged.Output, i int, c *edged.Command, alarm *alarms.Alarm, err error, by windows.Moment) {
	v := out.Columns(alarmValuesCount)
	v[alarmRule] = edged.TextValue(w.plan.rules[i].spec.Name)
	v[alarmEvent] = edged.TextValue("refused")
	v[alarmState] = edged.TextValue(alarm.Condition().String())
	v[alarmReason] = edged.TextValue(c.Action + ": " + err.Error())
	if c.Named {
		key := by.Key
		if c.Member != "" {
			key = memberKey(key, c.Member)
			v[alarmMember] = edged.TextValue(c.Member)
		}
		v[alarmID] = edged.TextValue(alarms.ID{Pipeline: w.plan.name, Rule: w.plan.rules[i].spec.Name, Start: c.Start, Ordinal: c.Ordinal, Key: key}.String())
	}
	if c.By != "" {
		v[alarmBy] = edged.TextValue(c.By)
	}
	w.tell(out, c.Start, edged.MinTimestamp, false, by, v)
}
