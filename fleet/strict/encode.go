package strict

import (
	"bytes"
	"encoding/json"
)

// Encode writes a value as JSON on one line, without a line feed, its members in
// the order of the struct. Unlike json.Marshal it leaves <, > and & alone.
func Encode(value any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
