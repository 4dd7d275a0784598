package query

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"edged"
	"edged/alarms"
	"edged/mqtt/codec"
	"edged/stored"
	"edged/windows"
)

// suppressing stands where the windows are in a pipeline that takes the alarms of
// another one: it passes them on, or keeps them back while there are too many.
type suppressing struct {
	plan      *Plan
	group     alarms.Group
	watermark edged.Timestamp
	heard     edged.Timestamp // processing time of the last change
	newest    edged.Timestamp // its event time

	changes []alarms.GroupChange // working memory
}

var _ windows.State = (*suppressing)(nil)

func (p *Plan) newSuppressing() *suppressing {
	return &suppressing{plan: p, group: p.suppress.New(), watermark: edged.MinTimestamp, newest: edged.MinTimestamp}
}

// Add implements windows.State. The event is what happened to a member's alarm.
func (s *suppressing) Add(out *edged.Output, ev *edged.Event, by windows.Moment) {
	rule, c, err := splitAlarm(ev.From.Partial)
	if err != nil {
		return // Derive has read it once before
	}
	s.heard, s.newest = by.Now, max(s.newest, ev.EventTime)
	s.changes = s.group.Observe(s.changes[:0], rule+"/"+ev.From.Member, c)
	s.say(out, by)
}

// say appends what the group passes on.
func (s *suppressing) say(out *edged.Output, by windows.Moment) {
	for i := range s.changes {
		g := &s.changes[i]
		up := s.plan.inputs[0].upstream
		from, rule, key := s.plan.name, floodRule, by.Key
		if g.Member != "" {
			from = up.name
			rule, key, _ = strings.Cut(g.Member, "/")
		}
		v := out.Columns(alarmValuesCount)
		fillAlarm(v, alarms.ID{Pipeline: from, Rule: rule, Key: key}, &g.Change)
		if g.Member != "" {
			v[alarmMember] = edged.TextValue(key)
		} else {
			// A group has no value of its own.
			v[alarmValue], v[alarmPeak], v[alarmPeakAt], v[alarmScore] = edged.Value{}, edged.Value{}, edged.Value{}, edged.Value{}
		}
		if g.Kept > 0 {
			v[alarmKept] = edged.NumberValue(float64(g.Kept))
			v[alarmKeptOf] = membersValue(g.Members)
		}
		out.Results = append(out.Results, edged.Result{
			Kind: edged.AlarmResult, Cause: by.Cause, Last: true, Historical: g.Change.Historical, Index: alarmIndex(out, by.Trigger), Trigger: by.Trigger,
			Key: by.Key, Start: g.Change.Start, End: g.Change.At, Watermark: s.watermark, Values: v,
		})
	}
	s.changes = s.changes[:0]
}

// floodRule is the rule that alarms of groups are of.
const floodRule = "flood"

// membersValue lists keys, once each.
func membersValue(members []string) edged.Value {
	keys := []string{}
	for _, m := range members {
		_, key, _ := strings.Cut(m, "/")
		if len(keys) == 0 || keys[len(keys)-1] != key {
			keys = append(keys, key)
		}
	}
	text, err := json.Marshal(keys)
	if err != nil {
		panic("a list of texts: " + err.Error())
	}
	return edged.JSONValue(string(text))
}

// Advance implements windows.State.
func (s *suppressing) Advance(_ *edged.Output, to edged.Timestamp, _ windows.Moment) {
	s.watermark = max(s.watermark, to)
}

// Tick implements windows.State. A flood ends when it has been calm, which nobody says.
func (s *suppressing) Tick(out *edged.Output, by windows.Moment) {
	if s.newest == edged.MinTimestamp {
		return
	}
	s.changes = s.group.Advance(s.changes[:0], s.newest.Add(max(0, by.Now.Sub(s.heard))), by.Now)
	s.say(out, by)
}

// Watermark implements windows.State.
func (s *suppressing) Watermark() edged.Timestamp { return s.watermark }

// Open implements windows.State.
func (s *suppressing) Open() int {
	if s.group.Waits() {
		return 1
	}
	return 0
}

// Pending implements windows.State.
func (*suppressing) Pending() (edged.Timestamp, bool) { return 0, false }

// Bytes implements windows.State.
func (s *suppressing) Bytes() int { return 64 + s.group.Bytes() }

// AppendBinary implements windows.State.
func (s *suppressing) AppendBinary(dst []byte) []byte {
	for _, t := range []edged.Timestamp{s.watermark, s.heard, s.newest} {
		dst = binary.AppendVarint(dst, int64(t))
	}
	return s.group.AppendBinary(dst)
}

// Restore implements windows.State.
func (s *suppressing) Restore(data []byte) ([]byte, error) {
	r := stored.Reader{Data: data}
	fresh := s.plan.newSuppressing()
	for _, t := range []*edged.Timestamp{&fresh.watermark, &fresh.heard, &fresh.newest} {
		*t = edged.Timestamp(r.Varint())
	}
	if r.Bad {
		return nil, fmt.Errorf("restore the times of a group: %w", windows.ErrState)
	}
	rest, err := fresh.group.Restore(r.Data)
	if err != nil {
		return nil, err
	}
	*s = *fresh
	return rest, nil
}

// joinAlarm encodes what happened to the alarm of a rule for another pipeline.
func joinAlarm(rule string, c *alarms.Change) []byte {
	dst := binary.AppendUvarint(nil, uint64(len(rule)))
	return alarms.AppendChange(append(dst, rule...), c)
}

// splitAlarm reads what joinAlarm wrote.
func splitAlarm(data []byte) (rule string, c alarms.Change, err error) {
	r := stored.Reader{Data: data}
	if rule = r.Text(); r.Bad {
		return "", c, ErrDerived
	}
	c, rest, err := alarms.ReadChange(r.Data)
	if err != nil || len(rest) > 0 {
		return "", c, errors.Join(ErrDerived, err)
	}
	return rule, c, nil
}

// appendDerivedAlarm appends an alarm event in the form in which deriveAlarm reads it.
func appendDerivedAlarm(dst []byte, r *edged.Result) []byte {
	dst = append(dst, derivedAlarm)
	dst = binary.AppendUvarint(dst, uint64(len(r.Key)))
	dst = append(dst, r.Key...)
	return append(dst, r.Partial...)
}

// deriveAlarm makes an event of an alarm event of the upstream.
func (p *Plan) deriveAlarm(ev *edged.Event, derived []byte) error {
	in := &p.inputs[0]
	d := derivedReader{stored.Reader{Data: derived}}
	flags, member := d.Byte(), d.Text()
	if d.Bad || flags != derivedAlarm {
		return fmt.Errorf("pipeline %s reads the alarms of %s: %w", p.name, in.upstream.name, ErrDerived)
	}
	part := append([]byte(nil), d.Data...)
	rule, c, err := splitAlarm(part)
	if err != nil {
		return fmt.Errorf("pipeline %s reads the alarms of %s: %w", p.name, in.upstream.name, err)
	}
	*ev = edged.Event{
		Seq: ev.Seq, Arrival: ev.Arrival, Values: ev.Values[:0], EventTime: c.At, Key: member, // by which rows are found
		From: &edged.Contribution{Member: member, Start: c.Start, End: c.At, Partial: part},
	}
	for len(ev.Values) < len(p.Slots) {
		ev.Values = append(ev.Values, edged.Value{})
	}
	all := make([]edged.Value, 3+alarmValuesCount)
	all[0], all[1], all[2] = edged.TextValue(member), timeValue(c.Start), timeValue(c.At)
	fillAlarm(all[3:], alarms.ID{Pipeline: in.upstream.name, Rule: rule, Key: member}, &c)
	for i, v := range all {
		if slot := in.fields[i].slot; slot >= 0 {
			ev.Values[slot] = v
		}
	}
	if err := in.look(ev); err != nil {
		return err
	}
	ev.Key = in.spec.Key.Value
	if in.keyField >= 0 {
		slot := in.fields[in.keyField].slot
		if slot < 0 || ev.Values[slot].Kind == edged.Null {
			return &edged.PoisonError{Cause: codec.CauseMissingKey, Detail: "the field that is the key is null"}
		}
		if err := derivedKey(ev, ev.Values[slot]); err != nil {
			return err
		}
	}
	return p.express(in, ev)
}
