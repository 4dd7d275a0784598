package codec

import (
	"fmt"
	"unicode/utf8"

	"edged"
)

// Decoder reads payloads by a [Spec]. It is not safe for concurrent use: it
// keeps its working memory from payload to payload.
type Decoder struct {
	// Configuration.
	spec     Spec
	scale    int // see TimeUnit.scale
	width    int // of Event.Values
	root     *member
	time     *member
	required []*member

	// What was seen before, so that it need not be allocated again.
	keys  interner
	texts interner

	// The payload being read.
	scan    scanner
	ev      *edged.Event
	seen    []bool // by member.index: the member occurred
	present []bool // by member.index: and was not null
	hasKey  bool
	scratch []byte // a string without its escapes
}

// NewDecoder compiles a spec. It fails when the spec is not valid, or reads the
// same member both as a value and as an object.
func NewDecoder(spec Spec) (*Decoder, error) {
	if err := spec.Validate(); err != nil {
		return nil, fmt.Errorf("compile the decoder: %w", err)
	}
	d := &Decoder{spec: spec, scale: spec.Unit.scale(), root: &member{}}
	members := 0
	if spec.Key != "" {
		d.root.grow(spec.Key, &members).isKey = true
	}
	d.time = d.root.grow(spec.Time, &members)
	d.time.isTime = true
	for _, f := range spec.Fields {
		m := d.root.grow(f.Path, &members)
		m.fields = append(m.fields, f)
		d.width = max(d.width, f.Slot+1)
		if f.Required {
			d.required = append(d.required, m)
		}
	}
	if path := d.root.conflict(); path != "" {
		return nil, fmt.Errorf("compile the decoder: %s is read both as a value and as an object", path)
	}
	d.seen = make([]bool, members)
	d.present = make([]bool, members)
	d.keys = newInterner(KeysInterned)
	d.texts = newInterner(TextsInterned)
	return d, nil
}

// Decode fills Key, EventTime and Values of ev from payload. The memory of
// ev.Values is used again; nothing of ev refers to payload afterwards. The error
// is an *edged.PoisonError; ev is then in no useful state.
//
// Key is left alone when the spec has none.
func (d *Decoder) Decode(ev *edged.Event, payload []byte) error {
	d.reset(ev, payload)
	if !utf8.Valid(payload) {
		return poison(CauseSyntax, "the payload is not valid UTF-8")
	}
	if d.scan.peek() != '{' {
		d.scan.unexpected("an object")
		return d.scan.fault
	}
	if !d.object(d.root, 1) || !d.scan.end() {
		return d.scan.fault
	}
	return d.complete()
}

// Key returns key as a string that keeps nothing else in memory and that the
// events of the key mostly share. It is for callers that take keys from
// elsewhere than the payload.
func (d *Decoder) Key(key string) string { return d.keys.get([]byte(key)) }

func (d *Decoder) reset(ev *edged.Event, payload []byte) {
	if cap(ev.Values) < d.width {
		ev.Values = make([]edged.Value, d.width)
	}
	ev.Values = ev.Values[:d.width]
	clear(ev.Values)
	clear(d.seen)
	clear(d.present)
	d.scan = scanner{text: payload}
	d.ev, d.hasKey = ev, false
}

// complete checks that nothing is missing.
func (d *Decoder) complete() error {
	if d.spec.Key != "" && !d.hasKey {
		return poison(CauseMissingKey, "%s: is absent, null or empty", d.spec.Key)
	}
	if !d.present[d.time.index] {
		return poison(CauseMissingTime, "%s: is absent or null", d.spec.Time)
	}
	for _, m := range d.required {
		if !d.present[m.index] {
			return poison(CauseMissingField, "%s: is absent or null, but required", m.path)
		}
	}
	return nil
}

// object reads an object whose members are those of m. m is nil when nothing in
// it is read.
func (d *Decoder) object(m *member, depth int) bool {
	s := &d.scan
	if depth > DepthMax {
		return s.fail(CauseTooDeep, "byte %d: nested more than %d deep", s.at, DepthMax)
	}
	s.at++
	if s.peek() == '}' {
		s.at++
		return true
	}
	for {
		if s.peek() != '"' {
			return s.unexpected("a name")
		}
		name, escaped, ok := s.quoted()
		if !ok {
			return false
		}
		if s.peek() != ':' {
			return s.unexpected(`":"`)
		}
		s.at++
		c, ok := d.enter(m, name, escaped)
		if !ok || !d.value(c, depth) {
			return false
		}
		switch s.peek() {
		case ',':
			s.at++
		case '}':
			s.at++
			return true
		default:
			return s.unexpected(`"," or "}"`)
		}
	}
}

// enter returns the member called name, nil when nobody reads it.
func (d *Decoder) enter(m *member, name []byte, escaped bool) (*member, bool) {
	if m == nil {
		return nil, true
	}
	if escaped {
		d.scratch = appendUnescaped(d.scratch[:0], name)
		name = d.scratch
	}
	c := m.child(name)
	if c == nil {
		return nil, true
	}
	if d.seen[c.index] {
		return nil, d.scan.fail(CauseSyntax, "byte %d: %s occurs twice", d.scan.at, c.path)
	}
	d.seen[c.index], d.present[c.index] = true, true
	return c, true
}

func (d *Decoder) array(depth int) bool {
	s := &d.scan
	if depth > DepthMax {
		return s.fail(CauseTooDeep, "byte %d: nested more than %d deep", s.at, DepthMax)
	}
	s.at++
	if s.peek() == ']' {
		s.at++
		return true
	}
	for {
		if !d.value(nil, depth) {
			return false
		}
		switch s.peek() {
		case ',':
			s.at++
		case ']':
			s.at++
			return true
		default:
			return s.unexpected(`"," or "]"`)
		}
	}
}

// value reads any value, and stores it where m says. m is nil when nobody reads it.
func (d *Decoder) value(m *member, depth int) bool {
	s := &d.scan
	switch c := s.peek(); {
	case c == '"':
		body, escaped, ok := s.quoted()
		return ok && (m == nil || d.takeText(m, body, escaped))
	case c == '-' || c-'0' <= 9:
		n, ok := s.number()
		return ok && (m == nil || d.takeNumber(m, &n))
	case c == '{':
		if m != nil && m.leaf() {
			return d.mistyped(m, "an object")
		}
		return d.object(m, depth+1)
	case c == '[':
		if m != nil {
			return d.mistyped(m, "an array")
		}
		return d.array(depth + 1)
	case c == 't':
		return s.literal("true") && (m == nil || d.takeBool(m, true))
	case c == 'f':
		return s.literal("false") && (m == nil || d.takeBool(m, false))
	case c == 'n':
		if m != nil {
			d.present[m.index] = false
		}
		return s.literal("null")
	}
	return s.unexpected("a value")
}
