// Package alarms is how an alarm lives. A detector judges values one by one; an Alarm
// makes events of that, few of them and each about an alarm with an identity: raised,
// updated, cleared, acknowledged, shelved. The words are those of ISA-18.2 and IEC
// 62682.
//
//	          value, verdict ──▶ Alarm.Observe ─┐
//	processing time goes on ──▶ Alarm.Tick    ─┼─▶ Change ──▶ Group.Observe ──▶ GroupChange ──▶ upstream
//	     a person's command ──▶ Alarm.Command ─┘   floods of a group are one alarm
//
// A [Spec] is a rule as configured. An [Alarm] is one rule and one key; its state is
// a fold over samples, commands and times, and small as long as it is quiet.
//
// The condition of an alarm is there when at least n of the last m values are abnormal.
// The alarm follows it: the condition must last for the on-delay, and be gone for the
// off-delay and after the shortest duration.
//
//	                  raised                    acknowledged
//	A normal ───────────────────▶ B unacknowledged ─────────▶ C acknowledged
//	  ▲                             │ the condition is gone     │
//	  ├◀─ cleared ──────────────────┤                           ├─ cleared ─▶ A
//	  ├◀─ acknowledged, cleared ─── D returned unacknowledged   │
//	  └◀─ reset: cleared ────────── E latched unacknowledged ─▶ F latched acknowledged ─ reset: cleared ─▶ A
//
//	D, E, F ── the condition is back: recurred ──▶ B
//
//	G shelved: A to F go on unseen    H suppressed by design, I out of service: nothing is judged
//
// All of it, with delays that are over: the state (rows) after what happens (columns).
// Three letters are for neither acknowledge nor latch, for acknowledge, and for latch; a !
// is an error.
//
//	state  abnormal  normal  suppressed  acknowledge  shelve  unshelve  out_of_service  in_service  reset
//	A      B         A       H           !            G       A         I               A           A
//	B      B         A/D/E   H/D/E       C            G       B         I               B           A
//	C      C         A/A/F   H/H/F       C            G       C         I               C           A
//	D      B         D       D           A            G       D         I               D           A
//	E      B         E       E           F            G       E         I               E           A
//	F      B         F       F           F            G       F         I               F           A
//	G      G         G       G           !            G       A         I               G           G
//	H      B         A       H           !            G       H         I               H           A
//	I      I         I       I           !            I       I         I               A           I
//
// G is that of a shelf without an alarm. A shelf hides what would be the state without
// it, maintenance hides a shelf, and both end by themselves. An alarm that waits (D, E, F)
// hides the suppression by design.
//
// Event time is that of the values; delays, durations, cool-down and budget are measured
// in it, so that a backlog and a replay behave as live does. Processing time is that of
// the gateway, which stands still while it is behind; shelves and maintenance by command
// are measured in it, because a person means the clock on the wall.
//
// # Guarantees
//
//   - What an alarm or group does depends on its spec and on what it was given, in order,
//     and on nothing else. Equal histories give equal changes, equal states and equal
//     bytes, with any restores in between.
//   - Each alarm that is told of is opened once, by raised or unshelved, and closed once,
//     by cleared. Start and Ordinal are the same in all its changes, and of no other
//     alarm of the rule and key.
//   - An alarm is raised by an abnormal value only: never by a verdict that is not warm,
//     by time, or by a value older than one that has been seen, so that no backfill
//     raises or clears what is of now.
//   - What cool-down, budget, shelf or group keep back is either told later, when it still
//     lasts, or counted in Suppressed.
//   - More than one update in UpdateInterval means that the severity rose: at most three times
//     in the life of an alarm.
//   - No value, time, command or restored byte makes an alarm panic. Everything is
//     bounded. A quiet alarm takes less than 128 bytes of memory and 16 bytes encoded; one
//     that is present, or remembered, less than 512 more.
//   - A group passes each change on or counts it in Kept, once. When it does not hold
//     anything back, what it has told about each member is what the member is.
//
// # Caveats
//
//   - Delays are judged when values come. If none comes, nothing is raised or cleared;
//     silence is for a detector to find, anomaly.DeadMan, and one that speaks once only
//     needs an on-delay of 0 and 1 of 1.
//   - Peak and Count are of the time since the alarm was raised; what was worse within the
//     on-delay is not known.
//   - A value that is not finite, of which the detector says no more, is taken for no value:
//     it neither raises nor clears. A value that is not warm is taken for a normal one.
//   - A rise of severity does not make an acknowledged alarm unacknowledged.
//   - One event time of the far future makes an alarm deaf until then, unless SetBackMin
//     is set or the alarm is reset. Keep such samples away.
//   - Cool-down is counted from the end of the condition, also if that was suppressed or
//     taken out of service.
//   - Only the newest alarm can be labelled, and for Remember only. A reset forgets it.
//   - A restored state must be of an equal spec. If n of m, the budget, latch or acknowledge
//     have changed, it may be refused.
//   - A group is as old as the newest change of a member or Advance, so the member with
//     the fastest clock says when a flood is over. A group alarm cannot be acknowledged.
//   - States belong to one goroutine.
package alarms
