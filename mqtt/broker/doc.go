// Package broker runs an MQTT 3.1.1 broker inside the process, for the demo, for
// tests and for gateways whose devices have no broker to talk to. It is the MQTT
// listener of nats-server, with sessions and messages stored by JetStream.
//
// The build tag nobroker leaves it out, which makes the binary about 10 MB
// smaller: Start then returns [ErrNotBuilt].
//
// # Guarantees
//
//   - QoS 1 messages for a persistent session are kept while its client is away
//     and while the broker is restarted over the same Dir.
//   - Nothing but the MQTT listener is opened.
//
// # Caveats
//
//   - Everybody who reaches the listener may publish and subscribe: bind it to a
//     loopback or otherwise trusted address.
//   - JetStream syncs its files every two minutes; a power cut may lose what was
//     confirmed since.
//   - Topics must not contain spaces; MQTT 5 is refused.
//   - Unacknowledged messages are sent again after Config.AckWait, on the same
//     connection or on the next one, with DUP but not always in order. Packet ids
//     are stable while the broker runs and are given anew when it is restarted:
//     what was committed and not yet acknowledged at that moment cannot be
//     recognised by its packet id. Where that matters, deduplicate by an identity
//     in the payload, or use mosquitto.
package broker
