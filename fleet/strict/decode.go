package strict

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"unicode/utf8"
)

// DepthMax is how deep a document may be nested, if its [Limits] say nothing else.
// A scalar has depth 0, and [] has 1.
const DepthMax = 16

// pathBytesMax is how much of a path an [Error] names.
const pathBytesMax = 100

// Error says what is wrong with a JSON text, and where.
type Error struct {
	Path string // as in keys[3].roles; empty for the whole text
	Why  string
}

// Error returns the place and the reason.
func (e *Error) Error() string {
	if e.Path == "" {
		return e.Why
	}
	return e.Path + ": " + e.Why
}

// Limits say how much of a text is acceptable.
type Limits struct {
	// Bytes is the size of the text, at most. It must be set.
	Bytes int

	// Depth is how deep it may be nested; 0 means [DepthMax].
	Depth int

	// Unknown lets members pass that the struct does not have. It is for readers
	// that must understand what newer writers say, not for signed documents.
	Unknown bool
}

// Decode reads one JSON value into what the pointer points to. An error is an
// [*Error], and what it points to is then undefined.
func Decode(data []byte, into any, limits Limits) error {
	if len(data) > limits.Bytes {
		return &Error{Why: fmt.Sprintf("%d bytes are more than %d", len(data), limits.Bytes)}
	}
	if !utf8.Valid(data) {
		return &Error{Why: "the text is not UTF-8"}
	}
	w := walker{tokens: json.NewDecoder(bytes.NewReader(data)), limits: limits}
	if w.limits.Depth == 0 {
		w.limits.Depth = DepthMax
	}
	w.tokens.UseNumber()
	if err := w.value(reflect.TypeOf(into).Elem(), 0); err != nil {
		return err
	}
	if _, err := w.tokens.Token(); !errors.Is(err, io.EOF) {
		return &Error{Why: fmt.Sprintf("something follows the value, at byte %d", w.tokens.InputOffset())}
	}
	if err := json.Unmarshal(data, into); err != nil {
		return explain(err)
	}
	return nil
}

// explain turns an error of encoding/json into one of ours.
func explain(err error) error {
	var mismatch *json.UnmarshalTypeError
	if errors.As(err, &mismatch) {
		return &Error{Path: mismatch.Field, Why: fmt.Sprintf("a JSON %s does not fit", mismatch.Value)}
	}
	return &Error{Why: err.Error()}
}

// walker goes over a text once, along the type it is to be decoded into.
type walker struct {
	tokens *json.Decoder
	limits Limits
	path   []string
}

func (w *walker) fault(format string, args ...any) error {
	path := strings.TrimPrefix(strings.Join(w.path, ""), ".")
	if len(path) > pathBytesMax { // whoever sent the text has chosen the names in it
		path = strings.ToValidUTF8(path[:pathBytesMax], "") + "…"
	}
	return &Error{Path: path, Why: fmt.Sprintf(format, args...)}
}

// value walks over the next value. t is nil where anything may stand.
func (w *walker) value(t reflect.Type, depth int) error {
	token, err := w.tokens.Token()
	if err != nil {
		return w.fault("not JSON: %v", err)
	}
	t = shape(t)
	delim, composite := token.(json.Delim)
	switch {
	case token == nil && t != nil:
		return w.fault("null is no value; leave the member out")
	case !composite:
		return nil
	case depth == w.limits.Depth:
		return w.fault("nested more than %d deep", w.limits.Depth)
	case delim == '{':
		return w.object(t, depth+1)
	}
	return w.array(t, depth+1)
}

// shape returns what can be said about the members of a type: the struct, map,
// slice or array behind pointers; scalars as they are; nil if nothing.
func shape(t reflect.Type) reflect.Type {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == nil || t.Kind() == reflect.Interface || t == reflect.TypeFor[json.RawMessage]():
		return nil
	case reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		return reflect.TypeFor[string]()
	}
	return t
}

func (w *walker) object(t reflect.Type, depth int) error {
	seen := map[string]bool{}
	for w.tokens.More() {
		token, err := w.tokens.Token()
		if err != nil {
			return w.fault("not JSON: %v", err)
		}
		name, _ := token.(string) // the tokeniser has refused everything else
		w.path = append(w.path, "."+name)
		if seen[name] {
			return w.fault("the member is there twice")
		}
		seen[name] = true
		member, err := w.member(t, name)
		if err != nil {
			return err
		}
		if err := w.value(member, depth); err != nil {
			return err
		}
		w.path = w.path[:len(w.path)-1]
	}
	return w.end()
}

// end takes the closing bracket.
func (w *walker) end() error {
	if _, err := w.tokens.Token(); err != nil {
		return w.fault("not JSON: %v", err)
	}
	return nil
}

// member returns the type of a member of t.
func (w *walker) member(t reflect.Type, name string) (reflect.Type, error) {
	if t == nil || t.Kind() != reflect.Struct {
		if t != nil && t.Kind() == reflect.Map {
			return t.Elem(), nil
		}
		return nil, nil // what does not fit is found by encoding/json
	}
	for i := range t.NumField() {
		tag, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		switch {
		case tag == name:
			return t.Field(i).Type, nil
		case strings.EqualFold(tag, name):
			// encoding/json would take it for the other one.
			return nil, w.fault("unknown member; %q is spelled so", tag)
		}
	}
	if !w.limits.Unknown {
		return nil, w.fault("unknown member")
	}
	return nil, nil
}

func (w *walker) array(t reflect.Type, depth int) error {
	var element reflect.Type
	if t != nil && (t.Kind() == reflect.Slice || t.Kind() == reflect.Array) {
		element = t.Elem()
	}
	for i := 0; w.tokens.More(); i++ {
		w.path = append(w.path, fmt.Sprintf("[%d]", i))
		if err := w.value(element, depth); err != nil {
			return err
		}
		w.path = w.path[:len(w.path)-1]
	}
	return w.end()
}
