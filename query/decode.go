package query

import (
	"encoding/binary"
	"math"
	"unicode/utf8"

	"github.com/cespare/xxhash/v2"

	"edged"
	"edged/mqtt/codec"
	"edged/watermark"
)

// CauseFuture is the cause of dead letters whose time is further ahead of the
// gateway's clock than the pipeline believes, and CauseLookup of those whose row
// is missing in a reference table.
const (
	CauseFuture = "future"
	CauseLookup = "no_row"
)

// Accepts reports whether messages of a topic belong to the pipeline.
func (p *Plan) Accepts(topic string) bool {
	return p.inputOf(topic) >= 0 || p.commands != nil && p.commands.match(topic)
}

// inputOf returns the input that a topic belongs to, and -1 when there is none.
func (p *Plan) inputOf(topic string) int {
	for i := range p.inputs {
		if f := p.inputs[i].filter; f != nil && f.match(topic) {
			return i
		}
	}
	return -1
}

// Decode makes an event of a message: it sets Key, EventTime, Identity, Stream and
// Values, or Key and Command, and leaves Seq and Arrival alone. The memory of ev.Values is used again.
// Nothing of ev refers to payload afterwards.
//
// The error is an *edged.PoisonError when the message is no event, and
// [ErrFiltered] when the filter does not keep it. ev is then in no useful state.
//
// An expression that names a null field is null: a computed field then is null,
// and a filter does not keep the event. An expression whose result is not finite
// makes the message poison, with the cause [CauseExpression].
func (p *Plan) Decode(ev *edged.Event, topic string, payload []byte) error {
	i := p.inputOf(topic)
	if i < 0 && p.commands != nil && p.commands.match(topic) {
		return p.decodeCommand(ev, payload)
	}
	if i < 0 {
		return &edged.PoisonError{Cause: codec.CauseMissingKey, Detail: "the topic is of no input"}
	}
	in, arrival := &p.inputs[i], ev.Arrival
	if err := in.decoder.Decode(ev, payload); err != nil {
		return err
	}
	ev.Arrival, ev.Stream, ev.From, ev.Command = arrival, uint8(i), nil, nil
	for len(ev.Values) < len(p.Slots) { // room for what is not in the payload
		ev.Values = append(ev.Values, edged.Value{})
	}
	if err := p.key(in, ev, topic); err != nil {
		return err
	}
	ev.Identity = p.identify(in, ev.Values, topic, payload)
	switch t, verdict := in.guard.Check(ev.EventTime, arrival); verdict {
	case watermark.Refused:
		return &edged.PoisonError{Cause: CauseFuture, Detail: "its time is further ahead of the gateway's clock than event_time.ahead_max"}
	case watermark.Clamped:
		ev.Identity = ClampedIdentity(ev.Identity, ev.EventTime)
		ev.EventTime = t
	}
	if err := in.look(ev); err != nil {
		return err
	}
	return p.express(in, ev)
}

// express evaluates the filter and the computed fields of an input.
func (p *Plan) express(in *input, ev *edged.Event) error {
	if in.keep != nil {
		keep, err := p.evaluator.run(in.keep, ev.Values)
		if err != nil {
			return &edged.PoisonError{Cause: CauseExpression, Detail: "filter: " + err.Error()}
		}
		if !keep.Bool() {
			return ErrFiltered
		}
	}
	for _, m := range in.computed {
		value, err := p.evaluator.run(m.expression, ev.Values)
		if err != nil {
			return &edged.PoisonError{Cause: CauseExpression, Detail: m.expression.text + ": " + err.Error()}
		}
		ev.Values[m.slot] = value
	}
	return nil
}

// key sets the key when it does not come from the payload.
func (p *Plan) key(in *input, ev *edged.Event, topic string) error {
	switch {
	case in.spec.Key.Value != "":
		ev.Key = in.spec.Key.Value
	case in.spec.Key.TopicLevel >= 0:
		return in.keyFromTopic(ev, topic)
	}
	return nil
}

func (in *input) keyFromTopic(ev *edged.Event, topic string) error {
	key := topicLevel(topic, in.spec.Key.TopicLevel)
	switch {
	case key == "":
		return &edged.PoisonError{Cause: codec.CauseMissingKey, Detail: "the topic has no such level, or it is empty"}
	case len(key) > codec.KeyBytesMax:
		return &edged.PoisonError{Cause: codec.CauseKeyTooLong, Detail: "the level of the topic is too long to be a key"}
	case !utf8.ValidString(key):
		return &edged.PoisonError{Cause: codec.CauseSyntax, Detail: "the level of the topic is not valid UTF-8"}
	}
	ev.Key = in.decoder.Key(key)
	return nil
}

// clamped marks the identities of events whose time was replaced.
const clamped = 1 << 63

// ClampedIdentity returns the identity of an event whose time, which was t, is
// replaced by the latest that is believed. Sent again later, it gets another time:
// its own is part of its identity. Others are below 1<<63, and 0 stays 0.
func ClampedIdentity(identity uint64, t edged.Timestamp) uint64 {
	if identity == 0 {
		return 0
	}
	// A mixer of its own (splitmix64): streams are told apart by another multiple.
	x := identity + 0xbf58476d1ce4e5b9*uint64(t)
	x = (x ^ x>>30) * 0x94d049bb133111eb
	return clamped | (x ^ x>>31)
}

// identify returns what equal events have in common; 0 means not deduplicated. A
// key that stands for everything does not tell devices apart, but topics may.
func (p *Plan) identify(in *input, values []edged.Value, topic string, payload []byte) uint64 {
	switch p.Dedup.By {
	case DedupContent:
		content := xxhash.Sum64(payload)
		if in.spec.Key.Value != "" {
			content = content*31 + xxhash.Sum64String(topic)
		}
		return max(content>>1, 1)
	case DedupFields:
		known := false
		p.scratch = p.scratch[:0]
		for _, slot := range in.identity {
			known = known || values[slot].Kind != edged.Null
			p.scratch = appendIdentity(p.scratch, values[slot])
		}
		if known {
			return max(xxhash.Sum64(p.scratch)>>1, 1)
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
