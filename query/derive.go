package query

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"edged"
	"edged/elements"
	"edged/mqtt/codec"
	"edged/stored"
)

// ErrDerived says that bytes are not a result of the pipeline that is gathered.
var ErrDerived = errors.New("malformed result of another pipeline")

// Flags of a derived result.
const (
	derivedRetract = 1 << iota
	derivedValues
	derivedAlarm // it is an alarm event: see appendDerivedAlarm
)

// AppendDerived appends a result in the form in which a pipeline that gathers
// this one reads it, and nothing if it is not for others: they take panes and
// retractions, or alarms.
func (p *Plan) AppendDerived(dst []byte, r *edged.Result) []byte {
	if r.Kind == edged.AlarmResult && p.env.Alarms && len(r.Partial) > 0 {
		return appendDerivedAlarm(dst, r)
	}
	if r.Kind != edged.PaneResult && r.Kind != edged.RetractResult || p.env.Alarms && !p.env.Panes {
		return dst
	}
	if r.Kind == edged.RetractResult && p.Window.Type != WindowSession {
		return dst // the pane that follows is about the same window, and replaces the one before
	}
	flags := byte(0)
	if r.Kind == edged.RetractResult {
		flags |= derivedRetract
	}
	if len(r.Values) > 0 {
		flags |= derivedValues
	}
	dst = append(dst, flags)
	dst = binary.AppendUvarint(dst, uint64(len(r.Key)))
	dst = append(dst, r.Key...)
	dst = binary.AppendVarint(dst, int64(r.Start))
	dst = binary.AppendUvarint(dst, uint64(r.End)-uint64(r.Start))
	dst = binary.AppendVarint(dst, int64(r.Watermark))
	dst = binary.AppendUvarint(dst, uint64(r.Index))
	for _, v := range r.Values {
		dst = elements.AppendValue(dst, v)
	}
	return append(dst, r.Partial...)
}

// Derive makes an event of what [Plan.AppendDerived] of the upstream wrote. It
// sets all of ev but Seq and Arrival. The errors are those of [Plan.Decode], and
// [ErrDerived].
func (p *Plan) Derive(ev *edged.Event, derived []byte) error {
	in := &p.inputs[0]
	if in.upstream == nil {
		return fmt.Errorf("pipeline %s takes messages: %w", p.name, ErrDerived)
	}
	if alarm := len(derived) > 0 && derived[0] == derivedAlarm; alarm != (p.suppress != nil) {
		return ErrFiltered // it is for another pipeline behind the same one
	} else if alarm {
		return p.deriveAlarm(ev, derived)
	}
	d := derivedReader{stored.Reader{Data: derived}}
	flags := d.Byte()
	from := &edged.Contribution{Retract: flags&derivedRetract != 0, Member: d.Text()}
	from.Start = edged.Timestamp(d.Varint())
	from.End = edged.Timestamp(uint64(from.Start) + d.Uvarint())
	from.Watermark = edged.Timestamp(d.Varint())
	index := d.Uvarint()
	var columns []edged.Value
	for range in.upstream.Aggregates {
		if flags&derivedValues == 0 || d.Bad {
			columns = append(columns, edged.Value{})
			continue
		}
		columns = append(columns, d.value())
	}
	if d.Bad || from.End < from.Start {
		return fmt.Errorf("pipeline %s reads %s: %w", p.name, in.upstream.name, ErrDerived)
	}
	from.Partial = slices.Clone(d.Data)
	*ev = edged.Event{
		Seq: ev.Seq, Arrival: ev.Arrival, Values: ev.Values[:0],
		EventTime: from.End.Add(-1), From: from, Key: in.spec.Key.Value,
	}
	for len(ev.Values) < len(p.Slots) {
		ev.Values = append(ev.Values, edged.Value{})
	}
	all := append([]edged.Value{
		edged.TextValue(from.Member), edged.NumberValue(float64(from.Start)), edged.NumberValue(float64(from.End)), edged.NumberValue(float64(index)),
	}, columns...)
	for i, v := range all {
		if slot := in.fields[i].slot; slot >= 0 {
			ev.Values[slot] = v
		}
	}
	if in.keyField >= 0 {
		if err := derivedKey(ev, all[in.keyField]); err != nil {
			return err
		}
	}
	if from.Retract {
		return nil // it is taken back whatever a filter would say of it
	}
	err := p.express(in, ev)
	if err == ErrFiltered && index > 0 {
		// What the member said of this window before may have been kept.
		from.Retract, err = true, nil
	}
	return err
}

// derivedKey sets the key to a column of the upstream.
func derivedKey(ev *edged.Event, v edged.Value) error {
	switch v.Kind {
	case edged.Text:
		ev.Key = v.Text()
	case edged.Number:
		ev.Key = string(v.AppendJSON(nil))
	}
	switch {
	case ev.Key == "":
		return &edged.PoisonError{Cause: codec.CauseMissingKey, Detail: "the column that is the key is empty"}
	case len(ev.Key) > codec.KeyBytesMax:
		return &edged.PoisonError{Cause: codec.CauseKeyTooLong, Detail: "the column is too long to be a key"}
	}
	return nil
}

// derivedReader reads a derived result.
type derivedReader struct{ stored.Reader }

func (d *derivedReader) value() edged.Value {
	v, rest, err := elements.ReadValue(d.Data)
	if err != nil {
		d.Fail()
		return v
	}
	d.Data = rest
	return v
}
