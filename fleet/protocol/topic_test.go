package protocol_test

import (
	"errors"
	"flag"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"edged/fleet/protocol"
)

var seed = flag.Uint64("seed", uint64(time.Now().UnixNano()), "seed of the random tests")

const ulid = "01JDZ8Q5W8ZK3V7Y2N4M6P8R0T"

// The table of the package comment, once more.
var topics = []struct {
	text    string
	topic   protocol.Topic
	qos     byte
	retain  bool
	operate bool
}{
	{"f/gw-1/state", protocol.Topic{Kind: protocol.KindState, Fleet: "f", Gateway: "gw-1"}, 1, true, false},
	{"f/gw-1/info", protocol.Topic{Kind: protocol.KindInfo, Fleet: "f", Gateway: "gw-1"}, 1, true, false},
	{"f/gw-1/reported", protocol.Topic{Kind: protocol.KindReported, Fleet: "f", Gateway: "gw-1"}, 1, true, false},
	{"f/gw-1/rsp/" + ulid, protocol.Topic{Kind: protocol.KindAnswer, Fleet: "f", Gateway: "gw-1", ID: ulid}, 1, false, false},
	{"f/gw-1/evt/alarm", protocol.Topic{Kind: protocol.KindEvent, Fleet: "f", Gateway: "gw-1", Name: "alarm"}, 1, false, false},
	{"f/gw-1/data/kwh.late", protocol.Topic{Kind: protocol.KindData, Fleet: "f", Gateway: "gw-1", Name: "kwh.late"}, 1, false, false},
	{"f/gw-1/hb", protocol.Topic{Kind: protocol.KindHeartbeat, Fleet: "f", Gateway: "gw-1"}, 0, false, false},
	{"f/gw-1/desired", protocol.Topic{Kind: protocol.KindDesired, Fleet: "f", Gateway: "gw-1"}, 1, true, true},
	{"f/gw-1/cmd/" + ulid, protocol.Topic{Kind: protocol.KindCommand, Fleet: "f", Gateway: "gw-1", ID: ulid}, 1, false, true},
	{"f/gw-1/ack/kwh", protocol.Topic{Kind: protocol.KindAck, Fleet: "f", Gateway: "gw-1", Name: "kwh"}, 1, true, true},
	{"f/_group/all/cmd/" + ulid, protocol.Topic{Kind: protocol.KindGroupCommand, Fleet: "f", Group: "all", ID: ulid}, 1, false, true},
	{"f/_time", protocol.Topic{Kind: protocol.KindTime, Fleet: "f"}, 1, true, true},
	{"f/_trust", protocol.Topic{Kind: protocol.KindTrust, Fleet: "f"}, 1, true, true},
}

func TestTopics(t *testing.T) {
	for _, test := range topics {
		text := protocol.DefaultPrefix + "/" + test.text
		if got, err := protocol.ParseTopic(protocol.DefaultPrefix, text); err != nil || got != test.topic {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
		if got, err := test.topic.Format(protocol.DefaultPrefix); err != nil || got != text {
			t.Errorf("%+v: %s, %v", test.topic, got, err)
		}
		if k := test.topic.Kind; k.QoS() != test.qos || k.Retained() != test.retain || k.ToGateway() != test.operate {
			t.Errorf("%s: QoS %d, retained %v, to gateway %v", text, k.QoS(), k.Retained(), k.ToGateway())
		}
	}
}

func TestTopicFaults(t *testing.T) {
	for _, text := range []string{
		"", "/", "f", "f/gw-1", "f/gw-1/", "f/gw-1/nothing", "f/gw-1/state/x", "f/gw-1/cmd", "f/gw-1/cmd/", "f/gw-1/cmd/x",
		"f/gw-1/cmd/" + ulid + "/x", "f/gw-1/cmd/" + strings.ToLower(ulid), "f/gw-1/evt", "f/gw-1/evt/", "f/gw-1/evt/a/b", "f/+/state",
		"f/#", "/gw-1/state", "f//state", "f/_group/cmd/" + ulid, "f/_group/g/rsp/" + ulid, "f/_group/_g/cmd/" + ulid, "f/_group/g/cmd",
		"f/_time/x", "f/_trust/state", "f/_other/state", "f/gw-1/_time", "f/gw-1/state\x00", "f/gw 1/state", strings.Repeat("f", 65) + "/gw/state",
	} {
		if got, err := protocol.ParseTopic(protocol.DefaultPrefix, protocol.DefaultPrefix+"/"+text); !errors.Is(err, protocol.ErrTopic) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	if _, err := protocol.ParseTopic("edged/v1", "edged/v2/f/_time"); !errors.Is(err, protocol.ErrTopic) {
		t.Errorf("another prefix: %v", err)
	}
	for _, prefix := range []string{"", "/", "a/", "/a", "a//b", "+", "#", "$SYS", "a b", strings.Repeat("a", 65)} {
		if text, err := topics[0].topic.Format(prefix); !errors.Is(err, protocol.ErrTopic) {
			t.Errorf("prefix %q: %q, %v", prefix, text, err)
		}
	}
	for _, topic := range []protocol.Topic{
		{}, {Kind: 99, Fleet: "f"}, {Kind: protocol.KindTime, Fleet: "f", Gateway: "gw"}, {Kind: protocol.KindState, Fleet: "f"},
		{Kind: protocol.KindState, Fleet: "f", Gateway: "gw", ID: ulid}, {Kind: protocol.KindState, Fleet: "f", Gateway: "gw", Name: "x"},
		{Kind: protocol.KindCommand, Fleet: "f", Gateway: "gw"}, {Kind: protocol.KindEvent, Fleet: "f", Gateway: "gw", Name: "a/b"},
		{Kind: protocol.KindGroupCommand, Fleet: "f", Gateway: "gw", ID: ulid}, {Kind: protocol.KindState, Fleet: "f", Gateway: "g/w"},
	} {
		if text, err := topic.Format("p"); !errors.Is(err, protocol.ErrTopic) {
			t.Errorf("%+v: %q, %v", topic, text, err)
		}
	}
}

// matches says whether a topic matches a filter, as MQTT defines it.
func matches(filter, topic string) bool {
	f, l := strings.Split(filter, "/"), strings.Split(topic, "/")
	for i := range f {
		if i >= len(l) || f[i] != "+" && f[i] != l[i] {
			return false
		}
	}
	return len(f) == len(l)
}

// Each topic reaches those for whom it is, and no other gateway.
func TestFilters(t *testing.T) {
	reach := func(filters []string, topic string) (n int) {
		for _, f := range filters {
			if matches(f, topic) {
				n++
			}
		}
		return n
	}
	for _, test := range topics {
		text := protocol.DefaultPrefix + "/" + test.text
		own := reach(protocol.GatewayFilters(protocol.DefaultPrefix, "f", "gw-1"), text)
		other := reach(protocol.GatewayFilters(protocol.DefaultPrefix, "f", "gw-2"), text)
		operator := reach(protocol.OperatorFilters(protocol.DefaultPrefix, "f"), text)
		wantOther := 0
		if test.operate && test.topic.Gateway == "" {
			wantOther = 1
		}
		wantOperator := 0
		if !test.operate && test.topic.Kind != protocol.KindData {
			wantOperator = 1
		}
		if (own == 1) != test.operate || other != wantOther || operator != wantOperator {
			t.Errorf("%s: reaches gateway %d, another %d, operator %d times", text, own, other, operator)
		}
	}
}

// Whatever is parsed is the text of what came out.
func FuzzParseTopic(f *testing.F) {
	for _, test := range topics {
		f.Add("edged/v1", "edged/v1/"+test.text)
	}
	f.Fuzz(func(t *testing.T, prefix, text string) {
		topic, err := protocol.ParseTopic(prefix, text)
		if err != nil || protocol.CheckPrefix(prefix) != nil {
			return
		}
		if again, err := topic.Format(prefix); err != nil || again != text {
			t.Fatalf("%q became %q, %v", text, again, err)
		}
		if strings.ContainsAny(text, "+#\x00") {
			t.Fatalf("accepted %q", text)
		}
	})
}

// ULIDs are those of the specification's example, sort by time, and are valid.
func TestNewID(t *testing.T) {
	if got := protocol.NewID(1469918176385, [10]byte{}); !strings.HasPrefix(string(got), "01ARYZ6S41") {
		t.Errorf("%s, the specification's example begins with 01ARYZ6S41", got)
	}
	if got := protocol.NewID(1<<48-1, [10]byte{255, 255, 255, 255, 255, 255, 255, 255, 255, 255}); got != "7ZZZZZZZZZZZZZZZZZZZZZZZZZ" {
		t.Errorf("the last one is %s", got)
	}
	t.Logf("seed %d", *seed)
	random := rand.New(rand.NewPCG(*seed, 1))
	seen, last := map[protocol.ID]bool{}, protocol.ID("")
	for ms := range int64(1000) {
		var chance [10]byte
		for i := range chance {
			chance[i] = byte(random.Uint32())
		}
		id := protocol.NewID(ms*977, chance)
		if id.Check() != nil || seen[id] || id <= last {
			t.Fatalf("%s after %s: %v", id, last, id.Check())
		}
		seen[id], last = true, id
	}
}
