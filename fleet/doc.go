// Package fleet holds what both ends of an uplink know about each other. Its
// first piece is the receiver of results: how the applied state of an upstream
// counts each result of each gateway once.
//
//	edged ──▶ rows 1, 2, 3 ... of a stream ──MQTT──▶ Receiver ─▶ Applied: use it
//	            {"id", "seq", "gateway", ...}           │      ─▶ Repeat: ignore it
//	                                                    └──────▶ Conflict, Reissue: a defect
//
// A payload carries three members that matter here, its [Envelope]: id, a pure
// function of what the result is about; seq, its number in the stream, from 1
// without holes; and gateway, who sent it. The stream itself is known from the
// topic or the connection, so the caller names it.
//
// Managing the gateways of a fleet has rooms of its own, which stand on each other:
//
//	fleet/strict    JSON that means one thing only
//	fleet/trust     keys, signed envelopes, the keyring with its roles
//	fleet/audit     a log in which nothing can be changed unnoticed
//	fleet/protocol  topics, messages, codes
//	fleet/command   what a gateway does of what it is told, once
//	fleet/agent     the gateway's end of the link: presence, commands, reports
//	fleet/apply     configurations on trial: stages, health gate, rollback
//	fleet/operator  the operators' end: the view of a fleet, rollouts
//
// # Guarantees
//
//   - A result is Applied once, however often and in whatever order it arrives.
//   - [Receiver.Check] returns nil exactly when all results up to the highest
//     have arrived and none contradicted another.
//   - Memory is bounded by [Config]; a limit that bites is an error, never silent.
//
// # Caveats
//
//   - With Config.IDsMax set, a result that comes back under a new number is
//     recognised only while its id is remembered. Repeats under their own number
//     are recognised for ever.
//   - A Receiver is not safe for concurrent use and keeps nothing on disk.
package fleet
