package codec

import (
	"math"
	"strconv"

	"edged"
)

// number is a JSON number taken apart: ±mant × 10^exp, plus digits beyond the
// 19 that mant holds when inexact is set.
type number struct {
	text    []byte
	mant    uint64
	exp     int
	neg     bool
	inexact bool // digits other than 0 were cut off
	whole   bool // written without fraction and exponent
}

// Limits of a number.
const (
	mantDigits = 19      // always fit an uint64
	expMax     = 1000000 // beyond it every number is infinite or zero
)

// number reads a number by the grammar of JSON: no leading zeros, no plus, a
// digit on both sides of the point.
func (s *scanner) number() (number, bool) {
	n := number{whole: true}
	start, digits := s.at, 0
	if s.text[s.at] == '-' {
		n.neg = true
		s.at++
	}
	first := s.at
	if s.digits(&n, &digits, false) == 0 {
		return n, s.unexpected("a digit")
	}
	if s.text[first] == '0' && s.at-first > 1 {
		return n, s.fail(CauseSyntax, "byte %d: a number begins with a zero", first)
	}
	if s.at < len(s.text) && s.text[s.at] == '.' {
		s.at++
		n.whole = false
		if s.digits(&n, &digits, true) == 0 {
			return n, s.unexpected("a digit")
		}
	}
	if s.at < len(s.text) && s.text[s.at]|0x20 == 'e' {
		s.at++
		n.whole = false
		if !s.exponent(&n) {
			return n, false
		}
	}
	n.text = s.text[start:s.at]
	return n, true
}

// digits reads a run of digits into n and returns its length.
func (s *scanner) digits(n *number, kept *int, fraction bool) int {
	start := s.at
	for ; s.at < len(s.text); s.at++ {
		c := s.text[s.at] - '0'
		if c > 9 {
			break
		}
		if *kept == mantDigits {
			n.inexact = n.inexact || c != 0
			if !fraction {
				n.exp++
			}
			continue
		}
		n.mant = n.mant*10 + uint64(c)
		if n.mant != 0 {
			*kept++
		}
		if fraction {
			n.exp--
		}
	}
	return s.at - start
}

func (s *scanner) exponent(n *number) bool {
	neg := false
	if s.at < len(s.text) && (s.text[s.at] == '-' || s.text[s.at] == '+') {
		neg = s.text[s.at] == '-'
		s.at++
	}
	exp, start := 0, s.at
	for ; s.at < len(s.text) && s.text[s.at]-'0' <= 9; s.at++ {
		exp = min(exp*10+int(s.text[s.at]-'0'), expMax)
	}
	if s.at == start {
		return s.unexpected("a digit")
	}
	if neg {
		exp = -exp
	}
	n.exp += exp
	return true
}

// powersOfTen are those that a float64 holds exactly. Never written.
var powersOfTen = [...]float64{
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
}

// float returns the nearest float64, and false when that is infinite.
func (n *number) float() (float64, bool) {
	// One operation on two exact operands is rounded once, hence correctly.
	if !n.inexact && n.mant < 1<<53 && n.exp >= -22 && n.exp <= 22 {
		f := float64(n.mant)
		if n.exp < 0 {
			f /= powersOfTen[-n.exp]
		} else {
			f *= powersOfTen[n.exp]
		}
		if n.neg {
			f = -f
		}
		return f, true
	}
	f, err := strconv.ParseFloat(string(n.text), 64)
	return f, err == nil && !math.IsInf(f, 0)
}

// The range of event times: the years 0 to 9999, which RFC 3339 can write.
const (
	timeMin = -62167219200000
	timeMax = 253402300799999
)

// millis returns the number, counted in units of 10^scale milliseconds, as a
// time. It floors, and returns false outside of the range of event times.
func (n *number) millis(scale int) (edged.Timestamp, bool) {
	m, exp, cut := n.mant, n.exp+scale, n.inexact
	for ; exp > 0 && m != 0; exp-- {
		if m > timeMax {
			return 0, false
		}
		m *= 10
	}
	for ; exp < 0 && m != 0; exp++ {
		cut = cut || m%10 != 0
		m /= 10
	}
	if m > timeMax {
		return 0, false
	}
	t := int64(m)
	if n.neg {
		t = -t
		if cut {
			t--
		}
	}
	return edged.Timestamp(t), t >= timeMin
}
