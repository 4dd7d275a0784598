package alarms

import "fmt"

// AppendChange appends the encoding of a change, for whoever keeps or passes it on.
func AppendChange(dst []byte, c *Change) []byte { return appendChange(dst, c) }

// ReadChange reads what AppendChange wrote and returns the bytes behind it. Any bytes
// are allowed; the error wraps ErrState.
func ReadChange(data []byte) (c Change, rest []byte, err error) {
	r := newReader(data)
	read := r.change()
	if r.Bad {
		return Change{}, nil, fmt.Errorf("read a change from %d bytes: %w", len(data), ErrState)
	}
	return *read, r.Data, nil
}
