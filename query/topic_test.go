package query_test

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"edged/query"
)

func acceptor(t testing.TB, filter string) *query.Plan {
	return compile(t, strings.Replace(document(), "in/+", "'"+filter+"'", 1))
}

// matches is MQTT's rule as a regular expression.
func matches(filter, topic string) bool {
	if strings.HasPrefix(topic, "$") && !strings.HasPrefix(filter, "$") {
		return false
	}
	if filter == "#" {
		return true
	}
	pattern := strings.ReplaceAll(regexp.QuoteMeta(filter), `\+`, `[^/]*`)
	if rest, ok := strings.CutSuffix(pattern, "/#"); ok {
		pattern = rest + "(/.*)?"
	}
	return regexp.MustCompile("^" + pattern + "$").MatchString(topic)
}

func TestAcceptsAgainstOracle(t *testing.T) {
	r := rand.New(rand.NewPCG(*seed, 2))
	t.Logf("-seed %d", *seed)
	pick := func(levels []string, n int) string {
		parts := make([]string, n)
		for i := range parts {
			parts[i] = levels[r.IntN(len(levels))]
		}
		return strings.Join(parts, "/")
	}
	for range 300 {
		filter := pick([]string{"a", "b", "+", "", "$a"}, 1+r.IntN(4))
		if r.IntN(3) == 0 {
			filter += "/#"
		}
		if r.IntN(20) == 0 {
			filter = "#"
		}
		if filter == "" {
			continue
		}
		plan := acceptor(t, filter)
		for range 50 {
			topic := pick([]string{"a", "b", "", "$a", "c"}, 1+r.IntN(5))
			if got := plan.Accepts(topic); got != matches(filter, topic) {
				t.Fatalf("%q on %q: got %v", filter, topic, got)
			}
		}
	}
}
