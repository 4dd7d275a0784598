package protocol

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"edged/fleet/trust"
)

// ErrTopic says that a text is no topic of this protocol.
var ErrTopic = errors.New("protocol: not a topic of the fleet")

// DefaultPrefix is what all topics begin with. A prefix ends in a version.
const (
	DefaultPrefix  = "edged/v1"
	PrefixBytesMax = 64
)

// Kind says what a topic is for.
type Kind uint8

// The kinds of topics, as the table in the package comment has them.
const (
	KindState Kind = iota + 1
	KindInfo
	KindReported
	KindAnswer
	KindEvent
	KindData
	KindHeartbeat
	KindDesired
	KindCommand
	KindAck
	KindGroupCommand
	KindTime
	KindTrust
)

// shape is how the topics of a kind look: the level behind the gateway's name, and
// which further names there are.
type shape struct {
	level    string
	id       bool // a command's id follows
	name     bool // a class or the name of a stream follows
	incoming bool // published by operators for gateways
	retained bool
	qos      byte
}

var shapes = [...]shape{
	KindState:        {level: "state", qos: 1, retained: true},
	KindInfo:         {level: "info", qos: 1, retained: true},
	KindReported:     {level: "reported", qos: 1, retained: true},
	KindAnswer:       {level: "rsp", id: true, qos: 1},
	KindEvent:        {level: "evt", name: true, qos: 1},
	KindData:         {level: "data", name: true, qos: 1},
	KindHeartbeat:    {level: "hb"},
	KindDesired:      {level: "desired", incoming: true, qos: 1, retained: true},
	KindCommand:      {level: "cmd", id: true, incoming: true, qos: 1},
	KindAck:          {level: "ack", name: true, incoming: true, qos: 1, retained: true},
	KindGroupCommand: {level: "cmd", id: true, incoming: true, qos: 1},
	KindTime:         {level: timeLevel, incoming: true, qos: 1, retained: true},
	KindTrust:        {level: trustLevel, incoming: true, qos: 1, retained: true},
}

// The levels that stand where others have a gateway. No gateway can have such a
// name, see [trust.CheckName].
const (
	groupLevel = "_group"
	timeLevel  = "_time"
	trustLevel = "_trust"
)

// QoS returns the quality of service that is used.
func (k Kind) QoS() byte { return shapes[k].qos }

// Retained reports whether the broker keeps the last message. A message that must
// not be retained and is, is refused.
func (k Kind) Retained() bool { return shapes[k].retained }

// ToGateway reports whether operators publish it.
func (k Kind) ToGateway() bool { return shapes[k].incoming }

// Topic is a topic taken apart. Which of the names there are depends on the kind.
type Topic struct {
	Kind    Kind
	Fleet   string
	Gateway string // except for KindGroupCommand, KindTime, KindTrust
	Group   string // KindGroupCommand
	ID      ID     // KindCommand, KindGroupCommand, KindAnswer
	Name    string // the class of KindEvent, the stream of KindData and KindAck
}

var (
	subject     = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)
	prefixLevel = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)
)

// CheckPrefix returns an error unless topics can begin with the text: levels of
// A-Z a-z 0-9 _ . and -, together at most 64 bytes.
func CheckPrefix(prefix string) error {
	for level := range strings.SplitSeq(prefix, "/") {
		if !prefixLevel.MatchString(level) || len(prefix) > PrefixBytesMax {
			return fmt.Errorf("%w: prefix %.80q: want levels of A-Z a-z 0-9 _ . -, at most %d bytes", ErrTopic, prefix, PrefixBytesMax)
		}
	}
	return nil
}

// Format returns the topic behind the prefix. An error wraps [ErrTopic] and says
// which name cannot stand in a topic.
func (t Topic) Format(prefix string) (string, error) {
	if err := errors.Join(CheckPrefix(prefix), t.check()); err != nil {
		return "", err
	}
	levels := []string{prefix, t.Fleet}
	switch t.Kind {
	case KindGroupCommand:
		levels = append(levels, groupLevel, t.Group)
	case KindTime, KindTrust:
	default:
		levels = append(levels, t.Gateway)
	}
	levels = append(levels, shapes[t.Kind].level)
	if rest := string(t.ID) + t.Name; rest != "" {
		levels = append(levels, rest)
	}
	return strings.Join(levels, "/"), nil
}

// check returns what is wrong with the names of a topic.
func (t Topic) check() error {
	if t.Kind == 0 || int(t.Kind) >= len(shapes) {
		return fmt.Errorf("%w: there is no kind %d", ErrTopic, t.Kind)
	}
	var errs []error
	name := func(what, text string, wanted bool) {
		if err := trust.CheckName(text); wanted && err != nil {
			errs = append(errs, fmt.Errorf("%w: %s: %w", ErrTopic, what, err))
		} else if !wanted && text != "" {
			errs = append(errs, fmt.Errorf("%w: a topic %q has no %s", ErrTopic, shapes[t.Kind].level, what))
		}
	}
	s, grouped := shapes[t.Kind], t.Kind == KindGroupCommand
	name("fleet", t.Fleet, true)
	name("gateway", t.Gateway, !grouped && t.Kind < KindTime)
	name("group", t.Group, grouped)
	if err := t.ID.Check(); s.id && err != nil || !s.id && t.ID != "" {
		errs = append(errs, fmt.Errorf("%w: id: %.80q", ErrTopic, t.ID))
	}
	if s.name != subject.MatchString(t.Name) || !s.name && t.Name != "" {
		errs = append(errs, fmt.Errorf("%w: %s: %.80q: want 1 to 64 of A-Z a-z 0-9 _ . -", ErrTopic, s.level, t.Name))
	}
	return errors.Join(errs...)
}

// ParseTopic takes a topic apart. An error wraps [ErrTopic].
func ParseTopic(prefix, topic string) (Topic, error) {
	rest, ours := strings.CutPrefix(topic, prefix+"/")
	levels := strings.Split(rest, "/")
	if !ours || len(levels) < 2 || len(levels) > 5 {
		return Topic{}, fmt.Errorf("%w: %.200q", ErrTopic, topic)
	}
	t := Topic{Fleet: levels[0]}
	last := levels[2:]
	switch head := levels[1]; {
	case head == timeLevel:
		t.Kind = KindTime
	case head == trustLevel:
		t.Kind = KindTrust
	case head == groupLevel && len(last) == 3 && last[1] == shapes[KindGroupCommand].level:
		t.Kind, t.Group, last = KindGroupCommand, last[0], last[2:]
	case len(last) == 0:
		return Topic{}, fmt.Errorf("%w: %.200q", ErrTopic, topic)
	default:
		t.Gateway, t.Kind, last = head, kindOf(last[0]), last[1:]
	}
	return t.finish(topic, last)
}

// kindOf returns the kind of the level behind a gateway's name; 0: none.
func kindOf(level string) Kind {
	for k := KindState; k < KindGroupCommand; k++ {
		if shapes[k].level == level {
			return k
		}
	}
	return 0
}

// finish puts the levels that are left into a topic, and checks it.
func (t Topic) finish(topic string, last []string) (Topic, error) {
	if t.Kind != 0 && len(last) == 1 && shapes[t.Kind].id {
		t.ID, last = ID(last[0]), nil
	} else if t.Kind != 0 && len(last) == 1 && shapes[t.Kind].name {
		t.Name, last = last[0], nil
	}
	if len(last) > 0 {
		return Topic{}, fmt.Errorf("%w: %.200q has too many levels", ErrTopic, topic)
	}
	if err := t.check(); err != nil {
		return Topic{}, fmt.Errorf("%.200q: %w", topic, err)
	}
	return t, nil
}

// GatewayFilters returns what a gateway subscribes to, and nothing else.
func GatewayFilters(prefix, fleet, gateway string) []string {
	own, all := prefix+"/"+fleet+"/"+gateway+"/", prefix+"/"+fleet+"/"
	return []string{own + "desired", own + "cmd/+", own + "ack/+", all + groupLevel + "/+/cmd/+", all + timeLevel, all + trustLevel}
}

// OperatorFilters returns what a view of a whole fleet subscribes to.
func OperatorFilters(prefix, fleet string) []string {
	all := prefix + "/" + fleet + "/+/"
	return []string{all + "state", all + "info", all + "reported", all + "rsp/+", all + "evt/+", all + "hb"}
}
