// Package mqtt connects the engine to MQTT 3.1.1 brokers: a [Source] receives
// with QoS 1 and acknowledges only what its caller has made durable, a
// [Publisher] sends with QoS 1 and tells which rows the broker has confirmed, and a
// [Control] does both at a low rate, with a last will and retained messages.
//
//	              ┌ session: dial, CONNECT, back off, again ┐
//	broker ──────▶│ reader: chunk ▶ frames ──▶ deliver      │──▶ edged.Batch
//	       ◀──────│ writer: buffer ▶ one write  ◀── Ack     │◀── after the commit
//	              └─────────────────────────────────────────┘
//
// The session is our own; only rare packets go through the codec of the paho
// module. DESIGN.md tells why, with measurements, and what that costs us.
//
// # Guarantees
//
//   - Messages reach deliver in the order in which the broker sent them, and
//     PUBACKs leave in that order when Ack is called in it.
//   - A message is acknowledged only through Ack. What was not acknowledged when
//     a connection ended is sent again by the broker, with the same packet id and
//     Dup set if it had been sent before.
//   - An Ack never reaches another message than the one it was given for: acks
//     of an earlier connection are dropped, and a repetition on the same
//     connection carries no Ack of its own.
//   - deliver may block for as long as it likes. PINGREQs go on, nothing is read,
//     nothing spins, and the broker's in-flight window is the bound of memory.
//   - A message larger than Config.PacketBytesMax costs no more memory than a
//     sample of it, and what Config.Oversize makes of the sample is delivered and
//     acknowledged in its turn.
//   - After Publisher.Run has called down, no row sent before will be confirmed.
//   - A Control says DISCONNECT, with which a broker forgets the will, only when its
//     farewell was confirmed.
//
// # Caveats
//
//   - QoS 0 messages that are on the way when a connection ends are gone; QoS 2
//     is refused, because it adds two round trips and no guarantee that packet id
//     and Dup do not give.
//   - The broker decides what is kept while we are away or slow. mosquitto's
//     defaults keep 1000 messages per client and drop the rest although it has
//     confirmed them to their publishers: see [BrokerAdvice].
//   - Subscriptions are sent again after every CONNACK. Brokers answer with the
//     retained messages each time; they are ordinary messages here.
//   - A subscription that was removed from the configuration between two runs lives
//     on in the broker's session until the session is deleted there. What
//     [Source.Resubscribe] removes is forgotten there, too.
//   - Payloads of one read share a chunk of 64 KiB. A receiver that keeps a single
//     payload for long should copy it.
//   - While Connected is false, silence of a device means nothing; Batch.More only
//     speaks about what is already here.
package mqtt
