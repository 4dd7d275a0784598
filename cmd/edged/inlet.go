package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"log/slog"
	"slices"

	"edged"
	"edged/configs"
	"edged/mqtt"
	"edged/query"
)

// oversizeMark begins the payload that stands for a message too large to be
// taken. No JSON begins like this, so that it can never be an event.
var oversizeMark = []byte("\x00oversize\x00")

// newInlet makes the source of all pipelines. A message above the size limit becomes a dead letter:
// it goes the way of every message, as a mark, its size and a sample.
func newInlet(cfg *configs.MQTT, plans []query.PipelineSpec, log *slog.Logger) (*mqtt.Source, error) {
	broker, err := mqttConfig(&cfg.Broker, cfg.ClientID, log)
	if err != nil {
		return nil, err
	}
	broker.KeepAlive, broker.Pace, broker.PacketBytesMax = cfg.KeepAlive, cfg.Pace, int(cfg.PacketBytesMax)
	if cfg.Pace == 0 {
		broker.Pace = -1 // the settings say 0 for "not at all"
	}
	broker.Oversize = markOversize
	in, err := mqtt.NewSource(broker, subscriptions(plans))
	return in, failed(exitConfig, err)
}

// subscriptions returns every topic filter once, with the highest quality of
// service that is asked for.
func subscriptions(specs []query.PipelineSpec) []mqtt.Subscription {
	var subs []mqtt.Subscription
	for i := range specs {
		for _, source := range specs[i].Sources() {
			at := slices.IndexFunc(subs, func(s mqtt.Subscription) bool { return s.Filter == source.Topic })
			if at < 0 {
				subs = append(subs, mqtt.Subscription{Filter: source.Topic, QoS: source.QoS})
				continue
			}
			subs[at].QoS = max(subs[at].QoS, source.QoS)
		}
	}
	return subs
}

// markOversize returns the payload that stands for one of size bytes.
func markOversize(size int, sample []byte) []byte {
	payload := make([]byte, 0, len(oversizeMark)+binary.MaxVarintLen64+len(sample))
	payload = append(payload, oversizeMark...)
	payload = binary.AppendUvarint(payload, uint64(size))
	return append(payload, sample...)
}

// oversizePoison says why such a payload is no event.
func oversizePoison(payload []byte) *edged.PoisonError {
	size, _ := binary.Uvarint(bytes.TrimPrefix(payload, oversizeMark))
	return &edged.PoisonError{Cause: "oversize", Detail: fmt.Sprintf("payload of %d bytes; mqtt.packet_bytes_max is the limit", size)}
}

// overlaps describes pairs of filters that some topic matches both of. A broker
// may send such a message once per filter, and only deduplication tells.
func overlaps(specs []query.PipelineSpec) []string {
	subs := subscriptions(specs)
	var found []string
	for i, a := range subs {
		for _, b := range subs[i+1:] {
			if query.FiltersMeet(a.Filter, b.Filter) {
				found = append(found, a.Filter+" and "+b.Filter)
			}
		}
	}
	return found
}
