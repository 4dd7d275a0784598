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
	list, topic := p.spec.Outputs, p.topic
	if r.Kind == edged.LateResult {
		list, topic = p.spec.LateOutput, p.lateTopic
	}
	if output < 0 || output >= len(list) || list[output].Kind != OutputMQTT {
		return ""
	}
	return topic.expand(r.Key)
}

// paneMembers returns the members of every pane, lateMembers those of every late
// event, apart from the key.
func paneMembers() []string {
	return []string{"start", "end", "pane", "index", "id", "seq", "gateway"}
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
	for i, name := range p.Slots {
		comma := ","
		if i == 0 {
			comma = ""
		}
		p.lateColumns = append(p.lateColumns, comma+member(name))
	}
}

func member(name string) string { return string(append(edged.AppendJSONString(nil, name), ':')) }

// AppendRow appends the payload of a result as a JSON object:
//
//	{"device":"d1","start":0,"end":10000,"count":3,"pane":"on_time","index":0,"id":"…","seq":17,"gateway":"gw"}
//
// with the aggregates in document order between end and pane. A late event is
//
//	{"device":"d1","event_time":9000,"window_end":10000,"values":{"temp":1},"pane":"dropped_late","id":"…","seq":1,"gateway":"gw"}
//
// Times are milliseconds since the Unix epoch. The id identifies what the row
// says, wherever and however often it is computed: it is a function of the
// pipeline, the key, and the window and index of the pane (for a late event: its
// time and record). seq and gateway say where this row stands in its stream; they
// are not part of the id. The bytes are a function of the arguments.
func (p *Plan) AppendRow(dst []byte, r *edged.Result, gateway string, seq uint64) []byte {
	dst = append(dst, p.keyMember...)
	dst = edged.AppendJSONString(dst, r.Key)
	if r.Kind == edged.LateResult {
		dst = p.appendLate(dst, r)
	} else {
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
	dst = append(dst, `,"start":`...)
	dst = strconv.AppendInt(dst, int64(r.Start), 10)
	dst = append(dst, `,"end":`...)
	dst = strconv.AppendInt(dst, int64(r.End), 10)
	for i, column := range p.columns {
		dst = append(dst, column...)
		dst = r.Values[i].AppendJSON(dst)
	}
	dst = append(dst, `,"pane":"`...)
	dst = append(dst, r.Timing.String()...)
	dst = append(dst, `","index":`...)
	return strconv.AppendUint(dst, uint64(r.Index), 10)
}

func (p *Plan) appendLate(dst []byte, r *edged.Result) []byte {
	dst = append(dst, `,"event_time":`...)
	dst = strconv.AppendInt(dst, int64(r.Start), 10)
	dst = append(dst, `,"window_end":`...)
	dst = strconv.AppendInt(dst, int64(r.End), 10)
	dst = append(dst, `,"values":{`...)
	for i, column := range p.lateColumns {
		dst = append(dst, column...)
		dst = r.Values[i].AppendJSON(dst)
	}
	return append(dst, `},"pane":"dropped_late"`...)
}

// appendID appends 128 bits of SHA-256 as 22 characters. A weaker hash would let
// one device choose a key whose results carry the identities of another's.
func (p *Plan) appendID(dst []byte, r *edged.Result) []byte {
	at := len(dst)
	dst = append(dst, byte(r.Kind), byte(len(p.name)))
	dst = append(dst, p.name...)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(r.Key)))
	dst = append(dst, r.Key...)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(r.Start))
	dst = binary.LittleEndian.AppendUint64(dst, uint64(r.End))
	if r.Kind == edged.LateResult {
		dst = binary.LittleEndian.AppendUint64(dst, uint64(r.Trigger))
	} else {
		dst = binary.LittleEndian.AppendUint64(dst, uint64(r.Index))
	}
	sum := sha256.Sum256(dst[at:])
	return base64.RawURLEncoding.AppendEncode(dst[:at], sum[:16])
}
