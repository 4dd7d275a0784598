package protocol

import (
	"fmt"
	"regexp"
)

// ID names a command: a ULID (https://github.com/ulid/spec), 26 characters of
// Crockford's base 32, of which the first is 0 to 7. Only its being unique matters;
// nothing is read out of its time.
type ID string

const (
	idLength   = 26
	alphabet   = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	idTimeBits = 48
)

var ulid = regexp.MustCompile(`^[0-7][0-9A-HJKMNP-TV-Z]{25}$`)

// NewID returns the ULID of a time in milliseconds since the Unix epoch and 10
// bytes of chance.
func NewID(ms int64, chance [10]byte) ID {
	var b [16]byte
	for i := range 6 {
		b[i] = byte(ms >> (idTimeBits - 8*(i+1)))
	}
	copy(b[6:], chance[:])
	text := make([]byte, idLength)
	high, low := uint64(0), uint64(0)
	for i := range 8 {
		high, low = high<<8|uint64(b[i]), low<<8|uint64(b[i+8])
	}
	for i := idLength - 1; i >= 0; i-- {
		text[i] = alphabet[low&31]
		low, high = low>>5|high<<59, high>>5
	}
	return ID(text)
}

// Check returns an error unless the text is a ULID.
func (id ID) Check() error {
	if !ulid.MatchString(string(id)) {
		return fmt.Errorf("%.40q is no ULID", string(id))
	}
	return nil
}
