package edgedtest

import (
	"strconv"

	"edged"
)

// Kind tells what a [Result] is.
type Kind uint8

// The kinds of results.
const (
	Pane       Kind = iota // one firing of one window
	Retract                // takes an earlier pane back
	Late                   // an event that some or all of its windows did not take
	Row                    // an event or a match of a join that no window gathers
	Alarm                  // what happened to an alarm
	DeadLetter             // an event that a pipeline refused
)

// String names the kind.
func (k Kind) String() string {
	return [...]string{"pane", "retract", "late", "row", "alarm", "dead_letter"}[min(k, DeadLetter)]
}

// Window is the bounds of a window, [Start, End), in milliseconds.
type Window struct{ Start, End edged.Timestamp }

// Result is what appeared in a step.
type Result struct {
	Step     int // from 0
	Kind     Kind
	Pipeline string
	Key      string

	// Of a pane; Start, End and Index also of a retraction.
	Start, End edged.Timestamp
	Timing     edged.Timing
	Index      uint32
	Last       bool
	Historical bool
	Watermark  edged.Timestamp
	Cause      edged.Cause

	// Time is when a row, a late event or a dead letter happened.
	Time edged.Timestamp

	// Windows are those that did not take a late event; Dropped says that no other
	// window took it either, Limit that a limit refused it and not the time.
	Windows []Window
	Dropped bool
	Limit   bool

	// Values are the columns in document order. A retraction has none unless panes
	// are retracted by value.
	Values []Field

	// Reason and Detail are why an event is a dead letter.
	Reason string
	Detail string
}

// Value returns a column, and Null when there is none of that name.
func (r *Result) Value(name string) edged.Value {
	for _, f := range r.Values {
		if f.Name == name {
			return f.Value
		}
	}
	return edged.Value{}
}

// String returns the result as a line of JSON.
func (r Result) String() string { return string(r.AppendJSON(nil)) }

// AppendJSON appends the result as one JSON object without a line feed:
//
//	{"step":3,"pipeline":"p","key":"d1","start":0,"end":10000,"pane":"on_time","index":0,"last":true,"watermark":10000,"cause":"watermark","values":{"count":2}}
//	{"step":3,"pipeline":"p","key":"d1","retract":{"start":0,"end":10000,"index":0,"values":null}}
//	{"step":3,"pipeline":"p","key":"d1","late":{"ts":4000,"windows":[[0,10000]],"dropped":true,"values":{"value":1}}}
//	{"step":3,"pipeline":"p","key":"d1","row":{"ts":4000,"values":{"value":1}}}
//	{"step":3,"pipeline":"p","key":"d1","alarm":{"start":4000,"at":4000,"values":{"alarm":"p/hot/4000-1/d1","event":"raised", ...}}}
//	{"step":3,"pipeline":"p","key":"d1","dead_letter":{"ts":4000,"cause":"expression","detail":"..."}}
//
// A row that a join of windows made has start and end instead of ts. A result about the past has "historical":true as well, a refusal by a limit "limit":true.
func (r *Result) AppendJSON(dst []byte) []byte {
	dst = appendNumber(dst, `{"step":`, int64(r.Step))
	dst = appendText(dst, `,"pipeline":`, r.Pipeline)
	dst = appendText(dst, `,"key":`, r.Key)
	switch r.Kind {
	case Retract:
		dst = appendNumber(dst, `,"retract":{"start":`, int64(r.Start))
		dst = appendNumber(dst, `,"end":`, int64(r.End))
		dst = appendNumber(dst, `,"index":`, int64(r.Index))
		dst = append(r.appendFlags(r.appendValues(dst)), '}')
	case Late:
		dst = append(r.appendFlags(r.appendValues(r.appendWindows(dst))), '}')
	case Row:
		dst = append(dst, `,"row":{`...)
		if r.End == r.Start.Add(1) {
			dst = appendNumber(dst, `"ts":`, int64(r.Time))
		} else {
			dst = appendNumber(dst, `"start":`, int64(r.Start))
			dst = appendNumber(dst, `,"end":`, int64(r.End))
		}
		dst = append(r.appendFlags(r.appendValues(dst)), '}')
	case Alarm:
		dst = append(dst, `,"alarm":{`...)
		if r.Value("alarm").Kind != edged.Null { // otherwise it is about the rule
			dst = append(appendNumber(dst, `"start":`, int64(r.Start)), ',')
		}
		dst = appendNumber(dst, `"at":`, int64(r.End))
		dst = append(r.appendFlags(r.appendValues(dst)), '}')
	case DeadLetter:
		dst = appendNumber(dst, `,"dead_letter":{"ts":`, int64(r.Time))
		dst = appendText(dst, `,"cause":`, r.Reason)
		dst = append(appendText(dst, `,"detail":`, r.Detail), '}')
	default:
		dst = r.appendFlags(r.appendValues(r.appendPane(dst)))
	}
	return append(dst, '}')
}

func (r *Result) appendPane(dst []byte) []byte {
	dst = appendNumber(dst, `,"start":`, int64(r.Start))
	dst = appendNumber(dst, `,"end":`, int64(r.End))
	dst = appendText(dst, `,"pane":`, r.Timing.String())
	dst = appendNumber(dst, `,"index":`, int64(r.Index))
	dst = strconv.AppendBool(append(dst, `,"last":`...), r.Last)
	dst = appendNumber(dst, `,"watermark":`, int64(r.Watermark))
	return appendText(dst, `,"cause":`, r.Cause.String())
}

func (r *Result) appendWindows(dst []byte) []byte {
	dst = appendNumber(dst, `,"late":{"ts":`, int64(r.Time))
	dst = append(dst, `,"windows":[`...)
	for i, w := range r.Windows {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendNumber(dst, "[", int64(w.Start))
		dst = append(appendNumber(dst, ",", int64(w.End)), ']')
	}
	return strconv.AppendBool(append(dst, `],"dropped":`...), r.Dropped)
}

func (r *Result) appendFlags(dst []byte) []byte {
	if r.Limit {
		dst = append(dst, `,"limit":true`...)
	}
	if r.Historical {
		dst = append(dst, `,"historical":true`...)
	}
	return dst
}

func (r *Result) appendValues(dst []byte) []byte {
	if r.Kind == Retract && r.Values == nil {
		return append(dst, `,"values":null`...)
	}
	dst = append(dst, `,"values":{`...)
	for i, f := range r.Values {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(edged.AppendJSONString(dst, f.Name), ':')
		dst = f.Value.AppendJSON(dst)
	}
	return append(dst, '}')
}

func appendNumber(dst []byte, before string, v int64) []byte {
	return strconv.AppendInt(append(dst, before...), v, 10)
}

func appendText(dst []byte, before, text string) []byte {
	return edged.AppendJSONString(append(dst, before...), text)
}
