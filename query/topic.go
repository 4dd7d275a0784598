package query

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Limits of topics.
const (
	topicBytesMax  = 1024
	topicLevelsMax = 127
)

// topicFilter is an MQTT topic filter in its levels.
type topicFilter []string

// parseFilter returns the filter, or what is wrong with it.
func parseFilter(text string) (topicFilter, error) {
	if err := checkTopicText(text); err != nil {
		return nil, err
	}
	if strings.HasPrefix(text, "$share/") {
		return nil, fmt.Errorf("shared subscriptions are not supported: the broker would spread a key over gateways")
	}
	levels := strings.Split(text, "/")
	for i, level := range levels {
		switch {
		case strings.Contains(level, "#") && (level != "#" || i != len(levels)-1):
			return nil, fmt.Errorf("# must be the whole last level, as in plant/#")
		case strings.Contains(level, "+") && level != "+":
			return nil, fmt.Errorf("+ must be a whole level, as in plant/+/data")
		}
	}
	return levels, nil
}

func checkTopicText(text string) error {
	switch {
	case text == "":
		return fmt.Errorf("is empty")
	case len(text) > topicBytesMax:
		return fmt.Errorf("is %d bytes long, more than %d", len(text), topicBytesMax)
	case strings.Count(text, "/") >= topicLevelsMax:
		return fmt.Errorf("has more than %d levels", topicLevelsMax)
	}
	for _, r := range text {
		if unfitForTopic(r) {
			return fmt.Errorf("holds %q, which brokers refuse in topics", r)
		}
	}
	return nil
}

// unfitForTopic reports whether brokers may close the connection because of r.
func unfitForTopic(r rune) bool {
	return r < 0x20 || r >= 0x7f && r <= 0x9f || r == utf8.RuneError ||
		r >= 0xfdd0 && r <= 0xfdef || r&0xfffe == 0xfffe
}

// match reports whether the filter matches a topic. Topics that begin with $ are
// the broker's own; wildcards at the first level do not match them.
func (f topicFilter) match(topic string) bool {
	if len(topic) > 0 && topic[0] == '$' && (f[0] == "+" || f[0] == "#") {
		return false
	}
	for i, level := range f {
		if level == "#" {
			return true
		}
		end := strings.IndexByte(topic, '/')
		last := end < 0
		if last {
			end = len(topic)
		}
		if level != "+" && level != topic[:end] {
			return false
		}
		if last {
			rest := f[i+1:]
			return len(rest) == 0 || len(rest) == 1 && rest[0] == "#"
		}
		topic = topic[end+1:]
	}
	return false
}

// topicLevel returns a level of a topic, and "" when there is none.
func topicLevel(topic string, level int) string {
	for ; level > 0; level-- {
		_, rest, ok := strings.Cut(topic, "/")
		if !ok {
			return ""
		}
		topic = rest
	}
	topic, _, _ = strings.Cut(topic, "/")
	return topic
}

// topicTemplate is a topic in which {key} stands for the key: the parts around
// the keys.
type topicTemplate []string

func parseTemplate(text string) (topicTemplate, error) {
	if err := checkTopicText(text); err != nil {
		return nil, err
	}
	parts := strings.Split(text, "{key}")
	for _, part := range parts {
		if strings.ContainsAny(part, "{}") {
			return nil, fmt.Errorf("has braces that are not {key}, the only placeholder")
		}
		if strings.ContainsAny(part, "+#") {
			return nil, fmt.Errorf("has a wildcard: one publishes to a topic, not to a filter")
		}
	}
	if len(parts) > 1+8 {
		return nil, fmt.Errorf("has {key} more than 8 times")
	}
	return parts, nil
}

// expand returns the topic for a key. The key fills a part of one level, whatever
// it holds: see appendTopicKey.
func (t topicTemplate) expand(key string) string {
	if len(t) == 1 {
		return t[0]
	}
	if plainForTopic(key) {
		return strings.Join(t, key)
	}
	return strings.Join(t, string(appendTopicKey(nil, key)))
}

func plainForTopic(key string) bool {
	for i := range len(key) {
		if c := key[i]; c < 0x20 || c >= 0x7f || strings.IndexByte(`/+#%$`, c) >= 0 {
			return false
		}
	}
	return true
}

// appendTopicKey percent-encodes what has a meaning in topics, what brokers
// refuse, and the percent sign itself, so that different keys stay different.
func appendTopicKey(dst []byte, key string) []byte {
	const hexDigits = "0123456789ABCDEF"
	for len(key) > 0 {
		r, n := utf8.DecodeRuneInString(key)
		if unfitForTopic(r) || strings.ContainsRune(`/+#%$`, r) {
			for i := range n {
				dst = append(dst, '%', hexDigits[key[i]>>4], hexDigits[key[i]&15])
			}
		} else {
			dst = append(dst, key[:n]...)
		}
		key = key[n:]
	}
	return dst
}

// FiltersMeet reports whether some topic matches both filters. Topics of the
// broker, which begin with $, are left out of account.
func FiltersMeet(a, b string) bool {
	return topicFilter(strings.Split(a, "/")).overlaps(strings.Split(b, "/"))
}

// overlaps is [FiltersMeet] for filters in their levels.
func (f topicFilter) overlaps(g topicFilter) bool {
	for i := 0; ; i++ {
		switch {
		case i < len(f) && f[i] == "#" || i < len(g) && g[i] == "#":
			return true
		case i == len(f) || i == len(g):
			return len(f) == len(g)
		case f[i] != g[i] && f[i] != "+" && g[i] != "+":
			return false
		}
	}
}
