package query

import (
	"fmt"
	"strings"
)

// interpolate replaces ${NAME} and ${NAME:default} in text by what lookup knows,
// and $${ by ${. It returns what is wrong at which byte, or at < 0.
func interpolate(text string, lookup func(string) (string, bool)) (out string, at int, wrong string) {
	var b strings.Builder
	for rest := text; ; {
		i := strings.Index(rest, "${")
		if i < 0 {
			b.WriteString(rest)
			return b.String(), -1, ""
		}
		if i > 0 && rest[i-1] == '$' {
			b.WriteString(rest[:i-1] + "${")
			rest = rest[i+2:]
			continue
		}
		b.WriteString(rest[:i])
		at = len(text) - len(rest) + i
		body, after, closed := strings.Cut(rest[i+2:], "}")
		name, fallback, hasDefault := strings.Cut(body, ":")
		switch {
		case !closed:
			return "", at, `"${" is not closed by "}"; write "$${" for the characters themselves`
		case !isName(name):
			return "", at, fmt.Sprintf("%q is not the name of an environment variable", name)
		}
		value, ok := lookup(name)
		if !ok {
			value = fallback
		}
		if !ok && !hasDefault {
			return "", at, fmt.Sprintf("environment variable %s is not set; set it or give a default: ${%s:default}", name, name)
		}
		b.WriteString(value)
		rest = after
	}
}

// isName reports whether s is a letter or underscore followed by letters, digits
// and underscores, all of ASCII.
func isName(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c == '_' || c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}
