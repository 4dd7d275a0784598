// Package actors is the runtime: it moves events from a source through one
// actor per key to the gateways, an epoch at a time, and makes every epoch
// durable before anybody outside learns of it. It knows no payload format, no
// window, no database and no broker; those come in through the ports of
// ports.go.
//
//	Source ─▶ intake ─▶ sequencer ─ open epoch ─ close ─▶ turns ─▶ key actors
//	  ▲      (bounded)      │  ▲                                      │
//	  │                     │  └──────── committed ◀── committer ◀────┘ all turns done
//	  └────── Ack ◀─────────┴───────────────────────── │ Store.Commit, one transaction
//	                                                   ▼
//	                                    gateway actor per output ─▶ Output
//
// Goroutines: the source's own, one sequencer, one committer, the dispatcher's
// workers (as many as processors) which run all key actors, and whatever the
// outputs need. An idle engine runs none of them.
//
// # Guarantees
//
//   - A message is acknowledged, and a row is handed to an output, only after
//     the transaction that holds both is on stable storage.
//   - The events of one key are processed one at a time, in journal order.
//   - The rows of a stream are numbered in the order of the records that caused
//     them, whatever the epochs' boundaries were.
//   - State after recovery equals state before: both are the same fold over the
//     same journal. Nothing is sent while recovering, because every row of a
//     committed epoch was committed with it.
//   - A panic while one event is processed costs that event (it becomes a dead
//     letter) and nothing else.
//   - Memory is bounded by the intake's caps, two epochs in flight, the open
//     one, and the active keys.
//
// # Caveats
//
//   - Processing time stands still while the source is disconnected or behind:
//     a device is not idle because we are. See [clock].
//   - After a failed commit nothing is known about the store; [Engine.Run]
//     returns an error and the process must end.
package actors
