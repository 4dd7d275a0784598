package query

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strconv"

	"edged"
)

// LateSuffix follows the pipeline's name in the name of the stream of late events.
const LateSuffix = ".late"

// Stream names the stream of results.
func (p *Plan) Stream() string { return p.name }

// LateStream names the stream of late events.
func (p *Plan) LateStream() string { return p.name + LateSuffix }

// Outputs returns where results go. At most one is mqtt.
func (p *Plan) Outputs() []OutputSpec { return p.spec.Outputs }

// LateOutputs returns where late events go; none means that they are counted only.
func (p *Plan) LateOutputs() []OutputSpec { return p.spec.LateOutput }

// Topic returns the topic for a result on an output of its stream, and "" when
// that output has none. A key cannot leave the level of the topic in which {key}
// stands: what has a meaning in topics is percent-encoded.
func (p *Plan) Topic(r *edged.Result, output int) string {
	list, name := p.spec.Outputs, "outputs"
	switch r.Kind {
	case edged.LateResult:
		list, name = p.spec.LateOutput, "late_output"
	case edged.AlarmResult:
		list, name = p.spec.Alarms.Outputs, "alarms.outputs"
	}
	if output < 0 || output >= len(list) || list[output].Kind != OutputMQTT {
		return ""
	}
	return p.topics[name].expand(r.Key)
}

// paneMembers returns the members of every pane, lateMembers those of every late
// event, apart from the key.
func paneMembers() []string {
	return []string{"start", "end", "pane", "index", "final", "historical", "watermark", "id", "seq", "gateway"}
}

// rowMembers returns those of every result that no window gathered.
func rowMembers() []string {
	return []string{"event_time", "start", "end", "historical", "id", "seq", "gateway"}
}

func lateMembers() []string {
	return []string{"event_time", "window_end", "values", "pane", "id", "seq", "gateway"}
}

// prepareRows writes down the constant parts of rows.
func (p *Plan) prepareRows() {
	p.keyMember = "{" + member(p.spec.OutputKey)
	for _, a := range p.Aggregates {
		p.columns = append(p.columns, ","+member(a.Name))
	}
	if len(p.Aggregates) == 0 {
		for _, slot := range p.emit {
			p.columns = append(p.columns, ","+member(p.Slots[slot]))
		}
	}
	p.prepareAlarms()
	for _, name := range p.Slots {
		text := ""
		if name != "" { // a condition has none
			text = member(name)
		}
		p.lateColumns = append(p.lateColumns, text)
	}
}

// Columns names the values of results of a kind; "" stands for one that rows leave out.
func (p *Plan) Columns(kind edged.ResultKind) []string {
	switch kind {
	case edged.LateResult:
		return p.Slots
	case edged.AlarmResult:
		return alarmMembers()
	}
	var names []string
	for _, a := range p.Aggregates {
		names = append(names, a.Name)
	}
	if len(p.Aggregates) == 0 {
		for _, slot := range p.emit {
			names = append(names, p.Slots[slot])
		}
	}
	return names
}

func member(name string) string { return string(append(edged.AppendJSONString(nil, name), ':')) }

// AppendRow appends the payload of a result as a JSON object:
//
//	{"device":"d1","start":0,"end":10000,"count":3,"pane":"on_time","index":0,"final":true,"watermark":12000,"id":"…","seq":17,"gateway":"gw"}
//
// with the aggregates in document order between end and pane. A retraction has the
// pane "retracted", and nulls unless panes are retracted by value. What is about
// the past has "historical":true behind final. A result that no window gathered is
//
//	{"device":"d1","event_time":9000,"temp":1,"id":"…","seq":1,"gateway":"gw"}
//
// with start and end instead of event_time if a window join made it, and a late
// event
//
//	{"device":"d1","event_time":9000,"window_end":10000,"values":{"temp":1},"pane":"dropped_late","id":"…","seq":1,"gateway":"gw"}
//
// What happened to an alarm is
//
//	{"device":"d1","alarm":"p/hot/9000-1/d1","rule":"hot","event":"raised","state":"unacknowledged","severity":"major",
//	 "value":81,"peak":81,"peak_at":9000,"score":1,"reason":"…","count":1,"start":9000,"at":9000,"id":"…","seq":1,"gateway":"gw"}
//
// Times are milliseconds since the Unix epoch. The id identifies what the row
// says, wherever and however often it is computed: it is a function of the
// pipeline, the key, and the window and index of the pane (for what is not a pane,
// or is historical: and of the record that caused it). seq and gateway say where
// this row stands in its stream; they are not part of the id. The bytes are a
// function of the arguments.
func (p *Plan) AppendRow(dst []byte, r *edged.Result, gateway string, seq uint64) []byte {
	dst = append(dst, p.keyMember...)
	dst = edged.AppendJSONString(dst, r.Key)
	switch r.Kind {
	case edged.LateResult:
		dst = p.appendLate(dst, r)
	case edged.RowResult:
		dst = p.appendEvent(dst, r)
	case edged.AlarmResult:
		dst = p.appendAlarm(dst, r)
	default:
		dst = p.appendPane(dst, r)
	}
	dst = append(dst, `,"id":"`...)
	dst = p.appendID(dst, r)
	dst = append(dst, `","seq":`...)
	dst = strconv.AppendUint(dst, seq, 10)
	dst = append(dst, `,"gateway":`...)
	dst = edged.AppendJSONString(dst, gateway)
	return append(dst, '}')
}

func (p *Plan) appendPane(dst []byte, r *edged.Result) []byte {
	dst = appendTime(dst, `,"start":`, r.Start)
	dst = appendTime(dst, `,"end":`, r.End)
	dst = p.appendColumns(dst, r)
	dst = append(dst, `,"pane":"`...)
	if r.Kind == edged.RetractResult {
		dst = append(dst, "retracted"...)
	} else {
		dst = append(dst, r.Timing.String()...)
	}
	dst = append(dst, `","index":`...)
	dst = strconv.AppendUint(dst, uint64(r.Index), 10)
	dst = append(dst, `,"final":`...)
	dst = strconv.AppendBool(dst, r.Last)
	dst = appendHistorical(dst, r)
	return appendTime(dst, `,"watermark":`, r.Watermark)
}

// appendEvent appends a row that no window gathered.
func (p *Plan) appendEvent(dst []byte, r *edged.Result) []byte {
	if r.End == r.Start.Add(1) {
		dst = appendTime(dst, `,"event_time":`, r.Start)
	} else {
		dst = appendTime(dst, `,"start":`, r.Start)
		dst = appendTime(dst, `,"end":`, r.End)
	}
	return appendHistorical(p.appendColumns(dst, r), r)
}

func (p *Plan) appendColumns(dst []byte, r *edged.Result) []byte {
	for i, column := range p.columns {
		dst = append(dst, column...)
		if i < len(r.Values) {
			dst = r.Values[i].AppendJSON(dst)
		} else {
			dst = append(dst, "null"...)
		}
	}
	return dst
}

func appendHistorical(dst []byte, r *edged.Result) []byte {
	if r.Historical {
		dst = append(dst, `,"historical":true`...)
	}
	return dst
}

func appendTime(dst []byte, member string, t edged.Timestamp) []byte {
	return strconv.AppendInt(append(dst, member...), int64(t), 10)
}

func (p *Plan) appendLate(dst []byte, r *edged.Result) []byte {
	dst = appendTime(dst, `,"event_time":`, r.Start)
	dst = appendTime(dst, `,"window_end":`, r.End)
	dst = append(dst, `,"values":{`...)
	comma := false
	for i, column := range p.lateColumns {
		if column == "" || i >= len(r.Values) {
			continue
		}
		if comma {
			dst = append(dst, ',')
		}
		comma = true
		dst = append(dst, column...)
		dst = r.Values[i].AppendJSON(dst)
	}
	return append(dst, `},"pane":"dropped_late"`...)
}

// appendID appends 128 bits of SHA-256 as 22 characters. A weaker hash would let
// one device choose a key whose results carry the identities of another's.
func (p *Plan) appendID(dst []byte, r *edged.Result) []byte {
	at := len(dst)
	kind := byte(r.Kind)
	if r.Historical {
		kind |= 0x80
	}
	dst = append(dst, kind, byte(len(p.name)))
	dst = append(dst, p.name...)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(r.Key)))
	dst = append(dst, r.Key...)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(r.Start))
	dst = binary.LittleEndian.AppendUint64(dst, uint64(r.End))
	if r.Kind != edged.LateResult {
		dst = binary.LittleEndian.AppendUint64(dst, uint64(r.Index))
	}
	if r.Kind != edged.PaneResult || r.Historical {
		// A window may be taken back, or filled from a backlog, more than once.
		dst = binary.LittleEndian.AppendUint64(dst, uint64(r.Trigger))
	}
	if r.Kind == edged.LateResult && (p.Upstream() != "" || p.spec.Join != nil) {
		// One record may make many members, or matches, say something about the same time.
		for _, v := range r.Values {
			dst = append(v.AppendJSON(dst), ',')
		}
	}
	sum := sha256.Sum256(dst[at:])
	return base64.RawURLEncoding.AppendEncode(dst[:at], sum[:16])
}
