package equality

import (
	"edged"
	"edged/actors"
)

// Messages returns inputs as a source delivers them. Packet ids are taken in turn,
// as a broker does.
func Messages(inputs []Input) []edged.Message {
	var all []edged.Message
	for i := range inputs {
		all = append(all, edged.Message{
			Topic: inputs[i].Topic, Payload: inputs[i].Payload, PacketID: uint16(i%65535) + 1, Ack: uint64(i) + 1,
		})
	}
	return all
}

// Journal returns the journal of a bounded run over inputs that takes no time: the
// tables, the messages, and the end. Without arrivals nobody knows when they came.
func Journal(tables []actors.Table, inputs []Input, arrivals bool) []edged.Record {
	var all []edged.Record
	add := func(rec edged.Record) {
		rec.Seq = edged.Seq(len(all) + 1)
		all = append(all, rec)
	}
	for _, t := range tables {
		add(edged.Record{Kind: edged.TableRecord, Topic: t.Name, Payload: t.Content})
	}
	for i := range inputs {
		rec := edged.Record{Kind: edged.MessageRecord, Topic: inputs[i].Topic, Payload: inputs[i].Payload}
		if arrivals {
			rec.Arrival = inputs[i].Arrival
		}
		add(rec)
	}
	add(edged.Record{Kind: edged.TickRecord})
	return all
}
