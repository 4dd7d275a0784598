package anomaly

import (
	"encoding/binary"
	"fmt"
	"math"

	"edged"
)

// coder walks over the fields of a state, either to write them or to read them,
// so that both directions are one description and cannot drift apart.
type coder struct {
	data    []byte // written so far, or still to be read
	reading bool
	bad     bool // what was read is not a state
}

// codable is a state that can show its fields to a coder.
type codable interface{ code(c *coder) }

// appendState appends the encoding of s.
func appendState(dst []byte, s codable) []byte {
	c := coder{data: dst}
	s.code(&c)
	return c.data
}

// restoreState reads data into fresh, and only when all of it is sound puts fresh
// in the place of s.
func restoreState[S any, P interface {
	*S
	codable
}](s, fresh P, data []byte) ([]byte, error) {
	c := coder{data: data, reading: true}
	fresh.code(&c)
	if c.bad {
		return nil, fmt.Errorf("restore %T: %w", s, ErrState)
	}
	*s = *fresh
	return c.data, nil
}

// word codes 64 bits.
func (c *coder) word(w uint64) uint64 {
	if !c.reading {
		c.data = binary.LittleEndian.AppendUint64(c.data, w)
		return w
	}
	if c.bad || len(c.data) < 8 {
		c.bad = true
		return 0
	}
	w = binary.LittleEndian.Uint64(c.data)
	c.data = c.data[8:]
	return w
}

// tag codes a byte that tells kinds of states apart.
func (c *coder) tag(want byte) {
	if !c.reading {
		c.data = append(c.data, want)
		return
	}
	if c.bad || len(c.data) < 1 || c.data[0] != want {
		c.bad = true
		return
	}
	c.data = c.data[1:]
}

// float codes a number from lo to hi.
func (c *coder) float(f *float64, lo, hi float64) {
	got := math.Float64frombits(c.word(math.Float64bits(*f)))
	if !c.reading {
		return
	}
	if !(got >= lo && got <= hi) { // a NaN is in no range
		c.bad, got = true, 0
	}
	*f = got
}

// value codes a number that clip has made.
func (c *coder) value(f *float64) { c.float(f, -valueMax, valueMax) }

// values codes numbers whose count both sides know.
func (c *coder) values(fs []float64) {
	for i := range fs {
		c.value(&fs[i])
	}
}

// count codes an integer from 0 to most.
func (c *coder) count(n *int, most int) {
	got := c.word(uint64(*n))
	if !c.reading {
		return
	}
	if got > uint64(most) {
		c.bad, got = true, 0
	}
	*n = int(got)
}

// time codes a point in time; any is sound.
func (c *coder) time(t *edged.Timestamp) { *t = edged.Timestamp(c.word(uint64(*t))) }

// flag codes a truth value as one byte.
func (c *coder) flag(b *bool) {
	if !c.reading {
		v := byte(0)
		if *b {
			v = 1
		}
		c.data = append(c.data, v)
		return
	}
	if c.bad || len(c.data) < 1 || c.data[0] > 1 {
		c.bad = true
		return
	}
	*b, c.data = c.data[0] == 1, c.data[1:]
}
