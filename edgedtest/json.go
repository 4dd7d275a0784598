package edgedtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// jsonDepthMax is how deep a line may be nested. A bundle of events needs 4.
const jsonDepthMax = 16

// member is one member of an object, in the order of the text.
type member struct {
	name  string
	value any // nil, bool, string, json.Number, []any or object
}

// object is a JSON object whose members all have different names.
type object []member

// parseObject reads a text that is one JSON object and nothing else. Package
// encoding/json alone would let a member that is given twice pass.
func parseObject(text []byte) (object, error) {
	if !utf8.Valid(text) {
		return nil, errors.New("is not valid UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	value, err := parseValue(d, 1)
	if err != nil {
		return nil, fmt.Errorf("is not JSON: %w", err)
	}
	o, ok := value.(object)
	if !ok {
		return nil, fmt.Errorf("must be an object, but is %s", describe(value))
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("has something after the object; write one step a line")
	}
	return o, nil
}

func parseValue(d *json.Decoder, depth int) (any, error) {
	token, err := d.Token()
	if err == io.EOF {
		return nil, io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	delim, nested := token.(json.Delim)
	switch {
	case !nested:
		return token, nil
	case depth > jsonDepthMax:
		return nil, fmt.Errorf("nested more than %d deep", jsonDepthMax)
	case delim == '{':
		return parseMembers(d, depth)
	}
	list := []any{}
	for d.More() {
		value, err := parseValue(d, depth+1)
		if err != nil {
			return nil, err
		}
		list = append(list, value)
	}
	_, err = d.Token() // the bracket
	return list, err
}

func parseMembers(d *json.Decoder, depth int) (any, error) {
	o := object{}
	seen := map[string]bool{}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return nil, err
		}
		name, ok := token.(string)
		if !ok {
			return nil, fmt.Errorf("the name of a member must be a text, but is %s", describe(token))
		}
		if seen[name] {
			return nil, fmt.Errorf("the member %q is given twice", name)
		}
		seen[name] = true
		value, err := parseValue(d, depth+1)
		if err != nil {
			return nil, err
		}
		o = append(o, member{name, value})
	}
	_, err := d.Token() // the brace
	return o, err
}

// describe says what a value is, for errors.
func describe(value any) string {
	switch v := value.(type) {
	case nil:
		return "null"
	case bool:
		return fmt.Sprintf("the bool %t", v)
	case string:
		return fmt.Sprintf("the text %.40q", v)
	case json.Number:
		return "the number " + v.String()
	case []any:
		return "a list"
	case object:
		return "an object"
	}
	return fmt.Sprintf("%v", value)
}
