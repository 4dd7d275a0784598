package query

import (
	"math"
	"slices"

	"edged"
	"edged/alarms"
)

// AlarmSuffix follows the pipeline's name in the name of the stream of alarms.
const AlarmSuffix = ".alarms"

// AlarmStream names the stream of alarms.
func (p *Plan) AlarmStream() string { return p.name + AlarmSuffix }

// AlarmOutputs returns where alarms go.
func (p *Plan) AlarmOutputs() []OutputSpec { return p.spec.Alarms.Outputs }

// The values of an alarm event.
const (
	alarmID = iota
	alarmRule
	alarmEvent
	alarmState
	alarmEnding
	alarmSeverity
	alarmValue
	alarmPeak
	alarmPeakAt
	alarmScore
	alarmLow
	alarmHigh
	alarmReason
	alarmEnded
	alarmCount
	alarmSuppressed
	alarmLabel
	alarmFor
	alarmBy
	alarmNote
	alarmMember
	alarmKept
	alarmKeptOf
	alarmValuesCount
)

// alarmMembers names them as rows do.
func alarmMembers() []string {
	return []string{
		"alarm", "rule", "event", "state", "ending", "severity", "value", "peak", "peak_at", "score", "expected_low", "expected_high",
		"reason", "ended", "count", "suppressed", "label", "for", "by", "note", "member", "kept", "kept_of",
	}
}

// alarmValues returns the values of what happened to the alarm of a rule, or to that of
// one member where a rule compares them. What does
// not apply is null.
func (p *Plan) alarmValues(out *edged.Output, key, member string, rule int, c *alarms.Change) []edged.Value {
	v := out.Columns(alarmValuesCount)
	if member != "" {
		key = memberKey(key, member)
	}
	fillAlarm(v, alarms.ID{Pipeline: p.name, Rule: p.rules[rule].spec.Name, Key: key}, c)
	if member != "" {
		v[alarmMember] = edged.TextValue(member)
	}
	return v
}

// fillAlarm sets the values of what happened to an alarm.
func fillAlarm(v []edged.Value, id alarms.ID, c *alarms.Change) {
	text := func(i int, s string) {
		if s != "" && s != "none" {
			v[i] = edged.TextValue(s)
		}
	}
	v[alarmRule] = edged.TextValue(id.Rule)
	v[alarmEvent], v[alarmState] = edged.TextValue(c.Event.String()), edged.TextValue(c.State.String())
	text(alarmBy, c.By)
	text(alarmNote, c.Note)
	if c.Until != 0 { // as a span: a replay has another processing time
		v[alarmFor] = edged.NumberValue(float64(c.Until.Sub(c.Now)))
	}
	if c.Suppressed > 0 {
		v[alarmSuppressed] = edged.NumberValue(float64(c.Suppressed))
	}
	if c.Ordinal == 0 {
		return // it is about the rule, and no alarm
	}
	id.Start, id.Ordinal = c.Start, c.Ordinal
	v[alarmID] = edged.TextValue(id.String())
	text(alarmEnding, c.Ending.String())
	text(alarmSeverity, c.Severity.String())
	text(alarmLabel, c.Label.String())
	text(alarmReason, c.Verdict.Explain(c.Peak))
	v[alarmValue], v[alarmPeak] = edged.NumberValue(c.Value), edged.NumberValue(c.Peak)
	if v[alarmPeak].Kind == edged.Number {
		v[alarmPeakAt] = timeValue(c.PeakAt)
	}
	v[alarmScore] = edged.NumberValue(c.Verdict.Score)
	if c.Verdict.HasRange && c.Verdict.Low > -math.MaxFloat64 {
		v[alarmLow] = edged.NumberValue(c.Verdict.Low)
	}
	if c.Verdict.HasRange && c.Verdict.High < math.MaxFloat64 {
		v[alarmHigh] = edged.NumberValue(c.Verdict.High)
	}
	v[alarmCount] = edged.NumberValue(float64(c.Count))
	if c.Ending != alarms.EndingNone {
		v[alarmEnded] = timeValue(c.Ended)
	}
}

// alarmKinds are the kinds of the values.
func alarmKinds() []edged.Kind {
	kinds := make([]edged.Kind, alarmValuesCount)
	for i := range kinds {
		kinds[i] = edged.Number
	}
	for _, i := range []int{alarmID, alarmRule, alarmEvent, alarmState, alarmEnding, alarmSeverity, alarmReason, alarmLabel, alarmBy, alarmNote, alarmMember} {
		kinds[i] = edged.Text
	}
	kinds[alarmKeptOf] = edged.JSON
	return kinds
}

func timeValue(t edged.Timestamp) edged.Value { return edged.NumberValue(float64(t)) }

// alarmRowMembers are the members of alarm events apart from the key.
func alarmRowMembers() []string {
	return append(alarmMembers(), "start", "at", "historical", "id", "seq", "gateway")
}

// appendAlarm appends what happened to an alarm. Values that are null are left out,
// and so is when it started if it is about no alarm.
func (p *Plan) appendAlarm(dst []byte, r *edged.Result) []byte {
	for i, column := range p.alarmColumns {
		if i >= len(r.Values) || r.Values[i].Kind == edged.Null {
			continue
		}
		dst = append(dst, column...)
		dst = r.Values[i].AppendJSON(dst)
	}
	if len(r.Values) > alarmID && r.Values[alarmID].Kind != edged.Null {
		dst = appendTime(dst, `,"start":`, r.Start)
	}
	if r.End != edged.MinTimestamp {
		dst = appendTime(dst, `,"at":`, r.End)
	}
	return appendHistorical(dst, r)
}

// prepareAlarms writes down the constant parts of alarm rows.
func (p *Plan) prepareAlarms() {
	for _, name := range alarmMembers() {
		p.alarmColumns = append(p.alarmColumns, ","+member(name))
	}
}

// takesAlarmMember reports whether a name is one that alarm events have.
func takesAlarmMember(name string) bool { return slices.Contains(alarmRowMembers(), name) }
