package query

import (
	"encoding/binary"
	"math"
	"unicode/utf8"

	"github.com/cespare/xxhash/v2"

	"edged"
	"edged/mqtt/codec"
)

// Accepts reports whether messages of a topic belong to the pipeline.
func (p *Plan) Accepts(topic string) bool { return p.filter.match(topic) }

// Decode makes an event of a message: it sets Key, EventTime, Identity and Values
// and leaves Seq alone. The memory of ev.Values is used again. Nothing of ev
// refers to payload afterwards.
//
// The error is an *edged.PoisonError when the message is no event, and
// [ErrFiltered] when the filter does not keep it. ev is then in no useful state.
//
// An expression that names a null field is null: a computed field then is null,
// and a filter does not keep the event. An expression whose result is not finite
// makes the message poison, with the cause [CauseExpression].
func (p *Plan) Decode(ev *edged.Event, topic string, payload []byte) error {
	if err := p.decoder.Decode(ev, payload); err != nil {
		return err
	}
	for len(ev.Values) < len(p.Slots) { // room for the computed fields
		ev.Values = append(ev.Values, edged.Value{})
	}
	if p.keyLevel >= 0 {
		if err := p.keyFromTopic(ev, topic); err != nil {
			return err
		}
	}
	ev.Identity = p.identify(ev.Values, payload)
	if p.keep != nil {
		keep, err := p.evaluator.run(p.keep, ev.Values)
		if err != nil {
			return &edged.PoisonError{Cause: CauseExpression, Detail: "filter: " + err.Error()}
		}
		if !keep.Bool() {
			return ErrFiltered
		}
	}
	for _, m := range p.computed {
		value, err := p.evaluator.run(m.expression, ev.Values)
		if err != nil {
			return &edged.PoisonError{Cause: CauseExpression, Detail: p.Slots[m.slot] + ": " + err.Error()}
		}
		ev.Values[m.slot] = value
	}
	return nil
}

func (p *Plan) keyFromTopic(ev *edged.Event, topic string) error {
	key := topicLevel(topic, p.keyLevel)
	switch {
	case key == "":
		return &edged.PoisonError{Cause: codec.CauseMissingKey, Detail: "the topic has no such level, or it is empty"}
	case len(key) > codec.KeyBytesMax:
		return &edged.PoisonError{Cause: codec.CauseKeyTooLong, Detail: "the level of the topic is too long to be a key"}
	case !utf8.ValidString(key):
		return &edged.PoisonError{Cause: codec.CauseSyntax, Detail: "the level of the topic is not valid UTF-8"}
	}
	ev.Key = p.decoder.Key(key)
	return nil
}

// identify returns what equal events have in common; 0 means not deduplicated.
func (p *Plan) identify(values []edged.Value, payload []byte) uint64 {
	switch p.Dedup.By {
	case DedupContent:
		return max(xxhash.Sum64(payload), 1)
	case DedupFields:
		known := false
		p.scratch = p.scratch[:0]
		for _, slot := range p.identity {
			known = known || values[slot].Kind != edged.Null
			p.scratch = appendIdentity(p.scratch, values[slot])
		}
		if known {
			return max(xxhash.Sum64(p.scratch), 1)
		}
	}
	return 0
}

// appendIdentity appends a value so that different values differ: its kind, and
// its number or the length and bytes of its text.
func appendIdentity(dst []byte, v edged.Value) []byte {
	dst = append(dst, byte(v.Kind))
	switch v.Kind {
	case edged.Number:
		f := v.Float() + 0 // -0 equals 0
		return binary.LittleEndian.AppendUint64(dst, math.Float64bits(f))
	case edged.Text:
		dst = binary.AppendUvarint(dst, uint64(len(v.Text())))
		return append(dst, v.Text()...)
	case edged.Bool:
		if v.Bool() {
			return append(dst, 1)
		}
		return append(dst, 0)
	}
	return dst
}
