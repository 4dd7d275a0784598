// Package agent is the gateway's end of the management link: it says who and how the
// gateway is, takes what package fleet/command lets through, and does it.
//
//	         Link                      Agent                              Gateway
//	broker ─▶ Receive ─▶ Guard.Accept ─▶ Store.Commit ─▶ acknowledged
//	       ◀─ rsp/ID ◀─────── answers ◀──┘     │
//	                                           ▼
//	                serial lane: what changes something      ─▶ Start ▸ commit ▸ Op.Run ▸ Finish ▸ commit
//	                parallel lanes: what only reads           ─▶        ▸ answer
//	       ◀─ state, info, reported, hb, evt ◀── presence, a tick per second
//
// Everything that a decision changes, the guard's state, the lines of the audit log,
// the counters and the desired document, is one commit; only then is the message
// acknowledged, answered and acted upon. If a commit fails, [Agent.Run] ends with the
// error, and so must the process: the next one finds on the disk what was decided, and
// reports as interrupted what had been started.
//
// # Presence
//
// The session is counted and stored before each CONNECT, whose will has its number.
// After CONNACK the gateway says state, info and reported; the nonce of state changes
// with each session and every ten minutes. The agent listens to its own state, too:
// what another process says there, it did not say. A state of another instance that is
// alive, or of this one with a session that we have not reached, raises the alarm
// identity.duplicate. In the second case, a clone, the agent takes another instance name, so
// that the two can be told apart. While another instance is alive and was not adopted less
// often, the guard takes nothing that changes something (identity.blocked); identity.adopt
// ends that. If two throw each other out again and again, one that is blocked stays away for
// Config.HoldOff. The kept farewell of an instance that never comes again is that of a disk
// that was replaced, and blocks nothing.
//
// # Documents that are kept back
//
// Whoever owns the broker can withhold newer desired documents. A document with a refresh
// above 0 says that its operators sign it again and again, with a refresh that rises. Once
// the gateway has been connected for Config.FrozenAfter without a fresher one, over all
// its sessions and on its monotonic clock, it raises the alarm config.frozen; its
// configuration goes on running. A document without a refresh promises nothing, and
// nothing is missed. Beacons do not count: who keeps documents back can let them pass.
//
// # Events
//
// They are numbered from 1 without holes, over all classes; numbers are stored. What
// is not confirmed by the broker is sent again after the next CONNECT. Lines of the
// audit log are events of the class audit.
//
// # Guarantees
//
//   - Nothing is acknowledged, answered or done before it is committed.
//   - An operation is run at most once per command, whatever happens to the process;
//     see package fleet/command.
//   - Operations that change something run one after the other, in the order of their
//     acceptance; at most [ReadLanes] that only read run beside them.
//   - A command is final in time: what does not return in time is answered with
//     E_TIMEOUT, and what panics with E_INTERNAL.
//   - Queues are bounded: commands by the guard, events by [EventsMax], answers that
//     wait for a connection by [AnswersMax]. What is dropped is counted, and shows as a
//     hole in the numbers.
//
// # Caveats
//
//   - An operation that ignores the end of its context keeps its lane after the answer
//     E_TIMEOUT, until it returns.
//   - Events are not stored, only their numbers: those that were not confirmed when the
//     process ends are a hole.
//   - Two that have one name take commands until each has seen the other: at once if they
//     have different client ids, and after two reconnects if not.
//   - Whoever can publish on a gateway's state topic can block it, unless it signs and its
//     keyring has its key.
//   - The time without a fresh document begins anew with the process: a gateway that is
//     restarted more often than every Config.FrozenAfter never raises config.frozen.
//   - An answer that gets lost is asked for by sending the command again.
package agent
