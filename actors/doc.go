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
// A pipeline may take another one's results instead of messages. Then an epoch is
// processed in waves, stage by stage, and what flows on is journaled in the record
// that it came from; see waves.go. Reference tables are journaled like messages.
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
//   - A key gets the same ticks live, in recovery, and when it is rebuilt: which
//     ones follows from the times in the journal and the key's own events.
//   - A pipeline that is held gets each record that it missed once, in its order, as
//     a record of its own; a dead letter is retried at most once.
//   - What a later stage makes of a record sees everything that earlier stages made
//     of it and of the records before, and the tables that the record saw.
//   - A panic while one event is processed costs that event (it becomes a dead
//     letter) and nothing else.
//   - Memory is bounded by the intake's caps, two epochs in flight, the open
//     one, and the active keys.
//
// # Caveats
//
//   - Processing time stands still while the source is disconnected or behind:
//     a device is not idle because we are. See [clock].
//   - The next epoch is not processed before all stages of this one are; a stage
//     costs a round of the mailboxes per epoch. Engines without stages pay nothing.
//   - A panic over one of several results that one record gave a key of a later
//     stage costs all of these: recovery knows them by record and key only.
//   - Trigger times that a pulse serves are exact to Config.TickInterval. A bounded
//     input has no ticks: only its end fires what waits for processing time.
//   - A changed table, and a pipeline that is held or goes on, waits, with stages, for an
//     epoch of its own to begin with.
//   - To drain a pipeline brings all keys that are known of it into memory in one epoch.
//   - A pipeline that goes on sees the tables as they are then.
//   - After a failed commit nothing is known about the store; [Engine.Run]
//     returns an error and the process must end.
package actors
