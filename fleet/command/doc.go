// Package command decides, on a gateway, what of all that is told to it is done:
// commands once, documents in their order, nothing of what somebody has copied,
// kept back or made up.
//
//	Delivery ─▶ Guard.Accept ─▶ Effects{Changed, Audit, Answers, Command}
//	   Moment ─▶                   │ 1 commit state + audit lines, one transaction
//	                               │ 2 PUBACK   3 answers   4 then, in its turn:
//	            Guard.Start  ─▶ commit ─▶ run the action ─▶ Guard.Finish ─▶ commit ─▶ answer
//
//	process ends anywhere ─▶ Restore: what was started is interrupted, never run again
//
// A [Guard] is the state machine; its state is a few kilobytes ([Guard.AppendBinary])
// that are stored with each decision. Time is the monotonic clock of the process, an
// argument like the nonces and the running configuration ([Moment]).
//
// # Replay, without a clock
//
//	layer        stops
//	id           the same command again: its answer is repeated, marked "repeated"
//	number       every other copy: a window of 1,024 numbers per key, and nothing below it
//	introduction a state that does not know the key, because it is new or was lost: the
//	             key's first command must quote a nonce; all lower numbers are then used
//	nonce        dangerous commands of another session, or older than 20 minutes
//	ttl          what waits too long: counted from the making of the quoted nonce, and
//	             without one from the arrival
//	floor        exp_ms that is past by the newest beacon of a clock key. The clock of the
//	             gateway is not asked, so 1970 and 2100 are the same to it
//	epoch        everything from before the root raised it; numbers and versions begin anew
//
// # What cannot be spoiled
//
// Whoever controls the broker can change what is not signed: the retain flag, the
// topic, the signatures that are left on an envelope. A refusal for any of these uses
// nothing up, and its answer ("denied", n 0) is not final; the real command is still
// accepted. A refusal for what the signer has signed uses up number and id, so
// that it cannot run later, when the reason is gone.
//
// A number may be at most Config.JumpMax above the highest. So a thief of a key, or a
// defect, cannot use the numbers up; and if one did, a new key or a new epoch heals it.
//
// # Two with one name
//
// Each instance has an adoption number. While another instance is known to be alive that
// has one at least as high ([Guard.Meet]), commands that change something and documents
// are denied, and use nothing up; [Guard.Adopt] puts ours above all that were seen. Alive is
// who is online, or begins a session after we heard of it. Of two that have seen each
// other's present number, at most one is not blocked.
//
// # Floods
//
// Denials are written down and answered at a small rate per key, and at one for all
// strangers together; the rest is counted and written down once a minute (kind
// denials). What a stranger sends never touches the quota of a key, and a copy of a
// used command never takes from its key's quota.
//
// # Audit
//
// The kinds of entries (package audit) are command, desired, keyring, identity (renamed, blocked, adopted) and denials. A command
// has accepted, started, and done, failed or interrupted; or rejected, if its number was
// used up; or denied, if not. Repetitions and beacons are not written down.
//
// # Codes
//
// All of package protocol but E_HEALTH, E_ROLLED_BACK, E_STORAGE, E_TIMEOUT and
// E_CANCELLED, which actions give to [Guard.Finish].
//
// # Guarantees
//
//   - A command is returned by Start with OK at most once in all lives of the state,
//     if each Effects was committed before it was acted upon; and only if it was signed
//     by valid keys with the right roles, for this gateway, in this epoch.
//   - The same bytes delivered again never do anything but repeat an answer.
//   - After Restore every command is final.
//   - Equal deliveries at equal moments give equal effects and equal state.
//   - The state is bounded: 64 windows, Config.RecordsMax records, one keyring.
//   - Accept never refuses a valid command because of invalid ones.
//
// # Caveats
//
//   - A command without a nonce that the broker keeps back runs when it arrives, unless
//     exp_ms is past. Signers who mind quote a nonce.
//   - An interrupted action may have had its effect. The answer says whether it was begun.
//   - Config.QueueMax is for all keys together: one that may send commands can fill it.
//     What is refused then (E_BUSY) is used up.
//   - Counts of denials that were not written down yet are lost with the process.
//   - Every delivery with a known key costs one verification of Ed25519, about 0.1 ms; the
//     broker's access control must keep strangers from sending thousands a second.
//   - A state that is lost takes an old keyring and an old desired document, until newer
//     ones come; commands are protected by introduction.
//   - Whoever rolls the disk back to an older copy rolls the guard back too.
package command
