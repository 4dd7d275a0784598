package codec

import "edged"

// The take methods store a value where the member wants it.

func (d *Decoder) takeText(m *member, body []byte, escaped bool) bool {
	if len(m.children) > 0 {
		return d.mistyped(m, "a text")
	}
	if escaped {
		d.scratch = appendUnescaped(d.scratch[:0], body)
		body = d.scratch
	}
	if m.isKey && !d.takeKey(m, body) {
		return false
	}
	if m.isTime && !d.takeTimeText(m, body) {
		return false
	}
	for i := range m.fields {
		if m.fields[i].Kind != edged.Text {
			return d.mistyped(m, "a text")
		}
		if m.fields[i].Slot >= 0 {
			d.ev.Values[m.fields[i].Slot] = edged.TextValue(d.text(body))
		}
	}
	return true
}

func (d *Decoder) text(body []byte) string {
	if len(body) > textBytesKept {
		return string(body)
	}
	return d.texts.get(body)
}

func (d *Decoder) takeNumber(m *member, n *number) bool {
	if len(m.children) > 0 {
		return d.mistyped(m, "a number")
	}
	if m.isKey {
		if !n.whole {
			return d.mistyped(m, "a number with a fraction or exponent")
		}
		if !d.takeKey(m, n.text) {
			return false
		}
	}
	if m.isTime && !d.takeTimeNumber(m, n) {
		return false
	}
	if len(m.fields) == 0 {
		return true
	}
	f, ok := n.float()
	if !ok {
		return d.scan.fail(CauseType, "%s: %s is too large for a float64", m.path, sample(n.text))
	}
	for i := range m.fields {
		if m.fields[i].Kind != edged.Number {
			return d.mistyped(m, "a number")
		}
		if m.fields[i].Slot >= 0 {
			d.ev.Values[m.fields[i].Slot] = edged.NumberValue(f)
		}
	}
	return true
}

func (d *Decoder) takeBool(m *member, v bool) bool {
	if len(m.children) > 0 || m.isKey {
		return d.mistyped(m, "a bool")
	}
	if m.isTime {
		return d.scan.fail(CauseBadTime, "%s: is a bool", m.path)
	}
	for i := range m.fields {
		if m.fields[i].Kind != edged.Bool {
			return d.mistyped(m, "a bool")
		}
		if m.fields[i].Slot >= 0 {
			d.ev.Values[m.fields[i].Slot] = edged.BoolValue(v)
		}
	}
	return true
}

func (d *Decoder) takeKey(m *member, key []byte) bool {
	if len(key) > KeyBytesMax {
		return d.scan.fail(CauseKeyTooLong, "%s: is %d bytes long, more than %d", m.path, len(key), KeyBytesMax)
	}
	if len(key) > 0 {
		d.ev.Key = d.keys.get(key)
		d.hasKey = true
	}
	return true
}

func (d *Decoder) takeTimeNumber(m *member, n *number) bool {
	if d.spec.Unit == RFC3339 {
		return d.scan.fail(CauseBadTime, "%s: is a number, not a text of RFC 3339", m.path)
	}
	t, ok := n.millis(d.scale)
	if !ok {
		return d.scan.fail(CauseBadTime, "%s: %s %s lies outside the years 0 to 9999", m.path, sample(n.text), d.spec.Unit)
	}
	d.ev.EventTime = t
	return true
}

func (d *Decoder) takeTimeText(m *member, body []byte) bool {
	if d.spec.Unit != RFC3339 {
		return d.scan.fail(CauseBadTime, "%s: is a text, not a number of %s", m.path, d.spec.Unit)
	}
	t, ok := parseInstant(body)
	if !ok {
		return d.scan.fail(CauseBadTime, "%s: %q is not a time of RFC 3339", m.path, sample(body))
	}
	d.ev.EventTime = t
	return true
}

func (d *Decoder) mistyped(m *member, got string) bool {
	if m.isTime {
		return d.scan.fail(CauseBadTime, "%s: is %s", m.path, got)
	}
	return d.scan.fail(CauseType, "%s: is %s, not %s", m.path, got, m.want())
}

// sample cuts text to what fits into a message.
func sample(text []byte) []byte { return text[:min(len(text), 40)] }

// want describes what the member is read as.
func (m *member) want() string {
	switch {
	case m.isKey:
		return "a text or a whole number"
	case len(m.children) > 0:
		return "an object"
	}
	return "a " + m.fields[0].Kind.String()
}
