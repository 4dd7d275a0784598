package codec

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"edged"
)

// scanner reads JSON tokens from text. A method that fails sets fault and
// returns false; nothing may be read after that.
type scanner struct {
	text  []byte
	at    int
	fault *edged.PoisonError
}

func (s *scanner) fail(cause, format string, args ...any) bool {
	s.fault = poison(cause, format, args...)
	return false
}

func (s *scanner) unexpected(want string) bool {
	if s.at >= len(s.text) {
		return s.fail(CauseSyntax, "byte %d: the payload ends where %s should be", s.at, want)
	}
	return s.fail(CauseSyntax, "byte %d: found %q where %s should be", s.at, s.text[s.at], want)
}

// peek skips white space and returns the next byte, and 0 at the end.
func (s *scanner) peek() byte {
	for ; s.at < len(s.text); s.at++ {
		switch c := s.text[s.at]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

// end reports whether nothing but white space is left.
func (s *scanner) end() bool {
	if s.peek(); s.at == len(s.text) {
		return true
	}
	return s.unexpected("the end")
}

func (s *scanner) literal(word string) bool {
	if rest := s.text[s.at:]; len(rest) >= len(word) && string(rest[:len(word)]) == word {
		s.at += len(word)
		return true
	}
	return s.unexpected(word)
}

// quoted reads a string. The body still holds its escapes, which are valid.
func (s *scanner) quoted() (body []byte, escaped, ok bool) {
	start := s.at + 1
	for i := start; i < len(s.text); i++ {
		switch c := s.text[i]; {
		case c == '"':
			s.at = i + 1
			return s.text[start:i], escaped, true
		case c == '\\':
			n := escapeLen(s.text[i:])
			if n == 0 {
				return nil, false, s.fail(CauseSyntax, "byte %d: wrong escape in a string", i)
			}
			escaped = true
			i += n - 1
		case c < 0x20:
			return nil, false, s.fail(CauseSyntax, "byte %d: control character in a string", i)
		}
	}
	return nil, false, s.fail(CauseSyntax, "byte %d: the string is not closed", start-1)
}

// escapeLen returns the length of the escape that b begins with, and 0 when it
// is not a valid one.
func escapeLen(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	if b[1] != 'u' {
		if strings.IndexByte(`"\/bfnrt`, b[1]) >= 0 {
			return 2
		}
		return 0
	}
	r := hex4(b[2:])
	switch {
	case r < 0:
		return 0
	case !utf16.IsSurrogate(r):
		return 6
	case len(b) >= 12 && b[6] == '\\' && b[7] == 'u' && utf16.DecodeRune(r, hex4(b[8:])) != utf8.RuneError:
		return 12
	}
	return 0
}

func hex4(b []byte) rune {
	if len(b) < 4 {
		return -1
	}
	var r rune
	for _, c := range b[:4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

// appendUnescaped appends body, a string checked by quoted, without its escapes.
func appendUnescaped(dst, body []byte) []byte {
	for i := 0; i < len(body); i++ {
		if body[i] != '\\' {
			dst = append(dst, body[i])
			continue
		}
		n := escapeLen(body[i:])
		dst = appendEscape(dst, body[i:i+n])
		i += n - 1
	}
	return dst
}

func appendEscape(dst, escape []byte) []byte {
	switch c := escape[1]; c {
	case 'b':
		return append(dst, '\b')
	case 'f':
		return append(dst, '\f')
	case 'n':
		return append(dst, '\n')
	case 'r':
		return append(dst, '\r')
	case 't':
		return append(dst, '\t')
	case 'u':
		r := hex4(escape[2:])
		if len(escape) == 12 {
			r = utf16.DecodeRune(r, hex4(escape[8:]))
		}
		return utf8.AppendRune(dst, r)
	default:
		return append(dst, c)
	}
}
