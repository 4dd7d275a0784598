package mqtt

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// stringMax is the longest string that the protocol carries, in bytes.
const stringMax = 65535

// Subscription asks for the messages of a topic filter.
type Subscription struct {
	// Filter is an MQTT topic filter: levels separated by '/', '+' for any one
	// level, '#' at the end for any number of them.
	Filter string

	// QoS is the highest quality of service wanted: 0 (may be lost) or 1 (is kept
	// by the broker until acknowledged). 2 is refused.
	QoS byte
}

// Validate tells what is wrong with the subscription.
func (s Subscription) Validate() error {
	if s.QoS == 2 {
		return fmt.Errorf("subscribe %q: QoS 2 is not supported, because it costs two more round trips and edged removes duplicates itself; use QoS 1", s.Filter)
	}
	if s.QoS > 2 {
		return fmt.Errorf("subscribe %q: QoS %d does not exist; use 0 or 1", s.Filter, s.QoS)
	}
	if err := checkString(s.Filter); err != nil {
		return fmt.Errorf("subscribe %q: %w", s.Filter, err)
	}
	levels := strings.Split(s.Filter, "/")
	for i, level := range levels {
		if level != "+" && level != "#" && strings.ContainsAny(level, "+#") {
			return fmt.Errorf("subscribe %q: level %q: a wildcard must be a whole level", s.Filter, level)
		}
		if level == "#" && i != len(levels)-1 {
			return fmt.Errorf("subscribe %q: '#' must be the last level", s.Filter)
		}
	}
	return nil
}

// checkTopic tells why a message cannot be published to topic.
func checkTopic(topic string) error {
	if strings.ContainsAny(topic, "+#") {
		return errors.New("the topic contains a wildcard")
	}
	return checkString(topic)
}

func checkString(s string) error {
	switch {
	case s == "":
		return errors.New("the topic is empty")
	case len(s) > stringMax:
		return fmt.Errorf("the topic has %d bytes, at most %d are allowed", len(s), stringMax)
	case !utf8.ValidString(s):
		return errors.New("the topic is not valid UTF-8")
	case strings.ContainsRune(s, 0):
		return errors.New("the topic contains a NUL")
	}
	return nil
}

// topics interns topic names, because a fleet sends the same few thousand names
// for ever. It is emptied when full: cheaper than remembering which are in use.
type topics map[string]string

const (
	topicsMax          = 4096
	topicsInternedSize = 256 // longer names are rare and would let the table hold megabytes
)

func (t topics) intern(b []byte) string {
	if name, ok := t[string(b)]; ok {
		return name
	}
	name := string(b)
	if len(b) > topicsInternedSize {
		return name
	}
	if len(t) >= topicsMax {
		clear(t)
	}
	t[name] = name
	return name
}
